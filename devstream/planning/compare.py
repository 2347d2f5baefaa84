"""One tool against its record: which options changed, what drifted, what only needs recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devstream.model.plan import ABSENT, FieldChange, FieldSource
from devstream.model.recorded import Fingerprint, comparable, encode, has_marks, resolve
from devstream.model.values import Reference, Secret, SecretRef, Unknown, map_leaves
from devstream.planning.diff import diff, same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from devstream.model.state import ToolState
    from devstream.model.status import ResourceStatus
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path
    from devstream.planning.outputs import OutputBook

__all__ = ["Comparison", "compare", "recorded_dependencies"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between the config, the record and the world.

    Attributes:
        fields: options that call for an operation, and drift.
        bookkeeping: something differs that only the record is about.
        refreshed: `read` knows outputs or properties that are not recorded.
    """

    fields: tuple[FieldChange, ...] = ()
    bookkeeping: bool = False
    refreshed: bool = False


def compare(
    *,
    tool: ToolInstance,
    recorded: ToolState | None,
    observed: ResourceStatus | None,
    resolver: OutputBook,
    key: bytes,
    flags: Callable[[Path], frozenset[str]],
    dependencies: Iterable[Any],
) -> Comparison:
    """Compare a tool's options and status with its record.

    Where an option is still UNKNOWN (``resolver.unknown`` names the upstreams then) options are not compared.
    """
    if recorded is None:
        if has_marks(dict(tool.options)):
            resolve(dict(tool.options), resolver)
        return Comparison()
    changed = list(_options(tool, recorded, resolver, key, flags))
    record_only = [field for field in changed if "record_only" in flags(field.path)]
    options = [field for field in changed if "record_only" not in flags(field.path)]
    drift = list(_drift(recorded, observed)) if observed is not None else []
    return Comparison(
        fields=(*options, *drift),
        bookkeeping=bool(record_only) or _bookkeeping(tool, recorded, dependencies),
        refreshed=observed is not None and _refreshed(recorded, observed),
    )


def _options(
    tool: ToolInstance,
    recorded: ToolState,
    resolver: OutputBook,
    key: bytes,
    flags: Callable[[Path], frozenset[str]],
) -> Iterator[FieldChange]:
    now: Any = dict(tool.options)
    if has_marks(now):
        resolved = resolve(now, resolver)
        if _holds_unknown(resolved):
            return
        now = comparable(encode(now, resolver, key))
    before = (
        comparable(dict(recorded.options)) if has_marks(dict(recorded.options)) else dict(recorded.options)
    )
    if same(before, now):
        return
    for path, old, new in diff(before, now):
        yield FieldChange(
            path,
            _shown(old),
            _shown(new),
            FieldSource.OPTIONS,
            tool.origins.at(path),
            immutable="immutable" in flags(path),
            may_change=bool(resolver.uncertain) and _is_reference(tool.options, path),
        )


def _drift(recorded: ToolState, observed: ResourceStatus) -> Iterator[FieldChange]:
    """Compare the properties that both sides hold: what `read` does not mention has not drifted."""
    there = observed.properties
    both = [name for name in recorded.properties if name in there]
    for path, old, new in diff(
        {name: recorded.properties[name] for name in both}, {name: there[name] for name in both}
    ):
        yield FieldChange(path, _shown(old), _shown(new), FieldSource.DRIFT)


def _refreshed(recorded: ToolState, observed: ResourceStatus) -> bool:
    if any(name not in recorded.properties for name in observed.properties):
        return True
    if observed.outputs is None:
        return False
    return not same(_without_secrets(recorded.outputs), _without_secrets(observed.outputs))


def _without_secrets(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Outputs that are secret are not recorded, so they never make a difference."""
    return {
        name: value
        for name, value in outputs.items()
        if not isinstance(value, Secret) and not (isinstance(value, dict) and "$secret" in value)
    }


def _bookkeeping(tool: ToolInstance, recorded: ToolState, dependencies: Iterable[Any]) -> bool:
    return (
        sorted(recorded.depends_on) != sorted(recorded_dependencies(dependencies))
        or recorded.tags != tool.tags
        or recorded.app != tool.app
        or recorded.retries != tool.retries
        or recorded.timeout != tool.timeout
        or recorded.connection != tool.connection
        or recorded.allow_delete != tool.allow_delete
        or (tool.protect is not None and recorded.protect != tool.protect)
    )


def recorded_dependencies(dependencies: Iterable[Any]) -> tuple[str, ...]:
    """Write direct dependencies as they are recorded."""
    return tuple(str(node) for node in dependencies)


def _holds_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_unknown(item) for item in value)
    return isinstance(value, Unknown)


def _is_reference(options: Mapping[str, Any], path: Path) -> bool:
    node: Any = options
    for step in path:
        if isinstance(node, Reference):
            return True
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return False
    return not isinstance(node, str | int | float | bool | dict | list | None)


def _shown(value: Any) -> Any:
    """Put a `Secret` where a fingerprint stands, so that nobody prints a digest as if it were the value."""
    if value is ABSENT:
        return value
    return map_leaves(
        value, lambda leaf: Secret((SecretRef("recorded", ""),)) if isinstance(leaf, Fingerprint) else leaf
    )
