"""Waiting for the lease; who we are; children that hold the lock of their operation."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from devstream.errors import LeaseError, OperationError
from devstream.state.children import operation_lock, wait_for_children
from devstream.state.holder import this_process
from devstream.state.lease import take_lease
from devstream.testing.backends import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from devstream.model.state import LeaseHolder

ME = this_process("me", "devstream run")
OTHER = this_process("other", "devstream plan")


def nobody(holder: LeaseHolder) -> None:
    pytest.fail(f"told about {holder}")


class Time:
    """Time that passes only when somebody sleeps."""

    def __init__(self, *, free_at: float | None = None, free: Callable[[], None] = lambda: None) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []
        self._free_at = free_at
        self._free = free

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.sleeps.append(seconds)
        if self._free_at is not None and self.now >= self._free_at:
            self._free_at = None
            self._free()


class Held:
    """A backend whose lease somebody else has."""

    def __init__(self) -> None:
        self.backend = MemoryBackend()
        self._lease = self.backend.hold_lease(OTHER)
        assert self._lease.__enter__()

    def free(self) -> None:
        self._lease.__exit__(None, None, None)


def test_a_free_lease_is_taken_at_once() -> None:
    backend = MemoryBackend()
    with take_lease(backend, ME, location="here", timeout=0, notice=nobody):
        assert backend.lease_holder() == ME
    assert backend.lease_holder() is None


@pytest.mark.parametrize("timeout", [0.0, 5.0, 90.0])
def test_giving_up_in_time(timeout: float) -> None:
    held = Held()
    time = Time()
    told: list[LeaseHolder] = []
    with pytest.raises(LeaseError, match=r"here is in use by .*devstream plan") as caught:
        take_lease(
            held.backend,
            ME,
            location="here",
            timeout=timeout,
            notice=told.append,
            monotonic=time.monotonic,
            sleep=time.sleep,
        )
    assert timeout <= time.now <= timeout + 0.1
    assert told == ([OTHER] if timeout else [])
    assert caught.value.exit_code == 5
    assert held.backend.lease_holder() == OTHER


def test_waiting_tells_once_and_then_takes() -> None:
    held = Held()
    time = Time(free_at=7.0, free=held.free)
    told: list[tuple[float, LeaseHolder]] = []
    with take_lease(
        held.backend,
        ME,
        location="here",
        timeout=90,
        notice=lambda holder: told.append((time.now, holder)),
        monotonic=time.monotonic,
        sleep=time.sleep,
    ):
        assert held.backend.lease_holder() == ME
    assert told == [(0.0, OTHER)]
    assert 7 <= time.now < 7.5
    assert max(time.sleeps) <= 0.25


def test_a_reader_that_looks_for_a_moment_is_waited_for() -> None:
    held = Held()
    time = Time(free_at=0.02, free=held.free)
    take_lease(
        held.backend,
        ME,
        location="here",
        timeout=0,
        notice=nobody,
        monotonic=time.monotonic,
        sleep=time.sleep,
    ).close()


# -- who we are


def test_this_process() -> None:
    assert ME.pid == os.getpid()
    assert ME.who.endswith(f"@{ME.host}")
    assert ME.host
    assert ME.since.endswith("Z")
    assert len(ME.since) == len("2026-01-01T00:00:00Z")
    assert (ME.run_id, ME.command) == ("me", "devstream run")


@pytest.mark.skipif(sys.platform != "linux", reason="what /proc tells")
def test_what_linux_tells_of_this_process() -> None:
    assert len(ME.boot_id) == 36
    assert ME.pid_namespace.startswith("pid:[")
    assert ME.pid_start > 0
    with subprocess.Popen(["sleep", "60"]) as later:
        from devstream.state.holder import _start_of

        assert _start_of(str(later.pid)) >= ME.pid_start
        later.kill()


# -- children


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(tmp_path), "HOME": "/nonexistent"}


def lock_of(environ: dict[str, str]) -> str:
    return f"{environ['XDG_STATE_HOME']}/devstream/run/lineage/op"


def test_the_lock_is_there_while_held_and_gone_after(environ: dict[str, str]) -> None:
    with operation_lock("lineage", "op", environ) as descriptor:
        assert os.fstat(descriptor).st_mode & 0o777 == 0o600
        assert not os.get_inheritable(descriptor)
        assert wait_for_children("lineage", "op", environ, timeout=0) is not None
    assert not os.path.exists(lock_of(environ))  # noqa: PTH110
    assert wait_for_children("lineage", "op", environ, timeout=0) is None


def test_nothing_to_wait_for(environ: dict[str, str]) -> None:
    assert wait_for_children("never", "was", environ, timeout=0) is None


def test_without_xdg_it_lies_in_the_home(tmp_path: Path) -> None:
    with operation_lock("lineage", "op", {"HOME": str(tmp_path)}):
        assert (tmp_path / ".local/state/devstream/run/lineage/op").exists()


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "devstream").write_bytes(b"")
    with (
        pytest.raises(OperationError, match="set XDG_STATE_HOME"),
        operation_lock("lineage", "op", {"XDG_STATE_HOME": str(tmp_path)}),
    ):
        pytest.fail("not reached")


ENGINE = """
import os, subprocess, sys, threading
from devstream.state.children import operation_lock
with operation_lock("lineage", "op", os.environ) as lock:
    subprocess.Popen(["sh", "-c", sys.argv[1]], pass_fds=[lock], stdin=0)
    print("started", flush=True)
    threading.Event().wait()
"""

ORPHANS = {
    "plain": "read line",
    "grandchild": "exec 9<&0; (sh -c 'read line <&9; true') & wait",
    "in a session of its own": "exec 9<&0; setsid sh -c 'read line <&9; true' &",
}


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: what reads from it lives until the other end is closed."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


@pytest.mark.parametrize("kind", ORPHANS)
def test_children_of_a_killed_engine_are_waited_for(
    kind: str, environ: dict[str, str], pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    with subprocess.Popen(
        [sys.executable, "-c", ENGINE, ORPHANS[kind]],
        stdin=reading,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environ,
    ) as engine:
        os.close(reading)
        assert engine.stdout is not None
        assert engine.stdout.readline() == "started\n"
        engine.send_signal(signal.SIGKILL)
    who = wait_for_children("lineage", "op", environ, timeout=0.2)
    assert who is not None
    assert "pid " in who
    assert "(sh)" in who
    answers: list[str | None] = []
    waiter = threading.Thread(target=lambda: answers.append(wait_for_children("lineage", "op", environ)))
    waiter.start()
    os.close(writing)
    waiter.join(30)
    assert answers == [None]


def test_the_next_attempt_does_not_start_beside_an_orphan(
    environ: dict[str, str], pipe: tuple[int, int]
) -> None:
    reading, writing = pipe
    with operation_lock("lineage", "op", environ) as lock:
        orphan = subprocess.Popen(["sh", "-c", "read line"], stdin=reading, pass_fds=[lock])
    with (
        pytest.raises(OperationError, match=rf"still running: pid {orphan.pid} \(sh\)"),
        operation_lock("lineage", "op", environ),
    ):
        pytest.fail("not reached")
    os.close(writing)
    os.close(reading)
    orphan.wait()
    with operation_lock("lineage", "op", environ):
        pass
