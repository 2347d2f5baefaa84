"""`Output`: one of the two streams. What goes out is masked; a reader that has gone away is no error."""

from __future__ import annotations

import os
from threading import RLock
from typing import TYPE_CHECKING

from devstream.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

    from devstream.model.redact import Redactor
    from devstream.report.terminal import Look

__all__ = ["Output"]


class Output:
    """Writes to a stream: masked, whole lines, from any thread, quietly once nobody reads any more.

    The lock is reentrant because a signal handler may report something while a line is being written.
    """

    def __init__(self, stream: TextIO, redactor: Redactor, look: Look) -> None:
        self.look = look
        self._stream = stream
        self._redactor = redactor
        self._lock = RLock()
        self._gone = False

    def isatty(self) -> bool:
        """Tell whether a person is looking."""
        return self._stream.isatty()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines that the terminal has now: it may have been resized since it was looked at first."""
        try:
            columns, lines = os.get_terminal_size(self._stream.fileno())
        except (OSError, ValueError):
            columns = lines = 0
        return columns or self.look.width, lines or self.look.height

    def mask(self, text: str) -> str:
        """Mask a text that is going to be cut: half a secret would not be found any more."""
        return self._redactor.mask(text)

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines, masked, and hand them over at once."""
        self.text("".join(f"{line}\n" for line in lines))

    def text(self, text: str) -> None:
        """Write text, masked, and hand it over at once."""
        if text:
            self.data(self._redactor.mask(text))

    def data(self, text: str) -> None:
        """Write text as it is: its parts have been masked already.

        Raises:
            UsageError: the stream cannot be written, for another reason than that nobody reads it.
        """
        with self._lock:
            if self._gone:
                return
            try:
                self._stream.write(text)
                self._stream.flush()
            except (BrokenPipeError, ConnectionResetError):
                self.leave()
            except ValueError:  # closed by whoever started us
                self._gone = True
            except OSError as error:
                self.leave()
                message = f"the output cannot be written: {error.strerror}"
                raise UsageError(message, code="output") from None

    def leave(self) -> None:
        """Nobody reads: point the stream at nothing, so that the interpreter's own flush at exit succeeds too."""
        self._gone = True
        try:
            nothing = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nothing, self._stream.fileno())
            os.close(nothing)
        except (OSError, ValueError):
            pass
