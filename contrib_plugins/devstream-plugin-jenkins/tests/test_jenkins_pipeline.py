"""``jenkins-pipeline``: the contract, against the stand-in or the Jenkins that DEVSTREAM_TEST_JENKINS_URL names; faults."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from devstream.api import OperationError, RetryableError
from devstream.testing.github import GitHubStandIn
from devstream.testing.gitlab import GitLabStandIn
from devstream.testing.jenkins import JenkinsStandIn
from devstream_plugin_jenkins.testing import (
    JenkinsContract,
    JobBench,
    Server,
    bench_on,
    server_from_environment,
)
from devstream_plugin_scm import testing as scm_testing

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devstream.testing.gitea import GiteaStandIn
    from devstream.testing.service import Service

pytest_plugins = ("devstream_plugin_jenkins.testing_fixtures",)
SCM = "devstream-jenkins-pipeline.shop-scm"


SLACK = {"language": {"name": "python"}, "slack": {"webhook": "https://hooks.slack.example/canary"}}


class TestJenkins(JenkinsContract):
    def server(self) -> Iterator[Server]:
        named = server_from_environment()
        if named:
            yield named
            return
        with JenkinsStandIn() as jenkins:
            yield Server(jenkins.url, jenkins.user, jenkins.token)


@pytest.mark.slow
class TestJenkinsByPassword(JenkinsContract):
    """A password needs crumbs, where a token does not."""

    def server(self) -> Iterator[Server]:
        with JenkinsStandIn() as jenkins:
            yield Server(jenkins.url, jenkins.user, jenkins.password)


def in_jenkins(bench: JobBench, **fields: Any) -> None:
    bench.options["jenkins"] = {**bench.options["jenkins"], **fields}


def gitea(bench: JobBench) -> GiteaStandIn:
    assert bench.gitea is not None
    return bench.gitea


def hooks(bench: JobBench) -> list[dict[str, Any]]:
    return list(gitea(bench).repository("someone/shop").hooks.values()) if bench.gitea else []


def head(bench: JobBench) -> set[str]:
    found = bench.repository.forge().describe(bench.repository.location)
    assert found is not None
    return set(bench.repository.forge().listing(found.location, found.branches["main"]))


def plain(config: ET.Element) -> str:
    """Write a configuration without what only people see: indentation."""
    return ET.canonicalize(ET.tostring(config), strip_text=True)


def everything(bench: JobBench, jenkins: JenkinsStandIn) -> dict[str, Any]:
    """What a run leaves in the world."""
    return {
        "jobs": {path: plain(item.config) for path, item in jenkins.items.items()},
        "credentials": {store: sorted(found) for store, found in jenkins.credentials.items() if found},
        "hooks": [hook["config"]["url"] for hook in hooks(bench)],
        "files": head(bench),
    }


# what is made


def test_all_there_is_of_it(hooked: JobBench, jenkins: JenkinsStandIn) -> None:
    hooked.options["pipeline"] = {
        "language": {"name": "go"},
        "imageRepo": {"url": "ghcr.io", "user": "acme", "password": "image-canary-1"},
    }
    hooked.options["jobName"] = "team/shop"
    status = hooked.create()
    assert set(jenkins.items) == {"team", "team/shop"}
    image = "devstream-jenkins-pipeline.shop-IMAGE_REPO_SECRET"
    assert set(jenkins.credentials["team"]) == {SCM, image}
    assert jenkins.secret("team", image, "secret") == "image-canary-1"
    assert jenkins.secret("team", SCM, "password") == gitea(hooked).token
    (hook,) = hooks(hooked)
    assert hook["config"]["url"] == f"{jenkins.url}/gitea-webhook/post?devstream=jenkins-pipeline.shop"
    assert status.properties["files"].keys() == {"Jenkinsfile"}
    assert jenkins.items["team/shop"].builds == 1
    assert "image-canary-1" not in json.dumps(dict(status.properties))


def test_deleting_leaves_nothing_and_is_fine_twice(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    before = everything(bench, jenkins)
    bench.options["jobName"] = "team/inner/shop"
    bench.create()
    recorded = bench.recorded
    bench.delete()
    assert everything(bench, jenkins) == before
    bench.recorded = recorded
    bench.delete()
    assert everything(bench, jenkins) == before


def test_without_its_repository_the_rest_still_goes(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    bench.create()
    bench.repository.forge().delete(bench.repository.location)
    assert bench.there().properties["files"] == {"Jenkinsfile": None}
    bench.delete()
    assert not jenkins.items
    assert not jenkins.credentials[""]


@pytest.mark.parametrize("other", ["job", "credential"])
def test_a_folder_stays_while_something_is_in_it(
    bench: JobBench, jenkins: JenkinsStandIn, other: str
) -> None:
    bench.options["jobName"] = "team/shop"
    bench.create()
    if other == "job":
        jenkins.items["team/other"] = jenkins.items["team/shop"]
    else:
        jenkins.credentials["team"]["theirs"] = ET.Element("x")
    bench.delete()
    assert "team" in jenkins.items
    assert "team/shop" not in jenkins.items


def test_a_folder_of_others_stays_though_it_is_empty(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    bench.options["jobName"] = "team/shop"
    bench.create()
    description = jenkins.config("team").find("description")
    assert description is not None
    description.text = "ours, says the team"
    bench.delete()
    assert set(jenkins.items) == {"team"}


def test_two_apps_share_a_folder_and_no_credential(
    bench: JobBench, jenkins: JenkinsStandIn, tmp_path: Path
) -> None:
    bench.options |= {"jobName": "team/shop", "pipeline": SLACK}
    bench.create()
    other = JobBench(tmp_path, bench.server, name="blog")
    other.begin()
    other.options |= {"jobName": "team/blog", "pipeline": SLACK}
    other.create()
    assert len(jenkins.credentials["team"]) == 2
    bench.delete()
    assert other.drift() == {}
    other.delete()
    assert not jenkins.items
    other.close()


# drift, and what people do


@pytest.mark.parametrize("change", ["script", "branch", "credential", "file", "description"])
def test_what_is_changed_by_hand_is_drift_and_put_back(
    bench: JobBench, jenkins: JenkinsStandIn, change: str
) -> None:
    bench.options["type"] = "pipeline"
    bench.options["pipeline"] = {"language": {"name": "go"}, "slack": {"webhook": "https://slack.example/x"}}
    bench.create()
    before, config = everything(bench, jenkins), jenkins.config("shop")
    match change:
        case "script":
            put_text(config, "scriptPath", "other")
        case "branch":
            spec = ET.SubElement(found_in(config, "branches"), "hudson.plugins.git.BranchSpec")
            ET.SubElement(spec, "name").text = "*/dev"
        case "credential":
            jenkins.credentials[""].clear()
        case "file":
            bench.repository.push({"Jenkinsfile": b"by hand\n"})
        case "description":
            put_text(config, "description", "a shop")
    assert len(bench.drift()) == 1
    bench.update()
    assert bench.drift() == {}
    description = jenkins.config("shop").findtext("description") or ""
    if change == "description":
        assert (
            description == "a shop; made by devstream for jenkins-pipeline.shop (op-jenkins-pipeline.shop-0)"
        )
    else:
        assert everything(bench, jenkins) == before


def found_in(config: ET.Element, name: str) -> ET.Element:
    found = config.find(f".//{name}")
    assert found is not None
    return found


def put_text(config: ET.Element, name: str, text: str) -> None:
    found_in(config, name).text = text


def test_a_webhook_changed_by_hand_is_drift_and_put_back(hooked: JobBench, jenkins: JenkinsStandIn) -> None:
    hooked.create()
    before = everything(hooked, jenkins)
    found = gitea(hooked).repository("someone/shop").hooks

    def double() -> None:
        found[99] = {**next(iter(found.values())), "id": 99}

    def edit() -> None:
        next(iter(found.values()))["events"] = ["issues"]

    for change in (found.clear, edit, double):
        change()
        assert set(hooked.drift()) == {"webhook"}
        hooked.update()
        assert hooked.drift() == {}
        assert everything(hooked, jenkins) == before


def test_what_people_add_to_the_job_stays(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    bench.create()
    config = jenkins.config("shop")
    ET.SubElement(config, "displayName").text = "The Shop"
    traits = config.find(".//traits")
    assert traits is not None
    ET.SubElement(traits, "jenkins.plugins.git.traits.LocalBranchTrait")
    disabled = config.find("disabled")
    assert disabled is not None
    disabled.text = "true"
    assert bench.drift() == {}
    bench.options["pipeline"] = {"language": {"name": "go"}}
    bench.update()
    now = jenkins.config("shop")
    assert now.findtext("displayName") == "The Shop"
    assert now.find(".//jenkins.plugins.git.traits.LocalBranchTrait") is not None
    assert now.findtext("disabled") == "true"


def test_a_job_that_is_gone_is_gone(hooked: JobBench, jenkins: JenkinsStandIn) -> None:
    hooked.create()
    del jenkins.items["shop"]
    assert hooked.read() is None
    hooked.create()
    assert len(hooks(hooked)) == 1


@pytest.mark.parametrize("kind", ["pipeline", "project"])
def test_somebody_elses_job_is_not_touched(bench: JobBench, jenkins: JenkinsStandIn, kind: str) -> None:
    bench.options["type"] = "pipeline"
    bench.create()
    theirs = ET.Element("flow-definition" if kind == "pipeline" else "project")
    ET.SubElement(theirs, "description").text = "made by devstream for jenkins-pipeline.other (op-9)"
    jenkins.items["shop"].config = theirs
    for action in (bench.update, bench.delete):
        with pytest.raises(OperationError, match=r"is not the job that jenkins-pipeline\.shop made"):
            action()
    bench.recorded = None
    with pytest.raises(OperationError, match="exists already and is not ours"):
        bench.create()
    assert jenkins.config("shop") is theirs


def test_a_job_whose_description_says_nothing_is_not_deleted(
    bench: JobBench, jenkins: JenkinsStandIn
) -> None:
    bench.create()
    description = jenkins.config("shop").find("description")
    assert description is not None
    description.text = "mine now"
    with pytest.raises(OperationError, match="left as it is"):
        bench.delete()
    assert "shop" in jenkins.items


def test_an_adopted_job_keeps_its_description_and_what_people_made_of_it(
    bench: JobBench, jenkins: JenkinsStandIn
) -> None:
    bench.options["type"] = "pipeline"
    bench.create()
    config = jenkins.config("shop")
    description = config.find("description")
    assert description is not None
    description.text = "built by hand in 2019"
    bench.recorded, bench.adopted = None, True
    observed = bench.there()
    assert observed.properties["id"] is None
    from devstream.api import ToolState

    bench.recorded = ToolState(bench.address, properties=observed.properties, adopted=True)
    bench.update()
    assert jenkins.config("shop").findtext("description") == "built by hand in 2019"
    assert bench.drift() == {}


def test_a_pipeline_is_no_multibranch_job(bench: JobBench) -> None:
    bench.options["type"] = "pipeline"
    bench.create()
    bench.options["type"] = "multibranch"
    with pytest.raises(OperationError, match="cannot become a multibranch job"):
        bench.update()


def test_a_new_token_reaches_jenkins(hooked: JobBench, jenkins: JenkinsStandIn) -> None:
    hooked.create()
    gitea(hooked).token = "another-token"
    hooked.repository.server = hooked.repository.server._replace(token="another-token")
    hooked.options["scm"] = {**hooked.options["scm"], "token": "another-token"}
    hooked.update()
    assert jenkins.secret("", SCM, "password") == "another-token"
    assert set(jenkins.credentials[""]) == {SCM}


def test_a_secret_that_is_not_wanted_any_more_goes(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    bench.options["pipeline"] = SLACK
    bench.create()
    assert len(jenkins.credentials[""]) == 1
    bench.options["pipeline"] = {"language": {"name": "python"}}
    bench.update()
    assert not jenkins.credentials[""]


@pytest.mark.slow
def test_without_a_webhook_jenkins_looks_by_itself(hooked: JobBench, jenkins: JenkinsStandIn) -> None:
    hooked.create()
    in_jenkins(hooked, webhook=False)
    hooked.update()
    assert hooks(hooked) == []
    assert jenkins.config("shop").findtext(".//interval") == "900000"
    in_jenkins(hooked, webhook=True)
    hooked.update()
    assert len(hooks(hooked)) == 1


# plugins


def test_missing_plugins_are_named_and_nothing_is_made(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    jenkins.plugins.active -= {"workflow-multibranch", "docker-workflow"}
    before = everything(bench, jenkins)
    with pytest.raises(
        OperationError, match="lacks plugins that this job needs: docker-workflow, workflow-multibranch"
    ):
        bench.create()
    assert everything(bench, jenkins) == before
    in_jenkins(bench, installPlugins=True, offline=True)
    with pytest.raises(OperationError, match="lacks plugins"):
        bench.create()
    assert not jenkins.asked("POST")


def test_plugins_are_installed_where_that_is_allowed(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    jenkins.plugins.active -= {"workflow-multibranch"}
    in_jenkins(bench, installPlugins=True)
    bench.create()
    assert "workflow-multibranch" in jenkins.plugins.active
    assert jenkins.restarts == 0


def test_a_restart_only_where_that_is_allowed(
    bench: JobBench, jenkins: JenkinsStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstream_plugin_jenkins.needed_plugins._PAUSE", 0.01)
    jenkins.plugins.active -= {"workflow-multibranch"}
    jenkins.plugins.need_restart = True
    in_jenkins(bench, installPlugins=True)
    with pytest.raises(OperationError, match="has to be restarted"):
        bench.create()
    in_jenkins(bench, enableRestart=True)
    bench.create()
    assert jenkins.restarts == 1


# faults


REFUSED = [(status, "/createItem") for status in (401, 403, 404, 409, 422)]


@pytest.mark.parametrize(("status", "prefix"), [*REFUSED, (403, "/credentials/"), (409, "/credentials/")])
def test_what_is_refused_is_said_and_the_next_run_converges(
    bench: JobBench, jenkins: JenkinsStandIn, status: int, prefix: str
) -> None:
    bench.options["pipeline"] = SLACK
    jenkins.fail("POST", prefix, status=status, body=b"<html><b>because</b>\nof \x1b[31mthis</html>")
    with pytest.raises(
        OperationError, match=rf"Jenkins refuses POST {prefix}.* \({status}: because of .*this"
    ):
        bench.create()
    bench.apply()
    after = everything(bench, jenkins)
    bench.update()
    assert everything(bench, jenkins) == after
    assert set(jenkins.items) == {"shop"}


LOST = [
    (500, "/createItem"),
    (0, "/createItem"),
    (502, "/credentials/"),
    (0, "/credentials/"),
    (500, "/job/shop/build"),
]


@pytest.mark.parametrize(("status", "prefix"), LOST)
def test_what_was_done_though_the_answer_was_lost_is_not_done_twice(
    bench: JobBench, jenkins: JenkinsStandIn, status: int, prefix: str
) -> None:
    bench.options["pipeline"] = SLACK
    jenkins.fail("POST", prefix, status=status, after=True)
    try:
        bench.create()
    except OperationError:
        bench.apply()
    assert bench.drift() == {}
    assert set(jenkins.items) == {"shop"}
    assert len(jenkins.credentials[""]) == 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_busy_jenkins_is_waited_for(bench: JobBench, jenkins: JenkinsStandIn, times: int) -> None:
    jenkins.fail("*", "/", status=429, headers={"Retry-After": "0"}, times=times)
    bench.create()


def test_an_hour_is_left_to_a_later_run(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    jenkins.fail("GET", "/job/shop/", status=429, headers={"Retry-After": "3600"})
    with pytest.raises(RetryableError, match="try again in 3600 s"):
        bench.create()


def test_a_crumb_that_ran_out_is_asked_for_again(jenkins: JenkinsStandIn, tmp_path: Path) -> None:
    with bench_on(Server(jenkins.url, jenkins.user, jenkins.password), tmp_path) as bench:
        jenkins.fail("POST", "/createItem", status=403, body=b"No valid crumb was included in the request")
        bench.create()
        assert len(jenkins.asked("GET", "/crumbIssuer/")) == 2


def test_without_crumbs_at_all(jenkins: JenkinsStandIn, tmp_path: Path) -> None:
    jenkins.csrf = False
    with bench_on(Server(jenkins.url, jenkins.user, jenkins.password), tmp_path) as bench:
        bench.create()


def test_a_redirect_to_elsewhere_is_not_followed(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    jenkins.fail("GET", "/job/shop/", status=302, headers={"Location": "https://elsewhere.example.org/"})
    with pytest.raises(
        OperationError,
        match="Jenkins sends GET /job/shop/config.xml to https://elsewhere".replace(".", r"\."),
    ):
        bench.read()


def test_a_server_that_is_no_jenkins(hooked: JobBench) -> None:
    in_jenkins(hooked, url=gitea(hooked).url)
    with pytest.raises(OperationError, match="Jenkins refuses"):
        hooked.create()


def test_plain_http_to_another_machine_is_refused(bench: JobBench) -> None:
    in_jenkins(bench, url="http://ci.example.org")
    with pytest.raises(msgspec.ValidationError, match="would send the password in clear"):
        bench.read()


def test_a_job_with_entities_is_refused(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><flow-definition>&d;</flow-definition>'
    jenkins.fail("GET", "/job/shop/config.xml", status=200, body=bomb)
    with pytest.raises(OperationError, match="has a document type"):
        bench.read()


def test_a_protected_branch_gets_a_pull_request(hooked: JobBench) -> None:
    gitea(hooked).protect("someone/shop", "main")
    hooked.create()
    assert len(gitea(hooked).repository("someone/shop").pulls) == 1
    hooked.update()
    assert len(gitea(hooked).repository("someone/shop").pulls) == 1


def test_an_empty_repository_is_said(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    bench.repository.name = bench.name = "empty"
    bench.repository.make()
    bench.options["scm"] = {**bench.options["scm"], "name": "empty"}
    with pytest.raises(OperationError, match="there is no branch main"):
        bench.create()
    assert not jenkins.items


def test_a_repository_renamed_by_hand_is_found(hooked: JobBench, jenkins: JenkinsStandIn) -> None:
    hooked.create()
    hooked.repository.hosting.move(hooked.repository.location, f"{gitea(hooked).host}/someone/store")
    assert set(hooked.drift()) <= {"repo"}
    hooked.update()
    assert jenkins.config("shop").findtext(".//repository") == "store"
    assert len(gitea(hooked).repository("someone/store").hooks) == 1


def test_secrets_are_in_no_message_and_no_record(hooked: JobBench, jenkins: JenkinsStandIn) -> None:
    canary = "canary-77aa01"
    jenkins.token = canary
    in_jenkins(hooked, password=canary)
    status = hooked.create()
    jenkins.fail("*", "/", status=400, headers={"X-Error": "no"}, times=99)
    with pytest.raises(OperationError) as caught:
        hooked.update()
    said = f"{caught.value} {hooked.context.log.text} {dict(status.properties)} {status.outputs}"
    assert canary not in said
    assert gitea(hooked).token not in said
    assert not [request for request in jenkins.requests if canary in request.path + str(request.query)]


# kill -9


def sweep(bench: JobBench, jenkins: JenkinsStandIn, *, step: int) -> int:
    """Kill making and deleting before and after each request and command; give how many points there were."""
    bench.options["jobName"] = "team/shop"
    before = everything(bench, jenkins)
    bench.create()
    points, wanted = bench.points, everything(bench, jenkins)
    bench.recorded = None
    bench.apply()
    bench.delete()
    for at in range(1, 80, step):
        for when in ("die_before", "die_after"):
            died = bench.dies(bench.create, **{when: at})
            bench.recorded = None if died else bench.recorded
            bench.apply()
            assert _same(everything(bench, jenkins), wanted), (at, when)
            recorded = bench.recorded
            if bench.dies(bench.delete, **{when: at}):
                bench.recorded = recorded
                bench.delete()
            assert everything(bench, jenkins) == before, (at, when)
        if not died:
            return points
    return points


def _same(left: dict[str, Any], right: dict[str, Any]) -> bool:
    """Compare what there is; the operation that made a job is in its description."""
    return {**left, "jobs": set(left["jobs"])} == {**right, "jobs": set(right["jobs"])}


def test_killed_at_some_points_nothing_is_lost_or_doubled(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    sweep(bench, jenkins, step=7)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_killed_at_every_point_nothing_is_lost_or_doubled(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    assert sweep(bench, jenkins, step=1) > 20


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_killed_with_a_webhook_nothing_is_lost_or_doubled(hooked: JobBench, jenkins: JenkinsStandIn) -> None:
    assert sweep(hooked, jenkins, step=4) > 30


# every forge


@contextmanager
def job_on(
    forge: Service, kind: str, token: str, jenkins: JenkinsStandIn, folder: Path
) -> Iterator[JobBench]:
    """Give a job of a repository on a forge."""
    bench = JobBench(folder, Server(jenkins.url, jenkins.user, jenkins.token))
    repo = {"scmType": kind, "baseURL": forge.url, "owner": "someone", "name": "shop", "token": token}
    bench.options |= {"scm": repo, "type": ""}
    bench.repository = scm_testing.Bench(
        kind, scm_testing.Server(forge.url, token, "someone"), folder, name="shop"
    )
    with closing(bench):
        bench.begin()
        yield bench


@pytest.mark.slow
def test_gitlab_has_a_webhook_whose_secret_only_the_job_knows(
    jenkins: JenkinsStandIn, tmp_path: Path
) -> None:
    with (
        GitLabStandIn(tmp_path / "served") as gitlab,
        job_on(gitlab, "gitlab", gitlab.token, jenkins, tmp_path) as bench,
    ):
        bench.options["jobName"] = "team/shop"
        in_jenkins(bench, publicURL="https://ci.example.org/jenkins/")
        status = bench.create()
        assert status.properties["kind"] == "pipeline"
        (hook,) = gitlab.project("someone/shop").hooks.values()
        assert (
            hook["url"] == "https://ci.example.org/jenkins/project/team/shop?devstream=jenkins-pipeline.shop"
        )
        first = jenkins.config("team/shop").findtext(".//secretToken")
        assert first in gitlab.project("someone/shop").hook_tokens.values()
        bench.update()
        second = jenkins.config("team/shop").findtext(".//secretToken")
        assert list(gitlab.project("someone/shop").hook_tokens.values()) == [second]
        assert second != first
        assert bench.drift() == {}
        assert len(str(first)) > 30
        assert str(first) not in str(bench.recorded)
        bench.delete()
        assert not gitlab.project("someone/shop").hooks


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["multibranch", "pipeline"])
def test_github_has_its_webhook(jenkins: JenkinsStandIn, tmp_path: Path, kind: str) -> None:
    with (
        GitHubStandIn(tmp_path / "served") as github,
        job_on(github, "github", github.token, jenkins, tmp_path) as bench,
    ):
        bench.options["type"] = kind
        status = bench.create()
        assert status.properties["webhook"] == {
            "url": f"{jenkins.url}/github-webhook/?devstream=jenkins-pipeline.shop",
            "events": ["pull_request", "push"],
            "active": True,
        }
        bench.update()
        assert bench.drift() == {}
        bench.delete()
        assert bench.read() is None
