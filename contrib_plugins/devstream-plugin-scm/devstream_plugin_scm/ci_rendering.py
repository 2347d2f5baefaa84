"""From options and a template to pipeline files: what templates may use, and where their results go."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.api import OperationError
from devstream_plugin_scm.ci_notify import notify_script
from devstream_plugin_scm.ci_secrets import names_for
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.options import defaults_for
from devstream_plugin_scm.repository import DEFAULT_BRANCH

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream_plugin_scm.ci_kinds import CiKind
    from devstream_plugin_scm.options import Pipeline
    from devstream_plugin_scm.repository import TargetRepo
    from devstream_plugin_scm.sources import Tree

__all__ = ["Place", "facts_of", "uses_own_token", "variables_of", "render"]

_OWN_REGISTRIES = {
    ("GitHub Actions", "github"): "ghcr.io",
    ("GitLab CI", "gitlab"): "registry.gitlab.com",
}
_INCLUDE = """\
# Written by DevStream for all pipelines of this repository. Each of them is a file of its own.
include:
  - local: {}*.yml
"""


class Place(NamedTuple):
    """Where a pipeline goes.

    Attributes:
        name: of the pipeline; empty where its repository has one.
    """

    kind: CiKind
    repo: TargetRepo
    name: str = ""


def facts_of(place: Place) -> dict[str, Any]:
    """Give what every template may use."""
    repo, name = place.repo, place.name
    return {
        "AppName": repo.short_name,
        "Repo": {
            "Name": repo.short_name,
            "Owner": repo.namespace,
            "Branch": repo.branch or DEFAULT_BRANCH,
        },
        "RepoType": repo.scm_type,
        "Pipeline": {
            "Name": name,
            "Title": f"{repo.short_name}: {name}" if name else repo.short_name,
            "Job": f"{name}-" if name else "",
        },
    }


def variables_of(pipeline: Pipeline, place: Place) -> dict[str, Any]:
    """Give what a pipeline's template may use, without anything secret."""
    names = names_for(place.name)
    app_name = place.repo.short_name
    jobs = _jobs(pipeline)
    script = notify_script(pipeline, app_name, names)
    told = [name for name in names.values() if any(f"${name}" in line for line in script)]
    sonarqube, ding_talk = pipeline.sonarqube, pipeline.ding_talk
    return {
        **facts_of(place),
        "language": _language(pipeline),
        "test": _test(pipeline),
        "imageRepo": _image_repo(pipeline, place),
        "sonarqube": sonarqube and {"name": sonarqube.name, "url": sonarqube.url},
        "dingTalk": ding_talk and {"name": ding_talk.name, "atUsers": ding_talk.at_users},
        "notify": {"enable": bool(script), "script": script, "secrets": told},
        "jobs": jobs,
        "checks": [job for job in jobs if job != "image"],
        "last": jobs[-1] if jobs else "",
        "needs": {job: jobs[:number] for number, job in enumerate(jobs)},
        "ImageRepoUser": names["IMAGE_REPO_USER"],
        "ImageRepoSecret": names["IMAGE_REPO_SECRET"],
        "SonarqubeSecretKey": names["SONAR_SECRET_TOKEN"],
        "DingTalkSecretKey": names["DINGTALK_SECURITY_VALUE"],
        "DingTalkSecretToken": names["DINGTALK_SECURITY_TOKEN"],
        "SlackSecret": names["SLACK_WEBHOOK"],
        "WebhookSecret": names["NOTIFY_WEBHOOK"],
    }


def _jobs(pipeline: Pipeline) -> list[str]:
    """Name what is done, in order."""
    wanted = {
        "test": pipeline.commands,
        "sonarqube": pipeline.sonarqube,
        "image": pipeline.image_repo,
    }
    return [job for job, parts in wanted.items() if parts]


def _language(pipeline: Pipeline) -> dict[str, str]:
    language = pipeline.language
    defaults = defaults_for(language.name)
    return {
        "name": language.name,
        "version": language.version or (defaults.version if defaults else ""),
        "framework": language.framework or language.frame_work,
    }


def _test(pipeline: Pipeline) -> dict[str, Any]:
    test, steps = pipeline.test, pipeline.commands
    coverage = [test.coverage_command, test.coverage_status_command]
    return {
        "enable": bool(steps),
        "command": steps[: len(steps) - len([command for command in coverage if command])],
        "steps": steps,
        "quoted": shlex.quote("\n".join(steps)),
        "containerName": pipeline.container,
        "coverageCommand": test.coverage_command,
        "CoverageStatusCommand": test.coverage_status_command,
    }


def uses_own_token(pipeline: Pipeline, place: Place) -> bool:
    """Tell whether the CI system's own token is good for the registry, and is to be used."""
    registry = pipeline.image_repo
    own = _OWN_REGISTRIES.get((place.kind.title, place.repo.scm_type))
    return registry is not None and registry.password is None and own == registry.host


def _image_repo(pipeline: Pipeline, place: Place) -> dict[str, Any] | None:
    registry = pipeline.image_repo
    if registry is None:
        return None
    return {
        "url": registry.url,
        "host": registry.host,
        "user": registry.user,
        "image": registry.name_for(place.repo.short_name),
        "ownToken": uses_own_token(pipeline, place),
    }


def render(place: Place, templates: Tree, variables: Mapping[str, Any]) -> Tree:
    """Render templates to where the CI system looks for them.

    Raises:
        OperationError: there is none, two end up at one place, or one is wrong.
    """
    from devstream_plugin_scm.rendering import Renderer

    renderer = Renderer(variables)
    alone = len([path for path in templates if place.kind.target(path) is not None]) == 1
    files: Tree = {}
    for path, file in templates.items():
        target = place.kind.target(path, place.name, alone=alone)
        if target is None:
            continue
        if target in files:
            message = f"two templates end up at {target}"
            raise OperationError(message, suggestion="give one, or a folder with one")
        files[target] = File(renderer.text(_text(path, file), name=path).encode())
    if not files:
        message = f"there is no pipeline for {place.kind.title} among: {', '.join(templates) or 'nothing'}"
        raise OperationError(message)
    if place.name and place.kind.named:
        files[place.kind.place] = File(_INCLUDE.format(place.kind.named).encode())
    return files


def _text(path: str, file: File) -> str:
    try:
        return file.content.decode()
    except UnicodeDecodeError as error:
        message = f"{path} is not UTF-8"
        raise OperationError(message) from error
