from __future__ import annotations

import io
from typing import Any

import pytest

from devstream.cli.prompt import confirm, needs_answer
from devstream.errors import DeclinedError
from devstream.model.address import Address
from devstream.model.plan import Action, Change, Plan
from devstream.model.redact import Redactor
from devstream.model.state import PutReason
from devstream.report.streams import Output
from devstream.report.terminal import Look


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def plan(*actions: Action, **rest: Any) -> Plan:
    return Plan(
        tuple(Change(Address("noop", f"t{number}"), action, **rest) for number, action in enumerate(actions))
    )


def ask(
    made: Plan, typed: str, *, tty: bool = True, sees: bool = True, no_input: bool = False
) -> tuple[bool, str]:
    err = Terminal() if sees else io.StringIO()
    stdin = Terminal(typed) if tty else io.StringIO(typed)
    return confirm(made, stdin, Output(err, Redactor(), Look()), no_input=no_input), err.getvalue()


ANSWERS = [
    # actions, typed, agreed
    ((Action.CREATE,), "y\n", True),
    ((Action.CREATE,), " Yes \n", True),
    ((Action.CREATE,), "y", True),
    ((Action.CREATE,), "n\n", False),
    ((Action.CREATE,), "\n", False),
    ((Action.CREATE,), "", False),
    ((Action.UPDATE, Action.FORGET, Action.INTEGRATE), "y\n", True),
    ((Action.CREATE, Action.DELETE), "y\n", False),
    ((Action.CREATE, Action.DELETE), "yes\n", True),
    ((Action.REPLACE,), "y\n", False),
    ((Action.REPLACE,), "yes\n", True),
    ((Action.REPLACE,), "yes please\n", False),
]


@pytest.mark.parametrize(("actions", "typed", "agreed"), ANSWERS)
def test_answers(actions: tuple[Action, ...], typed: str, agreed: bool) -> None:
    assert ask(plan(*actions), typed)[0] is agreed


def test_what_is_destroyed_is_said_again() -> None:
    text = ask(plan(Action.CREATE, Action.DELETE, Action.REPLACE), "no\n")[1]
    assert "- delete noop.t1" in text
    assert "-/+ replace noop.t2" in text
    assert "noop.t0" not in text
    assert "yes" in text


def test_a_protected_delete_is_not_destroyed() -> None:
    assert ask(plan(Action.DELETE, protected=True), "y\n")[0] is True


@pytest.mark.parametrize("how", [{"tty": False}, {"sees": False}, {"no_input": True}])
def test_without_anybody_to_ask_it_fails_at_once(how: dict[str, bool]) -> None:
    with pytest.raises(DeclinedError) as caught:
        ask(plan(Action.CREATE), "y\n", **how)
    assert "--yes" in caught.value.diagnostic.suggestion
    assert caught.value.exit_code == 8


@pytest.mark.parametrize(
    ("made", "needed"),
    [
        (plan(), False),
        (plan(Action.NOOP), False),
        (plan(Action.ERROR), False),
        (plan(Action.NOOP, put=PutReason.BOOKKEEPING), False),
        (plan(Action.NOOP, put=PutReason.REFRESHED), False),
        (plan(Action.NOOP, put=PutReason.ADOPTED), True),
        (plan(Action.CONDITIONAL), True),
        (plan(Action.FORGET), True),
    ],
)
def test_what_needs_an_answer(made: Plan, needed: bool) -> None:
    assert needs_answer(made) is needed
