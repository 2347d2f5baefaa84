"""Options again, from what is recorded: for deletes, for settling, for tools that have left the config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.errors import OperationError
from devstream.model.recorded import decode, parse_reference, revealed
from devstream.model.values import Secret, iter_leaves, map_leaves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.model.state import State, ToolState
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Reference, Value

__all__ = ["recorded_options"]

_MISSING = object()


def recorded_options(entry: ToolState, state: State, written: ToolInstance | None = None) -> dict[str, Any]:
    """Give the recorded options of an entry; secrets stay names until the hook is called.

    A reference has its upstream's recorded output of today, or its own recorded value where the upstream has
    left the state.

    Args:
        written: the tool as the config has it today. What is written there in clear at a secret option is recorded
            nowhere, so it is taken from there.

    Raises:
        OperationError: the value was secret and its upstream is gone.
    """

    def reference(text: str, recorded: Any) -> Any:
        wanted = parse_reference(text, entry.depends_on)
        upstream = state.tools.get(wanted.address)
        value = _output(revealed(upstream.outputs), wanted) if upstream is not None else _MISSING
        if value is not _MISSING:
            return value
        if recorded is None:
            message = f"the value of {text} is not recorded (it was secret), and its tool is gone"
            raise OperationError(message, address=str(entry.address))
        return recorded

    options: dict[str, Any] = decode(dict(entry.options), reference)
    return options if written is None else _with_literals(options, written)


def _with_literals(options: dict[str, Any], written: ToolInstance) -> dict[str, Any]:
    literals = {
        leaf.parts: leaf
        for _, leaf in iter_leaves(dict(written.options))
        if isinstance(leaf, Secret) and any(ref.source == "literal" for ref in leaf.refs)
    }

    def known(leaf: Value) -> Value:
        return literals.get(leaf.parts, leaf) if isinstance(leaf, Secret) else leaf

    filled: dict[str, Any] = map_leaves(options, known) if literals else options
    return filled


def _output(outputs: Mapping[str, Any], wanted: Reference) -> Any:
    value: Any = outputs
    for step in wanted.path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return _MISSING if isinstance(value, dict) and "$secret" in value else value
