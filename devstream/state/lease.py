"""Waiting for the lease, which keeps people out of each other's way; what keeps the state safe is the swap."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from devstream.errors import LeaseError, StateError
from devstream.state.backend import KernelLease

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.state import LeaseHolder
    from devstream.state.backend import StateBackend

__all__ = ["take_lease", "live_holder"]

_BRIEFLY = 0.05
_PAUSE = 0.25


def take_lease(
    backend: StateBackend,
    holder: LeaseHolder,
    *,
    timeout: float,
    notice: Callable[[LeaseHolder], None],
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ExitStack:
    """Take the lease; closing what this returns lets go of it.

    Args:
        timeout: seconds to wait while somebody else has it.
        notice: called once, at once, with who has it.

    Raises:
        LeaseError: somebody else still has it.
    """
    leases = _leases_of(backend)
    now = monotonic()
    # A reader that looks who runs holds the lock for a moment: somebody who does not want to wait waits that long.
    quiet, deadline = now + _BRIEFLY, now + max(timeout, _BRIEFLY)
    told = False
    while True:
        stack = ExitStack()
        if stack.enter_context(leases.hold_lease(holder)):
            return stack
        stack.close()
        other = leases.lease_holder()
        if other and not told and timeout > _BRIEFLY:
            told = True
            notice(other)
        if monotonic() >= deadline:
            raise _held(backend.location, other)
        sleep(min(_PAUSE if monotonic() > quiet else _BRIEFLY / 10, max(deadline - monotonic(), 0.001)))


def _held(location: str, other: LeaseHolder | None) -> LeaseError:
    who = f"{other}" if other else "another run"
    message = f"the state {location} is in use by {who}"
    return LeaseError(
        message,
        suggestion="wait for it, or allow more time with --lock-timeout; `devstream state unlock` says more",
    )


def live_holder(backend: StateBackend) -> LeaseHolder | None:
    """Say who holds the lease right now; None where nobody does."""
    return _leases_of(backend).lease_holder()


def _leases_of(backend: StateBackend) -> KernelLease:
    if not isinstance(backend, KernelLease):
        message = f"{backend.location}: this backend has no lease that this version of devstream knows"
        raise StateError(message)
    return backend
