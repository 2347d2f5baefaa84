"""Gitea: the contract, against the stand-in or the server that DEVSTREAM_TEST_GITEA_URL names; faults; what is special."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devstream.api import OperationError, Secret
from devstream.testing.gitea import GiteaStandIn
from devstream_plugin_scm.testing import Bench, HostingContract, Server, server_from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestGitea(HostingContract):
    scm_type = "gitea"
    events = ("pull_request", "push")

    def server(self, tmp_path: Path) -> Iterator[Server]:
        named = server_from_environment("gitea")
        if named:
            yield named
            return
        with GiteaStandIn(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user, "acme")


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[GiteaStandIn]:
    with GiteaStandIn(tmp_path / "served") as standin:
        yield standin


@pytest.fixture
def bench(gitea: GiteaStandIn, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench("gitea", Server(gitea.url, gitea.token, gitea.user), tmp_path, name="shop")
    yield bench
    bench.close()


def test_an_organisation_gets_its_repository(bench: Bench, gitea: GiteaStandIn) -> None:
    bench.server = bench.server._replace(owner="acme")
    bench.make()
    assert gitea.asked("POST", "/api/v1/orgs/acme/repos")
    assert bench.location == f"{gitea.host}/acme/shop"


def test_an_owner_that_is_not_there_is_named(bench: Bench) -> None:
    bench.server = bench.server._replace(owner="nobody")
    with pytest.raises(OperationError, match=r"orgs/nobody/repos \(404"):
        bench.make()


@pytest.mark.parametrize("status", [500, 502, 0])
def test_a_repository_that_was_made_though_the_answer_was_lost_is_found(
    bench: Bench, gitea: GiteaStandIn, status: int
) -> None:
    gitea.fail("POST", "/api/v1/user/repos", status=status, after=True)
    bench.make()
    assert len(gitea.repositories) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_what_is_refused_is_said_once_and_changes_nothing(
    bench: Bench, gitea: GiteaStandIn, status: int
) -> None:
    gitea.fail("POST", "/api/v1/user/repos", status=status, body={"message": "because\nof \x1b[31mthis"})
    with pytest.raises(OperationError, match=rf"refuses POST /user/repos \({status}: because of"):
        bench.make()
    assert not gitea.repositories
    bench.make()
    assert len(gitea.repositories) == 1


def test_a_rate_limit_is_waited_for(bench: Bench, gitea: GiteaStandIn) -> None:
    gitea.fail("POST", "/api/v1/user/repos", status=429, headers={"Retry-After": "0"}, times=2)
    bench.make()
    assert len(gitea.asked("POST", "/api/v1/user/repos")) == 3


def test_a_rate_limit_of_an_hour_is_left_to_a_later_run(bench: Bench, gitea: GiteaStandIn) -> None:
    gitea.fail("POST", "/api/v1/user/repos", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(OperationError, match="try again in 3600 s"):
        bench.make()
    assert not gitea.repositories


def test_a_protected_branch_gets_a_pull_request(bench: Bench, gitea: GiteaStandIn) -> None:
    bench.make()
    bench.push({"a": b"1"})
    gitea.protect("someone/shop", "main")
    bench.push({"a": b"2"})
    (pull,) = gitea.repository("someone/shop").pulls
    assert (pull["head"]["ref"], pull["base"]["ref"]) == ("devstream/repo-scaffolding.shop", "main")
    bench.push({"a": b"2"})
    assert len(gitea.repository("someone/shop").pulls) == 1


def test_plain_http_to_another_machine_is_refused(tmp_path: Path) -> None:
    bench = Bench("gitea", Server("http://git.example.org", "x", "someone"), tmp_path)
    with pytest.raises(OperationError, match="in clear"):
        bench.forge(allow_http=False, token=None)


def test_another_server_than_before_is_not_taken_for_the_same(bench: Bench) -> None:
    with pytest.raises(OperationError, match=r"is not on 127\.0\.0\.1"):
        bench.forge().describe("git.example.org/someone/shop")


def test_the_token_is_in_no_message(bench: Bench, gitea: GiteaStandIn) -> None:
    canary = "canary-5c1e77"
    gitea.token = canary
    forge = bench.forge(token=Secret.plain(canary))
    gitea.fail("*", "/api/v1/", status=400, body={"message": "no"}, times=9)
    with pytest.raises(OperationError) as caught:
        forge.describe(bench.location)
    assert canary not in str(caught.value)


@pytest.mark.parametrize("token", ["canary\n", "can ary", "cänary"])
def test_a_token_that_cannot_be_sent_is_not_shown(bench: Bench, token: str) -> None:
    with pytest.raises(OperationError, match="blanks, line breaks or letters that no token has") as caught:
        bench.forge(token=Secret.plain(token))
    assert "nary" not in str(caught.value)


def test_the_api_is_not_told_the_token_in_clear_either(bench: Bench) -> None:
    with pytest.raises(OperationError, match="in clear"):
        bench.forge(api_url="http://api.example.org", allow_http=False, token=None)
