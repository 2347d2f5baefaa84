"""Tables: the summary of a run, the state, its outputs, the plugins. The only door to tabulate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from devstream.model.plan import Action, Outcome
from devstream.model.recorded import comparable
from devstream.report.terminal import clean, display_width, duration, fit, one_line
from devstream.report.values import flat, is_secret, scalar, shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from devstream.model.address import Address
    from devstream.model.plan import Result, RunReport
    from devstream.model.state import State, ToolState
    from devstream.report.terminal import Look

__all__ = [
    "condition",
    "local_time",
    "notes_of",
    "output_lines",
    "run_count_line",
    "run_lines",
    "state_lines",
    "table",
]

NOTE = "worth knowing"
NOTES = 3
"""At most so many things worth knowing are shown beside a tool."""

_VERDICTS = ("result", "status", "conclusion", "verdict", "health")
_HASH = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_URLS = ("url", "uri", "link", "endpoint", "path")
_STYLES = {
    Outcome.SUCCEEDED: "green",
    Outcome.FAILED: "red bold",
    Outcome.SKIPPED: "yellow",
    Outcome.CANCELLED: "yellow",
    Outcome.UNKNOWN: "red bold",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]], look: Look) -> list[str]:
    """Set rows out in columns; the last column is cut where the line would be too long for the stream.

    On a stream too narrow for columns each row becomes a small block of its own.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    room = _room(head, cells, look)
    if room < min(12, max((display_width(row[-1]) for row in cells), default=0)):
        return [line for row in cells for line in _block(head, row, look)]
    return _columns(head, [[*row[:-1], fit(row[-1], room, look.ellipsis)] for row in cells], look)


def _room(head: Sequence[str], cells: Sequence[Sequence[str]], look: Look) -> int:
    """Give the columns of the stream that are left for the last column of a table."""
    # tabulate leaves two columns beside a heading, also where the cells below it are narrower
    sizes = [[size + 2 for size in map(len, head)], *([display_width(cell) for cell in row] for row in cells)]
    fixed = [max(row[column] for row in sizes) for column in range(len(head) - 1)]
    return look.width - sum(fixed) - 2 * len(fixed)


def _columns(head: Sequence[str], cells: Sequence[Sequence[str]], look: Look) -> list[str]:
    from tabulate import tabulate

    text = tabulate(cells, headers=list(head), tablefmt="plain", disable_numparse=True)
    lines: list[str] = [line.rstrip() for line in str(text).splitlines()]
    return [look.paint("bold", lines[0]), *lines[1:]]


def _block(head: Sequence[str], row: Sequence[str], look: Look) -> list[str]:
    first = fit(row[0], look.width, look.ellipsis)
    rest = [f"  {name.lower()}: {cell}" for name, cell in zip(head[1:], row[1:], strict=True) if cell]
    return [look.paint("bold", first), *(fit(line, look.width, look.ellipsis) for line in rest)]


def run_lines(report: RunReport, outputs: Mapping[Address, Mapping[str, Any]], look: Look) -> list[str]:
    """Give the summary of a run: a row for each change, with what is worth knowing of it."""
    results = [result for result in report.results if result.action is not Action.NOOP]
    if not results:
        return [run_count_line(report)]
    lines = _results(results, outputs, look)
    by_address = {str(result.address): result for result in results}
    painted = [_coloured(line, by_address, look) for line in lines] if look.colour else lines
    return [*painted, "", run_count_line(report)]


def _results(
    results: Sequence[Result], outputs: Mapping[Address, Mapping[str, Any]], look: Look
) -> list[str]:
    """Set out results and their notes: beside each other where that fits, else each note on a line below.

    Notes are never cut: they hold what people copy.
    """
    notes = [[clean(note) for note in _notes(result, outputs.get(result.address, {}))] for result in results]
    rows = [_result_cells(result) for result in results]
    head = ("tool", "action", "outcome", "time")
    widest = max((display_width(note) for of_one in notes for note in of_one), default=0)
    if widest <= _room((*head, NOTE), [[*row, ""] for row in rows], look):
        beside = zip(rows, notes, strict=True)
        return _columns((*head, NOTE), [cells for row, own in beside for cells in _beside(row, own)], look)
    first, *lines = table(head, rows, look)
    if len(lines) != len(rows):
        blocks = ((*_block(head, row, look), *_indented(own)) for row, own in zip(rows, notes, strict=True))
        return [line for block in blocks for line in block]
    return [first, *(line for row, own in zip(lines, notes, strict=True) for line in (row, *_indented(own)))]


def _result_cells(result: Result) -> list[str]:
    seconds = duration(result.seconds) if result.seconds else ""
    return [str(result.address), result.action.value, result.outcome.value, seconds]


def _beside(row: list[str], notes: Sequence[str]) -> list[list[str]]:
    first, *more = notes or [""]
    return [[*row, first], *([*([""] * len(row)), note] for note in more)]


def _indented(notes: Sequence[str]) -> list[str]:
    return [f"    {note}" for note in notes]


def _coloured(line: str, results: Mapping[str, Result], look: Look) -> str:
    """Colour the word for the outcome in a row."""
    result = results.get(line.partition(" ")[0])
    if result is None:
        return line
    word = look.paint(_STYLES[result.outcome], result.outcome.value)
    return line.replace(f" {result.outcome.value}", f" {word}", 1)


def run_count_line(report: RunReport) -> str:
    """Give the one line that says what came of a run."""
    counts = dict.fromkeys(Outcome, 0)
    for result in report.results:
        if result.action is not Action.NOOP:
            counts[result.outcome] += 1
    words = {Outcome.UNKNOWN: "with an unknown outcome"}
    parts = [f"{count} {words.get(outcome, outcome.value)}" for outcome, count in counts.items() if count]
    if report.protected:
        parts.append(f"{len(report.protected)} protected and left in place")
    stopped = "Stopped" if report.signal else "Done"
    return (
        f"{stopped} in {duration(report.seconds)}: {', '.join(parts) or 'the state was brought up to date'}."
    )


def _notes(result: Result, outputs: Mapping[str, Any]) -> list[str]:
    """Say what is worth knowing: the error, the cause, or what the plugin reports and where the thing is."""
    if result.error is not None:
        return [one_line(result.error.summary)]
    if result.cause is not None:
        return [f"because of {result.cause}"]
    return notes_of(result.info, outputs)


def notes_of(info: Mapping[str, Any], outputs: Mapping[str, Any]) -> list[str]:
    """Say the few things that are most worth knowing: verdicts, then places, then the rest."""
    info = {name: value for name, value in flat(info).items() if _is_note(value)}
    places = {name: value for name, value in flat(outputs).items() if _is_place(name, value)}
    notes = sorted({**places, **info}.items(), key=lambda note: _rank(note[0]))
    return [f"{name}: {_bare(value)}" for name, value in notes[:NOTES]]


def _rank(name: str) -> int:
    """Put verdicts before places, and places before everything else."""
    last = name.rpartition(".")[2].lower()
    return 0 if last in _VERDICTS else 1 if last.endswith(_URLS) else 2


def _is_note(value: Any) -> bool:
    return isinstance(value, str | int | float) and not is_secret(value) and 0 < len(str(value)) <= 60


def _is_place(name: str, value: Any) -> bool:
    return isinstance(value, str) and not is_secret(value) and bool(value) and name.lower().endswith(_URLS)


def _bare(value: Any) -> str:
    """Write a note's value; of a commit's hash, as much as people use."""
    if not isinstance(value, str):
        return scalar(value)
    return value[:10] if _HASH.fullmatch(value) else one_line(value)


def state_lines(state: State, look: Look) -> list[str]:
    """Give the recorded tools as a table, unfinished operations marked."""
    rows = []
    for address, tool in state.tools.items():
        rows.append(
            (str(address), condition(state, tool), tool.app or "", local_time(tool.updated), _provider(tool))
        )
    for address, opened in state.open_operations.items():
        if address not in state.tools:
            rows.append((str(address), f"unfinished {opened.begin.action.value}", "", "", ""))
    return (
        table(("tool", "state", "app", "updated", "plugin"), rows, look) if rows else ["Nothing is recorded."]
    )


def condition(state: State, tool: ToolState) -> str:
    """Say in a word or two how it stands with a record."""
    opened = state.open_operations.get(tool.address)
    if opened is not None:
        return f"unfinished {opened.begin.action.value}"
    words = [
        word
        for word, holds in (
            ("tainted", tool.tainted),
            ("not integrated", not tool.integrated),
            ("adopted", tool.adopted),
            ("protected", tool.protect),
        )
        if holds
    ]
    return ", ".join(words) or "ok"


def local_time(utc: str) -> str:
    """Give a recorded time in the local time zone; as it is where it cannot be read."""
    from datetime import datetime

    try:
        return datetime.fromisoformat(utc).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return utc


def _provider(tool: ToolState) -> str:
    return f"{tool.plugin} {tool.plugin_version}".strip()


def output_lines(tools: Mapping[Address, ToolState], look: Look) -> list[str]:
    """Give the recorded outputs as a table, one row each."""
    rows = [
        (str(address), name, value if isinstance(value, str) and not is_secret(value) else shown(value))
        for address, tool in tools.items()
        for name, value in flat(comparable(dict(tool.outputs))).items()
    ]
    return table(("tool", "output", "value"), rows, look) if rows else ["There are no outputs."]
