"""`SecretResolver`: from the name of a secret to its text, once a run, masking it everywhere from then on."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from devstream.errors import CredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from devstream.model.redact import Redactor
    from devstream.model.values import SecretRef
    from devstream.plugins.registries import SecretSource, SecretSourceFactory

__all__ = ["SecretResolver"]


class SecretResolver:
    """Gives secrets their text; every text is handed to the redactor before anybody else sees it.

    Args:
        source: finds the factory of a secret source by name.
    """

    def __init__(
        self,
        source: Callable[[str], SecretSourceFactory],
        *,
        environ: Mapping[str, str],
        folder: Path,
        redactor: Redactor,
    ) -> None:
        self._factory = source
        self._environ = environ
        self._folder = folder
        self._redactor = redactor
        self._sources: dict[str, SecretSource] = {}
        self._texts: dict[SecretRef, str] = {}
        self._lock = threading.Lock()

    def __call__(self, ref: SecretRef) -> str:
        """Give the text of a secret.

        Raises:
            CredentialsError: it is not there.
        """
        with self._lock:  # a source is asked by one thread at a time, and once for each secret
            if ref not in self._texts:
                text = self._source(ref).get(ref.key)
                self._redactor.add(text)
                self._texts[ref] = text
            return self._texts[ref]

    def _source(self, ref: SecretRef) -> SecretSource:
        if ref.source == "literal":
            message = (
                f"the secret option {ref.key} was written in the config itself, so its value is not recorded"
            )
            raise CredentialsError(
                message, suggestion="put it back into the config, or name an environment variable there"
            )
        if ref.source not in self._sources:
            self._sources[ref.source] = self._factory(ref.source)(self._environ, self._folder)
        return self._sources[ref.source]
