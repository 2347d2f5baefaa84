"""A local state in odd places, by the commands: mounted alone, behind a link, open to others."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

NOOP = "tools:\n  - name: noop\n    instanceID: a\n    options: {input: 1}\n"


def test_a_state_file_that_is_mounted_alone(bench: Any) -> None:
    bench.write(NOOP)
    assert bench("run", "-y").code == 0
    bench.write(NOOP.replace("1", "2"))
    before = (bench.folder / "devstream.state").read_bytes()
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
    script = f'mount --bind devstream.state devstream.state && "{sys.executable}" -m devstream run -y; echo "exit $?"'
    if subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("namespaces are not allowed here")
    argv = [*unshare, "sh", "-c", script]
    done = subprocess.run(
        argv, cwd=bench.folder, env=bench.environ, capture_output=True, text=True, check=False
    )
    said = " ".join((done.stdout + done.stderr).split())
    assert "exit 6" in said, said
    assert f"mounted alone; mount its folder {bench.folder} instead" in said
    assert "Traceback" not in said
    assert (bench.folder / "devstream.state").read_bytes() == before
    assert bench("run", "-y").code == 0, "without the mount it goes on"


def test_a_link_to_a_state_stays_one(bench: Any) -> None:
    bench.write(NOOP)
    real = bench.home / "kept" / "real.state"
    real.parent.mkdir()
    (bench.folder / "devstream.state").symlink_to(real)
    assert bench("run", "-y").code == 0
    assert (bench.folder / "devstream.state").is_symlink()
    assert real.is_file()
    assert "No changes" in bench("plan").out


@pytest.mark.parametrize("argv", [["init"], ["run", "-y"], ["state", "rm", "noop.a", "-y"]], ids=" ".join)
def test_a_state_that_others_may_read(bench: Any, argv: list[str]) -> None:
    bench.write(NOOP)
    assert bench("run", "-y").code == 0
    path = bench.folder / "devstream.state"
    path.chmod(0o644)
    bench.write(NOOP.replace("1", "2"))
    ended = bench(*argv)
    assert ended.code == 0
    said = " ".join(ended.err.split())
    assert "can be read or written by others (mode 644)" in said
    assert f"chmod 600 {path}" in said
    if argv != ["init"]:
        assert path.stat().st_mode & 0o777 == 0o600
