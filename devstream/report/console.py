"""One line per event: progress for logs, pipes and CI, with a sign of life where nothing else happens."""

from __future__ import annotations

from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING

from devstream.model import events
from devstream.model.plan import Action, Outcome
from devstream.report.diagnostics import diagnostic_lines
from devstream.report.reporter import Ticker
from devstream.report.terminal import clean, duration, fit, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.address import Address
    from devstream.model.plan import Result
    from devstream.report.streams import Output
    from devstream.report.terminal import Look

__all__ = ["Console", "ended_line", "log_line", "wants_log", "GERUNDS"]

HEARTBEAT = 30.0
"""Seconds of silence after which CI systems begin to wonder."""

GERUNDS = {
    Action.CREATE: "creating",
    Action.UPDATE: "updating",
    Action.REPLACE: "replacing",
    Action.DELETE: "deleting",
    Action.FORGET: "forgetting",
    Action.INTEGRATE: "integrating",
    Action.CONDITIONAL: "deciding",
    Action.NOOP: "recording",
    Action.ERROR: "planning",
}
_PAST = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
    Action.FORGET: "forgotten, left in place",
    Action.INTEGRATE: "integrated",
    Action.CONDITIONAL: "decided",
    Action.NOOP: "nothing to do",
    Action.ERROR: "planned",
}
_LEVELS = {"debug": 2, "info": 1, "warning": 0}


class Console:
    """Prints a line for each event; a `Reporter`.

    Args:
        out: where to, usually standard error.
        verbosity: 0 prints what begins and ends, 1 also what plugins say, 2 everything.
        heartbeat: seconds of silence after which what is still running is named.
    """

    def __init__(
        self,
        out: Output,
        *,
        verbosity: int = 0,
        heartbeat: float = HEARTBEAT,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._out = out
        self._verbosity = verbosity
        self._clock = clock
        self._lock = RLock()
        self._running: dict[Address, tuple[str, float]] = {}
        self._total = 0
        self._ended = 0
        self._ticker = Ticker(heartbeat, self._beat)

    def __call__(self, event: events.Event) -> None:
        """Print what there is to say about an event."""
        with self._lock:
            lines = self._lines(event)
            if lines:
                self._out.lines(lines)
                self._ticker.heard()

    def pause(self) -> None:
        """Keep still until the next event."""
        self._ticker.heard()

    def close(self) -> None:
        """Stop the heartbeat."""
        self._ticker.stop()

    def _lines(self, event: events.Event) -> list[str]:
        match event:
            case events.ReadStarted(address):
                self._start(address, "reading")
                return [f"  {address}: reading"] if self._verbosity > 1 else []
            case events.ReadEnded(address, error):
                self._running.pop(address, None)
                return [f"! {address}: cannot be read: {one_line(error.summary)}"] if error else []
            case events.RunStarted(_, total):
                self._total = total
                return []
            case events.OperationStarted(address, action, attempt):
                self._start(address, GERUNDS[action])
                again = f", attempt {attempt}" if attempt > 1 else ""
                return [f"  {address}: {GERUNDS[action]}{again}"]
            case events.OperationLog(address, level, message):
                return [log_line(address, level, message)] if wants_log(level, self._verbosity) else []
            case events.OperationEnded(result):
                return self._end(result)
            case events.Notice(diagnostic):
                return diagnostic_lines(diagnostic, self._out.look)
        return []

    def _start(self, address: Address, doing: str) -> None:
        self._running[address] = (doing, self._clock())
        self._ticker.start()

    def _end(self, result: Result) -> list[str]:
        self._running.pop(result.address, None)
        self._ended += 1
        count = f"  [{self._ended}/{self._total}]" if self._total else ""
        return [ended_line(result, self._out.look) + count]

    def _beat(self) -> None:
        """Name what is still running."""
        with self._lock:
            now = self._clock()
            running = [
                f"{where} ({doing}, {duration(now - since)})"
                for where, (doing, since) in self._running.items()
            ]
            if running:
                self._out.lines([fit(f"  still running: {', '.join(running)}", 400, self._out.look.ellipsis)])


def wants_log(level: str, verbosity: int) -> bool:
    """Tell whether a plugin's line of this level is printed."""
    return _LEVELS.get(level, 1) <= verbosity


def log_line(address: Address, level: str, message: str) -> str:
    """Give the line for something a plugin said."""
    word = "warning: " if level == "warning" else ""
    return f"  {address}: {word}{clean(message).strip()}"


def ended_line(result: Result, look: Look) -> str:
    """Give the line for a change that came to its end."""
    address = f"{result.address}:"
    spent = f" after {duration(result.seconds)}"
    match result.outcome:
        case Outcome.SUCCEEDED:
            done = look.paint("green", "ok")
            return f"{done} {address} {_PAST[result.action]} in {duration(result.seconds)}"
        case Outcome.FAILED:
            why = f": {one_line(result.error.summary)}" if result.error else ""
            return f"{look.paint('red bold', '!')}  {address} {GERUNDS[result.action]} failed{spent}{why}"
        case Outcome.SKIPPED:
            cause = f", because {result.cause} did not succeed" if result.cause else ""
            return f"{look.paint('yellow', '-')}  {address} skipped{cause}"
        case Outcome.CANCELLED:
            return f"{look.paint('yellow', '-')}  {address} cancelled"
    return (
        f"{look.paint('red bold', '?')}  {address} {GERUNDS[result.action]}: the outcome is not known{spent}"
    )
