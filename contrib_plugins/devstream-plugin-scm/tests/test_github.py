"""GitHub: the contract, against the stand-in or the server that DEVSTREAM_TEST_GITHUB_URL names; faults; what is special."""

from __future__ import annotations

import logging
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from devstream.api import OperationCancelled, OperationError, RetryableError, Secret
from devstream.testing.github import GitHubStandIn
from devstream.testing.project import Project, block
from devstream_plugin_scm.forge import Delivery, File, Mark, proposal_branch
from devstream_plugin_scm.github import GitHub, api_of, github_place
from devstream_plugin_scm.hosting import Proposal, ProposalState, Webhook, webhook_url
from devstream_plugin_scm.repository import TargetRepo
from devstream_plugin_scm.testing import Bench, HostingContract, Server, server_from_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class TestGitHub(HostingContract):
    scm_type = "github"

    def server(self, tmp_path: Path) -> Iterator[Server]:
        named = server_from_environment("github")
        if named:
            yield named
            return
        with GitHubStandIn(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user, "acme")


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHubStandIn]:
    with GitHubStandIn(tmp_path / "served") as standin:
        yield standin


@pytest.fixture
def bench(github: GitHubStandIn, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench("github", Server(github.url, github.token, github.user), tmp_path, name="shop")
    yield bench
    bench.close()


def hosting(bench: Bench, stop: Callable[[], bool] | None = None, **fields: Any) -> GitHub:
    """Give the service with other options, or in a run that is being stopped."""
    context = bench.context()
    context.stop = stop or context.stop
    return GitHub(bench.repo(**fields), context)


# ---- places


@pytest.mark.parametrize(
    ("fields", "host", "api"),
    [
        ({"owner": "acme", "name": "shop"}, "github.com", "https://api.github.com"),
        ({"url": "git@github.com:acme/shop.git"}, "github.com", "https://api.github.com"),
        ({"url": "github.com/acme/shop"}, "github.com", "https://api.github.com"),
        (
            {"owner": "a", "name": "b", "base_url": "https://api.github.com"},
            "github.com",
            "https://api.github.com",
        ),
        ({"owner": "a", "name": "b", "base_url": "https://x.ghe.com"}, "x.ghe.com", "https://api.x.ghe.com"),
        ({"owner": "a", "name": "b", "base_url": "https://git.x/"}, "git.x", "https://git.x/api/v3"),
        ({"owner": "a", "name": "b", "base_url": "https://git.x/api/v3/"}, "git.x", "https://git.x/api/v3"),
        ({"url": "https://github.x:8443/acme/shop"}, "github.x:8443", "https://github.x:8443/api/v3"),
    ],
)
def test_where_a_github_and_its_api_are(fields: dict[str, str], host: str, api: str) -> None:
    place = github_place(TargetRepo(scm_type="github", **fields))  # type: ignore[arg-type]  # text fields
    assert (place.host, api_of(place)) == (host, api)


def test_the_api_may_be_elsewhere(tmp_path: Path) -> None:
    with GitHubStandIn(tmp_path / "served", enterprise=False) as standin:
        bench = Bench("github", Server(standin.url, standin.token, standin.user), tmp_path, name="shop")
        hosting(bench, api_url=standin.url).create(bench.location, mark=Mark("1", "a.b"), visibility="")
        found = hosting(bench, api_url=standin.url).find(bench.location)
        bench.close()
    assert found is not None
    assert found.clone_url == f"{standin.url}/someone/shop.git"


@pytest.mark.parametrize("field", ["base_url", "api_url"])
def test_plain_http_to_another_machine_is_refused(bench: Bench, field: str) -> None:
    options: dict[str, Any] = {"allow_http": False, "token": None, field: "http://git.example.org"}
    with pytest.raises(OperationError, match="in clear"):
        hosting(bench, **options)


def test_what_answers_with_a_page_is_no_github(bench: Bench, github: GitHubStandIn) -> None:
    page = {"status": 200, "body": b"<html>", "headers": {"Content-Type": "text/html"}}
    github.fail("GET", "/repos/", **page)
    with pytest.raises(OperationError, match=r"did not answer GET .* with JSON \(baseURL"):
        bench.hosting.find(bench.location)


def test_another_server_than_before_is_not_taken_for_the_same(bench: Bench) -> None:
    with pytest.raises(OperationError, match=r"is not on 127\.0\.0\.1"):
        bench.forge().describe("github.com/someone/shop")


# ---- making


@pytest.mark.parametrize("field", ["owner", "org"])
def test_an_organisation_gets_its_repository(bench: Bench, github: GitHubStandIn, field: str) -> None:
    options: dict[str, Any] = {"owner": "", field: "acme"}
    service = hosting(bench, **options)
    service.create(f"{github.host}/acme/shop", mark=Mark("1", str(bench.address)), visibility="")
    assert github.repository("acme/shop").visibility == "private"
    assert bool(github.asked("GET", "/user")) == (field == "owner")


def test_a_token_that_is_nobodys_makes_repositories_of_organisations(
    bench: Bench, github: GitHubStandIn
) -> None:
    bench.server = bench.server._replace(owner="acme")
    github.fail("GET", "/user", status=403, body={"message": "Resource not accessible by integration"})
    bench.make()
    assert "acme/shop" in github.repositories


@pytest.mark.parametrize(
    ("owner", "visibility", "made"),
    [("someone", "public", "public"), ("acme", "public", "public"), ("acme", "internal", "internal")],
)
def test_a_repository_is_as_visible_as_it_is_wanted(
    bench: Bench, github: GitHubStandIn, owner: str, visibility: str, made: str
) -> None:
    bench.server = bench.server._replace(owner=owner)
    bench.hosting.create(bench.location, mark=Mark("1", "a.b"), visibility=visibility)
    assert github.repository(f"{owner}/shop").visibility == made
    found = bench.hosting.find(bench.location)
    assert found is not None
    assert found.visibility == made


def test_a_users_repository_is_never_internal(bench: Bench, github: GitHubStandIn) -> None:
    with pytest.raises(OperationError, match="internal repositories belong to organisations"):
        bench.hosting.create(bench.location, mark=Mark("1", "a.b"), visibility="internal")
    assert not github.repositories


def test_an_owner_that_is_not_there_is_named(bench: Bench) -> None:
    bench.server = bench.server._replace(owner="nobody")
    with pytest.raises(OperationError, match=r"orgs/nobody/repos \(404: Not Found\) \(is it an organisation"):
        bench.make()


@pytest.mark.parametrize("status", [500, 502, 0])
def test_a_repository_that_was_made_though_the_answer_was_lost_is_found(
    bench: Bench, github: GitHubStandIn, status: int
) -> None:
    github.fail("POST", "/user/repos", status=status, after=True)
    bench.make()
    assert len(github.repositories) == len(github.asked("POST", "/user/repos")) == 1


@pytest.mark.parametrize("status", [500, 0])
def test_a_repository_that_was_not_made_is_made_by_the_next_run(
    bench: Bench, github: GitHubStandIn, status: int
) -> None:
    github.fail("POST", "/user/repos", status=status)
    with pytest.raises(OperationError):
        bench.make()
    assert len(github.asked("POST", "/user/repos")) == 1
    bench.make()
    assert len(github.repositories) == 1


def test_an_older_one_that_was_renamed_is_not_taken_for_the_new_one(
    bench: Bench, github: GitHubStandIn
) -> None:
    bench.make()
    bench.hosting.move(bench.location, f"{bench.location}-old")
    github.fail("POST", "/user/repos", status=500)
    with pytest.raises(OperationError, match="500"):
        bench.make()
    bench.make()
    assert set(github.repositories) == {"someone/shop", "someone/shop-old"}


@pytest.mark.parametrize("status", [401, 403, 404, 409, 422])
def test_what_is_refused_is_said_once_and_changes_nothing(
    bench: Bench, github: GitHubStandIn, status: int
) -> None:
    errors = [{"message": "name\nis odd"}, {"field": "name", "code": "invalid"}, "bad"]
    github.fail("POST", "/user/repos", status=status, body={"message": "because\nof this", "errors": errors})
    said = rf"refuses POST /user/repos \({status}: because of this; name is odd; name invalid; bad\)"
    with pytest.raises(OperationError, match=said):
        bench.make()
    assert not github.repositories
    bench.make()
    assert len(github.repositories) == 1


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"status": 401}, "the token is missing, wrong or has expired"),
    (
        {"headers": {"x-accepted-github-permissions": "administration=write"}},
        "permission administration=write",
    ),
    ({"headers": {"x-accepted-oauth-scopes": "repo, user"}, "status": 404}, "needs the scope repo or user"),
    ({"headers": {"x-accepted-oauth-scopes": "workflow"}}, "the token may not do this"),
    ({"headers": {"x-github-sso": "required; url=https://x"}}, "single sign-on"),
    ({"body": {"message": "Repository was archived so is read-only."}}, "unarchive it"),
]


@pytest.mark.parametrize(("refusal", "hint"), REFUSALS)
def test_what_a_token_lacks_is_named(
    bench: Bench, github: GitHubStandIn, refusal: dict[str, Any], hint: str
) -> None:
    bench.make()
    github.scopes = ("workflow",)
    github.fail("PUT", "/repos/", **{"status": 403, "body": {"message": "no"}, **refusal})
    with pytest.raises(OperationError, match=hint):
        bench.hosting.set_topics(bench.location, ["a"])


def test_a_token_that_may_not_delete_says_so(bench: Bench, github: GitHubStandIn) -> None:
    bench.make()
    github.scopes = ("repo",)
    with pytest.raises(OperationError, match="the token needs the scope delete_repo"):
        bench.hosting.delete(bench.location)


# ---- rate limits


def test_a_rate_limit_is_waited_for(bench: Bench, github: GitHubStandIn) -> None:
    github.fail("POST", "/user/repos", status=429, headers={"Retry-After": "0"}, times=2)
    bench.make()
    assert len(github.asked("POST", "/user/repos")) == 3


def test_a_limit_that_is_used_up_is_waited_for_until_it_begins_again(
    bench: Bench, github: GitHubStandIn
) -> None:
    github.remaining, github.reset = 0, time.time() + 1
    assert bench.hosting.find(bench.location) is None
    assert len(github.asked("GET", "/repos/")) >= 2


def test_a_rate_limit_of_an_hour_is_left_to_a_later_run(bench: Bench, github: GitHubStandIn) -> None:
    github.remaining = 0
    with pytest.raises(RetryableError, match=r"\(403\): try again in 3[56]\d\d s"):
        bench.make()
    assert not github.repositories


def test_a_second_kind_of_limit_is_waited_for_and_a_stopped_run_waits_no_longer(
    bench: Bench, github: GitHubStandIn
) -> None:
    message = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    github.fail("POST", "/user/repos", status=403, body={"message": message})
    with pytest.raises(OperationCancelled):
        hosting(bench, stop=lambda: True).create(bench.location, mark=Mark("1", "a.b"), visibility="")
    assert [context.log.text for context in bench.opened if context.log.text] == [
        "127.0.0.1 asks to wait 60 s"
    ]


# ---- pushing


@pytest.mark.parametrize("ruleset", [False, True], ids=["GH006", "GH013"])
def test_a_protected_branch_gets_a_pull_request(bench: Bench, github: GitHubStandIn, ruleset: bool) -> None:
    bench.make()
    bench.push({"a": b"1"})
    github.protect("someone/shop", "main", ruleset=ruleset)
    bench.push({"a": b"2"})
    bench.push({"a": b"2"})
    (pull,) = github.repository("someone/shop").pulls
    assert (pull["head"]["ref"], pull["base"]["ref"]) == ("devstream/repo-scaffolding.shop", "main")


def test_a_workflow_that_the_token_may_not_push_is_explained(bench: Bench, github: GitHubStandIn) -> None:
    bench.make()
    github.scopes = ("repo",)
    with pytest.raises(OperationError, match="give the token the scope `workflow`"):
        bench.push({".github/workflows/ci.yml": b"on: push\n"})
    assert not github.repository("someone/shop").branches
    bench.push({"README.md": b"hello\n"})
    github.scopes = ("repo", "workflow")
    assert bench.push({".github/workflows/ci.yml": b"on: push\n"})


def test_an_archived_repository_says_so(bench: Bench, github: GitHubStandIn) -> None:
    bench.make()
    bench.push({"a": b"1"})
    github.repository("someone/shop").archived = True
    found = bench.hosting.find(bench.location)
    assert found is not None
    assert found.archived
    with pytest.raises(OperationError, match="the repository is archived"):
        bench.push({"a": b"2"})
    with pytest.raises(OperationError, match="the repository is archived"):
        bench.hosting.put_variable(bench.location, "A", "1")


def test_the_first_branch_is_the_default_one(bench: Bench) -> None:
    bench.make()
    wanted = {"a": File(b"1")}
    bench.forge().publish(bench.location, "trunk", "Begin", lambda head, _: {} if head else wanted)
    found = bench.forge(reading=True).describe(bench.location)
    assert found is not None
    assert found.default_branch == "trunk"


def test_a_public_repository_is_read_without_a_token(bench: Bench) -> None:
    bench.hosting.create(bench.location, mark=Mark("1", "a.b"), visibility="public")
    commit = bench.push({"a": b"1"})
    found = bench.forge(reading=True, token=None).describe(bench.location)
    assert found is not None
    assert found.branches == {"main": commit}
    with pytest.raises(OperationError, match="the token is missing"):
        bench.forge(token=None).delete(bench.location)


# ---- moving


def test_a_transfer_is_waited_for(bench: Bench, github: GitHubStandIn) -> None:
    bench.make()
    target = f"{github.host}/acme/store"
    moved = bench.hosting.move(bench.location, target)
    assert moved.location == target
    assert bench.hosting.move(bench.location, target) == moved
    assert len(github.asked("POST", "/repos/someone/shop/transfer")) == 1


@pytest.mark.parametrize("status", [500, 0])
def test_a_transfer_whose_answer_was_lost_is_not_begun_again(
    bench: Bench, github: GitHubStandIn, status: int
) -> None:
    bench.make()
    github.transfer_takes = 0
    target = f"{github.host}/acme/shop"
    github.fail("POST", "/repos/someone/shop/transfer", status=status, after=True)
    with pytest.raises(OperationError):
        bench.hosting.move(bench.location, target)
    assert bench.hosting.move(bench.location, target).location == target
    assert len(github.asked("POST", "/repos/someone/shop/transfer")) == 1


def test_a_transfer_that_nobody_accepts_is_given_up(bench: Bench, github: GitHubStandIn) -> None:
    bench.make()
    service = hosting(bench)
    service.patience = 0
    with pytest.raises(OperationError, match="may have to accept it"):
        service.move(bench.location, f"{github.host}/stranger/shop")
    with pytest.raises(OperationCancelled):
        hosting(bench, stop=lambda: True).move(bench.location, f"{github.host}/stranger/shop")


def test_a_repository_renamed_by_hand_keeps_working_under_its_old_name(
    bench: Bench, github: GitHubStandIn
) -> None:
    bench.make()
    old, service = bench.location, bench.hosting
    service.move(old, f"{old}-new")
    service.put_secret(old, "TOKEN", Secret.plain("value-of-token"))
    service.put_variable(old, "A", "1")
    service.set_topics(old, ["devstream"])
    repository = github.repository("someone/shop-new")
    assert (repository.secrets, repository.variables) == ({"TOKEN": "value-of-token"}, {"A": "1"})
    assert repository.topics == ["devstream"]
    service.delete(old)
    assert not github.repositories


@pytest.mark.parametrize(("method", "status"), [("GET", 301), ("GET", 302), ("PUT", 307), ("PUT", 301)])
def test_a_redirect_to_another_server_is_not_followed(
    bench: Bench, github: GitHubStandIn, tmp_path: Path, method: str, status: int
) -> None:
    bench.make()
    with GitHubStandIn(tmp_path / "other") as other:
        github.fail(method, "/repos/", status=status, headers={"Location": f"{other.api}/repos/a/b"})
        with pytest.raises(OperationError, match="elsewhere"):
            bench.hosting.set_topics(bench.location, []) if method == "PUT" else bench.hosting.find(
                bench.location
            )
        assert not other.requests


# ---- pull requests


def test_a_pull_request_whose_answer_was_lost_is_not_doubled(bench: Bench, github: GitHubStandIn) -> None:
    bench.make()
    bench.push({"a": b"1"})
    github.fail("POST", "/repos/someone/shop/pulls", status=502, after=True)
    bench.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
    assert len(github.repository("someone/shop").pulls) == 1


def proposed(bench: Bench) -> Proposal:
    bench.make()
    bench.push({"a": b"1"})
    bench.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
    proposal = bench.hosting.proposal(bench.location, proposal_branch(bench.address))
    assert proposal is not None
    return proposal


@pytest.mark.parametrize("method", ["squash", pytest.param("rebase", marks=pytest.mark.slow)])
def test_a_pull_request_is_merged_in_the_way_that_is_allowed(
    bench: Bench, github: GitHubStandIn, method: str
) -> None:
    proposal = proposed(bench)
    github.repository("someone/shop").merge_methods = (method,)
    bench.hosting.merge(bench.location, proposal)
    after = bench.hosting.proposal(bench.location, proposal.branch)
    assert after == proposal._replace(state=ProposalState.MERGED)


@pytest.mark.parametrize("status", [500, pytest.param(0, marks=pytest.mark.slow)])
def test_a_merge_whose_answer_was_lost_is_done(bench: Bench, github: GitHubStandIn, status: int) -> None:
    github.checks = 0
    proposal = proposed(bench)
    github.fail("PUT", "/repos/someone/shop/pulls/1/merge", status=status, after=True)
    bench.hosting.merge(bench.location, proposal)
    assert github.repository("someone/shop").pulls[0]["merged"]


def test_a_merge_that_others_were_faster_than_may_be_tried_again(bench: Bench, github: GitHubStandIn) -> None:
    proposal = proposed(bench)
    message = "Base branch was modified. Review and try the merge again."
    github.fail("PUT", "/repos/", status=405, body={"message": message})
    with pytest.raises(RetryableError, match="main changed"):
        bench.hosting.merge(bench.location, proposal)


@pytest.mark.parametrize("lags", [(2, 0), pytest.param((0, 2), marks=pytest.mark.slow)])
def test_a_new_repository_is_waited_for_where_github_does_not_find_it_yet(
    bench: Bench, github: GitHubStandIn, lags: tuple[int, int]
) -> None:
    github.unseen, github.unseen_by_git = lags
    bench.make()
    found = github.repository("someone/shop")
    assert (found.unseen, found.unseen_by_git) == (0, 0)


@pytest.mark.slow
def test_a_merge_waits_until_github_knows_whether_it_can_be_done(bench: Bench, github: GitHubStandIn) -> None:
    github.checks = 3
    proposal = proposed(bench)
    bench.hosting.merge(bench.location, proposal)
    assert len(github.asked("PUT", "/repos/someone/shop/pulls/1/merge")) == 4
    assert github.repository("someone/shop").pulls[0]["merged"]


@pytest.mark.slow
def test_a_pull_request_with_conflicts_is_left_to_people(bench: Bench) -> None:
    proposal = proposed(bench)
    bench.forge().publish(
        bench.location, "main", "Differ", lambda *_: {"a": File(b"3")}, proposal="devstream/other"
    )
    with pytest.raises(OperationError, match=r"\(405: Pull Request is not mergeable\)"):
        bench.hosting.merge(bench.location, proposal)


def test_a_pull_request_that_people_closed_is_closed(bench: Bench, github: GitHubStandIn) -> None:
    proposal = proposed(bench)
    github.repository("someone/shop").pulls[0]["state"] = "closed"
    found = bench.hosting.proposal(bench.location, proposal.branch)
    assert found == proposal._replace(state=ProposalState.CLOSED)


def test_a_pull_request_without_a_change_is_refused(bench: Bench) -> None:
    bench.make()
    commit = bench.push({"a": b"1"})
    bench.forge().start_branch(bench.location, "other", commit or "")
    with pytest.raises(OperationError, match="No commits between main and other"):
        bench.hosting.propose(bench.location, branch="other", base="main", title="t", body="")


# ---- webhooks, secrets, variables


HOOK = Webhook(webhook_url("https://ci.example.org/hook", "repo-scaffolding.shop"), ("push",))


@pytest.mark.parametrize("status", [500, 0])
def test_a_webhook_whose_answer_was_lost_is_not_doubled(
    bench: Bench, github: GitHubStandIn, status: int
) -> None:
    bench.make()
    github.fail("POST", "/repos/someone/shop/hooks", status=status, after=True)
    made = bench.hosting.put_webhook(bench.location, HOOK, Secret.plain("s3cret-canary"))
    again = bench.hosting.put_webhook(bench.location, HOOK, Secret.plain("s3cret-other"))
    repository = github.repository("someone/shop")
    assert made == again
    assert list(repository.hook_secrets.values()) == ["s3cret-other"]


def test_a_webhook_edited_by_hand_is_put_back_and_keeps_its_secret(
    bench: Bench, github: GitHubStandIn
) -> None:
    bench.make()
    made = bench.hosting.put_webhook(bench.location, HOOK, Secret.plain("s3cret-canary"))
    kept = github.repository("someone/shop")
    kept.hooks[int(made.id)].update(active=False, events=["issues", "push"])
    kept.hooks[int(made.id)]["config"].update(content_type="form", insecure_ssl="1")
    (seen,) = bench.hosting.webhooks(bench.location)
    assert (seen.active, seen.events) == (False, ("issues", "push"))
    bench.hosting.put_webhook(bench.location, made, None)
    assert bench.hosting.webhooks(bench.location) == [made]
    assert kept.hooks[int(made.id)]["config"]["insecure_ssl"] == "0"
    assert kept.hook_secrets[int(made.id)] == "s3cret-canary"
    assert len(github.asked("POST", "/repos/someone/shop/hooks")) == 1


def test_a_webhook_for_an_event_that_there_is_not_is_refused(bench: Bench) -> None:
    bench.make()
    with pytest.raises(OperationError, match="Invalid event 'psuh'"):
        bench.hosting.put_webhook(bench.location, HOOK._replace(events=("psuh",)), None)


@pytest.mark.parametrize("value", ["s", "ünï\ncode", "x" * 40_000])
def test_a_secret_arrives_as_it_was(bench: Bench, github: GitHubStandIn, value: str) -> None:
    bench.make()
    bench.hosting.put_secret(bench.location, "token", Secret.plain(value))
    assert github.repository("someone/shop").secrets == {"TOKEN": value}
    assert bench.hosting.secret_names(bench.location) == {"TOKEN"}
    (put,) = github.asked("PUT", "/repos/someone/shop/actions/secrets/")
    assert len(value) < 9 or value.encode() not in put.body


@pytest.mark.parametrize("name", ["GITHUB_TOKEN", "1ST", "A-B", "../../../user"])
def test_a_name_that_no_secret_may_have_is_refused(bench: Bench, github: GitHubStandIn, name: str) -> None:
    bench.make()
    with pytest.raises(OperationError, match=r"\(422: Secret names can only"):
        bench.hosting.put_secret(bench.location, name, Secret.plain("value"))
    assert github.requests[-1].path.startswith("/repos/someone/shop/actions/secrets/")


def test_lists_are_read_to_their_last_page(bench: Bench, github: GitHubStandIn) -> None:
    bench.make()
    kept = github.repository("someone/shop")
    kept.variables = {f"V{number}": str(number) for number in range(95)}
    kept.secrets = {f"S{number}": "" for number in range(205)}
    assert bench.hosting.variables(bench.location) == kept.variables
    assert bench.hosting.secret_names(bench.location) == set(kept.secrets)
    assert len(github.asked("GET", "/repos/someone/shop/actions/")) == 4 + 3


# ---- what may be sent, and how


def test_while_planning_no_object_of_pygithub_changes_anything(bench: Bench, github: GitHubStandIn) -> None:
    bench.make()
    service = bench.forge(reading=True).hosting
    assert service is not None
    asked = len(github.requests)
    with pytest.raises(OperationError, match="which may change something"):
        service.put_secret(bench.location, "A", Secret.plain("value"))
    with pytest.raises(OperationError, match="which may change something"):
        service.put_webhook(bench.location, HOOK, None)
    with pytest.raises(OperationError, match="which may change something"):
        service.move(bench.location, f"{bench.location}-new")
    assert {request.method for request in github.requests[asked:]} == {"GET"}


def test_pygithub_opens_no_connection_of_its_own_and_is_left_as_it_was(bench: Bench) -> None:
    from github.Requester import HTTPSRequestsConnectionClass, Requester

    from devstream_plugin_scm.github_requester import GuardedRequester

    requester = GuardedRequester(hosting(bench)._api)
    with pytest.raises(OperationError, match="a connection of its own"):
        requester.requestMultipartAndCheck("POST", "/user/repos", input={"a": "b"})
    with pytest.raises(OperationError, match="a connection of its own"):
        requester.withAuth(None)
    assert requester.withLazy(lazy=False) is requester
    assert vars(Requester)["_Requester__httpsConnectionClass"] is HTTPSRequestsConnectionClass


def test_certificates_are_verified(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with GitHubStandIn(tmp_path / "served", tls=context) as standin:
        bench = Bench("github", Server(standin.url, standin.token, standin.user), tmp_path, name="shop")
        assert hosting(bench, ca_file="ca.pem").find(bench.location) is None
        with pytest.raises(OperationError, match="certificate verify failed"):
            hosting(bench).find(bench.location)
        bench.close()


def test_nothing_of_the_users_netrc_is_sent(
    bench: Bench, github: GitHubStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password canary-netrc\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    assert hosting(bench, token=None).find(bench.location) is None
    assert "authorization" not in github.requests[-1].headers


@pytest.mark.parametrize("token", ["canary-5c1e77\n", "canary 5c1e77", "canary-5c1é77"])
def test_a_token_that_cannot_be_sent_is_not_shown(bench: Bench, token: str) -> None:
    with pytest.raises(OperationError, match="has blanks, line breaks or letters") as caught:
        bench.forge(token=Secret.plain(token))
    assert "canary" not in str(caught.value)


def test_the_token_and_secrets_are_in_no_message_no_log_and_no_url(
    bench: Bench, github: GitHubStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    github.token = "canary-5c1e77"
    bench.server = bench.server._replace(token=github.token)
    bench.make()
    bench.push({"a": b"1"})
    bench.hosting.put_webhook(bench.location, HOOK, Secret.plain("canary-webhook"))
    bench.hosting.put_secret(bench.location, "A", Secret.plain("canary-secret"))
    github.fail("*", "/", status=400, body={"message": "no"}, times=9)
    with pytest.raises(OperationError) as caught:
        bench.forge().describe(bench.location)
    said = [str(caught.value), caplog.text, *(context.log.text for context in bench.opened)]
    assert "canary" not in "\n".join([*said, *(f"{one.path}{one.query}" for one in github.requests)])


# ---- a tool's whole life


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project.at(tmp_path)
    yield project
    project.close()


@pytest.mark.slow
@pytest.mark.parametrize("status", [500, 0])
def test_a_run_that_failed_half_way_is_finished_by_the_next(
    project: Project, github: GitHubStandIn, status: int
) -> None:
    project.environ["GITHUB_TOKEN"] = github.token
    place = {"scmType": "github", "org": "acme", "name": "shop", "baseURL": github.url}
    options = {
        "destinationRepo": {**place, "token": "[[ env GITHUB_TOKEN ]]"},
        "sourceRepo": {"url": "builtin:python-http"},
        "vars": {"greeting": "Hello", "port": 8080},
    }
    project.tools(block("repo-scaffolding.shop", options))
    github.fail("POST", "/orgs/acme/repos", status=status, after=True)
    github.fail("GET", "/acme/shop.git/", status=503)
    assert project.run().outcomes == {"repo-scaffolding.shop": "create failed"}
    project.run().assert_success()
    assert list(github.repositories) == ["acme/shop"]
    kept = github.repository("acme/shop")
    assert kept.git("rev-list", "--count", "main") == "1"
    kept.archived = True
    project.plan().assert_nothing_to_do()
    kept.archived = False
    project.tools()
    project.run().assert_success()
    assert not github.repositories


def test_a_list_without_an_end_is_not_read_for_ever(
    bench: Bench, github: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    github.page = 1
    bench.make()
    for number in range(3):
        bench.hosting.put_variable(bench.location, f"NAME_{number}", "value")
    assert len(bench.hosting.variables(bench.location)) == 3
    monkeypatch.setattr("devstream_plugin_scm.rest._MOST_PAGES", 2)
    with pytest.raises(OperationError, match="finds no end of /repos/someone/shop/actions/variables"):
        bench.hosting.variables(bench.location)
