"""``devstream verify``: one line for each thing a run needs."""

from __future__ import annotations

from typing import Any

import pytest

GOOD = """\
tools:
  - name: noop
    instanceID: a
"""
UNREADABLE = """\
tools:
  - name: command
    instanceID: a
    options: {create: ["true"], read: [sh, -c, "exit 7"]}
"""
BROKEN_PLUGIN = "raise RuntimeError('not today')\n"

ORDER = ["configuration", "plugins", "state", "plan"]


def verdicts(ended: Any) -> list[str]:
    assert [check["name"] for check in ended.data["checks"]] == ORDER
    return [check["verdict"] for check in ended.data["checks"]]


def test_all_is_well(project: Any) -> None:
    project.write(GOOD)
    before = project("verify")
    assert before.code == 0
    assert [line.split()[:2] for line in before.out.splitlines()] == [
        ["configuration", "ok"],
        ["plugins", "ok"],
        ["state", "ok"],
        ["plan", "changes"],
    ]
    assert not (project.folder / "devstream.state").exists()
    assert project("verify", "--detailed-exitcode").code == 2
    project("run", "-y")
    after = project("verify", "--detailed-exitcode", "-o", "json")
    assert (after.code, verdicts(after)) == (0, ["ok"] * 4)
    assert "1 tool recorded" in after.data["checks"][2]["text"]


NOT = "not checked"
WRONG = [
    # configuration, verdicts, exit code, a part of what is said
    ("tools: [", ["failed", NOT, NOT, NOT], 3, "devstream.yaml:1"),
    ("tools: [{name: noop, instanceID: A B}]", ["failed", NOT, NOT, NOT], 3, "A B"),
    ("tools: [{name: nope, instanceID: a}]", ["ok", "failed", "ok", NOT], 3, "pip install devstream-plugin-nope"),
    ("tools: [{name: noop, instanceID: a, dependsOn: [noop.a]}]", ["failed", NOT, NOT, NOT], 3, "noop.a"),
    ("tools: [{name: noop, instanceID: a, options: {inputs: 1}}]", ["failed", NOT, NOT, NOT], 3, '"input"'),
    ("vars: {x: '[[ env NOT_SET ]]'}\n" + GOOD, ["failed", NOT, NOT, NOT], 3, "NOT_SET"),
    ("config: {state: {backend: nope}}\n" + GOOD, ["ok", "ok", "failed", NOT], 3, "devstream-plugin-nope"),
    (UNREADABLE, ["ok", "ok", "ok", "failed"], 4, "command.a"),
]  # fmt: skip


@pytest.mark.parametrize(("config", "expected", "code", "said"), WRONG)
def test_what_is_wrong_is_said(project: Any, config: str, expected: list[str], code: int, said: str) -> None:
    project.write(config)
    ended = project("verify", "-o", "json")
    assert (verdicts(ended), ended.code) == (expected, code)
    told = [item for item in ended.data["diagnostics"] if item["severity"] == "error"]
    assert told
    human = project("verify")
    assert human.code == code
    assert said in human.err


def test_a_damaged_state(project: Any) -> None:
    project.write(GOOD)
    project("run", "-y")
    (project.folder / "devstream.state").write_text("{")
    ended = project("verify", "-o", "json")
    assert (verdicts(ended), ended.code) == (["ok", "ok", "failed", NOT], 6)


def test_a_plugin_that_does_not_load(project: Any) -> None:
    project.write(GOOD)
    project.write(BROKEN_PLUGIN, "devstream_plugins.py")
    ended = project("verify", "-o", "json")
    assert ended.code == 3
    assert verdicts(ended)[1] == "failed"


def test_without_a_config(project: Any) -> None:
    ended = project("verify", "-o", "json")
    assert (verdicts(ended), ended.code) == (["failed", NOT, NOT, NOT], 3)
