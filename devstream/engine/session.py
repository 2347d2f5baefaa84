"""`Session`: one invocation, step by step: load, expand, order, read the state, plan, run.

Each step is a property or a method that does the steps before it when it is first asked for. The steps up to the
state are in `devstream.engine.state_side`.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from devstream.engine.invocation import DEFAULT_PARALLELISM, Invocation
from devstream.engine.state_side import StateSide
from devstream.errors import DeclinedError, DevstreamError
from devstream.model.events import PlanReady

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.engine.recording import Recorder
    from devstream.engine.runner import Runner
    from devstream.engine.saved_plans import SavedPlans
    from devstream.engine.settle import Settled
    from devstream.graph.dag import Graph
    from devstream.model.address import Address
    from devstream.model.plan import Plan, RunReport
    from devstream.model.state import State
    from devstream.model.tool import ToolInstance
    from devstream.planning.planner import Wishes
    from devstream.planning.saved import SavedPlan
    from devstream.planning.scope import Scope
    from devstream.state.session import StateWriter

__all__ = ["Invocation", "Session", "DEFAULT_PARALLELISM"]


class Session(StateSide):
    """One invocation: plans, and carries plans out."""

    # ---- plan

    @property
    def _wanted(self) -> tuple[ToolInstance, ...]:
        """Give the tools that are to be there."""
        return () if self._invocation.removal else self.tools

    @property
    def _goal(self) -> Graph[Any]:
        """Give the graph of what is to be there."""
        if self._invocation.saved is not None:
            from devstream.engine.saved_plans import graph_of_saved

            return graph_of_saved(self._invocation.saved)
        if not self._invocation.removal:
            return self.graph
        from devstream.graph.dag import Graph

        return Graph({})

    @property
    def _listed(self) -> tuple[ToolInstance, ...]:
        """Give the tools of the config, as far as it matters what it lists."""
        return () if self._invocation.removal == "everything" else self.tools

    def _wishes(self, state: State, scope: Scope | None) -> Wishes:
        """Say what was asked of the plan."""
        from devstream.engine.wishes import wishes

        return wishes(self._invocation, state, [tool.address for tool in self._listed], scope)

    def _scope(self, state: State) -> Scope | None:
        """Say which tools the plan is about; None where that is all of them.

        Raises:
            UsageError: the selection matches nothing.
        """
        if self._invocation.selectors is None:
            return None
        from devstream.engine.wishes import scope

        return scope(self._invocation, self._listed, self._goal, state)

    def plan(self) -> Plan:
        """Make a plan; changes nothing and records nothing."""
        from devstream.engine.signals import leaves_in_order

        graph = self._goal  # mistakes in the config come before a look at the state
        with leaves_in_order(self._workshop.children.kill):
            state = self.read_state()
            scope = self._scope(state)
            return self._make_plan(self._settle(state, scope), graph, scope)

    def plan_to_save(self) -> SavedPlan:
        """Make a plan that can be carried out later, as it is; changes nothing and records nothing.

        Raises:
            ConfigError: it would have to hold a secret that is written in the config itself.
        """
        from devstream.engine.signals import leaves_in_order

        graph = self._goal
        with leaves_in_order(self._workshop.children.kill):
            state = self.read_state()
            scope = self._scope(state)
            settled = self._settle(state, scope)
            plan = self._make_plan(settled, graph, scope)
            return self._saved_plans.make(
                plan, settled.state, graph, self._ground, self._invocation, self.config.found
            )

    @property
    def _saved_plans(self) -> SavedPlans:
        from devstream.engine.saved_plans import SavedPlans

        return SavedPlans(
            plugin=self.plugins.tool,
            secrets=self.secrets,
            reads=self._workshop.reads,
            location=self.state_location,
        )

    def _settle(self, state: State, scope: Scope | None) -> Settled:
        from devstream.engine.settle import Settler, began_here

        return Settler(
            state=state,
            wanted=self._wanted_addresses,
            provider=self.plugins.tool,
            reads=self._workshop.reads,
            recorder=self._recorder(state),
            wait_for_children=self._workshop.wait_for_children,
            local=began_here,
            within=self._within(scope),
            written=self._written,
        ).settle()

    @property
    def _written(self) -> Mapping[Address, ToolInstance]:
        """Give the tools of the config by address; none where it is missing or wrong, for `destroy` needs none."""
        try:
            return {tool.address: tool for tool in self.tools}
        except DevstreamError:
            return {}

    @property
    def _wanted_addresses(self) -> set[Address]:
        saved = self._invocation.saved
        if saved is None:
            return {tool.address for tool in self._wanted}
        from devstream.engine.saved_plans import wanted_by

        return wanted_by(saved)

    def _within(self, scope: Scope | None) -> set[Address] | None:
        """Say which addresses are dealt with; None where that is all of them."""
        saved = self._invocation.saved
        if saved is not None and saved.plan.selection is not None:
            return {change.address for change in saved.plan.changes}
        return None if scope is None else scope.addresses

    def _make_plan(self, settled: Settled, graph: Graph[Any], scope: Scope | None) -> Plan:
        saved = self._invocation.saved
        plan = self._saved_plans.renew(saved, settled) if saved else self._planned(settled, graph, scope)
        self._emit(PlanReady(self._as_told(plan)))
        self._emit.check()
        return plan

    def _planned(self, settled: Settled, graph: Graph[Any], scope: Scope | None) -> Plan:
        from devstream.planning.planner import Planner

        return Planner(
            tools=self._wanted if scope is None else scope.tools,
            graph=graph if scope is None else scope.graph,
            state=settled.state,
            provider=self.plugins.tool,
            reads=self._workshop.reads,
            secrets=self.secrets,
            wishes=self._wishes(settled.state, scope),
            unfinished=settled.unfinished,
            selection=None if scope is None else scope.selection,
        ).plan()

    # ---- run

    def run(self, approve: Callable[[Plan], bool]) -> RunReport | None:
        """Plan under the lease, ask, and carry the plan out.

        Args:
            approve: is shown the plan, where it changes or records anything people should decide on.

        Returns:
            What came of it; None where there was nothing to do.

        Raises:
            DeclinedError: ``approve`` said no.
            LeaseError: somebody else is running.
        """
        from devstream.engine.signals import leaves_in_order

        graph = self._goal
        if self._invocation.selectors is not None and self._selects_nothing(graph):
            return None
        if self._invocation.removal and self.read_state().is_empty:
            return None
        if self._invocation.saved is not None:
            self._refuse_another_state(self._invocation.saved)
        with ExitStack() as stack:
            stack.enter_context(leaves_in_order(self._workshop.children.kill))
            timeout = self._invocation.lock_timeout
            self._tell_cautions()
            writer = stack.enter_context(
                self._manager.acquire(self._holder, timeout=timeout, notice=self._tell_who)
            )
            scope = self._scope(writer.state)
            settled = self._settle(writer.state, scope)
            writer.record(*settled.ends)
            plan = self._make_plan(settled, graph, scope)
            if not plan.writes and not _has_errors(plan):
                return None
            if _asks(plan) and not approve(plan):
                raise DeclinedError("not approved: nothing was changed")
            report = self._carry_out(plan, settled.state, graph, writer)
        self._emit.check()
        return report

    def _refuse_another_state(self, saved: SavedPlan) -> None:
        """Look before the lease is taken: that would begin a state where there is none."""
        from devstream.engine.saved_plans import refuse_another_state

        refuse_another_state(saved, self.read_state(), self.state_location)

    def _selects_nothing(self, graph: Graph[Any]) -> bool:
        """Look at what is asked for before anything is written; where nothing is, an empty plan says so."""
        state = self.read_state()
        scope = self._scope(state)
        self._wishes(state, scope)
        if scope is None or scope.selection.chosen:
            return False
        self._make_plan(self._settle(state, scope), graph, scope)
        return True

    def _carry_out(self, plan: Plan, state: State, graph: Graph[Any], writer: StateWriter) -> RunReport:
        from devstream.engine.recording import run_record, untried
        from devstream.engine.runner import Stop
        from devstream.engine.signals import stops_in_order

        runner = self._runner(plan, state, graph, writer)
        with stops_in_order(lambda number: self._workers.post(Stop(number)), self._workshop.children.kill):
            report = runner.run()
            left = untried(plan, report, state)
            writer.close(run_record(report, self._invocation.command, since=self._holder.since, untried=left))
        return report

    def _runner(self, plan: Plan, state: State, graph: Graph[Any], writer: StateWriter) -> Runner:
        from devstream.engine.jobs import Jobs
        from devstream.engine.runner import Runner

        jobs = Jobs(
            state=state,
            graph=graph,
            plugin=self.plugins.tool,
            secrets=self.secrets,
            recorder=self._recorder(state),
            folder=self.folder,
            holder=self._holder,
            written=self._written,
        )
        return Runner(
            run_id=self._holder.run_id,
            plan=plan,
            state=state,
            graph=graph,
            writer=writer,
            jobs=jobs,
            operations=self._workshop.operations,
            workers=self._workers,
            plugin=self.plugins.tool,
            emit=self._emit,
            folder=self.folder,
            fail_fast=self._invocation.fail_fast,
        )

    def _recorder(self, state: State) -> Recorder:
        from devstream.engine.recording import Recorder

        return Recorder(state.hmac_key, keeps_secrets=self._learn_secrets(state))


def _has_errors(plan: Plan) -> bool:
    return any(change.error is not None or change.protected for change in plan.changes)


def _asks(plan: Plan) -> bool:
    """Bookkeeping is not worth a question; what stays because it is protected is worth a look."""
    return any(change.action not in ("noop", "error") or change.protected for change in plan.changes)
