"""`Session`: one invocation, step by step: load, expand, order, read the state, plan, run.

Each step is a property or a method that does the steps before it when it is first asked for.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import cached_property
from typing import TYPE_CHECKING, Any

from devstream.engine.emitter import Emitter
from devstream.errors import ConfigError, DeclinedError, Diagnostic, Severity
from devstream.graph.dag import CycleError, Graph
from devstream.model.events import Notice, PlanReady
from devstream.model.plan import Outcome
from devstream.model.tool import BARRIER
from devstream.record import Immutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from devstream.config.model import Config
    from devstream.engine.operations import Operations
    from devstream.engine.reads import PoolReads
    from devstream.engine.recording import Recorder
    from devstream.engine.runner import Runner
    from devstream.engine.secrets import SecretResolver
    from devstream.engine.settle import Settled
    from devstream.engine.workers import Workers
    from devstream.errors import Mark
    from devstream.model.address import Address
    from devstream.model.events import Event
    from devstream.model.plan import Plan, RunReport
    from devstream.model.redact import Redactor
    from devstream.model.schema import ToolSchema
    from devstream.model.state import Begin, LeaseHolder, RunRecord, State
    from devstream.model.tool import StateLocation, ToolInstance
    from devstream.planning.provider import ReadAnswer, ReadRequest, Reads
    from devstream.plugins.manager import PluginManager
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Proposal, Propose
    from devstream.state.manager import StateManager
    from devstream.state.session import StateWriter

__all__ = ["Invocation", "Session", "DEFAULT_PARALLELISM"]

DEFAULT_PARALLELISM = 10
"""Hooks that run at once, where nothing says otherwise."""


class Invocation(Immutable, frozen=True):
    """What the command line asks for.

    Attributes:
        command: the command as typed, for the records; no values of variables.
        config: ``-f``; None looks for a config in ``cwd``.
        state_url: ``--state``: a state without a config.
        plugins: the values of ``-p``.
        parallelism: ``--parallelism``, else the config's, else `DEFAULT_PARALLELISM`.
        lock_timeout: seconds to wait for the lease.
        offline: an environment variable that is not set is unknown, and no error.
    """

    command: str
    cwd: Path
    environ: Mapping[str, str]
    config: Path | None = None
    state_url: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    plugins: tuple[str, ...] = ()
    parallelism: int | None = None
    refresh: bool = True
    fail_fast: bool = False
    lock_timeout: float = 90.0
    offline: bool = False


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

        folder = self._folder if self._invocation.state_url is None else None
        return PluginManager(
            folder=folder,
            arguments=self._invocation.plugins,
            environ=self._invocation.environ,
            report=lambda diagnostic: self._emit.tell(Notice(diagnostic)),
        )

    @cached_property
    def _expanded(self) -> tuple[tuple[ToolInstance, ...], tuple[Diagnostic, ...]]:
        from devstream.config.expand import expand

        marks = {
            tool.address.name: tool.origin.mark for tool in reversed(self.config.tools) if tool.origin.mark
        }
        self.plugins.load(marks, marks)
        expansion = expand(self.config, self._schema_of)
        names = {
            tool.address.name: tool.origin.mark for tool in reversed(expansion.tools) if tool.origin.mark
        }
        self.plugins.load(names, names)
        return self._checked(expansion.tools, expansion.warnings)

    def _schema_of(self, name: str, mark: Mark | None) -> ToolSchema | None:
        return self.plugins.tool(name, mark).schema

    def _checked(
        self, tools: tuple[ToolInstance, ...], warnings: tuple[Diagnostic, ...]
    ) -> tuple[tuple[ToolInstance, ...], tuple[Diagnostic, ...]]:
        """Bring options into the form their schemas ask for, and report every mistake in them at once."""
        secret = self.secrets if not self._invocation.offline else None
        prepared, found = [], list(warnings)
        for tool in tools:
            plugin = self.plugins.tool(tool.address.name)
            ready = replace(tool, options=plugin.prepare(dict(tool.options), secret))
            self._mask_written_secrets(ready)
            found += plugin.check(ready)
            prepared.append(ready)
        errors = [diagnostic for diagnostic in found if diagnostic.severity == "error"]
        if errors:
            raise ConfigError(errors)
        return tuple(prepared), tuple(found)

    def _mask_written_secrets(self, tool: ToolInstance) -> None:
        """Text that was written in clear at a secret option is a secret from now on."""
        from devstream.engine.answers import secrets_in

        for secret in secrets_in(tool.options):
            if secret.is_resolved and not secret.is_plain:
                self._redactor.add(secret.reveal())

    @property
    def tools(self) -> tuple[ToolInstance, ...]:
        """Every tool instance of the config, expanded and checked."""
        return self._expanded[0]

    @property
    def warnings(self) -> tuple[Diagnostic, ...]:
        """What the user should know about the config."""
        return (*self.config.warnings, *self._expanded[1])

    @cached_property
    def graph(self) -> Graph[Any]:
        """What waits for what: addresses, and the barrier that stands for all of ``tools:``.

        Raises:
            ConfigError: tools wait for each other.
        """
        from devstream.config.references import references_in

        edges: dict[Any, list[Any]] = {BARRIER: []}
        for tool in self.tools:
            edges[tool.address] = [*tool.depends_on]
            edges[tool.address] += [reference.address for reference in references_in(tool.options)]
            if tool.app is None:
                edges[BARRIER].append(tool.address)
            if tool.after_tools:
                edges[tool.address].append(BARRIER)
        try:
            return Graph(edges)
        except CycleError as error:
            raise ConfigError([self._cycle(error)]) from None

    def _cycle(self, error: CycleError) -> Diagnostic:
        from devstream.engine.cycles import describe_cycle

        return describe_cycle(error.path, {tool.address: tool for tool in self.tools})

    # ---- state

    @property
    def _folder(self) -> Path:
        return self.config.settings.folder if self._invocation.state_url is None else self._invocation.cwd

    @cached_property
    def _manager(self) -> StateManager:
        from devstream.state.manager import StateManager

        where = self._state_settings
        factory = self.plugins.backend(where.backend)
        return StateManager(self._wrap_backend(factory(where.options, self._folder)))

    @property
    def _state_settings(self) -> StateLocation:
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

    # ---- plan

    def plan(self) -> Plan:
        """Make a plan; changes nothing and records nothing."""
        from devstream.engine.signals import leaves_in_order

        graph = self.graph  # mistakes in the config come before a look at the state
        with leaves_in_order(self._children.kill):
            settled = self._settle(self.read_state())
            return self._make_plan(settled, graph)

    def _settle(self, state: State) -> Settled:
        from devstream.engine.settle import Settler

        return Settler(
            state=state,
            wanted={tool.address for tool in self.tools},
            provider=self.plugins.tool,
            reads=self._late_reads,
            recorder=self._recorder(state),
            wait_for_children=self._wait_for_children,
            local=_began_here,
        ).settle()

    def _wait_for_children(self, lineage: str, op_id: str) -> str | None:
        from devstream.state.children import wait_for_children

        return wait_for_children(lineage, op_id, self._invocation.environ)

    def _make_plan(self, settled: Settled, graph: Graph[Any]) -> Plan:
        from devstream.planning.planner import Planner, Wishes

        plan = Planner(
            tools=self.tools,
            graph=graph,
            state=settled.state,
            provider=self.plugins.tool,
            reads=self._late_reads,
            secrets=self.secrets,
            wishes=Wishes(refresh=self._invocation.refresh),
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

        graph = self.graph
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
        from devstream.engine.runner import Stop
        from devstream.engine.signals import stops_in_order

        runner = self._runner(plan, state, graph, writer)
        with stops_in_order(lambda number: self._workers.post(Stop(number)), self._children.kill):
            report = runner.run()
            recorder = self._recorder(state)
            writer.close(_run_record(report, self._invocation.command, self._holder, recorder))
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
            folder=self._folder,
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
            folder=self._folder,
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
            folder=self._folder,
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

        return Workers(
            self._invocation.parallelism or self.config.settings.parallelism or DEFAULT_PARALLELISM
        )

    @cached_property
    def _late_reads(self) -> LateReads:
        return LateReads(lambda: self._reads)

    @cached_property
    def _reads(self) -> PoolReads:
        from devstream.engine.reads import PoolReads

        return PoolReads(
            workers=self._workers, operations=self._operations, folder=self._folder, emit=self._emit
        )

    def _observe(self, event: Event) -> None:
        self.plugins.emit(event)

    def _recorder(self, state: State) -> Recorder:
        from devstream.engine.recording import Recorder

        return Recorder(state.hmac_key)


class LateReads:
    """Reads that bring in what they need with the first one: many plans have nothing to read."""

    def __init__(self, reads: Callable[[], Reads]) -> None:
        self._reads = reads

    def start(self, request: ReadRequest) -> None:
        """Begin a read."""
        self._reads().start(request)

    def wait(self) -> tuple[Address, ReadAnswer]:
        """Wait for the next answer."""
        return self._reads().wait()


def _began_here(begin: Begin) -> bool:
    from devstream.state.holder import this_process

    here = this_process("", "")
    return (begin.host, begin.boot_id) == (here.host, here.boot_id)


def _has_errors(plan: Plan) -> bool:
    return any(change.error is not None or change.protected for change in plan.changes)


def _asks(plan: Plan) -> bool:
    """Bookkeeping is not worth a question."""
    return any(change.action not in ("noop", "error") for change in plan.changes)


def _run_record(report: RunReport, command: str, holder: LeaseHolder, recorder: Recorder) -> RunRecord:
    from devstream.model.state import RunRecord

    failed: dict[Address, Outcome] = {
        result.address: result.outcome
        for result in report.results
        if result.outcome in (Outcome.FAILED, Outcome.SKIPPED, Outcome.UNKNOWN)
    }
    return RunRecord(report.run_id, command, holder.since, recorder.clock(), failed)
