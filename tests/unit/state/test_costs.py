"""How many swaps a run takes: what is handed in during a swap goes into the next."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING

import pytest

from devstream.builtin.local import LocalBackend
from devstream.model.plan import Action, Outcome
from devstream.model.state import Begin, End
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.testing.backends import tool_state
from devstream.testing.crash import BackendAround
from devstream.testing.shared_folder import SharedFolderBackend

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devstream.state.backend import StateBackend
    from devstream.state.session import StateWriter


class Counting(BackendAround):
    """Counts swaps."""

    swaps = 0

    def swap_head(self, data: bytes, expected: str | None) -> str:
        self.swaps += 1
        return super().swap_head(data, expected)


BACKENDS: dict[str, Callable[[Path], StateBackend]] = {
    "local": lambda folder: LocalBackend(folder / "devstream.state"),
    "shared folder": SharedFolderBackend,
}


def begin(number: int) -> Begin:
    tool = tool_state(f"t{number}", number=number)
    return Begin(f"op-{number}", 1, tool.address, Action.CREATE, tool, "run", "host", "boot")


def carry_out(writer: StateWriter, count: int, window: int, workers: int) -> None:
    """Begin and end operations that do nothing, ``window`` of them begun ahead, on ``workers`` threads."""
    durable: queue.SimpleQueue[Begin | None] = queue.SimpleQueue()
    over: queue.SimpleQueue[Begin] = queue.SimpleQueue()

    def announce(number: int) -> None:
        record = begin(number)
        writer.begin(record, lambda _: durable.put(record))

    def work() -> None:
        while (record := durable.get()) is not None:
            over.put(record)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for number in range(min(window, count)):
        announce(number)
    for number in range(window, count + window):
        record = over.get()
        writer.record(End(record.op_id, Outcome.SUCCEEDED, record.tool))
        if number < count:
            announce(number)
    for _ in threads:
        durable.put(None)
    for thread in threads:
        thread.join()


@pytest.mark.parametrize(
    ("window", "workers", "at_most"),
    [(40, 10, 130), (256, 64, 30)],
    ids=["parallelism 10", "parallelism 64"],
)
@pytest.mark.parametrize("kind", BACKENDS)
def test_a_thousand_operations_take_few_swaps(
    *, tmp_path: Path, kind: str, window: int, workers: int, at_most: int
) -> None:
    backend = Counting(BACKENDS[kind](tmp_path))
    manager = StateManager(backend)
    with manager.acquire(this_process("run", "tests"), timeout=0, notice=lambda _: None) as writer:
        carry_out(writer, 1000, window, workers)
    state = manager.read()
    assert (len(state.tools), len(state.open_operations)) == (1000, 0)
    print(f"1,000 operations in {backend.swaps} swaps")
    assert backend.swaps <= at_most
