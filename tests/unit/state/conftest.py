"""States with a history, and edits of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devstream.builtin.local import LocalBackend
from devstream.errors import DeclinedError
from devstream.model.address import Address
from devstream.model.plan import Action, Outcome
from devstream.model.state import Begin, Drop, End, Put, PutReason, RunRecord, State
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.testing.backends import tool_state

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.model.state import Record
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Proposal, Propose


class Recorded:
    """A state on the disk, written by runs."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "devstream.state"
        self.backend: StateBackend = LocalBackend(self.path)
        self.runs = 0

    @property
    def manager(self) -> StateManager:
        return StateManager(self.backend, clock=lambda: "2026-01-01T00:00:00Z")

    @property
    def state(self) -> State:
        return self.manager.read()

    @property
    def marks(self) -> dict[str, Any]:
        """The option ``n`` of every entry, by instance."""
        return {where.instance_id: tool.options["n"] for where, tool in self.state.tools.items()}

    @property
    def blobs(self) -> set[str]:
        return set(self.backend.list_blobs())

    def run(self, *records: Record, **marks: int | None) -> int:
        """Record a run: entries with these marks, None for one that goes. Gives the serial it ended with.

        Without further records that is two more than before.
        """
        self.runs += 1
        run_id = f"run-{self.runs}"
        with self.manager.acquire(
            this_process(run_id, "devstream run"), timeout=1, notice=lambda _: None
        ) as w:
            for record in records:
                w.begin(record, lambda _: None) if isinstance(record, Begin) else w.record(record)  # type: ignore[arg-type]
            entries = ((Address("noop", name), mark) for name, mark in marks.items())
            w.record(
                *(
                    Drop(where, "removed") if mark is None else put(where.instance_id, mark)
                    for where, mark in entries
                )
            )
            w.flush()
            w.close(RunRecord(run_id, "devstream run", "then", "now"))
        return self.state.serial

    def edit(
        self, propose: Propose, *, approved: bool = True, command: str = "devstream state x"
    ) -> Proposal:
        def approve(_: Proposal) -> None:
            if not approved:
                raise DeclinedError("no")

        holder = this_process("edit", command)
        return self.manager.edit(propose, holder, timeout=1, notice=lambda _: None, approve=approve)


def put(name: str, mark: int = 1) -> Put:
    tool = tool_state(name, n=mark)
    return Put(tool.address, tool, PutReason.BOOKKEEPING)


def begin(name: str, action: Action = Action.CREATE, attempt: int = 1) -> Begin:
    tool = tool_state(name, n=1)
    return Begin(f"op-{name}", attempt, tool.address, action, tool, "run", "host", "boot")


def end(name: str) -> End:
    return End(f"op-{name}", Outcome.SUCCEEDED, tool_state(name, n=1))


@pytest.fixture
def recorded(tmp_path: Path) -> Recorded:
    return Recorded(tmp_path)
