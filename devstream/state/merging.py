"""A rescue file, put back where it belongs: what a run did and could not record.

Where nothing was written since, its records are recorded as they are. Else each is judged by its operation: one that is
still open as it was left gets its end; one that is recorded is left alone; anything else was decided by somebody else
meanwhile and is never overwritten: where the thing may be there unrecorded, its operation is opened again, so that the
next run looks. Merging twice is merging once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from devstream.errors import StateDamagedError, StateForeignError, UsageError
from devstream.model.state import Begin, Drop, End, Move, Put
from devstream.record import replace
from devstream.state.codec import record_from_json
from devstream.state.editing import Proposal, current
from devstream.state.fold import Fold
from devstream.state.head import is_sealed
from devstream.state.migrations import FORMAT

if TYPE_CHECKING:
    from devstream.model.address import Address
    from devstream.model.state import Record, State
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Propose

__all__ = ["Merge", "Rescue", "merging", "read_rescue"]


class Rescue(NamedTuple):
    """What is in a rescue file: the serial that its run had stored last, and what it could not store."""

    lineage: str
    serial: int
    run_id: str
    records: tuple[Record, ...]


def merging(data: bytes, name: str) -> Propose:
    """Make a `Propose` that records what a rescue file holds.

    Raises:
        UsageError, StateDamagedError, StateForeignError: it is none that can be used.
    """
    is_encrypted = b'"encryption"' in data
    plain = None if is_encrypted else read_rescue(data, name)

    def propose(backend: StateBackend) -> Proposal:
        rescue = plain or read_rescue(_opened(backend, data, name), name)
        loaded = current(backend)
        if rescue.lineage != loaded.document.lineage:
            raise StateForeignError(
                f"{name} belongs to another state (lineage {rescue.lineage}, not {loaded.document.lineage})",
                code="other-lineage",
                suggestion="name its own state with --state",
            )
        merge = Merge(Proposal(loaded).state, rescue)
        return Proposal(loaded, tuple(merge.records), notes=tuple(merge.notes))

    return propose


def _opened(backend: StateBackend, data: bytes, name: str) -> bytes:
    """Decrypt a rescue file with the keys of the state."""
    from devstream.state.sealed_backend import opened_rescue

    return opened_rescue(backend, data, name)


def read_rescue(data: bytes, name: str) -> Rescue:
    """Read a rescue file.

    Args:
        name: how messages call it.
    """
    try:
        plain = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        plain = None
    if not isinstance(plain, dict) or not plain.get("devstream_rescue"):
        if b'"devstream_rescue"' in data:
            raise _damaged(name)
        message = f"{name} is not a rescue file"
        raise UsageError(message, code="bad-document", suggestion="the message of the failed run named it")
    written = plain.get("format")
    if isinstance(written, int) and written > FORMAT:
        message = f"{name} was written by a newer version of devstream (format {written})"
        raise StateForeignError(message, code="state-newer", suggestion="upgrade devstream")
    if not is_sealed(data):
        raise _damaged(name)
    try:
        records = tuple(record_from_json(item) for item in plain["records"])
        return Rescue(plain["lineage"], plain["serial"], plain["run_id"], records)
    except (LookupError, ValueError, TypeError, AttributeError) as error:
        raise _damaged(name) from error


def _damaged(name: str) -> StateDamagedError:
    hint = "`devstream run` looks at each operation that was left open, also without it"
    return StateDamagedError(f"{name} is not what was written: it was edited or damaged", suggestion=hint)


class Merge:
    """What of a rescue file is to be recorded on top of a state.

    Attributes:
        records: what is to be recorded.
        notes: what the next run, or somebody, has to look at; in words.
    """

    def __init__(self, state: State, rescue: Rescue) -> None:
        self.records: list[Record] = []
        self.notes: list[str] = []
        self._fold = Fold(state.tools.values(), state.open_operations.values())
        self._begins = {record.op_id: record for record in rescue.records if isinstance(record, Begin)}
        self._nobody_wrote = state.serial == rescue.serial
        last = {self._address(record): record for record in rescue.records}
        for record in rescue.records:
            self._judge(record, is_last=last[self._address(record)] is record)

    def _address(self, record: Record) -> Address | None:
        match record:
            case End(op_id):
                return self._begins[op_id].address if op_id in self._begins else None
            case Begin() | Put() | Drop():
                return record.address
            case Move():
                return record.source
        return None

    def _judge(self, record: Record, *, is_last: bool) -> None:
        if isinstance(record, End):
            if record.op_id in self._begins:
                self._judge_end(record, self._begins[record.op_id], is_last=is_last)
        elif self._nobody_wrote and not isinstance(record, Begin):
            self._add(record)
        elif isinstance(record, Put | Drop | Move) and not _is_so_already(self._fold, record):
            self.notes.append(_left_alone(record))

    def _judge_end(self, end: End, begin: Begin, *, is_last: bool) -> None:
        address = begin.address
        opened, entry = self._fold.open_operations.get(address), self._fold.tools.get(address)
        if opened is not None and (opened.begin.op_id, opened.begin.attempt) == (begin.op_id, begin.attempt):
            self._add(end)
        elif not is_last:
            return
        elif opened is not None:
            self.notes.append(f"{address}: another operation is open; the next run looks at it")
        elif entry is None and end.tool_state is not None:
            # another attempt, so that merging again does not take it for the one that was left open
            self._add(replace(begin, attempt=begin.attempt + 1))
            self.notes.append(
                f"{address}: may be there, and is not recorded any more; the next run looks at it"
            )
        elif entry is not None and (end.tool_state is None or entry.op_id != end.tool_state.op_id):
            self.notes.append(f"{address}: was recorded by somebody else meanwhile; the next run looks at it")

    def _add(self, record: Record) -> None:
        self.records.append(record)
        self._fold.apply(record)


def _is_so_already(state: Fold, record: Put | Drop | Move) -> bool:
    match record:
        case Put():
            return state.tools.get(record.address) == record.tool_state
        case Drop():
            return record.address not in state.tools
        case Move():
            return record.source not in state.tools


def _left_alone(record: Put | Drop | Move) -> str:
    match record:
        case Put():
            return f"{record.address}: differs from what is recorded now; the next run looks at it"
        case Drop():
            return f"{record.address}: was to be forgotten; `devstream state rm {record.address}` does so"
        case Move():
            return f"{record.source}: was to be renamed; `devstream state mv {record.source} {record.target}` does so"
