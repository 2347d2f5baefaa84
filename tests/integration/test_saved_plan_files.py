"""``plan --out FILE``, ``run FILE``, ``--check`` and ``--diff``, as people type them."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from devstream.errors import ExitCode

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "canary-4f1e9b7c"
CONFIG = """
vars: {who: nobody}
tools:
  - {name: file, instanceID: a, options: {path: a.txt, content: "hello [[ who ]]\\n"}}
  - name: file
    instanceID: b
    dependsOn: [file.a]
    options: {path: b.txt, content: 'x[[ env "TOKEN" ]] ${{ file.a.outputs.path }}'}
"""
LONG = "".join(f"line {number}\\n" for number in range(60))


@pytest.fixture
def plan(bench: Any, tmp_path: Path) -> Path:
    """A plan of CONFIG, beside the project."""
    bench.environ["TOKEN"] = CANARY
    bench.write(CONFIG)
    file = tmp_path / "my plan"
    assert bench("plan", "--var", "who=me", "--out", str(file)).code == 0
    return file


def test_it_stands_alone(bench: Any, plan: Path, tmp_path: Path) -> None:
    assert stat.S_IMODE(plan.stat().st_mode) == 0o600
    data = plan.read_bytes()
    assert data.startswith(b'{"devstream_plan":1,')
    assert CANARY.encode() not in data
    (bench.folder / "devstream.yaml").unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    ended = bench.process("run", "--chdir", str(elsewhere), str(plan))
    assert ended.code == 0, ended.err
    assert (bench.folder / "a.txt").read_text() == "hello me\n"
    assert (bench.folder / "b.txt").read_text() == f"x{CANARY} a.txt"
    assert CANARY not in ended.out + ended.err
    assert list(elsewhere.iterdir()) == []
    again = bench("run", str(plan))
    assert again.code == ExitCode.CONFIG
    assert "file.a: is recorded now; it was not" in again.err
    assert "file.b: is recorded now; it was not" in again.err


def test_the_plan_says_how_to_carry_it_out(bench: Any, tmp_path: Path) -> None:
    bench.write("tools: [{name: noop, instanceID: a}]")
    ended = bench("plan", "--out", "my plan")
    assert ended.out.endswith("To carry it out:  devstream run 'my plan'\n")
    data = bench("plan", "--out", "other", "-o", "json").data
    assert data["file"] == "other"
    assert data["changes"][0]["address"] == "noop.a"
    assert bench("plan", "--out", "other", "--detailed-exitcode").code == ExitCode.CHANGES
    assert sorted(path.name for path in bench.folder.iterdir()) == ["devstream.yaml", "my plan", "other"]


def test_nobody_is_asked_and_the_plan_is_shown(bench: Any, plan: Path) -> None:
    ended = bench("run", str(plan))
    assert ended.code == 0
    assert "Plan: 2 to create." in ended.out
    assert "[y/N]" not in ended.err


def test_as_data(bench: Any, plan: Path) -> None:
    looked = bench("run", str(plan), "--check", "-o", "json").data
    assert [change["action"] for change in looked["changes"]] == ["create", "create"]
    ran = bench("run", str(plan), "-o", "json").data
    assert [result["outcome"] for result in ran["results"]] == ["succeeded", "succeeded"]
    stale = bench("run", str(plan), "-o", "json").data
    assert stale["exit_code"] == 3
    assert {item["code"] for item in stale["diagnostics"]} == {"stale-plan"}
    assert {item["address"] for item in stale["diagnostics"]} == {None, "file.a", "file.b"}


def test_a_config_that_changed_is_only_remarked_on(bench: Any, plan: Path) -> None:
    bench.write("tools: []")
    ended = bench("run", str(plan))
    assert ended.code == 0
    assert "the configuration has changed since the plan was made" in ended.err
    assert (bench.folder / "a.txt").read_text() == "hello me\n"


def test_nothing_else_may_be_said_about_the_plan(bench: Any, plan: Path) -> None:
    for option in (
        ["-f", "x.yaml"], ["--var", "a=b"], ["--var-file", "x"], ["-p", "no:x"], ["--replace", "file.a"],
        ["--unprotect", "file.a"], ["--target", "file.a"], ["--exclude", "file.a"], ["-k", "a"], ["--tags", "a"],
        ["--lf"], ["--no-refresh"],
    ):  # fmt: skip
        ended = bench("run", str(plan), *option)
        assert ended.code == ExitCode.CONFIG
        assert f"a saved plan stands alone: {option[0]} has no place beside it" in ended.err
    assert not (bench.folder / "a.txt").exists()


@pytest.mark.parametrize(
    "what", ["empty", "yaml", "binary", "folder", "missing", "cut off", "flipped", "newer"]
)
def test_what_is_no_plan_ends_well_and_does_nothing(bench: Any, plan: Path, what: str) -> None:
    data = plan.read_bytes()
    contents = {
        "empty": b"", "yaml": CONFIG.encode(), "binary": os.urandom(500), "cut off": data[:-40],
        "flipped": data.replace(b"hello", b"hellp"), "newer": data.replace(b'plan":1', b'plan":9', 1),
    }  # fmt: skip
    file = bench.folder / "it.txt"
    if what == "folder":
        file.mkdir()
    elif what != "missing":
        file.write_bytes(contents[what])
    before = bench.contents()
    ended = bench("run", "it.txt", "-y")
    assert ended.code == ExitCode.CONFIG
    assert "it.txt" in ended.err
    if what in ("yaml", "folder", "binary"):
        assert "a configuration is named with -f: -f" in ended.err
    assert bench.contents() == before


def test_other_files_are_not_overwritten(bench: Any, plan: Path) -> None:
    before = (bench.folder / "devstream.yaml").read_text()
    ended = bench("plan", "--out", "devstream.yaml")
    assert ended.code == ExitCode.CONFIG
    assert "is there already, and is not a saved plan" in ended.err
    assert (bench.folder / "devstream.yaml").read_text() == before
    first = plan.read_bytes()
    assert bench("plan", "--out", str(plan)).code == 0
    assert plan.read_bytes() != first
    assert bench("plan", "--out", "nowhere/x.plan").code == ExitCode.CONFIG
    assert bench("plan", "--out", ".").code == ExitCode.CONFIG


def test_a_local_plugin_and_one_that_was_named_come_along(bench: Any, tmp_path: Path) -> None:
    source = """
from devstream.api import ResourceStatus, hookimpl, tool

@tool("{0}")
class Greeting:
    @hookimpl
    def create(self, tool, context):
        (context.folder / "{0}.txt").write_text("made")
        return ResourceStatus()
"""
    bench.write(source.format("beside"), "devstream_plugins.py")
    bench.write(source.format("named"), "named.py")
    bench.write("tools: [{name: beside, instanceID: a}, {name: named, instanceID: a}]")
    file = str(tmp_path / "a.plan")
    assert bench.process("plan", "-p", "named.py", "--out", file).code == 0
    bench.write(source.format("named") + "# another", "named.py")
    ended = bench.process("run", "--chdir", str(tmp_path), file)
    assert ended.code == ExitCode.CONFIG
    assert 'the plugin of "named" is' in ended.err
    bench.write(source.format("named"), "named.py")
    ended = bench.process("run", "--chdir", str(tmp_path), file)
    assert ended.code == 0, ended.err
    assert (bench.folder / "beside.txt").read_text() == (bench.folder / "named.txt").read_text() == "made"


ENCRYPTED = """
config: {state: {encryption: {keys: [{name: main, keyFile: key}]}}}
tools: [{name: noop, instanceID: a, options: {input: marker-in-the-plan}}]
"""


def test_encrypted_where_the_state_is(bench: Any) -> None:
    pytest.importorskip("cryptography")
    key, wrong = (bytes([number]) * 32 for number in (1, 2))
    bench.write(key, "key")
    bench.write(ENCRYPTED)
    assert bench("plan", "--out", "a.plan").code == 0
    file = bench.folder / "a.plan"
    data = file.read_bytes()
    assert json.loads(data)["devstream_plan"] == 1
    assert b"marker-in-the-plan" not in data
    (bench.folder / "devstream.yaml").unlink()
    bench.write(wrong, "key")
    ended = bench("run", "a.plan")
    assert ended.code == ExitCode.CREDENTIALS
    assert "is encrypted with" in ended.err
    bench.write(key, "key")
    file.write_bytes(data.replace(b'"lineage": ""', b'"lineage": "x"'))
    ended = bench("run", "a.plan")
    assert (ended.code, "is damaged" in ended.err) == (ExitCode.CONFIG, True)
    assert not (bench.folder / "devstream.state").exists()
    file.write_bytes(data)
    assert bench("run", "a.plan").code == 0
    assert b"marker-in-the-plan" not in (bench.folder / "devstream.state").read_bytes()


KILLED = """
tools:
  - {name: noop, instanceID: before}
  - name: command
    instanceID: slow
    dependsOn: [noop.before]
    options:
      create: [sh, -c, "test -e slow.txt && exit; echo started > ../started; read line < ../go; echo done > slow.txt"]
      read: [sh, -c, "test -e slow.txt && echo '{}' || exit 3"]
      delete: ["true"]
  - {name: noop, instanceID: after, dependsOn: [command.slow]}
"""


def test_killed_in_the_middle_a_plain_run_converges(bench: Any, tmp_path: Path) -> None:
    bench.write(KILLED)
    for name in ("started", "go"):
        os.mkfifo(tmp_path / name)
    assert bench("plan", "--out", "a.plan").code == 0
    command = [sys.executable, "-m", "devstream", "run", "a.plan"]
    with subprocess.Popen(
        command, cwd=bench.folder, env=bench.environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as run:
        assert (tmp_path / "started").read_text() == "started\n"
        run.send_signal(signal.SIGKILL)
    (tmp_path / "go").write_text("go\n")  # the command outlives whoever started it
    stale = bench.process("run", "a.plan")
    assert stale.code == ExitCode.CONFIG
    assert "noop.before: is recorded now; it was not" in stale.err
    ended = bench.process("run", "-y")
    assert ended.code == 0, ended.err
    assert bench("plan", "--detailed-exitcode").code == 0
    assert (bench.folder / "slow.txt").read_text() == "done\n"


# ---- --check and --diff


@pytest.mark.parametrize("verb", ["run", "delete", "destroy"])
def test_check_shows_the_plan_and_does_nothing(bench: Any, verb: str) -> None:
    bench.write("tools: [{name: file, instanceID: a, options: {path: a.txt, content: x}}]")
    if verb != "run":
        assert bench("run", "-y").code == 0
    before = bench.contents()
    checked, dry = bench(verb, "--check"), bench(verb, "--dry-run")
    assert (checked.code, checked.out) == (0, dry.out)
    assert "Plan: 1 to " in checked.out
    assert bench.contents() == before


def test_diff_shows_long_texts_to_their_end(bench: Any) -> None:
    text = 'tools: [{{name: file, instanceID: a, options: {{path: a.txt, content: "{}"}}}}, {{name: noop, instanceID: b}}]'
    bench.write(text.format(LONG))
    assert bench("run", "-y").code == 0
    bench.write(text.format(LONG.replace("line", "verse")))
    short, whole = bench("plan").out, bench("plan", "--diff").out
    assert "verse 59" not in short
    assert "+ verse 59" in whole
    assert "noop.b" not in whole, "--full shows what stays, too"
    ran = bench("run", "-y", "--diff")
    assert "+ verse 59" in ran.out
    assert ran.code == 0


# ---- the state in the current folder


def test_the_state_beside_is_shown_without_a_config(bench: Any) -> None:
    bench.write("tools: [{name: noop, instanceID: a, options: {input: 7}}]")
    assert bench("run", "-y").code == 0
    (bench.folder / "devstream.yaml").unlink()
    assert "noop.a" in bench("show", "state").out
    assert "noop.a" in bench("show", "status").out
    ended = bench("show", "outputs", "-o", "json")
    assert (ended.code, list(ended.data["outputs"])) == (0, ["noop.a"])
    assert bench("show", "state", "noop.a").code == 0


def test_an_unknown_backend_is_named_with_its_place(bench: Any) -> None:
    bench.write("config:\n  state: {backend: tapes}\ntools: []\n")
    for verb in ("plan", "run"):
        ended = bench(verb)
        assert ended.code == ExitCode.CONFIG
        assert 'there is no state backend "tapes"' in ended.err
        assert "devstream.yaml:2:10" in ended.err
