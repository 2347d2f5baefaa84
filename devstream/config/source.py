"""Files to trees: read with limits, find the templates, parse. The one door to the YAML library."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.config.build import Builder
from devstream.config.findings import Stop
from devstream.config.scan import TooManyTemplates, scan
from devstream.config.tokens import MOST_TOKENS, TooManyPrivateCharacters
from devstream.config.tree import Map, Source
from devstream.errors import ConfigError, Diagnostic, Mark

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["Parsed", "LooseReference", "LARGEST_FILE", "read_source", "parse", "check_loose"]

LARGEST_FILE = 16 * 1024 * 1024

_NOT_ALLOWED = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufeff\ufffe\uffff]"  # what YAML calls not printable
)
_LONGEST_KEY = 1024


class LooseReference(NamedTuple):
    """``${{ word ... }}`` in a value, not of the shape of a reference: text, unless ``word`` names a tool."""

    word: str
    text: str
    source: Source
    offset: int


class Parsed(NamedTuple):
    """One file.

    Attributes:
        documents: its top-level mappings; empty documents are left out.
        warnings: what may not be what was meant.
        loose: to be judged with `check_loose` once the tools are known.
    """

    documents: tuple[Map, ...]
    warnings: tuple[Diagnostic, ...]
    loose: tuple[LooseReference, ...] = ()


def read_source(path: Path, name: str) -> Source:
    """Read a file: UTF-8, or UTF-16 with a byte order mark.

    Args:
        path: where it lies.
        name: how messages call it.

    Raises:
        ConfigError: it cannot be read, is larger than `LARGEST_FILE`, or is not text.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        message = f"{name}: cannot be read: {error.strerror or error}"
        raise ConfigError(message, code="unreadable") from error
    if len(data) > LARGEST_FILE:
        message = f"{name}: larger than {LARGEST_FILE // 1024**2} MiB"
        raise ConfigError(message, code="limit", mark=Mark(name, 1, 1))
    return Source(name, path, _decoded(data, name))


def _decoded(data: bytes, name: str) -> str:
    """Decode a file's bytes; the byte order mark goes, since libyaml would not count it."""
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        kind = encoding.removesuffix("-sig").upper()
        before = data[: error.start].decode(encoding, "replace")
        mark = Source(name, Path(name), before).mark(len(before))
        message = f"the file is not {kind}: byte {error.start} cannot be read"
        raise ConfigError(message, code="encoding", mark=mark, suggestion="save it as UTF-8") from error


def parse(source: Source) -> Parsed:
    """Parse a source; templates become leaves of the tree.

    Raises:
        ConfigError: every mistake up to the first that YAML itself cannot get over.
    """
    try:
        found = scan(source.text)
    except (TooManyTemplates, TooManyPrivateCharacters) as error:
        raise _too_many(source, error) from error
    builder = Builder(source, found)
    broken = _feed(builder, source, found.text)
    errors = [*builder.findings.errors, *([broken] if broken else [])]
    if errors:
        raise ConfigError(sorted(errors, key=_position))
    loose = tuple(LooseReference(item.word, item.text, source, item.offset) for item in builder.loose)
    return Parsed(tuple(builder.documents), tuple(sorted(builder.findings.warnings, key=_position)), loose)


def check_loose(loose: Collection[LooseReference], tools: Collection[str]) -> list[Diagnostic]:
    """Give an error for each loose reference whose first word is the name of a tool."""
    return [
        Diagnostic(
            f"{item.text} is not a reference",
            "reference",
            mark=item.source.mark(item.offset),
            suggestion="a reference is ${{ name.instanceID.outputs.key }}; tag the value !raw to keep it as text",
        )
        for item in loose
        if item.word in tools
    ]


def _position(diagnostic: Diagnostic) -> tuple[int, int]:
    assert diagnostic.mark is not None
    return diagnostic.mark.line, diagnostic.mark.column


def _too_many(source: Source, error: TooManyTemplates | TooManyPrivateCharacters) -> ConfigError:
    if isinstance(error, TooManyTemplates):
        message = f"more than {MOST_TOKENS:,} templates in one file"
        return ConfigError(message, code="limit", mark=source.mark(error.offset))
    message = "the file holds too many different private-use characters to have templates too"
    return ConfigError(message, code="limit", mark=source.mark(0))


def _feed(builder: Builder, source: Source, text: str) -> Diagnostic | None:
    """Hand every event to the builder; give what is wrong with the YAML, if anything.

    Raises:
        ConfigError: the YAML library lacks its fast half.
    """
    import yaml

    try:
        from yaml.cyaml import CParser  # type: ignore[attr-defined]  # its stubs do not re-export it
    except ImportError as error:
        message = "the installed PyYAML was built without libyaml"
        hint = "pip install --force-reinstall --only-binary :all: pyyaml"
        raise ConfigError(message, code="libyaml", suggestion=hint) from error
    takers = {
        yaml.DocumentStartEvent: builder.document_start,
        yaml.DocumentEndEvent: builder.document_end,
        yaml.ScalarEvent: builder.scalar,
        yaml.MappingStartEvent: builder.mapping_start,
        yaml.MappingEndEvent: builder.mapping_end,
        yaml.SequenceStartEvent: builder.sequence_start,
        yaml.SequenceEndEvent: builder.sequence_end,
        yaml.AliasEvent: builder.alias,
    }
    try:
        next_event = CParser(text).get_event
        next_event()  # the stream's start
        while (take := takers.get(type(event := next_event()))) is not None:
            take(event)
    except Stop:
        return None
    except yaml.MarkedYAMLError as error:
        return _syntax(source, error)
    except (yaml.reader.ReaderError, UnicodeEncodeError) as error:
        return _character(source, error)
    return None


def _syntax(source: Source, error: Any) -> Diagnostic:
    """Say where YAML's grammar is broken, by our own count of lines."""
    offset = min(error.problem_mark.index if error.problem_mark else 0, len(source.text))
    summary = error.problem or "not YAML"
    context = f"{error.context}" if error.context else ""
    if error.context_mark is not None and context:
        context += f" that begins at {source.mark(error.context_mark.index)}"
    return Diagnostic(
        summary,
        "yaml",
        detail=context,
        mark=source.mark(offset),
        suggestion=_hint(source.text, offset, summary),
    )


def _hint(text: str, offset: int, problem: str) -> str:
    if text[offset : offset + 1] == "\t":
        return "a tab cannot indent: use blanks"
    if "\ufeff" in text[max(offset - 1, 0) : offset + 1]:
        return "a byte order mark stands here; files were probably joined"
    line_start = max(text.rfind("\n", 0, offset), text.rfind("\r", 0, offset)) + 1
    if "mapping values" in problem or "expected ':'" in problem:
        if offset - line_start > _LONGEST_KEY:
            return f"a key without ? before it has at most {_LONGEST_KEY} characters"
        return 'text that holds ": " must be quoted'
    return next((hint for words, hint in _HINTS if words in problem), "")


_HINTS = (
    ("expected key", "the line begins too far left or right: keys of one mapping stand below each other"),
    (
        "<document start>",
        "the line begins further left than the first one: top-level keys stand at the left margin",
    ),
    ("'-' indicator", "the line begins too far left or right: items of one list stand below each other"),
    ("',' or ']'", "a list in [ ] is not closed, or a comma is missing"),
    (
        "',' or '}'",
        'a mapping in { } is not closed, a comma is missing, or text that holds ": " is not quoted',
    ),
)
"""What the words of YAML's grammar mean to people."""


def _character(source: Source, error: Exception) -> Diagnostic:
    """Say which character YAML does not allow; libyaml only knows the byte."""
    match = _NOT_ALLOWED.search(source.text)
    if match is None:
        return Diagnostic(str(error), "yaml", mark=source.mark(0))
    code = f"U+{ord(match[0]):04X}"
    mark = source.mark(match.start())
    hint = 'in "double quotes" it can be written as an escape'
    return Diagnostic(f"the character {code} is not allowed", "yaml", mark=mark, suggestion=hint)
