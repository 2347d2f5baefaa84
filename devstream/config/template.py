"""Rendering."""

from __future__ import annotations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from devstream.config.tree import Node
    from devstream.errors import Diagnostic
    from devstream.model.values import Value

__all__ = ["Scope", "render"]


class Scope:
    """variables: name -> Node (rendered lazily, in this scope) or a rendered Value or tree.Text (from --var/env) or Secret.
    errors / warnings are shared with scopes made by `extend`."""

    errors: list[Diagnostic]
    warnings: list[Diagnostic]

    def __init__(
        self, variables: Mapping[str, Any], env: Callable[[str], str | None], *, offline: bool = False
    ) -> None:
        raise NotImplementedError

    def extend(self, variables: Mapping[str, Any]) -> Scope:
        """A scope with more names; they win over this one's. Nodes among them are rendered in THIS (outer) scope, so `name: [[ name ]]-x` works."""
        raise NotImplementedError

    @property
    def names(self) -> frozenset[str]: ...


def render(node: Node, scope: Scope) -> Value:
    """Errors are collected in scope.errors (the place holds an Unknown then); look there when done."""
    raise NotImplementedError
