"""A state whose head is lost, damaged or edited by hand: what `restore` and `accept-edit` start from.

Every kept snapshot names what came before it, and one that had been inline holds all that followed it. So where the
head is gone, the newest kept snapshot mostly tells the state as the last run that ended had left it.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from devstream.errors import CredentialsError, DevstreamError, StateDamagedError
from devstream.state.documents import entry_problem
from devstream.state.editing import Proposal, current
from devstream.state.edits import replacement
from devstream.state.fold import Fold
from devstream.state.head import Blob, HeadDocument, Kept, Snapshot, digest, is_sealed, new_id
from devstream.state.history import going_back
from devstream.state.journal import KEPT
from devstream.state.migrations import migrate
from devstream.state.reading import Blobs, Loaded, apply_all, document_of, fold_of, folded, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.model.address import Address
    from devstream.model.state import ToolState
    from devstream.state.backend import Head, StateBackend
    from devstream.state.editing import Propose

__all__ = ["EDITED", "Salvaged", "accepted", "has_recorded", "restore", "salvage", "stored_head"]

EDITED = "edited"
"""Why an entry is dropped that somebody took out by hand."""

_NAME = re.compile(r"snapshot-(\d+)-[0-9a-f]+")
_NEW_KEY_NOTE = "the key that tells when secrets change is lost: each of them shows as changed once"


class Salvaged(NamedTuple):
    """A state put together from kept snapshots.

    Attributes:
        loaded: as it was at ``loaded.document.serial``.
        newest: the largest serial there are traces of; the next one has to be larger.
        replaced: blobs that nothing names once it has been written.
        notes: what is lost.
    """

    loaded: Loaded
    newest: int
    replaced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class _Found(NamedTuple):
    """A kept snapshot: its blob, the serial at which that was written, and what is in it."""

    blob: Blob
    written: int
    plain: dict[str, Any]

    @property
    def serial(self) -> int:
        """The serial of the state in it."""
        return int(self.plain["serial"])

    def snapshot(self, *, inline: bool) -> Snapshot:
        """Give it as a head holds it."""
        return Snapshot(
            serial=self.serial,
            at=self.plain["at"],
            run_id=self.plain["run_id"],
            state=self.plain["state"] if inline else None,
            blob=None if inline else self.blob,
        )


class _Followed(NamedTuple):
    """What followed a snapshot that had been inline, up to the next one."""

    segments: tuple[Blob, ...]
    records: tuple[Any, ...]


def restore(serial: int) -> Propose:
    """Make a `Propose` that brings the entries of an older serial back, whatever became of the head."""

    def propose(backend: StateBackend) -> Proposal:
        try:
            loaded = current(backend)
        except StateDamagedError as damage:
            return _restored(backend, serial, damage)
        return Proposal(loaded, tuple(going_back(loaded, backend, serial)))

    return propose


def _restored(backend: StateBackend, serial: int, damage: StateDamagedError) -> Proposal:
    head = stored_head(backend)
    salvaged = salvage(backend, head, damage)
    records = going_back(salvaged.loaded, backend, serial)
    document = msgspec.structs.replace(salvaged.loaded.document, serial=salvaged.newest)
    return Proposal(
        salvaged.loaded._replace(document=document),
        tuple(records),
        keep={f"damaged-{digest(head.data)[:16]}": head.data} if head else {},
        unneeded=salvaged.replaced,
        rewrites=True,
        notes=(damage.diagnostic.summary, *salvaged.notes),
    )


def salvage(backend: StateBackend, head: Head | None, damage: StateDamagedError) -> Salvaged:
    """Put a state together from the kept snapshots. Writes nothing.

    Args:
        head: what is in the place of the head.
        damage: why it cannot be used; raised where nothing was kept.
    """
    text = head.data.decode("utf-8", "replace") if head else ""
    found = _kept(backend, _member(text, "lineage", r"[0-9a-f-]{36}"))
    if not found:
        _require_keys(backend)
        raise damage
    key = _member(text, "hmac_key", "[0-9a-f]{64}")
    newest = found[0]
    followed = _followed(backend, newest)
    document = HeadDocument(
        lineage=newest.plain["lineage"],
        serial=newest.written if followed else newest.serial,
        write_id=new_id(),
        hmac_key=key or new_id() * 4,
        snapshot=newest.snapshot(inline=followed is not None),
        segments=followed.segments if followed else (),
        records=followed.records if followed else (),
        history=tuple(_as_kept(backend, found))[:KEPT],
    )
    version = head.version if head else None
    traces = [*(item.written for item in found), *map(int, re.findall(r'"serial":\s*(\d{1,15})', text))]
    return Salvaged(
        Loaded(document, version, folded(document, Blobs(backend, version))),
        max(traces),
        (newest.blob.name,) if followed else (),
        () if key else (_NEW_KEY_NOTE,),
    )


def stored_head(backend: StateBackend) -> Head | None:
    """Give what is in the place of the head, also where it is encrypted and nobody can read it any more."""
    while (inner := getattr(backend, "inner", None)) is not None:
        backend = inner
    return backend.read_head()


def _require_keys(backend: StateBackend) -> None:
    """Say so where kept snapshots cannot be read only because a key is missing.

    Raises:
        CredentialsError: which one.
    """
    from devstream.state.encryption import read_envelope
    from devstream.state.keys import key_needed

    for name in filter(_NAME.fullmatch, backend.list_blobs()):
        what = f"the part {name} of the state {backend.location}"
        envelope = read_envelope(backend.get_blob(name) or b"", what)
        if envelope is not None:
            raise key_needed(envelope.encryption, what)


def has_recorded(backend: StateBackend) -> bool:
    """Tell whether any kept snapshot says that something was recorded here once."""
    found = [item for name in backend.list_blobs() if (item := _read(backend, name)) is not None]
    return any(
        item.plain["state"]["tools"] or any(record["type"] != "run" for record in item.plain.get("then", ()))
        for item in found
    )


def _member(text: str, name: str, pattern: str) -> str:
    """Find a member of a head that may be broken elsewhere."""
    found = re.search(rf'"{name}":\s*"({pattern})"', text)
    return found[1] if found else ""


def _kept(backend: StateBackend, lineage: str) -> list[_Found]:
    """Read the kept snapshots that can be read, newest first, one for each serial.

    Raises:
        StateDamagedError: they are of several states, and the head does not say which of them it is.
    """
    found = [item for name in backend.list_blobs() if (item := _read(backend, name)) is not None]
    lineages = {item.plain["lineage"] for item in found}
    if lineage not in lineages and len(lineages) > 1:
        message = f"there are snapshots of {len(lineages)} different states beside {backend.location}"
        raise StateDamagedError(message, suggestion="move those of the other state away")
    mine = [item for item in found if lineage in ("", item.plain["lineage"]) or lineage not in lineages]
    newest = {item.serial: item for item in sorted(mine, key=lambda item: (item.written, item.blob.name))}
    return sorted(newest.values(), key=lambda item: item.serial, reverse=True)


def _read(backend: StateBackend, name: str) -> _Found | None:
    """Read a snapshot; None where it is none that can be used."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    try:
        data = backend.get_blob(name)
    except CredentialsError:  # a key that nobody has any more; the others may be enough
        return None
    if data is None:
        return None
    try:
        plain = migrate(msgspec.json.decode(data), name)
        fold_of(plain["state"])
        found = _Found(Blob(name, digest(data), len(data)), int(match[1]), plain)
        return found if found.serial and plain["lineage"] and plain["kind"] == "snapshot" else None
    except (DevstreamError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _followed(backend: StateBackend, found: _Found) -> _Followed | None:
    """Give what followed a snapshot; None where that is not known, or not all of it is there."""
    segments = _sized(backend, found.plain.get("segments", ()))
    if "then" not in found.plain or segments is None:
        return None
    followed = _Followed(segments, tuple(found.plain["then"]))
    try:
        _fold_on(backend, fold_of(found.plain["state"]), followed)
    except (DevstreamError, ValueError, LookupError, TypeError, AttributeError):
        return None
    return followed


def _fold_on(backend: StateBackend, fold: Fold, followed: _Followed) -> Fold:
    blobs = Blobs(backend, None)
    for segment in followed.segments:
        apply_all(fold, blobs.get(segment)["records"])
    apply_all(fold, followed.records)
    return fold


def _sized(backend: StateBackend, names: Sequence[Mapping[str, str]]) -> tuple[Blob, ...] | None:
    """Give blobs that are named with their digests; None where one is missing or is another."""
    blobs = []
    for item in names:
        data = backend.get_blob(item["name"])
        if data is None or digest(data) != item["sha256"]:
            return None
        blobs.append(Blob(item["name"], item["sha256"], len(data)))
    return tuple(blobs)


def _as_kept(backend: StateBackend, found: Sequence[_Found]) -> list[Kept]:
    """Give all but the newest as a history, each with the segments that its successor names."""
    history = []
    for newer, item in pairwise(found):
        link = newer.plain.get("previous") or {}
        named = link.get("segments", ()) if link.get("name") == item.blob.name else ()
        history.append(
            Kept(
                serial=item.serial,
                at=item.plain["at"],
                run_id=item.plain["run_id"],
                snapshot=item.blob,
                segments=_sized(backend, named) or (),
            )
        )
    return history


def accepted(backend: StateBackend) -> Proposal:
    """Propose to take a well-formed head over that was edited by hand. Proposes nothing where it was not.

    Raises:
        StateDamagedError: it is damaged in another way, or was edited into something that is no state.
    """
    head = backend.read_head()
    if head is None or is_sealed(head.data):
        return Proposal(current(backend))
    try:
        load(backend)
    except StateDamagedError as damage:
        if damage.diagnostic.code != "state-edited":
            raise
    document = document_of(head.data, backend.location, "was edited into something that is none")
    problem = entry_problem(document.snapshot.state["tools"]) if document.snapshot.blob is None else ""
    if problem:
        message = f"the state {backend.location} was edited into something that cannot be used: {problem}"
        raise StateDamagedError(message, suggestion="mend it, or go back: `devstream state history`")
    loaded = Loaded(document, head.version, folded(document, Blobs(backend, head.version)))
    before = _before(backend, loaded)
    records = replacement(before, loaded.fold.tools, dropped=EDITED)
    return Proposal(loaded, tuple(records), rewrites=True, before=before)


def _before(backend: StateBackend, loaded: Loaded) -> Mapping[Address, ToolState]:
    """Give the entries as they were before the edit, as far as what was kept tells."""
    document = loaded.document
    fold = Fold()
    if document.snapshot.blob is not None:
        fold = folded(msgspec.structs.replace(document, records=()), Blobs(backend, loaded.version))
    elif document.history:
        found = _read(backend, document.history[0].snapshot.name)
        if found is None:
            return loaded.fold.tools
        followed = _followed(backend, found)
        fold = fold_of(found.plain["state"])
        fold = _fold_on(backend, fold, followed) if followed else fold
    return fold.tools
