"""The live view on a terminal: what runs now and for how long, failures kept in sight, the rest counted."""

from __future__ import annotations

from threading import RLock
from time import monotonic
from typing import TYPE_CHECKING

from devstream.model import events
from devstream.model.plan import Outcome
from devstream.report.console import GERUNDS, ended_line, log_line, wants_log
from devstream.report.diagnostics import diagnostic_lines
from devstream.report.picture import Picture
from devstream.report.reporter import Ticker
from devstream.report.terminal import duration, fit, one_line, shorten

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.address import Address
    from devstream.model.plan import Result
    from devstream.report.streams import Output

__all__ = ["Live", "Board"]

REFRESH = 0.125
"""Seconds between two pictures."""

SOON = 0.3
"""What is over sooner is not worth a moving picture."""

FEW = 30
"""Up to so many changes each one's end is printed; of more only what did not succeed."""


class Board:
    """What the live view shows, as lines: pure, so that it can be tested without a terminal.

    Args:
        mask: applied to every line before it is cut.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, mask: Callable[[str], str] = str) -> None:
        self._clock = clock
        self._mask = mask
        self._began = clock()
        self._running: dict[Address, tuple[str, float, str]] = {}
        self._failed: list[Result] = []
        self._counts = dict.fromkeys(Outcome, 0)
        self.total = 0

    def start(self, address: Address, doing: str) -> None:
        """Show an address as running."""
        self._running[address] = (doing, self._clock(), "")

    def say(self, address: Address, message: str) -> None:
        """Show a message beside an address that is running."""
        if address in self._running:
            doing, since, _ = self._running[address]
            self._running[address] = (doing, since, one_line(message))

    def stop(self, address: Address) -> None:
        """Show an address no longer."""
        self._running.pop(address, None)

    def end(self, result: Result) -> None:
        """Count an end, and keep a failure."""
        self.stop(result.address)
        self._counts[result.outcome] += 1
        if result.outcome in (Outcome.FAILED, Outcome.UNKNOWN):
            self._failed.append(result)

    @property
    def idle(self) -> bool:
        """True while nothing runs."""
        return not self._running

    def lines(self, width: int, height: int, ellipsis: str = "…") -> list[str]:
        """Give the picture: at most ``height`` lines of at most ``width`` columns, failures first."""
        failed = _some(
            [
                f"! {result.address}: {one_line(result.error.summary) if result.error else 'failed'}"
                for result in self._failed
            ],
            max(height // 3, 1),
            "more failed",
        )
        running = _some(
            [self._row(address, width, ellipsis) for address in self._running],
            height - len(failed) - 1,
            "more running",
        )
        lines = (*failed, *running, self._progress())
        return [fit(self._mask(line), width, ellipsis) for line in lines][-height:]

    def _row(self, address: Address, width: int, ellipsis: str) -> str:
        """Say what is done and for how long; a long address gives way to that."""
        doing, since, message = self._running[address]
        state = f"{doing} {duration(self._clock() - since)}"
        name = shorten(str(address), max(width - len(state) - 4, width // 3), ellipsis)
        return f"  {name}: {state}  {message}" if message else f"  {name}: {state}"

    def _progress(self) -> str:
        ended = sum(self._counts.values())
        words = [f"{self._counts[outcome]} {outcome}" for outcome in Outcome if self._counts[outcome]]
        head = f"{ended}/{self.total}" if self.total else f"{len(self._running)} being read"
        return "  ".join([f"  {head}", *words, duration(self._clock() - self._began)])


def _some(lines: list[str], most: int, more: str) -> list[str]:
    most = max(most, 1)
    return lines if len(lines) <= most else [*lines[: most - 1], f"  and {len(lines) - most + 1} {more}"]


class Live:
    """Keeps a picture of the run at the bottom of the terminal; a `Reporter`.

    Nothing is drawn for what takes no longer than a blink.
    """

    def __init__(
        self,
        out: Output,
        *,
        verbosity: int = 0,
        clock: Callable[[], float] = monotonic,
        refresh: float = REFRESH,
    ) -> None:
        self._out = out
        self._verbosity = verbosity
        self._clock = clock
        self._board = Board(clock, out.mask)
        self._lock = RLock()
        self._picture = Picture(out)
        self._busy_since: float | None = None
        self._ticker = Ticker(refresh, self._draw)

    def __call__(self, event: events.Event) -> None:
        """Take an event into the picture; what should stay is printed above it."""
        with self._lock:
            lines = self._take(event)
            if not self._board.idle and self._busy_since is None:
                self._busy_since = self._clock()
                self._ticker.start()
            if lines:
                self._print(lines)

    def pause(self) -> None:
        """Take the picture away."""
        with self._lock:
            self._picture.erase()

    def close(self) -> None:
        """Take the picture away for good."""
        self._ticker.stop()
        self.pause()

    def _take(self, event: events.Event) -> list[str]:
        board, look = self._board, self._out.look
        match event:
            case events.ReadStarted(address):
                board.start(address, "reading")
            case events.ReadEnded(address):
                board.stop(address)
            case events.RunStarted(_, total):
                board.total = total
            case events.OperationStarted(address, action):
                board.start(address, GERUNDS[action])
            case events.OperationLog(address, level, message):
                board.say(address, message)
                return [log_line(address, level, message)] if wants_log(level, self._verbosity) else []
            case events.OperationEnded(result):
                board.end(result)
                stays = board.total <= FEW or result.outcome in (Outcome.FAILED, Outcome.UNKNOWN)
                return [ended_line(result, look)] if stays else []
            case events.Notice(diagnostic):
                return diagnostic_lines(diagnostic, look)
        return []

    def _print(self, lines: list[str]) -> None:
        """Print above the picture."""
        if self._picture.is_shown and not self._board.idle:
            self._picture.show(self._lines(), lines)
        else:
            self._picture.erase()
            self._out.lines(lines)

    def _draw(self) -> None:
        with self._lock:
            if self._board.idle:
                self._busy_since = None
                self._picture.erase()
            elif self._busy_since is not None and self._clock() - self._busy_since >= SOON:
                self._picture.show(self._lines())

    def _lines(self) -> list[str]:
        width, height = self._out.size
        return self._board.lines(max(width - 1, 1), max(height - 2, 1), self._out.look.ellipsis)
