"""From YAML's events to the tree, in one pass: types, templates, limits, duplicate keys and places together.

Events and not nodes: that is faster, needs no recursion (a million brackets cannot overflow a stack), and every
limit falls out of the same loop.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from devstream.config.quoting import unquoted, unquoted_expression
from devstream.config.scalars import NUMERIC_START, remark, tagged, typed
from devstream.config.scan import Refused
from devstream.config.tree import Expression, Map, Ref, Seq, Template
from devstream.errors import Diagnostic, Severity

if TYPE_CHECKING:
    from devstream.config.scan import Loose, Scan
    from devstream.config.tree import Node, Part, Source

__all__ = ["Builder", "Stop", "DEEPEST", "MOST_NODES", "MOST_ALIASES"]

DEEPEST = 64
MOST_NODES = 5_000_000
"""Nodes of one file, where every alias counts as what it stands for."""
MOST_ALIASES = 1_000

_RAW = "!raw"
_YAML = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset(f"{_YAML}{name}" for name in ("str", "int", "float", "bool", "null"))
_TEXT_TAGS = frozenset(("!", _RAW, f"{_YAML}str"))
_NO_MARKER = "\0"
"""In no text: YAML does not allow it."""


class Stop(Exception):
    """There is no sense in reading on; the reason is among the builder's errors."""


class _Anchor(NamedTuple):
    """What an alias stands for; ``height`` counts levels of containers, ``nodes`` all nodes."""

    value: Node
    offset: int
    nodes: int
    height: int
    is_open: bool = False


class _Outer(NamedTuple):
    """What has to be known again once a container ends."""

    container: Map | Seq | None
    key: str | None
    key_offset: int
    raw: bool
    anchor: str | None
    nodes: int
    deepest: int


class Builder:
    """Takes the events of one source, by kind, and grows ``documents``.

    Args:
        source: where the events come from.
        scan: what its placeholders stand for.

    Attributes:
        documents: the top-level mappings; empty documents are left out.
        errors: in the order they were found.
        warnings: the same.
        loose: what the scan found loose, inside values only.
    """

    def __init__(self, source: Source, scan: Scan) -> None:
        self.documents: list[Map] = []
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self.loose: list[Loose] = []
        self._source = source
        self._scan = scan
        self._marker = scan.tokens.marker if scan.tokens else _NO_MARKER
        self._loose_offsets = [loose.offset for loose in scan.loose]
        self._nodes = 0
        self._aliases = 0
        self._reset()

    def _reset(self) -> None:
        """Forget everything that belongs to one document."""
        self._anchors: dict[str, _Anchor] = {}
        self._outer: list[_Outer] = []
        self._container: Map | Seq | None = None
        self._key: str | None = None
        self._key_offset = 0
        self._raw = False
        self._deepest = 0
        self._merging: list[Map] = []
        self._root: Node = None
        self._root_offset = 0

    # Events

    def document_start(self, event: Any) -> None:  # noqa: ARG002 - every event's method takes it
        """Begin a document; anchors end with the one before."""
        self._reset()

    def document_end(self, event: Any) -> None:  # noqa: ARG002 - every event's method takes it
        """End a document; it must be a mapping, or empty."""
        if isinstance(self._root, Map):
            self.documents.append(self._root)
        elif self._root is not None:
            hint = "the sections are config, vars, tools, apps and pipelineTemplates"
            self._error("a config file holds a mapping at its top", "not-a-mapping", self._root_offset, hint)

    def scalar(self, event: Any) -> None:
        """Take a key or a plain value."""
        if self._key is None and type(self._container) is Map:
            self._take_key(event)
            return
        offset = event.start_mark.index
        if event.tag is not None or self._raw:
            value = self._tagged(event)
        elif self._marker in event.value:
            value = self._template(event.value, event.style, offset, plain=not event.style)
        elif event.style:
            value = event.value
        else:
            value = typed(event.value)
            if event.value[:1] in NUMERIC_START:
                self._doubt(event.value, value, offset)
        if self._loose_offsets and not self._raw and event.tag != _RAW:
            self._note_loose(offset, event.end_mark.index)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(value, offset, 1, 0)
        self._count(1, offset)
        self._put(value, offset)

    def mapping_start(self, event: Any) -> None:
        """Begin a mapping."""
        self._start(Map(self._source, event.start_mark.index), event)

    def sequence_start(self, event: Any) -> None:
        """Begin a list; ``[[`` that was left alone as text must not turn into one."""
        bracket = event.end_mark.index - 1
        if event.flow_style and self._source.text.startswith("[[", bracket):
            doubt = self._scan.doubt(bracket)
            if doubt is not None:
                self._error(doubt.summary, "template", bracket, doubt.suggestion)
        self._start(Seq(self._source, event.start_mark.index), event)

    def mapping_end(self, event: Any) -> None:  # noqa: ARG002 - every event's method takes it
        """End a mapping: what ``<<`` names joins it now, so that its own keys win."""
        if self._merging and self._merging[-1] is self._container:
            self._merge(self._merging.pop())
        self._end()

    def sequence_end(self, event: Any) -> None:  # noqa: ARG002 - every event's method takes it
        """End a list."""
        self._end()

    def alias(self, event: Any) -> None:
        """Put what an anchor named."""
        offset = event.start_mark.index
        anchor = self._anchors.get(event.anchor)
        if anchor is None:
            self._stop(f'there is no anchor "{event.anchor}" before this', "alias", offset)
        if anchor.is_open:
            self._stop(f'"{event.anchor}" contains itself', "alias", offset)
        self._aliases += 1
        if self._aliases > MOST_ALIASES:
            self._stop(f"more than {MOST_ALIASES:,} aliases", "limit", offset)
        self._reach(len(self._outer) + anchor.height, offset)
        self._count(anchor.nodes, offset)
        if self._key is None and isinstance(self._container, Map):
            self._alias_key(anchor, offset)
            return
        self._note_alias(offset)
        self._put(anchor.value, anchor.offset)

    # Containers

    def _start(self, container: Map | Seq, event: Any) -> None:
        offset = container.offset
        if self._key is None and isinstance(self._container, Map):
            self._stop("a key must be text", "key", offset, "a list or a mapping cannot be a key")
        self._check_container_tag(container, event.tag)
        self._count(1, offset)
        self._reach(len(self._outer) + 1, offset)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(container, offset, 0, 0, is_open=True)
        outer = (
            self._container,
            self._key,
            self._key_offset,
            self._raw,
            event.anchor,
            self._nodes,
            self._deepest,
        )
        self._outer.append(_Outer(*outer))
        self._container = container
        self._key = None
        self._raw = self._raw or event.tag == _RAW
        self._deepest = len(self._outer)

    def _end(self) -> None:
        container = self._container
        assert container is not None
        outer = self._outer.pop()
        if outer.anchor is not None:
            height = self._deepest - len(self._outer)
            nodes = self._nodes - outer.nodes + 1
            self._anchors[outer.anchor] = _Anchor(container, container.offset, nodes, height)
        self._container, self._key, self._key_offset, self._raw = outer[:4]
        self._deepest = max(self._deepest, outer.deepest)
        self._put(container, container.offset)

    def _put(self, value: Node, offset: int) -> None:
        container = self._container
        if type(container) is Map:
            assert self._key is not None
            container[self._key] = value
            container.marks[self._key] = (self._key_offset, offset)
            self._key = None
        elif type(container) is Seq:
            container.append(value)
            container.marks.append(offset)
        else:
            self._root, self._root_offset = value, offset

    def _note_alias(self, offset: int) -> None:
        container = self._container
        if isinstance(container, Map):
            assert self._key is not None
            container.aliases = {**(container.aliases or {}), self._key: offset}
        elif isinstance(container, Seq):
            container.aliases = {**(container.aliases or {}), len(container): offset}

    # Keys

    def _take_key(self, event: Any) -> None:
        offset = event.start_mark.index
        if event.tag is not None and event.tag not in _TEXT_TAGS:
            self._error(f"a key must be text, not {_short(event.tag)}", "key", offset)
        key: str = event.value
        template: Template | None = None
        if self._marker in key:
            value = (
                key
                if self._raw or event.tag == _RAW
                else self._template(key, event.style, offset, plain=False)
            )
            template = value if isinstance(value, Template) else None
            key = self._restored(key, event.style) if value is key or template else value
        elif not key and not event.style and event.tag is None:
            self._error("a key is missing before the colon", "key", offset)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(template or key, offset, 1, 0)
        self._count(1, offset)
        is_merge = key == "<<" and not event.style and event.tag is None
        self._set_key(key, template, offset, is_merge=is_merge)

    def _alias_key(self, anchor: _Anchor, offset: int) -> None:
        if not isinstance(anchor.value, str):
            self._stop("an alias used as a key must stand for plain text", "key", offset)
        self._set_key(anchor.value, None, offset)

    def _set_key(self, key: str, template: Template | None, offset: int, *, is_merge: bool = False) -> None:
        container = self._container
        assert isinstance(container, Map)
        if key in container:
            first = self._source.mark(container.marks[key][0])
            self._error(f'the key "{key}" is written twice', "duplicate-key", offset, f"first at {first}")
        if template is not None:
            container.templates = {**(container.templates or {}), key: template}
        if is_merge and (not self._merging or self._merging[-1] is not container):
            self._merging.append(container)
        self._key = key
        self._key_offset = offset

    # Merges

    def _merge(self, target: Map) -> None:
        """Resolve ``<<``: the mapping's own keys win, then earlier mappings over later ones."""
        offset = target.marks.pop("<<")[1]
        value = target.pop("<<")
        sources = value if isinstance(value, Seq) else [value]
        if target.aliases:
            target.aliases.pop("<<", None)
        for source in sources:
            if isinstance(source, Map):
                _add_missing(target, source)
            else:
                self._error("<< takes a mapping or a list of mappings", "merge", offset, "usually an *alias")

    # Scalars

    def _tagged(self, event: Any) -> Node:
        """Give the value of a scalar that has a tag, or that stands under ``!raw``."""
        text, tag, style, offset = event.value, event.tag, event.style, event.start_mark.index
        if self._raw or tag == _RAW:
            raw = self._restored(text, style) if self._marker in text else text
            return raw if tag is not None or style else typed(raw)
        has_template = self._marker in text
        if tag in _TEXT_TAGS:
            return self._template(text, style, offset, plain=False, tagged=True) if has_template else text
        if tag not in _SCALAR_TAGS:
            self._unknown_tag(tag, offset)
        elif has_template:
            self._error(
                f"{_short(tag)} cannot be combined with a template", "tag", offset, "leave the tag out"
            )
        else:
            try:
                return tagged(tag.removeprefix(_YAML), text)
            except ValueError as error:
                self._error(str(error), "tag", offset)
        return text  # type: ignore[no-any-return]  # an event's value

    def _template(
        self, value: str, style: str, offset: int, *, plain: bool, tagged: bool = False
    ) -> Template | str:
        """Give the template that text with placeholders stands for; text where nothing is left to render."""
        assert self._scan.tokens is not None
        parts: list[Part] = []
        for index, piece in enumerate(self._scan.tokens.split(value)):
            part = self._part(int(piece), style) if index % 2 else str(piece)
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            elif part != "":
                parts.append(part)
        if all(isinstance(part, str) for part in parts):
            return "".join(str(part) for part in parts)
        whole = len(parts) == 1 and (plain or (isinstance(parts[0], Ref) and not tagged))
        return Template(tuple(parts), self._source, offset, typed=whole)

    def _part(self, number: int, style: str) -> Part:
        part = self._scan.parts[number]
        if isinstance(part, Refused):
            self._error(part.summary, "template", part.offset, part.suggestion)
            return ""
        if isinstance(part, Expression) and style in ("'", '"'):
            text = unquoted_expression(part.text, style)
            return part if text == part.text else Expression(text, part.offset, -1)
        return part

    def _restored(self, value: str, style: str) -> str:
        """Give text with its placeholders turned back into what was written there."""
        assert self._scan.tokens is not None
        pieces: list[str] = []
        for index, piece in enumerate(self._scan.tokens.split(value)):
            if index % 2:
                start, end = self._scan.spans[int(piece)]
                pieces.append(unquoted(self._source.text[start:end], style))
            else:
                pieces.append(str(piece))
        return "".join(pieces)

    def _doubt(self, text: str, value: object, offset: int) -> None:
        """Say what is doubtful about a scalar that begins like a number."""
        key = self._key or ""
        if type(value) is float and str(value) != text and "version" in key.lower():
            summary = f"{text} is a number and becomes {value}"
            self._warn(summary, "number", offset, f'write "{text}" for a version')
        found = remark(text, value)
        if found is None:
            return
        if found.severity is Severity.ERROR:
            self._error(found.summary, "number", offset, found.suggestion)
        else:
            self._warn(found.summary, "number", offset, found.suggestion)

    def _note_loose(self, start: int, end: int) -> None:
        first = bisect_left(self._loose_offsets, start)
        last = bisect_left(self._loose_offsets, end)
        self.loose.extend(self._scan.loose[first:last])

    # Limits, tags and messages

    def _count(self, nodes: int, offset: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            self._stop(
                f"more than {MOST_NODES:,} values, aliases counted as what they stand for", "limit", offset
            )

    def _reach(self, depth: int, offset: int) -> None:
        if depth > DEEPEST:
            self._stop(f"nested more than {DEEPEST} deep", "limit", offset)
        self._deepest = max(self._deepest, depth)

    def _check_container_tag(self, container: Map | Seq, tag: str | None) -> None:
        own = f"{_YAML}map" if isinstance(container, Map) else f"{_YAML}seq"
        if tag in (None, "!", _RAW, own):
            return
        if tag in _SCALAR_TAGS or tag in (f"{_YAML}map", f"{_YAML}seq"):
            kind = "mapping" if isinstance(container, Map) else "list"
            self._error(f"a {kind} is not of the type {_short(str(tag))}", "tag", container.offset)
        else:
            self._unknown_tag(str(tag), container.offset)

    def _unknown_tag(self, tag: str, offset: int) -> None:
        hint = "leave it out; there are !!str !!int !!float !!bool !!null !!seq !!map and !raw"
        self._error(f'unknown tag "{_short(tag)}"', "tag", offset, hint)

    def _error(self, summary: str, code: str, offset: int, suggestion: str = "") -> None:
        mark = self._source.mark(offset)
        self.errors.append(Diagnostic(summary, code, mark=mark, suggestion=suggestion))

    def _warn(self, summary: str, code: str, offset: int, suggestion: str) -> None:
        mark = self._source.mark(offset)
        self.warnings.append(Diagnostic(summary, code, Severity.WARNING, mark=mark, suggestion=suggestion))

    def _stop(self, summary: str, code: str, offset: int, suggestion: str = "") -> NoReturn:
        self._error(summary, code, offset, suggestion)
        raise Stop


def _add_missing(target: Map, source: Map) -> None:
    for key, value in source.items():
        if key in target:
            continue
        target[key] = value
        target.marks[key] = source.marks[key]
        if source.templates and key in source.templates:
            target.templates = {**(target.templates or {}), key: source.templates[key]}


def _short(tag: str) -> str:
    return f"!!{tag.removeprefix(_YAML)}" if tag.startswith(_YAML) else tag
