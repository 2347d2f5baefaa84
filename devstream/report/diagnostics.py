"""Errors and warnings for people: what, the lines it is about with a caret, why, and what would be right."""

from __future__ import annotations

import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from pathlib import Path
from typing import TYPE_CHECKING

from devstream.errors import Severity
from devstream.report.terminal import clean, display_width, fit, one_line, wrap

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devstream.errors import Diagnostic, Mark
    from devstream.report.terminal import Look

__all__ = ["diagnostic_lines", "all_lines"]

AT_MOST = 100
"""So many are printed; machines get all of them by ``-o json``."""

MOST_BYTES = 16 * 1024 * 1024
"""Of larger files nothing is quoted; a configuration is never larger."""

_HIDDEN = "(hidden)"
_SECRET_KEY = re.compile(  # nothing in it is tried twice: a line may be as long as the file
    r"""(?ix) ((?:passw|passphrase|token|secret|private_?key|api_?key|credential|webhook) [\w.-]{0,99}+ ["']?+ \s*+ : \s++)
    (?! ["']?+ \s*+ (?: \[\[ | \$\{\{ | env: | \# | $ ) ) [^\s] .* $"""
)
_LOGIN = re.compile(
    r"""(?x) // (?: (?: (?<=http://) | (?<=https://) ) [^/?\#\s"'@]++ | [^/?\#\s"'@:]*+ : [^/?\#\s"'@]++ ) @"""
)
"""A user, or a user and a password, in a URL. Over ssh the user is no secret."""


def all_lines(diagnostics: Iterable[Diagnostic], look: Look) -> list[str]:
    """Give the lines for several diagnostics."""
    found = list(diagnostics)
    lines = [line for diagnostic in found[:AT_MOST] for line in diagnostic_lines(diagnostic, look)]
    left = len(found) - AT_MOST
    return [*lines, f"{look.ellipsis} and {left} more (-o json lists all of them)"] if left > 0 else lines


def diagnostic_lines(diagnostic: Diagnostic, look: Look) -> list[str]:
    """Give the lines for one diagnostic, with up to three lines of the file it is about."""
    word, style = (
        ("Error", "red bold") if diagnostic.severity is Severity.ERROR else ("Warning", "yellow bold")
    )
    summary = one_line(diagnostic.summary)
    subject = (
        "" if not diagnostic.address or diagnostic.address in summary else f"{clean(diagnostic.address)}: "
    )
    lines = [f"{look.paint(style, f'{word}:')} {subject}{summary}"]
    if diagnostic.mark is not None:
        place = f"{look.place(diagnostic.mark)}:{diagnostic.mark.column}" if diagnostic.mark.line else ""
        lines.append(f"  at {look.paint('cyan', place or clean(diagnostic.mark.file))}")
        lines += _excerpt(diagnostic.mark, look)
    for line in clean(diagnostic.detail).splitlines():
        lines.append(f"  {line}")
    if diagnostic.suggestion:
        lines += wrap(f"{look.arrow} {clean(diagnostic.suggestion)}", look.width, "  ")
    return lines


def _excerpt(mark: Mark, look: Look) -> list[str]:
    """Quote the line before, the line itself with a caret below its column, and the line after."""
    source = _source(mark, look)
    lines = []
    gutter = len(str(mark.line + 1))
    for number, text in source:
        shown, offset = _window(*_hidden(text, mark.column if number == mark.line else 1), gutter, look)
        lines.append(look.paint("dim", f"  {number:>{gutter}} | ") + shown)
        if number == mark.line:
            lines.append(f"  {' ' * gutter} | {' ' * offset}{look.paint('red bold', '^')}")
    return lines


def _source(mark: Mark, look: Look) -> list[tuple[int, str]]:
    """Read the lines around a mark; nothing where they cannot be read."""
    if mark.line < 1:
        return []
    path = Path(look.folder, mark.file)
    first = max(mark.line - 1, 1)
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return []
        lines = _lines(path, first, mark.line + 1)
    except (OSError, UnicodeError):
        return []
    return [(number, text) for number, text in enumerate(lines, first) if number == mark.line or text.strip()]


def _hidden(text: str, column: int) -> tuple[str, int]:
    """Hide what may be secret; give the column at which what was at ``column`` is then."""
    if ":" not in text:  # a line may be as long as the file, and looking takes seconds then
        return text, column
    before = text[: column - 1]
    moved = len(_without_logins(before)) - len(before)
    return _without_logins(_SECRET_KEY.sub(rf"\1{_HIDDEN}", text)), column + moved


def _without_logins(text: str) -> str:
    return _LOGIN.sub(f"//{_HIDDEN}@", text)


def _lines(path: Path, first: int, last: int) -> list[str]:
    """Read some lines of a file, counted from 1; where it ends with a line break, an empty line follows."""
    from itertools import islice

    with path.open("rb") as file:
        is_wide = file.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE)
    with path.open(encoding="utf-16" if is_wide else "utf-8-sig", errors="replace") as file:
        lines = list(islice(file, first - 1, last))
    if len(lines) <= last - first and (not lines or lines[-1].endswith("\n")):
        lines.append("")
    return [line.rstrip("\n") for line in lines]


def _window(text: str, column: int, gutter: int, look: Look) -> tuple[str, int]:
    """Cut a source line to the room there is, around a column; give it with the caret's offset in columns."""
    room = max(look.width - gutter - 6, 8)
    near = 16 * room  # characters that may turn out to be invisible
    before = clean(text[max(column - 1 - near, 0) : max(column - 1, 0)].replace("\t", "    "))
    behind = clean(text[column - 1 :][:near].replace("\t", "    "))
    if display_width(before) > room * 2 // 3:
        before = look.ellipsis + before[-(room // 2) :]
    return fit(before + behind, room, look.ellipsis), display_width(before)
