"""A bench on which tools are tried: it does what the engine does around a hook, and nothing more."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import pluggy
import pytest

from devstream.api import Address, CompletedCommand, ResourceStatus, Secret, ToolSchema, ToolState
from devstream.hookspecs import ToolSpecs
from devstream.testing.context import PlainContext, PlainTool
from devstream_plugin_scm import ci_files, local_ci_tool, scaffolding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

PROVIDERS: dict[str, object] = {
    "repo-scaffolding": scaffolding,
    "local-ci": local_ci_tool,
    "github-actions": ci_files.GITHUB_ACTIONS,
    "gitlab-ci": ci_files.GITLAB_CI,
    "gitea-actions": ci_files.GITEA_ACTIONS,
    "bitbucket-pipelines": ci_files.BITBUCKET_PIPELINES,
    "circleci": ci_files.CIRCLECI,
    "travis-ci": ci_files.TRAVIS_CI,
    "ci-generic": ci_files.CI_GENERIC,
}


class Killed(BaseException):
    """Stands for SIGKILL: nothing in a plugin may catch it."""


@dataclass
class KillingContext(PlainContext):
    """Dies right before or right after a command, counted from 1; counts commands in any case."""

    die_before: int = 0
    die_after: int = 0
    count: int = 0

    def run(self, argv: Sequence[str], **options: Any) -> CompletedCommand:
        self.count += 1
        if self.count == self.die_before:
            raise Killed
        done = super().run(argv, **options)
        if self.count == self.die_after:
            raise Killed
        return done


def secret_of(wanted: type, value: object) -> object:
    """Do what the engine does with text at an option of type Secret."""
    return value if isinstance(value, wanted) or wanted is not Secret else Secret.plain(str(value))


@dataclass
class Bench:
    """Calls the hooks of one tool instance and keeps what the engine would record."""

    folder: Path
    address: Address
    options: dict[str, Any]
    recorded: ToolState | None = None
    operations: int = 0
    context: KillingContext = field(init=False)
    said: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        manager = pluggy.PluginManager("devstream")
        manager.add_hookspecs(ToolSpecs)
        manager.register(PROVIDERS[self.address.name])
        manager.check_pending()
        self.hooks: Any = manager.hook
        self.schema: ToolSchema = self.hooks.devstream_tool_schema(tool_name=self.address.name)
        self.context = self._context()

    def _context(self, **fields: Any) -> KillingContext:
        if "context" in vars(self):
            self.context.close()
        op_id = f"op-{self.address}-{self.operations}"
        self.context = KillingContext(self.folder, self.address, op_id=op_id, **fields)
        return self.context

    def tool(self) -> PlainTool:
        options = msgspec.convert(self.options, self.schema.options, dec_hook=secret_of)
        return PlainTool(self.address, options, self.options)

    def read(self) -> ResourceStatus | None:
        """Read, and hold the hook to its promise: two reads in a row are equal."""
        first, second = (self._read_once() for _ in range(2))
        assert first == second
        return first

    def _read_once(self) -> ResourceStatus | None:
        context = self._context(reading=True)
        status: ResourceStatus | None = self.hooks.read(
            tool=self.tool(), recorded=self.recorded, context=context
        )
        return status

    def there(self) -> ResourceStatus:
        status = self.read()
        assert status is not None
        return status

    def create(self, **fields: Any) -> ResourceStatus:
        return self._keep(self.hooks.create(tool=self.tool(), context=self._context(**fields)))

    def update(self, **fields: Any) -> ResourceStatus:
        context = self._context(**fields)
        return self._keep(self.hooks.update(tool=self.tool(), recorded=self.recorded, context=context))

    def delete(self) -> None:
        self.hooks.delete(tool=self.tool(), recorded=self.recorded, context=self._context())
        self.recorded = None

    def apply(self) -> ResourceStatus:
        """Create what is not there, update what is."""
        status = self.read()
        if status is None:
            return self.create()
        self.recorded = self.recorded or self.taint(status)
        return self.update()

    def dies(self, action: Callable[..., Any], **fields: int) -> bool:
        """Tell whether an action reached the command at which it is to die."""
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

    def taint(self, status: ResourceStatus) -> ToolState:
        return ToolState(self.address, properties=status.properties, tainted=True)

    def _keep(self, status: ResourceStatus) -> ResourceStatus:
        self.operations += 1
        self.said = self.context.log.lines
        self.recorded = ToolState(self.address, properties=status.properties, outputs=status.outputs or {})
        # What is written is what a read finds: anything else would be drift at once.
        assert self.there().properties == status.properties
        return status


@dataclass
class Workplace:
    """A config's folder with tools, repositories and people who clone and push."""

    folder: Path
    home: Path

    def bench(self, name: str, instance_id: str = "hello", **options: Any) -> Bench:
        return Bench(self.folder, Address(name, instance_id), options)

    def repository(self, name: str = "hello") -> Path:
        return self.folder / "repos" / f"{name}.git"

    def git(
        self, *arguments: str, cwd: Path | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run git as a person does, whose configuration is in `home`."""
        done = subprocess.run(
            ["git", *arguments],
            cwd=cwd or self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def clone(self, name: str = "hello") -> Path:
        target = self.home / f"clone-{len(list(self.home.iterdir()))}"
        self.git("clone", "--quiet", str(self.repository(name)), str(target))
        return target

    def push(
        self, clone: Path, files: Mapping[str, str] | None = None, *refs: str
    ) -> subprocess.CompletedProcess[str]:
        """Write files, commit everything and push."""
        _write(clone, files or {})
        self.git("add", "--all", cwd=clone)
        self.git("commit", "--quiet", "--allow-empty", "-m", "by hand", cwd=clone)
        return self.git("push", "origin", *(refs or ("HEAD",)), cwd=clone)

    def log(self, name: str = "hello", branch: str = "main") -> list[str]:
        """List the subjects of a branch, newest first."""
        done = self.git("--git-dir", str(self.repository(name)), "log", "--format=%s", branch, "--")
        return done.stdout.splitlines()

    def show(self, path: str, name: str = "hello", branch: str = "main") -> str:
        return self.git("--git-dir", str(self.repository(name)), "show", f"{branch}:{path}").stdout

    def files(self, name: str = "hello", branch: str = "main") -> list[str]:
        done = self.git("--git-dir", str(self.repository(name)), "ls-tree", "-r", "--name-only", branch)
        return done.stdout.splitlines()

    def template(self, files: Mapping[str, str], name: str = "template") -> str:
        """Write a template folder; gives its url."""
        _write(self.folder / name, files)
        return name

    def scaffold(self, name: str = "hello", url: str = "builtin:python-http", **variables: Any) -> Bench:
        bench = self.bench(
            "repo-scaffolding",
            name,
            destinationRepo={"scmType": "local", "name": name},
            sourceRepo={"url": url},
            vars=variables,
        )
        bench.create()
        return bench

    def local_ci(self, *commands: str, name: str = "hello", timeout: float = 60) -> Bench:
        return self.bench(
            "local-ci",
            name,
            scm={"scmType": "local", "name": name},
            pipeline={"commands": list(commands), "timeout": timeout},
        )

    def status(self, *names: str) -> subprocess.CompletedProcess[str]:
        """Ask for CI results as `make run` does."""
        repositories = [str(self.repository(name)) for name in names]
        return subprocess.run(
            [sys.executable, "-I", "-m", "devstream_plugin_scm.local_ci", "status", *repositories],
            capture_output=True,
            text=True,
            check=False,
        )


def _write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    """A workplace in a folder whose name has a blank and a letter beyond ASCII."""
    folder, home = tmp_path / "a föld er", tmp_path / "home"
    folder.mkdir()
    home.mkdir()
    (home / ".gitconfig").write_text("[user]\n\tname = A Person\n\temail = person@example.org\n")
    return Workplace(folder, home)


@pytest.fixture
def as_someone(place: Workplace) -> Callable[[str], None]:
    """Add lines to the configuration that the person who pushes has for all repositories."""

    def configure(lines: str) -> None:
        with (place.home / ".gitconfig").open("a") as config:
            config.write(lines)

    return configure
