"""`Invocation`: what the command line asks for, in the engine's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.record import Immutable, field

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from devstream.planning.removal import Removal
    from devstream.planning.saved import SavedPlan
    from devstream.planning.selection import Selectors

__all__ = ["Invocation", "DEFAULT_PARALLELISM", "PASSPHRASE_VARIABLE"]

PASSPHRASE_VARIABLE = "DEVSTREAM_STATE_PASSPHRASE"  # noqa: S105 - a name
"""The environment variable with the passphrase of a state whose configuration names no key."""

DEFAULT_PARALLELISM = 10
"""Hooks that run at once, where nothing says otherwise."""


class Invocation(Immutable, frozen=True):
    """What the command line asks for.

    Attributes:
        command: the command as typed, for the records; no values of variables.
        config: ``-f``; None looks for a config in ``cwd``.
        state_url: ``--state``: a state without a config.
        state_key_files: ``--state-key-file``: keys of a state whose configuration names none.
        plugins: the values of ``-p``.
        parallelism: ``--parallelism``, else the config's, else `DEFAULT_PARALLELISM`.
        lock_timeout: seconds to wait for the lease.
        offline: an environment variable that is not set is unknown, and no error.
        local_plugins: with ``state_url``: plugins that lie beside the state are used too.
        bare: no plugin is loaded but that of the state's backend.
        saved: a plan that is carried out instead of making one; nothing of a config is read then.
        removal: plan to remove, instead of making the world as the config says.
        selectors: which tools are meant; None: all.
        replace: addresses of tools that are made anew.
        unprotect: addresses whose protection does not count this time.
    """

    command: str
    cwd: Path
    environ: Mapping[str, str]
    config: Path | None = None
    state_url: str | None = None
    state_key_files: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    var_files: tuple[Path, ...] = ()
    plugins: tuple[str, ...] = ()
    parallelism: int | None = None
    refresh: bool = True
    fail_fast: bool = False
    lock_timeout: float = 90.0
    offline: bool = False
    local_plugins: bool = False
    bare: bool = False
    saved: SavedPlan | None = None
    removal: Removal | None = None
    selectors: Selectors | None = None
    replace: tuple[str, ...] = ()
    unprotect: tuple[str, ...] = ()

    @property
    def names_keys(self) -> bool:
        """True where the command line or the environment names a key of the state."""
        return bool(self.state_key_files or self.environ.get(PASSPHRASE_VARIABLE))
