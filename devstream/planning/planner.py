"""`Planner`: config, state and what `read` says become a plan.

It changes nothing; all it does to the outside world is what the `Reads` handed in do.
"""

from __future__ import annotations

from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from devstream.errors import DevstreamError, Diagnostic, Severity
from devstream.model.plan import Action, Change, Plan, Reason, ReasonCode
from devstream.model.recorded import decode, has_marks, resolve, visible
from devstream.model.values import iter_leaves
from devstream.planning.compare import Comparison, compare
from devstream.planning.decide import LEFT_CONFIG, Facts, Read, decide, decide_removed, made_anew
from devstream.planning.outputs import Known, OutputBook, outputs_before, outputs_now
from devstream.planning.protection import leave_out_protected
from devstream.planning.provider import ReadAnswer, ReadRequest
from devstream.planning.run_graph import run_order
from devstream.record import Immutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from devstream.errors import Mark
    from devstream.graph.dag import Graph
    from devstream.model.address import Address
    from devstream.model.plan import Selection
    from devstream.model.schema import Traits
    from devstream.model.state import State, ToolState
    from devstream.model.status import ResourceStatus
    from devstream.model.tool import ToolInstance
    from devstream.model.values import SecretRef
    from devstream.planning.provider import Provider, Reads

__all__ = ["Planner", "Wishes", "Unfinished", "known_after"]

_CREATES = (Action.CREATE, Action.REPLACE)
_NAMED_BY_BARRIER = 4
_CHANGES = (Action.CREATE, Action.REPLACE, Action.UPDATE, Action.INTEGRATE, Action.CONDITIONAL)


class Wishes(Immutable, frozen=True):
    """What the command line asks of a plan.

    Attributes:
        refresh: False: tools that are recorded are not read.
        unprotect: addresses whose protection is lifted for this plan.
        replace: what is made anew, whatever its options.
        leave: what is to leave, and why; None: whatever is not in the config.
        staying: entries that are not in the config and are no part of this plan.
    """

    refresh: bool = True
    unprotect: frozenset[Address] = frozenset()
    replace: frozenset[Address] = frozenset()
    leave: Mapping[Address, Reason] | None = None
    staying: frozenset[Address] = frozenset()


class Unfinished(Immutable, frozen=True):
    """Operations that were interrupted and could not be settled by looking.

    Attributes:
        undecidable: by address, what to tell the user.
        retries: by address, (op_id, attempt) of a create that did not happen and is tried again.
    """

    undecidable: Mapping[Address, Diagnostic] = field(default_factory=dict)
    retries: Mapping[Address, tuple[str, int]] = field(default_factory=dict)


class Planner:
    """Makes one plan.

    The steps of `plan`: start the reads that wait for nothing; decide what left the config; go through the
    tools in dependency order and decide each as soon as its upstreams are decided and its own read has
    answered; leave out what is protected; put everything in the order of execution.

    Args:
        tools: the expanded config.
        graph: their dependencies; its nodes are addresses and the barrier.
        state: what is recorded, with interrupted operations settled.
        provider: finds a tool's plugin by name; may raise for a plugin that is gone.
        reads: calls `read`.
        secrets: gives the text of a secret.
        selection: what the plan says it is about.
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
        selection: Selection | None = None,
    ) -> None:
        self._tools = {tool.address: tool for tool in tools}
        self._graph = graph
        self._state = state
        self._provider = provider
        self._reads = reads
        self._book = OutputBook(secrets)
        self._wishes = wishes or Wishes()
        self._unfinished = unfinished or Unfinished()
        self._selection = selection
        self._changes: dict[Address, Change] = {}
        self._answers: dict[Address, ReadAnswer] = {}
        self._asked: set[Address] = set()
        self._deferred: set[Address] = set()
        self._lost: dict[Any, tuple[Address, ...]] = {}
        self._removed: dict[Address, Change] = {}
        self._warnings: list[Diagnostic] = []

    def plan(self) -> Plan:
        """Make the plan."""
        for tool in self._tools.values():
            self._ask(tool)
        self._removed = self._decide_removed()
        self._decide_all()
        changes = leave_out_protected({**self._changes, **self._removed}, self._wishes.unprotect)
        order, after = run_order(changes, self._graph, self._state)
        return Plan(
            changes=tuple(changes[address] for address in order),
            after=after,
            lineage=self._state.lineage,
            serial=self._state.serial,
            warnings=tuple(self._warnings),
            selection=self._selection,
        )

    def _ask(self, tool: ToolInstance) -> None:
        """Start the tool's read, unless that is not wanted, or an option waits for an upstream."""
        recorded = self._state.tools.get(tool.address)
        if tool.address in self._unfinished.undecidable or (recorded and not self._wishes.refresh):
            return
        if not self._provider(tool.address.name).traits(tool.options).can_read:
            return
        options: Mapping[str, Any] = tool.options
        if has_marks(dict(options)):
            self._book.start()
            try:
                options = resolve(dict(options), self._book)
            except DevstreamError as error:
                self._answers[tool.address] = ReadAnswer(None, self._placed(error, tool))
                return
            if self._book.unknown:
                self._deferred.add(tool.address)
                return
        self._asked.add(tool.address)
        self._reads.start(ReadRequest(tool.address, options, recorded, tool))

    def _decide_all(self) -> None:
        """Go through the graph; a node is done once it is decided, and only then its dependents are ready."""
        sorter = self._graph.sorter()
        waiting: set[Address] = set()
        while sorter.is_active():
            ready = sorter.get_ready()
            for node in ready:
                if self._must_wait(node):
                    waiting.add(node)
                else:
                    self._settle(node)
                    sorter.done(node)
            if ready:
                continue
            address, answer = self._reads.wait()
            self._answers[address] = answer
            if address in waiting:
                waiting.remove(address)
                self._settle(address)
                sorter.done(address)

    def _must_wait(self, node: Any) -> bool:
        """Tell whether a read has to be awaited; starts it where only now everything is known for it."""
        if node in self._deferred:
            self._ask(self._tools[node])
        return node in self._asked and node not in self._answers

    def _settle(self, node: Any) -> None:
        """Decide a tool, now that everything upstream is decided and its read has answered."""
        if node in self._tools:
            self._changes[node] = self._decide(self._tools[node])
        lost = self._lost_through(node)
        if lost:
            self._lost[node] = lost

    def _lost_through(self, node: Any) -> tuple[Address, ...]:
        """Say because of whom nothing that was read of the dependents of a node can be relied on.

        That is so where it, or anything it stands on, is made anew. A barrier names a few of those behind it:
        all of them for everybody who waits for it would be far too many.
        """
        change = self._changes.get(node)
        if change is None:
            lost = (other for other in self._graph.dependencies(node) if other in self._lost)
            return tuple(islice(lost, _NAMED_BY_BARRIER))
        if change.action is Action.REPLACE or (change.action is Action.CREATE and change.recorded):
            return (change.address,)
        stands_on_lost = any(other in self._lost for other in self._graph.dependencies(node))
        return (change.address,) if stands_on_lost else ()

    def _decide(self, tool: ToolInstance) -> Change:
        provider = self._provider(tool.address.name)
        traits = provider.traits(tool.options)
        recorded = self._state.tools.get(tool.address)
        answer = self._answers.get(tool.address)
        comparison = Comparison()
        self._book.start()
        if answer is None or answer.error is None:
            try:
                comparison = self._compare(tool, recorded, answer, provider)
            except DevstreamError as error:
                answer = ReadAnswer(None, self._placed(error, tool))
        change = decide(self._facts(tool, traits, answer, comparison, adopts=provider.adopts))
        if tool.address in self._wishes.replace:
            change = made_anew(change, traits)
        self._book.known[tool.address] = known_after(change, can_integrate=traits.can_integrate)
        if change.action is Action.NOOP and change.recorded is not None and change.recorded.tainted:
            self._warnings.append(_still_tainted(change))
        return change

    def _compare(
        self, tool: ToolInstance, recorded: ToolState | None, answer: ReadAnswer | None, provider: Provider
    ) -> Comparison:
        return compare(
            tool=tool,
            recorded=recorded,
            observed=answer.status if answer else None,
            resolver=self._book,
            key=self._state.hmac_key,
            flags=provider.flags,
            dependencies=self._graph.dependencies(tool.address),
        )

    def _facts(
        self,
        tool: ToolInstance,
        traits: Traits,
        answer: ReadAnswer | None,
        comparison: Comparison,
        *,
        adopts: bool,
    ) -> Facts:
        address = tool.address
        recorded = self._state.tools.get(address)
        status = answer.status if answer else None
        unknown = tuple(self._book.unknown)
        return Facts(
            tool=tool,
            traits=traits,
            adopts=adopts,
            recorded=recorded,
            read=_read_kind(answer, unknown=bool(unknown)),
            observed=status,
            error=answer.error if answer else None,
            fields=comparison.fields,
            bookkeeping=comparison.bookkeeping,
            refreshed=comparison.refreshed,
            integrate_due=traits.can_integrate and self._integrate_due(tool, recorded, traits),
            unknown_after=unknown,
            changing=self._changing(tool, traits),
            renamed_from=self._renamed_from(tool, status) if recorded is None else None,
            undecidable=self._unfinished.undecidable.get(address),
            retry_op=self._unfinished.retries.get(address),
        )

    def _integrate_due(self, tool: ToolInstance, recorded: ToolState | None, traits: Traits) -> bool:
        if recorded is None:
            return False
        from devstream.planning.upstream import digest, looked_at, upstream_outputs

        known = upstream_outputs(self._graph.dependencies(tool.address), self._book.known)
        upstream = looked_at(known, traits.integrates)
        return not recorded.integrated or recorded.integrated_with != digest(upstream, self._state.hmac_key)

    def _changing(self, tool: ToolInstance, traits: Traits) -> tuple[Address, ...]:
        """Name the upstreams because of which the tool has to be looked at again at its turn."""
        found = dict.fromkeys(self._book.uncertain)
        for node in self._graph.dependencies(tool.address):
            change = self._changes.get(node)
            if change is not None and change.action in _CHANGES and self._is_looked_at(change, traits):
                found[change.address] = None
            elif node in self._lost:
                found.update(dict.fromkeys(self._lost[node]))
        return tuple(found)

    def _is_looked_at(self, change: Change, traits: Traits) -> bool:
        """Tell whether what becomes of an upstream may concern `integrate`, by the outputs that it has today."""
        outputs = self._book.known[change.address].outputs
        wanted = (
            not traits.integrates or outputs is None or any(name in outputs for name in traits.integrates)
        )
        return traits.can_integrate and wanted

    def _renamed_from(self, tool: ToolInstance, status: ResourceStatus | None) -> Address | None:
        """Find what leaves under this very form: then it is no other thing, it has a new name."""
        if status is None or not status.properties:
            return None
        return self._leaving.get((tool.address.name, self._form(status.properties)))

    @cached_property
    def _leaving(self) -> dict[tuple[str, str], Address]:
        """Index what leaves, now or with another plan, by tool name and properties."""
        later = [
            self._decide_entry(self._state.tools[a]) for a in self._wishes.staying if a in self._state.tools
        ]
        return {
            (change.address.name, self._form(change.recorded.properties)): change.address
            for change in (*self._removed.values(), *later)
            if change.recorded is not None and change.action is not Action.FORGET
        }

    def _form(self, properties: Mapping[str, Any]) -> str:
        import json

        return json.dumps(visible(dict(properties), self._state.hmac_key), sort_keys=True)

    def _decide_removed(self) -> dict[Address, Change]:
        """Decide what is recorded, or was begun, and is to leave."""
        gone = {address: entry for address, entry in self._state.tools.items() if self._leaves(address)}
        decided = {address: self._decide_entry(entry) for address, entry in gone.items()}
        for address, trouble in self._unfinished.undecidable.items():
            if self._leaves(address) and address not in gone:
                reason = Reason(ReasonCode.UNDECIDABLE, trouble.summary)
                decided[address] = Change(address, Action.ERROR, (reason,), error=trouble)
        return decided

    def _leaves(self, address: Address) -> bool:
        leave = self._wishes.leave
        return address not in self._tools if leave is None else address in leave

    def _decide_entry(self, entry: ToolState) -> Change:
        options = decode(dict(entry.options), lambda _, value: value)
        try:
            can_delete = self._provider(entry.address.name).traits(options).can_delete
        except DevstreamError as error:
            failure = _about(error.diagnostics[0], entry.address)
            reason = Reason(ReasonCode.REMOVED, failure.summary)
            return Change(entry.address, Action.ERROR, (reason,), recorded=entry, error=failure)
        undecidable = self._unfinished.undecidable.get(entry.address)
        why = (self._wishes.leave or {}).get(entry.address, LEFT_CONFIG)
        return decide_removed(entry, can_delete=can_delete, undecidable=undecidable, why=why)

    def _placed(self, error: DevstreamError, tool: ToolInstance) -> Diagnostic:
        """Say at which option a reference or secret could not be resolved."""
        first = _about(error.diagnostics[0], tool.address)
        return first if first.mark is not None else replace(first, mark=self._mark_of_mistake(tool))

    def _mark_of_mistake(self, tool: ToolInstance) -> Mark | None:
        for path, leaf in iter_leaves(dict(tool.options)):
            try:
                resolve(leaf, self._book)
            except DevstreamError:
                origin = tool.origins.at(path)
                return origin.mark if origin is not None and origin.mark is not None else tool.origin.mark
        return tool.origin.mark


def known_after(change: Change, *, can_integrate: bool) -> Known:
    """Say what references to a tool stand for, given what is to become of it."""
    if change.action in _CREATES:
        return Known(None)
    if change.action in _CHANGES:
        return Known(outputs_before(change.recorded, change.observed), may_change=True)
    outputs = outputs_now(change.recorded, change.observed, can_integrate=can_integrate)
    if change.action is Action.ERROR:
        return Known(outputs, complete=False)
    return Known(outputs if outputs is not None else {})


def _still_tainted(change: Change) -> Diagnostic:
    return Diagnostic(
        change.reasons[0].text,
        "tainted",
        Severity.WARNING,
        address=str(change.address),
        mark=change.tool.origin.mark if change.tool else None,
        suggestion="put it right by hand, or take it out of the config",
    )


def _read_kind(answer: ReadAnswer | None, *, unknown: bool) -> Read:
    if answer is None:
        return Read.NOT_CALLABLE if unknown else Read.NOT_ASKED
    if answer.error is not None:
        return Read.FAILED
    return Read.GONE if answer.status is None else Read.PRESENT


def _about(diagnostic: Diagnostic, address: Address) -> Diagnostic:
    return diagnostic if diagnostic.address else replace(diagnostic, address=str(address))
