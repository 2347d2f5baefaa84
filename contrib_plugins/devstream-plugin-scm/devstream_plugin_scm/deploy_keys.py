"""What a deploy key is made of, and how one is put in place: the same way on every service."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from devstream.api import OperationError
from devstream_plugin_scm.rest import RestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from devstream_plugin_scm.hosting import DeployKey

__all__ = ["bare_key", "fingerprint", "public_key", "put_key"]

TYPES = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
_LONGEST = 16_384
_REFUSED = (400, 409, 422)
_TAKEN = ("already", "in use", "has been used")


def public_key(text: str) -> str:
    """Give the type and the data of an OpenSSH public key, without its comment.

    Raises:
        OperationError: it is none. It is not shown: it may be a private one.
    """
    words = text.strip().split(" ", 2)
    if len(text) > _LONGEST or len(text.strip().splitlines()) != 1 or len(words) < 2:
        raise _no_key("it is not one line with a type and the key")
    kind, data = words[:2]
    if kind not in TYPES:
        raise _no_key("its type is none that services take")
    if not _is_of(kind, data):
        raise _no_key(f"what follows {kind} is not a key of this type")
    return f"{kind} {data}"


def _no_key(why: str) -> OperationError:
    message = f"the deploy key is no OpenSSH public key: {why}"
    return OperationError(
        message, suggestion=f"what ssh-keygen writes to the file ending in .pub: {TYPES[0]} AAAA..."
    )


def _is_of(kind: str, data: str) -> bool:
    """Tell whether base64 holds a key: fields with their lengths, of which the first one is the type."""
    try:
        blob = b64decode(data, validate=True)
    except binascii.Error:
        return False
    fields = []
    while len(blob) >= 4:
        size = int.from_bytes(blob[:4], "big")
        if len(blob) < 4 + size:
            return False
        fields.append(blob[4 : 4 + size])
        blob = blob[4 + size :]
    return not blob and len(fields) > 1 and fields[0] == kind.encode()


def bare_key(text: str) -> str:
    """Give a key as a service shows it, without the comment that some keep, some drop and some make up."""
    return " ".join(text.split()[:2])


def fingerprint(key: str) -> str:
    """Give what people know a public key by.

    >>> fingerprint("ssh-ed25519 AAAA")
    'SHA256:cJ6AyIKHlDqIgFi1eW8yaSwEAQoFa9JZm91fm5OEwC0'
    """
    import hashlib

    digest = hashlib.sha256(b64decode(key.split()[1])).digest()
    return f"SHA256:{b64encode(digest).decode().rstrip('=')}"


def put_key(
    place: str,
    wanted: DeployKey,
    *,
    listed: Callable[[], Sequence[DeployKey]],
    make: Callable[[DeployKey], DeployKey],
    remove: Callable[[str], None],
) -> DeployKey:
    """Make a deploy key, or give the one that is there; one with other rights is replaced.

    Args:
        place: the repository's, for messages.
        listed: lists those that are there.
        make: makes one, with the bare key.
        remove: removes one by its id.

    Raises:
        OperationError: it is no public key, or is in use elsewhere on the server.
    """
    wanted = wanted._replace(key=public_key(wanted.key), id="")
    there = _alike(listed(), wanted)
    if there is not None:
        if there.read_only == wanted.read_only:
            return there
        remove(there.id)
    try:
        return make(wanted)
    except RestError as error:
        return _made_before(place, wanted, listed, error)


def _alike(keys: Sequence[DeployKey], wanted: DeployKey) -> DeployKey | None:
    return next((key for key in keys if key.key == wanted.key), None)


def _made_before(
    place: str, wanted: DeployKey, listed: Callable[[], Sequence[DeployKey]], error: RestError
) -> DeployKey:
    """Give the key that is there though it could not be made, or say why there is none."""
    if not error.unsettled and error.status not in _REFUSED:
        raise error
    there = _alike(listed(), wanted)
    if there is not None and there.read_only == wanted.read_only:
        return there
    if error.unsettled or not any(word in str(error) for word in _TAKEN):
        raise error
    message = (
        f"{place} cannot have the deploy key {fingerprint(wanted.key)}: it is in use elsewhere on this server"
    )
    raise OperationError(
        message,
        detail=str(error),
        suggestion="a key of its own for each repository, or take it from the account or repository that has it",
    ) from error
