"""`Session`: one invocation, step by step: load, expand, order, read the state, plan, run.

Each step is a property or a method that does the steps before it when it is first asked for.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

from devstream.engine.emitter import Emitter
from devstream.engine.invocation import DEFAULT_PARALLELISM, Invocation
from devstream.errors import DeclinedError, Diagnostic, Severity
from devstream.model.events import Notice, PlanReady

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from devstream.config.model import Config
    from devstream.engine.expansion import Expanded
    from devstream.engine.late_reads import LateReads
    from devstream.engine.operations import Operations
    from devstream.engine.reads import PoolReads
    from devstream.engine.recording import Recorder
    from devstream.engine.runner import Runner
    from devstream.engine.secrets import SecretResolver
    from devstream.engine.settle import Settled
    from devstream.engine.workers import Workers
    from devstream.graph.dag import Graph
    from devstream.model.address import Address
    from devstream.model.events import Event
    from devstream.model.plan import Plan, RunReport
    from devstream.model.redact import Redactor
    from devstream.model.seen import Seen
    from devstream.model.state import LeaseHolder, State
    from devstream.model.tool import StateLocation, ToolInstance
    from devstream.planning.planner import Wishes
    from devstream.plugins.manager import PluginManager
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Proposal, Propose
    from devstream.state.manager import StateManager
    from devstream.state.session import StateWriter

__all__ = ["Invocation", "Session", "DEFAULT_PARALLELISM"]


CHILDREN_TIMEOUT = 60.0
"""Seconds that children of interrupted operations, all together, are waited for."""


class Session:
    """One invocation.

    Args:
        emit: is told what happens, from any thread, one event at a time.
        redactor: learns every secret that is looked up.
        wrap_backend: puts something around the state's backend; for tests that break it on purpose.
    """

    def __init__(
        self,
        invocation: Invocation,
        *,
        emit: Callable[[Event], None],
        redactor: Redactor,
        wrap_backend: Callable[[StateBackend], StateBackend] = lambda backend: backend,
    ) -> None:
        self._invocation = invocation
        self._emit = Emitter(emit, self._observe)
        self._redactor = redactor
        self._wrap_backend = wrap_backend

    # ---- config

    @cached_property
    def config(self) -> Config:
        """The config, checked but not expanded. Raises `ConfigError` with every mistake."""
        from devstream.config.load import ConfigInputs, load_config

        asked = self._invocation
        return load_config(
            ConfigInputs(
                path=asked.config,
                cwd=asked.cwd,
                variables=asked.variables,
                var_files=asked.var_files,
                env=asked.environ,
                offline=asked.offline,
            )
        )

    @cached_property
    def plugins(self) -> PluginManager:
        """The plugins that may be used; none is loaded yet."""
        from devstream.plugins.manager import PluginManager

        asked = self._invocation
        alone = asked.bare or (asked.state_url is not None and not asked.local_plugins)
        return PluginManager(
            folder=None if alone else self.folder,
            arguments=() if asked.bare else asked.plugins,
            environ=asked.environ,
            observers=not asked.bare,
            report=lambda diagnostic: self._emit.tell(Notice(diagnostic)),
        )

    @cached_property
    def _expanded(self) -> Expanded:
        from devstream.engine.expansion import expand_config

        secrets = None if self._invocation.offline else self.secrets
        return expand_config(self.config, self.plugins, secrets=secrets, conceal=self._redactor.add)

    @property
    def tools(self) -> tuple[ToolInstance, ...]:
        """Every tool instance of the config, expanded and checked."""
        return self._expanded.tools

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the user should know about the config."""
        return (*self.config.warnings, *self._expanded.warnings)

    @cached_property
    def graph(self) -> Graph[Any]:
        """What waits for what: addresses, and the barrier that stands for all of ``tools:``.

        Raises:
            ConfigError: tools wait for each other.
        """
        from devstream.engine.expansion import graph_of

        return graph_of(self.tools)

    # ---- state

    @cached_property
    def folder(self) -> Path:
        """Where relative paths begin: the config's folder; without a config that of a local state, else ``cwd``."""
        asked = self._invocation
        if asked.state_url is None:
            return self.config.settings.folder
        from devstream.engine.locations import folder_of

        return folder_of(self.state_settings, asked.cwd)

    @cached_property
    def _manager(self) -> StateManager:
        from devstream.state.manager import StateManager

        where = self.state_settings
        factory = self.plugins.backend(where.backend)
        base = self.folder if self._invocation.state_url is None else self._invocation.cwd
        return StateManager(self._wrap_backend(factory(where.options, base)))

    @property
    def state_settings(self) -> StateLocation:
        """Which backend has the state, and its options."""
        if self._invocation.state_url is None:
            return self.config.settings.state
        from devstream.engine.locations import parse_state_url

        return parse_state_url(self._invocation.state_url)

    @property
    def state_location(self) -> str:
        """Where the state is, for people and for ``--state``."""
        return self._manager.location

    def read_state(self) -> State:
        """Read the state, without a lease and without writing anything."""
        return self._manager.read()

    def make_state(self) -> bool:
        """Write the first, empty state where there is none yet; tells whether that was so.

        Raises:
            LeaseError: somebody else is running.
            StateError: what is there cannot be used, or nothing can be written there.
        """
        if self.read_state().lineage:
            return False
        timeout = self._invocation.lock_timeout
        with self._manager.acquire(self._holder, timeout=timeout, notice=self._tell_who):
            return True

    def look(self, propose: Propose) -> Proposal:
        """Say what would be recorded, without a lease and without writing anything."""
        return propose(self.backend)

    def edit(self, propose: Propose, approve: Callable[[Proposal], None]) -> Proposal:
        """Record something without touching the world, under the lease.

        Args:
            approve: is shown what is about to be written; raises to prevent it.

        Raises:
            LeaseError: somebody else is running.
            StateError: nothing was changed.
        """
        return self._manager.edit(
            propose,
            self._holder,
            timeout=self._invocation.lock_timeout,
            notice=self._tell_who,
            approve=approve,
        )

    @property
    def backend(self) -> StateBackend:
        """Where the state's bytes are."""
        return self._manager.backend

    def look_at(self, state: State, addresses: Collection[Address]) -> tuple[Seen, ...]:
        """Ask `read` about tools that are recorded; changes nothing and records nothing."""
        from devstream.engine.looking import look_at
        from devstream.engine.signals import leaves_in_order

        with leaves_in_order(self._children.kill):
            return look_at(state, addresses, provider=self.plugins.tool, reads=self._late_reads)

    # ---- plan

    @property
    def _wanted(self) -> tuple[ToolInstance, ...]:
        """Give the tools that are to be there."""
        return () if self._invocation.removal else self.tools

    @property
    def _goal(self) -> Graph[Any]:
        """Give the graph of what is to be there."""
        if not self._invocation.removal:
            return self.graph
        from devstream.graph.dag import Graph

        return Graph({})

    def _wishes(self, state: State) -> Wishes:
        """Say what was asked of the plan."""
        from devstream.engine.wishes import wishes

        listed = () if self._invocation.removal == "everything" else self.tools
        return wishes(self._invocation, state, [tool.address for tool in listed])

    def plan(self) -> Plan:
        """Make a plan; changes nothing and records nothing."""
        from devstream.engine.signals import leaves_in_order

        graph = self._goal  # mistakes in the config come before a look at the state
        with leaves_in_order(self._children.kill):
            settled = self._settle(self.read_state())
            return self._make_plan(settled, graph)

    def _settle(self, state: State) -> Settled:
        from devstream.engine.settle import Settler, began_here

        return Settler(
            state=state,
            wanted={tool.address for tool in self._wanted},
            provider=self.plugins.tool,
            reads=self._late_reads,
            recorder=self._recorder(state),
            wait_for_children=self._wait_for_children,
            local=began_here,
        ).settle()

    def _wait_for_children(self, lineage: str, op_id: str) -> str | None:
        from devstream.state.children import wait_for_children

        left = max(0.0, self._children_until - monotonic())
        return wait_for_children(lineage, op_id, self._invocation.environ, timeout=left)

    @cached_property
    def _children_until(self) -> float:
        """One limit for all of them: a daemon that holds many locks must not be waited for many times."""
        return monotonic() + CHILDREN_TIMEOUT

    def _make_plan(self, settled: Settled, graph: Graph[Any]) -> Plan:
        from devstream.planning.planner import Planner

        plan = Planner(
            tools=self._wanted,
            graph=graph,
            state=settled.state,
            provider=self.plugins.tool,
            reads=self._late_reads,
            secrets=self.secrets,
            wishes=self._wishes(settled.state),
            unfinished=settled.unfinished,
        ).plan()
        self._emit(PlanReady(plan))
        self._emit.check()
        return plan

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
        if self._invocation.removal and self.read_state().is_empty:
            return None
        with ExitStack() as stack:
            stack.enter_context(leaves_in_order(self._children.kill))
            timeout = self._invocation.lock_timeout
            writer = stack.enter_context(
                self._manager.acquire(self._holder, timeout=timeout, notice=self._tell_who)
            )
            settled = self._settle(writer.state)
            writer.record(*settled.ends)
            plan = self._make_plan(settled, graph)
            if not plan.writes and not _has_errors(plan):
                return None
            if _asks(plan) and not approve(plan):
                raise DeclinedError("not approved: nothing was changed")
            report = self._carry_out(plan, settled.state, graph, writer)
        self._emit.check()
        return report

    def _carry_out(self, plan: Plan, state: State, graph: Graph[Any], writer: StateWriter) -> RunReport:
        from devstream.engine.recording import run_record
        from devstream.engine.runner import Stop
        from devstream.engine.signals import stops_in_order

        runner = self._runner(plan, state, graph, writer)
        with stops_in_order(lambda number: self._workers.post(Stop(number)), self._children.kill):
            report = runner.run()
            writer.close(run_record(report, self._invocation.command, since=self._holder.since))
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
        )
        return Runner(
            run_id=self._holder.run_id,
            plan=plan,
            state=state,
            graph=graph,
            writer=writer,
            jobs=jobs,
            operations=self._operations,
            workers=self._workers,
            plugin=self.plugins.tool,
            emit=self._emit,
            folder=self.folder,
            fail_fast=self._invocation.fail_fast,
        )

    def _tell_who(self, holder: LeaseHolder) -> None:
        self._emit(Notice(Diagnostic(f"waiting for {holder}", "lease-held", Severity.WARNING)))

    # ---- what the steps share

    @cached_property
    def _holder(self) -> LeaseHolder:
        from devstream.state.holder import this_process

        return this_process(os.urandom(8).hex(), self._invocation.command)

    @cached_property
    def secrets(self) -> SecretResolver:
        """Where secrets get their text."""
        from devstream.engine.secrets import SecretResolver

        return SecretResolver(
            self.plugins.secret_source,
            environ=self._invocation.environ,
            folder=self.folder,
            redactor=self._redactor,
        )

    @cached_property
    def _children(self) -> Any:
        from devstream.engine.children import Children

        return Children()

    @cached_property
    def _operations(self) -> Operations:
        from devstream.engine.operations import Operations
        from devstream.state.children import operation_lock

        environ = self._invocation.environ
        return Operations(
            plugin=self.plugins.tool,
            secrets=self.secrets,
            emit=self._emit,
            conceal=self._redactor.add,
            children=self._children,
            environ=environ,
            lock=lambda lineage, op_id: operation_lock(lineage, op_id, environ),
        )

    @cached_property
    def _workers(self) -> Workers:
        from devstream.engine.workers import Workers

        return Workers(self._invocation.parallelism or self._configured_parallelism or DEFAULT_PARALLELISM)

    @property
    def _configured_parallelism(self) -> int | None:
        return self.config.settings.parallelism if self._invocation.state_url is None else None

    @cached_property
    def _late_reads(self) -> LateReads:
        from devstream.engine.late_reads import LateReads

        return LateReads(lambda: self._reads)

    @cached_property
    def _reads(self) -> PoolReads:
        from devstream.engine.reads import PoolReads

        return PoolReads(
            workers=self._workers, operations=self._operations, folder=self.folder, emit=self._emit
        )

    def _observe(self, event: Event) -> None:
        self.plugins.emit(event)

    def _recorder(self, state: State) -> Recorder:
        from devstream.engine.recording import Recorder

        return Recorder(state.hmac_key)


def _has_errors(plan: Plan) -> bool:
    return any(change.error is not None or change.protected for change in plan.changes)


def _asks(plan: Plan) -> bool:
    """Bookkeeping is not worth a question; what stays because it is protected is worth a look."""
    return any(change.action not in ("noop", "error") or change.protected for change in plan.changes)
