from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devstream.errors import Diagnostic, Mark, Severity
from devstream.report.diagnostics import AT_MOST, all_lines, diagnostic_lines
from devstream.report.terminal import Look, display_width

if TYPE_CHECKING:
    from pathlib import Path

SOURCE = """\
tools:
  - name: noop
    instanceId: a
    options: {}
"""


def told(folder: Path, diagnostic: Diagnostic, width: int = 80) -> list[str]:
    return diagnostic_lines(diagnostic, Look(width=width, folder=str(folder)))


def at(folder: Path, text: str, line: int, column: int, width: int = 80) -> list[str]:
    (folder / "tools.yaml").write_text(text)
    return told(folder, Diagnostic("wrong", "x", mark=Mark(str(folder / "tools.yaml"), line, column)), width)


def test_an_error_shows_what_where_why_and_what_would_be_right(tmp_path: Path) -> None:
    (tmp_path / "tools.yaml").write_text(SOURCE)
    diagnostic = Diagnostic(
        'unknown key "instanceId"',
        "unknown-key",
        detail="keys are case sensitive",
        mark=Mark(str(tmp_path / "tools.yaml"), 3, 5),
        suggestion='did you mean "instanceID"?',
    )
    assert told(tmp_path, diagnostic) == [
        'Error: unknown key "instanceId"',
        "  at tools.yaml:3:5",
        "  2 |   - name: noop",
        "  3 |     instanceId: a",
        "    |     ^",
        "  4 |     options: {}",
        "  keys are case sensitive",
        '  → did you mean "instanceID"?',
    ]


EXCERPTS = [
    # source, line, column, the lines below the place
    ("a: 1\n", 1, 4, ["  1 | a: 1", "    |    ^"]),
    ("a: 1\n\nb: 2\n", 3, 1, ["  3 | b: 2", "    | ^"]),
    ("a: 1", 2, 1, []),
    ("漢字: x\n", 1, 5, ["  1 | 漢字: x", "    |       ^"]),
    ("\tx: 1\n", 1, 2, ["  1 |     x: 1", "    |     ^"]),
    ("x: \x1b[31mred\n", 1, 1, ["  1 | x: red", "    | ^"]),
    ("x: 1\r\ny: 2\r\n", 2, 1, ["  1 | x: 1", "  2 | y: 2", "    | ^"]),
    ("", 1, 1, ["  1 | ", "    | ^"]),
    ("a: 1\n", 2, 1, ["  1 | a: 1", "  2 | ", "    | ^"]),
    ("\ufeffa: 1\n", 1, 4, ["  1 | a: 1", "    |    ^"]),
]


@pytest.mark.parametrize(("text", "line", "column", "expected"), EXCERPTS)
def test_excerpt(tmp_path: Path, text: str, line: int, column: int, expected: list[str]) -> None:
    (tmp_path / "tools.yaml").write_bytes(text.encode())
    mark = Mark(str(tmp_path / "tools.yaml"), line, column)
    lines = told(tmp_path, Diagnostic("wrong", "x", mark=mark))[2:]
    if expected:
        assert lines == expected
    else:
        assert not any("^" in shown for shown in lines)


def test_utf_16_is_quoted_as_text(tmp_path: Path) -> None:
    (tmp_path / "tools.yaml").write_bytes("a: é\n".encode("utf-16"))
    lines = told(tmp_path, Diagnostic("wrong", "x", mark=Mark(str(tmp_path / "tools.yaml"), 1, 4)))
    assert lines[2:] == ["  1 | a: é", "    |    ^"]


@pytest.mark.parametrize("width", [24, 40, 80])
def test_a_long_line_is_cut_around_the_column(tmp_path: Path, width: int) -> None:
    lines = at(tmp_path, f"key: [{'x' * 500}HERE{'y' * 500}]\n", 1, 507, width)
    assert all(display_width(line) <= width for line in lines)
    caret = lines[3].index("^")
    assert lines[2][caret:].startswith("HERE")


SECRETS = [
    ("    slack: {webhook: 'https://hooks.example.org/hunter2'}", "    slack: {webhook: (hidden)"),
    ("    url: https://me:hunter2hunter2@example.org/x", "    url: https://(hidden)@example.org/x"),
    ("    url: https://hunter2hunter2@example.org", "    url: https://(hidden)@example.org"),
    ("    url: 'ssh://me:hunter2hunter2@example.org/x'", "    url: 'ssh://(hidden)@example.org/x'"),
    ("    url: ssh://git@example.org:22/x", "    url: ssh://git@example.org:22/x"),
    ("    url: https://example.org/a@b", "    url: https://example.org/a@b"),
    ("    password: hunter2hunter2", "    password: (hidden)"),
    ('    "api_key": "hunter2hunter2"', '    "api_key": (hidden)'),
    ("    GITHUB_TOKEN: hunter2hunter2 # mine", "    GITHUB_TOKEN: (hidden)"),
    ("    token: [[ env GITHUB_TOKEN ]]", "    token: [[ env GITHUB_TOKEN ]]"),
    ("    token: ${{ a.b.outputs.token }}", "    token: ${{ a.b.outputs.token }}"),
    ("    password:", "    password:"),
    ("    tokens_used: 3", "    tokens_used: (hidden)"),
    ("    name: web", "    name: web"),
]


@pytest.mark.parametrize(("line", "expected"), SECRETS)
def test_what_looks_like_a_secret_is_not_quoted(tmp_path: Path, line: str, expected: str) -> None:
    assert at(tmp_path, f"{line}\nx: 1\n", 2, 1)[2] == f"  1 | {expected}"


def test_the_caret_is_below_its_word_behind_what_is_hidden(tmp_path: Path) -> None:
    line = "a: {url: 'https://me:hunter2hunter2@example.org', wrong: 1}"
    _, _, quoted, caret = at(tmp_path, line, 1, line.index("wrong") + 1)
    assert caret.index("^") == quoted.index("wrong")


def test_a_file_that_cannot_be_read_costs_only_the_excerpt(tmp_path: Path) -> None:
    lines = told(tmp_path, Diagnostic("wrong", "x", mark=Mark("no/such.yaml", 3, 1)))
    assert lines == ["Error: wrong", "  at no/such.yaml:3:1"]


def test_the_address_is_named_once(tmp_path: Path) -> None:
    assert told(tmp_path, Diagnostic("failed", "x", address="noop.a"))[0] == "Error: noop.a: failed"
    assert told(tmp_path, Diagnostic("noop.a failed", "x", address="noop.a"))[0] == "Error: noop.a failed"


def test_a_warning_says_so(tmp_path: Path) -> None:
    assert told(tmp_path, Diagnostic("old form", "x", severity=Severity.WARNING)) == ["Warning: old form"]


def test_text_of_others_is_cleaned(tmp_path: Path) -> None:
    diagnostic = Diagnostic(
        "a\x1b[2Jb\nc", "x", detail="d\x07\ne", suggestion="f\x1b[0m", address="x\x1b[1m.y"
    )
    assert told(tmp_path, diagnostic) == ["Error: x.y: ab c", "  d\\x07", "  e", "  → f"]


def test_a_flood_is_cut_and_counted(tmp_path: Path) -> None:
    lines = all_lines([Diagnostic("wrong", "x")] * (AT_MOST + 3), Look())
    assert len(lines) == AT_MOST + 1
    assert lines[-1] == "… and 3 more (-o json lists all of them)"
