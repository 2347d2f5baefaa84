"""What a tool's options are, in words: for the reference pages and for ``show config --plugin``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import NODEFAULT
from msgspec import inspect as types

from devstream.plugins.wording import expected, is_secret, members, unwrap
from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.plugins.options import OptionsSchema

__all__ = ["REQUIRED", "OptionDoc", "describe"]

REQUIRED = NODEFAULT
"""The default of an option that has none."""


class OptionDoc(Immutable, frozen=True):
    """One option.

    Attributes:
        name: its path: ``scm.token``; what stands in a list is ``jobs[].name``, in a mapping ``env.<name>``.
        type: what it takes, in words.
        required: True where it has to be given.
        default: its default as JSON, or None.
        doc: what it means, as the plugin says it.
        flags: secret, immutable, record_only, argv.
    """

    name: str
    type: str
    required: bool
    default: Any
    doc: str
    flags: frozenset[str]


def describe(options: OptionsSchema) -> tuple[OptionDoc, ...]:
    """Describe every option of a tool, nested ones below the one they belong to."""
    return tuple(_fields(options.type, "", frozenset(), ()))


def _fields(
    struct: types.StructType, prefix: str, flags: frozenset[str], inside: tuple[type, ...]
) -> Iterator[OptionDoc]:
    """Describe the fields of a Struct; one that contains itself is not followed again."""
    if struct.cls in inside:
        return
    for field in struct.fields:
        name = f"{prefix}{field.encode_name}"
        kind, own = unwrap(field.type, flags)
        yield OptionDoc(name, _words(kind), field.required, _default(field), _doc(field.type), own)
        yield from _nested(kind, name, own, (*inside, struct.cls))


def _nested(
    kind: types.Type, name: str, flags: frozenset[str], inside: tuple[type, ...]
) -> Iterator[OptionDoc]:
    for member in members(kind):
        if isinstance(member, types.StructType):
            yield from _fields(member, f"{name}.", flags, inside)
        elif isinstance(member, types.DictType):
            yield from _nested(member.value_type, f"{name}.<name>", flags, inside)
        elif item := getattr(member, "item_type", None):
            yield from _nested(item, f"{name}[]", flags, inside)


def _doc(kind: types.Type) -> str:
    """Give the description that `option` put on a type."""
    while isinstance(kind, types.Metadata):
        text = (kind.extra_json_schema or {}).get("description", "")
        if text:
            return str(text)
        kind = kind.type
    return ""


def _default(field: types.Field) -> Any:
    if field.default is not NODEFAULT:
        return getattr(field.default, "value", field.default)
    return field.default_factory() if field.default_factory is not NODEFAULT else None


def _words(kind: types.Type) -> str:
    """Say what an option takes; lists and mappings say of what."""
    words = []
    for member in members(kind):
        if isinstance(member, types.NoneType):
            continue
        words.append(_word(member))
    return " or ".join(dict.fromkeys(words)) or "nothing"


def _word(kind: types.Type) -> str:
    if isinstance(kind, types.AnyType):
        return "any value"
    if is_secret(kind):
        return "text, may be a secret"
    if isinstance(kind, types.DictType):
        return f"a mapping of {_words(kind.value_type)}"
    item = getattr(kind, "item_type", None)
    return f"a list of {_words(item)}" if item is not None else expected(kind)
