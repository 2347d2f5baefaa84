"""``jenkins-pipeline``: a job in Jenkins, with its credentials, its webhook, and its Jenkinsfile in the repository.

A new job is marked in its description, so that a killed run finds what it made, and nobody else's job is touched.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.api import ToolSchema, Traits, hookimpl
from devstream_plugin_jenkins.claims import job_claims
from devstream_plugin_jenkins.options import JenkinsOptions
from devstream_plugin_jenkins.work import Work
from devstream_plugin_scm.neighbours import REGISTRY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Context, Outputs, ResourceStatus, Tool, ToolState

__all__ = ["create", "read", "update", "delete", "integrate", "devstream_tool_schema"]


_EXAMPLE: Mapping[str, Any] = {
    "jenkins": {"url": "https://ci.example.org", "user": "devstream", "password": "[[ env JENKINS_TOKEN ]]"},
    "scm": {"scmType": "github", "owner": "your-name", "name": "shop", "token": "[[ env GITHUB_TOKEN ]]"},
    "pipeline": {"language": {"name": "python"}},
}


@hookimpl
def devstream_tool_schema() -> ToolSchema:
    """Describe the options."""
    return ToolSchema(
        JenkinsOptions,
        doc="A Jenkins job for a repository, with its Jenkinsfile and webhook.",
        claims=job_claims,
        traits=_traits_of,
        example=_EXAMPLE,
    )


def _traits_of(options: Mapping[str, Any]) -> Traits:
    """Only a pipeline that pushes images without a password of its own has use for an upstream's registry."""
    pipeline = options.get("pipeline")
    registry = pipeline.get("imageRepo") if isinstance(pipeline, dict) else None
    wants = isinstance(registry, dict) and registry.get("password") is None
    return Traits(can_integrate=wants, integrates=(REGISTRY,))


@hookimpl
def create(tool: Tool, context: Context) -> ResourceStatus:
    """Make the job and all it needs; go on where a run was killed in between."""
    work = Work(tool, None, context)
    status = work.bring_in_line()
    work.start()
    return status


@hookimpl
def read(tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
    """Say what is there; None where the job is gone."""
    return Work(tool, recorded, context).look()


@hookimpl
def update(tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:
    """Bring what is ours in line; what people have added stays."""
    return Work(tool, recorded, context).bring_in_line()


@hookimpl
def delete(tool: Tool, recorded: ToolState, context: Context) -> None:
    """Remove the Jenkinsfile, the webhook, the deploy key, the job and its credentials, and empty folders of ours."""
    Work(tool, recorded, context).remove()


@hookimpl
def integrate(tool: Tool, upstream: dict[str, Outputs], context: Context) -> Outputs | None:
    """Hand Jenkins the login for the registry that an upstream has."""
    Work(tool, None, context).connect(upstream)
    return None
