"""The kept trail, going back along it, and putting a state together from it where the head is lost."""

from __future__ import annotations

import json
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from devstream.errors import DevstreamError, StateDamagedError, StateForeignError, UsageError
from devstream.model.address import Address
from devstream.model.plan import Action
from devstream.model.state import Begin, Put, PutReason
from devstream.state.dtm import importing
from devstream.state.fold import fold
from devstream.state.head import is_sealed
from devstream.state.history import read_history
from devstream.state.reading import decode_head
from devstream.state.salvage import accepted, restore
from devstream.testing.backends import tool_state

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def begin(name: str) -> Begin:
    tool = tool_state(name, n=1)
    return Begin(f"op-{name}", 1, tool.address, Action.CREATE, tool, "run", "host", "boot")


def three_runs(recorded: Any) -> list[int]:
    return [recorded.run(a=1), recorded.run(a=2, b=1), recorded.run(a=None)]


def large(number: int) -> list[Put]:
    tools = [tool_state(f"t{item}", n=number, text="x" * 300) for item in range(250)]
    return [Put(tool.address, tool, PutReason.BOOKKEEPING) for tool in tools]


# -- the trail


def test_points_say_who_and_what(recorded: Any) -> None:
    assert read_history(recorded.backend) == ([], [])
    serials = three_runs(recorded)
    points, problems = read_history(recorded.backend)
    assert problems == []
    assert [point.serial for point in points] == [*reversed(serials), 1]
    assert [point.run.run_id if point.run else "" for point in points] == ["run-3", "run-2", "run-1", ""]
    assert [[*map(str, (*p.added, *p.changed, *p.removed))] for p in points] == [
        ["noop.a"],
        ["noop.b", "noop.a"],
        ["noop.a"],
        [],
    ]
    assert [len(point.tools) for point in points] == [1, 2, 1, 0]


def test_a_run_that_crashed_is_the_present_point(recorded: Any) -> None:
    recorded.run(a=1)
    writer = recorded.manager.acquire(holder("crash"), timeout=1, notice=print)
    writer.record(Put(tool_state("b").address, tool_state("b", n=1), PutReason.BOOKKEEPING))
    writer.flush()
    points, _ = read_history(recorded.backend)
    assert [(point.serial, point.run_id, len(point.tools)) for point in points] == [
        (4, "crash", 2),
        (3, "run-1", 1),
        (1, "", 0),
    ]
    writer.close()


def holder(run_id: str) -> Any:
    from devstream.state.holder import this_process

    return this_process(run_id, "devstream run")


def test_large_states_have_a_trail_too(recorded: Any) -> None:
    for number in range(4):
        recorded.run(*large(number))
    points, problems = read_history(recorded.backend)
    assert problems == []
    assert {0, 250} <= {len(point.tools) for point in points}  # a slow machine keeps some in between
    recorded.edit(restore(points[1].serial))
    assert read_history(recorded.backend)[1] == []


def break_missing(path: Path) -> None:
    path.unlink()


def break_flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [break_missing, break_flipped], ids=["missing", "flipped"])
def test_a_broken_part_is_found_and_the_others_are_not_hurt(
    recorded: Any, spoil: Callable[[Path], None]
) -> None:
    serials = three_runs(recorded)
    blob = decode_head(recorded.path.read_bytes(), "here").history[0].snapshot
    spoil(recorded.path.parent / "devstream.state.d" / blob.name)
    points, problems = read_history(recorded.backend)
    assert len(problems) == 1
    assert blob.name in problems[0]
    assert [bool(point.problem) for point in points] == [False, True, False, False]
    with pytest.raises(StateDamagedError, match="choose another"):
        recorded.edit(restore(serials[1]))
    recorded.edit(restore(serials[0]))
    assert recorded.marks == {"a": 1}


def test_a_trail_that_does_not_lead_on_is_found(recorded: Any) -> None:
    three_runs(recorded)
    document = decode_head(recorded.path.read_bytes(), "here")
    from msgspec import structs

    from devstream.state.head import encode_head

    gap = structs.replace(document, history=(document.history[0], document.history[2]))
    recorded.path.write_bytes(encode_head(gap))
    _, problems = read_history(recorded.backend)
    assert len(problems) == 1
    assert "the trail is broken" in problems[0]


# -- going back


def test_restore_brings_the_entries_back_and_keeps_the_present(recorded: Any) -> None:
    first, second, third = three_runs(recorded)
    write_id = decode_head(recorded.path.read_bytes(), "here").write_id
    recorded.edit(restore(second))
    assert recorded.marks == {"a": 2, "b": 1}
    document = decode_head(recorded.path.read_bytes(), "here")
    assert document.serial == third + 1
    assert document.write_id != write_id
    assert write_id in document.recent
    assert document.history[0].serial == third
    recorded.edit(restore(third))
    assert recorded.marks == {"b": 1}
    recorded.edit(restore(first))
    assert recorded.marks == {"a": 1}
    assert read_history(recorded.backend)[1] == []


def test_restore_of_the_present_is_nothing(recorded: Any) -> None:
    *_, last = three_runs(recorded)
    assert not recorded.edit(restore(last)).writes


def test_restore_of_a_serial_that_is_not_kept(recorded: Any) -> None:
    three_runs(recorded)
    with pytest.raises(UsageError, match=r"serial 2 is not kept.*these are: 7, 5, 3, 1"):
        recorded.edit(restore(2))


def test_what_is_open_stays_open(recorded: Any) -> None:
    first = recorded.run(a=1)
    recorded.run(begin("c"), a=2)
    recorded.edit(restore(first))
    assert recorded.marks == {"a": 1}
    assert list(recorded.state.open_operations) == [Address("noop", "c")]


# -- without a head


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"n": 1', b'"n": 3', 1))


LOST = {"truncated": truncate, "empty": empty, "edited": flip, "gone": break_missing}


@pytest.mark.parametrize("name", LOST)
def test_a_lost_head_is_put_together_from_what_was_kept(recorded: Any, name: str) -> None:
    three_runs(recorded)
    last = recorded.state
    LOST[name](recorded.path)
    with pytest.raises(StateDamagedError):
        recorded.manager.read()
    recorded.edit(restore(last.serial))
    state = recorded.state
    assert state.tools == last.tools
    assert state.lineage == last.lineage
    assert state.serial == last.serial + 1
    assert (state.hmac_key == last.hmac_key) is (name in ("truncated", "edited"))
    points, problems = read_history(recorded.backend)
    assert problems == []
    assert [point.serial for point in points] == [last.serial + 1, 5, 3, 1]
    assert any(blob.startswith("damaged-") for blob in recorded.blobs) is (name != "gone")


def test_a_lost_head_can_go_further_back(recorded: Any) -> None:
    first, *_ = three_runs(recorded)
    truncate(recorded.path)
    assert recorded.edit(restore(first)).notes
    assert recorded.marks == {"a": 1}


def test_what_a_crashed_run_had_recorded_is_lost_with_the_head(recorded: Any) -> None:
    recorded.run(a=1)
    with recorded.manager.acquire(holder("crash"), timeout=1, notice=print) as writer:
        writer.record(Put(tool_state("b").address, tool_state("b", n=1), PutReason.BOOKKEEPING))
        writer.flush()
        kept = recorded.path.read_bytes()
    recorded.path.write_bytes(kept.replace(b'"records"', b'"recordz"'))
    (recorded.path.parent / "devstream.state.d").joinpath(newest(recorded)).unlink()
    recorded.edit(restore(3))
    assert recorded.marks == {"a": 1}
    assert recorded.state.serial == 5


def newest(recorded: Any) -> str:
    return str(max(recorded.blobs))


def test_a_lost_head_of_a_large_state(recorded: Any) -> None:
    serials = [recorded.run(*large(number)) for number in range(3)]
    document = decode_head(recorded.path.read_bytes(), "here")
    assert document.snapshot.blob is not None
    truncate(recorded.path)
    points, _ = salvaged(recorded)
    assert points[0].serial == document.snapshot.serial
    recorded.edit(restore(points[0].serial))
    assert set(recorded.marks.values()) <= {0, 1, 2}
    assert recorded.state.serial > serials[-1] - 3
    assert read_history(recorded.backend)[1] == []


def salvaged(recorded: Any) -> Any:
    from devstream.state.history import points, problems
    from devstream.state.salvage import salvage

    found = salvage(recorded.backend, recorded.backend.read_head(), StateDamagedError("lost"))
    return points(found.loaded, recorded.backend), problems(found.loaded, recorded.backend)


def test_with_nothing_kept_the_damage_is_what_is_said(recorded: Any) -> None:
    recorded.path.write_bytes(b"")
    with pytest.raises(StateDamagedError, match="is empty"):
        recorded.edit(restore(1))


def test_snapshots_of_two_states_are_not_mixed(recorded: Any, tmp_path: Path) -> None:
    three_runs(recorded)
    other = tmp_path / "other"
    other.mkdir()
    stranger = type(recorded)(other)
    three_runs(stranger)
    for name in stranger.blobs:
        recorded.backend.put_blob(name, stranger.backend.get_blob(name))
    head = recorded.path.read_bytes()
    truncate(recorded.path)
    recorded.edit(restore(7))
    assert recorded.state.lineage == decode_head(head, "here").lineage
    recorded.path.unlink()
    with pytest.raises(StateDamagedError, match="snapshots of 2 different states"):
        recorded.edit(restore(7))


def test_garbled_snapshots_are_passed_over(recorded: Any) -> None:
    three_runs(recorded)
    for number, data in enumerate(
        [b"", b"{}", b"[]", b"\xff", b'{"format": 9}', b'{"format": 1, "state": 3}']
    ):
        recorded.backend.put_blob(f"snapshot-0000000{number}-ff", data)
    truncate(recorded.path)
    recorded.edit(restore(7))
    assert recorded.marks == {"b": 1}


# -- edited by hand


def edit(recorded: Any, change: Callable[[Any], None]) -> None:
    plain = json.loads(recorded.path.read_bytes())
    change(plain)
    recorded.path.write_text(json.dumps(plain))


def test_an_edit_is_taken_over_and_recorded(recorded: Any) -> None:
    recorded.run(a=1, b=2, c=3)

    def change(plain: Any) -> None:
        tools = plain["snapshot"]["state"]["tools"]
        tools["noop.a"]["options"]["n"] = 9
        tools["noop.d"] = {"options": {"n": 4}}
        del tools["noop.b"]

    edit(recorded, change)
    proposal = recorded.edit(accepted)
    assert recorded.marks == {"a": 9, "c": 3, "d": 4}
    assert {(type(item).__name__, str(item.address)) for item in proposal.records} == {
        ("Put", "noop.a"),
        ("Put", "noop.d"),
        ("Drop", "noop.b"),
    }
    assert proposal.before is not None
    assert is_sealed(recorded.path.read_bytes())
    assert read_history(recorded.backend)[1] == []
    recorded.run(e=5)
    assert recorded.marks == {"a": 9, "c": 3, "d": 4, "e": 5}


def test_a_seal_alone_is_mended_too(recorded: Any) -> None:
    recorded.run(a=1)
    edit(recorded, lambda _: None)
    proposal = recorded.edit(accepted)
    assert (proposal.records, proposal.writes) == ((), True)
    assert recorded.marks == {"a": 1}


def test_without_an_edit_there_is_nothing_to_accept(recorded: Any) -> None:
    assert not recorded.edit(accepted).writes
    recorded.run(a=1)
    assert not recorded.edit(accepted).writes


def test_an_edit_of_a_state_without_its_snapshots(recorded: Any) -> None:
    recorded.run(a=1)
    edit(recorded, lambda plain: plain["snapshot"]["state"]["tools"]["noop.a"]["options"].update(n=2))
    for name in recorded.blobs:
        recorded.backend.delete_blob(name)
    recorded.edit(accepted)
    assert recorded.marks == {"a": 2}


def test_an_edit_of_a_large_state(recorded: Any) -> None:
    recorded.run(*large(1))
    recorded.run(a=1)

    def change(plain: Any) -> None:
        (record,) = [item for item in plain["records"] if item["type"] == "put"]
        record["tool"]["options"]["n"] = 5

    edit(recorded, change)
    (record,) = recorded.edit(accepted).records
    assert str(record.address) == "noop.a"
    assert recorded.marks["a"] == 5


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "an address": (lambda tools: tools.update(noop={}), "noop: this is not an address"),
    "an entry": (lambda tools: tools.update({"noop.a": 3}), "noop.a: this is not a mapping"),
    "a type": (lambda tools: tools["noop.a"].update(tainted="yes"), 'noop.a: tainted cannot be "yes"'),
    "a number": (lambda tools: tools["noop.a"].update(retries=True), "noop.a: retries cannot be true"),
    "a list": (lambda tools: tools["noop.a"].update(dependsOn="noop.b"), "dependsOn cannot be"),
    "its items": (lambda tools: tools["noop.a"].update(tags=[1]), "tags is a list of texts"),
    "an action": (lambda tools: tools["noop.a"].update(failed_action="x"), "there is no action 'x'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_an_edit_that_cannot_be_used_is_refused(recorded: Any, name: str) -> None:
    change, message = WRONG[name]
    recorded.run(a=1)
    edit(recorded, lambda plain: change(plain["snapshot"]["state"]["tools"]))
    before = recorded.path.read_bytes()
    with pytest.raises(StateDamagedError, match=message):
        recorded.edit(accepted)
    assert recorded.path.read_bytes() == before


@pytest.mark.parametrize("member", ["serial", "snapshot", "hmac_key"])
def test_an_edit_of_the_head_itself_is_refused(recorded: Any, member: str) -> None:
    recorded.run(a=1)
    edit(recorded, lambda plain: plain.update({member: "x"}))
    with pytest.raises(StateDamagedError, match="was edited into something that is none"):
        recorded.edit(accepted)


def test_damage_and_foreign_files_are_not_accepted(recorded: Any) -> None:
    recorded.run(a=1)
    truncate(recorded.path)
    with pytest.raises(StateDamagedError, match="ends after"):
        recorded.edit(accepted)
    recorded.path.write_text('{"version": 4}')
    with pytest.raises(StateForeignError):
        recorded.edit(accepted)
    with pytest.raises(StateForeignError):
        recorded.edit(restore(1))


def garbled(data: bytes, choose: random.Random) -> bytes:
    """Do to a file what disks, editors and crashes do."""
    start = choose.randrange(len(data))
    stop = min(len(data), start + choose.choice([1, 8, 200]))
    middle = choose.choice([b"", b"\0" * (stop - start), choose.randbytes(stop - start), b"}", b'"x"'])
    return data[:start] + middle + (data[stop:] if choose.random() < 0.7 else b"")


def test_whatever_became_of_the_head_nothing_is_made_up(recorded: Any) -> None:
    three_runs(recorded)
    head, last = recorded.path.read_bytes(), recorded.state
    choose = random.Random(4)
    restored = 0
    for _ in range(150):
        recorded.path.write_bytes(garbled(head, choose))
        with suppress(DevstreamError):
            proposal = restore(last.serial)(recorded.backend)
            assert fold(proposal.state, proposal.records).tools == last.tools
            restored += 1
        with suppress(DevstreamError):
            accepted(recorded.backend)
        with suppress(DevstreamError):
            importing(lambda *_: False, "now")(recorded.backend)
    assert restored > 100
