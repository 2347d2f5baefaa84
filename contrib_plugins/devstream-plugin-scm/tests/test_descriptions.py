"""What the plugin asks of services, and what their stand-ins answer, held to the vendors' own descriptions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devstream.api import Secret
from devstream.testing.description import Description, Recorder
from devstream.testing.gitea import GiteaStandIn
from devstream.testing.github import GitHubStandIn
from devstream.testing.service import Request, Response
from devstream_plugin_scm.forge import Delivery, proposal_branch
from devstream_plugin_scm.hosting import Webhook
from devstream_plugin_scm.testing import Bench, HostingContract, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

DESCRIPTIONS = Path(__file__).with_name("openapi")
NEWER = ("/actions/secrets", "/actions/variables")
"""Paths of Gitea that came after 1.15, the version that is described."""


class RecordedGitea(Recorder, GiteaStandIn):
    """A Gitea that keeps what it was asked."""


class RecordedGitHub(Recorder, GitHubStandIn):
    """A GitHub that keeps what it was asked."""


STANDINS: dict[str, type[RecordedGitea | RecordedGitHub]] = {"gitea": RecordedGitea, "github": RecordedGitHub}


@pytest.mark.slow
class TestGiteaAsDescribed(HostingContract):
    scm_type = "gitea"

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with RecordedGitea(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user, "acme")
            check("gitea", standin)


@pytest.mark.slow
class TestGitHubAsDescribed(HostingContract):
    scm_type = "github"

    def server(self, tmp_path: Path) -> Iterator[Server]:
        with RecordedGitHub(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user, "acme")
            check("github", standin)


def check(name: str, standin: Recorder) -> None:
    """Hold everything that was asked and answered to a description."""
    description = Description(DESCRIPTIONS / f"{name}.json")
    assert standin.exchanges
    found = {
        problem
        for request, response in standin.exchanges
        if name != "gitea" or not any(part in request.path for part in NEWER)
        for problem in description.problems(request, response)
    }
    assert not found, "\n".join(sorted(found))


@pytest.mark.parametrize("name", STANDINS)
def test_what_a_repository_goes_through_is_as_described(tmp_path: Path, name: str) -> None:
    """A short way past every operation; the whole contract is held to the descriptions where there is time."""
    with STANDINS[name](tmp_path / "served") as standin:
        bench = Bench(name, Server(standin.url, standin.token, "acme"), tmp_path, name="shop")
        bench.make()
        bench.push({"a": b"1"})
        bench.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
        hosting, location = bench.hosting, bench.location
        proposal = hosting.proposal(location, proposal_branch(bench.address))
        assert proposal is not None
        hosting.merge(location, proposal)
        hook = hosting.put_webhook(location, Webhook("https://ci.example.org/", ("push",)), None)
        hosting.put_webhook(location, hook._replace(active=False), Secret.plain("s3cret-canary"))
        assert hosting.webhooks(location)
        hosting.delete_webhook(location, hook.id)
        for value in ("first-value", "second-value"):
            hosting.put_secret(location, "REGISTRY", Secret.plain(value))
            hosting.put_variable(location, "REGISTRY_USER", value)
        assert hosting.secret_names(location)
        assert hosting.variables(location)
        hosting.delete_secret(location, "REGISTRY")
        hosting.delete_variable(location, "REGISTRY_USER")
        hosting.set_topics(location, ["devstream"])
        hosting.set_default_branch(location, "main")
        hosting.move(location, f"{standin.host}/{standin.user}/store")
        hosting.delete(f"{standin.host}/{standin.user}/store")
        bench.close()
        check(name, standin)


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
