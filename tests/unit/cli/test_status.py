"""``devstream show status``: what is there now, beside what is recorded."""

from __future__ import annotations

from typing import Any

import pytest

READ = 'test -f {0} && echo "{{\\"properties\\": {{\\"text\\": \\"$(cat {0})\\"}}, \\"info\\": {{\\"verdict\\": \\"passed\\"}}}}" || exit 3'


def command(name: str) -> str:
    return (
        f"  - name: command\n    instanceID: {name}\n    options:\n"
        f"      create: [sh, -c, 'echo old > {name}']\n"
        f"      read: [sh, -c, '{READ.format(name)}']\n"
    )


CONFIG = "tools:\n" + command("a") + command("b") + "  - {name: noop, instanceID: c}\n"


@pytest.fixture
def made(project: Any) -> Any:
    project.write(CONFIG)
    assert project("run", "-y").code == 0
    assert project("run", "-y").code == 0  # what `read` knows is recorded now
    return project


def rows(ended: Any) -> list[str]:
    """The rows of the table, in the order of the addresses."""
    table = ended.out.partition("\n\n")[0]
    return sorted(" ".join(line.split()) for line in table.splitlines()[1:])


def test_as_recorded(made: Any) -> None:
    ended = made("show", "status", "--detailed-exitcode")
    assert ended.code == 0
    assert rows(ended) == [
        "command.a ok there, verdict: passed",
        "command.b ok there, verdict: passed",
        "noop.c ok cannot be read",
    ]
    assert ended.out.endswith("\n\n2 same, 1 not asked.\n")
    assert ended.out.splitlines()[0].split() == ["tool", "recorded", "now", "drift"]


def test_drift_and_what_is_gone(made: Any) -> None:
    (made.folder / "a").write_text("new\n")
    (made.folder / "b").unlink()
    before = (made.folder / "devstream.state").read_bytes()
    ended = made("show", "status")
    assert ended.code == 0
    text = rows(ended)
    assert text[0] == 'command.a ok there, verdict: passed properties.text: "old" -> "new"'
    assert text[1] == "command.b ok gone"
    assert "1 drifted, 1 gone" in ended.out
    assert made("show", "status", "--detailed-exitcode").code == 2
    assert (made.folder / "devstream.state").read_bytes() == before


def test_as_data(made: Any) -> None:
    (made.folder / "a").write_text("new\n")
    data = made("show", "status", "command.a", "-o", "json").data
    (seen,) = data["tools"].values()
    assert (seen["verdict"], seen["properties"], seen["info"]) == (
        "drifted",
        {"properties": {"text": "new"}},
        {"verdict": "passed"},
    )
    assert seen["fields"] == [{"path": "properties.text", "before": "old", "after": "new"}]
    assert data["summary"]["drifted"] == 1


def test_some_addresses(made: Any) -> None:
    (made.folder / "a").unlink()
    ended = made("show", "status", "command.b", "--detailed-exitcode")
    assert (ended.code, len(rows(ended))) == (0, 1)


def test_an_address_that_is_not_recorded(made: Any) -> None:
    ended = made("show", "status", "comand.a")
    assert ended.code == 3
    assert 'no tool matches "comand.a"' in ended.err
    assert 'did you mean "command.a" or "command.b"?' in ended.err


def test_a_read_that_fails_hurts_only_itself(made: Any) -> None:
    made.write(CONFIG.replace(f"{READ.format('b')}", "echo sorry >&2; exit 9"))
    made("run", "-y", "--no-refresh")
    ended = made("show", "status", "--detailed-exitcode")
    assert ended.code == 4
    assert rows(ended)[1].startswith("command.b ok could not be read")
    assert "command.b" in ended.err
    assert "sorry" in ended.err


def test_without_a_config(made: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (made.folder / "devstream.yaml").unlink()
    assert made("show", "status", "--detailed-exitcode").code == 0
    monkeypatch.chdir("/")
    ended = made("show", "status", "--state", str(made.folder / "devstream.state"), "--detailed-exitcode")
    assert (ended.code, len(rows(ended))) == (0, 3)


def test_nothing_recorded(project: Any) -> None:
    ended = project("show", "status")
    assert (ended.code, ended.out) == (0, "Nothing is recorded.\n")


def test_a_plugin_that_is_gone(made: Any) -> None:
    ended = made("show", "status", "noop.c", "-p", "no:noop")
    assert ended.code == 4
    assert 'there is no tool "noop"' in ended.err
