"""The kept trail: which serials there are to go back to, what each of them held, and whether all of it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.errors import StateDamagedError, UsageError
from devstream.record import Immutable, field, replace
from devstream.state.edits import replacement
from devstream.state.head import Snapshot
from devstream.state.reading import Blobs, Overtaken, fold_of, load

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.model.address import Address
    from devstream.model.state import Drop, Put, RunRecord, ToolState
    from devstream.state.backend import StateBackend
    from devstream.state.fold import Fold
    from devstream.state.head import Blob, HeadDocument
    from devstream.state.reading import Loaded

__all__ = ["Point", "RESTORED", "points", "going_back", "problems", "read_history"]

RESTORED = "restored"
"""Why an entry is dropped that an older state did not have."""


class Point(Immutable, frozen=True):
    """A state that there was, and that can be gone back to.

    Attributes:
        at: when, UTC, ISO 8601 with Z.
        run: the run that made it; None where that is not known.
        added, changed, removed: addresses, beside the next older point; empty for the oldest.
        problem: why it cannot be gone back to; empty where it can.
    """

    serial: int
    at: str
    run_id: str
    run: RunRecord | None = None
    tools: Mapping[Address, ToolState] = field(default_factory=dict)
    added: tuple[Address, ...] = ()
    changed: tuple[Address, ...] = ()
    removed: tuple[Address, ...] = ()
    problem: str = ""


def read_history(backend: StateBackend) -> tuple[list[Point], list[str]]:
    """Read every point, and what is wrong with the trail; starts over when overtaken. Nothing where there is no state.

    Raises:
        StateError: the head itself cannot be used.
    """
    while True:
        loaded = load(backend)
        if loaded is None:
            return [], []
        try:
            return points(loaded, backend), problems(loaded, backend)
        except Overtaken:
            continue


def points(loaded: Loaded, backend: StateBackend) -> list[Point]:
    """Give the points there are, the present state first.

    Raises:
        Overtaken: somebody has written meanwhile, and a part is gone.
    """
    found = list(_points(loaded, Blobs(backend, loaded.version)))
    return [_beside(point, older) for point, older in zip(found, [*found[1:], None], strict=True)]


def _points(loaded: Loaded, blobs: Blobs) -> Iterator[Point]:
    document, fold = loaded.document, loaded.fold
    if document.records or document.segments:  # the serial alone may be that of a lease
        last, lease = fold.last_run, document.lease or {}
        at = lease.get("since") or (last.ended if last else document.snapshot.at)
        yield Point(document.serial, at, lease.get("run_id", ""), None if lease else last, fold.tools)
    yield _point(document.snapshot, blobs)
    for kept in document.history:
        snapshot = Snapshot(serial=kept.serial, at=kept.at, run_id=kept.run_id, blob=kept.snapshot)
        yield _point(snapshot, blobs)


def _point(snapshot: Snapshot, blobs: Blobs) -> Point:
    point = Point(snapshot.serial, snapshot.at, snapshot.run_id)
    try:
        fold = _fold_at(snapshot, blobs)
    except StateDamagedError as error:
        return replace(point, problem=error.diagnostic.summary)
    last = fold.last_run
    made_it = last is not None and last.run_id == snapshot.run_id
    return replace(point, run=last if made_it else None, tools=fold.tools)


def _fold_at(snapshot: Snapshot, blobs: Blobs) -> Fold:
    plain = snapshot.state if snapshot.blob is None else blobs.get(snapshot.blob)["state"]
    try:
        return fold_of(plain)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        message = f"the snapshot of serial {snapshot.serial} holds something that cannot be read: {error!r}"
        raise StateDamagedError(message) from error


def _beside(point: Point, older: Point | None) -> Point:
    """Say what differs from the next older point."""
    if older is None or point.problem or older.problem:
        return point
    both = [address for address in point.tools if address in older.tools]
    return replace(
        point,
        added=tuple(address for address in point.tools if address not in older.tools),
        changed=tuple(address for address in both if point.tools[address] != older.tools[address]),
        removed=tuple(address for address in older.tools if address not in point.tools),
    )


def going_back(loaded: Loaded, backend: StateBackend, serial: int) -> list[Put | Drop]:
    """Give the records that bring the entries of an older serial back. What is open stays open.

    Raises:
        UsageError: that serial is not kept.
        StateDamagedError: it is kept, and cannot be read.
    """
    if serial == loaded.document.serial:
        return []
    found = {point.serial: point for point in _points(loaded, Blobs(backend, loaded.version))}
    if serial not in found:
        known = ", ".join(map(str, found))
        message = f"serial {serial} is not kept"
        raise UsageError(message, code="unknown-serial", suggestion=f"these are: {known}")
    if found[serial].problem:
        raise StateDamagedError(found[serial].problem, suggestion="choose another: `devstream state history`")
    return replacement(loaded.fold.tools, found[serial].tools, dropped=RESTORED)


def problems(loaded: Loaded, backend: StateBackend) -> list[str]:
    """Walk the trail: is each part what was written, and does each name the one before it?

    Raises:
        Overtaken: somebody has written meanwhile, and a part is gone.
    """
    document, blobs = loaded.document, Blobs(backend, loaded.version)
    found: list[str] = []
    if document.snapshot.blob is not None:
        found += _broken(document.snapshot.blob, document.snapshot.serial, document, 0, blobs)
    for number, kept in enumerate(document.history):
        found += _broken(kept.snapshot, kept.serial, document, number + 1, blobs)
        for segment in kept.segments:
            try:
                blobs.get(segment)
            except StateDamagedError as error:
                found.append(error.diagnostic.summary)
    return found


def _broken(blob: Blob, serial: int, document: HeadDocument, older: int, blobs: Blobs) -> list[str]:
    """Say what is wrong with a snapshot's blob, and with its link to the older one, number ``older`` of the history."""
    try:
        plain = blobs.get(blob)
    except StateDamagedError as error:
        return [error.diagnostic.summary]
    found = []
    if (plain.get("lineage"), plain.get("serial")) != (document.lineage, serial):
        found.append(f"{blob.name} is not the snapshot of serial {serial} of this state")
    if older < len(document.history) and plain.get("previous") != _link(document, older):
        found.append(
            f"{blob.name} does not follow {document.history[older].snapshot.name}: the trail is broken"
        )
    return found


def _link(document: HeadDocument, number: int) -> dict[str, Any]:
    kept = document.history[number]
    segments = [{"name": segment.name, "sha256": segment.sha256} for segment in kept.segments]
    return {"name": kept.snapshot.name, "sha256": kept.snapshot.sha256, "segments": segments}
