"""Breaking things on purpose: numbered points at which a process dies, and a state that refuses to be written.

A sweep runs a program again and again and kills it at point 1, 2, 3, ... until it runs through, and looks each
time at what the next run makes of what was left::

    points = CrashPoints(at=int(sys.argv[1]))
    session = Session(..., wrap_backend=lambda backend: CrashingBackend(backend, points))
    session.plugins.add(CrashingHooks(points))
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from devstream.builtin.local import Files
from devstream.errors import Refusal, SwapRefused
from devstream.hookspecs import hookimpl
from devstream.state.backend import KernelLease

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from devstream.context import Tool
    from devstream.model.status import Outputs, ResourceStatus
    from devstream.state.backend import Head

__all__ = [
    "BackendAround",
    "BreakableBackend",
    "CrashPoints",
    "CrashingBackend",
    "CrashingFiles",
    "CrashingHooks",
]


class CrashPoints:
    """Counts the points that a process passes, and kills it at one of them.

    Args:
        at: the number of the deadly point, from 1; 0 for none.
        name: die at the point of this name instead, at its first time.
        trace: a descriptor to write the name of every point to.
    """

    def __init__(self, at: int = 0, *, name: str = "", trace: int | None = None) -> None:
        self.passed = 0
        self._at = at
        self._name = name
        self._trace = trace
        self._lock = threading.Lock()

    def __call__(self, name: str) -> None:
        """Pass a point."""
        with self._lock:
            self.passed += 1
            if self._trace is not None:
                os.write(self._trace, f"{name}\n".encode())
            if self.passed == self._at or (self._name and name == self._name):
                os.kill(os.getpid(), signal.SIGKILL)


class BackendAround:
    """A state backend that passes everything on to another one; it has the kernel's lease if that one has."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        if isinstance(inner, KernelLease):
            self.hold_lease = inner.hold_lease
            self.lease_holder = inner.lease_holder

    @property
    def location(self) -> str:
        """The other one's."""
        return str(self.inner.location)

    def read_head(self) -> Head | None:
        """Pass it on."""
        head: Head | None = self.inner.read_head()
        return head

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Pass it on."""
        return str(self.inner.swap_head(data, expected))

    def put_blob(self, name: str, data: bytes) -> None:
        """Pass it on."""
        self.inner.put_blob(name, data)

    def get_blob(self, name: str) -> bytes | None:
        """Pass it on."""
        data: bytes | None = self.inner.get_blob(name)
        return data

    def delete_blob(self, name: str) -> None:
        """Pass it on."""
        self.inner.delete_blob(name)

    def list_blobs(self) -> list[str]:
        """Pass it on."""
        return list(self.inner.list_blobs())


class BreakableBackend(BackendAround):
    """Refuses every swap once ``is_broken`` says so, and counts the others.

    A run whose state breaks while a hook is at work leaves a begin without an end, as a crash does.
    """

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self.broken = False
        self.swaps = 0

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Refuse it, or pass it on."""
        if self.broken:
            message = "the disk is full, says the test"
            raise SwapRefused(message, Refusal.TOO_LARGE)
        self.swaps += 1
        return super().swap_head(data, expected)


class CrashingBackend(BackendAround):
    """Passes a point before and after each call."""

    def __init__(self, inner: Any, point: CrashPoints) -> None:
        super().__init__(inner)
        self._point = point

    @contextmanager
    def _around(self, call: str) -> Iterator[None]:
        self._point(f"{call} begins")
        yield
        self._point(f"{call} ended")

    def read_head(self) -> Head | None:
        """Pass points around it."""
        with self._around("read_head"):
            return super().read_head()

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Pass points around it."""
        with self._around("swap_head"):
            return super().swap_head(data, expected)

    def put_blob(self, name: str, data: bytes) -> None:
        """Pass points around it."""
        with self._around("put_blob"):
            super().put_blob(name, data)

    def delete_blob(self, name: str) -> None:
        """Pass points around it."""
        with self._around("delete_blob"):
            super().delete_blob(name)


class CrashingFiles(Files):
    """Passes a point before each call of the file system that changes something, and after a rename."""

    def __init__(self, point: CrashPoints) -> None:
        self._point = point

    def open(self, path: Path, flags: int) -> int:
        """Pass a point, then open."""
        if flags & os.O_CREAT:
            self._point("open")
        return super().open(path, flags)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Pass a point, then write one half, so that a crash leaves a torn file."""
        self._point("write")
        return super().write(descriptor, data[: len(data) // 2 + 1])

    def fsync(self, descriptor: int) -> None:
        """Pass a point, then sync."""
        self._point("fsync")
        super().fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Pass a point, then rename, and pass another one."""
        self._point("rename begins")
        super().rename(source, target)
        self._point("rename ended")

    def fsync_folder(self, path: Path) -> None:
        """Pass a point, then sync."""
        self._point("fsync_folder")
        super().fsync_folder(path)

    def unlink(self, path: Path) -> None:
        """Pass a point, then remove."""
        self._point("unlink")
        super().unlink(path)

    def make_folder(self, path: Path) -> None:
        """Pass a point, then make it."""
        self._point("make_folder")
        super().make_folder(path)


class CrashingHooks:
    """A plugin that passes a point before and after every hook of every tool."""

    def __init__(self, point: CrashPoints) -> None:
        self._point = point

    @hookimpl(wrapper=True)
    def create(self, tool: Tool) -> Generator[None, ResourceStatus, ResourceStatus]:
        """Pass points around it."""
        self._point(f"create {tool.address} begins")
        status = yield
        self._point(f"create {tool.address} ended")
        return status

    @hookimpl(wrapper=True)
    def read(self, tool: Tool) -> Generator[None, ResourceStatus | None, ResourceStatus | None]:
        """Pass points around it."""
        self._point(f"read {tool.address} begins")
        status = yield
        self._point(f"read {tool.address} ended")
        return status

    @hookimpl(wrapper=True)
    def update(self, tool: Tool) -> Generator[None, ResourceStatus, ResourceStatus]:
        """Pass points around it."""
        self._point(f"update {tool.address} begins")
        status = yield
        self._point(f"update {tool.address} ended")
        return status

    @hookimpl(wrapper=True)
    def delete(self, tool: Tool) -> Generator[None, None, None]:
        """Pass points around it."""
        self._point(f"delete {tool.address} begins")
        yield
        self._point(f"delete {tool.address} ended")

    @hookimpl(wrapper=True)
    def integrate(self, tool: Tool) -> Generator[None, Outputs | None, Outputs | None]:
        """Pass points around it."""
        self._point(f"integrate {tool.address} begins")
        outputs = yield
        self._point(f"integrate {tool.address} ended")
        return outputs
