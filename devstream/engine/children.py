"""The commands that are running: each is the head of a process group of its own."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING

from devstream.errors import OperationCancelled

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

__all__ = ["Children", "signal_group"]

_PATIENCE = 2.0
"""Seconds that the start of a command may take when everything is being ended."""


class Children:
    """The commands that are running now, so that the engine can end them whenever it ends itself."""

    def __init__(self) -> None:
        self._running: set[int] = set()
        self._starting = threading.Lock()
        self._over = False

    def start(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        """Start a command and note it; its pid is also its process group.

        Raises:
            OperationCancelled: `kill` was called before.
        """
        with self._starting:
            if self._over:
                message = "the program is being ended"
                raise OperationCancelled(message)
            process = start()
            self._running.add(process.pid)
            return process

    def discard(self, pid: int) -> None:
        """Forget a command that has been waited for."""
        self._running.discard(pid)

    def kill(self) -> None:
        """End all of them at once, also one that is just being started; no other will be started.

        Safe in a signal handler: only threads that run hooks start commands, so that the lock is soon free.
        """
        self._over = True
        is_quiet = self._starting.acquire(timeout=_PATIENCE)
        for pid in tuple(self._running):
            signal_group(pid, signal.SIGKILL)
        if is_quiet:
            self._starting.release()


def signal_group(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process group; that it is gone already is fine."""
    try:
        os.killpg(pid, number)
    except (ProcessLookupError, PermissionError):
        return
