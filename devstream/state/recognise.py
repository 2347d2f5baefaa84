"""What bytes are that are not a head as we wrote it: ours but damaged or edited, or somebody else's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from devstream.errors import StateDamagedError, StateForeignError
from devstream.state.migrations import FORMAT

if TYPE_CHECKING:
    from devstream.errors import StateError

__all__ = ["explain"]

_IMPORT = "import it with `devstream state import-dtm`"
_OLD_ENTRY = re.compile(rb"(?m)^\s+name: .*\n(.*\n)*?\s+instanceID: ", re.IGNORECASE)
_OURS = ("lineage", "serial", "write_id")


def explain(data: bytes, location: str) -> StateError:
    """Say what was found in place of a state, where it breaks, and what to do. Nothing is ever written over it."""
    if not data.strip(b"\0 \t\r\n"):
        return _empty(data, location)
    if _OLD_ENTRY.search(data):
        message = f"the state {location} was written by the original DevStream"
        return StateForeignError(message, code="state-dtm", suggestion=_IMPORT)
    try:
        document = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError) as error:
        return _broken(data, location, str(error))
    return _edited(document, location)


def _empty(data: bytes, location: str) -> StateError:
    what = "is empty (0 bytes)" if not data else f"holds nothing but {len(data)} blank or zero bytes"
    return StateDamagedError(
        f"the state {location} {what}, and an empty file never means that nothing is recorded",
        detail=f"If the original DevStream left it so, {_IMPORT}.",
        suggestion=f"restore {location} from a backup; only where nothing was ever made, remove it",
    )


def _broken(data: bytes, location: str, reason: str) -> StateError:
    """Text that stops being JSON somewhere: ours where our own members are in it."""
    if not any(b'"%s"' % name.encode() in data for name in _OURS):
        start = data[:40].decode("utf-8", "replace")
        message = f"{location} is not a state of devstream: it begins with {start!r}"
        return StateForeignError(message, suggestion="name another file with `stateFile`")
    return StateDamagedError(
        f"the state {location} is damaged: {_place(data, reason)}",
        suggestion=f"restore {location} from a backup",
    )


def _place(data: bytes, reason: str) -> str:
    found = re.search(r"\(byte (\d+)\)", reason)
    if not found:
        return f"it ends after {len(data)} bytes, in the middle of something"
    before = data[: int(found[1])]
    line, column = before.count(b"\n") + 1, len(before) - before.rfind(b"\n")
    return f"line {line}, column {column}: {reason}"


def _edited(document: Any, location: str) -> StateError:
    """JSON that parses: a newer format (which may sign in another way), a hand edit, or not ours."""
    if not isinstance(document, dict) or not all(name in document for name in _OURS):
        message = f"{location} is not a state of devstream, although it is JSON"
        return StateForeignError(message, suggestion="name another file with `stateFile`")
    written = document.get("format")
    if isinstance(written, int) and written > FORMAT:
        message = f"the state {location} was written by a newer version of devstream (format {written})"
        return StateForeignError(message, code="state-newer", suggestion="upgrade devstream")
    return StateDamagedError(
        f"the state {location} is well-formed, but its digest differs: it was edited by hand or damaged",
        code="state-edited",
        suggestion=f"restore {location} from a backup, or undo the edit",
    )
