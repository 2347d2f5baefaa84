"""What a stream can show, and text made fit for it: colour, width, and nothing a terminal would obey."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from enum import StrEnum
from typing import TYPE_CHECKING

from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

__all__ = [
    "Colour",
    "Look",
    "look_at",
    "clean",
    "one_line",
    "display_width",
    "fit",
    "shorten",
    "wrap",
    "duration",
]

DEFAULT_WIDTH = 80
PIPE_WIDTH = 120
"""Columns where there is no terminal: wide enough for a log, narrow enough for a review comment."""

_ESCAPE_SEQUENCES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-~])|\x9b[0-?]*[ -/]*[@-~]"
)
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}


class Colour(StrEnum):
    """``--color``."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Look(Immutable, frozen=True):
    """What a stream can show.

    Attributes:
        width, height: in columns and lines.
        unicode: False where only ASCII may be printed.
        folder: places in files beneath it are shown relative to it; empty: as they are.
    """

    width: int = DEFAULT_WIDTH
    height: int = 24
    colour: bool = False
    unicode: bool = True
    folder: str = ""

    def paint(self, style: str, text: str) -> str:
        """Colour a text, where the stream shows colours; ``style`` is one or two of the names in this module."""
        if not self.colour or not text:
            return text
        codes = ";".join(_CODES[name] for name in style.split())
        return f"\x1b[{codes}m{text}\x1b[0m"

    @property
    def ellipsis(self) -> str:
        """What stands for text left out."""
        return "…" if self.unicode else "..."

    @property
    def arrow(self) -> str:
        """What stands between before and after."""
        return "→" if self.unicode else "->"

    def place(self, mark: object) -> str:
        """Give ``file:line`` of a mark, relative to the folder where it lies in it."""
        file, line = getattr(mark, "file", ""), getattr(mark, "line", 0)
        prefix = self.folder.rstrip("/") + "/"
        return clean(f"{file.removeprefix(prefix) if self.folder else file}:{line}")


def look_at(
    stream: TextIO, environ: Mapping[str, str], *, colour: Colour = Colour.AUTO, folder: str = ""
) -> Look:
    """Find out what a stream can show, from the stream itself and the environment's usual variables."""
    columns, lines = _size(stream, environ)
    encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
    return Look(
        width=columns,
        height=lines,
        colour=_wants_colour(stream, environ, colour),
        unicode=encoding.startswith("utf"),
        folder=folder,
    )


def _wants_colour(stream: TextIO, environ: Mapping[str, str], colour: Colour) -> bool:
    if colour is not Colour.AUTO:
        return colour is Colour.ALWAYS
    if environ.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    if environ.get("NO_COLOR") or environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def _size(stream: TextIO, environ: Mapping[str, str]) -> tuple[int, int]:
    """Ask the terminal; ``COLUMNS`` goes first, as everywhere."""
    terminal = None
    with suppress(OSError, ValueError):
        terminal = os.get_terminal_size(stream.fileno())
    fallback = DEFAULT_WIDTH if stream.isatty() else PIPE_WIDTH
    columns = _number(environ, "COLUMNS") or (terminal.columns if terminal else 0) or fallback
    return max(columns, 20), _number(environ, "LINES") or (terminal.lines if terminal else 0) or 24


def _number(environ: Mapping[str, str], name: str) -> int:
    text = environ.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 6 else 0


def clean(text: str) -> str:
    r"""Take out what a terminal would obey: escape sequences go, other controls are shown as ``\xNN``.

    Line ends and tabs stay.

    >>> clean("\x1b[31mred\x1b[0m\x07")
    'red\\x07'
    """
    if text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return _CONTROLS.sub(_shown, _ESCAPE_SEQUENCES.sub("", text))


def _shown(match: re.Match[str]) -> str:
    code = ord(match.group())
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Give cleaned text on one line."""
    return " ".join(clean(text).split()) if "\n" in text or "\t" in text else clean(text)


def display_width(text: str) -> int:
    """Count the columns a text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut a text to at most ``width`` columns; ``ellipsis`` says that something was cut."""
    if display_width(text) <= width:
        return text
    room = max(width - display_width(ellipsis), 0)
    kept = text[:room]
    while display_width(kept) > room:
        kept = kept[:-1]
    return kept + ellipsis


def shorten(text: str, width: int, ellipsis: str = "…") -> str:
    """Cut the middle out of a text, so that at most ``width`` columns are left: the ends tell addresses apart.

    >>> shorten("helm-installer.argocd-europe-1", 20)
    'helm-inst…d-europe-1'
    """
    if display_width(text) <= width:
        return text
    room = max(width - display_width(ellipsis), 0)
    head = fit(text, room // 2, "")
    tail = fit(text[::-1], room - display_width(head), "")[::-1]
    return head + ellipsis + tail


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Break a text into lines of at most ``width`` columns at its blanks; words longer than that stay whole."""
    lines: list[str] = []
    line = indent
    for word in text.split():
        if line.strip() and display_width(line) + 1 + display_width(word) > width:
            lines.append(line)
            line = indent
        line += word if line == indent else f" {word}"
    return [*lines, line] if line.strip() else lines


def duration(seconds: float) -> str:
    """Write a time span for people.

    >>> [duration(0.04), duration(3.25), duration(75), duration(3700)]
    ['0.0s', '3.2s', '1m15s', '1h01m']
    """
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest:02d}s" if minutes < 60 else f"{minutes // 60}h{minutes % 60:02d}m"
