"""The segments behind a kept snapshot become one, so that a head does not grow with what is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devstream.model.state import Put, PutReason
from devstream.state.history import read_history
from devstream.state.holder import this_process
from devstream.state.journal import MANY, SEGMENTS
from devstream.state.manager import StateManager
from devstream.state.reading import decode_head
from devstream.testing.backends import tool_state
from devstream.testing.memory import MemoryBackend

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.state.head import HeadDocument
    from devstream.state.session import StateWriter

TEXT = "x" * 34_000
"""Enough for a segment."""


def put(name: str, **options: object) -> Put:
    tool = tool_state(name, **options)
    return Put(tool.address, tool, PutReason.BOOKKEEPING)


def writing(backend: MemoryBackend, run_id: str) -> StateWriter:
    return StateManager(backend).acquire(this_process(run_id, "tests"), timeout=0, notice=lambda _: None)


def head_of(backend: MemoryBackend) -> HeadDocument:
    head = backend.read_head()
    assert head is not None
    return decode_head(head.data, backend.location)


def filled() -> MemoryBackend:
    """Give a state with a snapshot so large that as many segments follow it as may."""
    backend = MemoryBackend()
    with writing(backend, "first") as writer:
        writer.record(*(put(f"t{number}", text=TEXT) for number in range(2 * SEGMENTS + 2)))
        writer.flush()
        writer.record(put("more", text=TEXT))
    assert head_of(backend).snapshot.blob is not None
    return backend


def roll(backend: MemoryBackend, segments: int, after: Callable[[], None] = lambda: None) -> None:
    with writing(backend, f"run-{segments}") as writer:
        for number in range(segments):
            writer.record(put("small", text=TEXT, number=number))
            writer.flush()
            after()


def test_many_segments_become_one() -> None:
    backend = filled()
    now = len(head_of(backend).segments)
    roll(backend, SEGMENTS - now - 1)
    before = head_of(backend)
    assert len(before.segments) == SEGMENTS - 1
    roll(backend, 2)
    after = head_of(backend)
    assert after.history[0].serial == before.snapshot.serial
    assert len(after.history[0].segments) == 1
    left = {item.name for item in after.garbage}
    assert {segment.name for segment in before.segments} <= left
    points, problems = read_history(backend)
    assert problems == []
    assert not any(point.problem for point in points)
    with writing(backend, "last") as writer:
        writer.record(put("small", number=-1))
    assert not left & set(backend.list_blobs())
    assert read_history(backend)[1] == []
    assert len(StateManager(backend).read().tools) == 2 * SEGMENTS + 4


def test_a_few_stay_as_they_are() -> None:
    backend = MemoryBackend()
    roll(backend, 3 * MANY)
    kept = head_of(backend).history
    assert kept
    assert all(1 < len(old.segments) <= MANY for old in kept[:-1])


@pytest.mark.parametrize("damage", ["missing", "flipped"])
def test_a_damaged_one_fails_no_run(damage: str) -> None:
    backend = filled()
    roll(backend, SEGMENTS // 2)
    name = head_of(backend).segments[3].name
    serial = head_of(backend).snapshot.serial

    def harm() -> None:
        data = backend.get_blob(name)
        if damage == "missing":
            backend.delete_blob(name)
        elif data is not None:
            backend.put_blob(name, data.replace(b"xxxx", b"xxxy", 1))

    roll(backend, SEGMENTS, after=harm)
    (old,) = (old for old in head_of(backend).history if old.serial == serial)
    assert name in {segment.name for segment in old.segments}
    assert any(name in problem for problem in read_history(backend)[1])
