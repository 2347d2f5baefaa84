"""kill -9 at every point of a run: the next run leaves nothing lost, nothing doubled, nothing behind."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.testing.project import Project, block
from devstream.testing.world import Thing, World

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DRIVER = Path(__file__).with_name("driver.py")
SEED = 20240607
BEFORE: list[dict[str, Any]] = [
    *(block(f"thing.u{number}", {"value": "old"}) for number in range(4)),
    block("thing.d0"),
    block("thing.d1", after=["thing.d0"]),
    block("thing.d2", {"value": "${{ thing.d0.outputs.id }}"}),
    block("thing.d3", after=["thing.u0"]),
]
AFTER: list[dict[str, Any]] = [
    *(block(f"thing.u{number}", {"value": "new"}) for number in range(3)),
    block("thing.u3", {"value": "${{ thing.c1.outputs.id }}"}),
    block("thing.c0", {"value": "made"}),
    block("thing.c1", {"value": "${{ thing.c0.outputs.value }}"}),
    block("thing.c2", after=["thing.u1"]),
    block("thing.c3", after=["thing.c2"]),
]
EXPECTED = sorted(f"{tool['name']}.{tool['instanceID']}" for tool in AFTER)


class Sweep:
    """Runs that die, each in a copy of one prepared folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._template = root / "template"
        self._numbers = count()
        project = self._project(self._template, fresh=True)
        project.tools(*BEFORE)
        project.run().assert_success()
        project.tools(*AFTER)

    def _project(self, place: Path, *, fresh: bool = False) -> Project:
        if fresh:
            project = Project.at(place)
        else:
            project = Project(place / "project", {"HOME": str(place / "home"), "PATH": "/usr/bin:/bin"})
        project.use(Thing())
        return project

    def copy(self) -> Path:
        place = self._root / str(next(self._numbers))
        shutil.copytree(self._template, place)
        return place

    def start(self, place: Path, point: int | str, mutant: str = "") -> subprocess.CompletedProcess[str]:
        argv = [
            sys.executable,
            str(DRIVER),
            str(place / "project"),
            str(point),
            *([mutant] if mutant else []),
        ]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done

    def count_points(self) -> int:
        return int(self.start(self.copy(), 0).stdout)

    def crash_at(self, point: int) -> tuple[int, Path, bool]:
        place = self.copy()
        died = self.start(place, point).returncode != 0
        return point, place, died

    def check(self, place: Path) -> None:
        """Run again, and look at the world and the state."""
        project, world = self._project(place), World(place / "project" / "world")
        ran = project.run().assert_success()
        assert world.names() == EXPECTED
        assert sorted(project.recorded()) == EXPECTED
        by_name = {thing["name"]: thing["value"] for thing in world.things().values()}
        assert [by_name[f"thing.u{number}"] for number in range(3)] == ["new"] * 3
        assert by_name["thing.u3"] == world.find("thing.c1")
        assert by_name["thing.c1"] == "made"
        state = project.state()
        assert not state.open_operations
        assert not [str(address) for address, entry in state.tools.items() if entry.tainted]
        project.plan().assert_nothing_to_do()
        left = [path.name for path in (place / "project").iterdir() if ".tmp-" in path.name]
        assert left == [] or ran.report is None, "a run that writes clears away what dead ones left"

    def crash_all(self, points: Iterable[int]) -> Iterator[tuple[int, Path, bool]]:
        with ThreadPoolExecutor(2) as pool:
            yield from pool.map(self.crash_at, points)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    return Sweep(tmp_path_factory.mktemp("sweep"))


def check_points(sweep: Sweep, points: Iterable[int]) -> int:
    crashes = 0
    for point, place, died in sweep.crash_all(points):
        try:
            sweep.check(place)
        except AssertionError as error:
            error.add_note(f"after a crash at point {point}, in {place}")
            raise
        shutil.rmtree(place)
        crashes += died
    return crashes


def test_a_sample_of_all_points(sweep: Sweep) -> None:
    total = sweep.count_points()
    assert total > 150
    step = 6
    points = range(1 + random.Random(SEED).randrange(step), total, step)
    assert check_points(sweep, points) > len(points) // 2, (
        "how many there are varies: swaps take in what has come"
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_point(sweep: Sweep) -> None:
    total = sweep.count_points()
    assert check_points(sweep, range(1, total + 15)) > total // 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_second_crash_while_recovering(sweep: Sweep) -> None:
    total = sweep.count_points()
    pick = random.Random(SEED + 1)
    for _ in range(150):
        first, second = pick.randrange(1, total), pick.randrange(1, total // 2)
        _, place, _ = sweep.crash_at(first)
        sweep.start(place, second)
        try:
            sweep.check(place)
        except AssertionError as error:
            error.add_note(f"after crashes at points {first} and {second}, in {place}")
            raise
        shutil.rmtree(place)


@pytest.mark.parametrize(
    ("mutant", "points"),
    [
        ("no-wait", ["create thing.c0 ended", "create thing.c2 ended"]),
        ("no-begin", ["create thing.c0 ended"]),
        ("in-place", ["half written"]),
    ],
)
def test_the_sweep_notices_a_broken_protocol(sweep: Sweep, mutant: str, points: list[str]) -> None:
    noticed = []
    for point in points:
        place = sweep.copy()
        assert sweep.start(place, point, mutant).returncode == -signal.SIGKILL
        try:
            sweep.check(place)
        except Exception as error:  # noqa: BLE001 - whatever it is that does not go well
            noticed.append(error)
    assert noticed


def test_the_sweep_notices_that_nothing_is_settled(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that takes every interrupted operation for one that never happened."""
    from devstream.engine.settle import Settler

    place = sweep.copy()
    sweep.start(place, "create thing.c0 ended")
    monkeypatch.setattr(Settler, "_look", lambda self, operation, _: self._absent(operation))
    with pytest.raises(AssertionError):
        sweep.check(place)


@pytest.mark.parametrize("point", ["create thing.c0 ended", "update thing.u0 ended", "delete thing.d3 ended"])
def test_the_protocol_as_it_is_passes_where_mutants_fail(sweep: Sweep, point: str) -> None:
    place = sweep.copy()
    assert sweep.start(place, point).returncode == -signal.SIGKILL
    sweep.check(place)
