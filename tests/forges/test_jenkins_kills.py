"""kill -9 at every request of an app with a repository and a job in Jenkins: nothing is lost, nothing is doubled."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.forges.deadly import DeadlyGitea, DeadlyJenkins, Moment, run_until_killed
from tests.forges.program import CANARY, PASSWORD
from tests.forges.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.forges.deadly import Deadly

LEAST = {"gitea": 40, "jenkins": 15}
"""Requests of the whole run, at least; with fewer the sweep would look at too little."""
PARTS = 8
TOKEN = f"{CANARY}-jenkins"
NAME = "jenkins-pipeline.shop"
CREDENTIALS = {f"devstream-{NAME}-{name}" for name in ("scm", "ssh", "IMAGE_REPO_SECRET")}
EXPECTED = {"Dockerfile", "Jenkinsfile", "README.md", "service.py", "tests/test_service.py"}
_CONFIG = """\
config:
  state:
    backend: local
    options: {{stateFile: devstream.state}}
apps:
  - name: shop
    spec: {{language: python}}
    repo: {{scmType: gitea, baseURL: "{gitea}", org: acme, branch: main, token: "[[ env SHOP_TOKEN ]]"}}
    repoTemplate: {{url: "builtin:python-http"}}
    ci:
      - type: jenkins-pipeline
        options:
          jobName: services/shop
          jenkins:
            url: {jenkins}
            user: devstream
            password: "[[ env JENKINS_TOKEN ]]"
            deployKey: true
          test: {{command: [echo one]}}
          imageRepo: {{url: registry.example.org, user: shopkeeper, password: "[[ env SHOP_PASSWORD ]]"}}
"""


@dataclass
class JobShop(Shop):
    """A folder with the configuration of an app that Jenkins builds."""

    jenkins: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.environ["JENKINS_TOKEN"] = TOKEN
        self.write("devstream.yaml", _CONFIG.format(gitea=self.service.url, jenkins=self.jenkins))
        (self.folder / "devstream_plugins.py").unlink()


class World(NamedTuple):
    """The app, and the two services that it is on."""

    gitea: DeadlyGitea
    jenkins: DeadlyJenkins
    shop: JobShop

    def deadly(self, name: str) -> Deadly:
        """Give a service by its name."""
        return self.gitea if name == "gitea" else self.jenkins

    def check(self) -> None:
        """Make sure that there is one of each, and nothing to do."""
        gitea, jenkins, shop = self
        assert list(gitea.repositories) == ["acme/shop"]
        assert set(jenkins.items) == {"services", "services/shop"}
        stores = {store: set(kept) for store, kept in jenkins.credentials.items() if kept}
        assert stores == {"services": CREDENTIALS}
        (hook,) = gitea.repository("acme/shop").hooks.values()
        assert hook["config"]["url"] == f"{jenkins.url}/gitea-webhook/post?devstream={NAME}"
        (key,) = gitea.repository("acme/shop").keys.values()
        assert (key["title"], key["read_only"]) == (f"devstream: {NAME}", True)
        assert not gitea.repository("acme/shop").pulls
        assert shop.branches() == ["main"]
        assert set(shop.files()) >= EXPECTED
        assert len(shop.log()) == 2, shop.log()
        assert "echo one" in shop.show("Jenkinsfile")
        assert shop.plan() == {}
        assert shop.left_behind == []
        for secret in (CANARY, PASSWORD, "PRIVATE KEY"):
            assert secret not in shop.written


class Sweep:
    """Runs of the app, each on services of its own."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._number = 0

    @contextmanager
    def fresh(self) -> Iterator[World]:
        """Give services on which nothing was made yet."""
        self._number += 1
        root = self._root / str(self._number)
        with (
            DeadlyGitea(root / "served", token=CANARY) as gitea,
            DeadlyJenkins(user="devstream", token=TOKEN) as jenkins,
        ):
            yield World(gitea, jenkins, JobShop(root, {}, gitea, "gitea", "", jenkins=jenkins.url))
        shutil.rmtree(root)

    def count(self, service: str) -> int:
        """Count the requests of a run that nobody kills."""
        with self.fresh() as world:
            world.shop.run()
            return world.deadly(service).passed

    def kill(self, service: str, at: int, moment: Moment, *, only: str = "") -> str:
        """Kill a run at a request, run again and look; give what was asked when it died."""
        with self.fresh() as world:
            killed = run_until_killed(world.shop, world.deadly(service), at, moment, only=only)
            world.shop.run()
            world.check()
        return killed


@pytest.fixture
def sweep(tmp_path: Path) -> Sweep:
    return Sweep(tmp_path)


@pytest.mark.parametrize(
    ("service", "request_", "moment"),
    [
        ("jenkins", "POST /job/services/createItem", Moment.AFTER),
        ("gitea", "POST /api/v1/repos/acme/shop/keys", Moment.AFTER),
    ],
    ids=["job", "deploy-key"],
)
def test_kill_9_at_some_requests(sweep: Sweep, service: str, request_: str, moment: Moment) -> None:
    assert request_ in sweep.kill(service, 1, moment, only=request_)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("moment", [Moment.BEFORE, Moment.AFTER], ids=lambda moment: moment.name.lower())
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("service", LEAST)
def test_kill_9_at_every_request(sweep: Sweep, service: str, part: int, moment: Moment) -> None:
    requests = sweep.count(service)
    assert requests >= LEAST[service]
    for at in range(1 + part, requests + 1, PARTS):
        killed = sweep.kill(service, at, moment)
        print(f"{service} {at} of {requests}: killed at {killed or 'none: it had ended'}, {moment.value}")
