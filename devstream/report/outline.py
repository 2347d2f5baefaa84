"""Nested values as YAML-like text, with where each was written beside it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from devstream.report.terminal import clean, display_width
from devstream.report.values import is_container, is_secret, quoted, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path
    from devstream.report.terminal import Look

__all__ = ["outline", "expanded_lines"]

_PLAIN = re.compile(r"[A-Za-z_./][A-Za-z0-9_./@%+-]*(?: [A-Za-z0-9_./@%+-]+)*")
_NOT_TEXT = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n", "~"})
COMMENT_COLUMN = 40


def outline(value: Any, note: Callable[[Path], str] = lambda path: "") -> list[str]:  # noqa: ARG005 - says nothing
    """Write a value as YAML; ``note`` gives the comment for a leaf's path, or nothing.

    >>> outline({"a": [1, {"b": "yes", "c": "x y"}], "d": {}})
    ['a:', '- 1', '- b: "yes"', '  c: x y', 'd: {}']
    """
    return list(_outline(value, (), note))


def _outline(value: Any, path: Path, note: Callable[[Path], str]) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _entry(f"{_text(str(key))}:", item, (*path, key), note)
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _item(item, (*path, index), note)
    else:
        yield _noted(_leaf(value), note(path))


def _entry(head: str, item: Any, path: Path, note: Callable[[Path], str]) -> Iterator[str]:
    if is_container(item):
        yield head
        pad = "" if isinstance(item, list) else "  "
        for line in _outline(item, path, note):
            yield pad + line
    elif _is_block(item):
        yield _noted(f"{head} {'|' if item.endswith(chr(10)) else '|-'}", note(path))
        for line in item.rstrip("\n").split("\n"):
            yield f"  {clean(line)}".rstrip()
    else:
        yield _noted(f"{head} {_leaf(item)}", note(path))


def _item(item: Any, path: Path, note: Callable[[Path], str]) -> Iterator[str]:
    for number, line in enumerate(_outline(item, path, note)):
        yield ("- " if number == 0 else "  ") + line


def _is_block(value: Any) -> bool:
    """Tell whether text of several lines can stand as it is, without losing anything."""
    if not isinstance(value, str) or is_secret(value) or "\n" not in value.rstrip("\n"):
        return False
    body = value.rstrip("\n")
    return len(value) - len(body) <= 1 and not body.startswith((" ", "\n")) and clean(value) == value


def _leaf(value: Any) -> str:
    if isinstance(value, str) and not is_secret(value):
        return _text(value)
    return shown(value)


def _text(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT:
        return text
    return quoted(text)


def _noted(line: str, note: str) -> str:
    if not note:
        return line
    return f"{line}{' ' * max(COMMENT_COLUMN - display_width(line), 2)}# {note}"


def expanded_lines(tools: Iterable[ToolInstance], look: Look) -> list[str]:
    """Write expanded tools as a ``tools:`` section, each field with its origin."""
    lines: list[str] = []
    for tool in tools:
        lines += _tool_lines(tool, look)
    return ["tools:", *lines] if lines else ["tools: []"]


def _tool_lines(tool: ToolInstance, look: Look) -> list[str]:
    def note(path: Path) -> str:
        origin = tool.origins.at(path)
        if origin is None:
            return ""
        place = [look.place(origin.mark)] if origin.mark else []
        return ", ".join([*place, *map(clean, origin.trail)])

    origin = tool.origin
    steps = ([look.place(origin.mark)] if origin.mark else []) + list(map(clean, origin.trail))
    waits = [*map(str, tool.depends_on), *(["@tools"] if tool.after_tools else [])]
    lines = [
        _noted(f"- name: {_text(tool.address.name)}", ", ".join(steps)),
        f"  instanceID: {_text(tool.address.instance_id)}",
    ]
    if waits:
        lines.append(f"  dependsOn: [{', '.join(map(_text, waits))}]")
    if not tool.options:
        return [*lines, "  options: {}"]
    return [*lines, "  options:", *(f"    {line}" for line in outline(dict(tool.options), note))]
