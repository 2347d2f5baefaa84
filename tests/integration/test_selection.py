"""Plans, runs and removals of some tools only: what comes along, what is left alone, and what people are told."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError, Traits, tool
from devstream.errors import UsageError
from devstream.planning.removal import Removal
from devstream.planning.selection import Selectors
from devstream.testing.crash import BreakableBackend
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, Things, World

if TYPE_CHECKING:
    from devstream.api import StateBackend


@tool("kept")
class Kept(Things):
    """Takes over what it finds."""

    adopts = True
    traits = Traits(can_integrate=False)


@pytest.fixture
def thing(project: Project) -> Thing:
    made = Thing()
    project.use(made, Kept())
    return made


@pytest.fixture
def world(project: Project) -> World:
    return World(project.folder / "world")


def target(*names: str) -> Selectors:
    return Selectors(target=names)


def exclude(*names: str) -> Selectors:
    return Selectors(exclude=names)


LF = Selectors(last_failed=True)


def id_of(upstream: str) -> dict[str, str]:
    return {"value": f"${{{{ {upstream}.outputs.id }}}}"}


def chain(version: int = 1) -> list[dict[str, Any]]:
    """Three in a row and one apart."""
    return [
        block("thing.a", {"value": version}),
        block("thing.b", id_of("thing.a")),
        block("thing.c", id_of("thing.b"), after=["thing.b"]),
        block("thing.d", {"value": version}),
    ]


def failing(*_: object) -> None:
    message = "no"
    raise OperationError(message)


# ---- runs


def test_what_is_depended_on_comes_along_and_nothing_else_does(project: Project, thing: Thing) -> None:
    project.tools(*chain())
    planned = project.plan(selectors=target("thing.b"))
    assert planned.actions == {"thing.a": "create", "thing.b": "create"}
    ran = project.run(selectors=target("thing.b")).assert_success()
    assert ran.started == ["create thing.a", "create thing.b"]
    assert project.recorded() == ["thing.a", "thing.b"]
    project.plan(selectors=target("thing.b")).assert_nothing_to_do()
    assert project.plan().actions["thing.c"] == "create"
    assert ran.plan is not None
    selection = ran.plan.selection
    assert selection is not None
    assert [*map(str, selection.chosen)] == ["thing.b"]
    assert [*map(str, selection.upstream)] == ["thing.a"]
    assert selection.total == 4


def test_the_barrier_and_all_behind_it_come_along(project: Project, thing: Thing) -> None:
    app: dict[str, Any] = {
        "name": "shop",
        "spec": {"language": "python"},
        "repo": {"owner": "acme", "scmType": "local"},
        "ci": [{"type": "thing", "options": {"value": 1}}],
    }
    other = {**app, "name": "solo", "dependsOn": ["thing.two"]}
    project.config({"tools": [block("thing.one"), block("thing.two")], "apps": [app, other]})
    assert set(project.plan(selectors=target("app:shop")).actions) == {"thing.one", "thing.two", "thing.shop"}
    assert set(project.plan(selectors=target("app:solo")).actions) == {"thing.two", "thing.solo"}
    assert set(project.plan(selectors=exclude("thing.one")).actions) == {"thing.two", "thing.solo"}
    ran = project.run(selectors=target("app:shop")).assert_success()
    assert ran.started[-1] == "create thing.shop"
    assert project.entry("thing.shop").depends_on == ("@tools",)


def test_unselected_tools_are_not_read_and_keep_their_entries(
    project: Project, thing: Thing, world: World
) -> None:
    project.tools(*chain())
    project.run().assert_success()
    before = {name: project.entry(name) for name in project.recorded()}
    world.change(str(before["thing.c"].outputs["id"]), value="drifted")
    project.forget_calls()
    project.tools(*chain(version=2))
    project.run(selectors=target("thing.d")).assert_success()
    assert project.calls() == ["read thing.d", "update thing.d"]
    assert {name: project.entry(name) for name in ["thing.a", "thing.b", "thing.c"]} == {
        name: before[name] for name in ["thing.a", "thing.b", "thing.c"]
    }
    assert project.plan().actions["thing.c"] == "update"


def test_excluded_with_everything_downstream(project: Project, thing: Thing) -> None:
    project.tools(*chain())
    project.run(selectors=exclude("thing.b")).assert_success()
    assert project.recorded() == ["thing.a", "thing.d"]
    both = Selectors(target=("thing.*",), exclude=("thing.c", "thing.d"))
    project.run(selectors=both).assert_success()
    assert project.recorded() == ["thing.a", "thing.b", "thing.d"]


def test_a_referenced_upstream_is_planned_too_so_its_change_arrives(project: Project, thing: Thing) -> None:
    project.tools(block("thing.a", {"fixed": 1}), block("thing.b", id_of("thing.a")))
    project.run().assert_success()
    project.tools(block("thing.a", {"fixed": 2}), block("thing.b", id_of("thing.a")))
    ran = project.run(selectors=target("thing.b")).assert_success()
    assert ran.started == ["delete thing.a", "create thing.a", "update thing.b"]
    assert project.entry("thing.b").properties["value"] == project.entry("thing.a").outputs["id"]
    project.plan().assert_nothing_to_do()


# ---- what has left the config


def test_removed_tools_are_deleted_only_if_selected(project: Project, thing: Thing, world: World) -> None:
    project.tools(*chain())
    project.run().assert_success()
    project.tools(block("thing.d", {"value": 2}))
    assert project.run(selectors=target("thing.d")).assert_success().started == ["update thing.d"]
    assert world.names() == ["thing.a", "thing.b", "thing.c", "thing.d"]
    ran = project.run(selectors=target("thing.b")).assert_success()
    assert ran.started == ["delete thing.c", "delete thing.b"]
    assert project.recorded() == ["thing.a", "thing.d"]
    assert ran.plan is not None
    assert ran.plan.selection is not None
    assert [*map(str, ran.plan.selection.standing)] == ["thing.c"]


def test_who_stays_is_brought_along_to_let_go(project: Project, thing: Thing) -> None:
    project.tools(block("thing.old"), block("thing.base"), block("thing.user", id_of("thing.old")))
    project.run().assert_success()
    project.tools(block("thing.base"), block("thing.user", id_of("thing.base")))
    ran = project.run(selectors=target("thing.old")).assert_success()
    assert ran.started == ["update thing.user", "delete thing.old"]
    project.plan().assert_nothing_to_do()


def test_what_an_excluded_tool_still_stands_on_is_not_deleted(project: Project, thing: Thing) -> None:
    project.tools(block("thing.old"), block("thing.user", id_of("thing.old")), block("thing.more"))
    project.run().assert_success()
    project.tools(block("thing.user", {"value": "alone"}))
    ran = project.run(selectors=exclude("thing.user")).assert_success()
    assert ran.started == ["delete thing.more"]
    assert project.recorded() == ["thing.old", "thing.user"]


@pytest.mark.parametrize("kind", ["thing", "kept"])
def test_a_new_name_is_noticed_though_the_old_one_is_not_selected(
    project: Project, thing: Thing, world: World, kind: str
) -> None:
    """Taken over under its new name, it would be deleted under its old one by the next run of everything."""
    project.tools(block(f"{kind}.old", {"value": 1}))
    project.run().assert_success()
    (identity,) = world.things()
    world.change(identity, name=f"{kind}.new")
    project.tools(block(f"{kind}.new", {"value": 1}))
    planned = project.plan(selectors=target(f"{kind}.new"))
    assert planned.actions == {f"{kind}.new": "error"}
    error = planned.change(f"{kind}.new").error
    assert error is not None
    assert error.suggestion == f"devstream state mv {kind}.old {kind}.new"


# ---- removals


def test_delete_brings_what_stands_on_it_and_says_so(project: Project, thing: Thing) -> None:
    project.tools(*chain())
    project.run().assert_success()
    planned = project.plan(removal=Removal.CONFIGURED, selectors=target("thing.b"))
    assert planned.actions == {"thing.c": "delete", "thing.b": "delete"}
    assert (planned.reasons("thing.b"), planned.reasons("thing.c")) == ("asked for", "stands on thing.b")
    ran = project.run(removal=Removal.CONFIGURED, selectors=target("thing.b")).assert_success()
    assert ran.started == ["delete thing.c", "delete thing.b"]
    assert project.recorded() == ["thing.a", "thing.d"]


@pytest.mark.parametrize("removal", Removal)
def test_what_an_excluded_tool_stands_on_stays(project: Project, thing: Thing, removal: Removal) -> None:
    project.tools(*chain())
    project.run().assert_success()
    ran = project.run(removal=removal, selectors=exclude("thing.b")).assert_success()
    assert ran.started == ["delete thing.d"]
    assert project.recorded() == ["thing.a", "thing.b", "thing.c"]


def test_the_recorded_outputs_of_what_stays_serve_a_delete(project: Project, thing: Thing) -> None:
    project.tools(*chain())
    project.run().assert_success()
    seen: dict[str, Any] = {}
    thing.before["delete thing.b"] = lambda asked, _: seen.update(asked.raw_options)
    project.run(removal=Removal.EVERYTHING, selectors=target("thing.b")).assert_success()
    assert seen["value"] == project.entry("thing.a").outputs["id"]


# ---- what did not succeed


def test_the_last_failures(project: Project, thing: Thing) -> None:
    project.tools(*chain(), block("thing.e"))
    thing.before["create thing.b"] = failing
    project.run()
    assert project.plan(selectors=LF).actions == {
        "thing.a": "noop",
        "thing.b": "create",
        "thing.c": "create",
    }
    thing.before.clear()
    project.tools(*chain(version=2), block("thing.e", {"value": 2}))
    ran = project.run(selectors=LF).assert_success()
    assert ran.started == ["update thing.a", "create thing.b", "create thing.c"]
    assert project.plan().actions == {
        "thing.a": "noop",
        "thing.b": "noop",
        "thing.c": "noop",
        "thing.d": "update",
        "thing.e": "update",
    }


def test_failures_are_remembered_by_runs_that_were_about_something_else(
    project: Project, thing: Thing
) -> None:
    project.tools(*chain())
    thing.before["create thing.b"] = failing
    project.run()
    project.tools(*chain(version=2))
    project.run(selectors=target("thing.d")).assert_success()
    assert set(project.plan(selectors=LF).actions) == {"thing.a", "thing.b", "thing.c"}
    thing.before.clear()
    project.run(selectors=target("thing.b")).assert_success()
    assert set(project.plan(selectors=LF).actions) == {"thing.a", "thing.b", "thing.c"}
    project.run(selectors=LF).assert_success()
    assert project.run(selectors=LF).plan is not None
    assert project.run(selectors=LF).actions == {}


def test_failures_outlive_a_snapshot(project: Project, thing: Thing) -> None:
    """However many records are folded into a snapshot, the last run is in it."""
    big = "x" * 3000
    tools = [block(f"thing.n{number}", {"value": big}) for number in range(30)]
    project.tools(*tools)
    thing.before["create thing.n7"] = failing
    project.run()
    head = json.loads((project.folder / "devstream.state").read_text())
    assert head["snapshot"].get("blob") or head["segments"]
    assert [*project.plan(selectors=LF).actions] == ["thing.n7"]
    for number in (1, 2, 3):  # each run that has something to record folds what was there before
        tools[number] = block(f"thing.n{number}", {"value": big, "note": "again"})
        project.tools(*tools)
        project.run(selectors=target(f"thing.n{number}")).assert_success()
    head = json.loads((project.folder / "devstream.state").read_text())
    assert len(head["history"]) > 1
    assert [*project.plan(selectors=LF).actions] == ["thing.n7"]


def test_nothing_failed_is_nothing_to_do_and_writes_nothing(project: Project, thing: Thing) -> None:
    project.tools(*chain())
    assert project.run(selectors=LF).actions == {}
    assert not (project.folder / "devstream.state").exists()
    project.run().assert_success()
    state = (project.folder / "devstream.state").read_bytes()
    project.forget_calls()
    ran = project.run(selectors=LF, approve=lambda _: pytest.fail("there is nothing to approve"))
    assert (ran.report, ran.actions, ran.error) == (None, {}, None)
    assert project.calls() == []
    assert (project.folder / "devstream.state").read_bytes() == state


# ---- interrupted operations


class Broken:
    """A state that cannot be written any more once a hook was called."""

    def __init__(self, project: Project, thing: Thing) -> None:
        self._project, self._thing = project, thing
        self._made: list[BreakableBackend] = []

    def wrap(self, backend: StateBackend) -> BreakableBackend:
        self._made.append(BreakableBackend(backend))
        return self._made[-1]

    def interrupt(self, address: str) -> None:
        """Interrupt a create after it has made its thing."""

        def crash(*_: object) -> None:
            self._made[-1].broken = True

        self._project.wrap = self.wrap
        self._thing.after[f"create {address}"] = crash
        assert self._project.run(selectors=target(address)).error is not None
        self._thing.after.clear()
        self._project.forget_calls()


def test_an_interrupted_operation_that_is_not_selected_stays_open(
    project: Project, thing: Thing, world: World
) -> None:
    project.tools(*chain())
    Broken(project, thing).interrupt("thing.d")
    (opened,) = project.state().open_operations.values()
    assert str(opened.begin.address) == "thing.d"
    project.run(selectors=target("thing.b")).assert_success()
    assert project.calls("read") == ["thing.a", "thing.b"]
    (still,) = project.state().open_operations.values()
    assert still == opened
    assert project.recorded() == ["thing.a", "thing.b"]
    project.run().assert_success()
    assert not project.state().open_operations
    assert world.doubled() == []


def test_and_counts_as_a_failure(project: Project, thing: Thing, world: World) -> None:
    project.tools(*chain())
    Broken(project, thing).interrupt("thing.d")
    assert project.run(selectors=LF).assert_success().started == ["update thing.d"]
    assert world.names() == ["thing.d"]
    assert not project.state().open_operations


def test_an_open_operation_whose_block_is_gone_is_left_until_it_is_selected(
    project: Project, thing: Thing, world: World
) -> None:
    project.tools(*chain())
    Broken(project, thing).interrupt("thing.d")
    project.tools(*chain()[:3])
    project.run(selectors=target("thing.a")).assert_success()
    assert world.names() == ["thing.a", "thing.d"]
    assert project.run(selectors=target("thing.d")).assert_success().started == ["delete thing.d"]
    assert world.names() == ["thing.a"]
    assert not project.state().open_operations


# ---- mistakes

ASKED = [
    ({"replace": ("thing.d",)}, "--replace: thing.d is not selected"),
    ({"unprotect": ("thing.d",)}, "--unprotect: thing.d is not selected"),
    ({"replace": ("thing.x",)}, '--replace: there is no tool "thing.x"'),
]


@pytest.mark.parametrize(("asked", "said"), ASKED)
def test_wishes_for_what_is_not_selected(
    project: Project, thing: Thing, asked: dict[str, Any], said: str
) -> None:
    project.tools(*chain())
    project.run().assert_success()
    planned = project.plan(selectors=target("thing.b"), **asked)
    assert isinstance(planned.error, UsageError)
    assert planned.error.diagnostic.summary == said


def test_wishes_for_what_is_added_are_fine(project: Project, thing: Thing) -> None:
    project.tools(*chain())
    project.run().assert_success()
    planned = project.plan(selectors=target("thing.b"), replace=("thing.a",))
    assert planned.actions == {"thing.a": "replace", "thing.b": "conditional"}


@pytest.mark.parametrize("removal", [None, Removal.CONFIGURED])
def test_a_selection_that_matches_nothing_writes_nothing(
    project: Project, thing: Thing, removal: Removal | None
) -> None:
    project.tools(*chain())
    ran = project.run(selectors=target("thing.aa"), removal=removal)
    assert isinstance(ran.error, UsageError)
    assert not (project.folder / "devstream.state").exists()


# ---- the command line

CONFIG = """\
tools:
  - {name: noop, instanceID: base, tags: [core]}
  - {name: noop, instanceID: mid, dependsOn: [noop.base]}
  - {name: noop, instanceID: top, dependsOn: [noop.mid], tags: [web]}
  - {name: noop, instanceID: alone}
  - {name: command, instanceID: bad, options: {create: [sh, -c, "test -e ok"]}}
"""
GOOD = CONFIG[: CONFIG.index("  - {name: command")]


def test_the_plan_says_what_it_is_about(bench: Any) -> None:
    bench.write(CONFIG)
    shown = bench("plan", "--target", "noop.mid")
    assert shown.code == 0
    assert "1 of 5 tools selected; added, because others depend on it: noop.base." in shown.out
    assert shown.out.endswith("To carry it out:  devstream run --target noop.mid\n")
    data = bench("plan", "--target", "noop.mid", "-o", "json").data
    assert data["selection"] == {
        "selected": ["noop.mid"],
        "added_upstream": ["noop.base"],
        "added_standing": [],
        "total": 5,
    }
    assert bench("plan", "-o", "json").data["selection"] is None
    assert "selected" not in bench("plan").out


def test_flags_are_carried_into_the_next_command(bench: Any) -> None:
    bench.write(CONFIG)
    flags = ["--target", "noop.*", "--exclude", "tag:web", "-k", "not alone", "--tags", "core"]
    words = "--target 'noop.*' --exclude tag:web -k 'not alone' --tags core"
    assert bench("plan", *flags).out.endswith(f"To carry it out:  devstream run {words}\n")
    ran = bench("run", "-y", *flags)
    assert ran.code == 0
    assert f"devstream plan {words}\n" in ran.out.replace("  what differs from the configuration", "")
    assert f"devstream show outputs {words}" not in ran.out
    failed = bench("run", "-y", "--target", "command.bad")
    assert failed.code == 4
    assert "devstream run --target command.bad" in failed.out
    assert bench("delete", "--dry-run", "--tags", "core").out.endswith("devstream delete --tags core\n")
    assert bench("destroy", "--dry-run", "-k", "base").out.endswith("devstream destroy -k base\n")


def test_the_last_failures_on_the_command_line(bench: Any) -> None:
    bench.write(CONFIG)
    assert bench("run", "-y").code == 4
    again = bench("run", "-y", "--lf")
    assert again.code == 4
    assert "devstream run --lf" in again.out
    data = bench("run", "-y", "--lf", "-o", "json").data
    assert [result["address"] for result in data["results"]] == ["command.bad"]
    assert data["selection"]["selected"] == ["command.bad"]
    bench.write("", "ok")
    mended = bench("run", "-y", "--lf")
    assert mended.code == 0
    assert "--lf" not in mended.out
    for argv in (
        ["run", "-y", "--lf"],
        ["plan", "--lf"],
        ["delete", "--lf"],
        ["destroy", "--lf", "--dry-run"],
    ):
        nothing = bench(*argv)
        assert nothing.code == 0
        assert nothing.out.startswith("Nothing to do: nothing that is meant failed")
    assert bench("run", "-y", "--lf", "-o", "json").data["results"] == []


MISTAKES = [
    # arguments, a part of what is said, the suggestion
    (["plan", "--target", "noop.midd"], 'no tool matches "noop.midd"', 'did you mean "noop.mid"?'),
    (["run", "-y", "--exclude", "noop.tap"], '--exclude: no tool matches "noop.tap"', '"noop.top"'),
    (["delete", "--target", "app:x"], 'no tool matches "app:x"', ""),
    (["verify", "--tags", "wep"], '--tags: no tool matches "wep"', 'did you mean "web"?'),
    (["plan", "-k", "base and"], '-k, column 9: a word has to stand after "and"', "        ^"),
    (["plan", "-k", "nothing"], '-k: no tool matches "nothing"', ""),
    (["show", "status", "noop.midd"], 'no tool matches "noop.midd"', 'did you mean "noop.mid"?'),
    (["run", "--target", "noop.top", "--exclude", "noop.base"], "nothing is left to do", "downstream"),
    (["destroy", "--target", "noop.none"], 'no tool matches "noop.none"', "did you mean"),
    (["run", "--target", "noop.top", "--replace", "noop.alone"], "--replace: noop.alone is not selected", ""),
]


@pytest.mark.parametrize(("argv", "said", "near"), MISTAKES)
def test_mistakes(bench: Any, argv: list[str], said: str, near: str) -> None:
    bench.write(GOOD)
    assert bench("run", "-y").code == 0
    before = bench.contents()
    ended = bench(*argv)
    assert ended.code == 3
    assert said in ended.err
    assert near in ended.err
    assert bench.contents() == before


def test_verify_and_status_of_some(bench: Any) -> None:
    bench.write(GOOD)
    bench("run", "-y", "--target", "noop.mid")
    assert bench("verify", "--target", "noop.mid", "--detailed-exitcode").code == 0
    assert bench("verify", "--detailed-exitcode").code == 2
    assert "1 of 4 tools selected" in bench("verify", "--target", "noop.mid").out
    shown = bench("show", "status", "noop.b*", "-o", "json").data
    assert list(shown["tools"]) == ["noop.base"]
    assert list(bench("show", "status", "-k", "mid", "-o", "json").data["tools"]) == ["noop.mid"]


def test_words_that_look_like_options_and_patterns_survive_a_shell(bench: Any) -> None:
    bench.write(GOOD)
    shown = bench("plan", "-k", "base or (top and not mid)")
    assert shown.out.endswith("devstream run -k 'base or (top and not mid)'\n")
