"""`SavedPlan`: a plan in a file, with all it takes to carry it out and to tell that it is still true.

The file is one JSON document that begins with ``{"devstream_plan":`` and the number of its format; its last
member, ``sum``, is the SHA-256 of all bytes before it. It holds no text of a secret.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from devstream import __version__
from devstream.errors import UsageError
from devstream.model.address import Address
from devstream.model.plan import Action, Plan, Selection
from devstream.model.tool import Encryption, StateKey, StateLocation
from devstream.model.values import SecretRef
from devstream.planning.saved_changes import (
    ChangeDocument,
    OriginDocument,
    Wording,
    change_document,
    change_of,
    origin_document,
    origin_of,
)
from devstream.planning.saved_values import decode_value, encode_value
from devstream.record import Immutable, field
from devstream.state.head import is_sealed, seal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.model.plan import Change

__all__ = ["FORMAT", "MAGIC", "Basis", "Provided", "SavedPlan", "is_saved_plan", "plan_bytes", "read_plan"]

_AS_IT_IS = Wording()

FORMAT = 1
"""Grows when a file of the new form cannot be read by an older version."""

MAGIC = b'{"devstream_plan":'
"""What every saved plan begins with; one that is encrypted has white space in it."""

_BEGINNING = re.compile(rb'\{\s*"devstream_plan":\s*(\d{1,9})')

Node = Any
"""An address, or a word that begins with ``@``: a barrier."""


class Basis(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the plan stands on, for one address.

    Attributes:
        entry: digest of its entry in the state; empty where nothing was recorded.
        read: digest of what `read` said, ``gone`` where it said so; empty where it was not asked.
    """

    entry: str = ""
    read: str = ""


class Provided(msgspec.Struct, frozen=True, array_like=True):
    """What provided a tool: a distribution, its version, and the version of the tool's schema."""

    distribution: str
    version: str
    schema: int


class SavedPlan(Immutable, frozen=True, kw_only=True):
    """A plan that stands alone: nothing else is read to carry it out.

    Attributes:
        plan: its changes know neither what is recorded nor what `read` said: that is looked up again.
        dependencies: of each tool that the plan holds, as the config has them.
        basis: by address: everything that is changed or referenced.
        secrets: fingerprints of the secrets that are used.
        plugins: by tool name, what provides it.
        key: of the fingerprints, where there was no state yet to have one; else empty.
        location: where the state is, for people.
        state_base: where a relative path of the state begins.
        folder: where relative paths of tools begin.
        arguments: the values of ``-p``.
        source: the config, as ``-f`` names it.
        config: digests of the files that the plan was made from, by path.
        made: when, UTC, ISO 8601 with Z.
        command: as typed, without values of variables.
    """

    plan: Plan
    dependencies: Mapping[Address, tuple[Node, ...]]
    basis: Mapping[Address, Basis]
    secrets: Mapping[SecretRef, str]
    plugins: Mapping[str, Provided]
    key: bytes
    state: StateLocation
    location: str
    state_base: Path
    folder: Path
    parallelism: int | None = None
    arguments: tuple[str, ...] = ()
    source: str = ""
    config: Mapping[str, str] = field(default_factory=dict)
    made: str = ""
    command: str = ""


class KeyDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A key of the state: where it comes from, never what it is."""

    name: str
    passphrase: Any = None
    key_file: str = ""
    command: tuple[str, ...] = ()


class EncryptionDocument(msgspec.Struct, frozen=True):
    """How the state is encrypted."""

    keys: tuple[KeyDocument, ...]
    enforced: bool


class _StateDocument(msgspec.Struct, frozen=True, kw_only=True):
    backend: str
    options: dict[str, Any]
    origin: OriginDocument
    base: str
    location: str


class _SelectionDocument(msgspec.Struct, frozen=True):
    chosen: tuple[str, ...]
    upstream: tuple[str, ...]
    standing: tuple[str, ...]
    total: int


class _PlanDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The members of the file, in the order they are written."""

    devstream_plan: int = FORMAT
    lineage: str
    serial: int
    folder: str
    encryption_of_state: EncryptionDocument | None
    devstream: str = __version__
    made: str
    command: str
    state: _StateDocument
    key: str
    parallelism: int | None
    arguments: tuple[str, ...]
    source: str
    config: dict[str, str]
    plugins: dict[str, Provided]
    secrets: dict[str, str]
    basis: dict[str, Basis]
    changes: tuple[ChangeDocument, ...]
    dependencies: dict[str, tuple[str, ...]]
    after: dict[str, tuple[str, ...]]
    selection: _SelectionDocument | None


def plan_bytes(saved: SavedPlan, wording: Wording = _AS_IT_IS) -> bytes:
    """Give the bytes of the file.

    Raises:
        UsageError: an option holds what JSON cannot.
    """
    document = _document(saved, wording)
    try:
        text = msgspec.json.encode(document)
        if msgspec.json.decode(text, type=_PlanDocument) != document:
            message = "an option is no plain JSON: a number that is not finite"
            raise UsageError(f"the plan cannot be written: {message}", code="not-json")
    except (UnicodeEncodeError, TypeError) as error:
        raise UsageError(f"the plan cannot be written: {error}", code="not-json") from None
    return seal(text)


def _document(saved: SavedPlan, wording: Wording) -> _PlanDocument:
    options: Any = encode_value(dict(saved.state.options))
    return _PlanDocument(
        lineage=saved.plan.lineage,
        serial=saved.plan.serial,
        folder=str(saved.folder),
        encryption_of_state=_encryption_document(saved.state.encryption),
        made=saved.made,
        command=saved.command,
        state=_StateDocument(
            backend=saved.state.backend,
            options=options,
            origin=origin_document(saved.state.origin, wording),
            base=str(saved.state_base),
            location=saved.location,
        ),
        key=saved.key.hex(),
        parallelism=saved.parallelism,
        arguments=saved.arguments,
        source=saved.source,
        config=dict(saved.config),
        plugins=dict(saved.plugins),
        secrets={str(ref): text for ref, text in saved.secrets.items()},
        basis={str(address): basis for address, basis in saved.basis.items()},
        changes=tuple(_change(change, saved, wording) for change in saved.plan.changes),
        dependencies={str(node): tuple(map(str, before)) for node, before in saved.dependencies.items()},
        after={str(node): tuple(sorted(map(str, before))) for node, before in saved.plan.after.items()},
        selection=_selection_document(saved.plan.selection),
    )


def _change(change: Change, saved: SavedPlan, wording: Wording) -> ChangeDocument:
    """Write a change; of what neither changes nor is referenced only the name."""
    if change.action is Action.NOOP and not change.protected and change.address not in saved.basis:
        return ChangeDocument(address=str(change.address), action=change.action)
    return change_document(change, wording)


def _encryption_document(encryption: Encryption | None) -> EncryptionDocument | None:
    if encryption is None:
        return None
    keys = (
        KeyDocument(key.name, encode_value(key.passphrase), key.key_file, key.command)
        for key in encryption.keys
    )
    return EncryptionDocument(tuple(keys), encryption.enforced)


def encryption_of(document: EncryptionDocument | None) -> Encryption | None:
    """Read how the state is encrypted."""
    if document is None:
        return None
    keys = (
        StateKey(key.name, decode_value(key.passphrase), key.key_file, key.command) for key in document.keys
    )
    return Encryption(tuple(keys), document.enforced)


def _selection_document(selection: Selection | None) -> _SelectionDocument | None:
    if selection is None:
        return None
    chosen, upstream, standing = (
        tuple(map(str, addresses)) for addresses in (selection.chosen, selection.upstream, selection.standing)
    )
    return _SelectionDocument(chosen, upstream, standing, selection.total)


def _selection(document: _SelectionDocument | None) -> Selection | None:
    if document is None:
        return None
    chosen, upstream, standing = (
        tuple(map(Address.parse, names)) for names in (document.chosen, document.upstream, document.standing)
    )
    return Selection(chosen, upstream, standing, document.total)


def is_saved_plan(data: bytes) -> bool:
    """Tell whether bytes begin as a saved plan does."""
    return _BEGINNING.match(data) is not None


def read_plan(data: bytes, name: str) -> SavedPlan:
    """Read a saved plan.

    Args:
        name: of the file, for messages.

    Raises:
        UsageError: it is none, is damaged, or was written by a newer version.
    """
    beginning = _BEGINNING.match(data)
    if beginning is None:
        raise _not_a_plan(data, name)
    if int(beginning[1]) > FORMAT:
        raise UsageError(
            f"{name} is a plan of format {int(beginning[1])}, and this version of devstream reads {FORMAT}",
            code="plan-newer",
            suggestion="carry it out with the version that made it, or make the plan again",
        )
    if not is_sealed(data):
        raise _damaged(name, "it was cut off or changed after it was written")
    try:
        return _saved(msgspec.json.decode(data, type=_PlanDocument))
    except (msgspec.DecodeError, KeyError, TypeError, ValueError) as error:
        raise _damaged(name, f"{type(error).__name__}: {error}") from None


def _not_a_plan(data: bytes, name: str) -> UsageError:
    if not data:
        return UsageError(f"{name} is empty, and no saved plan", code="not-a-plan")
    if MAGIC.startswith(data[: len(MAGIC)]):
        return _damaged(name, "it was cut off")
    return UsageError(
        f"{name} is not a saved plan",
        code="not-a-plan",
        suggestion=f"`devstream plan --out FILE` makes one; a configuration is named with -f: -f {name}",
    )


def _damaged(name: str, why: str) -> UsageError:
    return UsageError(
        f"the plan {name} is damaged: {why}",
        code="plan-damaged",
        suggestion="make it again: devstream plan --out FILE",
    )


def _saved(document: _PlanDocument) -> SavedPlan:
    state = document.state
    return SavedPlan(
        plan=Plan(
            tuple(change_of(change) for change in document.changes),
            {node: frozenset(before) for node, before in _nodes(document.after).items()},
            document.lineage,
            document.serial,
            selection=_selection(document.selection),
        ),
        dependencies=_nodes(document.dependencies),
        basis={Address.parse(name): basis for name, basis in document.basis.items()},
        secrets={_secret_ref(name): text for name, text in document.secrets.items()},
        plugins=document.plugins,
        key=bytes.fromhex(document.key),
        state=StateLocation(
            state.backend,
            decode_value(state.options),
            origin_of(state.origin),
            encryption_of(document.encryption_of_state),
        ),
        location=state.location,
        state_base=Path(state.base),
        folder=Path(document.folder),
        parallelism=document.parallelism,
        arguments=document.arguments,
        source=document.source,
        config=document.config,
        made=document.made,
        command=document.command,
    )


def _nodes(edges: Mapping[str, tuple[str, ...]]) -> dict[Node, tuple[Node, ...]]:
    return {_node(name): tuple(_node(other) for other in before) for name, before in edges.items()}


def _node(name: str) -> Node:
    return name if name.startswith("@") else Address.parse(name)


def _secret_ref(name: str) -> SecretRef:
    source, _, key = name.partition(":")
    return SecretRef(source, key)
