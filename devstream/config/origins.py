"""Where a value was written: places in the tree, followed through variables and layers only when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from devstream.config.tree import Env, Map, Name, Seq, Template, key_mark, mark_of
from devstream.model.origin import NoOrigins, Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from devstream.config.tree import Node
    from devstream.errors import Mark
    from devstream.model.values import Path

__all__ = ["VariablePlace", "Written", "TreeOrigins", "LayeredOrigins", "place_of"]


class VariablePlace(NamedTuple):
    """Where a variable got its value.

    Attributes:
        label: how it is called in a trail: ``vars.port``, ``spec.language``, ``--var port``.
        container, key: the mapping that holds it as written; None for what no file holds.
        places: the variables that its own value may name.
    """

    label: str
    container: Map | None = None
    key: str = ""
    places: Mapping[str, VariablePlace] | None = None

    @property
    def node(self) -> Node:
        """The value as written; None for what no file holds."""
        return self.container[self.key] if self.container is not None and self.key in self.container else None

    def __str__(self) -> str:
        place = f" ({mark_of(self.container, self.key)})" if self.container is not None else ""
        return f"{self.label}{place}"


class Written(NamedTuple):
    """A part of the tree as written, and the steps from there to its use.

    Attributes:
        node: what is written; the part is what stands at ``within`` below it.
        places: the variables known in it.
    """

    node: Node
    places: Mapping[str, VariablePlace]
    trail: tuple[str, ...] = ()
    within: Path = ()


class _Found(NamedTuple):
    depth: int
    mark: Mark | None
    trail: tuple[str, ...]
    key: Mark | None = None

    def origin(self) -> Origin:
        return Origin(self.mark, self.trail, self.key)


def place_of(node: Node, path: Path) -> Mark | None:
    """Give the place of the value at ``path`` below ``node``, or of the nearest thing that holds it."""
    return _follow(Written(node, {}), path).mark


def _follow(written: Written, path: Path) -> _Found:
    """Walk down a path as far as the tree goes, on into the variable where a leaf is one."""
    node, mark, depth = written.node, _own_mark(written.node), 0
    key_place: Mark | None = None
    full = written.within + path
    for step in full:
        inner = _step(node, step)
        if inner is None:
            break
        container, key = inner
        mark, node, depth = mark_of(container, key), container[key], depth + 1  # type: ignore[index]  # _step checked it
        key_place = key_mark(container, key) if isinstance(container, Map) and isinstance(key, str) else None
    whole = key_place if depth == len(full) else None
    found = _Found(depth - len(written.within), mark, written.trail, whole)
    return _through(node, written, found, full[depth:]) if isinstance(node, Template) else found


def _step(node: Node, step: str | int) -> tuple[Map | Seq, str | int] | None:
    if isinstance(node, Map):
        return (node, step) if isinstance(step, str) and step in node else None
    if isinstance(node, Seq):
        return (node, step) if isinstance(step, int) and step < len(node) else None
    return None


def _own_mark(node: Node) -> Mark | None:
    return node.source.mark(node.offset) if isinstance(node, Map | Seq | Template) else None


def _through(template: Template, written: Written, found: _Found, rest: Path) -> _Found:
    """Name what a template takes its value from, and go on into a variable that is the whole leaf."""
    trail = found.trail
    for part in template.parts:
        if isinstance(part, Env):
            trail = (*trail, f"env {part.variable}")
        elif isinstance(part, Name) and part.path[0] in written.places:
            place = written.places[part.path[0]]
            inside = _follow(Written(place.node, place.places or {}), (*part.path[1:], *rest))
            trail = (*trail, str(place), *inside.trail)
            if len(template.parts) == 1:
                reached = found.depth + max(0, inside.depth - len(part.path) + 1)
                return _Found(reached, found.mark, trail)
    return _Found(found.depth, found.mark, tuple(dict.fromkeys(trail)))


class TreeOrigins(NamedTuple):
    """Origins of options that stand in one place of a file."""

    written: Written

    def __reduce__(self) -> tuple[object, ...]:
        return NoOrigins, ()  # places in files mean nothing to another process

    def __repr__(self) -> str:
        return "TreeOrigins(...)"  # what is written may hold a secret in clear

    def at(self, path: Path) -> Origin:
        """Give the origin of a field, or of the nearest thing that holds it."""
        return _follow(self.written, path).origin()


class LayeredOrigins(NamedTuple):
    """Origins of options put together from several places.

    Attributes:
        layers: gives where each part came from: the path it was put at, and what was written; of several that
            hold a field, the first counts. Called when somebody asks, since nearly nobody does.
        default: for what nobody wrote, for example a default that the tool itself fills in.
    """

    layers: Callable[[], Iterable[tuple[Path, Written]]]
    default: Origin

    def __reduce__(self) -> tuple[object, ...]:
        return NoOrigins, ()

    def at(self, path: Path) -> Origin:
        """Give the origin of a field: the layer that reaches furthest down its path, the first of equals."""
        best: Origin = self.default
        depth = -1
        for prefix, written in self.layers():
            if path[: len(prefix)] != prefix:
                continue
            found = _follow(written, path[len(prefix) :])
            if found.mark is not None and found.depth + len(prefix) > depth:
                best, depth = found.origin(), found.depth + len(prefix)
        return best
