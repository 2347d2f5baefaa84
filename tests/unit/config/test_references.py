"""References in options trees, and the tools they name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.config.references import references_in
from devstream.model.address import Address
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown


def ref(name: str) -> Reference:
    return Reference(Address("noop", name), ("output",))


PLAIN = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(),
    st.just(Unknown()),
    st.just(Secret((SecretRef("env", "X"),))),
)
REFERENCES = st.sampled_from("abcdef").map(ref)
INTERPOLATIONS = st.lists(st.one_of(st.text(), REFERENCES, st.just(SecretRef("env", "X")))).map(
    lambda parts: Interpolation(tuple(parts))
)
TREES = st.recursive(
    st.one_of(PLAIN, REFERENCES, INTERPOLATIONS),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, ""),
        ({"a": 1, "b": "noop.a.outputs.output"}, ""),
        ({"a": ref("a")}, "a"),
        ({"a": ref("b"), "b": [ref("a"), ref("b")]}, "ba"),
        ({"a": {"b": [{"c": Interpolation(("x", ref("c"), ref("a")))}]}}, "ca"),
        (ref("a"), "a"),
    ],
)
def test_references_in(options: Any, wanted: str) -> None:
    assert references_in(options) == tuple(ref(name) for name in wanted)


def flat(value: Any) -> list[Reference]:
    if isinstance(value, Reference):
        return [value]
    if isinstance(value, dict):
        return [found for item in value.values() for found in flat(item)]
    if isinstance(value, Interpolation):
        return flat(list(value.parts))
    return [found for item in value for found in flat(item)] if isinstance(value, list) else []


@given(TREES)
def test_every_reference_is_found_once_in_order(tree: Any) -> None:
    assert list(references_in(tree)) == list(dict.fromkeys(flat(tree)))
