"""CI/CD variables of a GitLab project: secret ones are protected, and masked where GitLab can; they share one list.

GitLab cannot mask every value. So what is masked, hidden or protected counts as a secret, and the rest as plain: a
secret that is too short to be masked is never shown as a plain variable.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from devstream_plugin_scm.rest import RestError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gitlab.v4.objects import Project, ProjectVariable

    from devstream.api import Log

__all__ = ["secret_names", "plain_values", "put_secret", "put_plain", "delete"]

_EVERYWHERE = "*"
"""The environments that our variables are for; those of people for single environments are left alone."""
_MASKABLE = re.compile(r"\S{8,}")
_RULE = "GitLab masks values of 8 characters and more without blanks and line breaks"


def secret_names(project: Project) -> frozenset[str]:
    """List the names of the secret ones."""
    return frozenset(variable.key for variable in _listed(project) if _is_secret(variable))


def plain_values(project: Project) -> dict[str, str]:
    """Give the others with their values."""
    return {variable.key: variable.value for variable in _listed(project) if not _is_secret(variable)}


def put_secret(project: Project, name: str, value: str, log: Log) -> None:
    """Set a secret one; say so where its value cannot be masked."""
    masked = _MASKABLE.fullmatch(value) is not None
    wanted = {"value": value, "protected": True, "masked": masked}
    try:
        _put(project, name, wanted)
    except RestError as error:
        # Older GitLabs mask fewer characters. It is the value that they refuse, by name.
        if error.status != 400 or not masked or "value" not in str(error):
            raise
        masked = False
        _put(project, name, {**wanted, "masked": False})
    if not masked:
        log.warning(f"the secret variable {name} will be shown in job logs if a job prints it: {_RULE}")


def put_plain(project: Project, name: str, value: str) -> None:
    """Set one that is not secret."""
    _put(project, name, {"value": value, "protected": False, "masked": False})


def delete(project: Project, name: str, *, secret: bool) -> None:
    """Remove one, if it is of the kind; that it is gone already is fine."""
    if not any(variable.key == name and _is_secret(variable) == secret for variable in _listed(project)):
        return
    try:
        project.variables.delete(name, filter={"environment_scope": _EVERYWHERE})
    except RestError as error:
        if error.status != 404:
            raise


def _listed(project: Project) -> Iterator[ProjectVariable]:
    for variable in project.variables.list(get_all=True):
        if variable.attributes.get("environment_scope", _EVERYWHERE) == _EVERYWHERE:
            yield variable


def _is_secret(variable: ProjectVariable) -> bool:
    return any(variable.attributes.get(kind) for kind in ("masked", "hidden", "protected"))


def _put(project: Project, name: str, wanted: dict[str, Any]) -> None:
    """Make or change one. Values are ``raw``: a password may hold a dollar sign."""
    wanted = {**wanted, "raw": True, "variable_type": "env_var"}
    if any(variable.key == name for variable in _listed(project)):
        project.variables.update(name, {"key": name, **wanted}, filter={"environment_scope": _EVERYWHERE})
        return
    try:
        project.variables.create({"key": name, "environment_scope": _EVERYWHERE, **wanted})
    except RestError as error:
        if not error.unsettled or all(variable.key != name for variable in _listed(project)):
            raise
