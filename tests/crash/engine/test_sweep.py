"""kill -9 at every point of a run: the next run leaves nothing lost, nothing doubled, nothing behind."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.testing.project import Project, block
from devstream.testing.world import Thing, World
from devstream.testing.world_server import RemoteThing, WorldServer
from tests.crash.conftest import ALL_PLACES, PLACES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from devstream.state.backend import StateBackend
    from tests.crash.conftest import Place

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
LEAST_POINTS = 50
SAMPLE = 20
SMALL_SAMPLE = 4
EXPECTED = sorted(f"{tool['name']}.{tool['instanceID']}" for tool in AFTER)


class Sweep:
    """Runs that die, each in a copy of one prepared folder."""

    def __init__(self, root: Path, place: Place, server: WorldServer | None) -> None:
        self._root = root
        self._place = place
        self._server = server
        self._template = root / "template"
        self._numbers = count()
        project = self._project(self._template, fresh=True)
        place.prepare(project.folder, "template", tools=BEFORE)
        if server:
            server.connect(project.folder)
        project.run().assert_success()
        self._prepared = project.session().backend
        place.prepare(project.folder, "template", tools=AFTER)

    def _project(self, place: Path, *, fresh: bool = False) -> Project:
        if fresh:
            project = Project.at(place)
        else:
            project = Project(place / "project", {"HOME": str(place / "home"), "PATH": "/usr/bin:/bin"})
        project.environ.update(self._place.environ)
        project.use(RemoteThing() if self._server else Thing())
        return project

    def copy(self) -> Path:
        name = str(next(self._numbers))
        place = self._root / name
        shutil.copytree(self._template, place)
        if self._server:
            self._server.connect(place / "project")
        if not self._place.is_in_folder:
            self._place.prepare(place / "project", name, tools=AFTER)
            copy_state(self._prepared, self._project(place).session().backend)
        return place

    def start(self, place: Path, point: int | str, mutant: str = "") -> subprocess.CompletedProcess[str]:
        argv = [
            sys.executable,
            str(DRIVER),
            str(place / "project"),
            str(point),
            *([mutant] if mutant else []),
        ]
        environ = {**os.environ, **self._place.environ}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=environ)
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


def copy_state(source: StateBackend, target: StateBackend) -> None:
    """Copy a state to another place, as it is."""
    for name in source.list_blobs():
        target.put_blob(name, source.get_blob(name) or b"")
    head = source.read_head()
    assert head is not None
    target.swap_head(head.data, None)


@pytest.fixture(scope="module")
def sweep(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    root = tmp_path_factory.mktemp("sweep")
    with WorldServer(root) if place.over_http else nullcontext() as server:
        yield Sweep(root, place, server)


in_plain_worlds = pytest.mark.parametrize("place", PLACES, indirect=True, scope="module")


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


@pytest.mark.parametrize("place", ALL_PLACES, indirect=True, scope="module")
def test_a_sample_of_all_points(sweep: Sweep, place: Place) -> None:
    total = sweep.count_points()
    assert total > LEAST_POINTS
    step = total // (SAMPLE if place.is_quick else SMALL_SAMPLE)
    points = range(1 + random.Random(SEED).randrange(step), total, step)
    crashes = check_points(sweep, points)
    print(f"{crashes} crashes at {total} points, every one recovered from")
    assert crashes > len(points) // 2, "how many there are varies: swaps take in what has come"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_point(sweep: Sweep) -> None:
    total = sweep.count_points()
    crashes = check_points(sweep, range(1, total + 15))
    print(f"{crashes} crashes at {total} points, every one recovered from")
    assert crashes > total // 2


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_second_crash_while_recovering(sweep: Sweep) -> None:
    total = sweep.count_points()
    pick = random.Random(SEED + 1)
    crashes = 0
    for _ in range(150):
        first, second = pick.randrange(1, total), pick.randrange(1, total // 2)
        _, place, died = sweep.crash_at(first)
        crashes += died and sweep.start(place, second).returncode != 0
        try:
            sweep.check(place)
        except AssertionError as error:
            error.add_note(f"after crashes at points {first} and {second}, in {place}")
            raise
        shutil.rmtree(place)
    print(f"{crashes} double crashes, every one recovered from")
    assert crashes > 75


@in_plain_worlds
@pytest.mark.parametrize(
    ("mutant", "points"),
    [
        ("no-wait", ["create thing.c0 ended", "create thing.c2 ended"]),
        ("no-begin", ["create thing.c0 ended"]),
        ("in-place", ["half written"]),
    ],
)
def test_the_sweep_notices_a_broken_protocol(
    sweep: Sweep, place: Place, mutant: str, points: list[str]
) -> None:
    if mutant == "in-place" and place.config("")["backend"] != "local":
        pytest.skip("only the local backend writes a file in place of another")
    noticed = []
    for point in points:
        folder = sweep.copy()
        assert sweep.start(folder, point, mutant).returncode == -signal.SIGKILL
        try:
            sweep.check(folder)
        except Exception as error:  # noqa: BLE001 - whatever it is that does not go well
            noticed.append(error)
    assert noticed


@in_plain_worlds
def test_the_sweep_notices_that_nothing_is_settled(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that takes every interrupted operation for one that never happened."""
    from devstream.engine.settle import Settler

    place = sweep.copy()
    sweep.start(place, "create thing.c0 ended")
    monkeypatch.setattr(Settler, "_look", lambda self, operation, _: self._absent(operation))
    with pytest.raises(AssertionError):
        sweep.check(place)


@in_plain_worlds
@pytest.mark.parametrize("point", ["create thing.c0 ended", "update thing.u0 ended", "delete thing.d3 ended"])
def test_the_protocol_as_it_is_passes_where_mutants_fail(sweep: Sweep, point: str) -> None:
    place = sweep.copy()
    assert sweep.start(place, point).returncode == -signal.SIGKILL
    sweep.check(place)
