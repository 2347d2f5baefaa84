"""Tool states, records and lease holders as plain JSON, and back.

A field that holds its default is left out. Fields that this version does not know survive in `ToolState.extra`.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec

from devstream.errors import StateError
from devstream.model.address import Address
from devstream.model.plan import Action, Outcome
from devstream.model.state import (
    Begin,
    Drop,
    End,
    LeaseHolder,
    Move,
    Put,
    PutReason,
    RunRecord,
    ToolState,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from devstream.model.state import Record

__all__ = [
    "tool_to_json",
    "tool_from_json",
    "record_to_json",
    "record_from_json",
    "encode_record",
    "holder_to_json",
    "holder_from_json",
]

Plain = dict[str, Any]

_NAMES = {
    "dependsOn": "depends_on",
    "app": "app",
    "tags": "tags",
    "retries": "retries",
    "timeout": "timeout",
    "connection": "connection",
    "properties": "properties",
    "outputs": "outputs",
    "info": "info",
    "tainted": "tainted",
    "failed_action": "failed_action",
    "integrated": "integrated",
    "integrated_with": "integrated_with",
    "adopted": "adopted",
    "protect": "protect",
    "allow_delete": "allow_delete",
    "plugin": "plugin",
    "plugin_version": "plugin_version",
    "schema_version": "schema_version",
    "created": "created",
    "updated": "updated",
    "op_id": "op_id",
}
"""Field names of a tool's entry by attribute of `ToolState`, in the order they are written."""

_BLANK = ToolState(Address("", ""))
_VALUES = attrgetter(*_NAMES.values())
_FIELDS = tuple(zip(_NAMES, _VALUES(_BLANK), strict=True))
"""Each field with its default."""

_READ: dict[str, tuple[str, Callable[[Any], Any] | None]] = {
    "options": ("options", None),
    **{name: (attribute, None) for name, attribute in _NAMES.items()},
    "dependsOn": ("depends_on", tuple),
    "tags": ("tags", tuple),
    "failed_action": ("failed_action", Action),
}


def tool_to_json(tool: ToolState) -> Plain:
    """Give a tool's entry without its address, which is the key it is stored under."""
    plain: Plain = {"options": tool.options}
    for (name, default), value in zip(_FIELDS, _VALUES(tool), strict=True):
        if value is not default and value != default:
            plain[name] = list(value) if isinstance(value, tuple) else value
    if tool.failed_action is not None:
        plain["failed_action"] = tool.failed_action.value
    if tool.extra:
        plain = {**tool.extra, **plain}
    return plain


def tool_from_json(address: Address, plain: Mapping[str, Any]) -> ToolState:
    """Read a tool's entry."""
    fields: Plain = {}
    extra: Plain = {}
    for name, value in plain.items():
        known = _READ.get(name)
        if known is None:
            extra[name] = value
            continue
        attribute, convert = known
        fields[attribute] = convert(value) if convert else value
    if extra:
        fields["extra"] = extra
    return ToolState(address, **fields)


def record_to_json(record: Record) -> Plain:
    """Give a record as plain JSON; ``type`` says which."""
    match record:
        case Begin():
            return _begin_to_json(record)
        case End():
            plain: Plain = {"type": "end", "op_id": record.op_id, "outcome": record.outcome.value}
            return plain | _entry(record.tool_state)
        case Put():
            entry = tool_to_json(record.tool_state)
            return {"type": "put", "address": str(record.address), "tool": entry, "why": record.why.value}
        case Drop():
            return {"type": "drop", "address": str(record.address), "why": record.why}
        case Move():
            return {"type": "move", "from": str(record.source), "to": str(record.target)}
        case RunRecord():
            return _run_to_json(record)


def _entry(tool: ToolState | None) -> Plain:
    if tool is None:
        return {"tool": None}
    return {"address": str(tool.address), "tool": tool_to_json(tool)}


def _begin_to_json(begin: Begin) -> Plain:
    plain: Plain = {
        "type": "begin",
        "op_id": begin.op_id,
        "attempt": begin.attempt,
        "address": str(begin.address),
        "action": begin.action.value,
        "tool": tool_to_json(begin.tool),
        "run_id": begin.run_id,
        "host": begin.host,
        "boot_id": begin.boot_id,
    }
    return plain | {"repeatable": True} if begin.repeatable else plain


def _run_to_json(run: RunRecord) -> Plain:
    return {
        "type": "run",
        "run_id": run.run_id,
        "command": run.command,
        "started": run.started,
        "ended": run.ended,
        "not_succeeded": {str(address): outcome.value for address, outcome in run.not_succeeded.items()},
    }


def record_from_json(plain: Mapping[str, Any]) -> Record:
    """Read a record.

    Raises:
        KeyError, ValueError: it is none that this version knows.
    """
    return _READERS[plain["type"]](plain)


def _begin_from_json(plain: Mapping[str, Any]) -> Begin:
    address = Address.parse(plain["address"])
    return Begin(
        plain["op_id"],
        plain["attempt"],
        address,
        Action(plain["action"]),
        tool_from_json(address, plain["tool"]),
        plain["run_id"],
        plain["host"],
        plain["boot_id"],
        plain.get("repeatable", False),
    )


def _end_from_json(plain: Mapping[str, Any]) -> End:
    entry = plain["tool"]
    tool = None if entry is None else tool_from_json(Address.parse(plain["address"]), entry)
    return End(plain["op_id"], Outcome(plain["outcome"]), tool)


def _put_from_json(plain: Mapping[str, Any]) -> Put:
    address = Address.parse(plain["address"])
    return Put(address, tool_from_json(address, plain["tool"]), PutReason(plain["why"]))


def _drop_from_json(plain: Mapping[str, Any]) -> Drop:
    return Drop(Address.parse(plain["address"]), plain["why"])


def _move_from_json(plain: Mapping[str, Any]) -> Move:
    return Move(Address.parse(plain["from"]), Address.parse(plain["to"]))


def _run_from_json(plain: Mapping[str, Any]) -> RunRecord:
    outcomes = {Address.parse(name): Outcome(outcome) for name, outcome in plain["not_succeeded"].items()}
    return RunRecord(plain["run_id"], plain["command"], plain["started"], plain["ended"], outcomes)


_READERS: dict[str, Callable[[Mapping[str, Any]], Record]] = {
    "begin": _begin_from_json,
    "end": _end_from_json,
    "put": _put_from_json,
    "drop": _drop_from_json,
    "move": _move_from_json,
    "run": _run_from_json,
}


def encode_record(record: Record) -> bytes:
    """Give a record as compact JSON text.

    Raises:
        StateError: a value in it is not JSON; the message names its path, never the value.
    """
    plain = record_to_json(record)
    try:
        text = msgspec.json.encode(plain)
        if msgspec.json.decode(text) == plain:  # much quicker than to look at every value
            return text
    except (TypeError, ValueError, RecursionError):
        pass  # the walk below names what it is
    return _walked(plain)


def _walked(plain: Plain) -> bytes:
    """Encode what is not plain JSON for sure: tuples are, and so are subclasses of str and int."""
    problem = _not_json(plain, "")
    if problem:
        raise StateError(f"cannot be recorded: {problem}", code="not-json", address=plain.get("address"))
    try:
        return msgspec.json.encode(plain)
    except TypeError:  # a subclass of str or int, as libraries give; only the slower standard one takes these
        import json

        return json.dumps(plain, ensure_ascii=False).encode()


def _not_json(value: Any, path: str) -> str:
    """Say which part of a value is not JSON; empty where all of it is."""
    if isinstance(value, str):
        return "" if value.isascii() or _is_unicode(value) else f"{path} is text with half a character in it"
    if isinstance(value, int) or value is None:
        return ""
    if isinstance(value, float):
        return "" if value - value == 0 else f"{path} is not a finite number"
    if isinstance(value, list | tuple):
        return _first(_not_json(item, f"{path}[{index}]") for index, item in enumerate(value))
    if isinstance(value, dict):
        wrong = [key for key in value if not isinstance(key, str)]
        if wrong:
            return f"{path} has a key of type {type(wrong[0]).__name__} (keys are text)"
        return _first(_not_json(item, f"{path}.{name}" if path else name) for name, item in value.items())
    return f"{path} is a {type(value).__name__}, which JSON does not have"


def _first(problems: Iterable[str]) -> str:
    return next(filter(None, problems), "")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def holder_to_json(holder: LeaseHolder) -> Plain:
    """Give a lease holder as plain JSON."""
    return {name: getattr(holder, name) for name in LeaseHolder.__struct_fields__}


def holder_from_json(plain: Mapping[str, Any]) -> LeaseHolder:
    """Read a lease holder; fields of later versions are passed over."""
    return LeaseHolder(**{name: plain[name] for name in LeaseHolder.__struct_fields__ if name in plain})
