"""Where values come from. What users see of it is in the corpus; here are the corners."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from devstream.config.origins import LayeredOrigins, TreeOrigins, VariablePlace, Written, place_of
from devstream.config.source import parse
from devstream.config.tree import Map, Source
from devstream.errors import Mark
from devstream.model.origin import NoOrigins, Origin

TEXT = """\
a:
  b: [1, {c: 2}]
  d: [[ v.x ]]
e: [[ v ]]
f: [[ w ]]
g: [[ gone.x ]]
h: [[ v | tojson ]]
"""


def tree(text: str, name: str = "f") -> Map:
    return parse(Source(name, Path(name), text)).documents[0]


VARS = tree("v: {x: [5, 6], y: [[ w ]]}\nw: 7\n", "vars")
PLACES = {name: VariablePlace(f"vars.{name}", VARS, name) for name in VARS}
ALL: dict[str, VariablePlace] = {name: place._replace(places=PLACES) for name, place in PLACES.items()}
DEFAULT = Origin(Mark("default", 1, 1))


@pytest.mark.parametrize(
    ("path", "origin"),
    [
        ((), "f:1:1"),
        (("a",), "f:2:3"),
        (("a", "b", 0), "f:2:7"),
        (("a", "b", 1, "c"), "f:2:14"),
        (("a", "b", 9), "f:2:6"),
        (("a", "b", "x"), "f:2:6"),
        (("a", 0), "f:2:3"),
        (("nothing",), "f:1:1"),
        (("a", "d"), "f:3:6, vars.v (vars:1:4)"),
        (("a", "d", 1), "f:3:6, vars.v (vars:1:4)"),
        (("e", "y"), "f:4:4, vars.v (vars:1:4), vars.w (vars:2:4)"),
        (("f",), "f:5:4, vars.w (vars:2:4)"),
        (("g",), "f:6:4"),
        (("h",), "f:7:4"),
    ],
)
def test_one_tree(path: tuple[Any, ...], origin: str) -> None:
    assert str(TreeOrigins(Written(tree(TEXT), ALL)).at(path)) == origin


def test_a_part_of_a_tree() -> None:
    origins = TreeOrigins(Written(tree(TEXT), ALL, ("app x",), ("a", "b")))
    assert str(origins.at((1, "c"))) == "f:2:14, app x"
    assert str(origins.at((7,))) == "f:2:6, app x"


def test_a_plain_value_has_no_place_of_its_own() -> None:
    assert place_of("text", ()) is None
    assert place_of(None, ("a",)) is None


def test_of_several_layers_the_one_that_reaches_furthest_counts_then_the_first() -> None:
    first, second = tree("p: {x: 1}", "first"), tree("p: {x: 2, y: {z: 3}}", "second")
    layers = ((("at",), Written(first, {})), (("at",), Written(second, {})), (("other",), Written(None, {})))
    origins = LayeredOrigins(lambda: layers, DEFAULT)
    assert str(origins.at(("at", "p", "x"))) == "first:1:8"
    assert str(origins.at(("at", "p", "y", "z"))) == "second:1:18"
    assert str(origins.at(("at", "p", "y", "missing"))) == "second:1:14"
    assert str(origins.at(("at", "q"))) == "first:1:1"
    assert origins.at(("other", "x")) == DEFAULT
    assert origins.at(("nowhere",)) == DEFAULT


@pytest.mark.parametrize(
    "origins", [TreeOrigins(Written(tree(TEXT), ALL)), LayeredOrigins(lambda: (), DEFAULT)]
)
def test_another_process_knows_of_no_places(origins: object) -> None:
    assert isinstance(pickle.loads(pickle.dumps(origins)), NoOrigins)
