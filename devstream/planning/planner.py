"""`Planner`: config, state and what `read` says become a plan.

It changes nothing; all it does to the outside world is what the `Reads` handed in do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devstream.errors import DevstreamError, Diagnostic, Severity
from devstream.model.plan import Action, Change, Plan, Reason, ReasonCode
from devstream.model.recorded import has_marks, resolve
from devstream.planning.compare import Comparison, compare
from devstream.planning.decide import Facts, Read, decide, decide_removed
from devstream.planning.outputs import Known, OutputBook
from devstream.planning.provider import ReadAnswer, ReadRequest
from devstream.planning.run_graph import run_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from devstream.graph.dag import Graph
    from devstream.model.address import Address
    from devstream.model.state import State, ToolState
    from devstream.model.status import ResourceStatus
    from devstream.model.tool import ToolInstance
    from devstream.model.values import SecretRef
    from devstream.planning.provider import Provider, Reads

__all__ = ["Planner", "Wishes", "Unfinished"]

_CREATES = (Action.CREATE, Action.REPLACE)
_CHANGES = (Action.CREATE, Action.REPLACE, Action.UPDATE, Action.INTEGRATE, Action.CONDITIONAL)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asks of a plan.

    Attributes:
        refresh: False: tools that are recorded are not read.
        unprotect: addresses whose protection is lifted for this plan.
    """

    refresh: bool = True
    unprotect: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True)
class Unfinished:
    """Operations that were interrupted and could not be settled by looking.

    Attributes:
        undecidable: by address, what to tell the user.
        retries: by address, (op_id, attempt) of a create that did not happen and is tried again.
    """

    undecidable: Mapping[Address, Diagnostic] = field(default_factory=dict)
    retries: Mapping[Address, tuple[str, int]] = field(default_factory=dict)


class Planner:
    """Makes one plan.

    The steps of `plan`: start the reads that wait for nothing; go through the tools in dependency order and
    decide each as soon as its upstreams are decided and its own read has answered; decide what left the
    config; put everything in the order of execution.

    Args:
        tools: the expanded config.
        graph: their dependencies; its nodes are addresses and the barrier.
        state: what is recorded, with interrupted operations settled.
        provider: finds a tool's plugin by name; may raise for a plugin that is gone.
        reads: calls `read`.
        secrets: gives the text of a secret.
    """

    def __init__(
        self,
        *,
        tools: Sequence[ToolInstance],
        graph: Graph[Any],
        state: State,
        provider: Callable[[str], Provider],
        reads: Reads,
        secrets: Callable[[SecretRef], str],
        wishes: Wishes | None = None,
        unfinished: Unfinished | None = None,
    ) -> None:
        self._tools = {tool.address: tool for tool in tools}
        self._graph = graph
        self._state = state
        self._provider = provider
        self._reads = reads
        self._book = OutputBook(secrets)
        self._wishes = wishes or Wishes()
        self._unfinished = unfinished or Unfinished()
        self._changes: dict[Address, Change] = {}
        self._answers: dict[Address, ReadAnswer] = {}
        self._requested: set[Address] = set()
        self._lost: set[Any] = set()
        self._removed = [entry for address, entry in state.tools.items() if address not in self._tools]
        self._warnings: list[Diagnostic] = []

    def plan(self) -> Plan:
        """Make the plan."""
        for tool in self._tools.values():
            if not has_marks(dict(tool.options)):
                self._ask(tool, tool.options)
        self._decide_all()
        for entry in self._removed:
            self._changes[entry.address] = self._decide_removed(entry)
        self._protect()
        order, after = run_order(self._changes, self._graph, self._state)
        return Plan(
            changes=tuple(self._changes[address] for address in order),
            after=after,
            lineage=self._state.lineage,
            serial=self._state.serial,
            warnings=tuple(self._warnings),
        )

    def _decide_all(self) -> None:
        """Go through the graph; a node is done once it is decided, and only then its dependents are ready."""
        sorter = self._graph.sorter()
        waiting: dict[Address, ToolInstance] = {}
        while sorter.is_active():
            for node in sorter.get_ready():
                tool = self._tools.get(node)
                if tool is not None and self._must_wait(tool):
                    waiting[node] = tool
                    continue
                self._settle_node(node, tool)
                sorter.done(node)
            while waiting and not self._more_ready(sorter, waiting):
                address, answer = self._reads.wait()
                self._answers[address] = answer

    def _more_ready(self, sorter: Any, waiting: dict[Address, ToolInstance]) -> bool:
        """Decide what has been answered; True where that made progress."""
        answered = [address for address in waiting if address in self._answers]
        for address in answered:
            self._settle_node(address, waiting.pop(address))
            sorter.done(address)
        return bool(answered)

    def _settle_node(self, node: Any, tool: ToolInstance | None) -> None:
        if tool is not None:
            change = self._decide(tool)
            self._changes[tool.address] = change
            self._book.known[tool.address] = _known_after(change, self._state.tools.get(tool.address))
        if self._is_lost(node):
            self._lost.add(node)

    def _is_lost(self, node: Any) -> bool:
        """Tell whether what this node stands on is made anew, so that nothing read before can be relied on."""
        change = self._changes.get(node)
        if change is not None and (
            change.action is Action.REPLACE
            or (change.action is Action.CREATE and change.recorded is not None)
        ):
            return True
        return any(other in self._lost for other in self._graph.dependencies(node))

    def _must_wait(self, tool: ToolInstance) -> bool:
        """Start the tool's read where that has not been done; True while its answer is awaited."""
        if tool.address not in self._requested and tool.address not in self._answers:
            try:
                self._book.start()
                options = resolve(dict(tool.options), self._book)
            except DevstreamError as error:
                self._answers[tool.address] = ReadAnswer(None, _placed(error, tool))
                return False
            if not self._book.unknown:
                self._ask(tool, options)
        return tool.address in self._requested and tool.address not in self._answers

    def _ask(self, tool: ToolInstance, options: Mapping[str, Any]) -> None:
        recorded = self._state.tools.get(tool.address)
        if tool.address in self._unfinished.undecidable or (
            recorded is not None and not self._wishes.refresh
        ):
            return
        if self._provider(tool.address.name).traits(tool.options).can_read:
            self._requested.add(tool.address)
            self._reads.start(ReadRequest(tool.address, options, recorded, tool))

    def _decide(self, tool: ToolInstance) -> Change:
        answer = self._answers.get(tool.address)
        comparison = Comparison()
        recorded = self._state.tools.get(tool.address)
        if answer is None or answer.error is None:
            comparison, error = self._compare(tool, recorded, answer.status if answer else None)
            answer = ReadAnswer(None, error) if error else answer
        return decide(self._facts(tool, recorded, answer, comparison))

    def _compare(
        self, tool: ToolInstance, recorded: ToolState | None, observed: ResourceStatus | None
    ) -> tuple[Comparison, Diagnostic | None]:
        self._book.start()
        try:
            return self._comparison(tool, recorded, observed), None
        except DevstreamError as error:
            return Comparison(), _placed(error, tool)

    def _comparison(
        self, tool: ToolInstance, recorded: ToolState | None, observed: ResourceStatus | None
    ) -> Comparison:
        return compare(
            tool=tool,
            recorded=recorded,
            observed=observed,
            resolver=self._book,
            key=self._state.hmac_key,
            flags=self._provider(tool.address.name).flags,
            dependencies=self._graph.dependencies(tool.address),
        )

    def _facts(
        self,
        tool: ToolInstance,
        recorded: ToolState | None,
        answer: ReadAnswer | None,
        comparison: Comparison,
    ) -> Facts:
        provider = self._provider(tool.address.name)
        traits = provider.traits(tool.options)
        status = answer.status if answer else None
        unknown = tuple(self._book.unknown)
        return Facts(
            tool=tool,
            traits=traits,
            adopts=provider.adopts,
            recorded=recorded,
            read=_read_kind(answer, unknown=bool(unknown)),
            observed=status,
            error=answer.error if answer else None,
            fields=comparison.fields,
            bookkeeping=comparison.bookkeeping,
            refreshed=comparison.refreshed,
            integrate_due=traits.can_integrate and self._integrate_due(tool, recorded),
            unknown_after=unknown,
            changing=self._changing(tool, can_integrate=traits.can_integrate),
            renamed_from=self._renamed_from(tool, recorded, status),
            undecidable=self._unfinished.undecidable.get(tool.address),
            retry_op=self._unfinished.retries.get(tool.address),
        )

    def _integrate_due(self, tool: ToolInstance, recorded: ToolState | None) -> bool:
        if recorded is None:
            return False
        from devstream.planning.upstream import digest, upstream_outputs

        upstream = upstream_outputs(self._graph.dependencies(tool.address), self._book.known)
        return not recorded.integrated or recorded.integrated_with != digest(upstream, self._state.hmac_key)

    def _changing(self, tool: ToolInstance, *, can_integrate: bool) -> tuple[Address, ...]:
        """Name the upstreams because of which the tool has to be looked at again at its turn."""
        found = dict.fromkeys(self._book.uncertain)
        for node in self._graph.dependencies(tool.address):
            change = self._changes.get(node)
            if change is not None and can_integrate and change.action in _CHANGES:
                found[node] = None
            elif node in self._lost:
                found.update(dict.fromkeys([node] if change else self._lost_behind(node)))
        return tuple(found)

    def _lost_behind(self, barrier: Any) -> list[Address]:
        return [node for node in self._graph.dependencies(barrier) if node in self._lost]

    def _renamed_from(
        self, tool: ToolInstance, recorded: ToolState | None, status: ResourceStatus | None
    ) -> Address | None:
        if recorded is not None or status is None or not status.properties:
            return None
        for entry in self._removed:
            if entry.address.name == tool.address.name and entry.properties == dict(status.properties):
                return entry.address
        return None

    def _decide_removed(self, entry: ToolState) -> Change:
        undecidable = self._unfinished.undecidable.get(entry.address)
        try:
            can_delete = self._provider(entry.address.name).traits(entry.options).can_delete
        except DevstreamError as error:
            failure = _with_address(error.diagnostics[0], entry.address)
            reason = Reason(ReasonCode.REMOVED, failure.summary)
            return Change(entry.address, Action.ERROR, (reason,), recorded=entry, error=failure)
        return decide_removed(entry, can_delete=can_delete, undecidable=undecidable)

    def _protect(self) -> None:
        """Leave out the deletes of what is protected, and of everything that stands under it."""
        kept: set[Address] = set()
        for address, change in self._changes.items():
            if change.action in (Action.DELETE, Action.REPLACE) and self._is_protected(change):
                kept.add(address)
        for address in self._with_recorded_upstreams(kept):
            change = self._changes[address]
            if address in kept or change.action is Action.DELETE:
                self._changes[address] = _left_out(change, because=address not in kept)

    def _is_protected(self, change: Change) -> bool:
        if change.address in self._wishes.unprotect:
            return False
        if change.tool is not None and change.tool.protect is not None:
            return change.tool.protect
        return change.recorded is not None and change.recorded.protect

    def _with_recorded_upstreams(self, addresses: set[Address]) -> set[Address]:
        names = {str(address): address for address in self._changes}
        seen: set[Address] = set()
        ahead = list(addresses)
        while ahead:
            address = ahead.pop()
            if address in seen:
                continue
            seen.add(address)
            recorded = self._changes[address].recorded
            ahead.extend(names[name] for name in (recorded.depends_on if recorded else ()) if name in names)
        return seen


def _known_after(change: Change, recorded: ToolState | None) -> Known:
    """Say what references to a tool stand for, given what is to become of it."""
    if change.action in _CREATES:
        return Known(None)
    fresh = change.observed.outputs if change.observed is not None else None
    outputs = fresh if fresh is not None else (recorded.outputs if recorded else None)
    if outputs is None and change.action is Action.NOOP:
        outputs = {}
    return Known(outputs, may_change=change.action in _CHANGES)


def _read_kind(answer: ReadAnswer | None, *, unknown: bool) -> Read:
    if answer is None:
        return Read.NOT_CALLABLE if unknown else Read.NOT_ASKED
    if answer.error is not None:
        return Read.FAILED
    return Read.GONE if answer.status is None else Read.PRESENT


def _left_out(change: Change, *, because: bool) -> Change:
    text = "something protected needs it: left in place" if because else "protected: left in place"
    action = Action.NOOP if change.tool is None else Action.ERROR
    error = None
    if action is Action.ERROR:
        error = Diagnostic(
            "protected, so it cannot be replaced",
            "protected",
            address=str(change.address),
            mark=change.tool.origin.mark if change.tool else None,
            suggestion=f"--unprotect {change.address}, or `protect: false`",
        )
    return Change(
        change.address,
        action,
        (Reason(ReasonCode.PROTECTED, text), *change.reasons),
        tool=change.tool,
        recorded=change.recorded,
        observed=change.observed,
        fields=change.fields,
        error=error,
        protected=True,
    )


def _placed(error: DevstreamError, tool: ToolInstance) -> Diagnostic:
    first = error.diagnostics[0]
    if first.mark is not None:
        return _with_address(first, tool.address)
    return Diagnostic(
        first.summary,
        first.code,
        Severity.ERROR,
        first.detail,
        tool.origin.mark,
        str(tool.address),
        first.suggestion,
    )


def _with_address(diagnostic: Diagnostic, address: Address) -> Diagnostic:
    from dataclasses import replace

    return diagnostic if diagnostic.address else replace(diagnostic, address=str(address))
