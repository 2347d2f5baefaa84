"""The Jenkinsfile: rendered from the template shipped here, or from one that is given."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from devstream.api import OperationError
from devstream_plugin_jenkins.credentials import credential_id
from devstream_plugin_jenkins.options import MULTIBRANCH, SHIPPED, script_name
from devstream_plugin_scm.ci_kinds import KINDS
from devstream_plugin_scm.ci_notify import notify_script
from devstream_plugin_scm.ci_rendering import Place, facts_of
from devstream_plugin_scm.ci_secrets import names_for, wanted_by
from devstream_plugin_scm.ci_templates import PipelineTemplates
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.options import defaults_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Address, Context
    from devstream_plugin_jenkins.options import JenkinsOptions
    from devstream_plugin_scm.ci_secrets import Wanted
    from devstream_plugin_scm.options import ImageRepo
    from devstream_plugin_scm.sources import Tree

__all__ = ["jenkinsfile", "template_of", "wanted_secrets", "groovy"]


_LOGIN = ("IMAGE_REPO_USER", "IMAGE_REPO_SECRET")


def wanted_secrets(options: JenkinsOptions) -> Wanted:
    """Say which secrets the pipeline needs."""
    return wanted_by(options.pipeline, options.pipeline.name, KINDS["jenkins"])


def template_of(options: JenkinsOptions, context: Context, recorded: Mapping[str, Any]) -> PipelineTemplates:
    """Give the template, fixed to what is recorded of it."""
    defaults = defaults_for(options.pipeline.language.name)
    return PipelineTemplates(options.location, context, recorded, repr(defaults) if defaults else "", SHIPPED)


def jenkinsfile(options: JenkinsOptions, template: Tree, address: Address) -> Tree:
    """Render the file, by its path in the repository.

    Raises:
        OperationError: the template is wrong, or there is not exactly one.
    """
    from devstream_plugin_scm.rendering import Renderer

    name, file = _only(template, options.location)
    try:
        text = file.content.decode()
    except UnicodeDecodeError as error:
        message = f"{name} is not UTF-8"
        raise OperationError(message) from error
    rendered = Renderer(_variables(options, address)).text(text, name=name)
    return {script_name(options.pipeline.name): File(rendered.encode())}


def _only(tree: Tree, location: str) -> tuple[str, File]:
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


def _variables(options: JenkinsOptions, address: Address) -> dict[str, Any]:
    """Give what a template may use. Values named `...Groovy` are literals; others are plain text."""
    pipeline, repo = options.pipeline, options.scm
    image, sonar = pipeline.image_repo, pipeline.sonarqube
    facts = facts_of(Place(KINDS["jenkins"], repo, pipeline.name))
    return {
        **facts,
        "Repo": {**facts["Repo"], "BranchGroovy": groovy(facts["Repo"]["Branch"])},
        "multibranch": options.kind == MULTIBRANCH,
        "language": {"name": pipeline.language.name, "framework": pipeline.framework},
        "test": {
            "enable": bool(pipeline.commands),
            "commands": pipeline.commands,
            "commandsGroovy": [groovy(command) for command in pipeline.commands],
            "containerName": pipeline.container,
            "containerGroovy": groovy(pipeline.container),
        },
        "imageRepo": _image(options, address) if image else None,
        "sonarqube": _sonar(options, address) if sonar else None,
        "notify": _notify(options, address),
    }


def _image(options: JenkinsOptions, address: Address) -> dict[str, Any]:
    registry = options.pipeline.image_repo
    assert registry is not None
    image = registry.name_for(options.scm.short_name)
    names = names_for(options.pipeline.name)
    lines = [
        *_login(registry),
        f'docker build --tag "{image}:$GIT_COMMIT" --tag "{image}:latest" .',
        f'docker push "{image}:$GIT_COMMIT"',
        f'docker push "{image}:latest"',
    ]
    given = ("IMAGE_REPO_SECRET",) if registry.password is not None else _LOGIN
    return {
        "url": registry.host,
        "user": registry.user,
        "image": image,
        "scriptGroovy": groovy("set -eu\n" + "\n".join(lines)),
        "secrets": _bindings({name: names[name] for name in given}, address),
    }


def _login(registry: ImageRepo) -> list[str]:
    """Log in with the password of the options, or with what the credentials hold; Jenkins leaves empty ones unset."""
    user = _shell(registry.user) if registry.password is not None else '"${IMAGE_REPO_USER:-}"'
    login = f"printf '%s' \"$IMAGE_REPO_SECRET\" | docker login --username {user} --password-stdin {registry.host}"
    if registry.password is not None:
        return [login.rstrip()]
    return ['if [ -n "${IMAGE_REPO_SECRET:-}" ]; then', f"    {login.rstrip()}", "fi"]


def _sonar(options: JenkinsOptions, address: Address) -> dict[str, Any]:
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
        "secrets": _bindings(kept, address),
    }


def _notify(options: JenkinsOptions, address: Address) -> dict[str, Any]:
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
        "secrets": _bindings({name: name for name in sorted(told)}, address),
    }


def _bindings(kept: dict[str, str], address: Address) -> str:
    """Write what puts credentials into variables, as an argument of `withCredentials`."""
    return ", ".join(
        f"string(credentialsId: {groovy(credential_id(address, name))}, variable: {groovy(variable)})"
        for variable, name in kept.items()
    )


def _shell(text: str) -> str:
    import shlex

    return shlex.quote(text)
