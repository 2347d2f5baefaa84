"""Saved plans of an encrypted state are encrypted as it is; which keys that takes can be read without one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from devstream.engine.invocation import PASSPHRASE_VARIABLE
from devstream.errors import UsageError
from devstream.planning.saved import EncryptionDocument, encryption_of
from devstream.state.encryption import Kind, open_sealed, read_envelope
from devstream.state.keys import key_needed
from devstream.state.sealed_backend import SealedBackend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.errors import Diagnostic
    from devstream.model.redact import Redactor
    from devstream.model.tool import Encryption
    from devstream.state.backend import StateBackend
    from devstream.state.keys import Keyring

__all__ = ["opened_plan", "sealed_plan"]


class _Clear(msgspec.Struct, frozen=True):
    """The members of an encrypted plan that say how to open it."""

    folder: str
    encryption_of_state: EncryptionDocument | None


def sealed_plan(data: bytes, backend: StateBackend) -> bytes:
    """Encrypt a plan; it stays as it is where its state is not encrypted."""
    return backend.seal_file(Kind.PLAN, data) if isinstance(backend, SealedBackend) else data


def opened_plan(
    data: bytes,
    name: str,
    *,
    environ: Mapping[str, str],
    redactor: Redactor,
    warn: Callable[[Diagnostic], None],
) -> bytes:
    """Decrypt a plan; one that is not encrypted comes as it is.

    Args:
        name: of the file, for messages.

    Raises:
        CredentialsError: the key is not to be had.
        UsageError: it is not what was written.
    """
    what = f"the plan {name}"
    envelope = read_envelope(data, what)
    if envelope is None:
        return data
    try:
        clear = msgspec.json.decode(data, type=_Clear)
    except msgspec.DecodeError as error:
        raise _damaged(what, str(error)) from None
    encryption = encryption_of(clear.encryption_of_state)
    if encryption is None and not environ.get(PASSPHRASE_VARIABLE):
        raise key_needed(envelope.encryption, what)
    keys = _keys(encryption, Path(clear.folder), environ, redactor, warn)
    plain = open_sealed(Kind.PLAN, data, envelope, keys.opening(envelope, what))
    if plain is None:
        raise _damaged(what, "it was cut off or changed after it was written")
    return plain


def _keys(
    encryption: Encryption | None,
    folder: Path,
    environ: Mapping[str, str],
    redactor: Redactor,
    warn: Callable[[Diagnostic], None],
) -> Keyring:
    from devstream.engine.secrets import SecretResolver
    from devstream.engine.state_keys import KeyMaker
    from devstream.plugins.manager import PluginManager

    plugins = PluginManager(folder=None, environ=environ, observers=False)
    secrets = SecretResolver(plugins.secret_source, environ=environ, folder=folder, redactor=redactor)
    maker = KeyMaker(folder=folder, environ=environ, secret=secrets, conceal=redactor.add, warn=warn)
    return maker.of_config(encryption) if encryption is not None else maker.loose(())


def _damaged(what: str, why: str) -> UsageError:
    return UsageError(
        f"{what} is damaged: {why}",
        code="plan-damaged",
        suggestion="make it again: devstream plan --out FILE",
    )
