"""From YAML's events to the tree, in one pass: types, templates, limits, duplicate keys and places together.

Events and not nodes: that is faster, needs no recursion (a million brackets cannot overflow a stack), and every
limit falls out of the same loop.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from devstream.config.findings import Findings
from devstream.config.leaves import RAW, SCALAR_TAGS, TEXT_TAGS, YAML, Leaves, short_tag
from devstream.config.scan import Loose
from devstream.config.tree import Map, Seq, Template

if TYPE_CHECKING:
    from devstream.config.scan import Scan
    from devstream.config.tree import Node, Source

__all__ = ["Builder", "DEEPEST", "MOST_NODES", "MOST_ALIASES", "MOST_BY_ALIASES"]

DEEPEST = 64
MOST_NODES = 5_000_000
"""Nodes of one file, where every alias counts as what it stands for."""
MOST_ALIASES = 1_000
MOST_BY_ALIASES = 400_000
"""Nodes that the aliases of one file stand for: each is rendered and compared, and a few lines can make millions."""


class _Anchor(NamedTuple):
    """What an alias stands for; ``height`` counts levels of containers, ``nodes`` all nodes."""

    value: Node
    offset: int
    nodes: int
    height: int
    is_open: bool = False


_Outer: TypeAlias = "tuple[Map | Seq | None, str | None, int, bool, str | None, int, int]"
"""What has to be known again once a container ends: the container around it, its key and the key's offset,
whether it is under ``!raw``; the name of the container's anchor; the nodes before it, and the depth reached."""


class Builder:
    """Takes the events of one source, by kind, and grows ``documents``.

    Args:
        source: where the events come from.
        scan: what its placeholders stand for.

    Attributes:
        documents: the top-level mappings; empty documents are left out.
        findings: mistakes and warnings.
        loose: what the scan found loose, inside values only.
    """

    def __init__(self, source: Source, scan: Scan) -> None:
        self.documents: list[Map] = []
        self.findings = Findings(source)
        self.loose: list[Loose] = []
        self._source = source
        self._scan = scan
        self._leaves = Leaves(source, scan, self.findings)
        self._marker = self._leaves.marker
        self._untagged = self._leaves.untagged
        self._loose_offsets = [loose.offset for loose in scan.loose]
        self._nodes = 0
        self._aliases = 0
        self._by_aliases = 0
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
            self.findings.error(
                "a config file holds a mapping at its top", "not-a-mapping", self._root_offset, hint
            )

    def scalar(self, event: Any) -> None:
        """Take a key or a plain value."""
        text, offset, key = event.value, event.start_mark.index, self._key
        if key is None and type(self._container) is Map:
            if not text or text == "<<" or event.tag or event.anchor or self._raw or self._marker in text:
                self._take_unusual_key(event)
            else:
                self._nodes += 1
                self._set_key(text, offset)
            return
        value: Node
        if event.tag is None and not self._raw:
            value = self._untagged(text, event.style, offset, key)
        else:
            value = self._tagged(event, offset)
        if self._loose_offsets and not self._raw and event.tag != RAW:
            self._note_loose(offset, event.end_mark.index)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(value, offset, 1, 0)
        self._nodes += 1
        if self._nodes > MOST_NODES:
            self._count(0, offset)
        self._put(value, offset)

    def _tagged(self, event: Any, offset: int) -> Node:
        if self._raw or event.tag == RAW:
            return self._leaves.raw(event.value, event.style, is_text=event.tag is not None)
        return self._leaves.tagged(event.value, event.tag, event.style, offset)

    def mapping_start(self, event: Any) -> None:
        """Begin a mapping."""
        self._start(Map(self._source, event.start_mark.index), event)

    def sequence_start(self, event: Any) -> None:
        """Begin a list; ``[[`` that was left alone as text must not turn into one."""
        bracket = event.end_mark.index - 1
        if event.flow_style and self._source.text.startswith("[[", bracket):
            doubt = self._scan.doubt(bracket)
            if doubt is not None:
                self.findings.error(doubt.summary, "template", bracket, doubt.suggestion)
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
            self.findings.stop(f'there is no anchor "{event.anchor}" before this', "alias", offset)
        if anchor.is_open:
            self.findings.stop(f'"{event.anchor}" contains itself', "alias", offset)
        self._aliases += 1
        if self._aliases > MOST_ALIASES:
            self.findings.stop(f"more than {MOST_ALIASES:,} aliases", "limit", offset)
        self._reach(len(self._outer) + anchor.height, offset)
        self._count(anchor.nodes, offset)
        self._by_aliases += anchor.nodes
        if self._by_aliases > MOST_BY_ALIASES:
            self.findings.stop(f"aliases stand for more than {MOST_BY_ALIASES:,} values", "limit", offset)
        if self._key is None and isinstance(self._container, Map):
            self._alias_key(anchor, offset)
            return
        self._put(anchor.value, anchor.offset)

    # Containers

    def _start(self, container: Map | Seq, event: Any) -> None:
        offset = container.offset
        if self._key is None and isinstance(self._container, Map):
            self.findings.stop("a key must be text", "key", offset, "a list or a mapping cannot be a key")
        if event.tag is not None:
            self._check_tag(container, event.tag)
        self._count(1, offset)
        self._reach(len(self._outer) + 1, offset)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(container, offset, 0, 0, is_open=True)
        around = (self._container, self._key, self._key_offset, self._raw)
        self._outer.append((*around, event.anchor, self._nodes, self._deepest))
        self._container = container
        self._key = None
        self._raw = self._raw or event.tag == RAW
        self._deepest = len(self._outer)

    def _end(self) -> None:
        container = self._container
        assert container is not None
        around, key, key_offset, raw, anchor, nodes, deepest = self._outer.pop()
        if anchor is not None:
            height = self._deepest - len(self._outer)
            size = self._nodes - nodes + 1
            self._anchors[anchor] = _Anchor(container, container.offset, size, height)
        self._container, self._key, self._key_offset, self._raw = around, key, key_offset, raw
        self._deepest = max(self._deepest, deepest)
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

    # Keys

    def _take_unusual_key(self, event: Any) -> None:
        """Take a key that is empty, ``<<``, tagged, anchored, under ``!raw`` or holds a template."""
        key, style, offset = event.value, event.style, event.start_mark.index
        if event.tag is not None and event.tag not in TEXT_TAGS:
            self.findings.error(f"a key must be text, not {short_tag(event.tag)}", "key", offset)
        template: Node = None
        is_plain = not style and event.tag is None
        if self._marker in key and not self._raw and event.tag != RAW:
            template = self._leaves.template(key, style, offset, plain=False)
        elif not key and is_plain:
            self.findings.error("a key is missing before the colon", "key", offset)
        key = template if isinstance(template, str) else self._leaves.restored(key, style)
        if event.anchor is not None:
            self._anchors[event.anchor] = _Anchor(template or key, offset, 1, 0)
        self._count(1, offset)
        self._set_key(key, offset)
        if isinstance(template, Template):
            self._note_template(key, template)
        elif key == "<<" and is_plain:
            self._note_merge()

    def _alias_key(self, anchor: _Anchor, offset: int) -> None:
        if not isinstance(anchor.value, str):
            self.findings.stop("an alias used as a key must stand for plain text", "key", offset)
        self._set_key(anchor.value, offset)

    def _set_key(self, key: str, offset: int) -> None:
        container = self._container
        assert isinstance(container, Map)
        if key in container:
            first = self._source.mark(container.marks[key][0])
            self.findings.error(
                f'the key "{key}" is written twice', "duplicate-key", offset, f"first at {first}"
            )
        self._key = key
        self._key_offset = offset

    def _note_template(self, key: str, template: Template) -> None:
        container = self._container
        assert isinstance(container, Map)
        container.templates = container.templates or {}
        container.templates[key] = template

    def _note_merge(self) -> None:
        assert isinstance(self._container, Map)
        if not self._merging or self._merging[-1] is not self._container:
            self._merging.append(self._container)

    # Merges

    def _merge(self, target: Map) -> None:
        """Resolve ``<<``: the mapping's own keys win, then earlier mappings over later ones."""
        offset = target.marks.pop("<<")[1]
        value = target.pop("<<")
        sources = value if isinstance(value, Seq) else [value]
        for source in sources:
            if isinstance(source, Map):
                _add_missing(target, source)
            else:
                self.findings.error(
                    "<< takes a mapping or a list of mappings", "merge", offset, "usually an *alias"
                )

    def _note_loose(self, start: int, end: int) -> None:
        first = bisect_left(self._loose_offsets, start)
        last = bisect_left(self._loose_offsets, end)
        for item in self._scan.loose[first:last]:
            if isinstance(item, Loose):
                self.loose.append(item)
            else:
                summary = f"{item.text} is not closed, and stays text"
                hint = f"write {item.closing} at its end, or tag the value !raw"
                self.findings.warning(summary, "template", item.offset, hint)

    # Limits, tags and messages

    def _count(self, nodes: int, offset: int) -> None:
        self._nodes += nodes
        if self._nodes > MOST_NODES:
            self.findings.stop(
                f"more than {MOST_NODES:,} values, aliases counted as what they stand for", "limit", offset
            )

    def _reach(self, depth: int, offset: int) -> None:
        if depth > DEEPEST:
            self.findings.stop(f"nested more than {DEEPEST} deep", "limit", offset)
        self._deepest = max(self._deepest, depth)

    def _check_tag(self, container: Map | Seq, tag: str) -> None:
        own = f"{YAML}map" if isinstance(container, Map) else f"{YAML}seq"
        if tag in ("!", RAW, own):
            return
        if tag in SCALAR_TAGS or tag in (f"{YAML}map", f"{YAML}seq"):
            kind = "mapping" if isinstance(container, Map) else "list"
            self.findings.error(f"a {kind} is not of the type {short_tag(tag)}", "tag", container.offset)
        else:
            self._leaves.unknown_tag(tag, container.offset)


def _add_missing(target: Map, source: Map) -> None:
    for key, value in source.items():
        if key in target:
            continue
        target[key] = value
        target.marks[key] = source.marks[key]
        if source.templates and key in source.templates:
            target.templates = target.templates or {}
            target.templates[key] = source.templates[key]
