"""Plans in files: carried out as they are, or, where anything they were made from has changed, not at all."""

from __future__ import annotations

from shutil import rmtree
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import ToolSchema, Traits, hookimpl, tool
from devstream.engine.plan_files import load_plan, save_plan
from devstream.errors import ConfigError, ExitCode, StalePlanError
from devstream.model.address import Address
from devstream.planning.saved_changes import Wording
from devstream.planning.selection import Selectors
from devstream.record import replace
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, ThingOptions, Things, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devstream.testing.project import RunResult

CANARY = "canary-4f1e9b7c"


@tool("hub")
class Hub(Things):
    """Is connected with what it waits for."""

    traits = Traits(can_integrate=True)


@tool("blind")
class Blind(Things):
    """Cannot be looked at."""

    traits = Traits(can_read=False)


@tool("thing")
class NewerThing(Thing):
    """A later version of the plugin."""

    @hookimpl
    def devstream_tool_schema(self) -> ToolSchema:
        return ToolSchema(ThingOptions, version=2)


@pytest.fixture
def thing(project: Project) -> Thing:
    made = Thing()
    project.use(made, Hub(), Blind())
    project.environ["TOKEN"] = CANARY
    return made


@pytest.fixture
def world(project: Project, thing: Thing) -> World:
    return World(project.folder / "world")


def save(project: Project, **asked: Any) -> Path:
    """Save a plan, and check that the file holds no secret."""
    saved = project.session(**asked).plan_to_save()
    file = project.folder.parent / "a.plan"
    save_plan(saved, file, Wording(project.redactor.mask), bytes)
    assert CANARY not in file.read_text()
    project.forget_calls()
    return file


def carry_out(project: Project, file: Path, **asked: Any) -> RunResult:
    return project.run(saved=load_plan(file, lambda data, _: data), **asked)


def made(project: Project, *tools: Any) -> None:
    project.tools(*tools)
    project.run().assert_success()


def found(project: Project, world: World) -> Any:
    """Everything that a run could change."""
    return world.things(), project.session(offline=True).read_state()


def identity(world: World, name: str) -> str:
    found = world.find(name)
    assert found
    return found


A = block("thing.a", {"value": 1})
B = block("thing.b", {"value": "${{ thing.a.outputs.value }}"})
HUB = block("hub.h", after=["thing.a"])
SECRET = block("thing.s", {"token": '[[ env("TOKEN") ]]'})


# ---- as it is


def chain(value: int) -> list[Any]:
    return [block("thing.a", {"value": value}), B, HUB, block("thing.kept", protect=True)]


CASES: dict[str, tuple[list[Any], list[Any], dict[str, Any]]] = {
    "from nothing": ([], chain(1), {}),
    "an update, with what is decided at its turn": (chain(1), chain(2), {}),
    "removed": (chain(1), [A, block("thing.kept")], {}),
    "removed, and one is protected": (chain(1), [], {}),
    "bookkeeping": (chain(1), [A, B, HUB, block("thing.kept", protect=False, tags=["x"])], {}),
    "made anew": (chain(1), chain(1), {"replace": ("thing.a",)}),
    "unprotected": (chain(1), [], {"unprotect": ("thing.kept",)}),
    "replaced": ([block("thing.a", {"fixed": 1}), B], [block("thing.a", {"fixed": 2, "value": 3}), B], {}),
    "without looking": (chain(1), chain(2), {"refresh": False}),
    "a secret": ([SECRET], [block("thing.s", {"token": 'x[[ env("TOKEN") ]]', "value": 2})], {}),
    "blind": ([block("blind.a", {"value": 1})], [block("blind.a", {"value": 2})], {}),
    "some": (chain(1), chain(2), {"selectors": Selectors(target=("thing.b",))}),
    "all but some": (chain(1), chain(2), {"selectors": Selectors(exclude=("hub.h",))}),
    "nothing": (chain(1), chain(1), {}),
    "an upstream of everything": (
        [A],
        [A, block("hub.h", after=["thing.a"]), block("thing.c", {"value": "is ${{ hub.h.outputs.value }}"})],
        {},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_does_what_a_run_does(tmp_path: Path, case: str) -> None:
    """Two worlds go the same way: one with a plan and a run of it, one with a plain run."""
    before, after, asked = CASES[case]
    outcomes, ends = [], []
    for name in ("saved", "plain"):
        project = Project.at(tmp_path / name)
        project.environ["TOKEN"] = CANARY
        project.use(Thing(), Hub(), Blind())
        made(project, *before)
        project.tools(*after)
        if name == "saved":
            file = save(project, **asked)
            (project.folder / "devstream.yaml").unlink()
            ran = carry_out(project, file, cwd=tmp_path)
            project.tools(*after)
        else:
            ran = project.run(**asked)
        assert ran.error is None, ran.error
        outcomes.append((ran.outcomes, sorted(map(str, ran.report.protected)) if ran.report else []))
        ends.append(as_recorded(project))
        if "selectors" not in asked and case != "removed, and one is protected":
            project.plan().assert_nothing_to_do()
        project.close()
    assert outcomes[0] == outcomes[1]
    assert ends[0] == ends[1]


def as_recorded(project: Project) -> Any:
    """Give the entries without what differs from run to run."""
    unlike = {"created": "", "updated": "", "op_id": "", "integrated_with": ""}
    return {
        str(address): replace(
            entry, **unlike, outputs={**entry.outputs, "id": ""}, options=without_fingerprints(entry.options)
        )
        for address, entry in project.state().tools.items()
    }


def without_fingerprints(options: Any) -> Any:
    if isinstance(options, dict):
        return {k: "" if k == "fingerprint" else without_fingerprints(item) for k, item in options.items()}
    return options


def test_what_is_decided_at_its_turn(project: Project, world: World) -> None:
    made(project, *chain(1))
    project.tools(*chain(2))
    file = save(project)
    ran = carry_out(project, file).assert_success()
    assert ran.plan
    assert ran.actions["thing.b"] == "conditional"
    assert (
        world.get(identity(world, "thing.b"))
        == {"name": "thing.b", "value": 2, "fixed": None} | {"op_id": project.entry("thing.b").op_id}
        or project.entry("thing.b").properties["value"] == 2
    )


def test_what_it_is_not_about_is_left_alone(project: Project, world: World) -> None:
    other = block("thing.other", {"value": 1})
    made(project, A, other)
    project.tools(block("thing.a", {"value": 2}), other)
    file = save(project)
    world.change(identity(world, "thing.other"), value=77)
    project.tools(A, other, block("thing.new"))
    ran = carry_out(project, file).assert_success()
    assert ran.outcomes == {"thing.a": "update succeeded"}
    assert project.calls("read") == ["thing.a"]
    assert world.names() == ["thing.a", "thing.other"]


def test_nothing_is_read_where_nothing_was(project: Project, world: World) -> None:
    made(project, *chain(1))
    project.tools(*chain(2))
    file = save(project, refresh=False)
    world.change(identity(world, "hub.h"), value=5)
    carry_out(project, file).assert_success()
    assert "read thing.a" not in project.calls("read", "update")


def test_what_cannot_be_planned_fails_again_and_hurts_nobody_else(project: Project, world: World) -> None:
    world.put({"name": "thing.theirs", "value": None, "fixed": None})
    project.tools(block("thing.theirs"), block("thing.on", after=["thing.theirs"]), A)
    ran = carry_out(project, save(project))
    assert ran.outcomes == {
        "thing.theirs": "error failed",
        "thing.on": "create skipped",
        "thing.a": "create succeeded",
    }


def test_a_plan_of_nothing(project: Project, world: World) -> None:
    made(project, A)
    file = save(project)
    world.change(identity(world, "thing.a"), value=5)
    assert carry_out(project, file).assert_success().report is None
    assert project.calls() == []


# ---- no longer so


def step(project: Project, *tools: Any) -> None:
    project.tools(*tools)
    project.run().assert_success()


def another_run(project: Project, world: World) -> None:
    step(project, block("thing.a", {"value": 9}), B, SECRET)


def forgotten(project: Project, world: World) -> None:
    step(project, SECRET)


def changed_outside(project: Project, world: World) -> None:
    world.change(identity(world, "thing.a"), value=9)


def gone(project: Project, world: World) -> None:
    world.remove(identity(world, "thing.a"))


def there_now(project: Project, world: World) -> None:
    world.put({"name": "thing.new", "value": None, "fixed": None})


def recorded_now(project: Project, world: World) -> None:
    step(project, A, B, SECRET, block("thing.new"))


def rotated(project: Project, world: World) -> None:
    project.environ["TOKEN"] = "canary-rotated-77aa"


def unset(project: Project, world: World) -> None:
    del project.environ["TOKEN"]


def upgraded(project: Project, world: World) -> None:
    project.plugins[0] = NewerThing()


def uninstalled(project: Project, world: World) -> None:
    del project.plugins[0]


def another_state(project: Project, world: World) -> None:
    no_state(project, world)
    for name in list(world.things()):
        world.remove(name)
    step(project, A, B, SECRET)


def no_state(project: Project, world: World) -> None:
    (project.folder / "devstream.state").unlink()
    rmtree(project.folder / "devstream.state.d", ignore_errors=True)


def unreadable(project: Project, world: World) -> None:
    def broken(*_: object) -> None:
        message = "no answer"
        raise RuntimeError(message)

    project.plugins[0].before["read thing.b"] = broken  # type: ignore[attr-defined]  # it is a thing


DIFFERENCES: list[tuple[Callable[[Project, World], None], dict[str, str]]] = [
    (another_run, {"thing.a": "what is recorded of it has changed", "thing.b": "recorded of it has changed"}),
    (forgotten, {"thing.a": "is not recorded any more", "thing.b": "is not recorded any more"}),
    (changed_outside, {"thing.a": "has changed outside of devstream"}),
    (gone, {"thing.a": "is gone; it was there"}),
    (there_now, {"thing.new": "is there now; it was not"}),
    (recorded_now, {"thing.new": "is recorded now; it was not"}),
    (rotated, {"": "the secret env:TOKEN has another value"}),
    (unset, {"": "the secret env:TOKEN cannot be looked up"}),
    (upgraded, {"": 'the plugin of "thing" is'}),
    (uninstalled, {"": 'the plugin of "thing": there is no tool "thing"'}),
    (another_state, {"": "is another one: lineage"}),
    (no_state, {"": "is not there any more"}),
    (unreadable, {"thing.b": "cannot be looked at: `read` raised RuntimeError: no answer"}),
]


@pytest.mark.parametrize(("happens", "said"), DIFFERENCES, ids=lambda case: getattr(case, "__name__", ""))
def test_each_difference_is_named_and_nothing_is_done(
    project: Project, world: World, happens: Callable[[Project, World], None], said: dict[str, str]
) -> None:
    made(project, A, B, SECRET)
    new = {"value": "${{ thing.b.outputs.value }} [[ env('TOKEN') ]]"}
    project.tools(
        A, B, block("thing.s", {"token": '[[ env("TOKEN") ]]', "value": 2}), block("thing.new", new)
    )
    project.environ["OTHER"] = "1"
    file = save(project)
    happens(project, world)
    before = found(project, world)
    project.forget_calls()
    ran = carry_out(project, file)
    assert isinstance(ran.error, StalePlanError)
    assert ran.error.exit_code is ExitCode.CONFIG
    head, *differences = ran.error.diagnostics
    assert "stale" in head.summary
    named = {difference.address or "": difference.summary for difference in differences}
    for address, text in said.items():
        assert text in named[address]
    if happens not in (another_run, another_state, no_state, forgotten):
        assert set(named) == set(said)
    assert project.calls("create", "update", "delete") == []
    now = found(project, world)
    assert now[0] == before[0]
    assert now[1].tools == before[1].tools
    again = project.session(saved=load_plan(file, lambda data, _: data))
    with pytest.raises(StalePlanError):
        again.plan()


def test_all_differences_at_once(project: Project, world: World) -> None:
    made(project, A, SECRET)
    project.tools(
        block("thing.a", {"value": 2}), block("thing.s", {"token": '[[ env("TOKEN") ]]', "value": 3})
    )
    file = save(project)
    world.change(identity(world, "thing.a"), value=8)
    world.remove(identity(world, "thing.s"))
    ran = carry_out(project, file)
    assert isinstance(ran.error, StalePlanError)
    assert [item.address for item in ran.error.diagnostics] == [None, "thing.a", "thing.s"]
    assert "2 things are not as when it was made" in str(ran.error)


def test_the_second_time_it_is_stale_by_name(project: Project, world: World) -> None:
    project.tools(A, B)
    file = save(project)
    carry_out(project, file).assert_success()
    before = found(project, world)
    ran = carry_out(project, file)
    assert isinstance(ran.error, StalePlanError)
    assert {"thing.a", "thing.b"} <= {item.address for item in ran.error.diagnostics}
    assert found(project, world) == before


def test_the_folder_has_moved(project: Project, world: World) -> None:
    made(project, A)
    project.tools(block("thing.a", {"value": 2}))
    file = save(project)
    project.folder.rename(project.folder.with_name("elsewhere"))
    ran = carry_out(project, file, cwd=project.folder.parent)
    assert isinstance(ran.error, StalePlanError)
    assert f"the folder {project.folder} is not there" in str(ran.error)
    assert not project.folder.exists(), "no state was begun there"


def test_a_state_that_was_only_made_is_as_good_as_none(project: Project, world: World) -> None:
    project.tools(A)
    file = save(project)
    assert project.session().make_state()
    carry_out(project, file).assert_success()


def test_an_operation_was_interrupted_since(project: Project, world: World) -> None:
    made(project, A)
    project.tools(block("blind.a"), A)
    file = save(project)

    session = project.session()
    with session._manager.acquire(session._holder, timeout=0, notice=lambda _: None) as writer:
        writer.begin(begin_of(project), lambda _: None)
    ran = carry_out(project, file)
    assert isinstance(ran.error, StalePlanError)
    assert [item.address for item in ran.error.diagnostics[1:]] == ["blind.a"]
    assert "was interrupted" in str(ran.error)


def begin_of(project: Project) -> Any:
    from devstream.model.plan import Action
    from devstream.model.state import Begin, ToolState

    address = Address.parse("blind.a")
    return Begin("op", 1, address, Action.CREATE, ToolState(address), "run", "elsewhere", "boot")


# ---- secrets


def test_a_secret_that_is_written_in_the_config_is_refused_with_its_place(
    project: Project, world: World
) -> None:
    project.tools(A, block("thing.s", {"token": CANARY}))
    with pytest.raises(ConfigError) as refused:
        project.session().plan_to_save()
    (problem,) = refused.value.diagnostics
    assert (problem.code, problem.address) == ("secret-in-config", "thing.s")
    assert problem.mark
    assert CANARY not in str(refused.value)
    assert project.run().assert_success().outcomes["thing.s"] == "create succeeded"
    project.tools(block("thing.a", {"value": 2}), block("thing.s", {"token": CANARY}))
    carry_out(project, save(project)).assert_success()  # the plan is not about it


def test_a_secret_that_a_delete_needs_may_have_changed(project: Project, world: World) -> None:
    made(project, SECRET)
    project.tools()
    file = save(project)
    project.environ["TOKEN"] = "canary-rotated-77aa"
    assert carry_out(project, file).assert_success().outcomes == {"thing.s": "delete succeeded"}


def test_a_secret_that_was_found_outside_is_masked(project: Project, world: World) -> None:
    made(project, A, SECRET)
    world.change(identity(world, "thing.a"), value=f"has {CANARY}")
    file = save(project)
    assert "has (secret)" in file.read_text()
    assert carry_out(project, file).assert_success().outcomes == {"thing.a": "update succeeded"}
