"""What to be careful about where a local state is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from devstream.builtin.local import LocalBackend
from devstream.builtin.local_place import Mount, cautions, mount_of
from devstream.state.backend import cautions_of
from devstream.state.sealed_backend import sealed
from devstream.testing.keys import keyring

MOUNTS = r"""22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
23 22 0:20 / /proc rw,nosuid - proc proc rw
40 22 0:45 / /mnt/team rw,relatime shared:9 - nfs4 server:/export rw,vers=4.2
41 22 0:46 / /mnt/my\040share rw master:1 shared:2 - cifs //server/share rw
42 40 0:47 / /mnt/team/local rw - tmpfs none rw
43 22 0:48 / /mnt/bucket rw - fuse.s3fs s3fs rw
44 22 0:49 / /mnt/over rw - ext4 /dev/vdb rw
45 44 0:50 / /mnt/over rw - nfs server:/x rw
a line that is none
46 22 0:51 / /mnt/cut rw
"""


@pytest.mark.parametrize(
    ("path", "mount"),
    [
        ("/home/me/devstream.state", Mount("/", "ext4")),
        ("/mnt/team/devstream.state", Mount("/mnt/team", "nfs4")),
        ("/mnt/teamwork/devstream.state", Mount("/", "ext4")),
        ("/mnt/team/local/x", Mount("/mnt/team/local", "tmpfs")),
        ("/mnt/my share/a/b", Mount("/mnt/my share", "cifs")),
        ("/mnt/over/x", Mount("/mnt/over", "nfs")),
        ("/mnt/cut/x", Mount("/", "ext4")),
    ],
)
def test_the_mount_of_a_path(path: str, mount: Mount) -> None:
    assert mount_of(Path(path), MOUNTS) == mount


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/mnt/team/devstream.state", "is on NFS (/mnt/team)"),
        ("/mnt/my share/devstream.state", "is on SMB (/mnt/my share)"),
        ("/mnt/bucket/devstream.state", "is on S3 as a file system"),
        ("/home/devstream.state", ""),
        ("/mnt/team/local/devstream.state", ""),
    ],
)
def test_network_file_systems_are_told(tmp_path: Path, path: str, words: str) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    found = cautions(Path(path), mounts)
    assert [caution.code for caution in found] == (["state-on-network"] if words else [])
    for caution in found:
        assert words in caution.summary
        assert "migrate-backend" in caution.suggestion


def test_a_system_that_does_not_tell_its_mounts(tmp_path: Path) -> None:
    assert cautions(tmp_path / "x", tmp_path / "missing") == []


@pytest.mark.parametrize(("mode", "is_told"), [(0o600, False), (0o640, True), (0o604, True), (0o620, True)])
def test_a_state_that_others_may_read_is_told(tmp_path: Path, mode: int, *, is_told: bool) -> None:
    path = tmp_path / "devstream.state"
    path.write_bytes(b"x")
    path.chmod(mode)
    for backend in (LocalBackend(path), sealed(LocalBackend(path), keyring("main"))):
        found = cautions_of(backend)
        assert [caution.code for caution in found] == ["state-readable"] * is_told
        assert all(f"mode {mode:o}" in caution.summary for caution in found)


def test_no_state_yet_is_no_caution(tmp_path: Path) -> None:
    assert cautions_of(LocalBackend(tmp_path / "devstream.state")) == []
