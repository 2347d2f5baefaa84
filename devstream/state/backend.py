"""What a state backend implements: six calls that move bytes. Safety is decided above it, in the manager."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from devstream.errors import Diagnostic
    from devstream.model.state import LeaseHolder

__all__ = [
    "Head",
    "StateBackend",
    "KernelLease",
    "Probed",
    "ProbePlace",
    "Cautious",
    "cautions_of",
    "probed_behind",
]


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


class ProbePlace(Protocol):
    """A place of its own in the store of a state, to try things at; nobody else knows its name."""

    def read_head(self) -> Head | None:
        """As `StateBackend.read_head`."""

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """As `StateBackend.swap_head`."""

    def remove(self) -> None:
        """Delete what was stored here; nothing is fine."""


@runtime_checkable
class Probed(Protocol):
    """A backend whose store has to show that its swaps are real ones before a state is entrusted to it.

    Stores differ in how they want to be asked. A *manner* is one way, as JSON; the one that was found to work is
    kept in the head (``store``), and handed to `adopt` before every first swap.
    """

    def manners(self) -> Sequence[Mapping[str, Any]]:
        """Give the manners that may be right for this store, the likeliest first."""

    def probe_place(self, manner: Mapping[str, Any]) -> ProbePlace:
        """Open a new place beside the state, used in one manner; nothing is written yet."""

    def adopt(self, manner: Mapping[str, Any]) -> None:
        """Use the store in this manner from now on."""


@runtime_checkable
class Cautious(Protocol):
    """A backend that knows of something to be careful about where the state is kept."""

    def cautions(self) -> Sequence[Diagnostic]:
        """Say what; nothing where all is as it should be. Called before something is recorded."""


def cautions_of(backend: object) -> Sequence[Diagnostic]:
    """Give the cautions of the backend behind what is put around it (``inner``)."""
    while backend is not None:
        if isinstance(backend, Cautious):
            return backend.cautions()
        backend = getattr(backend, "inner", None)
    return ()


def probed_behind(backend: object) -> Probed | None:
    """Find the probed backend behind what is put around it (``inner``); None where it needs no probe."""
    while backend is not None:
        if isinstance(backend, Probed):
            return backend
        backend = getattr(backend, "inner", None)
    return None
