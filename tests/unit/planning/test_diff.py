from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.model.plan import ABSENT
from devstream.planning.diff import diff, same

trees = st.recursive(
    st.none() | st.booleans() | st.integers(0, 2) | st.sampled_from([0.0, 1.0, "", "1", "true"]),
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.sampled_from("abc"), deeper, max_size=3),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, {"a": 2}, [(("a",), 1, 2)]),
        ({"a": 1}, {"b": 1}, [(("a",), 1, ABSENT), (("b",), ABSENT, 1)]),
        ({"a": None}, {}, []),
        ({}, {"a": None}, []),
        ({"a": None}, {"a": 1}, [(("a",), None, 1)]),
        ({"a": {}}, {}, [(("a",), {}, ABSENT)]),
        ({"a": []}, {"a": None}, [(("a",), [], None)]),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, [(("a", "b"), 1, 2)]),
        ({"a": [1, 2]}, {"a": [1, 3]}, [(("a", 1), 2, 3)]),
        ({"a": [1, 2]}, {"a": [1]}, [(("a",), [1, 2], [1])]),
        ({"a": [1]}, {"a": {"b": 1}}, [(("a",), [1], {"b": 1})]),
        ({"a": True}, {"a": 1}, [(("a",), True, 1)]),
        ({"a": 0}, {"a": False}, [(("a",), 0, False)]),
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": "1"}, {"a": 1}, [(("a",), "1", 1)]),
        ({"a": ""}, {"a": None}, [(("a",), "", None)]),
        ({"b": 1, "a": {"d": 1, "c": 2}}, {"a": {"c": 2, "d": 1}, "b": 1}, []),
    ],
)
def test_fields_that_differ(before: Any, after: Any, found: list[Any]) -> None:
    assert list(diff(before, after)) == found
    assert same(before, after) == (not found)


@given(trees, trees)
def test_same_is_an_empty_diff_both_ways(before: Any, after: Any) -> None:
    assert same(before, after) == (not list(diff(before, after)))
    assert same(before, after) == same(after, before)
    assert same(before, before)


@given(trees, trees)
def test_the_other_way_round_is_the_same_with_sides_exchanged(before: Any, after: Any) -> None:
    there = {path: (repr(old), repr(new)) for path, old, new in diff(before, after)}
    back = {path: (repr(new), repr(old)) for path, old, new in diff(after, before)}
    assert there == back
