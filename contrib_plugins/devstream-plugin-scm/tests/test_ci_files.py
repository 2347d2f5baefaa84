"""Pipeline files: one commit each, none when nothing changes, and gone again when the tool is."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from devstream.api import OperationError, Secret
from devstream.model.values import SecretRef
from devstream_plugin_scm.forge import blob_id

if TYPE_CHECKING:
    from tests.conftest import Bench, Workplace

SCM = {"scmType": "local", "name": "hello"}
PYTHON = {"language": {"name": "python", "framework": "flask"}}
WORKFLOW = ".github/workflows/main.yml"


def github(place: Workplace, **pipeline: Any) -> Bench:
    return place.bench("github-actions", scm=SCM, pipeline={**PYTHON, **pipeline})


def gitlab(place: Workplace, **pipeline: Any) -> Bench:
    return place.bench("gitlab-ci", scm=SCM, pipeline={**PYTHON, **pipeline})


def generic(place: Workplace, **ci: Any) -> Bench:
    return place.bench("ci-generic", scm=SCM, ci=ci)


# writing


def test_one_commit_and_none_when_nothing_changes(place: Workplace) -> None:
    place.scaffold()
    ci = github(place)
    assert ci.read() is None
    status = ci.create()
    text = place.show(WORKFLOW)
    assert status.properties["files"] == {WORKFLOW: blob_id(text.encode())}
    assert place.log()[0] == f"Write {WORKFLOW} (github-actions.hello)"
    for action in (ci.create, ci.update):
        action()
    assert len(place.log()) == 2


def test_a_changed_option_is_one_commit_more(place: Workplace) -> None:
    place.scaffold()
    ci = github(place)
    ci.create()
    ci.options["pipeline"] = {**PYTHON, "test": {"command": ["make 'it' \"work\": yes"]}}
    ci.update()
    steps = yaml.safe_load(place.show(WORKFLOW))["jobs"]["test"]["steps"]
    assert steps[1] == {"run": "make 'it' \"work\": yes"}
    assert len(place.log()) == 3


def test_a_file_that_is_there_already_is_taken_over(place: Workplace) -> None:
    place.scaffold()
    place.push(place.clone(), {WORKFLOW: "on: push\n"})
    ci = github(place)
    assert ci.schema.adopts
    ci.apply()
    assert "actions/checkout" in place.show(WORKFLOW)


@pytest.mark.parametrize("change", ["edited", "removed"])
def test_a_file_changed_by_hand_is_drift_and_put_back(place: Workplace, change: str) -> None:
    place.scaffold()
    ci = generic(place, type="github", configContents={"a.yml": "on: push\n", "b.yml": "on: push\n"})
    ci.create()
    clone = place.clone()
    path = clone / ".github/workflows/a.yml"
    path.unlink() if change == "removed" else path.write_text("on: [push]\n")
    place.push(clone)
    (before, now) = ci.drift()["files"]
    assert before[".github/workflows/b.yml"] == now[".github/workflows/b.yml"]
    assert (now[".github/workflows/a.yml"] is None) == (change == "removed")
    ci.update()
    assert place.show(".github/workflows/a.yml") == "on: push\n"


def test_files_that_are_not_written_any_more_are_removed(place: Workplace) -> None:
    place.scaffold()
    ci = generic(place, type="github", configContents={"a.yml": "a\n", "b.yml": "b\n"})
    ci.create()
    ci.options["ci"] = {"type": "github", "configContents": {"b.yml": "b\n", "c.yml": "c\n"}}
    ci.update()
    kept = [path for path in place.files() if path.startswith(".github")]
    assert kept == [".github/workflows/b.yml", ".github/workflows/c.yml"]
    assert len(place.log()) == 3
    ci.delete()
    assert [path for path in place.files() if path.startswith(".github")] == []
    assert place.log()[0].startswith("Remove .github/workflows/b.yml, .github/workflows/c.yml")
    assert ci.read() is None


def test_removing_is_fine_twice_and_without_a_repository(place: Workplace) -> None:
    place.scaffold()
    ci = github(place)
    ci.create()
    recorded = ci.recorded
    ci.delete()
    ci.recorded = recorded
    ci.delete()
    assert len(place.log()) == 3
    shutil.rmtree(place.repository())
    ci.recorded = recorded
    ci.delete()
    ci.recorded = recorded
    assert ci.read() is None


def test_a_repository_that_moves_takes_its_files_along(place: Workplace) -> None:
    scaffold = place.scaffold()
    ci = github(place)
    ci.create()
    for bench, key in ((scaffold, "destinationRepo"), (ci, "scm")):
        bench.options[key] = {**SCM, "name": "renamed"}
    scaffold.update()
    ci.update()
    assert place.show(WORKFLOW, "renamed").count('name: "renamed"') == 1
    assert ci.drift() == {}


def test_another_repository_gets_the_files_and_the_old_one_loses_them(place: Workplace) -> None:
    place.scaffold()
    place.scaffold("other")
    ci = github(place)
    ci.create()
    ci.options["scm"] = {**SCM, "name": "other"}
    ci.update()
    assert WORKFLOW in place.files("other")
    assert WORKFLOW not in place.files("hello")


def test_without_a_branch_it_says_what_is_missing(place: Workplace) -> None:
    place.git("init", "--bare", "--quiet", str(place.repository()))
    with pytest.raises(OperationError, match=r"there is no branch main in .*depend on the tool that does"):
        github(place).create()
    assert github(place).read() is None


# what is written


REPO = {"url": "ghcr.io", "user": "team", "password": "s3cr3t-pw"}
SONAR = {"name": "key", "url": "https://sonar.example.org", "token": "s3cr3t-token"}
DING = {"webhook": "https://s3cr3t-hook", "securityType": "KEY", "securityValue": "s3cr3t-key", "name": "n"}
TEST = {"containerName": "x:1", "coverageCommand": "cov", "CoverageStatusCommand": "cat cov: 'x' # y"}


@pytest.mark.parametrize(
    ("pipeline", "jobs"),
    [
        ({}, {"test"}),
        ({"imageRepo": REPO}, {"test", "tag", "image"}),
        ({"imageRepo": {"user": "u"}, "test": {"enable": False}}, {"tag", "image"}),
        ({"sonarqube": SONAR, "dingTalk": DING, "test": TEST}, {"test", "sonarqube", "notify"}),
        ({"sonarqube": {"name": "k"}, "test": {"enable": False}}, {"sonarqube"}),
        (
            {"imageRepo": REPO, "sonarqube": SONAR, "dingTalk": DING},
            {"test", "tag", "image", "sonarqube", "notify"},
        ),
    ],
)
def test_the_shipped_github_workflow(place: Workplace, pipeline: dict[str, Any], jobs: set[str]) -> None:
    place.scaffold()
    github(place, **pipeline).create()
    text = place.show(WORKFLOW)
    workflow = yaml.safe_load(text)
    assert workflow["jobs"].keys() == jobs
    assert "s3cr3t" not in text
    for job in workflow["jobs"].values():
        assert set(job.get("needs", [])) <= jobs
        assert job["steps"]
    if "image" in jobs and pipeline["imageRepo"] is REPO:
        tags = workflow["jobs"]["image"]["steps"][-1]["with"]["tags"]
        assert tags == "ghcr.io/team/hello:${{ needs.tag.outputs.new_tag }}"


@pytest.mark.parametrize(
    ("pipeline", "jobs"),
    [
        ({}, {"test"}),
        ({"imageRepo": REPO, "test": TEST}, {"test", "image"}),
        ({"imageRepo": {"user": "u"}, "test": {"enable": False}}, {"image"}),
        ({"sonarqube": SONAR}, {"test", "sonarqube"}),
    ],
)
def test_the_shipped_gitlab_pipeline(place: Workplace, pipeline: dict[str, Any], jobs: set[str]) -> None:
    place.scaffold()
    gitlab(place, **pipeline).create()
    text = place.show(".gitlab-ci.yml")
    parsed = yaml.safe_load(text)
    assert parsed.keys() - {"stages"} == jobs
    assert "s3cr3t" not in text
    for job in jobs:
        assert parsed[job]["stage"] in parsed["stages"]
        assert all(isinstance(line, str) for line in parsed[job]["script"])


def test_a_pipeline_that_would_do_nothing_is_an_error(place: Workplace) -> None:
    place.scaffold()
    with pytest.raises(OperationError, match="the pipeline would do nothing"):
        github(place, test={"enable": False}).create()


def test_a_template_of_ones_own_file_folder_and_what_is_no_template(place: Workplace) -> None:
    place.scaffold()
    own = "name: [[ .AppName ]] on ${{ github.ref }} in [[ language.name ]] [[ Repo.Branch ]]\n"
    place.template({"one.yml": own, "two.yaml": "on: push\n", "README.md": "not a workflow"}, "workflows")
    github(place, configLocation="workflows").create()
    assert place.show(".github/workflows/one.yml") == "name: hello on ${{ github.ref }} in python main\n"
    assert {path for path in place.files() if "workflows" in path} == {
        ".github/workflows/one.yml",
        ".github/workflows/two.yaml",
    }
    place.bench(
        "gitlab-ci", "other", scm=SCM, pipeline={**PYTHON, "configLocation": "workflows/one.yml"}
    ).create()
    assert ".gitlab-ci.yml" in place.files()
    with pytest.raises(OperationError, match=r"two templates end up at \.gitlab-ci\.yml"):
        gitlab(place, configLocation="workflows").create()
    with pytest.raises(OperationError, match=r'templates from "https://x/main\.yml" are not available yet'):
        github(place, configLocation="https://x/main.yml").create()


@pytest.mark.parametrize(
    ("kind", "path"),
    [("github", ".github/workflows/p.yml"), ("gitlab", ".gitlab-ci.yml"), ("jenkins", "Jenkinsfile")],
)
def test_a_generic_pipeline_goes_where_its_system_looks(place: Workplace, kind: str, path: str) -> None:
    place.scaffold()
    generic(place, type=kind, configContents={"p.yml": "x: [[ stage ]]\n"}, vars={"stage": "ü"}).create()
    assert place.show(path) == "x: ü\n"


@pytest.mark.parametrize(
    ("ci", "message"),
    [
        ({"type": "github"}, "either configLocation or configContents"),
        ({"type": "github", "configLocation": "a", "configContents": {"b": "c"}}, "either configLocation or"),
        ({"type": "travis", "configLocation": "a"}, "travis"),
    ],
)
def test_generic_options_that_are_refused(place: Workplace, ci: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generic(place, **ci).tool()


@pytest.mark.parametrize(
    ("ci", "message"),
    [
        ({"configContents": {"README.md": "x"}}, "there is no pipeline for github among: README.md"),
        ({"configContents": {"../a.yml": "x"}}, "cannot be a path"),
        ({"configContents": {"a.yml": "[[ x ]]"}}, r"a\.yml: 'x' is undefined"),
        ({"configContents": {"a.yml": "x", "b/a.yml": "y"}}, "two templates end up at"),
        ({"configLocation": "nowhere"}, "there is no folder"),
        (
            {"configContents": {"a.yml": "x"}, "vars": {"x": Secret((SecretRef("env", "T"),), "t")}},
            r"vars\.x is a secret",
        ),
    ],
)
def test_generic_pipelines_that_fail_before_a_commit(
    place: Workplace, ci: dict[str, Any], message: str
) -> None:
    place.scaffold()
    with pytest.raises(OperationError, match=message):
        generic(place, type="github", **ci).create()
    assert len(place.log()) == 1


# everybody at once


def test_tools_that_push_at_once_all_get_their_commit(place: Workplace) -> None:
    """Eight writers and one branch: every push but one in each round is too late, and is done again."""
    place.scaffold()
    benches = [
        place.bench(
            "ci-generic",
            f"t{number}",
            scm=SCM,
            ci={"type": "github", "configContents": {f"{number}.yml": "x"}},
        )
        for number in range(8)
    ]
    failures: list[BaseException] = []

    def write(bench: Bench) -> None:
        try:
            bench.create()
        except BaseException as error:  # noqa: BLE001 - a thread's failure has to reach the test
            failures.append(error)

    threads = [threading.Thread(target=write, args=(bench,)) for bench in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(place.log()) == 9
    assert [bench.drift() for bench in benches] == [{}] * 8


def test_a_push_that_is_refused_says_why(place: Workplace) -> None:
    place.scaffold()
    hook = place.repository() / "hooks/pre-receive"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\necho 'main is frozen' >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(OperationError, match="was refused") as caught:
        github(place).create()
    assert "main is frozen" in caught.value.diagnostic.detail


def test_a_repository_with_sha256_works_too(place: Workplace) -> None:
    place.git("init", "--bare", "--quiet", "--object-format=sha256", "-b", "main", str(place.repository()))
    clone = place.home / "clone"
    place.git("init", "--quiet", "--object-format=sha256", str(clone))
    place.git("remote", "add", "origin", str(place.repository()), cwd=clone)
    place.push(clone, {"a": "b"}, "HEAD:main")
    ci = github(place)
    ci.create()
    ci.update()
    assert len(place.log()) == 2


def test_nothing_of_the_persons_configuration_gets_into_commits(place: Workplace) -> None:
    place.scaffold()
    github(place).create()
    log = place.git("--git-dir", str(place.repository()), "log", "-1", "--format=%an <%ae> %cn %G?").stdout
    assert log == "DevStream <devstream@localhost> DevStream N\n"
