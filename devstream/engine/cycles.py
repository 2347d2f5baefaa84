"""Telling a cycle as people understand it: as a path, with the reason of each step."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from devstream.config.links import place_of_link
from devstream.errors import Diagnostic
from devstream.model.tool import BARRIER

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.errors import Mark
    from devstream.model.address import Address
    from devstream.model.tool import ToolInstance

__all__ = ["describe_cycle"]


MOST_STEPS = 12
"""Of a longer cycle the first and the last steps are told."""


def describe_cycle(path: tuple[Any, ...], tools: Mapping[Address, ToolInstance]) -> Diagnostic:
    """Describe a cycle; ``path`` begins and ends with the same node, each waiting for the next."""
    pairs = list(itertools.pairwise(path))
    steps = [_step(node, after, tools) for node, after in _shortened(pairs)]
    marks = (_place(node, after, tools) for node, after in pairs)
    return Diagnostic(
        f"tools wait for each other: {' -> '.join(map(str, _shortened(path)))}",
        "cycle",
        detail="\n".join(steps),
        mark=next((mark for mark in marks if mark), None),
        suggestion="take out one of the dependsOn or references",
    )


def _shortened(items: Sequence[Any]) -> list[Any]:
    if len(items) <= MOST_STEPS:
        return [*items]
    half = MOST_STEPS // 2
    gap = f"... ({len(items) - MOST_STEPS:,} more) ..."
    return [*items[:half], (gap, None) if isinstance(items[0], tuple) else gap, *items[-half:]]


def _step(node: Any, after: Any, tools: Mapping[Address, ToolInstance]) -> str:
    if after is None:
        return str(node)
    if node == BARRIER:
        return f"{BARRIER} (what apps wait for) contains {after}"
    tool = tools[node]
    place = _at(_place(node, after, tools))
    if after == BARRIER:
        return f"{node} belongs to app {tool.app}, which waits for all of `tools:`{place}"
    how = "dependsOn" if after in tool.depends_on else "a reference"
    return f"{node} waits for {after} by {how}{place}"


def _place(node: Any, after: Any, tools: Mapping[Address, ToolInstance]) -> Mark | None:
    """Give the place where a step is written."""
    tool = tools.get(node)
    if tool is None or after == BARRIER:
        return tool.origin.mark if tool else None
    return place_of_link(tool, after)


def _at(mark: Mark | None) -> str:
    return f" ({mark})" if mark else ""
