"""What the README promises of `make run`, as a user types it.

The plugin's own tests tell the rest of the story: repairs, removals, a broken test that is pushed.
"""

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

ROOT = Path(__file__).parents[2]


@dataclass
class Quickstart:
    """A copy of the quickstart, and the program run in its parent folder."""

    folder: Path

    def devstream(self, *arguments: str, status: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "devstream", *arguments, "-f", self.folder.name],
            cwd=self.folder.parent, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout

    def plan(self) -> dict[str, str]:
        """Give the action of each address that is not left alone, in the order of execution."""
        return {
            change["address"]: change["action"] for change in self.changes() if change["action"] != "noop"
        }

    def changes(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.devstream("plan", "-o", "json"))["changes"]
        return found

    def replace(self, file: str, old: str, new: str) -> None:
        path = self.folder / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def git(self, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
        identity = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
        return subprocess.run(
            ["git", *identity, *arguments],
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            env=environ,
            check=True,
        )


@pytest.fixture
def quickstart(tmp_path: Path) -> Quickstart:
    folder = tmp_path / "quickstart"
    shutil.copytree(
        ROOT / "examples/quickstart", folder, ignore=shutil.ignore_patterns("repos", "devstream.state*")
    )
    fresh = Quickstart(folder)
    fresh.devstream("run", "--yes")
    return fresh


def test_the_summary_names_the_repositories_their_ci_and_the_state(tmp_path: Path) -> None:
    folder = tmp_path / "quickstart"
    shutil.copytree(
        ROOT / "examples/quickstart", folder, ignore=shutil.ignore_patterns("repos", "devstream.state*")
    )
    summary = Quickstart(folder).devstream("run", "--yes").rsplit("Plan:", 1)[1]
    assert "repos/demo/hello.git" in summary
    assert "repos/demo/goodbye.git" in summary
    assert summary.count("passed") == 2
    assert f"State: {folder}/devstream.state" in summary
    assert len(summary.split("Try next:")[1].strip().splitlines()) == 3


def test_the_second_run_changes_nothing_and_says_so(quickstart: Quickstart) -> None:
    before = {path: path.stat().st_mtime_ns for path in quickstart.folder.rglob("*") if path.is_file()}
    assert "No changes" in quickstart.devstream("run", "--yes")
    after = {path: path.stat().st_mtime_ns for path in quickstart.folder.rglob("*") if path.is_file()}
    changed = {path.name for path in after if after.get(path) != before.get(path)}
    assert changed <= {"devstream.state.run"}, "the lease's file says who held it; nothing else is touched"


def test_an_edited_option_is_shown_with_its_line_and_applied_alone(quickstart: Quickstart) -> None:
    quickstart.replace("apps.yaml", "flags: --verbose", "flags: --locals")
    plan = quickstart.devstream("plan")
    assert "discover --verbose" in plan
    assert "discover --locals" in plan
    assert "pipelines.yaml:9" in plan
    assert quickstart.plan() == {"local-ci.hello": "update"}
    quickstart.devstream("run", "--yes")
    text = quickstart.git("--git-dir", "repos/demo/hello.git", "show", "main:.devstream/ci.yaml").stdout
    assert "--locals" in text
    assert quickstart.plan() == {}


@pytest.mark.parametrize("moments", [range(60, 1500, 240)])
def test_kill_9_at_some_moments_and_then_a_run_converges(tmp_path: Path, moments: range) -> None:
    """Moments are milliseconds, so they hit different points on different machines; the numbered sweep is in tests/crash."""
    for number, moment in enumerate(moments):
        folder = tmp_path / str(number) / "quickstart"
        shutil.copytree(
            ROOT / "examples/quickstart", folder, ignore=shutil.ignore_patterns("repos", "devstream.state*")
        )
        command = [sys.executable, "-m", "devstream", "run", "--yes", "-f", folder.name]
        victim = subprocess.Popen(
            command, cwd=folder.parent, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            victim.wait(moment / 1000)
        except subprocess.TimeoutExpired:
            victim.kill()
            victim.wait()
        again = Quickstart(folder)
        again.devstream("run", "--yes")
        assert again.plan() == {}
        for name in ("hello", "goodbye"):
            log = again.git(
                "--git-dir", f"repos/demo/{name}.git", "log", "--format=%s", "main"
            ).stdout.splitlines()
            assert len(log) == 2, f"after {moment} ms: {log}"
