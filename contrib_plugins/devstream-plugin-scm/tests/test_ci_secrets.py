"""Secrets and variables beside a pipeline: set, drifted, rotated and removed, on a forge that keeps them; proposals."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import Address, Mark, OperationError, RetryableError, Secret
from devstream.model.origin import Origin
from devstream.model.tool import ToolInstance
from devstream.plugins.manager import PluginManager
from devstream.testing.bitbucket import BitbucketCloudStandIn
from devstream.testing.ci_services import CircleCiStandIn, TravisStandIn
from devstream.testing.gitea import GiteaStandIn
from devstream.testing.github import GitHubStandIn
from devstream.testing.gitlab import GitLabStandIn
from devstream_plugin_scm.ci_secrets import NAMES, names_for
from devstream_plugin_scm.options import Pipeline
from devstream_plugin_scm.testing import Bench as HostingBench
from devstream_plugin_scm.testing import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from devstream.testing.gitea import GiteaRepository
    from devstream_plugin_scm.repository import TargetRepo
    from tests.conftest import Bench, Workplace

CANARY = "s3cr3t-canary"
WORKFLOW = ".gitea/workflows/main.yml"
REGISTRY = {"url": "harbor.example.org", "user": "team", "password": f"{CANARY}-registry"}
ALL = {
    "language": {"name": "python"},
    "imageRepo": REGISTRY,
    "sonarqube": {"name": "shop", "token": f"{CANARY}-sonar"},
    "dingTalk": {
        "webhook": f"https://oapi.dingtalk.com/robot/send?access_token={CANARY}-ding",
        "securityType": "SECRET",
        "securityValue": f"{CANARY}-sign",
    },
    "slack": {"webhook": f"https://hooks.slack.com/{CANARY}"},
    "webhook": {"url": f"https://example.org/{CANARY}"},
}


class Forge:
    """A Gitea with a scaffolded repository, and tools that work on it."""

    def __init__(self, gitea: GiteaStandIn, place: Workplace) -> None:
        self.gitea = gitea
        self.place = place
        self.scm = {
            "scmType": "gitea",
            "baseURL": gitea.url,
            "owner": gitea.user,
            "name": "shop",
            "token": gitea.token,
        }
        self.benches: list[Bench] = []
        self.scaffold("shop")

    def scaffold(self, name: str) -> None:
        """Make a repository with a first commit, right on the server: what is tested here begins after that."""
        self.gitea._make(self.gitea.user, {"name": name, "default_branch": "main"})
        tree = self.git("mktree", name=name).strip()
        who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
        commit = self.git(*who, "commit-tree", "-m", "Begin", tree, name=name).strip()
        self.git("update-ref", "refs/heads/main", commit, name=name)

    def ci(self, tool: str = "gitea-actions", instance: str = "shop", **options: Any) -> Bench:
        return self.bench(tool, instance, **{"scm": self.scm, "pipeline": ALL, **options})

    def bench(self, tool: str, instance: str, **options: Any) -> Bench:
        self.benches.append(self.place.bench(tool, instance, **options))
        return self.benches[-1]

    def close(self) -> None:
        for bench in self.benches:
            bench.context.close()

    @property
    def repository(self) -> GiteaRepository:
        return self.gitea.repository(f"{self.gitea.user}/shop")

    def git(self, *arguments: str, name: str = "shop") -> str:
        assert self.gitea.git_root is not None
        folder = self.gitea.git_root / self.gitea.user / f"{name}.git"
        return self.place.git("--git-dir", str(folder), *arguments).stdout

    def merge(self, pull: dict[str, Any]) -> None:
        """Merge as people do, on the server."""
        self.git("update-ref", "refs/heads/main", f"refs/heads/{pull['head']['ref']}")
        pull.update(state="closed", merged=True)

    def show(self, path: str, branch: str = "main") -> str:
        return self.git("show", f"{branch}:{path}")

    def has(self, path: str, branch: str = "main") -> bool:
        return path in self.git("ls-tree", "-r", "--name-only", branch).splitlines()


@pytest.fixture
def forge(place: Workplace) -> Iterator[Forge]:
    with GiteaStandIn(place.home / "served") as gitea:
        forge = Forge(gitea, place)
        yield forge
        forge.close()


# secrets


def test_secrets_are_set_before_the_push_and_are_nowhere_else(forge: Forge) -> None:
    ci = forge.ci()
    status = ci.create()
    kept = forge.repository.secrets
    assert kept == {
        "IMAGE_REPO_USER": "team",
        "IMAGE_REPO_SECRET": f"{CANARY}-registry",
        "SONAR_SECRET_TOKEN": f"{CANARY}-sonar",
        "DINGTALK_SECURITY_TOKEN": f"{CANARY}-ding",
        "DINGTALK_SECURITY_VALUE": f"{CANARY}-sign",
        "SLACK_WEBHOOK": f"https://hooks.slack.com/{CANARY}",
        "NOTIFY_WEBHOOK": f"https://example.org/{CANARY}",
    }
    paths = [request.path for request in forge.gitea.requests if request.method in {"PUT", "POST"}]
    pushed = max(number for number, path in enumerate(paths) if path.endswith("git-receive-pack"))
    assert max(number for number, path in enumerate(paths) if "/actions/secrets/" in path) < pushed
    assert status.properties["secrets"] == dict.fromkeys(kept, True)
    everything = forge.show(WORKFLOW) + forge.git("log", "--all", "-p") + str(status) + str(ci.said)
    assert CANARY not in everything
    assert all(CANARY not in request.path + str(request.query) for request in forge.gitea.requests)
    used = set(re.findall(r"secrets\.(\w+)", forge.show(WORKFLOW)))
    assert used - {"GITHUB_TOKEN"} == set(kept)


def test_a_secret_removed_by_hand_is_drift_and_set_again(forge: Forge) -> None:
    ci = forge.ci()
    ci.create()
    del forge.repository.secrets["SLACK_WEBHOOK"]
    (before, now) = ci.drift()["secrets"]
    assert before["SLACK_WEBHOOK"]
    assert now["SLACK_WEBHOOK"] is None
    ci.update()
    assert "SLACK_WEBHOOK" in forge.repository.secrets
    assert ci.drift() == {}


def test_another_value_is_set_by_an_update_without_a_commit(forge: Forge) -> None:
    ci = forge.ci()
    ci.create()
    head = forge.git("rev-parse", "main")
    ci.options["pipeline"] = {**ALL, "imageRepo": {**REGISTRY, "password": "rotated-password"}}
    ci.update()
    assert forge.repository.secrets["IMAGE_REPO_SECRET"] == "rotated-password"
    assert forge.git("rev-parse", "main") == head


def test_a_rotated_secret_makes_an_update_and_a_rotated_token_does_not() -> None:
    manager = PluginManager(folder=None, environ={})
    for tool in ("github-actions", "gitlab-ci", "gitea-actions", "bitbucket-pipelines"):
        plugin = manager.tool(tool)
        for path in (
            ("imageRepo", "password"),
            ("sonarqube", "token"),
            ("dingTalk", "webhook"),
            ("dingTalk", "securityValue"),
            ("slack", "webhook"),
            ("webhook", "url"),
        ):
            assert plugin.flags(("pipeline", *path)) == {"secret"}
        assert plugin.flags(("scm", "token")) == {"secret", "record_only"}


def test_an_option_that_goes_away_takes_its_secret_along(forge: Forge) -> None:
    ci = forge.ci()
    ci.create()
    forge.repository.secrets["THEIRS"] = "x"
    ci.options["pipeline"] = {"language": {"name": "python"}, "imageRepo": REGISTRY}
    status = ci.update()
    assert set(forge.repository.secrets) == {"IMAGE_REPO_USER", "IMAGE_REPO_SECRET", "THEIRS"}
    assert set(status.properties["secrets"]) == {"IMAGE_REPO_USER", "IMAGE_REPO_SECRET"}
    ci.delete()
    assert set(forge.repository.secrets) == {"THEIRS"}
    assert not forge.has(WORKFLOW)


def test_removing_is_fine_twice_and_without_a_repository(forge: Forge) -> None:
    ci = forge.ci()
    ci.create()
    recorded = ci.recorded
    ci.delete()
    ci.recorded = recorded
    ci.delete()
    forge.gitea.repositories.clear()
    ci.recorded = recorded
    ci.delete()


def test_two_pipelines_do_not_share_a_secret(forge: Forge) -> None:
    first = forge.ci(instance="shop-amd", pipeline={**ALL, "name": "amd"})
    second = forge.ci(
        instance="shop-arm",
        pipeline={**ALL, "name": "arm", "imageRepo": {**REGISTRY, "password": "other-password"}},
    )
    first.create()
    second.create()
    kept = forge.repository.secrets
    assert kept["IMAGE_REPO_SECRET_AMD"] == REGISTRY["password"]
    assert kept["IMAGE_REPO_SECRET_ARM"] == "other-password"
    first.delete()
    assert set(kept) == set(names_for("arm").values())
    assert second.drift() == {}


@pytest.mark.parametrize("status", [500, 502, 0])
def test_a_run_that_is_cut_off_is_finished_by_the_next(forge: Forge, status: int) -> None:
    ci = forge.ci()
    forge.gitea.fail("PUT", "/api/v1/repos/someone/shop/actions/secrets/", status=status, after=True)
    with pytest.raises(OperationError):
        ci.create()
    ci.apply()
    assert set(forge.repository.secrets) == set(NAMES)
    assert forge.git("rev-list", "--count", "main").strip() == "2"


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_forge_that_refuses_a_secret_is_named_and_nothing_is_pushed(forge: Forge, status: int) -> None:
    ci = forge.ci()
    forge.gitea.fail("PUT", "/api/v1/repos/someone/shop/actions/secrets/", status=status)
    with pytest.raises(OperationError, match=rf"Gitea refuses PUT .*\({status}") as caught:
        ci.create()
    assert CANARY not in str(caught.value)
    assert not forge.has(WORKFLOW)
    ci.create()
    assert set(forge.repository.secrets) == set(NAMES)


def test_a_forge_without_secrets_says_so_in_the_plan(forge: Forge) -> None:
    ci = forge.ci()
    ci.create()
    forge.gitea.fail("GET", "/api/v1/repos/someone/shop/actions/secrets", status=404, times=9)
    with pytest.raises(OperationError, match="this Gitea has no secrets"):
        ci.read()


def test_what_has_to_be_set_by_hand_is_named_until_it_is(forge: Forge) -> None:
    pipeline = {"language": {"name": "python"}, "imageRepo": {"url": "harbor.example.org", "user": "team"}}
    ci = forge.ci(pipeline=pipeline)
    ci.create()
    assert ("warning", "set in Gitea Actions by hand: IMAGE_REPO_SECRET") in ci.said
    forge.repository.secrets["IMAGE_REPO_SECRET"] = "by hand"
    ci.update()
    assert not any("by hand" in line for _, line in ci.said)
    ci.delete()
    assert set(forge.repository.secrets) == {"IMAGE_REPO_SECRET"}


def test_a_repository_renamed_by_hand_is_followed(forge: Forge) -> None:
    ci = forge.ci()
    ci.create()
    forge.gitea._rename(forge.repository, forge.gitea.user, "renamed")
    renamed = forge.gitea.repository("someone/renamed")
    assert set(ci.drift()) == {"repo"}
    del renamed.secrets["SLACK_WEBHOOK"]
    ci.update()
    assert set(renamed.secrets) == set(NAMES)
    assert ci.drift() == {}
    ci.delete()
    assert renamed.secrets == {}


def test_another_repository_gets_the_secrets_and_the_old_one_loses_them(forge: Forge) -> None:
    ci = forge.ci()
    ci.create()
    old, other = forge.repository, {**forge.scm, "name": "other"}
    forge.scaffold("other")
    ci.options["scm"] = other
    ci.update()
    assert old.secrets == {}
    assert set(forge.gitea.repository("someone/other").secrets) == set(NAMES)
    assert not forge.has(WORKFLOW)


# every forge that keeps secrets

FORGES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "github": ("github-actions", GitHubStandIn),
    "gitlab": ("gitlab-ci", GitLabStandIn),
    "gitea": ("gitea-actions", GiteaStandIn),
    "bitbucket": ("bitbucket-pipelines", BitbucketCloudStandIn),
}


class ForgeBench(HostingBench):
    """Names the root of Bitbucket Cloud's API: it is told by that."""

    @property
    def place(self) -> dict[str, str]:
        cloud = self.scm_type == "bitbucket"
        api = {"api_url": f"{self.server.url}/2.0"} if cloud else {}
        return {"base_url": self.server.url, **api}

    def repo(self, **fields: object) -> TargetRepo:
        return super().repo(**{"base_url": "", **self.place, **fields})


@pytest.mark.parametrize(
    "kind", [name if name == "gitlab" else pytest.param(name, marks=pytest.mark.slow) for name in FORGES]
)
def test_every_forge_keeps_what_its_pipeline_needs(place: Workplace, kind: str) -> None:
    tool, opened = FORGES[kind]
    with opened(place.home / "served") as service:
        named = Server(service.url, service.token, service.user)
        server = ForgeBench(kind, named, place.folder, name="shop")
        location = server.make()
        server.push({"README.md": b"hello\n"})
        scm = {
            "scmType": kind,
            "owner": service.user,
            "name": "shop",
            "token": service.token,
            "allowHttp": True,
            **{"baseURL" if name == "base_url" else "apiURL": url for name, url in server.place.items()},
        }
        ci = place.bench(tool, "shop", scm=scm, pipeline=ALL)
        status = ci.create()
        hosting = server.hosting
        plain = {"IMAGE_REPO_USER"} if kind in {"gitlab", "bitbucket"} else set()
        assert hosting.secret_names(location) == set(NAMES) - plain
        assert hosting.variables(location) == dict.fromkeys(plain, "team")
        assert CANARY not in str(status) + str(ci.said)
        assert all(CANARY not in request.path + str(request.query) for request in service.requests)
        hosting.delete_secret(location, "SLACK_WEBHOOK")
        if plain:
            hosting.put_variable(location, "IMAGE_REPO_USER", "somebody")
        drifted = ci.drift()
        assert set(drifted) == ({"secrets", "variables"} if plain else {"secrets"})
        ci.update()
        assert ci.drift() == {}
        ci.delete()
        assert hosting.secret_names(location) == frozenset()
        assert hosting.variables(location) == {}
        ci.context.close()
        server.close()


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_forge_that_is_busy_is_waited_for_and_one_that_refuses_is_named(
    place: Workplace, kind: str
) -> None:
    with FORGES[kind][1](place.home / "served") as service:
        server = ForgeBench(kind, Server(service.url, service.token, service.user), place.folder, name="shop")
        location, hosting = server.make(), server.hosting
        for _ in range(2):
            hosting.put_secret(location, "WORD", Secret.plain(f"{CANARY}-1"))
        put = next(request for request in reversed(service.requests) if request.method in {"PUT", "PATCH"})
        before = len(service.asked(put.method, put.path))
        service.fail(put.method, put.path, status=429, headers={"Retry-After": "0"}, times=2)
        hosting.put_secret(location, "WORD", Secret.plain(f"{CANARY}-2"))
        assert len(service.asked(put.method, put.path)) == before + 3
        for status, error, said in (
            (429, RetryableError, r"is busy \(429\): try again in 3600 s"),
            (409, OperationError, r"refuses PUT .*/WORD \(409: it is being written"),
        ):
            body = {"message": "it is being written"}
            service.fail(put.method, put.path, status=status, headers={"Retry-After": "3600"}, body=body)
            with pytest.raises(error, match=said) as caught:
                hosting.put_secret(location, "WORD", Secret.plain(f"{CANARY}-3"))
            assert CANARY not in str(caught.value)
        server.close()


# proposals


def test_a_proposal_that_waits_is_no_drift(forge: Forge) -> None:
    """On a protected branch files come by pull request; what waits for people counts as written."""
    forge.gitea.protect("someone/shop", "main")
    ci = forge.ci()
    status = ci.create()
    (pull,) = forge.repository.pulls
    assert not forge.has(WORKFLOW)
    assert forge.has(WORKFLOW, "devstream/gitea-actions.shop")
    assert status.info["proposal"] == f"{forge.gitea.url}/someone/shop/pulls/{pull['number']}"
    assert ci.drift() == {}
    assert set(forge.repository.secrets) == set(NAMES)
    ci.options["pipeline"] = {**ALL, "test": {"command": ["make test"]}}
    ci.update()
    assert len(forge.repository.pulls) == 1
    assert "make test" in forge.show(WORKFLOW, "devstream/gitea-actions.shop")
    assert ci.drift() == {}


@pytest.mark.parametrize("what", ["merged", "declined"])
def test_a_proposal_that_people_decided_on(forge: Forge, what: str) -> None:
    forge.gitea.protect("someone/shop", "main")
    ci = forge.ci()
    ci.create()
    (pull,) = forge.repository.pulls
    if what == "merged":
        forge.merge(pull)
    else:
        pull.update(state="closed")
    assert ci.drift() == {}
    status = ci.there()
    assert ("proposal" in status.info) == (what == "declined")
    ci.update()
    assert len(forge.repository.pulls) == 1


def test_removing_a_tool_takes_its_proposal_back(forge: Forge) -> None:
    forge.gitea.protect("someone/shop", "main")
    ci = forge.ci()
    ci.create()
    recorded = ci.recorded
    forge.gitea.fail("POST", "/someone/shop.git/git-receive-pack", status=500, after=True)
    for _ in range(2):
        ci.recorded = recorded
        ci.delete()
    (pull,) = forge.repository.pulls
    assert (pull["state"], pull["merged"]) == ("closed", False)
    assert forge.git("for-each-ref", "--format=%(refname:short)", "refs/heads").split() == ["main"]
    assert forge.repository.secrets == {}


@pytest.mark.slow
def test_removing_what_was_merged_is_proposed_once(forge: Forge) -> None:
    """A branch that takes no pushes: people decide on the removal as they decided on the file."""
    forge.gitea.protect("someone/shop", "main")
    ci = forge.ci()
    ci.create()
    (pull,) = forge.repository.pulls
    forge.merge(pull)
    recorded = ci.recorded
    for _ in range(2):
        ci.recorded = recorded
        ci.delete()
    assert [pull["state"] for pull in forge.repository.pulls] == ["closed", "open"]
    assert not forge.has(WORKFLOW, "devstream/gitea-actions.shop")


# what an upstream has


def test_a_registry_upstream_gives_its_credentials(forge: Forge) -> None:
    pipeline = {"language": {"name": "python"}, "imageRepo": {"url": "harbor.example.org", "user": "team"}}
    ci = forge.ci(pipeline=pipeline)
    assert ci.schema.traits is not None
    assert "registry" in ci.schema.traits({"pipeline": pipeline}).integrates
    assert "registry" not in ci.schema.traits({"pipeline": ALL}).integrates
    ci.create()
    for password in ("first-password", "second-password"):
        ci.upstream = {"harbor.main": {"registry": {"url": "x", "user": "robot$ci", "password": password}}}
        names = ["IMAGE_REPO_SECRET", "IMAGE_REPO_USER"]
        assert ci.integrate() == {"neighbours": {"harbor.main": {"registry": names}}}
        assert forge.repository.secrets == {"IMAGE_REPO_SECRET": password, "IMAGE_REPO_USER": "robot$ci"}
    ci.upstream = {"noop.a": {}}
    assert ci.integrate() == {"neighbours": {}}
    assert forge.repository.secrets == {"IMAGE_REPO_USER": "team"}, "as the options have it"
    assert ci.drift() == {}


# webhooks of CI systems that wait for one


def test_a_webhook_is_made_once_kept_in_line_and_removed(forge: Forge) -> None:
    hook = {"url": "https://ci.example.org/hook?job=shop", "secret": CANARY}
    files = {"type": "jenkins", "configContents": {"Jenkinsfile": "pipeline {}\n"}}
    ci = forge.ci("ci-generic", ci={**files, "webhook": hook})
    del ci.options["pipeline"]
    forge.gitea.fail("POST", "/api/v1/repos/someone/shop/hooks", status=500, after=True)
    with pytest.raises(OperationError):
        ci.create()
    status = ci.apply()
    (made,) = forge.repository.hooks.values()
    assert made["config"]["url"] == "https://ci.example.org/hook?job=shop&devstream=ci-generic.shop"
    assert forge.repository.hook_secrets[made["id"]] == CANARY
    assert CANARY not in str(status) + str(ci.said)
    made.update(events=["create"], active=False)
    (before, now) = ci.drift()["webhook"]
    assert (before["active"], now["active"]) == (True, False)
    ci.update()
    assert {"pull_request", "push", "pull_request_sync"} <= set(made["events"])  # one word stands for many
    assert made["active"]
    assert not ci.drift()
    forge.repository.hooks.clear()
    assert ci.drift()["webhook"][1] is None
    ci.options["ci"] = {**files, "webhook": {"url": "https://other.example.org/", "events": ["push"]}}
    ci.update()
    (made,) = forge.repository.hooks.values()
    assert (made["config"]["url"], made["events"]) == (
        "https://other.example.org/?devstream=ci-generic.shop",
        ["push"],
    )
    ci.options["ci"] = files
    ci.update()
    assert forge.repository.hooks == {}
    ci.options["ci"] = {**files, "webhook": hook}
    ci.update()
    ci.delete()
    assert forge.repository.hooks == {}


def test_a_folder_has_no_webhooks() -> None:
    options = {
        "scm": {"scmType": "local", "name": "hello"},
        "ci": {"type": "jenkins", "configContents": {"a": "b"}, "webhook": {"url": "https://x.org"}},
    }
    assert any("has no webhooks" in mistake for mistake in mistakes("ci-generic", options))


# CI services of their own


@pytest.mark.parametrize("kind", ["circleci", "travis-ci"])
def test_a_ci_service_is_switched_on_and_keeps_the_secrets(place: Workplace, kind: str) -> None:
    place.scaffold()
    with (CircleCiStandIn if kind == "circleci" else TravisStandIn)() as service:
        account = {"token": service.token, "url": service.url, "project": "gh/acme/hello"}
        option = kind.removesuffix("-ci")
        if kind == "travis-ci":
            account["project"] = "acme/hello"
        options: dict[str, Any] = {"scm": {"scmType": "local", "name": "hello"}, option: account}
        ci = place.bench(kind, "hello", pipeline=ALL, **options)
        status = ci.create()
        assert status.properties["active"]
        assert set(service.variables) == set(NAMES)
        assert CANARY not in str(status) + str(ci.said)
        service.active = False
        del service.variables["SLACK_WEBHOOK"]
        assert set(ci.drift()) == {"active", "secrets"}
        ci.options["pipeline"] = {**ALL, "imageRepo": {**REGISTRY, "password": "rotated"}}
        ci.update()
        assert service.active
        assert service.variables["IMAGE_REPO_SECRET"] == "rotated"
        assert set(service.variables) == set(NAMES)
        service.fail("GET", "/", status=401)
        with pytest.raises(OperationError, match="the token is missing, wrong or has expired"):
            ci.read()
        ci.delete()
        assert service.variables == {}
        ci.context.close()


@pytest.mark.parametrize("ours", [True, pytest.param(False, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["circleci", "travis-ci"])
def test_a_ci_service_is_switched_off_where_it_was_switched_on(
    place: Workplace, kind: str, ours: bool
) -> None:
    place.scaffold()
    with (CircleCiStandIn if kind == "circleci" else TravisStandIn)() as service:
        service.active = not ours
        project = {"circleci": "gh/acme/hello", "travis-ci": "acme/hello"}[kind]
        account = {"token": service.token, "url": service.url, "project": project}
        scm = {"scmType": "local", "name": "hello"}
        ci = place.bench(kind, "hello", pipeline=ALL, scm=scm, **{kind.removesuffix("-ci"): account})
        ci.create()
        status = ci.update()
        assert (status.properties["active"], status.properties["switchedOn"]) == (True, ours)
        recorded = ci.recorded
        shutil.rmtree(place.repository())
        for _ in range(2):
            ci.recorded = recorded
            ci.delete()
            assert (service.active, service.variables) == (not ours, {})
        ci.context.close()


def test_circleci_does_not_guess_the_name_of_a_project(place: Workplace) -> None:
    place.scaffold()
    with CircleCiStandIn() as service:
        account = {"token": service.token, "url": service.url}
        ci = place.bench(
            "circleci", scm={"scmType": "local", "name": "hello"}, pipeline=ALL, circleci=account
        )
        with pytest.raises(OperationError, match="CircleCI names projects of local by ids of its own"):
            ci.create()
        ci.context.close()


def test_every_name_is_documented_once() -> None:
    """What is in a pipeline's options as a secret has a name, and each name its option."""
    secrets = [
        name for name in Pipeline.__struct_fields__ if name in {"image_repo", "ding_talk", "slack", "webhook"}
    ]
    assert len(secrets) == 4
    assert len({*NAMES, *names_for("x").values()}) == 2 * len(NAMES)


def mistakes(name: str, options: dict[str, Any]) -> list[str]:
    plugin = PluginManager(folder=None, environ={}).tool(name)
    instance = ToolInstance(Address(name, "shop"), options, Origin(Mark("f.yaml", 1, 1)))
    return [diagnostic.summary for diagnostic in plugin.check(instance)]


def test_devstreams_options_load_unchanged() -> None:
    """The options of DevStream's documentation, as they are there."""
    github = {
        "scm": {"owner": "acme", "name": "shop", "branch": "main", "scmType": "github"},
        "pipeline": {
            "configLocation": "https://raw.githubusercontent.com/acme/templates/main/workflows/main.yml",
            "language": {"name": "java", "framework": "springboot", "version": "8"},
            "imageRepo": {"user": "changeme", "password": "x"},
            "dingTalk": {
                "name": "dingTalk",
                "webhook": "https://oapi.dingtalk.com/robot/send?access_token=changemeByConfig",
                "securityType": "KEY",
                "securityValue": "SEC",
            },
            "sonarqube": {"url": "http://sonar.example.org", "token": "t", "name": "sonar_test"},
        },
    }
    assert mistakes("github-actions", github) == []
    gitlab = {
        "scm": {"owner": "acme", "name": "shop", "scmType": "gitlab"},
        "pipeline": {"language": {"name": "golang", "framework": "gin"}},
        "runner": {"enable": False},
    }
    assert mistakes("gitlab-ci", gitlab) == []
