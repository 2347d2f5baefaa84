"""Ctrl-C, SIGTERM and a terminal that closes: while planning, and during a run."""

from __future__ import annotations

import os
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["leaves_in_order", "stops_in_order"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def leaves_in_order(kill: Callable[[], None]) -> Iterator[None]:
    """While entered, SIGTERM and SIGHUP raise `SystemExit`, as Ctrl-C raises `KeyboardInterrupt`.

    Args:
        kill: ends our children; called where an exception passes.
    """

    def leave(number: int, _frame: object) -> NoReturn:
        raise SystemExit(128 + number)

    try:
        with _handled(leave, _SIGNALS[1:]):
            yield
    except BaseException:
        kill()
        raise


@contextmanager
def stops_in_order(stop: Callable[[int], None], kill: Callable[[], None]) -> Iterator[None]:
    """While entered, the first signal calls ``stop(number)`` and the second ends the program at once.

    What was in flight then stays recorded as begun, and the next run settles it.

    Args:
        stop: called in the signal handler; it may only post a message.
        kill: ends our children; called before the program is left.
    """
    seen = False

    def on_signal(number: int, _frame: object) -> None:
        nonlocal seen
        if seen:
            kill()
            os._exit(128 + number)
        seen = True
        stop(number)

    with _handled(on_signal, _SIGNALS):
        yield


@contextmanager
def _handled(handler: Callable[[int, Any], None], numbers: tuple[signal.Signals, ...]) -> Iterator[None]:
    """Set handlers; signals that are ignored stay so (``nohup``), and threads cannot have handlers."""
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}
    ours = [number for number in numbers if before[number] is not signal.SIG_IGN]
    for number in ours:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])
