"""What differs between two JSON trees, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.plan import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.model.values import Path

__all__ = ["diff", "same"]


def diff(before: Any, after: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Yield ``(path, before, after)`` for every field that differs; `ABSENT` stands for "not there".

    Mappings are compared key by key, lists of equal length item by item, other lists as a whole. An
    explicit null and a missing key are the same.

    >>> list(diff({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3]}))
    [(('b', 1), 2, 3)]
    """
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            yield from diff(before.get(key, ABSENT), after.get(key, ABSENT), (*path, key))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for index, (old, new) in enumerate(zip(before, after, strict=True)):
            yield from diff(old, new, (*path, index))
    elif not _equal_leaves(before, after):
        yield path, before, after


def same(before: Any, after: Any) -> bool:
    """Tell whether two trees do not differ."""
    return (before == after and not _mixes_booleans(before, after)) or next(diff(before, after), None) is None


def _equal_leaves(before: Any, after: Any) -> bool:
    if before in (None, ABSENT) and after in (None, ABSENT):
        return True
    return isinstance(before, bool) == isinstance(after, bool) and bool(before == after)


def _mixes_booleans(before: Any, after: Any) -> bool:
    """Python holds True equal to 1; YAML does not, so equal trees are trusted only where their text agrees."""
    return repr(before) != repr(after)
