"""`Reporter`: something that is told what happens during a run, from any thread."""

from __future__ import annotations

from threading import Event, Thread
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model import events

__all__ = ["Reporter", "Silent", "Ticker"]


class Reporter(Protocol):
    """Shows events as they happen; all calls may come from any thread."""

    def __call__(self, event: events.Event) -> None:
        """Take an event; returns soon and never raises for what an event says."""

    def pause(self) -> None:
        """Leave the terminal to somebody else, until the next event."""

    def close(self) -> None:
        """Show nothing more, and give back what it holds."""


class Silent:
    """Shows nothing."""

    def __call__(self, event: events.Event) -> None:
        """Take an event."""

    def pause(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class Ticker:
    """Calls something again and again, from a thread of its own.

    Args:
        interval: seconds between two calls.
        tick: what to call; it is not called any more once `stop` has returned.
    """

    def __init__(self, interval: float, tick: Callable[[], None]) -> None:
        self._interval = interval
        self._tick = tick
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        """Start the thread, once."""
        if self._thread is None and not self._stopped.is_set():
            self._thread = Thread(target=self._watch, name="devstream-report", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5.0)

    def _watch(self) -> None:
        while not self._stopped.wait(self._interval):
            self._tick()
