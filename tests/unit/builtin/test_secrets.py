"""The secret sources ``env`` and ``file``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devstream.errors import CredentialsError
from devstream.plugins.manager import PluginManager

if TYPE_CHECKING:
    from devstream.plugins.registries import SecretSource


def source(name: str, folder: Path, environ: dict[str, str] | None = None) -> SecretSource:
    manager = PluginManager(folder=None, environ={}, search_path=[])
    return manager.secret_source(name)(environ or {}, folder)


def test_env(tmp_path: Path) -> None:
    assert source("env", tmp_path, {"TOKEN": " s3cr3t\n"}).get("TOKEN") == " s3cr3t\n"


@pytest.mark.parametrize(("environ", "state"), [({}, "not set"), ({"TOKEN": ""}, "empty")])
def test_env_names_the_variable(tmp_path: Path, environ: dict[str, str], state: str) -> None:
    with pytest.raises(CredentialsError) as caught:
        source("env", tmp_path, environ).get("TOKEN")
    assert caught.value.diagnostic.summary == f"the environment variable TOKEN is {state}"
    assert caught.value.diagnostic.suggestion == "export TOKEN=..."


TEXTS = {
    "s3cr3t": "s3cr3t",
    "s3cr3t\n": "s3cr3t",
    "s3cr3t\r\n": "s3cr3t",
    "a\n\n": "a\n",
    " a ": " a ",
    "ü": "ü",
}


@pytest.mark.parametrize(("content", "secret"), TEXTS.items(), ids=repr)
def test_file(tmp_path: Path, content: str, secret: str) -> None:
    (tmp_path / "token").write_bytes(content.encode())
    assert source("file", tmp_path).get("token") == secret
    assert source("file", Path("/nowhere")).get(str(tmp_path / "token")) == secret


REFUSED: dict[str, tuple[bytes | None, str]] = {
    "missing": (None, "No such file"),
    "large": (b"x" * ((1 << 20) + 1), "larger than 1 MiB"),
    "binary": (b"s3cr3t\xff", "not UTF-8 text"),
    "empty": (b"", "empty"),
    "one newline": (b"\n", "empty"),
}


@pytest.mark.parametrize(("content", "message"), REFUSED.values(), ids=REFUSED)
def test_file_refuses(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "token").write_bytes(content)
    with pytest.raises(CredentialsError) as caught:
        source("file", tmp_path).get("token")
    assert "the secret file token cannot be used: " in str(caught.value)
    assert message in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_file_at_the_limit(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"x" * (1 << 20))
    assert len(source("file", tmp_path).get("token")) == 1 << 20


def test_file_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="Is a directory"):
        source("file", tmp_path).get(".")
