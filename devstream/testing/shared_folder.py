"""A shared state backend for tests: a folder that many processes use at once, and no lease of the kernel.

It behaves as a store on the network does: a client that is stopped or killed in the middle of a call blocks nobody,
and a swap either took place or did not. For whole runs, a ``devstream_plugins.py`` beside a configuration says
``from devstream.testing.shared_folder import devstream_register_backends``, and the configuration::

    config: {state: {backend: shared-folder, options: {folder: state, machine: box-1}}}
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from unittest import mock

from devstream.errors import StateConflictError
from devstream.hookspecs import hookimpl
from devstream.state import holder
from devstream.state.backend import Head

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from devstream.plugins.registries import BackendRegistry

__all__ = ["SharedFolderBackend", "be_on_machine", "devstream_register_backends", "make_shared_folder"]


@hookimpl
def devstream_register_backends(registry: BackendRegistry) -> None:
    """Add the backend ``shared-folder``."""
    registry.add("shared-folder", make_shared_folder, plugin="devstream.testing")


def make_shared_folder(options: Mapping[str, Any], folder: Path) -> SharedFolderBackend:
    """Make the backend from its options: ``folder``, and ``machine``, on which this process pretends to be."""
    if "machine" in options:
        be_on_machine(options["machine"])
    return SharedFolderBackend(folder / options.get("folder", "state"))


def be_on_machine(name: str) -> None:
    """Let this process look as if it ran on a machine of its own, for as long as it lives.

    No process of another machine can be looked up then, as it is between real ones.
    """
    machine = holder.Machine(name, f"boot of {name}", "")
    mock.patch.object(holder, "this_machine", return_value=machine).start()


class SharedFolderBackend:
    """State in a folder, without locks.

    Each head is a file of its own, ``head-N``, and is never removed; the highest number is the newest. A swap links a
    finished file under the next number: of those who try, the file system lets one.

    Args:
        folder: made at the first write.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs = folder / "blobs"
        self._newest = 0

    @property
    def location(self) -> str:
        """A URL for messages."""
        return f"shared://{self._folder}"

    def read_head(self) -> Head | None:
        """Read the head with the highest number."""
        while self._head(self._newest + 1).exists():
            self._newest += 1
        return self._at(self._newest) if self._newest else None

    def _head(self, number: int) -> Path:
        return self._folder / f"head-{number}"

    def _at(self, number: int) -> Head:
        return Head(self._head(number).read_bytes(), f"v{number}")

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Put a head under the number after the expected one, if nobody else has."""
        now = self.read_head()
        if (now.version if now else None) != expected:
            message = f"the state {self.location} is not what was expected: somebody else wrote it"
            raise StateConflictError(message)
        number = int(expected[1:]) + 1 if expected else 1
        temporary = self._written(self._folder, data)
        try:
            os.link(temporary, self._head(number))
        except FileExistsError as error:
            message = f"somebody else wrote the state {self.location} at the same time"
            raise StateConflictError(message) from error
        finally:
            temporary.unlink()
        return f"v{number}"

    def _written(self, folder: Path, data: bytes) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f".{os.urandom(8).hex()}"
        path.write_bytes(data)
        return path

    def put_blob(self, name: str, data: bytes) -> None:
        """Store a blob."""
        self._written(self._blobs, data).replace(self._blobs / name)

    def get_blob(self, name: str) -> bytes | None:
        """Read a blob."""
        with suppress(FileNotFoundError):
            return (self._blobs / name).read_bytes()
        return None

    def delete_blob(self, name: str) -> None:
        """Remove a blob."""
        (self._blobs / name).unlink(missing_ok=True)

    def list_blobs(self) -> list[str]:
        """List the blobs."""
        if not self._blobs.is_dir():
            return []
        return sorted(path.name for path in self._blobs.iterdir() if not path.name.startswith("."))
