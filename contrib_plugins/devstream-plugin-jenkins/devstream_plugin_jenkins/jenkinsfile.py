"""The Jenkinsfile: rendered from the template shipped here, or from one that is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstream.api import OperationError
from devstream_plugin_jenkins.credentials import credential_id
from devstream_plugin_jenkins.options import MULTIBRANCH, script_name
from devstream_plugin_scm.ci_kinds import KINDS
from devstream_plugin_scm.ci_notify import notify_script
from devstream_plugin_scm.ci_secrets import names_for, wanted_by
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.repository import DEFAULT_BRANCH

if TYPE_CHECKING:
    from devstream.api import Context
    from devstream_plugin_jenkins.options import JenkinsOptions
    from devstream_plugin_scm.ci_secrets import Wanted
    from devstream_plugin_scm.sources import Tree

__all__ = ["jenkinsfile", "wanted_secrets", "groovy"]

_SHIPPED = Path(__file__).parent / "pipelines"
_BUILTIN = "builtin:jenkins"


def wanted_secrets(options: JenkinsOptions) -> Wanted:
    """Say which secrets the pipeline needs."""
    return wanted_by(options.pipeline, options.pipeline.name, KINDS["jenkins"])


def jenkinsfile(options: JenkinsOptions, context: Context) -> Tree:
    """Render the file, by its path in the repository.

    Raises:
        OperationError: the template is wrong, or there is not exactly one.
    """
    from devstream_plugin_scm.rendering import Renderer

    name, file = _template(options, context)
    try:
        text = file.content.decode()
    except UnicodeDecodeError as error:
        message = f"{name} is not UTF-8"
        raise OperationError(message) from error
    rendered = Renderer(_variables(options, context)).text(text, name=name)
    return {script_name(options.pipeline.name): File(rendered.encode())}


def _template(options: JenkinsOptions, context: Context) -> tuple[str, File]:
    from devstream_plugin_scm.sources import read_location

    location = options.pipeline.config_location
    if location in {"", _BUILTIN}:
        path = _SHIPPED / "jenkins" / "Jenkinsfile.tpl"
        return path.name, File(path.read_bytes())
    tree = read_location(location, folder=context.folder, shipped="pipelines")
    found = {path: file for path, file in tree.items() if not path.rpartition("/")[2].startswith("README")}
    if len(found) != 1:
        message = f"{location} has {len(found)} templates of a Jenkinsfile: {', '.join(found) or 'none'}"
        raise OperationError(message, suggestion="name the one file")
    return next(iter(found.items()))


def groovy(text: str) -> str:
    r"""Write text as a Groovy literal in which nothing is interpolated.

    >>> groovy("it's $HOME\n")
    "'it\\'s $HOME\\n'"
    """
    return "'" + json.dumps(text)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"


def _variables(options: JenkinsOptions, context: Context) -> dict[str, Any]:
    """Give what a template may use. Values named `...Groovy` are literals; others are plain text."""
    pipeline, repo = options.pipeline, options.scm
    image, sonar = pipeline.image_repo, pipeline.sonarqube
    return {
        "AppName": repo.short_name,
        "Repo": {
            "Name": repo.short_name,
            "Owner": repo.namespace,
            "Branch": repo.branch or DEFAULT_BRANCH,
            "BranchGroovy": groovy(repo.branch or DEFAULT_BRANCH),
        },
        "multibranch": options.kind == MULTIBRANCH,
        "language": {"name": pipeline.language.name, "framework": pipeline.framework},
        "test": {
            "enable": bool(pipeline.commands),
            "commands": pipeline.commands,
            "commandsGroovy": [groovy(command) for command in pipeline.commands],
            "containerName": pipeline.container,
            "containerGroovy": groovy(pipeline.container),
        },
        "imageRepo": _image(options, context) if image else None,
        "sonarqube": _sonar(options, context) if sonar else None,
        "notify": _notify(options, context),
    }


def _image(options: JenkinsOptions, context: Context) -> dict[str, Any]:
    registry = options.pipeline.image_repo
    assert registry is not None
    image = registry.name_for(options.scm.short_name)
    names = names_for(options.pipeline.name)
    login = f"printf '%s' \"$IMAGE_REPO_SECRET\" | docker login --username {_shell(registry.user)} --password-stdin {registry.host}"
    lines = [
        *([login.rstrip()] if registry.password is not None else []),
        f'docker build --tag "{image}:$GIT_COMMIT" --tag "{image}:latest" .',
        f'docker push "{image}:$GIT_COMMIT"',
        f'docker push "{image}:latest"',
    ]
    kept = {"IMAGE_REPO_SECRET": names["IMAGE_REPO_SECRET"]} if registry.password is not None else {}
    return {
        "url": registry.host,
        "user": registry.user,
        "image": image,
        "scriptGroovy": groovy("set -eu\n" + "\n".join(lines)),
        "secrets": _bindings(kept, context),
    }


def _sonar(options: JenkinsOptions, context: Context) -> dict[str, Any]:
    sonar = options.pipeline.sonarqube
    assert sonar is not None
    url = sonar.url or "https://sonarcloud.io"
    script = (
        'docker run --rm --volume "$PWD:/usr/src" --env SONAR_TOKEN '
        f"--env SONAR_HOST_URL={_shell(url)} sonarsource/sonar-scanner-cli:11 -Dsonar.projectKey={_shell(sonar.name)}"
    )
    kept = {"SONAR_TOKEN": names_for(options.pipeline.name)["SONAR_SECRET_TOKEN"]} if sonar.token else {}
    return {
        "name": sonar.name,
        "url": url,
        "scriptGroovy": groovy(script),
        "secrets": _bindings(kept, context),
    }


def _notify(options: JenkinsOptions, context: Context) -> dict[str, Any]:
    names = names_for(options.pipeline.name)
    lines = notify_script(options.pipeline, options.scm.short_name, names)
    told = {
        name for name in wanted_secrets(options).secrets if name.startswith(("DINGTALK", "SLACK", "NOTIFY"))
    }
    scripts = [
        {
            "result": result,
            "scriptGroovy": groovy(
                "\n".join([f'RESULT={word}; COMMIT="$GIT_COMMIT"; LINK="$BUILD_URL"', *lines])
            ),
        }
        for result, word in (("success", "passed"), ("unsuccessful", "failed"))
    ]
    return {
        "enable": bool(lines),
        "results": scripts,
        "secrets": _bindings({name: name for name in sorted(told)}, context),
    }


def _bindings(kept: dict[str, str], context: Context) -> str:
    """Write what puts credentials into variables, as an argument of `withCredentials`."""
    return ", ".join(
        f"string(credentialsId: {groovy(credential_id(context.address, name))}, variable: {groovy(variable)})"
        for variable, name in kept.items()
    )


def _shell(text: str) -> str:
    import shlex

    return shlex.quote(text)
