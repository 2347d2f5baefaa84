"""The head: one JSON document that says everything about a state or names the blobs that do.

Its last member, ``sum``, is the SHA-256 of all bytes before it: JSON alone does not notice a flipped bit.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

import msgspec

from devstream.state.migrations import FORMAT

__all__ = [
    "Blob",
    "Snapshot",
    "Kept",
    "Garbage",
    "HeadDocument",
    "RECENT",
    "digest",
    "seal",
    "is_sealed",
    "encode_head",
    "first_head",
    "next_head",
    "new_id",
]

RECENT = 16
"""How many earlier write ids a head remembers, so that a swap that was overtaken is still recognised."""

_READABLE = 10
"""How many records people may want to read."""

_SUM = b'"sum"'


class Blob(msgspec.Struct, frozen=True):
    """Names a blob: its digest is checked on every read. ``size`` is in bytes."""

    name: str
    sha256: str
    size: int


class Snapshot(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The whole state at one serial: inline as ``state``, or as a blob."""

    serial: int
    at: str = ""
    run_id: str = ""
    state: Any = None
    blob: Blob | None = None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot that was replaced, and the segments that followed it; as long as history reaches."""

    serial: int
    at: str
    run_id: str
    snapshot: Blob
    segments: tuple[Blob, ...] = ()


class Garbage(msgspec.Struct, frozen=True):
    """A blob that nothing names any more, and the run that let go of it."""

    name: str
    run_id: str


class HeadDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The head's members, in the order they are written.

    Attributes:
        recent: the write ids before ``write_id``, newest first.
        records: since the last segment, as JSON.
        lease: who was running when this was written, as JSON.
        history: newest first.
        store: what a probe found out about the store.
        moved_to: another place, where this is not the state: it went there, or has not arrived from there.
        moved_as: where it went: the write id of the head there. None in one that has not arrived.
    """

    format: int = FORMAT
    lineage: str
    serial: int
    write_id: str
    recent: tuple[str, ...] = ()
    hmac_key: str
    snapshot: Snapshot
    segments: tuple[Blob, ...] = ()
    records: tuple[Any, ...] = ()
    lease: dict[str, Any] | None = None
    history: tuple[Kept, ...] = ()
    garbage: tuple[Garbage, ...] = ()
    store: dict[str, Any] = {}
    moved_to: str | None = None
    moved_as: str | None = None

    def holding(self, lease: dict[str, Any] | None) -> HeadDocument:
        """Give the same head with another lease."""
        return msgspec.structs.replace(self, lease=lease)


def digest(data: bytes) -> str:
    """Give the SHA-256 of bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def new_id() -> str:
    """Give a random name of 16 hexadecimal digits."""
    return os.urandom(8).hex()


def seal(text: bytes) -> bytes:
    """Append the digest as the last member of a JSON object."""
    body = text.rstrip()[:-1].rstrip() + b",\n  "
    return body + _tail(body)


def is_sealed(data: bytes) -> bool:
    """Tell whether every byte is as it was sealed."""
    start = data.rfind(_SUM)
    return start > 0 and data[start:] == _tail(data[:start])


def _tail(body: bytes) -> bytes:
    return _SUM + b': "' + digest(body).encode() + b'"\n}\n'


def encode_head(document: HeadDocument) -> bytes:
    """Give the bytes of a head: indented while all of it is inline, so that people can read it.

    Not where a run has recorded a lot so far: it would write twice as much each time.
    """
    text = msgspec.json.encode(document)
    is_for_people = document.snapshot.blob is None and len(document.records) <= _READABLE
    return seal(msgspec.json.format(text, indent=2) if is_for_people else text)


def first_head(now: str) -> HeadDocument:
    """Make the explicit empty head of a new lineage."""
    snapshot = Snapshot(serial=1, at=now, state={"tools": {}})
    return HeadDocument(
        lineage=_uuid(), serial=1, write_id=new_id(), hmac_key=os.urandom(32).hex(), snapshot=snapshot
    )


def next_head(now: HeadDocument, lease: dict[str, Any] | None) -> HeadDocument:
    """Make the head that follows one, with nothing new in it yet but who holds the lease."""
    return msgspec.structs.replace(
        now,
        format=FORMAT,
        serial=now.serial + 1,
        write_id=new_id(),
        recent=(now.write_id, *now.recent)[:RECENT],
        lease=lease,
    )


def _uuid() -> str:
    """Make a random UUID (version 4); the standard module would cost more to import than this."""
    digits = bytearray(os.urandom(16))
    digits[6] = digits[6] & 0x0F | 0x40
    digits[8] = digits[8] & 0x3F | 0x80
    text = digits.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
