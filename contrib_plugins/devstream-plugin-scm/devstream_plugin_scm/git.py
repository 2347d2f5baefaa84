"""The git command line: a fixed environment, nothing of the user's configuration, no prompt, no clean-up."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from devstream.api import CompletedCommand, Context

__all__ = ["Git", "GIT_ENVIRONMENT"]

GIT_ENVIRONMENT: Mapping[str, str] = {
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_AUTHOR_NAME": "DevStream",
    "GIT_AUTHOR_EMAIL": "devstream@localhost",
    "GIT_COMMITTER_NAME": "DevStream",
    "GIT_COMMITTER_EMAIL": "devstream@localhost",
}
_FIXED = ("-c", "gc.auto=0", "-c", "maintenance.auto=false")


class Git:
    """Runs git on one repository.

    Args:
        context: what it runs through.
        folder: the repository itself (of a bare one), absolute.
        index: a file to use as index.
        environment: added to git's own; how a server is reached (`access.opened`).
    """

    def __init__(
        self,
        context: Context,
        folder: Path,
        *,
        index: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._context = context
        self._folder = folder
        self._environment = {**GIT_ENVIRONMENT, **(environment or {})}
        if index is not None:
            self._environment["GIT_INDEX_FILE"] = str(index)

    def read(self, *arguments: str, check: bool = True) -> CompletedCommand:
        """Run a command that changes nothing.

        Raises:
            OperationError: it failed, and ``check`` is true.
        """
        return self._run(arguments, reads=True, check=check)

    def write(self, *arguments: str, text: str | None = None, check: bool = True) -> CompletedCommand:
        """Run a command that changes the repository, with ``text`` on its standard input.

        Raises:
            OperationError: it failed, and ``check`` is true.
        """
        return self._run(arguments, text=text, check=check)

    def content(self, blob: str, folder: Path) -> bytes:
        """Give the content of a blob, by way of a file in ``folder``: what commands print is text."""
        name = self._run(("unpack-file", blob), reads=True, cwd=folder).stdout.strip()
        file = folder / name
        try:
            return file.read_bytes()
        finally:
            file.unlink()

    def _run(
        self,
        arguments: tuple[str, ...],
        *,
        reads: bool = False,
        text: str | None = None,
        check: bool = True,
        cwd: Path | None = None,
    ) -> CompletedCommand:
        return self._context.run(
            ["git", f"--git-dir={self._folder}", *_FIXED, *arguments],
            reads=reads,
            input=text,
            env=self._environment,
            check=check,
            cwd=cwd,
        )
