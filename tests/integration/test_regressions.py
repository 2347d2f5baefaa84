"""Defects of the original DevStream (v0.10.3), a test each, so that none of them comes back.

D12 to D14 and D16 are about how it downloaded plugins and templates and called docker; nothing of that is left.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import ResourceStatus, hookimpl, tool
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, World

if TYPE_CHECKING:
    from devstream.api import Context, Tool

NOOP = "tools:\n  - name: noop\n    instanceID: a\n"


@pytest.fixture
def thing(project: Project) -> Thing:
    made = Thing()
    project.use(made)
    return made


@pytest.fixture
def world(project: Project) -> World:
    return World(project.folder / "world")


def command(instance: str, *, after: str = "", **hooks: str) -> str:
    """Write a block of ``command`` whose hooks are shell scripts."""
    lines = "".join(f"      {hook}: {json.dumps(['sh', '-c', script])}\n" for hook, script in hooks.items())
    depends = f"    dependsOn: [{after}]\n" if after else ""
    return f"  - name: command\n    instanceID: {instance}\n{depends}    options:\n{lines}"


def values(bench: Any, address: str) -> Any:
    return bench("show", "outputs", address, "-o", "json").data["outputs"][address]["output"]


def test_d01_a_reference_that_cannot_be_resolved_is_a_failure(bench: Any) -> None:
    """It was skipped, and the run ended with "all plugins applied successfully"."""
    bench.write(
        "tools:\n- {name: noop, instanceID: up, options: {input: {port: 80}}}\n"
        "- {name: noop, instanceID: down, options: {input: '${{ noop.up.outputs.output.prt }}'}}\n"
        "- {name: noop, instanceID: below, dependsOn: [noop.down]}\n"
    )
    ended = bench("run", "-y", "-o", "json")
    results = {result["address"]: result["outcome"] for result in ended.data["results"]}
    assert ended.code == 4
    assert results == {"noop.up": "succeeded", "noop.down": "failed", "noop.below": "skipped"}
    problem = next(item for item in ended.data["diagnostics"] if item["address"] == "noop.down")
    assert "prt" in problem["summary"]
    assert "port" in problem["suggestion"] + problem["detail"]


def test_d02_the_state_is_never_half_written_and_never_empty(bench: Any) -> None:
    """It was written in place, mode 0644; killed in between it was empty, which meant "nothing is there"."""
    bench.write("tools:\n" + "".join(f"- {{name: noop, instanceID: t{n}}}\n" for n in range(30)))
    bench.write(
        "import json\nfrom pathlib import Path\nfrom devstream.api import hookimpl\n\n\n"
        "@hookimpl\ndef devstream_event(event):\n"
        "    state = Path(__file__).with_name('devstream.state')\n"
        "    if state.exists():\n        json.loads(state.read_text())\n"
        "        assert state.stat().st_mode & 0o777 == 0o600\n",
        "devstream_plugins.py",
    )
    ended = bench("run", "-y")
    assert ended.code == 0
    assert "failed as an observer" not in ended.err
    path = bench.folder / "devstream.state"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"")
    assert bench("run", "-y").code == 6
    assert path.read_bytes() == b""


def test_d02_killed_in_the_middle_it_goes_on_where_it_was(bench: Any) -> None:
    os.mkfifo(bench.folder / "reached")
    made = {name: f"echo {name} >> made" for name in ("one", "two")}
    bench.write(
        "tools:\n" + command("one", create=made["one"], read="grep -q one made || exit 3")
        + command("stuck", after="command.one", create="echo $$ > reached; exec sleep 60", read="test -e unstuck || exit 3")
        + command("two", after="command.stuck", create=made["two"], read="grep -q two made || exit 3")
    )  # fmt: skip
    victim = subprocess.Popen(
        [sys.executable, "-m", "devstream", "run", "-y"],
        cwd=bench.folder, env=bench.environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    child = int((bench.folder / "reached").read_text())
    victim.kill()
    victim.wait()
    os.kill(child, signal.SIGKILL)  # the next run would wait for it
    text = (bench.folder / "devstream.yaml").read_text()
    bench.write(text.replace("echo $$ > reached; exec sleep 60", "touch unstuck"))
    assert bench("run", "-y").code == 0
    assert (bench.folder / "made").read_text() == "one\ntwo\n"


def test_d03_runs_at_the_same_time_lose_nothing(bench: Any) -> None:
    """There was no lock between processes: the last writer won."""
    bench.write(
        "tools:\n" + command("a", create="echo a >> made; sleep 0.2") + command("b", create="echo b >> made")
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-m", "devstream", "run", "-y"],
            cwd=bench.folder, env=bench.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    told = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0, 0], told
    assert sorted((bench.folder / "made").read_text().split()) == ["a", "b"]
    assert set(bench("show", "state", "-o", "json").data["tools"]) == {"command.a", "command.b"}


def test_d04_removed_tools_are_deleted_dependents_first(bench: Any) -> None:
    """The delete forgot what depended on what, and went in the order of a hash table."""
    names = ["db", "api", "web", "cdn"]
    chain = [
        command(name, after=f"command.{below}" if below else "", create="true", delete=f"echo {name} >> gone")
        for name, below in zip(names, ["", *names], strict=False)
    ]
    bench.write("tools:\n" + "".join(reversed(chain)))
    assert bench("run", "-y").code == 0
    bench.write("tools: []\n")
    assert bench("run", "-y").code == 0
    assert (bench.folder / "gone").read_text().split() == ["cdn", "web", "api", "db"]


def test_d05_independent_tools_run_at_once(bench: Any) -> None:
    """What could run in parallel ran one by one: these two wait for each other."""
    os.mkfifo(bench.folder / "pipe")
    bench.write(
        "tools:\n" + command("a", create="echo hello > pipe") + command("b", create="read line < pipe")
    )
    assert bench("run", "-y").code == 0


def test_d05_a_failure_stops_only_what_depends_on_it(bench: Any) -> None:
    """It stopped every later batch; and once upon a time it stopped nothing, dependents neither."""
    bench.write(
        "tools:\n" + command("bad", create="exit 1") + command("below", after="command.bad", create="touch below")
        + command("other", create="true") + command("after", after="command.other", create="touch after")
    )  # fmt: skip
    ended = bench("run", "-y", "-o", "json")
    outcomes = {result["address"]: result["outcome"] for result in ended.data["results"]}
    assert ended.code == 4
    assert outcomes == {
        "command.bad": "failed", "command.below": "skipped", "command.other": "succeeded", "command.after": "succeeded",
    }  # fmt: skip
    assert (bench.folder / "after").exists()
    assert not (bench.folder / "below").exists()


def test_d06_references_in_lists_of_any_type_several_in_one_text(bench: Any) -> None:
    """Lists were passed over, numbers crashed, several references all got one value, `$` was interpreted."""
    bench.write(
        "tools:\n- name: noop\n  instanceID: up\n  options:\n    input:\n"
        "      port: 8080\n      on: true\n      none: null\n      list: [1, {b: 2.5}]\n      pass: 'a$1b$$c\\1'\n"
        "- name: noop\n  instanceID: down\n  options:\n    input:\n"
        "      list: ['${{ noop.up.outputs.output.port }}', {deep: ['${{ noop.up.outputs.output.list }}']}]\n"
        "      first: ${{ noop.up.outputs.output.list[1].b }}\n"
        "      null: ${{ noop.up.outputs.output.none }}\n"
        "      text: ${{ noop.up.outputs.output.port }}-${{ noop.up.outputs.output.on }}-${{ noop.up.outputs.output.pass }}\n"
    )
    assert bench("run", "-y").code == 0
    assert values(bench, "noop.down") == {
        "list": [8080, {"deep": [[1, {"b": 2.5}]]}],
        "first": 2.5,
        "null": None,
        "text": "8080-true-a$1b$$c\\1",
    }
    assert bench("plan", "--detailed-exitcode").code == 0


def test_d07_the_variables_of_a_repository_template_arrive(bench: Any) -> None:
    """`repoTemplate.vars` was never copied into the tool that makes the repository."""
    bench.write(
        "vars: {who: me}\napps:\n- name: shop\n  spec: {language: python}\n  repo: {scmType: local, baseURL: repos}\n"
        "  repoTemplate:\n    url: builtin:python-http\n    vars: {greeting: Hello, owner: [[ who ]]}\n"
    )
    shown = bench("show", "expanded", "-o", "json")
    made = next(item for item in shown.data["tools"] if item["name"] == "repo-scaffolding")
    assert made["options"]["vars"] == {"greeting": "Hello", "owner": "me"}


def test_d08_the_file_is_read_as_yaml_and_places_are_known(bench: Any) -> None:
    """It was cut by a regular expression: sections twice were joined, lines lost, numbers became text."""
    bench.write(
        "vars:\n  port: 8080\n"
        + NOOP
        + "    options:\n      input: {port: [[ port ]], text: 'x-[[ port ]]'}\n"
    )
    assert bench("run", "-y").code == 0
    assert values(bench, "noop.a") == {"port": 8080, "text": "x-8080"}
    bench.write(NOOP + NOOP)
    twice = bench("plan")
    assert twice.code == 3
    assert "at devstream.yaml:4:1" in twice.err
    bench.write("# tools:\n" + NOOP + "    options:\n      input: |\n        vars:\n          apps:\n")
    assert bench("run", "-y").code == 0
    assert values(bench, "noop.a") == "vars:\n  apps:\n"


def test_d09_it_looks_before_it_changes(project: Project, thing: Thing, world: World) -> None:
    """Changed options meant an update of what may be gone; nothing recorded meant a create of what may be there."""
    project.tools(block("thing.a", {"value": 1}))
    project.run().assert_success()
    world.remove(project.entry("thing.a").outputs["id"])
    project.tools(block("thing.a", {"value": 2}), block("thing.b", {"value": 3}))
    world.put({"name": "thing.b", "value": 0, "fixed": None})
    plan = project.plan()
    assert plan.actions == {"thing.a": "create", "thing.b": "error"}
    assert "adopt: true" in str(plan.change("thing.b").error)
    project.tools(block("thing.a", {"value": 2}), block("thing.b", {"value": 3}, adopt=True))
    project.run().assert_success()
    assert world.doubled() == []
    assert [item["value"] for item in world.things().values() if item["name"] == "thing.b"] == [3]


def test_d10_a_plan_shows_the_fields_that_differ_and_where_they_are_written(bench: Any) -> None:
    """It said one sentence for each tool."""
    bench.write(NOOP + "    options:\n      input: {size: 3, same: 1}\n")
    assert bench("run", "-y").code == 0
    bench.write(NOOP + "    options:\n      input: {size: 4, same: 1}\n")
    planned = bench("plan")
    changed = next(line for line in planned.out.splitlines() if "size:" in line)
    assert "3" in changed
    assert "4" in changed
    assert "devstream.yaml:5" in changed
    assert "same" not in planned.out


def test_d11_a_secret_is_in_no_output_and_no_file(bench: Any) -> None:
    """The debug log printed options, variables and the state, and the state held tokens in clear."""
    token = "s3cr3t-t0ken-0123456789"
    bench.environ["TOKEN"] = token
    bench.write(
        "vars: {token: [[ env TOKEN ]]}\ntools:\n- name: command\n  instanceID: a\n  options:\n"
        "    create: [sh, -c, 'echo using $T; echo $T >&2; exit 1']\n    env: {T: [[ token ]]}\n"
        "- {name: noop, instanceID: b, options: {input: [[ env TOKEN ]]}}\n"
    )
    told = ""
    for arguments in (("plan", "--debug"), ("plan", "--full"), ("run", "-y", "--debug"), ("run", "-y", "-o", "ndjson"), ("show", "state", "-o", "json"), ("show", "config")):  # fmt: skip
        ended = bench(*arguments)
        told += ended.out + ended.err
    assert "using" in told
    assert token not in told
    for path in (*bench.folder.rglob("*"), *bench.home.rglob("*")):
        assert not path.is_file() or token.encode() not in path.read_bytes(), path


def test_d15_what_is_wrong_can_be_told_from_the_exit_code(bench: Any) -> None:
    """`verify` had one answer for a wrong config, a missing plugin and pending changes, and errors before the first run."""
    bench.write(NOOP)
    first = bench("validate")
    assert (first.code, first.err) == (0, "")
    pending = bench("plan", "--detailed-exitcode")
    assert (pending.code, pending.err) == (2, "")
    assert bench("run", "-y").code == 0
    assert bench("plan", "--detailed-exitcode").code == 0
    bench.write(NOOP.replace("noop", "nop"))
    missing = bench("plan", "--detailed-exitcode", "-o", "json")
    bench.write(NOOP + "    option: {}\n")
    wrong = bench("plan", "--detailed-exitcode", "-o", "json")
    assert (missing.code, wrong.code) == (3, 3)
    assert [ended.data["diagnostics"][0]["code"] for ended in (missing, wrong)] == [
        "plugin-missing",
        "unknown-key",
    ]


@tool("ticker")
class Ticker:
    """Reports something else each time it is looked at."""

    def __init__(self) -> None:
        self.ticks = 0
        self.where = "info"

    def _status(self) -> ResourceStatus:
        self.ticks += 1
        return ResourceStatus(**{self.where: {"ticks": self.ticks}})

    @hookimpl
    def create(self) -> ResourceStatus:
        return self._status()

    @hookimpl
    def update(self) -> ResourceStatus:
        return self._status()

    @hookimpl
    def read(self, tool: Tool, context: Context) -> ResourceStatus | None:
        return self._status() if self.ticks else None


def test_d17_what_lives_by_itself_is_no_change(project: Project) -> None:
    """A `read` whose answer never stands still made an update of every second run."""
    ticker = Ticker()
    project.use(ticker)
    project.tools(block("ticker.a"))
    project.run().assert_success()
    for _ in range(3):
        project.plan().assert_nothing_to_do()
    assert project.run().report is None


def test_d17_a_property_that_does_not_stand_still_is_named(project: Project) -> None:
    ticker = Ticker()
    ticker.where = "properties"
    project.use(ticker)
    project.tools(block("ticker.a"))
    project.run().assert_success()
    planned = project.plan()
    assert planned.actions == {"ticker.a": "update"}
    assert "ticks" in planned.reasons("ticker.a")


def test_d18_what_could_not_be_deleted_stays_recorded(bench: Any) -> None:
    """It was taken out of the state, and nobody knew of it any more."""
    bench.write(
        "tools:\n" + command("a", create="true", delete="test -e may || { echo not yet >&2; exit 1; }")
    )
    assert bench("run", "-y").code == 0
    bench.write("tools: []\n")
    failed = bench("run", "-y")
    assert failed.code == 4
    assert "not yet" in failed.err
    assert list(bench("show", "state", "-o", "json").data["tools"]) == ["command.a"]
    (bench.folder / "may").touch()
    assert bench("run", "-y").code == 0
    assert bench("show", "state", "-o", "json").data["tools"] == {}


def test_d19_a_declined_run_is_not_a_success(bench: Any) -> None:
    """ "Not applied" and "applied" had the same exit code."""
    bench.write(NOOP)
    before = bench.contents()
    nobody = bench("run")
    assert nobody.code == 8
    assert "--yes" in nobody.err
    after = {name: told for name, told in bench.contents().items() if "devstream.state" not in name}
    assert after == before
    assert bench("show", "state", "-o", "json").data["tools"] == {}
    assert bench("run", "-y").code == 0
