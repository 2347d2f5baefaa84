"""One line per event: progress for logs, pipes and CI, with a sign of life where nothing else happens."""

from __future__ import annotations

from math import inf
from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING

from devstream.errors import DevstreamError
from devstream.model import events
from devstream.model.plan import Action, Outcome
from devstream.report.reporter import Ticker
from devstream.report.terminal import clean, duration, one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.address import Address
    from devstream.model.plan import Result
    from devstream.report.streams import Output
    from devstream.report.terminal import Look

__all__ = ["Console", "ended_line", "log_line", "wants_log", "GERUNDS"]

HEARTBEAT = 30.0
"""Seconds of silence after which CI systems begin to wonder."""

TOGETHER = 0.05
"""Seconds: lines that come sooner after the last ones than this are written together."""

MANY = 5
"""So many are named in a line."""

SLOW = 2.0
"""Seconds after which the beginning of something is worth a line of its own."""

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
        verbosity: 0 prints what ends or takes long, 1 also what begins and what plugins say, 2 everything.
        heartbeat: seconds of silence after which what is still running is named.
        slow: seconds after which something is said to have begun.
    """

    def __init__(
        self,
        out: Output,
        *,
        verbosity: int = 0,
        heartbeat: float = HEARTBEAT,
        slow: float = SLOW,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._out = out
        self._verbosity = verbosity
        self._clock = clock
        self._lock = RLock()
        self._running: dict[Address, tuple[str, float]] = {}
        self._told: set[Address] = set()
        self._total = 0
        self._ended = 0
        self._heartbeat = heartbeat
        self._slow = slow
        self._spoke = clock()
        self._wrote = -inf
        self._kept: list[str] = []
        self._failure: DevstreamError | None = None
        self._ticker = Ticker(min(slow, TOGETHER), self._beat)

    def __call__(self, event: events.Event) -> None:
        """Print what there is to say about an event."""
        with self._lock:
            if self._failure is not None:
                raise self._failure
            self._say(self._lines(event))

    def pause(self) -> None:
        """Write what was kept back; whole lines leave the terminal to others by themselves."""
        with self._lock:
            self._write()

    def close(self) -> None:
        """Stop the heartbeat, and write what was kept back."""
        self._ticker.stop()
        self.pause()

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
                return self._begin(address, attempt)
            case events.OperationLog(address, level, message):
                return [log_line(address, level, message)] if wants_log(level, self._verbosity) else []
            case events.OperationEnded(result):
                return self._end(result)
            case events.Notice(diagnostic):
                from devstream.report.diagnostics import diagnostic_lines

                return diagnostic_lines(diagnostic, self._out.look)
        return []

    def _start(self, address: Address, doing: str) -> None:
        self._running[address] = (doing, self._clock())
        self._told.discard(address)
        self._ticker.start()

    def _begin(self, address: Address, attempt: int = 1) -> list[str]:
        """Say that something has begun; what is over at once needs only one line, at its end."""
        if attempt == 1 and self._verbosity == 0 and self._clock() - self._running[address][1] < self._slow:
            return []
        self._told.add(address)
        return [f"  {address}: {self._running[address][0]}{f', attempt {attempt}' if attempt > 1 else ''}"]

    def _say(self, lines: list[str]) -> None:
        """Print lines: at once where it was quiet, else with the next ones, and soon."""
        if not lines:
            return
        self._kept += lines
        if self._clock() - self._wrote >= TOGETHER:
            self._write()
        else:
            self._ticker.start()

    def _write(self) -> None:
        if self._kept:
            self._out.lines(self._kept)
            self._kept = []
            self._spoke = self._wrote = self._clock()

    def _end(self, result: Result) -> list[str]:
        self._running.pop(result.address, None)
        self._ended += 1
        count = f"  [{self._ended}/{self._total}]" if self._total else ""
        return [ended_line(result, self._out.look) + count]

    def _beat(self) -> None:
        """Write what was kept back; a failure is for whoever reports the next event, not for the ticker's thread."""
        with self._lock:
            try:
                self._tell_of_time()
            except DevstreamError as error:
                self._failure = error

    def _tell_of_time(self) -> None:
        """Name what has begun to take long, and after a long silence everything that is still running."""
        self._write()
        late = [address for address in self._running if address not in self._told]
        self._say([line for address in late for line in self._begin(address)])
        if self._running and self._clock() - self._spoke >= self._heartbeat:
            self._say([self._still_running()])

    def _still_running(self) -> str:
        now = self._clock()
        running = [
            f"{where} ({doing} {duration(now - since)})" for where, (doing, since) in self._running.items()
        ]
        more = [f"and {len(running) - MANY} more"] if len(running) > MANY else []
        return f"  still running: {', '.join([*running[:MANY], *more])}"


def wants_log(level: str, verbosity: int) -> bool:
    """Tell whether a plugin's line of this level is printed."""
    return _LEVELS.get(level, 1) <= verbosity


def log_line(address: Address, level: str, message: str) -> str:
    """Give the line for something a plugin said."""
    word = "warning: " if level == "warning" else ""
    return f"  {address}: {word}{clean(message).strip()}"


def ended_line(result: Result, look: Look) -> str:
    """Give the line for a change that came to its end."""
    sign, style, text = _ended(result)
    return f"{look.paint(style, f'{sign:<2}')} {result.address}: {text}"


def _ended(result: Result) -> tuple[str, str, str]:
    """Give the sign, its style and the words for an outcome."""
    spent = duration(result.seconds)
    match result.outcome:
        case Outcome.SUCCEEDED:
            return "ok", "green", f"{_PAST[result.action]} in {spent}"
        case Outcome.FAILED:
            why = f": {one_line(result.error.summary)}" if result.error else ""
            return "!", "red bold", f"{GERUNDS[result.action]} failed after {spent}{why}"
        case Outcome.SKIPPED:
            cause = f", because {result.cause} did not succeed" if result.cause else ""
            return "-", "yellow", f"skipped{cause}"
        case Outcome.CANCELLED:
            return "-", "yellow", "cancelled"
    return "?", "red bold", f"{GERUNDS[result.action]}: the outcome is not known after {spent}"
