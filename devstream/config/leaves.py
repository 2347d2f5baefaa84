"""Scalars to leaves of the tree: types, tags, templates, and ``!raw``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.config.quoting import unquoted, unquoted_expression
from devstream.config.scalars import NUMERIC_START, remark, tagged, typed
from devstream.config.scan import Refused
from devstream.config.tree import Expression, Ref, Template
from devstream.errors import Severity

if TYPE_CHECKING:
    from devstream.config.findings import Findings
    from devstream.config.scan import Scan
    from devstream.config.tree import Node, Part, Source

__all__ = ["Leaves", "RAW", "YAML", "SCALAR_TAGS", "TEXT_TAGS", "short_tag"]

RAW = "!raw"
YAML = "tag:yaml.org,2002:"
SCALAR_TAGS = frozenset(f"{YAML}{name}" for name in ("str", "int", "float", "bool", "null"))
TEXT_TAGS = frozenset(("!", RAW, f"{YAML}str"))
_NO_MARKER = "\ud800"
"""In no value: half a surrogate pair can neither stand in YAML nor be spelled there by an escape."""


def short_tag(tag: str) -> str:
    """Write a tag as users do."""
    return f"!!{tag.removeprefix(YAML)}" if tag.startswith(YAML) else tag


class Leaves:
    """Makes the leaves of one source.

    Attributes:
        marker: the character that every placeholder begins with.
    """

    def __init__(self, source: Source, scan: Scan, findings: Findings) -> None:
        self.marker = scan.tokens.marker if scan.tokens else _NO_MARKER
        self._source = source
        self._scan = scan
        self._findings = findings

    def untagged(self, text: str, style: str, offset: int, key: str | None) -> Node:
        """Give the value of a scalar without a tag; ``style`` is its quote, empty where it has none."""
        if self.marker in text:
            return self.template(text, style, offset, plain=not style)
        if style:
            return text
        value = typed(text)
        if text[:1] in NUMERIC_START and (type(value) is not int or text[0] == "0"):
            self._doubt(text, value, offset, key)
        return value

    def raw(self, text: str, style: str, *, is_text: bool) -> Node:
        """Give the value of a scalar under ``!raw``; ``is_text`` where the scalar itself is tagged."""
        written = self.restored(text, style)
        return written if is_text or style else typed(written)

    def tagged(self, text: str, tag: str, style: str, offset: int) -> Node:
        """Give the value of a scalar with one of YAML's tags."""
        has_template = self.marker in text
        if tag in TEXT_TAGS:
            return self.template(text, style, offset, plain=False, tagged=True) if has_template else text
        if tag not in SCALAR_TAGS:
            self.unknown_tag(tag, offset)
        elif has_template:
            hint = "leave the tag out"
            self._findings.error(f"{short_tag(tag)} cannot be combined with a template", "tag", offset, hint)
        else:
            try:
                return tagged(tag.removeprefix(YAML), text)
            except ValueError as error:
                self._findings.error(str(error), "tag", offset)
        return text

    def unknown_tag(self, tag: str, offset: int) -> None:
        """Refuse a tag."""
        hint = "leave it out; there are !!str !!int !!float !!bool !!null !!seq !!map and !raw"
        self._findings.error(f'unknown tag "{short_tag(tag)}"', "tag", offset, hint)

    def template(
        self, value: str, style: str, offset: int, *, plain: bool, tagged: bool = False
    ) -> Template | str:
        """Give the template that text with placeholders stands for; text where nothing is left to render."""
        assert self._scan.tokens is not None
        parts: list[Part] = []
        is_literal = True
        for piece in self._scan.tokens.split(value):
            part = piece if isinstance(piece, str) else self._part(self._scan.parts[piece], style)
            if not isinstance(part, str):
                parts.append(part)
                is_literal = False
            elif parts and isinstance(parts[-1], str):
                parts[-1] += part
            elif part:
                parts.append(part)
        if is_literal:
            return "".join(str(part) for part in parts)
        whole = len(parts) == 1 and (plain or (isinstance(parts[0], Ref) and not tagged))
        return Template(tuple(parts), self._source, offset, typed=whole)

    def _part(self, part: Part | Refused, style: str) -> Part:
        if isinstance(part, Refused):
            self._findings.error(part.summary, "template", part.offset, part.suggestion)
            return ""
        if isinstance(part, Expression) and style in ("'", '"'):
            text = unquoted_expression(part.text, style)
            return part if text == part.text else Expression(text, part.offset, -1)
        return part

    def restored(self, value: str, style: str) -> str:
        """Give text with its placeholders turned back into what was written there."""
        if self.marker not in value:
            return value
        assert self._scan.tokens is not None
        pieces: list[str] = []
        for index, piece in enumerate(self._scan.tokens.split(value)):
            if index % 2:
                start, end = self._scan.spans[int(piece)]
                pieces.append(unquoted(self._source.text[start:end], style))
            else:
                pieces.append(str(piece))
        return "".join(pieces)

    def _doubt(self, text: str, value: object, offset: int, key: str | None) -> None:
        """Say what is doubtful about a scalar that begins like a number."""
        if type(value) is float and str(value) != text and key and "version" in key.lower():
            summary = f"{text} is a number and becomes {value}"
            self._findings.warning(summary, "number", offset, f'write "{text}" for a version')
        found = remark(text, value)
        if found is None:
            return
        if found.severity is Severity.ERROR:
            self._findings.error(found.summary, "number", offset, found.suggestion)
        else:
            self._findings.warning(found.summary, "number", offset, found.suggestion)
