"""Recording something without touching the world: what the ``devstream state`` commands do.

A command *proposes*: it reads what is there, writes nothing, and says what it would record. Where somebody agrees,
the proposal is carried out under the lease in one swap: a crash leaves the old state or the new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from devstream.model.state import Drop, Move, Record, RunRecord
from devstream.record import Immutable, field
from devstream.state.clock import utc_now
from devstream.state.codec import encode_record
from devstream.state.fold import Fold
from devstream.state.head import first_head
from devstream.state.journal import Encoded, Journal
from devstream.state.probe import with_store
from devstream.state.reading import Loaded, load, state_of

if TYPE_CHECKING:
    from devstream.model.address import Address
    from devstream.model.plan import Outcome
    from devstream.model.state import LeaseHolder, State, ToolState
    from devstream.state.backend import StateBackend
    from devstream.state.swap import Swapper

__all__ = ["Proposal", "Propose", "carry_out", "current", "empty", "on_state"]


class Proposal(Immutable, frozen=True):
    """What is to be recorded.

    Attributes:
        loaded: what the records go on top of.
        records: in their order.
        keep: blobs to store first: what is replaced and would be lost otherwise.
        unneeded: blobs to delete afterwards.
        rewrites: True where a new head is needed even without records.
        before: the entries that the records are to be compared with, where they are not the loaded ones.
        facts: what else there is to tell about it, as JSON.
        notes: what the user should know before agreeing.
    """

    loaded: Loaded
    records: tuple[Record, ...] = ()
    keep: Mapping[str, bytes] = field(default_factory=dict)
    unneeded: tuple[str, ...] = ()
    rewrites: bool = False
    before: Mapping[Address, ToolState] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        """The state before it."""
        return state_of(self.loaded.document, self.loaded.fold)

    @property
    def writes(self) -> bool:
        """True where there is anything to do."""
        return bool(self.records or self.unneeded or self.rewrites)


Propose = Callable[["StateBackend"], Proposal]


def empty(now: str) -> Loaded:
    """Give the explicit empty state of a new lineage, for a place where there is no head."""
    return Loaded(first_head(now), None, Fold())


def current(backend: StateBackend) -> Loaded:
    """Give the state that is there, or an empty one."""
    return load(backend) or empty(utc_now())


def on_state(make: Callable[[State], Sequence[Record]]) -> Propose:
    """Make a `Propose` of a pure function from the state to records."""

    def propose(backend: StateBackend) -> Proposal:
        loaded = current(backend)
        return Proposal(loaded, tuple(make(state_of(loaded.document, loaded.fold))))

    return propose


def carry_out(
    proposal: Proposal,
    backend: StateBackend,
    *,
    swapper: Swapper,
    holder: LeaseHolder,
    clock: Callable[[], str],
) -> None:
    """Record a proposal, and the command as a run, in one swap. The caller holds the lease.

    Raises:
        StateError, CredentialsError: nothing was recorded.
    """
    for name, data in proposal.keep.items():
        backend.put_blob(name, data)
    document = with_store(proposal.loaded.document, backend)
    left = _not_succeeded(proposal.state, proposal.records)
    run = RunRecord(holder.run_id, holder.command, holder.since, clock(), left)
    loaded = proposal.loaded._replace(document=document)
    journal = Journal(backend, loaded, swapper=swapper, holder=holder, clock=clock)
    overtaken = journal.finish(
        [Encoded(record, encode_record(record)) for record in (*proposal.records, run)]
    )
    if overtaken is not None:
        raise overtaken
    for name in proposal.unneeded:
        backend.delete_blob(name)


def _not_succeeded(state: State, records: Sequence[Record]) -> dict[Address, Outcome]:
    """Say what is still to be tried again: ``--lf`` goes on to mean the last run that did something."""
    left = dict(state.last_run.not_succeeded) if state.last_run else {}
    for record in records:
        match record:
            case RunRecord():
                left = dict(record.not_succeeded)
            case Drop(address):
                left.pop(address, None)
            case Move(source, target) if source in left:
                left[target] = left.pop(source)
    return left
