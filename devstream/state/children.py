"""Children do not outlive their record: they inherit a lock that the next run waits for.

A process that an operation starts gets an open, locked file (``pass_fds``) and hands it on to its own children. The
kernel unlocks it when the last of them ends, however deep they are, whatever session they moved to, and whether or
not the engine still lives. So after a crash nobody settles an operation whose command is still at work.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from devstream.errors import OperationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["operation_lock", "wait_for_children"]

_PAUSE = 0.1


def _lock_path(lineage: str, op_id: str, environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_STATE_HOME", "")
    home = Path(environ.get("HOME") or "~").expanduser()
    root = Path(base) if base.startswith("/") else home / ".local" / "state"
    return root / "devstream" / "run" / lineage / op_id


@contextmanager
def operation_lock(lineage: str, op_id: str, environ: Mapping[str, str]) -> Iterator[int]:
    """Hold the lock of one operation; the value is a descriptor to hand to its children by ``pass_fds``.

    On leaving only our own descriptor is closed: a child that is still at work keeps the lock.

    Raises:
        OperationError: a process of an earlier attempt still has it, or the lock cannot be made.
    """
    path = _lock_path(lineage, op_id, environ)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        message = f"cannot make the lock for this operation's commands, {path}: {error.strerror}"
        raise OperationError(
            message, suggestion="set XDG_STATE_HOME to a folder that can be written"
        ) from error
    try:
        if not _locked(descriptor):
            message = f"a command of an earlier attempt is still running: {_who_has(path)}"
            raise OperationError(message, suggestion="wait for it or end it, then run again")
        yield descriptor
    finally:
        os.close(descriptor)
        _remove(path)


def wait_for_children(
    lineage: str,
    op_id: str,
    environ: Mapping[str, str],
    *,
    timeout: float = 60.0,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> str | None:
    """Wait until no process that an operation started is left.

    Args:
        timeout: seconds to wait.

    Returns:
        None once there is none (or never was one on this machine); else who is still at work, in words.
    """
    path = _lock_path(lineage, op_id, environ)
    deadline = monotonic() + timeout
    while not _is_free(path):
        if monotonic() >= deadline:
            return _who_has(path)
        sleep(_PAUSE)
    _remove(path)
    return None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_free(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    try:
        return _locked(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    """Remove the lock file where nobody holds it; that it lies about would not matter either."""
    with suppress(OSError):
        if _is_free(path):
            path.unlink()


def _who_has(path: Path) -> str:
    """Name the other processes that have a file open, as far as this user may see them."""
    others = (folder for folder in Path("/proc").glob("[0-9]*") if folder.name != str(os.getpid()))
    found = [_name_of(folder) for folder in others if _has_open(folder, path)]
    return ", ".join(sorted(found)) or f"a process that holds {path}"


def _has_open(process: Path, path: Path) -> bool:
    with suppress(OSError):
        return any(_points_to(link, path) for link in (process / "fd").iterdir())
    return False


def _points_to(link: Path, path: Path) -> bool:
    with suppress(OSError):
        return link.readlink() == path
    return False


def _name_of(process: Path) -> str:
    with suppress(OSError):
        return f"pid {process.name} ({(process / 'comm').read_text().strip()})"
    return f"pid {process.name}"
