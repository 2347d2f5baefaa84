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
from typing import TYPE_CHECKING

from devstream.errors import StateConflictError
from devstream.model.state import State
from devstream.record import replace
from devstream.state.clock import utc_now
from devstream.state.lease import live_holder, take_lease
from devstream.state.reading import load, state_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack
    from pathlib import Path

    from devstream.model.state import LeaseHolder
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Proposal, Propose
    from devstream.state.reading import Loaded
    from devstream.state.session import StateWriter
    from devstream.state.swap import Swapper

__all__ = ["StateManager"]


class StateManager:
    """Reads and writes the state in one backend.

    Args:
        clock: the time of day, as it is written.
        rescue_folder: where a rescue file goes; by default beside a local state, else the current folder.
        monotonic: seconds that only grow.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        backend: StateBackend,
        *,
        clock: Callable[[], str] = utc_now,
        rescue_folder: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._backend = backend
        self._clock = clock
        self._rescue_folder = rescue_folder
        self._monotonic = monotonic
        self._sleep = sleep

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
        from devstream.state.session import Closing, StateWriter

        with self._leased(holder, timeout, notice) as lease:
            swapper = self._swapper()
            loaded = load(self._backend) or self._first(swapper)
            journal = Journal(self._backend, loaded, swapper=swapper, holder=holder, clock=self._clock)
            closing = Closing(self.location, self._rescue_folder, holder, self._clock)
            return StateWriter(journal, lease.pop_all(), closing)

    def edit(
        self,
        propose: Propose,
        holder: LeaseHolder,
        *,
        timeout: float,
        notice: Callable[[LeaseHolder], None],
        approve: Callable[[Proposal], None],
    ) -> Proposal:
        """Record what somebody asks for, under the lease and in one swap, without touching the world.

        Args:
            propose: reads what is there and says what is to be recorded.
            holder: this process and its command.
            timeout: seconds to wait for the lease.
            notice: called once, at once, with who holds it, where somebody does.
            approve: is shown what is about to be written; raises to prevent it.

        Returns:
            What was recorded; nothing was written where there was nothing to record.

        Raises:
            LeaseError: somebody else holds the lease.
            StateError: what is there cannot be used, or could not be replaced: nothing was changed.
        """
        from devstream.state.editing import carry_out

        with self._leased(holder, timeout, notice):
            proposal = propose(self._backend)
            if proposal.writes:
                approve(proposal)
                carry_out(proposal, self._backend, swapper=self._swapper(), holder=holder, clock=self._clock)
            return proposal

    def _leased(
        self, holder: LeaseHolder, timeout: float, notice: Callable[[LeaseHolder], None]
    ) -> ExitStack:
        """Take the lease."""
        return take_lease(
            self._backend,
            holder,
            timeout=timeout,
            notice=notice,
            monotonic=self._monotonic,
            sleep=self._sleep,
        )

    def _swapper(self) -> Swapper:
        from devstream.state.swap import Swapper

        return Swapper(self._backend, monotonic=self._monotonic, sleep=self._sleep)

    def _first(self, swapper: Swapper) -> Loaded:
        """Write the explicit empty head of a new lineage."""
        from devstream.state.head import encode_head, first_head

        document = first_head(self._clock())
        swapped = swapper.swap(encode_head(document), document.write_id, None)
        loaded = load(self._backend)
        if swapped.overtaken or loaded is None:
            message = f"the state {self.location} was changed while it was being made"
            raise StateConflictError(message, suggestion="run again")
        return loaded


def _in_progress(state: State, who: str) -> State:
    operations = {
        address: replace(operation, in_progress_by=who)
        for address, operation in state.open_operations.items()
    }
    return replace(state, open_operations=operations)
