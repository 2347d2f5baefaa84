"""The nouns a user writes, after expansion: `ToolInstance`, `StateLocation`, `Settings`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.origin import NoOrigins, Origin, Origins
from devstream.record import Immutable, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from devstream.errors import Mark
    from devstream.model.address import Address
    from devstream.model.values import Secret, Value

__all__ = [
    "ToolInstance",
    "StateLocation",
    "StateKey",
    "Encryption",
    "Settings",
    "BARRIER",
    "DEFAULT_TIMEOUT",
    "READ_TIMEOUT",
]

BARRIER = "@tools"
"""The node every app's tools wait for: it stands for all of ``tools:``, so that apps x tools edges never exist."""

DEFAULT_TIMEOUT = 30 * 60.0
"""Seconds a hook may take, where the tool does not say."""

READ_TIMEOUT = 2 * 60.0
"""Seconds a `read` may take."""


class ToolInstance(Immutable, frozen=True):
    """One tool to be made real: a plugin's name, an instanceID and options.

    Attributes:
        address: identity, ``name.instanceID``.
        options: a tree of JSON whose leaves may be Reference, Secret, Interpolation or Unknown.
        depends_on: the written ``dependsOn``, without the edges that references imply.
        after_tools: True where it waits for all of ``tools:`` (generated from an app without ``dependsOn``).
        origin: where its block, or the app it was generated from, was written.
        origins: where each field of its options was written.
        app: name of the app it was generated from.
        adopt: take over what exists already; None where not written.
        allow_delete: delete it on removal although it was adopted.
        protect: never delete or replace it; None where not written (what is recorded stays).
        retries: how often a hook that says "nothing was changed" is tried again.
        timeout: seconds a hook may take.
        connection: name of the connection its commands run over; None means this machine.
    """

    address: Address
    options: Mapping[str, Value]
    origin: Origin
    depends_on: tuple[Address, ...] = ()
    after_tools: bool = False
    origins: Origins = NoOrigins()
    app: str | None = None
    tags: tuple[str, ...] = ()
    adopt: bool | None = None
    allow_delete: bool = False
    protect: bool | None = None
    retries: int = 0
    timeout: float | None = None
    connection: str | None = None


class StateKey(Immutable, frozen=True):
    """A key of the state as written: exactly one of passphrase, key file and command.

    Attributes:
        name: what messages call it.
        key_file: a path, relative to the config's folder.
        command: prints the passphrase; run without a shell.
    """

    name: str
    passphrase: Secret | None = None
    key_file: str = ""
    command: tuple[str, ...] = ()
    mark: Mark | None = None


class Encryption(Immutable, frozen=True):
    """How the state is encrypted (``config.state.encryption``).

    Attributes:
        keys: the first one writes, all of them read.
        enforced: a state that is not encrypted is refused.
    """

    keys: tuple[StateKey, ...]
    enforced: bool = False


class StateLocation(Immutable, frozen=True):
    """Which backend holds the state, and its options as written (``config.state``).

    Attributes:
        encryption: None where nothing is written about it.
        places: where each option was written.
    """

    backend: str
    options: Mapping[str, Any]
    origin: Origin
    encryption: Encryption | None = None
    places: Mapping[str, Mark | None] = field(default_factory=dict)


class Settings(Immutable, frozen=True):
    """The ``config`` section, with its defaults filled in.

    Attributes:
        folder: absolute folder of the configuration; every relative path is relative to it.
        state: where the state is.
        parallelism: how many operations run at once; None where not written.
    """

    folder: Path
    state: StateLocation
    parallelism: int | None = None
