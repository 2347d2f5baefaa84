"""`JobWebhook`: the webhook by which a repository tells Jenkins of pushes. It is marked, and found again by that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from devstream_plugin_jenkins.options import MULTIBRANCH
from devstream_plugin_scm.bitbucket import CLOUD
from devstream_plugin_scm.hosting import Webhook, is_our_webhook, webhook_url
from devstream_plugin_scm.places import place_of

if TYPE_CHECKING:
    from devstream.api import Context, Secret
    from devstream_plugin_jenkins.options import JenkinsOptions
    from devstream_plugin_scm.hosting import Hosting

__all__ = ["JobWebhook", "takes_webhooks"]

_EVENTS = {
    "github": ("pull_request", "push"),
    "gitea": ("create", "delete", "pull_request", "push"),
    "gitlab": ("merge_requests", "push", "tag_push"),
}
_CLOUD_EVENTS = (
    "pullrequest:created",
    "pullrequest:fulfilled",
    "pullrequest:rejected",
    "pullrequest:updated",
    "repo:push",
)
_DATA_CENTER_EVENTS = (
    "pr:declined",
    "pr:deleted",
    "pr:from_ref_updated",
    "pr:merged",
    "pr:opened",
    "repo:refs_changed",
)
_PATHS = {
    "github": "github-webhook/",
    "gitea": "gitea-webhook/post",
    "bitbucket": "bitbucket-scmsource-hook/notify",
}


def takes_webhooks(options: JenkinsOptions) -> bool:
    """Tell whether a plugin of Jenkins takes the forge's webhook for such a job."""
    kind = options.scm.scm_type
    if not options.jenkins.webhook:
        return False
    if options.kind == MULTIBRANCH:
        return kind in _PATHS or (kind == "gitlab" and bool(options.jenkins.gitlab_server))
    return kind in {"github", "gitlab"}


class JobWebhook:
    """The webhook of one tool instance."""

    def __init__(self, hosting: Hosting, options: JenkinsOptions, context: Context) -> None:
        self._hosting = hosting
        self._options = options
        self._address = str(context.address)

    def _wanted(self) -> Webhook:
        server, repo = self._options.jenkins, self._options.scm
        if repo.scm_type == "gitlab":
            multi = self._options.kind == MULTIBRANCH
            path = "gitlab-webhook/post" if multi else f"project/{quote(self._options.job)}"
        else:
            path = _PATHS[repo.scm_type]
        url = f"{(server.public_url or server.url).rstrip('/')}/{path}"
        return Webhook(webhook_url(url, self._address), self._events())

    def _events(self) -> tuple[str, ...]:
        repo = self._options.scm
        if repo.scm_type != "bitbucket":
            return _EVENTS[repo.scm_type]
        return _CLOUD_EVENTS if place_of(repo, f"https://{CLOUD}").host == CLOUD else _DATA_CENTER_EVENTS

    def look(self, location: str) -> dict[str, Any] | None:
        """Give what is compared; None where there is none of ours."""
        ours = self._ours(location)
        if not ours:
            return None
        wanted = self._wanted()
        found = next((hook for hook in ours if hook.url == wanted.url), ours[0])
        return _shown(found) if len(ours) == 1 else {**_shown(found), "copies": len(ours)}

    def _ours(self, location: str) -> list[Webhook]:
        return [hook for hook in self._hosting.webhooks(location) if is_our_webhook(hook, self._address)]

    def put(self, location: str, secret: Secret | None) -> dict[str, Any]:
        """Make it, or bring it in line; one is enough."""
        ours, wanted = self._ours(location), self._wanted()
        self._hosting.put_webhook(location, wanted._replace(id=ours[0].id) if ours else wanted, secret)
        for more in ours[1:]:
            self._hosting.delete_webhook(location, more.id)
        return _shown(wanted)

    def remove(self, location: str) -> None:
        """Remove it; that it is gone already is fine."""
        for hook in self._ours(location):
            self._hosting.delete_webhook(location, hook.id)


def _shown(hook: Webhook) -> dict[str, Any]:
    return {"url": hook.url, "events": sorted(hook.events), "active": hook.active}
