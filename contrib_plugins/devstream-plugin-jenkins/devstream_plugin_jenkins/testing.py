"""`JenkinsContract`: what ``jenkins-pipeline`` holds to, on a stand-in and on the real thing alike.

A subclass names a Jenkins; the repository is in a folder, which Jenkins never looks into::

    class TestJenkins(JenkinsContract):
        def server(self):
            return server_from_environment() or start_a_stand_in()
"""

from __future__ import annotations

import os
import secrets
from abc import ABC, abstractmethod
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from devstream.api import Address, OperationError
from devstream.testing.gitea import GiteaStandIn
from devstream.testing.tool_bench import ToolBench
from devstream_plugin_scm import testing as scm_testing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = [
    "JenkinsContract",
    "JobBench",
    "Server",
    "bench_on",
    "server_from_environment",
]


class Server(NamedTuple):
    """A Jenkins to test against."""

    url: str
    user: str
    token: str


def server_from_environment() -> Server | None:
    """Give the Jenkins that ``DEVSTREAM_TEST_JENKINS_URL``, ``_USER`` and ``_TOKEN`` name; None for none."""
    url = os.environ.get("DEVSTREAM_TEST_JENKINS_URL")
    if not url:
        return None
    return Server(url, os.environ["DEVSTREAM_TEST_JENKINS_USER"], os.environ["DEVSTREAM_TEST_JENKINS_TOKEN"])


class JobBench(ToolBench):
    """Calls the hooks of one tool instance, whose job is on a Jenkins.

    Args:
        gitea: where its repository is; None for a folder, which is quicker and has no webhooks.
    """

    def __init__(
        self, folder: Path, server: Server, gitea: GiteaStandIn | None = None, name: str = "shop"
    ) -> None:
        self.server, self.gitea, self.name = server, gitea, name
        repo: dict[str, Any] = {"scmType": "local", "owner": "someone", "name": name}
        place = scm_testing.Server("", "", "someone")
        if gitea is not None:
            place = place._replace(url=gitea.url, token=gitea.token)
            repo |= {"scmType": "gitea", "baseURL": gitea.url, "token": gitea.token}
        options = {
            "jenkins": {"url": server.url, "user": server.user, "password": server.token},
            "scm": repo,
            "type": "multibranch",
            "pipeline": {"language": {"name": "python"}},
        }
        super().__init__(folder, Address("jenkins-pipeline", name), options)
        self.repository = scm_testing.Bench(repo["scmType"], place, folder, name=name)

    def begin(self) -> None:
        """Make the repository, with a file in it."""
        self.repository.make()
        self.repository.push({"README.md": b"hello\n"})

    def close(self) -> None:
        """Close every context."""
        super().close()
        if "repository" in vars(self):
            self.repository.close()


@contextmanager
def bench_on(server: Server, folder: Path, *, name: str = "shop", hooked: bool = False) -> Iterator[JobBench]:
    """Give a bench with a repository: in a folder, or where it is to have webhooks on a Gitea of its own."""
    with GiteaStandIn(folder / "served") if hooked else nullcontext() as gitea:
        bench = JobBench(folder, server, gitea, name)
        bench.begin()
        yield bench
        bench.close()


class JenkinsContract(ABC):
    """Everything that ``jenkins-pipeline`` has to do on a Jenkins. Subclasses give one."""

    @abstractmethod
    def server(self) -> Iterator[Server] | Server:
        """Give the server, or yield it and stop it afterwards."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[JobBench]:
        """Give a job's place, and remove what is left of it."""
        opened = self.server()
        server = opened if isinstance(opened, Server) else next(opened)
        with bench_on(server, tmp_path, name=f"devstream-{secrets.token_hex(4)}") as bench:
            yield bench
            if bench.recorded is not None:
                bench.delete()
        if not isinstance(opened, Server):
            next(opened, None)

    @pytest.mark.parametrize("kind", ["multibranch", "pipeline"])
    def test_a_job_comes_and_goes(self, bench: JobBench, kind: str) -> None:
        bench.options["type"] = kind
        assert bench.read() is None
        status = bench.create()
        assert status.outputs == {
            "jobURL": f"{bench.server.url.rstrip('/')}/job/{bench.name}/",
            "jobName": bench.name,
            "pipelineFile": "Jenkinsfile",
        }
        assert status.properties["kind"] == kind
        assert bench.drift() == {}
        bench.update()
        assert bench.drift() == {}
        bench.delete()
        assert bench.read() is None

    def test_a_job_in_folders_comes_and_goes(self, bench: JobBench) -> None:
        bench.options["jobName"] = f"{bench.name}-team/inner/app"
        bench.create()
        assert bench.drift() == {}
        bench.delete()
        assert bench.read() is None

    def test_a_job_moves_and_is_renamed(self, bench: JobBench) -> None:
        bench.options["jobName"] = f"{bench.name}-a/one"
        bench.create()
        bench.options["jobName"] = f"{bench.name}-b/two"
        status = bench.update()
        assert status.properties["job"] == f"{bench.name}-b/two"
        assert bench.drift() == {}

    def test_making_it_again_finds_what_an_earlier_attempt_made(self, bench: JobBench) -> None:
        first = bench.create()
        bench.recorded = None
        second = bench.create()
        assert first.properties == second.properties

    def test_a_read_may_change_nothing(self, bench: JobBench) -> None:
        with pytest.raises(OperationError, match="which may change something"):
            bench.create(reading=True)
        assert bench.read() is None

    def test_a_wrong_password_is_named_and_not_shown(self, bench: JobBench) -> None:
        bench.options["jenkins"] = {**bench.options["jenkins"], "password": "canary-wrong"}
        with pytest.raises(OperationError) as caught:
            bench.create()
        assert "canary" not in f"{caught.value} {caught.value.diagnostic}"
