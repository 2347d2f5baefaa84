"""A bench on which tools are tried: it does what the engine does around a hook, and nothing more."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import Address
from devstream.testing.tool_bench import ToolBench

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


class Bench(ToolBench):
    """A bench for the tools of this package."""


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
