"""What a plain plan imports: time is lost here first, and by imports only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED = Path(__file__).with_name("plan_imports.txt")

# each of these costs more than a plan of ten tools may spend
HEAVY = {
    "asyncio", "concurrent.futures", "email", "http.client", "importlib.metadata", "logging", "socket", "ssl", "subprocess",
    "tempfile", "unittest", "urllib.request", "zipfile",
}  # fmt: skip


def imported(folder: Path, *arguments: str) -> set[str]:
    environ = {**os.environ, "PYTHONPROFILEIMPORTTIME": "1"}
    environ.pop("COVERAGE_PROCESS_START", None)
    done = subprocess.run(
        [sys.executable, "-m", "devstream", *arguments],
        capture_output=True, text=True, cwd=folder, env=environ, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {
        line.rsplit("|", 1)[1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")
    }


@pytest.fixture
def ten_tools(tmp_path: Path) -> Path:
    """Ten tools of noop, recorded, so that the plan finds nothing to do."""
    tool = "  - name: noop\n    instanceID: t{0}\n    options: {{input: [[ who ]]-{0}}}\n"
    text = "vars:\n  who: me\ntools:\n" + "".join(tool.format(number) for number in range(10))
    (tmp_path / "devstream.yaml").write_text(text)
    imported(tmp_path, "run", "--yes")
    return tmp_path


def test_a_plan_of_ten_tools_imports_what_is_on_the_list_and_nothing_else(ten_tools: Path) -> None:
    """The list holds our modules and other people's packages; add to it knowingly."""
    names = {
        name if name.startswith("devstream") else name.partition(".")[0]
        for name in imported(ten_tools, "plan") - imported(ten_tools, "--version")
    }
    known = {*sys.stdlib_module_names, "org"}  # the copy module looks for a class of Jython there
    ours = {name for name in names if name not in known and not name.startswith("_")}
    assert sorted(ours) == ALLOWED.read_text().split()


def test_a_plan_of_ten_tools_imports_nothing_heavy(ten_tools: Path) -> None:
    baseline = imported(ten_tools, "--version")
    assert not (imported(ten_tools, "plan") - baseline) & HEAVY


def test_the_version_costs_next_to_nothing(ten_tools: Path) -> None:
    names = {name.partition(".")[0] for name in imported(ten_tools, "--version")}
    assert not names & {"click", "yaml", "pluggy", "msgspec"}
