"""kill -9 at every point of ``rotate-key`` and of ``migrate-backend``: there is one state, whole, and doing it again finishes it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.builtin.local import LocalBackend
from devstream.errors import DevstreamError, StateError
from devstream.model.state import Put, PutReason
from devstream.state.backend import KernelLease
from devstream.state.history import read_history
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.reading import load
from devstream.state.sealed_backend import SealedBackend, sealed
from devstream.testing.backends import tool_state
from devstream.testing.keys import keyring

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNS = 4
ASIDE = "dtm-original"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    command = [sys.executable, str(Path(__file__).with_name("mover.py"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Worker(process)
        assert process.stdin is not None
        process.stdin.close()


class Worker:
    """Orders the mover about."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order, default=str) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


def client(path: Path, *names: str) -> SealedBackend:
    return sealed(LocalBackend(path), keyring(*names))


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state with segments, a large snapshot, a history and a part that was put aside, under the key "old"."""
    folder = tmp_path_factory.mktemp("recorded")
    backend = client(folder / "a.state", "old")
    for run in range(RUNS):
        holder = this_process(f"run-{run}", "devstream run")
        with StateManager(backend).acquire(holder, timeout=5, notice=lambda _: None) as writer:
            for number in range(2):
                tool = tool_state(f"t{run}-{number}", text="x" * 20_000)
                writer.record(Put(tool.address, tool, PutReason.BOOKKEEPING))
                writer.flush()
    backend.put_blob(ASIDE, b"what the original had written")
    assert isinstance(backend, KernelLease)
    return folder


def whole(backend: SealedBackend) -> list[str]:
    """Read everything there is: entries, history, trail."""
    state = StateManager(backend).read()
    points, problems = read_history(backend)
    assert problems == []
    assert all(not point.problem for point in points)
    assert len(points) >= 2
    assert backend.get_blob(ASIDE) == b"what the original had written" or any(
        name.startswith(ASIDE) for name in backend.list_blobs()
    )
    return sorted(map(str, state.tools))


def points_to_kill_at(total: int, sample: int) -> list[int]:
    return [*range(1, total + 1, sample)]


SAMPLES = [4, pytest.param(1, marks=pytest.mark.slow)]


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_key_is_rotated_whatever_interrupts_it(
    worker: Worker, recorded: Path, tmp_path: Path, sample: int
) -> None:
    wanted = whole(client(recorded / "a.state", "old"))
    total = _count(worker, recorded, tmp_path, what="rotate", keys=["new", "old"])
    kills = 0
    for kill_at in points_to_kill_at(total, sample):
        folder = _copied(recorded, tmp_path / str(kill_at))
        path = folder / "a.state"
        kills += _killed(worker(what="rotate", path=path, keys=["new", "old"], kill_at=kill_at))
        assert whole(client(path, "new", "old")) == wanted, kill_at
        assert worker(what="rotate", path=path, keys=["new", "old"], kill_at=0)["code"] == 0
        assert whole(client(path, "new")) == wanted, "the old key is needed no more"
        for name in client(path, "new").list_blobs():
            if name.startswith(ASIDE):
                assert client(path, "new").get_blob(name) == b"what the original had written"
    print(f"rotate-key: {kills} kills at {total} points, 0 states lost")
    assert kills


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_state_moves_whatever_interrupts_it(
    worker: Worker, recorded: Path, tmp_path: Path, sample: int
) -> None:
    wanted = whole(client(recorded / "a.state", "old"))
    total = _count(worker, recorded, tmp_path, what="move", keys=["old"])
    seen: Counter[str] = Counter()
    for kill_at in points_to_kill_at(total, sample):
        folder = _copied(recorded, tmp_path / str(kill_at))
        order = {
            "what": "move",
            "path": folder / "a.state",
            "target": folder / "b" / "b.state",
            "keys": ["old"],
        }
        assert _killed(worker(**order, kill_at=kill_at))
        seen[_usable(folder, wanted)] += 1
        assert worker(**order, kill_at=0)["code"] == 0
        assert _usable(folder, wanted) == "new"
        assert whole(client(folder / "b" / "b.state", "old")) == wanted
    print(f"migrate-backend: {sum(seen.values())} kills at {total} points, the state was at: {dict(seen)}")
    assert set(seen) <= {"old", "new", "neither: each says how to finish"}
    assert seen["old"]


def _usable(folder: Path, wanted: list[str]) -> str:
    """Say which of the two places is the state; never both."""
    places = {"old": folder / "a.state", "new": folder / "b" / "b.state"}
    found, said = [], ""
    for name, path in places.items():
        backend = client(path, "old")
        try:
            if load(backend) is None:
                continue
        except StateError as error:
            said += str(error)
            continue
        assert whole(backend) == wanted
        found.append(name)
    assert len(found) <= 1, "there are two states"
    if found:
        return found[0]
    assert "devstream state migrate-backend" in said
    return "neither: each says how to finish"


def _count(worker: Worker, recorded: Path, tmp_path: Path, **order: Any) -> int:
    folder = _copied(recorded, tmp_path / "count")
    target = folder / "b" / "b.state"
    answer = worker(path=folder / "a.state", target=target, kill_at=0, **order)
    assert answer["code"] == 0
    return int(answer["passed"])


def _copied(recorded: Path, folder: Path) -> Path:
    shutil.copytree(recorded, folder)
    return folder


def _killed(answer: dict[str, Any]) -> bool:
    return bool(answer["code"] == signal.SIGKILL)


def test_a_move_back_and_forth(worker: Worker, recorded: Path, tmp_path: Path) -> None:
    folder = _copied(recorded, tmp_path / "x")
    first, second = folder / "a.state", folder / "b.state"
    wanted = whole(client(first, "old"))
    for source, target in [(first, second), (second, first)] * 2:
        assert worker(what="move", path=source, target=target, keys=["old"], kill_at=0)["code"] == 0
        assert whole(client(target, "old")) == wanted
        with pytest.raises(DevstreamError, match="was moved to"):
            load(client(source, "old"))
