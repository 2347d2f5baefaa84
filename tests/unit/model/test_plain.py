from __future__ import annotations

import datetime as dt
import enum
import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.model.address import Address
from devstream.model.plain import MARKED, plain_copy
from devstream.model.values import Reference, Secret, SecretRef, Unknown

texts = st.text(st.characters(codec="utf-8"), max_size=5)
plain_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


class Word(enum.StrEnum):
    A = "a"


NO_JSON: list[Any] = [
    Secret((SecretRef("env", "T"),), "hush"),
    Reference(Address("a", "b"), ("c",)),
    Unknown("a.b"),
    (1, 2),
    {1, 2},
    {1: 2},
    b"bytes",
    math.nan,
    math.inf,
    Decimal("1.5"),
    dt.date(2026, 1, 1),
    "\ud800",
    object(),
]


def kinds(value: Any) -> Any:
    """Give the types of a tree: Python holds 1, 1.0 and True equal."""
    if isinstance(value, dict):
        return {key: kinds(item) for key, item in value.items()}
    return [kinds(item) for item in value] if isinstance(value, list) else type(value)


@given(st.dictionaries(texts, plain_values, max_size=4))
def test_a_plain_tree_has_an_equal_copy_of_equal_types(tree: dict[str, Any]) -> None:
    copy = plain_copy(tree)
    assert copy == tree
    assert kinds(copy) == kinds(tree)


@given(st.dictionaries(texts, plain_values, max_size=3), st.sampled_from(NO_JSON))
def test_what_is_more_than_json_has_none(tree: dict[str, Any], leaf: Any) -> None:
    assert plain_copy({**tree, "x": [{"y": leaf}]}) is None


def test_the_copy_shares_nothing() -> None:
    tree: dict[str, Any] = {"a": {"b": [1]}}
    copy = plain_copy(tree)
    tree["a"]["b"].append(2)
    assert copy == {"a": {"b": [1]}}


def test_words_of_an_enum_become_text() -> None:
    copy = plain_copy({"a": Word.A})
    assert copy is not None
    assert type(copy["a"]) is str


def test_a_mark_can_be_ruled_out() -> None:
    assert plain_copy({"a": {"$ref": "x"}}, unless=MARKED) is None
    assert plain_copy({"a": {"ref": "x$"}}, unless=MARKED) == {"a": {"ref": "x$"}}


def test_nesting_without_end_is_no_crash() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert plain_copy({"a": deep}) is None


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 1e22, 5e-324, -0.0])
def test_numbers_stay_what_they_are(number: float) -> None:
    copy = plain_copy({"n": number})
    assert copy is not None
    assert repr(copy["n"]) == repr(number)
