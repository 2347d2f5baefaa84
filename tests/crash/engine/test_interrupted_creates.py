"""kill -9 in the middle of a create: the next run finishes it, or removes it where nobody wants it any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.planning.removal import Removal
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, World
from devstream.testing.world_server import RemoteThing, WorldServer
from tests.crash.engine.driver import InTwoHalves

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.conftest import Place

DRIVER = Path(__file__).with_name("driver.py")
HALVES = [block("halves.a", {"value": "all of it"}), block("thing.b", after=["halves.a"])]
THINGS = [block("thing.a", {"value": 1}), block("thing.b", after=["thing.a"])]
POINTS = ["create thing.a begins", "create thing.a ended"]


class Killed:
    """A project whose run was killed in the middle."""

    def __init__(self, root: Path, place: Place, server: WorldServer | None) -> None:
        self._place = place
        self._name = f"create-{os.urandom(4).hex()}"
        self.project = Project.at(root)
        self.project.environ.update(place.environ)
        self.project.use(RemoteThing() if server else Thing(), InTwoHalves())
        if server:
            server.connect(self.project.folder)
        self.world = World(self.project.folder / "world")

    def write(self, tools: list[dict[str, Any]]) -> None:
        self._place.prepare(self.project.folder, self._name, tools=tools)

    def run_until(self, point: str, tools: list[dict[str, Any]]) -> None:
        self.write(tools)
        argv = [sys.executable, str(DRIVER), str(self.project.folder), point]
        environ = {**os.environ, **self._place.environ}
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env=environ)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert len(self.project.state().open_operations) == 1

    def check(self, expected: list[str]) -> None:
        assert (self.world.names(), sorted(self.project.recorded())) == (expected, expected)
        assert not self.project.state().open_operations
        self.project.plan().assert_nothing_to_do()


@pytest.fixture
def killed(place: Place, tmp_path: Path) -> Iterator[Killed]:
    if not place.over_http:
        yield Killed(tmp_path, place, None)
        return
    with WorldServer(tmp_path) as server:
        yield Killed(tmp_path, place, server)


def test_between_the_two_halves_of_a_create(killed: Killed) -> None:
    killed.run_until("half of halves.a", HALVES)
    assert [thing["value"] for thing in killed.world.things().values()] == [None]
    killed.project.run().assert_success()
    killed.check(["halves.a", "thing.b"])
    assert sorted(str(thing["value"]) for thing in killed.world.things().values()) == ["None", "all of it"]


@pytest.mark.parametrize("point", POINTS)
def test_and_then_its_block_is_removed(killed: Killed, point: str) -> None:
    killed.run_until(point, THINGS)
    killed.write([])
    killed.project.run().assert_success()
    killed.check([])


@pytest.mark.parametrize("point", POINTS)
def test_and_then_everything_is_destroyed(killed: Killed, point: str) -> None:
    killed.run_until(point, THINGS)
    killed.project.run(removal=Removal.EVERYTHING).assert_success()
    killed.write([])
    killed.check([])
