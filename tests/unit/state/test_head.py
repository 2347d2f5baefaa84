"""The head: what it looks like, and that no damage to it goes unnoticed."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from devstream.errors import StateDamagedError, StateError, StateForeignError
from devstream.model.state import Put, PutReason, RunRecord
from devstream.state.head import encode_head, first_head, is_sealed, seal
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.reading import decode_head
from devstream.testing.backends import MemoryBackend, tool_state

if TYPE_CHECKING:
    from devstream.state.backend import Head

MEMBERS = [
    *("format", "lineage", "serial", "write_id", "recent", "hmac_key", "snapshot", "segments", "records"),
    *("lease", "history", "garbage", "store", "moved_to", "moved_as", "sum"),
]


def written(runs: int = 2) -> tuple[MemoryBackend, bytes]:
    backend = MemoryBackend()
    for number in range(runs):
        holder = this_process(f"run-{number}", "tests")
        with StateManager(backend).acquire(holder, timeout=1, notice=lambda _: None) as writer:
            tool = tool_state(f"t{number}", text="hello", number=number)
            writer.record(Put(tool.address, tool, PutReason.BOOKKEEPING))
            writer.close(RunRecord(f"run-{number}", "tests", "then", "now"))
    return backend, head_of(backend).data


def head_of(backend: MemoryBackend) -> Head:
    head = backend.read_head()
    assert head is not None
    return head


def test_small_state_is_one_readable_file() -> None:
    _, data = written()
    document = json.loads(data)
    assert list(document) == MEMBERS
    assert list(document["snapshot"]["state"]["tools"]) == ["noop.t0", "noop.t1"]
    assert document["records"] == []
    assert document["lease"] is None
    assert document["serial"] == 5
    assert data.startswith(b'{\n  "format": 1,\n  "lineage": "')
    assert b'          "options": {\n            "text": "hello",' in data
    assert data.endswith(b'"\n}\n')


def test_first_head_is_explicit_and_its_own() -> None:
    one, two = first_head("now"), first_head("now")
    assert json.loads(encode_head(one))["snapshot"]["state"] == {"tools": {}}
    assert one.lineage != two.lineage
    assert one.hmac_key != two.hmac_key
    assert [len(part) for part in one.lineage.split("-")] == [8, 4, 4, 4, 12]


def test_lineage_and_key_stay_and_serial_grows() -> None:
    backend, data = written(1)
    first = decode_head(data, "here")
    with StateManager(backend).acquire(this_process("r", "t"), timeout=1, notice=lambda _: None) as writer:
        assert writer.state.hmac_key == bytes.fromhex(first.hmac_key)
        writer.record(Put(tool_state("x").address, tool_state("x"), PutReason.EDITED))
        writer.flush()
        assert writer.state.serial == first.serial + 1
        second = decode_head(head_of(backend).data, "here")
        assert second.lineage == first.lineage
        assert second.recent[0] == first.write_id
        assert second.lease is not None
        assert second.lease["run_id"] == "r"


def test_ring_of_write_ids_is_bounded() -> None:
    backend, _ = written(1)
    ids = [decode_head(head_of(backend).data, "here").write_id]
    with StateManager(backend).acquire(this_process("r", "t"), timeout=1, notice=lambda _: None) as writer:
        for _ in range(20):
            writer.record(Put(tool_state("x").address, tool_state("x"), PutReason.EDITED))
            writer.flush()
            ids.insert(0, decode_head(head_of(backend).data, "here").write_id)
    document = decode_head(head_of(backend).data, "here")
    assert list(document.recent) == ids[:16]
    assert len(set(ids)) == len(ids)


def test_truncation_at_every_length_is_refused() -> None:
    _, data = written()
    for length in range(len(data)):
        with pytest.raises((StateDamagedError, StateForeignError)):
            decode_head(data[:length], "here")
    print(f"{len(data)} truncations refused")


def flip(data: bytes, choose: random.Random) -> bytes:
    flipped = bytearray(data)
    flipped[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
    return bytes(flipped)


def refuse_flips(count: int) -> None:
    _, data = written()
    choose = random.Random(count)
    for _ in range(count):
        with pytest.raises((StateDamagedError, StateForeignError)):
            decode_head(flip(data, choose), "here")
    print(f"{count} flipped bits refused")


def test_flipped_bits_are_refused() -> None:
    refuse_flips(300)


@pytest.mark.slow
def test_many_flipped_bits_are_refused() -> None:
    refuse_flips(3000)


@pytest.mark.parametrize("garble", [b"", b"\0" * 40, b"xyz" * 20], ids=["cut out", "zeros", "text"])
def test_a_garbled_middle_is_refused(garble: bytes) -> None:
    _, data = written()
    middle = len(data) // 2
    with pytest.raises(StateDamagedError):
        decode_head(data[:middle] + garble + data[middle + 40 :], "here")


DTM = b"""hello_world:
  name: noop
  instanceID: world
  dependsOn: []
  options:
    instanceID: world
  resourceStatus: {}
"""
NEWER = seal(b'{"format": 2, "lineage": "x", "serial": 1, "write_id": "w", "future": true}')
FOREIGN = {
    "the original's": (
        DTM,
        StateForeignError,
        "written by the original DevStream.*devstream state import-dtm",
    ),
    "other YAML": (
        b"tools:\n- name: x\n",
        StateForeignError,
        "not a state of devstream: it begins with 'tools:",
    ),
    "other JSON": (b'{"version": 4, "serial": 3, "lineage": "x"}', StateForeignError, "although it is JSON"),
    "a list": (b"[1, 2]", StateForeignError, "although it is JSON"),
    "binary": (bytes(range(256)), StateForeignError, "not a state of devstream"),
    "deep": (b"[" * 100_000, StateForeignError, "not a state of devstream"),
    "newer": (NEWER, StateForeignError, "newer version of devstream .format 2.*upgrade devstream"),
    "newer, signed in another way": (
        NEWER[: NEWER.index(b'"sum"')] + b'"sig": "x"}',
        StateForeignError,
        "newer version",
    ),
    "nothing": (b"", StateDamagedError, "is empty .0 bytes., and an empty file never means"),
    "zeros": (b"\0" * 512, StateDamagedError, "nothing but 512 blank or zero bytes"),
    "blank": (b" \n", StateDamagedError, "nothing but 2 blank"),
    "a format that never was": (
        seal(b'{"format": 0, "lineage": "x", "serial": 1, "write_id": "w"}'),
        StateDamagedError,
        "names a format that does not exist: 0",
    ),
    "sealed, but not a head": (
        seal(b'{"format": 1, "lineage": 3}'),
        StateDamagedError,
        "sealed, but it is not",
    ),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_not_a_head_is_recognised(name: str) -> None:
    data, kind, message = FOREIGN[name]
    with pytest.raises(kind, match=message) as caught:
        decode_head(data, "/there/devstream.state")
    assert "/there/devstream.state" in str(caught.value)
    assert caught.value.exit_code == 6


def test_empty_names_the_import_too() -> None:
    with pytest.raises(StateDamagedError) as caught:
        decode_head(b"", "here")
    assert "devstream state import-dtm" in caught.value.diagnostic.detail


def test_damage_says_where_parsing_stopped() -> None:
    _, data = written()
    lines = data.split(b"\n")
    lines[9] = b"}}"
    with pytest.raises(StateDamagedError, match=r"line 10, column \d+"):
        decode_head(b"\n".join(lines), "here")
    with pytest.raises(StateDamagedError, match="ends after 500 bytes"):
        decode_head(data[:500], "here")


def test_hand_edit_is_shown_beside_the_kept_snapshot() -> None:
    backend, data = written()
    edited = data.replace(b'"number": 1', b'"number": 7')
    assert edited != data
    with pytest.raises(StateDamagedError, match="well-formed, but its digest differs") as caught:
        decode_head(edited, "here", backend.get_blob)
    assert caught.value.diagnostic.code == "state-edited"
    assert caught.value.diagnostic.detail.splitlines() == [
        "Beside the snapshot of serial 3 (run run-0):",
        "  noop.t1: added",
    ]
    with pytest.raises(StateDamagedError, match="well-formed") as caught:
        decode_head(data.replace(b'"number": 0', b'"number": 7'), "here", backend.get_blob)
    assert "  noop.t0: options" in caught.value.diagnostic.detail


def test_state_that_moved_says_where_to() -> None:
    _, data = written()
    head = {k: v for k, v in json.loads(data).items() if k != "sum"} | {"moved_to": "s3://bucket/key"}
    gone = seal(json.dumps(head | {"moved_as": "0123456789abcdef"}).encode())
    with pytest.raises(StateError, match=r"moved to s3://bucket/key.*--state s3://bucket/key"):
        decode_head(gone, "here")
    assert decode_head(gone, "here", accept_moved=True).moved_to == "s3://bucket/key"
    finish = "devstream state migrate-backend here --state s3://bucket/key"
    with pytest.raises(StateError, match=rf"not become the state.*{finish}"):
        decode_head(seal(json.dumps(head).encode()), "here")


def test_seal() -> None:
    data = seal(b'{\n  "a": 1\n}\n')
    assert is_sealed(data)
    assert list(json.loads(data)) == ["a", "sum"]
    assert not is_sealed(data + b"\n")
    assert not is_sealed(data.replace(b"\n", b"\r\n"))
    assert not is_sealed(b"")


def test_a_damaged_state_is_never_written_over() -> None:
    backend, data = written()
    broken = data[:-100]
    backend.swap_head(broken, head_of(backend).version)
    manager = StateManager(backend)
    for attempt in (manager.read, lambda: manager.acquire(this_process("r", "t"), timeout=1, notice=print)):
        with pytest.raises(StateDamagedError):
            attempt()
    assert head_of(backend).data == broken
    assert backend.lease_holder() is None
