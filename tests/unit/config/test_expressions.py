"""R6: expressions; Jinja2's grammar, our own evaluation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from devstream.config.refusals import Place, Refusal
from devstream.config.source import parse
from devstream.config.template import Scope, render
from devstream.config.tree import Expression, Source, Text
from devstream.errors import ConfigError, Diagnostic
from devstream.model.address import Address
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown

ENV = {"TOKEN": "t0ken", "PORT": "8080"}
OUTPUT = Reference(Address("a", "b"), ("c",))
TOKEN = Secret((SecretRef("env", "TOKEN"),))
VARIABLES: dict[str, Any] = {
    "s": "Text",
    "n": 3,
    "f": 1.5,
    "t": True,
    "z": None,
    "e": "",
    "l": [1, "b", None],
    "m": {"a": {"b": "deep"}, "k-e": 1},
    "o": {},
    "out": OUTPUT,
    "tok": TOKEN,
    "mixed": ["x", TOKEN],
    "unknown": Unknown("later"),
    "partly": [1, {"a": Unknown("later")}],
    "outside": Text("12"),
}


def evaluate(text: str) -> tuple[Any, list[Diagnostic]]:
    """Evaluate an expression as it would be in a plain leaf, at column 1 of its file."""
    source = Source("f", Path("f"), text)
    scope = Scope(VARIABLES, ENV.get)
    expression = Expression(text, 0, 0)
    return scope.attempt(expression, source), scope.errors


VALUES: list[tuple[str, Any]] = [
    # literals
    ('"a"', "a"), ("'a'", "a"), ("1", 1), ("-1", -1), ("1.5", 1.5), ("true", True), ("none", None),
    ("[1, 'a', n]", [1, "a", 3]), ("{'a': n}", {"a": 3}), ("[]", []), ("'a\\nb'", "a\nb"),
    # lookups
    ("s", "Text"), ("m.a.b", "deep"), ("m['a'].b", "deep"), ("m['k-e']", 1), ("l[0]", 1), ("l[-1]", None),
    ("{'a': 1}['a']", 1), ("[1, 2][1]", 2), ("m[s | lower] | default(5)", 5),
    # operators
    ("s ~ n ~ t ~ z", "Text3truenull"), ("n == 3", True), ("n != 3", False), ("n < 4", True), ("1 < n < 3", False),
    ("n >= 3 and n <= 3", True), ("'e' in s", True), ("'a' in m", True), ("1 in l", True), ("1 not in l", False),
    ("not t", False), ("e or s", "Text"), ("s or e", "Text"), ("e and s", ""), ("s and n", 3),
    ("s if t else n", "Text"), ("s if e else n", 3), ("s if e", ""), ("z == none", True), ("'1' == 1", False),
    # what is not chosen is not evaluated
    ("s if t else nope", "Text"), ("s or nope", "Text"), ("e and nope", ""),
    # filters
    ("nope | default('x')", "x"), ("nope | default", ""), ("m.nope | default(1)", 1), ("l[9] | default(2)", 2),
    ("e | default('x')", ""), ("e | default('x', true)", "x"), ("s | default('x', true)", "Text"),
    ("z | default('x')", None), ("nope | lower | default('y')", "y"), ("nope | default(other | default(3))", 3),
    ("s | lower", "text"), ("s | upper", "TEXT"), ("t | upper", "TRUE"), ("n | lower", "3"), ("' a ' | trim", "a"),
    ("s | replace('e', 'ee')", "Teext"), ("n | replace(3, 4)", "4"), ("s | replace('', '-')", "-T-e-x-t-"),
    ("l | join(',')", "1,b,null"), ("l | join", "1bnull"), ("[] | join(',')", ""),
    ("s | length", 4), ("l | length", 3), ("m | length", 2), ("l | first", 1), ("l | last", None), ("s | first", "T"),
    ("[] | first | default('x')", "x"), ("m | tojson", '{"a": {"b": "deep"}, "k-e": 1}'), ("'é' | tojson", '"é"'),
    ("z | tojson", "null"), ("mixed | first", "x"), ("mixed | last", TOKEN), ("mixed | length", 2),
    # secrets, outputs, unknown
    ("env('TOKEN')", TOKEN), ("env('TOKEN', secret=true)", TOKEN), ("env('NOPE') | default('x')", "x"),
    ("env('NOPE') | default(env('TOKEN'))", TOKEN), ("env('TOKEN') | default('x')", TOKEN),
    ("env('TOKEN') | default('x', true)", TOKEN), ("env('TO' ~ 'KEN')", TOKEN),
    ("'a' ~ tok ~ 'b'", Secret(("a", SecretRef("env", "TOKEN"), "b"))),
    ("'a' ~ out", Interpolation(("a", OUTPUT))), ("out ~ tok", Interpolation((OUTPUT, SecretRef("env", "TOKEN")))),
    ("out", OUTPUT), ("[out]", [OUTPUT]), ("tok if t else ''", TOKEN), ("out | default('x')", OUTPUT),
    ("unknown", Unknown("later")), ("unknown ~ 'a'", Unknown("later")), ("unknown | lower", Unknown("later")),
    ("unknown == 1", Unknown("later")), ("1 if unknown else 2", Unknown("later")), ("not unknown", Unknown("later")),
    ("unknown or 1", Unknown("later")), ("unknown and 1", Unknown("later")), ("unknown[0]", Unknown("later")),
    ("unknown.a", Unknown("later")), ("env(unknown)", Unknown("later")), ("unknown | default(1)", Unknown("later")),
    ("'a' | replace('a', unknown)", Unknown("later")), ("m[unknown]", Unknown("later")),
    ("partly | tojson", Unknown("later")), ("partly | join(',')", Unknown("later")), ("partly ~ ''", Unknown("later")),
    ("partly == []", Unknown("later")), ("1 in partly", Unknown("later")), ("partly | first", 1),
    ("partly | length", 2), ("partly[0]", 1), ("partly | last", {"a": Unknown("later")}),
    # text from outside is text
    ("outside == '12'", True), ("outside ~ ''", "12"), ("outside | length", 2), ("{outside: 1}", {"12": 1}),
    ("env('PORT', secret=false) == '8080'", True),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), VALUES, ids=[text for text, _ in VALUES])
def test_value(text: str, expected: Any) -> None:
    found, errors = evaluate(text)
    assert errors == []
    assert found == expected
    assert isinstance(found, type(expected))


ERRORS: list[tuple[str, int, str]] = [
    # syntax: the text, the column (from 1), a piece of the message
    ("s n x", 3, 'there is no operator before "n"'),
    ("s |", 4, "not an expression"),
    ("s ~", 4, "not an expression"),
    ("s ? n", 3, "not an expression"),
    ("(s", 3, "not an expression"),
    ("", 1, "not an expression"),
    ("s $ n", 3, "not an expression"),
    ("'a", 1, "not an expression"),
    # not on the list
    ("s + n", 1, "arithmetic"),
    ("s * 2", 1, "arithmetic"),
    ("n - 1", 1, "arithmetic"),
    ("n ** 2", 1, "arithmetic"),
    ("-n", 1, "arithmetic"),
    ("-'a'", 1, "arithmetic"),
    ("+1", 1, "arithmetic"),
    ("my-var", 1, "arithmetic cannot be used in expressions (a name with - in it"),
    ("s is defined", 3, '"is" tests'),
    ("l[0:1]", 3, "slices"),
    ("(s, n)", 3, "tuples"),
    ("s()", 2, "only env"),
    ("m.a()", 4, "only env"),
    ("range(3)", 6, "only env"),
    ("''.__class__.__mro__[1].__subclasses__()", None, "only env"),  # type: ignore[list-item]
    ("s if t else n + 1", 13, "arithmetic"),
    ("s | lowr", 5, 'there is no filter "lowr" (did you mean "lower"?)'),
    ("s | attr('x')", 5, 'there is no filter "attr"'),
    ("s | zzz", 5, "there are default, first, join"),
    ("env(*l)", 4, "* and **"),
    ("s | lower(**m)", 5, "* and **"),
    # lookups
    ("nope", 1, 'unknown variable "nope"'),
    ("s ~ nope", 5, 'unknown variable "nope"'),
    ("m.b", 2, 'the variable "m" has no "b"'),
    ("s.__class__", 2, '"s" is not a mapping and has no "__class__"'),
    ("'x'.__class__", 4, "text has no items by text"),
    ("l[3]", 2, "there is no item 3 in a list of 3"),
    ("m['x']", 2, 'there is no "x"'),
    ("l['x']", 2, "a list has no items by text"),
    ("l[true]", 2, "a list has no items by true or false"),
    ("n[0]", 2, "a number has no items by a number"),
    ("z[0]", 2, "null has no items by a number"),
    # types
    ("s < n", 1, "text and a number cannot be compared"),
    ("1 in n", 1, "cannot be compared"),
    ("{1: 2}", 2, "a key must be text"),
    ("m | lower", 5, "a list or mapping is not text"),
    ("s | join(',')", 5, "join takes a list"),
    ("n | length", 5, "have a length"),
    ("m | first", 5, "first and last take a list or text"),
    ("[] | first", 6, "there is no first and no last in what is empty"),
    ("s | lower(1)", 5, "lower takes no values in brackets"),
    ("s | replace('a')", 5, "replace takes two values"),
    ("s | join(1, 2)", 5, "join takes 1 value in brackets"),
    ("s | default(1, 2, 3)", 5, "default takes one or two values"),
    ("s | replace(old=1)", 5, "replace takes no named values"),
    ("1e999", 1, "the number is too large"),
    # the environment
    ("env('NOPE')", 4, "the environment variable NOPE is not set"),
    ("env()", 4, 'write env("NAME")'),
    ("env('A', 'B')", 4, 'write env("NAME")'),
    ("env('A', secrets=false)", 4, 'write env("NAME")'),
    ("env('A', secret='no')", 4, 'write env("NAME")'),
    ("env(1)", 4, "the name of an environment variable is text"),
    # secrets and outputs
    ("tok | lower", 7, "cannot be looked into"),
    ("tok | length", 7, "cannot be looked into"),
    ("'a' | replace('a', tok)", 7, "cannot be looked into"),
    ("tok == 'a'", 1, "cannot be compared"),
    ("mixed == []", 1, "cannot be compared"),
    ("'a' in mixed", 1, "cannot be compared"),
    ("'x' if tok else 'y'", 8, "cannot be looked into"),
    ("not tok", 5, "cannot be looked into"),
    ("tok or 'x'", 1, "cannot be looked into"),
    ("tok[0]", 4, "cannot be looked into"),
    ("m[tok]", 2, "cannot be looked into"),
    ("out.x", 4, '"out" is not a mapping'),
    ("out | upper", 7, "cannot be looked into"),
    ("mixed | join(',')", 9, "join cannot be used"),
    ("mixed | tojson", 9, "tojson cannot be used"),
    ("mixed ~ 'x'", 1, "cannot become text"),
    ("{tok: 1}", 2, "a key must be text"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "column", "piece"), ERRORS, ids=[text for text, _, _ in ERRORS])
def test_mistake(text: str, column: int | None, piece: str) -> None:
    found, errors = evaluate(text)
    assert found == Unknown("an error")
    (error,) = errors
    assert piece in str(error)
    assert error.mark is not None
    if column is not None:
        assert error.mark.column == column


def test_r18_places_inside_of_files() -> None:
    text = 'a: x [[ s ~ nope ]]\nb: "[[ s | replace(\\"a\\", nope) ]]"\n'
    (document,) = parse(Source("f", Path("f"), text)).documents
    scope = Scope(VARIABLES, ENV.get)
    render(document, scope)
    assert [str(error.mark) for error in scope.errors] == ["f:1:13", "f:2:5"]


def test_a_hint_that_it_is_plain_text_is_given() -> None:
    _, (error,) = evaluate("a wiki link")
    assert "!raw" in error.suggestion


# Sizes are known before anything is built


@pytest.mark.parametrize(
    "text",
    [
        "big ~ big",
        "big | replace('x', big)",
        "l | join(big)",
        "[big, big, big]",
        "{'a': big, 'b': big}",
        "[items, items]",
    ],
)
def test_nothing_larger_than_a_mebibyte_is_built(text: str) -> None:
    source = Source("f", Path("f"), text)
    variables = {"big": "x" * 600_000, "l": list("abcdef"), "items": list(range(40_000))}
    scope = Scope(variables, ENV.get)
    with pytest.raises(Refusal, match="larger than 1 MiB"):
        scope.part(Expression(text, 0, 0), source)


@pytest.mark.parametrize(
    "text", ["(" * 250 + "1" + ")" * 250, "not " * 120 + "t", "[" * 200 + "]" * 200, "-" * 500 + "1"]
)
def test_deep_expressions_are_a_mistake_and_no_crash(text: str) -> None:
    (document,) = parse(Source("f", Path("f"), f"k: |\n  [[ x ~ {text} ]]")).documents
    scope = Scope({"x": ""}, ENV.get)
    render(document, scope)
    assert all(str(error).startswith("f:") for error in scope.errors)


def test_jinja2_is_imported_only_for_expressions() -> None:
    program = """
import sys
from pathlib import Path
from devstream.config.source import parse
from devstream.config.template import Scope, render
from devstream.config.tree import Source
def run(text):
    scope = Scope({"a": {"b": 1}}, {"X": "x"}.get)
    render(parse(Source("f", Path("f"), text)).documents[0], scope)
    assert not scope.errors, scope.errors
    return "jinja2" in sys.modules
assert not run('k: x [[ a.b ]] [[ env "X" ]] ${{ a.b.outputs.c }} [[ .a.b ]]')
assert run("k: [[ a.b | lower ]]")
"""
    subprocess.run([sys.executable, "-c", program], check=True)


EXPRESSION_PIECES = [
    "s",
    "n",
    "m",
    "l",
    "tok",
    "out",
    "unknown",
    "nope",
    ".a",
    "[0]",
    "['a']",
    " ~ ",
    " == ",
    " in ",
    " and ",
]
EXPRESSION_PIECES += [
    " or ",
    "not ",
    " if ",
    " else ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ", ",
    ": ",
    "'x'",
    "1",
    "-",
    " | lower",
]
EXPRESSION_PIECES += [
    " | default(",
    " | join(",
    " | tojson",
    " | first",
    " | replace('a', ",
    "env('TOKEN')",
    "env(",
    "\\",
    "'",
    "é",
]


@given(st.lists(st.sampled_from(EXPRESSION_PIECES), max_size=12))
@example(["{", "tok", ": ", "1", "}"])
def test_any_text_is_a_value_or_a_mistake_with_a_place(pieces: list[str]) -> None:
    text = "".join(pieces)
    _, errors = evaluate(text)
    for error in errors:
        assert error.mark is not None
        assert 1 <= error.mark.column <= len(text) + 1


def test_a_place_prints_as_editors_understand() -> None:
    assert str(Place(Source("f", Path("f"), "a\nb"), 2)) == "f:2:1"


def test_refusals_of_one_file_do_not_stop_another() -> None:
    with pytest.raises(ConfigError):
        parse(Source("f", Path("f"), "a: [[ if x ]]"))
    assert evaluate("s")[0] == "Text"
