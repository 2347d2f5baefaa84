"""`Workers`: a small pool of daemon threads, and the one inbox that the main thread waits at.

A call that outlives its time is told so through its `Cancellation`; one that does not listen is abandoned, and
its thread is replaced, so that a hung hook holds up nothing but itself.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, field
from math import inf
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
    key: Hashable
    run: Callable[[Cancellation], Any]
    timeout: float
    cancellation: Cancellation = field(default_factory=Cancellation)
    deadline: float = inf  # it has not started
    gone: bool = False


class Workers:
    """Runs calls on at most ``size`` threads, started when needed.

    A thread that is done takes the next call that is queued. To wake a thread costs more than many a call takes, so
    only one at a time is woken: once it has taken a call, it wakes the next one if calls are left.

    Args:
        size: how many calls run at once.
        patience: seconds a cancelled call gets before it is abandoned.
    """

    def __init__(self, size: int, *, patience: float = ABANDON_AFTER) -> None:
        self.size = size
        self._patience = patience
        self._inbox: SimpleQueue[Any] = SimpleQueue()
        self._calls: dict[Hashable, _Call] = {}
        self._lock = threading.Lock()  # of what follows
        self._queue: deque[_Call] = deque()
        self._asleep: list[threading.Lock] = []
        self._waking = False
        self._closed = False
        self._threads = 0

    @property
    def idle(self) -> int:
        """How many more calls would start right now; negative where calls are queued."""
        return self.size - len(self._calls)

    @property
    def room(self) -> int:
        """How many more calls are of use: one for each thread, and one for when it is done with that."""
        return 2 * self.size - len(self._calls)

    @property
    def has_more(self) -> bool:
        """True where `wait` would not have to wait."""
        return not self._inbox.empty()

    def submit(self, key: Hashable, run: Callable[[Cancellation], Any], *, timeout: float) -> None:
        """Start ``run(cancellation)``, or queue it; `wait` will tell what became of ``key``.

        The time limit, in seconds, counts from the start.
        """
        call = _Call(key, run, timeout)
        self._calls[key] = call
        with self._lock:
            self._queue.append(call)
            self._wake()

    def revoke(self) -> list[Hashable]:
        """Take back the calls that have not started, and give their keys."""
        with self._lock:
            calls = list(self._queue)
            self._queue.clear()
        for call in calls:
            del self._calls[call.key]
        return [call.key for call in calls]

    def close(self) -> None:
        """Let every thread end that has nothing to do, or once it has; a process with many sessions would drown."""
        with self._lock:
            self._closed = True
            bells, self._asleep = self._asleep, []
        for bell in bells:
            bell.release()

    def post(self, message: Any) -> None:
        """Put a message of one's own into the inbox; safe from other threads and from signal handlers."""
        self._inbox.put(message)

    def cancel_all(self, reason: str) -> None:
        """Ask every call to give up."""
        for call in self._calls.values():
            self._cancel(call, reason)

    def wait(self) -> Any:
        """Wait for the next message: `Finished`, `Abandoned`, or what was posted."""
        while True:
            try:
                message = self._inbox.get(timeout=0.0 if self.has_more else self._until_next_look())
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
        the next look. A call that starts meanwhile has its deadline noticed then, too.
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
            with self._lock:
                call.gone = True
                self._threads -= 1
                self._wake()
            return Abandoned(key, call.cancellation.reason)
        return None

    def _cancel(self, call: _Call, reason: str, *, overdue: bool = False) -> None:
        with self._lock:
            if call.cancellation.requested:
                return
            call.cancellation.cancel(reason, overdue=overdue)
            if call.deadline != inf:
                call.deadline = time.monotonic() + self._patience

    # ---- what the threads do

    def _wake(self) -> None:
        """See to it that a thread is on its way to the queue, where calls wait; under the lock."""
        if self._waking or not self._queue:
            return
        if self._asleep:
            self._waking = True
            self._asleep.pop().release()
        elif self._threads < self.size:
            self._waking = True
            self._threads += 1
            threading.Thread(target=self._work, name=f"worker-{self._threads}", daemon=True).start()

    def _take(self, bell: threading.Lock, *, woken: bool) -> _Call | None:
        """Wait for a call; None: there will be none for this thread.

        Args:
            bell: released when there is one.
            woken: this thread was on its way to the queue, and now it has come.
        """
        while True:
            with self._lock:
                self._waking = self._waking and not woken
                if self._queue:
                    return self._next()
                if self._closed:
                    self._threads -= 1
                    return None
                self._asleep.append(bell)
            bell.acquire()
            woken = True

    def _next(self) -> _Call:
        """Start the clock of the next call, and see to the ones behind it; under the lock."""
        call = self._queue.popleft()
        seconds = self._patience if call.cancellation.requested else call.timeout
        call.deadline = time.monotonic() + seconds
        self._wake()
        return call

    def _work(self) -> None:
        bell = threading.Lock()
        bell.acquire()
        call = self._take(bell, woken=True)
        while call is not None:
            try:
                finished = Finished(call.key, call.run(call.cancellation))
            except BaseException as error:  # noqa: BLE001 - whatever a plugin raises is a result of the call
                finished = Finished(call.key, error=error)
            if call.gone:
                return  # another thread has taken this one's place
            self._inbox.put(finished)
            call = self._take(bell, woken=False)
