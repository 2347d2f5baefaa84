"""What the plugin asks of services, and what their stand-ins answer, held to the vendors' own descriptions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import Secret
from devstream.testing.bitbucket import BitbucketCloudStandIn
from devstream.testing.bitbucket_server import BitbucketServerStandIn
from devstream.testing.description import Description, Recorder
from devstream.testing.gitea import GiteaStandIn
from devstream.testing.github import GitHubStandIn
from devstream.testing.gitlab import GitLabStandIn
from devstream.testing.public_keys import made_up_key
from devstream.testing.service import Request, Response
from devstream_plugin_scm.forge import Delivery, proposal_branch
from devstream_plugin_scm.hosting import DeployKey, Webhook
from devstream_plugin_scm.testing import Bench, HostingContract, Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from devstream_plugin_scm.hosting import Hosting

DESCRIPTIONS = Path(__file__).with_name("openapi")
NEWER = {"gitea": ("/actions/secrets", "/actions/variables")}
"""Paths that are newer than the version that is described: Gitea's came after 1.15."""


class RecordedGitea(Recorder, GiteaStandIn):
    """A Gitea that keeps what it was asked."""


class RecordedGitHub(Recorder, GitHubStandIn):
    """A GitHub that keeps what it was asked."""


class RecordedGitLab(Recorder, GitLabStandIn):
    """A GitLab that keeps what it was asked."""


class RecordedCloud(Recorder, BitbucketCloudStandIn):
    """A bitbucket.org that keeps what it was asked."""


class RecordedCenter(Recorder, BitbucketServerStandIn):
    """A Bitbucket Data Center that keeps what it was asked."""


STANDINS: dict[str, Callable[..., Any]] = {
    "gitea": RecordedGitea,
    "github": RecordedGitHub,
    "gitlab": RecordedGitLab,
    "bitbucket": RecordedCloud,
    "bitbucket-server": RecordedCenter,
}
PUSHED = {"bitbucket": "repo:push", "bitbucket-server": "repo:refs_changed"}


def server_of(name: str, standin: Any) -> Server:
    """Name a stand-in."""
    if name == "bitbucket":
        return Server(standin.url, standin.password, standin.user, api=standin.api, user=standin.user)
    return Server(standin.url, standin.token, standin.user, "" if name == "bitbucket-server" else "acme")


class AsDescribed(HostingContract):
    """The whole contract, on a stand-in whose exchanges are held to a description."""

    name: str

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with STANDINS[self.name](tmp_path / "served", page=3) as standin:
            yield server_of(self.name, standin)
            check(self.name, standin)


@pytest.mark.slow
class TestGiteaAsDescribed(AsDescribed):
    name = scm_type = "gitea"


@pytest.mark.slow
class TestGitHubAsDescribed(AsDescribed):
    name = scm_type = "github"


@pytest.mark.slow
class TestGitLabAsDescribed(AsDescribed):
    name = scm_type = "gitlab"
    events = ("push", "merge_requests")


@pytest.mark.slow
class TestCloudAsDescribed(AsDescribed):
    name = scm_type = "bitbucket"
    events = ("repo:push",)
    keys_may_push = False


@pytest.mark.slow
class TestCenterAsDescribed(AsDescribed):
    name, scm_type = "bitbucket-server", "bitbucket"
    events = ("repo:refs_changed",)
    keeps_secrets = False


def check(name: str, standin: Recorder) -> None:
    """Hold everything that was asked and answered to a description."""
    description = Description(DESCRIPTIONS / f"{name}.json")
    found = {
        problem
        for request, response in standin.exchanges
        if not any(part in request.path for part in NEWER.get(name, ()))
        for problem in description.problems(request, response)
    }
    assert not found, "\n".join(sorted(found))


@pytest.mark.parametrize("name", STANDINS)
def test_what_a_repository_goes_through_is_as_described(tmp_path: Path, name: str) -> None:
    """A short way past every operation; the whole contract is held to the descriptions where there is time."""
    with STANDINS[name](tmp_path / "served") as standin:
        bench = Bench(name.partition("-")[0], server_of(name, standin), tmp_path, name="shop")
        bench.make()
        bench.push({"a": b"1"})
        bench.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
        hosting, location = bench.hosting, bench.location
        proposal = hosting.proposal(location, proposal_branch(bench.address))
        assert proposal is not None
        hosting.merge(location, proposal)
        hook = hosting.put_webhook(
            location, Webhook("https://ci.example.org/", (PUSHED.get(name, "push"),)), None
        )
        on = name == "gitlab"  # it cannot switch webhooks off
        hosting.put_webhook(location, hook._replace(active=on), Secret.plain("s3cret-canary"))
        assert hosting.webhooks(location)
        hosting.delete_webhook(location, hook.id)
        key = hosting.put_deploy_key(location, DeployKey("ci", made_up_key()))
        hosting.delete_deploy_key(location, key.id)
        if name != "bitbucket-server":
            keep_secrets(hosting, location)
        hosting.set_topics(location, ["devstream"])
        hosting.set_default_branch(location, "main")
        target = f"{location.rpartition('/')[0]}/store"
        hosting.move(location, target)
        hosting.delete(target)
        bench.close()
        assert standin.exchanges
        check(name, standin)


def keep_secrets(hosting: Hosting, location: str) -> None:
    """Go past the operations of secrets and variables."""
    for value in ("first-value", "second-value"):
        hosting.put_secret(location, "REGISTRY", Secret.plain(value))
        hosting.put_variable(location, "REGISTRY_USER", value)
    assert hosting.secret_names(location)
    assert hosting.variables(location)
    hosting.delete_secret(location, "REGISTRY")
    hosting.delete_variable(location, "REGISTRY_USER")


def asked(method: str, path: str, body: bytes = b"", **query: str) -> Request:
    return Request(method, f"/api/v1{path}", query, {}, body)


OWNERS = "/repos/acme/shop"


@pytest.mark.parametrize(
    ("request_", "response", "problem"),
    [
        (asked("GET", "/nowhere"), None, "GET /api/v1/nowhere: there is no such operation"),
        (asked("PUT", OWNERS), None, "there is no such operation"),
        (asked("GET", f"{OWNERS}/hooks", per_page="5"), None, "the query knows no per_page"),
        (asked("GET", f"{OWNERS}/hooks", page="first"), None, "page=first is no number"),
        (asked("GET", f"{OWNERS}/pulls", state="merged"), None, "state=merged is none of"),
        (asked("POST", "/user/repos", b'{"private": true}'), None, "'name' is a required property"),
        (
            asked("POST", "/user/repos", b'{"name": "a", "private": "yes"}'),
            None,
            "body.private: 'yes' is not",
        ),
        (asked("POST", "/user/repos", b'{"name": "a", "visibility": "x"}'), None, "body knows no visibility"),
        (asked("DELETE", OWNERS, b'{"really": true}'), None, "there is no body to send"),
        (asked("GET", OWNERS), Response(200, {"id": "7"}), "answer.id: '7' is not of type 'integer'"),
        (asked("GET", OWNERS), Response(200, {"uuid": "7"}), "answer knows no uuid"),
        (asked("GET", OWNERS), Response(201, {}), "201 is no answer"),
    ],
)
def test_what_a_description_does_not_have_is_found(
    request_: Request, response: Response | None, problem: str
) -> None:
    (found,) = Description(DESCRIPTIONS / "gitea.json").problems(request_, response)
    assert problem in found


def test_what_a_description_has_is_fine() -> None:
    description = Description(DESCRIPTIONS / "gitea.json")
    made = asked("POST", "/orgs/acme/repos", b'{"name": "shop", "private": true}')
    assert description.problems(made, Response(201, {"id": 7, "name": "shop"})) == []
    assert description.problems(made, Response(422, {"anything": True})) == []


CLOUD, CENTER, GITLAB = "/2.0/repositories/a/b", "/rest/api/1.0/projects/A/repos/b", "/api/v4/projects/7"


@pytest.mark.parametrize(
    ("name", "request_", "response", "problem"),
    [
        ("bitbucket", ("PATCH", CLOUD), None, "there is no such operation"),
        ("bitbucket", ("PUT", f"{CLOUD}/pipelines_config", {}), None, "'type' is a required property"),
        ("bitbucket", ("POST", f"{CLOUD}/hooks", {"type": "x", "acive": True}), None, "body knows no acive"),
        (
            "bitbucket",
            ("PUT", f"{CLOUD}/hooks/7", {"type": "x", "events": ["push"]}),
            None,
            "'push' is not one of",
        ),
        ("bitbucket", ("GET", f"{CLOUD}/pullrequests"), {"values": [{"slug": "b"}]}, "knows no slug"),
        ("bitbucket-server", ("POST", f"{CENTER}/webhooks", {"urls": "x"}), None, "body knows no urls"),
        ("bitbucket-server", ("GET", f"{CENTER}/default-branch"), {"name": "main"}, "answer knows no name"),
        ("gitlab", ("POST", f"{GITLAB}/hooks", {"push_events": True}), None, "'url' is a required property"),
        ("gitlab", ("POST", f"{GITLAB}/variables", {"key": "a", "value": 1}), None, "1 is not of type"),
        ("gitlab", ("GET", f"{GITLAB}/hooks"), [{"secret": "x"}], "answer[] knows no secret"),
    ],
)
def test_what_the_other_descriptions_do_not_have_is_found(
    name: str, request_: tuple[Any, ...], response: Any, problem: str
) -> None:
    method, path, *body = request_
    request = Request(method, path, {}, {}, json.dumps(body[0]).encode() if body else b"")
    answer = None if response is None else Response(200, response)
    found = Description(DESCRIPTIONS / f"{name}.json").problems(request, answer)
    assert any(problem in one for one in found), found
