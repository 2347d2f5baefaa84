"""A state, a disk or a lease that is not as it should be: exit code, reason, way out, and nothing changed."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOOP = "tools:\n  - name: noop\n    instanceID: a\n"
COMMANDS = (("plan",), ("run", "-y"), ("show", "state"), ("show", "outputs"))


@pytest.fixture
def recorded(bench: Any) -> Any:
    """Give a bench on which something is recorded."""
    bench.write(NOOP)
    assert bench("run", "-y").code == 0
    return bench


def check(bench: Any, code: int, *said: str, commands: tuple[tuple[str, ...], ...] = COMMANDS) -> None:
    """Make sure that every command ends with ``code``, says all of it, and changes nothing."""
    before = contents(bench)
    for command in commands:
        ended = bench(*command)
        assert (ended.code, ended.out) == (code, ""), ended
        flat = " ".join(ended.err.split())
        assert str(bench.folder / "devstream.state") in flat
        for piece in said:
            assert piece in flat
        machine = bench(*command, "-o", "json")
        assert (machine.code, machine.data["exit_code"], len(machine.data["diagnostics"])) == (code, code, 1)
    assert contents(bench) == before


def contents(bench: Any) -> dict[str, str]:
    """Tell everything in the folder but who held the lease last."""
    return {name: told for name, told in bench.contents().items() if not name.endswith(".state.run")}


OLD = """\
argocd_default:
  name: argocd
  instanceID: default
  dependsOn: []
  options: {}
  resourceStatus: {}
"""
TERRAFORM = '{"version": 4, "terraform_version": "1.9.0", "serial": 1, "lineage": "x", "resources": []}'

STATES: dict[str, tuple[Callable[[bytes], bytes], tuple[str, ...]]] = {
    "empty": (lambda _: b"", ("is empty (0 bytes)", "never means that nothing is recorded", "backup")),
    "blank": (lambda _: b"\n\n", ()),
    "truncated": (lambda data: data[: len(data) // 2], ("is damaged: it ends after", "backup")),
    "without its last byte": (lambda data: data.rstrip()[:-1], ("is damaged: it ends after",)),
    "twice": (lambda data: data + data, ("is damaged",)),
    "a bit flipped": (lambda data: data.replace(b'"noop.a"', b'"noop.c"'), ("its digest differs",)),
    "edited": (lambda data: data.replace(b'"output": null', b'"output": 1'), ("edited by hand or damaged", "accept-edit")),
    "newer": (lambda data: re.sub(rb'"format": \d+', b'"format": 99', data), ("newer version", "upgrade devstream")),
    "DevStream's own": (lambda _: OLD.encode(), ("written by the original DevStream", "import-dtm")),
    "of another program": (lambda _: TERRAFORM.encode(), ("is not a state of devstream", "give the state another place")),
    "text": (lambda _: b"hello\n", ("is not a state of devstream",)),
    "binary": (lambda _: bytes(range(256)), ("is not a state of devstream", "give the state another place")),
    "a list": (lambda _: b"[]", ("is not a state of devstream",)),
    "deeply nested": (lambda _: b"[" * 100_000, ()),
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_a_state_that_is_not_what_was_written(recorded: Any, name: str) -> None:
    change, said = STATES[name]
    path = recorded.folder / "devstream.state"
    data = path.read_bytes()
    path.write_bytes(change(data))
    assert path.read_bytes() != data
    check(recorded, 6, *said)


def test_every_truncation_and_many_flipped_bits_are_noticed(recorded: Any) -> None:
    path = recorded.folder / "devstream.state"
    data = path.read_bytes()
    choice = random.Random(1)
    for length in range(0, len(data.rstrip()), 41):
        path.write_bytes(data[:length])
        assert recorded("plan").code == 6, length
    for place in range(0, len(data.rstrip()), 23):
        flipped = bytearray(data)
        flipped[place] ^= 1 << choice.randrange(8)
        path.write_bytes(flipped)
        assert recorded("plan").code == 6, (place, flipped[place])
    path.write_bytes(data)
    assert recorded("plan").code == 0


def test_a_folder_instead_of_a_state(recorded: Any) -> None:
    path = recorded.folder / "devstream.state"
    path.unlink()
    path.mkdir()
    check(recorded, 6, "is a directory", "stateFile names a file")


def test_a_state_that_is_a_link_to_itself(recorded: Any) -> None:
    path = recorded.folder / "devstream.state"
    path.unlink()
    path.symlink_to(path)
    check(recorded, 6, "a circle of symbolic links")


DROP = """\
import ctypes, os, sys
for capability in (1, 2):  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: what lets root pass by the modes of files
    if os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0) != 0:
        sys.exit(77)
os.execv(sys.executable, [sys.executable, "-m", "devstream", *sys.argv[1:]])
"""


def without_privileges(bench: Any, *argv: str) -> tuple[int, str, str]:
    """Run a command to which the modes of files apply, whoever runs the tests."""
    done = subprocess.run(
        [sys.executable, "-c", DROP, *argv], cwd=bench.folder, env=bench.environ, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip("root's privileges cannot be dropped here")
    assert "Traceback" not in done.stdout + done.stderr
    return done.returncode, done.stdout, " ".join(done.stderr.split())


def test_a_state_that_cannot_be_read(recorded: Any) -> None:
    (recorded.folder / "devstream.state").chmod(0)
    before = contents(recorded)
    for command in COMMANDS:
        code, out, err = without_privileges(recorded, *command)
        assert (code, out) == (6, "")
        assert "devstream.state" in err
        assert "permission denied" in err.lower()
    assert contents(recorded) == before


def test_a_folder_without_the_permission_to_write(recorded: Any) -> None:
    recorded.write(NOOP + "    options: {input: 1}\n")
    (recorded.folder / "devstream.state.run").unlink(missing_ok=True)
    before = recorded.contents()
    recorded.folder.chmod(0o500)
    code, out, _ = without_privileges(recorded, "plan", "-q")
    assert (code, out.splitlines()[-1]) == (0, "Plan: 1 to update.")
    code, out, err = without_privileges(recorded, "run", "-y")
    assert code == 7
    assert "devstream.state.run: permission denied" in err
    assert "name another place with stateFile" in err
    assert recorded.contents() == before


def test_a_configuration_that_may_not_be_read(bench: Any) -> None:
    bench.write(NOOP)
    (bench.folder / "devstream.yaml").chmod(0)
    for command in (("validate",), ("plan",), ("run", "-y")):
        code, out, err = without_privileges(bench, *command)
        assert (code, out) == (3, "")
        assert "devstream.yaml: cannot be read: Permission denied" in err


def test_mistakes_in_the_configuration_come_before_a_damaged_state(recorded: Any) -> None:
    (recorded.folder / "devstream.state").write_bytes(b"")
    recorded.write(NOOP + "    dependOn: []\n")
    assert recorded("run", "-y").code == 3
    assert recorded("validate").code == 3
    recorded.write(NOOP)
    assert recorded("validate").code == 0


# ---- disks


def in_a_namespace(bench: Any, script: str) -> list[str]:
    """Run a shell script that may mount what it likes: it all goes away with the script. Give its lines."""
    unshare = ["unshare", "--mount", "--map-root-user"]
    try:
        allowed = subprocess.run(
            [*unshare, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("there is no unshare")
    if allowed.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {allowed.stderr.decode().strip()}")
    command = (
        f'set -e\ndevstream() {{ echo "$@"; "{sys.executable}" -m devstream "$@" 2>&1 || echo "exit $?"; }}\n'
    )
    done = subprocess.run(
        [*unshare, "sh", "-c", command + script], cwd=bench.folder, env=bench.environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout
    return done.stdout.splitlines()


def test_a_folder_that_cannot_be_written(bench: Any) -> None:
    bench.write(NOOP)
    before = bench.contents()
    lines = in_a_namespace(
        bench,
        """\
        mount --bind . . && mount -o remount,ro,bind "$PWD" && cd "$PWD"
        devstream plan -q
        devstream run -y
        devstream show state
        """,
    )
    assert "Plan: 1 to create." in lines
    text = "\n".join(lines)
    assert "devstream.state.run: read-only file system" in text
    assert "name another place with stateFile" in text
    assert lines[-3:] == ["exit 7", "show state", "Nothing is recorded."]
    assert bench.contents() == before


def test_a_full_disk_before_anything_is_recorded(bench: Any) -> None:
    bench.write(NOOP)
    lines = in_a_namespace(
        bench,
        """\
        mkdir disk && mount -t tmpfs -o size=64k none disk && cp devstream.yaml disk && cd disk
        dd if=/dev/zero of=fill bs=1k count=100 2>/dev/null || true
        devstream run -y -q
        rm fill
        devstream run -y -q
        """,
    )
    text = "\n".join(lines)
    assert "devstream.state.run: no space left on device" in text
    assert "make room on that disk" in text
    assert "exit 6" in lines
    assert lines[-1].endswith("1 succeeded.")


def test_a_disk_that_fills_up_during_a_run(bench: Any) -> None:
    tools = "".join(
        f"- {{name: noop, instanceID: b{number}, options: {{input: [[ x ]]}}}}\n" for number in range(60)
    )
    bench.write(f"vars: {{x: {'y' * 1000}}}\ntools:\n{tools}")
    lines = in_a_namespace(
        bench,
        """\
        mkdir disk && mount -t tmpfs -o size=40k none disk && cp devstream.yaml disk && cd disk
        devstream run -y -q
        devstream show state -q
        mount -o remount,size=10m "$PWD"
        devstream run -y -q
        devstream plan -q
        """,
    )
    text = "\n".join(lines)
    assert "no space left on device" in text
    assert ".tmp-" not in text
    assert lines.index("exit 6") < lines.index("show state -q")
    assert lines.count("exit 6") == 1
    assert lines[-1].startswith("No changes: 60 tools")


# ---- two at once

WAITS = """\
tools:
  - name: command
    instanceID: slow
    options:
      create: [sh, -c, "echo begun > begun; read line < go"]
"""


@pytest.fixture
def busy(bench: Any) -> Iterator[tuple[Any, subprocess.Popen[str]]]:
    """Give a bench on which a run is in the middle of its work, and the process."""
    bench.write(WAITS)
    os.mkfifo(bench.folder / "begun")
    os.mkfifo(bench.folder / "go")
    running = subprocess.Popen(
        [sys.executable, "-m", "devstream", "run", "-y"],
        cwd=bench.folder, env=bench.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert (bench.folder / "begun").read_text() == "begun\n"
    yield bench, running
    running.kill()
    running.communicate()


def test_a_second_run_names_who_holds_the_lease(busy: Any) -> None:
    bench, running = busy
    second = bench("run", "-y", "--lock-timeout", "0")
    assert (second.code, second.out) == (5, "")
    assert "devstream.state is in use by" in second.err
    assert f"pid {running.pid}, `devstream run -y`" in " ".join(second.err.split())
    assert "--lock-timeout" in second.err
    machine = bench("run", "-y", "--lock-timeout", "0", "-o", "json").data
    assert (machine["exit_code"], machine["diagnostics"][0]["code"]) == (5, "lease")
    (bench.folder / "go").write_text("on\n")
    out, err = running.communicate(timeout=60)
    assert running.returncode == 0, err
    assert "1 succeeded" in out
    assert bench("run", "-y", "--lock-timeout", "0").code == 0


def test_a_plan_meanwhile_says_so_and_changes_nothing(busy: Any) -> None:
    bench, running = busy
    before = bench.contents()
    planned = bench("plan")
    assert planned.code == 4
    assert "an operation (create) is in progress" in planned.out
    assert f"pid {running.pid}" in " ".join(planned.out.split())
    assert bench("show", "state").code == 0
    assert bench.contents() == before
