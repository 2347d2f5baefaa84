"""The graphs that are measured: how many tools, and which depends on which."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import ceil, isqrt
from typing import Any

__all__ = ["PARALLELISM", "VARIABLES", "Load", "Shape", "fields"]

PARALLELISM = 10
"""How many operations run at once, in every program that can."""

VARIABLES = {"owner": "platform", "registry": "registry.example.com", "team": "core"}
"""The variables that all configurations declare and use."""

_EDGES = 3


class Shape(StrEnum):
    """How the tools hang together."""

    INDEPENDENT = "independent"
    LAYERED = "layered"  # as many layers as tools in each; three edges a tool
    CHAIN = "chain"
    APPS = "apps"  # three tools an app, from pipeline templates


@dataclass(frozen=True)
class Load:
    """One graph.

    Attributes:
        tools: how many tools.
        delay: how long each operation takes, in seconds.
    """

    shape: Shape
    tools: int
    delay: float = 0.0

    def __str__(self) -> str:
        delay = f", {self.delay:g} s each" if self.delay else ""
        if self.shape is Shape.APPS:
            return f"{self.tools // 3:,} apps ({self.tools:,} tools)"
        return f"{self.tools:,} {self.shape}{delay}"

    @property
    def key(self) -> str:
        """A name for folders."""
        return f"{self.shape}-{self.tools}{f'-{self.delay:g}' if self.delay else ''}"

    @property
    def ideal(self) -> float:
        """The seconds that the delays of independent tools take at the least."""
        return ceil(self.tools / PARALLELISM) * self.delay

    def upstream(self, index: int) -> tuple[int, ...]:
        """Give what a tool takes a value from."""
        if self.shape is Shape.CHAIN:
            return (index - 1,) if index else ()
        if self.shape is not Shape.LAYERED:
            return ()
        width = isqrt(self.tools)
        layer, place = divmod(index, width)
        if layer == 0:
            return ()
        above = {(place + step) % width for step in range(min(_EDGES, width))}
        return tuple((layer - 1) * width + column for column in sorted(above))


def fields(load: Load, index: int, *, owner: str, registry: str, reference: str) -> dict[str, Any]:
    """Give the values that every tool holds, as a program writes them.

    Args:
        owner: how the program writes the variable ``owner``.
        registry: the same, inside of a text.
        reference: how it writes the field ``image`` of another tool, with ``{0}`` for its number.
    """
    return {
        "name": f"service-{index}",
        "owner": owner,
        "image": f"{registry}/service-{index}:1.4.2",
        "replicas": 3,
        "ports": [8080, 9090],
        "from": [reference.format(other) for other in load.upstream(index)],
    }
