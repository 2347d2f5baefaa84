"""What types take, in plain words, and which values have the right shape: the vocabulary of `fields`."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec import inspect as types

from devstream.model.values import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from devstream.model.values import Value

__all__ = [
    "BOOLEANS",
    "LISTS",
    "unwrap",
    "members",
    "is_secret",
    "holds_secret",
    "takes_scalar",
    "conversions",
    "reads_as",
    "same_shape",
    "bounds",
    "expected",
    "choices",
    "literal",
    "shown",
]

BOOLEANS: Mapping[str, bool] = MappingProxyType(
    {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
)
"""Text that people write for booleans."""

LISTS = (
    types.ListType,
    types.SetType,
    types.FrozenSetType,
    types.CollectionType,
    types.VarTupleType,
    types.TupleType,
)
"""The types that a list in the config becomes."""


def unwrap(kind: types.Type, flags: frozenset[str] = frozenset()) -> tuple[types.Type, frozenset[str]]:
    """Take the annotations off a type; ``flags`` grow by what `option` said there."""
    while isinstance(kind, types.Metadata):
        flags |= frozenset(kind.extra or ())
        kind = kind.type
    return kind, flags


def members(kind: types.Type) -> tuple[types.Type, ...]:
    """Give the alternatives of a union (without its annotations); of any other type, itself."""
    kind = unwrap(kind)[0]
    if isinstance(kind, types.UnionType):
        return tuple(unwrap(member)[0] for member in kind.types)
    return (kind,)


def is_secret(kind: types.Type) -> bool:
    """Tell whether a type is `Secret`."""
    return isinstance(kind, types.CustomType) and kind.cls is Secret


def holds_secret(kind: types.Type) -> bool:
    """Tell whether a secret may stand at a type: at `Secret`, and where anything may."""
    return is_secret(kind) or isinstance(kind, types.AnyType | types.RawType)


def takes_scalar(kind: types.Type) -> bool:
    """Tell whether a number or boolean is wanted, and no text."""
    kinds = members(kind)
    wanted = any(isinstance(member, types.IntType | types.FloatType | types.BoolType) for member in kinds)
    return wanted and not any(isinstance(member, types.StrType) or holds_secret(member) for member in kinds)


def conversions(kind: types.Type) -> list[Callable[[str], bool | int | float]]:
    """List how text becomes one of the wanted scalars, the most exact way first."""
    kinds = {type(member) for member in members(kind)}
    ways: list[tuple[type[types.Type], Callable[[str], bool | int | float]]] = [
        (types.BoolType, lambda text: BOOLEANS[text.casefold()]),
        (types.IntType, int),
        (types.FloatType, float),
    ]
    return [convert for wanted, convert in ways if wanted in kinds]


def reads_as(kind: types.Type, text: str) -> bool:
    """Tell whether text would be one of the wanted scalars, were it not in quotes."""
    for convert in conversions(kind):
        try:
            convert(text)
        except (ValueError, KeyError):
            continue
        return True
    return False


def same_shape(kind: types.Type, value: Value) -> bool:
    """Tell whether a type takes values of this JSON kind at all."""
    if isinstance(kind, types.AnyType | types.RawType):
        return True
    if isinstance(kind, types.StructType | types.DictType):
        return isinstance(value, dict)
    if isinstance(kind, LISTS):
        return isinstance(value, list | tuple)
    if isinstance(kind, types.NoneType):
        return value is None
    if isinstance(kind, types.IntType | types.FloatType):
        return isinstance(value, int | float) and not isinstance(value, bool)
    if isinstance(kind, types.BoolType):
        return isinstance(value, bool) or (isinstance(value, str) and value.casefold() in BOOLEANS)
    if isinstance(kind, types.StrType):
        return isinstance(value, str)
    return value is not None and not isinstance(value, dict | list)


def bounds(kind: Any, value: float) -> list[tuple[str, bool]]:
    """List what a number has to satisfy, in words, with whether it does."""
    limits = [
        (f"at least {kind.ge}", kind.ge is None or value >= kind.ge),
        (f"more than {kind.gt}", kind.gt is None or value > kind.gt),
        (f"at most {kind.le}", kind.le is None or value <= kind.le),
        (f"less than {kind.lt}", kind.lt is None or value < kind.lt),
    ]
    limits.append(
        (f"a multiple of {kind.multiple_of}", not kind.multiple_of or value % kind.multiple_of == 0)
    )
    return limits


_WORDS: Mapping[type[types.Type], str] = MappingProxyType(
    {
        types.StructType: "a mapping",
        types.DictType: "a mapping",
        **dict.fromkeys(LISTS, "a list"),
        types.StrType: "text",
        types.BoolType: "true or false",
        types.IntType: "a whole number",
        types.FloatType: "a number",
        types.NoneType: "nothing (null)",
    }
)


def expected(kind: types.Type) -> str:
    """Say in words what a type takes."""
    words: list[str] = []
    for member in members(kind):
        if is_secret(member):
            words.append("text")
        elif isinstance(member, types.LiteralType):
            words.append(f"one of {choices(member.values)}")
        elif isinstance(member, types.EnumType):
            words.append(f"one of {choices(item.value for item in member.cls)}")
        elif not isinstance(member, types.NoneType) or len(members(kind)) == 1:
            words.append(_WORDS.get(type(member), "text"))
    return " or ".join(dict.fromkeys(words))


def choices(values: Iterable[Value]) -> str:
    """List the values there are to choose from."""
    return ", ".join(literal(value) for value in values)


def literal(value: Value) -> str:
    """Write a scalar as YAML would; long text is cut."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, str):
        return f'"{value if len(value) <= 40 else value[:39] + "…"}"'
    return str(value)


def shown(value: Value, flags: frozenset[str]) -> str:
    """Show a value in a message: short, and not at all where it may be a secret."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, Secret) or "secret" in flags:
        return "what is there (not shown, since the option is secret)"
    kind = "the text " if isinstance(value, str) else ""
    kind = "the number " if isinstance(value, int | float) and not isinstance(value, bool) else kind
    return f"{kind}{literal(value)}"
