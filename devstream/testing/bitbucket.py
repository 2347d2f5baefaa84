"""`BitbucketCloudStandIn`: keeps repositories, pull requests, webhooks and Pipelines variables as bitbucket.org does.

That of Data Center, another service altogether, is in `devstream.testing.bitbucket_server`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from devstream.testing.bitbucket_keys import CloudKeys
from devstream.testing.bitbucket_repositories import REPO, CloudRepository, refusal
from devstream.testing.service import Request, Response, route

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BitbucketCloudStandIn"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EVENT = re.compile(r"(repo|pullrequest|issue|project):[a-z_]+")
_STATES = ("OPEN", "MERGED", "DECLINED", "SUPERSEDED")


class BitbucketCloudStandIn(CloudKeys):
    """A bitbucket.org; see `CloudRepositories` for what it is made of."""

    # ---- webhooks

    @route("GET", f"{REPO}/hooks")
    def hooks(self, request: Request) -> Response:
        """List webhooks; the secret is not shown."""
        return self.with_repository(request, lambda found: self.paged(request, list(found.hooks.values())))

    @route("POST", f"{REPO}/hooks")
    def make_hook(self, request: Request) -> Response:
        """Make a webhook."""
        return self.with_repository(
            request, lambda found: self._put_hook(found, f"{{{uuid4()}}}", request.json)
        )

    @route("PUT", f"{REPO}/hooks/{{uid}}")
    def edit_hook(self, request: Request) -> Response:
        """Change a webhook."""

        def change(found: CloudRepository) -> Response:
            uid = request.values["uid"]
            return (
                self._put_hook(found, uid, request.json)
                if uid in found.hooks
                else refusal(404, "No such hook")
            )

        return self.with_repository(request, change)

    def _put_hook(self, found: CloudRepository, uid: str, wanted: dict[str, Any]) -> Response:
        events = wanted.get("events") or []
        if not str(wanted.get("url", "")).startswith(("http://", "https://")):
            return refusal(400, "url: Enter a valid URL.")
        if not events or not all(_EVENT.fullmatch(event) for event in events):
            return refusal(400, "events: Select a valid choice.")
        if "secret" in wanted:
            found.hook_secrets[uid] = wanted["secret"]
        there = uid in found.hooks
        found.hooks[uid] = {
            "type": "webhook_subscription",
            "uuid": uid,
            "url": wanted["url"],
            "description": wanted.get("description", ""),
            "active": wanted.get("active", False),
            "events": events,
            "secret_set": uid in found.hook_secrets,
        }
        return Response(200 if there else 201, found.hooks[uid])

    @route("DELETE", f"{REPO}/hooks/{{uid}}")
    def delete_hook(self, request: Request) -> Response:
        """Remove a webhook."""

        def remove(found: CloudRepository) -> Response:
            gone = found.hooks.pop(request.values["uid"], None)
            return Response(204) if gone else refusal(404, "No such hook")

        return self.with_repository(request, remove)

    # ---- pull requests

    @route("GET", f"{REPO}/pullrequests")
    def pulls(self, request: Request) -> Response:
        """List pull requests: the open ones, unless states are asked for."""

        def kept(found: CloudRepository) -> Response:
            states = request.repeated.get("state", ("OPEN",))
            if not set(states) <= set(_STATES):
                return refusal(400, "state: not a valid choice")
            query = re.fullmatch(r'source\.branch\.name = "([^"]*)"', request.query.get("q", ""))
            if "q" in request.query and query is None:
                return refusal(400, "q: invalid query")
            listed = [
                pull
                for pull in reversed(found.pulls)
                if pull["state"] in states and (query is None or pull["source"]["branch"]["name"] == query[1])
            ]
            return self.paged(request, listed, most=50)

        return self.with_repository(request, kept)

    @route("POST", f"{REPO}/pullrequests")
    def make_pull(self, request: Request) -> Response:
        """Open a pull request."""
        return self.with_repository(request, lambda found: self._make_pull(found, request.json))

    def _make_pull(self, found: CloudRepository, wanted: dict[str, Any]) -> Response:
        source, target = (
            wanted.get(side, {}).get("branch", {}).get("name") for side in ("source", "destination")
        )
        target = target or self.main_branch(found)
        branches = found.git.branches()
        if not wanted.get("title"):
            return refusal(400, "title: This field is required.")
        if source not in branches or target not in branches:
            return refusal(400, "source: branch not found")
        if found.git.has(target, source):
            return refusal(400, "There are no changes to be pulled")
        if any(
            pull["state"] == "OPEN" and pull["source"]["branch"]["name"] == source for pull in found.pulls
        ):
            return refusal(409, "There is already an open pull request for these branches")
        number, repository = len(found.pulls) + 1, {"uuid": found.uuid}
        pull = {
            "type": "pullrequest",
            "id": number,
            "title": wanted["title"],
            "description": wanted.get("description", ""),
            "state": "OPEN",
            "source": {"branch": {"name": source}, "repository": repository},
            "destination": {"branch": {"name": target}, "repository": repository},
            "links": {"html": {"href": f"{self.url}/{found.full_name}/pull-requests/{number}"}},
        }
        found.pulls.append(pull)
        return Response(201, pull)

    @route("GET", f"{REPO}/pullrequests/{{id}}")
    def pull(self, request: Request) -> Response:
        """Show a pull request."""

        def show(found: CloudRepository) -> Response:
            pull = _numbered(found.pulls, request.values["id"])
            return Response(200, pull) if pull else refusal(404, "No such pull request")

        return self.with_repository(request, show)

    @route("POST", f"{REPO}/pullrequests/{{id}}/merge")
    def merge(self, request: Request) -> Response:
        """Merge a pull request."""

        def merge(found: CloudRepository) -> Response:
            pull = _numbered(found.pulls, request.values["id"])
            if pull is None:
                return refusal(404, "No such pull request")
            if pull["state"] != "OPEN":
                return refusal(400, "This pull request is already closed.")
            if (request.json or {}).get("merge_strategy", "merge_commit") != "merge_commit":
                return refusal(400, "merge_strategy: not a valid choice")
            if not found.git.merge(pull["destination"]["branch"]["name"], pull["source"]["branch"]["name"]):
                return refusal(409, "There are conflicts")
            pull["state"] = "MERGED"
            return Response(200, pull)

        return self.with_repository(request, merge)

    @route("POST", f"{REPO}/pullrequests/{{id}}/decline")
    def decline(self, request: Request) -> Response:
        """Decline a pull request."""

        def decline(found: CloudRepository) -> Response:
            pull = _numbered(found.pulls, request.values["id"])
            if pull is None:
                return refusal(404, "No such pull request")
            if pull["state"] != "OPEN":
                return refusal(400, "This pull request is already closed.")
            pull["state"] = "DECLINED"
            return Response(200, pull)

        return self.with_repository(request, decline)

    # ---- Pipelines

    @route("GET", f"{REPO}/pipelines_config")
    def pipelines(self, request: Request) -> Response:
        """Say whether Pipelines are enabled; nothing is known where they never were."""

        def show(found: CloudRepository) -> Response:
            if found.pipelines is None:
                return refusal(404, "Not found")
            return Response(200, {"type": "repository_pipelines_configuration", "enabled": found.pipelines})

        return self.with_repository(request, show)

    @route("PUT", f"{REPO}/pipelines_config")
    def enable(self, request: Request) -> Response:
        """Enable Pipelines."""

        def enable(found: CloudRepository) -> Response:
            found.pipelines = bool(request.json["enabled"])
            return Response(200, {"type": "repository_pipelines_configuration", "enabled": found.pipelines})

        return self.with_repository(request, enable)

    def _variables(self, request: Request, answer: Callable[[CloudRepository], Response]) -> Response:
        return self.with_repository(
            request, lambda found: answer(found) if found.pipelines else refusal(404, "Not found")
        )

    @route("GET", f"{REPO}/pipelines_config/variables")
    def variables(self, request: Request) -> Response:
        """List variables; the value of a secured one is not shown."""

        def shown(found: CloudRepository) -> Response:
            hidden = [
                {name: value for name, value in kept.items() if name != "value" or not kept["secured"]}
                for kept in found.variables.values()
            ]
            return self.paged(request, hidden)

        return self._variables(request, shown)

    @route("POST", f"{REPO}/pipelines_config/variables")
    def make_variable(self, request: Request) -> Response:
        """Make a variable."""

        def make(found: CloudRepository) -> Response:
            wanted = request.json
            if any(kept["key"] == wanted.get("key") for kept in found.variables.values()):
                return refusal(409, "A variable with this key already exists")
            if not _VARIABLE.fullmatch(wanted.get("key", "")) or not isinstance(wanted.get("value"), str):
                return refusal(400, "key: Invalid variable name")
            uuid = f"{{{uuid4()}}}"
            secured = bool(wanted.get("secured", False))
            made = {"type": "pipeline_variable", "uuid": uuid, **wanted, "secured": secured}
            found.variables[uuid] = made
            return Response(201, made)

        return self._variables(request, make)

    @route("PUT", f"{REPO}/pipelines_config/variables/{{uuid}}")
    def edit_variable(self, request: Request) -> Response:
        """Change a variable's value; whether it is secured stays."""

        def change(found: CloudRepository) -> Response:
            kept = found.variables.get(request.values["uuid"])
            if kept is None:
                return refusal(404, "Not found")
            if request.json.get("secured", kept["secured"]) != kept["secured"]:
                return refusal(400, "secured: cannot be changed")
            kept["value"] = request.json["value"]
            return Response(200, kept)

        return self._variables(request, change)

    @route("DELETE", f"{REPO}/pipelines_config/variables/{{uuid}}")
    def delete_variable(self, request: Request) -> Response:
        """Remove a variable."""

        def remove(found: CloudRepository) -> Response:
            gone = found.variables.pop(request.values["uuid"], None)
            return Response(204) if gone else refusal(404, "Not found")

        return self._variables(request, remove)


def _numbered(pulls: list[dict[str, Any]], number: str) -> dict[str, Any] | None:
    index = int(number) if number.isdecimal() else 0
    return pulls[index - 1] if 0 < index <= len(pulls) else None
