"""Deploy keys of a GitLab project. One key may open several projects; its title is the same in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream_plugin_scm.deploy_keys import bare_key, put_key
from devstream_plugin_scm.hosting import DeployKey
from devstream_plugin_scm.rest import RestError

if TYPE_CHECKING:
    from gitlab.v4.objects import Project, ProjectKey

__all__ = ["listed", "put", "delete"]


def listed(project: Project) -> list[DeployKey]:
    """List the deploy keys."""
    return [_shown(key) for key in project.keys.list(get_all=True)]


def _shown(key: ProjectKey) -> DeployKey:
    return DeployKey(key.title, bare_key(key.key), not key.can_push, str(key.id))


def put(project: Project, location: str, key: DeployKey) -> DeployKey:
    """Make a deploy key.

    Raises:
        OperationError: it is no public key, or somebody else has it.
    """
    return put_key(
        location,
        key,
        listed=lambda: listed(project),
        make=lambda new: _made(project, new),
        remove=lambda key_id: delete(project, key_id),
    )


def _made(project: Project, key: DeployKey) -> DeployKey:
    return _shown(project.keys.create({"title": key.title, "key": key.key, "can_push": not key.read_only}))


def delete(project: Project, key_id: str) -> None:
    """Take a deploy key from the project; that it is gone already is fine."""
    try:
        project.keys.delete(int(key_id))
    except RestError as error:
        if error.status != 404:
            raise
