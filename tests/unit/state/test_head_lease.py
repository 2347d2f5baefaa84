"""The lease that lives in the head: taken, renewed, given back, waited for, judged, broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.errors import (
    DevstreamError,
    LeaseError,
    Refusal,
    StateConflictError,
    StateDamagedError,
    SwapRefused,
)
from devstream.model.plan import Action, Outcome
from devstream.model.state import Begin, End, Put, PutReason, RunRecord
from devstream.record import replace
from devstream.state import head_lease, journal
from devstream.state.editing import Proposal, current, on_state
from devstream.state.edits import rename
from devstream.state.head import HeadDocument, Snapshot, encode_head, next_head
from devstream.state.head_lease import HeadLeases, Lease, Terms, Verdict, Watch, lease_in
from devstream.state.holder import this_process
from devstream.state.lease import live_holder
from devstream.state.manager import StateManager
from devstream.state.reading import decode_head
from devstream.state.swap import Swapper
from devstream.testing.backends import SharedMemoryBackend, tool_state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from devstream.model.state import LeaseHolder
    from devstream.state.backend import StateBackend
    from devstream.state.session import StateWriter

ME = this_process("me", "devstream run")
ELSEWHERE = replace(ME, run_id="other", host="box", boot_id="another boot", who="ann@box")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what /proc tells of a process")


class Time:
    """Time that passes only when somebody sleeps; something may happen meanwhile."""

    def __init__(self, happens: dict[float, Callable[[], object]] | None = None) -> None:
        self.now = 0.0
        self._happens = dict(happens or {})

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds
        for at in [at for at in self._happens if at <= self.now]:
            self._happens.pop(at)()


def document(backend: StateBackend) -> HeadDocument:
    head = backend.read_head()
    assert head is not None
    return decode_head(head.data, "here")


def leases(
    backend: StateBackend,
    time: Time | None = None,
    *,
    timeout: float = 0.0,
    notice: Callable[[LeaseHolder], None] = lambda _: None,
) -> HeadLeases:
    time = time or Time()
    return HeadLeases(
        backend,
        swapper=Swapper(backend),
        terms=Terms(),
        timeout=timeout,
        notice=notice,
        monotonic=time.monotonic,
        sleep=time.sleep,
    )


def first() -> HeadDocument:
    return next_head(
        HeadDocument(lineage="line", serial=0, write_id="0", hmac_key="00", snapshot=SNAPSHOT, recent=()),
        None,
    )


SNAPSHOT = Snapshot(serial=1, state={"tools": {}})


@pytest.fixture
def backend() -> SharedMemoryBackend:
    return SharedMemoryBackend()


@pytest.fixture
def held(backend: SharedMemoryBackend) -> SharedMemoryBackend:
    """A state whose lease somebody on another machine has."""
    leases(backend).take(ELSEWHERE, first)
    return backend


def beat(backend: StateBackend) -> None:
    """Let the holder show a sign of life."""
    head = backend.read_head()
    assert head is not None
    now = decode_head(head.data, "here")
    lease = lease_in(now)
    assert lease is not None
    new = next_head(now, head_lease.written(lease.holder, now.serial + 1, lease.ttl))
    backend.swap_head(encode_head(new), head.version)


# -- taking


def test_where_there_is_no_state_the_first_head_holds_the_lease(backend: SharedMemoryBackend) -> None:
    taken = leases(backend).take(ME, first)
    assert backend.store.swaps == 1
    assert taken.verdict is Verdict.FREE
    assert lease_in(document(backend)) == Lease(ME, 1, 60.0)


def test_taking_and_giving_back_are_one_swap_each(backend: SharedMemoryBackend) -> None:
    StateManager(backend).acquire(ME, timeout=0, notice=print).close()
    before = document(backend)
    taken = leases(backend).take(ELSEWHERE, first)
    assert (taken.document.serial, backend.store.swaps) == (before.serial + 1, 3)
    leases(backend).give_back(taken)
    after = document(backend)
    assert (after.lease, after.serial, backend.store.swaps) == (None, before.serial + 2, 4)
    assert after.snapshot == before.snapshot


def test_of_many_who_want_it_one_gets_it(backend: SharedMemoryBackend) -> None:
    start = threading.Barrier(6)
    got: list[str] = []

    def want(name: str) -> None:
        start.wait()
        try:
            leases(backend).take(replace(ELSEWHERE, run_id=name), first)
        except LeaseError:
            return
        got.append(name)

    threads = [threading.Thread(target=want, args=(f"run-{number}",)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lease = lease_in(document(backend))
    assert lease is not None
    assert got == [lease.holder.run_id]


# -- judging


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def start_of(pid: int) -> int:
    with open(f"/proc/{pid}/stat") as file:  # noqa: PTH123
        return int(file.read().rpartition(")")[2].split()[19])


def of_process(pid: int) -> LeaseHolder:
    return replace(ME, run_id="other", pid=pid, pid_start=start_of(pid))


LONG_AFTER = 10_000.0


def judged(holder: LeaseHolder) -> tuple[Verdict, Verdict]:
    """Judge at once, and long after without a beat."""
    time = Time()
    watch = Watch(10.0, time.monotonic)
    lease = Lease(holder, 1, 60.0)
    at_once = watch.judge(lease)
    time.now = LONG_AFTER
    return at_once, watch.judge(lease)


def test_a_process_that_runs_holds_it_whatever_its_beat(sleeper: subprocess.Popen[bytes]) -> None:
    assert judged(of_process(sleeper.pid)) == (Verdict.HELD, Verdict.HELD)


def test_a_process_that_is_stopped_holds_it_until_it_is_unlocked(sleeper: subprocess.Popen[bytes]) -> None:
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    assert judged(of_process(sleeper.pid)) == (Verdict.HELD, Verdict.HELD)


def test_a_process_that_is_gone_has_lost_it_at_once(sleeper: subprocess.Popen[bytes]) -> None:
    holder = of_process(sleeper.pid)
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert judged(holder)[0] is Verdict.GONE, (
        "it has ended, although nobody has asked for its exit status yet"
    )
    sleeper.wait()
    assert judged(holder)[0] is Verdict.GONE


def test_another_process_under_the_same_number_is_another(sleeper: subprocess.Popen[bytes]) -> None:
    assert judged(replace(of_process(sleeper.pid), pid_start=1))[0] is Verdict.GONE


@pytest.mark.parametrize("field", ["boot_id", "pid_namespace"])
def test_who_cannot_be_looked_up_is_judged_by_its_beat(field: str) -> None:
    holder = replace(ME, **{field: "another"})
    assert judged(holder) == (Verdict.HELD, Verdict.SILENT)


def test_where_the_system_tells_nothing_nobody_can_be_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    from devstream.state import holder

    monkeypatch.setattr(holder, "this_machine", lambda: holder.Machine("mac", "", ""))
    unknown = replace(ME, boot_id="", pid_namespace="", pid=2**22 + 1)
    assert judged(unknown) == (Verdict.HELD, Verdict.SILENT)


def test_nobody_holds_what_is_not_held() -> None:
    assert Watch(10.0, Time().monotonic).judge(None) is Verdict.FREE


@given(st.lists(st.tuples(st.floats(0, 100), st.booleans()), max_size=30))
def test_a_lease_is_over_only_after_its_beat_stood_still_long_enough(looks: list[tuple[float, bool]]) -> None:
    """Whatever the pauses between looks: never sooner, and at the first look that is late enough."""
    time, number, changed = Time(), 1, 0.0
    watch = Watch(10.0, time.monotonic)
    watch.judge(Lease(ELSEWHERE, number, 60.0))
    for pause, beats in looks:
        time.now += pause
        if beats:
            number, changed = number + 1, time.now
        over = time.now - changed >= 70.0
        assert (watch.judge(Lease(ELSEWHERE, number, 60.0)) is Verdict.SILENT) is over


# -- waiting


def test_giving_up_says_who_and_how_that_ends(held: SharedMemoryBackend) -> None:
    told: list[LeaseHolder] = []
    with pytest.raises(LeaseError, match=r"memory://tests is in use by ann@box .pid") as caught:
        leases(held, notice=told.append).wait()
    assert "70s without a sign of life" in str(caught.value)
    assert "devstream state unlock" in str(caught.value)
    assert (told, caught.value.exit_code) == ([], 5)


def test_the_way_out_of_a_stopped_process(
    backend: SharedMemoryBackend, sleeper: subprocess.Popen[bytes]
) -> None:
    leases(backend).take(of_process(sleeper.pid), first)
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    with pytest.raises(LeaseError, match=rf"kill -CONT {sleeper.pid}\), or `devstream state unlock`"):
        leases(backend).wait()


def test_waiting_tells_once_and_takes_over_after_silence(held: SharedMemoryBackend) -> None:
    time = Time()
    told: list[LeaseHolder] = []
    taken = leases(held, time, timeout=90, notice=told.append).take(ME, first)
    assert told == [ELSEWHERE]
    assert (taken.verdict, 70 <= time.now < 72) == (Verdict.SILENT, True)


def test_a_beat_starts_the_wait_anew(held: SharedMemoryBackend) -> None:
    time = Time({50.0: lambda: beat(held)})
    leases(held, time, timeout=200).take(ME, first)
    assert 120 <= time.now < 123


def test_patience_that_ends_before_the_lease_does(held: SharedMemoryBackend) -> None:
    time = Time()
    with pytest.raises(LeaseError):
        leases(held, time, timeout=30).take(ME, first)
    assert 30 <= time.now < 31


def test_a_lease_that_is_given_back_is_taken_at_the_next_look(backend: SharedMemoryBackend) -> None:
    taken = leases(backend).take(ELSEWHERE, first)
    time = Time({5.0: lambda: leases(backend).give_back(taken)})
    assert leases(backend, time, timeout=90).take(ME, first).verdict is Verdict.FREE
    assert 5 <= time.now < 7


def test_what_is_damaged_is_not_taken(held: SharedMemoryBackend) -> None:
    head = held.read_head()
    assert head is not None
    held.swap_head(head.data[:-9], head.version)
    with pytest.raises(StateDamagedError):
        leases(held).take(ME, first)


# -- a run


class Watched(SharedMemoryBackend):
    """Lets a test wait for swaps, and do something before one."""

    def __init__(self) -> None:
        super().__init__()
        self.swapped = threading.Condition()
        self.refusing = False

    def swap_head(self, data: bytes, expected: str | None) -> str:
        if self.refusing:
            message = "full"
            raise SwapRefused(message, Refusal.TOO_LARGE)
        version = super().swap_head(data, expected)
        with self.swapped:
            self.swapped.notify_all()
        return version

    def wait_for(self, swaps: int) -> None:
        with self.swapped:
            assert self.swapped.wait_for(lambda: self.store.swaps >= swaps, 30)


def acquire(
    backend: StateBackend, run_id: str = "me", folder: Path | None = None, terms: Terms | None = None
) -> StateWriter:
    manager = StateManager(backend, rescue_folder=folder, terms=terms)
    return manager.acquire(this_process(run_id, "devstream run"), timeout=0, notice=print)


def put(name: str) -> Put:
    tool = tool_state(name, n=1)
    return Put(tool.address, tool, PutReason.BOOKKEEPING)


def begin(name: str) -> Begin:
    tool = tool_state(name, n=1)
    return Begin(f"op-{name}", 1, tool.address, Action.CREATE, tool, "me", "host", "boot")


def run(run_id: str = "me") -> RunRecord:
    return RunRecord(run_id, "devstream run", "then", "now")


def test_every_commit_renews_and_the_last_one_gives_back(backend: SharedMemoryBackend) -> None:
    beats = []
    with acquire(backend) as writer:
        for name in "abc":
            writer.record(put(name))
            writer.flush()
            lease = lease_in(document(backend))
            assert lease is not None
            assert lease.holder.run_id == "me"
            beats.append(lease.beat)
        writer.close(run())
    assert beats == [2, 3, 4]
    assert (document(backend).lease, backend.store.swaps) == (None, 5)
    assert StateManager(backend).read().last_run == run()


def test_a_run_with_nothing_to_do_takes_it_gives_it_back_and_records_nothing(
    backend: SharedMemoryBackend,
) -> None:
    with acquire(backend, "first") as writer:
        writer.record(put("a"))
        writer.close(run("first"))
    before, blobs = document(backend), backend.list_blobs()
    acquire(backend, "second").close(run("second"))
    after = document(backend)
    assert (after.serial, after.lease) == (before.serial + 2, None)
    assert (after.snapshot, after.history, backend.list_blobs()) == (before.snapshot, before.history, blobs)


def test_after_a_while_of_silence_it_is_renewed() -> None:
    backend = Watched()
    with acquire(backend, terms=Terms(0.15, 0.1)) as writer:
        backend.wait_for(4)
        assert writer.state.tools == {}
        assert lease_in(document(backend)) is not None
    assert document(backend).lease is None


def test_a_run_that_writes_all_the_time_writes_no_renewals() -> None:
    backend = Watched()
    with acquire(backend) as writer:
        for number in range(50):
            writer.record(put(f"t{number}"))
            writer.flush()
    assert backend.store.swaps == 1 + 50 + 1


def test_a_run_whose_lease_was_broken_stops_and_keeps_what_it_did(tmp_path: Path) -> None:
    backend = SharedMemoryBackend()
    writer = acquire(backend, "victim", tmp_path)
    writer.begin(begin("a"), lambda _: None)
    writer.flush()
    unlock(backend, "victim")
    heard: list[DevstreamError | None] = []
    writer.begin(begin("b"), heard.append)
    writer.record(End("op-a", Outcome.SUCCEEDED, tool_state("a")))
    with pytest.raises(StateConflictError):
        writer.flush()
    with pytest.raises(StateConflictError):
        writer.require_lease()
    with pytest.raises(StateConflictError) as caught:
        writer.close(run("victim"))
    path = tmp_path / "tests.rescue-victim"
    assert path.exists()
    assert f"devstream state push --rescue {path}" in str(caught.value)
    assert caught.value.exit_code == 6
    assert [type(error) for error in heard] == [StateConflictError]
    assert list(map(str, StateManager(backend).read().open_operations)) == ["noop.a"]


def unlock(backend: StateBackend, run_id: str) -> Proposal:
    def propose(backend: StateBackend) -> Proposal:
        loaded = current(backend)
        lease = lease_in(loaded.document)
        return Proposal(loaded, rewrites=lease is not None and lease.holder.run_id == run_id)

    return StateManager(backend).edit(
        propose,
        this_process("unlock", "devstream state unlock"),
        timeout=0,
        notice=print,
        approve=lambda _: None,
        breaking=True,
    )


def test_breaking_the_lease_of_one_who_writes_all_the_time(tmp_path: Path) -> None:
    backend = SharedMemoryBackend()
    writer = acquire(backend, "busy", tmp_path)
    stop = threading.Event()

    def work() -> None:
        number = 0
        while not stop.is_set() and writer.failed is None:
            number += 1
            writer.record(put(f"t{number % 7}"))

    worker = threading.Thread(target=work)
    worker.start()
    unlock(backend, "busy")
    stop.set()
    worker.join()
    writer.record(put("last"))
    with pytest.raises(StateConflictError):
        writer.close(run("busy"))
    last = StateManager(backend).read().last_run
    assert last is not None
    assert last.run_id == "unlock"


def test_what_was_taken_is_given_back_where_the_state_cannot_be_read(backend: SharedMemoryBackend) -> None:
    with acquire(backend, "large") as writer:
        for number in range(300):
            writer.record(
                Put((tool := tool_state(f"t{number}", text="x" * 500)).address, tool, PutReason.EDITED)
            )
    for name in backend.list_blobs():
        backend.delete_blob(name)
    with pytest.raises(StateDamagedError):
        acquire(backend)
    assert document(backend).lease is None


def test_a_lease_that_is_lost_while_the_state_is_read_is_a_conflict(
    backend: SharedMemoryBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = HeadLeases.take

    def overtaken(self: HeadLeases, *arguments: Any) -> Any:
        taken = take(self, *arguments)
        beat(backend)
        return taken

    monkeypatch.setattr(HeadLeases, "take", overtaken)
    with pytest.raises(StateConflictError, match="while it was being read"):
        acquire(backend)


def test_a_run_whose_record_is_refused_lets_go_all_the_same(tmp_path: Path) -> None:
    backend = Watched()
    writer = acquire(backend, folder=tmp_path)
    backend.refusing = True
    writer.record(put("a"))
    with pytest.raises(SwapRefused):
        writer.flush()
    backend.refusing = False
    with pytest.raises(SwapRefused, match="rescue"):
        writer.close(run())
    assert document(backend).lease is None


# -- right before a side effect


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Time:
    """The clock that a holder counts by."""
    time = Time()
    monkeypatch.setattr(journal, "boottime", time.monotonic)
    monkeypatch.setattr(head_lease, "boottime", time.monotonic)
    return time


def test_within_its_time_a_holder_asks_nobody(backend: SharedMemoryBackend, clock: Time) -> None:
    with acquire(backend) as writer:
        swaps = backend.store.swaps
        clock.now = 59.9
        writer.require_lease()
        assert backend.store.swaps == swaps


def test_a_holder_that_slept_too_long_renews_first(backend: SharedMemoryBackend, clock: Time) -> None:
    with acquire(backend) as writer:
        swaps = backend.store.swaps
        clock.now = 60.0
        writer.require_lease()
        assert backend.store.swaps == swaps + 1
        writer.require_lease()
        assert backend.store.swaps == swaps + 1


def test_a_holder_that_slept_too_long_and_was_overtaken_does_not_act(
    backend: SharedMemoryBackend, clock: Time, tmp_path: Path
) -> None:
    writer = acquire(backend, folder=tmp_path)
    unlock(backend, "me")
    clock.now = 59.0
    writer.require_lease()  # it cannot know yet
    clock.now = 60.0
    with pytest.raises(StateConflictError, match="somebody else has changed"):
        writer.require_lease()
    with pytest.raises(StateConflictError):
        writer.close()


def test_a_renewal_that_takes_longer_than_the_lease_lasts_is_none(
    backend: SharedMemoryBackend, clock: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = acquire(backend)
    swap = backend.swap_head

    def slow(data: bytes, expected: str | None) -> str:
        clock.now += 61.0
        return swap(data, expected)

    monkeypatch.setattr(backend, "swap_head", slow)
    clock.now = 60.0
    with pytest.raises(StateConflictError, match="runs out before it can be renewed"):
        writer.require_lease()
    writer.close()


# -- taking over


@pytest.mark.parametrize(
    ("holder", "is_only"), [(replace(ME, pid_start=1), True), (ELSEWHERE, False)], ids=["gone", "silent"]
)
def test_whoever_takes_over_knows_whether_the_other_is_dead(
    backend: SharedMemoryBackend, holder: LeaseHolder, *, is_only: bool
) -> None:
    interrupt(backend, holder)
    time = Time()
    manager = StateManager(backend, monotonic=time.monotonic, sleep=time.sleep)
    with manager.acquire(ME, timeout=90, notice=lambda _: None) as writer:
        assert writer.is_only is is_only
        assert [str(address) for address in writer.state.open_operations] == ["noop.a"]


def interrupt(backend: StateBackend, holder: LeaseHolder) -> None:
    """Leave an operation open under the lease of somebody who says no more."""
    with acquire(backend) as writer:
        writer.begin(begin("a"), lambda _: None)
    leases(backend).take(holder, first)


def test_after_an_unlock_nobody_knows_whether_the_other_is_dead(backend: SharedMemoryBackend) -> None:
    interrupt(backend, ELSEWHERE)
    unlock(backend, "other")
    with acquire(backend) as writer:
        assert not writer.is_only


def test_with_nothing_open_it_does_not_matter(held: SharedMemoryBackend) -> None:
    unlock(held, "other")
    with acquire(held) as writer:
        assert writer.is_only


# -- readers


@pytest.mark.parametrize(
    ("holder", "in_progress"),
    [(ME, True), (replace(ME, pid_start=1), False), (ELSEWHERE, True)],
    ids=["running", "gone", "elsewhere"],
)
def test_what_readers_make_of_open_operations(
    backend: SharedMemoryBackend, holder: LeaseHolder, *, in_progress: bool
) -> None:
    interrupt(backend, holder)
    (operation,) = StateManager(backend).read().open_operations.values()
    assert operation.in_progress_by == (str(holder) if in_progress else None)
    assert live_holder(backend) == (holder if in_progress else None)


def test_nobody_holds_a_state_that_is_not_there(backend: SharedMemoryBackend) -> None:
    assert live_holder(backend) is None
    assert backend.read_head() is None


# -- edits


def edit(backend: StateBackend, approve: Callable[[Proposal], None] = lambda _: None) -> Proposal:
    return StateManager(backend).edit(
        on_state(lambda state: rename(state, "noop.a", "noop.z")),
        this_process("edit", "devstream state mv"),
        timeout=0,
        notice=print,
        approve=approve,
    )


@pytest.fixture
def with_a(backend: SharedMemoryBackend) -> SharedMemoryBackend:
    with acquire(backend, "first") as writer:
        writer.record(put("a"))
        writer.close(run("first"))
    return backend


def test_an_edit_is_one_swap(with_a: SharedMemoryBackend) -> None:
    swaps, serial = with_a.store.swaps, document(with_a).serial
    edit(with_a)
    assert (with_a.store.swaps, document(with_a).serial) == (swaps + 1, serial + 1)
    assert list(map(str, StateManager(with_a).read().tools)) == ["noop.z"]
    assert document(with_a).lease is None


def test_an_edit_waits_for_a_lease_and_clears_a_dead_one(with_a: SharedMemoryBackend) -> None:
    with acquire(with_a), pytest.raises(LeaseError):
        edit(with_a)
    leases(with_a).take(replace(ME, pid_start=1), first)
    edit(with_a)
    assert document(with_a).lease is None


def test_an_edit_beside_which_a_run_began_is_refused_and_the_run_goes_on(with_a: SharedMemoryBackend) -> None:
    writers: list[StateWriter] = []
    with pytest.raises(StateConflictError):
        edit(with_a, lambda _: writers.append(acquire(with_a)))
    (writer,) = writers
    writer.record(put("b"))
    writer.close(run())
    assert list(map(str, StateManager(with_a).read().tools)) == ["noop.a", "noop.b"]
