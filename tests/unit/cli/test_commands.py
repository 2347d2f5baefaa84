"""Commands from arguments to streams and exit codes, with real sessions."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import click
import pytest

from devstream.cli.commands import ALIASES, ENTRIES, root
from devstream.errors import DevstreamError
from devstream.model.events import Event

if TYPE_CHECKING:
    from pathlib import Path

TWO = """\
tools:
  - name: noop
    instanceID: a
    options:
      input: {x: 1}
  - name: noop
    instanceID: b
    options:
      input: ${{ noop.a.outputs.output }}
"""

ONE = TWO[: TWO.index("  - name: noop\n    instanceID: b")]

FAILING = """\
tools:
  - name: command
    instanceID: bad
    options:
      create: [sh, -c, "echo because >&2; exit 1"]
  - name: noop
    instanceID: after
    dependsOn: [command.bad]
"""


def every_command(command: click.Command, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(command, click.Group):
        return [path]
    context = click.Context(command)
    names = command.list_commands(context)
    inner = [command.get_command(context, name) for name in names]
    found = [every_command(one, (*path, name)) for name, one in zip(names, inner, strict=True) if one]
    return [path, *(one for group in found for one in group)]


@pytest.mark.parametrize("path", every_command(root), ids=" ".join)
def test_every_help_has_an_example(
    project: Any, path: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    assert project(*path, "--help").code == 0
    text = capsys.readouterr().out
    examples = text[text.index("Examples:") :]
    words = "devstream list plugins" if path[:1] == ("list",) else " ".join(("devstream", *path))
    assert words in examples
    assert "..." not in text.partition("Commands:")[2].partition("Examples:")[0]


def test_no_arguments_show_the_help(project: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert project().code == 0
    assert "Commands:" in capsys.readouterr().out


def test_the_table_of_commands_names_what_is_there() -> None:
    context = click.Context(root)
    for name in (*ENTRIES, *ALIASES):
        assert root.get_command(context, name) is not None


USAGE = [
    # arguments, a part of what is said, the suggestion
    (["plam"], 'no command "plam"', 'did you mean "plan"?'),
    (["show", "stat"], 'no command "stat"', 'did you mean "state"?'),
    (["xyzzy"], 'no command "xyzzy"', "there are: run, plan"),
    (["plan", "--sumary"], '"devstream plan" has no option "--sumary"', 'did you mean "--summary"?'),
    (["plan", "-Z"], 'has no option "-Z"', "see devstream plan --help"),
    (["run", "--lock-timeout", "soon"], '"soon" is not a time span', "see devstream run --help"),
    (["run", "--parallelism", "0"], "--parallelism", ""),
    (["plan", "-o", "yaml"], "'yaml' is not one of", ""),
    (["plan", "--var", "x"], '"x" has no value', ""),
    (["plan", "--chdir", "nowhere"], "cannot go to nowhere", ""),
    (["plan", "extra"], "extra", ""),
    (["show"], "needs a command", ""),
]


@pytest.mark.parametrize(("argv", "said", "suggestion"), USAGE)
def test_usage_errors(project: Any, argv: list[str], said: str, suggestion: str) -> None:
    ended = project(*argv)
    assert (ended.code, ended.out) == (3, "")
    assert said in ended.err
    assert suggestion in ended.err


@pytest.mark.parametrize(
    "argv", [["-o", "json", "plam"], ["plan", "--bogus", "--output=json"], ["plan", "-ojson", "--var", "x"]]
)
def test_usage_errors_are_data_too(project: Any, argv: list[str]) -> None:
    ended = project(*argv)
    assert (ended.code, ended.err, ended.data["exit_code"]) == (3, "", 3)
    assert ended.data["diagnostics"][0]["code"] == "usage"


def test_plan_run_and_again(project: Any) -> None:
    project.write(TWO)
    planned = project("plan")
    assert planned.code == 0
    assert planned.out.endswith("To carry it out:  devstream run\n")
    assert project("plan", "--detailed-exitcode").code == 2
    ran = project("run", "-y")
    assert ran.code == 0
    assert "Plan: 2 to create." in ran.out
    assert "2 succeeded" in ran.out
    assert "ok noop.a: created" in ran.err
    again = project("apply", "-y")
    assert again.code == 0
    assert again.out.startswith("No changes: 2 tools are as the configuration says.\nState: ")
    assert project("plan", "--detailed-exitcode").code == 0


def test_the_next_command_carries_on_what_was_given(project: Any) -> None:
    project.write("vars: {x: 1}\n" + TWO, "my conf/a.yaml")
    out = project("plan", "-f", "my conf", "--var", "x=a b", "--summary").out
    assert out.splitlines()[-1] == "To carry it out:  devstream run -f 'my conf' --var 'x=a b'"


def test_run_needs_an_answer(project: Any) -> None:
    project.write(TWO)
    nobody = project("run")
    assert nobody.code == 8
    assert "Plan: 2 to create." in nobody.out
    assert "--yes" in nobody.err
    declined = project("run", typed="n\n")
    assert declined.code == 8
    assert project("run", "--no-input", typed="y\n").code == 8
    assert project("plan", "--detailed-exitcode").code == 2
    agreed = project("run", typed="y\n")
    assert agreed.code == 0
    assert "Go on? [y/N]" in agreed.err


def test_a_delete_needs_yes_in_full(project: Any) -> None:
    project.write(TWO)
    project("run", "-y")
    project.write(ONE)
    declined = project("run", typed="y\n")
    assert declined.code == 8
    assert " delete noop.b" in declined.err
    assert project("run", typed="yes\n").code == 0
    assert list(project("show", "state", "-o", "json").data["tools"]) == ["noop.a"]


def test_dry_run_is_a_plan(project: Any) -> None:
    project.write(TWO)
    assert "Plan: 2 to create." in project("run", "--dry-run").out
    assert project("show", "state", "-o", "json").data["tools"] == {}


def test_failures(project: Any) -> None:
    project.write(FAILING)
    ended = project("run", "-y")
    assert ended.code == 4
    assert "1 failed, 1 skipped" in ended.out
    assert "devstream run " in ended.out
    assert "  because\n" in ended.err
    data = project("run", "-y", "-o", "json").data
    assert [(one["address"], one["outcome"]) for one in data["results"]] == [
        ("command.bad", "failed"),
        ("noop.after", "skipped"),
    ]
    assert data["exit_code"] == 4
    assert data["diagnostics"][0]["address"] == "command.bad"


def test_a_config_error_shows_the_place(project: Any) -> None:
    project.write(TWO.replace("instanceID: b", "instanceId: b"))
    ended = project("validate")
    assert (ended.code, ended.out) == (3, "")
    assert "at devstream.yaml:7:5" in ended.err
    assert 'did you mean "instanceID"' in ended.err
    assert re.search(r"\n  7 \|     instanceId: b\n    \|     \^\n", ended.err)
    data = project("validate", "-o", "json").data
    assert data["exit_code"] == 3
    assert 7 in [one["line"] for one in data["diagnostics"]]


def test_validate(project: Any) -> None:
    project.write(TWO)
    assert project("validate").out == "The configuration is valid: 2 tools, 0 apps, 1 dependency.\n"
    assert project("validate", "-o", "json").data["tools"] == 2


def test_show(project: Any) -> None:
    project.write("vars: {count: 1}\n" + TWO)
    assert "count: 1" in project("show", "config").out
    assert project("show", "config", "-o", "json").data["config"]["vars"] == {"count": 1}
    assert "${{ noop.a.outputs.output }}" in project("show", "expanded").out
    assert [one["instanceID"] for one in project("show", "expanded", "-o", "json").data["tools"]] == [
        "a",
        "b",
    ]
    assert "n0 --> n1" in project("show", "graph").out
    assert '"noop.a" -> "noop.b";' in project("show", "graph", "--format", "dot").out
    edge = {"from": "noop.a", "to": "noop.b"}
    assert json.loads(project("show", "graph", "--format", "json").out)["edges"] == [edge]
    assert project("show", "graph", "-o", "json").data["edges"] == [edge]
    assert project("show", "graph", "--format", "svg", PATH="").code == 3


def test_show_state_and_outputs(project: Any) -> None:
    project.write(TWO)
    assert project("show", "state").out == "Nothing is recorded.\n"
    assert project("show", "outputs").out == "There are no outputs.\n"
    project("run", "-y")
    assert project("show", "state").out.splitlines()[1].startswith("noop.a")
    assert "properties:" in project("show", "state", "noop.b").out
    assert list(project("show", "state", "noop.b", "-o", "json").data["tools"]) == ["noop.b"]
    assert project("show", "outputs", "noop.a", "-o", "json").data["outputs"] == {
        "noop.a": {"output": {"x": 1}}
    }
    unknown = project("show", "outputs", "noop.c")
    assert unknown.code == 3
    assert "did you mean" in unknown.err


def test_show_state_without_a_configuration(project: Any, tmp_path: Path) -> None:
    project.write(TWO, "sub/devstream.yaml")
    project("run", "-y", "-f", "sub")
    assert list(project("show", "state", "--state", "sub/devstream.state", "-o", "json").data["tools"]) == [
        "noop.a",
        "noop.b",
    ]


def test_list_plugins(project: Any) -> None:
    names = {one["name"] for one in project("list", "plugins", "-o", "json").data["plugins"]}
    assert {"noop", "file", "command", "local", "env"} <= names
    assert project("list", "plugins", "-r", "^noop$").out.splitlines()[1].startswith("noop")
    assert project("list", "plugins", "-r", "nothing like it").out == "There is no such plugin.\n"
    assert project("list", "plugins", "-r", "(").code == 3


def test_version(project: Any) -> None:
    assert project("version").out.startswith("devstream 0.")
    assert set(project("version", "-o", "json").data) >= {"version", "python", "platform"}


def test_ndjson(project: Any) -> None:
    project.write(TWO)
    lines = project("run", "-y", "-o", "ndjson").lines
    kinds = [line["type"] for line in lines]
    assert kinds[0] == "version"
    assert kinds[-2:] == ["result", "end"]
    assert kinds.index("plan_ready") < kinds.index("run_started") < kinds.index("operation_ended")
    assert kinds.count("operation_ended") == 2
    assert lines[-1]["exit_code"] == 0
    project.write("tools: 3\n")
    assert [line["type"] for line in project("plan", "-o", "ndjson").lines] == ["version", "end"]


def test_json_asks_on_standard_error(project: Any) -> None:
    project.write(TWO)
    ended = project("run", "-o", "json", typed="y\n")
    assert ended.code == 0
    assert "Plan: 2 to create." in ended.err
    assert ended.data["summary"]["succeeded"] == 2
    assert project("run", "-o", "json").code == 0
    project.write(ONE)
    nobody = project("run", "-o", "json")
    assert (nobody.code, nobody.data["diagnostics"][0]["code"]) == (8, "no-terminal")


def test_quiet(project: Any) -> None:
    project.write(TWO)
    assert project("plan", "-q").out == "Plan: 2 to create.\n"
    ended = project("run", "-y", "-q")
    assert ended.err == ""
    assert re.fullmatch(r"Plan: 2 to create\.\nDone in \S+: 2 succeeded\.\n", ended.out)


def test_options_stand_before_or_after_the_command(project: Any) -> None:
    project.write(TWO)
    assert project("-o", "json", "plan").data["command"] == "plan"
    assert project("-q", "plan").out == project("plan", "-q").out
    assert "\x1b[" in project("plan", "--color", "always").out
    assert "\x1b[" in project("plan", FORCE_COLOR="1").out
    assert "\x1b[" not in project("plan", "--no-color", FORCE_COLOR="1").out


def test_chdir(project: Any, tmp_path: Path) -> None:
    project.write(TWO, "deep/devstream.yaml")
    assert "devstream run --chdir deep" in project("plan", "--chdir", "deep").out


def test_plugin_dir_is_warned_about(project: Any) -> None:
    project.write(TWO)
    ended = project("plan", "-d", "plugins")
    assert ended.code == 0
    assert "Warning: -d/--plugin-dir has no effect" in ended.err
    warnings = project("plan", "-d", "plugins", "-o", "json").data["diagnostics"]
    assert [one["code"] for one in warnings] == ["plugin-dir"]


def test_a_secret_in_a_log_is_masked(project: Any) -> None:
    project.write(
        "tools:\n- name: command\n  instanceID: a\n  options:\n"
        '    create: [sh, -c, "echo got $PASS >&2; exit 1"]\n    env: {PASS: \'[[ env "MY_PASS" ]]\'}\n'
    )
    for output in ("human", "json", "ndjson"):
        ended = project("run", "-y", "-vv", "-o", output, MY_PASS="hunter2hunter2")
        assert ended.code == 4
        assert "got (secret)" in ended.out + ended.err
        assert "hunter2" not in ended.out + ended.err


def test_our_own_defects_leave_a_crash_file(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    project.write("vars: {token: x}\n" + TWO)

    def broken(*_args: object, **_rest: object) -> None:
        message = "it broke\x1b[1m"
        raise RuntimeError(message)

    monkeypatch.setattr("devstream.engine.session.Session.plan", broken)
    ended = project("plan", "--var", "token=hunter2hunter2", XDG_STATE_HOME=str(project.folder / "xdg"))
    assert ended.code == 1
    assert "this is a defect of devstream: RuntimeError: it broke" in ended.err
    assert "Traceback" not in ended.err
    (file,) = (project.folder / "xdg/devstream").glob("crash-*.txt")
    assert str(file) in ended.err
    assert file.stat().st_mode & 0o077 == 0
    text = file.read_text()
    assert "RuntimeError: it broke" in text
    assert "--var token=..." in text
    assert "hunter2" not in text
    assert "Traceback" in project("plan", "--debug").err
    assert project("plan", "-o", "json").data["diagnostics"][0]["code"] == "bug"


def test_a_crash_file_that_cannot_be_written_is_no_second_crash(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("devstream.engine.session.Session.plan", broken)
    monkeypatch.setattr("tempfile.mkstemp", lambda **_: (_ for _ in ()).throw(OSError("full")))
    project.write(TWO)
    assert "could not be written" in project("plan").err


def test_an_interrupt_outside_of_a_run(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("devstream.engine.session.Session.plan", interrupted)
    project.write(TWO)
    ended = project("plan")
    assert (ended.code, ended.out) == (130, "")
    assert "Traceback" not in ended.err
    assert project("plan", "-o", "json").data["exit_code"] == 130


def test_an_error_of_the_summary_does_not_hide_the_run(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_args: object) -> None:
        message = "gone"
        raise DevstreamError(message)

    project.write(TWO)
    monkeypatch.setattr("devstream.engine.session.Session.read_state", unreachable)
    assert "2 succeeded" in project("run", "-y").out


def test_events_are_shown_once_for_the_same_warning(project: Any) -> None:
    assert issubclass(Event, object)
    project.write(
        "tools:\n- name: noop\n  instanceID: a\n  options:\n    input: '[[ env \"NOT_SET_ANYWHERE\" ]]'\n"
    )
    ended = project("validate")
    assert ended.code == 0
    assert ended.err.count("NOT_SET_ANYWHERE") >= 1
    assert ended.err.count("Warning:") == 1
