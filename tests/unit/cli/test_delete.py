"""``devstream delete``: what is shown, what is asked, how it ends."""

from __future__ import annotations

from typing import Any

import pytest

CHAIN = """\
tools:
  - name: file
    instanceID: a
    options: {path: out/a.txt, content: hello}
  - name: noop
    instanceID: b
    options: {input: "${{ file.a.outputs.path }}"}
"""
PROTECTED = CHAIN.replace("instanceID: b", "instanceID: b\n    protect: true")
STUCK = """\
tools:
  - name: command
    instanceID: stuck
    options: {create: ["true"], delete: [sh, -c, "echo busy >&2; exit 1"]}
"""


@pytest.fixture
def made(project: Any) -> Any:
    project.write(CHAIN)
    assert project("run", "-y").code == 0
    return project


def test_it_shows_the_plan_and_asks_for_yes_in_full(made: Any) -> None:
    declined = made("delete", typed="y\n")
    assert declined.code == 8
    assert (
        "to be removed\n  -   delete noop.b  asked for\n  -   delete file.a  asked for\n\nPlan: 2 to delete."
        in declined.out
    )
    assert 'Only "yes" in full counts' in declined.err
    assert (made.folder / "out/a.txt").exists()
    agreed = made("delete", typed="yes\n")
    assert agreed.code == 0
    assert "2 succeeded" in agreed.out
    assert "devstream show state  what is still recorded" in agreed.out
    assert not (made.folder / "out/a.txt").exists()


def test_nobody_there_to_ask(made: Any) -> None:
    ended = made("delete")
    assert ended.code == 8
    assert "--yes" in ended.err


def test_a_dry_run_only_shows_it(made: Any) -> None:
    ended = made("delete", "--dry-run")
    assert ended.code == 0
    assert ended.out.endswith("To carry it out:  devstream delete\n")
    assert (made.folder / "out/a.txt").exists()
    actions = [change["action"] for change in made("delete", "--dry-run", "-o", "json").data["changes"]]
    assert actions == ["delete", "delete"]


def test_the_answer_as_data(made: Any) -> None:
    data = made("delete", "-y", "-o", "json").data
    assert [(result["address"], result["outcome"]) for result in data["results"]] == [
        ("noop.b", "succeeded"),
        ("file.a", "succeeded"),
    ]
    assert data["command"] == "delete"


@pytest.mark.parametrize("flags", [[], ["--dry-run"], ["-q"]])
def test_nothing_recorded_is_nothing_to_do(project: Any, flags: list[str]) -> None:
    project.write(CHAIN)
    ended = project("delete", *flags)
    assert ended.code == 0
    assert ended.out.startswith("Nothing to do: nothing of it is recorded.")
    assert not (project.folder / "devstream.state").exists()


def test_protected_is_left_with_what_it_stands_on(project: Any) -> None:
    project.write(PROTECTED)
    project("run", "-y")
    ended = project("delete", "-y")
    assert ended.code == 9
    assert "! keep" in " ".join(ended.out.split())
    assert "noop.b, which is protected, stands on it: left in place" in ended.out
    assert (project.folder / "out/a.txt").exists()


def test_what_fails_is_still_recorded(project: Any) -> None:
    project.write(STUCK)
    project("run", "-y")
    ended = project("delete", "-y")
    assert ended.code == 4
    assert "busy" in ended.err
    assert "devstream delete      try again what did not succeed" in ended.out
    assert list(project("show", "state", "-o", "json").data["tools"]) == ["command.stuck"]


def test_without_a_config_there_is_nothing_to_go_by(project: Any) -> None:
    ended = project("delete", "-y")
    assert ended.code == 3
    assert "devstream.yaml" in ended.err


def test_variables_of_the_environment_are_not_needed(project: Any) -> None:
    project.write(CHAIN.replace("hello", '[[ env("TEXT", secret=false) ]]'))
    assert project("run", "-y", TEXT="hello").code == 0
    assert project("delete", "-y").code == 0


def test_a_secret_that_was_recorded_is(project: Any) -> None:
    project.write(CHAIN.replace("hello", "[[ env TEXT ]]"))
    assert project("run", "-y", TEXT="hello").code == 0
    ended = project("delete", "-y")
    assert ended.code == 4
    assert "file.a: the environment variable TEXT is not set" in ended.err
    assert project("delete", "-y", TEXT="another one").code == 0


def test_protection_is_lifted_by_name(project: Any) -> None:
    project.write(PROTECTED)
    project("run", "-y")
    shown = project("delete", "--unprotect", "noop.b", "--dry-run")
    assert shown.out.endswith("To carry it out:  devstream delete --unprotect noop.b\n")
    assert project("delete", "--unprotect", "noop.b", "-y").code == 0
    assert not (project.folder / "out/a.txt").exists()


def test_the_plan_of_a_replacement_says_how_to_carry_it_out(made: Any) -> None:
    shown = made("plan", "--replace", "file.a")
    assert "replace file.a" in shown.out
    assert shown.out.endswith("To carry it out:  devstream run --replace file.a\n")
    assert "--replace" not in made("run", "-y", "--replace", "file.a").out
