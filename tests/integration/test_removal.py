"""Deleting what the configuration lists, and everything there is: order, protection, failures, interrupted removals."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError, Traits, tool
from devstream.errors import DeclinedError
from devstream.planning.removal import Removal
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, Things, World

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.testing.project import PlanResult, RunResult

DELETE, DESTROY = Removal.CONFIGURED, Removal.EVERYTHING


@tool("fixture")
class Fixture(Things):
    """Can be made and looked at, and that is all."""

    traits = Traits(can_update=False, can_delete=False)


@pytest.fixture
def thing() -> Thing:
    return Thing()


@pytest.fixture
def world(project: Project, thing: Thing) -> World:
    project.use(thing, Fixture())
    return World(project.folder / "world")


def made(project: Project, *tools: Any) -> None:
    project.tools(*tools)
    project.run().assert_success()
    project.forget_calls()


def remove(project: Project, what: Removal, **asked: Any) -> RunResult:
    return project.run(removal=what, offline=True, **asked)


def look(project: Project, what: Removal) -> PlanResult:
    return project.plan(removal=what, offline=True)


CHAIN = (
    block("thing.a", {"value": 1}),
    block("thing.b", {"value": "${{ thing.a.outputs.value }}"}),
    block("thing.c", after=["thing.b"]),
)


@pytest.mark.parametrize("what", Removal)
def test_what_stands_on_others_goes_first(project: Project, world: World, what: Removal) -> None:
    made(project, *CHAIN)
    assert list(look(project, what).actions.items()) == [
        ("thing.c", "delete"),
        ("thing.b", "delete"),
        ("thing.a", "delete"),
    ]
    assert world.names() == ["thing.a", "thing.b", "thing.c"]
    assert remove(project, what).assert_success().started == [
        "delete thing.c",
        "delete thing.b",
        "delete thing.a",
    ]
    assert (world.names(), project.recorded()) == ([], [])
    assert project.calls("read", "create", "update", "integrate") == []
    again = remove(project, what)
    assert (again.error, again.report) == (None, None)


def test_delete_goes_by_what_is_recorded(project: Project, world: World) -> None:
    made(project, block("thing.a", {"value": "recorded"}))
    project.tools(block("thing.a", {"value": "of today"}))
    remove(project, DELETE).assert_success()
    assert [call.options["value"] for call in project.hook_calls.made] == ["recorded"]


def test_delete_leaves_alone_what_the_config_does_not_list(project: Project, world: World) -> None:
    made(project, block("thing.a"), block("thing.b", after=["thing.a"]), block("thing.other"))
    project.tools(block("thing.a"), block("thing.new"))
    planned = look(project, DELETE)
    assert planned.actions == {"thing.b": "delete", "thing.a": "delete"}
    assert planned.reasons("thing.b") == "stands on thing.a"
    remove(project, DELETE).assert_success()
    assert (project.recorded(), world.names()) == (["thing.other"], ["thing.other"])


APP = """
    tools:
      - {{name: thing, instanceID: base}}
    apps:
      - name: web
        spec: {{language: python, framework: flask}}
        repo: {{scmType: local, owner: me, name: web}}
        ci: [{{type: thing{extra}}}]
    """


def test_apps_wait_for_tools_and_so_go_before_them(project: Project, world: World) -> None:
    project.config(APP.format(extra=""))
    project.run().assert_success()
    assert remove(project, DESTROY).assert_success().started == ["delete thing.web", "delete thing.base"]


def test_a_protected_app_holds_the_tools_it_waited_for(project: Project, world: World) -> None:
    project.config(APP.format(extra=", protect: true"))
    project.run().assert_success()
    remove(project, DESTROY).assert_success_but_protected("thing.base", "thing.web")
    assert world.names() == ["thing.base", "thing.web"]


def test_what_a_lone_tool_of_the_config_had_under_it_goes_with_it(project: Project, world: World) -> None:
    """The app left the config and was never removed; it waited for the tools that go now."""
    project.config(APP.format(extra=""))
    project.run().assert_success()
    project.tools(block("thing.base"))
    assert look(project, DELETE).actions == {"thing.web": "delete", "thing.base": "delete"}
    assert look(project, DELETE).reasons("thing.web") == "waits for tools that are removed"


def test_destroy_needs_no_config(project: Project, world: World) -> None:
    made(project, *CHAIN)
    (project.folder / "devstream.yaml").unlink()
    elsewhere = project.folder.parent
    url = str(project.folder / "devstream.state")
    ran = remove(project, DESTROY, state_url=url, cwd=elsewhere)
    assert len(ran.assert_success().started) == 3
    assert world.names() == []  # relative paths begin beside the state
    assert project.session(state_url=url).read_state().tools == {}


@pytest.mark.parametrize("what", Removal)
def test_protected_stays_with_all_it_stands_on(project: Project, world: World, what: Removal) -> None:
    a, b, c = CHAIN
    made(project, a, {**b, "protect": True}, c, block("thing.d"))
    ran = remove(project, what).assert_success_but_protected("thing.a", "thing.b")
    assert ran.outcomes["thing.c"] == "delete succeeded"
    assert ran.plan
    assert "thing.b, which is protected, stands on it" in ran.reasons("thing.a")
    assert project.recorded() == world.names() == ["thing.a", "thing.b"]


@pytest.mark.parametrize("what", Removal)
def test_what_was_there_before_is_only_forgotten(project: Project, world: World, what: Removal) -> None:
    for name in ("thing.theirs", "thing.given"):
        world.put({"name": name, "value": None, "fixed": None})
    made(
        project,
        block("thing.theirs", adopt=True),
        block("thing.given", adopt=True, allowDelete=True),
        block("fixture.f"),
    )
    assert remove(project, what).assert_success().outcomes == {
        "thing.theirs": "forget succeeded",
        "thing.given": "delete succeeded",
        "fixture.f": "forget succeeded",
    }
    assert world.names() == ["fixture.f", "thing.theirs"]
    assert project.recorded() == []


@pytest.mark.parametrize("what", Removal)
def test_a_failure_keeps_its_entry_and_all_it_stands_on(
    project: Project, world: World, thing: Thing, what: Removal
) -> None:
    made(project, *CHAIN, block("thing.d"))

    def refuse(*_: Any) -> None:
        message = "still in use"
        raise OperationError(message)

    thing.before["delete thing.b"] = refuse
    ran = remove(project, what)
    assert ran.outcomes == {
        "thing.c": "delete succeeded",
        "thing.d": "delete succeeded",
        "thing.b": "delete failed",
        "thing.a": "delete skipped",
    }
    assert str(ran.results["thing.a"].cause) == "thing.b"
    assert project.recorded() == world.names() == ["thing.a", "thing.b"]
    thing.before.clear()
    remove(project, what).assert_success()
    assert project.recorded() == world.names() == []


def test_a_secret_that_is_not_set_fails_its_tool_only(project: Project, world: World) -> None:
    project.environ["TOKEN"] = "very-secret-token"
    made(project, block("thing.a", {"token": "[[ env TOKEN ]]"}), block("thing.b"))
    del project.environ["TOKEN"]
    ran = remove(project, DESTROY)
    assert ran.outcomes["thing.b"] == "delete succeeded"
    assert "TOKEN" in str(ran.problem("thing.a"))
    project.environ["TOKEN"] = "another-secret-token"
    remove(project, DESTROY).assert_success()
    assert world.names() == []


@pytest.mark.parametrize("what", [DELETE, DESTROY])
def test_a_secret_that_is_written_in_the_config_is_taken_from_there(
    project: Project, world: World, thing: Thing, what: Removal
) -> None:
    """It is recorded nowhere, so the config of today has to say it."""
    seen: list[str] = []
    thing.before["delete"] = lambda tool, _: seen.append(tool.options.token.reveal())
    made(project, block("thing.a", {"token": "written-token"}))
    project.tools(block("thing.a", {"token": "rotated-token"}))
    remove(project, what).assert_success()
    assert seen == ["rotated-token"]
    assert world.names() == []


def test_a_secret_that_left_the_config_cannot_be_known(project: Project, world: World) -> None:
    made(project, block("thing.a", {"token": "written-token"}))
    project.tools()
    assert "put it back into the config" in project.run().problem("thing.a").suggestion
    project.tools(block("thing.a", {"token": "written-token"}))
    remove(project, DELETE).assert_success()
    assert world.names() == []


def test_a_plugin_that_is_gone_keeps_what_it_made(project: Project, world: World) -> None:
    made(project, block("thing.a"), block("fixture.f", after=["thing.a"]), block("thing.b"))
    project.plugins[:] = [plugin for plugin in project.plugins if not isinstance(plugin, Fixture)]
    ran = remove(project, DESTROY)
    assert ran.outcomes == {
        "fixture.f": "error failed",
        "thing.a": "delete skipped",
        "thing.b": "delete succeeded",
    }
    assert project.recorded() == ["fixture.f", "thing.a"]


def test_declined_changes_nothing(project: Project, world: World) -> None:
    made(project, *CHAIN)
    declined = project.run(approve=lambda _: False, removal=DESTROY)
    assert isinstance(declined.error, DeclinedError)
    assert world.names() == project.recorded() == ["thing.a", "thing.b", "thing.c"]


def test_destroy_where_nothing_is_recorded_makes_no_state(project: Project, world: World) -> None:
    project.tools(block("thing.a"))
    assert remove(project, DESTROY).report is None
    assert [path.name for path in project.folder.iterdir()] == ["devstream.yaml"]


PLUGIN = """
    import os, signal
    from pathlib import Path
    from devstream.api import ResourceStatus, hookimpl, tool

    @tool("victim")
    class Victim:
        @hookimpl
        def create(self, tool, context):
            (context.folder / str(tool.address)).touch()
            return ResourceStatus()

        @hookimpl
        def read(self, tool, recorded, context):
            return ResourceStatus() if (context.folder / str(tool.address)).exists() else None

        @hookimpl
        def delete(self, tool, recorded, context):
            die = context.folder / f"die-{os.environ.get('WHEN', '')}-{tool.address}"
            if os.environ.get("WHEN") == "before" and die.exists():
                die.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            (context.folder / str(tool.address)).unlink(missing_ok=True)
            if die.exists():
                die.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
    """


def devstream(project: Project, *argv: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devstream", *argv],
        cwd=project.folder,
        env={**project.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("victim.*"))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("verb", ["delete", "destroy"])
def test_killed_in_the_middle_the_next_one_finishes(project: Project, verb: str, when: str) -> None:
    project.write("devstream_plugins.py", PLUGIN)
    project.tools(
        block("victim.a"), block("victim.b", after=["victim.a"]), block("victim.c", after=["victim.b"])
    )
    assert devstream(project, "run", "-y").returncode == 0
    (project.folder / f"die-{when}-victim.b").touch()
    assert devstream(project, verb, "-y", WHEN=when).returncode == -9
    assert left(project.folder) == ["victim.a", "victim.b"][: 2 if when == "before" else 1]
    assert list(map(str, project.state().open_operations)) == ["victim.b"]
    again = devstream(project, verb, "-y")
    assert again.returncode == 0, again.stderr
    assert left(project.folder) == []
    assert (project.state().tools, project.state().open_operations) == ({}, {})
