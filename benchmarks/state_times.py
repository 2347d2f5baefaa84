"""How long work on a state takes in each place, and the table that tells it."""

from __future__ import annotations

import gc
import subprocess
import sys
from importlib.metadata import version
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.state_work import changed, filled, one_run, places, writer
from devstream.__main__ import GARBAGE_AFTER
from devstream.state.manager import StateManager

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from benchmarks.state_work import Place

__all__ = ["Row", "SIZES", "measured", "opening_adds", "table"]

SIZES = (10, 1_000, 10_000)
"""How many tools are recorded."""

_CHANGES = 50
_ROUNDS = 9
_OPERATIONS = 1_000
_PARALLELISM = {10: 130, 64: 30}
_FLAT = 1.5
_OPENING = 0.3
_ADDED = 0.015

_OPEN = """
import sys, time
import devstream.cli.plan, devstream.config.load, devstream.engine.session, devstream.planning.planner
start = time.perf_counter()
from devstream.builtin.local import make_local
from devstream.state.manager import StateManager
from pathlib import Path
StateManager(make_local({"stateFile": sys.argv[1]}, Path())).read()
print(time.perf_counter() - start)
"""


class Row(NamedTuple):
    """What was measured in one place.

    Attributes:
        change: milliseconds that one change takes, by how many tools are recorded.
        opening: seconds to open the largest state.
        swaps: of a run of 1,000 operations, by parallelism.
    """

    place: str
    change: dict[int, float]
    opening: float
    swaps: dict[int, int]

    @property
    def spread(self) -> float:
        """How much longer a change takes at one size than at another, at the most."""
        return max(self.change.values()) / min(self.change.values())

    @property
    def is_met(self) -> bool:
        """Tell whether every target is met."""
        few = all(self.swaps[parallelism] <= most for parallelism, most in _PARALLELISM.items())
        return self.spread <= _FLAT and self.opening <= _OPENING and few


def measured(folder: Path) -> Iterator[Row]:
    """Measure place after place; writes to ``folder``, runs servers, and sets the collector as the program does."""
    gc.set_threshold(GARBAGE_AFTER)
    with places(folder) as found:
        for place in found.values():
            yield _row(place)


def _row(place: Place) -> Row:
    for tools in SIZES:
        filled(place.open(f"s{tools}"), tools)
    rounds = [{tools: _a_change(place, tools) for tools in SIZES} for _ in range(_ROUNDS)]
    change = {tools: min(each[tools] for each in rounds) for tools in SIZES}
    opening = min(_seconds(StateManager(place.open(f"s{SIZES[-1]}")).read) for _ in range(_ROUNDS))
    swaps = {each: one_run(place, f"r{each}", _OPERATIONS, each) for each in _PARALLELISM}
    return Row(place.name, change, opening, swaps)


def _a_change(place: Place, tools: int) -> float:
    """Give the milliseconds of one change, each stored before the next is handed in."""
    with writer(place.open(f"s{tools}")) as handle:
        changed(handle, 1, tools)
        return _seconds(lambda: changed(handle, _CHANGES, tools)) / _CHANGES * 1000


def _seconds(work: Callable[[], object]) -> float:
    start = perf_counter()
    work()
    return perf_counter() - start


def opening_adds(folder: Path) -> float:
    """Give the seconds that opening a local state of ten tools takes in a process that has all else of a plan."""
    with places(folder) as found:
        filled(found["local"].open("small"), 10)
    argv = [sys.executable, "-c", _OPEN, str(folder / "small.state")]
    runs = (subprocess.run(argv, check=True, capture_output=True, text=True) for _ in range(2 * _ROUNDS))
    return min(float(done.stdout) for done in runs)


def table(rows: list[Row], added: float) -> str:
    """Give the table as Markdown."""
    sizes = " / ".join(f"{size:,}" for size in SIZES)
    titles = (
        "state kept in",
        f"a change at {sizes} tools, ms",
        f"ratio (<= {_FLAT})",
        f"10,000 tools open in, s (<= {_OPENING})",
        "swaps of 1,000 operations, 10 at once (<= 130)",
        "64 at once (<= 30)",
        "verdict",
    )
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for row in rows:
        change = " / ".join(f"{row.change[size]:.2f}" for size in SIZES)
        verdict = "met" if row.is_met else "**missed**"
        lines.append(
            f"| {row.place} | {change} | {row.spread:.2f} | {row.opening:.3f} | {row.swaps[10]} | {row.swaps[64]} | {verdict} |"
        )
    verdict = "met" if added <= _ADDED else "**missed**"
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("obstore", "lightkube", "cryptography", "moto")
    )
    return "\n".join(
        [
            *lines,
            "",
            f"Opening a local state of 10 tools adds {added * 1000:.1f} ms to a plan (<= {_ADDED * 1000:.0f} ms): {verdict}.",
            f"With {versions}.",
        ]
    )
