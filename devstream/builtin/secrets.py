"""The secret sources ``env`` and ``file``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.api import CredentialsError, hookimpl

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from devstream.api import SecretSourceRegistry

__all__ = ["EnvironmentSource", "FileSource", "devstream_register_secret_sources"]

_LIMIT = 1 << 20


@hookimpl
def devstream_register_secret_sources(registry: SecretSourceRegistry) -> None:
    """Register both."""
    registry.add("env", EnvironmentSource)
    registry.add("file", FileSource)


class EnvironmentSource:
    """Gives secrets from environment variables; a variable that is empty counts as not set."""

    def __init__(self, environ: Mapping[str, str], _: Path) -> None:
        self._environ = environ

    def get(self, key: str) -> str:
        """Give the value of a variable.

        Raises:
            CredentialsError: it is not set, or empty.
        """
        value = self._environ.get(key, "")
        if not value:
            state = "empty" if key in self._environ else "not set"
            message = f"the environment variable {key} is {state}"
            raise CredentialsError(message, code="variable-not-set", suggestion=f"export {key}=...")
        return value


class FileSource:
    """Gives secrets from files, by paths relative to the config's folder; one newline at the end is not part of them."""

    def __init__(self, _: Mapping[str, str], folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> str:
        """Give what is in a file.

        Raises:
            CredentialsError: it cannot be read, is larger than 1 MiB, is empty, or is not UTF-8 text.
        """
        try:
            with (self._folder / key).open("rb") as file:
                data = file.read(_LIMIT + 1)
            text = data.decode()
        except (OSError, ValueError) as error:
            raise _refused(key, _reason(error)) from None
        if len(data) > _LIMIT:
            raise _refused(key, "it is larger than 1 MiB")
        text = text.removesuffix("\n").removesuffix("\r")
        if not text:
            raise _refused(key, "it is empty")
        return text


def _reason(error: Exception) -> str:
    """Say what is wrong without showing anything of the content, as the text of a decoding error would."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it is not UTF-8 text" if isinstance(error, UnicodeError) else "that is no path"


def _refused(key: str, reason: str) -> CredentialsError:
    return CredentialsError(f"the secret file {key} cannot be used: {reason}", code="secret-file")
