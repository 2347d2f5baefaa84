"""Pipeline files: one commit each, none when nothing changes, and gone again when the tool is."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from devstream.api import Address, OperationError, Secret
from devstream.model.values import SecretRef, Unknown
from devstream.testing.service import Request, Response, Service, route
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


def test_a_pipeline_that_would_do_nothing_is_an_error(place: Workplace) -> None:
    place.scaffold()
    with pytest.raises(ValueError, match="the pipeline would do nothing"):
        github(place, test={"enable": False}).create()


TOOLS = {
    "github-actions": ".github/workflows/main.yml",
    "gitea-actions": ".gitea/workflows/main.yml",
    "gitlab-ci": ".gitlab-ci.yml",
    "bitbucket-pipelines": "bitbucket-pipelines.yml",
    "circleci": ".circleci/config.yml",
    "travis-ci": ".travis.yml",
}


@pytest.mark.parametrize("tool", TOOLS)
def test_every_tool_writes_its_file_where_its_system_looks(place: Workplace, tool: str) -> None:
    place.scaffold()
    ci = place.bench(tool, scm=SCM, pipeline=PYTHON)
    status = ci.create()
    assert set(status.properties["files"]) == {TOOLS[tool]}
    assert status.outputs is not None
    assert status.outputs["pipelineFile"] == TOOLS[tool]
    assert place.show(TOOLS[tool])
    assert ci.drift() == {}


def test_what_nothing_here_keeps_is_named_and_nothing_is_written_into_files(place: Workplace) -> None:
    """A folder of repositories keeps no secrets: people are told what to set, in the plan and in the run."""
    place.scaffold()
    ci = github(place, imageRepo={"user": "team", "password": "s3cr3t-canary"})
    assert ci.read() is None
    assert (
        "warning",
        "nothing here keeps secrets: set in GitHub Actions by hand: IMAGE_REPO_SECRET, IMAGE_REPO_USER",
    ) in (ci.context.log.lines)
    status = ci.create()
    assert any(
        "set in GitHub Actions by hand: IMAGE_REPO_USER, IMAGE_REPO_SECRET" in line for _, line in ci.said
    )
    assert "secrets" not in status.properties
    assert "s3cr3t-canary" not in place.show(WORKFLOW) + str(status) + str(ci.said)


# templates


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


def test_a_template_that_changes_is_drift_and_one_that_has_gone_is_not(place: Workplace) -> None:
    """What is on this machine is followed; it is missed only when it is needed."""
    place.scaffold()
    place.template({"one.yml": "on: push\n"}, "workflows")
    ci = github(place, configLocation="workflows")
    ci.create()
    place.template({"one.yml": "on: [push]\n"}, "workflows")
    assert set(ci.drift()) == {"template"}
    ci.update()
    assert place.show(".github/workflows/one.yml") == "on: [push]\n"
    shutil.rmtree(place.folder / "workflows")
    assert ci.drift() == {}
    with pytest.raises(OperationError, match="there is no folder"):
        ci.update()
    ci.delete()
    assert ".github/workflows/one.yml" not in place.files()


def test_a_template_in_a_git_repository_stays_at_its_commit(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.home / "cache"))
    place.scaffold()
    place.scaffold("templates")
    clone = place.clone("templates")
    place.push(clone, {"ci/one.yml": "on: push\n", "ci/README.md": "x"})
    url = "repos/templates.git//ci/one.yml"
    ci = github(place, configLocation=url)
    status = ci.create()
    assert (
        status.properties["template"]["version"] == place.git("rev-parse", "HEAD", cwd=clone).stdout.strip()
    )
    place.push(clone, {"ci/one.yml": "on: [push]\n"})
    place.git("tag", "v2", cwd=clone)
    place.git("push", "--quiet", "origin", "v2", cwd=clone)
    assert ci.drift() == {}
    shutil.move(place.repository("templates"), place.folder / "away")
    ci.update()
    assert place.show(".github/workflows/one.yml") == "on: push\n"
    shutil.move(place.folder / "away", place.repository("templates"))
    ci.options["pipeline"] = {**PYTHON, "configLocation": f"{url}?ref=v2"}
    ci.update()
    assert place.show(".github/workflows/one.yml") == "on: [push]\n"


def test_a_template_by_https_stays_as_it_was(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(place.home / "cache"))
    place.scaffold()
    with Files({"/main.yml": "on: push\n"}) as served:
        ci = github(place, configLocation=f"{served.url}/main.yml")
        ci.create()
        served.files["/main.yml"] = "on: [push]\n"
        ci.update()
        assert place.show(WORKFLOW) == "on: push\n"
        assert ci.drift() == {}
        shutil.rmtree(place.home / "cache")
        with pytest.raises(OperationError, match="has changed since it was last written") as caught:
            ci.update()
        taken = caught.value.diagnostic.suggestion.rpartition(" ")[2]
        ci.options["pipeline"] = {**PYTHON, "configLocation": taken}
        ci.update()
        assert place.show(WORKFLOW) == "on: [push]\n"
        ci.options["pipeline"] = {**PYTHON, "configLocation": f"{served.url}/main.yml#sha256={'0' * 64}"}
        with pytest.raises(OperationError, match="has the digest sha256:"):
            ci.update()


class Files(Service):
    """Serves a few files."""

    def __init__(self, files: dict[str, str]) -> None:
        super().__init__()
        self.files = files

    @route("GET", "/{path...}")
    def get(self, request: Request) -> Response:
        """Give one."""
        return Response(200, self.files[request.path].encode())


# several pipelines of one repository


def test_named_pipelines_have_files_of_their_own(place: Workplace) -> None:
    place.scaffold()
    for name in ("lint", "nightly"):
        place.bench("github-actions", f"hello-{name}", scm=SCM, pipeline={**PYTHON, "name": name}).create()
    assert {path for path in place.files() if path.startswith(".github")} == {
        ".github/workflows/lint.yml",
        ".github/workflows/nightly.yml",
    }


def test_named_pipelines_of_gitlab_share_a_file_that_goes_with_the_last(place: Workplace) -> None:
    place.scaffold()
    first, second = (
        place.bench("gitlab-ci", f"hello-{name}", scm=SCM, pipeline={**PYTHON, "name": name})
        for name in ("lint", "nightly")
    )
    first.create()
    second.create()
    ours = [".gitlab-ci.yml", ".gitlab/ci/lint.yml", ".gitlab/ci/nightly.yml"]
    assert [path for path in place.files() if path.startswith(".gitlab")] == ours
    second.delete()
    assert first.drift() == {}
    place.push(place.clone(), {".gitlab-ci.yml": "include: []\n"})
    assert set(first.drift()) == {"files"}
    first.update()
    first.delete()
    assert not [path for path in place.files() if path.startswith(".gitlab")]


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (
            ("github-actions", "a", {}),
            ("github-actions", "b", {}),
            ".github/workflows/main.yml of repos/hello@main",
        ),
        (("gitlab-ci", "a", {}), ("gitlab-ci", "b", {"name": "b"}), ".gitlab-ci.yml of repos/hello@main"),
        (("gitlab-ci", "a", {"name": "a"}), ("gitlab-ci", "b", {"name": "b"}), None),
        (
            ("circleci", "a", {"name": "a"}),
            ("circleci", "b", {"name": "b"}),
            ".circleci/config.yml of repos/hello@main",
        ),
        (("github-actions", "a", {"name": "a"}), ("github-actions", "b", {"name": "b"}), None),
        (
            ("github-actions", "a", {"configLocation": "a.yml", "slack": {"webhook": "x"}}),
            ("github-actions", "b", {"configLocation": "b.yml", "slack": {"webhook": "x"}}),
            "the secret SLACK_WEBHOOK of repos/hello@main",
        ),
        (("github-actions", "a", {}), ("gitlab-ci", "b", {}), None),
    ],
)
def test_two_tools_that_keep_one_thing_are_a_mistake(
    place: Workplace, one: tuple[str, str, Any], other: tuple[str, str, Any], both: str | None
) -> None:
    claims = []
    for name, instance, pipeline in (one, other):
        schema = place.bench(name).schema
        assert schema.claims is not None
        address = Address(name, instance)
        claims.append(dict(schema.claims(address, None, {"scm": SCM, "pipeline": pipeline})))
    first, second = claims
    contested = {thing for thing in first.keys() & second if first[thing] != second[thing]}
    assert contested == ({both} if both else set())


@pytest.mark.parametrize(
    ("scm", "same"),
    [
        ({"scmType": "github", "owner": "Acme", "name": "shop"}, True),
        ({"url": "https://github.com/acme/shop.git"}, True),
        ({"url": "git@github.com:acme/shop.git", "scmType": "github"}, True),
        ({"url": "github.com/acme/shop"}, True),
        ({"scmType": "github", "owner": "acme", "name": "shop", "branch": "other"}, False),
        ({"scmType": "github", "owner": "acme", "name": "shop", "baseURL": "https://git.acme.org"}, False),
        ({"scmType": "github", "owner": Unknown(), "name": "shop"}, None),
        ({"url": "not a url"}, None),
    ],
)
def test_a_repository_is_the_same_however_it_is_written(
    place: Workplace, scm: dict[str, Any], same: bool | None
) -> None:
    claims = place.bench("circleci").schema.claims
    assert claims is not None
    usual = (".circleci/config.yml of github.com/acme/shop@main", "circleci.a")
    found = list(claims(Address("circleci", "a"), None, {"scm": scm}))
    assert found == ([] if same is None else found)
    assert (found == [usual]) == bool(same)


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("github", ".github/workflows/p.yml"),
        ("gitea", ".gitea/workflows/p.yml"),
        ("gitlab", ".gitlab-ci.yml"),
        ("jenkins", "Jenkinsfile"),
        ("bitbucket", "bitbucket-pipelines.yml"),
        ("circleci", ".circleci/config.yml"),
        ("travis", ".travis.yml"),
    ],
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
        ({"type": "tekton", "configLocation": "a"}, "tekton"),
        ({"type": "github", "configLocation": "builtin:nothing"}, "there is no built-in template"),
        ({"type": "github", "configLocation": "https://u:p@x.org/r.git"}, "must not hold a user"),
    ],
)
def test_generic_options_that_are_refused(place: Workplace, ci: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generic(place, **ci).tool()


@pytest.mark.parametrize(
    ("ci", "message"),
    [
        ({"configContents": {"README.md": "x"}}, "there is no pipeline for GitHub Actions among: README.md"),
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
