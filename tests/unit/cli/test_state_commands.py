"""``devstream state``, as people use it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from devstream.builtin.local import LocalBackend
from devstream.cli.application import Application
from devstream.cli.state import ENTRIES
from devstream.cli.state_session import complete_address
from devstream.errors import SwapRefused
from devstream.model.address import Address
from devstream.model.plan import Action, Outcome
from devstream.model.state import Begin, End, ToolState
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.testing.crash import BreakableBackend

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = """
tools:
- name: noop
  instanceID: a
  options: {input: {x: 1}}
- name: noop
  instanceID: b
  options: {input: '${{ noop.a.outputs.output.x }}'}
- name: file
  instanceID: c
  options: {path: c.txt, content: hello}
"""
EDITS = {
    "mv": ("noop.a", "noop.z"),
    "rm": ("noop.a",),
    "settle": ("noop.open", "--absent"),
    "restore": ("1",),
    "accept-edit": (),
    "push": ("changed.json",),
    "gc": (),
    "import-dtm": ("--state", "dtm.state"),
    "unlock": ("--force",),
}


@pytest.fixture
def ran(project: Any) -> Any:
    """A project that was run."""
    project.write(TOOLS)
    assert project("run", "-y").code == 0
    return project


def addresses(project: Any, *argv: str) -> list[str]:
    return sorted(project("state", "list", "-o", "json", *argv).data["tools"])


def interrupt(folder: Path, name: str = "open") -> None:
    """Leave an operation open, as a crash does."""
    manager = StateManager(LocalBackend(folder / "devstream.state"))
    where = Address("noop", name)
    begin = Begin("op", 1, where, Action.CREATE, ToolState(where), "run", "elsewhere", "boot")
    writer = manager.acquire(this_process("crash", "devstream run"), timeout=1, notice=lambda _: None)
    writer.begin(begin, lambda _: None)
    writer.flush()
    writer._lease.close()  # what the kernel does for a process that dies


def prepare(project: Any, edit: str) -> None:
    """Bring about what a command is there to change."""
    folder = project.folder
    if edit in ("settle", "unlock"):
        interrupt(folder)
    elif edit == "accept-edit":
        state = folder / "devstream.state"
        state.write_text(state.read_text().replace('"hello"', '"bye"'))
    elif edit == "push":
        document = json.loads(project("state", "pull").out)
        del document["tools"]["noop.b"]
        (folder / "changed.json").write_text(json.dumps(document))
    elif edit == "gc":
        (folder / "devstream.state.d" / "snapshot-00000001-ff").write_bytes(b"{}")
    elif edit == "import-dtm":
        (folder / "dtm.state").write_bytes(b"")


def files(project: Any) -> dict[str, bytes]:
    return {
        str(path.relative_to(project.folder)): path.read_bytes()
        for path in project.folder.rglob("*")
        if path.is_file() and not path.name.endswith((".run", ".lock"))
    }


@pytest.mark.parametrize("edit", EDITS)
def test_a_dry_run_changes_nothing_and_needs_no_answer(ran: Any, edit: str) -> None:
    prepare(ran, edit)
    before = files(ran)
    ended = ran("state", edit, *EDITS[edit], "--dry-run")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith("Nothing was recorded: this was a dry run.\n")
    data = ran("state", edit, *EDITS[edit], "--dry-run", "-o", "json").data
    assert data["applied"] is False
    assert data["command"] == f"state {edit}"
    assert files(ran) == before


@pytest.mark.parametrize("edit", EDITS)
def test_without_a_terminal_nothing_is_recorded(ran: Any, edit: str) -> None:
    prepare(ran, edit)
    before = files(ran)
    ended = ran("state", edit, *EDITS[edit])
    assert ended.code == 8
    assert "--dry-run, then add --yes" in ended.err
    assert ran("state", edit, *EDITS[edit], "-o", "json").data["diagnostics"][-1]["code"] == "no-terminal"
    assert ran("state", edit, *EDITS[edit], "--no-input", typed="y\n").code == 8
    assert files(ran) == before


@pytest.mark.parametrize("edit", EDITS)
def test_the_answer_counts(ran: Any, edit: str) -> None:
    prepare(ran, edit)
    before = files(ran)
    declined = ran("state", edit, *EDITS[edit], typed="n\n")
    assert declined.code == 8
    assert "nothing was changed" in declined.err
    assert files(ran) == before
    agreed = ran("state", edit, *EDITS[edit], typed="y\n")
    assert agreed.code == 0
    assert "Recorded at serial " in agreed.out
    assert files(ran) != before


@pytest.mark.parametrize("edit", EDITS)
def test_yes_is_recorded_as_a_run(ran: Any, edit: str) -> None:
    prepare(ran, edit)
    ended = ran("state", edit, *EDITS[edit], "-y", "-o", "json")
    assert ended.code == 0
    assert ended.data["applied"] is True
    again = EDITS[edit] if edit == "import-dtm" else ()
    history = ran("state", "history", "--verify", "-o", "json", *again).data
    assert history["verified"] is True
    assert history["history"][0]["serial"] == ended.data["serial"]
    assert history["history"][0]["command"].startswith(f"devstream state {edit}")


@pytest.mark.parametrize("command", ENTRIES)
def test_help_has_an_example(project: Any, command: str) -> None:
    text = CliRunner().invoke(_command(command), ["--help"], obj=_application()).output
    assert f"devstream state {command}" in text.partition("Examples:")[2]
    assert "--state" in text


def _application() -> Application:
    from io import StringIO

    return Application([], environ={}, stdin=StringIO(), stdout=StringIO(), stderr=StringIO())


def _command(name: str) -> Any:
    import click

    from devstream.cli.state import state

    return state.get_command(click.Context(state), name)


# -- looking


def test_list(ran: Any) -> None:
    assert addresses(ran) == ["file.c", "noop.a", "noop.b"]
    assert addresses(ran, "noop.*") == ["noop.a", "noop.b"]
    assert [line.split()[0] for line in ran("state", "list", "*.c").out.splitlines()] == ["tool", "file.c"]
    nothing = ran("state", "list", "nop.a")
    assert nothing.code == 3
    assert 'did you mean "noop.a"?' in nothing.err


def test_list_where_there_is_nothing(project: Any) -> None:
    project.write(TOOLS)
    assert project("state", "list").out == "Nothing is recorded.\n"
    assert project("state", "history").out == "Nothing is recorded.\n"
    assert not (project.folder / "devstream.state").exists()


def test_show(ran: Any) -> None:
    shown = ran("state", "show", "noop.b")
    assert "plugin: devstream" in shown.out
    assert list(ran("state", "show", "noop.b", "-o", "json").data["tools"]) == ["noop.b"]
    unknown = ran("state", "show", "noop.d")
    assert (unknown.code, "did you mean" in unknown.err) == (3, True)
    interrupt(ran.folder)
    assert "action: create" in ran("state", "show", "noop.open").out


def test_pull_and_push(ran: Any) -> None:
    document = json.loads(ran("state", "pull").out)
    assert sorted(document["tools"]) == ["file.c", "noop.a", "noop.b"]
    whole = ran("state", "pull", "-o", "json")
    assert whole.data["tools"] == document["tools"]
    (ran.folder / "same.json").write_text(whole.out)
    assert ran("state", "push", "same.json", "-y").out == "Nothing to do.\n"
    del document["tools"]["noop.b"]
    ended = ran("state", "push", "-", "-y", typed=json.dumps(document))
    assert "- noop.b  is not in the pushed state" in ended.out
    assert addresses(ran) == ["file.c", "noop.a"]
    stale = ran("state", "push", "same.json", "-y")
    assert (stale.code, "--force" in stale.err) == (6, True)
    assert ran("state", "push", "missing.json").code == 3
    assert "cannot read missing.json: no such file" in ran("state", "push", "missing.json").err


def test_history(ran: Any) -> None:
    out = ran("state", "history").out.splitlines()
    assert out[0].split() == ["serial", "when", "run", "tools", "what"]
    assert "(now)" in out[1]
    assert out[1].endswith("+3  devstream run -y")
    assert "Every part is what was written." in ran("state", "history", "--verify").out


def test_history_of_a_broken_trail(ran: Any) -> None:
    for path in (ran.folder / "devstream.state.d").iterdir():
        path.write_bytes(b"{}")
    plain = ran("state", "history")
    assert plain.code == 0
    assert "cannot be read" in plain.out
    verified = ran("state", "history", "--verify", "-o", "json")
    assert verified.code == 6
    assert verified.data["verified"] is False
    assert [one["code"] for one in verified.data["diagnostics"]] == ["trail"]


@pytest.mark.parametrize("left", [b"", b'{\n  "format": 1,\n  "lineage": "'], ids=["empty", "truncated"])
def test_a_damaged_state_is_restored(ran: Any, left: bytes) -> None:
    before = ran("state", "list", "-o", "json").data
    (ran.folder / "devstream.state").write_bytes(left)
    damaged = ran("plan")
    assert damaged.code == 6
    assert "devstream state history" in damaged.err
    history = ran("state", "history")
    assert history.code == 6
    assert "devstream state restore SERIAL" in history.err
    assert "(now)" not in history.out
    serial = history.out.splitlines()[1].split()[0]
    restored = ran("state", "restore", serial, "-y")
    assert (restored.code, "Note: " in restored.out) == (0, True)
    assert ran("state", "list", "-o", "json").data["tools"] == before["tools"]
    assert "No changes" in ran("plan").out


def test_unlock_of_what_nobody_holds(ran: Any) -> None:
    assert "there is nothing to unlock" in ran("state", "unlock").out
    assert ran("state", "unlock", "-o", "json").data["held"] is False
    assert ran("state", "unlock", "--force", "-y").out == "Nothing to do.\n"


# -- changing


def test_mv_saves_making_it_anew(ran: Any) -> None:
    renamed = TOOLS.replace("instanceID: a", "instanceID: z").replace("noop.a.", "noop.z.")
    ended = ran("state", "mv", "noop.a", "noop.z", "-y")
    assert "> noop.a  becomes noop.z" in ended.out
    assert "  devstream plan" in ended.out
    ran.write(renamed)
    assert "No changes" in ran("plan").out


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("mv", "noop.x", "noop.y"), 3, "did you mean"),
        (("mv", "noop.a", "noop.b"), 3, "is recorded already"),
        (("mv", "noop.a", "nonsense"), 3, "is not an address"),
        (("mv", "noop.a", "file.a"), 3, "another tool"),
        (("mv", "noop.a"), 3, "missing argument"),
        (("rm", "noop.aa"), 3, 'did you mean "noop.a"?'),
        (("rm",), 3, "missing argument"),
        (("settle", "noop.a"), 3, "--created or --absent"),
        (("settle", "noop.a", "--absent"), 3, "there is none"),
        (("restore", "999"), 3, "serial 999 is not kept"),
        (("restore", "zero"), 3, "is not a valid integer"),
        (("import-dtm",), 3, "there is no state of the original"),
        (("push", "devstream.yaml"), 3, "is not JSON"),
        (("push", "--rescue", "devstream.yaml"), 3, "is not a rescue file"),
        (("forget",), 3, "there is no command"),
        (("mv", "noop.a", "noop.z", "--state", "redis://x"), 3, "does not name a state"),
    ],
)
def test_what_is_refused(ran: Any, argv: tuple[str, ...], code: int, words: str) -> None:
    before = files(ran)
    ended = ran("state", *argv, "-y") if argv[0] != "forget" else ran("state", *argv)
    assert (ended.code, ended.out) == (code, "")
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert files(ran) == before


def test_rm_leaves_the_thing(ran: Any) -> None:
    assert "the thing itself stays" in ran("state", "rm", "file.c", "noop.b", "-y").out
    assert (ran.folder / "c.txt").read_text() == "hello"
    assert addresses(ran) == ["noop.a"]


def test_settle_ends_what_was_interrupted(ran: Any) -> None:
    interrupt(ran.folder)
    assert "unfinished create" in ran("state", "list").out
    ended = ran("state", "settle", "noop.open", "--created", "-y")
    assert "+ noop.open  is there: settled" in ended.out
    assert "  devstream run" in ended.out
    assert "noop.open" in addresses(ran)


def test_accept_edit_shows_the_fields(ran: Any) -> None:
    prepare(ran, "accept-edit")
    refused = ran("run", "-y")
    assert refused.code == 6
    assert "devstream state accept-edit" in refused.err
    ended = ran("state", "accept-edit", "-y")
    assert '    options.content: "hello" -> "bye"' in ended.out
    assert "update file.c" in ran("plan").out
    assert ran("state", "accept-edit", "-y").out == "Nothing to do.\n"


def test_import_then_plan_is_quiet(project: Any) -> None:
    project.write("tools:\n- {name: noop, instanceID: a, options: {input: hello}}\n")
    old = (
        "noop_a:\n  name: noop\n  instanceID: a\n  dependsOn: []\n"
        "  options:\n    input: hello\n    instanceID: a\n  resourceStatus:\n    status: running\n"
    )
    (project.folder / "devstream.state").write_text(old)
    foreign = project("plan")
    assert (foreign.code, "devstream state import-dtm" in foreign.err) == (6, True)
    assert "+ noop.a  taken over" in project("state", "import-dtm", "-y").out
    planned = project("plan", "-o", "json").data
    assert [change["action"] for change in planned["changes"]] == ["noop"]


def test_secrets_by_schema_and_by_name_are_not_imported(project: Any) -> None:
    old = (
        "jenkins_a:\n  name: jenkins\n  instanceID: a\n  dependsOn: []\n  options:\n    admin:\n"
        "      password: hunter2hunter2\n      user: admin\n  resourceStatus: {}\n"
    )
    (project.folder / "devstream.state").write_text(old)
    project("state", "import-dtm", "-y")
    head = (project.folder / "devstream.state").read_text()
    assert "hunter2" not in head
    assert '"admin"' in head


def test_what_a_run_could_not_record_is_merged(ran: Any) -> None:
    backend = BreakableBackend(LocalBackend(ran.folder / "devstream.state"))
    where = Address("noop", "lost")
    writer = StateManager(backend).acquire(
        this_process("7", "devstream run"), timeout=1, notice=lambda _: None
    )
    writer.begin(Begin("op", 1, where, Action.CREATE, ToolState(where), "7", "h", "b"), lambda _: None)
    writer.flush()
    backend.broken = True
    writer.record(End("op", Outcome.SUCCEEDED, ToolState(where, op_id="op")))
    with pytest.raises(SwapRefused) as refused:
        writer.close()
    hint = refused.value.diagnostic.suggestion
    _, _, command = hint.partition("devstream ")
    assert command.startswith("state push --rescue ")
    assert "rescue file" in ran(*command.replace(" --rescue", "").split()).err
    merged = ran(*command.split(), "-y")
    assert "~ noop.lost  create succeeded" in merged.out
    assert "noop.lost" in addresses(ran)
    assert ran(*command.split(), "-y").out == "Nothing to do.\n"


def test_quiet_says_one_line(ran: Any) -> None:
    ended = ran("state", "rm", "noop.b", "-y", "-q")
    assert ended.out.startswith("Recorded at serial ")
    assert ended.out.count("\n") == 1


def test_a_state_without_a_configuration(ran: Any) -> None:
    (ran.folder / "devstream.yaml").rename(ran.folder / "elsewhere.txt")
    assert addresses(ran) == ["file.c", "noop.a", "noop.b"]
    assert addresses(ran, "--state", "devstream.state") == ["file.c", "noop.a", "noop.b"]
    assert ran("state", "mv", "noop.a", "noop.z", "-y", "--state", "devstream.state").code == 0


def test_addresses_are_completed(ran: Any) -> None:
    import click

    app = _application()
    context = click.Context(click.Command("x"), obj=app)
    parameter = click.Argument(["address"])
    assert [item.value for item in complete_address(context, parameter, "noop.")] == ["noop.a", "noop.b"]
    (ran.folder / "devstream.state").write_bytes(b"")
    assert complete_address(context, parameter, "") == []
    assert complete_address(click.Context(click.Command("x")), parameter, "") == []
