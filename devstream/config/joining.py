"""Values put together: text joined from parts, sizes measured before anything large is built."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.recorded import text_of
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from devstream.model.values import Value

__all__ = [
    "LARGEST_VALUE",
    "LARGEST_TOTAL",
    "TooLarge",
    "TooDeep",
    "copied",
    "joined",
    "is_hidden",
    "holds_hidden",
    "unknown_in",
    "checked_text",
    "measure",
]

LARGEST_VALUE = 1024 * 1024
"""Characters of one rendered value; in lists and mappings every item counts `ITEM` on top."""
LARGEST_TOTAL = 64 * LARGEST_VALUE
ITEM = 16
DEEPEST = 64


_PLAIN = frozenset((str, int))
"""What is written into text as Python writes it."""


class TooLarge(Exception):
    """A rendered value would be larger than `LARGEST_VALUE`."""


class TooDeep(Exception):
    """A rendered value is nested more than `DEEPEST` levels deep."""


def is_hidden(value: Value) -> bool:
    """Tell whether a value's text is not there to be looked at: a secret, or the output of a tool."""
    return isinstance(value, Secret | Reference | Interpolation)


def holds_hidden(value: Value) -> bool:
    """Tell whether anything in a tree `is_hidden`."""
    if isinstance(value, dict):
        return any(holds_hidden(item) for item in value.values())
    if isinstance(value, list):
        return any(holds_hidden(item) for item in value)
    return is_hidden(value)


def unknown_in(value: Value) -> Unknown | None:
    """Give the first thing in a tree that is not known, None where all of it is."""
    if isinstance(value, Unknown):
        return value
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((found for item in items if (found := unknown_in(item)) is not None), None)


def measure(value: Value, allowed: int = LARGEST_VALUE, depth: int = 0) -> int:
    """Give the size of a value; stops as soon as it is too large.

    Raises:
        TooLarge: it is larger than ``allowed``.
        TooDeep: it is nested too deeply.
    """
    if isinstance(value, str):
        size = len(value)
    elif isinstance(value, dict | list):
        size = _measure_items(value, allowed, depth)
    else:
        return ITEM
    if size > allowed:
        raise TooLarge
    return size


def _measure_items(value: dict[str, Any] | list[Any], allowed: int, depth: int) -> int:
    if depth >= DEEPEST:
        raise TooDeep
    size = 0
    for item in value.values() if isinstance(value, dict) else value:
        size += ITEM + measure(item, allowed - size, depth + 1)
        if size > allowed:
            raise TooLarge
    return size


def copied(value: Value) -> Value:
    """Give a copy that shares no list or mapping; text of any kind becomes plain text."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copied(item) for item in value]
    return str(value) if isinstance(value, str) else value


def checked_text(value: Value) -> str:
    """Write a value as text.

    Raises:
        TooLarge, TooDeep: see `measure`.
    """
    measure(value)
    text = text_of(value)
    measure(text)
    return str(text)


def joined(values: Sequence[Value]) -> Value:
    """Join values to text: unknown where a part is, an interpolation or secret where a part is one.

    Raises:
        ValueError: a list or mapping that holds secrets or references cannot become text.
        TooLarge, TooDeep: see `measure`.
    """
    texts = [value if type(value) is str else str(value) for value in values if type(value) in _PLAIN]
    if len(texts) == len(values):
        return _joined_texts(texts)
    parts: list[str | Reference | SecretRef] = []
    size = 0
    for value in values:
        unknown = unknown_in(value)
        if unknown is not None:
            return unknown
        for part in _parts(value):
            size += len(part) if isinstance(part, str) else ITEM
            parts.append(part)
        if size > LARGEST_VALUE:
            raise TooLarge
    return _assembled(_merged(parts))


def _joined_texts(texts: Sequence[str]) -> str:
    if sum(map(len, texts)) > LARGEST_VALUE:
        raise TooLarge
    return "".join(texts)


def _parts(value: Value) -> Iterable[str | Reference | SecretRef]:
    if isinstance(value, Secret | Interpolation):
        return value.parts
    if isinstance(value, Reference):
        return (value,)
    if holds_hidden(value):
        message = "a list or mapping that holds secrets or outputs of tools cannot become text"
        raise ValueError(message)
    return (checked_text(value),)


def _merged(parts: list[str | Reference | SecretRef]) -> list[str | Reference | SecretRef]:
    """Join neighbouring texts; leave out empty ones."""
    merged: list[str | Reference | SecretRef] = []
    texts: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        if text := "".join(texts):
            merged.append(text)
        texts.clear()
        merged.append(part)
    if text := "".join(texts):
        merged.append(text)
    return merged


def _assembled(parts: list[str | Reference | SecretRef]) -> Value:
    if any(isinstance(part, Reference) for part in parts):
        return Interpolation(tuple(parts))
    if any(isinstance(part, SecretRef) for part in parts):
        return Secret(tuple(part for part in parts if not isinstance(part, Reference)))
    return str(parts[0]) if parts else ""
