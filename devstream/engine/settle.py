"""What became of operations that began and never ended: the first thing a run looks at (state protocol, rule 3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.engine.rebuild import recorded_options
from devstream.errors import DevstreamError, Diagnostic
from devstream.model.plan import Action, Outcome
from devstream.model.state import End, ToolState
from devstream.planning.planner import Unfinished
from devstream.planning.provider import ReadRequest
from devstream.record import Immutable, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from devstream.engine.recording import Recorder
    from devstream.model.address import Address
    from devstream.model.state import Begin, OpenOperation, State
    from devstream.model.tool import ToolInstance
    from devstream.planning.provider import Provider, ReadAnswer, Reads

__all__ = ["Settled", "Settler", "began_here"]


class Settled(Immutable, frozen=True):
    """The state with interrupted operations settled.

    Attributes:
        state: as if the ends below were recorded already.
        ends: what a run records; a plan only reckons with it.
        unfinished: what could not be settled, and what is to be tried again under its old name.
    """

    state: State
    ends: tuple[End, ...] = ()
    unfinished: Unfinished = Unfinished()


class Settler:
    """Settles every open operation of a state.

    Args:
        wait_for_children: ``wait(lineage, op_id)`` says who still works on an operation, or None.
        local: ``local(begin)`` tells whether the operation began on this host and boot.
        within: what may be settled; all else stays open, unlooked at. None: everything.
        written: the tools of the config.
    """

    def __init__(
        self,
        *,
        state: State,
        wanted: set[Address],
        provider: Callable[[str], Provider],
        reads: Reads,
        recorder: Recorder,
        wait_for_children: Callable[[str, str], str | None],
        local: Callable[[Any], bool],
        within: Collection[Address] | None = None,
        written: Mapping[Address, ToolInstance] | None = None,
    ) -> None:
        self._state = state
        self._wanted = wanted
        self._provider = provider
        self._reads = reads
        self._recorder = recorder
        self._wait_for_children = wait_for_children
        self._local = local
        self._within = within
        self._written = written or {}
        self._undecidable: dict[Address, Diagnostic] = {}
        self._retries: dict[Address, tuple[str, int]] = {}
        self._entries: dict[Address, ToolState | None] = {}

    def settle(self) -> Settled:
        """Look at every open operation; waits for reads and, on this host, for children that still work."""
        if not self._state.open_operations:
            return Settled(self._state)
        asked = {
            address: operation
            for address, operation in self._state.open_operations.items()
            if (self._within is None or address in self._within) and self._must_be_read(address, operation)
        }
        for _ in range(len(asked)):
            address, answer = self._reads.wait()
            self._look(asked[address], answer)
        return self._settled()

    def _must_be_read(self, address: Address, operation: OpenOperation) -> bool:
        """Settle what needs no read; start the read of what does."""
        begin = operation.begin
        busy = operation.in_progress_by or (self._still_running(operation) if self._local(begin) else None)
        if busy is not None:
            self._report(operation, f"is in progress, by {busy}", "wait for it to end")
            return False
        recorded = self._state.tools.get(address)
        if begin.action is Action.INTEGRATE:
            if recorded is not None:
                self._entries[address] = replace(recorded, integrated=False)
            return False
        return self._start_read(operation, recorded)

    def _still_running(self, operation: OpenOperation) -> str | None:
        return self._wait_for_children(self._state.lineage, operation.begin.op_id)

    def _start_read(self, operation: OpenOperation, recorded: ToolState | None) -> bool:
        begin = operation.begin
        try:
            options = recorded_options(begin.tool, self._state, self._written.get(begin.address))
            if self._provider(begin.address.name).traits(options).can_read:
                self._reads.start(ReadRequest(begin.address, options, recorded))
                return True
        except DevstreamError as error:
            self._report(operation, f"cannot be looked up: {error.diagnostics[0].summary}", "")
            return False
        self._settle_blind(operation, recorded)
        return False

    def _settle_blind(self, operation: OpenOperation, recorded: ToolState | None) -> None:
        """Settle an operation on a tool that cannot be read."""
        begin = operation.begin
        if begin.action is Action.DELETE:
            self._entries[begin.address] = recorded
        elif begin.repeatable:
            if begin.action is Action.CREATE and begin.address in self._wanted:
                self._absent(operation)
            else:  # a thing that may be there is recorded, so that it is updated or deleted
                entry = recorded or begin.tool
                self._entries[begin.address] = replace(entry, tainted=True, failed_action=begin.action)
        else:
            self._report(operation, "was interrupted, and the tool cannot be asked what came of it", "")

    def _look(self, operation: OpenOperation, answer: ReadAnswer) -> None:
        begin = operation.begin
        recorded = self._state.tools.get(begin.address)
        if answer.error is not None:
            self._report(operation, f"was interrupted, and looking failed: {answer.error.summary}", "")
        elif answer.status is None:
            self._absent(operation)
        elif begin.action is Action.DELETE:
            self._entries[begin.address] = recorded
        else:
            old = recorded if recorded is not None and begin.action is Action.UPDATE else begin.tool
            entry = self._recorder.with_status(old, answer.status)
            self._entries[begin.address] = replace(entry, tainted=True, failed_action=None)

    def _absent(self, operation: OpenOperation) -> None:
        """An interrupted create of a wanted tool stays open: its next attempt takes over the op_id."""
        begin = operation.begin
        if begin.action is Action.CREATE and begin.address in self._wanted:
            self._retries[begin.address] = (begin.op_id, begin.attempt + 1)
        else:
            self._entries[begin.address] = None

    def _report(self, operation: OpenOperation, what: str, suggestion: str) -> None:
        address = operation.begin.address
        self._undecidable[address] = Diagnostic(
            f"an operation ({operation.begin.action}) {what}",
            "undecidable",
            address=str(address),
            suggestion=suggestion
            or f"look yourself, then: devstream state settle {address} --created|--absent",
        )

    def _settled(self) -> Settled:
        tools = dict(self._state.tools)
        ends = []
        still_open = dict(self._state.open_operations)
        for address, entry in self._entries.items():
            ends.append(End(still_open.pop(address).begin.op_id, Outcome.UNKNOWN, entry))
            if entry is None:
                tools.pop(address, None)
            else:
                tools[address] = entry
        for address in self._retries:
            tools.pop(address, None)
        return Settled(
            replace(self._state, tools=tools, open_operations=still_open),
            tuple(ends),
            Unfinished(self._undecidable, self._retries),
        )


def began_here(begin: Begin) -> bool:
    """Tell whether an operation began on this host, since it was started last."""
    from devstream.state.holder import this_process

    here = this_process("", "")
    return (begin.host, begin.boot_id) == (here.host, here.boot_id)
