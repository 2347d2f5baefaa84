"""``config.state.encryption``: which keys open the state, and whether one that is not encrypted is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.config.check import Block
from devstream.config.tree import Map
from devstream.model.tool import Encryption, StateKey
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["read_encryption"]

_KEYS = frozenset({"enforced", "keys"})
_WAYS = ("passphrase", "keyFile", "command")
_SOURCES = ("env", "file")
_EXAMPLE = "keys: [{name: main, passphrase: env:STATE_PASSPHRASE}]"


def read_encryption(state: Block) -> Encryption | None:
    """Read the block of that name; None where it is not usable, which is noted."""
    block = state.child("encryption", "config.state.encryption")
    if block is None:
        if state.values.get("encryption") is None:
            _no_keys(state, state.key_place("encryption"))
        return None
    block.check_keys(_KEYS)
    keys = tuple(_read_keys(block))
    written = block.values.get("keys")
    if not keys and (written is None or written == []):
        _no_keys(block, block.mark)
    return Encryption(keys, bool(block.truth("enforced")))


def _no_keys(block: Block, mark: Any) -> None:
    block.problems.error(
        "config.state.encryption has no keys", "missing-key", mark, suggestion=f"write {_EXAMPLE}"
    )


def _read_keys(encryption: Block) -> Iterator[StateKey]:
    nodes = encryption.items("keys")
    names: set[str] = set()
    for number, node in enumerate(nodes or ()):
        values = encryption.values["keys"][number]
        if not isinstance(node, Map) or not isinstance(values, dict):
            place = encryption.place("keys", number)
            encryption.problems.error(
                "a key must be a mapping", "wrong-type", place, suggestion=f"write {_EXAMPLE}"
            )
            continue
        key = _read_key(Block(node, values, "the key of the state", encryption.problems))
        if key is None:
            continue
        if key.name in names:
            message = f'two keys of the state are called "{key.name}"'
            encryption.problems.error(message, "duplicate-name", encryption.place("keys", number, "name"))
        names.add(key.name)
        yield key


def _read_key(block: Block) -> StateKey | None:
    block.check_keys({"name", *_WAYS})
    name = block.required("name", hint="messages and the state call the key by it")
    ways = [way for way in _WAYS if block.values.get(way) is not None]
    if len(ways) != 1:
        found = "none" if not ways else " and ".join(ways)
        block.problems.error(
            f"a key of the state needs one of {', '.join(_WAYS)}; there is {found}", "wrong-value", block.mark
        )
    if len(ways) != 1 or not name:
        return None
    passphrase = _passphrase(block) if ways == ["passphrase"] else None
    key = StateKey(name, passphrase, block.text("keyFile") or "", block.words("command"), block.mark)
    return key if key.passphrase is not None or key.key_file or key.command else None


def _passphrase(block: Block) -> Secret | None:
    """Give a passphrase as the name of a secret: ``env:NAME``, ``file:PATH`` or an expression that gives one."""
    value = block.values["passphrase"]
    if isinstance(value, Secret) and not value.is_plain:
        return value
    if isinstance(value, Unknown):
        return _unknown(value)
    if isinstance(value, dict | list | bool | Reference | Interpolation):
        block.problems.error(
            "a passphrase must be a text",
            "wrong-type",
            block.place("passphrase"),
            suggestion="passphrase: env:NAME",
        )
        return None
    text = value.reveal() if isinstance(value, Secret) else str(value)
    source, colon, key = text.partition(":")
    if colon and source in _SOURCES and key:
        return Secret((SecretRef(source, key),))
    block.problems.error(
        "the passphrase of the state is written in the configuration, where whoever reads that can read it",
        "passphrase-in-clear",
        block.place("passphrase"),
        suggestion="write passphrase: env:NAME",
    )
    return None


def _unknown(value: Unknown) -> Secret | None:
    """Stand for a variable that is not set: whoever needs the passphrase is told so then."""
    return Secret((SecretRef("unknown", value.because),))
