"""Configurations of jobs: as jenkins-job-builder writes them, and laid over others without taking anything from them."""

from __future__ import annotations

import contextlib
import io
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from devstream.api import OperationError
from devstream_plugin_jenkins.job_config import (
    JobPlan,
    by_known_names,
    folder_config,
    job_config,
    overlay,
    paths_of,
    values_at,
    without,
)
from devstream_plugin_jenkins.xml_text import MAX_XML, element, parse, write

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*pkg_resources:Warning"
)  # jenkins-job-builder still needs it

if TYPE_CHECKING:
    from pathlib import Path

PLAN = JobPlan(
    kind="multibranch",
    scm_type="github",
    server="https://ghe.example.org",
    owner="acme",
    name="shop",
    clone_url="https://git.example.org/acme/shop.git",
    branch="main",
    credentials="devstream-x",
    script="ci/Jenkinsfile",
    source_id="1f",
)

# ---- the oracle


def built(folder: Path, job: dict[str, Any]) -> ET.Element:
    """Give what jenkins-job-builder makes of a job."""
    from jenkins_jobs.cli.entry import JenkinsJobs  # type: ignore[import-untyped]  # it has no types

    definition, out = folder / "job.yaml", folder / "out"
    definition.write_text(yaml.safe_dump([{"job": {"name": "shop", **job}}]))
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        JenkinsJobs(["test", str(definition), "-o", str(out), "--config-xml"]).execute()
    return ET.parse(out / "shop" / "config.xml").getroot()


def multibranch(**source: Any) -> dict[str, Any]:
    return {
        "project-type": "multibranch",
        "script-path": "ci/Jenkinsfile",
        "periodic-folder-trigger": "1d",
        "scm": [source],
    }


COMMON = {"repo": "shop", "repo-owner": "acme", "credentials-id": "devstream-x"}
GIT = {"url": "https://git.example.org/acme/shop.git", "credentials-id": "devstream-x"}
CASES: dict[str, tuple[JobPlan, dict[str, Any]]] = {
    "github enterprise": (
        PLAN,
        multibranch(
            github={
                **COMMON,
                "api-uri": "https://ghe.example.org/api/v3",
                "branch-discovery": "no-pr",
                "discover-pr-origin": "merge-current",
                "discover-pr-forks-strategy": "",
            }
        ),
    ),
    "github": (
        PLAN._replace(server="https://github.com"),
        multibranch(
            github={
                **COMMON,
                "branch-discovery": "no-pr",
                "discover-pr-origin": "merge-current",
                "discover-pr-forks-strategy": "",
            }
        ),
    ),
    "bitbucket": (
        PLAN._replace(scm_type="bitbucket", server="https://bb.example.org"),
        multibranch(
            bitbucket={
                **COMMON,
                "server-url": "https://bb.example.org",
                "discover-branch": "ex-pr",
                "discover-pr-origin": "mergeOnly",
            }
        ),
    ),
    "git, no webhook": (
        PLAN._replace(scm_type="git", has_webhook=False),
        {**multibranch(git=GIT), "periodic-folder-trigger": "15m"},
    ),
    "pipeline, polled": (
        PLAN._replace(kind="pipeline", scm_type="git", has_webhook=False),
        {
            "project-type": "pipeline",
            "triggers": [{"pollscm": {"cron": "H/15 * * * *", "ignore-post-commit-hooks": False}}],
            "pipeline-scm": {
                "script-path": "ci/Jenkinsfile",
                "lightweight-checkout": True,
                "scm": [{"git": {**GIT, "branches": ["*/main"]}}],
            },
        },
    ),
    "pipeline on github": (
        PLAN._replace(kind="pipeline"),
        {
            "project-type": "pipeline",
            "triggers": ["github"],
            "pipeline-scm": {
                "script-path": "ci/Jenkinsfile",
                "lightweight-checkout": True,
                "scm": [{"git": {**GIT, "branches": ["*/main"]}}],
            },
        },
    ),
    "pipeline on gitlab": (
        PLAN._replace(kind="pipeline", scm_type="gitlab", hook_token="t0ken"),
        {
            "project-type": "pipeline",
            "triggers": [
                {
                    "gitlab": {
                        "trigger-push": True,
                        "trigger-merge-request": False,
                        "branch-filter-type": "NameBasedFilter",
                        "include-branches": ["main"],
                        "secret": "t0ken",
                    }
                }
            ],
            "pipeline-scm": {
                "script-path": "ci/Jenkinsfile",
                "lightweight-checkout": True,
                "scm": [{"git": {**GIT, "branches": ["*/main"]}}],
            },
        },
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_ours_is_what_job_builder_writes(case: str, tmp_path: Path) -> None:
    plan, job = CASES[case]
    ours, theirs = job_config(plan), built(tmp_path, job)
    assert ours.tag == theirs.tag
    paths = paths_of(ours)
    assert len(paths) >= 8
    assert values_at(theirs, paths) == values_at(ours, paths)


def test_what_newer_plugins_write_anew_is_still_ours() -> None:
    """The Bitbucket plugin has moved its classes; the folders plugin works out another expression for the interval."""
    plan = PLAN._replace(scm_type="bitbucket", server="https://bb.example.org", key="devstream-key")
    ours = job_config(plan)
    paths = paths_of(ours)
    text = (
        write(ours)
        .decode()
        .replace("com.cloudbees.jenkins.plugins.bitbucket.", "com.cloudbees.jenkins.plugins.bitbucket.trait.")
    )
    text = text.replace("bitbucket.trait.BitbucketSCMSource", "bitbucket.BitbucketSCMSource").replace(
        "H H/4 * * *", "H H * * *"
    )
    anew = by_known_names(parse(text.encode(), what="a job"))
    assert values_at(anew, paths) == values_at(ours, paths)
    overlay(anew, job_config(plan))
    assert len(next(iter(anew.iter("traits")))) == 3


@pytest.mark.parametrize("case", CASES)
def test_ours_laid_over_job_builders_changes_nothing_of_it(case: str, tmp_path: Path) -> None:
    plan, job = CASES[case]
    ours, theirs = job_config(plan), built(tmp_path, job)
    before = values_at(theirs, paths_of(theirs))
    overlay(theirs, ours)
    assert values_at(theirs, before) == before


def test_a_folder_is_what_job_builder_writes(tmp_path: Path) -> None:
    assert folder_config("ours").tag == built(tmp_path, {"project-type": "folder"}).tag


@pytest.mark.parametrize(
    ("plan", "kind", "values"),
    [
        (
            PLAN._replace(scm_type="gitea", server="https://gitea.example.org"),
            "org.jenkinsci.plugin.gitea.GiteaSCMSource",
            {"serverUrl": "https://gitea.example.org", "repoOwner": "acme", "repository": "shop"},
        ),
        (
            PLAN._replace(scm_type="gitlab", owner="group/sub", gitlab_server="main"),
            "io.jenkins.plugins.gitlabbranchsource.GitLabSCMSource",
            {"serverName": "main", "projectOwner": "group/sub", "projectPath": "group/sub/shop"},
        ),
        (
            PLAN._replace(scm_type="gitlab"),
            "jenkins.plugins.git.GitSCMSource",
            {"remote": "https://git.example.org/acme/shop.git"},
        ),
    ],
)
def test_branch_sources_that_job_builder_does_not_know(
    plan: JobPlan, kind: str, values: dict[str, str]
) -> None:
    source = job_config(plan).find("./sources/data/jenkins.branch.BranchSource/source")
    assert source is not None
    assert source.get("class") == kind
    found = {child.tag: child.text for child in source if child.tag not in {"id", "traits"}}
    assert found == {**values, "credentialsId": "devstream-x"}


# ---- laws

NAMES = st.sampled_from(["a", "b", "c", "id", "secretToken"])
CLASSED = "ab"
"""Elements that have a class; as in Jenkins, the others have none."""


def elements(depth: int, *, alone: bool = False) -> st.SearchStrategy[ET.Element]:
    inside = siblings(depth - 1, alone=alone) if depth else st.just([])

    def make(tag: str, of: str, text: str, children: list[ET.Element]) -> ET.Element:
        made = ET.Element(tag, {"class": of} if tag in CLASSED else {})
        made.text = None if children else text
        made.extend(children)
        return made

    return st.builds(make, NAMES, st.sampled_from(["x", "y"]), st.sampled_from(["", "1", "2"]), inside)


def siblings(depth: int, *, alone: bool) -> st.SearchStrategy[list[ET.Element]]:
    """Give elements; alone, each is the only one of its name, as ours are."""
    unique = (lambda made: made.tag) if alone else None
    return st.lists(elements(depth, alone=alone), max_size=3, unique_by=unique)


def trees() -> st.SearchStrategy[ET.Element]:
    return siblings(2, alone=False).map(lambda children: element("root", children))


def ours() -> st.SearchStrategy[ET.Element]:
    return siblings(2, alone=True).map(lambda children: element("root", children))


@given(trees(), ours())
def test_ours_laid_over_anything_makes_our_values_ours(there: ET.Element, wanted: ET.Element) -> None:
    overlay(there, wanted)
    paths = paths_of(wanted)
    assert values_at(there, paths) == values_at(wanted, paths)


@given(trees(), ours())
def test_laying_it_over_twice_is_laying_it_over_once(there: ET.Element, wanted: ET.Element) -> None:
    overlay(there, parse(write(wanted), what="it"))
    once = ET.tostring(there)
    overlay(there, parse(write(wanted), what="it"))
    assert ET.tostring(there) == once


@given(trees())
def test_what_is_taken_out_is_gone(there: ET.Element) -> None:
    paths = paths_of(there)
    without(there, paths)
    left = values_at(there, paths)
    assert not [path for path, value in left.items() if value and not path.endswith("@class")]


def test_a_trigger_that_was_ours_is_taken_out_whole() -> None:
    polled = job_config(PLAN._replace(kind="pipeline", has_webhook=False))
    told = job_config(PLAN._replace(kind="pipeline"))
    without(polled, set(paths_of(polled)) - set(paths_of(told)))
    overlay(polled, told)
    triggers = polled.find(".//triggers")
    assert triggers is not None
    assert [trigger.tag for trigger in triggers] == ["com.cloudbees.jenkins.GitHubPushTrigger"]


@pytest.mark.parametrize("case", CASES)
def test_no_two_elements_of_ours_have_one_name_in_one_place(case: str) -> None:
    for at in job_config(CASES[case][0]).iter():
        assert len({child.tag for child in at}) == len(at)


# ---- text


@given(st.text())
def test_a_text_comes_back_or_is_refused(text: str) -> None:
    try:
        made = element("a", [element("b", text)])
    except OperationError:
        return  # which texts these are has a test of its own
    back = parse(write(made), what="it").findtext("b")
    assert back in {text, text.replace("\r\n", "\n").replace("\r", "\n")}


@pytest.mark.parametrize(
    "payload",
    ["</scriptPath><script>x</script>", "]]>", "<!--", "&lt;", "&#x0;", "a\"b'c", "$(id)", "${x}", "日本"],
)
def test_values_never_become_elements(payload: str) -> None:
    config = parse(write(job_config(PLAN._replace(script=payload, owner=payload))), what="it")
    assert config.findtext(".//factory/scriptPath") == payload
    assert config.findtext(".//repoOwner") == payload
    assert [child.tag for child in config] == [child.tag for child in job_config(PLAN)]


@pytest.mark.parametrize("text", ["a\0b", "\x1b[31m", "\x0b", "\ufffe", "\ud800"])
def test_what_xml_cannot_hold_is_refused(text: str) -> None:
    with pytest.raises(OperationError, match=r"U\+[0-9A-F]{4}, which XML cannot hold"):
        job_config(PLAN._replace(script=text))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (b"<a>", "not well-formed"),
        (b"", "not well-formed"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        (b'<?xml version="1.1"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "document type"),
        (b"<a>" + b" " * MAX_XML + b"</a>", "larger than"),
        (b"\xff\xfe", "not well-formed"),
    ],
)
def test_what_jenkins_never_says_is_refused(document: bytes, message: str) -> None:
    with pytest.raises(OperationError, match=message):
        parse(document, what="the configuration of shop")


def test_a_declaration_of_xml_1_1_is_read() -> None:
    assert parse(b"<?xml version='1.1' encoding='UTF-8'?>\n<a>\xc3\xa9</a>", what="it").text == "é"
