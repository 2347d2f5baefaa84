"""Documents that only the holder of a key can read: AES-256-GCM in an envelope of JSON.

::

    {
      "lineage": "...", "serial": 12,                  what may be seen without the key
      "encryption": {"of": "head", "method": "aes-256-gcm", "key": "main", "id": "...", "kdf": {...}, "nonce": "..."},
      "ciphertext": "..."
    }

Every byte before the ciphertext is associated data, so that a clear member that was changed is noticed like any other
change. A nonce is random and never used twice.
"""

from __future__ import annotations

import binascii
import os
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from devstream.errors import PluginError, StateForeignError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.state.keys import Key

__all__ = ["Envelope", "Header", "Kdf", "Kind", "open_sealed", "read_envelope", "require_library", "seal"]

_METHOD = "aes-256-gcm"
_NONCE = 12
_BODY = b'"ciphertext": "'
_END = b'"\n}\n'
_INSTALL = "pip install 'devstream[encryption]'"


class Kind(StrEnum):
    """What was encrypted; one is never taken for another."""

    HEAD = "head"
    BLOB = "blob"
    RESCUE = "rescue"
    PLAN = "plan"


class Kdf(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a key was made: ``scrypt`` of a passphrase (``salt`` in hexadecimal), or ``none``: as it is in a file."""

    name: str
    salt: str = ""
    n: int = 0
    r: int = 0
    p: int = 0


class Header(msgspec.Struct, frozen=True):
    """How a document was encrypted.

    Attributes:
        of: its `Kind`.
        key: the name of the key, as the configuration calls it; ``id`` tells whether another one is the same.
        nonce: 12 bytes in hexadecimal.
    """

    of: str
    method: str
    key: str
    id: str
    kdf: Kdf
    nonce: str


class Envelope(msgspec.Struct, frozen=True):
    """An encrypted document, and of its clear members those that are looked at.

    Attributes:
        name: a blob's name.
        moved_to: of a head: where the state went.
    """

    encryption: Header
    lineage: str = ""
    name: str = ""
    moved_to: str | None = None


def seal(kind: Kind, plain: bytes, key: Key, clear: Mapping[str, Any]) -> bytes:
    """Encrypt a document; the same one gives other bytes each time.

    Args:
        clear: members that stay readable, and cannot be changed.
    """
    nonce = os.urandom(_NONCE)
    header = Header(kind.value, _METHOD, key.name, key.id, key.kdf, nonce.hex())
    text = msgspec.json.format(msgspec.json.encode({**clear, "encryption": header}), indent=2)
    before = text[: text.rindex(b"\n}")] + b",\n  "
    ciphertext = _cipher(key).encrypt(nonce, plain, before)
    return before + _BODY + binascii.b2a_base64(ciphertext, newline=False) + _END


def read_envelope(data: bytes, what: str) -> Envelope | None:
    """Read what can be read without a key; None for bytes that are no envelope.

    Args:
        what: how messages call the document.

    Raises:
        StateForeignError: it was encrypted in a way that this version does not know.
    """
    if _BODY not in data or b'"encryption"' not in data:
        return None
    try:
        envelope = msgspec.json.decode(_clear_part(data), type=Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if envelope.encryption.method != _METHOD:
        message = f"{what} is encrypted in a way that this version of devstream does not know"
        raise StateForeignError(message, code="state-newer", suggestion="upgrade devstream")
    return envelope


def _clear_part(data: bytes) -> bytes:
    """Give a document without its ciphertext, which may be megabytes; one that ends otherwise than ours as it is."""
    start = data.rfind(_BODY)
    before = data[:start].rstrip()
    return before[:-1] + b"}" if data.endswith(_END) and before.endswith(b",") else data


def open_sealed(kind: Kind, data: bytes, envelope: Envelope, key: Key) -> bytes | None:
    """Decrypt a document; None where any bit of it is not as it was written, or it is of another kind."""
    start = data.rfind(_BODY)
    encoded = memoryview(data)[start + len(_BODY) : -len(_END)]
    try:
        ciphertext = binascii.a2b_base64(encoded, strict_mode=True)
        nonce = bytes.fromhex(envelope.encryption.nonce)
    except ValueError:
        return None
    is_ours = data.endswith(_END) and _ends_alike(ciphertext, encoded) and envelope.encryption.of == kind
    return _decrypted(key, nonce, ciphertext, data[:start]) if is_ours else None


def _ends_alike(ciphertext: bytes, encoded: memoryview) -> bool:
    """Tell whether the last characters are those we write: some of their bits say nothing."""
    rest = len(ciphertext) % 3 or 3
    return binascii.b2a_base64(ciphertext[-rest:], newline=False) == encoded[-4:]


def _decrypted(key: Key, nonce: bytes, ciphertext: bytes, before: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag

    try:
        plain: bytes = _cipher(key).decrypt(nonce, ciphertext, before)
    except (InvalidTag, ValueError):  # ValueError: a nonce of a length that was never written
        return None
    return plain


def _cipher(key: Key) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key.secret)


def require_library() -> None:
    """Make sure that documents can be encrypted here.

    Raises:
        PluginError: the package that does it is not installed.
    """
    try:
        import cryptography  # noqa: F401 - only whether it is there
    except ImportError:
        message = "encrypting the state needs the package cryptography"
        raise PluginError(message, code="plugin-missing", suggestion=_INSTALL) from None
