"""What is to be recorded, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.model.plan import ABSENT
from devstream.model.recorded import comparable
from devstream.model.state import Begin, Drop, End, Move, Put, PutReason
from devstream.model.values import format_path
from devstream.planning.diff import diff
from devstream.report.terminal import clean, fit
from devstream.report.values import plain, shown
from devstream.state.codec import tool_to_json
from devstream.state.documents import PUSHED
from devstream.state.edits import FORGOTTEN
from devstream.state.history import RESTORED
from devstream.state.salvage import EDITED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from devstream.model.state import ToolState
    from devstream.report.terminal import Look
    from devstream.state.editing import Proposal
    from devstream.state.history import Point

__all__ = ["history_data", "history_lines", "proposal_data", "proposal_lines"]

MOST_FIELDS = 20
"""Of one entry so many fields that differ are shown."""

_STYLES = {"+": "green", "~": "yellow", "-": "red", ">": "cyan", "?": "yellow"}
_DROPPED = {
    FORGOTTEN: "forgotten; the thing itself stays as it is",
    PutReason.SETTLED.value: "is not there: settled",
    EDITED: "was taken out by hand",
    RESTORED: "was not recorded then",
    PUSHED: "is not in the pushed state",
}
_PUT = {
    PutReason.SETTLED: "is there: settled",
    PutReason.IMPORTED: "taken over",
    PutReason.EDITED: "recorded",
}


class _Row(NamedTuple):
    """One thing that is to be recorded.

    Attributes:
        fields: what differs: path, before, after.
    """

    sign: str
    address: str
    change: str
    text: str
    target: str = ""
    fields: tuple[tuple[str, Any, Any], ...] = ()


def _rows(proposal: Proposal) -> Iterator[_Row]:
    before = proposal.loaded.fold.tools if proposal.before is None else proposal.before
    for record in proposal.records:
        match record:
            case Move(source, target):
                yield _Row(">", str(source), "moved", f"becomes {target}", str(target))
            case Drop(address, why):
                yield _Row("-", str(address), "dropped", _DROPPED.get(why, why))
            case Put(address, tool, why):
                yield _put_row(str(address), before.get(address), tool, why)
            case Begin(address=address):
                yield _Row("?", str(address), "opened", "open again: the next run looks")
            case End(op_id=op_id, outcome=outcome):
                begin = proposal.loaded.fold.begin_of(op_id)
                if begin is not None:
                    yield _Row("~", str(begin.address), "ended", f"{begin.action} {outcome}")


def _put_row(address: str, old: ToolState | None, new: ToolState, why: PutReason) -> _Row:
    if old is None:
        return _Row("+", address, "added", _PUT.get(why, why.value))
    fields = tuple(
        (format_path(path), before, after) for path, before, after in diff(_comparable(old), _comparable(new))
    )
    return _Row("~", address, "changed", _PUT.get(why, why.value), fields=fields)


def _comparable(tool: ToolState) -> dict[str, Any]:
    """Give an entry with references and secrets as what they stand for."""
    entry = tool_to_json(tool)
    nested = ("options", "properties", "outputs", "info")
    return {name: comparable(dict(value)) if name in nested else value for name, value in entry.items()}


def proposal_lines(proposal: Proposal, look: Look) -> list[str]:
    """Give a line for each change, the fields that differ below it."""
    lines = []
    for row in _rows(proposal):
        lines.append(f"{look.paint(_STYLES[row.sign], row.sign)} {row.address}  {row.text}")
        lines += [fit(f"    {line}", look.width, look.ellipsis) for line in _field_lines(row)]
    renamed = proposal.facts.get("renamed", {})
    lines += [
        f"{look.paint(_STYLES['-'], '-')} {name}  {'is written anew' if name in renamed else 'is needed by nothing'}"
        for name in proposal.unneeded
    ]
    return [*lines, *(f"Note: {clean(note)}" for note in proposal.notes)]


def _field_lines(row: _Row) -> Iterator[str]:
    for path, before, after in row.fields[:MOST_FIELDS]:
        yield f"{path}: {_value(before)} -> {_value(after)}"
    if len(row.fields) > MOST_FIELDS:
        yield f"and {len(row.fields) - MOST_FIELDS} more fields"


def _value(value: Any) -> str:
    return "(none)" if value is ABSENT else shown(value)


def proposal_data(proposal: Proposal, mask: Callable[[str], str], *, applied: bool) -> dict[str, Any]:
    """Give the same as data."""
    return {
        "changes": [
            {
                "address": row.address,
                "change": row.change,
                "to": row.target or None,
                "fields": [
                    {"path": path, "before": plain(before, mask), "after": plain(after, mask)}
                    for path, before, after in row.fields
                ],
            }
            for row in _rows(proposal)
        ],
        "removed_parts": list(proposal.unneeded),
        "notes": [mask(note) for note in proposal.notes],
        "facts": dict(proposal.facts),
        "applied": applied,
        "serial": proposal.loaded.document.serial + applied,
    }


def history_lines(points: Sequence[Point], look: Look, *, damaged: bool) -> list[str]:
    """Give the points of the history as a table, newest first; of a damaged state none is the present one."""
    from devstream.report.tables import local_time, table

    rows = []
    for number, point in enumerate(points):
        serial = f"{point.serial}{' (now)' if number == 0 and not damaged else ''}"
        count = "" if point.problem else str(len(point.tools))
        rows.append((serial, local_time(point.at), point.run_id, count, _what(point)))
    return table(("serial", "when", "run", "tools", "what"), rows, look)


def _what(point: Point) -> str:
    if point.problem:
        return f"cannot be read: {point.problem}"
    counts = (("+", point.added), ("~", point.changed), ("-", point.removed))
    differs = " ".join(f"{sign}{len(addresses)}" for sign, addresses in counts if addresses)
    return "  ".join(filter(None, (differs, point.run.command if point.run else "")))


def history_data(points: Sequence[Point], mask: Callable[[str], str]) -> list[dict[str, Any]]:
    """Give the points of the history as data, newest first."""
    return [_point_data(point, mask) for point in points]


def _point_data(point: Point, mask: Callable[[str], str]) -> dict[str, Any]:
    changes: Mapping[str, Sequence[Any]] = {
        "added": point.added,
        "changed": point.changed,
        "removed": point.removed,
    }
    return {
        "serial": point.serial,
        "at": point.at,
        "run_id": point.run_id,
        "command": mask(point.run.command) if point.run else None,
        "tools": None if point.problem else len(point.tools),
        **{name: [str(address) for address in addresses] for name, addresses in changes.items()},
        "problem": mask(point.problem) or None,
    }
