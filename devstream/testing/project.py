"""`Project`: a folder with a configuration, and real runs of it inside the test's own process.

::

    pytest_plugins = ["devstream.testing.project"]  # in the root conftest.py

    def test_it_is_made(project):
        project.use(MyTool())
        project.tools(block("my-tool.a", {"size": 3}))
        project.run().assert_success()
        assert project.calls("create") == ["my-tool.a"]
        project.plan().assert_nothing_to_do()
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from textwrap import dedent
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from devstream.engine.session import Invocation, Session
from devstream.engine.workers import Workers
from devstream.errors import DevstreamError
from devstream.hookspecs import hookimpl
from devstream.model.address import Address
from devstream.model.events import OperationStarted, PlanReady
from devstream.model.plan import Action, Outcome
from devstream.model.redact import Redactor

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence
    from pathlib import Path

    from devstream.context import Context, Tool
    from devstream.errors import Diagnostic
    from devstream.model.events import Event
    from devstream.model.plan import Change, Plan, Result, RunReport
    from devstream.model.state import State, ToolState
    from devstream.model.status import Outputs, ResourceStatus
    from devstream.plugins.manager import PluginManager
    from devstream.state.backend import StateBackend

__all__ = ["Project", "PlanResult", "RunResult", "HookCall", "block", "project"]

_IDLE = (Action.NOOP,)


def block(
    address: str, options: Mapping[str, Any] | None = None, *, after: Sequence[str] = (), **fields: Any
) -> dict[str, Any]:
    """Write one block of ``tools:``.

    >>> block("noop.a", {"input": 1}, after=["noop.b"], protect=True)["dependsOn"]
    ['noop.b']
    """
    name, _, instance = address.partition(".")
    return {"name": name, "instanceID": instance, "options": options or {}, "dependsOn": [*after], **fields}


class HookCall(NamedTuple):
    """One call of a hook, noted when it begins."""

    hook: str
    address: str
    op_id: str
    attempt: int
    options: Mapping[str, Any]


class HookCalls:
    """A plugin that notes every hook call of every tool."""

    def __init__(self) -> None:
        self.made: list[HookCall] = []

    def _note(self, hook: str, tool: Tool, context: Context) -> None:
        self.made.append(HookCall(hook, str(tool.address), context.op_id, context.attempt, tool.raw_options))

    @hookimpl(wrapper=True)
    def create(self, tool: Tool, context: Context) -> Generator[None, ResourceStatus, ResourceStatus]:
        """Note it."""
        self._note("create", tool, context)
        return (yield)

    @hookimpl(wrapper=True)
    def read(self, tool: Tool, context: Context) -> Generator[None, ResourceStatus, ResourceStatus]:
        """Note it."""
        self._note("read", tool, context)
        return (yield)

    @hookimpl(wrapper=True)
    def update(self, tool: Tool, context: Context) -> Generator[None, ResourceStatus, ResourceStatus]:
        """Note it."""
        self._note("update", tool, context)
        return (yield)

    @hookimpl(wrapper=True)
    def delete(self, tool: Tool, context: Context) -> Generator[None, None, None]:
        """Note it."""
        self._note("delete", tool, context)
        return (yield)

    @hookimpl(wrapper=True)
    def integrate(self, tool: Tool, context: Context) -> Generator[None, Outputs, Outputs]:
        """Note it."""
        self._note("integrate", tool, context)
        return (yield)


@dataclass(frozen=True)
class PlanResult:
    """What came of `Project.plan`.

    Attributes:
        plan: the plan; None where ``error`` stopped it.
        events: everything that was reported.
    """

    plan: Plan | None
    error: DevstreamError | None = None
    events: tuple[Event, ...] = ()

    @property
    def actions(self) -> dict[str, str]:
        """The action for each address, in the order of execution."""
        return {str(change.address): change.action.value for change in self._plan.changes}

    def change(self, address: str) -> Change:
        """Give the change of one address."""
        return next(change for change in self._plan.changes if str(change.address) == address)

    def reasons(self, address: str) -> str:
        """Give the reasons of one address, as text."""
        return "; ".join(reason.text for reason in self.change(address).reasons)

    @property
    def _plan(self) -> Plan:
        if self.plan is None:
            raise self.error or AssertionError("there was no plan")
        return self.plan

    def assert_nothing_to_do(self) -> None:
        """Make sure that everything is as the configuration says, and recorded so."""
        busy = {str(change.address): change for change in self._plan.changes if _is_busy(change)}
        assert not busy, "\n".join(_describe(change) for change in busy.values())


def _is_busy(change: Change) -> bool:
    return change.action not in _IDLE or change.put is not None


def _describe(change: Change) -> str:
    reasons = "; ".join(reason.text for reason in change.reasons)
    return f"{change.address}: {change.action} ({change.put or reasons}) {change.error or ''}"


@dataclass(frozen=True)
class RunResult(PlanResult):
    """What came of `Project.run`.

    Attributes:
        report: None where there was nothing to do, or ``error`` stopped it.
    """

    report: RunReport | None = None

    @property
    def results(self) -> dict[str, Result]:
        """The result for each address, in the order they ended."""
        return {str(result.address): result for result in self.report.results} if self.report else {}

    @property
    def outcomes(self) -> dict[str, str]:
        """What was done for each address and what came of it: ``{"noop.a": "create succeeded"}``."""
        return {name: f"{result.action} {result.outcome}" for name, result in self.results.items()}

    @property
    def started(self) -> list[str]:
        """Each operation as it was started: ``["create noop.a"]``."""
        return [
            f"{event.action} {event.address}" for event in self.events if isinstance(event, OperationStarted)
        ]

    def problem(self, address: str) -> Diagnostic:
        """Give what is wrong with one address."""
        error = self.results[address].error
        assert error is not None, f"{address}: {self.outcomes[address]}"
        return error

    def assert_success(self) -> RunResult:
        """Make sure that all went well, and that nothing protected was left in place."""
        return self._assert_success(())

    def assert_success_but_protected(self, *addresses: str) -> RunResult:
        """Make sure that all went well but for these, which were left in place."""
        return self._assert_success(addresses)

    def _assert_success(self, left: Sequence[str]) -> RunResult:
        if self.error is not None:
            raise self.error
        bad = [
            f"{name}: {result.action} {result.outcome}: {result.error or result.cause}"
            for name, result in self.results.items()
            if result.outcome is not Outcome.SUCCEEDED and name not in left
        ]
        assert not bad, "\n".join(bad)
        protected = sorted(str(address) for address in self.report.protected) if self.report else []
        assert protected == sorted(left), f"left in place: {protected}"
        return self


class ProjectSession(Session):
    """A session with plugins that are objects of the test, and less patience with hooks that hang."""

    def __init__(self, owner: Project, invocation: Invocation, emit: Callable[[Event], None]) -> None:
        super().__init__(invocation, emit=emit, redactor=owner.redactor, wrap_backend=owner.wrap)
        self._owner = owner

    @cached_property
    def plugins(self) -> PluginManager:
        """The installed plugins, and those of the project."""
        manager = super().plugins
        manager.add(*self._owner.plugins, self._owner.hook_calls)
        return manager

    @cached_property
    def _workers(self) -> Workers:
        return Workers(self._parallelism, patience=self._owner.patience)

    def release(self) -> None:
        """Let go of idle threads: a test suite opens thousands of sessions in one process."""
        if "_workers" in vars(self):
            self._workers.close()


@dataclass
class Project:
    """A configuration in a folder of its own, run for real.

    Attributes:
        folder: holds ``devstream.yaml`` and, by default, the state.
        environ: what ``env`` variables and commands see; of this process's environment only PATH.
        plugins: tool classes, instances of such, and other plugins.
        hook_calls: notes every hook call.
        redactor: knows every secret that was looked up.
        patience: seconds a hook that was told to give up has before it is abandoned.
        wrap: puts something around the state's backend.
    """

    folder: Path
    environ: dict[str, str]
    plugins: list[object] = field(default_factory=list)
    hook_calls: HookCalls = field(default_factory=HookCalls)
    redactor: Redactor = field(default_factory=Redactor)
    patience: float = 15.0
    wrap: Callable[[StateBackend], StateBackend] = lambda backend: backend

    @classmethod
    def at(cls, root: Path) -> Project:
        """Make the folders ``project`` and ``home`` under ``root``."""
        folder, home = root / "project", root / "home"
        folder.mkdir(parents=True)
        home.mkdir()
        return cls(folder, {"PATH": os.environ["PATH"], "HOME": str(home)})

    def use(self, *plugins: object) -> None:
        """Add plugins: ``@tool`` classes or objects."""
        self.plugins += plugins

    def write(self, name: str, text: str) -> Path:
        """Write a file of the folder; common indentation is taken away."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), "utf-8")
        return path

    def config(self, config: str | Mapping[str, Any]) -> None:
        """Write ``devstream.yaml``, from YAML text or from data."""
        self.write(
            "devstream.yaml",
            config if isinstance(config, str) else json.dumps(config, indent=1, ensure_ascii=False),
        )

    def tools(self, *tools: Mapping[str, Any]) -> None:
        """Write a ``devstream.yaml`` of these tools and nothing else."""
        self.config({"tools": list(tools)})

    def session(self, emit: Callable[[Event], None] = lambda _: None, **asked: Any) -> ProjectSession:
        """Open a session; ``asked`` are fields of `devstream.engine.session.Invocation`."""
        fields = {"command": "devstream run", "cwd": self.folder, "environ": self.environ, **asked}
        return ProjectSession(self, Invocation(**fields), emit)

    def plan(self, **asked: Any) -> PlanResult:
        """Make a plan."""
        events: list[Event] = []
        session = self.session(events.append, **asked)
        try:
            return PlanResult(session.plan(), events=tuple(events))
        except DevstreamError as error:
            return PlanResult(None, error, tuple(events))
        finally:
            session.release()

    def run(self, approve: Callable[[Plan], bool] = lambda _: True, **asked: Any) -> RunResult:
        """Plan, approve and carry out."""
        events: list[Event] = []
        report, failure = None, None
        session = self.session(events.append, **asked)
        try:
            report = session.run(approve)
        except DevstreamError as error:
            failure = error
        finally:
            session.release()
        plan = next((event.plan for event in events if isinstance(event, PlanReady)), None)
        return RunResult(plan, failure, tuple(events), report)

    def state(self) -> State:
        """Read what is recorded."""
        return self.session().read_state()

    def entry(self, address: str) -> ToolState:
        """Give what is recorded of one tool."""
        return self.state().tools[Address.parse(address)]

    def recorded(self) -> list[str]:
        """List the addresses that are recorded, sorted: the order in the state is that in which they were done."""
        return sorted(str(address) for address in self.state().tools)

    def calls(self, *hooks: str) -> list[str]:
        """List the addresses for which these hooks were called, in order; with several, as "hook address"."""
        made = [call for call in self.hook_calls.made if not hooks or call.hook in hooks]
        return [call.address if len(hooks) == 1 else f"{call.hook} {call.address}" for call in made]

    def forget_calls(self) -> None:
        """Forget the hook calls noted so far."""
        self.hook_calls.made.clear()

    def close(self) -> None:
        """Forget modules that were imported from the folder."""
        for name, module in list(sys.modules.items()):
            with suppress(AttributeError, TypeError):
                if str(module.__file__).startswith(str(self.folder)):
                    del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path) -> Generator[Project]:
    """Give an empty project."""
    made = Project.at(tmp_path)
    yield made
    made.close()
