from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.graph.dag import CycleError, Graph


@st.composite
def dags(draw: st.DrawFn) -> dict[int, list[int]]:
    size = draw(st.integers(0, 30))
    return {
        node: draw(st.lists(st.integers(0, node - 1), max_size=4)) if node else [] for node in range(size)
    }


@given(dags())
def test_every_node_comes_after_what_it_waits_for(edges: dict[int, list[int]]) -> None:
    order = Graph(edges).order()
    position = {node: index for index, node in enumerate(order)}
    assert sorted(order) == sorted(edges)
    assert all(position[before] < position[node] for node, befores in edges.items() for before in befores)


@given(dags())
def test_ancestors_and_descendants_mirror_each_other(edges: dict[int, list[int]]) -> None:
    graph = Graph(edges)
    assert all(
        (other in graph.ancestors([node])) == (node in graph.descendants([other]))
        for node in edges
        for other in edges
    )


@pytest.mark.parametrize(
    ("edges", "path"),
    [
        ({"a": ["a"]}, ("a", "a")),
        ({"a": ["b"], "b": ["a"]}, ("a", "b", "a")),
        ({"x": [], "a": ["b", "x"], "b": ["c"], "c": ["a"]}, ("a", "b", "c", "a")),
    ],
)
def test_a_cycle_is_told_as_a_path_in_which_each_waits_for_the_next(
    edges: dict[str, list[str]], path: tuple[str, ...]
) -> None:
    with pytest.raises(CycleError) as caught:
        Graph(edges)
    found = [str(node) for node in caught.value.path]
    assert found[0] == found[-1]
    assert set(found) == set(path)
    assert all(after in edges[before] for before, after in itertools.pairwise(found))


def test_ties_keep_the_order_they_came_in() -> None:
    assert Graph({"c": [], "a": [], "b": ["c"]}).order() == ("c", "a", "b")


def test_size_and_membership() -> None:
    graph = Graph({"a": [], "b": ["a", "a"]})
    assert (len(graph), "a" in graph, "z" in graph, list(graph)) == (2, True, False, ["a", "b"])
    assert graph.dependencies("b") == ("a",)
    assert graph.dependents("a") == ("b",)
