"""From a configuration to the world and back: what can become of one tool."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from devstream.api import Traits, tool
from devstream.errors import DeclinedError
from devstream.model.state import PutReason
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, Things, World

if TYPE_CHECKING:
    from pathlib import Path


@tool("fixture")
class Fixture(Things):
    """Can be made and looked at, and that is all."""

    traits = Traits(can_update=False, can_delete=False)


@tool("plaque")
class Plaque(Things):
    """Is replaced where others are updated."""

    traits = Traits(can_update=False)


@pytest.fixture
def world(project: Project) -> World:
    project.use(Thing(), Fixture(), Plaque())
    return World(project.folder / "world")


def fingerprint(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    state = [(str(path), path.read_bytes(), path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(state).encode()).hexdigest()


def test_create_update_repair_and_delete(project: Project, world: World) -> None:
    reference = block("thing.b", {"value": "${{ thing.a.outputs.value }}"})
    project.tools(block("thing.a", {"value": 1}), reference)
    assert project.plan().actions == {"thing.a": "create", "thing.b": "create"}
    assert world.names() == []
    project.run().assert_success()
    assert [item["value"] for item in world.things().values()] == [1, 1]
    project.plan().assert_nothing_to_do()
    assert project.run().report is None

    project.tools(block("thing.a", {"value": 2}), reference)
    assert project.plan().actions == {"thing.a": "update", "thing.b": "conditional"}
    assert project.run().assert_success().outcomes == {
        "thing.a": "update succeeded",
        "thing.b": "update succeeded",
    }
    project.plan().assert_nothing_to_do()

    world.change(project.entry("thing.a").outputs["id"], value="changed by hand")
    assert "changed outside: value" in project.plan().reasons("thing.a")
    assert project.run().assert_success().outcomes["thing.a"] == "update succeeded"

    old = project.entry("thing.a").outputs["id"]
    world.remove(old)
    assert project.run().assert_success().outcomes["thing.a"] == "create succeeded"
    assert project.entry("thing.a").outputs["id"] != old
    project.plan().assert_nothing_to_do()

    project.tools()
    assert project.run().assert_success().started == ["delete thing.b", "delete thing.a"]
    assert (world.names(), project.recorded()) == ([], [])


def test_a_run_with_nothing_to_do_writes_no_state(project: Project, world: World) -> None:
    project.tools(block("thing.a"))
    project.run().assert_success()
    state = project.folder / "devstream.state"
    before = (state.read_bytes(), state.stat().st_mtime_ns)
    assert project.run().report is None
    assert (state.read_bytes(), state.stat().st_mtime_ns) == before


def test_a_plan_touches_no_file(project: Project, world: World) -> None:
    project.tools(block("thing.a"), block("thing.gone"), block("thing.drifted", {"value": 1}))
    project.run().assert_success()
    world.change(project.entry("thing.drifted").outputs["id"], value=2)
    project.tools(block("thing.a", {"value": 2}), block("thing.new"), block("thing.drifted", {"value": 1}))
    before = fingerprint(project.folder)
    assert project.plan().actions == {
        "thing.a": "update",
        "thing.new": "create",
        "thing.drifted": "update",
        "thing.gone": "delete",
    }
    assert fingerprint(project.folder) == before


def test_a_plan_before_the_first_run_makes_no_file(project: Project, world: World) -> None:
    project.tools(block("thing.a"))
    project.plan()
    assert [path.name for path in project.folder.iterdir()] == ["devstream.yaml"]


def test_declined_is_an_error_and_changes_nothing(project: Project, world: World) -> None:
    project.tools(block("thing.a"))
    declined = project.run(approve=lambda _: False)
    assert isinstance(declined.error, DeclinedError)
    assert world.names() == []
    assert project.recorded() == []


def test_what_exists_is_not_taken_over_unless_asked(project: Project, world: World) -> None:
    world.put({"name": "thing.a", "value": "theirs", "fixed": None})
    project.tools(block("thing.a", {"value": "ours"}), block("thing.b", after=["thing.a"]))
    ran = project.run()
    assert ran.outcomes == {"thing.a": "error failed", "thing.b": "create skipped"}
    assert "exists already" in ran.problem("thing.a").summary
    assert "adopt: true" in ran.problem("thing.a").suggestion
    assert [item["value"] for item in world.things().values()] == ["theirs"]


def test_adopted_things_are_brought_in_line_and_forgotten(project: Project, world: World) -> None:
    identity = world.put({"name": "thing.a", "value": "theirs", "fixed": None})
    project.tools(block("thing.a", {"value": "ours"}, adopt=True))
    assert project.run().assert_success().outcomes == {"thing.a": "update succeeded"}
    assert project.entry("thing.a").adopted
    assert world.things()[identity]["value"] == "ours"
    project.plan().assert_nothing_to_do()
    project.tools()
    assert project.run().assert_success().outcomes == {"thing.a": "forget succeeded"}
    assert (world.names(), project.recorded()) == (["thing.a"], [])


def test_an_adopted_thing_goes_with_allow_delete(project: Project, world: World) -> None:
    world.put({"name": "thing.a", "value": None, "fixed": None})
    project.tools(block("thing.a", adopt=True, allowDelete=True))
    project.run().assert_success()
    project.tools()
    assert project.run().assert_success().outcomes == {"thing.a": "delete succeeded"}
    assert world.names() == []


def test_a_thing_that_cannot_be_updated_is_adopted_by_a_record(project: Project, world: World) -> None:
    world.put({"name": "fixture.a", "value": 1, "fixed": None})
    project.tools(block("fixture.a", {"value": 1}, adopt=True))
    result = project.run().assert_success()
    assert result.started == []
    entry = project.entry("fixture.a")
    assert entry.adopted
    assert entry.properties["value"] == 1
    project.plan().assert_nothing_to_do()


def test_what_was_adopted_and_is_made_anew_is_ours(project: Project, world: World) -> None:
    identity = world.put({"name": "thing.a", "value": None, "fixed": None})
    project.tools(block("thing.a", adopt=True))
    project.run().assert_success()
    world.remove(identity)
    assert project.run().assert_success().outcomes == {"thing.a": "create succeeded"}
    assert not project.entry("thing.a").adopted


def test_what_cannot_be_deleted_is_left_in_place(project: Project, world: World) -> None:
    project.tools(block("fixture.a"))
    project.run().assert_success()
    project.tools()
    assert project.run().assert_success().outcomes == {"fixture.a": "forget succeeded"}
    assert (world.names(), project.recorded()) == (["fixture.a"], [])


def test_a_tool_without_update_is_replaced(project: Project, world: World) -> None:
    project.tools(block("plaque.a", {"value": 1}))
    project.run().assert_success()
    project.tools(block("plaque.a", {"value": 2}))
    project.forget_calls()
    ran = project.run().assert_success()
    assert ran.outcomes == {"plaque.a": "replace succeeded"}
    assert project.calls("delete", "create") == ["delete plaque.a", "create plaque.a"]
    deleted, created = (call for call in project.hook_calls.made if call.hook in ("delete", "create"))
    assert (deleted.options["value"], created.options["value"]) == (1, 2)
    assert deleted.op_id != created.op_id
    assert [item["value"] for item in world.things().values()] == [2]


def test_a_tool_with_neither_update_nor_delete_is_made_again(project: Project, world: World) -> None:
    project.tools(block("fixture.a", {"value": 1}))
    project.run().assert_success()
    project.tools(block("fixture.a", {"value": 2}))
    project.forget_calls()
    assert project.run().assert_success().outcomes == {"fixture.a": "update succeeded"}
    assert project.calls("create") == ["fixture.a"]


def test_an_immutable_option_means_replace(project: Project, world: World) -> None:
    project.tools(block("thing.a", {"fixed": 1}), block("thing.b", {"value": "${{ thing.a.outputs.id }}"}))
    project.run().assert_success()
    old = project.entry("thing.a").outputs["id"]
    project.tools(block("thing.a", {"fixed": 2}), block("thing.b", {"value": "${{ thing.a.outputs.id }}"}))
    assert project.plan().actions == {"thing.a": "replace", "thing.b": "conditional"}
    project.run().assert_success()
    new = project.entry("thing.a").outputs["id"]
    assert new != old
    assert world.things()[project.entry("thing.b").outputs["id"]]["value"] == new
    project.plan().assert_nothing_to_do()


@pytest.mark.parametrize(
    "change",
    [{"tags": ["x"]}, {"retries": 3}, {"timeout": 60}, {"protect": True}, {"dependsOn": ["thing.b"]}],
    ids=lambda change: next(iter(change)),
)
def test_bookkeeping_is_recorded_and_no_hook_is_called(
    project: Project, world: World, change: dict[str, object]
) -> None:
    project.tools(block("thing.a"), block("thing.b"))
    project.run().assert_success()
    project.tools({**block("thing.a"), **change}, block("thing.b"))
    project.forget_calls()
    planned = project.plan()
    assert planned.change("thing.a").put is PutReason.BOOKKEEPING
    ran = project.run(approve=lambda _: pytest.fail("bookkeeping is not asked about")).assert_success()
    assert ran.started == []
    assert project.calls("create", "update", "delete") == []
    project.plan().assert_nothing_to_do()


def test_a_record_only_option_is_bookkeeping(project: Project, world: World) -> None:
    project.tools(block("thing.a", {"note": 1}))
    project.run().assert_success()
    project.tools(block("thing.a", {"note": 2}))
    assert project.run().assert_success().started == []
    assert project.entry("thing.a").options["note"] == 2


def test_protected_things_and_what_they_stand_on_stay(project: Project, world: World) -> None:
    below, above = block("thing.below"), block("thing.held", after=["thing.below"], protect=True)
    project.tools(below, above, block("thing.other"))
    project.run().assert_success()
    project.tools(block("thing.new"))
    ran = project.run().assert_success_but_protected("thing.below", "thing.held")
    assert ran.outcomes["thing.other"] == "delete succeeded"
    assert ran.outcomes["thing.new"] == "create succeeded"
    assert world.names() == ["thing.below", "thing.held", "thing.new"]


def test_protection_ends_where_a_run_has_recorded_so(project: Project, world: World) -> None:
    project.tools(block("thing.a", protect=True))
    project.run().assert_success()
    project.tools(block("thing.a", protect=False))
    project.run().assert_success()
    project.tools()
    assert project.run().assert_success().outcomes == {"thing.a": "delete succeeded"}


def test_a_protected_thing_is_not_replaced_and_its_dependents_wait(project: Project, world: World) -> None:
    project.tools(
        block("thing.a", {"fixed": 1}, protect=True), block("thing.b", {"value": 1}, after=["thing.a"])
    )
    project.run().assert_success()
    project.tools(
        block("thing.a", {"fixed": 2}, protect=True), block("thing.b", {"value": 2}, after=["thing.a"])
    )
    ran = project.run()
    assert ran.outcomes == {"thing.a": "error skipped", "thing.b": "update skipped"}
    assert ran.report is not None
    assert [str(address) for address in ran.report.protected] == ["thing.a"]
    assert [item["fixed"] for item in world.things().values() if item["name"] == "thing.a"] == [1]


def test_a_delete_uses_the_recorded_options(project: Project, world: World) -> None:
    project.tools(block("thing.a", {"value": {"deep": [1, "x"]}}))
    project.run().assert_success()
    project.tools()
    project.forget_calls()
    project.run().assert_success()
    (call,) = (call for call in project.hook_calls.made if call.hook == "delete")
    assert call.options == {"value": {"deep": [1, "x"]}}


def test_a_delete_uses_the_recorded_value_of_a_reference(project: Project, world: World) -> None:
    """The upstream may have left the state before; its value at that time is what the thing was made with."""
    project.tools(
        block("thing.a", {"value": [1, 2]}), block("thing.b", {"value": "${{ thing.a.outputs.value }}"})
    )
    project.run().assert_success()
    project.tools()
    project.forget_calls()
    project.run().assert_success()
    by_address = {call.address: call.options for call in project.hook_calls.made if call.hook == "delete"}
    assert by_address["thing.b"] == {"value": [1, 2]}


def test_a_failed_delete_keeps_its_entry_and_its_upstreams(project: Project, world: World) -> None:
    """D18 of the first DevStream: a delete that failed was forgotten all the same."""
    thing = Thing()
    project.plugins[0] = thing
    project.tools(block("thing.a"), block("thing.b", after=["thing.a"]), block("thing.c"))
    project.run().assert_success()

    def refuse(*_: object) -> None:
        raise PermissionError("not today")

    thing.before["delete thing.b"] = refuse
    project.tools()
    ran = project.run()
    assert ran.outcomes == {
        "thing.b": "delete failed",
        "thing.a": "delete skipped",
        "thing.c": "delete succeeded",
    }
    assert str(ran.results["thing.a"].cause) == "thing.b"
    assert sorted(project.recorded()) == ["thing.a", "thing.b"]
    thing.before.clear()
    assert project.run().assert_success().started == ["delete thing.b", "delete thing.a"]
    assert world.names() == []
