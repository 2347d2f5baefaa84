"""One tool against its record: which options changed, what drifted, what only needs recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.plan import ABSENT, FieldChange, FieldSource
from devstream.model.recorded import (
    Fingerprint,
    NotYetKnownError,
    comparable,
    encode,
    has_marks,
    is_hidden,
    resolve,
    visible,
)
from devstream.model.values import (
    Interpolation,
    Reference,
    Secret,
    SecretRef,
    iter_leaves,
    map_leaves,
)
from devstream.planning.diff import diff, same
from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from devstream.model.address import Address
    from devstream.model.state import ToolState
    from devstream.model.status import ResourceStatus
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path
    from devstream.planning.outputs import OutputBook

__all__ = ["Comparison", "compare", "drift", "recorded_dependencies"]


class Comparison(Immutable, frozen=True):
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
    wanted = _as_recorded(tool, resolver, key)
    alike = wanted is None or same(recorded.options, wanted)
    changed = [] if alike else list(_options(tool, recorded, wanted, resolver, flags))
    options = [field for field in changed if "record_only" not in flags(field.path)]
    drifted = list(drift(recorded, observed, key)) if observed is not None else []
    return Comparison(
        fields=(*options, *drifted),
        # options that are not alike and do not differ have another name for the same value
        bookkeeping=(not alike and not options) or _bookkeeping(tool, recorded, dependencies),
        refreshed=observed is not None and _refreshed(recorded, observed),
    )


def _as_recorded(tool: ToolInstance, resolver: OutputBook, key: bytes) -> Any:
    """Write the options as they would be recorded; None where something is not known yet."""
    options: Any = dict(tool.options)
    if not has_marks(options):
        return options
    try:
        return encode(options, resolver, key)
    except NotYetKnownError:
        # the first one ends it; all of them are to be noted
        resolve(options, resolver)
        return None


def _options(
    tool: ToolInstance,
    recorded: ToolState,
    wanted: Any,
    resolver: OutputBook,
    flags: Callable[[Path], frozenset[str]],
) -> Iterator[FieldChange]:
    for path, old, new in diff(comparable(dict(recorded.options)), comparable(wanted)):
        yield FieldChange(
            path,
            _shown(old),
            _shown(new),
            FieldSource.OPTIONS,
            tool.origins.at(path),
            immutable="immutable" in flags(path),
            may_change=any(address in resolver.uncertain for address in _upstreams_at(tool.options, path)),
        )


def drift(recorded: ToolState, observed: ResourceStatus, key: bytes) -> Iterator[FieldChange]:
    """Yield what differs in the properties that both sides hold: what `read` does not mention has not drifted."""
    before, now = _both(recorded.properties, observed.properties)
    if same(before, now):
        return
    for path, old, new in diff(visible(before, key), visible(now, key)):
        yield FieldChange(path, _shown(old), _shown(new), FieldSource.DRIFT)


def _refreshed(recorded: ToolState, observed: ResourceStatus) -> bool:
    """Tell whether `read` knows what is not recorded; secrets are not recorded, so they never count."""
    outputs = observed.outputs or {}
    if not (
        observed.properties.keys() <= recorded.properties.keys() and outputs.keys() <= recorded.outputs.keys()
    ):
        return True
    before, now = _both(recorded.outputs, outputs)
    return not same(before, now) and not same(_without_secrets(before), _without_secrets(now))


def _both(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leave only the keys that both have."""
    names = [name for name in before if name in now]
    return {name: before[name] for name in names}, {name: now[name] for name in names}


def _without_secrets(reported: Any) -> Any:
    if isinstance(reported, Secret) or is_hidden(reported):
        return None
    if isinstance(reported, dict):
        return {name: _without_secrets(item) for name, item in reported.items()}
    return [_without_secrets(item) for item in reported] if isinstance(reported, list) else reported


def _bookkeeping(tool: ToolInstance, recorded: ToolState, dependencies: Iterable[Any]) -> bool:
    return (
        set(recorded.depends_on) != set(recorded_dependencies(dependencies))
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


def _upstreams_at(options: Mapping[str, Any], path: Path) -> Iterator[Address]:
    """Yield the tools whose outputs the option at a path is made of."""
    node: Any = options
    for step in path:
        if isinstance(node, Reference | Interpolation):
            break
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return
    for _, leaf in iter_leaves(node):
        if isinstance(leaf, Reference):
            yield leaf.address
        elif isinstance(leaf, Interpolation):
            yield from (part.address for part in leaf.parts if isinstance(part, Reference))


def _shown(value: Any) -> Any:
    """Put a `Secret` where a fingerprint stands, so that nobody prints a digest as if it were the value."""
    if value is ABSENT:
        return value
    return map_leaves(
        value, lambda leaf: Secret((SecretRef("recorded", ""),)) if isinstance(leaf, Fingerprint) else leaf
    )
