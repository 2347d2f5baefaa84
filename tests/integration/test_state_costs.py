"""What work on a state costs in swaps, calls and bytes: the same however much is recorded, on every backend."""

from __future__ import annotations

import sys
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.state_work import Counting, changed, filled, one_run, places, writer
from devstream.state.manager import StateManager
from devstream.testing.memory import MemoryBackend, MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.state_work import Place

SIZES = (10, 1_000, 10_000)
PLACES = ("local", "local, encrypted", "moto", "Kubernetes stand-in")
CYCLE = 3_000
"""Changes in which snapshots of the largest state are written as well."""

RUNS = 3


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Place]]:
    with places(tmp_path_factory.mktemp("places")) as made:
        yield made


def sent_by_changes(store: MemoryStore, tools: int, changes: int) -> float:
    """Say how many bytes a change in one run sends, on the average."""
    backend = Counting(MemoryBackend(store))
    with writer(backend) as handle:
        before = backend.sent
        changed(handle, changes, tools)
        return (backend.sent - before) / changes


def test_a_change_sends_as_much_at_every_size() -> None:
    """Rolling over, snapshots, and what the history keeps counted in."""
    sent = []
    for tools in SIZES:
        store = MemoryStore()
        filled(MemoryBackend(store), tools)
        sent.append(mean(sent_by_changes(store, tools, CYCLE // RUNS) for _ in range(RUNS)))
    print(f"bytes a change, at {SIZES} tools: {[round(each) for each in sent]}")
    assert max(sent) <= 1.5 * min(sent)


@pytest.mark.parametrize("tools", [10, 1_000, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PLACES)
def test_a_change_is_one_swap(found: dict[str, Place], name: str, tools: int) -> None:
    place = found[name]
    filled(place.open(f"change-{tools}"), tools)
    backend = Counting(place.open(f"change-{tools}"))
    with writer(backend) as handle:
        swaps, calls = backend.swaps, backend.calls
        changed(handle, 20, tools)
        calls, swaps = backend.calls - calls, backend.swaps - swaps
    print(f"{name}, {tools} tools, 20 changes: {swaps} swaps, {calls} calls")
    assert swaps == 20
    assert calls <= 22, "and a segment or a snapshot, at most"


@pytest.mark.parametrize("name", PLACES)
def test_opening_reads_every_part_once(found: dict[str, Place], name: str) -> None:
    place = found[name]
    filled(place.open("open"), 1_000)
    backend = Counting(place.open("open"))
    state = StateManager(backend).read()
    parts = len(place.open("open").list_blobs())
    print(f"{name}, {len(state.tools)} tools: {backend.calls} calls, {backend.received} bytes")
    assert len(state.tools) == 1_000
    assert backend.calls <= min(1 + parts, 66), "the head, a snapshot, and 64 segments at most"
    assert backend.sent == 0


def _runs() -> Iterator[object]:
    for index, name in enumerate(PLACES):
        for parallelism, swaps in ((10, 130), (64, 30)):
            rest = [] if (index % 2 == 0) == (parallelism == 10) else [pytest.mark.slow]
            yield pytest.param(name, parallelism, swaps, marks=rest, id=f"{name}-{parallelism}")


@pytest.mark.parametrize(("name", "parallelism", "at_most"), list(_runs()))
def test_a_run_of_a_thousand(found: dict[str, Place], name: str, parallelism: int, at_most: int) -> None:
    swaps = one_run(found[name], f"run-{parallelism}", 1_000, parallelism)
    print(f"{name}: 1,000 operations, parallelism {parallelism}: {swaps} swaps")
    assert swaps <= at_most
