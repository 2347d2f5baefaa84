"""OpenSSH public keys as services read them, and made-up ones for tests: nobody has the other half."""

from __future__ import annotations

import binascii
import os
from base64 import b64decode, b64encode
from typing import NamedTuple

__all__ = ["PublicKey", "made_up_key"]

_TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)


class PublicKey(NamedTuple):
    """A public key, with the comment behind it."""

    kind: str
    data: str
    comment: str = ""

    @classmethod
    def read(cls, text: object) -> PublicKey | None:
        """Read a key; None for what is none."""
        if not isinstance(text, str) or len(text.strip().splitlines()) != 1:
            return None
        found = cls(*text.split(None, 2)) if len(text.split()) > 1 else None
        if found is None or found.kind not in _TYPES:
            return None
        try:
            blob = b64decode(found.data, validate=True)
        except binascii.Error:
            return None
        name = found.kind.encode()
        return found if blob.startswith(len(name).to_bytes(4, "big") + name) else None

    @property
    def bare(self) -> str:
        """The key without its comment."""
        return f"{self.kind} {self.data}"


def made_up_key(comment: str = "") -> str:
    """Give the text of a new ed25519 key."""
    fields = (b"ssh-ed25519", os.urandom(32))
    data = b64encode(b"".join(len(field).to_bytes(4, "big") + field for field in fields)).decode()
    return f"ssh-ed25519 {data} {comment}".rstrip()
