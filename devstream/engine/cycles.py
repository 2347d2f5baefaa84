"""Telling a cycle as people understand it: as a path, with the reason of each step."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from devstream.errors import Diagnostic
from devstream.model.tool import BARRIER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.errors import Mark
    from devstream.model.address import Address
    from devstream.model.tool import ToolInstance

__all__ = ["describe_cycle"]


def describe_cycle(path: tuple[Any, ...], tools: Mapping[Address, ToolInstance]) -> Diagnostic:
    """Describe a cycle; ``path`` begins and ends with the same node, each waiting for the next."""
    steps = [_step(node, after, tools) for node, after in itertools.pairwise(path)]
    mark = next((tools[node].origin.mark for node in path if node in tools), None)
    return Diagnostic(
        f"tools wait for each other: {' -> '.join(str(node) for node in path)}",
        "cycle",
        detail="\n".join(steps),
        mark=mark,
        suggestion="take out one of the dependsOn or references",
    )


def _step(node: Any, after: Any, tools: Mapping[Address, ToolInstance]) -> str:
    if node == BARRIER:
        return f"{BARRIER} (what apps wait for) contains {after}"
    tool = tools[node]
    if after == BARRIER:
        return f"{node} belongs to app {tool.app}, which waits for all of `tools:`{_at(tool.origin.mark)}"
    how = "dependsOn" if after in tool.depends_on else "a reference"
    return f"{node} waits for {after} by {how}{_at(tool.origin.mark)}"


def _at(mark: Mark | None) -> str:
    return f" ({mark})" if mark else ""
