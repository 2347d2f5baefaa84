"""GitLab: what is in a project: merge requests, references, CI/CD variables, webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError, Secret
from devstream.testing.gitlab import GitLabStandIn
from devstream_plugin_scm.forge import File, Mark, proposal_branch
from devstream_plugin_scm.gitlab import GitLab
from devstream_plugin_scm.gitlab_api import GitLabAPI
from devstream_plugin_scm.hosting import ProposalState, Webhook, webhook_url
from devstream_plugin_scm.testing import Bench, Server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devstream_plugin_scm.forge import Changes, Files
    from devstream_plugin_scm.hosting import Proposal

PROJECTS = "/api/v4/projects"
HOOK = webhook_url("https://ci.example.org/hook", "repo-scaffolding.shop")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again soon, and give up soon."""
    monkeypatch.setattr(GitLabAPI, "poll", 0.01)


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[GitLabStandIn]:
    with GitLabStandIn(tmp_path / "served") as standin:
        yield standin


@pytest.fixture
def bench(gitlab: GitLabStandIn, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench("gitlab", Server(gitlab.url, gitlab.token, gitlab.user), tmp_path, name="shop")
    yield bench
    bench.close()


def in_group(bench: Bench, group: str) -> Bench:
    bench.server = bench.server._replace(owner=group)
    return bench


def start(bench: Bench) -> str:
    """Make the project by the service alone; give its location."""
    mark = Mark("op-1", str(bench.address))
    bench.hosting.create(bench.location, mark=mark, visibility="")
    return bench.location


# ---- branches and merge requests


def test_a_protected_branch_gets_a_merge_request(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    bench.push({"a": b"1"})
    gitlab.protect("someone/shop", "main")
    bench.push({"a": b"2"})
    (request,) = gitlab.project("someone/shop").requests
    assert (request["source_branch"], request["target_branch"]) == ("devstream/repo-scaffolding.shop", "main")
    bench.push({"a": b"2"})
    assert len(gitlab.project("someone/shop").requests) == 1


def proposed(bench: Bench, gitlab: GitLabStandIn) -> Proposal:
    """Propose a change, with branches that are there already."""
    location, branch = start(bench), proposal_branch(bench.address)
    gitlab.commit("someone/shop", "main", a="1")
    gitlab.commit("someone/shop", branch, start="main", a="2")
    return bench.hosting.propose(location, branch=branch, base="main", title="Change a", body="")


@pytest.mark.parametrize("status", [500, 0])
def test_a_merge_request_whose_answer_was_lost_is_not_doubled(
    bench: Bench, gitlab: GitLabStandIn, status: int
) -> None:
    gitlab.fail("POST", f"{PROJECTS}/1/merge_requests", status=status, after=True)
    assert proposed(bench, gitlab).state is ProposalState.OPEN
    assert len(gitlab.project("someone/shop").requests) == 1


def test_a_merge_request_is_known_by_its_branch(bench: Bench, gitlab: GitLabStandIn) -> None:
    proposal = proposed(bench, gitlab)
    again = bench.hosting.propose(bench.location, branch=proposal.branch, base="main", title="Again", body="")
    assert again == proposal
    (request,) = gitlab.project("someone/shop").requests
    request["state"] = "closed"
    newer = bench.hosting.propose(
        bench.location, branch=proposal.branch, base="main", title="x" * 300, body=""
    )
    assert newer.number == 2
    assert bench.hosting.proposal(bench.location, proposal.branch) == newer
    gitlab.project("someone/shop").requests[1]["source_project_id"] = 99  # somebody's fork
    found = bench.hosting.proposal(bench.location, proposal.branch)
    assert found is not None
    assert (found.number, found.state) == (1, ProposalState.CLOSED)


def test_merging_waits_until_gitlab_knows(bench: Bench, gitlab: GitLabStandIn) -> None:
    proposal = proposed(bench, gitlab)
    gitlab.project("someone/shop").requests[0]["checks"] = 4
    bench.hosting.merge(bench.location, proposal)
    assert set(gitlab.branches(gitlab.project("someone/shop"))) == {"main"}  # its branch went with it


@pytest.mark.parametrize("status", [405, 406, 409, 422])
def test_a_merge_that_comes_too_early_is_tried_again(
    bench: Bench, gitlab: GitLabStandIn, status: int
) -> None:
    proposal = proposed(bench, gitlab)
    gitlab.fail("PUT", f"{PROJECTS}/1/merge_requests/1/merge", status=status, times=2)
    bench.hosting.merge(bench.location, proposal)
    assert gitlab.project("someone/shop").requests[0]["state"] == "merged"


@pytest.mark.parametrize("status", [500, 0])
def test_a_merge_whose_answer_was_lost_is_done_once(bench: Bench, gitlab: GitLabStandIn, status: int) -> None:
    proposal = proposed(bench, gitlab)
    gitlab.fail("PUT", f"{PROJECTS}/1/merge_requests/1/merge", status=status, after=True)
    bench.hosting.merge(bench.location, proposal)
    assert len(gitlab.asked("PUT", f"{PROJECTS}/1/merge_requests")) == 1


@pytest.mark.parametrize(
    ("obstacle", "says"),
    [
        ("not_approved", "people have to approve it first"),
        ("draft_status", "it is a draft"),
        ("ci_still_running", "its pipeline is still running"),
        ("security_policy_violations", "security policy violations"),
    ],
)
def test_what_is_in_the_way_of_a_merge_is_said(
    bench: Bench, gitlab: GitLabStandIn, obstacle: str, says: str
) -> None:
    proposal = proposed(bench, gitlab)
    gitlab.obstacles[proposal.number] = obstacle
    with pytest.raises(OperationError, match=f"merge_requests/1 cannot be merged: {says}"):
        bench.hosting.merge(bench.location, proposal)


def test_a_conflict_a_closed_request_and_a_slow_server_are_told_apart(
    bench: Bench, gitlab: GitLabStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    proposal = proposed(bench, gitlab)
    gitlab.commit("someone/shop", "main", start="main", a="3")
    with pytest.raises(OperationError, match="it conflicts with main"):
        bench.hosting.merge(bench.location, proposal)
    monkeypatch.setattr(GitLab, "patience", 0.05)
    gitlab.obstacles[1] = "checking"
    with pytest.raises(OperationError, match=r"did not merge .* within 0 s"):
        bench.hosting.merge(bench.location, proposal)
    gitlab.project("someone/shop").requests[0]["state"] = "closed"
    with pytest.raises(OperationError, match="was closed"):
        bench.hosting.merge(bench.location, proposal)


def test_who_may_not_merge_is_told_where_it_is_set(bench: Bench, gitlab: GitLabStandIn) -> None:
    proposal = proposed(bench, gitlab)
    body = {"message": "401 Unauthorized"}
    gitlab.fail("PUT", f"{PROJECTS}/1/merge_requests/1/merge", status=401, body=body)
    with pytest.raises(OperationError, match="Protected branches"):
        bench.hosting.merge(bench.location, proposal)


def published(bench: Bench, content: bytes) -> list[set[str]]:
    """Publish a rendering; give what was seen as the one before."""
    rendered = {"a": File(content)}
    seen: list[set[str]] = []

    def decide(head: Files, base: Files | None) -> Changes:
        seen.append(set(base or ()))
        return {} if head.get("a") and head["a"].holds(rendered["a"]) else rendered

    bench.forge().publish(bench.location, "main", "Render", decide, rendered=rendered)
    return seen


def test_references_beside_the_branches_are_taken_but_for_gitlabs_own(
    bench: Bench, gitlab: GitLabStandIn
) -> None:
    start(bench)
    assert published(bench, b"1") == [set()]
    assert published(bench, b"2") == [{"a"}]
    project = gitlab.project("someone/shop")
    assert set(gitlab.git(project, "for-each-ref", "--format=%(refname)").split()) == {
        "refs/heads/main",
        "refs/devstream/rendered",
    }


def test_where_they_are_not_taken_a_branch_does_their_work(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    gitlab.hide("someone/shop", "refs/devstream")
    assert published(bench, b"1") == [set()]
    assert published(bench, b"2") == [{"a"}]
    found = bench.forge(reading=True).describe(bench.location)
    assert found is not None
    assert set(found.branches) == {"main"}
    assert found.rendered is not None
    assert set(gitlab.branches(gitlab.project("someone/shop"))) == {"main", "devstream-rendered"}
    assert "using devstream-rendered" in "".join(context.log.text for context in bench.opened)


# ---- CI/CD variables


def variable(gitlab: GitLabStandIn, name: str) -> dict[str, Any]:
    return next(one for one in gitlab.project("someone/shop").variables if one["key"] == name)


def test_a_secret_is_masked_protected_and_not_expanded(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    bench.hosting.put_secret(bench.location, "PASSWORD", Secret.plain("pa$$word-canary"))
    bench.hosting.put_variable(bench.location, "WHO", "some $one")
    assert variable(gitlab, "PASSWORD") == {
        "key": "PASSWORD",
        "value": "pa$$word-canary",
        "masked": True,
        "protected": True,
        "raw": True,
        "hidden": False,
        "variable_type": "env_var",
        "environment_scope": "*",
    }
    plain = variable(gitlab, "WHO")
    assert (plain["masked"], plain["protected"], plain["value"]) == (False, False, "some $one")
    assert "canary" not in "".join(context.log.text for context in bench.opened)


@pytest.mark.parametrize("value", ["short", "two words of it", "a-key\nof two lines", ""])
def test_a_secret_that_cannot_be_masked_is_a_secret_all_the_same(
    bench: Bench, gitlab: GitLabStandIn, value: str
) -> None:
    start(bench)
    bench.hosting.put_secret(bench.location, "PASSWORD", Secret.plain(value))
    assert not variable(gitlab, "PASSWORD")["masked"]
    assert bench.hosting.secret_names(bench.location) == {"PASSWORD"}
    assert not bench.hosting.variables(bench.location)
    said = [line for context in bench.opened for line in context.log.lines]
    assert [level for level, message in said if "variable PASSWORD will be shown" in message] == ["warning"]


def test_an_older_gitlab_masks_fewer_values(bench: Bench, gitlab: GitLabStandIn) -> None:
    gitlab.raw_masks = False
    start(bench)
    bench.hosting.put_secret(bench.location, "PASSWORD", Secret.plain("pa$$word-of-mine"))
    assert not variable(gitlab, "PASSWORD")["masked"]
    bench.hosting.put_secret(bench.location, "TOKEN", Secret.plain("glpat-0123456789"))
    assert variable(gitlab, "TOKEN")["masked"]


def test_secrets_and_variables_share_one_list_and_are_not_mixed_up(
    bench: Bench, gitlab: GitLabStandIn
) -> None:
    start(bench)
    bench.hosting.put_variable(bench.location, "WHO", "someone")
    bench.hosting.put_secret(bench.location, "WHO", Secret.plain("long-enough-1"))
    bench.hosting.delete_variable(bench.location, "WHO")
    assert bench.hosting.secret_names(bench.location) == {"WHO"}
    bench.hosting.put_variable(bench.location, "WHO", "someone")
    bench.hosting.delete_secret(bench.location, "WHO")
    assert bench.hosting.variables(bench.location) == {"WHO": "someone"}
    assert not variable(gitlab, "WHO")["masked"]


def test_variables_of_single_environments_are_left_alone(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    theirs = {
        "key": "WHO",
        "value": "prod",
        "masked": False,
        "protected": False,
        "hidden": False,
        "raw": False,
    }
    gitlab.project("someone/shop").variables.append({**theirs, "environment_scope": "production"})
    bench.hosting.put_variable(bench.location, "WHO", "all")
    bench.hosting.put_variable(bench.location, "WHO", "everybody")
    assert bench.hosting.variables(bench.location) == {"WHO": "everybody"}
    bench.hosting.delete_variable(bench.location, "WHO")
    (left,) = gitlab.project("someone/shop").variables
    assert left["value"] == "prod"


@pytest.mark.parametrize("status", [500, 0])
def test_a_variable_whose_answer_was_lost_is_there_once(
    bench: Bench, gitlab: GitLabStandIn, status: int
) -> None:
    start(bench)
    gitlab.fail("POST", f"{PROJECTS}/1/variables", status=status, after=True)
    bench.hosting.put_secret(bench.location, "PASSWORD", Secret.plain("long-enough-1"))
    assert len(gitlab.project("someone/shop").variables) == 1


def test_a_name_that_gitlab_does_not_take_is_said(bench: Bench) -> None:
    start(bench)
    with pytest.raises(OperationError, match="can contain only letters, digits and '_'"):
        bench.hosting.put_variable(bench.location, "with-dash", "x")


def test_lists_go_on_over_pages(bench: Bench, gitlab: GitLabStandIn) -> None:
    gitlab.page = 2
    start(bench)
    for number in range(5):
        bench.hosting.put_variable(bench.location, f"V{number}", str(number))
    assert len(bench.hosting.variables(bench.location)) == 5


# ---- webhooks


def test_a_webhook_that_people_changed_is_put_right(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    made = bench.hosting.put_webhook(bench.location, Webhook(HOOK, ("push",)), Secret.plain("t0ken"))
    project = gitlab.project("someone/shop")
    project.hooks[1].update(push_events=False, note_events=True, enable_ssl_verification=False)
    project.hook_tokens[1] = "theirs"
    (changed,) = bench.hosting.webhooks(bench.location)
    assert changed.events == ("note",)
    bench.hosting.put_webhook(bench.location, made, Secret.plain("t0ken"))
    assert bench.hosting.webhooks(bench.location) == [made]
    assert project.hooks[1]["enable_ssl_verification"]
    assert project.hook_tokens == {1: "t0ken"}


def test_a_webhook_is_for_nothing_that_was_not_asked_for(bench: Bench) -> None:
    start(bench)
    bench.hosting.put_webhook(bench.location, Webhook(HOOK, ("merge_requests", "tag_push")), None)
    (found,) = bench.hosting.webhooks(bench.location)
    assert found.events == ("merge_requests", "tag_push")


def test_a_webhook_that_gitlab_gave_up_on_is_made_anew(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    made = bench.hosting.put_webhook(bench.location, Webhook(HOOK, ("push",)), None)
    gitlab.project("someone/shop").hooks[1]["alert_status"] = "disabled"
    (found,) = bench.hosting.webhooks(bench.location)
    assert not found.active
    again = bench.hosting.put_webhook(bench.location, made, None)
    assert bench.hosting.webhooks(bench.location) == [again]
    assert again.active


def test_a_webhook_that_was_removed_by_hand_is_made_anew(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    made = bench.hosting.put_webhook(bench.location, Webhook(HOOK, ("push",)), None)
    gitlab.project("someone/shop").hooks.clear()
    again = bench.hosting.put_webhook(bench.location, made, None)
    assert bench.hosting.webhooks(bench.location) == [again]


@pytest.mark.parametrize("status", [500, 0])
def test_a_webhook_whose_answer_was_lost_is_not_doubled(
    bench: Bench, gitlab: GitLabStandIn, status: int
) -> None:
    start(bench)
    gitlab.fail("POST", f"{PROJECTS}/1/hooks", status=status, after=True)
    made = bench.hosting.put_webhook(bench.location, Webhook(HOOK, ("push",)), None)
    again = bench.hosting.put_webhook(bench.location, Webhook(HOOK, ("push",)), None)
    assert bench.hosting.webhooks(bench.location) == [made] == [again]


def test_a_webhook_into_gitlabs_own_network_says_who_allows_it(bench: Bench) -> None:
    start(bench)
    with pytest.raises(OperationError, match="Outbound requests"):
        bench.hosting.put_webhook(bench.location, Webhook("http://127.0.0.1:8080/hook", ("push",)), None)


def test_an_event_that_gitlab_does_not_have_is_corrected(bench: Bench) -> None:
    start(bench)
    with pytest.raises(OperationError, match='no webhook event "merge_request"') as caught:
        bench.hosting.put_webhook(bench.location, Webhook(HOOK, ("merge_request",)), None)
    assert 'did you mean "merge_requests"?' in str(caught.value)
    with pytest.raises(OperationError, match="cannot switch the webhook"):
        bench.hosting.put_webhook(bench.location, Webhook(HOOK, ("push",), active=False), None)


def test_a_list_without_an_end_is_not_read_for_ever(
    bench: Bench, gitlab: GitLabStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    gitlab.page = 1
    bench.make()
    for number in range(3):
        bench.hosting.put_variable(bench.location, f"NAME_{number}", "value")
    assert len(bench.hosting.variables(bench.location)) == 3
    monkeypatch.setattr("devstream_plugin_scm.rest._MOST_PAGES", 2)
    with pytest.raises(OperationError, match="finds no end of /projects/1/variables"):
        bench.hosting.variables(bench.location)
