"""Ctrl-C and SIGTERM during a run: once for an orderly end, twice for the end."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

__all__ = ["StopSignals"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While entered, the first signal calls ``stop(number)`` and the second ends the program at once.

    What was in flight then stays recorded as begun, and the next run settles it.

    Args:
        stop: called in the signal handler; it may only post a message.
        kill: ends our children; called before the program is left.
    """

    def __init__(self, stop: Callable[[int], None], kill: Callable[[], None]) -> None:
        self._stop = stop
        self._kill = kill
        self._seen = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> None:
        import threading

        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: object) -> None:
        if self._seen:
            self._kill()
            os._exit(128 + number)
        self._seen = True
        self._stop(number)
