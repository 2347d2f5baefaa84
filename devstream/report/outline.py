"""Nested values as YAML-like text, with where each was written beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from devstream.model.tool import BARRIER
from devstream.report.terminal import clean, display_width, one_line
from devstream.report.values import is_container, is_secret, quoted, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from devstream.model.origin import Origin
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path
    from devstream.report.terminal import Look

__all__ = ["outline", "expanded_lines"]

_PLAIN = re.compile(
    r"[A-Za-z_./][A-Za-z0-9_./@%+-]*(?: [A-Za-z0-9_./@%+-]+)*|\$\{\{ [A-Za-z0-9_.\[\]-]+ \}\}"
)
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"})

COMMENT_COLUMN = 48
"""Where comments begin, as far as the text before them leaves room."""

_Line = tuple[str, str]
"""A line and the comment on it."""


def outline(value: Any, note: Callable[[Path], str] = lambda path: "") -> list[str]:  # noqa: ARG005 - says nothing
    """Write a value as YAML; ``note`` gives the comment for a leaf's path, or nothing.

    >>> outline({"a": [1, {"b": "yes", "c": "x y"}], "d": {}})
    ['a:', '- 1', '- b: "yes"', '  c: x y', 'd: {}']
    """
    return list(map(_noted, _outline(value, (), note)))


def _noted(line: _Line) -> str:
    text, comment = line
    return f"{text}{' ' * max(COMMENT_COLUMN - display_width(text), 2)}# {comment}" if comment else text


def _indented(lines: Iterable[_Line], first: str, rest: str) -> Iterator[_Line]:
    for number, (text, comment) in enumerate(lines):
        yield f"{rest if number else first}{text}".rstrip(), comment


def _outline(value: Any, path: Path, note: Callable[[Path], str]) -> Iterator[_Line]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{_text(str(key))}:", item, (*path, key), note)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _indented(_outline(item, (*path, index), note), "- ", "  ")
    else:
        yield _leaf(value), note(path)


def _entry(head: str, item: Any, path: Path, note: Callable[[Path], str]) -> Iterator[_Line]:
    if is_container(item):
        yield head, ""
        pad = "" if isinstance(item, list) else "  "
        yield from _indented(_outline(item, path, note), pad, pad)
    elif _is_block(item):
        yield f"{head} {'|' if item.endswith(chr(10)) else '|-'}", note(path)
        yield from _indented(((line, "") for line in item.rstrip("\n").split("\n")), "  ", "  ")
    else:
        yield f"{head} {_leaf(item)}", note(path)


def _is_block(value: Any) -> bool:
    """Tell whether text of several lines can stand as it is, without losing anything."""
    if not isinstance(value, str) or is_secret(value) or "\n" not in value.rstrip("\n"):
        return False
    body = value.rstrip("\n")
    lines = body.split("\n")
    kept = all(line == line.rstrip() for line in lines) and not lines[0].startswith(" ") and bool(lines[0])
    return kept and len(value) - len(body) <= 1 and clean(value) == value


def _leaf(value: Any) -> str:
    if isinstance(value, str) and not is_secret(value):
        return _text(value)
    return shown(value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return quoted(text)


def expanded_lines(tools: Iterable[ToolInstance], look: Look) -> list[str]:
    """Write expanded tools as a ``tools:`` section, each field with its origin."""
    lines = [_noted(line) for tool in tools for line in _tool(tool, look)]
    return ["tools:", *lines] if lines else ["tools: []"]


def _tool(tool: ToolInstance, look: Look) -> Iterator[_Line]:
    yield f"- name: {_text(tool.address.name)}", _origin(tool.origin, look)
    yield f"  instanceID: {_text(tool.address.instance_id)}", ""
    waits = [*map(str, tool.depends_on), *([BARRIER] if tool.after_tools else [])]
    if waits:
        yield f"  dependsOn: [{', '.join(map(_text, waits))}]", ""
    options = dict(tool.options)
    yield from _indented(
        _entry("options:", options, (), lambda path: _origin(tool.origins.at(path), look)), "  ", "  "
    )


def _origin(origin: Origin | None, look: Look) -> str:
    if origin is None:
        return ""
    place = [look.place(origin.mark)] if origin.mark else []
    return ", ".join([*place, *map(one_line, origin.trail)])
