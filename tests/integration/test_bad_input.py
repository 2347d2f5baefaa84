"""Bad input ends well: an exit code, the place, the reason, what would be right, no traceback, and nothing changed.

The mistakes that can be written down are in tests/cases/bad_input, a folder a case. Each is met by `validate`, `plan` and
`run`, for people and as data.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstream.cli.application import Application
from devstream.cli.main import main

CASES = Path(__file__).parents[1] / "cases" / "bad_input"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())

COMMANDS = (("validate",), ("plan",), ("run", "-y"))
SECONDS = 5.0
"""What one command may take at most, on a machine with a lot else to do."""

NOOP = "tools:\n  - name: noop\n    instanceID: a\n"


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


# ---- what can be written down


def lay_out(bench: Bench, case: Path) -> dict[str, Any]:
    """Copy a case's files; what would not compile is kept as ``.txt``. Give what is expected."""
    for path in case.rglob("*"):
        name = str(path.relative_to(case)).removesuffix(".txt")
        if path.is_file() and name != "case.yaml":
            bench.write(path.read_bytes(), name)
    settings: dict[str, Any] = yaml.safe_load((case / "case.yaml").read_text())
    bench.environ |= settings.get("env", {})
    return settings


@pytest.mark.parametrize("name", NAMES)
def test_case(bench: Bench, name: str) -> None:
    settings = lay_out(bench, CASES / name)
    arguments = settings.get("arguments", ())
    before = bench.contents()
    for command in COMMANDS:
        code = settings.get(command[0], 3)
        severity = "error" if code else "warning"
        ended = bench(*command, *arguments)
        assert ended.code == code, ended
        assert (ended.out == "") is (code != 0)
        for expected in settings["errors"]:
            check_text(ended.err, severity, expected)
        machine = bench(*command, *arguments, "-o", "json")
        assert (machine.code, machine.err, machine.data["exit_code"]) == (code, "", code)
        check_data(machine.data["diagnostics"], severity, settings["errors"])
    assert bench.contents() == before


def check_text(text: str, severity: str, expected: dict[str, str]) -> None:
    """Look for one mistake among what people are shown."""
    paragraphs = [" ".join(part.split()) for part in ("\n" + text).split(f"\n{severity.title()}: ")]
    place = f"at {expected['place'].removeprefix('/')} " if "place" in expected else ""
    pieces = [place, *(expected.get(key, "") for key in ("summary", "detail", "suggestion"))]
    assert any(all(piece in told for piece in pieces) for told in paragraphs), (expected, paragraphs)


def check_data(found: list[dict[str, Any]], severity: str, expected: list[dict[str, str]]) -> None:
    """Compare the mistakes with what machines are told: all of them, in order, and no others."""
    assert [item["severity"] for item in found] == [severity] * len(expected), found
    for item, wanted in zip(found, expected, strict=True):
        place = f"{item['file']}:{item['line']}:{item['column']}" if item["file"] else ""
        assert item["code"] == wanted["code"], found
        assert place.removeprefix(str(Path.cwd())) == wanted.get("place", ""), found
        for key in ("summary", "detail", "suggestion"):
            assert wanted.get(key, "") in item[key], found
