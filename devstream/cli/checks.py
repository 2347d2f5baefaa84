"""What was checked, one line each: for ``init`` and ``verify``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.report.terminal import clean, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from devstream.model.state import State
    from devstream.model.tool import ToolInstance
    from devstream.report.terminal import Look

__all__ = ["Check", "Verdict", "check_data", "check_lines", "counted", "plugin_names", "state_text"]


class Verdict(StrEnum):
    """What came of a check."""

    OK = "ok"
    CHANGES = "changes"
    FAILED = "failed"
    NOT_CHECKED = "not checked"


_STYLES = {
    Verdict.OK: "green",
    Verdict.CHANGES: "yellow",
    Verdict.FAILED: "red bold",
    Verdict.NOT_CHECKED: "dim",
}


class Check(NamedTuple):
    """One thing that was looked at, and what there is to say of it."""

    name: str
    verdict: Verdict
    text: str = ""


def check_lines(checks: Sequence[Check], look: Look) -> list[str]:
    """Give a line for each check."""
    names = max(len(check.name) for check in checks)
    verdicts = max(len(check.verdict) for check in checks)
    lines = []
    for name, verdict, text in checks:
        start = f"{name:<{names}}  {look.paint(_STYLES[verdict], verdict.value.ljust(verdicts))}"
        room = max(look.width - names - verdicts - 4, 20)
        lines.append(f"{start}  {fit(clean(text), room, look.ellipsis)}".rstrip())
    return lines


def check_data(checks: Sequence[Check], mask: Callable[[str], str]) -> list[dict[str, Any]]:
    """Give the same as data."""
    return [{"name": name, "verdict": verdict.value, "text": mask(text)} for name, verdict, text in checks]


def plugin_names(tools: Sequence[ToolInstance]) -> str:
    """List the tools whose plugins a config needs."""
    return ", ".join(sorted({tool.address.name for tool in tools})) or "none needed"


def state_text(state: State, location: str) -> str:
    """Say where a state is and how much it holds."""
    if not state.lineage:
        return f"not there yet, the first run makes {location}"
    return f"serial {state.serial}, {counted(len(state.tools), 'tool')} recorded in {location}"


def counted(number: int, noun: str) -> str:
    """Write a number of things.

    >>> counted(1, "tool"), counted(2, "tool")
    ('1 tool', '2 tools')
    """
    return f"{number} {noun}{'s' * (number != 1)}"
