"""Laws of whole lives: random graphs and options, runs and removals of some tools, failures in between.

Each case is carried out one operation at a time and eight at once, and has to come to the same.
"""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from devstream.api import Context, OperationError, ResourceStatus, Tool, ToolState, hookimpl, tool
from devstream.errors import UsageError
from devstream.graph.dag import Graph
from devstream.model.plan import Action, Outcome
from devstream.model.recorded import comparable
from devstream.planning.removal import Removal
from devstream.planning.selection import Selectors
from devstream.testing.project import Project, block

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from devstream.model.address import Address
    from devstream.model.plan import Plan
    from devstream.testing.project import RunResult

SHM = Path("/dev/shm")
"""A case writes a hundred small files that nobody needs to keep."""
KINDS = ("unit", "mono")


class Memory:
    """The things that were made, and what was called, in order."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}
        self.failing: Mapping[str, bool] = {}
        self.calls: list[tuple[str, str, str]] = []
        self._lock = threading.Lock()

    def note(self, when: str, hook: str, tool: Tool) -> None:
        with self._lock:
            self.calls.append((when, hook, str(tool.address)))

    def fail(self, tool: Tool, *, afterwards: bool) -> None:
        if self.failing.get(str(tool.address)) is afterwards:
            message = "told to"
            raise OperationError(message)

    def put(self, hook: str, tool: Tool, context: Context) -> ResourceStatus:
        self.note("begin", hook, tool)
        try:
            self.fail(tool, afterwards=False)
            self.made[str(tool.address)] = dict(tool.options)
            self.fail(tool, afterwards=True)
            return ResourceStatus({"made": dict(tool.options)}, {"size": len(context.upstream)})
        finally:
            self.note("end", hook, tool)

    @property
    def operations(self) -> list[tuple[str, str, str]]:
        return [call for call in self.calls if call[1] != "read"]


class Mono:
    """Cannot be updated, so what changes is made anew."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        return self.memory.put("create", tool, context)

    @hookimpl
    def read(self, tool: Tool) -> ResourceStatus | None:
        self.memory.note("begin", "read", tool)
        made = self.memory.made.get(str(tool.address))
        return None if made is None else ResourceStatus({"made": made})

    @hookimpl
    def delete(self, tool: Tool, recorded: ToolState) -> None:
        self.memory.note("begin", "delete", tool)
        try:
            self.memory.fail(tool, afterwards=False)
            self.memory.made.pop(str(tool.address), None)
        finally:
            self.memory.note("end", "delete", tool)


class Unit(Mono):
    """Can be updated, too."""

    @hookimpl
    def update(self, tool: Tool, context: Context) -> ResourceStatus:
        return self.memory.put("update", tool, context)


MonoTool, UnitTool = tool("mono")(Mono), tool("unit")(Unit)

Edges = dict[int, tuple[frozenset[int], frozenset[int]]]
"""For each node what it waits for by dependsOn, and by a reference."""


@dataclass(frozen=True)
class Step:
    """A configuration, and what is done with it.

    Attributes:
        edges: of the nodes that the configuration holds.
        versions: an option of each node.
        failing: nodes whose hooks fail; True: after they have done their work.
        pick: how tools are selected.
    """

    edges: Edges
    versions: tuple[int, ...]
    failing: dict[int, bool]
    removal: Removal | None
    pick: str
    target: frozenset[int]
    exclude: frozenset[int]


@dataclass(frozen=True)
class Case:
    """Some steps over nodes whose kinds stay."""

    kinds: tuple[str, ...]
    steps: tuple[Step, ...] = field(default=())


HOW = (None, None, None, "dependsOn", "reference", "both")
"""How a node may wait for one before it."""


@st.composite
def cases(draw: st.DrawFn, most: int) -> Case:
    """Draw a case of so many steps at most."""
    size = draw(st.integers(3, 6))
    kinds = tuple(draw(st.sampled_from(KINDS)) for _ in range(size))
    return Case(kinds, tuple(draw(steps(size)) for _ in range(draw(st.integers(2, most)))))


@st.composite
def steps(draw: st.DrawFn, size: int) -> Step:
    node = st.integers(0, size - 1)
    kept = sorted(set(range(size)) - draw(st.frozensets(node, max_size=2)))
    edges: Edges = {}
    for at, later in enumerate(kept):
        how = {earlier: draw(st.sampled_from(HOW)) for earlier in kept[:at]}
        edges[later] = (
            frozenset(one for one in how if how[one] in ("dependsOn", "both")),
            frozenset(one for one in how if how[one] in ("reference", "both")),
        )
    return Step(
        edges,
        tuple(draw(st.integers(1, 2)) for _ in range(size)),
        {one: draw(st.booleans()) for one in draw(st.frozensets(node, max_size=1))},
        draw(st.sampled_from([None, None, None, *Removal])),
        draw(st.sampled_from(["all", "target", "target", "exclude", "both", "lf"])),
        draw(st.frozensets(node, min_size=1, max_size=3)),
        draw(st.frozensets(node, min_size=1, max_size=2)),
    )


class Machine:
    """Carries a case out in a project of its own, and checks after each step what has to hold."""

    def __init__(self, case: Case, folder: Path, parallelism: int) -> None:
        self.case = case
        self.parallelism = parallelism
        self.is_serial = parallelism == 1  # plans are the same for both
        self.project, self.memory = Project.at(folder), Memory()
        self.project.use(UnitTool(self.memory), MonoTool(self.memory))

    def live(self) -> list[Any]:
        """Do all steps, and at last run everything; give what came of each."""
        came = [self._step(step) for step in self.case.steps]
        self.memory.failing = {}
        for _ in self.case.kinds:
            if not self._has_to_plan_again():
                break
        self.project.plan().assert_nothing_to_do()
        assert set(self.memory.made) == {self.name(node) for node in self.case.steps[-1].edges}
        return [*came, self.picture()]

    def _has_to_plan_again(self) -> bool:
        """Run everything; at its turn nothing is replaced that the plan has not shown, but then by the next run."""
        ran = self.project.run(parallelism=self.parallelism)
        again = {name for name in ran.results if says_plan_again(ran, name)}
        if not again:
            ran.assert_success()
        return bool(again)

    def name(self, node: int) -> str:
        return f"{self.case.kinds[node]}.n{node}"

    def picture(self) -> Any:
        """Everything recorded but for times and op_ids."""
        state = self.project.state()
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
        left = state.last_run.not_succeeded if state.last_run else {}
        return dict(sorted(entries.items())), dict(state.open_operations), dict(sorted(left.items()))

    def _step(self, step: Step) -> Any:
        self._write(step)
        asked: dict[str, Any] = {"selectors": self._selectors(step), "removal": step.removal}
        if self.is_serial:
            self._check_plan(asked)
        self.memory.failing = {self.name(node): late for node, late in step.failing.items()}
        before, made = self.project.state(), dict(self.memory.made)
        self.memory.calls.clear()
        ran = self.project.run(parallelism=self.parallelism, **asked)
        if ran.error is not None:
            assert isinstance(ran.error, UsageError)
            assert ran.error.diagnostic.code == "all-excluded"
            assert (self.project.state(), self.memory.calls) == (before, [])
            event("all excluded")
            return "excluded"
        if ran.plan is not None:
            self._check_isolation(ran.plan, before.tools, made)
            self._check_exclusion(step, ran.plan, asked["selectors"])
            self._check_outcomes(ran)
            self._check_order(step, ran.plan, before.tools)
        assert set(self.memory.made) == {str(address) for address in self.project.state().tools}
        if self.is_serial and all(result.outcome is Outcome.SUCCEEDED for result in ran.results.values()):
            self._check_done(asked)
        return sorted(ran.outcomes.items()), self.picture()

    def _write(self, step: Step) -> None:
        self.project.tools(
            *(
                block(
                    self.name(node),
                    {
                        "version": step.versions[node],
                        "seen": [
                            f"${{{{ {self.name(other)}.outputs.size }}}}" for other in sorted(references)
                        ],
                    },
                    after=[self.name(other) for other in sorted(before)],
                )
                for node, (before, references) in step.edges.items()
            )
        )

    def _selectors(self, step: Step) -> Selectors | None:
        """Select by what there is: what matches nothing is a mistake, and tested elsewhere."""
        if step.pick == "lf":
            return Selectors(last_failed=True)
        recorded = {str(address) for address in self.project.state().tools}
        configured = {self.name(node) for node in step.edges}
        known = {None: recorded | configured, Removal.CONFIGURED: configured, Removal.EVERYTHING: recorded}
        there = known[step.removal]
        target, exclude = self._names(step.target, there), self._names(step.exclude, there)
        wanted = {
            "target": Selectors(target=target),
            "exclude": Selectors(exclude=exclude),
            "both": Selectors(target=target, exclude=exclude),
        }.get(step.pick, Selectors())
        return wanted if wanted != Selectors() else None

    def _names(self, nodes: Iterable[int], there: set[str]) -> tuple[str, ...]:
        return tuple(name for name in map(self.name, sorted(nodes)) if name in there)

    def _check_plan(self, asked: Mapping[str, Any]) -> None:
        """A plan changes nothing."""
        path = self.project.folder / "devstream.state"
        before = (path.read_bytes() if path.exists() else None, dict(self.memory.made))
        self.memory.calls.clear()
        self.project.plan(**asked)
        assert (path.read_bytes() if path.exists() else None, self.memory.made) == before
        assert self.memory.operations == []

    def _check_isolation(
        self, plan: Plan, before: Mapping[Address, ToolState], made: Mapping[str, Any]
    ) -> None:
        """What the plan is not about is neither called nor recorded anew, and keeps what it stands on."""
        about = {change.address for change in plan.changes}
        assert {address for _, _, address in self.memory.calls} <= {str(address) for address in about}
        after = self.project.state().tools
        by_name = {str(address): address for address in before}
        for address, entry in before.items():
            if address not in about:
                assert after[address] == entry
                assert self.memory.made[str(address)] == made[str(address)]
                ground = {by_name[name] for name in entry.depends_on if name in by_name}
                assert ground <= set(after) or self._failed_replacing(plan, ground - set(after))
        if plan.selection is not None:
            chosen, added = plan.selection.chosen, (*plan.selection.upstream, *plan.selection.standing)
            assert about <= {*chosen, *added}

    def _check_exclusion(self, step: Step, plan: Plan, selectors: Selectors | None) -> None:
        """The plan is not about what is excluded, nor about what is downstream of it."""
        out = set(selectors.exclude) if selectors else set()
        for node, (others, references) in step.edges.items():
            if step.removal is None and {self.name(other) for other in others | references} & out:
                out.add(self.name(node))
        assert out.isdisjoint(str(change.address) for change in plan.changes)

    def _failed_replacing(self, plan: Plan, lost: set[Address]) -> bool:
        """Tell whether things are gone only because they could not be made anew."""
        return all(
            change.tool is not None and str(change.address) in self.memory.failing
            for change in plan.changes
            if change.address in lost
        )

    def _check_outcomes(self, ran: RunResult) -> None:
        """What failed was told to; what was skipped has a failure above it, and nothing else has."""
        assert ran.plan is not None
        after: Graph[Any] = Graph(ran.plan.after)
        outcomes = {result.address: result.outcome for result in ran.results.values()}
        failed = {address for address, outcome in outcomes.items() if outcome is Outcome.FAILED}
        begun = {address for when, _, address in self.memory.operations if when == "begin"}
        again = {name for name in ran.results if says_plan_again(ran, name)}
        assert {str(address) for address in failed} <= {*self.memory.failing, *again}
        for change in ran.plan.changes:
            is_below = bool(after.ancestors([change.address]) & failed)
            outcome = outcomes.get(change.address)
            if outcome is None:
                assert change.action in (Action.NOOP, Action.CONDITIONAL)
            elif outcome is Outcome.SKIPPED:
                assert is_below
            else:
                assert outcome in (Outcome.SUCCEEDED, Outcome.FAILED)
                assert not is_below
            if str(change.address) in begun:
                assert outcome in (Outcome.SUCCEEDED, Outcome.FAILED)

    def _check_order(self, step: Step, plan: Plan, before: Mapping[Address, ToolState]) -> None:
        """Making comes after what is depended on, deleting after what was recorded as depending."""
        begins = {
            (hook, name): at for at, (when, hook, name) in enumerate(self.memory.calls) if when == "begin"
        }
        ends = {(hook, name): at for at, (when, hook, name) in enumerate(self.memory.calls) if when == "end"}
        made = {name: at for (hook, name), at in begins.items() if hook in ("create", "update")}
        for node, (others, references) in step.edges.items():
            for other in others | references:
                for hook in ("create", "update"):
                    end = ends.get((hook, self.name(other)))
                    assert end is None or end < made.get(self.name(node), end + 1)
        replaced = any(change.action is Action.REPLACE for change in plan.changes)
        staying = {str(change.address) for change in plan.changes if change.tool is not None}
        for address, entry in before.items():
            name = str(address)
            let_go = [("delete", name)] if name not in staying else []
            if name in staying and not replaced:
                let_go = [("create", name), ("update", name)]
            for upstream in entry.depends_on:
                begin = begins.get(("delete", upstream))
                for key in let_go:
                    assert begin is None or ends.get(key, -1) < begin

    def _check_done(self, asked: Mapping[str, Any]) -> None:
        """What was done is done: the same once more finds nothing to do, or nothing of that name."""
        again = self.project.plan(**asked)
        if again.error is not None:
            assert isinstance(again.error, UsageError)
        elif asked["removal"] is None:
            again.assert_nothing_to_do()
        else:
            assert again.actions == {}


def says_plan_again(ran: RunResult, name: str) -> bool:
    error = ran.results[name].error
    return error is not None and error.code == "plan-again"


def lived(case: Case, parallelism: int) -> list[Any]:
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as folder:
        return Machine(case, Path(folder) / "p", parallelism).live()


@pytest.mark.timeout(600)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(most=2))
def test_laws(case: Case) -> None:
    assert lived(case, 1) == lived(case, 8)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(4))  # so that several processes share in it
@settings(max_examples=2500, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(case=cases(most=3))
def test_the_same_for_ten_thousand_cases(case: Case, part: int) -> None:
    assert lived(case, 1) == lived(case, 8)
