"""Options again, from what is recorded: for deletes, for settling, for tools that have left the config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.errors import OperationError
from devstream.model.recorded import decode, parse_reference, revealed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.model.state import State, ToolState
    from devstream.model.values import Reference

__all__ = ["recorded_options"]

_MISSING = object()


def recorded_options(entry: ToolState, state: State) -> dict[str, Any]:
    """Give the recorded options of an entry; secrets stay names until the hook is called.

    A reference has its upstream's recorded output of today, or its own recorded value where the upstream has
    left the state.

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
    return options


def _output(outputs: Mapping[str, Any], wanted: Reference) -> Any:
    value: Any = outputs
    for step in wanted.path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return _MISSING if isinstance(value, dict) and "$secret" in value else value
