"""The graph of tools as a picture: mermaid, dot, SVG (drawn by Graphviz) or JSON; grouped by app."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from devstream.errors import OperationError, UsageError
from devstream.model.tool import BARRIER
from devstream.report.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.graph.dag import Graph

__all__ = ["Picture", "graph_data", "mermaid", "dot", "svg"]

DRAWING_TIME = 60.0
"""Seconds Graphviz may take."""


class Picture(StrEnum):
    """The forms a graph can be shown in."""

    MERMAID = "mermaid"
    DOT = "dot"
    SVG = "svg"
    JSON = "json"


def graph_data(graph: Graph[Any], apps: Mapping[str, str | None]) -> dict[str, Any]:
    """Give the graph as data: nodes in execution order, edges from what comes first to what waits."""
    nodes = _nodes(graph)
    return {
        "nodes": [{"address": str(node), "app": apps.get(str(node))} for node in nodes],
        "edges": [{"from": str(before), "to": str(node)} for before, node in _edges(graph)],
    }


def mermaid(graph: Graph[Any], apps: Mapping[str, str | None]) -> list[str]:
    """Write the graph for mermaid."""
    names = {node: f"n{number}" for number, node in enumerate(_nodes(graph))}
    lines = ["flowchart LR"]
    for number, (app, nodes) in enumerate(_groups(graph, apps)):
        drawn = [f'{names[node]}["{_mermaid_text(str(node))}"]' for node in nodes]
        if app:
            lines += [f'  subgraph g{number}["{_mermaid_text(f"app {app}")}"]']
            lines += [f"    {node}" for node in drawn] + ["  end"]
        else:
            lines += [f"  {node}" for node in drawn]
    return lines + [f"  {names[before]} --> {names[node]}" for before, node in _edges(graph)]


def dot(graph: Graph[Any], apps: Mapping[str, str | None]) -> list[str]:
    """Write the graph for Graphviz."""
    lines = [
        "digraph devstream {",
        "  rankdir=LR;",
        '  node [shape=box, style=rounded, fontname="sans-serif"];',
    ]
    for number, (app, nodes) in enumerate(_groups(graph, apps)):
        drawn = [f"{_dot_text(str(node))};" for node in nodes]
        if app:
            lines += [f"  subgraph cluster_{number} {{", f"    label={_dot_text(f'app {app}')};"]
            lines += [f"    {node}" for node in drawn] + ["  }"]
        else:
            lines += [f"  {node}" for node in drawn]
    return [*lines, *(f"  {_dot_text(str(a))} -> {_dot_text(str(b))};" for a, b in _edges(graph)), "}"]


def svg(graph: Graph[Any], apps: Mapping[str, str | None], path: str | None) -> str:
    """Draw the graph as SVG with Graphviz's ``dot``, looked up on ``path``.

    Raises:
        UsageError: ``dot`` is not there.
        OperationError: it failed.
    """
    import shutil
    import subprocess

    program = shutil.which("dot", path=path)
    if program is None:
        message = "an SVG needs Graphviz, and its program `dot` is not on PATH"
        raise UsageError(
            message, code="no-graphviz", suggestion="install graphviz, or use --format mermaid or dot"
        )
    source = "\n".join(dot(graph, apps)).encode()
    try:
        drawn = subprocess.run(  # noqa: S603 - found on PATH, and no argument is a user's
            [program, "-Tsvg"], input=source, capture_output=True, timeout=DRAWING_TIME, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        message = f"`dot` could not draw the graph: {error}"
        raise OperationError(message) from None
    if drawn.returncode != 0:
        message = f"`dot` could not draw the graph (exit status {drawn.returncode})"
        raise OperationError(message, detail=clean(drawn.stderr.decode("utf-8", "replace")).strip())
    return drawn.stdout.decode("utf-8", "replace").rstrip("\n")


def _nodes(graph: Graph[Any]) -> list[Any]:
    """Give what is drawn: the barrier that stands for all of ``tools:`` only where something waits for it."""
    return [node for node in graph.order() if node != BARRIER or graph.dependents(node)]


def _groups(graph: Graph[Any], apps: Mapping[str, str | None]) -> Iterator[tuple[str | None, list[Any]]]:
    groups: dict[str | None, list[Any]] = {}
    for node in _nodes(graph):
        groups.setdefault(apps.get(str(node)), []).append(node)
    yield from groups.items()


def _edges(graph: Graph[Any]) -> Iterator[tuple[Any, Any]]:
    for node in _nodes(graph):
        for before in graph.dependencies(node):
            yield before, node


def _mermaid_text(text: str) -> str:
    """Escape for a quoted label: mermaid takes entity codes written with a hash sign."""
    special = '"#&<>`\\'
    return "".join(f"#{ord(char)};" if char in special else char for char in clean(text).replace("\n", " "))


def _dot_text(text: str) -> str:
    escaped = clean(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
