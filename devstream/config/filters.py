"""The filters of expressions: each takes plain values and gives one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.config.joining import LARGEST_VALUE, TooLarge, checked_text, holds_hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["FILTERS", "FilterError", "filtered"]


class FilterError(Exception):
    """A filter cannot be used like this; ``missing`` where it only found nothing to give."""

    def __init__(self, summary: str, *, missing: bool = False) -> None:
        super().__init__(summary)
        self.missing = missing


def filtered(name: str, values: Sequence[Any]) -> Any:
    """Apply a filter.

    Args:
        name: one of `FILTERS`, but not ``default``: what that needs is not a value.
        values: the value that is filtered, then the filter's own.

    Raises:
        FilterError: it does not take these.
        TooLarge, TooDeep: the result would be too large.
    """
    most = FILTERS[name]
    if not 1 <= len(values) <= most + 1:
        message = f"{name} takes {most or 'no'} value{'s' if most != 1 else ''} in brackets"
        raise FilterError(message)
    return _FUNCTIONS[name](*values)


def _text(value: Any) -> str:
    if isinstance(value, dict | list):
        message = "a list or mapping is not text: use join or tojson"
        raise FilterError(message)
    return checked_text(value)


def _replace(value: Any, old: Any = None, new: Any = None) -> str:
    if old is None or new is None:
        message = "replace takes two values in brackets: what, and what by"
        raise FilterError(message)
    text, before, after = _text(value), _text(old), _text(new)
    times = text.count(before)
    if len(text) + times * (len(after) - len(before)) > LARGEST_VALUE:
        raise TooLarge
    return text.replace(before, after)


def _join(value: Any, between: Any = "") -> str:
    if not isinstance(value, list):
        message = "join takes a list"
        raise FilterError(message)
    if holds_hidden(value):
        message = "join cannot be used where a secret or the output of a tool is in the list"
        raise FilterError(message)
    texts = [_text(item) for item in value]
    separator = _text(between)
    if sum(map(len, texts)) + len(separator) * len(texts) > LARGEST_VALUE:
        raise TooLarge
    return separator.join(texts)


def _length(value: Any) -> int:
    if not isinstance(value, str | list | dict):
        message = "only text, lists and mappings have a length"
        raise FilterError(message)
    return len(value)


def _first(value: Any) -> Any:
    return _item(value, 0)


def _last(value: Any) -> Any:
    return _item(value, -1)


def _item(value: Any, index: int) -> Any:
    if not isinstance(value, str | list):
        message = "first and last take a list or text"
        raise FilterError(message)
    if not value:
        message = "there is no first and no last in what is empty"
        raise FilterError(message, missing=True)
    return value[index]


def _tojson(value: Any) -> str:
    if holds_hidden(value):
        message = "tojson cannot be used where a secret or the output of a tool is in the value"
        raise FilterError(message)
    import json

    return json.dumps(value, ensure_ascii=False)


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "lower": lambda value: _text(value).lower(),
    "upper": lambda value: _text(value).upper(),
    "trim": lambda value: _text(value).strip(),
    "replace": _replace,
    "join": _join,
    "length": _length,
    "first": _first,
    "last": _last,
    "tojson": _tojson,
}

FILTERS: Mapping[str, int] = {
    "default": 2,
    "lower": 0,
    "upper": 0,
    "trim": 0,
    "replace": 2,
    "join": 1,
    "length": 0,
    "first": 0,
    "last": 0,
    "tojson": 0,
}
"""The filters there are, and how many values each takes in brackets at most."""
