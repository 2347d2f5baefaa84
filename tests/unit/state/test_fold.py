"""Laws of the fold, and what each record does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.model.address import Address
from devstream.model.plan import Action, Outcome
from devstream.model.state import Begin, Drop, End, Move, Put, PutReason, Record, RunRecord, State, ToolState
from devstream.record import replace
from devstream.state.fold import Fold, fold

if TYPE_CHECKING:
    from collections.abc import Callable


def made(kind: Callable[..., Any], *positional: Any, **named: Any) -> st.SearchStrategy[Any]:
    """Build with any callable; hypothesis would evaluate annotations that only type checkers import."""

    def build(*words: Any, **fields: Any) -> Any:
        return kind(*words, **fields)

    return st.builds(build, *positional, **named)


A, B, C = (Address("noop", name) for name in "abc")
addresses = st.sampled_from([A, B, C])
op_ids = st.sampled_from(["1", "2", "3", "4"])


def entry(address: Address, mark: int = 0, depends_on: tuple[str, ...] = ()) -> ToolState:
    return ToolState(address, options={"mark": mark}, depends_on=depends_on)


def begin(address: Address, op_id: str, attempt: int = 1) -> Begin:
    return Begin(op_id, attempt, address, Action.CREATE, entry(address), "run", "host", "boot")


def end(op_id: str, tool: ToolState | None) -> End:
    return End(op_id, Outcome.SUCCEEDED, tool)


def run(run_id: str) -> RunRecord:
    return RunRecord(run_id, "devstream run", "then", "now")


entries = st.builds(
    entry, addresses, st.integers(0, 3), st.lists(addresses.map(str), max_size=2, unique=True).map(tuple)
)
puts = st.builds(lambda tool, why: Put(tool.address, tool, why), entries, st.sampled_from(PutReason))
begins = made(begin, addresses, op_ids, st.integers(1, 2))
moves = made(Move, addresses, addresses)
records: st.SearchStrategy[Record] = st.one_of(
    begins,
    made(end, op_ids, st.none()),
    made(end, op_ids, entries),
    puts,
    made(Drop, addresses, st.sampled_from(["removed", "settled"])),
    moves,
    made(run, st.sampled_from(["r1", "r2"])),
)
many = st.lists(records, max_size=12)


@given(many, many)
def test_at_once_is_one_after_the_other(first: list[Record], second: list[Record]) -> None:
    assert fold(fold(State(), first), second) == fold(State(), [*first, *second])


@given(many)
def test_folding_changes_no_input(given_records: list[Record]) -> None:
    before = fold(State(), given_records)
    tools, open_operations = dict(before.tools), dict(before.open_operations)
    fold(before, [*given_records, end("1", None), Drop(A, "removed"), begin(B, "9")])
    assert before.tools == tools
    assert before.open_operations == open_operations


@given(many, op_ids, st.one_of(st.none(), entries))
def test_end_twice_is_end_once(earlier: list[Record], op_id: str, tool: ToolState | None) -> None:
    once = fold(State(), [*earlier, end(op_id, tool)])
    assert fold(once, [end(op_id, tool)]) == once


@given(many, op_ids)
def test_end_of_what_is_not_open_changes_nothing(earlier: list[Record], op_id: str) -> None:
    state = fold(State(), earlier)
    if op_id not in {operation.begin.op_id for operation in state.open_operations.values()}:
        assert fold(state, [end(op_id, entry(A, 9))]) == state


@given(many)
def test_copy_is_independent(earlier: list[Record]) -> None:
    original = Fold()
    for record in earlier:
        original.apply(record)
    tools = dict(original.tools)
    copy = original.copy()
    for record in (Put(A, entry(A, 9), PutReason.EDITED), begin(B, "9"), Drop(C, "removed"), run("x")):
        copy.apply(record)
    assert original.tools == tools
    assert original.begin_of("9") is None


@given(many)
def test_begin_of_knows_exactly_what_is_open(earlier: list[Record]) -> None:
    folded = Fold()
    for record in earlier:
        folded.apply(record)
    known = {op_id for op_id in "1234" if folded.begin_of(op_id)}
    assert known == {operation.begin.op_id for operation in folded.open_operations.values()}


@given(st.lists(puts, max_size=6))
def test_move_and_its_reverse_cancel_out(earlier: list[Put]) -> None:
    state = fold(State(), earlier)
    target = Address("noop", "moved")
    there = fold(state, [Move(A, target)])
    back = fold(there, [Move(target, A)])
    assert (back.tools, list(back.tools)) == (state.tools, list(state.tools))
    assert (A in there.tools) is False


def test_order_is_that_of_the_first_record() -> None:
    state = fold(State(), [put(B), put(A), put(B, 2), put(C), Move(A, Address("noop", "z"))])
    assert [address.instance_id for address in state.tools] == ["b", "z", "c"]


def put(address: Address, mark: int = 1, why: PutReason = PutReason.BOOKKEEPING) -> Put:
    return Put(address, entry(address, mark), why)


ROWS: dict[str, tuple[list[Record], dict[Address, int], set[str]]] = {
    "begin alone records nothing": ([begin(A, "1")], {}, {"1"}),
    "end records": ([begin(A, "1"), end("1", entry(A, 1))], {A: 1}, set()),
    "end without an entry removes": ([put(A), begin(A, "1"), end("1", None)], {}, set()),
    "end without begin is nothing": ([end("1", entry(A, 1))], {}, set()),
    "second end is nothing": ([begin(A, "1"), end("1", entry(A, 1)), end("1", entry(A, 2))], {A: 1}, set()),
    "next attempt takes the place": ([begin(A, "1"), begin(A, "1", 2)], {}, {"1"}),
    "another operation takes the place": (
        [begin(A, "1"), begin(A, "2"), end("1", entry(A, 1))],
        {},
        {"2"},
    ),
    "an operation is open at one address": ([begin(A, "1"), begin(B, "1")], {}, {"1"}),
    "put beside an open operation": ([begin(A, "1"), put(A)], {A: 1}, {"1"}),
    "settled put closes": ([begin(A, "1"), put(A, why=PutReason.SETTLED)], {A: 1}, set()),
    "drop": ([put(A), put(B), Drop(A, "removed")], {B: 1}, set()),
    "drop leaves what is unknown": ([begin(A, "1"), Drop(A, "removed")], {}, {"1"}),
    "settled drop closes": ([begin(A, "1"), Drop(A, "settled")], {}, set()),
    "drop of nothing": ([Drop(A, "removed")], {}, set()),
    "move": ([put(A), Move(A, C)], {C: 1}, set()),
    "move onto another is nothing": ([put(A, 1), put(B, 2), Move(A, B)], {A: 1, B: 2}, set()),
    "move of nothing": ([Move(A, B)], {}, set()),
}


@pytest.mark.parametrize("name", ROWS)
def test_rows(name: str) -> None:
    given_records, tools, still_open = ROWS[name]
    state = fold(State(), given_records)
    assert {address: tool.options["mark"] for address, tool in state.tools.items()} == tools
    assert {operation.begin.op_id for operation in state.open_operations.values()} == still_open
    assert all(tool.address == address for address, tool in state.tools.items())


def test_move_takes_dependents_along() -> None:
    state = fold(State(), [put(A), Put(B, entry(B, 1, (str(A), "@tools")), PutReason.EDITED), Move(A, C)])
    assert state.tools[B].depends_on == (str(C), "@tools")


def test_last_run_and_the_rest_of_the_state() -> None:
    state = fold(State("lineage", 7, b"key"), [run("r1"), run("r2")])
    assert state == replace(State("lineage", 7, b"key"), last_run=run("r2"))


def test_move_takes_references_along() -> None:
    reference = {"$ref": "noop.a.outputs.url[0]", "value": 1}
    options = {
        "one": reference,
        "text": {"$join": ["http://", {"$ref": "noop.a.outputs.host"}], "value": "http://h"},
        "list": [{"$ref": "noop.b.outputs.x", "value": 2}],
        "own": {"$map": {"$ref": "noop.a.outputs.x"}},
        "token": {"$secret": [{"source": "env", "key": "noop.a.outputs.x"}], "fingerprint": "f"},
    }
    dependent = ToolState(B, options=options, depends_on=(str(A), "noop.a.outputs", "noop.b"))
    moved = fold(State(), [put(A), Put(B, dependent, PutReason.EDITED), Move(A, C)]).tools[B]
    assert moved.depends_on == (str(C), "noop.a.outputs", "noop.b")
    assert moved.options == {
        **options,
        "one": {"$ref": "noop.c.outputs.url[0]", "value": 1},
        "text": {"$join": ["http://", {"$ref": "noop.c.outputs.host"}], "value": "http://h"},
    }
    stranger = ToolState(B, options={"one": reference})
    assert fold(State(), [put(A), Put(B, stranger, PutReason.EDITED), Move(A, C)]).tools[B] == stranger
