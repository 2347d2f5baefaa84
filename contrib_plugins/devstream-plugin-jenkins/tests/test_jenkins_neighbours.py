"""What a job has of others: the deploy key of its repository, an upstream's registry, a template from elsewhere."""

from __future__ import annotations

import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from devstream.api import Address, OperationError, Secret
from devstream.testing.gitea import GiteaStandIn
from devstream.testing.public_keys import made_up_key
from devstream.testing.tool_bench import Killed, KillingContext
from devstream_plugin_jenkins.client import JenkinsClient
from devstream_plugin_jenkins.credentials import JobCredentials
from devstream_plugin_jenkins.deploy_key import JobDeployKey
from devstream_plugin_jenkins.options import JenkinsServer
from devstream_plugin_scm import testing as scm_testing
from devstream_plugin_scm.forge import open_forge
from devstream_plugin_scm.hosting import DeployKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from devstream.testing.jenkins import JenkinsStandIn
    from devstream_plugin_jenkins.testing import JobBench

pytest_plugins = ("devstream_plugin_jenkins.testing_fixtures",)
NAME = "devstream-jenkins-pipeline.shop"
KEY, SCM = f"{NAME}-ssh", f"{NAME}-scm"
TITLE = "devstream: jenkins-pipeline.shop"
PASSWORD, USER = f"{NAME}-IMAGE_REPO_SECRET", f"{NAME}-IMAGE_REPO_USER"
PUSHES = {"language": {"name": "python"}, "imageRepo": {"url": "registry.example.org/team"}}


# deploy keys


@pytest.fixture
def keyed(hooked: JobBench) -> JobBench:
    """A job that clones with a key of its own."""
    hooked.options |= {
        "type": "pipeline",
        "jenkins": {**hooked.options["jenkins"], "deployKey": True},
    }
    return hooked


def deploy_keys(bench: JobBench) -> list[DeployKey]:
    return list(bench.repository.hosting.deploy_keys(bench.repository.location))


def private_key(jenkins: JenkinsStandIn, folder: str = "") -> str:
    return jenkins.secret(folder, KEY, "privateKey")


def fits(private: str, key: DeployKey) -> bool:
    """Tell whether two halves are of one pair."""
    public = load_ssh_private_key(private.encode(), None).public_key()
    return public.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode() == key.key


def check(bench: JobBench, jenkins: JenkinsStandIn, folder: str = "") -> None:
    """Make sure that there is one key, which may only read and whose other half only Jenkins has."""
    (key,) = deploy_keys(bench)
    assert (key.title, key.read_only) == (TITLE, True)
    assert fits(private_key(jenkins, folder), key)
    assert [store for store, kept in jenkins.credentials.items() if KEY in kept] == [folder]
    assert bench.drift() == {}


def test_a_job_clones_with_a_key_of_its_own(keyed: JobBench, jenkins: JenkinsStandIn) -> None:
    status = keyed.create()
    check(keyed, jenkins)
    assert set(jenkins.credentials[""]) == {KEY}, "the token is not handed out"
    config = jenkins.config("shop")
    assert keyed.gitea is not None
    assert config.findtext(".//url") == f"git@{keyed.gitea.host}:someone/shop.git"
    assert config.findtext(".//credentialsId") == KEY
    assert jenkins.credentials[""][KEY].findtext("username") == "git"
    private = private_key(jenkins)
    assert private.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    written = "".join(
        path.read_text("utf-8", "replace") for path in keyed.folder.rglob("*") if path.is_file()
    )
    for line in private.splitlines()[1:-1]:
        assert line not in f"{dict(status.properties)} {status.outputs} {keyed.said} {written}"
    keyed.delete()
    assert deploy_keys(keyed) == []
    assert not jenkins.credentials[""]


@pytest.mark.slow
def test_a_job_of_all_branches_asks_with_the_token_and_clones_with_the_key(
    keyed: JobBench, jenkins: JenkinsStandIn
) -> None:
    keyed.options["type"] = "multibranch"
    keyed.create()
    check(keyed, jenkins)
    assert set(jenkins.credentials[""]) == {KEY, SCM}
    source = jenkins.config("shop").find(".//source")
    assert source is not None
    assert source.findtext("credentialsId") == SCM
    assert source.findtext("traits/org.jenkinsci.plugin.gitea.SSHCheckoutTrait/credentialsId") == KEY
    keyed.options["jenkins"] = {**keyed.options["jenkins"], "deployKey": False}
    keyed.update()
    assert deploy_keys(keyed) == []
    assert set(jenkins.credentials[""]) == {SCM}
    assert jenkins.config("shop").find(".//org.jenkinsci.plugin.gitea.SSHCheckoutTrait") is None


@pytest.mark.slow
def test_a_job_that_moves_takes_its_key_along(keyed: JobBench, jenkins: JenkinsStandIn) -> None:
    keyed.create()
    keyed.options["jobName"] = "team/shop"
    keyed.update()
    check(keyed, jenkins, "team")
    keyed.repository.name = "store"
    keyed.begin()
    keyed.options["scm"] = {**keyed.options["scm"], "name": "store"}
    keyed.update()
    check(keyed, jenkins, "team")
    keyed.repository.name = "shop"
    assert deploy_keys(keyed) == []


@pytest.mark.slow
def test_without_its_repository_the_key_still_goes(keyed: JobBench, jenkins: JenkinsStandIn) -> None:
    keyed.create()
    keyed.repository.hosting.delete(keyed.repository.location)
    found = keyed.there().properties["deployKey"]
    assert found["repository"] == []
    assert found["jenkins"].startswith("SHA256:")
    keyed.delete()
    assert not jenkins.credentials[""]


class Halves:
    """The two halves of a key, without a job and without git.

    Attributes:
        context: what the last one worked through.
    """

    def __init__(self, folder: Path, jenkins: JenkinsStandIn, gitea: GiteaStandIn) -> None:
        self.bench = scm_testing.Bench("gitea", scm_testing.Server(gitea.url, gitea.token, "someone"), folder)
        self.location = self.bench.make()
        self.server = JenkinsServer(url=jenkins.url, user=jenkins.user, password=Secret.plain(jenkins.token))
        self.context = KillingContext(folder, Address("jenkins-pipeline", "shop"))

    def key(self, **fields: Any) -> tuple[JobDeployKey, JobCredentials]:
        self.context.close()
        self.context = KillingContext(self.context.folder, self.context.address, **fields)
        hosting = open_forge(self.bench.repo(), self.context).hosting
        assert hosting is not None
        client = JenkinsClient(self.server, self.context)
        address = self.context.address
        return JobDeployKey(hosting, address), JobCredentials(client, "", address)

    def put(self, **fields: Any) -> None:
        key, kept = self.key(**fields)
        key.put(self.location, kept, "git")

    def look(self) -> dict[str, Any]:
        key, kept = self.key(reading=True)
        return key.look(self.location, kept)

    def close(self) -> None:
        self.context.close()
        self.bench.close()

    def check(self, jenkins: JenkinsStandIn) -> None:
        """Make sure that there is one key, which may only read and whose other half Jenkins has."""
        (key,) = self.bench.hosting.deploy_keys(self.location)
        assert (key.title, key.read_only) == (TITLE, True)
        assert fits(private_key(jenkins), key)
        found = self.look()
        assert found["repository"] == [found["jenkins"]]


@pytest.fixture
def halves(jenkins: JenkinsStandIn, tmp_path: Path) -> Iterator[Halves]:
    with GiteaStandIn(tmp_path / "served") as gitea, closing(Halves(tmp_path, jenkins, gitea)) as halves:
        yield halves


def forget(halves: Halves, jenkins: JenkinsStandIn) -> None:
    jenkins.credentials[""].clear()
    for key in halves.bench.hosting.deploy_keys(halves.location):
        halves.bench.hosting.delete_deploy_key(halves.location, key.id)


@pytest.mark.parametrize("last", [4, pytest.param(99, marks=pytest.mark.slow, id="all")])
def test_killed_at_its_last_requests_there_is_one_key_afterwards(
    halves: Halves, jenkins: JenkinsStandIn, last: int
) -> None:
    """The last four are about the one half and the other."""
    halves.put()
    points = halves.context.count
    assert points >= 6
    for at in range(max(1, points + 1 - last), points + 1):
        for when in ("die_before", "die_after"):
            forget(halves, jenkins)
            with pytest.raises(Killed):
                halves.put(**{when: at})
            halves.put()
            halves.check(jenkins)


def lose_the_credential(halves: Halves, jenkins: JenkinsStandIn) -> None:
    del jenkins.credentials[""][KEY]


def lose_the_deploy_key(halves: Halves, jenkins: JenkinsStandIn) -> None:
    (key,) = halves.bench.hosting.deploy_keys(halves.location)
    halves.bench.hosting.delete_deploy_key(halves.location, key.id)


def let_it_push(halves: Halves, jenkins: JenkinsStandIn) -> None:
    (key,) = halves.bench.hosting.deploy_keys(halves.location)
    halves.bench.hosting.put_deploy_key(halves.location, key._replace(read_only=False))


@pytest.mark.parametrize("mishap", [lose_the_credential, lose_the_deploy_key, let_it_push])
def test_half_a_key_is_seen_and_replaced_by_a_new_one(
    halves: Halves, jenkins: JenkinsStandIn, mishap: Callable[[Halves, JenkinsStandIn], None]
) -> None:
    halves.put()
    before, private = halves.look(), private_key(jenkins)
    halves.put()
    assert (halves.look(), private_key(jenkins)) == (before, private), "a key that works is kept"
    mishap(halves, jenkins)
    assert halves.look() != before
    halves.put()
    assert halves.look() != before
    halves.check(jenkins)


def test_keys_of_others_stay_and_doubled_ones_go(halves: Halves, jenkins: JenkinsStandIn) -> None:
    hosting = halves.bench.hosting
    theirs = hosting.put_deploy_key(halves.location, DeployKey(f"{TITLE}-eu", made_up_key()))
    halves.put()
    assert theirs in hosting.deploy_keys(halves.location)
    halves.key()[0].remove(halves.location)
    assert hosting.deploy_keys(halves.location) == [theirs]


# an upstream's registry


def registry(**fields: Any) -> dict[str, Any]:
    return {"registry.main": {"registry": {"user": "robot", "password": Secret.plain("canary-1"), **fields}}}


def login(jenkins: JenkinsStandIn) -> tuple[str, str]:
    return jenkins.secret("", USER, "secret"), jenkins.secret("", PASSWORD, "secret")


def test_an_upstreams_registry_is_handed_to_jenkins(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    bench.options["pipeline"] = PUSHES
    bench.create()
    assert login(jenkins) == ("", "")
    bench.upstream = registry()
    bench.integrate()
    assert login(jenkins) == ("robot", "canary-1")
    bench.update()
    assert login(jenkins) == ("robot", "canary-1")
    bench.upstream = registry(password=Secret.plain("canary-2"), user=None)
    bench.integrate()
    assert login(jenkins) == ("", "canary-2")
    assert bench.drift() == {}
    bench.upstream = {"registry.main": {}}
    bench.integrate()
    assert login(jenkins) == ("", "")
    assert "canary" not in f"{bench.said} {bench.context.log.text} {bench.recorded}"
    bench.delete()
    assert not jenkins.credentials[""]


def test_the_users_name_of_the_options_serves_where_the_upstream_has_none(
    bench: JobBench, jenkins: JenkinsStandIn
) -> None:
    bench.options["pipeline"] = {**PUSHES, "imageRepo": {"url": "registry.example.org", "user": "acme"}}
    bench.upstream = registry(user=None)
    bench.create()
    assert login(jenkins) == ("acme", "canary-1")
    bench.upstream = registry()
    bench.integrate()
    assert login(jenkins) == ("robot", "canary-1")


def test_what_people_filled_in_by_hand_stays(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    bench.options["pipeline"] = PUSHES
    bench.create()
    secret = jenkins.credentials[""][PASSWORD].find("secret")
    assert secret is not None
    secret.text = "by hand"
    bench.update()
    bench.integrate()
    assert login(jenkins) == ("", "by hand")


def test_a_login_removed_by_hand_is_drift_and_comes_back(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    bench.options["pipeline"] = PUSHES
    bench.upstream = registry()
    bench.create()
    jenkins.credentials[""].clear()
    assert set(bench.drift()) == {"credentials"}
    bench.update()
    assert login(jenkins) == ("robot", "canary-1")


def test_a_password_of_the_options_takes_the_place_of_an_upstreams(
    bench: JobBench, jenkins: JenkinsStandIn
) -> None:
    bench.options["pipeline"] = PUSHES
    bench.upstream = registry()
    bench.create()
    bench.options["pipeline"] = {**PUSHES, "imageRepo": {"user": "own", "password": "canary-own"}}
    bench.update()
    assert set(jenkins.credentials[""]) == {PASSWORD}
    assert jenkins.secret("", PASSWORD, "secret") == "canary-own"


def test_a_secret_that_is_not_known_today_stays_as_it_is(bench: JobBench, jenkins: JenkinsStandIn) -> None:
    bench.options["pipeline"] = PUSHES
    hidden = {"$secret": "hmac:1"}
    bench.upstream = registry(password=hidden)
    with pytest.raises(OperationError, match="not known today"):
        bench.create()
    bench.upstream = registry()
    bench.apply()
    bench.upstream = registry(password=hidden)
    bench.integrate()
    assert login(jenkins) == ("robot", "canary-1")


# a template from elsewhere


@pytest.fixture
def template(bench: JobBench, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with the template of a Jenkinsfile."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(bench.folder / "cache"))
    folder = bench.folder / "ci"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    release(folder, "one")
    bench.options["pipeline"] = {
        "language": {"name": "python"},
        "configLocation": f"file://{folder}/.git//Jenkinsfile?branch=main",
    }
    return folder


def git(folder: Path, *arguments: str) -> str:
    person = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    done = subprocess.run(
        ["git", *person, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def release(folder: Path, name: str) -> str:
    (folder / "Jenkinsfile").write_text(f"node {{ echo '{name}' }} // [[ AppName ]]\n", encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", name)
    return git(folder, "rev-parse", "HEAD")


def test_a_template_stays_at_its_commit_and_works_offline(bench: JobBench, template: Path) -> None:
    first = git(template, "rev-parse", "HEAD")
    status = bench.create()
    assert status.properties["template"]["version"] == first
    assert status.properties["template"]["digest"].startswith("sha256:")
    second = release(template, "two")
    written = status.properties["files"]
    newest = bench.read(thorough=True)
    assert newest is not None
    said = newest.info["template"]
    assert (said["pinned"], said["latest"], said["behind"]) == (first, second, True)
    template.rename(template.with_name("gone"))
    bench.options["jobName"] = "other"
    status = bench.update()
    assert status.properties["files"] == written
    assert status.properties["template"]["version"] == first


def test_the_shipped_template_is_what_it_was_when_it_was_written(bench: JobBench) -> None:
    status = bench.create()
    pin = status.properties["template"]
    assert pin["url"] == "builtin:jenkins"
    assert pin["digest"].startswith("sha256:")
    newest = bench.read(thorough=True)
    assert newest is not None
    assert newest.info["template"]["behind"] is False
