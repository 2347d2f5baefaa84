"""Entries and records survive the way to JSON and back."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.errors import StateError
from devstream.model.address import Address
from devstream.model.plan import Action, Outcome
from devstream.model.state import (
    Begin,
    Drop,
    End,
    LeaseHolder,
    Move,
    Put,
    PutReason,
    Record,
    RunRecord,
    ToolState,
)
from devstream.model.values import Secret, SecretRef
from devstream.state.codec import (
    encode_record,
    holder_from_json,
    holder_to_json,
    record_from_json,
    tool_from_json,
    tool_to_json,
)

if TYPE_CHECKING:
    from collections.abc import Callable


def made(kind: Callable[..., Any], *positional: Any, **named: Any) -> st.SearchStrategy[Any]:
    """Build with any callable; hypothesis would evaluate annotations that only type checkers import."""

    def build(*words: Any, **fields: Any) -> Any:
        return kind(*words, **fields)

    return st.builds(build, *positional, **named)


A = Address("helm-installer", "argocd.eu")
texts = st.text(st.characters(codec="utf-8"), max_size=8)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
mappings = st.dictionaries(texts, values, max_size=3)
names = st.lists(texts, max_size=3).map(tuple)
tools = made(
    ToolState,
    address=st.just(A),
    options=mappings,
    depends_on=names,
    app=st.none() | texts,
    tags=names,
    retries=st.integers(0, 5),
    timeout=st.none() | st.floats(0, 100),
    connection=st.none() | texts,
    properties=mappings,
    outputs=mappings,
    info=mappings,
    tainted=st.booleans(),
    failed_action=st.none() | st.sampled_from(Action),
    integrated=st.booleans(),
    integrated_with=texts,
    adopted=st.booleans(),
    protect=st.booleans(),
    allow_delete=st.booleans(),
    plugin=texts,
    plugin_version=texts,
    schema_version=st.integers(1, 9),
    created=texts,
    updated=texts,
    op_id=texts,
    extra=st.dictionaries(st.sampled_from(["later", "newer"]), values, max_size=2),
)
records: st.SearchStrategy[Record] = st.one_of(
    made(
        Begin,
        op_id=texts,
        attempt=st.integers(1, 9),
        address=st.just(A),
        action=st.sampled_from(Action),
        tool=tools,
        run_id=texts,
        host=texts,
        boot_id=texts,
        repeatable=st.booleans(),
    ),
    made(End, op_id=texts, outcome=st.sampled_from(Outcome), tool_state=st.none() | tools),
    made(Put, address=st.just(A), tool_state=tools, why=st.sampled_from(PutReason)),
    made(Drop, address=st.just(A), why=texts),
    made(Move, source=st.just(A), target=st.just(Address("noop", "b"))),
    made(
        RunRecord,
        run_id=texts,
        command=texts,
        started=texts,
        ended=texts,
        not_succeeded=st.dictionaries(st.just(A), st.sampled_from(Outcome)),
    ),
)


@given(tools)
def test_entry_round_trip(tool: ToolState) -> None:
    assert tool_from_json(A, json.loads(json.dumps(tool_to_json(tool)))) == tool


@given(records)
def test_record_round_trip(record: Record) -> None:
    text = encode_record(record)
    assert record_from_json(json.loads(text)) == record


def test_field_names() -> None:
    full = ToolState(
        A,
        {"a": 1},
        depends_on=("@tools",),
        app="svc",
        tags=("t",),
        retries=1,
        timeout=2.5,
        connection="c",
        properties={"p": 1},
        outputs={"o": 1},
        info={"i": 1},
        tainted=True,
        failed_action=Action.CREATE,
        integrated=False,
        integrated_with="d",
        adopted=True,
        protect=True,
        allow_delete=True,
        plugin="x",
        plugin_version="1",
        schema_version=2,
        created="c",
        updated="u",
        op_id="op",
    )
    assert list(tool_to_json(full)) == [
        *("options", "dependsOn", "app", "tags", "retries", "timeout", "connection", "properties", "outputs"),
        *("info", "tainted", "failed_action", "integrated", "integrated_with", "adopted", "protect"),
        *("allow_delete", "plugin", "plugin_version", "schema_version", "created", "updated", "op_id"),
    ]


def test_defaults_are_left_out() -> None:
    assert tool_to_json(ToolState(A)) == {"options": {}}


def test_fields_of_a_later_version_survive() -> None:
    plain = {"options": {"a": 1}, "owner": {"team": "x"}, "tainted": True}
    tool = tool_from_json(A, plain)
    assert tool.extra == {"owner": {"team": "x"}}
    assert tool_to_json(tool) == plain


def test_known_field_wins_over_an_unknown_one_of_its_name() -> None:
    assert tool_to_json(ToolState(A, app="svc", extra={"app": "other"}))["app"] == "svc"


NOT_JSON: dict[str, tuple[Any, str]] = {
    "a set": ({"x": {1}}, "tool.properties.x is a set"),
    "bytes": ({"x": [b"1"]}, r"tool.properties.x\[0\] is a bytes"),
    "a key that is a number": ({"x": {1: 2}}, "tool.properties.x has a key of type int"),
    "not a number": ({"x": math.nan}, "tool.properties.x is not a finite number"),
    "infinity": ({"x": [0.5, math.inf]}, r"tool.properties.x\[1\] is not a finite number"),
    "half a character": ({"x": "\ud800"}, "tool.properties.x is text with half a character"),
    "a secret": ({"x": Secret((SecretRef("env", "T"),), "hush")}, "tool.properties.x is a Secret"),
}


@pytest.mark.parametrize("name", NOT_JSON)
def test_what_is_not_json_is_named_by_its_path(name: str) -> None:
    properties, message = NOT_JSON[name]
    with pytest.raises(StateError, match=message) as caught:
        encode_record(Put(A, ToolState(A, properties=properties), PutReason.REFRESHED))
    assert caught.value.diagnostic.address == str(A)
    assert "hush" not in str(caught.value)


def test_holder_round_trip_passes_over_later_fields() -> None:
    holder = LeaseHolder("run", "me@here", "now", "here", "boot", "pid:[1]", 12, 34, "devstream run")
    assert holder_from_json(holder_to_json(holder) | {"later": 1}) == holder


class Marked(str):
    __slots__ = ()


class Count(int):
    __slots__ = ()


def test_subclasses_that_libraries_give_are_plain() -> None:
    tool = ToolState(A, properties={"text": Marked("x"), "n": Count(3), "both": (Marked("é"), True)})
    record = record_from_json(json.loads(encode_record(Put(A, tool, PutReason.REFRESHED))))
    assert isinstance(record, Put)
    assert record.tool_state.properties == {"text": "x", "n": 3, "both": ["é", True]}
