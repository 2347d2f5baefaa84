"""A state as one document, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from devstream.errors import StateConflictError, StateForeignError, UsageError
from devstream.model.address import Address
from devstream.state.documents import push, state_document


def pulled(recorded: Any, **changes: Any) -> bytes:
    return json.dumps(state_document(recorded.state) | changes).encode()


def test_a_document_says_everything_but_the_key(recorded: Any) -> None:
    recorded.run(a=1, b=2)
    state = recorded.state
    document = state_document(state)
    assert (document["lineage"], document["serial"]) == (state.lineage, state.serial)
    assert document["tools"]["noop.a"]["options"] == {"n": 1}
    assert document["last_run"]["command"] == "devstream run"
    assert state.hmac_key.hex() not in json.dumps(document)


def test_pushing_what_was_pulled_is_nothing(recorded: Any) -> None:
    recorded.run(a=1, b=2)
    assert not recorded.edit(push(pulled(recorded), "f")).writes


def test_a_changed_document_takes_the_place(recorded: Any) -> None:
    recorded.run(a=1, b=2)
    document = json.loads(pulled(recorded))
    document["tools"]["noop.a"]["options"]["n"] = 7
    document["tools"]["noop.c"] = document["tools"].pop("noop.b")
    recorded.edit(push(json.dumps(document).encode(), "f"))
    assert recorded.marks == {"a": 7, "c": 2}


def test_an_older_document_is_refused_unless_forced(recorded: Any) -> None:
    recorded.run(a=1)
    old = pulled(recorded)
    recorded.run(a=2)
    with pytest.raises(StateConflictError, match="pulled at serial 3, and the state is at serial 5"):
        recorded.edit(push(old, "f"))
    assert recorded.marks == {"a": 2}
    recorded.edit(push(old, "f", force=True))
    assert recorded.marks == {"a": 1}


def test_a_document_of_another_state_is_refused_unless_this_one_is_empty(recorded: Any) -> None:
    other = type(recorded)(recorded.path.parent)
    other.path = recorded.path.with_name("other")
    other.backend = type(recorded.backend)(other.path)
    other.run(a=1)
    recorded.run(b=1)
    for force in (False, True):
        with pytest.raises(StateForeignError, match="from another state"):
            recorded.edit(push(pulled(other), "f", force=force))
    recorded.run(b=None)
    recorded.edit(push(pulled(other), "f"))
    assert recorded.marks == {"a": 1}


def test_a_document_makes_a_state_where_there_is_none(recorded: Any) -> None:
    data = json.dumps(
        {
            "devstream_state": True,
            "format": 1,
            "lineage": "x",
            "serial": 9,
            "tools": {"noop.a": {"options": {"n": 1}}},
        }
    ).encode()
    recorded.edit(push(data, "f"))
    assert list(recorded.state.tools) == [Address("noop", "a")]


WRONG = {
    "not JSON": (b"{", "f is not JSON"),
    "binary": (b"\xff\xfe", "f is not JSON"),
    "deep": (b"[" * 100_000, "f is not JSON"),
    "a list": (b"[]", "f is not a state that was pulled"),
    "something else": (b'{"version": 4}', "f is not a state that was pulled"),
    "a rescue file": (b'{"devstream_rescue": true}', "f is a rescue file"),
    "no tools": (b'{"devstream_state": true, "format": 1}', "`tools` is not a mapping"),
    "a bad entry": (
        b'{"devstream_state": true, "format": 1, "tools": {"noop.a": {"options": []}}}',
        "noop.a: options cannot be",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_document(name: str) -> None:
    data, message = WRONG[name]
    with pytest.raises(UsageError, match=message):
        push(data, "f")


@pytest.mark.parametrize("written", ["2", '"x"', "null"])
def test_a_document_of_a_newer_version(written: str) -> None:
    with pytest.raises(StateForeignError, match="newer version"):
        push(b'{"devstream_state": true, "format": %s}' % written.encode(), "f")
