"""The references in an options tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.model.values import Interpolation, Reference

if TYPE_CHECKING:
    from devstream.model.values import Value

__all__ = ["references_in"]


def references_in(options: Value) -> tuple[Reference, ...]:
    """Give every `Reference` in an options tree, those inside text too, in order and without repeats."""
    found: dict[Reference, None] = {}
    _collect(options, found)
    return tuple(found)


def _collect(value: Value, found: dict[Reference, None]) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, Reference):
        found[value] = None
    elif isinstance(value, Interpolation):
        found.update((part, None) for part in value.parts if isinstance(part, Reference))
