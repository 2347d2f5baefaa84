"""kill -9 at every point of a run that creates, updates and deletes: the next run finds everything and repeats nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.builtin.local import make_local
from devstream.errors import DevstreamError
from devstream.state.manager import StateManager

if TYPE_CHECKING:
    from collections.abc import Iterator

BEFORE = {"u1": 1, "u2": 1, "d1": 1, "d2": 1}
AFTER = {"u1": 2, "u2": 2, "c1": 2, "c2": 2}
NEVER = 0


class Sweep:
    """Orders the worker about, in one folder a case."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder
        self._cases = count(1)

    def case(self) -> Case:
        folder = self._folder / str(next(self._cases))
        (folder / "world").mkdir(parents=True)
        case = Case(self, folder)
        case.run(BEFORE)
        return case

    def order(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


class Case:
    """One folder with a state and a world."""

    def __init__(self, sweep: Sweep, folder: Path) -> None:
        self._sweep = sweep
        self.folder = folder
        self.kills = 0

    def run(self, wanted: dict[str, int], *, kill_at: int = NEVER, mutant: str = "") -> bool:
        """Run the engine; give whether it was killed."""
        answer = self._sweep.order(folder=str(self.folder), wanted=wanted, kill_at=kill_at, mutant=mutant)
        self.error = answer.get("error", "")
        self.kills += "killed" in answer
        return "killed" in answer

    @property
    def world(self) -> dict[str, tuple[str, int]]:
        things = {}
        for path in (self.folder / "world").iterdir():
            name, ident, generation = path.name.split("--")
            assert name not in things, f"{name} was made twice"
            things[name] = (ident, int(generation))
        return things

    def check_after_kill(self) -> None:
        """The state can be read, and nothing in the world is unknown to it."""
        state = StateManager(make_local({}, self.folder)).read()
        known = {where.instance_id for where in (*state.tools, *state.open_operations)}
        assert set(self.world) <= known

    def check_after_recovery(self) -> None:
        """Everything is as wanted, once, and recorded as it is."""
        assert self.error == ""
        world = self.world
        assert {name: generation for name, (_, generation) in world.items()} == AFTER
        state = StateManager(make_local({}, self.folder)).read()
        recorded = {where.instance_id: tool.properties["id"] for where, tool in state.tools.items()}
        assert recorded == {name: ident for name, (ident, _) in world.items()}
        assert not state.open_operations
        assert not any(tool.tainted for tool in state.tools.values())
        # A run that finds nothing to do writes nothing, so it does not clear up either.
        assert len(list(self.folder.glob("**/*tmp-*"))) <= self.kills


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    worker = Path(__file__).with_name("worker.py")
    argv = [sys.executable, str(worker)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Sweep(process, tmp_path)
        assert process.stdin is not None
        process.stdin.close()


def test_one_crash_at_every_point(sweep: Sweep) -> None:
    for point in count(1):
        case = sweep.case()
        killed = case.run(AFTER, kill_at=point)
        case.check_after_kill()
        case.run(AFTER)
        case.check_after_recovery()
        if not killed:
            break
    print(f"{point - 1} crashes, every one recovered from")
    assert point > 40


def crash_twice(sweep: Sweep, step: int) -> int:
    cases = 0
    for first in count(1, step):
        if not sweep.case().run(AFTER, kill_at=first):
            return cases
        for second in count(1 + first % step, step):
            case = sweep.case()
            case.run(AFTER, kill_at=first)
            killed = case.run(AFTER, kill_at=second)
            case.check_after_kill()
            case.run(AFTER)
            case.check_after_recovery()
            cases += 1
            if not killed:
                break
    raise AssertionError


def test_two_crashes_at_some_points(sweep: Sweep) -> None:
    cases = crash_twice(sweep, 9)
    print(f"{cases} double crashes, every one recovered from")
    assert cases > 20


@pytest.mark.slow
def test_two_crashes_at_every_point(sweep: Sweep) -> None:
    cases = crash_twice(sweep, 1)
    print(f"{cases} double crashes, every one recovered from")
    assert cases > 1000


@pytest.mark.parametrize("mutant", ["does not wait", "does not look", "writes in place"])
def test_the_sweep_notices_a_broken_protocol(sweep: Sweep, mutant: str) -> None:
    for point in count(1):
        case = sweep.case()
        killed = case.run(AFTER, kill_at=point, mutant=mutant)
        try:
            case.check_after_kill()
            case.run(AFTER, mutant=mutant)
            case.check_after_recovery()
        except (AssertionError, DevstreamError):
            return
        assert killed, "the sweep came to its end without noticing"
