"""What bytes are that are not a head as we wrote it: ours but damaged or edited, or somebody else's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from devstream.errors import StateDamagedError, StateError, StateForeignError
from devstream.state.migrations import FORMAT

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.errors import DevstreamError

__all__ = ["explain", "moved"]

_IMPORT = "import it with `devstream state import-dtm`"
_GO_BACK = "`devstream state history` shows what can be restored; or put a backup in its place"
_OLD_ENTRY = re.compile(rb"(?m)^\s+name: .*\n(.*\n)*?\s+instanceID: ", re.IGNORECASE)
_OURS = ("lineage", "serial", "write_id")


def explain(data: bytes, location: str, get_blob: Callable[[str], bytes | None]) -> DevstreamError:
    """Say what was found in place of a state, where it breaks, and what to do. Nothing is ever written over it."""
    if not data.strip(b"\0 \t\r\n"):
        return _empty(data, location)
    if _OLD_ENTRY.search(data):
        message = f"the state {location} was written by the original DevStream"
        return StateForeignError(message, code="state-dtm", suggestion=_IMPORT)
    try:
        document = msgspec.json.decode(data)
    except UnicodeDecodeError:  # a text in it is no UTF-8
        return _broken(data, location, _no_text(data))
    except (msgspec.DecodeError, RecursionError) as error:
        return _broken(data, location, str(error))
    if isinstance(document, dict) and isinstance(document.get("encryption"), dict):
        return _encrypted(data, document, location)
    return _edited(document, location, get_blob)


def _encrypted(data: bytes, document: dict[str, Any], location: str) -> DevstreamError:
    """A head that only a key opens, and there is none."""
    from devstream.state.encryption import read_envelope
    from devstream.state.keys import key_needed

    what = f"the state {location}"
    if isinstance(document.get("moved_to"), str):
        return moved(location, document["moved_to"], bool(document.get("moved_as")))
    try:
        envelope = read_envelope(data, what)
    except StateForeignError as error:
        return error
    if envelope is None:
        return StateDamagedError(
            f"{what} is encrypted and damaged: it does not say how it was encrypted", suggestion=_GO_BACK
        )
    return key_needed(envelope.encryption, what)


def _no_text(data: bytes) -> str:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return f"no text (byte {error.start})"
    return "no text"


def _empty(data: bytes, location: str) -> StateError:
    what = "is empty (0 bytes)" if not data else f"holds nothing but {len(data)} blank or zero bytes"
    return StateDamagedError(
        f"the state {location} {what}, and an empty file never means that nothing is recorded",
        detail=f"If the original DevStream left it so, {_IMPORT}.",
        suggestion=f"{_GO_BACK}; only where nothing was ever made, remove it",
    )


def _broken(data: bytes, location: str, reason: str) -> StateError:
    """Text that stops being JSON somewhere: ours where our own members are in it."""
    if not any(b'"%s"' % name.encode() in data for name in _OURS):
        start = data[:40].decode("utf-8", "replace")
        message = f"{location} is not a state of devstream: it begins with {start!r}"
        return StateForeignError(message, suggestion="give the state another place in `config.state.options`")
    return StateDamagedError(
        f"the state {location} is damaged: {_place(data, reason)}",
        suggestion=_GO_BACK,
    )


def _place(data: bytes, reason: str) -> str:
    found = re.search(r"\(byte (\d+)\)", reason)
    if not found:
        return f"it ends after {len(data)} bytes, in the middle of something"
    before = data[: int(found[1])]
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return f"line {line}, column {column}: {reason}"


def _edited(document: Any, location: str, get_blob: Callable[[str], bytes | None]) -> StateError:
    """JSON that parses: a newer format (which may sign in another way), a hand edit, or not ours."""
    if not isinstance(document, dict) or not all(name in document for name in _OURS):
        message = f"{location} is not a state of devstream, although it is JSON"
        return StateForeignError(message, suggestion="give the state another place in `config.state.options`")
    written = document.get("format")
    if isinstance(written, int) and written > FORMAT:
        message = f"the state {location} was written by a newer version of devstream (format {written})"
        return StateForeignError(message, code="state-newer", suggestion="upgrade devstream")
    return StateDamagedError(
        f"the state {location} is well-formed, but its digest differs: it was edited by hand or damaged",
        code="state-edited",
        detail=_compared(document, get_blob),
        suggestion="undo the edit, or take it over with `devstream state accept-edit`; `state history` shows older states",
    )


def _compared(document: dict[str, Any], get_blob: Callable[[str], bytes | None]) -> str:
    """Say what differs from the newest snapshot that was kept; empty where none can be compared."""
    try:
        kept = document["history"][0]
        old = msgspec.json.decode(get_blob(kept["snapshot"]["name"]) or b"")["state"]["tools"]
        new = document["snapshot"]["state"]["tools"]
        lines = [_difference(name, old.get(name), new.get(name)) for name in {**old, **new}]
    except (LookupError, TypeError, ValueError, AttributeError):
        return ""
    changed = [line for line in lines if line]
    title = f"Beside the snapshot of serial {kept['serial']} (run {kept['run_id'] or 'unknown'}):"
    return "\n".join([title, *(changed or ["the recorded tools are the same"])])


def _difference(name: str, old: Any, new: Any) -> str:
    """Name the fields of one entry that differ; their values may be long, or nobody's business."""
    if old is None or new is None:
        return f"  {name}: {'added' if old is None else 'removed'}"
    fields = [field for field in {**old, **new} if old.get(field) != new.get(field)]
    return f"  {name}: {', '.join(fields)}" if fields else ""


def moved(location: str, place: str, is_done: bool) -> StateError:
    """Make the error for a head that is not the state: it went to another place, or has not arrived from there."""
    if is_done:
        return StateError(
            f"the state {location} was moved to {place}",
            code="state-moved",
            suggestion=f"use that one: name it under config.state, or with --state {place}",
        )
    return StateError(
        f"{location} is a copy of the state {place} that has not become the state",
        code="state-arriving",
        suggestion=f"go on using {place}; or finish: devstream state migrate-backend {location} --state {place}",
    )
