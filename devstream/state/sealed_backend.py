"""`SealedBackend`: a state that is stored encrypted, whatever stores it. Everybody above it sees plain bytes.

The version of a head is that of the stored bytes, so comparing and swapping stays what it was. A head that is handed in
twice (a swap that is being settled sends the same bytes again) is stored as the same bytes.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from devstream.errors import StateDamagedError, StateError
from devstream.state.backend import Head, KernelLease, StateBackend
from devstream.state.encryption import Kind, open_sealed, read_envelope, seal
from devstream.state.keys import key_needed

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from devstream.model.state import LeaseHolder
    from devstream.state.encryption import Envelope
    from devstream.state.keys import Key, Keyring

__all__ = ["SealedBackend", "lineage_in", "opened_file", "opened_rescue", "sealed", "stored"]

_OURS = b'"lineage"'
_LINEAGE = re.compile(rb'"lineage":\s*"([0-9a-f-]{36})"')
_CLEAR = {
    Kind.HEAD: ("format", "lineage", "serial", "write_id", "recent", "lease", "moved_to", "moved_as"),
    Kind.RESCUE: ("devstream_rescue", "format", "lineage", "serial", "run_id", "who", "at"),
    Kind.PLAN: ("devstream_plan", "lineage", "folder", "encryption_of_state"),
}
"""Which members of a document stay readable."""


class SealedBackend:
    """Encrypts on the way in and decrypts on the way out.

    Args:
        inner: what stores the bytes.
        keys: what opens them.
    """

    def __init__(self, inner: StateBackend, keys: Keyring) -> None:
        self.inner = inner
        self.keys = keys
        self._key: Key | None = None
        self._lineage = ""
        self._is_plain = False
        self._last: tuple[bytes, bytes] = (b"", b"")
        self._lock = threading.Lock()

    @property
    def location(self) -> str:
        """The place of the stored bytes."""
        return self.inner.location

    @property
    def seals(self) -> bool:
        """True where what is written is encrypted; known once the head was read."""
        return not (self._is_plain and self.keys.opens_only)

    @property
    def key(self) -> Key | None:
        """What the head that was read last is encrypted with; None where it is not."""
        return self._key

    def read_head(self) -> Head | None:
        """Read the head and decrypt it; one that is not encrypted comes as it is, unless that is refused.

        Raises:
            CredentialsError: none of the keys opens it.
            StateDamagedError: it is not what was written.
        """
        head = self.inner.read_head()
        if head is None:
            return None
        what = f"the state {self.location}"
        envelope = read_envelope(head.data, what)
        if envelope is None:
            return self._as_it_is(head)
        key = self.keys.opening(envelope, what)
        plain = open_sealed(Kind.HEAD, head.data, envelope, key)
        if plain is None:
            raise StateDamagedError(
                f"{what} is encrypted, and is not what was written: it was edited by hand or damaged",
                suggestion="undo the edit; `devstream state history` shows what can be restored",
            )
        self._key, self._lineage, self._is_plain = key, envelope.lineage, False
        return Head(plain, head.version)

    def _as_it_is(self, head: Head) -> Head:
        if self.keys.enforced and _OURS in head.data:
            raise StateError(
                f"the state {self.location} is not encrypted, and config.state.encryption.enforced says that it must be",
                code="not-encrypted",
                suggestion="if it is yours: set enforced to false, `devstream state rotate-key`, and set it to true again",
            )
        self._key, self._lineage, self._is_plain = None, lineage_in(head.data), True
        return head

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Encrypt a head and store it; see `StateBackend.swap_head`."""
        return self.inner.swap_head(self._sealed_head(data), expected)

    def _sealed_head(self, data: bytes) -> bytes:
        if not self.seals:
            return data
        with self._lock:
            plain, stored_bytes = self._last
            if not stored_bytes or plain != data:
                key = self.keys.writing(self._key)
                stored_bytes = seal(Kind.HEAD, data, key, _members(data, Kind.HEAD))
                self._last = data, stored_bytes
            return stored_bytes

    def put_blob(self, name: str, data: bytes) -> None:
        """Encrypt a blob and store it."""
        if self.seals:
            clear = {"lineage": lineage_in(data) or self._lineage, "name": name}
            data = seal(Kind.BLOB, data, self.keys.writing(self._key), clear)
        self.inner.put_blob(name, data)

    def get_blob(self, name: str) -> bytes | None:
        """Read a blob and decrypt it; one that was tampered with comes as it is, which its digest tells.

        Raises:
            CredentialsError: none of the keys opens it.
        """
        data = self.inner.get_blob(name)
        what = f"the part {name} of the state {self.location}"
        envelope = None if data is None else read_envelope(data, what)
        if data is None or envelope is None:
            return data
        plain = open_sealed(Kind.BLOB, data, envelope, self.keys.opening(envelope, what))
        return data if plain is None or envelope.name != name else plain

    def blob_envelope(self, name: str) -> Envelope | None:
        """Tell how a blob is encrypted; None where it is not, or is missing."""
        data = self.inner.get_blob(name)
        return None if data is None else read_envelope(data, f"the part {name} of the state {self.location}")

    def delete_blob(self, name: str) -> None:
        """Delete a blob."""
        self.inner.delete_blob(name)

    def list_blobs(self) -> list[str]:
        """List the blobs."""
        return self.inner.list_blobs()

    def seal_file(self, kind: Kind, data: bytes) -> bytes:
        """Encrypt a file that holds something of the state; as it is where the state is not encrypted."""
        return seal(kind, data, self.keys.writing(self._key), _members(data, kind)) if self.seals else data

    def seal_rescue(self, data: bytes) -> bytes:
        """Encrypt a rescue file."""
        return self.seal_file(Kind.RESCUE, data)


class _KernelLeased(SealedBackend):
    """With the lease of the backend behind it."""

    inner: Any

    def hold_lease(self, holder: LeaseHolder) -> AbstractContextManager[bool]:
        """Try once to take the lease."""
        lease: AbstractContextManager[bool] = self.inner.hold_lease(holder)
        return lease

    def lease_holder(self) -> LeaseHolder | None:
        """Say who holds the lease."""
        holder: LeaseHolder | None = self.inner.lease_holder()
        return holder


def sealed(inner: StateBackend, keys: Keyring) -> SealedBackend:
    """Put encryption around a backend; what else it can do, the result can do too."""
    return _KernelLeased(inner, keys) if isinstance(inner, KernelLease) else SealedBackend(inner, keys)


def stored(backend: StateBackend) -> StateBackend:
    """Give the backend that stores the bytes, without what encrypts them."""
    return backend.inner if isinstance(backend, SealedBackend) else backend


def opened_file(backend: StateBackend, kind: Kind, data: bytes, name: str) -> bytes:
    """Decrypt a file that `SealedBackend.seal_file` wrote; a plain one comes as it is.

    Args:
        name: how messages call it.

    Raises:
        CredentialsError: there is no key that opens it.
        StateDamagedError: it is not what was written.
    """
    envelope = read_envelope(data, name)
    if envelope is None:
        return data
    if not isinstance(backend, SealedBackend):
        raise key_needed(envelope.encryption, name)
    plain = open_sealed(kind, data, envelope, backend.keys.opening(envelope, name))
    if plain is None:
        message = f"{name} is not what was written: it was edited or damaged"
        raise StateDamagedError(message)
    return plain


def opened_rescue(backend: StateBackend, data: bytes, name: str) -> bytes:
    """Decrypt a rescue file; see `opened_file`."""
    return opened_file(backend, Kind.RESCUE, data, name)


def _members(data: bytes, kind: Kind) -> dict[str, Any]:
    """Give the members of a document that stay readable; none of bytes that are no document."""
    try:
        plain = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return {}
    return {name: plain[name] for name in _CLEAR[kind] if name in plain}


def lineage_in(data: bytes) -> str:
    """Say which state a head or a blob is of; empty where it does not say."""
    found = _LINEAGE.search(data)
    return found[1].decode() if found else ""
