"""`StateManager`: the door to the recorded truth. Reading takes nothing; writing takes the lease.

::

    manager = StateManager(backend)
    manager.read()                                        # a State
    with manager.acquire(holder, timeout=90, notice=tell) as writer:
        writer.begin(begin, done=start_it)                # start_it is called once the begin is durable
        writer.record(End(...))
        writer.close(run)
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

from devstream.errors import StateConflictError
from devstream.model.state import State
from devstream.record import replace
from devstream.state.backend import KernelLease
from devstream.state.clock import utc_now
from devstream.state.lease import live_holder, take_lease
from devstream.state.reading import load, refuse_lost_head, state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from devstream.model.state import LeaseHolder
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Proposal, Propose
    from devstream.state.head import HeadDocument
    from devstream.state.head_lease import HeadLeases, Taken, Terms
    from devstream.state.reading import Loaded
    from devstream.state.session import Closing, StateWriter
    from devstream.state.swap import Swapper

__all__ = ["StateManager"]

_INSISTING = 100
"""How often a swap is tried again that somebody who goes on writing wins."""


class StateManager:
    """Reads and writes the state in one backend.

    Args:
        clock: the time of day, as it is written.
        rescue_folder: where a rescue file goes; by default beside a local state, else the current folder.
        monotonic: seconds that only grow.
        sleep: waits so many seconds.
        terms: how long a lease lasts that the kernel does not keep; for tests.
    """

    def __init__(
        self,
        backend: StateBackend,
        *,
        clock: Callable[[], str] = utc_now,
        rescue_folder: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        terms: Terms | None = None,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._rescue_folder = rescue_folder
        self._monotonic = monotonic
        self._sleep = sleep
        self._terms = terms

    @property
    def location(self) -> str:
        """Where the state is: a path or a URL."""
        return self._backend.location

    @property
    def backend(self) -> StateBackend:
        """Where the bytes are."""
        return self._backend

    def read(self) -> State:
        """Read the state without a lease, and without writing anything.

        Operations that are open under a live lease carry ``in_progress_by``.

        Returns:
            The state; an empty one without lineage where there is none yet.

        Raises:
            StateDamagedError: what is there is not what was written.
            StateForeignError: it is not ours, or a newer version's.
            StateUnreachableError: the backend does not answer.
        """
        while True:
            loaded = load(self._backend)
            if loaded is None:
                return State()
            state = state_of(loaded.document, loaded.fold)
            if not state.open_operations:
                return state
            if not isinstance(self._backend, KernelLease):
                return _with_lease(state, loaded.document)
            holder = live_holder(self._backend)
            if holder is not None:
                return _in_progress(state, str(holder))
            if self._stands_at(loaded.version):
                return state

    def _stands_at(self, version: str | None) -> bool:
        """Tell whether the head is still the same: else the run that had the lease has ended what it began."""
        head = self._backend.read_head()
        return head is not None and head.version == version

    def acquire(
        self, holder: LeaseHolder, *, timeout: float, notice: Callable[[LeaseHolder], None]
    ) -> StateWriter:
        """Take the lease and read the state; writes the explicit empty head where there is none yet.

        Args:
            holder: this process and its run.
            timeout: seconds to wait for the lease.
            notice: called once, at once, with who holds it, where somebody does.

        Raises:
            LeaseError: somebody else still holds it.
            StateDamagedError, StateForeignError, StateUnreachableError: as `read`.
        """
        from devstream.state.journal import Journal
        from devstream.state.session import StateWriter

        if not isinstance(self._backend, KernelLease):
            return self._acquire_shared(holder, timeout, notice)
        with self._leased(holder, timeout, notice) as lease:
            swapper = self._swapper()
            loaded = load(self._backend) or self._write_first(swapper)
            journal = Journal(self._backend, loaded, swapper=swapper, holder=holder, clock=self._clock)
            return StateWriter(journal, lease.pop_all(), self._closing(holder))

    def _acquire_shared(
        self, holder: LeaseHolder, timeout: float, notice: Callable[[LeaseHolder], None]
    ) -> StateWriter:
        """Take the lease that lives in the head, and read the state under it."""
        from contextlib import ExitStack

        from devstream.state.head_lease import Verdict
        from devstream.state.journal import Beating, Journal
        from devstream.state.session import StateWriter

        leases = self._head_leases(timeout, notice)
        taken = leases.take(holder, self._first)
        try:
            loaded = self._load_taken(taken)
        except BaseException:
            leases.give_back(taken)
            raise
        journal = Journal(
            self._backend,
            loaded,
            swapper=self._swapper(),
            holder=holder,
            clock=self._clock,
            beating=Beating(leases.terms.ttl, taken.sent_at),
        )
        is_only = taken.verdict is Verdict.GONE or not loaded.fold.open_operations
        return StateWriter(journal, ExitStack(), self._closing(holder), is_only=is_only)

    def _load_taken(self, taken: Taken) -> Loaded:
        loaded = load(self._backend)
        if loaded is None or loaded.document.write_id != taken.document.write_id:
            message = f"somebody else took the lease on the state {self.location} while it was being read"
            raise StateConflictError(message, suggestion="run again")
        return loaded

    def edit(
        self,
        propose: Propose,
        holder: LeaseHolder,
        *,
        timeout: float,
        notice: Callable[[LeaseHolder], None],
        approve: Callable[[Proposal], None],
        breaking: bool = False,
    ) -> Proposal:
        """Record what somebody asks for, in one swap, without touching the world.

        A lease that the kernel keeps is held meanwhile. One that lives in the head is only waited for: the one swap
        expects the very head in which nobody held it.

        Args:
            propose: reads what is there and says what is to be recorded.
            holder: this process and its command.
            timeout: seconds to wait for the lease.
            notice: called once, at once, with who holds it, where somebody does.
            approve: is shown what is about to be written; raises to prevent it.
            breaking: do not wait for a lease that lives in the head; it ends with what is written.

        Returns:
            What was recorded; nothing was written where there was nothing to record.

        Raises:
            LeaseError: somebody else holds the lease.
            StateError: what is there cannot be used, or could not be replaced: nothing was changed.
        """
        if not isinstance(self._backend, KernelLease):
            if breaking:
                return self._insist(propose, holder, approve)
            self._wait_until_free(timeout, notice)
            return self._edited(propose, holder, approve)
        with self._leased(holder, timeout, notice):
            return self._edited(propose, holder, approve)

    def _wait_until_free(self, timeout: float, notice: Callable[[LeaseHolder], None]) -> None:
        """Wait for the lease in the head; a head that cannot be read holds none."""
        from devstream.errors import StateDamagedError, StateForeignError

        with suppress(StateDamagedError, StateForeignError):
            self._head_leases(timeout, notice).wait()

    def _insist(self, propose: Propose, holder: LeaseHolder, approve: Callable[[Proposal], None]) -> Proposal:
        """Record something although somebody who holds the lease writes all the time; asks once."""
        approved = False

        def ask_once(proposal: Proposal) -> None:
            nonlocal approved
            if not approved:
                approve(proposal)
                approved = True

        for _ in range(_INSISTING):
            with suppress(StateConflictError):
                return self._edited(propose, holder, ask_once)
        return self._edited(propose, holder, ask_once)

    def _edited(self, propose: Propose, holder: LeaseHolder, approve: Callable[[Proposal], None]) -> Proposal:
        from devstream.state.editing import carry_out

        proposal = propose(self._backend)
        if proposal.writes:
            approve(proposal)
            carry_out(proposal, self._backend, swapper=self._swapper(), holder=holder, clock=self._clock)
        return proposal

    def _leased(
        self, holder: LeaseHolder, timeout: float, notice: Callable[[LeaseHolder], None]
    ) -> ExitStack:
        """Take the lease that the kernel keeps."""
        assert isinstance(self._backend, KernelLease)
        return take_lease(
            self._backend,
            holder,
            location=self.location,
            timeout=timeout,
            notice=notice,
            monotonic=self._monotonic,
            sleep=self._sleep,
        )

    def _swapper(self) -> Swapper:
        from devstream.state.swap import Swapper

        return Swapper(self._backend, monotonic=self._monotonic, sleep=self._sleep)

    def _head_leases(self, timeout: float, notice: Callable[[LeaseHolder], None]) -> HeadLeases:
        from devstream.state.head_lease import TERMS, HeadLeases

        return HeadLeases(
            self._backend,
            swapper=self._swapper(),
            terms=self._terms or TERMS,
            timeout=timeout,
            notice=notice,
            monotonic=self._monotonic,
            sleep=self._sleep,
        )

    def _closing(self, holder: LeaseHolder) -> Closing:
        from devstream.state.session import Closing

        encrypt = getattr(self._backend, "seal_rescue", bytes)
        return Closing(self.location, self._rescue_folder, holder, self._clock, encrypt)

    def _first(self) -> HeadDocument:
        """Make the explicit empty head of a new lineage."""
        from devstream.state.head import first_head
        from devstream.state.probe import with_store

        refuse_lost_head(self._backend)
        return with_store(first_head(self._clock()), self._backend)

    def _write_first(self, swapper: Swapper) -> Loaded:
        """Write the first head."""
        from devstream.state.head import encode_head

        document = self._first()
        swapped = swapper.swap(encode_head(document), document.write_id, None)
        loaded = load(self._backend)
        if swapped.overtaken or loaded is None:
            message = f"the state {self.location} was changed while it was being made"
            raise StateConflictError(message, suggestion="run again")
        return loaded


def _with_lease(state: State, document: HeadDocument) -> State:
    """Say of open operations whether their run is still at it, by the lease that the same head holds."""
    from devstream.state.head_lease import holder_in

    holder = holder_in(document)
    return _in_progress(state, str(holder)) if holder else state


def _in_progress(state: State, who: str) -> State:
    operations = {
        address: replace(operation, in_progress_by=who)
        for address, operation in state.open_operations.items()
    }
    return replace(state, open_operations=operations)
