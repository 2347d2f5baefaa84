"""What a job's ``config.xml`` says: written for us, laid over what is there, and read back.

Jenkins adds elements, attributes and an order of its own to what it is given, and people add theirs. So a configuration is
never replaced: ours is laid over it (`overlay`), and what is compared are the values at the paths that we write
(`values_at`), nothing else. Laying ours over anything makes these values ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from devstream_plugin_jenkins.options import MULTIBRANCH
from devstream_plugin_jenkins.xml_text import element

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Iterable, Iterator, Mapping

__all__ = [
    "JobPlan",
    "job_config",
    "folder_config",
    "by_known_names",
    "overlay",
    "paths_of",
    "values_at",
    "without",
    "SECRET",
    "KINDS_OF_JOB",
]

_MULTIBRANCH = "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject"
_GITHUB = "org.jenkinsci.plugins.github_branch_source.GitHubSCMSource"
_GITHUB_TRAITS = (
    "org.jenkinsci.plugins.github__branch__source"  # XStream writes _ as __ in the names of elements
)
_BITBUCKET = "com.cloudbees.jenkins.plugins.bitbucket"
_GITEA = "org.jenkinsci.plugin.gitea"
_GITLAB = "io.jenkins.plugins.gitlabbranchsource"
_GIT = "jenkins.plugins.git"
_TRIGGERS = "org.jenkinsci.plugins.workflow.job.properties.PipelineTriggersJobProperty"
_PERIODIC = "com.cloudbees.hudson.plugins.folder.computed.PeriodicFolderTrigger"

KINDS_OF_JOB = {MULTIBRANCH: _MULTIBRANCH, "pipeline": "flow-definition"}
"""The root element of each kind."""
SECRET = "secretToken"  # noqa: S105 - the name of an element
_THEIRS = frozenset({"id"})
"""Values that are kept where there are some: another id of a branch source would build every branch again."""
_CLASS = "@class"
_APART = (SECRET, "description", *_THEIRS)
"""Elements that are not compared by their text."""
_CHOSEN = f"{_PERIODIC}/spec"
"""What Jenkins works out by the interval beside it (`PeriodicFolderTrigger`), each version of the folders plugin differently."""
_MOVED = {
    f"{_BITBUCKET}.trait.{name}": f"{_BITBUCKET}.{name}"
    for name in ("BranchDiscoveryTrait", "OriginPullRequestDiscoveryTrait", "SSHCheckoutTrait")
}
"""What newer versions of the Bitbucket plugin call things of ours when they write a job anew.

They read the old names too (`BitbucketPlugin.aliases`), and older ones only these.
"""


class JobPlan(NamedTuple):
    """What a job is to be.

    Attributes:
        kind: `multibranch` or `pipeline`.
        scm_type: the kind of the repository.
        server: the forge's address; of the repository, ``owner`` and ``name`` are below it.
        clone_url: what git clones.
        credentials: id of what Jenkins clones with, or asks the forge's API with; empty for nothing.
        key: id of what it clones with over ssh, where ``credentials`` is only for the API.
        script: path of the Jenkinsfile.
        source_id: id of a new branch source.
        has_webhook: the forge tells Jenkins of pushes.
        hook_token: what GitLab shows with each call, for a job with a webhook of its own.
        gitlab_server: GitLab's name in Jenkins.
    """

    kind: str
    scm_type: str
    server: str
    owner: str
    name: str
    clone_url: str
    branch: str
    credentials: str
    script: str
    source_id: str
    has_webhook: bool = True
    hook_token: str = ""
    gitlab_server: str = ""
    description: str = ""
    key: str = ""


def job_config(plan: JobPlan) -> ET.Element:
    """Write what we have to say of a job."""
    description = element("description", plan.description)
    if plan.kind == MULTIBRANCH:
        triggers = element("triggers", [_periodic(plan)])
        return element(_MULTIBRANCH, [description, triggers, _sources(plan), _factory(plan)])
    return element("flow-definition", [description, _properties(plan), _definition(plan)])


def folder_config(description: str) -> ET.Element:
    """Write a folder."""
    return element("com.cloudbees.hudson.plugins.folder.Folder", [element("description", description)])


def _periodic(plan: JobPlan) -> ET.Element:
    spec, interval = ("H H/4 * * *", 86_400_000) if plan.has_webhook else ("H/5 * * * *", 900_000)
    return element(_PERIODIC, [element("spec", spec), element("interval", str(interval))])


def _factory(plan: JobPlan) -> ET.Element:
    name = "org.jenkinsci.plugins.workflow.multibranch.WorkflowBranchProjectFactory"
    parts = [_owner(), element("scriptPath", plan.script)]
    return element("factory", parts, of=name)


def _owner() -> ET.Element:
    return element("owner", of=_MULTIBRANCH, reference="../..")


def _sources(plan: JobPlan) -> ET.Element:
    data = element("data", [element("jenkins.branch.BranchSource", [_source(plan)])])
    return element("sources", [data, _owner()], of="jenkins.branch.MultiBranchProject$BranchSourceList")


def _source(plan: JobPlan) -> ET.Element:
    match plan.scm_type:
        case "github":
            api = {} if plan.server == "https://github.com" else {"apiUri": f"{plan.server}/api/v3"}
            traits = _traits(plan, _GITHUB_TRAITS, "BranchDiscoveryTrait", "OriginPullRequestDiscoveryTrait")
            return _named_source(plan, _GITHUB, {**api, **_repository(plan)}, traits)
        case "bitbucket":
            fields = {"serverUrl": plan.server, **_repository(plan)}
            traits = _traits(plan, _BITBUCKET, "BranchDiscoveryTrait", "OriginPullRequestDiscoveryTrait")
            return _named_source(plan, f"{_BITBUCKET}.BitbucketSCMSource", fields, traits)
        case "gitea":
            fields = {"serverUrl": plan.server, **_repository(plan)}
            traits = _traits(plan, _GITEA, "BranchDiscoveryTrait", "OriginPullRequestDiscoveryTrait")
            return _named_source(plan, f"{_GITEA}.GiteaSCMSource", fields, traits)
        case "gitlab" if plan.gitlab_server:
            path = f"{plan.owner}/{plan.name}"
            fields = {"serverName": plan.gitlab_server, "projectOwner": plan.owner, "projectPath": path}
            traits = _traits(plan, _GITLAB, "BranchDiscoveryTrait", "OriginMergeRequestDiscoveryTrait")
            return _named_source(plan, f"{_GITLAB}.GitLabSCMSource", fields, traits)
        case _:
            traits = [element(f"{_GIT}.traits.BranchDiscoveryTrait")]
            return _named_source(plan, f"{_GIT}.GitSCMSource", {"remote": plan.clone_url}, traits)


def _repository(plan: JobPlan) -> dict[str, str]:
    return {"repoOwner": plan.owner, "repository": plan.name}


def _traits(plan: JobPlan, package: str, *names: str) -> list[ET.Element]:
    """Find every branch that no pull request asks for, and every pull request as it would be merged; none of forks."""
    found = [element(f"{package}.{name}", [element("strategyId", "1")]) for name in names]
    key = [element("credentialsId", plan.key)]
    return [*found, element(f"{package}.SSHCheckoutTrait", key)] if plan.key else found


def _named_source(
    plan: JobPlan, name: str, fields: Mapping[str, str], traits: Iterable[ET.Element]
) -> ET.Element:
    named = {"id": plan.source_id, **fields, "credentialsId": plan.credentials}
    parts = [element(tag, text) for tag, text in named.items()]
    return element("source", [*parts, element("traits", traits)], of=name)


def _properties(plan: JobPlan) -> ET.Element:
    return element("properties", [element(_TRIGGERS, [element("triggers", [_trigger(plan)])])])


def _trigger(plan: JobPlan) -> ET.Element:
    """Say what starts a build of one branch: the webhook where the forge's plugin takes one for such a job."""
    if plan.has_webhook and plan.scm_type == "github":
        return element("com.cloudbees.jenkins.GitHubPushTrigger", [element("spec")])
    if plan.has_webhook and plan.scm_type == "gitlab":
        values = {
            "spec": "",
            "triggerOnPush": "true",
            "triggerOnMergeRequest": "false",
            "branchFilterType": "NameBasedFilter",
            "includeBranchesSpec": plan.branch,
            SECRET: plan.hook_token,
        }
        parts = [element(tag, text) for tag, text in values.items()]
        return element("com.dabsquared.gitlabjenkins.GitLabPushTrigger", parts)
    parts = [element("spec", "H/15 * * * *"), element("ignorePostCommitHooks", "false")]
    return element("hudson.triggers.SCMTrigger", parts)


def _definition(plan: JobPlan) -> ET.Element:
    remote = [element("url", plan.clone_url), element("credentialsId", plan.credentials)]
    scm = [
        element("configVersion", "2"),
        element("userRemoteConfigs", [element("hudson.plugins.git.UserRemoteConfig", remote)]),
        element(
            "branches", [element("hudson.plugins.git.BranchSpec", [element("name", f"*/{plan.branch}")])]
        ),
    ]
    parts = [
        element("scm", scm, of="hudson.plugins.git.GitSCM"),
        element("scriptPath", plan.script),
        element("lightweight", "true"),
    ]
    return element("definition", parts, of="org.jenkinsci.plugins.workflow.cps.CpsScmFlowDefinition")


# ---- laying over, and reading back


def by_known_names(root: ET.Element) -> ET.Element:
    """Call things of ours by the names that we write, in place, whatever a plugin calls them today."""
    for found in root.iter():
        found.tag = _MOVED.get(found.tag, found.tag)
    return root


def overlay(there: ET.Element, wanted: ET.Element) -> None:
    """Lay ``wanted`` over ``there``, in place. What ``wanted`` does not speak of stays as it is.

    No two elements of ours have one name in one place: where there are more, the first is taken and the others go.
    """
    if wanted.get("class") not in {None, there.get("class")}:
        there[:] = []
        there.attrib = dict(wanted.attrib)
    if len(wanted):
        there.text = None
        for child in wanted:
            _overlay_child(there, child)
    elif not (wanted.tag in _THEIRS and there.text):
        there.text = wanted.text
        if wanted.text:
            there[:] = []


def _overlay_child(there: ET.Element, wanted: ET.Element) -> None:
    found = _named(there, wanted.tag)
    for more in found[1:]:
        there.remove(more)
    if found:
        overlay(found[0], wanted)
    else:
        there.append(wanted)


def without(root: ET.Element, paths: Iterable[str]) -> None:
    """Take the values at paths out, in place, and elements that are left with nothing by that."""
    for path in paths:
        if not path.endswith(_CLASS):
            _take_out(root, path.split("/"))


def _take_out(at: ET.Element, steps: list[str]) -> None:
    for child in _named(at, steps[0]):
        if len(steps) > 1:
            had = len(child)
            _take_out(child, steps[1:])
            if had and not len(child):
                at.remove(child)
        else:
            at.remove(child)


def _named(at: ET.Element, tag: str) -> list[ET.Element]:
    return [child for child in at if child.tag == tag]


def paths_of(root: ET.Element) -> list[str]:
    """List the paths of the values that a configuration has, and that are compared."""
    return sorted(
        {
            path
            for path, tag, text in _values(root, "")
            if text is not None and tag not in _APART and not path.endswith(_CHOSEN)
        }
    )


def values_at(root: ET.Element, paths: Iterable[str]) -> dict[str, str | None]:
    """Give the values at paths, several joined by commas; None where there is none."""
    found: dict[str, list[str]] = {}
    for path, _, text in _values(root, ""):
        found.setdefault(path, []).append(text or "")
    return {path: ", ".join(found[path]) if path in found else None for path in paths}


def _values(at: ET.Element, prefix: str) -> Iterator[tuple[str, str, str | None]]:
    """Go through the elements: path, name, and text, which is None where an element has children.

    A class is a value too; Jenkins' references to other elements are none.
    """
    for child in at:
        if child.get("reference"):
            continue
        path = f"{prefix}/{child.tag}" if prefix else child.tag
        if child.get("class"):
            yield f"{path}{_CLASS}", _CLASS, child.get("class", "")
        yield path, child.tag, None if len(child) else (child.text or "").strip()
        yield from _values(child, path)
