"""The local backend beside what the contract asks of every backend: files, rights, locks, errors of the disk."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

from devstream.builtin import local
from devstream.builtin.local import Files, LocalBackend, devstream_register_backends, make_local
from devstream.errors import (
    DevstreamError,
    LeaseError,
    StateConflictError,
    StateError,
    StateUnreachableError,
    SwapRefused,
)
from devstream.model.state import Put, PutReason, RunRecord, State
from devstream.plugins.registries import BackendRegistry
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.testing.backends import tool_state

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devstream.state.backend import Head

root_only = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def head_of(backend: LocalBackend) -> Head:
    head = backend.read_head()
    assert head is not None
    return head


# -- options


def test_registers_itself() -> None:
    registry = BackendRegistry()
    devstream_register_backends(registry)
    assert registry.get("local") is make_local


def test_state_file_is_relative_to_the_folder(tmp_path: Path) -> None:
    assert make_local({}, tmp_path).location == str(tmp_path / "devstream.state")
    assert make_local({"stateFile": "a/b.state"}, tmp_path).location == str(tmp_path / "a/b.state")
    assert make_local({"stateFile": "/abs/x"}, tmp_path).location == "/abs/x"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statefile": "x"}, 'no option "statefile".*its only option is "stateFile"'),
        ({"stateFile": 3}, "stateFile is 3: it has to be a path"),
        ({"stateFile": ""}, "stateFile is ''"),
    ],
    ids=str,
)
def test_wrong_options(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(DevstreamError, match=message) as caught:
        make_local(options, tmp_path)
    assert caught.value.exit_code == 3


# -- files and rights


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    backend = make_local({"stateFile": "new/folder/my.state"}, tmp_path)
    with backend.hold_lease(this_process("r", "c")) as taken:
        assert taken
        backend.swap_head(b"x", None)
        backend.put_blob("segment-1", b"y")
    folder = tmp_path / "new" / "folder"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("my.state", "my.state.d", "my.state.lock", "my.state.run"),
    ]
    assert {mode(path) for path in (tmp_path / "new", folder, folder / "my.state.d")} == {0o700}
    files = ("my.state", "my.state.lock", "my.state.run", "my.state.d/segment-1")
    assert {mode(folder / name) for name in files} == {0o600}


def test_rights_are_narrowed_where_they_were_wide(tmp_path: Path) -> None:
    path = tmp_path / "devstream.state"
    path.write_bytes(b"x")
    path.chmod(0o644)
    backend = LocalBackend(path)
    backend.swap_head(b"y", head_of(backend).version)
    assert mode(path) == 0o600


def test_reading_makes_nothing(tmp_path: Path) -> None:
    backend = make_local({"stateFile": "missing/state"}, tmp_path)
    assert StateManager(backend).read() == State()
    assert backend.lease_holder() is None
    assert backend.list_blobs() == []
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "devstream.state"
    link.symlink_to("real/state")
    backend = LocalBackend(link)
    backend.swap_head(b"x", None)
    assert link.is_symlink()
    assert (tmp_path / "real" / "state").read_bytes() == b"x"
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["state", "state.lock"]


def test_a_hand_edit_between_read_and_swap_is_a_conflict(tmp_path: Path) -> None:
    backend = make_local({}, tmp_path)
    version = backend.swap_head(b"x", None)
    (tmp_path / "devstream.state").write_bytes(b"edited")
    with pytest.raises(StateConflictError):
        backend.swap_head(b"y", version)
    assert head_of(backend).data == b"edited"


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    make_local({}, tmp_path).put_blob("segment-1", b"kept")
    dead, alive = dead_pid(), os.getpid()
    blobs = tmp_path / "devstream.state.d"
    stay = [
        tmp_path / "devstream.state.tmp-1-7",
        tmp_path / "devstream.state.tmp-other",
        tmp_path / f"other.state.tmp-{dead}-1",
        blobs / f"tmp-{alive}-7",
        blobs / "segment-1",
    ]
    go = [
        tmp_path / f"devstream.state.tmp-{dead}-1",
        tmp_path / f"devstream.state.tmp-{alive}-7",  # an earlier process of our number: we hold the lock
        blobs / f"tmp-{dead}-2",
    ]
    for path in [*stay, *go]:
        path.write_bytes(b"left")
    backend = make_local({}, tmp_path)
    backend.swap_head(b"x", None)
    assert [path.exists() for path in go] == [False, False, False]
    assert all(path.exists() for path in stay)
    assert backend.list_blobs() == ["segment-1"]


# -- locks


def test_a_lock_file_that_was_removed_is_noticed(tmp_path: Path) -> None:
    backend = make_local({}, tmp_path)
    version = backend.swap_head(b"x", None)
    lock = tmp_path / "devstream.state.lock"

    class Removing(Files):
        removals = 1

        def lock(self, descriptor: int, kind: int) -> bool:
            if self.removals:
                self.removals -= 1
                lock.unlink()
            return super().lock(descriptor, kind)

    files = Removing()
    LocalBackend(tmp_path / "devstream.state", files).swap_head(b"y", version)
    assert files.removals == 0
    assert lock.exists()


def test_a_lock_that_is_not_let_go_names_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "_LOCK_PATIENCE", 0.05)
    lock = tmp_path / "devstream.state.lock"
    with lock.open("w") as file:
        file.write("4711      \n")
        file.flush()
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(StateUnreachableError, match="locked by process 4711, which does not let go"):
            make_local({}, tmp_path).swap_head(b"x", None)


HOLD = """
import sys
from pathlib import Path
from devstream.builtin.local import make_local
from devstream.state.holder import this_process
with make_local({}, Path(sys.argv[1])).hold_lease(this_process("other", "devstream run")) as taken:
    print(taken, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease."""
    argv = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        yield process
        process.kill()


def test_the_lease_names_its_holder(tmp_path: Path, other_run: subprocess.Popen[str]) -> None:
    backend = make_local({}, tmp_path)
    holder = backend.lease_holder()
    assert holder is not None
    assert (holder.run_id, holder.pid, holder.command) == ("other", other_run.pid, "devstream run")
    with pytest.raises(
        LeaseError, match=rf"in use by .*@.* \(pid {other_run.pid}, `devstream run`, since .*Z\)"
    ):
        StateManager(backend).acquire(this_process("r", "c"), timeout=0, notice=lambda _: None)


def test_the_lease_of_a_killed_run_is_free_at_once(tmp_path: Path, other_run: subprocess.Popen[str]) -> None:
    other_run.kill()
    other_run.wait()
    backend = make_local({}, tmp_path)
    assert backend.lease_holder() is None
    StateManager(backend).acquire(this_process("r", "c"), timeout=0, notice=lambda _: None).close()


def test_a_holder_that_has_not_said_who_it_is_yet(tmp_path: Path) -> None:
    with (tmp_path / "devstream.state.run").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        holder = make_local({}, tmp_path).lease_holder()
    assert holder is not None
    assert holder.who == "another process"


# -- errors of the disk


class Failing(Files):
    """Fails at the call with a number, once or from then on."""

    def __init__(self, at: int, code: int, *, for_ever: bool) -> None:
        self.calls: list[str] = []
        self._at, self._code, self._for_ever = at, code, for_ever
        self.fired = False

    def _call(self, name: str) -> None:
        self.calls.append(name)
        number = len(self.calls)
        if number == self._at or (self._for_ever and number > self._at):
            self.fired = True
            raise OSError(self._code, os.strerror(self._code))

    def open(self, path: Path, flags: int) -> int:
        self._call("open")
        return super().open(path, flags)

    def read(self, path: Path) -> bytes:
        self._call("read")
        return super().read(path)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._call("write")
        return super().write(descriptor, bytes(data)[:9000])  # a short write, too

    def fsync(self, descriptor: int) -> None:
        self._call("fsync")

    def rename(self, source: Path, target: Path) -> None:
        self._call("rename")
        super().rename(source, target)

    def fsync_folder(self, path: Path) -> None:
        self._call("fsync_folder")

    def unlink(self, path: Path) -> None:
        self._call("unlink")
        super().unlink(path)

    def make_folder(self, path: Path) -> None:
        self._call("make_folder")
        super().make_folder(path)

    def names(self, path: Path) -> list[str]:
        self._call("names")
        return super().names(path)

    def lock(self, descriptor: int, kind: int) -> bool:
        self._call("lock")
        return super().lock(descriptor, kind)


def put(name: str, **options: object) -> Put:
    tool = tool_state(name, **options)
    return Put(tool.address, tool, PutReason.EDITED)


class Heard(NamedTuple):
    """What a run handed in, what of it was acknowledged, and what went wrong."""

    handed_in: list[str]
    acknowledged: list[str]
    error: Exception | None


def workload(folder: Path, files: Files) -> Heard:
    """A run of four records, each awaited."""
    handed_in: list[str] = []
    acknowledged: list[str] = []
    try:
        manager = StateManager(LocalBackend(folder / "devstream.state", files), sleep=lambda _: None)
        writer = manager.acquire(this_process("run", "tests"), timeout=0, notice=lambda _: None)
        try:
            for name in "abcd":
                handed_in.append(name)
                writer.record(
                    put(name, text="x" * 20_000),
                    done=lambda error, name=name: None if error else acknowledged.append(name),  # type: ignore[misc]
                )
                if writer.failed is None:
                    writer.flush()
        finally:
            writer.close(RunRecord("run", "tests", "then", "now"))
    except DevstreamError as error:
        return Heard(handed_in, acknowledged, error)
    return Heard(handed_in, acknowledged, None)


CODES = [errno.ENOSPC, errno.EIO, errno.EACCES, errno.EBUSY]


ALL = [(code, for_ever) for code in CODES for for_ever in (False, True)]
LATER = [(errno.ENOSPC, True), (errno.EIO, False), (errno.EACCES, True), (errno.EBUSY, False)]


@pytest.mark.parametrize(
    ("code", "for_ever"),
    [
        pytest.param(
            code,
            for_ever,
            id=f"{errno.errorcode[code]} {'for ever' if for_ever else 'once'}",
            marks=[pytest.mark.slow] if (code, for_ever) in LATER else [],
        )
        for code, for_ever in ALL
    ],
)
def test_an_error_at_any_call_leaves_old_or_new(tmp_path: Path, code: int, *, for_ever: bool) -> None:
    at = 0
    while True:
        at += 1
        folder = tmp_path / str(at)
        folder.mkdir()
        files = Failing(at, code, for_ever=for_ever)
        heard = workload(folder, files)
        acknowledged, error = heard.acknowledged, heard.error
        if not files.fired:
            break
        state = StateManager(make_local({}, folder)).read()
        recorded = [address.instance_id for address in state.tools]
        where = f"{files.calls[at - 1]} (call {at}): {error}"
        assert recorded[: len(acknowledged)] == acknowledged, where
        assert recorded == list("abcd")[: len(recorded)], where
        assert error is None or "traceback" not in str(error).lower()
        check_rescue(folder, heard, recorded, where)
        assert make_local({}, folder).lease_holder() is None
        assert workload(folder, Failing(0, 0, for_ever=False)) == Heard(list("abcd"), list("abcd"), None), (
            where
        )
    print(
        f"{errno.errorcode[code]} at each of {at - 1} calls: the old state or the new one, and nothing lost"
    )
    assert at > 40
    assert error is None
    assert acknowledged == list("abcd")


def check_rescue(folder: Path, heard: Heard, recorded: list[str], where: str) -> None:
    """What was handed in and is not in the state is in a rescue file, which the error names."""
    path = folder / "devstream.state.rescue-run"
    rescued = (
        {record["address"] for record in json.loads(path.read_text())["records"]} if path.exists() else set()
    )
    assert {f"noop.{name}" for name in heard.handed_in} <= rescued | {f"noop.{name}" for name in recorded}, (
        where
    )
    if rescued:
        assert str(path) in str(heard.error), where
    if heard.error is None:
        assert recorded == list("abcd"), where


def test_a_folder_that_is_not_synced_is_fatal(tmp_path: Path) -> None:
    class NoFolders(Files):
        broken = False

        def fsync_folder(self, path: Path) -> None:
            if self.broken:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            super().fsync_folder(path)

    files = NoFolders()
    manager = StateManager(LocalBackend(tmp_path / "devstream.state", files))
    writer = manager.acquire(this_process("run", "tests"), timeout=0, notice=lambda _: None)
    files.broken = True
    heard: list[DevstreamError | None] = []
    writer.record(put("a"), done=heard.append)
    with pytest.raises(StateUnreachableError, match=r"cannot be sure that .* is on the disk"):
        writer.flush()
    files.broken = False
    writer.record(put("b"), done=heard.append)
    with pytest.raises(StateUnreachableError, match="rescue-run"):
        writer.close()
    assert all(isinstance(error, StateUnreachableError) for error in heard)
    assert len(heard) == 2


MESSAGES: dict[int, tuple[type[StateError], str, int]] = {
    errno.EBUSY: (StateUnreachableError, "mounted alone; mount its folder", 6),
    errno.ENOSPC: (SwapRefused, "no space left on device .make room", 6),
    errno.EROFS: (SwapRefused, "read-only file system .name another place", 7),
    errno.ENOLCK: (StateUnreachableError, "has no locks; keep the state on a local disk", 6),
}


@pytest.mark.parametrize("code", MESSAGES, ids=[errno.errorcode[code] for code in MESSAGES])
def test_errors_say_the_way_out(tmp_path: Path, code: int) -> None:
    class Broken(Files):
        def rename(self, source: Path, target: Path) -> None:
            raise OSError(code, os.strerror(code))

    backend = LocalBackend(tmp_path / "devstream.state", Broken())
    kind, message, exit_code = MESSAGES[code]
    with pytest.raises(kind, match=message) as caught:
        backend.swap_head(b"x", None)
    assert caught.value.exit_code == exit_code
    assert str(tmp_path / "devstream.state") in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["devstream.state.lock"]


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "devstream.state").mkdir()
    with pytest.raises(StateError, match="names a file, not a folder"):
        make_local({}, tmp_path).read_head()


def test_a_file_in_place_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    backend = make_local({"stateFile": "file/state"}, tmp_path)
    with pytest.raises(StateError, match="not a directory"):
        backend.read_head()
    with pytest.raises(StateError, match=r"file exists|not a directory"):
        backend.swap_head(b"x", None)


@root_only
def test_no_right_to_write(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(SwapRefused, match="permission denied") as caught:
        make_local({}, tmp_path).swap_head(b"x", None)
    assert caught.value.exit_code == 7


# -- cost


class Counting(Failing):
    """Counts calls and bytes."""

    def __init__(self) -> None:
        super().__init__(0, 0, for_ever=False)
        self.bytes = 0

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self.calls.append("write")
        self.bytes += len(data)
        return os.write(descriptor, data)


def cost_of_a_change(folder: Path, tools: int) -> tuple[list[str], int]:
    path = folder / "devstream.state"
    with StateManager(LocalBackend(path)).acquire(
        this_process("fill", "tests"), timeout=0, notice=lambda _: None
    ) as writer:
        writer.record(*(put(f"t{number}", text="x" * 40) for number in range(tools)))
    files = Counting()
    manager = StateManager(LocalBackend(path, files))
    writer = manager.acquire(this_process("run", "tests"), timeout=0, notice=lambda _: None)
    writer.record(put("t1", text="sweep"))
    writer.flush()
    files.calls.clear()
    files.bytes = 0
    writer.record(put("t1", text="changed"))
    writer.flush()
    calls, written = list(files.calls), files.bytes
    writer.close()
    return calls, written


def test_one_change_costs_the_same_however_much_is_recorded(tmp_path: Path) -> None:
    costs = {}
    for tools in (10, 1_000, 10_000):
        folder = tmp_path / str(tools)
        folder.mkdir()
        costs[tools] = cost_of_a_change(folder, tools)
    calls = {tuple(calls) for calls, _ in costs.values()}
    assert calls == {("open", "lock", "read", "open", "write", "fsync", "rename", "fsync_folder")}
    assert max(written for _, written in costs.values()) < 20_000
