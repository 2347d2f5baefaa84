"""What the next run makes of operations that began and never ended (state protocol, rule 3)."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from devstream.api import OperationError, Traits, tool
from devstream.model.address import Address
from devstream.testing.crash import BreakableBackend
from devstream.testing.project import Project, block
from devstream.testing.world import Things, World

if TYPE_CHECKING:
    from devstream.api import StateBackend


@tool("thing")
class Thing(Things):
    """Everything can be done with it."""

    traits = Traits(can_integrate=False)


@tool("blind")
class Blind(Things):
    """Cannot be looked at."""

    traits = Traits(can_read=False)


@tool("again")
class Again(Things):
    """Cannot be looked at, and making it again is harmless."""

    traits = Traits(can_read=False, repeatable=True)


@tool("hub")
class Hub(Things):
    """Is connected with its upstreams."""

    traits = Traits(can_integrate=True)


class Crash:
    """Breaks the state while a hook is at work, so that its begin stays without an end."""

    def __init__(self, project: Project) -> None:
        project.wrap = self._wrap
        self._backend: BreakableBackend | None = None

    def _wrap(self, backend: StateBackend) -> BreakableBackend:
        self._backend = BreakableBackend(backend)
        return self._backend

    def before(self, *_: object) -> None:
        """Break before the hook did anything."""
        self.after()
        message = "crashed"
        raise SystemExit(message)

    def after(self, *_: object) -> None:
        """Break after it did everything."""
        assert self._backend is not None
        self._backend.broken = True


@pytest.fixture
def crash(project: Project) -> Crash:
    return Crash(project)


@pytest.fixture
def things(project: Project) -> dict[str, Things]:
    made: dict[str, Things] = {"thing": Thing(), "blind": Blind(), "again": Again(), "hub": Hub()}
    project.use(*made.values())
    return made


@pytest.fixture
def world(project: Project) -> World:
    return World(project.folder / "world")


def interrupt(project: Project, things: Things, hook: str, crash: Crash, *, done: bool) -> None:
    """Run until a hook is interrupted: before it did anything, or after it did everything."""
    acts = things.after if done else things.before
    acts[hook] = crash.after if done else crash.before
    ran = project.run()
    assert ran.error is not None
    assert ran.error.exit_code == 6
    assert len(project.state().open_operations) == 1
    acts.clear()
    project.forget_calls()


def tool_block(address: str, value: object = 1) -> dict[str, object]:
    return block(address, {"value": value})


CREATE = [
    # tool, did it happen, what is planned, operations of the next run
    ("thing", False, "create", ["create"]),
    ("thing", True, "update", ["update"]),
    ("again", False, "create", ["create"]),
    ("again", True, "create", ["create"]),
    ("blind", False, "error", []),
    ("blind", True, "error", []),
]


@pytest.mark.parametrize(("kind", "done", "planned", "calls"), CREATE)
def test_an_interrupted_create(
    *,
    project: Project,
    things: dict[str, Things],
    crash: Crash,
    kind: str,
    done: bool,
    planned: str,
    calls: list[str],
) -> None:
    project.tools(tool_block(f"{kind}.a"))
    interrupt(project, things[kind], "create", crash, done=done)
    (begun,) = project.state().open_operations.values()
    plan = project.plan()
    assert plan.actions == {f"{kind}.a": planned}
    assert len(project.state().open_operations) == 1, "a plan records nothing"
    ran = project.run()
    assert [call.hook for call in project.hook_calls.made if call.hook != "read"] == calls
    if planned == "error":
        assert f"devstream state settle {kind}.a --created|--absent" in ran.problem(f"{kind}.a").suggestion
        assert len(project.state().open_operations) == 1
        return
    ran.assert_success()
    if planned == "create":
        (call,) = (call for call in project.hook_calls.made if call.hook == "create")
        assert (call.op_id, call.attempt) == (begun.begin.op_id, 2)
    assert not project.entry(f"{kind}.a").tainted
    assert not project.state().open_operations
    project.plan().assert_nothing_to_do()


UPDATE = [
    ("thing", False, "update"),
    ("thing", True, "update"),
    ("again", True, "update"),
    ("blind", True, "error"),
]


@pytest.mark.parametrize(("kind", "done", "planned"), UPDATE)
def test_an_interrupted_update(
    *, project: Project, things: dict[str, Things], crash: Crash, kind: str, done: bool, planned: str
) -> None:
    project.tools(tool_block(f"{kind}.a", 1))
    project.run().assert_success()
    project.tools(tool_block(f"{kind}.a", 2))
    interrupt(project, things[kind], "update", crash, done=done)
    assert project.plan().actions == {f"{kind}.a": planned}
    assert project.entry(f"{kind}.a").options["value"] == 1, "the options of before stay recorded"
    ran = project.run()
    if planned == "error":
        assert ran.outcomes == {f"{kind}.a": "error failed"}
        return
    assert ran.assert_success().started == [f"update {kind}.a"]
    assert project.entry(f"{kind}.a").options["value"] == 2
    project.plan().assert_nothing_to_do()


def test_an_update_whose_thing_is_gone_by_then(
    project: Project, things: dict[str, Things], crash: Crash, world: World
) -> None:
    project.tools(tool_block("thing.a", 1))
    project.run().assert_success()
    project.tools(tool_block("thing.a", 2))
    interrupt(project, things["thing"], "update", crash, done=False)
    world.remove(project.entry("thing.a").outputs["id"])
    assert project.run().assert_success().started == ["create thing.a"]
    assert world.names() == ["thing.a"]
    project.plan().assert_nothing_to_do()


@pytest.mark.parametrize(
    ("kind", "done"), [("thing", False), ("thing", True), ("again", True), ("blind", False)]
)
def test_an_interrupted_delete(
    *, project: Project, things: dict[str, Things], crash: Crash, world: World, kind: str, done: bool
) -> None:
    project.tools(tool_block(f"{kind}.a"))
    project.run().assert_success()
    project.tools()
    interrupt(project, things[kind], "delete", crash, done=done)
    expected = {} if kind == "thing" and done else {f"{kind}.a": "delete"}
    assert project.plan().actions == expected
    project.run().assert_success()
    assert (world.names(), project.recorded()) == ([], [])
    assert not project.state().open_operations


def test_a_delete_that_was_interrupted_and_is_wanted_again(
    project: Project, things: dict[str, Things], crash: Crash, world: World
) -> None:
    project.tools(tool_block("thing.a"))
    project.run().assert_success()
    project.tools()
    interrupt(project, things["thing"], "delete", crash, done=True)
    project.tools(tool_block("thing.a"))
    assert project.run().assert_success().started == ["create thing.a"]
    assert world.names() == ["thing.a"]


def test_an_interrupted_integrate(project: Project, things: dict[str, Things], crash: Crash) -> None:
    project.tools(tool_block("thing.a"), {**tool_block("hub.h"), "dependsOn": ["thing.a"]})
    interrupt(project, things["hub"], "integrate", crash, done=True)
    assert project.plan().actions == {"thing.a": "noop", "hub.h": "integrate"}
    assert project.run().assert_success().started == ["integrate hub.h"]
    project.plan().assert_nothing_to_do()


@pytest.mark.parametrize(("kind", "done"), [("thing", True), ("thing", False), ("again", True)])
def test_a_create_whose_block_is_gone_leaves_nothing_behind(
    *, project: Project, things: dict[str, Things], crash: Crash, world: World, kind: str, done: bool
) -> None:
    project.tools(tool_block(f"{kind}.a"))
    interrupt(project, things[kind], "create", crash, done=done)
    project.tools()
    project.run().assert_success()
    assert (world.names(), project.recorded()) == ([], [])
    assert not project.state().open_operations


def test_an_undecidable_create_whose_block_is_gone_is_still_told(
    project: Project, things: dict[str, Things], crash: Crash
) -> None:
    project.tools(tool_block("blind.a"))
    interrupt(project, things["blind"], "create", crash, done=True)
    project.tools()
    assert project.plan().actions == {"blind.a": "error"}
    assert "cannot be asked" in project.run().problem("blind.a").summary


def test_looking_that_fails_leaves_it_open_and_skips_dependents(
    project: Project, things: dict[str, Things], crash: Crash
) -> None:
    project.tools(tool_block("thing.a"), {**tool_block("thing.b"), "dependsOn": ["thing.a"]})
    interrupt(project, things["thing"], "create thing.a", crash, done=True)

    def unreachable(*_: object) -> None:
        message = "the service does not answer"
        raise OperationError(message)

    things["thing"].before["read thing.a"] = unreachable
    ran = project.run()
    assert ran.outcomes == {"thing.a": "error failed", "thing.b": "create skipped"}
    assert "the service does not answer" in ran.problem("thing.a").summary
    assert Address.parse("thing.a") in project.state().open_operations
    things["thing"].before.clear()
    assert project.run().assert_success().started == ["update thing.a", "create thing.b"]


def test_both_halves_of_a_replace_can_be_interrupted(
    project: Project, things: dict[str, Things], crash: Crash, world: World
) -> None:
    def version(number: int) -> dict[str, object]:
        return block("thing.a", {"fixed": number})

    project.tools(version(1))
    project.run().assert_success()
    project.tools(version(2))
    interrupt(project, things["thing"], "delete", crash, done=True)
    assert project.run().assert_success().started == ["create thing.a"]
    project.tools(version(3))
    interrupt(project, things["thing"], "create", crash, done=True)
    assert project.plan().actions == {"thing.a": "update"}
    project.run().assert_success()
    assert [thing["fixed"] for thing in world.things().values()] == [3]
    project.plan().assert_nothing_to_do()


def test_what_is_begun_under_a_live_lease_is_in_progress(
    project: Project, things: dict[str, Things], world: World
) -> None:
    inside, leave = threading.Event(), threading.Event()

    def stay(*_: object) -> None:
        inside.set()
        leave.wait(30)

    things["thing"].before["create"] = stay
    project.tools(block("thing.a"))
    running = threading.Thread(target=project.run)
    running.start()
    try:
        assert inside.wait(20)
        plan = project.plan()
        assert plan.actions == {"thing.a": "error"}
        assert "in progress, by" in plan.reasons("thing.a")
        refused = project.run(lock_timeout=0)
        assert refused.error is not None
        assert refused.error.exit_code == 5
    finally:
        leave.set()
        running.join()
    project.plan().assert_nothing_to_do()
    assert world.names() == ["thing.a"]


def test_a_retried_create_that_is_not_reached_keeps_its_name(
    project: Project, things: dict[str, Things], crash: Crash
) -> None:
    """Between the crash and the next attempt may lie runs in which its upstream fails."""
    first = tool_block("thing.up", 1)
    project.tools(first)
    project.run().assert_success()
    project.tools(first, {**tool_block("thing.a"), "dependsOn": ["thing.up"]})
    interrupt(project, things["thing"], "create", crash, done=False)
    (begun,) = project.state().open_operations.values()

    def fail(*_: object) -> None:
        message = "not now"
        raise OperationError(message)

    things["thing"].before["update"] = fail
    project.tools(tool_block("thing.up", 2), {**tool_block("thing.a"), "dependsOn": ["thing.up"]})
    assert project.run().outcomes == {"thing.up": "update failed", "thing.a": "create skipped"}
    things["thing"].before.clear()
    project.forget_calls()
    project.run().assert_success()
    (call,) = (call for call in project.hook_calls.made if call.hook == "create")
    assert (call.op_id, call.attempt) == (begun.begin.op_id, 2)


def test_an_interrupted_attempt_to_integrate_again_counts_even_if_the_upstream_goes_back(
    project: Project, things: dict[str, Things], crash: Crash
) -> None:
    hub = {**tool_block("hub.h"), "dependsOn": ["thing.a"]}
    project.tools(tool_block("thing.a", "old"), hub)
    project.run().assert_success()
    project.tools(tool_block("thing.a", "new"), hub)
    interrupt(project, things["hub"], "integrate", crash, done=True)
    project.tools(tool_block("thing.a", "old"), hub)
    assert project.run().assert_success().started == ["update thing.a", "integrate hub.h"]
    project.plan().assert_nothing_to_do()
