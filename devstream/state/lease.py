"""Waiting for a lease that the kernel keeps, and saying who has one; `head_lease` has the other kind.

The lease keeps people out of each other's way; what keeps the state safe is the swap.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from devstream.errors import LeaseError
from devstream.state.backend import KernelLease

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.state import LeaseHolder
    from devstream.state.backend import StateBackend

__all__ = ["take_lease", "live_holder"]

_BRIEFLY = 0.05
_PAUSE = 0.25


def take_lease(
    backend: KernelLease,
    holder: LeaseHolder,
    *,
    location: str,
    timeout: float,
    notice: Callable[[LeaseHolder], None],
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ExitStack:
    """Take the lease; closing what this returns lets go of it.

    Args:
        location: what messages call the state.
        timeout: seconds to wait while somebody else has it.
        notice: called once, at once, with who has it.

    Raises:
        LeaseError: somebody else still has it.
    """
    now = monotonic()
    # A reader that looks who runs holds the lock for a moment: somebody who does not want to wait waits that long.
    quiet, deadline = now + _BRIEFLY, now + max(timeout, _BRIEFLY)
    told = False
    while True:
        stack = ExitStack()
        if stack.enter_context(backend.hold_lease(holder)):
            return stack
        stack.close()
        other = backend.lease_holder()
        if other and not told and timeout > _BRIEFLY:
            told = True
            notice(other)
        if monotonic() >= deadline:
            raise _held(location, other)
        sleep(min(_PAUSE if monotonic() > quiet else _BRIEFLY / 10, max(deadline - monotonic(), 0.001)))


def _held(location: str, other: LeaseHolder | None) -> LeaseError:
    who = f"{other}" if other else "another run"
    message = f"the state {location} is in use by {who}"
    return LeaseError(
        message,
        suggestion="wait for it, or allow more time with --lock-timeout; `devstream state unlock` says more",
    )


def live_holder(backend: StateBackend) -> LeaseHolder | None:
    """Say who holds the lease right now; None where nobody does.

    A lease that lives in the head counts as held while its holder's process is there, or cannot be looked up.

    Raises:
        StateError: the lease lives in the head, and that cannot be read.
    """
    if isinstance(backend, KernelLease):
        return backend.lease_holder()
    from devstream.state.head_lease import holder_in
    from devstream.state.reading import decode_head

    head = backend.read_head()
    return holder_in(decode_head(head.data, backend.location, backend.get_blob)) if head else None
