"""Planning four times as many tools takes about four times the work, counted in calls and not in seconds."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.plan import Action
from devstream.model.schema import Traits
from devstream.model.state import ToolState
from devstream.model.tool import BARRIER, ToolInstance
from devstream.model.values import Reference
from devstream.planning.provider import ReadAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.planning.conftest import FakePlugin, World

SMALL, FACTOR = 200, 4
AT_MOST = 4.8


def noop(number: int) -> Address:
    return Address("noop", f"n{number}")


def independent(count: int) -> list[ToolInstance]:
    return [ToolInstance(noop(i), {"input": i}, Origin(None)) for i in range(count)]


def layered(count: int) -> list[ToolInstance]:
    """Ten layers; each tool refers to three of the layer before."""
    width = count // 10
    tools = []
    for i in range(count):
        before = (
            [noop((i // width - 1) * width + (i + step) % width) for step in range(3)] if i >= width else []
        )
        options = {"input": i, **{f"r{at}": Reference(to, ("out",)) for at, to in enumerate(before)}}
        tools.append(ToolInstance(noop(i), options, Origin(None)))
    return tools


def chain(count: int) -> list[ToolInstance]:
    return [
        ToolInstance(noop(i), {"input": i}, Origin(None), depends_on=(noop(i - 1),) if i else ())
        for i in range(count)
    ]


def apps(count: int) -> list[ToolInstance]:
    """Half in `tools:`, half in apps that wait for all of them."""
    return [
        ToolInstance(
            noop(i),
            {"input": i},
            Origin(None),
            after_tools=i >= count // 2,
            app="a" if i >= count // 2 else None,
        )
        for i in range(count)
    ]


SHAPES = [independent, layered, chain, apps]


def counted(call: Callable[[], object]) -> int:
    """Count the calls of functions, written in Python or C, while ``call`` runs."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        call()
    finally:
        sys.setprofile(before)
    return calls


def grows_in_step(world: Callable[[int], World]) -> None:
    small, large = world(SMALL), world(SMALL * FACTOR)
    assert counted(large.plan) < AT_MOST * counted(small.plan)


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_to_do(shape: Callable[[int], list[ToolInstance]], world_of: type[World]) -> None:
    world = world_of(tools=shape(SMALL)).carried_out()
    assert {change.action for change in world.plan().changes} == {Action.NOOP}
    grows_in_step(lambda count: world_of(tools=shape(count)).carried_out())


@pytest.mark.parametrize("shape", SHAPES)
def test_everything_is_new(shape: Callable[[int], list[ToolInstance]], world_of: type[World]) -> None:
    grows_in_step(lambda count: world_of(tools=shape(count)))


@pytest.mark.parametrize("shape", SHAPES)
def test_everything_is_gone(shape: Callable[[int], list[ToolInstance]], world_of: type[World]) -> None:
    def world(count: int) -> World:
        made = world_of(tools=shape(count)).carried_out()
        made.answers = {tool.address: ReadAnswer(None) for tool in made.tools}
        return made

    grows_in_step(world)


@pytest.mark.parametrize("shape", SHAPES)
def test_everything_leaves(shape: Callable[[int], list[ToolInstance]], world_of: type[World]) -> None:
    def world(count: int) -> World:
        made = world_of(tools=shape(count)).carried_out()
        made.tools = []
        return made

    assert {change.action for change in world(SMALL).plan().changes} == {Action.DELETE}
    grows_in_step(world)


def test_everything_leaves_and_the_last_is_protected(world_of: type[World]) -> None:
    def world(count: int) -> World:
        tools = chain(count)
        tools[-1] = ToolInstance(
            tools[-1].address, {}, Origin(None), depends_on=tools[-1].depends_on, protect=True
        )
        made = world_of(tools=tools).carried_out()
        made.tools = []
        return made

    assert all(change.protected for change in world(SMALL).plan().changes)
    grows_in_step(world)


def test_everything_was_renamed(world_of: type[World], plugin_of: type[FakePlugin]) -> None:
    def world(count: int) -> World:
        made = world_of(tools=independent(count)).carried_out()
        for number, address in enumerate(made.entries):
            made.entries[address] = _entry(address, number)
            made.answers[Address("noop", f"m{number}")] = ReadAnswer(made.entries[address])  # type: ignore[arg-type]
        made.tools = [ToolInstance(address, {}, Origin(None)) for address in made.answers]
        return made

    reasons = {change.action for change in world(SMALL).plan().changes}
    assert reasons == {Action.ERROR, Action.DELETE}
    grows_in_step(world)


def test_many_deletes_before_a_replace(world_of: type[World], plugin_of: type[FakePlugin]) -> None:
    """One tool is replaced under many that leave, while as many apps wait for the barrier: the costly circle."""

    def world(count: int) -> World:
        made = world_of(tools=[*apps(count), ToolInstance(Address("base", "r"), {"x": 2}, Origin(None))])
        made = made.carried_out()
        made.plugins = {"base": plugin_of(Traits(can_update=False))}
        base = Address("base", "r")
        made.entries[base] = ToolState(base, options={"x": 1})
        for number in range(count):
            address = Address("noop", f"old{number}")
            made.entries[address] = ToolState(address, depends_on=(str(base),))
            older = Address("noop", f"older{number}")
            made.entries[older] = ToolState(older, app="x", depends_on=(BARRIER,))
        return made

    plan = world(SMALL).plan()
    assert [change.action for change in plan.changes].count(Action.DELETE) == 2 * SMALL
    grows_in_step(world)


def _entry(address: Address, number: int) -> Any:
    return ToolState(address, properties={"path": f"/{number}"}, outputs={})


def test_a_chain_is_not_limited_by_the_stack(world_of: type[World]) -> None:
    world = world_of(tools=chain(5_000)).carried_out()
    world.answers = {noop(0): ReadAnswer(None)}
    actions = [change.action for change in world.plan().changes]
    assert actions == [Action.CREATE, *[Action.CONDITIONAL] * 4_999]
