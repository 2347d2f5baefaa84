"""Encryption around a backend is a backend: it passes the contract, with a lease of the kernel or one in the head."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.builtin.local import make_local
from devstream.state.sealed_backend import sealed
from devstream.testing.backends import BackendContract
from devstream.testing.keys import keyring
from devstream.testing.shared_folder import SharedFolderBackend

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.state.backend import StateBackend


class TestEncryptedLocal(BackendContract):
    def open(self, place: Path) -> StateBackend:
        return sealed(make_local({}, place), keyring("main"))


class TestEncryptedShared(BackendContract):
    def open(self, place: Path) -> StateBackend:
        return sealed(SharedFolderBackend(place), keyring("main"))
