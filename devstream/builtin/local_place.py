"""Where a local state is kept: what to be careful about there."""

from __future__ import annotations

import re
import shlex
import stat
from pathlib import Path
from typing import NamedTuple

from devstream.api import Diagnostic

__all__ = ["MOUNTS", "Mount", "cautions", "mount_of"]

MOUNTS = Path("/proc/self/mountinfo")
"""What is mounted where, as Linux tells every process; other systems have no such file."""

_NETWORK = {
    "nfs": "NFS",
    "nfs4": "NFS",
    "cifs": "SMB",
    "smb3": "SMB",
    "smbfs": "SMB",
    "fuse.sshfs": "SSHFS",
    "fuse.s3fs": "S3 as a file system",
    "fuse.gcsfuse": "a bucket as a file system",
    "fuse.rclone": "rclone",
}
_OCTAL = re.compile(r"\\([0-7]{3})")
_OTHERS = 0o077


class Mount(NamedTuple):
    """A mounted file system."""

    point: str
    kind: str


def cautions(path: Path, mounts: Path = MOUNTS) -> list[Diagnostic]:
    """Say what to be careful about with a state file.

    Args:
        path: without symbolic links.
        mounts: a file that says what is mounted where.
    """
    found = [_on_network(path, mounts), _readable(path)]
    return [caution for caution in found if caution is not None]


def _on_network(path: Path, mounts: Path) -> Diagnostic | None:
    try:
        mount = mount_of(path, mounts.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return None
    if mount is None or mount.kind not in _NETWORK:
        return None
    return Diagnostic(
        f"the state {path} is on {_NETWORK[mount.kind]} ({mount.point})",
        "state-on-network",
        detail="Locks there can be lost in a pause of the network; then two runs may write at once, unnoticed.",
        suggestion="keep it on a local disk, or in S3 or Kubernetes: devstream state migrate-backend URL",
    )


def mount_of(path: Path, mountinfo: str) -> Mount | None:
    """Say which file system a path is on, by the text of ``/proc/self/mountinfo``."""
    found: Mount | None = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) <= 4 or not after:
            continue
        point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4])
        if path.is_relative_to(point) and (found is None or len(point) >= len(found.point)):
            found = Mount(point, after.split(" ")[0])
    return found


def _readable(path: Path) -> Diagnostic | None:
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if not stat.S_ISREG(mode) or not mode & _OTHERS:
        return None
    return Diagnostic(
        f"the state {path} can be read or written by others (mode {mode & 0o777:o})",
        "state-readable",
        detail="It tells what there is and where. What is recorded next is written with mode 600 again.",
        suggestion=f"chmod 600 {shlex.quote(str(path))}",
    )
