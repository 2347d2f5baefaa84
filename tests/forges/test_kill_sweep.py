"""kill -9 at every request of an app with a repository, a pipeline and a webhook: nothing is lost, nothing is doubled."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.forges.deadly import DeadlyGitea, Moment, run_until_killed
from tests.forges.program import CANARY, PASSWORD
from tests.forges.shop import Shop

if TYPE_CHECKING:
    from pathlib import Path

LEAST = 40
"""Requests of the whole run, at least; with fewer the sweep would look at too little."""
PARTS = 8
PUSHES = 2
"""Pushes of a run: the template, and the pipeline."""
EXPECTED = [".gitea/workflows/main.yml", "Dockerfile", "README.md", "service.py", "tests/test_service.py"]


class Sweep:
    """Runs of the app, each on a Gitea of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._number = 0

    def _fresh(self) -> tuple[DeadlyGitea, Shop]:
        self._number += 1
        root = self._root / str(self._number)
        gitea = DeadlyGitea(root / "served", token=CANARY)
        return gitea, Shop(root, {}, gitea, "gitea", "gitea-actions")

    def count(self) -> int:
        """Count the requests of a run that nobody kills."""
        gitea, shop = self._fresh()
        with gitea:
            shop.run()
            return gitea.passed

    def kill(self, at: int, moment: Moment, *, only: str = "") -> str:
        """Kill a run at a request, run again and look; give what was asked when it died."""
        gitea, shop = self._fresh()
        with gitea:
            killed = run_until_killed(shop, gitea, at, moment, only=only)
            shop.run()
            _check(gitea, shop)
        shutil.rmtree(self._root / str(self._number))
        return killed


def _check(gitea: DeadlyGitea, shop: Shop) -> None:
    assert list(gitea.repositories) == ["acme/shop"]
    (hook,) = gitea.repository("acme/shop").hooks.values()
    assert hook["config"]["url"].startswith("https://ci.example.org/hook?devstream=")
    assert not gitea.repository("acme/shop").pulls
    kept = gitea.repository("acme/shop").secrets
    assert kept == {"IMAGE_REPO_SECRET": PASSWORD, "IMAGE_REPO_USER": "shopkeeper"}
    assert shop.branches() == ["main"]
    assert set(EXPECTED) <= set(shop.files())
    assert len(shop.log()) == 2, shop.log()
    assert "echo one" in shop.show(".gitea/workflows/main.yml")
    assert shop.plan() == {}
    assert shop.left_behind == []
    assert CANARY not in shop.written
    assert PASSWORD not in shop.written


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


@pytest.mark.parametrize(
    ("request_", "moment"),
    [
        ("POST /api/v1/orgs/acme/repos", Moment.AFTER),
        ("git-receive-pack", Moment.ORPHANED),
        pytest.param("/hooks", Moment.AFTER, marks=pytest.mark.slow),
        pytest.param("PUT /api/v1/repos/acme/shop/actions/secrets", Moment.AFTER, marks=pytest.mark.slow),
    ],
)
def test_kill_9_at_some_requests(sweep: Sweep, request_: str, moment: Moment) -> None:
    assert request_ in sweep.kill(1, moment, only=request_)


@pytest.mark.slow
@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER], ids=lambda moment: moment.name.lower())
@pytest.mark.parametrize("part", range(PARTS))
def test_kill_9_at_every_request(sweep: Sweep, part: int, moment: Moment) -> None:
    requests = sweep.count()
    assert requests >= LEAST
    points = range(1 + part, requests + 1, PARTS)
    for at in points:
        killed = sweep.kill(at, moment)
        print(f"request {at} of {requests}: killed at {killed or 'none: it had ended'}, {moment.value}")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(1, PUSHES + 1))
def test_a_push_that_goes_on_after_kill_9(sweep: Sweep, number: int) -> None:
    assert sweep.kill(number, Moment.ORPHANED, only="git-receive-pack")
