"""The commands that are running: each is the head of a process group of its own."""

from __future__ import annotations

import os
import signal

__all__ = ["Children", "signal_group"]


class Children:
    """The commands that are running now, so that the engine can end them whenever it ends itself."""

    def __init__(self) -> None:
        self._running: set[int] = set()

    def add(self, pid: int) -> None:
        """Note a command; its pid is also its process group."""
        self._running.add(pid)

    def discard(self, pid: int) -> None:
        """Forget a command that has been waited for."""
        self._running.discard(pid)

    def kill(self) -> None:
        """End all of them at once. Safe in a signal handler."""
        for pid in tuple(self._running):
            signal_group(pid, signal.SIGKILL)


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group; that it is gone already is fine."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
