"""`by_key`: what differs in lists of named items, told by name and not by place.

A plan compares lists item by item where they are of equal length. That decides rightly what is to be done, but one item
that goes and another that comes would read as if every item between them had changed its name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.plan import ABSENT, FieldChange, FieldSource
from devstream.model.values import iter_leaves
from devstream.planning.diff import same
from devstream.record import Immutable
from devstream.report.values import is_secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.model.plan import Change
    from devstream.model.values import Path
    from devstream.report.wanted import Wanted

__all__ = ["by_key", "key_of"]

KEYS = ("name", "id", "key", "instanceID")
"""Fields by which the items of a list are told apart, where all of them have it and it is unique."""


def by_key(change: Change, wanted: Wanted) -> tuple[FieldChange, ...]:
    """Give the fields of a change; those in a list of named items have steps like ``jobs[name=test]`` in their paths."""
    if change.tool is None or not any(_may_be_in_a_list(field) for field in change.fields):
        return change.fields
    before, after = wanted.before(change), wanted.after(change)
    if before is None or after is None:
        return change.fields
    lists: dict[Path, list[FieldChange]] = {}
    found: list[FieldChange | Path] = []
    for field in change.fields:
        path = _named_items(field, before, after)
        if path is None:
            found.append(field)
        elif path in lists:
            lists[path].append(field)
        else:
            lists[path] = [field]
            found.append(path)
    told: list[FieldChange] = []
    for entry in found:
        if isinstance(entry, FieldChange):
            told.append(entry)
        else:
            old, new = _at(before, entry), _at(after, entry)
            told += _told(_Place(entry, entry), old, new, lists[entry], change)
    return tuple(told)


def key_of(before: list[Any], after: list[Any]) -> str:
    """Find the field that names the items of both lists; empty where there is none."""
    items = before + after
    if not items or not all(isinstance(item, dict) for item in items):
        return ""
    for key in KEYS:
        kinds = {type(item.get(key)) for item in items}
        if kinds in ({str}, {int}) and all(
            len({item[key] for item in side}) == len(side) for side in (before, after)
        ):
            return key
    return ""


def _may_be_in_a_list(field: FieldChange) -> bool:
    return (
        isinstance(field.before, list)
        or isinstance(field.after, list)
        or any(isinstance(step, int) for step in field.path)
    )


def _named_items(field: FieldChange, before: Mapping[str, Any], after: Mapping[str, Any]) -> Path | None:
    """Find the outermost list of named items that a field is in.

    A list with secrets in it is left as it is: only the plan knows which of them differ.
    """
    if field.source is FieldSource.DRIFT:
        return None
    for length in range(1, len(field.path) + 1):
        path = field.path[:length]
        old, new = _at(before, path), _at(after, path)
        if isinstance(old, list) and isinstance(new, list) and isinstance(path[-1], str) and key_of(old, new):
            secret = any(is_secret(leaf) for side in (old, new) for _, leaf in iter_leaves(side))
            return None if secret else path
    return None


def _at(tree: Any, path: Path) -> Any:
    for step in path:
        try:
            tree = tree[step]
        except (KeyError, IndexError, TypeError):
            return ABSENT
    return tree


class _Place(Immutable, frozen=True):
    """Where a field is: the path that is shown, and the one in the config; None where it is not there any more."""

    shown: Path
    written: Path | None

    def step(self, step: str | int) -> _Place:
        """Go into a mapping or list."""
        return _Place((*self.shown, step), None if self.written is None else (*self.written, step))

    def item(self, key: str, name: object, index: int | None) -> _Place:
        """Go to a named item; ``index`` is its place in the config."""
        shown = (*self.shown[:-1], f"{self.shown[-1]}[{key}={name}]")
        return _Place(shown, None if self.written is None or index is None else (*self.written, index))


def _told(
    place: _Place, old: Any, new: Any, fields: list[FieldChange], change: Change
) -> Iterator[FieldChange]:
    assert change.tool is not None
    for where, was, will_be in _differing(place, old, new):
        yield FieldChange(
            where.shown,
            was,
            will_be,
            origin=None if where.written is None else change.tool.origins.at(where.written),
            immutable=any(field.immutable for field in fields),
            may_change=any(field.may_change for field in fields),
        )


def _differing(place: _Place, old: Any, new: Any) -> Iterator[tuple[_Place, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in {**old, **new}:
            yield from _differing(place.step(name), old.get(name, ABSENT), new.get(name, ABSENT))
    elif isinstance(old, list) and isinstance(new, list) and (key := key_of(old, new)):
        yield from _items(place, key, old, new)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from _differing(place.step(index), one, other)
    elif not same(old, new):
        yield place, old, new


def _items(place: _Place, key: str, old: list[Any], new: list[Any]) -> Iterator[tuple[_Place, Any, Any]]:
    before, after = ({item[key]: item for item in items} for items in (old, new))
    index = {item[key]: number for number, item in enumerate(new)}
    for name in {**before, **after}:
        item = place.item(key, name, index.get(name))
        yield from _differing(item, before.get(name, ABSENT), after.get(name, ABSENT))
    stay_before, stay_after = (
        [name for name in one if name in other] for one, other in ((before, after), (after, before))
    )
    if stay_before != stay_after:
        ordered = _Place((*place.shown[:-1], f"{place.shown[-1]} in order"), place.written)
        yield ordered, ", ".join(map(str, stay_before)), ", ".join(map(str, stay_after))
