"""Real processes that run at the same time over one state, wherever it lies."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devstream.engine.session import Invocation, Session
from devstream.model.redact import Redactor
from devstream.state.backend import KernelLease
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.unlocking import noted_holder, unlocking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from devstream.state.backend import StateBackend
    from tests.crash.conftest import Place

RACER = Path(__file__).with_name("racer.py")
SEED = 20240607


@pytest.fixture
def folder(place: Place, tmp_path: Path) -> Path:
    place.prepare(tmp_path, f"race-{os.urandom(4).hex()}", tools=[])
    return tmp_path


def backend_in(folder: Path) -> StateBackend:
    invocation = Invocation("test", folder, os.environ)
    return Session(invocation, emit=lambda _: None, redactor=Redactor()).backend


def start(folder: Path, place: Place, name: str, what: str, rounds: int = 0) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(RACER), str(folder), name, what, str(rounds)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **place.environ},
    )


def race(folder: Path, place: Place, names: str, what: str, rounds: int) -> None:
    processes = [start(folder, place, name, what, rounds) for name in names]
    for process in processes:
        process.communicate(timeout=3000)
    assert [process.returncode for process in processes] == [0] * len(names)


def race_runs(folder: Path, place: Place, rounds: int) -> None:
    race(folder, place, "ab", "take turns", rounds)
    state = StateManager(backend_in(folder)).read()
    recorded = {address.instance_id for address in state.tools}
    wanted = {f"{name}{number}" for name in "ab" for number in range(rounds)}
    print(f"{len(wanted)} runs of two processes: {len(wanted - recorded)} records lost")
    assert recorded == wanted
    assert not state.open_operations


def test_two_runs_take_turns_and_lose_nothing(folder: Path, place: Place) -> None:
    race_runs(folder, place, 8)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_thousand_rounds(folder: Path, place: Place) -> None:
    race_runs(folder, place, 500)


def race_swaps(folder: Path, place: Place, times: int) -> None:
    backend_in(folder).swap_head(b"0", None)
    race(folder, place, "abcd", "increment", times)
    head = backend_in(folder).read_head()
    assert head is not None
    print(f"{4 * times} swaps of four processes: {4 * times - int(head.data)} lost")
    assert int(head.data) == 4 * times


def test_swaps_without_a_lease_lose_nothing(folder: Path, place: Place) -> None:
    race_swaps(folder, place, 25)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_two_thousand_swaps(folder: Path, place: Place) -> None:
    race_swaps(folder, place, 500)


# -- holders that are stopped, and whose lease is broken


class Runners:
    """Eight processes, each as if on a machine of its own, that run all the time.

    Attributes:
        broken: the runs whose lease was broken while they were stopped.
    """

    def __init__(self, folder: Path, place: Place) -> None:
        self._backend = backend_in(folder)
        self._choice = random.Random(SEED)
        self.broken: list[str] = []
        self._processes = {name: start(folder, place, name, "be stopped") for name in "abcdefgh"}

    def stop_a_holder(self, *, by_force: bool) -> None:
        """Stop whoever holds the lease, let another one take it, and let the first one go on."""
        while True:
            run_id = self._wait_for(bool)
            time.sleep(self._choice.random() * 0.01)  # not to synchronise: to stop it anywhere
            process = self._processes[run_id.partition("-")[0]]
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED)
            if self._holder() == run_id:
                break
            process.send_signal(signal.SIGCONT)  # it had just ended
        if by_force:
            self._break(run_id)
        self._wait_for(lambda now: bool(now) and now != run_id)
        process.send_signal(signal.SIGCONT)
        self.broken.append(run_id)

    def _holder(self) -> str:
        holder = noted_holder(self._backend)
        return holder.run_id if holder else ""

    def _wait_for(self, fits: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + 60
        while not fits(now := self._holder()):
            assert time.monotonic() < deadline, "nobody takes the lease"
            time.sleep(0.002)
        return now

    def _break(self, run_id: str) -> None:
        StateManager(self._backend).edit(
            unlocking(run_id),
            this_process("breaker", "devstream state unlock"),
            timeout=0,
            notice=lambda _: None,
            approve=lambda _: None,
            breaking=True,
        )

    def end(self) -> dict[str, set[str]]:
        """Let all of them come to their end; give what they told."""
        told: dict[str, set[str]] = {"recorded": set(), "refused": set(), "ended": set()}
        for process in self._processes.values():
            out, _ = process.communicate(timeout=300)
            assert process.returncode == 0
            for line in out.splitlines():
                word, what = line.split()
                told[word].add(what)
        return told

    def kill(self) -> None:
        for process in self._processes.values():
            with suppress(ProcessLookupError):
                process.kill()
            process.communicate()


@pytest.fixture
def runners(folder: Path, place: Place) -> Iterator[Runners]:
    if isinstance(backend_in(folder), KernelLease):
        pytest.skip("nobody can take the kernel's lease from a process that is stopped")
    made = Runners(folder, place)
    yield made
    made.kill()


def stop_holders(runners: Runners, folder: Path, rounds: int) -> None:
    for number in range(rounds):
        runners.stop_a_holder(by_force=number % 4 != 0)
    told = runners.end()
    state = StateManager(backend_in(folder)).read()
    recorded = {address.instance_id for address in state.tools}
    print(
        f"{rounds} leases taken from stopped holders; {len(told['ended'])} runs ended, {len(told['refused'])} refused; "
        f"{len(told['recorded'])} records acknowledged, {len(told['recorded'] - recorded)} lost, "
        f"{len(recorded - told['recorded'])} stored but not acknowledged"
    )
    assert len(runners.broken) == rounds
    assert set(runners.broken) <= told["refused"]
    assert recorded == told["recorded"]


def test_stopped_holders_are_refused(runners: Runners, folder: Path, place: Place) -> None:
    stop_holders(runners, folder, 4 if place.is_in_folder else 1)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_two_hundred_stopped_holders_are_refused(runners: Runners, folder: Path) -> None:
    stop_holders(runners, folder, 200)
