"""What a run writes, when, and what it says when it cannot."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from devstream.errors import (
    DevstreamError,
    StateConflictError,
    StateDamagedError,
    StateError,
    StateUnreachableError,
)
from devstream.model.address import Address
from devstream.model.plan import Action, Outcome
from devstream.model.state import Begin, Drop, End, Put, PutReason, RunRecord
from devstream.state.head import digest, is_sealed, seal
from devstream.state.holder import this_process
from devstream.state.journal import KEPT, SMALL
from devstream.state.manager import StateManager
from devstream.state.reading import decode_head
from devstream.state.rescue import rescue_path
from devstream.testing.backends import MemoryBackend, tool_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devstream.state.head import HeadDocument
    from devstream.state.session import StateWriter


def put(name: str, **options: object) -> Put:
    tool = tool_state(name, **options)
    return Put(tool.address, tool, PutReason.EDITED)


def begin(name: str) -> Begin:
    tool = tool_state(name)
    return Begin(f"op-{name}", 1, tool.address, Action.CREATE, tool, "run", "host", "boot")


def end(name: str) -> End:
    return End(f"op-{name}", Outcome.SUCCEEDED, tool_state(name))


def run(run_id: str = "run", **not_succeeded: Outcome) -> RunRecord:
    outcomes = {Address("noop", name): outcome for name, outcome in not_succeeded.items()}
    return RunRecord(run_id, "tests", "then", "now", outcomes)


def acquire(backend: MemoryBackend, run_id: str = "run", folder: Path | None = None) -> StateWriter:
    manager = StateManager(backend, clock=lambda: "2026-01-01T00:00:00Z", rescue_folder=folder)
    return manager.acquire(this_process(run_id, "tests"), timeout=1, notice=lambda _: None)


def document(backend: MemoryBackend) -> HeadDocument:
    head = backend.read_head()
    assert head is not None
    return decode_head(head.data, backend.location)


def ignore(_: DevstreamError | None) -> None:
    pass


# -- what is written, and what is not


def test_first_use_writes_the_empty_head_and_nothing_else() -> None:
    backend = MemoryBackend()
    acquire(backend).close(run())
    assert document(backend).serial == 1
    assert document(backend).snapshot.state == {"tools": {}}
    assert backend.list_blobs() == []


def test_a_run_that_recorded_nothing_writes_nothing() -> None:
    backend = MemoryBackend()
    acquire(backend).close()
    before = backend.read_head()
    with acquire(backend) as writer:
        writer.record()
        writer.flush()
        writer.close(run())
    assert backend.read_head() == before


def test_a_run_that_failed_is_recorded_even_if_nothing_else_is() -> None:
    backend = MemoryBackend()
    acquire(backend).close(run(a=Outcome.FAILED))
    assert StateManager(backend).read().last_run == run(a=Outcome.FAILED)


def test_end_of_a_run_is_one_inline_snapshot_and_the_old_one_kept() -> None:
    backend = MemoryBackend()
    with acquire(backend) as writer:
        writer.record(put("a"))
        writer.close(run())
    head = document(backend)
    assert (head.records, head.segments, head.lease) == ((), (), None)
    assert head.snapshot.run_id == "run"
    assert list(head.snapshot.state["tools"]) == ["noop.a"]
    (kept,) = head.history
    assert (kept.serial, kept.run_id) == (1, "")
    assert backend.list_blobs() == [kept.snapshot.name]


def test_closing_stores_what_is_waiting_and_lets_go_of_the_lease() -> None:
    backend = MemoryBackend()
    writer = acquire(backend)
    heard: list[DevstreamError | None] = []
    writer.record(put("a"), done=heard.append)
    writer.close(run())
    writer.close(run())
    assert heard == [None]
    assert backend.lease_holder() is None
    assert list(StateManager(backend).read().tools) == [Address("noop", "a")]
    with pytest.raises(StateError, match="is closed"):
        writer.record(put("b"))


def test_leaving_by_an_exception_closes_too() -> None:
    backend = MemoryBackend()
    with pytest.raises(ZeroDivisionError), acquire(backend) as writer:  # noqa: PT012 - the body is the point
        writer.record(put("a"))
        raise ZeroDivisionError
    assert backend.lease_holder() is None
    assert list(StateManager(backend).read().tools) == [Address("noop", "a")]


def test_state_is_what_was_acknowledged_and_stays_as_given() -> None:
    backend = MemoryBackend()
    with acquire(backend) as writer:
        writer.record(put("a"))
        writer.flush()
        first = writer.state
        writer.record(put("b"), Drop(Address("noop", "a"), "removed"))
        writer.flush()
        assert [address.instance_id for address in first.tools] == ["a"]
        assert [address.instance_id for address in writer.state.tools] == ["b"]
        assert writer.state is writer.state
        assert writer.state.serial == document(backend).serial
        assert writer.state.lease is not None


# -- the thread


class Gate(MemoryBackend):
    """Holds the next swap back until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()
        self.open = threading.Event()
        self.open.set()

    def swap_head(self, data: bytes, expected: str | None) -> str:
        self.reached.set()
        assert self.open.wait(10)
        return super().swap_head(data, expected)


def test_what_comes_during_a_swap_goes_into_the_next_one_together() -> None:
    backend = Gate()
    heard: list[str] = []

    def done(name: str) -> Callable[[DevstreamError | None], None]:
        return lambda error: heard.append(f"{name} {error}")

    with acquire(backend) as writer:
        backend.open.clear()
        backend.reached.clear()
        writer.begin(begin("a"), done("a"))
        assert backend.reached.wait(10)
        swaps = backend.store.swaps
        for name in "bcd":
            writer.begin(begin(name), done(name))
        writer.record(end("a"), put("e"), done=done("end"))
        assert heard == []
        backend.open.set()
        writer.flush()
        assert backend.store.swaps == swaps + 2
        assert heard == ["a None", "b None", "c None", "d None", "end None"]
        assert len(writer.state.open_operations) == 3


def test_a_done_without_error_means_it_can_be_read() -> None:
    backend = MemoryBackend()
    seen: list[int] = []
    with acquire(backend) as writer:
        for number in range(50):
            writer.record(
                put(f"t{number}"),
                done=lambda _, number=number: seen.append(  # type: ignore[misc]
                    number < len(StateManager(backend).read().tools)
                ),
            )
    assert seen == [True] * 50


def test_a_record_that_is_no_json_is_refused_alone() -> None:
    backend = MemoryBackend()
    heard: list[DevstreamError | None] = []
    with acquire(backend) as writer:
        writer.record(put("bad", value={1}), done=heard.append)
        writer.record(put("good"), done=heard.append)
        writer.flush()
        assert [str(error) for error in heard[1:]] == ["None"]
        assert "noop.bad: cannot be recorded: tool.options.value is a set" in str(heard[0])
        assert list(writer.state.tools) == [Address("noop", "good")]


def test_a_refused_record_nobody_asked_about_is_raised() -> None:
    backend = MemoryBackend()
    writer = acquire(backend)
    writer.record(put("bad", value={1}))
    writer.record(put("good"))
    with pytest.raises(StateError, match=r"noop\.bad: cannot be recorded"):
        writer.flush()
    with pytest.raises(StateError, match=r"noop\.bad: cannot be recorded"):
        writer.close(run())
    assert list(StateManager(backend).read().tools) == [Address("noop", "good")]
    assert backend.lease_holder() is None


def test_a_callback_that_raises_is_our_bug_and_stops_nobody() -> None:
    backend = MemoryBackend()
    writer = acquire(backend)

    def raises(_: DevstreamError | None) -> None:
        raise ZeroDivisionError

    writer.record(put("a"), done=raises)
    writer.record(put("b"))
    with pytest.raises(ZeroDivisionError):
        writer.flush()
    with pytest.raises(ZeroDivisionError):
        writer.close(run())
    assert len(StateManager(backend).read().tools) == 2


# -- when it cannot be written


def overwrite(backend: MemoryBackend) -> None:
    """Change the state behind a run's back."""
    head = backend.read_head()
    assert head is not None
    backend.swap_head(head.data, head.version)


def test_conflict_keeps_what_was_done_in_a_rescue_file(tmp_path: Path) -> None:
    backend = MemoryBackend()
    writer = acquire(backend, "run-7", tmp_path)
    writer.begin(begin("a"), ignore)
    writer.flush()
    overwrite(backend)
    heard: list[DevstreamError | None] = []
    writer.begin(begin("b"), heard.append)
    writer.record(end("a"), put("c"), done=heard.append)
    with pytest.raises(StateConflictError):
        writer.flush()
    writer.record(put("d"), done=heard.append)
    writer.record(put("late"))
    with pytest.raises(StateConflictError) as caught:
        writer.close(run("run-7"))
    assert [type(error) for error in heard] == [StateConflictError] * 3
    path = tmp_path / "tests.rescue-run-7"
    assert str(path) in str(caught.value)
    assert f"devstream state push --rescue {path}" in str(caught.value)
    assert caught.value.exit_code == 6
    rescue = json.loads(path.read_text())
    assert is_sealed(path.read_bytes())
    assert path.stat().st_mode & 0o777 == 0o600
    assert (rescue["run_id"], rescue["lineage"]) == ("run-7", document(backend).lineage)
    kinds = [(record["type"], record.get("address")) for record in rescue["records"]]
    assert kinds == [
        *(("begin", "noop.a"), ("end", "noop.a"), ("put", "noop.c"), ("put", "noop.d"), ("put", "noop.late")),
    ]
    assert list(StateManager(backend).read().open_operations) == [Address("noop", "a")]
    assert backend.lease_holder() is None


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("s3://bucket/a/state", "state.rescue-r"),
        ("s3://bucket/my key;é?region=eu&endpoint=http://x", "my-key-é.rescue-r"),
        ("k8s://namespace/devstream?context=a/b", "devstream.rescue-r"),
        ("/no/such/folder/devstream.state", "devstream.state.rescue-r"),
    ],
)
def test_a_rescue_file_is_named_after_the_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, location: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert rescue_path(location, None, "r") == tmp_path / name


def test_conflict_with_nothing_lost_writes_no_rescue_file(tmp_path: Path) -> None:
    backend = MemoryBackend()
    writer = acquire(backend, folder=tmp_path)
    overwrite(backend)
    writer.begin(begin("a"), ignore)
    with pytest.raises(StateConflictError):
        writer.close(run())
    assert list(tmp_path.iterdir()) == []
    assert writer.failed is not None


def test_conflict_at_the_very_end_is_one(tmp_path: Path) -> None:
    backend = MemoryBackend()
    writer = acquire(backend, folder=tmp_path)
    writer.record(put("a"))
    writer.flush()
    overwrite(backend)
    with pytest.raises(StateConflictError):
        writer.close(run())
    assert list(tmp_path.iterdir()) == []


def test_rescue_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    backend = MemoryBackend()
    writer = acquire(backend, folder=tmp_path / "missing")
    overwrite(backend)
    writer.record(put("a"))
    with pytest.raises(StateConflictError, match=r"could not be kept in .*missing"):
        writer.close(run())
    assert backend.lease_holder() is None


def test_conflict_beside_another_error_is_a_note_to_it(tmp_path: Path) -> None:
    backend = MemoryBackend()
    with pytest.raises(ZeroDivisionError) as caught, acquire(backend, folder=tmp_path) as writer:  # noqa: PT012
        overwrite(backend)
        writer.record(put("a"))
        raise ZeroDivisionError
    assert "tests.rescue-run" in caught.value.__notes__[0]


class Overtaken(Gate):
    """Stores a swap; then somebody writes on top of it, and its answer is lost."""

    overtake = False

    def swap_head(self, data: bytes, expected: str | None) -> str:
        version = super().swap_head(data, expected)
        if self.overtake:
            self.overtake = False
            plain = json.loads(data)
            ours = plain["write_id"]
            data = data.replace(b'"write_id": "' + ours.encode(), b'"write_id": "' + b"f" * 16)
            data = data.replace(b'"recent": [', b'"recent": [\n    "' + ours.encode() + b'",')
            body = data[: data.rindex(b'"sum"')].rstrip()[:-1] + b"\n}"
            super().swap_head(seal(body), version)
            raise ConnectionError
        return version


def test_records_that_were_stored_and_overtaken_count(tmp_path: Path) -> None:
    backend = Overtaken()
    writer = acquire(backend, folder=tmp_path)
    heard: list[DevstreamError | None] = []
    backend.overtake = True
    writer.begin(begin("a"), heard.append)
    with pytest.raises(StateConflictError):
        writer.flush()
    writer.record(end("a"), done=heard.append)
    with pytest.raises(StateConflictError, match="rescue-run"):
        writer.close()
    assert heard[0] is None
    assert isinstance(heard[1], StateConflictError)
    rescue = json.loads((tmp_path / "tests.rescue-run").read_text())
    assert [record["type"] for record in rescue["records"]] == ["begin", "end"]


def test_an_end_of_a_run_that_was_overtaken_is_a_conflict_with_nothing_lost(tmp_path: Path) -> None:
    backend = Overtaken()
    writer = acquire(backend, folder=tmp_path)
    writer.record(put("a"))
    writer.flush()
    backend.overtake = True
    with pytest.raises(StateConflictError):
        writer.close(run())
    assert StateManager(backend).read().last_run == run()
    assert list(tmp_path.iterdir()) == []


class Broken(MemoryBackend):
    """A backend with a defect."""

    defect = False

    def put_blob(self, name: str, data: bytes) -> None:
        if self.defect:
            raise ZeroDivisionError
        super().put_blob(name, data)


def test_a_defect_in_the_thread_reaches_everybody(tmp_path: Path) -> None:
    backend = Broken()
    writer = acquire(backend, folder=tmp_path)
    backend.defect = True
    heard: list[DevstreamError | None] = []
    writer.record(put("a", text="x" * SMALL * 2), done=heard.append)
    with pytest.raises(ZeroDivisionError):
        writer.flush()
    writer.record(put("b"), done=heard.append)
    with pytest.raises(ZeroDivisionError):
        writer.close()
    assert all(isinstance(error, StateError) for error in heard)
    assert (tmp_path / "tests.rescue-run").exists()
    assert backend.lease_holder() is None


def test_a_local_rescue_file_lies_beside_the_state(tmp_path: Path) -> None:
    from devstream.builtin.local import make_local

    backend = make_local({}, tmp_path)
    manager = StateManager(backend)
    writer = manager.acquire(this_process("run", "tests"), timeout=1, notice=lambda _: None)
    (tmp_path / "devstream.state").write_bytes(b"")
    writer.record(put("a"))
    with pytest.raises(StateDamagedError, match="is empty"):
        writer.close(run())
    assert (tmp_path / "devstream.state.rescue-run").exists()
    assert (tmp_path / "devstream.state").read_bytes() == b""


# -- sizes


def fill(backend: MemoryBackend, count: int, size: int = 200, run_id: str = "fill") -> None:
    with acquire(backend, run_id) as writer:
        for number in range(count):
            writer.record(put(f"t{number}", text="x" * size))
            if number % 7 == 0:
                writer.flush()


def test_records_roll_into_segments_and_then_a_snapshot() -> None:
    backend = MemoryBackend()
    writer = acquire(backend)
    seen: list[tuple[bool, int]] = []
    for number in range(700):
        writer.record(put(f"t{number}", text="x" * 200))
        writer.flush()
        head = document(backend)
        seen.append((head.snapshot.blob is not None, len(head.segments)))
        assert sum(len(json.dumps(record)) for record in head.records) < 40_000
        assert all(segment.size < 40_000 for segment in head.segments)
    assert seen[0] == (False, 0)
    assert (False, 1) in seen
    assert (True, 0) in seen
    assert (True, 1) in seen
    assert len(StateManager(backend).read().tools) == 700
    writer.close(run())
    assert document(backend).snapshot.blob is not None
    assert len(StateManager(backend).read().tools) == 700


def test_a_large_state_is_not_written_anew_at_the_end_of_a_run() -> None:
    backend = MemoryBackend()
    fill(backend, 1000)
    before = document(backend)
    blobs = backend.list_blobs()
    with acquire(backend, "next") as writer:
        writer.record(put("t1", text="changed"))
        writer.close(run("next"))
    after = document(backend)
    assert after.snapshot == before.snapshot
    assert backend.list_blobs() == blobs
    assert len(after.records) == len(before.records) + 2
    assert after.lease is None


def test_a_state_that_became_small_is_one_file_again() -> None:
    backend = MemoryBackend()
    fill(backend, 1000)
    with acquire(backend, "destroy") as writer:
        for number in range(1000):
            writer.record(Drop(Address("noop", f"t{number}"), "removed"))
        writer.close(run("destroy"))
    head = document(backend)
    assert head.snapshot.state["tools"] == {}
    assert (head.segments, head.records) == ((), ())
    walk(backend)


def blob(backend: MemoryBackend, name: str, sha256: str) -> dict[str, Any]:
    data = backend.get_blob(name)
    assert data is not None
    assert digest(data) == sha256
    plain: dict[str, Any] = json.loads(data)
    return plain


def walk(backend: MemoryBackend) -> list[tuple[int, list[str]]]:
    """Follow the trail from the newest kept snapshot to the oldest, checking every digest."""
    trail = []
    history = document(backend).history
    for index, kept in enumerate(history):
        plain = blob(backend, kept.snapshot.name, kept.snapshot.sha256)
        assert list(plain)[:4] == ["format", "kind", "lineage", "previous"]
        assert plain["serial"] == kept.serial
        records = list(plain.get("then", ()))
        for segment in kept.segments:
            records = blob(backend, segment.name, segment.sha256)["records"] + records
        trail.append((kept.serial, [record["type"] for record in records]))
        if index + 1 < len(history):
            older = history[index + 1]
            assert (plain["previous"]["name"], plain["previous"]["sha256"]) == (
                older.snapshot.name,
                older.snapshot.sha256,
            )
            assert [item["name"] for item in plain["previous"]["segments"]] == [
                s.name for s in older.segments
            ]
    return trail


def test_the_kept_trail_can_be_walked_and_holds_every_record() -> None:
    backend = MemoryBackend()
    for number in range(4):
        with acquire(backend, f"run-{number}") as writer:
            writer.begin(begin(f"t{number}"), ignore)
            writer.record(end(f"t{number}"))
            writer.close(run(f"run-{number}"))
    trail = walk(backend)
    assert len(trail) == 4
    assert all(kinds == ["begin", "end", "run"] for _, kinds in trail)


def test_the_trail_of_a_growing_state_can_be_walked() -> None:
    backend = MemoryBackend()
    for number in range(6):
        with acquire(backend, f"run-{number}") as writer:
            for item in range(150):
                writer.record(put(f"t{number}-{item}", text="x" * 200))
                writer.flush()
    assert len(walk(backend)) >= 2


def test_history_is_bounded_and_garbage_goes_a_run_later() -> None:
    backend = MemoryBackend()
    for number in range(KEPT + 6):
        with acquire(backend, f"run-{number}") as writer:
            writer.record(put(f"t{number}"))
        head = document(backend)
        assert len(head.history) <= KEPT
        named = {kept.snapshot.name for kept in head.history} | {item.name for item in head.garbage}
        assert set(backend.list_blobs()) == named
    assert [item.run_id for item in document(backend).garbage] == [f"run-{KEPT + 5}"]


def test_garbage_that_cannot_be_deleted_is_left_for_later(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = MemoryBackend()

    def refuse(_: str) -> None:
        raise StateUnreachableError("read-only")

    with monkeypatch.context() as patch:
        patch.setattr(backend, "delete_blob", refuse)
        for number in range(KEPT + 4):
            with acquire(backend, f"run-{number}") as writer:
                writer.record(put(f"t{number}"))
        assert len(document(backend).garbage) == 4
    with acquire(backend, "last") as writer:
        writer.record(put("last"))
    assert len(document(backend).garbage) == 1


# -- readers


class Clearing(MemoryBackend):
    """Somebody clears blobs away, or loses them, while a reader is at it."""

    on_get: Callable[[], None] | None = None

    def get_blob(self, name: str) -> bytes | None:
        if self.on_get is not None:
            action, self.on_get = self.on_get, None
            action()
        return super().get_blob(name)


def test_a_reader_that_is_overtaken_starts_over() -> None:
    backend = Clearing()
    fill(backend, 300)
    blobs = backend.list_blobs()

    def overtake() -> None:
        with acquire(backend, "destroy") as writer:
            for number in range(300):
                writer.record(Drop(Address("noop", f"t{number}"), "removed"))
            writer.record(put("new"))
        for name in blobs:
            backend.delete_blob(name)

    backend.on_get = overtake
    assert list(StateManager(backend).read().tools) == [Address("noop", "new")]


def test_a_blob_missing_under_a_head_that_stands_still_is_damage() -> None:
    backend = MemoryBackend()
    fill(backend, 300)
    for lost in backend.list_blobs():
        backend.delete_blob(lost)
    with pytest.raises(StateDamagedError, match=r"its part snapshot-\S+ is missing"):
        StateManager(backend).read()


def test_a_reader_that_is_overtaken_for_ever_gives_up() -> None:
    backend = Clearing()
    fill(backend, 300)
    for name in backend.list_blobs():
        backend.delete_blob(name)

    def overtake() -> None:
        overwrite(backend)
        backend.on_get = overtake

    backend.on_get = overtake
    with pytest.raises(StateError, match="changes faster than it can be read"):
        StateManager(backend).read()


def test_a_record_of_no_known_kind_is_damage() -> None:
    backend = MemoryBackend()
    acquire(backend).close()
    head = backend.read_head()
    assert head is not None
    plain = json.loads(head.data)
    del plain["sum"]
    plain["records"] = [{"type": "wish"}]
    backend.swap_head(seal(json.dumps(plain).encode()), head.version)
    with pytest.raises(StateDamagedError, match="holds something that cannot be read: KeyError"):
        StateManager(backend).read()


def test_a_garbled_blob_is_damage() -> None:
    backend = MemoryBackend()
    fill(backend, 300)
    snapshot = document(backend).snapshot.blob
    assert snapshot is not None
    backend.store.blobs[snapshot.name] = backend.store.blobs[snapshot.name].replace(b'"x', b'"y', 1)
    with pytest.raises(StateDamagedError, match="is not what was written"):
        StateManager(backend).read()


def test_a_state_that_does_not_exist_reads_as_empty_without_writing() -> None:
    backend = MemoryBackend()
    state = StateManager(backend).read()
    assert (state.lineage, state.serial, dict(state.tools)) == ("", 0, {})
    assert backend.read_head() is None


def test_reading_does_not_change_the_collector() -> None:
    import gc

    backend = MemoryBackend()
    acquire(backend).close()
    gc.disable()
    try:
        StateManager(backend).read()
        assert not gc.isenabled()
    finally:
        gc.enable()
    StateManager(backend).read()
    assert gc.isenabled()


def test_readers_beside_a_writer_never_see_a_mix() -> None:
    backend = MemoryBackend()
    stop = threading.Event()
    problems: list[object] = []

    def read() -> None:
        last = 0
        while not stop.is_set():
            tools = StateManager(backend).read().tools
            numbers = [int(address.instance_id[1:]) for address in tools]
            if numbers != list(range(len(numbers))) or len(numbers) < last:
                problems.append(numbers)
            last = len(numbers)

    acquire(backend).close()
    reader = threading.Thread(target=read)
    reader.start()
    with suppress(StateConflictError):
        fill(backend, 600)
    stop.set()
    reader.join()
    assert problems == []
    assert len(StateManager(backend).read().tools) == 600


def test_a_head_that_is_gone_while_its_snapshots_are_there_was_lost(tmp_path: Path) -> None:
    from devstream.builtin.local import LocalBackend
    from devstream.errors import StateDamagedError
    from devstream.state.manager import StateManager

    backend = LocalBackend(tmp_path / "devstream.state")
    assert StateManager(backend).read().lineage == ""
    backend.put_blob("snapshot-1", b"{}")
    with pytest.raises(StateDamagedError, match="is gone, but 1 snapshots of it are still there"):
        StateManager(backend).read()
