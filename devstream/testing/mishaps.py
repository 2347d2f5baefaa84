"""What may happen to a state between two looks: damage, somebody else's write, a run that dies, an edit; for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devstream.record import replace
from devstream.state.editing import on_state
from devstream.state.edits import rename
from devstream.state.head import encode_head, next_head
from devstream.state.head_lease import TERMS, written
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.reading import decode_head
from devstream.state.unlocking import unlocking

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.state import LeaseHolder
    from devstream.state.backend import Head, StateBackend
    from devstream.state.editing import Proposal, Propose
    from devstream.state.head import HeadDocument

__all__ = [
    "DAMAGES",
    "break_lease",
    "carry_out",
    "document_of",
    "leave_to_a_dead_run",
    "overtake",
    "rename_entry",
    "unexpected",
]


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "cut": lambda data: data[: len(data) // 2],
    "flipped": _flipped,
    "zeros": lambda data: bytes(len(data)),
    "text": lambda _: b"hello\n",
}
"""By name, what makes of a head something that was never written."""


def unexpected(holder: LeaseHolder) -> None:
    """Fail the test: there is nobody to wait for."""
    pytest.fail(f"told to wait for {holder}")


def document_of(backend: StateBackend) -> HeadDocument:
    """Read the head, checked."""
    return decode_head(_head(backend).data, backend.location)


def _head(backend: StateBackend) -> Head:
    head = backend.read_head()
    assert head is not None
    return head


def overtake(backend: StateBackend) -> None:
    """Write on top of whatever is there, as somebody does who knows of no lease."""
    document = next_head(document_of(backend), None)
    backend.swap_head(encode_head(document), _head(backend).version)


def leave_to_a_dead_run(backend: StateBackend) -> None:
    """Write a lease whose holder has ended: there is none that began with the machine under our number."""
    dead = replace(this_process("dead", "tests"), pid_start=1)
    document = next_head(document_of(backend), None)
    document = document.holding(written(dead, document.serial, TERMS.ttl))
    backend.swap_head(encode_head(document), _head(backend).version)


def break_lease(backend: StateBackend, run_id: str) -> None:
    """Take the lease from a run, as ``devstream state unlock`` does."""
    carry_out(backend, unlocking(run_id), breaking=True)


def rename_entry(backend: StateBackend, old: str, new: str) -> None:
    """Give ``noop.OLD`` the name ``noop.NEW``, as ``devstream state mv`` does."""
    carry_out(backend, on_state(lambda state: rename(state, f"noop.{old}", f"noop.{new}")))


def carry_out(backend: StateBackend, propose: Propose, *, breaking: bool = False) -> Proposal:
    """Record what is proposed, without asking or waiting."""
    return StateManager(backend).edit(
        propose,
        this_process("edit", "tests"),
        timeout=0,
        notice=unexpected,
        approve=lambda _: None,
        breaking=breaking,
    )
