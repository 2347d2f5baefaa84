"""What a plan is about where tools were selected: them, and what has to come along. Pure.

* What is made or changed brings what it depends on, the barrier and all behind it too.
* What is deleted brings what is recorded as standing on it: that has to go first, or to let go.
* ``--exclude`` takes out what it names and everything downstream, and no delete takes the ground from what stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.errors import UsageError
from devstream.graph.dag import Graph
from devstream.model.plan import Selection
from devstream.model.tool import BARRIER
from devstream.planning.decide import LEFT_CONFIG
from devstream.planning.removal import Removal, leaving, recorded_dependents, recorded_entries
from devstream.planning.selection import candidates, excluded, matched, unsuccessful
from devstream.record import Immutable, replace

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from devstream.model.address import Address
    from devstream.model.plan import Reason
    from devstream.model.state import State, ToolState
    from devstream.model.tool import ToolInstance
    from devstream.planning.selection import Selectors

    Neighbours = Mapping[Any, Collection[Any]]

__all__ = ["Scope", "entries_meant", "scope_of_removal", "scope_of_run"]


class Scope(Immutable, frozen=True):
    """What a plan is about; nothing else is looked at, settled or changed.

    Attributes:
        tools: of the config.
        graph: their dependencies.
        leave: what is to leave the state, and why.
        staying: entries that have left the config and are not selected: they stay for now.
        selection: for people.
    """

    tools: tuple[ToolInstance, ...]
    graph: Graph[Any]
    leave: Mapping[Address, Reason]
    staying: frozenset[Address]
    selection: Selection

    @property
    def addresses(self) -> set[Address]:
        """Everything the plan is about."""
        return {tool.address for tool in self.tools} | set(self.leave)


def scope_of_run(
    selectors: Selectors, *, tools: Sequence[ToolInstance], graph: Graph[Any], state: State
) -> Scope:
    """Say what a run is about.

    Args:
        tools: of the config.
        graph: their dependencies; its nodes are addresses and the barrier.

    Raises:
        UsageError: nothing matches, or nothing is left.
    """
    among = candidates(tools, state)
    asked = matched(selectors, among.values(), unsuccessful(state))
    edges = _Edges(graph, state)
    base = _remaining(asked, edges.taken_out(excluded(selectors, among.values())))
    standing = edges.standing_on(base)
    upstream = edges.upstream([*base, *standing])
    found = {*base, *standing, *upstream}
    removed = [address for address in among if address not in graph]
    return Scope(
        tuple(tool for tool in tools if tool.address in found),
        Graph({node: graph.dependencies(node) for node in graph if node in found}),
        {address: LEFT_CONFIG for address in removed if address in found},
        frozenset(address for address in removed if address not in found),
        _selection(among, base, upstream, standing),
    )


def scope_of_removal(
    selectors: Selectors, *, tools: Sequence[ToolInstance], state: State, removal: Removal
) -> Scope:
    """Say what a removal is about.

    Args:
        tools: of the config; nothing else can be selected unless everything is to be removed.

    Raises:
        UsageError: nothing matches, or nothing is left.
    """
    entries = recorded_entries(state)
    everything = candidates(tools, state)
    named = entries if removal is Removal.EVERYTHING else [tool.address for tool in tools]
    among = {address: everything[address] for address in named}
    asked = matched(selectors, among.values(), unsuccessful(state)) if among else set()
    others = among if removal is Removal.EVERYTHING else everything
    out = _kept(entries, excluded(selectors, others.values())) if among else set()
    base = _remaining(asked, out)
    leave = leaving(state, [address for address in among if address in base])
    added = [address for address in leave if address not in base]
    return Scope((), Graph({}), leave, frozenset(), _selection(among, base, (), added))


def entries_meant(selectors: Selectors, state: State) -> list[Address]:
    """Say which recorded tools are meant, with nothing that has to come along.

    Raises:
        UsageError: nothing matches, or nothing is left.
    """
    among = candidates((), state)
    asked = matched(selectors, among.values(), unsuccessful(state))
    named = excluded(selectors, among.values())
    left = _remaining(asked, {*named, *_reach(named, recorded_dependents(recorded_entries(state)))})
    return [address for address in among if address in left]


def _remaining(asked: set[Address], out: set[Any]) -> set[Address]:
    left = asked - out
    if asked and not left:
        message = "nothing is left to do: all that is selected is excluded, or hangs together with what is"
        raise UsageError(
            message,
            code="all-excluded",
            suggestion="--exclude takes out everything downstream too; a delete spares all that this stands on",
        )
    return left


def _kept(entries: Mapping[Address, ToolState], named: set[Address]) -> set[Any]:
    """Give what must not be deleted: what is excluded, what stands on it, and what all of that stands on."""
    followers = recorded_dependents(entries)
    stays = {*named, *_reach(named, followers)} - {
        BARRIER
    }  # it holds its tools only for those who wait for them
    return {*stays, *_reach(stays, _reversed(followers))}


def _selection(
    among: Mapping[Address, Any],
    base: set[Address],
    upstream: Iterable[Any],
    standing: Collection[Address],
) -> Selection:
    chosen = tuple(address for address in among if address in base)
    above = tuple(node for node in upstream if node != BARRIER and node not in base and node not in standing)
    return Selection(chosen, above, tuple(standing), len(among))


class _Edges:
    """What a run's tools depend on by the config, and by the record as far as deletes have to heed it.

    Of a tool that stays in the config only what is recorded of its direct dependencies counts: what it waited for
    behind the barrier gave it nothing that it could lose.
    """

    def __init__(self, graph: Graph[Any], state: State) -> None:
        self._graph = graph
        entries = recorded_entries(state)
        self._followers = recorded_dependents({a: self._heeded(a, entry) for a, entry in entries.items()})

    def _heeded(self, address: Address, entry: ToolState) -> ToolState:
        if address not in self._graph:
            return entry
        return replace(entry, depends_on=tuple(name for name in entry.depends_on if name != BARRIER))

    def _leaves(self, node: Any) -> bool:
        """Tell whether a node of the record has left the config; the barrier is here that of the record."""
        return node == BARRIER or node not in self._graph

    def taken_out(self, named: set[Address]) -> set[Any]:
        """Give what excluded tools take out: what is downstream, and removed tools that any of it stands on."""
        below = _reach(named, self._followers)
        out = {*named, *self._graph.descendants(node for node in named if node in self._graph)}
        out |= {node for node in below if self._leaves(node)}
        out.discard(BARRIER)
        ground = _reversed(self._followers)
        leaving_only = {node: [*filter(self._leaves, before)] for node, before in ground.items()}
        return {*out, *_reach(out, leaving_only)}

    def standing_on(self, base: set[Address]) -> dict[Any, None]:
        """Give what is recorded as standing on the removed tools among these; what stays in the config lets go."""
        leaving_only = {node: after for node, after in self._followers.items() if self._leaves(node)}
        found = _reach(base, leaving_only)
        return {node: None for node in found if node != BARRIER and node not in base}

    def upstream(self, nodes: Iterable[Address]) -> list[Any]:
        """Give what these depend on, the barrier too."""
        above = self._graph.ancestors(node for node in nodes if node in self._graph)
        return [node for node in self._graph.order() if node in above]


def _reach(start: Iterable[Any], edges: Neighbours) -> dict[Any, None]:
    """Follow edges from all of ``start``; records may run in circles."""
    ahead = list(start)
    found: dict[Any, None] = {}
    while ahead:
        for node in edges.get(ahead.pop(), ()):
            if node not in found:
                found[node] = None
                ahead.append(node)
    return found


def _reversed(edges: Neighbours) -> dict[Any, list[Any]]:
    found: dict[Any, list[Any]] = {}
    for node, others in edges.items():
        for other in others:
            found.setdefault(other, []).append(node)
    return found
