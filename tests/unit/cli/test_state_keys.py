"""An encrypted state on the command line: switched on, opened, refused, under another key."""

from __future__ import annotations

import base64
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

CANARY = "correct-horse-c4n4ry"
TOOLS = """
tools:
- {name: noop, instanceID: a, options: {input: hello-from-a}}
- {name: file, instanceID: b, options: {path: b.txt, content: hi}}
"""
MAIN = "{name: main, keyFile: keys/main}"
OLD = "{name: old, keyFile: keys/old}"


def config(project: Any, *keys: str, more: str = "", enforced: bool = False) -> None:
    lines = "".join(f"\n      - {key}" for key in keys)
    block = (
        f"\n    encryption:\n      enforced: {str(enforced).lower()}\n      keys:{lines}" if keys else " {}"
    )
    project.write(f"config:\n  state:{block}\n{more}{TOOLS}")


def key_file(project: Any, name: str, data: bytes | None = None, mode: int = 0o600) -> Path:
    path: Path = project.write("", f"keys/{name}")
    path.write_bytes(base64.b64encode(name.encode().ljust(32, b"-")) + b"\n" if data is None else data)
    path.chmod(mode)
    return path


def contents(project: Any) -> dict[str, bytes]:
    found = sorted(project.folder.rglob("devstream.state*"))
    parts = [part for path in found for part in (sorted(path.iterdir()) if path.is_dir() else [path])]
    return {part.name: part.read_bytes() for part in parts if not part.name.endswith((".lock", ".run"))}


def head(project: Any) -> Any:
    return json.loads((project.folder / "devstream.state").read_bytes())


@pytest.fixture
def encrypted(project: Any) -> Any:
    """A project whose state was encrypted from the first run."""
    key_file(project, "main")
    key_file(project, "old")
    config(project, MAIN)
    assert project("run", "-y").code == 0
    return project


def addresses(project: Any, *argv: str, **environ: str) -> list[str]:
    return sorted(project("state", "list", "-o", "json", *argv, **environ).data["tools"])


def test_a_run_and_a_plan(encrypted: Any) -> None:
    assert b"hello-from-a" not in b"".join(contents(encrypted).values())
    assert addresses(encrypted) == ["file.b", "noop.a"]
    assert "No changes" in encrypted("plan").out
    assert encrypted("verify").code == 0


def test_init_makes_an_encrypted_state(project: Any) -> None:
    key_file(project, "main")
    config(project, MAIN)
    assert project("init").code == 0
    assert head(project)["encryption"]["key"] == "main"


READERS = [
    ("plan",),
    ("show", "state"),
    ("state", "list"),
    ("state", "pull"),
    ("state", "history", "--verify"),
]
WRITERS = [
    ("run", "-y"),
    ("state", "rm", "noop.a", "-y"),
    ("state", "mv", "noop.a", "noop.z", "-y"),
    ("state", "restore", "1", "-y"),
    ("state", "accept-edit", "-y"),
    ("state", "gc", "-y"),
    ("state", "import-dtm", "-y"),
    ("state", "rotate-key", "-y"),
    ("state", "migrate-backend", "other.state", "-y"),
    ("state", "unlock", "--force", "-y"),
]


@pytest.mark.parametrize(
    "keys", [(), (OLD,), ("{name: main, keyFile: keys/old}",)], ids=["no", "other", "wrong"]
)
def test_without_the_key_every_command_refuses_and_changes_nothing(
    encrypted: Any, keys: tuple[str, ...]
) -> None:
    needed = head(encrypted)["encryption"]["id"]
    config(encrypted, *keys)
    before = contents(encrypted)
    for command in [*READERS, *WRITERS]:
        ended = encrypted(*command)
        assert ended.code == 7, command
        assert f'"main" (key id {needed})' in " ".join(ended.err.split())
        assert contents(encrypted) == before
    data = encrypted(*READERS[0], "-o", "json").data
    assert data["exit_code"] == 7
    assert data["diagnostics"][-1]["code"] in ("wrong-key", "state-encrypted")


def test_with_state_and_no_configuration(encrypted: Any) -> None:
    (encrypted.folder / "devstream.yaml").unlink()
    state = str(encrypted.folder / "devstream.state")
    ended = encrypted("state", "list", "--state", state)
    assert ended.code == 7
    assert "--state-key-file FILE" in " ".join(ended.err.split())
    key = ("--state-key-file", "keys/main")
    assert addresses(encrypted, "--state", state, *key) == ["file.b", "noop.a"]
    assert addresses(encrypted, *key) == ["file.b", "noop.a"]
    assert encrypted("state", "rm", "noop.a", "-y", *key).code == 0
    assert head(encrypted)["encryption"]["key"] == "main"
    assert encrypted("destroy", "-y", "--state", state, *key).code == 0


def test_a_passphrase_of_the_environment(project: Any) -> None:
    config(project, "{name: main, passphrase: env:PW}")
    assert project("run", "-y", PW=CANARY).code == 0
    (project.folder / "devstream.yaml").unlink()
    assert addresses(project, DEVSTREAM_STATE_PASSPHRASE=CANARY) == ["file.b", "noop.a"]
    wrong = project("state", "list", DEVSTREAM_STATE_PASSPHRASE="another-passphrase")
    assert wrong.code == 7
    assert "another-passphrase" not in wrong.err


def test_the_environment_never_switches_encryption_on(project: Any) -> None:
    project.write(TOOLS)
    assert project("run", "-y", DEVSTREAM_STATE_PASSPHRASE=CANARY).code == 0
    config(project)
    project.write(TOOLS + "- {name: noop, instanceID: c}\n")
    (project.folder / "devstream.state").unlink()
    for part in (project.folder / "devstream.state.d").iterdir():
        part.unlink()
    assert project("run", "-y").code == 0
    assert project("state", "rm", "noop.c", "-y", DEVSTREAM_STATE_PASSPHRASE=CANARY).code == 0
    assert "encryption" not in head(project)


def test_switching_it_on(project: Any) -> None:
    project.write(TOOLS)
    assert project("run", "-y").code == 0
    assert b"hello-from-a" in b"".join(contents(project).values())
    key_file(project, "main")
    config(project, MAIN)
    assert addresses(project) == ["file.b", "noop.a"]
    assert project("state", "rm", "noop.a", "-y").code == 0
    told = project("state", "history", "--verify")
    assert told.code == 0
    assert "kept parts of it are not" in told.err
    assert "devstream state rotate-key" in told.err
    assert project("state", "rotate-key", "-y").code == 0
    assert b"hello-from-a" not in b"".join(contents(project).values())
    again = project("state", "history", "--verify")
    assert (again.code, again.err) == (0, "")
    config(project, MAIN, enforced=True)
    assert addresses(project) == ["file.b"]


def test_enforced_refuses_a_state_that_is_not_encrypted(project: Any) -> None:
    project.write(TOOLS)
    assert project("run", "-y").code == 0
    key_file(project, "main")
    config(project, MAIN, enforced=True)
    before = contents(project)
    for command in (("plan",), ("run", "-y"), ("state", "rotate-key", "-y"), ("state", "accept-edit", "-y")):
        ended = project(*command)
        assert ended.code == 6
        assert "is not encrypted" in ended.err
    assert contents(project) == before


def test_rotating(encrypted: Any) -> None:
    encrypted("state", "rm", "noop.a", "-y")
    serials = [point["serial"] for point in encrypted("state", "history", "-o", "json").data["history"]]
    config(encrypted, OLD, MAIN)
    before = contents(encrypted)
    dry = encrypted("state", "rotate-key", "--dry-run", "-o", "json").data
    assert dry["applied"] is False
    assert dry["facts"]["key"] == "old"
    assert len(dry["facts"]["renamed"]) == len(dry["removed_parts"]) > 1
    assert contents(encrypted) == before
    assert encrypted("state", "rotate-key", "-y").code == 0
    config(encrypted, OLD)
    assert addresses(encrypted) == ["file.b"]
    told = encrypted("state", "history", "--verify", "-o", "json").data
    assert told["verified"] is True
    assert [point["serial"] for point in told["history"]][1:] == serials
    assert told["history"][0]["command"].startswith("devstream state rotate-key")
    assert encrypted("state", "restore", str(serials[1]), "-y").code == 0
    assert addresses(encrypted) == ["file.b", "noop.a"]
    assert "Nothing to do" in encrypted("state", "rotate-key", "-y").out


def test_a_run_with_a_new_key_first_writes_with_it(encrypted: Any) -> None:
    config(encrypted, OLD, MAIN)
    assert encrypted("state", "rm", "noop.a", "-y").code == 0
    assert head(encrypted)["encryption"]["key"] == "old"
    assert addresses(encrypted) == ["file.b"]


def test_a_damaged_part_of_the_history_does_not_hold_up_a_rotation(encrypted: Any) -> None:
    encrypted("state", "rm", "noop.a", "-y")
    broken = min((encrypted.folder / "devstream.state.d").iterdir())
    broken.unlink()
    config(encrypted, OLD, MAIN)
    ended = encrypted("state", "rotate-key", "-y")
    assert ended.code == 0
    assert f"stays as it is: its part {broken.name} is missing" in " ".join(ended.out.split())
    config(encrypted, OLD)
    assert addresses(encrypted) == ["file.b"]


def test_rotating_without_a_key_says_how(project: Any) -> None:
    project.write(TOOLS)
    assert project("run", "-y").code == 0
    ended = project("state", "rotate-key", "-y")
    assert ended.code == 3
    assert "config.state.encryption" in ended.err
    loose = project("state", "rotate-key", "-y", DEVSTREAM_STATE_PASSPHRASE=CANARY)
    assert loose.code == 3
    assert "only its configuration can switch that on" in " ".join(loose.err.split())


BAD_FILES = [
    (b"", "0 bytes"),
    (b"short", "5 bytes"),
    (b"x" * 33, "33 bytes"),
    (base64.b64encode(b"y" * 31), "44 bytes"),
    (base64.b64encode(b"y" * 64), "88 bytes"),
    (b"x" * 100_000, "4096 bytes or more"),
]


@pytest.mark.parametrize(("data", "found"), BAD_FILES, ids=[found for _, found in BAD_FILES])
def test_a_key_file_of_the_wrong_size(encrypted: Any, data: bytes, found: str) -> None:
    before = contents(encrypted)
    key_file(encrypted, "main", data)
    for command in (("plan",), ("run", "-y")):
        ended = encrypted(*command)
        assert ended.code == 7
        told = " ".join(ended.err.split())
        assert f"holds {found}, and a key is 32 bytes" in told
        assert "head -c 32 /dev/urandom" in told
    assert contents(encrypted) == before


def test_a_key_file_of_raw_bytes(project: Any) -> None:
    key_file(project, "main", bytes(range(32)))
    config(project, MAIN)
    assert project("run", "-y").code == 0
    assert addresses(project) == ["file.b", "noop.a"]


def test_a_key_file_that_is_not_there(encrypted: Any) -> None:
    (encrypted.folder / "keys" / "main").unlink()
    ended = encrypted("plan")
    assert ended.code == 7
    assert "no such file" in ended.err


def test_a_key_file_that_others_can_read_is_warned_about(encrypted: Any) -> None:
    key_file(encrypted, "main", mode=0o644)
    ended = encrypted("plan")
    assert ended.code == 0
    assert "others can read the key file" in ended.err
    assert "chmod 600" in ended.err


def test_push_of_an_older_serial_and_of_another_state(encrypted: Any, tmp_path: Path) -> None:
    pulled = encrypted("state", "pull").out
    encrypted.write(pulled, "pulled.json")
    encrypted("state", "rm", "noop.a", "-y")
    before = contents(encrypted)
    ended = encrypted("state", "push", "pulled.json", "-y")
    assert ended.code == 6
    assert "pulled at serial" in ended.err
    other = json.loads(pulled)
    other["lineage"] = "00000000-0000-4000-8000-000000000000"
    encrypted.write(json.dumps(other), "other.json")
    ended = encrypted("state", "push", "other.json", "-y")
    assert ended.code == 6
    assert "another state" in ended.err
    assert contents(encrypted) == before
    assert encrypted("state", "push", "pulled.json", "-y", "--force").code == 0
    assert addresses(encrypted) == ["file.b", "noop.a"]


def test_a_head_edited_by_hand(encrypted: Any) -> None:
    path = encrypted.folder / "devstream.state"
    path.write_bytes(path.read_bytes().replace(b'"moved_to": null', b'"moved_to": "/x"'))
    ended = encrypted("plan")
    assert ended.code == 6
    assert "edited by hand or damaged" in " ".join(ended.err.split())
    history = encrypted("state", "history")
    assert history.code == 6
    assert "devstream state restore SERIAL" in history.err
    assert encrypted("state", "restore", "1", "-y").code == 0
    assert encrypted("plan").code == 0


def test_no_passphrase_is_ever_shown(project: Any) -> None:
    config(project, "{name: main, passphrase: env:PW}")
    assert project("run", "-y", PW=CANARY).code == 0
    asked = [("plan", "-vv"), ("plan", "-o", "ndjson"), ("show", "config"), ("state", "list", "-o", "json")]
    ended = [project(*command, PW=CANARY) for command in asked]
    assert [done.code for done in ended] == [0, 0, 0, 0]
    ended.append(project("plan", "-vv", PW=CANARY + "-wrong"))
    everything = "".join(done.out + done.err for done in ended) + "".join(
        path.read_bytes().decode("utf-8", "replace") for path in project.folder.rglob("*") if path.is_file()
    )
    assert CANARY not in everything
    assert base64.b64encode(CANARY.encode()).decode() not in everything


def test_a_saved_plan_is_encrypted_as_the_state_is(encrypted: Any) -> None:
    more = "- {name: noop, instanceID: c, options: {input: canary-of-a-plan}}\n"
    encrypted.write((encrypted.folder / "devstream.yaml").read_text() + more)
    assert encrypted("plan", "--out", "saved").code == 0
    encrypted.write(TOOLS)
    assert b"canary-of-a-plan" not in (encrypted.folder / "saved").read_bytes()
    assert encrypted("run", "saved", "-y").code == 0
    config(encrypted, MAIN)
    assert "noop.c" in addresses(encrypted)


def test_a_saved_plan_of_a_state_whose_key_is_in_the_environment(project: Any) -> None:
    config(project, "{name: main, passphrase: env:PW}")
    assert project("run", "-y", PW=CANARY).code == 0
    project.write(TOOLS + "- {name: noop, instanceID: c}\n")
    given = {"DEVSTREAM_STATE_PASSPHRASE": CANARY}
    assert project("plan", "--out", "saved", **given).code == 0
    assert CANARY.encode() not in (project.folder / "saved").read_bytes()
    assert project("run", "saved", "-y").code == 7
    assert project("run", "saved", "-y", **given).code == 0


def test_a_passphrase_in_the_configuration_is_refused_and_not_shown(project: Any) -> None:
    config(project, f"{{name: main, passphrase: {CANARY}}}")
    for command in (("plan",), ("validate",), ("show", "config"), ("state", "list")):
        ended = project(*command, "-vv")
        assert ended.code == 3
        assert "passphrase: env:NAME" in ended.err
        assert CANARY not in ended.out + ended.err
        told = project(*command, "-o", "json").data["diagnostics"][-1]
        assert told["code"] == "passphrase-in-clear"
        assert CANARY not in json.dumps(told)


def test_the_package_that_is_missing_is_named(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    key_file(project, "main")
    config(project, MAIN)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    for command in (("plan",), ("run", "-y"), ("state", "list"), ("init",)):
        ended = project(*command)
        assert ended.code == 3
        assert "pip install 'devstream[encryption]'" in ended.out + ended.err
    assert not (project.folder / "devstream.state").exists()
