"""Repositories on a server, by git over http: pull, push, propose; no account, no token where it could be seen."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import Address, OperationError, Secret
from devstream.testing.context import PlainContext
from devstream.testing.service import Request, Response, Service
from devstream_plugin_scm.forge import Delivery, File, proposal_branch
from devstream_plugin_scm.hosting import Hosted
from devstream_plugin_scm.remote import RemoteForge, git_url
from devstream_plugin_scm.repository import TargetRepo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devstream_plugin_scm.forge import Changes, Files

TOKEN = "canary-7f3a91"


class GitHost(Service):
    """Serves one folder of repositories to whoever knows the token."""

    def allows_git(self, request: Request, repository: str, *, write: bool) -> Response | None:
        if request.basic == ("someone", TOKEN):
            return None
        return Response(401, b"who are you\n", {"WWW-Authenticate": 'Basic realm="git"'})


@pytest.fixture
def host(tmp_path: Path) -> Iterator[GitHost]:
    root = tmp_path / "served"
    (root / "acme").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", root / "acme" / "shop.git"], check=True)
    with GitHost(git_root=root) as service:
        yield service


class Spying(PlainContext):
    """Keeps every command line."""

    argvs: list[str]

    def run(self, argv: Any, **asked: Any) -> Any:
        self.__dict__.setdefault("argvs", []).append(" ".join(argv))
        return super().run(argv, **asked)


def repo_of(host: GitHost, **fields: Any) -> TargetRepo:
    return TargetRepo(
        scm_type="git",
        **{"url": f"{host.url}/acme/shop.git", "user": "someone", "token": Secret.plain(TOKEN), **fields},
    )


def forge_of(host: GitHost, tmp_path: Path, **fields: Any) -> tuple[RemoteForge, str, Spying]:
    context = Spying(tmp_path, Address("ci-generic", "shop"))
    forge = RemoteForge(context, repo_of(host, **fields), None)
    return forge, forge.locate(forge._repo), context


def publish(forge: RemoteForge, url: str, files: dict[str, bytes], **how: Any) -> str | None:
    wanted = {path: File(content) for path, content in files.items()}
    return forge.publish(
        url,
        "main",
        "Write files",
        lambda head, _: {
            path: file for path, file in wanted.items() if path not in head or not head[path].holds(file)
        },
        **how,
    )


def test_an_empty_repository_gets_its_first_commit_and_is_read_again(host: GitHost, tmp_path: Path) -> None:
    forge, url, _ = forge_of(host, tmp_path)
    before = forge.describe(url)
    assert before is not None
    assert not before.branches
    commit = publish(
        forge,
        url,
        {"README.md": b"hello\n"},
    )
    after = forge.describe(url)
    assert after is not None
    assert after.branches == {"main": commit}
    assert after.default_branch == "main"
    assert set(forge.listing(url, commit or "")) == {"README.md"}
    assert publish(forge, url, {"README.md": b"hello\n"}) is None


def test_contents_are_the_bytes_that_were_pushed(host: GitHost, tmp_path: Path) -> None:
    forge, url, _ = forge_of(host, tmp_path)
    publish(forge, url, {"data": b"a\0\xff\r\nb"})
    seen: list[bytes] = []

    def look(head: Files, _: Files | None) -> Changes:
        seen.append(head.content("data"))
        return {}

    forge.publish(url, "main", "Look", look)
    assert seen == [b"a\0\xff\r\nb"]


def test_the_token_is_in_no_argument_no_log_and_no_file_afterwards(host: GitHost, tmp_path: Path) -> None:
    forge, url, context = forge_of(host, tmp_path)
    publish(forge, url, {"a": b"1"})
    assert forge.describe(f"{host.url}/acme/other.git") is None
    host.fail("GET", "/acme/shop.git", status=500)
    with pytest.raises(OperationError) as caught:
        forge.describe(url)
    assert any("ls-remote" in argv for argv in context.argvs)
    assert TOKEN not in "\n".join([*context.argvs, context.log.text, str(caught.value)])
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]


def test_a_wrong_token_says_so_and_asks_nobody(host: GitHost, tmp_path: Path) -> None:
    forge, url, _ = forge_of(host, tmp_path, token=Secret.plain("wrong"))
    with pytest.raises(OperationError, match="cannot log in to"):
        forge.describe(url)


def test_a_redirect_is_not_followed(host: GitHost, tmp_path: Path) -> None:
    host.fail("GET", "/acme/shop.git", status=302, headers={"Location": "http://127.0.0.1:1/"}, times=9)
    forge, url, _ = forge_of(host, tmp_path)
    with pytest.raises(OperationError, match="cannot reach"):
        forge.describe(url)


def test_clear_text_goes_to_this_machine_only(host: GitHost, tmp_path: Path) -> None:
    forge, _, _ = forge_of(host, tmp_path, url="http://git.example.org/acme/shop.git", token=None)
    with pytest.raises(OperationError, match="in clear"):
        forge.describe("http://git.example.org/acme/shop.git")


def test_an_answer_that_was_lost_is_no_failure_and_nothing_is_doubled(host: GitHost, tmp_path: Path) -> None:
    forge, url, _ = forge_of(host, tmp_path)
    publish(forge, url, {"a": b"1"})
    host.fail("POST", "/acme/shop.git/git-receive-pack", status=500, after=True)
    commit = publish(forge, url, {"a": b"2"})
    found = forge.describe(url)
    assert found is not None
    assert found.branches == {"main": commit}


def test_a_proposal_is_a_branch_where_there_is_no_service(host: GitHost, tmp_path: Path) -> None:
    forge, url, context = forge_of(host, tmp_path)
    publish(forge, url, {"a": b"1"})
    name = proposal_branch(context.address)
    publish(forge, url, {"a": b"2"}, delivery=Delivery.PULL_REQUEST, proposal=name)
    found = forge.describe(url)
    assert found is not None
    assert set(found.branches) == {"main", name}
    assert "merge it into main" in context.log.text


def test_nothing_is_made_moved_or_deleted_without_a_service(host: GitHost, tmp_path: Path) -> None:
    from devstream_plugin_scm.forge import Mark

    forge, url, _ = forge_of(host, tmp_path)
    with pytest.raises(OperationError, match="cannot be made"):
        forge.create(url, branch="main", mark=Mark("1", "a.b"))
    with pytest.raises(OperationError, match="cannot be deleted"):
        forge.delete(url)


@pytest.mark.parametrize(
    ("clone_url", "api_url", "named"),
    [
        ("https://git.example.org/acme/shop.git", "", True),
        ("https://GIT.example.org:443/acme/shop.git", "", True),
        ("https://git.example.org/below/acme/shop.git", "", True),
        ("ssh://git@elsewhere.example/acme/shop.git", "", True),
        ("https://api.example.org/acme/shop.git", "https://api.example.org/v1", True),
        ("https://api.example.org/acme/shop.git", "", False),
        ("https://git.example.org:8443/acme/shop.git", "", False),
        ("https://git.example.org.elsewhere.example/acme/shop.git", "", False),
    ],
)
def test_git_shows_the_token_to_nobody_but_whom_users_named(
    clone_url: str, api_url: str, named: bool
) -> None:
    hosted = Hosted("1", "git.example.org/acme/shop", clone_url, "https://git.example.org/acme/shop", "main")
    repo = TargetRepo(
        scm_type="gitea", base_url="https://git.example.org", owner="acme", name="shop", api_url=api_url
    )
    if named:
        assert git_url(hosted, repo) == clone_url
        return
    with pytest.raises(OperationError, match="which nobody named here"):
        git_url(hosted, repo)
