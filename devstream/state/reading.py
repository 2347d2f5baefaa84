"""From the bytes of a head to a `Fold`: checks every digest, follows blobs, starts over when overtaken.

Readers need no lease. A blob that is missing while the head has moved on was cleared away by a later run: start
over. A blob that is missing while the head stands still is damage.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from devstream.collector import collector_paused
from devstream.errors import DevstreamError, StateConflictError, StateDamagedError, StateError
from devstream.model.address import Address
from devstream.model.state import OpenOperation, State
from devstream.state.backend import KernelLease
from devstream.state.codec import holder_from_json, record_from_json, tool_from_json
from devstream.state.fold import Fold
from devstream.state.head import HeadDocument, digest, is_sealed
from devstream.state.migrations import migrate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from devstream.state.backend import StateBackend
    from devstream.state.head import Blob

__all__ = [
    "Loaded",
    "Blobs",
    "Overtaken",
    "load",
    "refuse_lost_head",
    "decode_head",
    "document_of",
    "folded",
    "fold_of",
    "apply_all",
    "state_of",
]

_ATTEMPTS = 100


class Loaded(NamedTuple):
    """What a head and its blobs say; ``version`` is what a swap has to expect, None where there is no head."""

    document: HeadDocument
    version: str | None
    fold: Fold


class Overtaken(StateConflictError):
    """A blob is missing, and the head has moved on."""

    def __init__(self, location: str) -> None:
        super().__init__(f"the state {location} was changed while it was being read", suggestion="try again")


def load(backend: StateBackend) -> Loaded | None:
    """Read the whole state; None where there is none yet.

    Raises:
        StateDamagedError, StateForeignError: it cannot be used as it is.
        StateUnreachableError: the backend does not answer.
    """
    for _ in range(_ATTEMPTS):
        head = backend.read_head()
        if head is None:
            refuse_lost_head(backend)
            return None
        document = decode_head(head.data, backend.location, backend.get_blob)
        try:
            with collector_paused():
                return Loaded(document, head.version, folded(document, Blobs(backend, head.version)))
        except Overtaken:
            continue
    message = f"the state {backend.location} changes faster than it can be read"
    raise StateError(message, suggestion="try again")


def refuse_lost_head(backend: StateBackend) -> None:
    """Refuse to begin anew where the head is gone and its blobs are there: it never means that nothing is recorded.

    Raises:
        StateDamagedError: it was lost.
    """
    try:
        blobs = backend.list_blobs()
    except DevstreamError:
        if isinstance(backend, KernelLease):
            raise
        return  # elsewhere listing may not be allowed
    if blobs:
        parts = f"{backend.location}.d" if isinstance(backend, KernelLease) else "these"
        raise StateDamagedError(
            f"the state {backend.location} is gone, but {len(blobs)} snapshots of it are still there",
            detail="`devstream state history` lists the snapshots, `devstream state restore SERIAL` goes back to one.",
            suggestion=f"restore one; to forget all that was recorded, remove {parts} too",
        )


def decode_head(
    data: bytes,
    location: str,
    get_blob: Callable[[str], bytes | None] = lambda _: None,
    *,
    accept_moved: bool = False,
) -> HeadDocument:
    """Read a head.

    Args:
        get_blob: where kept snapshots are, to compare a head with that was edited by hand.
        accept_moved: read a head too that is not the state, but says where that is.

    Raises:
        StateDamagedError, StateForeignError: see `devstream.state.recognise`.
        StateError: the state was moved elsewhere.
    """
    if not is_sealed(data):
        from devstream.state.recognise import explain

        raise explain(data, location, get_blob)
    document = document_of(data, location)
    if document.moved_to and not accept_moved:
        from devstream.state.recognise import moved

        raise moved(location, document.moved_to, document.moved_as is not None)
    return document


def document_of(data: bytes, location: str, but: str = "is sealed, but it is not one") -> HeadDocument:
    """Read a head whose seal somebody else has looked at; ``but`` says what is the matter with one that is none.

    Raises:
        StateDamagedError, StateForeignError: its members are not those of a head.
    """
    try:
        plain = migrate(msgspec.json.decode(data), f"the state {location}")
        document = msgspec.convert(plain, HeadDocument)
        bytes.fromhex(document.hmac_key)
    except (msgspec.MsgspecError, AttributeError, ValueError) as error:
        raise StateDamagedError(f"the state {location} {but}: {error}") from error
    return document


class Blobs:
    """Reads the blobs that one head names; ``version`` is that of the head."""

    def __init__(self, backend: StateBackend, version: str | None) -> None:
        self._backend = backend
        self._version = version

    @property
    def location(self) -> str:
        """Where the state is, for messages."""
        return self._backend.location

    def get(self, blob: Blob) -> dict[str, Any]:
        """Read a blob, checked against the digest that the head holds.

        Raises:
            StateDamagedError: it is missing, or is not what was written.
            Overtaken: it is missing, and the head has moved on.
        """
        data = self._backend.get_blob(blob.name)
        if data is None:
            self._refuse_overtaken()
        if data is None or digest(data) != blob.sha256:
            what = "is missing" if data is None else "is not what was written (its digest differs)"
            raise StateDamagedError(
                f"the state {self.location} is damaged: its part {blob.name} {what}",
                suggestion="put it back from a backup, or go back: `devstream state history`, then `state restore SERIAL`",
            )
        where = f"the part {blob.name} of the state {self.location}"
        plain: dict[str, Any] = msgspec.json.decode(data)
        return migrate(plain, where)

    def _refuse_overtaken(self) -> None:
        """Start over where the head has moved on."""
        now = self._backend.read_head()
        if (now.version if now else None) != self._version:
            raise Overtaken(self.location)


def folded(document: HeadDocument, blobs: Blobs) -> Fold:
    """Fold the snapshot, the segments and the inline records of a head.

    Raises:
        StateDamagedError: a part is missing or is not what was written.
    """
    snapshot = document.snapshot
    plain = snapshot.state if snapshot.blob is None else blobs.get(snapshot.blob)["state"]
    try:
        fold = fold_of(plain)
        for segment in document.segments:
            apply_all(fold, blobs.get(segment)["records"])
        apply_all(fold, document.records)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        message = f"the state {blobs.location} holds something that cannot be read: {error!r}"
        raise StateDamagedError(message) from error
    return fold


def fold_of(plain: dict[str, Any]) -> Fold:
    """Give the fold of a snapshot. Raises KeyError, ValueError, TypeError, AttributeError for what is none."""
    tools = [tool_from_json(Address.parse(name), entry) for name, entry in plain["tools"].items()]
    begins: list[Any] = [record_from_json(entry) for entry in plain.get("open", ())]
    last_run: Any = record_from_json(plain["last_run"]) if plain.get("last_run") else None
    return Fold(tools, [OpenOperation(begin) for begin in begins], last_run)


def apply_all(fold: Fold, records: Iterable[dict[str, Any]]) -> None:
    """Take records in, as they are written. Raises what `fold_of` raises."""
    for plain in records:
        fold.apply(record_from_json(plain))


def state_of(document: HeadDocument, fold: Fold) -> State:
    """Give the state as it is folded so far; later records do not change what was given."""
    return State(
        lineage=document.lineage,
        serial=document.serial,
        hmac_key=bytes.fromhex(document.hmac_key),
        tools=dict(fold.tools),
        open_operations=dict(fold.open_operations),
        last_run=fold.last_run,
        lease=holder_from_json(document.lease) if document.lease else None,
    )
