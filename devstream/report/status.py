"""What is there now beside what is recorded: as a table, and as data."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from devstream.model.seen import Verdict
from devstream.model.values import format_path
from devstream.report.json import diagnostic_data
from devstream.report.tables import condition, notes_of, table
from devstream.report.terminal import one_line
from devstream.report.values import plain, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from devstream.model.plan import FieldChange
    from devstream.model.seen import Seen
    from devstream.model.state import State
    from devstream.report.terminal import Look

__all__ = ["status_data", "status_lines"]

_NOW = {
    Verdict.GONE: "gone",
    Verdict.FAILED: "could not be read",
    Verdict.NOT_ASKED: "cannot be read",
}


def status_lines(found: Sequence[Seen], state: State, look: Look) -> list[str]:
    """Give a table: tool, what is recorded, what is there now, and what drifted."""
    if not found:
        return ["Nothing is recorded."]
    rows = [row for seen in found for row in _rows(seen, state)]
    return [*table(("tool", "recorded", "now", "drift"), rows, look), "", _count_line(found)]


def _rows(seen: Seen, state: State) -> Iterator[tuple[str, ...]]:
    """Yield a row for a tool, and one for each further field that drifted."""
    drifted = [_field(field) for field in seen.fields] or [one_line(seen.error.summary) if seen.error else ""]
    yield str(seen.address), _recorded(seen, state), _now(seen), drifted[0]
    for text in drifted[1:]:
        yield "", "", "", text


def _recorded(seen: Seen, state: State) -> str:
    if seen.recorded is not None:
        return condition(state, seen.recorded)
    return f"unfinished {state.open_operations[seen.address].begin.action}"


def _now(seen: Seen) -> str:
    if seen.observed is None:
        return _NOW[seen.verdict]
    notes = notes_of(seen.observed.info, {})
    return "there" + (f", {notes[0]}" if notes else "")


def _field(field: FieldChange) -> str:
    return f"{format_path(field.path)}: {shown(field.before)} -> {shown(field.after)}"


def _count_line(found: Sequence[Seen]) -> str:
    counts = Counter(seen.verdict for seen in found)
    return ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict]) + "."


def status_data(found: Sequence[Seen], state: State, mask: Callable[[str], str]) -> dict[str, Any]:
    """Give the same as data, with everything that `read` said."""
    counts = Counter(seen.verdict for seen in found)
    return {
        "tools": {str(seen.address): _tool(seen, state, mask) for seen in found},
        "summary": {verdict.value: counts[verdict] for verdict in Verdict},
    }


def _tool(seen: Seen, state: State, mask: Callable[[str], str]) -> dict[str, Any]:
    now = seen.observed
    return {
        "recorded": _recorded(seen, state),
        "verdict": seen.verdict.value,
        "properties": plain(dict(now.properties), mask) if now else None,
        "outputs": plain(dict(now.outputs), mask) if now and now.outputs is not None else None,
        "info": plain(dict(now.info), mask) if now else None,
        "fields": [
            {
                "path": plain(format_path(field.path), mask),
                "before": plain(field.before, mask, changed=True),
                "after": plain(field.after, mask, changed=True),
            }
            for field in seen.fields
        ],
        "error": diagnostic_data(seen.error, mask) if seen.error else None,
    }
