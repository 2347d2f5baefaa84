"""Reading a mapping key by key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from devstream.config.check import Block, Problems, in_file_order, plain
from devstream.config.source import parse
from devstream.config.template import Scope, render
from devstream.config.tree import Source, Text
from devstream.errors import ConfigError, Diagnostic, Mark
from devstream.model.values import Secret, SecretRef, Unknown

ENV = {"N": "12", "T": "true", "WORD": "w", "TIME": "5m"}


def block(text: str, *, offline: bool = False) -> Block:
    node = parse(Source("f.yaml", Path("f.yaml"), text)).documents[0]
    return Block(node, render(node, Scope({}, ENV.get)), "the thing", Problems(ENV.get, offline=offline))


def said(read: Block) -> list[str]:
    return [str(diagnostic) for diagnostic in read.problems.errors]


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("30", 30.0),
        ("0.25", 0.25),
        ("30s", 30.0),
        ("1.5s", 1.5),
        ("5m", 300.0),
        ("2h", 7200.0),
        ("1h30m", 5400.0),
        ("1h1s", 3601.0),
        ('"90"', None),
        ("5 m", None),
        ("1d", None),
        ("m5", None),
        ('""', None),
        ("0", None),
        ("0s", None),
        ("-1", None),
        ("true", None),
        ("[5]", None),
        ("", None),
        ('[[ env "N" ]]', 12.0),
        ('[[ env "TIME" ]]', 300.0),
    ],
)
def test_seconds(written: str, seconds: float | None) -> None:
    read = block(f"t: {written}")
    assert read.seconds("t") == seconds
    assert bool(said(read)) is (seconds is None and written != "")


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("true", True),
        ("False", False),
        ("yes", True),
        ("NO", False),
        ('"on"', True),
        ("off", False),
        ('[[ env "T" ]]', True),
        ("", None),
    ],
)
def test_truth(written: str, value: bool | None) -> None:
    read = block(f"t: {written}")
    assert read.truth("t") is value
    assert said(read) == []
    assert read.truth("missing") is None


@pytest.mark.parametrize("written", ["y", "1", "[]", "{}", "null_", "2.5"])
def test_what_is_no_truth(written: str) -> None:
    read = block(f"t: {written}")
    assert read.truth("t") is None
    assert said(read)[0].startswith('f.yaml:1:4: "t" of the thing must be true or false, not ')


@pytest.mark.parametrize(
    ("written", "value"),
    [("0", 0), ("7", 7), ('[[ env "N" ]]', 12), ("", None), ("true", None), ("1.0", None)],
)
def test_count(written: str, value: int | None) -> None:
    read = block(f"n: {written}")
    assert read.count("n") == value
    assert bool(said(read)) is (written in ("true", "1.0"))


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("[a, 1, '', ' ', null, b]", ("a", "1", "b")),
        ("one", ("one",)),
        ('[[ env "WORD" ]]', ("w",)),
        ('["[[ env "WORD" ]]-x"]', ("w-x",)),
        ("", ()),
        ("[]", ()),
    ],
)
def test_words(written: str, words: tuple[str, ...]) -> None:
    read = block(f"w: {written}")
    assert read.words("w") == words
    assert said(read) == []


def test_words_of_the_wrong_type_are_each_noted() -> None:
    read = block("w: [a, true, {b: c}, [d]]")
    assert read.words("w") == ("a",)
    assert [line.split(":")[2] for line in said(read)] == ["8", "14", "22"]


def test_a_reference_cannot_stand_where_something_must_be_known_now() -> None:
    read = block('name: ${{ a.b.outputs.c }}\nother: "x-${{ a.b.outputs.c }}"')
    assert (read.text("name"), read.required("other")) == (None, "")
    assert said(read) == [
        f"f.yaml:{line} of the thing must be a text, not a value that is known only later"
        for line in ('1:7: "name"', '2:8: "other"')
    ]


def test_what_could_not_be_rendered_is_not_reported_twice() -> None:
    read = block('name: [[ env "NOT_SET" ]]')
    assert read.required("name") == ""
    assert said(read) == []


def test_a_block_that_comes_from_a_template_has_the_templates_place() -> None:
    node = parse(Source("f.yaml", Path("f.yaml"), "outer: [[ v ]]")).documents[0]
    values = render(node, Scope({"v": {"inner": 1}}, ENV.get))
    child = Block(node, values, "it", Problems(ENV.get)).child("outer")
    assert child is not None
    child.check_keys({"name"})
    assert said(child) == ['f.yaml:1:8: outer of it has no key "inner" (valid are name)']


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (Secret(("a-", SecretRef("env", "WORD"))), "a-w"),
        (Secret((SecretRef("env", "GONE"),)), ""),
        ("text", "text"),
        (3, 3),
        (Unknown("x"), Unknown("x")),
    ],
)
def test_plain(value: Any, wanted: Any) -> None:
    assert plain(value, ENV.get) == wanted


def test_plain_text_of_a_secret_takes_the_type_it_looks_like_later() -> None:
    assert isinstance(plain(Secret((SecretRef("env", "N"),)), ENV.get), Text)


def test_diagnostics_are_in_file_order_and_said_once() -> None:
    def at(file: str, line: int, column: int = 1) -> Diagnostic:
        return Diagnostic("x", "x", mark=Mark(file, line, column))

    nowhere = Diagnostic("y", "y")
    mixed = [at("a", 1), at("b", 10), at("b", 9, 2), at("other", 1), nowhere, at("b", 9), at("a", 1)]
    assert in_file_order(mixed, ["b", "a"]) == [
        nowhere,
        at("b", 9),
        at("b", 9, 2),
        at("b", 10),
        at("a", 1),
        at("other", 1),
    ]


def test_all_problems_are_raised_together() -> None:
    problems = Problems(ENV.get)
    problems.raise_any([])
    problems.error("two", "b", Mark("f", 2, 1))
    problems.warn("only a warning", "w", None)
    problems.error("one", "a", Mark("f", 1, 1), detail="more", suggestion="this")
    with pytest.raises(ConfigError) as caught:
        problems.raise_any(["f"])
    assert str(caught.value) == "f:1:1: one (this)\nf:2:1: two"
