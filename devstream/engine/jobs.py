"""`Job`: one change on its way through the runner, and `Jobs`, which knows what each of its steps calls and records."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from devstream.engine.operations import Hook, OperationRequest
from devstream.engine.rebuild import recorded_options
from devstream.errors import ConfigError, OperationError
from devstream.model.plan import Action, Outcome
from devstream.model.recorded import resolve, revealed
from devstream.model.state import Begin, End, Put, PutReason
from devstream.model.status import ResourceStatus
from devstream.model.tool import DEFAULT_TIMEOUT
from devstream.planning.compare import recorded_dependencies
from devstream.planning.outputs import Known, OutputBook, outputs_now
from devstream.planning.upstream import digest, looked_at, upstream_outputs
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from devstream.engine.operations import OperationResult
    from devstream.engine.recording import Recorder
    from devstream.graph.dag import Graph
    from devstream.model.address import Address
    from devstream.model.plan import Change
    from devstream.model.schema import Traits
    from devstream.model.state import LeaseHolder, State, ToolState
    from devstream.model.tool import ToolInstance
    from devstream.model.values import SecretRef
    from devstream.plugins.tool_plugin import ToolPlugin

__all__ = ["Job", "Jobs"]

_NOTHING_KNOWN: Mapping[str, Any] = MappingProxyType({"properties": {}, "outputs": {}, "info": {}})
"""The status of a thing that is made anew."""


@dataclass(slots=True)
class Job:
    """One change being carried out.

    Attributes:
        steps: the operations still to be done, the current one first.
        entry: what is recorded now; None for nothing.
        wanted: what will be recorded once the current step succeeded.
        options: for the hook, references resolved.
        old_options: of a replace, for the delete: what is there goes, not what is wanted.
        careful: neither readable nor repeatable: its begin is an unknown that nobody can settle.
    """

    change: Change
    traits: Traits
    steps: deque[Action]
    entry: ToolState | None
    wanted: ToolState | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    old_options: Mapping[str, Any] = field(default_factory=dict)
    status: ResourceStatus | None = None
    op_id: str = ""
    attempt: int = 1
    seconds: float = 0.0

    @property
    def address(self) -> Address:
        """The address it is about."""
        return self.change.address

    @property
    def careful(self) -> bool:
        """True where an interrupted operation could not be settled by looking or by doing it again."""
        return not self.traits.can_read and not self.traits.repeatable

    @property
    def timeout(self) -> float:
        """Seconds a hook may take."""
        owner = self.change.tool or self.entry
        return (owner.timeout if owner else None) or DEFAULT_TIMEOUT


class Jobs:
    """Makes jobs, and for each step of one its `Begin`, its request and its `End`.

    Attributes:
        book: the outputs of every tool, as they are known at this moment of the run.
    """

    def __init__(
        self,
        *,
        state: State,
        graph: Graph[Any],
        plugin: Callable[[str], ToolPlugin],
        secrets: Callable[[SecretRef], str],
        recorder: Recorder,
        folder: Path,
        holder: LeaseHolder,
        written: Mapping[Address, ToolInstance] | None = None,
    ) -> None:
        self._state = state
        self._graph = graph
        self._plugin = plugin
        self._recorder = recorder
        self._folder = folder
        self._holder = holder
        self._written = written or {}
        self._op_ids = _random_ids()
        self.book = OutputBook(
            secrets, {address: Known(revealed(entry.outputs)) for address, entry in state.tools.items()}
        )

    def learn(self, change: Change) -> None:
        """Let references see the outputs that `read` found."""
        if change.tool is None or change.observed is None or change.observed.outputs is None:
            return
        integrates = self._plugin(change.address.name).traits(change.tool.options).can_integrate
        outputs = outputs_now(change.recorded, change.observed, can_integrate=integrates)
        self.book.known[change.address] = Known(outputs)

    def job(self, change: Change) -> Job:
        """Make the job of a change whose action is final.

        Raises:
            DevstreamError: its options cannot be resolved or do not fit the tool's schema.
        """
        entry = self._state.tools.get(change.address)
        if change.tool is None:
            assert entry is not None
            options = recorded_options(entry, self._state, self._written.get(change.address))
            traits = self._plugin(change.address.name).traits(options)
            return Job(change, traits, deque([Action.DELETE]), entry, options=options)
        traits = self._plugin(change.address.name).traits(change.tool.options)
        job = Job(change, traits, deque(_steps(change.action)), entry, status=_known_status(change, entry))
        if self._is_to_integrate(job):
            job.steps.append(Action.INTEGRATE)
        if change.action is Action.REPLACE:
            assert entry is not None
            job.old_options = recorded_options(entry, self._state, change.tool)
        if change.action is Action.CREATE:
            self.book.known.pop(change.address, None)  # what is recorded of it is gone
        self.resolve(job)
        if change.op_id:
            job.op_id, job.attempt = change.op_id, change.attempt
        return job

    def _is_to_integrate(self, job: Job) -> bool:
        """Tell whether `integrate` follows: there is something to look at, or there was, or nobody knows."""
        traits, entry = job.traits, job.entry
        if not traits.can_integrate or job.steps[0] is Action.INTEGRATE:
            return False
        before = entry is not None and (bool(entry.integrated_with) or not entry.integrated)
        return before or not traits.integrates or bool(looked_at(self._upstream(job), traits.integrates))

    def resolve(self, job: Job) -> None:
        """Resolve the options of a job's tool and check them, now that nothing is unknown any more."""
        tool = job.change.tool
        assert tool is not None
        self.book.start()
        options = resolve(dict(tool.options), self.book)
        if self.book.unknown:
            names = ", ".join(str(address) for address in self.book.unknown)
            raise OperationError(f"waits for outputs of {names}, which are not known", code="unknown-output")
        plugin = self._plugin(tool.address.name)
        found = plugin.check(replace(tool, options=options))
        mistakes = [mistake for mistake in found if mistake.severity == "error"]
        if mistakes:
            raise ConfigError(mistakes)
        job.options = options
        job.wanted = self.wanted(job.change, job.entry)
        if job.change.action is Action.CREATE and job.entry is not None:
            job.wanted = replace(job.wanted, adopted=False, **_NOTHING_KNOWN)
        if job.entry is None and job.change.observed is not None:  # it is taken over
            job.wanted = self._recorder.with_status(job.wanted, job.change.observed)

    def wanted(self, change: Change, previous: ToolState | None) -> ToolState:
        """Make the entry that the config asks for."""
        assert change.tool is not None
        plugin = self._plugin(change.address.name)
        version = plugin.schema.version if plugin.schema else 1
        entry = self._recorder.wanted(
            change.tool,
            self.book,
            dependencies=recorded_dependencies(self._graph.dependencies(change.address)),
            previous=previous,
            plugin=(plugin.distribution, plugin.version, version),
        )
        return replace(entry, adopted=True) if change.put is PutReason.ADOPTED else entry

    def put(self, change: Change) -> Put:
        """Make the record of a change that runs no operation."""
        assert change.put is not None
        previous = self._state.tools.get(change.address)
        entry = self.wanted(change, previous)
        if change.observed is not None:
            entry = self._recorder.with_status(entry, change.observed, replacing=False)
            if change.observed.outputs is not None:  # `learn` has joined them with what `integrate` added
                known = self.book.known[change.address].outputs or {}
                entry = replace(entry, outputs=self._recorder.storable_outputs(known))
        return Put(change.address, entry, change.put)

    def begin(self, job: Job) -> Begin:
        """Make the record that precedes the current step, naming the operation."""
        if not job.op_id:
            job.op_id, job.attempt = next(self._op_ids), 1
        subject = job.entry if job.steps[0] is Action.DELETE else job.wanted
        assert subject is not None
        return Begin(
            job.op_id,
            job.attempt,
            job.address,
            job.steps[0],
            subject,
            self._holder.run_id,
            self._holder.host,
            self._holder.boot_id,
            job.traits.repeatable,
        )

    def request(self, job: Job) -> OperationRequest:
        """Make the call of the current step."""
        owner = job.change.tool or job.entry
        assert owner is not None
        step = job.steps[0]
        replacing = step is Action.DELETE and job.change.tool is not None
        return OperationRequest(
            _hook(step, job.traits),
            job.address,
            job.old_options if replacing else job.options,
            self._folder,
            recorded=job.wanted if job.entry is None and step is Action.UPDATE else job.entry,
            status=job.status,
            upstream=self._upstream(job) if job.change.tool is not None else {},
            op_id=job.op_id,
            attempt=job.attempt,
            retries=owner.retries,
            look_after=step in (Action.CREATE, Action.UPDATE) and job.traits.can_read,
            lineage=self._state.lineage,
            app=owner.app,
            tags=owner.tags,
            timeout=job.timeout,
        )

    def _upstream(self, job: Job) -> dict[str, Mapping[str, Any]]:
        return upstream_outputs(self._graph.dependencies(job.address), self.book.known)

    def succeeded(self, job: Job, result: OperationResult) -> End:
        """Take in a step that succeeded; gives what is recorded of it."""
        step = job.steps.popleft()
        if step is Action.DELETE:
            job.entry = None
            self.book.known.pop(job.address, None)
            job.wanted = replace(job.wanted, adopted=False, **_NOTHING_KNOWN) if job.wanted else None
        elif step is Action.INTEGRATE:
            self._integrated(job, result)
        else:
            self._made(job, result.status or ResourceStatus())
        return self._end(job, Outcome.SUCCEEDED)

    def _made(self, job: Job, status: ResourceStatus) -> None:
        assert job.wanted is not None
        job.status = status
        entry = self._recorder.with_status(job.wanted, status)
        job.entry = replace(
            entry,
            tainted=False,
            failed_action=None,
            integrated=Action.INTEGRATE not in job.steps,
            integrated_with="",
            op_id=job.op_id,
        )
        job.wanted = job.entry
        self._publish(job, status.outputs)

    def _integrated(self, job: Job, result: OperationResult) -> None:
        assert job.wanted is not None
        known = self.book.known.get(job.address, Known({})).outputs or {}
        outputs = {**known, **(result.outputs or {})}
        upstream = looked_at(self._upstream(job), job.traits.integrates)
        job.entry = replace(
            job.wanted,
            integrated=True,
            integrated_with=digest(upstream, self._state.hmac_key),
            outputs=self._recorder.storable_outputs(outputs),
        )
        self._publish(job, outputs)

    def _publish(self, job: Job, outputs: Mapping[str, Any] | None) -> None:
        """Let references see a tool's new outputs; where a plugin did not say, those of before stay."""
        assert job.entry is not None
        if outputs is not None:
            self.book.known[job.address] = Known(outputs)
        else:
            self.book.known.setdefault(job.address, Known(revealed(job.entry.outputs)))

    def failed(self, job: Job, result: OperationResult) -> End:
        """Take in a step that failed; what `read` said right after decides what is recorded."""
        step = job.steps.popleft()
        if step is Action.INTEGRATE and job.entry is not None:
            job.entry = replace(job.entry, integrated=False)
        elif step in (Action.CREATE, Action.UPDATE) and not result.unchanged:
            job.entry = self._after_failure(job, step, result)
        return self._end(job, Outcome.CANCELLED if result.cancelled else Outcome.FAILED)

    def _after_failure(self, job: Job, step: Action, result: OperationResult) -> ToolState | None:
        base = job.entry if step is Action.UPDATE and job.entry is not None else job.wanted
        assert base is not None
        looked = result.looked
        if looked is None or looked.error is not None:
            blind = step if looked is None else None
            return replace(base, tainted=True, failed_action=blind, op_id=job.op_id)
        if looked.status is None:
            return None
        entry = self._recorder.with_status(base, looked.status)
        return replace(entry, tainted=True, failed_action=None, op_id=job.op_id)

    def called_off(self, job: Job) -> End:
        """End an operation that began and was never started."""
        return self._end(job, Outcome.CANCELLED)

    def _end(self, job: Job, outcome: Outcome) -> End:
        op_id, job.op_id = job.op_id, ""
        return End(op_id, outcome, job.entry)


def _random_ids() -> Iterator[str]:
    """Give 128 random bits in hex, again and again; to ask the system for each of them lets other threads go first."""
    size = 16
    while True:
        block = os.urandom(64 * size)
        for start in range(0, len(block), size):
            yield block[start : start + size].hex()


def _known_status(change: Change, entry: ToolState | None) -> ResourceStatus | None:
    """Give what is known of the thing, for an integrate that no create or update precedes."""
    if change.observed is not None or entry is None:
        return change.observed
    return ResourceStatus(entry.properties, dict(revealed(entry.outputs)), entry.info)


def _steps(action: Action) -> list[Action]:
    return [Action.DELETE, Action.CREATE] if action is Action.REPLACE else [action]


def _hook(step: Action, traits: Traits) -> Hook:
    """An update of a tool without `update` calls its `create`."""
    if step is Action.UPDATE and not traits.can_update:
        return Hook.CREATE
    return Hook(step.value)
