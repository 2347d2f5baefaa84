"""``@tool("name")``: how built-in tools and a ``devstream_plugins.py`` say which tools they provide."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["tool", "declared_names"]

T = TypeVar("T", bound=type)
_NAMES = "__devstream_tool_names__"


def tool(*names: str) -> Callable[[T], T]:
    """Declare a class as the provider of the tool ``names[0]``; further names are aliases of it."""

    def declare(provider: T) -> T:
        setattr(provider, _NAMES, names)
        return provider

    return declare


def declared_names(provider: object) -> tuple[str, ...]:
    """Give the names that `tool` declared on a class; empty where it is not decorated itself."""
    names: tuple[str, ...] = vars(provider).get(_NAMES, ()) if isinstance(provider, type) else ()
    return names
