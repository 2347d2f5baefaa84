"""Hooks that fail or hang: what is reported, what is recorded, what comes next."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from devstream.api import (
    OperationError,
    RetryableError,
    Traits,
    tool,
)
from devstream.engine import operations
from devstream.errors import StateError
from devstream.model.plan import Action
from devstream.state.session import StateWriter
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, Things, World

if TYPE_CHECKING:
    from devstream.api import Context, Tool


@tool("blind")
class Blind(Things):
    """Cannot be looked at."""

    traits = Traits(can_read=False)


@tool("plaque")
class Plaque(Things):
    """Cannot be updated."""

    traits = Traits(can_update=False)


@tool("stamp")
class Stamp(Things):
    """Can neither be updated nor deleted, but made again."""

    traits = Traits(can_update=False, can_delete=False, repeatable=True)


@tool("fixture")
class Fixture(Things):
    """Can neither be updated nor deleted, nor made again."""

    traits = Traits(can_update=False, can_delete=False)


@pytest.fixture
def things(project: Project) -> dict[str, Things]:
    made: dict[str, Things] = {
        "thing": Thing(),
        "blind": Blind(),
        "plaque": Plaque(),
        "stamp": Stamp(),
        "fixture": Fixture(),
    }
    project.use(*made.values())
    return made


@pytest.fixture
def world(project: Project) -> World:
    return World(project.folder / "world")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "RETRY_DELAY", 0.0)


def fail(*_: object) -> None:
    message = "the service said no"
    raise OperationError(message)


# ---- a create or update that fails after its begin


def test_a_create_that_made_it_all_the_same(
    project: Project, things: dict[str, Things], world: World
) -> None:
    things["thing"].after["create"] = fail
    project.tools(block("thing.a", {"value": 1}))
    assert project.run().outcomes == {"thing.a": "create failed"}
    entry = project.entry("thing.a")
    assert entry.tainted
    assert entry.failed_action is None
    assert entry.properties["value"] == 1
    assert entry.outputs["id"] in world.things()
    things["thing"].after.clear()
    assert project.plan().actions == {"thing.a": "update"}
    project.run().assert_success()
    assert world.doubled() == []
    project.plan().assert_nothing_to_do()


def test_a_create_that_made_nothing(project: Project, things: dict[str, Things]) -> None:
    things["thing"].before["create"] = fail
    project.tools(block("thing.a"))
    ran = project.run()
    assert ran.problem("thing.a").summary == "the service said no"
    assert project.recorded() == []
    assert not project.state().open_operations


def test_a_create_of_which_nobody_can_tell(project: Project, things: dict[str, Things], world: World) -> None:
    def fail_for_good(*_: object) -> None:
        things["thing"].before["read"] = fail
        fail()

    things["thing"].after["create"] = fail_for_good
    project.tools(block("thing.a"))
    assert project.run().outcomes == {"thing.a": "create failed"}
    entry = project.entry("thing.a")
    assert entry.tainted
    assert entry.properties == {}
    things["thing"].after.clear()
    assert project.run().outcomes == {"thing.a": "error failed"}, "while it cannot be read, nothing is tried"
    things["thing"].before.clear()
    assert project.run().assert_success().started == ["update thing.a"]
    assert world.doubled() == []
    project.plan().assert_nothing_to_do()


@pytest.mark.parametrize(
    ("kind", "made", "next_one"),
    [
        ("thing", True, ["update thing.a"]),
        ("plaque", True, ["delete plaque.a", "create plaque.a"]),
        ("stamp", True, ["create stamp.a"]),
        ("fixture", True, []),
        ("fixture", False, ["create fixture.a"]),
        ("blind", True, ["create blind.a"]),
    ],
)
def test_how_a_failed_create_goes_on(
    *,
    project: Project,
    things: dict[str, Things],
    kind: str,
    made: bool,
    next_one: list[str],
) -> None:
    acts = things[kind].after if made else things[kind].before
    acts["create"] = fail
    project.tools(block(f"{kind}.a"))
    project.run()
    acts.clear()
    ran = project.run()
    assert ran.started == next_one
    if kind == "fixture" and made:
        assert project.entry("fixture.a").tainted
        assert ran.plan is not None
        assert [warning.code for warning in ran.plan.warnings] == ["tainted"]
    else:
        ran.assert_success()
        assert not project.entry(f"{kind}.a").tainted
        project.plan().assert_nothing_to_do()


def test_a_blind_tool_remembers_which_hook_failed(project: Project, things: dict[str, Things]) -> None:
    project.tools(block("blind.a", {"value": 1}))
    things["blind"].before["create"] = fail
    project.run()
    assert project.entry("blind.a").failed_action is Action.CREATE
    things["blind"].before.clear()
    project.run().assert_success()
    project.tools(block("blind.a", {"value": 2}))
    things["blind"].before["update"] = fail
    project.run()
    assert project.entry("blind.a").failed_action is Action.UPDATE
    things["blind"].before.clear()
    assert project.run().assert_success().started == ["update blind.a"]


def test_a_failed_update_keeps_the_old_options(
    project: Project, things: dict[str, Things], world: World
) -> None:
    project.tools(block("thing.a", {"value": 1}))
    project.run().assert_success()
    things["thing"].after["update"] = fail
    project.tools(block("thing.a", {"value": 2}))
    project.run()
    entry = project.entry("thing.a")
    assert (entry.options["value"], entry.properties["value"], entry.tainted) == (1, 2, True)
    things["thing"].after.clear()
    assert project.run().assert_success().started == ["update thing.a"]
    project.plan().assert_nothing_to_do()


def test_a_failed_update_that_lost_the_thing(
    project: Project, things: dict[str, Things], world: World
) -> None:
    project.tools(block("thing.a", {"value": 1}))
    project.run().assert_success()
    identity = project.entry("thing.a").outputs["id"]

    def lose(*_: object) -> None:
        world.remove(identity)
        fail()

    things["thing"].before["update"] = lose
    project.tools(block("thing.a", {"value": 2}))
    project.run()
    assert project.recorded() == []
    assert project.run().assert_success().started == ["create thing.a"]


def test_a_replace_whose_second_half_fails(project: Project, things: dict[str, Things], world: World) -> None:
    project.tools(block("thing.a", {"fixed": 1}), block("thing.b", after=["thing.a"]))
    project.run().assert_success()
    things["thing"].before["create"] = fail
    project.tools(block("thing.a", {"fixed": 2}), block("thing.b", {"value": 1}, after=["thing.a"]))
    ran = project.run()
    assert ran.outcomes == {"thing.a": "replace failed", "thing.b": "update skipped"}
    assert project.recorded() == ["thing.b"]
    things["thing"].before.clear()
    assert project.run().assert_success().started == ["create thing.a", "update thing.b"]


def test_a_replace_whose_first_half_fails(project: Project, things: dict[str, Things], world: World) -> None:
    project.tools(block("thing.a", {"fixed": 1}))
    project.run().assert_success()
    things["thing"].before["delete"] = fail
    project.tools(block("thing.a", {"fixed": 2}))
    assert project.run().started == ["delete thing.a"]
    assert [thing["fixed"] for thing in world.things().values()] == [1]
    assert project.plan().actions == {"thing.a": "replace"}


# ---- trying again


class Flaky:
    """Fails so many times."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left = times
        self.error = error

    def __call__(self, *_: object) -> None:
        if self.left:
            self.left -= 1
            raise self.error


@pytest.mark.parametrize(
    ("failures", "retries", "succeeds"), [(2, 2, True), (2, 1, False), (1, 0, False), (0, 3, True)]
)
def test_retries_of_what_changed_nothing(
    *, project: Project, things: dict[str, Things], failures: int, retries: int, succeeds: bool
) -> None:
    things["thing"].before["create"] = Flaky(failures, RetryableError("try later"))
    project.tools(block("thing.a", retries=retries))
    ran = project.run()
    assert ran.outcomes == {"thing.a": "create succeeded" if succeeds else "create failed"}
    assert len(project.calls("create")) == min(failures, retries) + 1
    assert len({call.op_id for call in project.hook_calls.made if call.hook == "create"}) == 1
    assert project.recorded() == (["thing.a"] if succeeds else [])


def test_other_failures_are_not_tried_again(project: Project, things: dict[str, Things]) -> None:
    things["thing"].before["create"] = Flaky(1, OperationError("broken"))
    project.tools(block("thing.a", retries=5))
    assert project.run().outcomes == {"thing.a": "create failed"}
    assert len(project.calls("create")) == 1


def test_a_read_is_tried_again_whatever_it_said(project: Project, things: dict[str, Things]) -> None:
    things["thing"].before["read"] = Flaky(2, OSError("connection reset"))
    project.tools(block("thing.a", retries=2))
    project.run().assert_success()
    assert len(project.calls("read")) == 3
    things["thing"].before["read"] = Flaky(9, OSError("connection reset"))
    assert "OSError: connection reset" in project.run().problem("thing.a").summary


def test_a_retryable_update_failure_changes_no_record(project: Project, things: dict[str, Things]) -> None:
    project.tools(block("thing.a", {"value": 1}))
    project.run().assert_success()
    before = project.entry("thing.a")
    things["thing"].before["update"] = Flaky(1, RetryableError("later"))
    project.tools(block("thing.a", {"value": 2}))
    project.run()
    assert project.entry("thing.a") == before


# ---- time limits


def test_a_command_that_takes_too_long_is_ended_and_has_failed(project: Project) -> None:
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    project.tools(block("command.a", {"create": wait, "read": ["sh", "-c", "exit 3"]}, timeout=0.3))
    ran = project.run()
    assert ran.outcomes == {"command.a": "create failed"}
    assert "took too long" in ran.problem("command.a").summary
    assert project.recorded() == []
    last = project.state().last_run
    assert last is not None
    assert [str(address) for address in last.not_succeeded] == ["command.a"]


def test_a_hook_that_hangs_is_abandoned_and_the_next_run_looks(
    project: Project, things: dict[str, Things], world: World
) -> None:
    over = threading.Event()

    def hang(*_: object) -> None:
        over.wait(60)
        fail()

    things["thing"].after["create thing.deaf"] = hang
    project.patience = 0.05
    project.tools(
        block("thing.deaf", timeout=0.5), block("thing.next", after=["thing.deaf"]), block("thing.other")
    )
    try:
        ran = project.run(parallelism=1)
        assert ran.outcomes["thing.deaf"] == "create unknown"
        assert "does not react" in ran.problem("thing.deaf").summary
        assert ran.outcomes["thing.next"] == "create skipped"
        assert ran.outcomes["thing.other"] == "create succeeded"
        assert [str(address) for address in project.state().open_operations] == ["thing.deaf"]
        things["thing"].after.clear()
        project.tools(block("thing.deaf"), block("thing.next", after=["thing.deaf"]), block("thing.other"))
        assert project.run().assert_success().started == ["update thing.deaf", "create thing.next"]
        assert world.doubled() == []
    finally:
        over.set()


# ---- what is not the plugin's fault


def test_options_that_do_not_fit_once_they_are_known_fail_before_anything_is_called(
    project: Project, things: dict[str, Things]
) -> None:
    project.tools(
        block("noop.a", {"input": "no number"}), block("thing.b", {"count": "${{ noop.a.outputs.output }}"})
    )
    ran = project.run()
    assert ran.outcomes == {"noop.a": "create succeeded", "thing.b": "create failed"}
    assert project.calls("create") == ["noop.a"]
    assert not project.state().open_operations
    assert project.recorded() == ["noop.a"]


def test_a_reporter_that_fails_does_not_stop_a_run(project: Project, things: dict[str, Things]) -> None:
    def closed(event: object) -> None:
        if type(event).__name__ == "OperationStarted":
            raise BrokenPipeError

    project.tools(block("thing.a"), block("thing.b", after=["thing.a"]))
    with pytest.raises(BrokenPipeError):
        project.session(closed).run(lambda _: True)
    assert project.recorded() == ["thing.a", "thing.b"]
    project.plan().assert_nothing_to_do()


def test_a_reporter_that_fails_at_the_plan_stops_before_anything_is_done(
    project: Project, things: dict[str, Things]
) -> None:
    def closed(event: object) -> None:
        raise BrokenPipeError

    project.tools(block("thing.a"))
    with pytest.raises(BrokenPipeError):
        project.session(closed).run(lambda _: True)
    assert project.calls("create") == []


def test_events_are_told_one_at_a_time(project: Project, things: dict[str, Things]) -> None:
    busy = threading.Lock()
    overlaps: list[object] = []

    def tell(event: object) -> None:
        if not busy.acquire(blocking=False):
            overlaps.append(event)
            return
        sum(range(2000))
        busy.release()

    def chatter(tool: Tool, context: Context) -> None:
        for number in range(50):
            context.log.info(str(number))

    things["thing"].before["create"] = chatter
    project.tools(*(block(f"thing.t{number}") for number in range(8)))
    report = project.session(tell).run(lambda _: True)
    assert report is not None
    assert overlaps == []


def test_nothing_more_starts_once_the_state_cannot_be_written(
    project: Project, things: dict[str, Things], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken: list[StateError] = []
    monkeypatch.setattr(StateWriter, "failed", property(lambda _: broken[0] if broken else None))
    things["thing"].after["create thing.t0"] = lambda *_: broken.append(StateError("somebody else wrote it"))
    project.tools(*(block(f"thing.t{number}") for number in range(8)))
    ran = project.run(parallelism=1)
    assert ran.started == ["create thing.t0"]
    assert set(ran.outcomes.values()) == {"create succeeded", "create cancelled"}


def test_a_short_time_limit_holds_for_looking_too(project: Project) -> None:
    slow = ["sh", "-c", "test -e made || exit 3; exec sleep 60"]
    project.tools(block("command.a", {"create": ["touch", "made"], "read": slow}, timeout=5))
    project.run().assert_success()
    project.tools(block("command.a", {"create": ["touch", "made"], "read": slow}, timeout=0.3))
    change = project.plan().change("command.a")
    assert change.error is not None
    assert "took too long" in change.error.summary
