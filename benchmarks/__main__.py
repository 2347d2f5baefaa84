"""``python -m benchmarks``: measure all rows, print them, and write the table into the documents."""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.measure import BenchmarkError, Metric
from benchmarks.profiling import profile, summary
from benchmarks.programs import OPTIONAL, Case, Workshop, find_programs
from benchmarks.report import PAGE, Machine, block, one_line, put_into, title
from benchmarks.results import command_of, measure_row
from benchmarks.rows import IDEAL, Row, all_rows
from benchmarks.workloads import Load, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.programs import Program
    from benchmarks.results import Result

__all__ = ["main"]

_WORK = Path(__file__).parents[1] / "build" / "benchmarks"


_WARM_UP = Row("warm-up", Case.NOOP, Load(Shape.INDEPENDENT, 3), "")
"""To prepare this row runs a plan's and a run's code once, which leaves it compiled."""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out the command line and give the exit code; a missed target is no failure."""
    options = _parser().parse_args(argv)
    rows = [row for row in all_rows(tuple(options.peer)) if _wanted(row, options)]
    if options.list or not rows:
        print(
            "\n".join(
                f"{row.key:26} {title(row)}{'  (--long)' if row.long else ''}" for row in all_rows(OPTIONAL)
            )
        )
        return 0 if options.list else 3
    workshop = _workshop(options.work)
    if options.state:
        return _measure_state(workshop)
    wanted = dict.fromkeys(["devstream", *(row.peer for row in rows if row.peer and row.peer != IDEAL)])
    programs, missing = find_programs(workshop.folder, tuple(wanted))
    if options.profile:
        print(summary(profile(command_of(rows[0], programs, workshop), workshop.environ), functions=25))
        return 0
    return _measure(rows, programs, missing, workshop, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("-n", type=int, default=5, help="how many pairs a row [5; slow rows take fewer]")
    parser.add_argument("--long", action="store_true", help="the rows that take minutes, too")
    parser.add_argument(
        "--peer", action="append", default=[], choices=OPTIONAL, help="measure beside this one, too"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="ROW", help="these rows only; the documents stay as they are"
    )
    parser.add_argument(
        "--profile", metavar="ROW", help="say where our time goes in a row, and measure nothing"
    )
    parser.add_argument(
        "--state",
        action="store_true",
        help="measure what keeping the state costs in each place, and nothing else",
    )
    parser.add_argument("--list", action="store_true", help="list the rows")
    parser.add_argument(
        "--work", type=Path, default=_WORK, help="a folder on the disk to measure on; it is emptied"
    )
    return parser


def _wanted(row: Row, options: argparse.Namespace) -> bool:
    if options.profile or options.only:
        return row.key in (options.only or [options.profile])
    return options.long or not row.long


def _workshop(folder: Path) -> Workshop:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return Workshop(folder.resolve())


def _measure(
    rows: Sequence[Row],
    programs: Mapping[str, Program],
    missing: Mapping[str, str],
    workshop: Workshop,
    options: argparse.Namespace,
) -> int:
    machine, results, skipped = Machine.look(workshop.folder), [], {}
    command_of(_WARM_UP, programs, workshop)
    for row in rows:
        if row.peer in missing:
            skipped[row.key] = missing[row.peer]
            continue
        try:
            results.append(_explained(measure_row(row, programs, workshop, options.n), programs, workshop))
        except BenchmarkError as error:
            print(f"{row.key} failed: {error}", file=sys.stderr)
            skipped[row.key] = "failed"
            continue
        print(one_line(results[-1]), flush=True)
    for key, why in skipped.items():
        print(f"{key:26} not measured: {why}")
    if not options.only:
        _publish(results, programs, machine, skipped)
    return 1 if "failed" in skipped.values() else 0


def _measure_state(workshop: Workshop) -> int:
    """Measure the places for a state, and write their table."""
    from benchmarks.state_times import measured, opening_adds, table

    machine, rows = Machine.look(workshop.folder), []
    for row in measured(workshop.folder):
        rows.append(row)
        print(table([row], 0).splitlines()[2], flush=True)
    programs, _ = find_programs(workshop.folder, ("devstream",))
    text = f"{machine.describe(programs.values())}\n\n{table(rows, opening_adds(workshop.folder))}"
    PAGE.write_text(put_into(PAGE.read_text(encoding="utf-8"), "state results", text), encoding="utf-8")
    print(f"written to {PAGE}")
    return 0


def _explained(result: Result, programs: Mapping[str, Program], workshop: Workshop) -> Result:
    """Say where the time goes where a limit on time is missed."""
    if not any(target.metric is Metric.WALL for target in result.missed):
        return result
    found = profile(command_of(result.row, programs, workshop), workshop.environ)
    return replace(result, where=summary(found))


def _publish(
    results: Sequence[Result], programs: Mapping[str, Program], machine: Machine, skipped: Mapping[str, str]
) -> None:
    """Write the tables; a run without the long rows leaves their table as it is."""
    page = PAGE.read_text(encoding="utf-8")
    for name, long in (("results", False), ("long results", True)):
        part = [result for result in results if result.row.long is long]
        if part:
            page = put_into(page, name, block(part, programs.values(), machine, skipped if not long else {}))
    PAGE.write_text(page, encoding="utf-8")
    print(f"written to {PAGE}")


if __name__ == "__main__":
    sys.exit(main())
