from __future__ import annotations

import io
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.errors import Mark, UsageError
from devstream.model.redact import Redactor
from devstream.report.streams import Output
from devstream.report.terminal import (
    Colour,
    Look,
    clean,
    display_width,
    duration,
    fit,
    look_at,
    one_line,
    wrap,
)

COLOURS = [
    # environment, is a terminal, flag, coloured
    ({}, True, Colour.AUTO, True),
    ({}, False, Colour.AUTO, False),
    ({"NO_COLOR": "1"}, True, Colour.AUTO, False),
    ({"NO_COLOR": ""}, True, Colour.AUTO, True),
    ({"TERM": "dumb"}, True, Colour.AUTO, False),
    ({"FORCE_COLOR": "1"}, False, Colour.AUTO, True),
    ({"FORCE_COLOR": "0"}, False, Colour.AUTO, False),
    ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, Colour.AUTO, True),
    ({"NO_COLOR": "1", "TERM": "dumb"}, False, Colour.ALWAYS, True),
    ({"FORCE_COLOR": "1"}, True, Colour.NEVER, False),
]


@pytest.mark.parametrize(("environ", "terminal", "flag", "coloured"), COLOURS)
def test_colour(make: Any, environ: dict[str, str], terminal: bool, flag: Colour, coloured: bool) -> None:
    stream = make.Terminal() if terminal else io.StringIO()
    assert look_at(stream, environ, colour=flag).colour is coloured


SIZES = [
    ({}, True, 80),
    ({}, False, 120),
    ({"COLUMNS": "200"}, False, 200),
    ({"COLUMNS": "3"}, True, 20),
    ({"COLUMNS": "wide"}, True, 80),
    ({"COLUMNS": "9" * 30}, True, 80),
]


@pytest.mark.parametrize(("environ", "terminal", "width"), SIZES)
def test_width(make: Any, environ: dict[str, str], terminal: bool, width: int) -> None:
    assert look_at(make.Terminal() if terminal else io.StringIO(), environ).width == width


@pytest.mark.parametrize(
    ("encoding", "unicode"), [("utf-8", True), ("UTF8", True), ("ascii", False), ("latin-1", False)]
)
def test_unicode_follows_the_encoding(encoding: str, unicode: bool) -> None:
    assert look_at(io.TextIOWrapper(io.BytesIO(), encoding=encoding), {}).unicode is unicode


CLEANED = [
    ("plain", "plain"),
    ("\x1b[1;31mred\x1b[0m", "red"),
    ("\x1b]0;title\x07text", "text"),
    ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
    ("\x9b31mred", "red"),
    ("a\x00b\x08", "a\\x00b\\x08"),
    ("tab\tand\nline", "tab\tand\nline"),
    ("dos\r\nline", "dos\nline"),
    ("over\rwritten", "over\\x0dwritten"),
    ("\u202eevil", "\\u202eevil"),
    ("half \ud800", "half \\ud800"),
    ("Grüße 漢字", "Grüße 漢字"),
]


@pytest.mark.parametrize(("text", "expected"), CLEANED)
def test_clean(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text())
def test_nothing_that_a_terminal_obeys_survives(text: str) -> None:
    left = {char for char in clean(text) if category(char) in ("Cc", "Cs")}
    assert left <= {"\n", "\t"}
    assert "\n" not in one_line(text)


@given(st.text(), st.integers(4, 40))
def test_fit_never_exceeds_the_width(text: str, width: int) -> None:
    assert display_width(fit(text, width)) <= width
    assert fit(text, width) == text or fit(text, width).endswith("…")


@given(st.lists(st.text("abcdef", min_size=1, max_size=12)), st.integers(16, 60))
def test_wrap_loses_no_word(words: list[str], width: int) -> None:
    lines = wrap(" ".join(words), width, "  ")
    assert " ".join(lines).split() == words
    assert all(len(line) <= width for line in lines)


def test_wide_characters_take_two_columns() -> None:
    assert display_width("漢字") == 4
    assert display_width("é") == 1  # e and a combining accent
    assert fit("漢字漢字", 5) == "漢字…"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (59.94, "59.9s"), (60, "1m00s"), (3599.4, "59m59s"), (3600, "1h00m"), (90000, "25h00m")],
)
def test_duration(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_places_are_relative_to_the_folder() -> None:
    look = Look(folder="/a/b")
    assert look.place(Mark("/a/b/c.yaml", 3, 1)) == "c.yaml:3"
    assert look.place(Mark("/a/bc.yaml", 3, 1)) == "/a/bc.yaml:3"
    assert Look(folder="/").place(Mark("/c.yaml", 3, 1)) == "c.yaml:3"


class Failing(io.StringIO):
    """A stream that fails with what it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error
        self.writes = 0

    def write(self, text: str, /) -> int:
        self.writes += 1
        raise self._error


def test_output_masks_what_it_writes(make: Any) -> None:
    redactor = Redactor()
    redactor.add("hunter2hunter2")
    stream = io.StringIO()
    make.output(stream, redactor=redactor).lines(["a hunter2hunter2", "b"])
    assert stream.getvalue() == "a (secret)\nb\n"


@pytest.mark.parametrize("error", [BrokenPipeError(), ValueError("I/O operation on closed file")])
def test_a_reader_that_has_gone_is_no_error_and_is_not_bothered_again(error: Exception) -> None:
    stream = Failing(error)
    out = Output(stream, Redactor(), Look())
    out.lines(["one"])
    out.lines(["two"])
    assert stream.writes == 1


def test_a_full_disk_is_an_error() -> None:
    out = Output(Failing(OSError(28, "No space left on device")), Redactor(), Look())
    with pytest.raises(UsageError, match="No space left"):
        out.lines(["one"])
