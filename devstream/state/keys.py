"""`Keyring`: the keys that open a state, and the one of them that is written with.

A passphrase becomes a key by scrypt, which takes 128 MiB and about half a second by design: it is done once a process
and salt, and only for keys that are needed. A key file is used as it is and costs nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from typing import TYPE_CHECKING

from devstream.errors import CredentialsError, StateDamagedError
from devstream.record import Immutable, replace
from devstream.state.encryption import Kdf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from devstream.state.encryption import Envelope, Header

__all__ = ["KEY_BYTES", "Key", "KeySource", "Keyring", "SCRYPT", "key_needed", "needed"]

KEY_BYTES = 32
"""How long a key is."""

SCRYPT = Kdf("scrypt", n=2**17, r=8, p=1)
"""What a passphrase costs whoever guesses it; the salt comes with the state."""

_MOST_MEMORY = 1 << 30
_LEAST_SALT = 16


class Key:
    """A key that is ready to be used. It prints without its bytes.

    Attributes:
        name: what the configuration calls it.
        id: 16 hexadecimal digits that tell it from others, and tell nothing else.
        kdf: how it was made.
        secret: 32 bytes for AES-256.
    """

    __slots__ = ("id", "kdf", "name", "secret")

    def __init__(self, name: str, kdf: Kdf, material: bytes) -> None:
        self.name = name
        self.kdf = kdf
        self.id = hmac.digest(material, b"devstream: key id", "sha256")[:8].hex()
        self.secret = hmac.digest(material, b"devstream: encryption", "sha256")

    def __repr__(self) -> str:
        return f"Key({self.name}, {self.id})"


class KeySource(Immutable, frozen=True):
    """Where a key comes from.

    Attributes:
        name: what messages call it.
        material: gives the passphrase, or the 32 bytes of a key file; called at most once, when it is needed. Raises
            `CredentialsError`.
        is_passphrase: a key is made of it by scrypt.
    """

    name: str
    material: Callable[[], bytes]
    is_passphrase: bool = True


class Keyring:
    """Opens what any of its keys was used for, and writes with the first.

    Args:
        sources: at least one.
        enforced: a state that is not encrypted is refused.
        opens_only: a state that is not encrypted stays so.
        cost: of making a key from a passphrase.
    """

    def __init__(
        self,
        sources: Sequence[KeySource],
        *,
        enforced: bool = False,
        opens_only: bool = False,
        cost: Kdf = SCRYPT,
    ) -> None:
        self.enforced = enforced
        self.opens_only = opens_only
        self._sources = tuple(sources)
        self._cost = cost
        self._materials: dict[str, bytes] = {}
        self._keys: dict[tuple[str, Kdf], Key] = {}
        self._lock = threading.RLock()

    @property
    def names(self) -> tuple[str, ...]:
        """What the keys are called; the first is written with."""
        return tuple(source.name for source in self._sources)

    def writing(self, now: Key | None) -> Key:
        """Give the key to write with.

        Args:
            now: what the state is encrypted with; a passphrase keeps its salt.

        Raises:
            CredentialsError: the key is not to be had.
        """
        first = self._sources[0]
        if now is not None and self._is_of(first, now):
            return now
        with self._lock:
            for (name, _), key in self._keys.items():
                if name == first.name and (now is None or key.id != now.id):
                    return key
            return self._key(first, self._new_kdf(first))

    def _is_of(self, source: KeySource, key: Key) -> bool:
        return (source.name, key.kdf) in self._keys and self._keys[source.name, key.kdf].id == key.id

    def _new_kdf(self, source: KeySource) -> Kdf:
        if not source.is_passphrase:
            return Kdf("none")
        cost = self._cost
        return Kdf(cost.name, os.urandom(_LEAST_SALT).hex(), cost.n, cost.r, cost.p)

    def opening(self, envelope: Envelope, what: str) -> Key:
        """Give the key that a document was encrypted with.

        Args:
            what: how messages call the document.

        Raises:
            CredentialsError: none of the keys is that one, or it is not to be had.
            StateDamagedError: what the document says of its key cannot be.
        """
        header = envelope.encryption
        _check(header.kdf, what)
        problem: CredentialsError | None = None
        for source in self._likely(header):
            try:
                key = self._key(source, header.kdf)
            except CredentialsError as error:
                problem = problem or error
                continue
            if key.id == header.id:
                return key
        if problem is None:
            raise key_needed(header, what, self.names)
        problem.diagnostic = replace(problem.diagnostic, detail=needed(header, what))
        raise problem

    def _likely(self, header: Header) -> Iterator[KeySource]:
        """Yield the sources that a document may be encrypted with, those of its key's name first."""
        fitting = [item for item in self._sources if item.is_passphrase == (header.kdf.name == "scrypt")]
        yield from sorted(fitting, key=lambda item: item.name != header.key)

    def _key(self, source: KeySource, kdf: Kdf) -> Key:
        with self._lock:
            key = self._keys.get((source.name, kdf))
            if key is None:
                if source.name not in self._materials:
                    self._materials[source.name] = source.material()
                key = self._keys[source.name, kdf] = _derived(source.name, kdf, self._materials[source.name])
            return key


def _derived(name: str, kdf: Kdf, material: bytes) -> Key:
    if kdf.name == "none":
        return Key(name, kdf, material)
    memory = 128 * kdf.n * kdf.r + (1 << 20)
    return Key(
        name,
        kdf,
        hashlib.scrypt(
            material,
            salt=bytes.fromhex(kdf.salt),
            n=kdf.n,
            r=kdf.r,
            p=kdf.p,
            maxmem=memory,
            dklen=KEY_BYTES,
        ),
    )


def _check(kdf: Kdf, what: str) -> None:
    """Refuse what we never write: it would cost all memory, or give a key that is easy to guess."""
    if kdf == Kdf("none"):
        return
    try:
        salt = bytes.fromhex(kdf.salt)
    except ValueError:
        salt = b""
    is_power = kdf.n > 1 and kdf.n & (kdf.n - 1) == 0
    fits = 0 < kdf.r <= 64 and 0 < kdf.p <= 16 and 0 < 128 * kdf.n * kdf.r <= _MOST_MEMORY
    if kdf.name != "scrypt" or len(salt) < _LEAST_SALT or not is_power or not fits:
        message = f"{what} is damaged: what it says of its key cannot be"
        raise StateDamagedError(message, suggestion="`devstream state history` shows what can be restored")


def needed(header: Header, what: str) -> str:
    """Say which key a document is encrypted with."""
    made = "the passphrase" if header.kdf.name == "scrypt" else "the key file"
    return f'{what} is encrypted with {made} "{header.key}" (key id {header.id})'


def key_needed(header: Header, what: str, tried: Sequence[str] = ()) -> CredentialsError:
    """Make the error for a document that none of the keys at hand opens.

    Args:
        what: how messages call the document.
        tried: the names of the keys that there are.
    """
    encrypted = needed(header, what)
    if header.key in tried:
        return CredentialsError(
            f'{encrypted}, and "{header.key}" is another one now',
            code="wrong-key",
            detail="Nothing was changed.",
            suggestion="give the one it was encrypted with; to change it, list the new key first and the old one "
            "after it, and use `devstream state rotate-key`",
        )
    if tried:
        others = ", ".join(tried)
        return CredentialsError(
            f"{encrypted}, which is none of the keys there are: {others}",
            code="wrong-key",
            detail="Nothing was changed.",
            suggestion="list that key under config.state.encryption.keys too",
        )
    return CredentialsError(
        encrypted,
        code="state-encrypted",
        suggestion="list that key under config.state.encryption.keys; with --state: "
        "export DEVSTREAM_STATE_PASSPHRASE=..., or --state-key-file FILE",
    )
