"""Ending somebody else's lease on purpose. The state stays safe: whoever had it loses the next swap."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.state.editing import Proposal, current
from devstream.state.head_lease import lease_in
from devstream.state.holder import Condition, condition_of
from devstream.state.reading import decode_head

if TYPE_CHECKING:
    from devstream.model.state import LeaseHolder
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Propose

__all__ = ["noted_holder", "unlocking"]

_NOTES = {
    Condition.GONE: "its process has ended",
    Condition.STOPPED: "its process is stopped; if it goes on, it ends at its next record, in a conflict",
    Condition.RUNNING: "its process is running; it ends at its next record, in a conflict, and writes a rescue file",
    Condition.ELSEWHERE: "its process is on another machine or in another container: make sure that it is dead; "
    "if it is not, it ends at its next record, and may until then do what it was about to do",
}


def noted_holder(backend: StateBackend) -> LeaseHolder | None:
    """Say who holds the lease as the head has it, dead or alive; None where nobody does.

    Raises:
        StateError: the head cannot be read.
    """
    head = backend.read_head()
    lease = lease_in(decode_head(head.data, backend.location, backend.get_blob)) if head else None
    return lease.holder if lease else None


def unlocking(run_id: str) -> Propose:
    """Make a `Propose` that ends the lease of one run; nothing is proposed once that run holds it no more."""

    def propose(backend: StateBackend) -> Proposal:
        loaded = current(backend)
        lease = lease_in(loaded.document)
        if lease is None or lease.holder.run_id != run_id:
            return Proposal(loaded)
        held = f"the state is held by {lease.holder}: {_NOTES[condition_of(lease.holder)]}"
        return Proposal(loaded, rewrites=True, notes=(held,))

    return propose
