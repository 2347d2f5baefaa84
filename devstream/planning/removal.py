"""What leaves where removal is asked for: what was named, and everything that stands on it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from devstream.model.address import Address
from devstream.model.plan import Reason, ReasonCode
from devstream.model.tool import BARRIER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from devstream.model.state import State, ToolState

__all__ = ["Removal", "is_of_tools", "leaving", "recorded_dependents", "recorded_entries"]


class Removal(StrEnum):
    """What is to be removed."""

    CONFIGURED = "configured"
    """What the configuration lists, by its recorded options."""
    EVERYTHING = "everything"
    """All that is recorded, whatever the configuration says."""


def leaving(state: State, named: Iterable[Address] | None = None) -> dict[Address, Reason]:
    """Say what leaves, and why.

    Args:
        named: addresses that are to go, where they are recorded; None for everything that is recorded.
    """
    entries = recorded_entries(state)
    asked = entries if named is None else [address for address in named if address in entries]
    found = dict.fromkeys(asked, Reason(ReasonCode.REQUESTED, "asked for"))
    dependents = recorded_dependents(entries)
    ahead: list[Address | str] = list(found)
    seen = set(ahead)
    while ahead:
        node = ahead.pop()
        for follower in dependents.get(node, ()):
            if follower in seen:
                continue
            seen.add(follower)
            ahead.append(follower)
            if isinstance(follower, Address) and follower not in found:
                found[follower] = _because_of(node)
    return found


def recorded_entries(state: State) -> dict[Address, ToolState]:
    """Give what is recorded; of an operation that never ended, what it had begun with."""
    begun = {address: operation.begin.tool for address, operation in state.open_operations.items()}
    return {**begun, **state.tools}


def recorded_dependents(entries: Mapping[Address, ToolState]) -> dict[Address | str, list[Address | str]]:
    """Index who is recorded as standing on what; the barrier stands on all that it was recorded for."""
    names: dict[str, Address | str] = {str(address): address for address in entries}
    names[BARRIER] = BARRIER
    found: dict[Address | str, list[Address | str]] = {}
    for address, entry in entries.items():
        for name in entry.depends_on:
            found.setdefault(names.get(name, name), []).append(address)
        if is_of_tools(entry):
            found.setdefault(address, []).append(BARRIER)
    return found


def is_of_tools(entry: ToolState) -> bool:
    """Tell whether it was recorded as one of those that the barrier stands for."""
    return entry.app is None and BARRIER not in entry.depends_on


def _because_of(node: Address | str) -> Reason:
    if isinstance(node, Address):
        return Reason(ReasonCode.REQUESTED, f"stands on {node}", upstream=(node,))
    return Reason(ReasonCode.REQUESTED, "waits for tools that are removed")
