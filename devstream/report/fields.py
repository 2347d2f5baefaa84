"""Fields that differ, as lines: long text as an inline diff, lists item by item, secrets never."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.plan import ABSENT, FieldChange, FieldSource
from devstream.model.values import format_path
from devstream.record import Immutable
from devstream.report.terminal import clean, display_width, fit, one_line
from devstream.report.values import is_secret, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.report.terminal import Look

__all__ = ["FieldView", "field_lines", "split"]

CONTEXT = 2
"""Unchanged lines around each difference of a long text."""


class FieldView(Immutable, frozen=True):
    """How fields are shown.

    Attributes:
        indent: columns in front of each line.
        full: nothing is cut.
        whole: long texts that differ are shown with all the lines that do not.
        replacing: say which fields force the replacement.
    """

    look: Look
    indent: int = 6
    full: bool = False
    whole: bool = False
    replacing: bool = False

    @property
    def room(self) -> int:
        """Columns for a field's text."""
        return max(self.look.width - self.indent, 16)


class _Field(Immutable, frozen=True):
    """One line to be: a path in words, and what it was and will be."""

    path: str
    before: Any
    after: Any
    change: FieldChange

    @property
    def unchanged(self) -> bool:
        """True for a field that is shown only because everything is."""
        return self.before is self.after

    @property
    def symbol(self) -> str:
        if self.unchanged:
            return " "
        if self.before is ABSENT:
            return "+"
        return "-" if self.after is ABSENT else "~"


def field_lines(changes: tuple[FieldChange, ...], view: FieldView) -> list[str]:
    """Give the lines for the fields of one change."""
    fields = [field for change in changes for field in split(change)]
    width = _path_column(fields, view)
    return [line for field in fields for line in _lines(field, view, width)]


def _path_column(fields: list[_Field], view: FieldView) -> int:
    """Align short paths with each other; a long one does not push the rest to the right."""
    limit = view.room // 3
    return max((size for field in fields if (size := display_width(field.path)) <= limit), default=0)


def split(change: FieldChange) -> Iterator[_Field]:
    """Break a change of a whole mapping or list down to what differs in it."""
    yield from _split(format_path(change.path), change.before, change.after, change)


def _split(path: str, before: Any, after: Any, change: FieldChange) -> Iterator[_Field]:
    if isinstance(before, dict) and isinstance(after, dict):
        for key in {**before, **after}:
            name = f"{path}.{key}" if path else str(key)
            yield from _split(name, before.get(key, ABSENT), after.get(key, ABSENT), change)
    elif isinstance(before, list) and isinstance(after, list):
        yield from _split_lists(path, before, after, change)
    elif isinstance(before, bool) != isinstance(after, bool) or before != after or before is change.before:
        yield _Field(one_line(path), before, after, change)


def _split_lists(path: str, before: list[Any], after: list[Any], change: FieldChange) -> Iterator[_Field]:
    from devstream.report.keyed import key_of

    key = key_of(before, after)
    if key:
        yield from _split_by_key(path, key, before, after, change)
        return
    from difflib import SequenceMatcher

    for tag, i1, i2, j1, j2 in SequenceMatcher(
        None, [*map(repr, before)], [*map(repr, after)], autojunk=False
    ).get_opcodes():
        if tag == "equal":
            continue
        paired = min(i2 - i1, j2 - j1)
        for step in range(paired):
            yield from _split(f"{path}[{j1 + step}]", before[i1 + step], after[j1 + step], change)
        for index in range(i1 + paired, i2):
            yield _Field(one_line(f"{path}[{index}]"), before[index], ABSENT, change)
        for index in range(j1 + paired, j2):
            yield _Field(one_line(f"{path}[{index}]"), ABSENT, after[index], change)


def _split_by_key(
    path: str, key: str, before: list[Any], after: list[Any], change: FieldChange
) -> Iterator[_Field]:
    old, new = ({item[key]: item for item in items} for items in (before, after))
    for name in {**old, **new}:
        yield from _split(f"{path}[{key}={name}]", old.get(name, ABSENT), new.get(name, ABSENT), change)
    stay_before, stay_after = [name for name in old if name in new], [name for name in new if name in old]
    if stay_before != stay_after:
        old_order, new_order = (", ".join(map(str, names)) for names in (stay_before, stay_after))
        yield _Field(one_line(f"{path} in order"), old_order, new_order, change)


def _lines(field: _Field, view: FieldView, width: int) -> list[str]:
    """Write one field: on one line where it fits, else before and after below each other."""
    if _is_long_text(field.before) or _is_long_text(field.after):
        return _block(field, view, _text_diff(field, view))
    path = f"{field.path}:{' ' * (width - display_width(field.path))}"
    text = f"{field.symbol} {path} {_values(field, view)}{_notes(field, view)}"
    cause = _cause(field, view)
    pad = " " * view.indent
    if display_width(text) + len(cause) + 2 <= view.room:
        return [pad + _painted(text, field, view) + (_dim(f"  {cause}", view) if cause else "")]
    if display_width(text) <= view.room or field.symbol != "~":
        return _with_cause_below(pad, text, cause, field, view)
    return _block(field, view, _two_lines(field, view))


def _with_cause_below(pad: str, text: str, cause: str, field: _Field, view: FieldView) -> list[str]:
    line = pad + _painted(_cut(text, view.room, view), field, view)
    return [line, _dim(f"{pad}    {cause}", view)] if cause else [line]


def _block(field: _Field, view: FieldView, body: list[str]) -> list[str]:
    """Write a field as a heading with lines below it."""
    pad = " " * view.indent
    heading = f"{field.symbol} {field.path}:{_notes(field, view)}"
    cause = _cause(field, view)
    lines = [pad + _painted(heading, field, view)]
    if cause and display_width(heading) + len(cause) + 2 <= view.room:
        lines[0] += _dim(f"  {cause}", view)
    elif cause:
        lines.append(_dim(f"{pad}    {cause}", view))
    return lines + [f"{pad}    {_painted_diff(line, view)}" for line in body]


def _values(field: _Field, view: FieldView) -> str:
    if field.unchanged:
        return shown(field.after)
    if is_secret(field.before) and is_secret(field.after):
        return "(secret) changed"
    if field.before is ABSENT:
        return shown(field.after)
    if field.after is ABSENT:
        return shown(field.before)
    if field.change.source is FieldSource.DRIFT:
        return f"was {shown(field.before)}, found {shown(field.after)}"
    return f"{shown(field.before)} {view.look.arrow} {shown(field.after)}"


def _two_lines(field: _Field, view: FieldView) -> list[str]:
    """Write a long value before and after; of what both begin with, only the end is shown."""
    before, after = shown(field.before), shown(field.after)
    marks = ("was", "found") if field.change.source is FieldSource.DRIFT else ("-", "+")
    room = view.room - 5 - len(marks[1])
    if not view.full and max(display_width(before), display_width(after)) > room:
        skip = max(_common(before, after) - room // 3, 0)
        before, after = (view.look.ellipsis + text[skip:] if skip else text for text in (before, after))
    return [f"{mark} {_cut(text, room, view)}" for mark, text in zip(marks, (before, after), strict=True)]


def _common(before: str, after: str) -> int:
    """Count the characters both texts begin with."""
    count = 0
    for one, other in zip(before, after, strict=False):
        if one != other:
            break
        count += 1
    return count


def _is_long_text(value: Any) -> bool:
    return isinstance(value, str) and not is_secret(value) and "\n" in value.rstrip("\n")


def _text_diff(field: _Field, view: FieldView) -> list[str]:
    """Write text of several lines as a unified diff, with the numbers of the lines it is about."""
    if not all(isinstance(value, str) or value is ABSENT for value in (field.before, field.after)):
        return _two_lines(field, view)
    before, after = (
        value.splitlines() if isinstance(value, str) else [] for value in (field.before, field.after)
    )
    if field.unchanged:
        lines = [f"  {line}" for line in after]
    else:
        lines = _one_sided(before, after) or _unified(before, after, view)
    room = view.room - 4
    return [_cut(clean(line.replace("\t", "    ")), room, view) for line in _shortened(lines, view)]


def _one_sided(before: list[str], after: list[str]) -> list[str]:
    return [] if before and after else [f"- {line}" for line in before] + [f"+ {line}" for line in after]


def _unified(before: list[str], after: list[str], view: FieldView) -> list[str]:
    from difflib import unified_diff

    context = max(len(before), len(after)) if view.whole else CONTEXT
    lines: list[str] = []
    for line in list(unified_diff(before, after, lineterm="", n=context))[2:]:
        if line.startswith("@@"):
            lines.append(f"@@ line {line.split('+')[1].split(' ')[0].split(',')[0]} @@")
        else:
            lines.append(f"{line[0]} {line[1:]}")
    return lines or ["(only the line ends differ)"]


def _shortened(lines: list[str], view: FieldView, limit: int = 24) -> list[str]:
    if view.full or len(lines) <= limit:
        return lines
    return [*lines[: limit - 2], f"{view.look.ellipsis} {len(lines) - limit + 2} more lines (--diff)"]


def _notes(field: _Field, view: FieldView) -> str:
    notes = []
    if field.change.source is FieldSource.DRIFT:
        notes.append("changed outside")
    if view.replacing and field.change.immutable:
        notes.append("forces replacement")
    if field.change.may_change:
        notes.append("may change")
    return f"  ({', '.join(notes)})" if notes else ""


def _cause(field: _Field, view: FieldView) -> str:
    """Say where the new value was written; with everything asked for, also how it got here."""
    origin = field.change.origin
    if origin is None:
        return ""
    place = [view.look.place(origin.mark)] if origin.mark else []
    steps = [*place, *map(one_line, origin.trail)]
    return "# " + (", ".join(steps) if view.full else steps[0]) if steps else ""


def _cut(text: str, room: int, view: FieldView) -> str:
    return text if view.full else fit(text, room, view.look.ellipsis)


_STYLES = {"+": "green", "-": "red", "~": "yellow", " ": "dim"}


def _painted(text: str, field: _Field, view: FieldView) -> str:
    return view.look.paint(_STYLES[field.symbol], text[:1]) + text[1:]


def _painted_diff(line: str, view: FieldView) -> str:
    return view.look.paint("cyan" if line.startswith("@@") else _STYLES.get(line[:1], "dim"), line)


def _dim(text: str, view: FieldView) -> str:
    return view.look.paint("dim", text)
