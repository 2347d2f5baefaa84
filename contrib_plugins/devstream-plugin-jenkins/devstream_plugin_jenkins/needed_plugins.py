"""Plugins that Jenkins needs for a job: looked for first, and installed only where that is allowed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from devstream.api import OperationCancelled, OperationError, RetryableError
from devstream_plugin_jenkins.client import JenkinsError
from devstream_plugin_jenkins.options import MULTIBRANCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.api import Context
    from devstream_plugin_jenkins.client import JenkinsClient
    from devstream_plugin_jenkins.options import JenkinsOptions

__all__ = ["needed_by", "ensure_plugins"]

_ALWAYS = (
    "credentials-binding",
    "git",
    "pipeline-model-definition",
    "plain-credentials",
    "workflow-durable-task-step",
    "workflow-job",
)
_SOURCES = {
    "github": "github-branch-source",
    "gitea": "gitea",
    "bitbucket": "cloudbees-bitbucket-branch-source",
}
_HOOKS = {"github": "github", "gitlab": "gitlab-plugin"}
_WAIT = 600.0
"""Seconds that an installation or a restart may take."""
_PAUSE = 1.0


def needed_by(options: JenkinsOptions) -> list[str]:
    """List the plugins that a job needs, by their short names."""
    kind, repo = options.kind, options.scm
    needed = [*_ALWAYS]
    if "/" in options.job:
        needed.append("cloudbees-folder")
    if kind == MULTIBRANCH:
        needed.append("workflow-multibranch")
        found = "gitlab-branch-source" if options.jenkins.gitlab_server and repo.scm_type == "gitlab" else ""
        needed.append(_SOURCES.get(repo.scm_type, found))
    elif options.jenkins.webhook:
        needed.append(_HOOKS.get(repo.scm_type, ""))
    if options.pipeline.container and options.pipeline.commands:
        needed.append("docker-workflow")
    if repo.ssh_private_key is not None or options.jenkins.deploy_key:
        needed.append("ssh-credentials")
    return sorted(filter(None, needed))


def ensure_plugins(client: JenkinsClient, options: JenkinsOptions, context: Context) -> None:
    """See to it that Jenkins has the plugins.

    Raises:
        OperationError: some are missing and may not be installed, or do not get ready.
    """
    needed = needed_by(options)
    active = _active(client)
    missing = [name for name in needed if name not in active]
    if not missing:
        return
    server = options.jenkins
    names = ", ".join(missing)
    if server.offline or not (server.install_plugins or server.enable_restart):
        hint = (
            "have them installed"
            if server.offline
            else "install them, or let us: `jenkins.installPlugins: true`"
        )
        message = f"Jenkins lacks plugins that this job needs: {names}"
        raise OperationError(message, code="plugins-missing", suggestion=hint)
    context.log.info(f"installs in Jenkins: {names}")
    client.plugins.install(*missing)
    _wait(context, lambda: client.plugins.installation_done, f"installing {names}")
    if client.plugins.restart_required:
        _restart(client, context, names, allowed=server.enable_restart)
    _wait(context, lambda: set(missing) <= _active(client), f"{names} to be active")


def _restart(client: JenkinsClient, context: Context, names: str, *, allowed: bool) -> None:
    if not allowed:
        message = f"Jenkins has to be restarted before it can use {names}"
        raise OperationError(
            message, code="restart-needed", suggestion="restart it, or let us: `jenkins.enableRestart: true`"
        )
    context.log.warning("restarts Jenkins once no build runs")
    client.restart()


def _active(client: JenkinsClient) -> frozenset[str]:
    found = client.plugins.api_json(tree="plugins[shortName,active]")["plugins"]
    return frozenset(plugin["shortName"] for plugin in found if plugin["active"])


def _wait(context: Context, is_done: Callable[[], bool], what: str) -> None:
    """Ask until it is so; a Jenkins that restarts refuses connections, or says that it is busy."""
    until = time.monotonic() + _WAIT
    while not _answered(is_done):
        if context.cancelled:
            message = "the run is being stopped"
            raise OperationCancelled(message)
        if time.monotonic() > until:
            message = f"Jenkins took longer than {_WAIT:.0f} s for {what}"
            raise OperationError(message, suggestion="look at its log, then run again")
        time.sleep(_PAUSE)


def _answered(is_done: Callable[[], bool]) -> bool:
    try:
        return is_done()
    except RetryableError:
        return False
    except JenkinsError as error:
        if error.status in {0, 503}:
            return False
        raise
