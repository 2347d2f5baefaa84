"""Webhooks of a GitLab project. Its events are switches: ``push`` here is its ``push_events``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.api import OperationError, nearest
from devstream_plugin_scm.hosting import Webhook
from devstream_plugin_scm.rest import RestError

if TYPE_CHECKING:
    from gitlab.v4.objects import Project, ProjectHook

    from devstream.api import Secret

__all__ = ["EVENTS", "listed", "put", "delete"]

EVENTS = (
    "confidential_issues",
    "confidential_note",
    "deployment",
    "emoji",
    "feature_flag",
    "issues",
    "job",
    "merge_requests",
    "milestone",
    "note",
    "pipeline",
    "push",
    "releases",
    "resource_access_token",
    "tag_push",
    "wiki_page",
)
_SWITCH = "_events"
_WORKING = "executable"


def listed(project: Project) -> list[Webhook]:
    """List the webhooks."""
    return [_shown(hook) for hook in project.hooks.list(get_all=True)]


def _shown(hook: ProjectHook) -> Webhook:
    return Webhook(hook.url, tuple(sorted(_switched_on(hook))), str(hook.id), _works(hook))


def _switched_on(hook: ProjectHook) -> set[str]:
    return {
        name.removesuffix(_SWITCH)
        for name, value in hook.attributes.items()
        if name.endswith(_SWITCH) and value
    }


def _works(hook: ProjectHook) -> bool:
    """Tell whether GitLab still sends: it gives up on a webhook that fails again and again."""
    return bool(hook.attributes.get("alert_status", _WORKING) == _WORKING)


def put(project: Project, hook: Webhook, secret: Secret | None) -> Webhook:
    """Make a webhook or change one; one that GitLab has given up on is made anew.

    Raises:
        OperationError: GitLab has no such event, or the webhook is to be switched off, which it cannot be.
    """
    _check(hook)
    wanted = {"url": hook.url, "enable_ssl_verification": True, "push_events": False}
    wanted |= {f"{event}{_SWITCH}": True for event in hook.events}
    token = {"token": secret.reveal()} if secret is not None else {}
    there = _existing(project, hook)
    if there is not None and not _works(there):
        delete(project, str(there.id))
        there = None
    if there is None:
        return hook._replace(id=_made(project, {**wanted, **token}))
    off = {f"{event}{_SWITCH}": False for event in _switched_on(there)}
    project.hooks.update(there.id, {**off, **wanted, **token})
    return hook._replace(id=str(there.id))


def _check(hook: Webhook) -> None:
    for event in hook.events:
        if event not in EVENTS:
            message = f'GitLab has no webhook event "{event}"'
            raise OperationError(message, suggestion=nearest(event, EVENTS) or f"it has: {', '.join(EVENTS)}")
    if not hook.active:
        message = f"GitLab cannot switch the webhook {hook.url} off"
        raise OperationError(message, suggestion="remove it instead")


def _existing(project: Project, hook: Webhook) -> ProjectHook | None:
    """Give the webhook that is meant; GitLab would take a second one with the same URL."""
    hooks = project.hooks.list(get_all=True)
    by_id = next((one for one in hooks if str(one.id) == hook.id), None)
    return by_id or next((one for one in hooks if one.url == hook.url), None)


def _made(project: Project, wanted: dict[str, Any]) -> str:
    try:
        return str(project.hooks.create(wanted).id)
    except RestError as error:
        there = _existing(project, Webhook(wanted["url"], ())) if error.unsettled else None
        if there is None:
            raise
        return str(there.id)


def delete(project: Project, hook_id: str) -> None:
    """Remove a webhook; that it is gone already is fine."""
    try:
        project.hooks.delete(hook_id)
    except RestError as error:
        if error.status != 404:
            raise
