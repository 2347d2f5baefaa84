from __future__ import annotations

import errno
import io
import os
import threading
from typing import Any

import pytest

from devstream.errors import Diagnostic, Severity, UsageError
from devstream.model import events
from devstream.model.plan import Action, Outcome, Plan, Result, RunReport
from devstream.model.redact import Redactor
from devstream.report.console import Console
from devstream.report.live import FEW, Board, Live
from devstream.report.reporter import Silent, Ticker
from devstream.report.terminal import Look, display_width


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Heard(io.StringIO):
    """A stream on which others can wait for a text."""

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()

    def write(self, text: str, /) -> int:
        with self._changed:
            count = super().write(text)
            self._changed.notify_all()
        return count

    def wait_for(self, text: str) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: text in self.getvalue(), timeout=10)


class Counted(Heard):
    """Counts the writes."""

    writes = 0

    def write(self, text: str, /) -> int:
        self.writes += 1
        return super().write(text)


FAILURE = Diagnostic("the registry said no", "operation-failed")


def result(make: Any, outcome: Outcome, action: Action = Action.CREATE, **rest: Any) -> events.OperationEnded:
    return events.OperationEnded(Result(make.address("noop.a"), action, outcome, seconds=3.2, **rest))


ENDS = [
    (Outcome.SUCCEEDED, Action.CREATE, {}, "ok noop.a: created in 3.2s"),
    (Outcome.SUCCEEDED, Action.FORGET, {}, "ok noop.a: forgotten, left in place in 3.2s"),
    (
        Outcome.FAILED,
        Action.UPDATE,
        {"error": FAILURE},
        "!  noop.a: updating failed after 3.2s: the registry said no",
    ),
    (
        Outcome.SKIPPED,
        Action.CREATE,
        {"cause": ("noop", "b")},
        "-  noop.a: skipped, because noop.b did not succeed",
    ),
    (Outcome.CANCELLED, Action.CREATE, {}, "-  noop.a: cancelled"),
    (Outcome.UNKNOWN, Action.DELETE, {}, "?  noop.a: deleting: the outcome is not known after 3.2s"),
]


@pytest.mark.parametrize(("outcome", "action", "rest", "line"), ENDS)
def test_console_prints_each_end(
    make: Any, outcome: Outcome, action: Action, rest: dict[str, Any], line: str
) -> None:
    if "cause" in rest:
        rest = {"cause": make.address(".".join(rest["cause"]))}
    stream = io.StringIO()
    console = Console(make.output(stream))
    console(events.RunStarted("r", 7))
    console(result(make, outcome, action, **rest))
    console.close()
    assert stream.getvalue() == f"{line}  [1/7]\n"


@pytest.mark.parametrize("action", list(Action))
def test_every_action_has_words(make: Any, action: Action) -> None:
    stream = io.StringIO()
    console = Console(make.output(stream), verbosity=1)
    console(events.OperationStarted(make.address("noop.a"), action))
    console(result(make, Outcome.SUCCEEDED, action))
    console(result(make, Outcome.FAILED, action))
    console.close()
    assert len(stream.getvalue().splitlines()) == 3


@pytest.mark.parametrize(
    ("verbosity", "expected"),
    [
        (0, ["  noop.a: warning: careful"]),
        (1, ["  noop.a: creating", "  noop.a: working", "  noop.a: warning: careful"]),
        (2, ["  noop.a: creating", "  noop.a: detail", "  noop.a: working", "  noop.a: warning: careful"]),
    ],
)
def test_verbosity(make: Any, verbosity: int, expected: list[str]) -> None:
    stream = io.StringIO()
    console = Console(make.output(stream), verbosity=verbosity)
    where = make.address("noop.a")
    console(events.OperationStarted(where, Action.CREATE))
    for level, message in (("debug", "detail"), ("info", "work\x1b[1ming\n"), ("warning", "careful")):
        console(events.OperationLog(where, level, message))
    console.close()
    assert stream.getvalue().splitlines() == expected


def test_what_takes_long_is_announced_once_and_then_named_again_and_again(make: Any) -> None:
    stream, clock = Heard(), Clock()
    console = Console(make.output(stream), slow=0.01, heartbeat=30.0, clock=clock)
    console(events.OperationStarted(make.address("noop.a"), Action.CREATE))
    console(events.ReadStarted(make.address("noop.b")))
    clock.now += 1
    assert stream.wait_for("noop.a: creating\n")
    assert stream.wait_for("noop.b: reading\n")
    clock.now += 30
    assert stream.wait_for("still running: noop.a (creating 31.0s), noop.b (reading 31.0s)")
    console.close()
    assert stream.getvalue().count("noop.a: creating\n") == 1


def test_lines_that_come_quickly_are_written_together_and_soon(make: Any) -> None:
    stream, clock = Counted(), Clock()
    console = Console(make.output(stream), clock=clock)
    for _ in range(100):
        console(result(make, Outcome.SUCCEEDED))
    assert stream.getvalue().startswith("ok noop.a: created in 3.2s\n"), "the first one at once"
    console.pause()
    assert stream.getvalue().count("\n") == 100, "before anybody else writes"
    assert stream.writes < 10
    clock.now += 1
    console(result(make, Outcome.SUCCEEDED))
    assert stream.getvalue().count("\n") == 101
    console.close()


class Full(Heard):
    """A disk that has no room after the first write."""

    def write(self, text: str, /) -> int:
        if self.getvalue():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


def test_what_cannot_be_written_later_fails_with_the_next_event(make: Any) -> None:
    console = Console(make.output(Full()), clock=Clock())
    console(result(make, Outcome.SUCCEEDED))
    console(result(make, Outcome.SUCCEEDED))
    console._beat()
    with pytest.raises(UsageError, match="No space left"):
        console(result(make, Outcome.SUCCEEDED))
    console.close()


def test_a_second_attempt_is_said_at_once(make: Any) -> None:
    stream = io.StringIO()
    console = Console(make.output(stream))
    console(events.OperationStarted(make.address("noop.a"), Action.CREATE, 2))
    console.close()
    assert stream.getvalue() == "  noop.a: creating, attempt 2\n"


def test_console_shows_reads_that_fail_and_notices(make: Any) -> None:
    stream = io.StringIO()
    console = Console(make.output(stream))
    console(events.ReadEnded(make.address("noop.a"), FAILURE))
    console(events.Notice(Diagnostic("waiting for ann@host", "lease-held", severity=Severity.WARNING)))
    console(events.PlanReady(Plan(())))
    console(events.RunEnded(RunReport("r", (), 0.0)))
    console.close()
    assert (
        stream.getvalue() == "! noop.a: cannot be read: the registry said no\nWarning: waiting for ann@host\n"
    )


def test_ticker_stops() -> None:
    ticked = threading.Event()
    ticker = Ticker(0.001, ticked.set)
    ticker.start()
    assert ticked.wait(10)
    ticker.stop()
    ticked.clear()
    assert not ticked.is_set()
    ticker.start()  # a stopped one does not start again
    assert not [thread for thread in threading.enumerate() if thread.name == "devstream-report"]


def board_of(make: Any, count: int, failing: int = 0) -> tuple[Board, Clock]:
    clock = Clock()
    board = Board(clock)
    board.total = count
    for number in range(count):
        board.start(make.address(f"noop.t{number}"), "creating")
    for number in range(failing):
        board.end(Result(make.address(f"noop.t{number}"), Action.CREATE, Outcome.FAILED, FAILURE))
    return board, clock


@pytest.mark.parametrize("count", [3, 30, 300])
@pytest.mark.parametrize(("width", "height"), [(40, 8), (80, 22), (200, 60)])
@pytest.mark.parametrize("failing", [0, 1, 3])
def test_the_picture_fits_and_keeps_failures_in_sight(
    make: Any, count: int, width: int, height: int, failing: int
) -> None:
    board, clock = board_of(make, count, failing)
    clock.now += 65
    lines = board.lines(width, height)
    assert len(lines) <= height
    assert all(display_width(line) <= width for line in lines)
    assert sum("the registry" in line for line in lines) >= min(failing, 1)
    assert f"{failing}/{count}" in lines[-1]
    assert lines[-1].endswith("1m05s")
    assert any("more running" in line for line in lines) == (count - failing > height - 1 - failing)


def test_many_failures_are_counted(make: Any) -> None:
    board, _ = board_of(make, 300, 100)
    lines = board.lines(80, 24)
    assert lines[7] == "  and 93 more failed"


def test_the_last_words_of_a_plugin_stand_beside_it(make: Any) -> None:
    board, clock = board_of(make, 1)
    clock.now += 2
    board.say(make.address("noop.t0"), "step 1\nof 2")
    board.say(make.address("noop.other"), "not running")
    assert board.lines(80, 24) == ["  noop.t0: creating 2.0s  step 1 of 2", "  0/1  2.0s"]


def test_reads_are_counted_before_a_run(make: Any) -> None:
    board = Board(Clock())
    board.start(make.address("noop.a"), "reading")
    assert board.lines(80, 24)[-1] == "  1 being read  0.0s"


class TerminalHeard(Heard):
    def isatty(self) -> bool:
        return True


def test_live_draws_what_takes_longer_than_a_blink_and_masks_it(make: Any) -> None:
    redactor, stream, clock = Redactor(), TerminalHeard(), Clock()
    redactor.add("hunter2hunter2")
    live = Live(make.output(stream, Look(colour=False), redactor), clock=clock, refresh=0.01)
    where = make.address("noop.a")
    live(events.RunStarted("r", 2))
    live(events.OperationStarted(where, Action.CREATE))
    live(events.OperationLog(where, "info", "token hunter2hunter2"))
    assert stream.getvalue() == ""
    clock.now += 1
    assert stream.wait_for("noop.a: creating 1.0s  token (secret)")
    live(events.OperationEnded(Result(where, Action.CREATE, Outcome.SUCCEEDED, seconds=1.0)))
    live.close()
    assert stream.getvalue().endswith("ok noop.a: created in 1.0s\n")
    assert "hunter2" not in stream.getvalue()


def test_live_needs_no_drawing_for_what_is_over_at_once(make: Any) -> None:
    stream = TerminalHeard()
    live = Live(make.output(stream))
    live(events.OperationStarted(make.address("noop.a"), Action.CREATE))
    live(result(make, Outcome.SUCCEEDED))
    live.pause()
    live.close()
    assert stream.getvalue() == "ok noop.a: created in 3.2s\n"


@pytest.mark.parametrize(("outcome", "printed"), [(Outcome.SUCCEEDED, False), (Outcome.FAILED, True)])
def test_of_many_only_failures_stay(make: Any, outcome: Outcome, printed: bool) -> None:
    stream = TerminalHeard()
    live = Live(make.output(stream))
    live(events.RunStarted("r", FEW + 1))
    live(result(make, outcome))
    live.close()
    assert bool(stream.getvalue()) is printed


@pytest.mark.parametrize("verbosity", [0, 1])
def test_live_prints_logs_and_notices(make: Any, verbosity: int) -> None:
    stream = TerminalHeard()
    live = Live(make.output(stream), verbosity=verbosity)
    live(events.ReadStarted(make.address("noop.a")))
    live(events.ReadEnded(make.address("noop.a")))
    live(events.OperationLog(make.address("noop.a"), "info", "hello"))
    live(events.Notice(FAILURE))
    live.close()
    assert stream.getvalue() == "  noop.a: hello\n" * verbosity + "Error: the registry said no\n"


def test_silence() -> None:
    silent = Silent()
    silent(events.Event())
    silent.pause()
    silent.close()
