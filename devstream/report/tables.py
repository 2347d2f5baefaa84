"""Tables: the summary of a run, the state, its outputs, the plugins. The only door to tabulate."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from devstream.model.plan import Action, Outcome
from devstream.model.recorded import comparable
from devstream.report.terminal import clean, display_width, duration, fit, one_line
from devstream.report.values import flat, is_secret, scalar, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

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
MANY = 50
"""Of a run of more changes than this only those that did not succeed get a row."""

NOTES = 3
"""At most so many things worth knowing are shown beside a tool."""

_STAND_INS = range(0x100000, 0x10FFFE)
"""Characters that nobody uses: one for each cell that is put in later."""

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
    cells = [[one_line(cell) for cell in row] for row in rows]
    room = _room(head, cells, look)
    if room < min(12, max((display_width(row[-1]) for row in cells), default=0)):
        return [line for row in cells for line in _block(head, row, look)]
    return _columns(head, [[*row[:-1], fit(row[-1], room, look.ellipsis)] for row in cells], look)


def _room(head: Sequence[str], cells: Sequence[Sequence[str]], look: Look) -> int:
    """Give the columns of the stream that are left for the last column of a table."""
    # tabulate leaves two columns beside a heading, also where the cells below it are narrower
    sizes = [[size + 2 for size in map(len, head)]]
    for row in cells:
        first = 0 if _is_long(row[0], look) else display_width(row[0])
        sizes.append([first, *map(display_width, row[1:])])
    fixed = [max(row[column] for row in sizes) for column in range(len(head) - 1)]
    return look.width - sum(fixed) - 2 * len(fixed)


def _is_long(first: str, look: Look) -> bool:
    """Tell whether a row's first cell gets a line of its own, so as not to push all the others to the right."""
    return display_width(first) > look.width // 2


def _columns(head: Sequence[str], cells: Sequence[Sequence[str]], look: Look) -> list[str]:
    from tabulate import tabulate

    texts: dict[str, str] = {}
    rows = [["" if _is_long(row[0], look) else row[0], *row[1:]] for row in cells]
    rows = [[_as_wide_as(cell, texts) for cell in row] for row in rows]
    text = str(tabulate(rows, headers=list(head), tablefmt="plain", disable_numparse=True))
    for stand_in, cell in texts.items():
        text = text.replace(stand_in, cell)
    first, *lines = [line.rstrip() for line in text.split("\n")]
    found = [look.paint("bold", first)]
    for line, row in zip(lines, cells, strict=True):
        found += [row[0], line] if _is_long(row[0], look) else [line]
    return found


def _as_wide_as(cell: str, texts: dict[str, str]) -> str:
    """Give a stand-in for a cell whose columns tabulate would not count right, and note what it stands for."""
    width = display_width(cell)
    if width == len(cell) or len(texts) == len(_STAND_INS):
        return cell
    stand_in = chr(_STAND_INS[len(texts)]) * max(width, 1)
    texts[stand_in] = cell
    return stand_in


def _block(head: Sequence[str], row: Sequence[str], look: Look) -> list[str]:
    first = fit(row[0], look.width, look.ellipsis)
    rest = [f"  {name.lower()}: {cell}" for name, cell in zip(head[1:], row[1:], strict=True) if cell]
    return [look.paint("bold", first), *(fit(line, look.width, look.ellipsis) for line in rest)]


def run_lines(
    report: RunReport,
    outputs: Callable[[], Mapping[Address, Mapping[str, Any]]],
    look: Look,
    *,
    full: bool = False,
) -> list[str]:
    """Give the summary of a run: a row for each change, with what is worth knowing of it.

    Args:
        outputs: gives what is recorded; asked only where a row shows some of it.
        full: a row for each change, however many there are.
    """
    results = [result for result in report.results if result.action is not Action.NOOP]
    if len(results) > MANY and not full:
        results = [result for result in results if result.outcome is not Outcome.SUCCEEDED]
    if not results:
        return [run_count_line(report)]
    succeeded = any(result.outcome is Outcome.SUCCEEDED for result in results)
    lines = _results(results, outputs() if succeeded else {}, look)
    by_address = {str(result.address): result for result in results}
    painted = _coloured(lines, by_address, look) if look.colour else lines
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
    if _room(head, rows, look) < min(12, max(display_width(row[-1]) for row in rows)):
        blocks = ((*_block(head, row, look), *_indented(own)) for row, own in zip(rows, notes, strict=True))
        return [line for block in blocks for line in block]
    first, *lines = _columns(head, rows, look)
    left = iter(lines)
    found = [first]
    for row, own in zip(rows, notes, strict=True):
        found += [next(left) for _ in range(1 + _is_long(row[0], look))]
        found += _indented(own)
    return found


def _result_cells(result: Result) -> list[str]:
    seconds = duration(result.seconds) if result.seconds else ""
    return [str(result.address), result.action.value, result.outcome.value, seconds]


def _beside(row: list[str], notes: Sequence[str]) -> list[list[str]]:
    first, *more = notes or [""]
    return [[*row, first], *([*([""] * len(row)), note] for note in more)]


def _indented(notes: Sequence[str]) -> list[str]:
    return [f"    {note}" for note in notes]


def _coloured(lines: list[str], results: Mapping[str, Result], look: Look) -> list[str]:
    """Colour the word for the outcome in each row; a long address stands on the line before its row."""
    coloured, long = [], None
    for line in lines:
        result = long or results.get(line.partition(" ")[0])
        long = results.get(line) if long is None else None
        if result is not None and long is None:
            word = look.paint(_STYLES[result.outcome], result.outcome.value)
            coloured.append(line.replace(f" {result.outcome.value}", f" {word}", 1))
        else:
            coloured.append(line)
    return coloured


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
