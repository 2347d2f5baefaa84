"""`Emitter`: events from any thread, told one at a time; what listens cannot disturb what runs."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.events import Event

__all__ = ["Emitter"]


class Emitter:
    """Passes events on to the reporter, and then to the observers.

    A reporter that fails (standard output was closed, for one) is not asked again: a run goes on and records
    what it does. `check` tells of the failure where the run can bear it.

    Args:
        tell: the reporter.
        observe: tells the observer plugins; it raises nothing.
    """

    def __init__(self, tell: Callable[[Event], None], observe: Callable[[Event], None]) -> None:
        self._tell = tell
        self._observe = observe
        self._lock = threading.RLock()  # an observer that fails is itself an event
        self._failure: Exception | None = None

    def __call__(self, event: Event) -> None:
        """Tell everybody."""
        with self._lock:
            self.tell(event)
            self._observe(event)

    def tell(self, event: Event) -> None:
        """Tell the reporter only."""
        with self._lock:
            if self._failure is not None:
                return
            try:
                self._tell(event)
            except Exception as error:  # noqa: BLE001 - raised by `check`
                self._failure = error

    def check(self) -> None:
        """Raise what the reporter failed with, if it did."""
        if self._failure is not None:
            raise self._failure
