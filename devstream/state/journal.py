"""How records get into the head, and when the head rolls over into blobs. For one thread at a time.

Sizes are of compact JSON, in bytes. Inline records roll into a segment at `ROLL`; a snapshot is due once what came
after the last one is as large as half of it, and `TAIL` at least: so the cost of recording one change does not depend
on how much is recorded already.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from devstream.errors import DevstreamError
from devstream.state.clock import boottime
from devstream.state.codec import holder_to_json, record_to_json, tool_to_json
from devstream.state.head import (
    Blob,
    Garbage,
    HeadDocument,
    Kept,
    Snapshot,
    digest,
    encode_head,
    new_id,
    next_head,
)
from devstream.state.migrations import FORMAT
from devstream.state.reading import state_of
from devstream.state.swap import conflict_with

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from devstream.errors import StateConflictError
    from devstream.model.state import Begin, LeaseHolder, Record, State
    from devstream.state.backend import StateBackend
    from devstream.state.fold import Fold
    from devstream.state.reading import Loaded
    from devstream.state.swap import Swapper

__all__ = ["Beating", "Encoded", "Journal", "ROLL", "TAIL", "SMALL", "SEGMENTS", "KEPT", "MANY"]

ROLL = 32 * 1024
"""Bytes of inline records above which they become a segment."""

SMALL = 32 * 1024
"""Bytes up to which a snapshot stays inline in the head."""

TAIL = 64 * 1024
"""Bytes of records after a snapshot below which no new one is due."""

SEGMENTS = 64
"""Segments after a snapshot at which a new one is due."""

KEPT = 10
"""How many replaced snapshots the history keeps."""

MANY = 8
"""Segments after a replaced snapshot above which they become one: the history names them in every head."""

_LEAST_ENTRY = 64
"""Bytes that the entry of one tool takes at the very least."""


class Encoded(NamedTuple):
    """A record and its JSON text."""

    record: Record
    text: bytes


class _Segment(msgspec.Struct, frozen=True):
    """A segment, its records as they are written."""

    format: int
    records: list[msgspec.Raw]


class Beating(NamedTuple):
    """A lease that lives in the head: every write renews it, and without one it runs out after ``ttl`` seconds.

    Attributes:
        since: when the swap was sent that took it, by `boottime`.
    """

    ttl: float
    since: float


class Journal:
    """The head that one run owns.

    Args:
        loaded: the state as it was read under the lease.
        holder: who runs.
        clock: the time of day, for what is written.
        beating: the lease, where it lives in the head; None where the kernel keeps it.
    """

    def __init__(
        self,
        backend: StateBackend,
        loaded: Loaded,
        *,
        swapper: Swapper,
        holder: LeaseHolder,
        clock: Callable[[], str],
        beating: Beating | None = None,
    ) -> None:
        self._backend = backend
        self._document, self._version, self._fold = loaded
        self._beating = beating
        self._swapper = swapper
        self._holder = holder
        self._clock = clock
        self._lock = threading.Lock()
        self._state: State | None = None
        self._inline = [msgspec.Raw(msgspec.json.encode(plain)) for plain in self._document.records]
        self.wrote = False

    @property
    def document(self) -> HeadDocument:
        """The head as it was last stored."""
        return self._document

    @property
    def state(self) -> State:
        """Everything that is stored, folded."""
        with self._lock:
            if self._state is None:
                self._state = state_of(self._document, self._fold)
            return self._state

    def begin_of(self, op_id: str) -> Begin | None:
        """Give the stored `Begin` of an open operation."""
        with self._lock:
            return self._fold.begin_of(op_id)

    def append(self, records: Sequence[Encoded]) -> StateConflictError | None:
        """Store records, durably.

        Returns:
            None; or the conflict that came right after: these records are stored, further ones cannot be.

        Raises:
            StateError, CredentialsError: they are not stored.
        """
        document, inline = self._with_records(self._next_held(), records)
        if self._snapshot_is_due(document, inline):
            document = self._with_snapshot(document, inline, self._encode(self._folded_with(records)))
        return self._commit(document, inline, records)

    def finish(self, records: Sequence[Encoded]) -> StateConflictError | None:
        """Store the last records of a run and let go of the lease; a small state becomes one inline snapshot."""
        document, inline = self._with_records(self._without_garbage(next_head(self._document, None)), records)
        text = self._small_snapshot(records)
        if text is None and self._snapshot_is_due(document, inline):
            text = self._encode(self._folded_with(records))
        if text is not None:
            document, inline = self._with_snapshot(document, inline, text), []
        return self._commit(document, inline, records)

    # -- the lease in the head

    @property
    def has_lease(self) -> bool:
        """True where the lease lives in the head and has not run out, or where the kernel keeps it."""
        return self._beating is None or boottime() < self._beating.since + self._beating.ttl

    @property
    def silence(self) -> float | None:
        """Seconds until a renewal is due; None where none ever is."""
        if self._beating is None:
            return None
        return max(0.0, self._beating.since + self._beating.ttl / 3 - boottime())

    def renew(self) -> StateConflictError | None:
        """Show a sign of life, where one is due. Gives and raises what `append` does."""
        return self.append(()) if self.silence == 0 else None

    def give_back(self) -> None:
        """Let go of the lease without recording anything.

        Raises:
            StateError, CredentialsError: it could not be; the lease is lost, or runs out by itself.
        """
        if self._beating is not None:
            self._commit(next_head(self._document, None), self._inline, ())

    # -- making the next head

    def _next_held(self) -> HeadDocument:
        """Give the head that follows, under our lease."""
        plain = holder_to_json(self._holder)
        if self._beating is not None:
            plain |= {"beat": self._document.serial + 1, "ttl": self._beating.ttl}
        return next_head(self._document, plain)

    def _with_records(
        self, document: HeadDocument, records: Sequence[Encoded]
    ) -> tuple[HeadDocument, list[msgspec.Raw]]:
        """Add records inline, or roll all inline records into a segment where they have become too many."""
        inline = [*self._inline, *(msgspec.Raw(record.text) for record in records)]
        if _size(inline) <= ROLL:
            return document, inline
        blob = self._put("segment", document, {"records": inline})
        return msgspec.structs.replace(document, segments=(*document.segments, blob)), []

    def _snapshot_is_due(self, document: HeadDocument, inline: list[msgspec.Raw]) -> bool:
        if inline or not document.segments:
            return False  # only right after a roll, so that nothing inline has to go with it
        tail = sum(segment.size for segment in document.segments)
        last = document.snapshot.blob.size if document.snapshot.blob else 0
        return tail >= max(TAIL, last // 2) or len(document.segments) >= SEGMENTS

    def _folded_with(self, records: Sequence[Encoded]) -> Fold:
        with self._lock:
            fold = self._fold.copy()
        for encoded in records:
            fold.apply(encoded.record)
        return fold

    def _small_snapshot(self, records: Sequence[Encoded]) -> bytes | None:
        """Give the folded state as JSON if it is small; a large one is not even encoded to find out."""
        if (len(self._fold.tools) - len(records)) * _LEAST_ENTRY > SMALL:
            return None
        text = self._encode(self._folded_with(records))
        return text if len(text) <= SMALL else None

    @staticmethod
    def _encode(fold: Fold) -> bytes:
        """Give a folded state as JSON text."""
        operations = fold.open_operations.values()
        plain = {
            "tools": {str(address): tool_to_json(tool) for address, tool in fold.tools.items()},
            "open": [record_to_json(operation.begin) for operation in operations],
            "last_run": record_to_json(fold.last_run) if fold.last_run else None,
        }
        return msgspec.json.encode(plain)

    def _with_snapshot(self, document: HeadDocument, inline: list[msgspec.Raw], text: bytes) -> HeadDocument:
        """Put a new snapshot in the place of the old one, which goes into the history with all that followed it."""
        kept = self._keep(document, inline)
        history = (kept, *document.history)
        gone = [blob.name for old in history[KEPT:] for blob in (old.snapshot, *old.segments)]
        gone += [blob.name for blob in document.segments if blob not in kept.segments]
        garbage = (*document.garbage, *(Garbage(name, self._holder.run_id) for name in gone))
        snapshot = Snapshot(
            serial=document.serial, at=self._clock(), run_id=self._holder.run_id, state=msgspec.Raw(text)
        )
        if len(text) > SMALL:
            blob = self._put("snapshot", document, _content(snapshot, history))
            snapshot = msgspec.structs.replace(snapshot, state=None, blob=blob)
        return msgspec.structs.replace(
            document, snapshot=snapshot, segments=(), history=history[:KEPT], garbage=garbage
        )

    def _keep(self, document: HeadDocument, inline: list[msgspec.Raw]) -> Kept:
        """Give the present snapshot as the history keeps it, with what followed: even without a head it tells all."""
        old, segments = document.snapshot, self._joined(document)
        if old.blob is None:
            after = {"segments": _names(segments), "then": inline}
            blob = self._put("snapshot", document, _content(old, document.history) | after)
        else:
            blob = old.blob
            if inline:
                segments = (*segments, self._put("segment", document, {"records": inline}))
        return Kept(serial=old.serial, at=old.at, run_id=old.run_id, snapshot=blob, segments=segments)

    def _joined(self, document: HeadDocument) -> tuple[Blob, ...]:
        """Give the segments after the present snapshot, many of them as one.

        They stay as they are where one is damaged or of an older format: whoever reads it will say so.
        """
        if len(document.segments) <= MANY:
            return document.segments
        try:
            records = [record for blob in document.segments for record in self._records_in(blob)]
        except (DevstreamError, ValueError):
            return document.segments
        return (self._put("segment", document, {"records": records}),)

    def _records_in(self, blob: Blob) -> list[msgspec.Raw]:
        data = self._backend.get_blob(blob.name)
        if data is None or digest(data) != blob.sha256:
            raise ValueError(blob.name)
        segment = msgspec.json.decode(data, type=_Segment)
        if segment.format != FORMAT:
            raise ValueError(blob.name)
        return segment.records

    def _put(self, kind: str, document: HeadDocument, content: dict[str, Any]) -> Blob:
        """Store a blob under a name that never was."""
        begin = {"format": FORMAT, "kind": kind, "lineage": document.lineage}
        data = msgspec.json.encode(begin | content)
        name = f"{kind}-{document.serial:08d}-{new_id()}"
        self._backend.put_blob(name, data)
        return Blob(name, digest(data), len(data))

    def _without_garbage(self, document: HeadDocument) -> HeadDocument:
        """Delete what an earlier run let go of: whoever was reading it then has started over by now."""
        left = [item for item in document.garbage if item.run_id == self._holder.run_id]
        for item in document.garbage:
            if item.run_id != self._holder.run_id and not self._deleted(item):
                left.append(item)
        return msgspec.structs.replace(document, garbage=tuple(left))

    def _deleted(self, item: Garbage) -> bool:
        """Delete a blob that nobody needs; False where that did not work, which is for a later run to mend."""
        try:
            self._backend.delete_blob(item.name)
        except DevstreamError:
            return False
        return True

    # -- storing it

    def _commit(
        self, document: HeadDocument, inline: list[msgspec.Raw], records: Sequence[Encoded]
    ) -> StateConflictError | None:
        data = encode_head(msgspec.structs.replace(document, records=tuple(inline)))
        sent_at = boottime()
        swapped = self._swapper.swap(data, document.write_id, self._version)
        with self._lock:
            self._document, self._version, self._inline = document, swapped.version, inline
            self._state = None
            self.wrote = self.wrote or bool(records)
            if self._beating is not None:
                self._beating = self._beating._replace(since=sent_at)
            for encoded in records:
                self._fold.apply(encoded.record)
        return conflict_with(self._backend.location, document.serial + 1, "") if swapped.overtaken else None


def _content(snapshot: Snapshot, history: tuple[Kept, ...]) -> dict[str, Any]:
    """Give what a snapshot's blob holds: first of all what came before it, so that the trail can be walked."""
    previous = None
    if history:
        last = history[0]
        previous = {
            "name": last.snapshot.name,
            "sha256": last.snapshot.sha256,
            "segments": _names(last.segments),
        }
    return {
        "previous": previous,
        "serial": snapshot.serial,
        "at": snapshot.at,
        "run_id": snapshot.run_id,
        "state": snapshot.state,
    }


def _names(segments: Sequence[Blob]) -> list[dict[str, str]]:
    return [{"name": segment.name, "sha256": segment.sha256} for segment in segments]


def _size(texts: Sequence[msgspec.Raw]) -> int:
    return sum(len(text) for text in texts)
