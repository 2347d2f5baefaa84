"""What a state backend implements: six calls that move bytes. Safety is decided above it, in the manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from devstream.record import Immutable

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from devstream.model.state import LeaseHolder

__all__ = ["Head", "StateBackend", "KernelLease"]


class Head(Immutable, frozen=True):
    """The head as it is stored, and the version a swap has to expect. Versions are opaque."""

    data: bytes
    version: str


@runtime_checkable
class StateBackend(Protocol):
    """One head with compare-and-swap, and blobs beside it. Calls may come from several threads.

    Errors: `SwapUnsettled`, `SwapRefused` from `swap_head`; `StateUnreachableError` where the place cannot be
    reached; `CredentialsError`. Nothing else is believed.
    """

    @property
    def location(self) -> str:
        """Where the state is, for people and for ``--state``: a path or a URL."""

    def read_head(self) -> Head | None:
        """Read the head; None where there is none yet. Zero bytes are a head, a damaged one."""

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Store ``data`` if the version is still ``expected`` (None: if there is no head), durably.

        Returns:
            The new version.

        Raises:
            StateConflictError: the version is another; nothing was written.
            SwapUnsettled: it may have happened or not.
            SwapRefused: it did not happen, and why.
        """

    def put_blob(self, name: str, data: bytes) -> None:
        """Store an immutable blob, durably. ``name`` is unique and a valid RFC 1123 name."""

    def get_blob(self, name: str) -> bytes | None:
        """Read a blob; None where it is missing."""

    def delete_blob(self, name: str) -> None:
        """Delete a blob; one that is missing is fine."""

    def list_blobs(self) -> list[str]:
        """List the names of all blobs, in order."""


@runtime_checkable
class KernelLease(Protocol):
    """A backend on this machine, where the kernel itself releases a lease when its holder dies."""

    def hold_lease(self, holder: LeaseHolder) -> AbstractContextManager[bool]:
        """Try once to take the lease; the value of the context is whether it was taken. Never waits."""

    def lease_holder(self) -> LeaseHolder | None:
        """Say who holds the lease right now; None where nobody does. Writes nothing."""
