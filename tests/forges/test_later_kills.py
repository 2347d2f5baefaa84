"""kill -9 at every request of the runs that follow the first one: nothing is lost, nothing is doubled."""

from __future__ import annotations

import shutil
from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.forges.deadly import DeadlyGitea, Moment, run_until_killed
from tests.forges.forges import FORGES, Place
from tests.forges.program import CANARY, PASSWORD
from tests.forges.proposals import check_proposals, propose

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PARTS = 4
PULLS = "POST /api/v1/repos/acme/shop/pulls"
SECRETS = {"IMAGE_REPO_SECRET": PASSWORD, "IMAGE_REPO_USER": "shopkeeper"}
MOMENTS = pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER], ids=lambda one: one.name.lower())


def change(place: Place) -> None:
    """Want something else of both tools that keep files."""
    place.shop.replace("Hello, shop", "Good morning")
    place.shop.replace("echo one", "echo two")


def check_changes(place: Place) -> None:
    """Make sure that each change was made once."""
    assert "Good morning" in place.shop.show("service.py")
    assert "echo two" in place.shop.show(place.forge.pipeline)
    place.check(commits=4)


def change_branch(place: Place) -> None:
    """Want another branch, where people work already."""
    place.shop.commit("NOTES.md", "ours\n")
    place.shop.replace("branch: main", "branch: trunk")


def check_branch(place: Place) -> None:
    """Make sure that everything is on the new branch, which is the default one, and that the old one is left."""
    assert place.shop.branches() == ["main", "trunk"]
    assert place.kept.default_branch == "trunk"
    files = set(place.shop.ask("ls-tree", "-r", "--name-only", "trunk").splitlines())
    assert {place.forge.pipeline, "Dockerfile", "README.md", "service.py", "NOTES.md"} <= files
    assert place.hook.active
    assert place.kept.secrets == SECRETS
    assert [place.proposal(address) for address in place.addresses] == [None, None]
    assert place.shop.plan() == {}


def check_removal(place: Place) -> None:
    """Make sure that nothing is left, there or in the state."""
    assert place.names == []
    assert not place.shop.devstream("delete", "--yes", "-o", "json").data["results"]


class Phase(NamedTuple):
    """A run that follows the first one.

    Attributes:
        prepare: gives it something to do.
        check: looks at what came of it.
        requests: how many it sends, at least; with fewer the sweep would look at too little.
    """

    command: str
    prepare: Callable[[Place], None]
    check: Callable[[Place], None]
    requests: int


PHASES = {
    "changed": Phase("run", change, check_changes, 50),
    "proposed": Phase("run", propose, check_proposals, 70),
    "branch": Phase("run", change_branch, check_branch, 70),
    "deleted": Phase("delete", lambda _: None, check_removal, 20),
}


class Sweep:
    """Runs of an app that is there already, each on a Gitea of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._number = 0

    def kill(self, phase: Phase, at: int, moment: Moment = Moment.BEFORE, *, only: str = "") -> str:
        """Kill a run at a request, run again and look; give what was asked when it died."""
        self._number += 1
        root = self._root / str(self._number)
        with DeadlyGitea(root / "served", token=CANARY) as gitea:
            place = Place.on(FORGES["gitea"], gitea, root)
            with closing(place.bench):
                place.shop.run()
                phase.prepare(place)
                killed = run_until_killed(place.shop, gitea, at, moment, only=only, command=phase.command)
                place.shop.devstream(phase.command, "--yes")
                phase.check(place)
                _check_no_secret_is_left(place)
        shutil.rmtree(root)
        return killed


def _check_no_secret_is_left(place: Place) -> None:
    assert place.shop.left_behind == []
    assert CANARY not in place.shop.written
    assert PASSWORD not in place.shop.written


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


@pytest.mark.slow
@MOMENTS
@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("proposed", PULLS),
        ("branch", "PATCH /api/v1/repos/acme/shop"),
        ("changed", "POST /acme/shop.git/git-receive-pack"),
        ("deleted", "DELETE /api/v1/repos/acme/shop/"),
    ],
)
def test_kill_9_at_some_requests(sweep: Sweep, name: str, request_: str, moment: Moment) -> None:
    killed = sweep.kill(PHASES[name], 1, moment, only=request_)
    assert request_ in killed


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", PHASES)
def test_kill_9_at_every_request(sweep: Sweep, name: str, part: int) -> None:
    """A request that only reads is the same for the server before and after it: those that change something die twice."""
    phase, at = PHASES[name], 1 + part
    while killed := sweep.kill(phase, at, Moment.AFTER):
        print(f"{name} {at}: killed at {killed}, {Moment.AFTER.value}")
        if not killed.startswith("GET ") and not killed.endswith("/git-upload-pack"):
            killed = sweep.kill(phase, at, Moment.BEFORE)
            print(f"{name} {at}: killed at {killed}, {Moment.BEFORE.value}")
        at += PARTS
    assert at > phase.requests


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "number"), [("changed", 1), ("changed", 2), *(("proposed", n) for n in (1, 2, 3))]
)
def test_a_push_that_goes_on_after_kill_9(sweep: Sweep, name: str, number: int) -> None:
    killed = sweep.kill(PHASES[name], number, Moment.ORPHANED, only="git-receive-pack")
    assert killed
