"""The ``config`` section: where the state is, and how much runs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.config.check import Block, plain
from devstream.config.origins import place_of
from devstream.config.template import render
from devstream.config.tree import Map, key_mark
from devstream.model.origin import Origin
from devstream.model.tool import Settings, StateLocation
from devstream.model.values import map_leaves

if TYPE_CHECKING:
    from devstream.config.check import Problems
    from devstream.config.files import ConfigFiles
    from devstream.config.variables import Variables
    from devstream.model.tool import Encryption

__all__ = ["FORGOTTEN", "read_settings"]

FORGOTTEN = {
    "varFile": "put the variables under vars, or name the file with --var-file",
    "toolFile": "put the file into one folder with this one, and name the folder with -f",
    "pluginDir": "plugins are Python packages: pip install devstream-plugin-...",
}
"""Keys that older versions of DevStream had under ``config``, and the new form of each."""

_KEYS = frozenset({"state", "parallelism"})
_SECRET_ENDINGS = ("passphrase", "password", "secret", "token", "secretkey", "accesskey", "encryptionkey")


def read_settings(
    config: Map | None, found: ConfigFiles, variables: Variables, problems: Problems
) -> Settings:
    """Read the ``config`` section; what is not written has its default."""
    if config is None:
        return Settings(found.folder, StateLocation("local", {}, Origin(None, ("default",))))
    for key in FORGOTTEN.keys() & config.keys():
        problems.warn(
            f"config.{key} is a form of older versions",
            "old-form",
            key_mark(config, key),
            suggestion=FORGOTTEN[key],
        )
    block = Block(config, render(config, variables.scope), "config", problems)
    block.check_keys(_KEYS | FORGOTTEN.keys())
    state = block.child("state", "config.state")
    return Settings(
        found.folder,
        _read_state(state, found) if state else _default_state(config),
        block.count("parallelism", least=1),
    )


def _default_state(config: Map) -> StateLocation:
    return StateLocation("local", {}, Origin(place_of(config, ()), ("default",)))


def _read_state(block: Block, found: ConfigFiles) -> StateLocation:
    block.check_keys({"backend", "options", "encryption"})
    options = {
        name: _shown(name, value, block.problems) for name, value in (block.mapping("options") or {}).items()
    }
    backend = (block.text("backend") or "local").lower()
    _check_state_file(backend, options, block, found)
    places = {name: block.place("options", name) for name in options}
    return StateLocation(backend, options, Origin(block.mark), _read_encryption(block), places)


def _read_encryption(state: Block) -> Encryption | None:
    if "encryption" not in state.values:
        return None
    from devstream.config.encryption import read_encryption

    return read_encryption(state)


def _shown(name: str, value: Any, problems: Problems) -> Any:
    """Give an option of the state's backend: plain, but for passphrases and keys."""
    if name.lower().replace("_", "").endswith(_SECRET_ENDINGS):
        return value
    return map_leaves(value, lambda leaf: _text(plain(leaf, problems.env)))


def _text(leaf: Any) -> Any:
    return str(leaf) if isinstance(leaf, str) else leaf


def _check_state_file(backend: str, options: dict[str, Any], block: Block, found: ConfigFiles) -> None:
    path = options.get("stateFile")
    if backend == "local" and isinstance(path, str) and found.would_read(path):
        block.problems.error(
            f'the state "{path}" would be read as configuration',
            "state-is-config",
            block.place("options", "stateFile"),
            suggestion="give it another name, for example devstream.state",
        )
