"""What Gitea does that no description says, as it is in its source: the stand-in does it too, and we come to terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError
from devstream.testing.gitea import GiteaStandIn
from devstream_plugin_scm import rest
from devstream_plugin_scm.forge import Delivery, Mark, proposal_branch
from devstream_plugin_scm.gitea import Gitea
from devstream_plugin_scm.hosting import Proposal, ProposalState, Webhook
from devstream_plugin_scm.testing import Bench, HostingContract, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SHOP = "/api/v1/repos/someone/shop"
BRANCH = "devstream/repo-scaffolding.shop"


@pytest.mark.slow
class TestAwkwardGitea(HostingContract):
    """The contract on a server that does all of it at once."""

    scm_type = "gitea"
    events = ("issues", "pull_request", "push")

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with GiteaStandIn(tmp_path / "served", orgs=("Acme", "else"), page=2) as standin:
            standin.root_url = "http://elsewhere.invalid:3000"
            standin.checks = 3
            yield Server(standin.url, standin.token, "ACME", "Else")


@pytest.fixture
def gitea(tmp_path: Path) -> Iterator[GiteaStandIn]:
    with GiteaStandIn(tmp_path / "served") as standin:
        yield standin


@pytest.fixture
def bench(gitea: GiteaStandIn, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench("gitea", Server(gitea.url, gitea.token, gitea.user), tmp_path, name="shop")
    yield bench
    bench.close()


def proposed(bench: Bench) -> Proposal:
    """Open a pull request."""
    bench.make()
    bench.push({"a": b"1"})
    bench.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
    proposal = bench.hosting.proposal(bench.location, proposal_branch(bench.address))
    assert proposal is not None
    return proposal


# ---- where git shows the token


def test_git_asks_the_server_that_was_named_whatever_it_calls_itself(
    bench: Bench, gitea: GiteaStandIn
) -> None:
    gitea.root_url = "http://elsewhere.invalid:3000"
    bench.make()
    assert bench.push({"a": b"1"})
    found = bench.forge(reading=True).describe(bench.location)
    assert found is not None
    assert found.url == f"{gitea.url}/someone/shop.git"


@pytest.mark.parametrize(
    "status", [307, *(pytest.param(one, marks=pytest.mark.slow) for one in (301, 302, 308))]
)
def test_a_redirect_to_another_server_is_not_followed(bench: Bench, gitea: GiteaStandIn, status: int) -> None:
    bench.make()
    gitea.fail("*", SHOP, status=status, headers={"Location": f"https://elsewhere.invalid{SHOP}"}, times=2)
    for ask in (bench.hosting.find, bench.hosting.delete):
        with pytest.raises(OperationError, match="was not followed") as caught:
            ask(bench.location)
        assert "baseURL is that" in str(caught.value.diagnostic.suggestion)


@pytest.mark.parametrize("status", [301, *(pytest.param(one, marks=pytest.mark.slow) for one in (302, 303))])
def test_a_change_is_asked_again_only_where_it_stays_the_same(
    bench: Bench, gitea: GiteaStandIn, status: int
) -> None:
    bench.make()
    gitea.fail("DELETE", SHOP, status=status, headers={"Location": SHOP})
    with pytest.raises(OperationError, match="was not followed"):
        bench.hosting.delete(bench.location)
    assert gitea.repositories


# ---- who may what


def test_a_token_that_may_not_read_its_user_makes_repositories_of_organisations(
    bench: Bench, gitea: GiteaStandIn
) -> None:
    gitea.scopes = {"write:organization", "write:repository"}
    bench.server = bench.server._replace(owner="acme")
    bench.make()
    assert bench.push({"a": b"1"})
    bench.server = bench.server._replace(owner="someone")
    with pytest.raises(OperationError, match=r"orgs/someone/repos \(404") as caught:
        bench.make()
    assert "write:user" in str(caught.value.diagnostic.suggestion)


@pytest.mark.slow
def test_an_owner_may_be_written_in_another_case(bench: Bench, gitea: GiteaStandIn) -> None:
    for owner in ("SomeOne", "ACME"):
        bench.server = bench.server._replace(owner=owner)
        bench.make()
        assert bench.push({"a": b"1"})
    assert set(gitea.repositories) == {"someone/shop", "acme/shop"}
    bench.forge().move(bench.location, bench.location.replace("ACME", "acme"))
    assert not gitea.asked("POST", "/api/v1/repos/ACME/shop/transfer")


def test_a_public_repository_that_the_server_makes_private_is_told(bench: Bench, gitea: GiteaStandIn) -> None:
    gitea.force_private = True
    bench.forge().create(bench.location, branch="main", mark=Mark("op-1", "a.b"), visibility="public")
    assert any("no public repositories" in context.log.text for context in bench.opened)


@pytest.mark.slow
def test_an_archived_repository_is_told_so(bench: Bench, gitea: GiteaStandIn) -> None:
    bench.make()
    bench.push({"a": b"1"})
    gitea.repository("someone/shop").archived = True
    with pytest.raises(OperationError) as asked:
        bench.hosting.set_topics(bench.location, ["a"])
    with pytest.raises(OperationError) as pushed:
        bench.push({"a": b"2"})
    for caught in (asked, pushed):
        assert "unarchive it" in str(caught.value.diagnostic.suggestion)


# ---- renamed, moved


@pytest.mark.slow
def test_what_is_changed_under_an_old_name_is_changed_once(bench: Bench, gitea: GiteaStandIn) -> None:
    bench.make()
    bench.push({"a": b"1"})
    old, bench.name = bench.location, "store"
    bench.hosting.move(old, bench.location)
    hosting = bench.hosting
    hosting.set_topics(old, ["devstream"])
    hosting.put_variable(old, "WHO", "someone")
    hosting.put_variable(old, "WHO", "else")
    hook = hosting.put_webhook(old, Webhook("https://ci.example.org/", ("push",)), None)
    hosting.delete_webhook(old, hook.id)
    found = gitea.repository("someone/store")
    assert (found.topics, found.variables, found.hooks) == (["devstream"], {"WHO": "else"}, {})


@pytest.mark.slow
def test_a_move_goes_on_where_an_earlier_attempt_stopped(bench: Bench, gitea: GiteaStandIn) -> None:
    bench.make()
    old, bench.name, bench.server = bench.location, "store", bench.server._replace(owner="acme")
    gitea.fail("POST", "/api/v1/repos/someone/store/transfer", status=403)
    with pytest.raises(OperationError):
        bench.hosting.move(old, bench.location)
    bench.hosting.move(old, bench.location)
    assert set(gitea.repositories) == {"acme/store"}


def test_a_default_branch_that_gitea_passes_over_is_no_success(bench: Bench) -> None:
    bench.make()
    bench.push({"a": b"1"})
    with pytest.raises(OperationError, match="still main: Gitea knows no branch trunk"):
        bench.hosting.set_default_branch(bench.location, "trunk")


# ---- pull requests


@pytest.mark.slow
def test_a_merge_waits_until_gitea_knows_that_it_can_be_done(bench: Bench, gitea: GiteaStandIn) -> None:
    gitea.checks = 3
    proposal = proposed(bench)
    bench.hosting.merge(bench.location, proposal)
    assert len(gitea.asked("POST", f"{SHOP}/pulls/1/merge")) == 4
    assert gitea.repository("someone/shop").pulls[0]["merged"]


@pytest.mark.slow
def test_a_pull_request_is_merged_in_the_way_that_is_allowed(bench: Bench, gitea: GiteaStandIn) -> None:
    proposal = proposed(bench)
    gitea.repository("someone/shop").styles = ("squash",)
    bench.hosting.merge(bench.location, proposal)
    assert gitea.repository("someone/shop").git("rev-list", "--count", "--merges", "main") == "0"


@pytest.mark.slow
def test_a_conflict_is_waited_for_no_longer_than_that(
    bench: Bench, gitea: GiteaStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gitea, "patience", 0.2)
    gitea.checks = 10**6
    proposal = proposed(bench)
    with pytest.raises(OperationError, match=r"does not merge .*/pulls/1 into main") as caught:
        bench.hosting.merge(bench.location, proposal)
    assert "conflicts" in str(caught.value.diagnostic.suggestion)


@pytest.mark.slow
def test_a_merge_whose_answer_was_lost_is_one_though_its_branch_is_gone(
    bench: Bench, gitea: GiteaStandIn
) -> None:
    gitea.checks = 0
    proposal, found = proposed(bench), gitea.repository("someone/shop")
    gitea.fail("POST", f"{SHOP}/pulls/1/merge", status=0, after=True)
    bench.hosting.merge(bench.location, proposal)
    found.git("update-ref", "-d", f"refs/heads/{BRANCH}")
    bench.hosting.merge(bench.location, proposal)
    now = bench.hosting.proposal(bench.location, BRANCH)
    assert now is not None
    assert (now.branch, now.state) == (BRANCH, ProposalState.MERGED)


@pytest.mark.slow
def test_somebody_elses_pull_request_from_a_branch_of_that_name_is_not_ours(
    bench: Bench, gitea: GiteaStandIn
) -> None:
    proposed(bench)
    (ours,) = gitea.repository("someone/shop").pulls
    forked: dict[str, Any] = {**ours, "number": 2, "head": {**ours["head"], "repo_id": 999}}
    gitea.repository("someone/shop").pulls.append(forked)
    found = bench.hosting.proposal(bench.location, BRANCH)
    assert found is not None
    assert found.number == 1


@pytest.mark.slow
def test_a_busy_repository_is_not_read_through_for_an_open_pull_request(
    bench: Bench, gitea: GiteaStandIn
) -> None:
    proposed(bench)
    (ours,) = gitea.repository("someone/shop").pulls
    done: dict[str, Any] = {**ours, "state": "closed", "head": {**ours["head"], "label": "other"}}
    gitea.repository("someone/shop").pulls[:0] = [done] * 200
    before = len(gitea.asked("GET", f"{SHOP}/pulls"))
    assert bench.hosting.proposal(bench.location, BRANCH) is not None
    assert len(gitea.asked("GET", f"{SHOP}/pulls")) == before + 1


# ---- webhooks, Actions, lists


def test_a_webhook_stands_still_though_gitea_says_more_of_its_events(
    bench: Bench, gitea: GiteaStandIn
) -> None:
    bench.make()
    wanted = Webhook("https://ci.example.org/", ("issues_only", "pull_request", "push"))
    made = bench.hosting.put_webhook(bench.location, wanted, None)
    (shown,) = bench.hosting.webhooks(bench.location)
    assert {"push", "pull_request", "pull_request_sync", "issues"} <= set(shown.events)
    assert "issue_label" not in shown.events
    bench.hosting.put_webhook(bench.location, wanted._replace(id=made.id), None)
    assert list(bench.hosting.webhooks(bench.location)) == [shown]


def test_an_event_that_gitea_passes_over_is_named(bench: Bench) -> None:
    bench.make()
    with pytest.raises(OperationError, match='no webhook event "pul_request"') as caught:
        bench.hosting.put_webhook(
            bench.location, Webhook("https://ci.example.org/", ("push", "pul_request")), None
        )
    assert "pull_request" in str(caught.value.diagnostic.suggestion)


def test_a_gitea_without_secrets_and_variables_says_so(bench: Bench, gitea: GiteaStandIn) -> None:
    bench.make()
    gitea.actions = False
    with pytest.raises(OperationError, match="no secrets and variables for Actions"):
        bench.hosting.secret_names(bench.location)


def test_a_list_without_an_end_is_not_read_for_ever(
    bench: Bench, gitea: GiteaStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.make()
    monkeypatch.setattr(rest, "_MOST_PAGES", 3)
    hook = {"id": 1, "config": {"url": "https://ci.example.org/"}, "events": [], "active": True}
    gitea.fail("GET", f"{SHOP}/hooks", status=200, body=[hook] * 50, times=9)
    with pytest.raises(OperationError, match="finds no end of /repos/someone/shop/hooks"):
        bench.hosting.webhooks(bench.location)
