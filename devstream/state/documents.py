"""A whole state as one JSON document (``devstream state pull``), and back (``devstream state push FILE``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from devstream.errors import StateConflictError, StateForeignError, UsageError
from devstream.model.address import Address
from devstream.model.plan import Action
from devstream.model.recorded import with_texts, without_texts
from devstream.record import replace
from devstream.state.codec import record_to_json, tool_from_json, tool_to_json
from devstream.state.editing import Proposal, current
from devstream.state.edits import replacement
from devstream.state.migrations import FORMAT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.model.state import State, ToolState
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Propose
    from devstream.state.reading import Loaded

__all__ = ["PUSHED", "entry_problem", "push", "state_document"]

PUSHED = "pushed"
"""Why an entry is dropped that a pushed document does not have."""

_MARK = "devstream_state"
_TEXT_LISTS = ("dependsOn", "tags")
_KINDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("options", "properties", "outputs", "info"), (dict,)),
    **dict.fromkeys(_TEXT_LISTS, (list,)),
    **dict.fromkeys(("app", "connection"), (str, type(None))),
    "timeout": (int, float, type(None)),
    **dict.fromkeys(("retries", "schema_version"), (int,)),
    **dict.fromkeys(("tainted", "integrated", "adopted", "protect", "allow_delete"), (bool,)),
    **dict.fromkeys(("integrated_with", "plugin", "plugin_version", "created", "updated", "op_id"), (str,)),
}


def state_document(state: State) -> dict[str, Any]:
    """Give everything that is recorded as JSON; not the key of the fingerprints, which stays in the head."""
    operations = state.open_operations.values()
    return {
        _MARK: True,
        "format": FORMAT,
        "lineage": state.lineage,
        "serial": state.serial,
        "tools": {str(address): _entry(tool) for address, tool in state.tools.items()},
        "open": [record_to_json(operation.begin) for operation in operations],
        "last_run": record_to_json(state.last_run) if state.last_run else None,
    }


def _entry(tool: ToolState) -> dict[str, Any]:
    """Give an entry as it may lie about in a file: no text of a secret output that an encrypted state holds."""
    return tool_to_json(replace(tool, outputs=without_texts(tool.outputs)))


def entry_problem(tools: Any) -> str:
    """Say what is wrong with entries that somebody may have written by hand; empty where nothing is."""
    if not isinstance(tools, dict):
        return "`tools` is not a mapping of addresses"
    for name, entry in tools.items():
        problem = _name_problem(name) or _fields_problem(entry)
        if problem:
            return f"{name}: {problem}"
    return ""


def _name_problem(name: str) -> str:
    try:
        Address.parse(name)
    except ValueError:
        return "this is not an address: it has the form name.instanceID"
    return ""


def _fields_problem(entry: Any) -> str:
    if not isinstance(entry, dict):
        return "this is not a mapping of fields"
    for field, value in entry.items():
        kinds = _KINDS.get(field)
        if kinds and (not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds)):
            return f"{field} cannot be {msgspec.json.encode(value).decode()[:40]}"
        if field in _TEXT_LISTS and not all(isinstance(item, str) for item in value):
            return f"{field} is a list of texts"
    action = entry.get("failed_action")
    return "" if action is None or action in list(Action) else f"there is no action {action!r}"


def push(data: bytes, name: str, *, force: bool = False) -> Propose:
    """Make a `Propose` that records what a document of ``devstream state pull`` says.

    Args:
        data: the document.
        name: how messages call it.
        force: record it although something was recorded since it was pulled.

    Raises:
        UsageError: it is no such document.
        StateForeignError: it is of a newer version.
    """
    plain = _decoded(data, name)
    problem = entry_problem(plain.get("tools"))
    if problem:
        message = f"{name}: {problem}"
        raise UsageError(message, code="bad-document")
    tools = {
        address: tool_from_json(address, entry)
        for address, entry in ((Address.parse(text), entry) for text, entry in plain["tools"].items())
    }

    def propose(backend: StateBackend) -> Proposal:
        loaded = current(backend)
        _require_successor(plain, loaded, name, force=force)
        known = {address: _completed(tool, loaded.fold.tools.get(address)) for address, tool in tools.items()}
        return Proposal(loaded, tuple(replacement(loaded.fold.tools, known, dropped=PUSHED)))

    return propose


def _completed(tool: ToolState, recorded: ToolState | None) -> ToolState:
    """Give a pushed entry with the secret outputs that are recorded already, which `pull` left out."""
    if recorded is None or recorded.outputs == tool.outputs:
        return tool
    return replace(tool, outputs=with_texts(tool.outputs, recorded.outputs))


def _decoded(data: bytes, name: str) -> dict[str, Any]:
    try:
        plain = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"{name} is not JSON: {error}"
        raise UsageError(message, code="bad-document", suggestion=_HOW) from None
    if isinstance(plain, dict) and plain.get("devstream_rescue"):
        hint = f"devstream state push --rescue {name}"
        message = f"{name} is a rescue file: its records are merged, not put in the place of the state"
        raise UsageError(message, code="bad-document", suggestion=hint)
    if not isinstance(plain, dict) or plain.get(_MARK) is not True:
        message = f"{name} is not a state that was pulled"
        raise UsageError(message, code="bad-document", suggestion=_HOW)
    written = plain.get("format")
    if not isinstance(written, int) or written > FORMAT:
        message = f"{name} was written by a newer version of devstream (format {written!r})"
        raise StateForeignError(message, code="state-newer", suggestion="upgrade devstream")
    return plain


_HOW = "`devstream state pull > FILE` writes such a document"


def _require_successor(plain: Mapping[str, Any], loaded: Loaded, name: str, *, force: bool) -> None:
    """A document of another state, or an older one, would undo what it does not know of."""
    document, fold = loaded.document, loaded.fold
    if not fold.tools and not fold.open_operations:
        return
    if plain.get("lineage") != document.lineage:
        raise StateForeignError(
            f"{name} was pulled from another state (lineage {plain.get('lineage')}, not {document.lineage})",
            code="other-lineage",
            suggestion="name its own state with --state, or an empty one",
        )
    serial = plain.get("serial")
    if serial != document.serial and not force:
        raise StateConflictError(
            f"{name} was pulled at serial {serial}, and the state is at serial {document.serial} by now",
            suggestion="pull again and put your changes in; --force records it all the same",
        )
