"""`Graph`: nodes and what each of them waits for, on top of the standard library's graphlib."""

from __future__ import annotations

import graphlib
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping

__all__ = ["Graph", "CycleError"]

N = TypeVar("N", bound="Hashable")


class CycleError(ValueError):
    """The nodes wait for each other. ``path`` begins and ends with the same node; each waits for the next."""

    def __init__(self, path: tuple[object, ...]) -> None:
        super().__init__(" -> ".join(str(node) for node in path))
        self.path = path


class Graph(Generic[N]):
    """A directed acyclic graph, fixed once it is made.

    Args:
        dependencies: for each node the nodes it waits for; all of them must be keys too.

    Raises:
        CycleError: the nodes wait for each other.

    >>> graph = Graph({"deploy": ["build"], "build": ["repo"], "repo": []})
    >>> graph.order()
    ('repo', 'build', 'deploy')
    >>> sorted(graph.descendants(["repo"]))
    ['build', 'deploy']
    """

    def __init__(self, dependencies: Mapping[N, Collection[N]]) -> None:
        self._dependencies = {node: tuple(dict.fromkeys(before)) for node, before in dependencies.items()}
        self._dependents: dict[N, list[N]] = {node: [] for node in dependencies}
        for node, before in self._dependencies.items():
            for other in before:
                self._dependents[other].append(node)
        sorter = self.sorter()
        self._order: list[N] = []
        while sorter.is_active():
            ready = sorter.get_ready()
            self._order.extend(ready)
            sorter.done(*ready)

    def sorter(self) -> graphlib.TopologicalSorter[N]:
        """Give a prepared sorter: ``get_ready`` names what may start, ``done`` releases what waited.

        Raises:
            CycleError: the nodes wait for each other.
        """
        sorter = graphlib.TopologicalSorter(self._dependencies)
        try:
            sorter.prepare()
        except graphlib.CycleError as error:
            # graphlib lists each node before the one that waits for it; we tell it the other way round
            raise CycleError(tuple(reversed(error.args[1]))) from None
        return sorter

    def order(self) -> tuple[N, ...]:
        """Give all nodes, each after everything it waits for; ties keep the order they came in."""
        return tuple(self._order)

    def dependencies(self, node: N) -> tuple[N, ...]:
        """Give the nodes that ``node`` waits for directly."""
        return self._dependencies[node]

    def dependents(self, node: N) -> tuple[N, ...]:
        """Give the nodes that wait for ``node`` directly."""
        return tuple(self._dependents[node])

    def ancestors(self, nodes: Iterable[N]) -> set[N]:
        """Give everything that ``nodes`` wait for, directly or not."""
        return self._reach(nodes, self._dependencies)

    def descendants(self, nodes: Iterable[N]) -> set[N]:
        """Give everything that waits for ``nodes``, directly or not."""
        return self._reach(nodes, self._dependents)

    @staticmethod
    def _reach(nodes: Iterable[N], edges: Mapping[N, Collection[N]]) -> set[N]:
        seen: set[N] = set()
        ahead = [other for node in nodes for other in edges[node]]
        while ahead:
            node = ahead.pop()
            if node not in seen:
                seen.add(node)
                ahead.extend(edges[node])
        return seen

    def __contains__(self, node: object) -> bool:
        return node in self._dependencies

    def __iter__(self) -> Iterator[N]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._dependencies)
