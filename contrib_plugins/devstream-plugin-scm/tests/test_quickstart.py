"""``examples/quickstart`` as a stranger runs it, by the command line, in a folder of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

QUICKSTART = Path(__file__).parents[3] / "examples" / "quickstart"
FILES = ("settings.yaml", "tools.yaml", "pipelines.yaml", "apps.yaml")


@dataclass
class Quickstart:
    folder: Path

    def devstream(self, *arguments: str, code: int = 0) -> dict[str, Any]:
        """Run a command; gives its JSON document."""
        environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        command = [sys.executable, "-m", "devstream", *arguments, "-o", "json", "-f", str(self.folder)]
        done = subprocess.run(
            command, cwd=self.folder.parent, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr + done.stdout
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def run(self) -> dict[str, str]:
        """Run; gives what was done, by address."""
        results = self.devstream("run", "--yes").get("results", [])
        assert all(result["outcome"] == "succeeded" for result in results)
        return {result["address"]: result["action"] for result in results}

    def plan(self) -> dict[str, str]:
        """Plan; gives what would be done, by address and in order."""
        changes = self.devstream("plan")["changes"]
        return {change["address"]: change["action"] for change in changes if change["action"] != "noop"}

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))

    def repository(self, name: str) -> Path:
        return self.folder / "repos" / "demo" / f"{name}.git"

    def git(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        return subprocess.run(["git", *person, *arguments], capture_output=True, text=True, check=True)

    def ci(self) -> int:
        """Ask as `make run` does."""
        repositories = [str(self.repository(name)) for name in ("hello", "goodbye")]
        command = [sys.executable, "-I", "-m", "devstream_plugin_scm.local_ci", "status", *repositories]
        return subprocess.run(command, capture_output=True, check=False).returncode


@pytest.fixture
def quickstart(tmp_path: Path) -> Quickstart:
    folder = tmp_path / "quick start"
    folder.mkdir()
    for name in FILES:
        shutil.copy(QUICKSTART / name, folder)
    return Quickstart(folder)


def test_the_whole_story(quickstart: Quickstart) -> None:
    """One run makes it, a second does nothing; edits, losses and removals are done, each and nothing else."""
    made = quickstart.run()
    assert made == dict.fromkeys(
        (
            "noop.platform",
            "repo-scaffolding.hello",
            "local-ci.hello",
            "repo-scaffolding.goodbye",
            "local-ci.goodbye",
        ),
        "create",
    )
    assert quickstart.ci() == 0
    assert quickstart.run() == {}

    quickstart.edit("apps.yaml", "Hello, world", "Good morning")
    assert quickstart.run() == {"repo-scaffolding.hello": "update"}
    assert (
        "Good morning"
        in quickstart.git("-C", str(quickstart.repository("hello")), "show", "main:service.py").stdout
    )
    assert quickstart.ci() == 0

    shutil.rmtree(quickstart.repository("goodbye"))
    assert quickstart.run() == {"repo-scaffolding.goodbye": "create", "local-ci.goodbye": "create"}
    (quickstart.repository("hello") / "hooks" / "post-receive").unlink()
    assert quickstart.run() == {"local-ci.hello": "update"}
    assert quickstart.ci() == 0
    assert quickstart.run() == {}

    apps = (quickstart.folder / "apps.yaml").read_text()
    (quickstart.folder / "apps.yaml").write_text(apps[: apps.index("  - name: goodbye")])
    assert list(quickstart.plan().items()) == [
        ("local-ci.goodbye", "delete"),
        ("repo-scaffolding.goodbye", "delete"),
    ]
    assert quickstart.run().keys() == {"local-ci.goodbye", "repo-scaffolding.goodbye"}
    assert not quickstart.repository("goodbye").exists()
    assert quickstart.run() == {}


def test_breaking_a_test_and_pushing_shows_it_on_the_terminal(quickstart: Quickstart) -> None:
    quickstart.run()
    clone = quickstart.folder.parent / "clone"
    quickstart.git("clone", "--quiet", str(quickstart.repository("hello")), str(clone))
    service = clone / "service.py"
    service.write_text(service.read_text().replace('"ok"', '"broken"'))
    quickstart.git("-C", str(clone), "commit", "--quiet", "--all", "-m", "break it")
    pushed = quickstart.git("-C", str(clone), "push")
    assert "remote: CI FAILED: hello main " in pushed.stderr
    assert "remote: log: " in pushed.stderr
    assert quickstart.ci() == 1
    assert quickstart.run() == {}, "a red test is no drift"
