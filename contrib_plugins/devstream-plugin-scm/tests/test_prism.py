"""Every request of the plugin, sent again to a mock of the vendor's description: prism refuses what is not in it."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from devstream.testing.bitbucket import BitbucketCloudStandIn
from devstream.testing.bitbucket_server import BitbucketServerStandIn
from devstream.testing.description import Recorder
from devstream.testing.gitea import GiteaStandIn
from devstream.testing.github import GitHubStandIn
from devstream.testing.gitlab import GitLabStandIn
from devstream_plugin_scm.testing import HostingContract, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.testing.service import Request

pytestmark = pytest.mark.slow

VERSION = "5.16"
DESCRIPTIONS = Path(__file__).with_name("openapi")
CACHE = Path(__file__).parents[3] / ".cache" / "npm" / f"prism-{VERSION}"
LISTENS = re.compile(r"Prism is listening on (http://\S+)")
NEWER = ("/actions/secrets", "/actions/variables")


class RecordedGitea(Recorder, GiteaStandIn):
    """A Gitea that keeps what it was asked."""


class RecordedGitHub(Recorder, GitHubStandIn):
    """A GitHub that keeps what it was asked."""


class RecordedGitLab(Recorder, GitLabStandIn):
    """A GitLab that keeps what it was asked."""


class RecordedCloud(Recorder, BitbucketCloudStandIn):
    """A bitbucket.org that keeps what it was asked."""


class RecordedCenter(Recorder, BitbucketServerStandIn):
    """A Bitbucket Data Center that keeps what it was asked."""


@pytest.fixture(scope="module")
def prism() -> str:
    """Install prism, once, beside the project; skip where npm or its registry is not there."""
    command = CACHE / "node_modules" / ".bin" / "prism"
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not command.exists():
            install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(CACHE)]
            done = subprocess.run(
                [*install, f"@stoplight/prism-cli@{VERSION}"], capture_output=True, text=True, check=False
            )
            if done.returncode:
                pytest.skip(f"prism cannot be installed: {done.stderr[-300:]}")
    return str(command)


def requests_of(document: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is answered: prism would make answers up, which takes long and cannot always be done."""
    for methods in document["paths"].values():
        for method, operation in methods.items():
            if method != "parameters":
                operation["responses"] = {"200": {"description": ""}}
    return document


@contextmanager
def mocking(prism: str, name: str, folder: Path) -> Iterator[str]:
    """Run a mock of what a description says of requests; give its URL."""
    path = folder / f"{name}.json"
    path.write_text(
        json.dumps(requests_of(json.loads((DESCRIPTIONS / path.name).read_text(encoding="utf-8"))))
    )
    command = [prism, "mock", "-h", "127.0.0.1", "-p", "0", "--errors", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        try:
            found = None
            for line in process.stdout:
                found = LISTENS.search(line)
                if found:
                    break
            assert found is not None, "prism does not start"
            yield found[1]
        finally:
            process.kill()


@pytest.fixture(scope="module")
def gitea_mock(prism: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mocking(prism, "gitea", tmp_path_factory.mktemp("prism")) as url:
        yield url


@pytest.fixture(scope="module")
def github_mock(prism: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mocking(prism, "github", tmp_path_factory.mktemp("prism")) as url:
        yield url


@pytest.fixture(scope="module")
def gitlab_mock(prism: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mocking(prism, "gitlab", tmp_path_factory.mktemp("prism")) as url:
        yield url


@pytest.fixture(scope="module")
def cloud_mock(prism: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mocking(prism, "bitbucket", tmp_path_factory.mktemp("prism")) as url:
        yield url


@pytest.fixture(scope="module")
def center_mock(prism: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with mocking(prism, "bitbucket-server", tmp_path_factory.mktemp("prism")) as url:
        yield url


def refusal(url: str, request: Request) -> str:
    """Send a request again; say why prism refuses it, or nothing."""
    kind = {"Content-Type": "application/json"} if request.body else {}
    query = {name: list(values) for name, values in request.repeated.items()}
    answer = httpx.request(
        request.method, f"{url}{request.path}", params=query, content=request.body, headers=kind
    )
    why = answer.headers.get("sl-violations", "")
    is_problem = "stoplight.io" in answer.text[:200]
    return f"{answer.status_code} {why} {answer.text[:200]}" if why or is_problem else ""


def replay(url: str, standin: Recorder, *, base: str = "", newer: tuple[str, ...] = ()) -> None:
    """Send everything that was asked again."""
    wrong = set()
    for request, _ in standin.exchanges:
        if not any(part in request.path for part in newer):
            why = refusal(url, replace(request, path=request.path.removeprefix(base)))
            wrong |= {f"{request.method} {request.path}: {why}"} if why else set()
    assert not wrong, "\n".join(sorted(wrong))


class TestGiteaByPrism(HostingContract):
    scm_type = "gitea"

    @pytest.fixture(autouse=True)
    def _mock(self, gitea_mock: str) -> None:
        self.mock = gitea_mock

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with RecordedGitea(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user, "acme")
            replay(self.mock, standin, base="/api/v1", newer=NEWER)


class TestGitHubByPrism(HostingContract):
    scm_type = "github"

    @pytest.fixture(autouse=True)
    def _mock(self, github_mock: str) -> None:
        self.mock = github_mock

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with RecordedGitHub(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user, "acme")
            replay(self.mock, standin)


class TestGitLabByPrism(HostingContract):
    scm_type = "gitlab"
    events = ("push", "merge_requests")

    @pytest.fixture(autouse=True)
    def _mock(self, gitlab_mock: str) -> None:
        self.mock = gitlab_mock

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with RecordedGitLab(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user, "acme")
            replay(self.mock, standin, base="/api/v4")


class TestCloudByPrism(HostingContract):
    scm_type = "bitbucket"
    events = ("repo:push",)
    keys_may_push = False

    @pytest.fixture(autouse=True)
    def _mock(self, cloud_mock: str) -> None:
        self.mock = cloud_mock

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with RecordedCloud(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.password, standin.user, api=standin.api, user=standin.user)
            replay(self.mock, standin, base="/2.0")


class TestCenterByPrism(HostingContract):
    scm_type = "bitbucket"
    events = ("repo:refs_changed",)
    keeps_secrets = False

    @pytest.fixture(autouse=True)
    def _mock(self, center_mock: str) -> None:
        self.mock = center_mock

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with RecordedCenter(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user)
            replay(self.mock, standin, base="/rest")


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/user/repos", b'{"name": 1}'),
        ("POST", "/user/repos", b'{"private": true}'),
        ("GET", "/nowhere", b""),
        ("PUT", "/repos/acme/shop", b"{}"),
    ],
)
def test_prism_refuses_what_is_not_described(gitea_mock: str, method: str, path: str, body: bytes) -> None:
    from devstream.testing.service import Request

    assert refusal(gitea_mock, Request(method, path, {}, {}, body))
