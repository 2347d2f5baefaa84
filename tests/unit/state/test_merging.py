"""A rescue file put back: nothing lost, nothing overwritten, and twice is once."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.errors import StateConflictError, StateDamagedError, StateForeignError, SwapRefused, UsageError
from devstream.model.address import Address
from devstream.model.plan import Action, Outcome
from devstream.model.state import Begin, Drop, End, Move, Put, PutReason, Record, RunRecord, State
from devstream.state.fold import fold
from devstream.state.holder import this_process
from devstream.state.merging import Merge, Rescue, merging, read_rescue
from devstream.testing.backends import tool_state
from devstream.testing.crash import BreakableBackend

if TYPE_CHECKING:
    from pathlib import Path

A, B, C = (Address("noop", name) for name in "abc")


def begin(name: str, attempt: int = 1, action: Action = Action.CREATE) -> Begin:
    tool = tool_state(name, n=1)
    return Begin(f"op-{name}", attempt, tool.address, action, tool, "run", "host", "boot")


def end(name: str, *, gone: bool = False) -> End:
    return End(f"op-{name}", Outcome.SUCCEEDED, None if gone else tool_state(name, n=1))


def put(name: str, mark: int = 1, op_id: str = "") -> Put:
    from devstream.record import replace

    tool = replace(tool_state(name, n=mark), op_id=op_id or f"op-{name}")
    return Put(tool.address, tool, PutReason.BOOKKEEPING)


def state(*records: Record, serial: int = 9) -> State:
    return fold(State("lineage", serial), records)


def rescue(*records: Record, serial: int = 5) -> Rescue:
    return Rescue("lineage", serial, "run-7", records)


# what is recorded, what the rescue file holds, what is to be recorded, a word of the note
ROWS: dict[str, tuple[State, Rescue, list[Record], str]] = {
    "still open as it was left": (state(begin("a")), rescue(begin("a"), end("a")), [end("a")], ""),
    "a delete that is still open": (
        state(put("a"), begin("a", action=Action.DELETE)),
        rescue(begin("a", action=Action.DELETE), end("a", gone=True)),
        [end("a", gone=True)],
        "",
    ),
    "recorded already": (state(put("a")), rescue(begin("a"), end("a")), [], ""),
    "recorded by another operation": (
        state(put("a", op_id="other")),
        rescue(begin("a"), end("a")),
        [],
        "recorded by somebody else meanwhile",
    ),
    "another attempt is open": (
        state(begin("a", 2)),
        rescue(begin("a"), end("a")),
        [],
        "another operation is open",
    ),
    "not recorded any more": (state(), rescue(begin("a"), end("a")), [begin("a", 2)], "may be there"),
    "deleted, and recorded again": (
        state(put("a")),
        rescue(begin("a"), end("a", gone=True)),
        [],
        "somebody else",
    ),
    "deleted, and gone": (state(), rescue(begin("a"), end("a", gone=True)), [], ""),
    "an end of nobody knows what": (state(), rescue(end("a")), [], ""),
    "an entry that is the same": (state(put("a")), rescue(put("a")), [], ""),
    "an entry that differs": (state(put("a", 2)), rescue(put("a")), [], "differs from what is recorded"),
    "an entry that is not there": (state(), rescue(put("a")), [], "differs"),
    "forgotten already": (state(), rescue(Drop(A, "forgotten")), [], ""),
    "to be forgotten": (state(put("a")), rescue(Drop(A, "forgotten")), [], "devstream state rm noop.a"),
    "renamed already": (state(put("c")), rescue(Move(A, C)), [], ""),
    "to be renamed": (state(put("a")), rescue(Move(A, C)), [], "devstream state mv noop.a noop.c"),
    "the run itself": (state(), rescue(RunRecord("run-7", "x", "then", "now")), [], ""),
    "nobody wrote since": (
        state(begin("a"), serial=5),
        rescue(begin("a"), end("a"), put("b"), Drop(C, "x"), RunRecord("run-7", "x", "then", "now")),
        [end("a"), put("b"), Drop(C, "x"), RunRecord("run-7", "x", "then", "now")],
        "",
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str) -> None:
    whole, rescued, records, word = ROWS[name]
    merge = Merge(whole, rescued)
    assert merge.records == records
    assert bool(merge.notes) == bool(word)
    assert all(word in note for note in merge.notes)


names = st.sampled_from("abc")
things = st.one_of(
    st.builds(begin, names, st.integers(1, 2)),
    st.builds(end, names, gone=st.booleans()),
    st.builds(put, names, st.integers(1, 2), st.sampled_from(["", "other"])),
    st.builds(lambda name: Drop(Address("noop", name), "x"), names),
    st.builds(lambda old, new: Move(Address("noop", old), Address("noop", new)), names, names),
)


def files(records: list[Record]) -> list[Record]:
    """A rescue file names the begin before each end."""
    named: list[Record] = []
    for record in records:
        named += [begin(record.op_id[3:]), record] if isinstance(record, End) else [record]
    return named


@given(st.lists(things, max_size=8), st.lists(things, max_size=6), st.sampled_from([5, 9]))
def test_merging_twice_is_merging_once(before: list[Record], lost: list[Record], serial: int) -> None:
    from devstream.record import replace

    rescued = rescue(*files(lost), serial=5)
    once = fold(state(*before, serial=serial), Merge(state(*before, serial=serial), rescued).records)
    again = Merge(replace(once, serial=serial + 1), rescued)
    assert fold(once, again.records).tools == once.tools
    assert again.records == []


@given(st.lists(things, max_size=8), st.lists(things, max_size=6))
def test_merging_overwrites_nothing(before: list[Record], lost: list[Record]) -> None:
    whole = state(*before)
    after = fold(whole, Merge(whole, rescue(*files(lost))).records)
    for address, tool in whole.tools.items():
        if address not in whole.open_operations:
            assert after.tools.get(address) == tool


# -- with files


def interrupted(recorded: Any) -> Path:
    """Make a run whose state breaks while a hook is at work; give its rescue file."""
    recorded.run(b=1)
    breakable = BreakableBackend(recorded.backend)
    whole, recorded.backend = recorded.backend, breakable
    with suppress(SwapRefused, StateConflictError):
        writer = recorded.manager.acquire(this_process("lost", "devstream run"), timeout=1, notice=print)
        writer.begin(begin("a"), lambda _: None)
        writer.flush()
        breakable.broken = True
        writer.record(end("a"))
        writer.close(RunRecord("lost", "devstream run", "then", "now"))
    recorded.backend = whole
    path: Path = recorded.path.with_name("devstream.state.rescue-lost")
    return path


def test_what_a_run_lost_is_recorded(recorded: Any) -> None:
    path = interrupted(recorded)
    assert recorded.marks == {"b": 1}
    assert list(recorded.state.open_operations) == [A]
    recorded.edit(merging(path.read_bytes(), "f"))
    assert recorded.marks == {"b": 1, "a": 1}
    assert not recorded.state.open_operations
    assert not recorded.edit(merging(path.read_bytes(), "f")).writes


def test_what_a_run_lost_is_recorded_after_another_run_too(recorded: Any) -> None:
    path = interrupted(recorded)
    recorded.run(c=1)
    recorded.edit(merging(path.read_bytes(), "f"))
    assert recorded.marks == {"b": 1, "c": 1, "a": 1}
    assert not recorded.edit(merging(path.read_bytes(), "f")).writes


def test_a_rescue_file_of_another_state_is_refused(recorded: Any, tmp_path: Path) -> None:
    path = interrupted(recorded)
    (tmp_path / "other").mkdir()
    other = type(recorded)(tmp_path / "other")
    with pytest.raises(StateForeignError, match="belongs to another state"):
        other.edit(merging(path.read_bytes(), "f"))


def test_what_is_no_rescue_file(recorded: Any) -> None:
    data = interrupted(recorded).read_bytes()
    for wrong in (b"", b"{}", b"[]", b"\xff", b'{"devstream_state": true}'):
        with pytest.raises(UsageError, match="f is not a rescue file"):
            read_rescue(wrong, "f")
    for damaged in (data[:-40], data.replace(b'"n": 1', b'"n": 2'), data.replace(b"}", b"")):
        with pytest.raises(StateDamagedError, match="not what was written"):
            read_rescue(damaged, "f")
    with pytest.raises(StateForeignError, match="newer version"):
        read_rescue(data.replace(b'"format": 1', b'"format": 2'), "f")


def test_a_sealed_file_with_records_of_no_kind() -> None:
    from devstream.state.head import seal

    with pytest.raises(StateDamagedError):
        read_rescue(seal(b'{"devstream_rescue": true, "records": [{"type": "wish"}]}'), "f")
