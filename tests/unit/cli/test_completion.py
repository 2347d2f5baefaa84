"""Completion in shells: the scripts, and what the program answers them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import Any

import pytest

CONFIG = """\
tools:
  - {name: noop, instanceID: one, tags: [core]}
  - {name: noop, instanceID: two}
"""
PLUGIN = "open('loaded', 'w').close()\n"


APPS = """\
apps:
  - name: shop
    tags: [web]
    spec: {language: go}
    repo: {owner: acme, scmType: local}
"""


@pytest.fixture
def made(project: Any) -> Any:
    project.write(CONFIG)
    assert project("run", "-y").code == 0
    return project


def offered(project: Any, line: str, shell: str = "bash") -> list[str]:
    """Ask as the shell's script does, with the cursor at the end of the line."""
    number = len(line.split()) - (not line.endswith(" "))
    asked = {"COMP_WORDS": line, "COMP_CWORD": str(number), "_DEVSTREAM_COMPLETE": f"{shell}_complete"}
    done = subprocess.run(
        [sys.executable, "-m", "devstream"],
        env={**project.environ, **asked},
        cwd=project.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stderr == ""
    return [line.rpartition(",")[2] for line in done.stdout.splitlines() if line]


LINES = [
    # the line so far, what is offered
    ("devstream ver", ["verify", "version"]),
    ("dtm des", ["destroy"]),
    ("devstream show sta", ["state", "status"]),
    ("devstream destroy --st", ["--state", "--state-key-file"]),
    ("devstream show status ", ["noop.one", "noop.two"]),
    ("devstream show state noop.t", ["noop.two"]),
    ("devstream show outputs noop.o", ["noop.one"]),
    ("devstream show status nothing", []),
    ("devstream completion ", ["bash", "zsh", "fish"]),
    ("devstream plan -o j", ["json"]),
    ("devstream show status --state nowhere ", []),
    ("devstream show status --state devstream.state noop.o", ["noop.one"]),
    ("devstream run --target ", ["app:shop", "noop.one", "noop.two", "tag:core", "tag:web"]),
    ("devstream plan --exclude tag:", ["tag:core", "tag:web"]),
    ("devstream delete --tags w", ["web"]),
    ("devstream destroy --state devstream.state --target ", ["noop.one", "noop.two", "tag:core"]),
]


@pytest.mark.parametrize(("line", "expected"), LINES)
def test_what_is_offered(made: Any, line: str, expected: list[str]) -> None:
    made.write(CONFIG + APPS)  # not run yet
    assert offered(made, line) == expected


def test_no_plugin_is_loaded_for_it(made: Any) -> None:
    made.write(PLUGIN, "devstream_plugins.py")
    assert offered(made, "devstream show status -p nope noop.o") == ["noop.one"]
    assert not (made.folder / "loaded").exists()


def test_a_config_that_is_wrong_offers_nothing(made: Any) -> None:
    made.write("tools: [")
    assert offered(made, "devstream show status ") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_scripts_serve_both_names(project: Any, shell: str) -> None:
    ended = project("completion", shell)
    assert ended.code == 0
    if shell == "zsh":
        assert ended.out.startswith("#compdef devstream dtm\n")
        assert "    compdef _devstream_completion devstream dtm\n" in ended.out
    else:
        assert "_devstream_completion" in ended.out
        assert "_dtm_completion" in ended.out
    assert f"_DEVSTREAM_COMPLETE={shell}_complete" in ended.out
    assert project("completion", shell, "-o", "json").data["script"] in ended.out + "\n"


def test_a_shell_we_do_not_know(project: Any) -> None:
    ended = project("completion", "tcsh")
    assert ended.code == 3
    assert "bash" in ended.err


@pytest.mark.parametrize("program", ["devstream", "dtm"])
def test_in_a_real_bash(made: Any, program: str) -> None:
    bash = shutil.which("bash")
    assert bash
    wrapper = made.write(f'#!/bin/sh\nexec {sys.executable} -m devstream "$@"\n', f"bin/{program}")
    wrapper.chmod(0o755)
    script = f"""
        eval "$({program} completion bash)"
        COMP_WORDS=({program} show status noop.t) COMP_CWORD=3
        _{program}_completion {program} noop.t status
        echo "${{COMPREPLY[@]}}"
        complete -p {program}
    """
    done = subprocess.run(
        [bash, "-c", script],
        env={**made.environ, "PATH": f"{wrapper.parent}:{os.environ['PATH']}"},
        cwd=made.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines()[0] == "noop.two"
    assert done.stdout.splitlines()[1].endswith(f"-F _{program}_completion {program}")
