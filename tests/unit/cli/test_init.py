"""``devstream init``: the plugins, and the first state."""

from __future__ import annotations

from typing import Any

GOOD = """\
tools:
  - name: noop
    instanceID: a
"""
MISSING = """\
config: {state: {backend: tapes}}
tools:
  - name: nope
    instanceID: a
apps:
  - name: web
    spec: {language: python, framework: flask}
    repo: {scmType: local, owner: me, name: web}
    ci: [{type: another}]
"""


def test_it_makes_the_first_state_once(project: Any) -> None:
    project.write(GOOD)
    ended = project("init")
    assert ended.code == 0
    assert ended.out.splitlines()[0] == "plugins  ok  noop"
    assert ended.out.splitlines()[1].startswith("state    ok  made /")
    assert "Try next:  devstream plan" in ended.out
    state = project.folder / "devstream.state"
    before = state.read_bytes()
    again = project("init", "-o", "json")
    assert (again.code, again.data["made"], state.read_bytes()) == (0, False, before)
    assert project("run", "-y").code == 0
    assert "1 tool recorded" in project("init").out


def test_a_run_takes_the_state_over(project: Any) -> None:
    project.write(GOOD)
    project("init")
    lineage = project("show", "state", "-o", "json").data["lineage"]
    project("run", "-y")
    assert project("show", "state", "-o", "json").data["lineage"] == lineage


def test_missing_plugins_are_named_all_at_once(project: Any) -> None:
    project.write(MISSING)
    ended = project("init")
    command = "pip install devstream-plugin-another devstream-plugin-nope devstream-plugin-tapes"
    assert ended.code == 3
    assert ended.out == f"Plugins are missing. To install them:\n  {command}\n"
    assert ended.err.count("there is no ") == 3
    assert "at devstream.yaml:3:5" in ended.err
    data = project("init", "-o", "json").data
    assert data["install"] == command
    assert len(data["diagnostics"]) == 3
    assert not (project.folder / "devstream.state").exists()


def test_mistakes_of_the_config_end_it(project: Any) -> None:
    project.write("tools: [{name: noop, instanceID: a, options: {inputs: 1}}]")
    ended = project("init")
    assert ended.code == 3
    assert '"input"' in ended.err
    assert [path.name for path in project.folder.iterdir()] == ["devstream.yaml"]


def test_what_tools_take_from_the_environment_is_not_needed(project: Any) -> None:
    project.write("tools: [{name: noop, instanceID: a, options: {input: '[[ env NOT_SET ]]'}}]")
    assert project("init").code == 0


def test_what_is_no_state_is_left_as_it_is(project: Any) -> None:
    project.write(GOOD)
    state = project.write("not ours", "devstream.state")
    assert project("init").code == 6
    assert state.read_text() == "not ours"


def test_a_state_that_cannot_be_written(project: Any) -> None:
    project.write("config: {state: {backend: local, options: {stateFile: taken/x.state}}}\n" + GOOD)
    project.write("a file where a folder should be", "taken")
    ended = project("init")
    assert ended.code == 6
    assert "taken" in ended.err
