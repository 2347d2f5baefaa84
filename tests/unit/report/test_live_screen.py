"""The live view as a person sees it: drawn into a terminal of a given size that breaks long lines, and is resized."""

from __future__ import annotations

import io
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from devstream.errors import Diagnostic
from devstream.model import events
from devstream.model.plan import Action, Outcome, Result
from devstream.model.redact import Redactor
from devstream.report.live import Board, Live
from devstream.report.picture import Picture
from devstream.report.streams import Output
from devstream.report.terminal import Look, display_width

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = "noop.a-very-long-address-for-a-tool-that-somebody-named-with-care-in-europe-west-1"
WIDE = "拒绝 🚫 the registry said no"
FAILURE = Diagnostic(WIDE, "operation-failed")


class Screen(io.StringIO):
    """A terminal: it breaks lines at its width, breaks them anew when resized, and scrolls."""

    def __init__(self, columns: int, height: int) -> None:
        super().__init__()
        self.columns, self.height = columns, height
        self.written = [""]
        self.row = self.top = 0

    def isatty(self) -> bool:
        return True

    def write(self, text: str, /) -> int:
        for token in re.findall(r"\x1b\[\d*[A-Z]|\r|\n|[^\x1b\r\n]+", text):
            self._take(token)
            self.top = max(self.top, len(self.rows()) - self.height)
        return len(text)

    def resize(self, columns: int, height: int) -> None:
        self.columns, self.height = columns, height
        self.top = max(len(self.rows()) - height, 0)

    def _take(self, token: str) -> None:
        last = len(self.rows()) - 1
        if token == "\n":
            self.written.append("")
        elif token == "\r":
            self.row = last
        elif token.endswith("A"):
            self.row = max(self.row - int(token[2:-1]), self.top)
        elif token == "\x1b[J":
            self.written = [*self.rows()[: self.row], ""]
        else:
            assert not token.startswith("\x1b"), token
            self.written[-1] += token

    def rows(self) -> list[str]:
        """Every row there ever was, as wide as the terminal is now."""
        return [row for line in self.written for row in self._broken(line)]

    def _broken(self, line: str) -> list[str]:
        rows = [""]
        for char in line:
            if display_width(rows[-1] + char) > self.columns:
                rows.append("")
            rows[-1] += char
        return rows

    def visible(self) -> list[str]:
        return self.rows()[self.top : self.top + self.height]


class Window(Output):
    """An output whose terminal can be resized."""

    def __init__(self, screen: Screen, redactor: Redactor | None = None) -> None:
        super().__init__(screen, redactor or Redactor(), Look(width=screen.columns, height=screen.height))
        self._screen = screen

    @property
    def size(self) -> tuple[int, int]:
        return self._screen.columns, self._screen.height


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ended(make: Any, name: str, outcome: Outcome) -> events.OperationEnded:
    error = FAILURE if outcome is Outcome.FAILED else None
    cause = make.address("noop.t7") if outcome is Outcome.SKIPPED else None
    return events.OperationEnded(
        Result(make.address(name), Action.CREATE, outcome, error, seconds=1.0, cause=cause)
    )


def name_of(number: int) -> str:
    return LONG if number == 4 else f"noop.t{number}"


@pytest.fixture
def live_on() -> Iterator[Callable[..., tuple[Live, Clock]]]:
    """Makes live views that draw only when they are told to."""
    with ExitStack() as stack:

        def made(screen: Screen, redactor: Redactor | None = None) -> tuple[Live, Clock]:
            clock = Clock()
            live = Live(Window(screen, redactor), clock=clock, refresh=3600.0)
            stack.callback(live.close)
            return live, clock

        yield made


def watched(make: Any, live_on: Any, screen: Screen, tools: int) -> tuple[Live, Clock]:
    """A run under way: some succeeded, one failed, one was skipped, one has been hanging from the start."""
    live: Live
    clock: Clock
    live, clock = live_on(screen)
    live(events.RunStarted("run", tools))
    live(events.OperationStarted(make.address("noop.hangs"), Action.CREATE))
    clock.now += 61
    for number in range(tools - 1):
        if number < tools // 2:
            outcome = {0: Outcome.FAILED, 1: Outcome.SKIPPED}.get(number, Outcome.SUCCEEDED)
            live(ended(make, name_of(number), outcome))
        elif number < tools // 2 + 9:
            live(events.OperationStarted(make.address(name_of(number)), Action.CREATE))
    clock.now += 4
    live._draw()
    return live, clock


@pytest.mark.parametrize("tools", [3, 30, 300])
@pytest.mark.parametrize(("columns", "height"), [(40, 10), (80, 24), (200, 50)])
def test_the_view_fits_any_terminal(make: Any, live_on: Any, tools: int, columns: int, height: int) -> None:
    screen = Screen(columns, height)
    live, clock = watched(make, live_on, screen, tools)
    for _ in range(5):
        clock.now += 1
        live._draw()
    rows = screen.visible()
    assert rows[-1].split()[0] == f"{tools // 2}/{tools}"
    assert "1 failed" in rows[-1]
    assert rows[-1].endswith("1m10s") or columns == 40
    assert sum("noop.hangs: creating 1m10s" in row for row in screen.rows()) == 1, "drawn in one place"
    assert any(row.startswith("! noop.t0: 拒绝 🚫") for row in rows), "a failure stays in sight"
    live.close()
    assert not any("creating" in row and "failed" not in row for row in screen.rows())


def test_what_ends_goes_above_the_view_and_the_view_stays(make: Any, live_on: Any) -> None:
    screen = Screen(80, 24)
    live, _ = watched(make, live_on, screen, 30)
    live(ended(make, "noop.t15", Outcome.SUCCEEDED))
    rows = screen.visible()
    assert rows.index("ok noop.t15: created in 1.0s") < rows.index("  noop.hangs: creating 1m05s")
    assert rows[-1].startswith("  16/30")


@pytest.mark.parametrize(("columns", "height"), [(40, 12), (50, 15), (120, 40)])
def test_a_resized_terminal_shows_one_view(make: Any, live_on: Any, columns: int, height: int) -> None:
    screen = Screen(80, 24)
    live, clock = watched(make, live_on, screen, 30)
    live(events.OperationStarted(make.address(LONG), Action.CREATE))
    live(events.OperationLog(make.address(LONG), "info", WIDE * 3))
    live._draw()
    screen.resize(columns, height)
    clock.now += 1
    live._draw()
    rows = screen.visible()  # what a smaller terminal has pushed out of sight stays there
    assert sum("noop.hangs: creating" in row for row in rows) == 1
    assert sum(row.startswith("! noop.t0: ") for row in rows) == 1
    assert sum(row.startswith("  15/30") for row in rows) == 1
    assert all(display_width(row) < columns for row in screen.visible()[-8:])


def test_a_long_address_gives_way_to_what_is_done_and_for_how_long(make: Any) -> None:
    clock = Clock()
    board = Board(clock)
    board.start(make.address(LONG), "creating")
    clock.now += 5
    row, _ = board.lines(60, 10)
    assert row.startswith("  noop.a-very-long-ad")
    assert row.endswith("-west-1: creating 5.0s")
    assert display_width(row) <= 60


def test_a_secret_is_masked_before_its_line_is_cut(make: Any, live_on: Any) -> None:
    redactor, screen = Redactor(), Screen(40, 10)
    redactor.add("hunter2hunter2hunter2")
    live, clock = live_on(screen, redactor)
    live(events.OperationStarted(make.address("noop.a"), Action.CREATE))
    live(events.OperationLog(make.address("noop.a"), "info", "with hunter2hunter2hunter2"))
    clock.now += 1
    live._draw()
    assert "hunter" not in "".join(screen.rows())


def test_a_picture_is_taken_away_whole_and_once() -> None:
    screen = Screen(20, 10)
    out = Window(screen)
    out.lines(["before"])
    picture = Picture(out)
    picture.show(["one", "two"])
    picture.show(["three"], above=["stays"])
    assert screen.rows() == ["before", "stays", "three"]
    picture.erase()
    picture.erase()
    assert screen.rows() == ["before", "stays", ""]
    assert not picture.is_shown
