"""What people ask to be recorded: names, forgetting, settling. Pure: a state in, records out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.errors import UsageError
from devstream.model.address import Address
from devstream.model.plan import Action
from devstream.model.state import Begin, Move, OpenOperation, State, ToolState
from devstream.state.edits import FORGOTTEN, forget, matching, recorded, rename, replacement, settle
from devstream.state.fold import fold

A, B, C = (Address("noop", name) for name in "abc")


def tool(address: Address, app: str | None = None, **options: object) -> ToolState:
    return ToolState(address, options=options, app=app, op_id=f"op-{address.instance_id}")


def state(*tools: ToolState, opened: Begin | None = None) -> State:
    operations = {opened.address: OpenOperation(opened)} if opened else {}
    return State("lineage", 3, b"key", {entry.address: entry for entry in tools}, operations)


def begin(action: Action, address: Address = A) -> Begin:
    return Begin("op", 1, address, action, tool(address, new=True), "run", "host", "boot")


def names(whole: State) -> list[str]:
    return [str(address) for address in whole.tools]


def test_recorded_finds_each_once_and_names_the_nearest() -> None:
    whole = state(tool(A), tool(Address("noop", "example")))
    assert recorded(whole, ["noop.a", "noop.a"]) == [A]
    with pytest.raises(UsageError, match=r'nothing is recorded for "noop\.exampel"') as caught:
        recorded(whole, ["noop.a", "noop.exampel"])
    assert caught.value.diagnostic.code == "unknown-address"
    assert caught.value.diagnostic.suggestion == 'did you mean "noop.example"?'
    with pytest.raises(UsageError, match="state list") as caught:
        recorded(state(), ["zzz", "noop.b"])
    assert '"zzz", "noop.b"' in str(caught.value)


def test_matching_takes_globs() -> None:
    whole = state(tool(A), tool(Address("file", "a")), opened=begin(Action.CREATE, B))
    assert names(matching(whole, "file.*")) == ["file.a"]
    assert names(matching(whole, "noop.a")) == ["noop.a"]
    only = matching(whole, "*.b")
    assert (names(only), list(only.open_operations)) == ([], [B])
    with pytest.raises(UsageError, match="nothing is recorded that matches"):
        matching(whole, "helm.*")


def test_forget() -> None:
    whole = state(tool(A), tool(B))
    assert [(drop.address, drop.why) for drop in forget(whole, ["noop.b"])] == [(B, FORGOTTEN)]
    with pytest.raises(UsageError, match="not known what came of an interrupted update"):
        forget(state(tool(A), opened=begin(Action.UPDATE)), ["noop.a"])


RENAMED = {
    "to another name": ("noop.a", "noop.c", [Move(A, C)]),
    "an app": (
        "app:shop",
        "app:store",
        [
            Move(Address("ci", "shop"), Address("ci", "store")),
            Move(Address("ci", "shop-docker"), Address("ci", "store-docker")),
        ],
    ),
}
REFUSED = {
    "unknown": ("noop.x", "noop.c", "unknown-address"),
    "taken": ("noop.a", "noop.b", "taken"),
    "onto itself": ("noop.a", "noop.a", "taken"),
    "not an address": ("noop.a", "c", "bad-address"),
    "bad characters": ("noop.a", "noop.C_", "bad-address"),
    "another tool": ("noop.a", "file.a", "another-tool"),
    "an unknown app": ("app:shpo", "app:store", "unknown-app"),
    "an app to an address": ("app:shop", "noop.c", "bad-address"),
    "an address to an app": ("noop.a", "app:shop", "bad-address"),
    "an app to no name": ("app:shop", "app:", "bad-address"),
    "onto what is open": ("noop.a", "noop.open", "unsettled"),
}


def shop() -> State:
    apps = [tool(Address("ci", name), "shop") for name in ("shop", "shop-docker", "shopping")]
    return state(tool(A), tool(B), *apps, opened=begin(Action.CREATE, Address("noop", "open")))


@pytest.mark.parametrize("name", RENAMED)
def test_rename(name: str) -> None:
    old, new, moves = RENAMED[name]
    assert rename(shop(), old, new) == moves


@pytest.mark.parametrize("name", REFUSED)
def test_rename_refuses(name: str) -> None:
    old, new, code = REFUSED[name]
    with pytest.raises(UsageError) as caught:
        rename(shop(), old, new)
    assert caught.value.diagnostic.code == code
    assert caught.value.diagnostic.suggestion


def test_rename_of_what_is_open_is_refused() -> None:
    with pytest.raises(UsageError, match=r"devstream state settle noop\.a"):
        rename(state(tool(A), opened=begin(Action.DELETE)), "noop.a", "noop.c")


# action, was recorded before, --created: what is recorded afterwards (None: nothing) as (new options, tainted, integrated)
SETTLED = {
    "create, there": (Action.CREATE, False, True, (True, False, False)),
    "create, not there": (Action.CREATE, False, False, None),
    "update, there: to be done again": (Action.UPDATE, True, True, (False, True, True)),
    "update, gone": (Action.UPDATE, True, False, None),
    "delete, still there": (Action.DELETE, True, True, (False, False, True)),
    "delete, gone": (Action.DELETE, True, False, None),
    "integrate, there": (Action.INTEGRATE, True, True, (False, False, False)),
    "integrate, gone": (Action.INTEGRATE, True, False, None),
}


@pytest.mark.parametrize("name", SETTLED)
def test_settle(name: str) -> None:
    action, before, created, wanted = SETTLED[name]
    whole = state(*([tool(A)] if before else []), opened=begin(action))
    after = fold(whole, settle(whole, "noop.a", created=created))
    assert after.open_operations == {}
    entry = after.tools.get(A)
    assert (entry and (entry.options == {"new": True}, entry.tainted, entry.integrated)) == wanted


def test_settle_of_what_is_not_open() -> None:
    with pytest.raises(UsageError, match=r'no operation of "noop\.b".*there is none'):
        settle(state(tool(B)), "noop.b", created=True)
    with pytest.raises(UsageError, match="did you mean"):
        settle(state(opened=begin(Action.CREATE)), "noop.aa", created=True)


entries = st.dictionaries(st.sampled_from([A, B, C]), st.integers(0, 2)).map(
    lambda marks: {address: tool(address, mark=mark) for address, mark in marks.items()}
)


@given(entries, entries)
def test_replacement_makes_one_of_the_other(
    before: dict[Address, ToolState], after: dict[Address, ToolState]
) -> None:
    opened = begin(Action.UPDATE, A)
    whole = state(*before.values(), opened=opened)
    result = fold(whole, replacement(before, after, dropped="x"))
    assert result.tools == after
    assert list(result.open_operations) == [A]
    assert replacement(after, after, dropped="x") == []
