"""``devstream destroy``: which state, which folder, and what is asked."""

from __future__ import annotations

from typing import Any

import pytest

CONFIG = """\
config:
  state: {backend: local, options: {stateFile: kept/here.state}}
tools:
  - name: file
    instanceID: a
    options: {path: a.txt, content: hello}
"""
PLAIN = CONFIG[CONFIG.index("tools:") :]


@pytest.fixture
def made(project: Any) -> Any:
    project.write(PLAIN)
    assert project("run", "-y").code == 0
    return project


def test_the_state_of_the_config(project: Any) -> None:
    project.write(CONFIG)
    project("run", "-y")
    ended = project("destroy", typed="yes\n")
    assert ended.code == 0
    assert f"Relative paths begin in {project.folder}" in ended.err
    assert "kept/here.state" in ended.out
    assert not (project.folder / "a.txt").exists()


def test_tools_of_the_config_do_not_matter(made: Any) -> None:
    made.write("tools: [{name: nothing-like-it, instanceID: x}]")
    assert made("destroy", "-y").code == 0
    assert not (made.folder / "a.txt").exists()


def test_yes_in_full_is_asked_for(made: Any) -> None:
    assert made("destroy", typed="y\n").code == 8
    assert made("destroy").code == 8
    assert (made.folder / "a.txt").exists()


def test_the_default_state_where_there_is_no_config(made: Any) -> None:
    (made.folder / "devstream.yaml").unlink()
    assert made("destroy", "-y").code == 0
    assert not (made.folder / "a.txt").exists()


def test_a_named_state_and_its_folder(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (made.folder / "elsewhere").mkdir()
    monkeypatch.chdir(made.folder / "elsewhere")
    shown = made("destroy", "--state", "../devstream.state", "--dry-run")
    assert shown.out.endswith("To carry it out:  devstream destroy --state ../devstream.state\n")
    ended = made("destroy", "--state", "../devstream.state", "-y", "-o", "json")
    assert ended.code == 0
    assert ended.data["folder"] == str(made.folder)
    assert ended.data["state"].endswith("/devstream.state")
    assert not (made.folder / "a.txt").exists()


def test_plugins_beside_a_named_state_are_used(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write(
        "from devstream.api import ResourceStatus, hookimpl, tool\n"
        "@tool('own')\n"
        "class Own:\n"
        "    @hookimpl\n"
        "    def create(self, tool, context): return ResourceStatus()\n"
        "    @hookimpl\n"
        "    def delete(self, tool, context): (context.folder / 'gone').touch()\n",
        "devstream_plugins.py",
    )
    project.write("tools: [{name: own, instanceID: a}]")
    assert project("run", "-y").code == 0
    monkeypatch.chdir("/")
    assert project("destroy", "-y", "--state", str(project.folder / "devstream.state")).code == 0
    assert (project.folder / "gone").exists()


@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_nothing_recorded_is_nothing_to_do(project: Any, flags: list[str]) -> None:
    ended = project("destroy", "-y", *flags)
    assert ended.code == 0
    assert ended.out.startswith("Nothing to do: nothing of it is recorded.\nState: ")
    assert list(project.folder.iterdir()) == []


def test_a_damaged_state_is_left_as_it_is(made: Any) -> None:
    state = made.folder / "devstream.state"
    state.write_bytes(state.read_bytes()[:40])
    assert made("destroy", "-y").code == 6
    assert (made.folder / "a.txt").exists()


def test_a_plugin_that_is_missing_is_named(made: Any) -> None:
    ended = made("destroy", "-y", "-p", "no:file")
    assert ended.code == 4
    assert '"file"' in ended.err
    assert (made.folder / "a.txt").exists()


def test_what_is_no_state(project: Any) -> None:
    ended = project("destroy", "--state", "ftp://x/y", "-y")
    assert ended.code == 3
    assert "does not name a state" in ended.err
