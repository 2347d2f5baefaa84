"""`BitbucketServerStandIn`: keeps repositories, pull requests, webhooks and labels as Bitbucket Data Center 8 does."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from devstream.testing.bitbucket_keys import ServerKeys
from devstream.testing.bitbucket_projects import HEADS, REPO, ServerRepository, refusal
from devstream.testing.service import Request, Response, route

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BitbucketServerStandIn"]

_LABEL = re.compile(r"[a-z0-9-]{1,50}")
_EVENTS = frozenset(
    (
        "repo:refs_changed",
        "repo:modified",
        "repo:forked",
        "pr:opened",
        "pr:from_ref_updated",
        "pr:merged",
        "pr:declined",
        "pr:deleted",
    )
)


class BitbucketServerStandIn(ServerKeys):
    """A Bitbucket Data Center; see `ServerRepositories` for what it is made of."""

    # ---- labels

    @route("GET", f"{REPO}/labels")
    def labels(self, request: Request) -> Response:
        """List labels."""
        return self.with_repository(
            request, lambda found: self.paged(request, [{"name": name} for name in found.labels])
        )

    @route("POST", f"{REPO}/labels")
    def add_label(self, request: Request) -> Response:
        """Add a label."""

        def add(found: ServerRepository) -> Response:
            name = request.json.get("name", "")
            if not _LABEL.fullmatch(name):
                return refusal(400, "The label is not valid.", "ArgumentValidation")
            if name not in found.labels:
                found.labels.append(name)
            return Response(200, {"name": name})

        return self.with_repository(request, add)

    @route("DELETE", f"{REPO}/labels/{{name}}")
    def delete_label(self, request: Request) -> Response:
        """Remove a label."""

        def remove(found: ServerRepository) -> Response:
            if request.values["name"] not in found.labels:
                return refusal(404, "The label does not exist.", "label.NoSuchLabel")
            found.labels.remove(request.values["name"])
            return Response(204)

        return self.with_repository(request, remove)

    # ---- webhooks

    @route("GET", f"{REPO}/webhooks")
    def hooks(self, request: Request) -> Response:
        """List webhooks."""
        return self.with_repository(request, lambda found: self.paged(request, list(found.hooks.values())))

    @route("POST", f"{REPO}/webhooks")
    def make_hook(self, request: Request) -> Response:
        """Make a webhook."""
        self._number += 1
        return self.with_repository(request, lambda found: _put_hook(found, self._number, request.json))

    @route("PUT", f"{REPO}/webhooks/{{id}}")
    def edit_hook(self, request: Request) -> Response:
        """Change a webhook."""

        def change(found: ServerRepository) -> Response:
            number = int(request.values["id"])
            return _put_hook(found, number, request.json) if number in found.hooks else _no_hook()

        return self.with_repository(request, change)

    @route("DELETE", f"{REPO}/webhooks/{{id}}")
    def delete_hook(self, request: Request) -> Response:
        """Remove a webhook."""

        def remove(found: ServerRepository) -> Response:
            gone = found.hooks.pop(int(request.values["id"]), None)
            return Response(204) if gone else _no_hook()

        return self.with_repository(request, remove)

    # ---- pull requests

    @route("GET", f"{REPO}/pull-requests")
    def pulls(self, request: Request) -> Response:
        """List pull requests: the open ones that come in, unless others are asked for."""

        def kept(found: ServerRepository) -> Response:
            state, at = request.query.get("state", "OPEN"), request.query.get("at", "")
            side = "fromRef" if request.query.get("direction") == "OUTGOING" else "toRef"
            listed = [
                pull
                for pull in reversed(found.pulls)
                if state in ("ALL", pull["state"]) and at in ("", pull[side]["id"])
            ]
            return self.paged(request, listed)

        return self.with_repository(request, kept)

    @route("POST", f"{REPO}/pull-requests")
    def make_pull(self, request: Request) -> Response:
        """Open a pull request."""
        return self.with_repository(request, lambda found: self._make_pull(found, request.json))

    def _make_pull(self, found: ServerRepository, wanted: dict[str, Any]) -> Response:
        refs = [wanted.get(side, {}).get("id", "") for side in ("fromRef", "toRef")]
        names = [ref.removeprefix(HEADS) for ref in refs]
        if not wanted.get("title") or not all(
            wanted[side].get("repository") for side in ("fromRef", "toRef")
        ):
            return refusal(400, "title: Please enter a title.", "validation.ArgumentValidation")
        if not all(ref.startswith(HEADS) for ref in refs) or not set(names) <= set(found.git.branches()):
            return refusal(404, f"Ref {refs[0]} does not exist.", "commit.NoSuchCommit")
        if any(pull["state"] == "OPEN" and pull["fromRef"]["id"] == refs[0] for pull in found.pulls):
            return refusal(
                409, "Only one pull request may be open for a source and target.", "pull.DuplicatePullRequest"
            )
        if found.git.has(names[1], names[0]):
            return refusal(409, "There are no commits to merge.", "pull.EmptyPullRequest")
        number, page = len(found.pulls) + 1, self.shown(found)["links"]["self"][0]["href"]
        sides = [
            {
                "id": f"{HEADS}{name}",
                "displayId": name,
                "repository": {"id": found.number, "slug": found.slug},
            }
            for name in names
        ]
        pull = {
            "id": number,
            "version": 0,
            "title": wanted["title"],
            "description": wanted.get("description", ""),
            "state": "OPEN",
            "open": True,
            "fromRef": sides[0],
            "toRef": sides[1],
            "links": {"self": [{"href": f"{page.removesuffix('/browse')}/pull-requests/{number}"}]},
        }
        found.pulls.append(pull)
        return Response(201, pull)

    @route("GET", f"{REPO}/pull-requests/{{id}}")
    def pull(self, request: Request) -> Response:
        """Show a pull request."""
        return self._with_pull(request, lambda _, pull: Response(200, pull))

    @route("POST", f"{REPO}/pull-requests/{{id}}/merge")
    def merge(self, request: Request) -> Response:
        """Merge a pull request, in the version that the caller knows."""

        def merge(found: ServerRepository, pull: dict[str, Any]) -> Response:
            if request.query.get("version") != str(pull["version"]):
                return refusal(409, "The pull request is out-of-date.", "pull.PullRequestOutOfDate")
            if pull["state"] != "OPEN":
                return refusal(409, "This pull request has been closed.", "pull.IllegalPullRequestState")
            if not found.git.merge(pull["toRef"]["displayId"], pull["fromRef"]["displayId"]):
                return refusal(409, "The pull request has conflicts.", "pull.PullRequestMergeVetoed")
            pull.update(state="MERGED", open=False, version=pull["version"] + 1)
            return Response(200, pull)

        return self._with_pull(request, merge)

    @route("POST", f"{REPO}/pull-requests/{{id}}/decline")
    def decline(self, request: Request) -> Response:
        """Decline a pull request, in the version that the caller knows."""

        def decline(_: ServerRepository, pull: dict[str, Any]) -> Response:
            if request.query.get("version") != str(pull["version"]):
                return refusal(409, "The pull request is out-of-date.", "pull.PullRequestOutOfDate")
            if pull["state"] != "OPEN":
                return refusal(409, "This pull request has been closed.", "pull.IllegalPullRequestState")
            pull.update(state="DECLINED", open=False, version=pull["version"] + 1)
            return Response(200, pull)

        return self._with_pull(request, decline)

    def _with_pull(
        self, request: Request, answer: Callable[[ServerRepository, dict[str, Any]], Response]
    ) -> Response:
        def chosen(found: ServerRepository) -> Response:
            number = int(request.values["id"])
            if not 0 < number <= len(found.pulls):
                return refusal(404, f"Pull request {number} does not exist.", "pull.NoSuchPullRequest")
            return answer(found, found.pulls[number - 1])

        return self.with_repository(request, chosen)


def _put_hook(found: ServerRepository, number: int, wanted: dict[str, Any]) -> Response:
    events = set(wanted.get("events") or ())
    if not wanted.get("name") or not wanted.get("url") or not events or not events <= _EVENTS:
        return refusal(400, "The name, the url and known events are wanted.", "validation.ArgumentValidation")
    found.hooks[number] = {
        "id": number,
        "name": wanted["name"],
        "url": wanted["url"],
        "active": wanted.get("active", False),
        "events": sorted(events),
        "configuration": wanted.get("configuration", {}),
    }
    return Response(200, found.hooks[number])


def _no_hook() -> Response:
    return refusal(404, "The webhook does not exist.", "webhook.NoSuchWebhook")
