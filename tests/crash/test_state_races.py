"""Real processes that run at the same time over one state."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from devstream.builtin.local import make_local
from devstream.state.manager import StateManager

if TYPE_CHECKING:
    from pathlib import Path

RUNS = """
import sys
from pathlib import Path
from devstream.builtin.local import make_local
from devstream.model.state import Put, PutReason
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.testing.backends import tool_state
folder, name, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
manager = StateManager(make_local({}, folder))
for number in range(rounds):
    holder = this_process(f"{name}-{number}", "race")
    with manager.acquire(holder, timeout=60, notice=lambda _: None) as writer:
        assert manager.read().serial == writer.state.serial
        tool = tool_state(f"{name}{number}")
        writer.record(Put(tool.address, tool, PutReason.EDITED))
"""

INCREMENTS = """
import sys
from pathlib import Path
from devstream.builtin.local import make_local
from devstream.errors import StateConflictError
backend = make_local({}, Path(sys.argv[1]))
times = int(sys.argv[3])
while times:
    head = backend.read_head()
    try:
        backend.swap_head(b"%d" % (int(head.data) + 1), head.version)
    except StateConflictError:
        continue
    times -= 1
"""


def race(code: str, folder: Path, names: str, rounds: int) -> None:
    argvs = [[sys.executable, "-c", code, str(folder), name, str(rounds)] for name in names]
    processes = [subprocess.Popen(argv) for argv in argvs]
    assert [process.wait(600) for process in processes] == [0] * len(names)


def race_runs(folder: Path, rounds: int) -> None:
    race(RUNS, folder, "ab", rounds)
    state = StateManager(make_local({}, folder)).read()
    recorded = {address.instance_id for address in state.tools}
    assert recorded == {f"{name}{number}" for name in "ab" for number in range(rounds)}
    assert not state.open_operations


def test_two_runs_take_turns_and_lose_nothing(tmp_path: Path) -> None:
    race_runs(tmp_path, 8)


@pytest.mark.slow
def test_a_thousand_rounds(tmp_path: Path) -> None:
    race_runs(tmp_path, 500)


def race_swaps(folder: Path, times: int) -> None:
    make_local({}, folder).swap_head(b"0", None)
    race(INCREMENTS, folder, "abcd", times)
    head = make_local({}, folder).read_head()
    assert head is not None
    assert int(head.data) == 4 * times


def test_swaps_without_a_lease_lose_nothing(tmp_path: Path) -> None:
    race_swaps(tmp_path, 50)


@pytest.mark.slow
def test_two_thousand_swaps(tmp_path: Path) -> None:
    race_swaps(tmp_path, 500)
