"""What is a public key, and what services say to one that they have already."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.api import OperationError
from devstream.testing.bitbucket import BitbucketCloudStandIn
from devstream.testing.bitbucket_server import BitbucketServerStandIn
from devstream.testing.gitea import GiteaStandIn
from devstream.testing.github import GitHubStandIn
from devstream.testing.gitlab import GitLabStandIn
from devstream_plugin_scm.deploy_keys import fingerprint, public_key
from devstream_plugin_scm.forge import Mark
from devstream_plugin_scm.hosting import DeployKey, deploy_key_title, is_our_deploy_key
from devstream_plugin_scm.testing import Bench, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAb0yiNdT+IQ4AFGqSzBjOdltYNthN1uvVKkFMwOa0nV"
KIND, DATA = KEY.split()


@pytest.mark.parametrize(
    "text",
    [
        "",
        KIND,
        DATA,
        f"{KIND} ",
        f"{KIND} {DATA[:-4]}",
        f"{KIND} {DATA}AAAA",
        f"{KIND} {DATA[:20]} {DATA[20:]}",
        f"{KIND} {DATA}\n{KIND} {DATA}",
        f"{KIND} ????{DATA[4:]}",
        f"ssh-rsa {DATA}",
        f"ssh-dss {DATA}",
        f'command="sh" {KEY}',
        f"no-pty {KEY}",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        f"{KEY} {'x' * 20_000}",
    ],
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(OperationError, match="no OpenSSH public key") as caught:
        public_key(text)
    assert DATA[:20] not in str(caught.value)


@given(st.text())
def test_any_text_is_a_key_or_refused_in_words(text: str) -> None:
    with pytest.raises(OperationError):
        public_key(text)


@given(st.text(st.characters(exclude_categories=["Cc", "Zl", "Zp", "Cs"]), max_size=30))
def test_the_comment_is_dropped(comment: str) -> None:
    assert public_key(f" {KEY} {comment}\n") == KEY


@pytest.mark.parametrize("kind", [("ed25519", "256"), ("rsa", "2048"), ("ecdsa", "256"), ("ecdsa", "521")])
def test_keys_of_ssh_keygen(tmp_path: Path, kind: tuple[str, str]) -> None:
    command = [
        "ssh-keygen",
        "-q",
        "-t",
        kind[0],
        "-b",
        kind[1],
        "-N",
        "",
        "-C",
        "a b",
        "-f",
        str(tmp_path / "k"),
    ]
    subprocess.run(command, check=True)
    key = public_key((tmp_path / "k.pub").read_text())
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(tmp_path / "k")], capture_output=True, text=True, check=True
    )
    assert fingerprint(key) == shown.stdout.split()[1]
    with pytest.raises(OperationError, match="not one line"):
        public_key((tmp_path / "k").read_text())


@pytest.mark.parametrize(
    ("title", "ours"),
    [
        (deploy_key_title("gitlab-ci.shop"), True),
        (deploy_key_title("gitlab-ci.shop", of="jenkins.main"), True),
        (deploy_key_title("gitlab-ci.shop2"), False),
        (deploy_key_title("gitlab-ci.sho", of="p"), False),
        ("gitlab-ci.shop", False),
        (f"x {deploy_key_title('gitlab-ci.shop')}", False),
    ],
)
def test_titles_say_whose_a_key_is(title: str, *, ours: bool) -> None:
    assert is_our_deploy_key(DeployKey(title, KEY), "gitlab-ci.shop") is ours


# keys that are elsewhere already


def gitea(service: GiteaStandIn, key: str) -> None:
    service.users_keys.add(key)


def gitlab(service: GitLabStandIn, key: str) -> None:
    service.strangers_keys.add(key)


def cloud(service: BitbucketCloudStandIn, key: str) -> None:
    service.accounts_keys = frozenset([key])


def data_center(service: BitbucketServerStandIn, key: str) -> None:
    service.users_keys = frozenset([key])


SERVICES: dict[str, tuple[str, Any, Any]] = {
    "gitea": ("gitea", GiteaStandIn, gitea),
    "gitlab": ("gitlab", GitLabStandIn, gitlab),
    "github": ("github", GitHubStandIn, None),
    "cloud": ("bitbucket", BitbucketCloudStandIn, cloud),
    "data-center": ("bitbucket", BitbucketServerStandIn, data_center),
}


def make(bench: Bench) -> str:
    """Make a repository by the API alone: nothing here is about git."""
    location = bench.location
    bench.hosting.create(location, mark=Mark("op-1", str(bench.address)), visibility="")
    return location


class UserBench(Bench):
    """Sends a user's own token, as access keys of bitbucket.org want it."""

    def repo(self, **fields: object) -> Any:
        return super().repo(**{"user": self.server.owner, **fields})


def opened(name: str, service: Any, root: Path) -> Bench:
    scm_type = SERVICES[name][0]
    if name != "cloud":
        return Bench(scm_type, Server(service.url, service.token, service.user), root, name="shop")
    server = Server(service.url, service.password, service.user, api=service.api)
    return UserBench(scm_type, server, root, name="shop")


@pytest.fixture(params=SERVICES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Bench, Any, str]]:
    with SERVICES[request.param][1](tmp_path / "served") as service:
        bench = opened(request.param, service, tmp_path)
        make(bench)
        yield bench, service, request.param
        bench.close()


def test_a_key_that_is_in_use_elsewhere_is_named(bench: tuple[Bench, Any, str]) -> None:
    at, service, name = bench
    if name == "github":
        other = f"{at.location.rpartition('/')[0]}/other"
        at.hosting.create(other, mark=Mark("op-2", "a.b"), visibility="")
        at.hosting.put_deploy_key(other, DeployKey("other", KEY))
    else:
        SERVICES[name][2](service, KEY)
    with pytest.raises(OperationError, match="in use elsewhere") as caught:
        at.hosting.put_deploy_key(at.location, DeployKey("ci", KEY))
    assert fingerprint(KEY) in str(caught.value)
    assert "a key of its own" in (caught.value.diagnostic.suggestion or "")
    assert not at.hosting.deploy_keys(at.location)


@pytest.mark.parametrize("status", [500, pytest.param(0, marks=pytest.mark.slow)])
def test_a_key_that_was_made_though_the_answer_was_lost_is_found(
    bench: tuple[Bench, Any, str], status: int
) -> None:
    at, service, name = bench
    prefix = {"gitlab": "/api/v4/projects/1/deploy_keys", "github": "/repos/someone/shop/keys"}.get(name, "/")
    service.fail("POST", prefix, status=status, after=True)
    made = at.hosting.put_deploy_key(at.location, DeployKey("ci", KEY))
    assert list(at.hosting.deploy_keys(at.location)) == [made]


def test_a_shared_key_of_gitlab_keeps_its_title(tmp_path: Path) -> None:
    with GitLabStandIn(tmp_path / "served") as service:
        server = Server(service.url, service.token, service.user)
        benches = [Bench("gitlab", server, tmp_path, name=name) for name in ("one", "two")]
        made = [bench.hosting.put_deploy_key(make(bench), DeployKey(bench.name, KEY)) for bench in benches]
        assert [key.title for key in made] == ["one", "one"]
        benches[0].hosting.delete_deploy_key(benches[0].location, made[0].id)
        assert len(benches[1].hosting.deploy_keys(benches[1].location)) == 1
        for bench in benches:
            bench.close()
