"""Another key for all of a state: the head and every kept part are written anew with the first key.

Blobs are immutable, so each gets a new name; a snapshot names those before it, so the trail is written anew from its
oldest part on. The new blobs are stored first, then one swap puts a head in place that names them, then the old ones
are deleted: whatever is interrupted, the old keys and the new one together open what is there.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from devstream.errors import DevstreamError, StateDamagedError, UsageError
from devstream.state.editing import Proposal, current
from devstream.state.head import Blob, HeadDocument, Kept, digest, new_id
from devstream.state.orphans import OURS, named
from devstream.state.sealed_backend import SealedBackend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devstream.state.backend import StateBackend
    from devstream.state.keys import Key

__all__ = ["Rewriting", "rotating", "unsealed"]

_NAME = re.compile(r"((?:snapshot|segment)-\d+-)[0-9a-f]+")


def rotating(backend: StateBackend) -> Proposal:
    """Propose to write everything anew with the first key; nothing where all of it is.

    Raises:
        UsageError: there is no key to write with.
        StateError, CredentialsError: something cannot be read.
    """
    loaded = current(backend)
    if not isinstance(backend, SealedBackend):
        raise UsageError(
            "there is no key to encrypt the state with",
            code="no-key",
            suggestion="write config.state.encryption with keys: [{name: main, passphrase: env:STATE_PASSPHRASE}]",
        )
    if loaded.version is None:
        return Proposal(loaded)
    if not backend.seals:
        raise UsageError(
            f"the state {backend.location} is not encrypted, and only its configuration can switch that on",
            code="not-encrypted",
            suggestion="write config.state.encryption",
        )
    key = backend.keys.writing(backend.key)
    wrong = [*_not_sealed_with(backend, named(loaded.document), key)]
    others, notes = _put_aside(backend, key)
    if backend.key is key and not wrong and not others:
        return Proposal(loaded)
    rewriting = Rewriting(backend)
    document = rewriting.trail(loaded.document) if wrong else loaded.document
    for name in others:
        rewriting.aside(name)
    return Proposal(
        loaded._replace(document=document),
        keep=rewriting.written,
        unneeded=tuple(rewriting.renamed),
        rewrites=True,
        facts={"key": key.name, "key_id": key.id, "renamed": rewriting.renamed},
        notes=(
            f'the state is encrypted anew with the key "{key.name}"; kept parts too: {len(rewriting.renamed)}',
            *rewriting.notes,
            *notes,
        ),
    )


def _not_sealed_with(backend: SealedBackend, names: Iterable[str], key: Key | None) -> list[str]:
    """Name the blobs that are not encrypted with a key; with None: not encrypted at all."""
    wrong = []
    for name in names:
        envelope = backend.blob_envelope(name)
        if envelope is None or (key is not None and envelope.encryption.id != key.id):
            wrong.append(name)
    return wrong


def unsealed(backend: StateBackend) -> list[str]:
    """Name the parts of an encrypted state that were stored before it was, and still are in the clear."""
    if not isinstance(backend, SealedBackend):
        return []
    document = current(backend).document
    return _not_sealed_with(backend, named(document), None) if backend.key is not None else []


def _put_aside(backend: SealedBackend, key: Key) -> tuple[list[str], list[str]]:
    """Name the blobs that people keep and that are not encrypted with a key, and say what is not known of them."""
    try:
        aside = [name for name in backend.list_blobs() if not name.startswith(OURS)]
    except DevstreamError as error:
        return [], [f"whether other parts were put aside is not known: {error.diagnostic.summary}"]
    return _not_sealed_with(backend, aside, key), []


class Rewriting:
    """Blobs under new names, with the same in them.

    Attributes:
        written: what is to be stored, by its name.
        renamed: new names by old ones.
        notes: what could not be read, and stays as it is.
    """

    def __init__(self, backend: StateBackend) -> None:
        self._backend = backend
        self.written: dict[str, bytes] = {}
        self.renamed: dict[str, str] = {}
        self.notes: list[str] = []

    def trail(self, document: HeadDocument) -> HeadDocument:
        """Write everything anew that a head names; gives the head that names the new ones."""
        history: list[Kept] = []
        for old in reversed(document.history):
            history.insert(0, self._kept(old, history[0] if history else None))
        snapshot = document.snapshot
        if snapshot.blob is not None:
            blob = self._snapshot(snapshot.blob, (), history[0] if history else None)
            snapshot = msgspec.structs.replace(snapshot, blob=blob)
        segments = tuple(self._segment(segment) for segment in document.segments)
        return msgspec.structs.replace(document, history=tuple(history), snapshot=snapshot, segments=segments)

    def _kept(self, old: Kept, before: Kept | None) -> Kept:
        """Write a kept snapshot anew; where a part of it cannot be read, all of it stays."""
        try:
            for blob in (old.snapshot, *old.segments):
                self._content(blob)
        except StateDamagedError as damage:
            self.notes.append(f"serial {old.serial} stays as it is: {damage.diagnostic.summary}")
            return old
        segments = tuple(self._segment(segment) for segment in old.segments)
        snapshot = self._snapshot(old.snapshot, segments, before)
        return msgspec.structs.replace(old, snapshot=snapshot, segments=segments)

    def _segment(self, blob: Blob) -> Blob:
        return self._write(blob.name, self._content(blob))

    def _snapshot(self, blob: Blob, segments: tuple[Blob, ...], before: Kept | None) -> Blob:
        """Write a snapshot anew that names the new blobs.

        Args:
            segments: what followed it, of one that had been inline.
            before: the one before it.
        """
        members = msgspec.json.decode(self._content(blob), type=dict[str, msgspec.Raw])
        changed: dict[str, Any] = {}
        if before is not None and members.get("previous", b"null") != b"null":
            changed["previous"] = {
                "name": before.snapshot.name,
                "sha256": before.snapshot.sha256,
                "segments": _links(before.segments),
            }
        if "segments" in members:
            changed["segments"] = _links(segments)
        return self._write(blob.name, msgspec.json.encode({**members, **changed}))

    def _content(self, blob: Blob) -> bytes:
        data = self._backend.get_blob(blob.name)
        if data is None or digest(data) != blob.sha256:
            what = "is missing" if data is None else "is not what was written"
            message = f"its part {blob.name} {what}"
            raise StateDamagedError(message)
        return data

    def aside(self, name: str) -> None:
        """Write a blob anew that people keep."""
        data = self._backend.get_blob(name)
        if data is not None:
            self._keep(name, f"{name.rpartition('.')[0] or name}.{new_id()}", data)

    def _write(self, name: str, data: bytes) -> Blob:
        match = _NAME.fullmatch(name)
        new = f"{match[1] if match else 'segment-0-'}{new_id()}"
        self._keep(name, new, data)
        return Blob(new, digest(data), len(data))

    def _keep(self, old: str, new: str, data: bytes) -> None:
        self.renamed[old] = new
        self.written[new] = data


def _links(segments: Iterable[Blob]) -> list[dict[str, str]]:
    return [{"name": segment.name, "sha256": segment.sha256} for segment in segments]
