"""The tool ``file``."""

from __future__ import annotations

import os
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstream.errors import OperationError
from devstream.model.schema import Traits
from devstream.model.values import Secret, SecretRef

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Bench

SECRET = Secret((SecretRef("env", "X"),), "s3cr3t")


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_create_and_read_agree(file: Bench, tmp_path: Path) -> None:
    options = {"path": "sub/a.txt", "content": "hällo\n"}
    assert file.read(**options) is None
    made = file.create(**options)
    assert made == file.read(**options) == file.read(**options)
    assert made.properties == {
        "path": "sub/a.txt",
        "mode": "0644",
        "sha256": sha256("hällo\n".encode()).hexdigest(),
    }
    assert made.outputs == {"path": "sub/a.txt"}
    assert (tmp_path / "sub/a.txt").read_text() == "hällo\n"
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["a.txt"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(content=st.text(st.characters(codec="utf-8"), max_size=50), mode=st.integers(0o400, 0o777))
def test_whatever_is_written_is_read_back(file: Bench, tmp_path: Path, content: str, mode: int) -> None:
    options = {"path": "a", "content": content, "mode": f"{mode | 0o600:04o}"}
    assert file.create(**options) == file.read(**options)
    assert (tmp_path / "a").read_bytes() == content.encode()
    assert mode_of(tmp_path / "a") == mode | 0o600


def test_mode_whatever_the_umask(file: Bench, tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        file.create(path="a", content="", mode="0666")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "a") == 0o666


DRIFT = {
    "content": lambda path: path.write_text("changed"),
    "mode": lambda path: path.chmod(0o600),
}


@pytest.mark.parametrize("change", DRIFT.values(), ids=DRIFT)
@pytest.mark.parametrize("content", ["plain", SECRET], ids=["plain", "secret"])
def test_drift_is_seen_and_repaired(file: Bench, tmp_path: Path, change: Any, content: Any) -> None:
    options = {"path": "a", "content": content}
    made = file.create(**options)
    change(tmp_path / "a")
    found = file.read(**options)
    assert found is not None
    assert found.properties != made.properties
    assert file.update(**options) == made == file.read(**options)


def test_neither_a_secret_nor_its_digest_is_reported(file: Bench) -> None:
    made = file.create(path="a", content=SECRET)
    assert made.properties == {"path": "a", "mode": "0644", "content": "as configured"}


def test_absolute_path(file: Bench, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "b"
    file.create(path=str(target), content="x")
    assert target.read_text() == "x"


def test_a_link_is_written_through_and_stays(file: Bench, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/target")
    options = {"path": "link", "content": "x"}
    assert file.read(**options) is None
    file.create(**options)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real/target").read_text() == "x"
    file.delete(**options)
    assert file.read(**options) is None
    assert (tmp_path / "link").is_symlink()


def test_delete(file: Bench, tmp_path: Path) -> None:
    options = {"path": "sub/a", "content": "x"}
    file.create(**options)
    file.delete(**options)
    assert not (tmp_path / "sub/a").exists()
    assert (tmp_path / "sub").is_dir()
    file.delete(**options)


def block_folder(path: Path) -> None:
    path.mkdir()


def block_pipe(path: Path) -> None:
    os.mkfifo(path)


def block_loop(path: Path) -> None:
    path.symlink_to(path.name)


def block_parent(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("a file where a folder should be")


BLOCKS = {
    "folder": (block_folder, "is a folder"),
    "pipe": (block_pipe, "no regular file"),
    "loop": (block_loop, "cannot be reached"),
    "parent": (block_parent, "cannot be"),
}


@pytest.mark.parametrize(("block", "message"), BLOCKS.values(), ids=BLOCKS)
@pytest.mark.parametrize("hook", ["create", "read", "update", "delete"])
def test_something_in_the_way(file: Bench, tmp_path: Path, block: Any, message: str, hook: str) -> None:
    (tmp_path / "sub").mkdir()
    block(tmp_path / "sub/a")
    with pytest.raises(OperationError) as caught:
        getattr(file, hook)(path="sub/a", content="x")
    assert message in str(caught.value)
    assert "sub/a" in str(caught.value)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    file: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.create(path="a", content="old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OperationError, match="a cannot be written: No space left on device"):
        file.update(path="a", content="new")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"a": "old"}


# templates


def test_template(file: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("{% for x in hosts %}{{ x }}:{{ port }}\n{% endfor %}\n")
    options = {"path": "a", "template": "a.j2", "input": {"hosts": ["h1", "h2"], "port": 80}}
    made = file.create(**options)
    assert (tmp_path / "a").read_text() == "h1:80\nh2:80\n\n"
    assert made == file.read(**options)
    assert made.properties["content"] == "as configured"


def test_a_changed_template_is_seen(file: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("one")
    options = {"path": "a", "template": "a.j2"}
    file.create(**options)
    (tmp_path / "a.j2").write_text("two")
    found = file.read(**options)
    assert found is not None
    assert found.properties["content"] == "different"


def test_a_secret_in_a_template_is_revealed_in_the_file_only(file: Bench, tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("{{ login.pw }}{{ all[0] }}")
    made = file.create(path="a", template="a.j2", input={"login": {"pw": SECRET}, "all": [SECRET]})
    assert (tmp_path / "a").read_text() == "s3cr3ts3cr3t"
    assert "s3cr3t" not in repr(made)


BAD_TEMPLATES = {
    "undefined": ("x\n{{ nothing }}", "'nothing' is undefined"),
    "syntax": ("x\n{% if %}", "t.j2:2"),
    "unsafe": ("{{ ''.__class__.__mro__ }}", "unsafe"),
    "changes its input": ("{{ items.append(1) }}", "append"),
    "divides": ("{{ 1 / 0 }}", "division by zero"),
    "includes": ("{% include '/etc/passwd' %}", "cannot be rendered"),
    "not there": (None, "t.j2 cannot be read: No such file"),
    "not text": (b"\xff\xfe", "t.j2 cannot be read"),
}


@pytest.mark.parametrize(("source", "message"), BAD_TEMPLATES.values(), ids=BAD_TEMPLATES)
def test_bad_template(file: Bench, tmp_path: Path, source: str | bytes | None, message: str) -> None:
    if source is not None:
        (tmp_path / "t.j2").write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(OperationError) as caught:
        file.create(path="a", template="t.j2", input={"items": []})
    assert message in str(caught.value)
    assert not (tmp_path / "a").exists()


# options


def test_traits_and_flags(file: Bench) -> None:
    assert file.traits() == Traits(repeatable=True)
    assert file.plugin.adopts
    assert file.plugin.flags(("path",)) == {"immutable"}


MISTAKES = {
    "mode as a number": ({"path": "a", "content": "", "mode": 420}, "put it in quotes"),
    "mode that is none": ({"path": "a", "content": "", "mode": "0999"}, "pattern"),
    "no content": ({"path": "a"}, "give either content or template"),
    "both": ({"path": "a", "content": "", "template": "t"}, "not both"),
    "no path": ({"content": ""}, '"path" is missing'),
    "empty path": ({"path": "", "content": ""}, "at least 1 character"),
    "secret path": ({"path": SECRET, "content": ""}, "in clear"),
    "misspelt": ({"path": "a", "contents": ""}, 'did you mean "content"?'),
}


@pytest.mark.parametrize(("options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(file: Bench, options: dict[str, Any], message: str) -> None:
    (mistake,) = file.mistakes(**options)
    assert message in mistake


def test_content_that_is_not_known_yet(file: Bench) -> None:
    from devstream.model.values import Unknown

    assert file.mistakes(path="a", content=Unknown()) == []
