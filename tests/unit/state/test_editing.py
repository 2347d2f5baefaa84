"""An edit is one swap under the lease, recorded as a run, or nothing at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.errors import DeclinedError, LeaseError, SwapRefused, UsageError
from devstream.model.address import Address
from devstream.model.plan import Outcome
from devstream.model.state import RunRecord
from devstream.state.editing import Proposal, current, on_state
from devstream.state.edits import forget, rename
from devstream.state.holder import Condition, condition_of, this_process
from devstream.state.orphans import clearing
from devstream.testing.crash import BreakableBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.state.backend import StateBackend


def moved(old: str, new: str) -> Any:
    return on_state(lambda state: rename(state, old, new))


def test_an_edit_is_one_swap_and_is_recorded(recorded: Any) -> None:
    before = recorded.run(a=1, b=2)
    proposal = recorded.edit(moved("noop.a", "noop.c"), command="devstream state mv")
    assert proposal.writes
    assert recorded.marks == {"c": 1, "b": 2}
    assert recorded.state.serial == before + 1
    run = recorded.state.last_run
    assert (run.command, run.run_id) == ("devstream state mv", "edit")
    assert recorded.backend.lease_holder() is None


def test_nothing_to_record_writes_nothing(recorded: Any) -> None:
    recorded.run(a=1)
    head = recorded.backend.read_head()
    assert not recorded.edit(on_state(lambda _: [])).writes
    assert recorded.backend.read_head() == head


def test_declined_writes_nothing(recorded: Any) -> None:
    recorded.run(a=1)
    head, blobs = recorded.backend.read_head(), recorded.blobs
    with pytest.raises(DeclinedError):
        recorded.edit(moved("noop.a", "noop.c"), approved=False)
    assert (recorded.backend.read_head(), recorded.blobs) == (head, blobs)
    assert recorded.backend.lease_holder() is None


def test_where_there_is_no_state_none_is_made(recorded: Any) -> None:
    with pytest.raises(UsageError):
        recorded.edit(moved("noop.a", "noop.c"))
    assert recorded.backend.read_head() is None


def test_the_lease_is_taken(recorded: Any) -> None:
    recorded.run(a=1)
    with (
        recorded.manager.acquire(this_process("other", "devstream run"), timeout=1, notice=lambda _: None),
        pytest.raises(LeaseError, match="in use by"),
    ):
        recorded.manager.edit(
            moved("noop.a", "noop.c"),
            this_process("edit", "x"),
            timeout=0,
            notice=lambda _: None,
            approve=lambda _: None,
        )
    assert recorded.marks == {"a": 1}


def test_what_cannot_be_stored_changes_nothing(recorded: Any) -> None:
    recorded.run(a=1)
    backend = BreakableBackend(recorded.backend)
    backend.broken = True
    recorded.backend = backend
    with pytest.raises(SwapRefused, match="the disk is full"):
        recorded.edit(moved("noop.a", "noop.c"))
    assert recorded.marks == {"a": 1}
    assert not list(recorded.path.parent.glob("*rescue*"))


def test_what_failed_last_stays_to_be_tried_again(recorded: Any) -> None:
    failed = {Address("noop", name): Outcome.FAILED for name in "abc"}
    recorded.run(a=1, b=1, c=1)
    recorded.edit(on_state(lambda _: [RunRecord("r", "devstream run", "then", "now", failed)]))
    recorded.edit(moved("noop.a", "noop.z"))
    recorded.edit(on_state(lambda state: forget(state, ["noop.b"])))
    assert recorded.state.last_run.not_succeeded == {
        Address("noop", "c"): Outcome.FAILED,
        Address("noop", "z"): Outcome.FAILED,
    }


def test_orphans_are_cleared_and_nothing_else(recorded: Any) -> None:
    for number in range(3):
        recorded.run(a=number)
    needed = recorded.blobs
    for name in ("snapshot-00000001-00ff", "segment-00000002-ff", "dtm-original", "damaged-1"):
        recorded.backend.put_blob(name, b"{}")
    proposal = recorded.edit(clearing)
    assert set(proposal.unneeded) == {"snapshot-00000001-00ff", "segment-00000002-ff"}
    assert needed | {"dtm-original", "damaged-1"} < recorded.blobs
    assert not recorded.blobs & set(proposal.unneeded)
    assert not recorded.edit(clearing).writes
    assert recorded.marks == {"a": 2}


def test_garbage_is_cleared(recorded: Any) -> None:
    for number in range(14):
        recorded.run(a=number)
    kept = len(recorded.blobs)
    assert len(recorded.edit(clearing).unneeded) == 1
    assert len(recorded.blobs) <= kept
    assert recorded.marks == {"a": 13}


def test_note_of_a_crashed_holder_can_be_cleared(recorded: Any) -> None:
    recorded.run(a=1)

    def clear(backend: StateBackend) -> Proposal:
        loaded = current(backend)
        return Proposal(loaded, rewrites=loaded.document.lease is not None)

    assert not recorded.edit(clear).writes


def test_condition_of_a_holder() -> None:
    holder = this_process("run", "x")
    assert condition_of(holder) is Condition.RUNNING
    with subprocess.Popen(["sleep", "60"]) as process:
        from devstream.record import replace

        start = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
        other = replace(holder, pid=process.pid, pid_start=start)
        assert condition_of(other) is Condition.RUNNING
        assert condition_of(replace(other, pid_start=1)) is Condition.GONE
        assert condition_of(replace(other, boot_id="elsewhere")) is Condition.ELSEWHERE
        process.send_signal(19)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert condition_of(other) is Condition.STOPPED
        process.kill()
    assert condition_of(other) is Condition.GONE


# -- kill -9 in the middle


class Worker:
    """A process that carries edits out in children, and kills them."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    argv = [sys.executable, str(Path(__file__).with_name("crash_worker.py"))]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield Worker(process)
        assert process.stdin is not None
        process.stdin.close()


DTM = "noop_a:\n  name: noop\n  instanceID: a\n  dependsOn: []\n  options:\n    n: 7\n  resourceStatus: {}\n"


@pytest.mark.parametrize("edit", ["mv", "restore", "restore damaged", "import", "gc"])
def test_a_crash_leaves_the_old_state_or_the_new_one(recorded: Any, worker: Worker, edit: str) -> None:
    seen = set()
    for point in count(1):
        folder = recorded.path.parent / f"{point}"
        folder.mkdir()
        case = type(recorded)(folder)
        wanted = prepare(case, edit)
        before = case.path.read_bytes()
        answer = worker(folder=str(folder), edit=edit.partition(" ")[0], at=point)
        assert answer.get("error", "") == ""
        if case.path.read_bytes() == before:
            seen.add("old")
            assert worker(folder=str(folder), edit=edit.partition(" ")[0], at=0) == {"error": ""}
        else:
            seen.add("new")
        assert case.marks == wanted
        if "killed" not in answer:
            break
    assert point > 8
    assert seen == {"old", "new"}


def prepare(case: Any, edit: str) -> dict[str, int]:
    """Write what is there before; give the marks that there are afterwards."""
    if edit == "import":
        case.path.write_text(DTM)
        return {"a": 7}
    serial = case.run(a=1, b=2)
    case.run(a=5, b=None)
    assert serial == 3
    if edit == "restore damaged":
        case.path.write_bytes(case.path.read_bytes()[:600])
    case.backend.put_blob("segment-00000099-ff", b"{}")
    return {"mv": {"z": 5}, "gc": {"a": 5}}.get(edit, {"a": 1, "b": 2})
