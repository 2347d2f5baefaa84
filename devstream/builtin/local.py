"""The local state backend: one file beside the configuration, replaced as a whole or not at all.

::

    devstream.state          the head
    devstream.state.d/       blobs: kept snapshots, rolled-up records
    devstream.state.lock     locked for the moment of a swap; never removed
    devstream.state.run      locked for as long as a run lasts; says who; never removed
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import msgspec

from devstream.api import (
    DevstreamError,
    Head,
    LeaseHolder,
    Refusal,
    StateConflictError,
    StateUnreachableError,
    SwapRefused,
    SwapUnsettled,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from devstream.api import BackendRegistry, Diagnostic

__all__ = ["Files", "LocalBackend", "devstream_register_backends", "make_local"]

_LOCK_PATIENCE = 10.0
"""Seconds to wait for another process to finish a swap, which takes a millisecond."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


@hookimpl
def devstream_register_backends(registry: BackendRegistry) -> None:
    """Add the backend ``local``."""
    registry.add("local", make_local, plugin="devstream")


def make_local(options: Mapping[str, Any], folder: Path) -> LocalBackend:
    """Make the backend from ``config.state.options``: ``stateFile``, relative to the configuration's folder.

    Raises:
        DevstreamError: there is another option, or ``stateFile`` is not text.
    """
    unknown = sorted(set(options) - {"stateFile"})
    if unknown:
        message = f'the local state backend has no option "{unknown[0]}"'
        raise DevstreamError(message, code="unknown-key", suggestion='its only option is "stateFile"')
    name = options.get("stateFile", "devstream.state")
    if not isinstance(name, str) or not name or "\0" in name:
        message = f"stateFile is {name!r}: it has to be a path"
        raise DevstreamError(message, code="wrong-type", suggestion="stateFile: devstream.state")
    try:
        return LocalBackend(folder / name)
    except (OSError, RuntimeError) as error:  # RuntimeError before Python 3.13
        raise StateUnreachableError(f"cannot read {folder / name}: a circle of symbolic links") from error


class Files:
    """The file-system calls that durability hangs on; a test hands in others, which count, fail or kill."""

    def open(self, path: Path, flags: int) -> int:
        """Open a file, making it for its owner alone; children do not inherit it."""
        return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def read(self, path: Path) -> bytes:
        """Read a whole file."""
        return path.read_bytes()

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        """Write some of ``data``; give how much."""
        return os.write(descriptor, data)

    def fsync(self, descriptor: int) -> None:
        """Wait until a file is on the disk."""
        os.fsync(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Put a file in the place of another, at once."""
        source.replace(target)

    def fsync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def unlink(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def make_folder(self, path: Path) -> None:
        """Make a folder for its owner alone."""
        path.mkdir(mode=0o700)

    def names(self, path: Path) -> list[str]:
        """List a folder."""
        return os.listdir(path)  # noqa: PTH208 - names, not paths

    def lock(self, descriptor: int, kind: int) -> bool:
        """Try to lock an open file; never waits."""
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


class LocalBackend:
    """State in a file on this machine; the kernel gives back a lease whose holder has died.

    Args:
        path: the state file; a symbolic link is followed. Missing folders are made at the first write.
        files: the file system.
    """

    def __init__(self, path: Path, files: Files | None = None) -> None:
        self._given = path
        self._path = path.resolve()
        self._files = files or Files()
        self._blobs = self._beside(".d")
        self._swept = False

    @property
    def location(self) -> str:
        """The path of the state file."""
        return str(self._given)

    def cautions(self) -> list[Diagnostic]:
        """Say what to be careful about where the state is kept."""
        from devstream.builtin.local_place import cautions

        return cautions(self._path)

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(self._path.name + ending)

    def read_head(self) -> Head | None:
        """Read the state file; its version is its digest."""
        data = self._read(self._path)
        return None if data is None else Head(data, _digest(data))

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Replace the state file if it still is what was expected, durably."""
        with self._locked():
            head = self.read_head()
            if (head.version if head else None) != expected:
                message = f"the state {self.location} is not what was expected: somebody else wrote it"
                raise StateConflictError(message)
            self._sweep()
            self._replace(self._path, data)
        return _digest(data)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of a swap, so that nobody comes between its comparison and its rename."""
        path = self._beside(".lock")
        descriptor = self._lock_in_time(path)
        try:
            with suppress(OSError):
                os.pwrite(descriptor, b"%-10d\n" % os.getpid(), 0)
            yield
        finally:
            os.close(descriptor)

    def _lock_in_time(self, path: Path) -> int:
        deadline = time.monotonic() + _LOCK_PATIENCE
        pause = 0.001
        while True:
            with self._explained(path, "lock"):
                self._make_folders(path.parent)
                descriptor = self._try_lock(path)
            if descriptor is not None:
                return descriptor
            if time.monotonic() > deadline:
                pid = (self._read(path) or b"?").decode("ascii", "replace").strip()
                message = f"the state {self.location} is locked by process {pid}, which does not let go"
                raise StateUnreachableError(
                    message, suggestion="continue or end that process (it may be stopped)"
                )
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def _try_lock(self, path: Path) -> int | None:
        """Lock a lock file; None where another process has it."""
        descriptor = self._files.open(path, os.O_RDWR | os.O_CREAT)
        try:
            if self._files.lock(descriptor, fcntl.LOCK_EX) and _is_at(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def _sweep(self) -> None:
        """Remove what dead processes left behind, once; the caller holds the lock, so no head is being written."""
        if self._swept:
            return
        self._swept = True
        self._sweep_folder(self._path.parent, f"{self._path.name}.tmp-", {os.getpid()})
        self._sweep_folder(self._blobs, "tmp-", set())

    def _sweep_folder(self, folder: Path, prefix: str, over: set[int]) -> None:
        with suppress(OSError):
            for name in self._files.names(folder):
                pid = name.removeprefix(prefix).partition("-")[0]
                if (
                    name.startswith(prefix)
                    and pid.isdecimal()
                    and (int(pid) in over or not _is_alive(int(pid)))
                ):
                    self._files.unlink(folder / name)

    def put_blob(self, name: str, data: bytes) -> None:
        """Store a blob as a file of its own, whole or not at all."""
        with self._explained(self._blobs, "write"):
            self._make_folders(self._blobs)
        try:
            self._replace(self._blobs / name, data)
        except (SwapRefused, SwapUnsettled) as error:
            summary = error.diagnostic.summary
            raise StateUnreachableError(summary, suggestion=error.diagnostic.suggestion) from error

    def get_blob(self, name: str) -> bytes | None:
        """Read a blob; None where it is missing."""
        return self._read(self._blobs / name)

    def delete_blob(self, name: str) -> None:
        """Remove a blob; a missing one is fine."""
        with self._explained(self._blobs, "write"), suppress(FileNotFoundError):
            self._files.unlink(self._blobs / name)

    def list_blobs(self) -> list[str]:
        """List the blobs, in order."""
        names: list[str] = []
        with self._explained(self._blobs, "read"), suppress(FileNotFoundError):
            names = self._files.names(self._blobs)
        return sorted(name for name in names if not name.startswith("tmp-"))

    @contextmanager
    def hold_lease(self, holder: LeaseHolder) -> Iterator[bool]:
        """Lock the run file and write there who holds it; the kernel unlocks it when this process dies."""
        path = self._beside(".run")
        with self._explained(path, "lock"):
            self._make_folders(path.parent)
            descriptor = self._try_lock(path)
        if descriptor is None:
            yield False
            return
        try:
            data = msgspec.json.encode(holder) + b"\n"
            with self._explained(path, "write"):
                os.pwrite(descriptor, data, 0)
                os.ftruncate(descriptor, len(data))
            yield True
        finally:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def lease_holder(self) -> LeaseHolder | None:
        """Say who holds the run file's lock."""
        path = self._beside(".run")
        with self._explained(path, "read"):
            try:
                descriptor = self._files.open(path, os.O_RDONLY)
            except FileNotFoundError:
                return None
            try:
                if self._files.lock(descriptor, fcntl.LOCK_SH):
                    return None
                return _holder_in(os.pread(descriptor, 65536, 0))
            finally:
                os.close(descriptor)

    def _read(self, path: Path) -> bytes | None:
        with self._explained(path, "read"):
            try:
                return self._files.read(path)
            except FileNotFoundError:
                return None

    def _make_folders(self, path: Path) -> None:
        """Make a folder and those above it that are missing."""
        if path.is_dir():
            return
        self._make_folders(path.parent)
        with suppress(FileExistsError):
            self._files.make_folder(path)
        self._files.fsync_folder(path.parent)

    def _replace(self, path: Path, data: bytes) -> None:
        """Write a file anew: new or old, never in between; durable when this returns."""
        prefix = path.name + ".tmp-" if path == self._path else "tmp-"
        temporary = path.with_name(f"{prefix}{os.getpid()}-{os.urandom(4).hex()}")
        try:
            with self._explained(path, "write"):
                self._write(temporary, data)
            self._put_in_place(temporary, path)
        except BaseException:
            with suppress(OSError):
                self._files.unlink(temporary)
            raise
        self._fsync_folder(path.parent)

    def _fsync_folder(self, path: Path) -> None:
        """Make a rename durable. After a failure it may be seen and yet be lost with the power: fatal for the run."""
        try:
            self._files.fsync_folder(path)
        except OSError as error:
            message = f"cannot be sure that {path} is on the disk: {(error.strerror or str(error)).lower()}"
            raise StateUnreachableError(
                message, suggestion="look at the disk before running again"
            ) from error

    def _write(self, path: Path, data: bytes) -> None:
        descriptor = self._files.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._files.write(descriptor, rest) :]
            self._files.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _put_in_place(self, temporary: Path, path: Path) -> None:
        with self._explained(path, "write"):
            try:
                self._files.rename(temporary, path)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                raise SwapUnsettled(f"cannot say whether {path} was replaced") from error

    @contextmanager
    def _explained(self, path: Path, doing: str) -> Iterator[None]:
        """Turn errors of the operating system into ours: what was tried, what came of it, the way out."""
        try:
            yield
        except OSError as error:
            raise _explain(error, path, doing) from error


def _explain(error: OSError, path: Path, doing: str) -> DevstreamError:
    what = f"cannot {doing} {path}: {(error.strerror or str(error)).lower()}"
    if error.errno == errno.EBUSY:
        hint = f"it seems to be mounted alone; mount its folder {path.parent} instead"
        return StateUnreachableError(what, suggestion=hint)
    if error.errno in _NO_LOCKS:
        hint = "this file system has no locks; keep the state on a local disk, or in another backend"
        return StateUnreachableError(what, suggestion=hint)
    if doing == "write" and error.errno in _FULL:
        return SwapRefused(what, Refusal.TOO_LARGE, suggestion="make room on that disk")
    if doing != "read" and error.errno in _FORBIDDEN:
        first = "" if error.errno == errno.EROFS else "give this user the right to write there, or "
        hint = f"{first}name another place with stateFile"
        return SwapRefused(what, Refusal.FORBIDDEN, suggestion=hint)
    hint = "stateFile names a file, not a folder" if error.errno == errno.EISDIR else ""
    return StateUnreachableError(what, suggestion=hint)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether a locked file is still the one at its path: somebody may have removed it meanwhile."""
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _is_alive(pid: int) -> bool:
    """Tell whether a process runs; True where that cannot be known."""
    try:
        os.kill(pid, 0)
    except (OverflowError, OSError) as error:
        return not isinstance(error, ProcessLookupError)
    return True


def _holder_in(data: bytes) -> LeaseHolder:
    """Read who holds the lease; it may be about to write that."""
    try:
        return msgspec.json.decode(data, type=LeaseHolder)
    except msgspec.MsgspecError:
        return LeaseHolder("", "another process", "a moment ago", "", "", "", 0, 0)
