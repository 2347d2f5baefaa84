"""What a plan's tools are to look like: options with references replaced by what is known of them now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.plan import ABSENT, Action, FieldChange
from devstream.model.recorded import comparable, resolve, revealed
from devstream.model.values import Unknown
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.model.plan import Change, Plan
    from devstream.model.values import Path, Reference, SecretRef

__all__ = ["Wanted"]

_NOT_THERE_YET = (Action.CREATE, Action.REPLACE)


class Wanted:
    """Knows the options of every tool in a plan, before and after."""

    def __init__(self, plan: Plan) -> None:
        self._changes = {change.address: change for change in plan.changes}

    def after(self, change: Change) -> Mapping[str, Any] | None:
        """Give the options the config asks for; None where it asks for nothing."""
        if change.tool is None:
            return None
        options: Mapping[str, Any] = resolve(dict(change.tool.options), self)
        return options

    def before(self, change: Change) -> Mapping[str, Any] | None:
        """Give the recorded options; None where nothing is recorded."""
        if change.recorded is None:
            return None
        options: Mapping[str, Any] = comparable(dict(change.recorded.options))
        return options

    def new_fields(self, change: Change) -> tuple[FieldChange, ...]:
        """Give every option of a tool as a field that is added."""
        if change.tool is None:
            return ()
        return tuple(
            FieldChange(path, ABSENT, value, origin=change.tool.origins.at(path))
            for path, value in _leaves(self.after(change))
            if path
        )

    def same_fields(self, change: Change) -> tuple[FieldChange, ...]:
        """Give every option that does not differ, as a field whose value stays."""
        differing = {field.path for field in change.fields}
        return tuple(
            replace(field, before=field.after)
            for field in self.new_fields(change)
            if not any(field.path[:length] in differing for length in range(1, len(field.path) + 1))
        )

    def old_fields(self, change: Change) -> tuple[FieldChange, ...]:
        """Give every recorded option as a field that is removed."""
        leaves = _leaves(self.before(change) or {})
        return tuple(FieldChange(path, value, ABSENT) for path, value in leaves if path)

    def reference(self, reference: Reference) -> Any:
        """Give what an output is known to be; implements `devstream.model.recorded.Resolver`."""
        upstream = self._changes.get(reference.address)
        unknown = Unknown(str(reference.address))
        if upstream is None or upstream.action in _NOT_THERE_YET:
            return unknown
        return _at(_outputs(upstream), reference.path, unknown)

    def secret(self, ref: SecretRef) -> str:  # noqa: ARG002 - the protocol's signature
        """Give no text: nothing here shows a secret."""
        return ""


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield leaves with their paths; a list without structure of its own, as an argv, is one."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _leaves(item, (*path, key))
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for index, item in enumerate(value):
            yield from _leaves(item, (*path, index))
    else:
        yield path, value


def _outputs(change: Change) -> Any:
    if change.observed is not None and change.observed.outputs is not None:
        return change.observed.outputs
    return revealed(change.recorded.outputs) if change.recorded is not None else {}


def _at(value: Any, path: Path, default: Unknown) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return default
    return value
