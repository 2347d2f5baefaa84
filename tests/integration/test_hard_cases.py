"""Hard cases of planning and running that belong to nothing else: each a story from beginning to end."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError
from devstream.testing.project import Project, block
from devstream.testing.world import Thing

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def thing(project: Project) -> Thing:
    made = Thing()
    project.use(made)
    return made


def id_of(upstream: str) -> dict[str, str]:
    return {"value": f"${{{{ {upstream}.outputs.id }}}}"}


def unreachable(*_: object) -> None:
    message = "the service does not answer"
    raise OperationError(message)


def test_a_tool_is_taken_out_of_the_middle_of_a_chain(project: Project, thing: Thing) -> None:
    """Its dependent moves to what is left before it is deleted, and nothing else is touched."""
    project.tools(block("thing.a"), block("thing.b", id_of("thing.a")), block("thing.c", id_of("thing.b")))
    project.run().assert_success()
    first = project.entry("thing.a")
    project.tools(block("thing.a"), block("thing.c", id_of("thing.a")))
    assert project.plan().actions == {"thing.a": "noop", "thing.c": "update", "thing.b": "delete"}
    assert project.run().assert_success().started == ["update thing.c", "delete thing.b"]
    assert project.entry("thing.a") == first
    assert project.entry("thing.c").properties["value"] == first.outputs["id"]
    assert project.entry("thing.c").depends_on == ("thing.a",)
    project.plan().assert_nothing_to_do()


def test_a_tool_is_put_into_the_middle_of_a_chain(project: Project, thing: Thing) -> None:
    project.tools(block("thing.a"), block("thing.c", id_of("thing.a")))
    project.run().assert_success()
    project.tools(block("thing.a"), block("thing.b", id_of("thing.a")), block("thing.c", id_of("thing.b")))
    assert project.run().assert_success().started == ["create thing.b", "update thing.c"]
    assert project.entry("thing.c").properties["value"] == project.entry("thing.b").outputs["id"]
    project.plan().assert_nothing_to_do()


def test_a_failed_read_hurts_its_subtree_and_nobody_else(project: Project, thing: Thing) -> None:
    def tools(value: int) -> list[dict[str, Any]]:
        return [
            block("thing.root", {"value": value}),
            block("thing.away", {"value": value}, after=["thing.root"]),
            block("thing.child", {"value": value}, after=["thing.away"]),
            block("thing.grandchild", {"value": value}, after=["thing.child"]),
            block("thing.sibling", {"value": value}, after=["thing.root"]),
            block("thing.apart", {"value": value}),
        ]

    project.tools(*tools(1))
    project.run().assert_success()
    before = {name: project.entry(name) for name in ("thing.away", "thing.child", "thing.grandchild")}
    thing.before["read thing.away"] = unreachable
    project.tools(*tools(2))
    assert project.plan().actions["thing.away"] == "error"
    ran = project.run()
    assert ran.outcomes == {
        "thing.root": "update succeeded",
        "thing.apart": "update succeeded",
        "thing.away": "error failed",
        "thing.sibling": "update succeeded",
        "thing.child": "update skipped",
        "thing.grandchild": "update skipped",
    }
    assert "the service does not answer" in ran.problem("thing.away").summary
    assert {name: project.entry(name) for name in before} == before
    thing.before.clear()
    assert len(project.run().assert_success().started) == 3
    project.plan().assert_nothing_to_do()


GRANDCHILD = "sleep 300 & echo $! > grandchild; wait"


def test_a_command_that_takes_too_long_takes_its_grandchildren_with_it(project: Project) -> None:
    waits = block("command.waits", {"create": ["sh", "-c", GRANDCHILD]}, timeout=0.5)
    project.tools(waits, block("noop.other"))
    ran = project.run()
    assert ran.outcomes == {"command.waits": "create failed", "noop.other": "create succeeded"}
    assert has_ended(int((project.folder / "grandchild").read_text()))


def has_ended(pid: int) -> bool:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ended, _, _ = select.select([descriptor], [], [], 15)
    os.close(descriptor)
    return bool(ended)


# ---- streams

MANY = "tools:\n" + "".join(
    f"  - {{name: file, instanceID: t{number}, options: {{path: out/{number}, content: x}}}}\n"
    for number in range(40)
)


def started(folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    return subprocess.run(
        ["sh", "-c", f'"{sys.executable}" -m devstream {command}'],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-", "| head -n 1", "2>&1 | head -n 1", "<&-"])
def test_a_run_is_carried_out_whoever_listens(tmp_path: Path, closing: str) -> None:
    (tmp_path / "devstream.yaml").write_text(MANY)
    done = started(tmp_path, f"run -y -v {closing}")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr + done.stdout
    assert len(list((tmp_path / "out").iterdir())) == 40
    again = started(tmp_path, "plan --detailed-exitcode")
    assert (again.returncode, again.stdout.splitlines()[0]) == (
        0,
        "No changes: 40 tools are as the configuration says.",
    )


NARROW = [
    ["plan"],
    ["plan", "--target", "app:*", "-k", "two or three"],
    ["run", "-y"],
    ["show", "state"],
    ["show", "outputs"],
    ["show", "status"],
    ["verify"],
    ["destroy", "--dry-run"],
    ["destroy", "-y"],
]
SMALL = """\
tools:
  - {name: file, instanceID: one, options: {path: out/one, content: some words in a line that is long}}
apps:
  - name: shop
    spec: {language: python}
    repo: {owner: acme, scmType: local}
    ci:
      - {type: noop, name: two, options: {input: [a list, of some, words]}}
      - {type: noop, name: three, options: {input: 3}}
"""


def test_forty_columns_are_enough(bench: Any) -> None:
    """A line of a result is longer only where it is one word, or a command or place that people copy."""
    bench.environ["COLUMNS"] = "40"
    bench.write(SMALL)
    for argv in NARROW:
        ended = bench(*argv)
        assert ended.code == 0, ended.err
        long = [line for line in ended.out.splitlines() if len(line) > 40]
        assert not [line for line in long if not copied(line)], (argv, long)


def copied(line: str) -> bool:
    words = line.split()
    return (
        len(words) < 2
        or "devstream " in line
        or any(len(word) > 30 for word in words)
        or line.startswith("State: ")
    )
