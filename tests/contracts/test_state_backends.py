"""Every backend that ships passes the contract."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devstream.builtin.local import make_local
from devstream.testing.backends import BackendContract, MemoryBackend, MemoryStore, SharedMemoryBackend
from devstream.testing.shared_folder import SharedFolderBackend

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.state.backend import StateBackend


class TestLocal(BackendContract):
    def open(self, place: Path) -> StateBackend:
        return make_local({}, place)


class TestMemory(BackendContract):
    @pytest.fixture(autouse=True)
    def _places(self) -> None:
        self.stores: dict[Path, MemoryStore] = {}

    def open(self, place: Path) -> StateBackend:
        return MemoryBackend(self.stores.setdefault(place, MemoryStore()))


class TestSharedMemory(TestMemory):
    def open(self, place: Path) -> StateBackend:
        return SharedMemoryBackend(self.stores.setdefault(place, MemoryStore()))


class TestSharedFolder(BackendContract):
    def open(self, place: Path) -> StateBackend:
        return SharedFolderBackend(place / "state")
