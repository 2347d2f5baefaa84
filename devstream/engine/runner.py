"""`Runner`: the loop that carries out a plan.

The main thread owns everything here; workers run hooks, one writer thread records, and both answer through the
workers' inbox. A change goes through these places, at most one at a time::

    waiting ──> next ──> looks ──(read)──┐          decided at its turn only
                  │                      v
                  └──────────────────> to_begin ──(begin durable)──> runnable ──(hook)──> over
                                          ^                                          │
                                          └── next step (replace, integrate) ────────┘
"""

from __future__ import annotations

import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from devstream.engine.reads import answer_of, read_request
from devstream.engine.turn import decide_at_turn
from devstream.engine.workers import Abandoned, Finished
from devstream.errors import DevstreamError, Diagnostic, Severity
from devstream.model.events import Notice, OperationEnded, OperationStarted, RunEnded, RunStarted
from devstream.model.plan import Action, Outcome, Result, RunReport
from devstream.model.state import Drop
from devstream.planning.provider import ReadRequest
from devstream.record import Immutable, replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devstream.engine.jobs import Job, Jobs
    from devstream.engine.operations import OperationRequest, OperationResult, Operations
    from devstream.engine.workers import Cancellation, Workers
    from devstream.graph.dag import Graph
    from devstream.model.address import Address
    from devstream.model.events import Event
    from devstream.model.plan import Change, Plan
    from devstream.model.state import State
    from devstream.plugins.tool_plugin import ToolPlugin
    from devstream.state.session import StateWriter

__all__ = ["Runner", "Stop", "WINDOW"]

WINDOW = 4
"""Begins go ahead of the workers by so many times the parallelism: every begin is an unknown after a crash."""


class Stop(Immutable, frozen=True):
    """Posted into the inbox by a signal handler: start nothing more, and come to an end."""

    signal: int


class _Durable(Immutable, frozen=True):
    """Posted by the writer: a job's begin is recorded, or could not be."""

    job: Job
    error: DevstreamError | None


class _Look(Immutable, frozen=True):
    """Key of a call that asks `read` before a change is decided."""

    address: Address


class Runner:
    """Carries out one plan.

    Args:
        graph: the config's dependencies, for what is decided at its turn.
        writer: records; it holds the lease.
        jobs: knows what each step calls and records.
        parallelism: how many hooks run at once; the size of ``workers``.
        fail_fast: start nothing more after the first failure.
    """

    def __init__(
        self,
        *,
        run_id: str,
        plan: Plan,
        state: State,
        graph: Graph[Any],
        writer: StateWriter,
        jobs: Jobs,
        operations: Operations,
        workers: Workers,
        plugin: Callable[[str], ToolPlugin],
        emit: Callable[[Event], None],
        folder: Path,
        fail_fast: bool = False,
    ) -> None:
        self._run_id = run_id
        self._plan = plan
        self._state = state
        self._graph = graph
        self._writer = writer
        self._jobs = jobs
        self._operations = operations
        self._workers = workers
        self._plugin = plugin
        self._emit = emit
        self._folder = folder
        self._fail_fast = fail_fast
        self._changes = {change.address: change for change in plan.changes}
        self._waiting = {node: len(before) for node, before in plan.after.items()}
        self._followers: dict[Any, list[Any]] = {node: [] for node in plan.after}
        for node, before in plan.after.items():
            for other in before:
                self._followers[other].append(node)
        self._next = deque(node for node, count in self._waiting.items() if count == 0)
        self._causes: dict[Any, Address] = {}
        self._looks: deque[OperationRequest] = deque()
        self._to_begin: deque[Job] = deque()
        self._careful: deque[Job] = deque()
        self._runnable: deque[Job] = deque()
        self._begun = 0
        self._busy: dict[str, int] = {}
        self._open = len(plan.after)
        self._results: list[Result] = []
        self._protected: list[Address] = []
        self._stopping = ""
        self._halted = False  # set by a worker, to be seen by the others before the main thread hears of it
        self._signal = 0

    def run(self) -> RunReport:
        """Carry out the plan; returns when every change is over, whatever became of it."""
        began = time.monotonic()
        self._emit(RunStarted(self._run_id, sum(1 for change in self._plan.changes if _counts(change))))
        for change in self._plan.changes:
            self._jobs.learn(change)
        self._advance()
        while self._open:
            self._announce()
            self._dispatch()
            self._handle(self._workers.wait())
            while self._workers.has_more:
                self._dispatch()
                self._handle(self._workers.wait())
            self._check_writer()
            self._advance()
        seconds = time.monotonic() - began
        report = RunReport(self._run_id, tuple(self._results), seconds, tuple(self._protected), self._signal)
        self._emit(RunEnded(report))
        return report

    # ---- what is ready

    def _advance(self) -> None:
        """Start everything whose turn has come."""
        while self._next:
            node = self._next.popleft()
            change = self._changes.get(node)
            if change is None:
                self._over(node, self._causes.get(node))
            else:
                self._start(change)

    def _start(self, change: Change) -> None:
        cause = self._causes.get(change.address)
        if change.protected:
            self._leave_protected(change, cause)
        elif not _counts(change) and (cause or self._stopping or change.put is None):
            self._over(change.address, cause)
        elif cause is not None:
            self._end(Result(change.address, change.action, Outcome.SKIPPED, cause=cause), cause)
        elif self._stopping:
            self._call_off(change)
        elif change.action is Action.ERROR:
            self._end(Result(change.address, change.action, Outcome.FAILED, change.error), change.address)
        elif change.action is Action.CONDITIONAL or change.look_again or self._may_be_made(change):
            self._look(change)
        else:
            self._accept(change)

    def _may_be_made(self, change: Change) -> bool:
        """Tell whether somebody who had the lease before may have gone on with an interrupted create."""
        return bool(change.op_id) and not self._writer.is_only

    def _leave_protected(self, change: Change, cause: Address | None) -> None:
        self._protected.append(change.address)
        result = Result(change.address, change.action, Outcome.SKIPPED, change.error, cause)
        self._end(result, change.address if change.action is Action.ERROR else cause)

    def _call_off(self, change: Change) -> None:
        self._end(Result(change.address, change.action, Outcome.CANCELLED), change.address)

    def _accept(self, change: Change) -> None:
        """Take on a change whose action is final."""
        try:
            if change.action is Action.NOOP:
                if change.put is not None:
                    self._writer.record(self._jobs.put(change))
                self._over(change.address)
            elif change.action is Action.FORGET:
                self._writer.record(Drop(change.address, "removed"))
                self._end(Result(change.address, change.action, Outcome.SUCCEEDED))
            else:
                job = self._jobs.job(change)
                (self._careful if job.careful else self._to_begin).append(job)
        except DevstreamError as error:
            self._fail(change, error.diagnostics[0])

    # ---- what is begun

    def _announce(self) -> None:
        """Record begins ahead of need; for a careful job only when a worker is free for it."""
        window = WINDOW * self._workers.size
        while self._to_begin and self._begun < window:
            self._begin(self._to_begin.popleft())
        while self._careful and self._workers.idle > len(self._runnable) and self._begun < window:
            self._begin(self._careful.popleft())

    def _begin(self, job: Job) -> None:
        self._begun += 1
        self._writer.begin(self._jobs.begin(job), lambda error: self._workers.post(_Durable(job, error)))

    def _dispatch(self) -> None:
        """Keep the workers busy: first with what is decided, then with what has to be looked at.

        They find their next call without asking here; what they have not started can be taken back.
        """
        for _ in range(len(self._runnable)):
            if self._workers.room <= 0:
                return
            job = self._runnable.popleft()
            if self._is_full(job.address.name):
                self._runnable.append(job)
                continue
            self._execute(job)
        while self._looks and self._workers.room > 0:
            request = self._looks.popleft()
            call = partial(self._operations.run, request)
            self._workers.submit(_Look(request.address), call, timeout=request.timeout)

    def _is_full(self, name: str) -> bool:
        schema = self._plugin(name).schema
        limit = schema.parallel if schema else None
        return limit is not None and self._busy.get(name, 0) >= limit

    def _execute(self, job: Job) -> None:
        name = job.address.name
        self._busy[name] = self._busy.get(name, 0) + 1
        request = self._jobs.request(job)
        call = partial(self._call, OperationStarted(job.address, job.steps[0], job.attempt), request)
        self._workers.submit(_Running(job), call, timeout=request.timeout)

    def _call(
        self, started: Event, request: OperationRequest, cancellation: Cancellation
    ) -> OperationResult | None:
        """Carry out a step; in a worker. None where it was not started: the main thread has not heard yet why."""
        if self._halted or self._writer.failed is not None:
            return None
        self._emit(started)
        result = self._operations.run(request, cancellation, permit=self._writer.require_lease)
        if result.error is not None and not result.cancelled:
            self._halted = self._fail_fast
        return result

    def _look(self, change: Change) -> None:
        """Let `read` be asked, now that everything upstream is over; without one, decide at once."""
        assert change.tool is not None
        recorded = self._state.tools.get(change.address)
        try:
            job = self._jobs.job(replace(change, action=Action.UPDATE))
        except DevstreamError as error:
            self._fail(change, error.diagnostics[0])
            return
        if job.traits.can_read:
            asked = ReadRequest(change.address, job.options, recorded, change.tool)
            self._looks.append(read_request(asked, self._folder))
        else:
            self._decide(change, None)

    def _decide(self, change: Change, message: Finished | Abandoned | None) -> None:
        if self._stopping:
            self._call_off(change)
            return
        plugin = self._plugin(change.address.name)
        answer = answer_of(message) if message is not None else None
        decided = decide_at_turn(
            change, answer, book=self._jobs.book, graph=self._graph, state=self._state, provider=plugin
        )
        if decided.action is Action.ERROR:
            assert decided.error is not None
            self._fail(decided, decided.error)
        else:
            if decided.action is Action.NOOP:  # it was counted, so who watches hears that it is over
                self._emit(OperationEnded(Result(decided.address, Action.NOOP, Outcome.SUCCEEDED)))
            self._jobs.learn(decided)
            self._accept(decided)

    # ---- what comes back

    def _handle(self, message: object) -> None:
        match message:
            case _Durable(job=job, error=None) if not self._stopping:
                self._runnable.append(job)
            case _Durable(job=job, error=error):
                self._refused(job, error)
            case Finished(key=_Look(address=address)) | Abandoned(key=_Look(address=address)):
                self._decide(self._changes[address], message)
            case Finished(key=_Running(job=job), error=None, value=None):
                self._release(job)
                self._unstarted(job)
            case Finished(key=_Running(job=job), error=None, value=result):
                self._finished(job, result)
            case Finished(error=error) if error is not None:
                raise error  # Operations.run never raises: this is our own defect
            case Abandoned(key=_Running(job=job), reason=reason):
                self._abandoned(job, reason)
            case Stop(signal=number):
                self._stop_for(number)

    def _finished(self, job: Job, result: Any) -> None:
        self._release(job)
        job.seconds += result.seconds
        if result.error is None:
            self._writer.record(self._jobs.succeeded(job, result))
            if job.steps and not self._stopping:
                self._to_begin.appendleft(job)
                return
            outcome = Outcome.CANCELLED if job.steps else Outcome.SUCCEEDED
            self._end(self._result(job, outcome), job.address if job.steps else None)
            return
        end = self._jobs.failed(job, result)
        self._writer.record(end)
        self._end(self._result(job, end.outcome, result.error), job.address)

    def _abandoned(self, job: Job, reason: str) -> None:
        """A hung hook: its begin stays open, and the next run finds out what it did."""
        self._release(job)
        error = Diagnostic(
            f"`{job.steps[0]}` {reason} and does not react", "hook-hangs", address=str(job.address),
            suggestion="the next run looks at what it did",
        )  # fmt: skip
        self._end(self._result(job, Outcome.UNKNOWN, error), job.address)

    def _refused(self, job: Job, error: DevstreamError | None) -> None:
        """A begin that could not be recorded, or came too late: nothing has been touched."""
        self._begun -= 1
        if error is None:
            self._writer.record(self._jobs.called_off(job))
        else:
            self._stop(error.diagnostics[0].summary)
        diagnostic = error.diagnostics[0] if error else None
        self._end(self._result(job, Outcome.CANCELLED, diagnostic), job.address)

    def _release(self, job: Job) -> None:
        self._begun -= 1
        self._busy[job.address.name] -= 1

    def _result(self, job: Job, outcome: Outcome, error: Diagnostic | None = None) -> Result:
        info = job.entry.info if job.entry is not None else {}
        return Result(job.address, job.change.action, outcome, error, seconds=job.seconds, info=info)

    # ---- the end of a change

    def _fail(self, change: Change, error: Diagnostic) -> None:
        located = error if error.address else replace(error, address=str(change.address))
        self._end(Result(change.address, change.action, Outcome.FAILED, located), change.address)

    def _end(self, result: Result, cause: Address | None = None) -> None:
        """Report what became of a change; ``cause`` is whom its descendants are skipped because of."""
        self._results.append(result)
        self._emit(OperationEnded(result))
        if self._fail_fast and result.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
            self._stop("something failed, and --fail-fast is set")
        self._over(result.address, cause)

    def _over(self, node: Any, cause: Address | None = None) -> None:
        self._open -= 1
        for follower in self._followers[node]:
            if cause is not None:
                self._causes.setdefault(follower, cause)
            self._waiting[follower] -= 1
            if self._waiting[follower] == 0:
                self._next.append(follower)

    # ---- stopping

    def _stop_for(self, number: int) -> None:
        self._signal = self._signal or number
        self._stop("interrupted")
        self._workers.cancel_all("the run is being stopped")

    def _check_writer(self) -> None:
        """Stop where nothing can be recorded any more: somebody else may be at work by now."""
        if self._writer.failed is not None:
            self._stop(self._writer.failed.diagnostics[0].summary)

    def _stop(self, why: str) -> None:
        """Start nothing more: what is queued is called off, what runs comes to its end."""
        if self._stopping:
            return
        self._stopping = why
        self._take_back()
        running = sum(self._busy.values())
        self._emit(
            Notice(
                Diagnostic(
                    f"stopping: {why}; waiting for {running} running operations", "stopping", Severity.WARNING
                )
            )
        )
        for job in (*self._to_begin, *self._careful):
            self._end(self._result(job, Outcome.CANCELLED), job.address)
        for job in self._runnable:
            self._begun -= 1
            self._unstarted(job)
        for request in self._looks:
            self._call_off(self._changes[request.address])
        for queue in (self._to_begin, self._careful, self._runnable, self._looks):
            queue.clear()

    def _unstarted(self, job: Job) -> None:
        """End an operation that was begun, and no more."""
        self._writer.record(self._jobs.called_off(job))
        self._end(self._result(job, Outcome.CANCELLED), job.address)

    def _take_back(self) -> None:
        """Take back what no worker has started."""
        for key in self._workers.revoke():
            if isinstance(key, _Running):
                self._busy[key.job.address.name] -= 1
                self._runnable.append(key.job)
            elif isinstance(key, _Look):
                self._call_off(self._changes[key.address])


class _Running(Immutable, frozen=True, eq=False):
    """Key of a call that carries out a job's current step."""

    job: Job


def _counts(change: Change) -> bool:
    """Tell whether a change is one that a run reports."""
    return change.action is not Action.NOOP or change.protected
