"""What came of a row: costs, ratios, and whether each target is met."""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from benchmarks.measure import Metric, alternate
from benchmarks.programs import Case
from benchmarks.rows import IDEAL
from benchmarks.workloads import Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.measure import Command, Cost
    from benchmarks.programs import Program, Workshop
    from benchmarks.rows import Row, Target

__all__ = ["Result", "command_of", "measure_row"]


@dataclass(frozen=True)
class Result:
    """What was measured for a row.

    Attributes:
        pairs: ours beside theirs, in the order they ran.
        note: what else there is to say.
        where: where our time goes; filled in for rows that miss a target.
    """

    row: Row
    pairs: tuple[tuple[Cost, Cost | None], ...]
    note: str = ""
    where: str = ""

    def ours(self, metric: Metric) -> float:
        """Give the median of ours."""
        return median([ours.of(metric) for ours, _ in self.pairs])

    def theirs(self, metric: Metric) -> float | None:
        """Give the median of theirs, None where there is nobody beside us."""
        if self.row.peer == IDEAL:
            return self.row.load.ideal if metric is Metric.WALL else None
        found = [theirs.of(metric) for _, theirs in self.pairs if theirs]
        return median(found) if found else None

    def ratios(self, metric: Metric) -> list[float]:
        """Give ours / theirs of each pair."""
        if self.row.peer == IDEAL:
            ideal = self.row.load.ideal
            return [ours.wall / ideal for ours, _ in self.pairs] if metric is Metric.WALL else []
        return [ours.of(metric) / theirs.of(metric) for ours, theirs in self.pairs if theirs]

    def ratio(self, metric: Metric) -> float:
        """Give the median of the ratios, by which a target is met or not."""
        return median(self.ratios(metric))

    def meets(self, target: Target) -> bool:
        """Tell whether a target is met."""
        return self.ratio(target.metric) <= target.limit

    @property
    def missed(self) -> list[Target]:
        """The targets that are not met."""
        return [target for target in self.row.targets if not self.meets(target)]


def command_of(row: Row, programs: Mapping[str, Program], workshop: Workshop) -> Command:
    """Prepare our side of a row, and give what is to be run."""
    return workshop.command(programs["devstream"], row.case, row.load)


def measure_row(row: Row, programs: Mapping[str, Program], workshop: Workshop, pairs: int) -> Result:
    """Prepare both sides of a row and measure them in turns."""
    ours, theirs = command_of(row, programs, workshop), None
    if row.peer and row.peer != IDEAL:
        theirs = workshop.command(programs[row.peer], row.case, row.against or row.load)
    found = alternate(ours, theirs, pairs=min(pairs, row.most), environ=workshop.environ)
    result = Result(row, tuple(found))
    return Result(row, result.pairs, _per_write(result, ours))


def _per_write(result: Result, ours: Command) -> str:
    """Say what one write of the state costs where each has to wait for the one before: in a chain."""
    if result.row.case is not Case.RUN or result.row.load.shape is not Shape.CHAIN:
        return ""
    writes = json.loads((ours.folder / "devstream.state").read_text(encoding="utf-8"))["serial"]
    return f"{writes:,} writes of the state, {result.ours(Metric.WALL) / writes * 1000:.2f} ms each, all told"
