"""Locks between real processes: who holds the state, and what others are told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOLD = """
import sys
from devstream.builtin.local import LocalBackend
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from pathlib import Path

with StateManager(LocalBackend(Path("devstream.state"))).acquire(
    this_process("run-1", "devstream run"), timeout=5, notice=print
):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(project: Any) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the state."""
    project.write("tools:\n- {name: noop, instanceID: a}\n")
    project("run", "-y")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=project.folder,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_unlock_names_the_process_that_holds_the_state(project: Any, holder: subprocess.Popen[str]) -> None:
    told = project("state", "unlock")
    assert (told.code, told.out) == (5, "")
    assert f"pid {holder.pid}" in told.err
    assert f"kill {holder.pid}" in told.err
    assert "The kernel gives the lease back" in told.err
    forced = project("state", "unlock", "--force", "-y", "-o", "json")
    assert (forced.code, forced.data["diagnostics"][-1]["code"]) == (5, "lease")
    assert holder.poll() is None


def test_unlock_of_a_stopped_process_says_how_it_goes_on(project: Any, holder: subprocess.Popen[str]) -> None:
    holder.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, holder.pid, os.WSTOPPED | os.WNOWAIT)
    assert f"kill -CONT {holder.pid}" in project("state", "unlock").err


def test_unlock_once_the_holder_is_dead(project: Any, holder: subprocess.Popen[str]) -> None:
    holder.kill()
    holder.wait()
    assert "there is nothing to unlock" in project("state", "unlock").out


@pytest.mark.parametrize("argv", [("mv", "noop.a", "noop.b"), ("rm", "noop.a"), ("restore", "1")])
def test_edits_wait_their_turn(project: Any, holder: subprocess.Popen[str], argv: tuple[str, ...]) -> None:
    before = (project.folder / "devstream.state").read_bytes()
    ended = project("state", *argv, "-y", "--lock-timeout", "0")
    assert ended.code == 5
    assert f"pid {holder.pid}" in ended.err
    assert "devstream state unlock" in ended.err
    assert (project.folder / "devstream.state").read_bytes() == before
    assert project("state", "list").code == 0


def test_two_edits_at_once_both_take_place(project: Any, tmp_path: Path) -> None:
    project.write("tools:\n" + "".join(f"- {{name: noop, instanceID: t{n}}}\n" for n in range(6)))
    project("run", "-y")
    command = [sys.executable, "-m", "devstream", "state", "rm", "-y"]
    edits = [
        subprocess.Popen(
            [*command, f"noop.t{n}"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for n in range(4)
    ]
    for edit in edits:
        _, errors = edit.communicate(timeout=60)
        assert edit.returncode == 0, errors
    assert sorted(project("state", "list", "-o", "json").data["tools"]) == ["noop.t4", "noop.t5"]
    assert project("state", "history", "--verify").code == 0
