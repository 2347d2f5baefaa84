"""`Workers`: a small pool of daemon threads, and the one inbox that the main thread waits at.

A call that outlives its time is told so through its `Cancellation`; one that does not listen is abandoned, and
its thread is replaced, so that a hung hook holds up nothing but itself.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["Workers", "Cancellation", "Finished", "Abandoned"]

ABANDON_AFTER = 15.0
"""Seconds a cancelled call gets to come back: time for its children to be ended (see process.py), and some."""

_LOOK_EVERY = 0.2
"""Seconds between two looks at whether there was a signal."""


class Cancellation:
    """Tells one call that it should give up.

    Attributes:
        reason: why, in words.
        overdue: its time is up; otherwise everything is being stopped.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self.reason = ""
        self.overdue = False

    def cancel(self, reason: str, *, overdue: bool = False) -> None:
        """Ask the call to give up; the first reason stays."""
        if not self.reason:
            self.reason, self.overdue = reason, overdue
        self._event.set()

    @property
    def requested(self) -> bool:
        """True once somebody asked."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for so long, or until somebody asks; True in the latter case."""
        return self._event.wait(seconds)


class Finished(Immutable, frozen=True):
    """A call came back with ``value``, or raised ``error``."""

    key: Hashable
    value: Any = None
    error: BaseException | None = None


class Abandoned(Immutable, frozen=True):
    """A call was told to give up and did not come back; nobody knows what it did."""

    key: Hashable
    reason: str


@dataclass(slots=True)
class _Call:
    run: Callable[[Cancellation], Any]
    cancellation: Cancellation
    deadline: float
    gone: bool = False


class Workers:
    """Runs calls on at most ``size`` threads, started when needed.

    Args:
        size: how many calls run at once.
        patience: seconds a cancelled call gets before it is abandoned.
    """

    def __init__(self, size: int, *, patience: float = ABANDON_AFTER) -> None:
        self.size = size
        self._patience = patience
        self._tasks: SimpleQueue[tuple[Hashable, _Call]] = SimpleQueue()
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._calls: dict[Hashable, _Call] = {}
        self._threads = 0

    @property
    def idle(self) -> int:
        """How many more calls could start right now."""
        return self.size - len(self._calls)

    def submit(self, key: Hashable, run: Callable[[Cancellation], Any], *, timeout: float) -> None:
        """Start ``run(cancellation)``, or queue it; `wait` will tell what became of ``key``.

        The time limit counts from now: submit no more than `idle` calls where it matters.
        """
        call = _Call(run, Cancellation(), time.monotonic() + timeout)
        self._calls[key] = call
        if self._threads < min(self.size, len(self._calls)):
            self._threads += 1
            threading.Thread(target=self._work, name=f"worker-{self._threads}", daemon=True).start()
        self._tasks.put((key, call))

    def post(self, message: Any) -> None:
        """Put a message of one's own into the inbox; safe from other threads and from signal handlers."""
        self._inbox.put(message)

    def cancel_all(self, reason: str) -> None:
        """Ask every running call to give up."""
        for call in self._calls.values():
            self._cancel(call, reason)

    def wait(self) -> Any:
        """Wait for the next message: `Finished`, `Abandoned`, or what was posted."""
        while True:
            try:
                message = self._inbox.get(timeout=self._until_next_look())
            except Empty:
                abandoned = self._check_deadlines()
                if abandoned is not None:
                    return abandoned
                continue
            if isinstance(message, Finished):
                if message.key not in self._calls:
                    continue  # it came back after it had been abandoned
                del self._calls[message.key]
            return message

    def _until_next_look(self) -> float:
        """Give the seconds to wait: to the next deadline, but never long.

        A signal that arrives just before the main thread falls asleep does not wake it: its handler runs at
        the next look.
        """
        if not self._calls:
            return _LOOK_EVERY
        next_deadline = min(call.deadline for call in self._calls.values())
        return min(max(0.0, next_deadline - time.monotonic()), _LOOK_EVERY)

    def _check_deadlines(self) -> Abandoned | None:
        now = time.monotonic()
        for key, call in list(self._calls.items()):
            if call.deadline > now:
                continue
            if not call.cancellation.requested:
                self._cancel(call, "took too long", overdue=True)
                continue
            del self._calls[key]
            call.gone = True
            self._threads -= 1
            return Abandoned(key, call.cancellation.reason)
        return None

    def _cancel(self, call: _Call, reason: str, *, overdue: bool = False) -> None:
        if not call.cancellation.requested:
            call.deadline = time.monotonic() + self._patience
            call.cancellation.cancel(reason, overdue=overdue)

    def _work(self) -> None:
        while True:
            key, call = self._tasks.get()
            try:
                finished = Finished(key, call.run(call.cancellation))
            except BaseException as error:  # noqa: BLE001 - whatever a plugin raises is a result of the call
                finished = Finished(key, error=error)
            if call.gone:
                return  # another thread has taken this one's place
            self._inbox.put(finished)
