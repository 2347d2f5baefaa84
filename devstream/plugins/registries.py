"""What extension plugins register with: one registry a kind, each refusing a name that is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from devstream.errors import PluginError, nearest
from devstream.state.backend import StateBackend

__all__ = ["Registry", "BackendRegistry", "SecretSource", "SecretSourceRegistry"]

T = TypeVar("T")


class SecretSource(Protocol):
    """Gives secrets by key: environment variables, files, a vault."""

    def get(self, key: str) -> str:
        """Give the secret's text.

        Raises:
            CredentialsError: it is not there, or the source refuses; the message names the key, never a value.
        """


BackendFactory: TypeAlias = Callable[[Mapping[str, Any], Path], StateBackend]
"""Makes a state backend from the options as written and the configuration's folder."""

SecretSourceFactory: TypeAlias = Callable[[Mapping[str, str], Path], SecretSource]
"""Makes a secret source from the environment and the configuration's folder."""


class Registry(Generic[T]):
    """Names and what they stand for.

    Attributes:
        kind: the word for messages.
        provider: the plugin that is registering at the moment, set by the plugin manager.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.provider = ""
        self._entries: dict[str, tuple[T, str]] = {}

    def add(self, name: str, factory: T, *, plugin: str = "") -> None:
        """Register ``factory`` under ``name`` (case does not matter).

        Raises:
            PluginError: the name is taken; both plugins are named.
        """
        plugin = plugin or self.provider
        taken = self._entries.get(name.casefold())
        if taken is not None:
            message = f'{self.kind} "{name}" is registered twice: by {taken[1] or "devstream"} and by {plugin or "devstream"}'
            raise PluginError(message, suggestion="uninstall one of the two, or block it with -p no:NAME")
        self._entries[name.casefold()] = (factory, plugin)

    def get(self, name: str) -> T:
        """Find what is registered under ``name``.

        Raises:
            PluginError: nothing is; the nearest name is suggested.
        """
        entry = self._entries.get(name.casefold())
        if entry is None:
            message = f'there is no {self.kind} "{name}"'
            raise PluginError(
                message, suggestion=nearest(name, self.names()) or f"there are: {', '.join(self.names())}"
            )
        return entry[0]

    def names(self) -> Iterable[str]:
        """List the registered names, in order."""
        return sorted(self._entries)


class BackendRegistry(Registry[BackendFactory]):
    """State backends by name."""

    def __init__(self) -> None:
        super().__init__("state backend")


class SecretSourceRegistry(Registry[SecretSourceFactory]):
    """Secret sources by name."""

    def __init__(self) -> None:
        super().__init__("secret source")
