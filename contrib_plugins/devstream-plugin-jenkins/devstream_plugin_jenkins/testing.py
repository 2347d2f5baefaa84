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
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import msgspec
import pytest

from devstream.api import Address, CompletedCommand, OperationError, ResourceStatus, Secret, ToolState
from devstream.testing.context import PlainContext, PlainTool
from devstream.testing.gitea import GiteaStandIn
from devstream_plugin_jenkins import tool
from devstream_plugin_jenkins.options import JenkinsOptions
from devstream_plugin_scm import testing as scm_testing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["JenkinsContract", "JobBench", "Killed", "Server", "bench_on", "server_from_environment"]


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


class Killed(BaseException):
    """Stands for SIGKILL: nothing in a plugin may catch it."""


@dataclass
class CountingContext(PlainContext):
    """Counts commands and requests, and dies right before or right after one of them, counted from 1."""

    die_before: int = 0
    die_after: int = 0
    count: int = 0

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.count += 1
        number = self.count
        if number == self.die_before:
            raise Killed
        yield
        if number == self.die_after:
            raise Killed

    def run(self, argv: Sequence[str], **options: Any) -> CompletedCommand:
        """Count a command."""
        with self._counted():
            return super().run(argv, **options)

    def httpx_transport(self, *, ca_file: Path | None = None) -> httpx.BaseTransport:
        """Give a transport that counts."""
        inner, counted = super().httpx_transport(ca_file=ca_file), self._counted

        class Counting(httpx.BaseTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                with counted():
                    return inner.handle_request(request)

        return Counting()


def _secret_of(wanted: type, value: object) -> object:
    """Do what the engine does with text at an option of type Secret."""
    return value if isinstance(value, wanted) or wanted is not Secret else Secret.plain(str(value))


@dataclass
class JobBench:
    """Calls the hooks of one tool instance, and keeps what the engine would record.

    Attributes:
        gitea: where its repository is; None for a folder, which is quicker and has no webhooks.
    """

    folder: Path
    server: Server
    gitea: GiteaStandIn | None = None
    name: str = "shop"
    options: dict[str, Any] = field(default_factory=dict)
    recorded: ToolState | None = None
    adopted: bool = False
    operations: int = 0
    context: CountingContext = field(init=False)
    opened: list[PlainContext] = field(default_factory=list)

    def __post_init__(self) -> None:
        server = {"url": self.server.url, "user": self.server.user, "password": self.server.token}
        repo: dict[str, Any] = {"scmType": "local", "owner": "someone", "name": self.name}
        place = scm_testing.Server("", "", "someone")
        if self.gitea is not None:
            place = place._replace(url=self.gitea.url, token=self.gitea.token)
            repo |= {"scmType": "gitea", "baseURL": self.gitea.url, "token": self.gitea.token}
        self.options = {
            "jenkins": server,
            "scm": repo,
            "type": "multibranch",
            "pipeline": {"language": {"name": "python"}},
            **self.options,
        }
        self.repository = scm_testing.Bench(repo["scmType"], place, self.folder, name=self.name)

    @property
    def address(self) -> Address:
        """The tool instance."""
        return Address("jenkins-pipeline", self.name)

    def begin(self) -> None:
        """Make the repository, with a file in it."""
        self.repository.make()
        self.repository.push({"README.md": b"hello\n"})

    def close(self) -> None:
        """Close every context."""
        self.repository.close()
        for context in self.opened:
            context.close()

    def context_for(self, **fields: Any) -> CountingContext:
        """Give a context."""
        op_id = f"op-{self.name}-{self.operations}"
        self.context = CountingContext(self.folder, self.address, op_id=op_id, **fields)
        self.opened.append(self.context)
        return self.context

    def tool(self) -> PlainTool:
        """Give the tool with its options, checked as the engine does."""
        options = msgspec.convert(self.options, JenkinsOptions, dec_hook=_secret_of)
        return PlainTool(self.address, options, self.options)

    def read(self) -> ResourceStatus | None:
        """Read; commands and requests are not counted as the operation's."""
        context = PlainContext(self.folder, self.address, reading=True)
        self.opened.append(context)
        return tool.read(self.tool(), self.recorded, context)

    def there(self) -> ResourceStatus:
        """Read what has to be there."""
        status = self.read()
        assert status is not None
        return status

    def create(self, **fields: Any) -> ResourceStatus:
        """Create, and record."""
        return self._keep(tool.create(self.tool(), self.context_for(**fields)))

    def update(self, **fields: Any) -> ResourceStatus:
        """Update, and record."""
        assert self.recorded is not None
        return self._keep(tool.update(self.tool(), self.recorded, self.context_for(**fields)))

    def delete(self, **fields: Any) -> None:
        """Delete, and forget."""
        assert self.recorded is not None
        tool.delete(self.tool(), self.recorded, self.context_for(**fields))
        self.recorded = None

    def apply(self) -> ResourceStatus:
        """Create what is not there, update what is: what the next run does after a crash."""
        status = self.read()
        if status is None:
            return self.create()
        if self.recorded is None:
            self.recorded = ToolState(self.address, properties=status.properties, tainted=True)
        return self.update()

    def dies(self, action: Callable[..., Any], **fields: int) -> bool:
        """Tell whether an action reached the point at which it is to die."""
        try:
            action(**fields)
        except Killed:
            return True
        return False

    def drift(self) -> dict[str, tuple[Any, Any]]:
        """Compare recorded properties with a fresh read, as the planner does."""
        recorded = self.recorded.properties if self.recorded else {}
        now = self.there().properties
        return {key: (recorded[key], now[key]) for key in recorded.keys() & now if recorded[key] != now[key]}

    def _keep(self, status: ResourceStatus) -> ResourceStatus:
        self.operations += 1
        self.recorded = ToolState(self.address, properties=status.properties, adopted=self.adopted)
        # What is written is what a read finds: anything else would be drift at once.
        assert self.there().properties == status.properties
        return status


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
