"""What the integration tests share: a project in this process, and a folder in which commands are run as people do."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from devstream.cli.application import Application
from devstream.cli.main import main
from devstream.testing.project import project

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["project"]

SECONDS = 5.0
"""What one command may take at most, on a machine with a lot else to do."""


@dataclass(frozen=True)
class Ended:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


class Bench:
    """A folder with some input, and commands in it."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "project"
        self.home = root / "home"
        self.folder.mkdir()
        self.home.mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "COLUMNS": "100",
            "LANG": "C.UTF-8",
        }

    def write(self, data: bytes | str, name: str = "devstream.yaml") -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)

    def __call__(self, *argv: str) -> Ended:
        """Run a command in this process."""
        out, err = io.StringIO(), io.StringIO()
        app = Application(argv, environ=self.environ, stdin=io.StringIO(), stdout=out, stderr=err)
        began = time.monotonic()
        code = main(app)
        assert time.monotonic() - began < SECONDS
        return self._ended(Ended(code, out.getvalue(), err.getvalue()))

    def process(self, *argv: str) -> Ended:
        """Run a command as people do."""
        done = subprocess.run(
            [sys.executable, "-m", "devstream", *argv], cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return self._ended(Ended(done.returncode, done.stdout, done.stderr))

    def _ended(self, ended: Ended) -> Ended:
        assert "Traceback" not in ended.out + ended.err
        assert list(self.home.rglob("crash-*")) == [], ended.err
        return ended

    def contents(self) -> dict[str, str]:
        """Tell everything in the folder: names, bytes, modes and times."""
        return {str(path): _told(path) for path in sorted(self.folder.rglob("*"))}


def _told(path: Path) -> str:
    about = path.lstat()
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
    return f"{about.st_mode:o} {about.st_mtime_ns} {digest}"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = Bench(tmp_path)
    monkeypatch.chdir(made.folder)
    return made
