"""Keys of states for tests: by name, and without the time that a passphrase takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.errors import CredentialsError
from devstream.state.keys import KEY_BYTES, Keyring, KeySource

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["keyring"]


def keyring(*names: str, enforced: bool = False, opens_only: bool = False) -> Keyring:
    """Give keys as from key files; one whose name begins with ``no-`` is not to be had."""
    sources = [KeySource(name, _giver(name), is_passphrase=False) for name in names]
    return Keyring(sources, enforced=enforced, opens_only=opens_only)


def _giver(name: str) -> Callable[[], bytes]:
    def give() -> bytes:
        if name.startswith("no-"):
            message = f"cannot read the key file {name}"
            raise CredentialsError(message)
        return name.encode().ljust(KEY_BYTES, b"\0")

    return give
