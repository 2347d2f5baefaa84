"""What every state backend has to pass, ours and yours; and backends in memory, for tests.

::

    class TestMyBackend(BackendContract):
        def open(self, place: Path) -> StateBackend:
            return MyBackend(bucket="tests", key=str(place))
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, NamedTuple

import pytest

from devstream.errors import LeaseError, StateConflictError, StateDamagedError, StateForeignError
from devstream.model.address import Address
from devstream.model.plan import Action, Outcome
from devstream.model.state import Begin, End, Put, PutReason, RunRecord
from devstream.state.backend import Head, KernelLease, StateBackend
from devstream.state.head import encode_head, first_head
from devstream.state.history import read_history
from devstream.state.holder import this_process
from devstream.state.lease import live_holder
from devstream.state.manager import StateManager
from devstream.state.merging import merging
from devstream.state.salvage import restore
from devstream.testing.memory import MemoryBackend, MemoryStore, SharedMemoryBackend, tool_state
from devstream.testing.mishaps import (
    DAMAGES,
    break_lease,
    carry_out,
    document_of,
    leave_to_a_dead_run,
    overtake,
    rename_entry,
    unexpected,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devstream.model.state import LeaseHolder
    from devstream.state.session import StateWriter

__all__ = ["BackendContract", "MemoryBackend", "MemoryStore", "SharedMemoryBackend", "tool_state"]


class _Race(NamedTuple):
    """What came of two swaps at once."""

    won: list[bytes]
    lost: list[bytes]


class BackendContract(ABC):
    """Subclass this in the tests of a backend. Every test gets a place that nothing was stored in before."""

    @abstractmethod
    def open(self, place: Path) -> StateBackend:
        """Open the backend on a place; twice on the same place gives two clients of one state."""

    @pytest.fixture
    def backend(self, tmp_path: Path) -> StateBackend:
        """A client of an empty place."""
        return self.open(tmp_path)

    @pytest.fixture
    def other(self, backend: StateBackend, tmp_path: Path) -> StateBackend:
        """Another client of the same place."""
        assert backend.location
        return self.open(tmp_path)

    # -- the six calls

    def test_is_a_backend(self, backend: StateBackend) -> None:
        """It has the six calls and says where it is."""
        assert isinstance(backend, StateBackend)
        assert backend.location

    def test_nothing_is_there_at_first(self, backend: StateBackend) -> None:
        """An empty place has no head and no blobs; looking is no error."""
        assert backend.read_head() is None
        assert backend.list_blobs() == []
        assert backend.get_blob("segment-1") is None

    def test_head_comes_back_as_it_was_stored(self, backend: StateBackend, other: StateBackend) -> None:
        """Every byte comes back, to every client, with the version that the swap gave."""
        data = b'{"text": "\xc3\xa9\\u0000"}\n\x00\xff'
        version = backend.swap_head(data, None)
        assert backend.read_head() == Head(data, version)
        assert other.read_head() == Head(data, version)

    def test_create_refuses_what_exists(self, backend: StateBackend, other: StateBackend) -> None:
        """A swap that expects nothing does not replace something."""
        backend.swap_head(b"one", None)
        with pytest.raises(StateConflictError):
            other.swap_head(b"two", None)
        assert _content(backend) == b"one"

    def test_swap_of_what_is_missing_is_refused(self, backend: StateBackend) -> None:
        """A swap that expects something does not make it."""
        with pytest.raises(StateConflictError):
            backend.swap_head(b"one", "no-such-version")
        assert backend.read_head() is None

    def test_right_swap_wins_and_stale_one_fails(self, backend: StateBackend, other: StateBackend) -> None:
        """Only the version that is there now can be replaced."""
        first = backend.swap_head(b"one", None)
        second = other.swap_head(b"two", first)
        assert second != first
        with pytest.raises(StateConflictError):
            backend.swap_head(b"three", first)
        assert _content(backend) == b"two"
        backend.swap_head(b"three", second)
        assert _content(other) == b"three"

    @pytest.mark.parametrize("size", [0, 1, 1000, 300_000], ids=str)
    def test_heads_of_all_sizes(self, backend: StateBackend, size: int) -> None:
        """Heads may be empty (that is damage, for others to notice) or large."""
        version = backend.swap_head(b"x", None)
        backend.swap_head(b"y" * size, version)
        assert _content(backend) == b"y" * size

    def test_of_racers_exactly_one_wins(self, tmp_path: Path) -> None:
        """Of clients that replace the same version at once, one wins; its bytes are there."""
        version = self.open(tmp_path).swap_head(b"start", None)
        for number in range(10):
            race = self._race(tmp_path, [f"{number}-{racer}".encode() for racer in range(4)], version)
            assert len(race.won) == 1
            assert len(race.lost) == 3
            head = self.open(tmp_path).read_head()
            assert head is not None
            assert head.data == race.won[0]
            version = head.version

    def test_of_creators_exactly_one_wins(self, tmp_path: Path) -> None:
        """The same for the first head."""
        race = self._race(tmp_path, [b"a", b"b", b"c"], None)
        assert len(race.won) == 1
        assert _content(self.open(tmp_path)) == race.won[0]

    def _race(self, place: Path, bodies: list[bytes], expected: str | None) -> _Race:
        race = _Race([], [])
        start = threading.Barrier(len(bodies))

        def run(body: bytes) -> None:
            client = self.open(place)
            start.wait()
            try:
                client.swap_head(body, expected)
            except StateConflictError:
                race.lost.append(body)
            else:
                race.won.append(body)

        _at_once([lambda body=body: run(body) for body in bodies])  # type: ignore[misc]
        return race

    def test_no_increment_is_lost(self, tmp_path: Path) -> None:
        """Clients that read, add one and swap lose nothing."""
        self.open(tmp_path).swap_head(b"0", None)
        _at_once([lambda: _increment(self.open(tmp_path), 15)] * 4)
        assert _content(self.open(tmp_path)) == b"60"

    def test_blobs(self, backend: StateBackend, other: StateBackend) -> None:
        """Blobs come back to every client, are listed in order, and are gone once deleted."""
        backend.put_blob("segment-2", b"two" * 100_000)
        backend.put_blob("segment-1", b"")
        assert other.get_blob("segment-2") == b"two" * 100_000
        assert other.get_blob("segment-1") == b""
        assert other.list_blobs() == ["segment-1", "segment-2"]
        other.delete_blob("segment-2")
        other.delete_blob("segment-2")
        assert backend.get_blob("segment-2") is None
        assert backend.list_blobs() == ["segment-1"]
        assert backend.read_head() is None

    def test_blob_put_twice_is_put_once(self, backend: StateBackend) -> None:
        """A put that is sent again does no harm."""
        backend.put_blob("segment-1", b"same")
        backend.put_blob("segment-1", b"same")
        assert backend.get_blob("segment-1") == b"same"

    # -- under the manager

    def test_records_come_back(self, backend: StateBackend, other: StateBackend) -> None:
        """What a run records, the next reader sees."""
        with _acquire(backend) as writer:
            assert writer.state.tools == {}
            assert writer.state.lineage
            writer.record(_put("a"), _put("b"))
            writer.close(_run())
        state = StateManager(other).read()
        assert list(state.tools.values()) == [tool_state("a", n=1), tool_state("b", n=1)]
        assert state.last_run == _run()

    def test_open_operation_is_seen_by_the_next(self, backend: StateBackend, other: StateBackend) -> None:
        """An operation stays open until its end is recorded, by whichever run."""
        begin = _begin("a")
        with _acquire(backend) as writer:
            writer.begin(begin, lambda _: None)
        with _acquire(other) as writer:
            assert [operation.begin for operation in writer.state.open_operations.values()] == [begin]
            writer.record(End(begin.op_id, Outcome.SUCCEEDED, begin.tool))
        state = StateManager(backend).read()
        assert not state.open_operations
        assert list(state.tools) == [begin.address]

    def test_many_runs_keep_ten_snapshots(self, backend: StateBackend) -> None:
        """The history does not grow for ever."""
        for number in range(15):
            with _acquire(backend, run_id=f"run-{number}") as writer:
                writer.record(_put(f"t{number}"))
        assert len(StateManager(backend).read().tools) == 15
        assert len(backend.list_blobs()) <= 12

    def test_large_state(self, backend: StateBackend, other: StateBackend) -> None:
        """A state that does not fit the head rolls over into blobs."""
        with _acquire(backend) as writer:
            for number in range(300):
                writer.record(_put(f"t{number}", text="x" * 500))
        state = StateManager(other).read()
        assert len(state.tools) == 300
        assert state.tools[Address("noop", "t299")].options["text"] == "x" * 500

    def test_one_lease_at_a_time(self, backend: StateBackend, other: StateBackend) -> None:
        """A second run waits, is told who has the lease, and gives up in time."""
        told: list[LeaseHolder] = []
        with _acquire(backend, run_id="first"):
            with pytest.raises(LeaseError, match="in use by"):
                StateManager(other).acquire(this_process("second", "tests"), timeout=0.3, notice=told.append)
            assert [holder.run_id for holder in told] == ["first"]
        _acquire(other, run_id="second").close()

    def test_a_lease_is_given_back_at_the_end(self, backend: StateBackend, other: StateBackend) -> None:
        """Nobody holds it after a run, whether that recorded something or not; and looking takes nothing."""
        for records in ((), (_put("a"),)):
            with _acquire(backend, run_id="first") as writer:
                writer.record(*records)
                holder = live_holder(other)
                assert holder is not None
                assert holder.run_id == "first"
            assert live_holder(other) is None

    def test_an_edit_waits_for_a_run(self, backend: StateBackend, other: StateBackend) -> None:
        """What `devstream state` commands record goes in between runs, in one swap."""
        with _acquire(backend) as writer:
            writer.record(_put("a"))
            writer.flush()
            with pytest.raises(LeaseError):
                rename_entry(other, "a", "b")
        rename_entry(other, "a", "b")
        state = StateManager(backend).read()
        assert [str(address) for address in state.tools] == ["noop.b"]
        assert live_holder(other) is None

    def test_the_lease_of_a_dead_run_is_taken_over_at_once(self, backend: StateBackend) -> None:
        """A run that was killed holds nobody up; what it had begun is seen as open, not as in progress."""
        if isinstance(backend, KernelLease):
            pytest.skip("the kernel gives it back by itself")
        with _acquire(backend) as writer:
            writer.begin(_begin("a"), lambda _: None)
        leave_to_a_dead_run(backend)
        (operation,) = StateManager(backend).read().open_operations.values()
        assert operation.in_progress_by is None
        manager = StateManager(backend)
        with manager.acquire(this_process("next", "tests"), timeout=0, notice=unexpected) as writer:
            assert writer.is_only
            assert list(writer.state.open_operations) == [Address("noop", "a")]

    def test_a_run_whose_lease_was_broken_is_refused(
        self, backend: StateBackend, other: StateBackend, tmp_path: Path
    ) -> None:
        """It hears of it with its next record, nothing of it is stored any more, and it keeps what it did."""
        if isinstance(backend, KernelLease):
            pytest.skip("nobody can break the kernel's lease")
        manager = StateManager(backend, rescue_folder=tmp_path)
        writer = manager.acquire(this_process("victim", "tests"), timeout=10, notice=unexpected)
        writer.begin(_begin("a"), lambda _: None)
        writer.flush()
        break_lease(other, "victim")
        with _acquire(other, "next") as following:
            following.record(_put("b"))
        writer.record(End("op-a", Outcome.SUCCEEDED, tool_state("a")))
        with pytest.raises(StateConflictError, match="push --rescue"):
            writer.close(_run())
        state = StateManager(other).read()
        assert (list(state.tools), list(state.open_operations)) == (
            [Address("noop", "b")],
            [Address("noop", "a")],
        )

    def test_begin_under_a_live_lease_is_in_progress(
        self, backend: StateBackend, other: StateBackend
    ) -> None:
        """Readers tell what is under way from what was interrupted."""
        with _acquire(backend) as writer:
            writer.begin(_begin("a"), lambda _: None)
            writer.flush()
            (operation,) = StateManager(other).read().open_operations.values()
            assert operation.in_progress_by is not None
            assert "tests" in operation.in_progress_by
        (operation,) = StateManager(other).read().open_operations.values()
        assert operation.in_progress_by is None

    # -- mending

    def test_a_rescue_file_merges_once(
        self, backend: StateBackend, other: StateBackend, tmp_path: Path
    ) -> None:
        """What a run could not record is recorded from its rescue file, and merging it again changes nothing."""
        writer = StateManager(backend, rescue_folder=tmp_path).acquire(
            this_process("loser", "tests"), timeout=10, notice=unexpected
        )
        writer.begin(_begin("a"), lambda _: None)
        writer.flush()
        overtake(other)
        writer.record(End("op-a", Outcome.SUCCEEDED, tool_state("a", n=1)))
        with pytest.raises(StateConflictError):
            writer.close(_run())
        (rescue,) = tmp_path.glob("*.rescue-loser")
        assert carry_out(other, merging(rescue.read_bytes(), rescue.name)).writes
        state = StateManager(backend).read()
        assert list(state.tools) == [Address("noop", "a")]
        assert not state.open_operations
        assert not carry_out(other, merging(rescue.read_bytes(), rescue.name)).writes

    def test_going_back(self, backend: StateBackend, other: StateBackend) -> None:
        """An older serial can be restored, from a blob; the trail stays whole, and the write is a new one."""
        serials = []
        for number in range(3):
            with _acquire(backend, run_id=f"run-{number}") as writer:
                writer.record(_put("a", n=number), _put(f"t{number}"))
                writer.close(_run())
            serials.append(StateManager(other).read().serial)
        ids = {document_of(other).write_id, *document_of(other).recent}
        assert carry_out(other, restore(serials[0])).writes
        state = StateManager(backend).read()
        assert {str(where): tool.options["n"] for where, tool in state.tools.items()} == {
            "noop.a": 0,
            "noop.t0": 1,
        }
        assert state.serial > serials[-1]
        assert document_of(other).write_id not in ids
        points, problems = read_history(other)
        assert [point.serial for point in points][1:4] == serials[::-1]
        assert not problems

    def test_another_state_at_the_same_place_is_noticed(
        self, backend: StateBackend, other: StateBackend, tmp_path: Path
    ) -> None:
        """A state that was replaced by one of another lineage under a run is a conflict, and stays as it is."""
        manager = StateManager(backend, rescue_folder=tmp_path)
        writer = manager.acquire(this_process("first", "tests"), timeout=10, notice=unexpected)
        writer.record(_put("a"))
        writer.flush()
        head = other.read_head()
        assert head is not None
        foreign = encode_head(first_head("2026-01-01T00:00:00Z"))
        other.swap_head(foreign, head.version)
        writer.record(_put("b"))
        with pytest.raises(StateConflictError):
            writer.close(_run())
        assert _content(other) == foreign
        (rescue,) = tmp_path.glob("*.rescue-first")
        with pytest.raises(StateForeignError, match="belongs to another state"):
            carry_out(other, merging(rescue.read_bytes(), rescue.name))

    @pytest.mark.parametrize("damage", DAMAGES)
    def test_damage_is_never_an_empty_state(
        self, backend: StateBackend, other: StateBackend, damage: str
    ) -> None:
        """What is not what was written is refused by readers and writers, and not written over."""
        with _acquire(backend) as writer:
            writer.record(_put("a"))
        head = backend.read_head()
        assert head is not None
        broken = DAMAGES[damage](head.data)
        backend.swap_head(broken, head.version)
        with pytest.raises((StateDamagedError, StateForeignError)):
            StateManager(other).read()
        with pytest.raises((StateDamagedError, StateForeignError)):
            _acquire(other)
        assert _content(other) == broken


def _content(backend: StateBackend) -> bytes:
    head = backend.read_head()
    assert head is not None
    return head.data


def _increment(backend: StateBackend, times: int) -> None:
    while times:
        head = backend.read_head()
        assert head is not None
        try:
            backend.swap_head(b"%d" % (int(head.data) + 1), head.version)
        except StateConflictError:
            continue
        times -= 1


def _at_once(actions: list[Callable[[], None]]) -> None:
    """Run actions in threads of their own; what one of them raises is raised."""
    errors: list[BaseException] = []

    def run(action: Callable[[], None]) -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - raised again below
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for error in errors:
        raise error


def _acquire(backend: StateBackend, run_id: str = "run") -> StateWriter:
    return StateManager(backend).acquire(this_process(run_id, "tests"), timeout=10, notice=lambda _: None)


def _put(name: str, **options: object) -> Put:
    tool = tool_state(name, **(options or {"n": 1}))
    return Put(tool.address, tool, PutReason.BOOKKEEPING)


def _begin(name: str) -> Begin:
    tool = tool_state(name, n=1)
    return Begin(f"op-{name}", 1, tool.address, Action.CREATE, tool, "run", "host", "boot")


def _run() -> RunRecord:
    now = "2026-01-01T00:00:00Z"
    return RunRecord("run", "devstream run", now, now, {Address("noop", "x"): Outcome.FAILED})
