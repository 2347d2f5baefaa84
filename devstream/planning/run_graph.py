"""In which order changes are carried out.

1. A create, update or integrate comes after the changes of everything it depends on.
2. A delete comes after the deletes of its recorded dependents, and after the changes of configured tools
   that had recorded a dependency on it: they let go first. A delete never waits for its upstream's update.
3. A replace is one node of rule 1; its delete half also waits for the deletes of its recorded dependents.

Rule 3 may stand against the second half of rule 2: R is replaced, X (which stood on R) leaves, and Y, which
had stood on X, now stands on R. R cannot be replaced under X, so X goes first and Y lets go too late. Such
a delete is called early here, and waits for nothing that stays behind the replacement.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from devstream.graph.dag import CycleError, Graph
from devstream.model.plan import Action
from devstream.model.tool import BARRIER
from devstream.planning.removal import is_of_tools
from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.model.address import Address
    from devstream.model.plan import Change
    from devstream.model.state import State, ToolState

__all__ = ["run_order"]

_DELETED = "@tools deleted"
"""Over when everything that leaves and had waited for ``@tools`` is deleted."""
_RELEASED = "@tools released"
"""Over when everything that stays and had waited for ``@tools`` has been changed."""

Node = Any
Edges = dict[Node, dict[Node, None]]
"""For each node the nodes that come before it; the inner mapping is an ordered set."""


def run_order(
    changes: Mapping[Address, Change], config: Graph[Any], state: State
) -> tuple[tuple[Address, ...], dict[Node, frozenset[Node]]]:
    """Give the order of execution, and for each node the nodes that come before it.

    Nodes are addresses and words that begin with ``@``: barriers, which are over when all before them are.
    """
    removal = _Removal(changes, config, state)
    graph = _with_removal(config, removal) if removal.leaving else config
    order = tuple(node for node in graph.order() if node in changes)
    return order, {node: frozenset(graph.dependencies(node)) for node in graph.order()}


def _with_removal(config: Graph[Any], removal: _Removal) -> Graph[Node]:
    after: Edges = {node: dict.fromkeys(config.dependencies(node)) for node in config.order()}
    _deletes_among_themselves(after, removal)
    early, behind = _forced_early(after, removal)
    _let_go_first(after, removal, early, behind)
    return _without_cycles(after)


class _Removal(Immutable, frozen=True, dict=True):
    """What leaves, and what is recorded of who stands on it."""

    changes: Mapping[Address, Change]
    config: Graph[Any]
    state: State

    @cached_property
    def leaving(self) -> dict[Address, None]:
        """Give the addresses that are not in the config any more."""
        return dict.fromkeys(address for address in self.changes if address not in self.config)

    @cached_property
    def replaced(self) -> dict[Address, None]:
        """Give the addresses that are replaced."""
        return dict.fromkeys(
            address for address, change in self.changes.items() if change.action is Action.REPLACE
        )

    @cached_property
    def _by_name(self) -> dict[str, Address]:
        return {str(address): address for address in self.changes}

    def upstreams(self, address: Address) -> Iterator[Address]:
        """Yield what the record of ``address`` says that it stands on."""
        recorded = self._recorded(address)
        for name in recorded.depends_on if recorded else ():
            if name in self._by_name:
                yield self._by_name[name]

    def waits_for_tools(self, address: Address) -> bool:
        """Tell whether it was recorded as waiting for the barrier."""
        recorded = self._recorded(address)
        return recorded is not None and BARRIER in recorded.depends_on

    def is_of_tools(self, address: Address) -> bool:
        """Tell whether it was recorded as one of those that the barrier stands for."""
        recorded = self._recorded(address)
        return recorded is not None and is_of_tools(recorded)

    def _recorded(self, address: Address) -> ToolState | None:
        """Find its record; of a create that was interrupted there is only what it had begun with."""
        if address in self.state.tools:
            return self.state.tools[address]
        unfinished = self.state.open_operations.get(address)
        return unfinished.begin.tool if unfinished else None


def _deletes_among_themselves(after: Edges, removal: _Removal) -> None:
    """Add rule 3 and the first half of rule 2."""
    for address in removal.leaving:
        after[address] = {}
    for address in removal.leaving:
        for upstream in removal.upstreams(address):
            if upstream != address and (upstream in removal.leaving or upstream in removal.replaced):
                after[upstream][address] = None
    after[_DELETED] = {address: None for address in removal.leaving if removal.waits_for_tools(address)}
    for address in (*removal.leaving, *removal.replaced):
        if removal.is_of_tools(address):
            after[address][_DELETED] = None


def _forced_early(after: Edges, removal: _Removal) -> tuple[set[Node], set[Node]]:
    """Find the deletes that some replace waits for, and everything that comes after one of them."""
    if not removal.replaced:
        return set(), set()
    graph = _without_cycles(after)
    early = graph.ancestors(removal.replaced) & removal.leaving.keys()
    return early, graph.descendants(early)


def _let_go_first(after: Edges, removal: _Removal, early: set[Node], behind: set[Node]) -> None:
    """Add the second half of rule 2, as far as rule 3 leaves room for it.

    This makes no circle: what stays waits for early deletes only, and those wait for nothing behind them.
    """
    staying = [address for address in removal.changes if address not in removal.leaving]
    for address in staying:
        for upstream in removal.upstreams(address):
            if upstream in removal.leaving and not (upstream in early and address in behind):
                after[upstream][address] = None
    after[_RELEASED] = {address: None for address in staying if removal.waits_for_tools(address)}
    for address in removal.leaving:
        if address not in early and removal.is_of_tools(address):
            after[address][_RELEASED] = None


def _without_cycles(after: Edges) -> Graph[Node]:
    """Make a graph; circles, which only records that contradict each other have, are cut open anywhere."""
    while True:
        try:
            return Graph(after)
        except CycleError as error:
            waiting, awaited = error.path[0], error.path[1]
            del after[waiting][awaited]
