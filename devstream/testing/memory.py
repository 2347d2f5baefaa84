"""State backends in memory, for tests."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from devstream.errors import StateConflictError
from devstream.model.address import Address
from devstream.model.state import ToolState
from devstream.state.backend import Head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.model.state import LeaseHolder

__all__ = ["MemoryBackend", "MemoryStore", "SharedMemoryBackend", "tool_state"]


def tool_state(name: str, **options: object) -> ToolState:
    """Give an entry of the state for tests: the tool ``noop.NAME``."""
    return ToolState(Address("noop", name), options=options, plugin="tests", op_id=f"op-{name}")


class MemoryStore:
    """What clients of a `MemoryBackend` share: one head, blobs, a lease."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self.blobs: dict[str, bytes] = {}
        self.holder: LeaseHolder | None = None
        self.swaps = 0
        self.lock = threading.Lock()
        self.lease = threading.Lock()


class SharedMemoryBackend:
    """A backend without a disk, and without a lease of its own: that lives in the head, as on a store elsewhere.

    Versions are numbers, so that equal bytes never have equal versions.
    """

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()

    @property
    def location(self) -> str:
        """A name for messages."""
        return "memory://tests"

    def read_head(self) -> Head | None:
        """Give the head."""
        return self.store.head

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Replace the head if it is the expected one."""
        with self.store.lock:
            head = self.store.head
            if (head.version if head else None) != expected:
                message = "the head is another one"
                raise StateConflictError(message)
            self.store.swaps += 1
            self.store.head = Head(data, f"v{self.store.swaps}")
            return self.store.head.version

    def put_blob(self, name: str, data: bytes) -> None:
        """Keep a blob."""
        self.store.blobs[name] = data

    def get_blob(self, name: str) -> bytes | None:
        """Give a blob."""
        return self.store.blobs.get(name)

    def delete_blob(self, name: str) -> None:
        """Forget a blob."""
        self.store.blobs.pop(name, None)

    def list_blobs(self) -> list[str]:
        """List the blobs."""
        return sorted(self.store.blobs)


class MemoryBackend(SharedMemoryBackend):
    """A backend without a disk, whose lease behaves as one that the kernel keeps."""

    @contextmanager
    def hold_lease(self, holder: LeaseHolder) -> Iterator[bool]:
        """Try to take the lease."""
        taken = self.store.lease.acquire(blocking=False)
        if taken:
            self.store.holder = holder
        try:
            yield taken
        finally:
            if taken:
                self.store.holder = None
                self.store.lease.release()

    def lease_holder(self) -> LeaseHolder | None:
        """Say who has the lease."""
        return self.store.holder
