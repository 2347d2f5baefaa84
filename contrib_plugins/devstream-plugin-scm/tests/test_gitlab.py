"""GitLab: the contract, against the stand-in or the server that DEVSTREAM_TEST_GITLAB_URL names; faults; what is special."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from devstream.api import OperationError, RetryableError, Secret
from devstream.testing.gitlab import GitLabStandIn
from devstream_plugin_scm.forge import Mark
from devstream_plugin_scm.gitlab import GitLab
from devstream_plugin_scm.gitlab_api import GitLabAPI
from devstream_plugin_scm.repository import TargetRepo
from devstream_plugin_scm.testing import Bench, HostingContract, Server, server_from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.conftest import Workplace


PROJECTS = "/api/v4/projects"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look again soon, and give up soon."""
    monkeypatch.setattr(GitLabAPI, "poll", 0.01)


class TestGitLab(HostingContract):
    scm_type = "gitlab"
    events = ("push", "merge_requests")

    def server(self, tmp_path: Path) -> Iterator[Server]:
        named = server_from_environment("gitlab")
        if named:
            yield named
            return
        with GitLabStandIn(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user, "acme")


@pytest.mark.slow
class TestGitLabInASubgroup(HostingContract):
    """The same three groups deep."""

    scm_type = "gitlab"

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with GitLabStandIn(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, "acme/platform/web")


@pytest.fixture
def gitlab(tmp_path: Path) -> Iterator[GitLabStandIn]:
    with GitLabStandIn(tmp_path / "served") as standin:
        yield standin


@pytest.fixture
def bench(gitlab: GitLabStandIn, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench("gitlab", Server(gitlab.url, gitlab.token, gitlab.user), tmp_path, name="shop")
    yield bench
    bench.close()


def start(bench: Bench) -> str:
    """Make the project by the service alone; give its location."""
    mark = Mark("op-1", str(bench.address))
    bench.hosting.create(bench.location, mark=mark, visibility="")
    return bench.location


def in_group(bench: Bench, group: str) -> Bench:
    bench.server = bench.server._replace(owner=group)
    return bench


# ---- where projects are


def test_a_project_lives_in_a_group_of_any_depth(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(in_group(bench, "acme/platform/web"))
    commit = bench.push({"a": b"1"})
    found = bench.forge(reading=True).describe(bench.location)
    assert bench.location == f"{gitlab.host}/acme/platform/web/shop"
    assert found is not None
    assert found.url == f"{gitlab.url}/acme/platform/web/shop.git"
    assert found.branches == {"main": commit}


@pytest.mark.parametrize(
    ("fields", "location"),
    [
        ({"owner": "me"}, "gitlab.com/me/shop"),
        ({"org": "acme"}, "gitlab.com/acme/shop"),
        ({"org": "acme/platform"}, "gitlab.com/acme/platform/shop"),
        ({"name_space": "a/b/c/d"}, "gitlab.com/a/b/c/d/shop"),
        ({"owner": "me", "name_space": "a/b"}, "gitlab.com/a/b/shop"),
        ({"base_url": "https://git.example.org:8443/", "org": "a"}, "git.example.org:8443/a/shop"),
        ({"url": "https://gitlab.example.org/a/b/c/shop.git"}, "gitlab.example.org/a/b/c/shop"),
        ({"url": "git@gitlab.example.org:a/b/shop.git"}, "gitlab.example.org/a/b/shop"),
        ({"url": "gitlab.com/a/b/c/d/e/shop"}, "gitlab.com/a/b/c/d/e/shop"),
        (
            {"url": "https://example.org/git/a/shop.git", "base_url": "https://example.org/git"},
            "example.org/a/shop",
        ),
    ],
)
def test_the_place_is_told_by_parts_or_by_a_url(fields: dict[str, Any], location: str, bench: Bench) -> None:
    repo = TargetRepo(scm_type="gitlab", name="" if "url" in fields else "shop", **fields)
    assert GitLab(repo, bench.context()).locate(repo) == location


def test_only_gitlab_takes_a_path_for_an_owner() -> None:
    with pytest.raises(ValueError, match="cannot name a repository"):
        TargetRepo(scm_type="gitea", owner="a/b", name="shop")
    with pytest.raises(ValueError, match="cannot name a repository"):
        TargetRepo(scm_type="gitlab", owner="a/../b", name="shop")


def test_the_api_may_be_elsewhere(gitlab: GitLabStandIn, bench: Bench) -> None:
    url = "ssh://git@gitlab.internal:2222/acme/shop.git"
    repo = TargetRepo(
        scm_type="gitlab",
        url=url,
        api_url=f"{gitlab.url}/api/v4/",
        token=Secret.plain(gitlab.token),
        allow_http=True,
    )
    hosting = GitLab(repo, bench.context())
    assert hosting.locate(repo) == "gitlab.internal/acme/shop"
    assert hosting.find("gitlab.internal/acme/shop") is None
    assert gitlab.asked("GET", f"{PROJECTS}/acme%2Fshop")


@pytest.mark.parametrize(
    ("group", "says"),
    [
        ("acme/platform/shops", "the nearest one that is there is acme/platform"),
        ("acme/platfrom", 'did you mean "acme/platform"?'),
        ("acme/a/b/c", "the nearest one that is there is acme"),
        ("zzz/yyy", "has no group zzz/yyy that the token can see"),
        ("102", "has no group 102 that the token can see"),
    ],
)
def test_a_group_that_is_not_there_is_named_and_not_made(
    bench: Bench, gitlab: GitLabStandIn, group: str, says: str
) -> None:
    with pytest.raises(OperationError) as caught:
        start(in_group(bench, group))
    assert says in str(caught.value)
    assert not gitlab.projects


@pytest.mark.parametrize("visibility", ["", "private", "internal", "public"])
def test_visibility_is_private_unless_it_is_asked_for(
    bench: Bench, gitlab: GitLabStandIn, visibility: str
) -> None:
    bench.forge().create(bench.location, branch="main", mark=Mark("1", "a.b"), visibility=visibility)
    assert gitlab.project("someone/shop").visibility == (visibility or "private")


def test_a_visibility_that_the_group_does_not_allow_is_explained(bench: Bench, gitlab: GitLabStandIn) -> None:
    gitlab.group_visibility["acme"] = "private"
    in_group(bench, "acme")
    with pytest.raises(OperationError, match="internal is not allowed in a private group"):
        bench.forge().create(bench.location, branch="main", mark=Mark("1", "a.b"), visibility="internal")


# ---- making, moving, deleting


@pytest.mark.parametrize("status", [500, 502, 0])
def test_a_project_that_was_made_though_the_answer_was_lost_is_found(
    bench: Bench, gitlab: GitLabStandIn, status: int
) -> None:
    gitlab.fail("POST", PROJECTS, status=status, after=True)
    start(bench)
    assert len(gitlab.projects) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_what_is_refused_is_said_once_and_changes_nothing(
    bench: Bench, gitlab: GitLabStandIn, status: int
) -> None:
    gitlab.fail("POST", PROJECTS, status=status, body={"message": {"base": ["because\nof \x1b[31mthis"]}})
    with pytest.raises(OperationError, match=rf"refuses POST /projects \({status}: because of"):
        start(bench)
    assert not gitlab.projects
    start(bench)
    assert len(gitlab.projects) == 1


def test_a_rate_limit_is_waited_for(bench: Bench, gitlab: GitLabStandIn) -> None:
    limit = {"Retry-After": "0", "RateLimit-Remaining": "0", "RateLimit-Limit": "60"}
    gitlab.fail("POST", PROJECTS, status=429, headers=limit, body=b"Retry later\n", times=2)
    start(bench)
    assert len(gitlab.asked("POST", PROJECTS)) == 3


def test_a_rate_limit_of_an_hour_is_left_to_a_later_run(bench: Bench, gitlab: GitLabStandIn) -> None:
    gitlab.fail("POST", PROJECTS, status=429, headers={"Retry-After": "3600"}, body=b"Retry later\n")
    with pytest.raises(RetryableError, match="try again in 3600 s"):
        start(bench)
    assert not gitlab.projects


def test_a_change_is_sent_once_whatever_the_answer(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    gitlab.fail("PUT", PROJECTS, status=503, times=9)
    with pytest.raises(OperationError, match="503"):
        bench.hosting.set_topics(bench.location, ["a"])
    assert len(gitlab.asked("PUT", PROJECTS)) == 1


def test_a_project_whose_deletion_waits_is_gone(bench: Bench, gitlab: GitLabStandIn) -> None:
    gitlab.delayed = True
    start(bench)
    bench.hosting.delete(bench.location)
    assert gitlab.project("someone/shop").marked
    assert bench.hosting.find(bench.location) is None
    bench.hosting.delete(bench.location)
    assert len(gitlab.asked("DELETE", PROJECTS)) == 1


def test_a_path_that_a_waiting_deletion_keeps_says_what_to_do(bench: Bench, gitlab: GitLabStandIn) -> None:
    gitlab.delayed = True
    start(bench)
    bench.hosting.delete(bench.location)
    with pytest.raises(OperationError, match="waits to be deleted") as caught:
        start(bench)
    assert "restore it, or delete it at once" in str(caught.value)
    assert "2030-01-01" in str(caught.value)


def test_where_a_waiting_deletion_moves_away_a_new_project_is_made(
    bench: Bench, gitlab: GitLabStandIn
) -> None:
    gitlab.delayed = gitlab.moving = True
    start(bench)
    bench.hosting.delete(bench.location)
    assert bench.hosting.find(bench.location) is None  # though the old path leads to what waits
    start(bench)
    assert gitlab.project("someone/shop").id == 2


def test_a_group_that_waits_to_be_deleted_takes_its_projects_along(
    bench: Bench, gitlab: GitLabStandIn
) -> None:
    start(in_group(bench, "acme"))
    gitlab.namespaces["acme-deletion_scheduled-7"] = 7
    gitlab.project("acme/shop").namespace = "acme-deletion_scheduled-7"
    gitlab.renamed["acme/shop"] = 1
    assert bench.hosting.find(bench.location) is None


def test_a_deletion_that_is_not_through_is_tried_again_later(bench: Bench, gitlab: GitLabStandIn) -> None:
    gitlab.busy_deleting = 1
    with pytest.raises(RetryableError, match="still deleting"):
        start(bench)
    start(bench)
    assert len(gitlab.projects) == 1


def test_a_deletion_whose_answer_was_lost_is_done(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    gitlab.fail("DELETE", PROJECTS, status=0, after=True)
    bench.hosting.delete(bench.location)
    assert not gitlab.projects


def test_a_name_that_somebody_took_is_no_project_of_ours(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    gitlab.project("someone/shop").path = "elsewhere"
    with pytest.raises(OperationError, match="has this path or name"):
        start(bench)


def test_a_project_is_renamed_and_transferred_at_once(bench: Bench, gitlab: GitLabStandIn) -> None:
    old = start(bench)
    in_group(bench, "acme/platform").name = "store"
    bench.forge().move(old, bench.location)
    project = gitlab.project("acme/platform/store")
    assert (project.id, project.name) == (1, "store")
    bench.forge().move(old, bench.location)
    assert len(gitlab.asked("PUT", PROJECTS)) == 2


@pytest.mark.parametrize("status", [500, 0])
def test_half_a_move_is_finished_by_the_next(bench: Bench, gitlab: GitLabStandIn, status: int) -> None:
    old = start(bench)
    in_group(bench, "acme").name = "store"
    gitlab.fail("PUT", f"{PROJECTS}/1/transfer", status=status)
    with pytest.raises(OperationError):
        bench.forge().move(old, bench.location)
    bench.forge().move(old, bench.location)
    assert gitlab.project("acme/store").id == 1


def test_a_title_that_people_gave_survives_a_rename(bench: Bench, gitlab: GitLabStandIn) -> None:
    old = start(bench)
    gitlab.project("someone/shop").name = "The Shop"
    bench.name = "store"
    bench.forge().move(old, bench.location)
    assert gitlab.project("someone/store").name == "The Shop"


def test_what_is_in_the_way_of_a_move_is_said(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(in_group(bench, "acme"))
    old = start(in_group(bench, "someone"))
    with pytest.raises(OperationError, match="same name or path in target namespace"):
        bench.forge().move(old, in_group(bench, "acme").location)
    with pytest.raises(OperationError, match="has no group acme/shops"):
        bench.forge().move(old, in_group(bench, "acme/shops").location)
    assert gitlab.project("someone/shop").id == 2


def test_changes_reach_a_project_that_was_renamed_by_hand(bench: Bench, gitlab: GitLabStandIn) -> None:
    old = start(bench)
    bench.push({"a": b"1"})
    bench.name = "store"
    bench.hosting.move(old, bench.location)
    bench.hosting.put_variable(old, "WHO", "someone")
    bench.hosting.set_topics(old, ["devstream"])
    project = gitlab.project("someone/store")
    assert [one["key"] for one in project.variables] == ["WHO"]
    assert project.topics == ["devstream"]


def test_a_branch_that_gitlab_has_not_heard_of_yet_is_waited_for(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    commit = bench.push({"a": b"1"})
    gitlab.late = 2
    bench.forge().start_branch(bench.location, "trunk", commit or "")
    assert gitlab.project("someone/shop").default_branch == "trunk"
    with pytest.raises(OperationError, match="Do you have a branch named 'nowhere'"):
        bench.hosting.set_default_branch(bench.location, "nowhere")


# ---- repo-scaffolding on it


@pytest.mark.slow
def test_a_scaffold_in_a_subgroup_follows_its_template_by_merge_request(
    place: Workplace, gitlab: GitLabStandIn
) -> None:
    repo = {
        "scmType": "gitlab",
        "baseURL": gitlab.url,
        "nameSpace": "acme/platform/web",
        "name": "shop",
        "token": gitlab.token,
    }
    url = place.template({"a.txt.tpl": "[[ word ]]\n"})
    tool = place.bench(
        "repo-scaffolding", "shop", destinationRepo=repo, sourceRepo={"url": url}, vars={"word": "one"}
    )
    tool.create()
    project = gitlab.project("acme/platform/web/shop")
    assert gitlab.git(project, "show", "main:a.txt") == "one"
    assert tool.drift() == {}
    gitlab.protect("acme/platform/web/shop", "main")
    for word in ("two", "three"):
        tool.options["vars"] = {"word": word}
        tool.update()
    assert gitlab.git(project, "show", "main:a.txt") == "one"
    assert gitlab.git(project, "show", "devstream/repo-scaffolding.shop:a.txt") == "three"
    assert len(project.requests) == 1
    tool.options["destinationRepo"] = {**repo, "nameSpace": "acme", "name": "store"}
    tool.update()
    assert gitlab.project("acme/store").id == project.id
    assert tool.drift() == {}
    tool.delete()
    assert not gitlab.projects
    tool.context.close()


# ---- who asks, and how


def test_a_token_for_reading_is_told_which_scope_it_needs(bench: Bench, gitlab: GitLabStandIn) -> None:
    gitlab.tokens["glpat-read"] = "read_api"
    with pytest.raises(OperationError, match="the token needs the scope api"):
        bench.forge(token=Secret.plain("glpat-read")).hosting.create(  # type: ignore[union-attr]  # GitLab has one
            bench.location, mark=Mark("1", "a.b"), visibility=""
        )


@pytest.mark.parametrize("token", ["canary-5c1e77\n", "canary 5c1e77", "canary-5c1e77-é"])
def test_a_token_that_cannot_be_sent_is_not_shown(bench: Bench, token: str) -> None:
    with pytest.raises(OperationError, match="the token of GitLab has blanks") as caught:
        bench.forge(token=Secret.plain(token))
    assert "canary" not in str(caught.value)


def test_the_token_is_in_no_message_no_url_and_no_log(bench: Bench, gitlab: GitLabStandIn) -> None:
    canary = "canary-5c1e77"
    gitlab.tokens[canary] = "api"
    bench.server = bench.server._replace(token=canary)
    start(bench)
    bench.push({"a": b"1"})
    gitlab.fail("*", "/api/v4/", status=400, body={"message": "no"}, times=9)
    with pytest.raises(OperationError) as caught:
        bench.forge().describe(bench.location)
    said = [str(caught.value), *(context.log.text for context in bench.opened)]
    assert canary not in "\n".join([*said, *(f"{one.path}{one.query}" for one in gitlab.requests)])


def test_the_token_goes_to_no_other_server(bench: Bench, gitlab: GitLabStandIn, tmp_path: Path) -> None:
    with GitLabStandIn(tmp_path / "other") as other:
        gitlab.fail("GET", PROJECTS, status=302, headers={"Location": f"{other.url}{PROJECTS}/1"})
        with pytest.raises(OperationError, match="elsewhere"):
            bench.hosting.find(bench.location)
        assert not other.requests


def test_a_change_is_not_sent_on(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    gitlab.fail("PUT", PROJECTS, status=301, headers={"Location": f"{gitlab.url}{PROJECTS}/1"})
    with pytest.raises(OperationError, match="was not followed"):
        bench.hosting.set_topics(bench.location, ["a"])


def test_a_page_for_people_is_not_taken_for_the_api(bench: Bench, gitlab: GitLabStandIn) -> None:
    gitlab.fail("GET", PROJECTS, status=200, body=b"<html>Sign in</html>")
    with pytest.raises(OperationError, match=r"did not answer GET .* with JSON"):
        bench.hosting.find(bench.location)


def test_proxies_and_netrc_of_the_user_change_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    assert bench.hosting.find(bench.location) is None


def test_a_certificate_of_ones_own_is_trusted_by_name(tmp_path: Path) -> None:
    import ssl

    import trustme

    ours, theirs = trustme.CA(), trustme.CA()
    for name, authority in (("ours", ours), ("theirs", theirs)):
        authority.cert_pem.write_to_path(str(tmp_path / f"{name}.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(tls)
    with GitLabStandIn(tmp_path / "served", tls=tls) as standin:
        bench = Bench("gitlab", Server(standin.url, standin.token, standin.user), tmp_path, name="shop")
        hosting = bench.forge(ca_file="ours.pem").hosting
        assert hosting is not None
        assert hosting.find(bench.location) is None
        for wrong in ("theirs.pem", ""):
            hosting = bench.forge(ca_file=wrong).hosting
            assert hosting is not None
            with pytest.raises(OperationError, match="CERTIFICATE_VERIFY_FAILED"):
                hosting.find(bench.location)
        bench.close()


def test_plain_http_to_another_machine_is_refused(tmp_path: Path) -> None:
    bench = Bench("gitlab", Server("http://git.example.org", "x", "someone"), tmp_path)
    with pytest.raises(OperationError, match="in clear"):
        bench.forge(allow_http=False, token=None)
    with pytest.raises(OperationError, match="in clear"):
        bench.forge(allow_http=False, token=None, base_url="", api_url="http://git.example.org/api/v4")


def test_an_empty_project_is_described(bench: Bench, gitlab: GitLabStandIn) -> None:
    start(bench)
    found = bench.forge(reading=True).describe(bench.location)
    assert found is not None
    assert (found.branches, found.default_branch, found.id) == ({}, "", "1")
    assert gitlab.project("someone/shop").description == "made by devstream for repo-scaffolding.shop (op-1)"


# ---- the stand-in is as strict as GitLab


@pytest.mark.parametrize(
    ("asked", "body", "status", "says"),
    [
        ("GET /projects/someone/shop", None, 404, "Not Found"),
        ("GET /projects/someone%2Fnothing", None, 404, "404 Project Not Found"),
        ("GET /namespaces/nobody", None, 404, "404 Namespace Not Found"),
        ("POST /projects", {"description": "x"}, 400, "at least one parameter must be provided"),
        ("POST /projects", {"path": "shop"}, 400, "has already been taken"),
        ("POST /projects", {"path": "a/b"}, 400, "can contain only"),
        ("POST /projects", {"path": "x", "namespace_id": 9}, 400, "is not valid"),
        ("POST /projects", {"path": "x", "visibility": "secret"}, 400, "does not have a valid value"),
        ("PUT /projects/1", {}, 400, "at least one parameter must be provided"),
        ("PUT /projects/1/transfer", {"namespace": "nobody"}, 404, "404 Namespace Not Found"),
        ("POST /projects/1/merge_requests", {"title": "x"}, 400, "source_branch is missing"),
        ("POST /projects/1/hooks", {}, 400, "url is missing"),
        ("POST /projects/1/hooks", {"url": "https://a.b/", "push_events": "x"}, 400, "is invalid"),
        ("POST /projects/1/variables", {"key": "A"}, 400, "value is missing"),
        ("POST /projects/1/variables", {"key": "A", "value": "x", "masked": True}, 400, "is invalid"),
        ("PUT /projects/1/variables/A", {"value": "x"}, 404, "404 Variable Not Found"),
        ("PUT /projects/1/merge_requests/1/merge", None, 404, "404 Not found"),
        ("DELETE /projects/1/hooks/1", None, 404, "404 Not found"),
    ],
)
def test_the_stand_in_refuses_what_gitlab_refuses(  # noqa: PLR0917 - a table's columns
    gitlab: GitLabStandIn, bench: Bench, asked: str, body: Any, status: int, says: str
) -> None:
    start(bench)
    headers = {"PRIVATE-TOKEN": gitlab.token}
    method, _, path = asked.partition(" ")
    url = f"{gitlab.url}/api/v4{path}"
    with httpx.Client(trust_env=False) as client:
        answer = client.request(method, url, json=body, headers=headers)
        assert (answer.status_code, says in answer.text) == (status, True), answer.text
        assert client.request(method, url, json=body).status_code == 401
