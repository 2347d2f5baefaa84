"""Rendering: names, types, secrets, references, keys, scopes, circles, limits, and the places of mistakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devstream.config import joining
from devstream.config.source import parse
from devstream.config.template import MOST_STEPS, Scope, render
from devstream.config.tree import Map, Node, Source, Text
from devstream.model.address import Address
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown

ENV = {"TOKEN": "t0ken", "PORT": "8080", "EMPTY": ""}


def tree(text: str) -> Map:
    (document,) = parse(Source("f", Path("f"), text)).documents
    return document


class Rendered:
    """The top-level mapping but for ``vars``, rendered with these as variables."""

    def __init__(self, text: str, *, offline: bool = False, **outside: Any) -> None:
        document = tree(text)
        declared: Any = document.pop("vars", None) or {}
        self.scope = Scope({**declared, **outside}, ENV.get, offline=offline)
        self.values = render(document, self.scope)
        self.errors = [str(error) for error in self.scope.errors]
        self.warnings = [str(warning) for warning in self.scope.warnings]


def value(text: str, **outside: Any) -> Any:
    """Render ``k``; there are no mistakes."""
    rendered = Rendered(text, **outside)
    assert rendered.errors == rendered.warnings == []
    return rendered.values["k"]


def errors(text: str, **outside: Any) -> list[str]:
    return Rendered(text, **outside).errors


TOKEN = SecretRef("env", "TOKEN")
OUTPUT = Reference(Address("a", "b"), ("c",))
VARS = "vars: {s: text, n: 8080, f: 1.5, t: true, z: null, l: [1, x], m: {a: {b: deep}}, e: '', o: {}}\n"

VALUES: list[tuple[str, str, Any]] = [
    # R16: a plain leaf that is one expression keeps the type, anything else is text
    ("R16", "k: [[ n ]]", 8080),
    ("R16", "k: [[ f ]]", 1.5),
    ("R16", "k: [[ t ]]", True),
    ("R16", "k: [[ z ]]", None),
    ("R16", "k: [[ l ]]", [1, "x"]),
    ("R16", "k: [[ m ]]", {"a": {"b": "deep"}}),
    ("R16", 'k: "[[ n ]]"', "8080"),
    ("R16", "k: '[[ t ]]'", "true"),
    ("R16", "k: |-\n  [[ z ]]", "null"),
    ("R16", "k: [[ n ]]/[[ t ]]/[[ z ]]/[[ f ]]", "8080/true/null/1.5"),
    ("R16", "k: x[[ l ]]", 'x[1, "x"]'),
    ("R16", "k: [[ e ]][[ e ]]", ""),
    ("R16", "k: !!str [[ n ]]", "8080"),
    ("R16", "k: ${{ a.b.outputs.c }}", OUTPUT),
    ("R16", 'k: "${{ a.b.outputs.c }}"', OUTPUT),
    ("R16", "k: !!str ${{ a.b.outputs.c }}", Interpolation((OUTPUT,))),
    ("R13", "k: ${{ a.b.outputs.c[0].d }}", Reference(Address("a", "b"), ("c", 0, "d"))),
    ("R13", "k: x${{ a.b.outputs.c }}y", Interpolation(("x", OUTPUT, "y"))),
    ("R13", "k: ${{ secrets.[[ s ]] }}", "${{ secrets.text }}"),
    # names
    ("R5", "k: [[ m.a.b ]]", "deep"),
    ("R5", "k: [[ .m.a ]]", {"b": "deep"}),
    ("R5", "k: [ [[ s ]], {x: [[ n ]]} ]", ["text", {"x": 8080}]),
    # secrets
    ("secret", 'k: [[ env "TOKEN" ]]', Secret((TOKEN,))),
    ("secret", 'k: "[[ env TOKEN ]]"', Secret((TOKEN,))),
    ("secret", "k: a-[[ s ]]-[[ env TOKEN ]]-b", Secret(("a-text-", TOKEN, "-b"))),
    ("secret", "k: [[ env TOKEN ]][[ env PORT ]]", Secret((TOKEN, SecretRef("env", "PORT")))),
    ("secret", "k: [[ env TOKEN ]]@${{ a.b.outputs.c }}", Interpolation((TOKEN, "@", OUTPUT))),
    # keys
    ("R24", "k: {[[ s ]]-[[ n ]]: 1}", {"text-8080": 1}),
    ("R24", "k: {[[ n ]]: 1}", {"8080": 1}),
    ("R24", "k: {[[ t ]]: 1}", {"true": 1}),
    # text from outside the files takes a type as a whole plain leaf only
    ("R26", "k: [[ outside ]]", 1.2),
    ("R26", "k: v[[ outside ]]", "v1.20"),
    ("R26", 'k: "[[ outside ]]"', "1.20"),
    ("R26", 'k: [[ env("PORT", secret=false) ]]', 8080),
    ("R26", 'k: "[[ env("PORT", secret=false) ]]"', "8080"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "text", "expected"), VALUES, ids=[f"{rule}: {text}" for rule, text, _ in VALUES]
)
def test_value(rule: str, text: str, expected: Any) -> None:
    found = value(VARS + text, outside=Text("1.20"))
    assert found == expected
    assert type(found) is type(expected)


def test_variables_resolve_through_each_other_in_any_order() -> None:
    text = """
    vars:
      url: https://[[ host ]]:[[ ports.http ]]
      host: "[[ name ]].example"
      ports: {http: [[ base ]], all: [ [[ base ]], [[ ports.http ]] ]}
      name: [[ names[0] ]]
      names: [ "[[ first ]]" ]
      first: svc
      base: [[ outside ]]
    k: [ [[ url ]], [[ ports ]] ]
    """
    assert value(text, outside=Text("80")) == ["https://svc.example:80", {"http": 80, "all": [80, 80]}]


def test_rendered_containers_are_fresh() -> None:
    rendered = Rendered("vars: {l: [{a: 1}]}\nk: [[ l ]]\nm: [[ l ]]\nn: [1]")
    rendered.values["k"][0]["a"] = 2
    assert rendered.values["m"] == [{"a": 1}]
    assert type(rendered.values) is dict
    assert type(rendered.values["n"]) is list


def test_values_that_are_rendered_already_may_be_among_the_nodes() -> None:
    scope = Scope({"x": 1}, ENV.get)
    nodes: dict[str, Any] = {"a": [tree("t: [[ x ]]")["t"], OUTPUT, Secret((TOKEN,)), None]}
    assert render(nodes, scope) == {"a": [1, OUTPUT, Secret((TOKEN,)), None]}


# Mistakes and their places


ERRORS: list[tuple[str, str, str]] = [
    ("unknown", "k: x [[ hots ]]", 'f:2:6: unknown variable "hots" (did you mean "host"?)'),
    ("unknown", "k: |\n  [[runners]]\n", 'f:3:3: unknown variable "runners" (add it to vars; to keep it as text, tag the value !raw'),
    ("unknown", "k: [[ m.bb ]]", 'f:2:4: the variable "m" has no "bb" (did you mean "b"?)'),
    ("unknown", "k: [[ host.x ]]", 'f:2:4: "host" is not a mapping and has no "x"'),
    ("unknown", "k: [[ m.b.c ]]", 'f:2:4: "m.b" is not a mapping and has no "c"'),
    ("env", "k: [[ env NOPE ]]", "f:2:4: the environment variable NOPE is not set (export NOPE=...)"),
    ("env", "k: [[ env EMPTY ]]", "f:2:4: the environment variable EMPTY is not set to anything"),
    ("key", "k: {[[ env TOKEN ]]: 1}", "f:2:5: a key cannot hold a secret or the output of a tool"),
    ("R24", "x: {[[ host ]]: 1, h: 2}", 'f:2:20: the key "h" is there twice (first at f:2:5)'),
    ("R24", "x: {[[ host ]]: 1, [[host]]: 2}", 'f:2:20: the key "h" is there twice (first at f:2:5)'),
    ("joined", "k: x[[ secrets ]]", "f:2:4: a list or mapping that holds secrets or outputs of tools cannot become text"),
    ("R18", "k: x [[  a + b ]]", "f:2:10: arithmetic cannot be used in expressions"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "text", "message"), ERRORS, ids=[f"{kind}: {text}" for kind, text, _ in ERRORS]
)
def test_mistake(kind: str, text: str, message: str) -> None:
    (found,) = errors("vars: {host: h, m: {b: 1}, secrets: [ [[ env TOKEN ]] ]}\n" + text)
    assert found.startswith(message)


def test_unknown_variables_say_both_ways_out() -> None:
    scope = Rendered("vars: {runner: 1}\nk: [[runners]]").scope
    (error,) = scope.errors
    assert 'did you mean "runner"?' in error.suggestion
    for way in ("!raw", '[[ "[[" ]]'):
        assert way in error.detail + error.suggestion


def test_all_mistakes_are_collected_and_a_mistake_in_a_variable_once() -> None:
    text = """
vars: {bad: "[[ nope ]]"}
a: [[ bad ]]
b: x [[ bad ]] [[ bad ]] [[ other ]]
c: [ [[ third ]], [[ env NOPE ]] ]
"""
    found = errors(text)
    assert [line.split(" ", 1)[0] for line in found] == ["f:2:14:", "f:4:26:", "f:5:6:", "f:5:19:"]


@pytest.mark.parametrize("asked", ["a", "b", "c", "d"])
def test_a_circle_is_printed_as_a_path_with_places(asked: str) -> None:
    scope = Rendered(
        f"vars:\n  a: [[ b ]]\n  b: x[[ c ]]\n  c: [ [[ a ]] ]\n  d: [[ a ]]\nk: [[ {asked} ]]"
    ).scope
    (error,) = scope.errors
    assert error.code == "cycle"
    path = error.summary.removeprefix("variables need each other in a circle: ").split(" -> ")
    assert path[0] == path[-1]
    assert sorted(path[1:]) == ["a", "b", "c"]
    places = {"b": 'f:2:6: "a" needs "b"', "c": 'f:3:7: "b" needs "c"', "a": 'f:4:8: "c" needs "a"'}
    assert error.detail.splitlines() == [places[name] for name in path[1:]]
    assert str(error.mark) == places[path[1]].split(": ")[0]


def test_a_variable_that_needs_itself() -> None:
    (error,) = Rendered("vars: {a: '[[ a ]]'}\nk: [[ a ]]").scope.errors
    assert error.summary == "variables need each other in a circle: a -> a"
    assert str(error.mark) == "f:1:12"


def test_a_part_of_a_mapping_may_need_another_part() -> None:
    assert value("vars: {m: {a: [[ m.b ]], b: 1}}\nk: [[ m ]]") == {"a": 1, "b": 1}
    (error,) = errors("vars: {m: {a: [[ m.b ]], b: [[ m.a ]]}}\nk: [[ m ]]")
    assert "circle: m.a -> m.b -> m.a" in error or "circle: m.b -> m.a -> m.b" in error


def test_a_mapping_with_key_templates_can_be_looked_into() -> None:
    assert value("vars: {m: {[[ n ]]: {x: 1}}, n: q}\nk: [[ m.q.x ]]") == 1


# Unset environment variables while offline


def test_offline_an_unset_variable_is_unknown_with_a_warning() -> None:
    rendered = Rendered(
        "vars: {t: [[ env NOPE ]]}\nk: [[ t ]]\nl: x[[ t ]]\nm: {[[ env EMPTY ]]: 1}", offline=True
    )
    assert rendered.errors == []
    assert rendered.warnings == [
        "f:1:11: the environment variable NOPE is not set; the value is not known (export NOPE=...)",
        "f:4:5: the environment variable EMPTY is not set to anything; the value is not known (export EMPTY=...)",
    ]
    unknown = Unknown("NOPE is not set")
    assert rendered.values == {"k": unknown, "l": unknown, "m": {"[[ env EMPTY ]]": 1}}


def test_offline_an_unknown_name_is_an_error_still() -> None:
    assert Rendered("k: [[ nope ]]", offline=True).errors


# Scopes


def test_an_extended_scope_wins_and_its_nodes_see_the_outer_names() -> None:
    outer = Scope({"name": "outer", "other": "o", "late": tree("v: '[[ name ]]!'")["v"]}, ENV.get)
    inner = outer.extend({"name": tree("v: '[[ name ]]-x'")["v"], "own": 1})
    innermost = inner.extend({"name": tree("v: '[[ name ]]-y'")["v"]})
    node = tree("v: [ [[ name ]], [[ other ]], [[ late ]] ]")["v"]
    assert render(node, outer) == ["outer", "o", "outer!"]
    assert render(node, inner) == ["outer-x", "o", "outer!"]
    assert render(node, innermost) == ["outer-x-y", "o", "outer!"]
    assert innermost.names == {"name", "other", "late", "own"}
    assert outer.names == {"name", "other", "late"}


def test_mistakes_of_an_extended_scope_are_in_the_first() -> None:
    outer = Scope({}, ENV.get)
    node = tree("v: [[ nope ]]")["v"]
    for number in range(3):
        render(node, outer.extend({"x": number}))
    assert [str(error.mark) for error in outer.errors] == ["f:1:4"]


# Limits


def test_a_chain_of_variables_has_a_limit() -> None:
    def chain(length: int) -> str:
        links = "".join(f"  v{number}: [[ v{number + 1} ]]\n" for number in range(length))
        return f"vars:\n{links}  v{length}: end\nk: [[ v0 ]]"

    assert value(chain(MOST_STEPS - 1)) == "end"
    (error,) = errors(chain(MOST_STEPS))
    assert f"more than {MOST_STEPS} steps" in error
    assert len(errors(chain(5000))) == 1


def test_a_chain_through_expressions_has_the_same_limit() -> None:
    links = "".join(
        f"  v{n}: [[ (v{n + 1} if true else '') | default((v{n + 1})) | lower ]]\n"
        for n in range(MOST_STEPS - 1)
    )
    assert value(f"vars:\n{links}  v{MOST_STEPS - 1}: END\nk: [[ v0 ]]") == "end"


def doubling(steps: int, form: str) -> str:
    links = "".join(f"  v{n + 1}: {form.replace('v', f'v{n}')}\n" for n in range(steps))
    return f"vars:\n  v0: [[ start ]]\n{links}k: [[ v{steps} ]]"


@pytest.mark.parametrize("form", ["'[[ v ]][[ v ]]'", "[[ v ~ v ]]"])
def test_text_that_doubles_is_stopped_at_a_mebibyte(form: str) -> None:
    assert len(value(doubling(16, form), start="x" * 16)) == 1024 * 1024
    (error,) = errors(doubling(24, form), start="x" * 16)
    assert "larger than 1 MiB" in error


@pytest.mark.parametrize("form", ["[ [[ v ]], [[ v ]] ]", "[[ {'a': v, 'b': v} ]]"])
def test_containers_that_double_are_stopped(form: str) -> None:
    found = errors(doubling(24, form), start=1)
    assert len(found) in (1, 2)  # one for each place that would hold it
    assert all("larger than 1 MiB" in error for error in found)


def test_containers_that_nest_through_variables_are_stopped() -> None:
    form = "[" * 20 + " [[ v ]] " + "]" * 20
    (error,) = errors(doubling(20, form), start=1)
    assert "nested too deeply" in error


def test_all_values_together_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devstream.config.template.LARGEST_TOTAL", 10_000)
    assert errors("k: [" + "'[[ x ]]', " * 10 + "]", x="y" * 999) == []
    found = errors("k: [" + "'[[ x ]]', " * 11 + "]", x="y" * 999)
    assert len(found) == 1
    assert found[0].startswith("f:1:115: all rendered values together are larger than")


def test_the_limit_of_a_value_is_that_of_the_specification() -> None:
    assert joining.LARGEST_VALUE == 2**20
    assert joining.LARGEST_TOTAL == 2**26


def test_template_free_trees_are_rendered_as_they_are() -> None:
    node: Node = tree("a: [1, {b: x}]\nc: null")
    assert render(node, Scope({}, ENV.get)) == {"a": [1, {"b": "x"}], "c": None}
