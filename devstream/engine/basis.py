"""What a plan stands on: which addresses it changes or reads outputs of, and digests of what was found there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.config.references import references_in
from devstream.model.address import Address
from devstream.model.plan import Action
from devstream.model.recorded import decode, parse_reference, visible
from devstream.model.values import Interpolation, Secret, SecretRef, iter_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from devstream.graph.dag import Graph
    from devstream.model.plan import Change, Plan
    from devstream.model.state import ToolState
    from devstream.model.status import ResourceStatus
    from devstream.model.tool import ToolInstance
    from devstream.planning.provider import Provider

__all__ = ["GONE", "entry_digest", "read_digest", "is_touched", "secrets_of", "stands_on"]

GONE = "gone"
"""In place of a digest: `read` found nothing."""


def is_touched(change: Change) -> bool:
    """Tell whether a run would do or record anything for a change."""
    if change.protected or change.action is Action.ERROR:
        return False
    return change.action is not Action.NOOP or change.put is not None


def stands_on(plan: Plan, graph: Graph[Any], provider: Callable[[str], Provider]) -> tuple[Address, ...]:
    """List the addresses that a plan changes, and those whose outputs it needs for that, directly or not."""
    changes = {change.address: change for change in plan.changes}
    found = dict.fromkeys(change.address for change in plan.changes if is_touched(change))
    ahead = list(found)
    while ahead:
        change = changes.get(ahead.pop())
        for address in _needs(change, graph, provider) if change else ():
            if address not in found:
                found[address] = None
                ahead.append(address)
    return tuple(found)


def _needs(change: Change, graph: Graph[Any], provider: Callable[[str], Provider]) -> Iterator[Address]:
    """Yield whose outputs a change needs: what its options refer to; to integrate, all it waits for."""
    if change.tool is None:
        yield from _recorded_references(change.recorded) if change.recorded else ()
        return
    yield from (reference.address for reference in references_in(change.tool.options))
    if change.action is Action.REPLACE and change.recorded:
        yield from _recorded_references(change.recorded)
    if provider(change.address.name).traits(change.tool.options).can_integrate:
        yield from (node for node in graph.dependencies(change.address) if isinstance(node, Address))


def _recorded_references(entry: ToolState) -> list[Address]:
    found: list[Address] = []

    def note(text: str, value: Any) -> Any:
        found.append(parse_reference(text, entry.depends_on).address)
        return value

    decode(dict(entry.options), note)
    return found


def entry_digest(entry: ToolState | None) -> str:
    """Give the digest of an entry of the state; empty where there is none."""
    if entry is None:
        return ""
    from devstream.state.codec import tool_to_json

    return _digest(tool_to_json(entry))


def read_digest(status: ResourceStatus | None, key: bytes) -> str:
    """Give the digest of what `read` said; secrets count by fingerprint, and what lives by itself does not."""
    if status is None:
        return GONE
    said = {"properties": dict(status.properties), "outputs": dict(status.outputs or {})}
    return _digest(visible(said, key))


def _digest(tree: Mapping[str, Any]) -> str:
    import hashlib
    import json

    return hashlib.sha256(json.dumps(tree, sort_keys=True, default=repr).encode()).hexdigest()


def secrets_of(tools: Iterable[ToolInstance]) -> dict[SecretRef, ToolInstance]:
    """Name every secret in the options of tools, each with the first tool that uses it."""
    found: dict[SecretRef, ToolInstance] = {}
    for tool in tools:
        for _, leaf in iter_leaves(dict(tool.options)):
            if isinstance(leaf, Secret | Interpolation):
                refs = [part for part in leaf.parts if isinstance(part, SecretRef)]
                found.update((ref, tool) for ref in refs if ref not in found)
    return found
