"""``devstream state probe`` and ``migrate-backend``, as people use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = """
tools:
- {name: noop, instanceID: a, options: {input: hello}}
- {name: file, instanceID: b, options: {path: b.txt, content: hi}}
"""


@pytest.fixture
def ran(project: Any) -> Any:
    project.write(TOOLS)
    assert project("run", "-y").code == 0
    return project


def contents(folder: Path) -> dict[str, bytes]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): path.read_bytes() for path in files if path.suffix not in (".lock", ".run")}


def addresses(project: Any, *argv: str) -> list[str]:
    return sorted(project("state", "list", "-o", "json", *argv).data["tools"])


def test_a_state_on_this_machine_needs_no_probe(ran: Any) -> None:
    assert "needs no probe" in ran("state", "probe").out
    data = ran("state", "probe", "-o", "json").data
    assert (data["probed"], data["found"]) == (False, None)


def test_moving(ran: Any) -> None:
    before = [point["serial"] for point in ran("state", "history", "-o", "json").data["history"]]
    ended = ran("state", "migrate-backend", "new/devstream.state", "-y", "-o", "json")
    assert ended.code == 0
    assert ended.data["applied"] is True
    assert ended.data["parts"] == 1
    assert ended.data["to"] == str(ran.folder / "new" / "devstream.state")
    there = ("--state", "new/devstream.state")
    assert addresses(ran, *there) == ["file.b", "noop.a"]
    history = ran("state", "history", "--verify", "-o", "json", *there).data
    assert history["verified"] is True
    assert history["history"][0]["command"].startswith("devstream state migrate-backend")
    assert [point["serial"] for point in history["history"]][1:] == before


def test_the_old_place_refuses_and_names_the_new_one(ran: Any) -> None:
    assert ran("state", "migrate-backend", "new/devstream.state", "-y").code == 0
    before = contents(ran.folder)
    for command in (
        ("run", "-y"),
        ("plan",),
        ("state", "list"),
        ("state", "rm", "noop.a", "-y"),
        ("destroy", "-y"),
    ):
        ended = ran(*command)
        assert ended.code == 6
        assert f"was moved to {ran.folder}/new/devstream.state" in " ".join(ended.err.split())
    assert contents(ran.folder) == before


def test_the_new_place_goes_on(ran: Any) -> None:
    assert ran("state", "migrate-backend", "new/devstream.state", "-y").code == 0
    ran.write(f"config: {{state: {{options: {{stateFile: new/devstream.state}}}}}}\n{TOOLS}")
    assert "No changes" in ran("plan").out
    assert ran("state", "rm", "noop.a", "-y").code == 0
    assert ran("run", "-y").code == 0


def test_a_dry_run_writes_nothing(ran: Any) -> None:
    before = contents(ran.folder)
    ended = ran("state", "migrate-backend", "new/devstream.state", "--dry-run")
    assert ended.code == 0
    assert "with 1 kept parts goes to" in ended.out
    assert "Nothing was recorded" in ended.out
    assert (
        ran("state", "migrate-backend", "new/devstream.state", "--dry-run", "-o", "json").data["applied"]
        is False
    )
    assert contents(ran.folder) == before


def test_it_asks(ran: Any) -> None:
    before = contents(ran.folder)
    assert ran("state", "migrate-backend", "new/devstream.state").code == 8
    assert ran("state", "migrate-backend", "new/devstream.state", typed="n\n").code == 8
    assert contents(ran.folder) == before
    assert ran("state", "migrate-backend", "new/devstream.state", typed="y\n").code == 0


def test_twice_is_once(ran: Any) -> None:
    assert ran("state", "migrate-backend", "new/devstream.state", "-y").code == 0
    before = contents(ran.folder)
    ended = ran("state", "migrate-backend", "new/devstream.state", "-y")
    assert ended.code == 0
    assert "nothing to do" in ended.out
    assert contents(ran.folder) == before


@pytest.mark.parametrize(
    "same", ["devstream.state", "./devstream.state", "link.state", "sub/../devstream.state"]
)
def test_to_itself(ran: Any, same: str) -> None:
    (ran.folder / "sub").mkdir()
    (ran.folder / "link.state").symlink_to("devstream.state")
    before = contents(ran.folder)
    ended = ran("state", "migrate-backend", same, "-y")
    assert ended.code == 3
    assert "both are the same place" in " ".join(ended.err.split())
    assert contents(ran.folder) == before


def test_to_a_place_that_is_not_empty(ran: Any) -> None:
    ran.write(f"config: {{state: {{options: {{stateFile: other.state}}}}}}\n{TOOLS}", "other.yaml")
    assert ran("init", "-f", "other.yaml").code == 0
    before = contents(ran.folder)
    ended = ran("state", "migrate-backend", "other.state", "-y")
    assert ended.code == 6
    assert "there is a state at" in ended.err
    assert "name an empty place" in ended.err
    assert contents(ran.folder) == before


@pytest.mark.parametrize("there", [b"", b"not a state", b"a_b:\n  name: a\n  instanceID: b\n"], ids=range(3))
def test_to_a_place_with_something_else_in_it(ran: Any, there: bytes) -> None:
    (ran.folder / "other.state").write_bytes(there)
    before = contents(ran.folder)
    assert ran("state", "migrate-backend", "other.state", "-y").code == 6
    assert contents(ran.folder) == before


def test_to_a_place_with_parts_of_another_state(ran: Any) -> None:
    ran.write(f"config: {{state: {{options: {{stateFile: other.state}}}}}}\n{TOOLS}", "other.yaml")
    assert ran("run", "-f", "other.yaml", "-y").code in (0, 4)
    (ran.folder / "other.state").unlink()
    before = contents(ran.folder)
    ended = ran("state", "migrate-backend", "other.state", "-y")
    assert ended.code == 6
    assert "parts of another state" in " ".join(ended.err.split())
    assert contents(ran.folder) == before


def test_to_a_place_that_cannot_be_reached(ran: Any) -> None:
    ran.write("no folder", "file")
    before = contents(ran.folder)
    ended = ran("state", "migrate-backend", "file/devstream.state", "-y")
    assert ended.code in (6, 7)
    assert "file" in ended.err
    assert contents(ran.folder) == before
    assert addresses(ran) == ["file.b", "noop.a"]


@pytest.mark.parametrize("url", ["s4://bucket/key", "s3://bucket"])
def test_to_what_is_no_place(ran: Any, url: str) -> None:
    assert ran("state", "migrate-backend", url, "-y").code == 3


def test_from_nothing(project: Any) -> None:
    project.write(TOOLS)
    ended = project("state", "migrate-backend", "new.state", "-y")
    assert ended.code == 3
    assert "there is no state" in ended.err


def test_a_part_that_is_missing_stops_the_move(ran: Any) -> None:
    ran("state", "rm", "noop.a", "-y")
    for part in (ran.folder / "devstream.state.d").iterdir():
        part.unlink()
    before = contents(ran.folder)
    ended = ran("state", "migrate-backend", "new.state", "-y")
    assert ended.code == 6
    assert "is missing" in ended.err
    assert {name: data for name, data in contents(ran.folder).items() if name in before} == before
    assert addresses(ran) == ["file.b"]


def test_what_was_put_aside_goes_along(project: Any) -> None:
    project.write("a_b:\n  name: a\n  instanceID: b\n  options: {}\n", "devstream.state")
    assert project("state", "import-dtm", "-y").code == 0
    assert project("state", "migrate-backend", "new.state", "-y").code == 0
    assert (project.folder / "new.state.d" / "dtm-original").read_bytes().startswith(b"a_b:")
