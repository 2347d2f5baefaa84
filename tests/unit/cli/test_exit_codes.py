from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest

from devstream.cli.exit_codes import PRECEDENCE, of_plan, of_run, worst
from devstream.errors import ExitCode
from devstream.model.address import Address
from devstream.model.plan import Action, Change, Outcome, Plan, Result, RunReport
from devstream.model.state import PutReason

WHERE = Address("noop", "a")

# highest first, as promised
PROMISED = [(143, 130), 6, 1, 4, 9, 2]


@pytest.mark.parametrize(("first", "second"), list(combinations(PROMISED, 2)))
def test_precedence(first: Any, second: int) -> None:
    for code in first if isinstance(first, tuple) else (first,):
        assert worst([ExitCode(second), ExitCode(code)]) == code


def test_every_code_has_its_place() -> None:
    assert set(PRECEDENCE) == set(ExitCode)
    assert worst([]) == 0


def plan(*actions: Action, **rest: Any) -> Plan:
    return Plan(tuple(Change(WHERE, action, **rest) for action in actions))


PLANS = [
    (plan(), False, 0),
    (plan(), True, 0),
    (plan(Action.CREATE), False, 0),
    (plan(Action.CREATE), True, 2),
    (plan(Action.FORGET), True, 2),
    (plan(Action.NOOP, Action.CONDITIONAL), True, 0),
    (plan(Action.NOOP, put=PutReason.BOOKKEEPING), True, 0),
    (plan(Action.CREATE, Action.ERROR), True, 4),
    (plan(Action.ERROR), False, 4),
    (plan(Action.NOOP, protected=True), True, 9),
    (plan(Action.ERROR, protected=True), False, 4),
]


@pytest.mark.parametrize(("made", "detailed", "code"), PLANS)
def test_plan(made: Plan, detailed: bool, code: int) -> None:
    assert of_plan(made, detailed=detailed) == code


def report(*outcomes: Outcome, **rest: Any) -> RunReport:
    return RunReport("r", tuple(Result(WHERE, Action.CREATE, outcome) for outcome in outcomes), 0.0, **rest)


RUNS = [
    (None, plan(), 0),
    (None, plan(Action.ERROR), 4),
    (report(Outcome.SUCCEEDED), plan(Action.CREATE), 0),
    (report(Outcome.SUCCEEDED, Outcome.FAILED, Outcome.SKIPPED), None, 4),
    (report(Outcome.UNKNOWN), None, 4),
    (report(Outcome.SKIPPED, protected=(WHERE,)), None, 9),
    (report(Outcome.FAILED, protected=(WHERE,)), None, 4),
    (report(Outcome.FAILED, signal=2), None, 130),
    (report(Outcome.CANCELLED, signal=15), None, 143),
    (report(Outcome.SUCCEEDED), plan(Action.CREATE, Action.ERROR), 4),
]


@pytest.mark.parametrize(("ended", "made", "code"), RUNS)
def test_run(ended: RunReport | None, made: Plan | None, code: int) -> None:
    assert of_run(ended, made) == code
