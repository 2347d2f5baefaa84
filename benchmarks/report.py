"""The table, as Markdown, and its place in the documents."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import Metric
from benchmarks.rows import IDEAL

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from benchmarks.programs import Program
    from benchmarks.results import Result
    from benchmarks.rows import Row, Target

__all__ = ["PAGE", "Machine", "block", "one_line", "put_into", "title"]

PAGE = Path(__file__).parents[1] / "docs" / "explanation" / "performance.md"
"""The page that holds the table."""

_HEAD = (
    "| what | beside | n | wall, s | ratio (best) | CPU | peak, MiB | target | verdict |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


@dataclass(frozen=True)
class Machine:
    """Where and when it was measured.

    Attributes:
        flush: milliseconds that one flush of an appended line to disk takes, the median.
        load: how many processes wanted a CPU, on average in the minute before, at the start.
    """

    flush: float
    load: float
    at: datetime

    @classmethod
    def look(cls, folder: Path) -> Machine:
        """Look at this machine; writes 50 lines to a file in ``folder``."""
        from statistics import median
        from time import perf_counter

        times = []
        with (folder / "flush").open("ab", buffering=0) as file:
            for _ in range(50):
                file.write(b"a line of a journal, about as long as they are\n")
                start = perf_counter()
                os.fsync(file.fileno())
                times.append(perf_counter() - start)
        return cls(median(times) * 1000, os.getloadavg()[0], datetime.now(UTC))

    def describe(self, programs: Iterable[Program]) -> str:
        """Say when, on what and with which versions it was measured."""
        versions = ", ".join(program.version for program in programs)
        return (
            f"{self.at:%-d %B %Y}; {os.cpu_count()} cores, {_processor()}, {platform.system()}, "
            f"Python {platform.python_version()}; {versions}. "
            f"One flush to disk takes {self.flush:.2f} ms. "
            f"Load of the machine: {self.load:.1f} at the start, {os.getloadavg()[0]:.1f} at the end."
        )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def title(row: Row) -> str:
    """Say what a row measures."""
    return row.case if row.case == "--version" else f"{row.case}, {row.load}"


def _beside(row: Row) -> str:
    if row.peer == "devstream":
        return f"itself, {row.against}"
    return row.peer or "nobody"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _both(result: Result, metric: Metric) -> str:
    theirs = result.theirs(metric)
    ours = _number(result.ours(metric))
    return ours if theirs is None else f"{ours} / {_number(theirs)}"


def _ratio(result: Result, metric: Metric, *, best: bool = False) -> str:
    ratios = result.ratios(metric)
    if not ratios:
        return "-"
    middle = _number(result.ratio(metric))
    return f"{middle} ({_number(min(ratios))})" if best else middle


def _verdict(result: Result, target: Target) -> str:
    if result.meets(target):
        return "met"
    return f"**missed**, {result.ratio(target.metric) / target.limit:.2f} times the limit"


def _target(target: Target) -> str:
    return f"{'memory ' if target.metric is Metric.PEAK else ''}<= {target.limit:g}"


def _line(result: Result) -> str:
    row = result.row
    targets, verdicts = map(_target, row.targets), (_verdict(result, target) for target in row.targets)
    cells = (
        f"{title(row)} `{row.key}`",
        _beside(row),
        str(len(result.pairs)),
        _both(result, Metric.WALL),
        _ratio(result, Metric.WALL, best=True),
        _ratio(result, Metric.CPU),
        _both(result, Metric.PEAK),
        ", ".join(targets),
        ", ".join([*verdicts, *filter(None, [result.note])]),
    )
    return f"| {' | '.join(cells)} |\n"


def one_line(result: Result) -> str:
    """Give a row as one line for a terminal."""
    targets = [f"{_target(target)}: {_verdict(result, target)}" for target in result.row.targets]
    ratio = _ratio(result, Metric.WALL, best=True)
    peer = _beside(result.row) if result.row.peer != IDEAL else "the ideal"
    facts = [f"{ratio} beside {peer}" if ratio != "-" else "", *targets, result.note]
    measured = f"{_both(result, Metric.WALL)} s, {_both(result, Metric.PEAK)} MiB"
    return f"{result.row.key:26} {measured}; " + "; ".join(fact for fact in facts if fact)


def block(
    results: Iterable[Result], programs: Iterable[Program], machine: Machine, skipped: Mapping[str, str]
) -> str:
    """Give the table, with what was not measured, and where the time goes in rows that miss a target."""
    results = list(results)
    text = machine.describe(programs) + "\n\n" + _HEAD + "".join(map(_line, results))
    if skipped:
        text += "\nNot measured:\n\n" + "".join(f"- `{key}`: {why}\n" for key, why in skipped.items())
    where = [f"### `{result.row.key}`\n\n{result.where}" for result in results if result.where]
    return text + (
        "\nWhere the time goes in rows that miss a target:\n\n" + "\n".join(where) if where else ""
    )


def put_into(page: str, name: str, text: str) -> str:
    """Put a text between the two comments that carry a name, and leave the rest of a page as it is.

    Raises:
        ValueError: the page has no such comments.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, opening, rest = page.partition(start)
    _, closing, after = rest.partition(end)
    if not opening or not closing:
        message = f'the page has no place for "{name}"'
        raise ValueError(message)
    return f"{before}{start}\n{text.strip()}\n\n{end}{after}"
