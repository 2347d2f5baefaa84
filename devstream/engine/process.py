"""Running one command to its end: fixed argv, a small environment, limits, and no child left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from devstream.context import CompletedCommand
from devstream.engine.children import signal_group
from devstream.errors import OperationCancelled, OperationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from devstream.engine.children import Children
    from devstream.engine.workers import Cancellation

__all__ = ["Command", "run_command", "base_environment"]

INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
"""All that a command sees of our environment, so that no token reaches it by accident."""

TERM_GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""

TAIL = 20
"""Lines of standard error that an error message shows."""

_LOOK_EVERY = 0.1
"""Seconds between two looks at the cancellation while a command is silent."""

_CHUNK = 65536


def base_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Pick what commands inherit."""
    return {name: environ[name] for name in INHERITED if name in environ}


@dataclass(slots=True)
class Command:
    """What is to be run.

    Attributes:
        env: the whole environment of the command.
        timeout: seconds; None for no limit beside the cancellation.
        pass_fds: descriptors the command and its children inherit (the lock that tells they are alive).
        on_line: called with each line of standard error.
    """

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    input: str | None = None
    timeout: float | None = None
    stdout_limit: int = 64 * 1024 * 1024
    pass_fds: tuple[int, ...] = ()
    on_line: Callable[[str], None] = field(default=lambda _line: None)


def run_command(command: Command, cancellation: Cancellation, children: Children) -> CompletedCommand:
    """Run a command and wait for it and for what it writes.

    Raises:
        OperationError: it cannot be started, takes too long or writes too much.
        OperationCancelled: somebody asked to give up; the command and its group were ended.
    """
    process = children.start(lambda: _start(command))
    try:
        with _Streams(process, command) as streams:
            _pump(process, streams, command, cancellation)
    finally:
        _end(process)
        children.discard(process.pid)
    return CompletedCommand(
        tuple(command.argv), process.returncode, streams.stdout_text(), "\n".join(streams.tail)
    )


def _start(command: Command) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - a fixed argv, never a shell
            list(command.argv),
            stdin=subprocess.PIPE if command.input is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=command.cwd,
            env=dict(command.env),
            start_new_session=True,
            pass_fds=command.pass_fds,
        )
    except FileNotFoundError:
        what = f"command not found: {command.argv[0]}"
        if not command.cwd.is_dir():
            what = f"folder not found: {command.cwd}"
        raise OperationError(what, code="not-found") from None
    except (OSError, ValueError) as error:
        raise OperationError(f"cannot run {command.argv[0]}: {_words(error)}", code="cannot-run") from None


def _words(error: OSError | ValueError) -> str:
    return error.strerror or "unknown error" if isinstance(error, OSError) else str(error)


class _Streams:
    """The three pipes of a command: feeds its input, keeps its output, passes on its log."""

    def __init__(self, process: subprocess.Popen[bytes], command: Command) -> None:
        self._command = command
        self._stdout = bytearray()
        self._partial = b""
        self._input = memoryview((command.input or "").encode())
        self.tail: deque[str] = deque(maxlen=TAIL)
        self._selector = selectors.DefaultSelector()
        assert process.stdout is not None
        assert process.stderr is not None
        self._pipes = [pipe for pipe in (process.stdin, process.stdout, process.stderr) if pipe is not None]
        for pipe in self._pipes:
            os.set_blocking(pipe.fileno(), False)
        self._selector.register(process.stdout, selectors.EVENT_READ, self._read_stdout)
        self._selector.register(process.stderr, selectors.EVENT_READ, self._read_stderr)
        if process.stdin is not None:
            self._selector.register(process.stdin, selectors.EVENT_WRITE, self._write_stdin)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._partial:
            self._line(self._partial)
        self._selector.close()
        for pipe in self._pipes:
            pipe.close()

    @property
    def open(self) -> bool:
        """True while the command, or a child of it, holds an end of a pipe."""
        return bool(self._selector.get_map())

    def move(self, timeout: float) -> bool:
        """Wait for bytes and move them; False if there were none."""
        ready = self._selector.select(timeout)
        for key, _ in ready:
            key.data(key.fileobj)
        return bool(ready)

    def stdout_text(self) -> str:
        """Give all of standard output; bytes that are no UTF-8 are shown as escapes."""
        return self._stdout.decode("utf-8", "backslashreplace")

    def _read_stdout(self, pipe: Any) -> None:
        chunk = self._read(pipe)
        self._stdout += chunk
        if len(self._stdout) > self._command.stdout_limit:
            raise OperationError(
                f"{self._command.argv[0]} wrote more than {self._command.stdout_limit:,} bytes to standard output",
                code="too-much-output",
            )

    def _read_stderr(self, pipe: Any) -> None:
        lines = (self._partial + self._read(pipe)).split(b"\n")
        self._partial = lines.pop()[-_CHUNK:]
        for line in lines:
            self._line(line)

    def _line(self, line: bytes) -> None:
        text = line.decode("utf-8", "backslashreplace").rstrip("\r")
        self.tail.append(text)
        self._command.on_line(text)

    def _read(self, pipe: Any) -> bytes:
        chunk = os.read(pipe.fileno(), _CHUNK)
        if not chunk:
            self._selector.unregister(pipe)
        return chunk

    def _write_stdin(self, pipe: Any) -> None:
        try:
            written = os.write(pipe.fileno(), self._input[:_CHUNK])
        except BrokenPipeError:
            written = len(self._input)  # it does not want to know
        self._input = self._input[written:]
        if not self._input:
            self._selector.unregister(pipe)
            pipe.close()


def _pump(
    process: subprocess.Popen[bytes], streams: _Streams, command: Command, cancellation: Cancellation
) -> None:
    """Move bytes until the command has ended and its pipes are empty.

    A grandchild that keeps a pipe open is not waited for longer than it stays silent for one look.
    """
    deadline = None if command.timeout is None else time.monotonic() + command.timeout
    while True:
        moved = streams.move(_LOOK_EVERY) if streams.open else cancellation.wait(0.005)
        if process.poll() is not None and (not moved or not streams.open):
            return
        if cancellation.requested:
            raise OperationCancelled(f"{command.argv[0]} was stopped: {cancellation.reason}")
        if deadline is not None and time.monotonic() > deadline:
            raise OperationError(
                f"{command.argv[0]} took longer than {command.timeout:g} s and was stopped", code="timeout"
            )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command that is still running, and its group with it, politely first."""
    if process.poll() is not None:
        return
    signal_group(process.pid, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(TERM_GRACE)
    signal_group(process.pid, signal.SIGKILL)
    process.wait()
