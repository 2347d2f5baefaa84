"""What records make of a state. Pure: no I/O, no clock.

Laws (each is a property test): folding records one by one or at once is the same; an `End` whose operation is not
open changes nothing, so folding an `End` twice is folding it once; a `Move` and its reverse cancel out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.model.recorded import parse_reference, renamed
from devstream.model.state import (
    Begin,
    Drop,
    End,
    Move,
    OpenOperation,
    Put,
    PutReason,
    RunRecord,
    State,
)
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devstream.model.address import Address
    from devstream.model.state import Record, ToolState

__all__ = ["Fold", "fold"]


def fold(state: State, records: Iterable[Record]) -> State:
    """Give the state that ``records``, in their order, make of ``state``."""
    folded = Fold(state.tools.values(), state.open_operations.values(), state.last_run)
    for record in records:
        folded.apply(record)
    return replace(
        state, tools=folded.tools, open_operations=folded.open_operations, last_run=folded.last_run
    )


class Fold:
    """A state under way: takes records in, one at a time, in constant time each (but for `Move`).

    Attributes:
        tools: entries by address, in the order they were first recorded.
        open_operations: begun and not ended, by address.
        last_run: the newest run that was recorded.
    """

    def __init__(
        self,
        tools: Iterable[ToolState] = (),
        open_operations: Iterable[OpenOperation] = (),
        last_run: RunRecord | None = None,
    ) -> None:
        self.tools: dict[Address, ToolState] = {tool.address: tool for tool in tools}
        self.open_operations: dict[Address, OpenOperation] = {}
        self.last_run = last_run
        self._addresses: dict[str, Address] = {}
        for operation in open_operations:
            self._open(operation)

    def copy(self) -> Fold:
        """Give an independent copy."""
        return Fold(self.tools.values(), self.open_operations.values(), self.last_run)

    def begin_of(self, op_id: str) -> Begin | None:
        """Give the `Begin` of an operation that is open; None where it is not."""
        address = self._addresses.get(op_id)
        return self.open_operations[address].begin if address else None

    def apply(self, record: Record) -> None:
        """Take one record in."""
        match record:
            case Begin():
                self._open(OpenOperation(record))
            case End():
                self._end(record)
            case Put():
                self.tools[record.address] = record.tool_state
                if record.why is PutReason.SETTLED:
                    self._close(record.address)
            case Drop():
                self.tools.pop(record.address, None)
                if record.why == PutReason.SETTLED:
                    self._close(record.address)
            case Move():
                self._move(record.source, record.target)
            case RunRecord():
                self.last_run = record

    def _open(self, operation: OpenOperation) -> None:
        self._close(operation.begin.address)
        self._close(self._addresses.get(operation.begin.op_id))
        self.open_operations[operation.begin.address] = operation
        self._addresses[operation.begin.op_id] = operation.begin.address

    def _close(self, address: Address | None) -> None:
        closed = self.open_operations.pop(address, None) if address else None
        if closed is not None:
            del self._addresses[closed.begin.op_id]

    def _end(self, end: End) -> None:
        address = self._addresses.get(end.op_id)
        if address is None:
            return
        self._close(address)
        if end.tool_state is None:
            self.tools.pop(address, None)
        else:
            self.tools[end.tool_state.address] = end.tool_state

    def _move(self, source: Address, target: Address) -> None:
        """Rename an entry in its place, and in what others depend on and refer to; never onto another entry."""
        if source not in self.tools or target in self.tools:
            return
        moved = {}
        for address, tool in self.tools.items():
            entry = replace(tool, address=target) if address == source else tool
            if str(source) in entry.depends_on:
                entry = _following(entry, source, target)
            moved[entry.address] = entry
        self.tools = moved


def _following(entry: ToolState, source: Address, target: Address) -> ToolState:
    """Give the entry of a dependent, now that what it depends on has another address."""
    old, new = str(source), str(target)

    def followed(text: str) -> str:
        is_meant = parse_reference(text, entry.depends_on).address == source
        return new + text.removeprefix(old) if is_meant else text

    names = tuple(new if name == old else name for name in entry.depends_on)
    return replace(entry, depends_on=names, options=renamed(entry.options, followed))
