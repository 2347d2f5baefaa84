"""Which exit code a command ends with, where several would fit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.errors import ExitCode
from devstream.model.plan import Action, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devstream.model.plan import Plan, RunReport

__all__ = ["PRECEDENCE", "worst", "of_plan", "of_run"]

PRECEDENCE = (
    ExitCode.TERMINATED,
    ExitCode.INTERRUPTED,
    ExitCode.STATE,
    ExitCode.BUG,
    ExitCode.CREDENTIALS,
    ExitCode.LEASE,
    ExitCode.DECLINED,
    ExitCode.CONFIG,
    ExitCode.FAILED,
    ExitCode.PROTECTED,
    ExitCode.CHANGES,
    ExitCode.OK,
)
"""The most important first."""

_SIGTERM = 15


def worst(codes: Iterable[ExitCode]) -> ExitCode:
    """Choose the exit code of a command to which several apply; none is OK.

    >>> worst([ExitCode.CHANGES, ExitCode.FAILED])
    <ExitCode.FAILED: 4>
    """
    return min(codes, key=PRECEDENCE.index, default=ExitCode.OK)


def of_plan(plan: Plan, *, detailed: bool = False) -> ExitCode:
    """Give the exit code of a plan; ``detailed`` tells "there are changes" apart from "nothing to do"."""
    codes = [ExitCode.CHANGES] if detailed and plan.has_changes else []
    if any(change.action is Action.ERROR for change in plan.changes):
        codes.append(ExitCode.FAILED)
    if any(change.protected for change in plan.changes):
        codes.append(ExitCode.PROTECTED)
    return worst(codes)


def of_run(report: RunReport | None, plan: Plan | None) -> ExitCode:
    """Give the exit code of a run; ``report`` is None where there was nothing to do."""
    codes = [of_plan(plan)] if plan is not None else []
    if report is not None:
        if any(result.outcome in (Outcome.FAILED, Outcome.UNKNOWN) for result in report.results):
            codes.append(ExitCode.FAILED)
        if report.protected:
            codes.append(ExitCode.PROTECTED)
        if report.signal:
            codes.append(ExitCode.TERMINATED if report.signal == _SIGTERM else ExitCode.INTERRUPTED)
    return worst(codes)
