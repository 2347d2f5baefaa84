"""What waits for what, how much runs at once, and whom a failure reaches."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstream.api import Context, OperationError, ResourceStatus, Tool, ToolState, hookimpl, tool
from devstream.model.recorded import comparable
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, Things, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Act = Callable[[Tool, Context], None]


class Timeline:
    """Notes when hooks begin and end, in one order, and how many ran at once."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.peak: dict[str, int] = {}
        self._running: dict[str, int] = {}
        self._lock = threading.Lock()

    def begin(self, tool: Tool, _: Context) -> None:
        with self._lock:
            self.lines.append(f"begin {tool.address}")
            self._count(tool.name, 1)
            self._count("all", 1)

    def end(self, tool: Tool, _: Context) -> None:
        with self._lock:
            self.lines.append(f"end {tool.address}")
            self._count(tool.name, -1)
            self._count("all", -1)

    def _count(self, name: str, step: int) -> None:
        self._running[name] = self._running.get(name, 0) + step
        self.peak[name] = max(self.peak.get(name, 0), self._running[name])

    def in_order(self, first: str, then: str) -> bool:
        return self.lines.index(f"end {first}") < self.lines.index(f"begin {then}")

    def watch(self, things: Things, *hooks: str) -> None:
        for hook in hooks:
            things.before[hook] = self.begin
            things.after[hook] = self.end


@tool("single")
class Single(Things):
    """Only two at once."""

    parallel = 2


def failing(*_: object) -> None:
    message = "no"
    raise OperationError(message)


@pytest.fixture
def thing(project: Project) -> Thing:
    made = Thing()
    project.use(made)
    return made


def addresses(count: int, name: str = "thing") -> list[str]:
    return [f"{name}.t{number}" for number in range(count)]


def test_creates_wait_for_dependencies_and_deletes_for_dependents(project: Project, thing: Thing) -> None:
    chain = [
        block("thing.c", after=["thing.b"]),
        block("thing.b", {"value": "${{ thing.a.outputs.id }}"}),
        block("thing.a"),
    ]
    made, removed = Timeline(), Timeline()
    made.watch(thing, "create")
    removed.watch(thing, "delete")
    project.tools(*chain)
    project.run().assert_success()
    project.tools()
    project.run().assert_success()
    assert made.in_order("thing.a", "thing.b")
    assert made.in_order("thing.b", "thing.c")
    assert removed.in_order("thing.c", "thing.b")
    assert removed.in_order("thing.b", "thing.a")


def test_whoever_stays_lets_go_before_its_upstream_is_deleted(project: Project, thing: Thing) -> None:
    project.tools(block("thing.old"), block("thing.user", {"value": "${{ thing.old.outputs.id }}"}))
    project.run().assert_success()
    project.tools(block("thing.user", {"value": "standing alone"}))
    times = Timeline()
    times.watch(thing, "update", "delete")
    project.run().assert_success()
    assert times.in_order("thing.user", "thing.old")


def test_a_failed_letting_go_keeps_the_upstream(project: Project, thing: Thing) -> None:
    project.tools(block("thing.old"), block("thing.user", {"value": "${{ thing.old.outputs.id }}"}))
    project.run().assert_success()
    project.tools(block("thing.user", {"value": "standing alone"}))
    thing.before["update"] = failing
    assert project.run().outcomes == {"thing.user": "update failed", "thing.old": "delete skipped"}


def test_the_delete_half_of_a_replace_waits_for_dependents_that_leave(project: Project, thing: Thing) -> None:
    project.tools(block("thing.base", {"fixed": 1}), block("thing.leaf", after=["thing.base"]))
    project.run().assert_success()
    project.tools(block("thing.base", {"fixed": 2}))
    assert project.run().assert_success().started == [
        "delete thing.leaf",
        "delete thing.base",
        "create thing.base",
    ]


APP = """
tools:
- {name: thing, instanceID: one}
- {name: thing, instanceID: two}
apps:
- name: shop
  spec: {language: python}
  repo: {owner: acme, scmType: local}
  ci: [{type: thing, options: {value: 1}}]
"""


def test_tools_of_apps_wait_for_all_other_tools(project: Project, thing: Thing) -> None:
    times = Timeline()
    times.watch(thing, "create")
    project.config(APP)
    project.run().assert_success()
    assert times.in_order("thing.one", "thing.shop")
    assert times.in_order("thing.two", "thing.shop")
    assert project.entry("thing.shop").depends_on == ("@tools",)
    removed = Timeline()
    removed.watch(thing, "delete")
    project.config({"tools": []})
    project.run().assert_success()
    assert removed.in_order("thing.shop", "thing.one")


def test_a_failure_before_the_barrier_skips_all_apps(project: Project, thing: Thing) -> None:
    thing.before["create thing.two"] = failing
    project.config(APP)
    ran = project.run()
    assert ran.outcomes == {
        "thing.one": "create succeeded",
        "thing.two": "create failed",
        "thing.shop": "create skipped",
    }
    assert str(ran.results["thing.shop"].cause) == "thing.two"


def test_as_many_run_at_once_as_asked_and_no_more(project: Project, thing: Thing) -> None:
    times = Timeline()
    barrier = threading.Barrier(3)

    def begin(tool: Tool, context: Context) -> None:
        times.begin(tool, context)
        barrier.wait(20)  # three have to be here at once, or nobody gets on

    thing.before["create"], thing.after["create"] = begin, times.end
    project.tools(*(block(name) for name in addresses(9)))
    project.run(parallelism=3).assert_success()
    assert times.peak["all"] == 3


def test_one_at_a_time_is_one_at_a_time(project: Project, thing: Thing) -> None:
    times = Timeline()
    times.watch(thing, "create")
    project.tools(*(block(name) for name in addresses(5)))
    project.run(parallelism=1).assert_success()
    assert times.peak["all"] == 1


def test_a_plugins_own_limit_holds_while_others_use_the_rest(project: Project, thing: Thing) -> None:
    single = Single()
    times = Timeline()
    barrier = threading.Barrier(5)  # two of the limited tool and three of the other, at the same time

    def begin(tool: Tool, context: Context) -> None:
        times.begin(tool, context)
        if tool.instance_id in ("t0", "t1") or tool.name == "thing":
            barrier.wait(20)

    for things in (thing, single):
        things.before["create"], things.after["create"] = begin, times.end
    project.use(single)
    project.tools(*(block(name) for name in (*addresses(6, "single"), *addresses(3))))
    project.run(parallelism=8).assert_success()
    assert times.peak["single"] == 2
    assert times.peak["all"] == 5


def test_a_failure_skips_its_descendants_and_nobody_else(project: Project, thing: Thing) -> None:
    project.tools(
        block("thing.root"),
        block("thing.bad", after=["thing.root"]),
        block("thing.child", after=["thing.bad"]),
        block("thing.grandchild", {"value": "${{ thing.child.outputs.id }}"}),
        block("thing.sibling", after=["thing.root"]),
    )
    thing.before["create thing.bad"] = failing
    ran = project.run()
    assert ran.outcomes == {
        "thing.root": "create succeeded",
        "thing.bad": "create failed",
        "thing.child": "create skipped",
        "thing.grandchild": "create skipped",
        "thing.sibling": "create succeeded",
    }
    assert {str(ran.results[name].cause) for name in ("thing.child", "thing.grandchild")} == {"thing.bad"}
    last = project.state().last_run
    assert last is not None
    assert {str(address): outcome.value for address, outcome in last.not_succeeded.items()} == {
        "thing.bad": "failed",
        "thing.child": "skipped",
        "thing.grandchild": "skipped",
    }
    thing.before.clear()
    assert len(project.run().assert_success().outcomes) == 3


def test_fail_fast_starts_nothing_more(project: Project, thing: Thing) -> None:
    thing.before["create thing.t0"] = failing
    project.tools(*(block(name) for name in addresses(8)))
    ran = project.run(fail_fast=True, parallelism=1)
    assert ran.outcomes["thing.t0"] == "create failed"
    assert set(ran.outcomes.values()) == {"create failed", "create cancelled"}
    assert project.calls("create") == ["thing.t0"]
    assert dict(project.state().open_operations) == {}
    thing.before.clear()
    assert len(project.run().assert_success().outcomes) == 8


def test_without_it_the_others_go_on(project: Project, thing: Thing) -> None:
    thing.before["create thing.t0"] = failing
    project.tools(*(block(name) for name in addresses(8)))
    ran = project.run(parallelism=1)
    assert sorted(ran.outcomes.values()) == ["create failed"] + ["create succeeded"] * 7


def test_a_plans_error_skips_dependents_and_the_rest_is_done(project: Project, thing: Thing) -> None:
    World(project.folder / "world").put({"name": "thing.theirs", "value": 1, "fixed": None})
    project.tools(block("thing.theirs"), block("thing.b", after=["thing.theirs"]), block("thing.c"))
    ran = project.run()
    assert ran.outcomes == {
        "thing.theirs": "error failed",
        "thing.b": "create skipped",
        "thing.c": "create succeeded",
    }


def test_errors_alone_are_reported_and_remembered_without_a_question(project: Project, thing: Thing) -> None:
    World(project.folder / "world").put({"name": "thing.theirs", "value": 1, "fixed": None})
    project.tools(block("thing.theirs"))
    ran = project.run(approve=lambda _: pytest.fail("there is nothing to approve"))
    assert ran.outcomes == {"thing.theirs": "error failed"}
    last = project.state().last_run
    assert last is not None
    assert [str(address) for address in last.not_succeeded] == ["thing.theirs"]


# ---- laws


@tool("unit")
class Unit:
    """Lives in memory; fails where it is told to."""

    def __init__(self) -> None:
        self.failing: frozenset[str] = frozenset()
        self.made: dict[str, Any] = {}

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        if str(tool.address) in self.failing:
            message = "told to"
            raise OperationError(message)
        self.made[str(tool.address)] = dict(tool.options)
        return ResourceStatus({"made": dict(tool.options)}, {"size": len(context.upstream)})

    @hookimpl
    def read(self, tool: Tool) -> ResourceStatus | None:
        made = self.made.get(str(tool.address))
        return None if made is None else ResourceStatus({"made": made})

    @hookimpl
    def update(self, tool: Tool, context: Context) -> ResourceStatus:
        return self.create(tool, context)

    @hookimpl
    def delete(self, tool: Tool, recorded: ToolState) -> None:
        if str(tool.address) in self.failing:
            message = "told to"
            raise OperationError(message)
        self.made.pop(str(tool.address), None)


Graph = dict[int, tuple[frozenset[int], frozenset[int]]]
"""For each node what it waits for by dependsOn, and by a reference."""


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    size = draw(st.integers(1, 9))
    made: Graph = {}
    for node in range(size):
        before = st.frozensets(st.integers(0, node - 1), max_size=3) if node else st.just(frozenset[int]())
        made[node] = (draw(before), draw(before))
    return made


def blocks(graph: Graph, version: int, kept: Iterable[int]) -> list[dict[str, Any]]:
    nodes = set(kept)
    return [
        block(
            f"unit.n{node}",
            {
                "version": version,
                "seen": [f"${{{{ unit.n{other}.outputs.size }}}}" for other in sorted(refs & nodes)],
            },
            after=[f"unit.n{other}" for other in sorted(before & nodes)],
        )
        for node, (before, refs) in graph.items()
        if node in nodes
    ]


def beneath(graph: Graph, tops: frozenset[int]) -> set[int]:
    found: set[int] = set()
    for node, (before, refs) in graph.items():
        if (before | refs) & (found | tops):
            found.add(node)
    return found


def final(project: Project) -> dict[str, Any]:
    """Everything recorded but for times and op_ids."""
    state = project.state()
    entries = {
        str(address): (
            comparable(dict(entry.options)),
            entry.properties,
            entry.outputs,
            entry.tainted,
            entry.depends_on,
        )
        for address, entry in state.tools.items()
    }
    return {"entries": dict(sorted(entries.items())), "open": dict(state.open_operations)}


@st.composite
def runs(draw: st.DrawFn) -> tuple[Graph, frozenset[int], frozenset[int]]:
    graph = draw(graphs())
    nodes = st.sampled_from(sorted(graph))
    return graph, draw(st.frozensets(nodes)), draw(st.frozensets(nodes, max_size=2))


def check_laws(graph: Graph, kept: frozenset[int], bad: frozenset[int], parallelism: int) -> object:
    """Run into failures, again without, and again with fewer tools of another version; give what came of it."""
    with tempfile.TemporaryDirectory() as folder:
        project, unit = Project.at(Path(folder) / "p"), Unit()
        project.use(unit)
        unit.failing = frozenset(f"unit.n{node}" for node in bad)
        project.tools(*blocks(graph, 1, graph))
        first = project.run(parallelism=parallelism).outcomes
        expected = dict.fromkeys(bad, "failed") | dict.fromkeys(beneath(graph, bad), "skipped")
        assert first == {f"unit.n{node}": f"create {expected.get(node, 'succeeded')}" for node in graph}
        after_failures = final(project)
        unit.failing = frozenset()
        project.run(parallelism=parallelism).assert_success()
        project.plan().assert_nothing_to_do()
        project.tools(*blocks(graph, 2, kept))
        project.run(parallelism=parallelism).assert_success()
        project.plan().assert_nothing_to_do()
        assert set(unit.made) == {f"unit.n{node}" for node in kept}
        return after_failures, final(project)


@settings(max_examples=8, deadline=None)
@given(run=runs())
def test_parallel_and_serial_runs_end_alike_and_failures_skip_exactly_descendants(
    run: tuple[Graph, frozenset[int], frozenset[int]],
) -> None:
    assert check_laws(*run, parallelism=1) == check_laws(*run, parallelism=8)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(run=runs())
def test_the_same_for_many_graphs(run: tuple[Graph, frozenset[int], frozenset[int]]) -> None:
    assert check_laws(*run, parallelism=1) == check_laws(*run, parallelism=8)
