"""R26: plain scalars. The table is the one of the language's specification, a row a case."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.config.scalars import LARGEST, SMALLEST, remark, tagged, typed
from devstream.config.source import Parsed, parse
from devstream.config.tree import Source
from devstream.errors import ConfigError


def parsed(text: str) -> Parsed:
    return parse(Source("f.yaml", Path("f.yaml"), text))


def same(left: object, right: object) -> bool:
    return type(left) is type(right) and left == right


TEXT = ["yes", "no", "on", "off", "Yes", "NO", "On", "OFF", "y", "n", "Y", "N"]
TEXT += ["1:30", "190:20:30", "2022-01-01", "2022-01-01T00:00:00Z", "=", "<<", "08", "0888", "-08", "1.2.3"]
TEXT += [
    "+",
    "-",
    ".",
    "-.",
    "+-1",
    "--1",
    "1e",
    "e3",
    "0x",
    "0x_",
    "0b",
    "0o8",
    "0b2",
    "tRue",
    "nULL",
    "1 2",
    "0x1G",
]
TEXT += ["1e5_0", "._5", "\u0663", "1\u0663", "12e03x", "NaN", "inf", "nan", "0.1.2"]

VALUES: list[tuple[str, Any]] = [
    *((word, word) for word in TEXT),
    *((word, True) for word in ("true", "True", "TRUE")),
    *((word, False) for word in ("false", "False", "FALSE")),
    *((word, None) for word in ("~", "null", "Null", "NULL", "")),
    ("0", 0), ("-0", 0), ("7", 7), ("+12", 12), ("-12", -12), ("8080", 8080),
    ("012", 10), ("-012", -10), ("007", 7), ("0o12", 10), ("0x1F", 31), ("-0x1f", -31), ("0b11", 3),
    ("1_000", 1000), ("1__0", 10), ("1_", 1), ("0x_ff", 255),
    ("1e3", 1000.0), ("12e03", 12000.0), ("1.", 1.0), (".5", 0.5), ("1.20", 1.2), ("-.5", -0.5), ("+1.5", 1.5),
    ("1.5e-3", 0.0015), ("1_000.5", 1000.5), ("08.5", 8.5), ("1.e3", 1000.0), ("6.02E+23", 6.02e23),
    ("18446744073709551615", LARGEST), ("-9223372036854775808", SMALLEST),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[f"R26-{text or 'empty'}" for text, _ in VALUES])
def test_what_plain_text_means(text: str, value: object) -> None:
    assert same(typed(text), value)
    if text != "-":  # alone it begins a list
        assert same(parsed(f"k: {text}").documents[0]["k"], value)


@pytest.mark.parametrize("text", [text for text, _ in VALUES if text])
def test_quoted_text_is_text(text: str) -> None:
    for quoted in (f'"{text}"', f"'{text}'", f"|-\n  {text}", f'!!str "{text}"', f'! "{text}"'):
        assert same(parsed(f"k: {quoted}").documents[0]["k"], text)


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        (".inf", "JSON"), ("-.INF", "JSON"), (".nan", "JSON"), (".NaN", "JSON"),
        ("18446744073709551616", "64 bits"), ("-9223372036854775809", "64 bits"), ("1" * 200, "64 bits"),
        ("0x1" + "0" * 16, "64 bits"), ("1e999", "too large"), ("-1e999", "too large"),
    ],
)  # fmt: skip
def test_numbers_that_are_refused(text: str, summary: str) -> None:
    assert typed(text) == text
    with pytest.raises(ConfigError) as caught:
        parsed(f"a: 1\nk:  {text}")
    (found,) = caught.value.diagnostics
    assert summary in found.summary
    assert str(found.mark) == "f.yaml:2:5"
    assert "quote" in found.suggestion


@pytest.mark.parametrize(
    ("line", "piece", "suggestion"),
    [
        ("k: 012", "octal and means 10", "0o12"),
        ("k: 00", "octal and means 0", "0o0"),
        ("k: 08", "kept as text", '"08"'),
        ("version: 1.20", "becomes 1.2", '"1.20"'),
        ("apiVersion: 1.", "becomes 1.0", '"1."'),
    ],
)
def test_what_is_probably_not_meant_is_warned_about(line: str, piece: str, suggestion: str) -> None:
    (warning,) = parsed(line).warnings
    assert piece in warning.summary
    assert suggestion in warning.suggestion
    assert warning.mark is not None
    assert warning.mark.column == line.index(" ") + 2


@pytest.mark.parametrize(
    "line", ["k: 12", "k: 0", "k: 0o12", "version: 1.2", "k: 1.20", "k: '012'", "version: 2"]
)
def test_what_is_plainly_meant_is_not(line: str) -> None:
    assert parsed(line).warnings == ()


@pytest.mark.parametrize(
    ("tag", "text", "value"),
    [
        ("int", "12", 12), ("float", "3", 3.0), ("float", "1.5", 1.5), ("bool", "true", True), ("null", "", None),
        ("str", "12", "12"), ("null", "~", None),
    ],
)  # fmt: skip
def test_tags_of_yaml(tag: str, text: str, value: object) -> None:
    assert same(tagged(tag, text), value)
    assert same(parsed(f"k: !!{tag} {text}").documents[0]["k"], value)


@pytest.mark.parametrize(
    ("tag", "text"), [("int", "x"), ("int", "1.5"), ("bool", "yes"), ("null", "x"), ("float", "x")]
)
def test_tags_that_do_not_fit(tag: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f'f.yaml:1:4: "{text}" is not of the type !!{tag}'):
        parsed(f"k: !!{tag} {text}")


@given(st.text(max_size=30))
def test_it_never_raises_and_gives_json(text: str) -> None:
    value = typed(text)
    assert value is None or isinstance(value, str | int | float)
    assert not isinstance(value, float) or math.isfinite(value)
    assert not isinstance(value, str) or value == text
    if text:
        remark(text, value)


@given(st.integers(SMALLEST, LARGEST))
def test_integers_come_back(number: int) -> None:
    assert typed(str(number)) == number
    assert typed(f"0x{number:x}" if number >= 0 else f"-0x{-number:x}") == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_come_back(number: float) -> None:
    text = repr(number)
    assert typed(text) == number
