"""The rows of the table: what is measured, against what, and what was asked for."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.measure import Metric
from benchmarks.programs import Case
from benchmarks.workloads import Load, Shape

__all__ = ["IDEAL", "Row", "Target", "all_rows"]

IDEAL = "ideal"
"""The peer that takes no time but the delays themselves."""


@dataclass(frozen=True)
class Target:
    """The ratio, ours to theirs, that may not be exceeded."""

    limit: float
    metric: Metric = Metric.WALL


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        key: its name on the command line.
        peer: a program's name, `IDEAL`, or "" where we are measured alone.
        against: what the peer does, where that is another graph.
        most: how many pairs at the most; slow rows have few.
        long: whether it is measured only with ``--long``.
    """

    key: str
    case: Case
    load: Load
    peer: str
    targets: tuple[Target, ...] = ()
    against: Load | None = None
    most: int = 1000
    long: bool = False


_INDEPENDENT, _LAYERED, _CHAIN = Shape.INDEPENDENT, Shape.LAYERED, Shape.CHAIN
_HALF_MEMORY = Target(0.5, Metric.PEAK)


def all_rows(extra: tuple[str, ...] = ()) -> list[Row]:
    """Give all rows in the order of the table; ``extra`` names peers that are measured only when asked for."""
    return [*_terraform(), *_doit(), *_alone(), *_growth(), *(row for peer in extra for row in _others(peer))]


def _terraform() -> list[Row]:
    def row(key: str, case: Case, load: Load, *targets: Target, most: int = 1000, long: bool = False) -> Row:
        return Row(f"{key}-terraform", case, load, "terraform", targets, most=most, long=long)

    return [
        row("version", Case.VERSION, Load(_INDEPENDENT, 3), Target(1.5)),
        row("plan-10", Case.NOOP, Load(_INDEPENDENT, 10), Target(2.0)),
        row("plan-100", Case.NOOP, Load(_INDEPENDENT, 100), Target(1.0)),
        row("plan-100-layered", Case.NOOP, Load(_LAYERED, 100), Target(1.0)),
        row("plan-100-chain", Case.NOOP, Load(_CHAIN, 100), Target(1.0)),
        row("plan-1000", Case.NOOP, Load(_INDEPENDENT, 1000), Target(0.3), _HALF_MEMORY),
        row(
            "plan-1000-layered", Case.NOOP, Load(_LAYERED, 1000), Target(0.3), _HALF_MEMORY, most=3, long=True
        ),
        row("plan-1000-chain", Case.NOOP, Load(_CHAIN, 1000), Target(0.3), _HALF_MEMORY, most=3, long=True),
        row("plan-empty-1000", Case.PLAN, Load(_INDEPENDENT, 1000), _HALF_MEMORY),
        row("run-100", Case.RUN, Load(_INDEPENDENT, 100)),
        row("run-1000", Case.RUN, Load(_INDEPENDENT, 1000), Target(0.05), _HALF_MEMORY, most=1, long=True),
    ]


def _doit() -> list[Row]:
    def row(key: str, case: Case, load: Load, *targets: Target, most: int = 1000, long: bool = False) -> Row:
        return Row(f"{key}-doit", case, load, "doit", targets, most=most, long=long)

    limit = Target(3.0)
    return [
        row("plan-1000", Case.NOOP, Load(_INDEPENDENT, 1000)),
        row("plan-10000", Case.NOOP, Load(_INDEPENDENT, 10_000), limit, most=3),
        row("plan-10000-layered", Case.NOOP, Load(_LAYERED, 10_000), limit, most=3),
        row("run-1000", Case.RUN, Load(_INDEPENDENT, 1000), limit),
        row("run-1000-layered", Case.RUN, Load(_LAYERED, 1000), limit),
        row("run-1000-chain", Case.RUN, Load(_CHAIN, 1000)),
        row("run-10000", Case.RUN, Load(_INDEPENDENT, 10_000), most=3, long=True),
        row("run-10000-layered", Case.RUN, Load(_LAYERED, 10_000), most=3, long=True),
    ]


def _alone() -> list[Row]:
    apps = Load(Shape.APPS, 30_000)
    return [
        Row("delay-100", Case.RUN, Load(_INDEPENDENT, 100, 0.1), IDEAL, (Target(1.1),)),
        Row("validate-apps", Case.VALIDATE, apps, "", most=1, long=True),
        Row("plan-apps", Case.PLAN, apps, "", most=1, long=True),
    ]


def _growth() -> list[Row]:
    return [
        Row(
            f"growth-{'plan' if case is Case.NOOP else 'run'}-{shape}",
            case,
            Load(shape, 10_000),
            "devstream",
            (Target(12.0),),
            against=Load(shape, 1000),
            most=3 if case is Case.NOOP else 2,
        )
        for case in (Case.NOOP, Case.RUN)
        for shape in (_INDEPENDENT, _LAYERED, _CHAIN)
    ]


def _others(peer: str) -> list[Row]:
    load = Load(_INDEPENDENT, 100)
    return [
        Row(f"plan-100-{peer}", Case.NOOP, load, peer, most=3),
        Row(f"run-100-{peer}", Case.RUN, load, peer, most=3),
    ]
