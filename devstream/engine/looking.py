"""Looking at what is recorded: `read` is asked for each tool, by its recorded options; nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.engine.rebuild import recorded_options
from devstream.errors import DevstreamError
from devstream.model.seen import Seen
from devstream.planning.compare import drift
from devstream.planning.provider import ReadRequest
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from devstream.errors import Diagnostic
    from devstream.model.address import Address
    from devstream.model.state import State, ToolState
    from devstream.planning.provider import Provider, ReadAnswer, Reads

__all__ = ["look_at"]


def look_at(
    state: State,
    addresses: Collection[Address],
    *,
    provider: Callable[[str], Provider],
    reads: Reads,
    thorough: bool = False,
) -> tuple[Seen, ...]:
    """Look at tools that are recorded, or of which an operation was begun.

    Args:
        provider: finds a tool's plugin by name; may raise for a plugin that is gone.
        reads: calls `read`.
        thorough: `read` may ask others what is newer.

    Returns:
        One for each address, in the order given.
    """
    seen: dict[Address, Seen] = {}
    asked = 0
    for address in addresses:
        recorded = state.tools.get(address)
        entry = recorded or state.open_operations[address].begin.tool
        try:
            request = _request(entry, recorded, state, provider)
        except DevstreamError as error:
            seen[address] = Seen(address, recorded, error=_about(error.diagnostics[0], address))
            continue
        seen[address] = Seen(address, recorded, asked=request is not None)
        if request is not None:
            asked += 1
            reads.start(replace(request, thorough=thorough))
    for _ in range(asked):
        address, answer = reads.wait()
        seen[address] = _answered(seen[address], answer, state.hmac_key)
    return tuple(seen.values())


def _request(
    entry: ToolState, recorded: ToolState | None, state: State, provider: Callable[[str], Provider]
) -> ReadRequest | None:
    """Make the request; None for a tool that cannot be read."""
    options = recorded_options(entry, state)
    if not provider(entry.address.name).traits(options).can_read:
        return None
    return ReadRequest(entry.address, options, recorded)


def _answered(seen: Seen, answer: ReadAnswer, key: bytes) -> Seen:
    if answer.error is not None:
        return replace(seen, error=_about(answer.error, seen.address))
    if answer.status is None or seen.recorded is None:
        return replace(seen, observed=answer.status)
    fields = tuple(drift(seen.recorded, answer.status, key))
    return replace(seen, observed=answer.status, fields=fields)


def _about(diagnostic: Diagnostic, address: Address) -> Diagnostic:
    return diagnostic if diagnostic.address else replace(diagnostic, address=str(address))
