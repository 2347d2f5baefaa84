"""The tree that files are parsed into: plain data, every node with the offset it was written at.

A node is a `Map`, a `Seq`, a `Template` or a plain scalar. A place is one integer, the character offset in the
source's text; `Source.mark` turns it into line and column when somebody asks.

What later steps need to know:

* A key of a `Map` is the text as written. A key that holds templates stands there as its source text
  (``"[[ a ]]-x"``); `Map.templates` gives its `Template`, and rendering puts the real key in its place.
* A reference is kept as text (`Ref.text`, for example ``"a.b.outputs.c"``). Rendering splits it at the first
  ``.outputs.``; once the tools are known, ``parse_reference(str(reference), addresses)`` of
  `devstream.model.recorded` gives the split that the longest instanceID wants.
* A leaf that is ``[[ x ]]`` as a whole is a `Template` with one part, a `Name`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from devstream.errors import Mark

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Source",
    "Node",
    "Map",
    "Seq",
    "Template",
    "Part",
    "Name",
    "Env",
    "Expression",
    "Ref",
    "Text",
    "mark_of",
    "key_mark",
]

_LINE_END = re.compile(r"\r\n|\n|\r")


class Source:
    """The text of one file.

    Args:
        name: how messages call it: the path relative to the current folder, where that is shorter.
        path: where it lies.
        text: its characters, without a byte order mark; line ends as they are.
    """

    __slots__ = ("_lines", "name", "path", "text")

    def __init__(self, name: str, path: Path, text: str) -> None:
        self.name = name
        self.path = path
        self.text = text
        self._lines: list[int] | None = None

    def mark(self, offset: int) -> Mark:
        """Give the place of a character; lines end at CRLF, LF or CR and nowhere else, as in editors."""
        if self._lines is None:
            self._lines = [0, *(match.end() for match in _LINE_END.finditer(self.text))]
        line = bisect_right(self._lines, offset)
        return Mark(self.name, line, offset - self._lines[line - 1] + 1)

    def __repr__(self) -> str:
        return f"Source({self.name!r})"


class Map(dict[str, "Node"]):
    """A mapping as written.

    Attributes:
        source: the file it is in.
        offset: where it begins.
        marks: per key the offset of the key and of the value.
        templates: the keys that hold templates, by their source text.
    """

    __slots__ = ("marks", "offset", "source", "templates")

    def __init__(self, source: Source, offset: int) -> None:
        super().__init__()
        self.source = source
        self.offset = offset
        self.marks: dict[str, tuple[int, int]] = {}
        self.templates: dict[str, Template] | None = None


class Seq(list["Node"]):
    """A list as written; ``marks[i]`` is the offset of item ``i``."""

    __slots__ = ("marks", "offset", "source")

    def __init__(self, source: Source, offset: int) -> None:
        super().__init__()
        self.source = source
        self.offset = offset
        self.marks: list[int] = []


class Name(NamedTuple):
    """``[[ a.b ]]``: the variable ``a`` and the way into it; ``offset`` is that of the ``[[``."""

    path: tuple[str, ...]
    offset: int


class Env(NamedTuple):
    """``[[ env "X" ]]``: a variable of the environment, as a secret."""

    variable: str
    offset: int


class Expression(NamedTuple):
    """Any other ``[[ ... ]]``.

    Attributes:
        text: the expression, freed from the quoting of the YAML around it.
        offset: that of the ``[[``.
        start: offset of the text's first character; -1 where quoting was removed, so that columns inside it
            are not those of the file.
    """

    text: str
    offset: int
    start: int


class Ref(NamedTuple):
    """``${{ name.id.outputs.key }}``; ``text`` is what stands between the braces, without blanks."""

    text: str
    offset: int


Part: TypeAlias = "str | Name | Env | Expression | Ref"


class Template:
    """A leaf (or a key) that holds at least one ``[[ ]]`` or ``${{ }}``.

    Args:
        parts: literal text, expressions and references, in order.
        source: the file it is in.
        offset: where the leaf begins (its quote, if it has one).
        typed: True where it is one expression or reference as a whole and keeps the value's type; else the
            parts are joined to text.
    """

    __slots__ = ("offset", "parts", "source", "typed")

    def __init__(self, parts: tuple[Part, ...], source: Source, offset: int, *, typed: bool) -> None:
        self.parts = parts
        self.source = source
        self.offset = offset
        self.typed = typed

    def __repr__(self) -> str:
        return f"Template({self.parts!r}, typed={self.typed})"


Node: TypeAlias = "Map | Seq | Template | str | int | float | bool | None"


class Text(str):
    """Text from outside the files (``--var``, an environment variable).

    It is text wherever it is joined to other text; as a whole plain leaf it takes the type that the same
    characters would have in a file.
    """

    __slots__ = ()


def mark_of(container: Map | Seq, key: str | int) -> Mark:
    """Give the place of a value; for an alias, the place where the anchored value is written."""
    if isinstance(container, Map):
        return container.source.mark(container.marks[str(key)][1])
    return container.source.mark(container.marks[int(key)])


def key_mark(container: Map, key: str) -> Mark:
    """Give the place of a key."""
    return container.source.mark(container.marks[key][0])
