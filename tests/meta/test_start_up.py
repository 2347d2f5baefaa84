"""What a plain plan imports: time is lost here first, and by imports only."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

# each of these costs more than a plan of ten tools may spend
HEAVY = {
    "asyncio", "boto3", "concurrent.futures", "email", "http.client", "httpx", "importlib.metadata", "jinja2",
    "logging", "paramiko", "requests", "rich", "socket", "ssl", "tabulate", "tempfile", "unittest", "urllib.request", "zipfile",
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
    tool = "  - name: noop\n    instanceID: t{0}\n    options: {{input: [[ who ]]-{0}}}\n"
    text = "vars:\n  who: me\ntools:\n" + "".join(tool.format(number) for number in range(10))
    (tmp_path / "devstream.yaml").write_text(text)
    return tmp_path


def test_a_plan_of_ten_tools_imports_nothing_heavy(ten_tools: Path) -> None:
    baseline = imported(ten_tools, "--version")
    assert not (imported(ten_tools, "plan") - baseline) & HEAVY


def test_the_version_costs_next_to_nothing(ten_tools: Path) -> None:
    assert not [
        name
        for name in imported(ten_tools, "--version")
        if name.split(".")[0] in ("click", "yaml", "pluggy", "msgspec")
    ]
