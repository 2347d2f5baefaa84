"""Git for real: pull and push over https (nginx and git's CGI) and ssh (OpenSSH); who the server is, and who we are."""

from __future__ import annotations

import os
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from devstream.api import Address, OperationError, Secret
from devstream.testing.context import PlainContext
from devstream.testing.git_servers import GitOverHttps, GitOverSsh, KeyPair, make_key, missing_programs
from devstream_plugin_scm.forge import File, open_forge
from devstream_plugin_scm.repository import TargetRepo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from devstream_plugin_scm.forge import Forge

PASSWORD = "canary-pass:word@/1"

needs_nginx = pytest.mark.skipif(
    bool(missing_programs("nginx", "fcgiwrap")), reason="Debian's nginx-light and fcgiwrap are not installed"
)
needs_sshd = pytest.mark.skipif(
    bool(missing_programs("sshd", "ssh", "ssh-keygen")), reason="Debian's openssh-server is not installed"
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with one empty bare repository."""
    root = tmp_path / "served"
    (root / "acme").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", root / "acme" / "shop.git"], check=True)
    return root


@pytest.fixture
def forge_of(tmp_path: Path) -> Iterator[Callable[..., Forge]]:
    """Give a forge for options, with a home of its own."""
    opened: list[PlainContext] = []
    home = tmp_path / "home"
    home.mkdir()

    def give(url: str, **fields: Any) -> Forge:
        environ = {"PATH": os.environ["PATH"], "HOME": str(home)}
        opened.append(PlainContext(tmp_path, Address("ci-generic", "shop"), environ=environ))
        return open_forge(TargetRepo(scm_type="git", url=url, **fields), opened[-1])

    yield give
    for context in opened:
        context.close()


def push(forge: Forge, url: str, text: bytes = b"hello\n") -> str | None:
    return forge.publish(url, "main", "Write", lambda _, __: {"README.md": File(text)})


def holds_what_was_pushed(forge: Forge, url: str) -> bool:
    """Push twice and read back."""
    push(forge, url)
    commit = push(forge, url, b"again\n")
    found = forge.describe(url)
    assert found is not None
    return found.branches == {"main": commit} and set(forge.listing(url, commit or "")) == {"README.md"}


# ---- https


@pytest.fixture
def ca(tmp_path: Path) -> trustme.CA:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other-ca.pem"))
    return ca


@pytest.fixture
def https(root: Path, tmp_path: Path, ca: trustme.CA) -> Iterator[GitOverHttps]:
    folder = tmp_path / "nginx"
    folder.mkdir()
    certificate = ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.bytes()
    with GitOverHttps(root, folder, certificate=certificate, password=PASSWORD) as server:
        yield server


@pytest.fixture
def login() -> dict[str, Any]:
    return {"user": GitOverHttps.user, "token": Secret.plain(PASSWORD)}


@needs_nginx
def test_https_with_its_ca_and_its_password(
    https: GitOverHttps, forge_of: Callable[..., Forge], login: dict[str, Any]
) -> None:
    url = f"{https.url}/acme/shop.git"
    assert holds_what_was_pushed(forge_of(url, ca_file="ca.pem", **login), url)


@needs_nginx
@pytest.mark.parametrize("ca_file", ["other-ca.pem", "", "no-such-file.pem"])
def test_https_of_somebody_else_is_not_trusted_and_learns_no_password(
    https: GitOverHttps, forge_of: Callable[..., Forge], login: dict[str, Any], ca_file: str
) -> None:
    url = f"{https.url}/acme/shop.git"
    with pytest.raises(OperationError, match=r"git cannot (trust|reach)") as caught:
        forge_of(url, ca_file=ca_file, **login).describe(url)
    assert PASSWORD not in f"{caught.value}{caught.value.diagnostic.detail}"
    assert not https.log


@needs_nginx
@pytest.mark.parametrize(
    "wrong",
    [
        {"user": "someone", "token": Secret.plain("wrong")},
        {"user": "nobody", "token": Secret.plain(PASSWORD)},
        {"token": Secret.plain(PASSWORD)},
        {},
    ],
)
def test_a_wrong_password_or_none_is_refused_without_a_question(
    https: GitOverHttps, forge_of: Callable[..., Forge], wrong: dict[str, Any]
) -> None:
    url = f"{https.url}/acme/shop.git"
    with pytest.raises(OperationError, match="cannot log in to") as caught:
        forge_of(url, ca_file="ca.pem", **wrong).describe(url)
    assert PASSWORD not in f"{caught.value}{caught.value.diagnostic.detail}"


@needs_nginx
def test_a_netrc_logs_nobody_in(https: GitOverHttps, forge_of: Callable[..., Forge], tmp_path: Path) -> None:
    (tmp_path / "home" / ".netrc").write_text(f"machine 127.0.0.1 login someone password {PASSWORD}\n")
    url = f"{https.url}/acme/shop.git"
    with pytest.raises(OperationError, match="cannot log in to"):
        forge_of(url, ca_file="ca.pem").describe(url)


@needs_nginx
def test_a_repository_that_is_not_there_is_told_from_one_that_is_not_ours(
    https: GitOverHttps, forge_of: Callable[..., Forge], login: dict[str, Any]
) -> None:
    url = f"{https.url}/acme/other.git"
    assert forge_of(url, ca_file="ca.pem", **login).describe(url) is None


def test_clear_text_is_refused_before_anybody_is_asked(forge_of: Callable[..., Forge]) -> None:
    url = "http://git.example.org/acme/shop.git"
    with pytest.raises(OperationError, match="in clear"):
        forge_of(url).describe(url)


# ---- ssh


@pytest.fixture
def key(tmp_path: Path) -> KeyPair:
    folder = tmp_path / "keys"
    folder.mkdir()
    return make_key(folder)


@pytest.fixture
def ssh(root: Path, tmp_path: Path, key: KeyPair) -> Iterator[GitOverSsh]:
    folder = tmp_path / "sshd"
    folder.mkdir()
    with GitOverSsh(root, folder, authorized=(key.public,)) as server:
        (tmp_path / "hosts").write_text(server.known_host())
        yield server


@needs_sshd
def test_ssh_with_a_pinned_host_and_a_key(
    ssh: GitOverSsh, root: Path, key: KeyPair, forge_of: Callable[..., Forge]
) -> None:
    url = f"{ssh.url}{root}/acme/shop.git"
    forge = forge_of(url, known_hosts="hosts", ssh_private_key=Secret.plain(key.private))
    assert holds_what_was_pushed(forge, url)


@needs_sshd
@pytest.mark.parametrize("known", ["", "changed"])
def test_a_host_that_is_unknown_or_has_another_key_is_not_trusted(
    ssh: GitOverSsh, key: KeyPair, forge_of: Callable[..., Forge], tmp_path: Path, known: str
) -> None:
    line = ssh.known_host(make_key(tmp_path, "other").public) if known else ""
    (tmp_path / "hosts").write_text(line)
    url = f"{ssh.url}/acme/shop.git"
    forge = forge_of(url, known_hosts="hosts", ssh_private_key=Secret.plain(key.private))
    with pytest.raises(OperationError, match=r"git cannot trust .*knownHosts") as caught:
        forge.describe(url)
    assert "Host key verification failed" in caught.value.diagnostic.detail
    assert (tmp_path / "hosts").read_text() == line


@needs_sshd
def test_a_key_that_may_not_log_in_is_refused_and_not_shown(
    ssh: GitOverSsh, root: Path, forge_of: Callable[..., Forge], tmp_path: Path
) -> None:
    wrong = make_key(tmp_path, "wrong").private
    url = f"{ssh.url}{root}/acme/shop.git"
    with pytest.raises(OperationError, match="cannot log in to") as caught:
        forge_of(url, known_hosts="hosts", ssh_private_key=Secret.plain(wrong)).describe(url)
    assert wrong.splitlines()[1] not in f"{caught.value}{caught.value.diagnostic.detail}"


@needs_sshd
def test_a_url_as_scp_writes_it(
    tmp_path: Path, root: Path, key: KeyPair, forge_of: Callable[..., Forge]
) -> None:
    folder = tmp_path / "sshd"
    folder.mkdir()
    somewhere = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
    try:
        server = GitOverSsh(root, folder, authorized=(key.public,), address=somewhere, port=22)
    except OSError as error:
        pytest.skip(f"such a URL means port 22, which cannot be had here: {error}")
    with server:
        (tmp_path / "hosts").write_text(server.known_host())
        url = f"{server.user}@{somewhere}:acme/shop.git"
        forge = forge_of(url, known_hosts="hosts", ssh_private_key=Secret.plain(key.private))
        assert holds_what_was_pushed(forge, url)
