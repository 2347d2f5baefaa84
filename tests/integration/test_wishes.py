"""What is asked of one plan: to make something anew, and to take away what is protected."""

from __future__ import annotations

import pytest

from devstream.api import Traits, tool
from devstream.errors import UsageError
from devstream.planning.removal import Removal
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, Things, World


@tool("fixture")
class Fixture(Things):
    """Can be made and looked at, and that is all."""

    traits = Traits(can_update=False, can_delete=False)


@pytest.fixture
def world(project: Project) -> World:
    project.use(Thing(), Fixture())
    return World(project.folder / "world")


A = block("thing.a", {"value": 1})
B = block("thing.b", {"value": "${{ thing.a.outputs.id }}"})


def test_made_anew_with_what_stands_on_it(project: Project, world: World) -> None:
    project.tools(A, B, block("thing.c"))
    project.run().assert_success()
    old = project.entry("thing.a").outputs["id"]
    planned = project.plan(replace=("thing.a",))
    assert planned.actions == {"thing.a": "replace", "thing.b": "conditional", "thing.c": "noop"}
    assert planned.reasons("thing.a") == "asked for"
    ran = project.run(replace=("thing.a",)).assert_success()
    assert ran.started == ["delete thing.a", "create thing.a", "update thing.b"]
    new = project.entry("thing.a").outputs["id"]
    assert new != old
    assert project.entry("thing.b").properties["value"] == new
    assert world.doubled() == []
    project.plan().assert_nothing_to_do()


def test_with_other_changes_it_is_made_anew_with_them(project: Project, world: World) -> None:
    project.tools(A)
    project.run().assert_success()
    project.tools(block("thing.a", {"value": 2}))
    planned = project.plan(replace=("thing.a",))
    assert (planned.actions, planned.reasons("thing.a")) == ({"thing.a": "replace"}, "asked for; value")
    project.run(replace=("thing.a",)).assert_success()
    assert [thing["value"] for thing in world.things().values()] == [2]


def test_both_made_anew(project: Project, world: World) -> None:
    project.tools(A, B)
    project.run().assert_success()
    ran = project.run(replace=("thing.a", "thing.b")).assert_success()
    assert ran.outcomes == {"thing.a": "replace succeeded", "thing.b": "replace succeeded"}
    assert project.entry("thing.b").properties["value"] == project.entry("thing.a").outputs["id"]
    project.plan().assert_nothing_to_do()


def test_what_is_not_there_is_made_anyway(project: Project, world: World) -> None:
    project.tools(A)
    assert project.plan(replace=("thing.a",)).actions == {"thing.a": "create"}
    project.run().assert_success()
    world.remove(project.entry("thing.a").outputs["id"])
    assert project.plan(replace=("thing.a",)).actions == {"thing.a": "create"}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("thing.theirs", "was there before us"),
        ("fixture.f", "cannot be deleted"),
        ("thing.kept", "protected"),
    ],
)
def test_what_cannot_be_made_anew(project: Project, world: World, address: str, said: str) -> None:
    world.put({"name": "thing.theirs", "value": None, "fixed": None})
    project.tools(block("thing.theirs", adopt=True), block("fixture.f"), block("thing.kept", protect=True))
    project.run().assert_success()
    planned = project.plan(replace=(address,))
    assert planned.actions[address] == "error"
    error = planned.change(address).error
    assert error
    assert said in error.summary
    project.run(replace=(address,))
    assert world.names() == ["fixture.f", "thing.kept", "thing.theirs"]


def test_protection_lifted_for_once(project: Project, world: World) -> None:
    project.tools(block("thing.a", protect=True), block("thing.b", protect=True))
    project.run().assert_success()
    ran = project.run(replace=("thing.a",), unprotect=("thing.a",))
    assert ran.assert_success().outcomes == {"thing.a": "replace succeeded"}
    assert project.entry("thing.a").protect
    project.tools()
    ran = project.run(unprotect=("thing.a",)).assert_success_but_protected("thing.b")
    assert ran.outcomes["thing.a"] == "delete succeeded"
    project.run(removal=Removal.EVERYTHING, unprotect=("thing.b",)).assert_success()
    assert world.names() == []


@pytest.mark.parametrize("asked", [{"replace": ("thing.aa",)}, {"unprotect": ("thing.aa",)}])
def test_an_address_there_is_not(project: Project, world: World, asked: dict[str, tuple[str]]) -> None:
    project.tools(A)
    project.run().assert_success()
    planned = project.plan(**asked)
    assert isinstance(planned.error, UsageError)
    assert planned.error.diagnostic.suggestion == 'did you mean "thing.a"?'
