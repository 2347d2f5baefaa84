"""A state that is stored encrypted: whole, settled, switched on, refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from devstream.builtin.local import LocalBackend
from devstream.errors import (
    CredentialsError,
    DevstreamError,
    StateConflictError,
    StateDamagedError,
    StateError,
    SwapUnsettled,
)
from devstream.model.address import Address
from devstream.model.state import Put, PutReason
from devstream.state.backend import KernelLease
from devstream.state.encryption import Kind
from devstream.state.head import encode_head, first_head
from devstream.state.history import read_history
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.merging import read_rescue
from devstream.state.reading import load
from devstream.state.salvage import accepted, restore
from devstream.state.sealed_backend import SealedBackend, opened_file, opened_rescue, sealed, stored
from devstream.state.swap import Swapper
from devstream.testing.backends import MemoryBackend, MemoryStore, tool_state
from devstream.testing.crash import BackendAround, BreakableBackend
from devstream.testing.keys import keyring

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.model.state import State
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Propose
    from devstream.state.keys import Keyring

CANARY = "canary-c4n4ry-value"


class Place:
    """A state file, and clients of it with these keys or those."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "devstream.state"

    @property
    def plain(self) -> LocalBackend:
        return LocalBackend(self.path)

    def client(self, *names: str, keys: Keyring | None = None) -> SealedBackend:
        return sealed(self.plain, keys or keyring(*names))

    @property
    def contents(self) -> dict[str, bytes]:
        parts = [self.path, *self.path.with_name("devstream.state.d").glob("*")]
        return {part.name: part.read_bytes() for part in parts if part.exists()}

    def change(self, old: bytes, new: bytes) -> None:
        data = self.path.read_bytes()
        assert old in data
        self.path.write_bytes(data.replace(old, new))


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def record(backend: StateBackend, *names: str, size: int = 0) -> None:
    holder = this_process(f"run-{names[0]}", "devstream run")
    with StateManager(backend).acquire(holder, timeout=1, notice=lambda _: None) as writer:
        for name in names:
            tool = tool_state(name, text=CANARY + "x" * size)
            writer.record(Put(tool.address, tool, PutReason.BOOKKEEPING))


def edit(backend: StateBackend, propose: Propose) -> None:
    holder = this_process("edit", "devstream state x")
    StateManager(backend).edit(
        propose, holder, timeout=1, notice=lambda _: None, approve=lambda proposal: None
    )


def read(backend: StateBackend) -> State:
    return StateManager(backend).read()


def names(backend: StateBackend) -> list[str]:
    return sorted(where.instance_id for where in read(backend).tools)


def test_nothing_is_stored_in_the_clear(place: Place) -> None:
    for name in "abcd":
        record(place.client("main"), name, size=30_000)
    state = read(place.client("main"))
    assert len(place.contents) >= 3
    for data in place.contents.values():
        assert CANARY.encode() not in data
        assert b"noop" not in data
        assert state.hmac_key.hex().encode() not in data


def test_what_may_be_seen_is_seen(place: Place) -> None:
    record(place.client("main"), "a")
    head = json.loads(place.path.read_bytes())
    state = read(place.client("main"))
    assert (head["lineage"], head["serial"]) == (state.lineage, state.serial)
    assert head["encryption"]["key"] == "main"
    assert [part for part in place.contents if part.startswith("snapshot-")]
    for name, data in place.contents.items():
        if name.startswith("snapshot-"):
            assert json.loads(data)["name"] == name
            assert json.loads(data)["lineage"] == state.lineage


def test_who_runs_is_seen_without_the_key() -> None:
    store = MemoryStore()
    holder = this_process("run", "devstream run")
    with StateManager(sealed(MemoryBackend(store), keyring("main"))).acquire(
        holder, timeout=1, notice=lambda _: None
    ) as writer:
        writer.record(Put(Address("noop", "a"), tool_state("a"), PutReason.BOOKKEEPING))
        writer.flush()
        assert store.head is not None
        assert json.loads(store.head.data)["lease"]["run_id"] == "run"


def test_it_can_do_what_the_backend_behind_it_can(place: Place) -> None:
    assert isinstance(place.client("main"), KernelLease)
    assert isinstance(stored(place.client("main")), LocalBackend)
    assert stored(place.plain) is not None


class Unsettled(BackendAround):
    """Stores, and loses its answer."""

    def __init__(self, inner: Any, *, losing: int = 1, storing: bool = True) -> None:
        super().__init__(inner)
        self.sent: list[bytes] = []
        self._losing = losing
        self._storing = storing

    def swap_head(self, data: bytes, expected: str | None) -> str:
        self.sent.append(data)
        if len(self.sent) > self._losing:
            return super().swap_head(data, expected)
        if self._storing:
            super().swap_head(data, expected)
        message = "the answer was lost"
        raise SwapUnsettled(message)


@pytest.mark.parametrize("storing", [True, False])
def test_a_swap_is_settled_with_the_same_bytes(place: Place, storing: bool) -> None:
    inner = Unsettled(place.plain, losing=3, storing=storing)
    backend = sealed(inner, keyring("main"))
    document = first_head("now")
    Swapper(backend, sleep=lambda _: None).swap(encode_head(document), document.write_id, None)
    assert len(set(inner.sent)) == 1
    assert len(inner.sent) == (1 if storing else 4)
    loaded = load(place.client("main"))
    assert loaded is not None
    assert loaded.document == document


def test_other_bytes_have_another_nonce(place: Place) -> None:
    inner = Unsettled(place.plain, losing=0)
    backend = sealed(inner, keyring("main"))
    version = backend.swap_head(b"one", None)
    version = backend.swap_head(b"two", version)
    backend.swap_head(b"one", version)
    assert len({json.loads(data)["encryption"]["nonce"] for data in inner.sent}) == 3


def test_a_plain_state_is_read_and_the_next_write_encrypts_it(place: Place) -> None:
    record(place.plain, "a")
    assert names(place.client("main")) == ["a"]
    assert b"ciphertext" not in place.path.read_bytes(), "reading changes nothing"
    record(place.client("main"), "b")
    assert CANARY.encode() not in place.path.read_bytes()
    assert names(place.client("main")) == ["a", "b"]
    points, wrong = read_history(place.client("main"))
    assert wrong == []
    assert len(points) >= 2


def test_keys_that_only_open_leave_a_plain_state_plain(place: Place) -> None:
    record(place.plain, "a")
    record(place.client(keys=keyring("loose", opens_only=True)), "b")
    assert names(place.plain) == ["a", "b"]


def test_keys_that_only_open_keep_an_encrypted_state_encrypted(place: Place) -> None:
    record(place.client("main"), "a")
    record(place.client(keys=keyring("main", opens_only=True)), "b")
    assert b"ciphertext" in place.path.read_bytes()
    assert names(place.client("main")) == ["a", "b"]


def test_enforced_refuses_a_plain_state(place: Place) -> None:
    record(place.plain, "a")
    before = place.contents
    backend = place.client(keys=keyring("main", enforced=True))
    for attempt in (lambda: read(backend), lambda: record(backend, "b"), lambda: edit(backend, accepted)):
        with pytest.raises(StateError, match="is not encrypted") as caught:
            attempt()
        assert caught.value.exit_code == 6
        assert "enforced" in caught.value.diagnostic.suggestion
    place.change(b'"sum"', b'"mus"')
    with pytest.raises(StateError, match="is not encrypted"):
        read(backend)
    place.change(b'"mus"', b'"sum"')
    assert place.contents == before


def test_enforced_begins_a_new_state(place: Place) -> None:
    record(place.client(keys=keyring("main", enforced=True)), "a")
    assert names(place.client(keys=keyring("main", enforced=True))) == ["a"]


NO_KEY = [(), ("wrong",), ("no-key",), ("wrong", "no-key")]


@pytest.mark.parametrize("given", NO_KEY, ids=str)
def test_without_the_right_key_nothing_is_read_and_not_one_byte_changes(
    place: Place, given: tuple[str, ...]
) -> None:
    record(place.client("main"), "a")
    record(place.client("main"), "b")
    before = place.contents
    backend: StateBackend = place.client(*given) if given else place.plain
    for attempt in (
        lambda: read(backend),
        lambda: record(backend, "c"),
        lambda: edit(backend, accepted),
        lambda: edit(backend, restore(1)),
        lambda: read_history(backend),
    ):
        with pytest.raises(CredentialsError) as caught:
            attempt()
        assert caught.value.exit_code == 7
        told = str(caught.value.diagnostic.summary + caught.value.diagnostic.detail)
        assert json.loads(place.path.read_bytes())["encryption"]["id"] in told
    assert place.contents == before


def test_a_lost_head_under_a_lost_key_says_which_key(place: Place) -> None:
    record(place.client("main"), "a")
    place.path.unlink()
    for backend in (place.plain, place.client("wrong")):
        with pytest.raises(CredentialsError, match='"main"'):
            edit(backend, restore(1))


def test_a_lost_head_is_put_together_from_encrypted_snapshots(place: Place) -> None:
    record(place.client("main"), "a")
    record(place.client("main"), "b")
    place.path.unlink()
    edit(place.client("main"), restore(read_back := _newest(place)))
    assert read_back > 1
    assert names(place.client("main")) == ["a"] or names(place.client("main")) == ["a", "b"]
    assert CANARY.encode() not in place.path.read_bytes()


def _newest(place: Place) -> int:
    from devstream.state.history import points
    from devstream.state.salvage import salvage

    backend = place.client("main")
    found = salvage(backend, None, StateDamagedError("gone"))
    return points(found.loaded, backend)[0].serial


EDITS = [
    (b'"serial": ', b'"serial": 1'),
    (b'"write_id": "', b'"write_id": "0'),
    (b'"lease": null', b'"lease": {}'),
    (b'"moved_to": null', b'"moved_to": "/x"'),
    (b'"nonce": "', b'"nonce": "00'),
    (b'"ciphertext": "', b'"ciphertext": "AAAA'),
    (b'"key": "main"', b'"key": "niam"'),
    (b'"of": "head"', b'"of": "blob"'),
]


@pytest.mark.parametrize(("old", "new"), EDITS, ids=lambda part: part.decode())
def test_a_head_that_was_edited_is_refused_and_can_be_gone_back_from(
    place: Place, old: bytes, new: bytes
) -> None:
    record(place.client("main"), "a")
    record(place.client("main"), "b")
    place.change(old, new)
    before = place.contents
    for attempt in (
        lambda: read(place.client("main")),
        lambda: record(place.client("main"), "c"),
        lambda: edit(place.client("main"), accepted),
    ):
        with pytest.raises(StateDamagedError) as caught:
            attempt()
        assert caught.value.exit_code == 6
        assert "devstream state history" in caught.value.diagnostic.suggestion
    assert place.contents == before
    edit(place.client("main"), restore(1))
    assert names(place.client("main")) == []


def test_every_flipped_bit_of_a_head_is_refused(place: Place) -> None:
    record(place.client("main"), "a")
    whole = place.path.read_bytes()
    keys = keyring("main")
    refused = 0
    for position in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[position] ^= 1 << (position % 8)
        place.path.write_bytes(changed)
        with pytest.raises(DevstreamError):
            load(sealed(place.plain, keys))
        refused += 1
    print(f"{refused} of {refused} flipped bits refused")
    place.path.write_bytes(whole)
    assert names(place.client("main")) == ["a"]


def test_an_older_head_is_a_state_but_a_blob_is_not(place: Place) -> None:
    record(place.client("main"), "a")
    (name,) = (part for part in place.contents if part.startswith("snapshot-"))
    place.path.write_bytes(place.contents[name])
    with pytest.raises(StateDamagedError):
        read(place.client("main"))


def test_a_blob_under_another_name_is_not_taken(place: Place) -> None:
    backend = place.client("main")
    backend.put_blob("snapshot-1-a", b"one")
    backend.put_blob("snapshot-2-b", b"two")
    folder = place.path.with_name("devstream.state.d")
    (folder / "snapshot-1-a").replace(folder / "snapshot-2-b")
    assert backend.get_blob("snapshot-2-b") not in (b"one", b"two")


@pytest.mark.parametrize("damage", ["gone", "flipped", "swapped"])
def test_a_missing_or_changed_part_is_damage(place: Place, damage: str) -> None:
    for name in "ab":
        record(place.client("main"), name, size=40_000)
    head = load(place.client("main"))
    assert head is not None
    blob = head.document.snapshot.blob or head.document.segments[0]
    path = place.path.with_name("devstream.state.d") / blob.name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "gone":
        path.unlink()
    elif damage == "flipped":
        path.write_bytes(data)
    else:
        place.client("main").delete_blob(blob.name)
        place.client("main").put_blob(blob.name, b'{"format": 1, "state": {"tools": {}}}')
    with pytest.raises(StateDamagedError, match=blob.name):
        read(place.client("main"))


def test_an_empty_file_is_never_an_empty_state(place: Place) -> None:
    record(place.client("main"), "a")
    place.path.write_bytes(b"")
    with pytest.raises(StateDamagedError, match="is empty"):
        read(place.client("main"))


def test_two_states_at_one_place(place: Place, tmp_path: Path) -> None:
    other = Place(tmp_path / "other")
    record(place.client("main"), "a", size=40_000)
    record(other.client("main"), "a", size=40_000)
    head = load(place.client("main"))
    assert head is not None
    place.path.write_bytes(other.path.read_bytes())
    with pytest.raises(StateDamagedError, match="missing"):
        read(place.client("main"))


def test_a_rescue_file_is_encrypted_where_the_state_is(place: Place) -> None:
    breakable = BreakableBackend(place.plain)
    backend = sealed(breakable, keyring("main"))
    record(backend, "a")
    holder = this_process("broken", "devstream run")
    tool = tool_state("b", text=CANARY)
    writer = StateManager(backend).acquire(holder, timeout=1, notice=lambda _: None)
    breakable.broken = True
    writer.record(Put(tool.address, tool, PutReason.BOOKKEEPING))
    with pytest.raises(DevstreamError, match="full"):
        writer.close()
    (file,) = place.path.parent.glob("*.rescue-*")
    data = file.read_bytes()
    assert CANARY.encode() not in data
    assert json.loads(data)["devstream_rescue"] is True
    assert file.stat().st_mode & 0o777 == 0o600
    rescue = read_rescue(opened_rescue(place.client("main"), data, "it"), "it")
    assert [record.tool_state for record in rescue.records if isinstance(record, Put)] == [tool]
    with pytest.raises(CredentialsError, match='it is encrypted with the key file "main"'):
        opened_rescue(place.plain, data, "it")
    with pytest.raises(CredentialsError, match='"main"'):
        opened_rescue(place.client("wrong"), data, "it")
    with pytest.raises(StateDamagedError, match="edited"):
        opened_rescue(place.client("main"), data.replace(b'"serial": ', b'"serial": 1'), "it")
    with pytest.raises(StateDamagedError, match="edited"):
        opened_file(place.client("main"), Kind.PLAN, data, "it")


def test_a_plain_file_stays_as_it_is(place: Place) -> None:
    assert opened_rescue(place.plain, b"{}", "it") == b"{}"
    assert opened_rescue(place.client("main"), b"{}", "it") == b"{}"
    record(place.plain, "a")
    backend = place.client(keys=keyring("loose", opens_only=True))
    read(backend)
    assert backend.seal_rescue(b"{}") == b"{}"


def test_somebody_elses_swap_is_a_conflict(place: Place) -> None:
    record(place.client("main"), "a")
    first, second = place.client("main"), place.client("main")
    head = first.read_head()
    assert head is not None
    second.swap_head(head.data + b" ", head.version)
    with pytest.raises(StateConflictError):
        first.swap_head(head.data + b"  ", head.version)
