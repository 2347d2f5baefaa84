"""The question before a run: ``y`` where things are made, ``yes`` in full where something is destroyed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.errors import DeclinedError
from devstream.model.plan import Action
from devstream.report.plan import delete_lines, is_bookkeeping

if TYPE_CHECKING:
    from typing import TextIO

    from devstream.model.plan import Plan
    from devstream.report.streams import Output

__all__ = ["agree", "confirm", "needs_answer"]

_QUIET = (Action.NOOP, Action.ERROR)


def needs_answer(plan: Plan) -> bool:
    """Tell whether a plan does anything that somebody should have agreed to; bookkeeping is not."""
    return any(
        change.action not in _QUIET or (change.put is not None and not is_bookkeeping(change))
        for change in plan.changes
    )


def confirm(plan: Plan, stdin: TextIO, err: Output, *, no_input: bool = False) -> bool:
    """Ask whether to carry a plan out; what is destroyed is said once more.

    Raises:
        DeclinedError: there is no terminal to ask on.
    """
    _require_terminal(stdin, err, "to the plan", "look at the plan, then add --yes (-y)", no_input=no_input)
    doomed = delete_lines(plan, err.look)
    if doomed:
        err.lines([err.look.paint("bold", "This destroys:"), *doomed])
        return _ask('Go on? Only "yes" in full counts: ', stdin, err) == "yes"
    return _ask("Go on? [y/N] ", stdin, err) in ("y", "yes")


def agree(stdin: TextIO, err: Output, *, no_input: bool = False) -> bool:
    """Ask whether to record something that touches nothing but the state.

    Raises:
        DeclinedError: there is no terminal to ask on.
    """
    hint = "look at it with --dry-run, then add --yes (-y)"
    _require_terminal(stdin, err, "to this", hint, no_input=no_input)
    return _ask("Go on? [y/N] ", stdin, err) in ("y", "yes")


def _require_terminal(stdin: TextIO, err: Output, what: str, suggestion: str, *, no_input: bool) -> None:
    if no_input or not stdin.isatty() or not err.isatty():
        message = f"nobody agreed {what}, and there is no terminal to ask on"
        raise DeclinedError(message, code="no-terminal", suggestion=suggestion)


def _ask(question: str, stdin: TextIO, err: Output) -> str:
    err.text(question)
    line = stdin.readline()
    if not line.endswith("\n"):
        err.text("\n")
    return line.strip().lower()
