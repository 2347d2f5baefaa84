"""The templates that were fetched before, on this machine: by the digest of their content, checked each time."""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from devstream.api import OperationError
from devstream_plugin_scm.archives import read_archive
from devstream_plugin_scm.sources import digest_of

if TYPE_CHECKING:
    from devstream.api import Log
    from devstream_plugin_scm.sources import Tree

__all__ = ["TemplateCache", "cache_folder", "MAX_BYTES", "MAX_FILES"]

MAX_BYTES = 1 << 30
MAX_FILES = 2000
"""What a folder may hold; what was not used for longest goes first."""
_NEW = ".new-"
_STALE = 86_400.0
"""Seconds after which a file that nobody finished is nobody's."""


def cache_folder() -> Path:
    """Give the folder: ``${XDG_CACHE_HOME:-~/.cache}/devstream/templates``."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(given) if given.startswith("/") else Path("~/.cache").expanduser()
    return root / "devstream" / "templates"


class TemplateCache:
    """Keeps trees as files named by their digest; any number of processes may use one folder.

    A file appears whole or not at all. One that is damaged is taken for none and written again; a folder that cannot
    be written costs nothing but time. It stays within `MAX_BYTES` and `MAX_FILES`: what goes is fetched again.
    """

    def __init__(self, folder: Path, log: Log) -> None:
        self._folder = folder
        self._log = log

    def tree(self, digest: str) -> Tree | None:
        """Give the tree with this digest (``sha256:...``); None where it is not kept, or not as it was."""
        path = self._path(digest)
        data = _content(path)
        if data is None:
            return None
        try:
            tree = read_archive(data, path.name, whole=True)
        except OperationError:
            tree = {}
        if digest_of(tree) == digest:
            _touch(path)
            return tree
        self._log.warning(f"{path} is damaged; it is fetched again")
        return None

    def keep(self, tree: Tree) -> str:
        """Keep a tree; give its digest."""
        digest = digest_of(tree)
        self._write(self._path(digest), _packed(tree))
        self._prune()
        return digest

    def find(self, *origin: str) -> str | None:
        """Give the digest of what was fetched from an origin that cannot change (a commit's id); None for none."""
        path = self._origin(origin)
        data = _content(path)
        _touch(path)
        return data.decode("ascii", "replace").strip() if data else None

    def remember(self, digest: str, *origin: str) -> None:
        """Remember which tree an origin stands for."""
        self._write(self._origin(origin), f"{digest}\n".encode())

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest.removeprefix('sha256:')}.tar"

    def _origin(self, origin: tuple[str, ...]) -> Path:
        name = hashlib.sha256("\0".join(origin).encode()).hexdigest()
        return self._folder / f"{name}.origin"

    def _write(self, path: Path, data: bytes) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self._folder, prefix=_NEW, delete=False) as stream:
                stream.write(data)
            Path(stream.name).replace(path)
        except OSError as error:
            self._log.debug(f"the template is not kept: {error}")

    def _prune(self) -> None:
        """Remove what was not used for longest. Whoever has it open reads on; whoever wants it next fetches it."""
        total = 0
        for number, (path, status) in enumerate(self._by_use()):
            total += status.st_size
            unfinished = path.name.startswith(_NEW)
            if total > MAX_BYTES or number >= MAX_FILES or (unfinished and _is_stale(status)):
                with suppress(OSError):
                    path.unlink()

    def _by_use(self) -> list[tuple[Path, os.stat_result]]:
        """List the files, with the one that was used last first."""
        found = []
        with suppress(OSError):
            for path in self._folder.iterdir():
                with suppress(OSError):  # somebody else removed it
                    found.append((path, path.lstat()))
        return sorted(found, key=lambda one: one[1].st_mtime, reverse=True)


def _is_stale(status: os.stat_result) -> bool:
    return status.st_mtime < time.time() - _STALE


def _touch(path: Path) -> None:
    """Say that a file was used."""
    with suppress(OSError):
        os.utime(path)


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _packed(tree: Tree) -> bytes:
    import tarfile

    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w:", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(tree):
            file = tree[path]
            member = tarfile.TarInfo(path)
            member.size = len(file.content)
            member.mode = 0o755 if file.executable else 0o644
            archive.addfile(member, BytesIO(file.content))
    return packed.getvalue()
