"""Which options a tool takes, as far as app expansion asks: names at the top, and names one level down."""

from __future__ import annotations

from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Union, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.model.schema import ToolSchema

__all__ = ["Shape", "shape_of"]


class Shape(NamedTuple):
    """The names of a tool's options; ``fields`` is None for a tool that takes any."""

    fields: Mapping[str, Any] | None

    def has(self, name: str) -> bool:
        """Tell whether the tool takes an option of this name; a tool without a schema takes any."""
        return self.fields is None or name in self.fields

    def declares(self, name: str) -> bool:
        """Tell whether the tool's schema names this option."""
        return self.fields is not None and name in self.fields

    def takes(self, name: str, inner: str) -> bool:
        """Tell whether the option ``name`` may hold the key ``inner``."""
        struct = _struct_in(self.fields[name]) if self.fields is not None and name in self.fields else None
        return struct is None or inner in struct.__struct_encode_fields__


def shape_of(schema: ToolSchema | None) -> Shape:
    """Give the shape that a schema describes."""
    if schema is None:
        return Shape(None)
    from msgspec.structs import fields

    return Shape({field.encode_name: field.type for field in fields(schema.options)})


def _struct_in(kind: Any) -> Any:
    """Give the Struct that a field's type is, or may be beside None; None where it is none."""
    if hasattr(kind, "__struct_encode_fields__"):
        return kind
    if get_origin(kind) in (Annotated, Union, UnionType):
        return next((found for item in get_args(kind) if (found := _struct_in(item))), None)
    return None
