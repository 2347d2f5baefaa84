"""The webhook by which a repository tells a CI system of pushes. It is marked, and found again by that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream_plugin_scm.bitbucket import is_cloud
from devstream_plugin_scm.hosting import Webhook, is_our_webhook, webhook_url

if TYPE_CHECKING:
    from devstream_plugin_scm.ci_options import CiWebhook
    from devstream_plugin_scm.hosting import Hosting
    from devstream_plugin_scm.repository import TargetRepo

__all__ = ["RepositoryWebhook"]

_EVENTS = {
    "github": ("pull_request", "push"),
    "gitea": ("pull_request", "push"),
    "gitlab": ("merge_requests", "push"),
}
_CLOUD_EVENTS = ("pullrequest:created", "pullrequest:updated", "repo:push")
_DATA_CENTER_EVENTS = ("pr:from_ref_updated", "pr:opened", "repo:refs_changed")


class RepositoryWebhook:
    """The webhook of one tool instance.

    Args:
        wanted: what it is to be; None where only what was recorded is to go.
        address: the tool's, by which it is marked.
    """

    def __init__(self, hosting: Hosting, wanted: CiWebhook | None, repo: TargetRepo, address: str) -> None:
        self._hosting = hosting
        self._wanted = wanted
        self._repo = repo
        self._address = address

    def look(self, location: str) -> dict[str, Any] | None:
        """Give what is compared; None where there is none of ours."""
        ours = self._ours(location)
        if not ours:
            return None
        shown = {"url": ours[0].url, "events": sorted(ours[0].events), "active": ours[0].active}
        return {**shown, "copies": len(ours)} if len(ours) > 1 else shown

    def put(self, location: str) -> str:
        """Make it, or bring it in line; one is enough, and none where none is wanted. Give its id."""
        ours, made = self._ours(location), ""
        if self._wanted is not None:
            url = webhook_url(self._wanted.url, self._address)
            hook = Webhook(url, tuple(self._wanted.events) or self._events(), ours[0].id if ours else "")
            made = self._hosting.put_webhook(location, hook, self._wanted.secret).id
            ours = ours[1:]
        for more in ours:
            self._hosting.delete_webhook(location, more.id)
        return made

    def remove(self, location: str) -> None:
        """Remove it; that it is gone already is fine."""
        for hook in self._ours(location):
            self._hosting.delete_webhook(location, hook.id)

    def _ours(self, location: str) -> list[Webhook]:
        return [hook for hook in self._hosting.webhooks(location) if is_our_webhook(hook, self._address)]

    def _events(self) -> tuple[str, ...]:
        if self._repo.scm_type != "bitbucket":
            return _EVENTS[self._repo.scm_type]
        return _CLOUD_EVENTS if is_cloud(self._repo) else _DATA_CENTER_EVENTS
