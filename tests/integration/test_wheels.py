"""What a stranger gets: wheels of everything, in a fresh environment, away from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = shutil.ignore_patterns("repos", "devstream.state*")


def call(*argv: str | Path, cwd: Path, status: int = 0) -> str:
    environ = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "VIRTUAL", "COVERAGE"))
    }
    done = subprocess.run(
        [str(word) for word in argv], cwd=cwd, capture_output=True, text=True, env=environ, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheels and install them; gives the environment's folder of programs."""
    folder = tmp_path_factory.mktemp("installed")
    distributions = [ROOT, *sorted((ROOT / "contrib_plugins").iterdir())]
    call(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder / "wheels",
        *[path for path in distributions if (path / "pyproject.toml").exists()], cwd=folder,
    )  # fmt: skip
    call(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    programs = folder / "venv/bin"
    call(
        programs / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        *sorted((folder / "wheels").glob("*.whl")),
        cwd=folder,
    )
    return programs


@pytest.mark.timeout(600)
def test_the_quickstart_runs_from_installed_wheels(environment: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples/quickstart", tmp_path / "quickstart", ignore=GENERATED)
    devstream = environment / "devstream"
    call(devstream, "run", "--yes", "-f", "quickstart", cwd=tmp_path)
    plan = json.loads(
        call(devstream, "plan", "-f", "quickstart", "-o", "json", "--detailed-exitcode", cwd=tmp_path)
    )
    assert {change["action"] for change in plan["changes"]} == {"noop"}
    repos = sorted(path.name for path in (tmp_path / "quickstart/repos/demo").iterdir())
    assert repos == ["goodbye.git", "hello.git"]


def test_both_names_and_the_plugins_are_there(environment: Path, tmp_path: Path) -> None:
    assert call(environment / "dtm", "--version", cwd=tmp_path) == call(
        environment / "devstream", "--version", cwd=tmp_path
    )
    listed = call(environment / "devstream", "list", "plugins", cwd=tmp_path)
    assert all(
        name in listed for name in ("noop", "file", "command", "repo-scaffolding", "local-ci", "gitlab-ci")
    )
    assert "devstream-plugin-scm" in listed


def test_nothing_of_the_checkout_is_needed(environment: Path, tmp_path: Path) -> None:
    where = call(environment / "python", "-c", "import devstream; print(devstream.__file__)", cwd=tmp_path)
    assert str(ROOT) not in where
