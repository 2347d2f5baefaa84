"""The outputs of a tool's direct upstreams, and a digest of them that tells when to integrate again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.recorded import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from devstream.planning.outputs import Known

__all__ = ["upstream_outputs", "looked_at", "digest"]


def upstream_outputs(dependencies: Iterable[Any], known: Mapping[Any, Known]) -> dict[str, Mapping[str, Any]]:
    """Collect the outputs of direct upstreams by address; the barrier passes none."""
    found = {}
    for node in dependencies:
        outputs = known[node].outputs if node in known else None
        if outputs is not None:
            found[str(node)] = outputs
    return found


def looked_at(
    upstream: Mapping[str, Mapping[str, Any]], names: Iterable[str]
) -> Mapping[str, Mapping[str, Any]]:
    """Keep the outputs that an `integrate` looks at, and whose they are; all of them where no names are given.

    >>> looked_at({"jenkins.main": {"url": "x", "webhook": {}}, "noop.a": {"url": "y"}}, ("webhook",))
    {'jenkins.main': {'webhook': {}}}
    """
    wanted = frozenset(names)
    if not wanted:
        return upstream
    kept = {
        address: {name: value for name, value in outputs.items() if name in wanted}
        for address, outputs in upstream.items()
    }
    return {address: outputs for address, outputs in kept.items() if outputs}


def digest(upstream: Mapping[str, Mapping[str, Any]], key: bytes) -> str:
    """Give a digest of upstream outputs; secrets count by fingerprint. Empty where there is no upstream."""
    if not upstream:
        return ""
    import hashlib
    import json

    tree = visible({name: dict(outputs) for name, outputs in upstream.items()}, key)
    return hashlib.sha256(json.dumps(tree, sort_keys=True).encode()).hexdigest()[:32]
