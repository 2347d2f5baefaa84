"""What GitLab's stand-in keeps in a project: merge requests, webhooks, CI/CD variables."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from devstream.testing.service import Request, Response, route

__all__ = ["GitLabParts", "GitLabProject", "Refused", "given", "required", "API", "PROTECT"]

API = "/api/v4"
_PROJECT = f"{API}/projects/{{id}}"
_KEY = re.compile(r"[a-zA-Z0-9_]{1,255}")
_MASKABLE = re.compile(r"[a-zA-Z0-9_+=/@:.~-]{8,}")
_MASKABLE_RAW = re.compile(r"\S{8,}")
_LOCAL = re.compile(r"(localhost|127\.|10\.|192\.168\.|169\.254\.|\[?::1)")
_EVENTS = (
    *("confidential_issues", "confidential_note", "deployment", "emoji", "feature_flag", "issues", "job"),
    *("merge_requests", "milestone", "note", "pipeline", "push", "releases", "repository_update"),
    *("resource_access_token", "tag_push", "wiki_page"),
)
PROTECT = """#!/bin/sh
while read -r old new ref; do
  for branch in {branches}; do
    if [ "$ref" = "refs/heads/$branch" ]; then
      echo "GitLab: You are not allowed to push code to protected branches on this project." >&2
      exit 1
    fi
  done
done
"""
"""A pre-receive hook that says what GitLab says."""


@dataclass
class GitLabProject:
    """What the stand-in knows of a project; the rest is in its bare repository.

    Attributes:
        keys: the ids of its deploy keys, and which of them may push.
        checks: how often the mergeability of a new merge request is still unknown when it is looked at.
    """

    id: int
    namespace: str
    path: str
    name: str
    description: str
    visibility: str
    default_branch: str | None = None
    topics: list[str] = field(default_factory=list)
    hooks: dict[int, dict[str, Any]] = field(default_factory=dict)
    hook_tokens: dict[int, str] = field(default_factory=dict)
    variables: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    marked: str | None = None
    archived: bool = False
    checks: int = 1
    keys: dict[int, bool] = field(default_factory=dict)

    @property
    def full_path(self) -> str:
        """Namespace and path."""
        return f"{self.namespace}/{self.path}"


class Refused(Exception):
    """Ends a request with a refusal: GitLab's ``message``, or the ``error`` of its parameter checks."""

    def __init__(
        self,
        status: int,
        message: Any = None,
        *,
        error: str = "",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message or error)
        shown = {"error": error} if error else {"message": message}
        self.response = Response(status, body if body is not None else shown, headers or {})


def given(request: Request) -> dict[str, Any]:
    """Give what was sent as JSON.

    Raises:
        Refused: it is no JSON.
    """
    if request.body and request.headers.get("content-type") != "application/json":
        raise Refused(415, error="The provided content-type is not supported.")
    return dict(request.json or {})


def required(request: Request, *names: str) -> dict[str, Any]:
    """Give what was sent; every name has to be in it."""
    wanted = given(request)
    missing = [name for name in names if wanted.get(name) is None]
    if missing:
        raise Refused(400, error=", ".join(f"{name} is missing" for name in missing))
    return wanted


class GitLabParts:
    """The routes of what is in a project.

    Attributes:
        obstacles: what stands in the way of merging, by the number of a merge request: ``not_approved``.
        raw_masks: secrets that are not expanded may hold more characters and be masked, as since GitLab 15.
    """

    url: str
    page: int
    obstacles: dict[int, str]
    raw_masks: bool

    def __init__(self, **kept: Any) -> None:
        super().__init__(**kept)
        self.obstacles = {}
        self.raw_masks = True
        self._hook_number = 0

    def find(self, request: Request) -> GitLabProject:
        """Give the project that a request is about."""
        raise NotImplementedError

    def paged(self, request: Request, items: list[Any]) -> Response:
        """Give a page of a list, with GitLab's headers."""
        size = min(int(request.query.get("per_page", 20)), self.page, 100)
        page = int(request.query.get("page", 1))
        pages = max(1, -(-len(items) // size))
        headers = {
            "X-Page": str(page),
            "X-Per-Page": str(size),
            "X-Total": str(len(items)),
            "X-Total-Pages": str(pages),
            "X-Prev-Page": str(page - 1) if page > 1 else "",
            "X-Next-Page": str(page + 1) if page < pages else "",
        }
        if page < pages:
            query = urlencode({**request.query, "page": page + 1, "per_page": size})
            headers["Link"] = f'<{self.url}{request.path}?{query}>; rel="next"'
        return Response(200, items[(page - 1) * size : page * size], headers)

    def branches(self, project: GitLabProject) -> dict[str, str]:
        """Give the branches of a project."""
        raise NotImplementedError

    def git(self, project: GitLabProject, *arguments: str, text: str = "") -> str:
        """Run git in a project's repository."""
        raise NotImplementedError

    # ---- merge requests

    @route("GET", f"{_PROJECT}/merge_requests")
    def list_requests(self, request: Request) -> Response:
        """List merge requests, newest first."""
        state = request.query.get("state", "all")
        filters = {
            name: request.query[name] for name in ("source_branch", "target_branch") if name in request.query
        }
        kept = [
            _public(one)
            for one in reversed(self.find(request).requests)
            if state in ("all", one["state"]) and filters.items() <= one.items()
        ]
        return self.paged(request, kept)

    @route("POST", f"{_PROJECT}/merge_requests")
    def make_request(self, request: Request) -> Response:
        """Open a merge request."""
        project, wanted = self.find(request), required(request, "source_branch", "target_branch", "title")
        source, target = wanted["source_branch"], wanted["target_branch"]
        self._check_request(project, source, target, wanted["title"])
        number = len(project.requests) + 1
        made = {
            "id": 1000 + number,
            "iid": number,
            "project_id": project.id,
            "source_project_id": project.id,
            "state": "opened",
            "title": wanted["title"],
            "description": wanted.get("description"),
            "source_branch": source,
            "target_branch": target,
            "force_remove_source_branch": bool(wanted.get("remove_source_branch")),
            "web_url": f"{self.url}/{project.full_path}/-/merge_requests/{number}",
            "checks": project.checks,
        }
        project.requests.append(made)
        return Response(201, {**_public(made), "detailed_merge_status": "preparing"})

    def _check_request(self, project: GitLabProject, source: str, target: str, title: str) -> None:
        branches = self.branches(project)
        for kind, branch in (("Source", source), ("Target", target)):
            if branch not in branches:
                raise Refused(422, [f'{kind} branch "{branch}" does not exist'])
        if source == target:
            raise Refused(422, ["You can't use same project/branch for source and target"])
        if len(title) > 255:
            raise Refused(400, {"title": ["is too long (maximum is 255 characters)"]})
        pair = {"state": "opened", "source_branch": source, "target_branch": target}
        for one in project.requests:
            if pair.items() <= one.items():
                text = f"Another open merge request already exists for this source branch: !{one['iid']}"
                raise Refused(409, [text])

    @route("GET", f"{_PROJECT}/merge_requests/{{iid}}")
    def show_request(self, request: Request) -> Response:
        """Show a merge request; whether it can be merged is found out after it was looked at."""
        project = self.find(request)
        found = self._request(project, request)
        shown = {**_public(found), "detailed_merge_status": self._status(project, found)}
        found["checks"] = max(0, found["checks"] - 1)
        return Response(200, shown)

    def _request(self, project: GitLabProject, request: Request) -> dict[str, Any]:
        number = int(request.values["iid"])
        if not 0 < number <= len(project.requests):
            raise Refused(404, "404 Not found")
        return project.requests[number - 1]

    def _status(self, project: GitLabProject, found: dict[str, Any]) -> str:
        if found["state"] != "opened":
            return "not_open"
        if found["checks"]:
            return "checking"
        if found["iid"] in self.obstacles:
            return self.obstacles[found["iid"]]
        return "mergeable" if self._merged_tree(project, found) else "conflict"

    def _merged_tree(self, project: GitLabProject, found: dict[str, Any]) -> str:
        try:
            merged = self.git(
                project, "merge-tree", "--write-tree", found["target_branch"], found["source_branch"]
            )
        except subprocess.CalledProcessError:
            return ""
        return merged.partition("\n")[0]

    @route("PUT", f"{_PROJECT}/merge_requests/{{iid}}")
    def edit_request(self, request: Request) -> Response:
        """Close a merge request; one that is merged stays so."""
        found = self._request(self.find(request), request)
        if required(request, "state_event")["state_event"] == "close" and found["state"] == "opened":
            found["state"] = "closed"
        return Response(200, _public(found))

    @route("PUT", f"{_PROJECT}/merge_requests/{{iid}}/merge")
    def merge(self, request: Request) -> Response:
        """Merge with a merge commit."""
        project = self.find(request)
        found = self._request(project, request)
        status = self._status(project, found)
        if status == "conflict":
            raise Refused(422, "Branch cannot be merged")
        if status != "mergeable":
            raise Refused(405, "405 Method Not Allowed")
        base, head = found["target_branch"], found["source_branch"]
        tree = self._merged_tree(project, found)
        commit = self.git(
            project, "commit-tree", tree, "-p", base, "-p", head, "-m", f"Merge branch '{head}'"
        )
        self.git(project, "update-ref", f"refs/heads/{base}", commit)
        if found["force_remove_source_branch"]:
            self.git(project, "update-ref", "-d", f"refs/heads/{head}")
        found.update(state="merged", merge_commit_sha=commit)
        return Response(200, _public(found))

    # ---- webhooks

    @route("GET", f"{_PROJECT}/hooks")
    def list_hooks(self, request: Request) -> Response:
        """List webhooks; the token is not shown."""
        return self.paged(request, list(self.find(request).hooks.values()))

    @route("POST", f"{_PROJECT}/hooks")
    def make_hook(self, request: Request) -> Response:
        """Make a webhook; without a word of it, it is for pushes."""
        project, wanted = self.find(request), _switches(required(request, "url"))
        self._hook_number += 1
        made = {
            "id": self._hook_number,
            "project_id": project.id,
            "url": wanted["url"],
            "alert_status": "executable",
        }
        made |= {f"{event}_events": event == "push" for event in _EVENTS}
        project.hooks[self._hook_number] = made
        return self._changed_hook(project, made, wanted, 201)

    @route("PUT", f"{_PROJECT}/hooks/{{hook}}")
    def edit_hook(self, request: Request) -> Response:
        """Change a webhook; switches that are not named stay."""
        project = self.find(request)
        hook = self._hook(project, request)
        return self._changed_hook(project, hook, _switches(required(request, "url")), 200)

    def _changed_hook(
        self, project: GitLabProject, hook: dict[str, Any], wanted: dict[str, Any], status: int
    ) -> Response:
        if "token" in wanted:
            project.hook_tokens[hook["id"]] = wanted["token"]
        known = {*hook, "enable_ssl_verification"} - {"id", "project_id", "alert_status"}
        hook.update({name: value for name, value in wanted.items() if name in known})
        return Response(status, hook)

    def _hook(self, project: GitLabProject, request: Request) -> dict[str, Any]:
        found = project.hooks.get(int(request.values["hook"]))
        if found is None:
            raise Refused(404, "404 Not found")
        return found

    @route("DELETE", f"{_PROJECT}/hooks/{{hook}}")
    def delete_hook(self, request: Request) -> Response:
        """Remove a webhook."""
        project = self.find(request)
        del project.hooks[self._hook(project, request)["id"]]
        return Response(204)

    # ---- CI/CD variables

    @route("GET", f"{_PROJECT}/variables")
    def list_variables(self, request: Request) -> Response:
        """List variables; the value of a hidden one is not shown."""
        found = self.find(request).variables
        return self.paged(request, [{**one, "value": None} if one["hidden"] else one for one in found])

    @route("POST", f"{_PROJECT}/variables")
    def make_variable(self, request: Request) -> Response:
        """Make a variable."""
        project, wanted = self.find(request), required(request, "key", "value")
        made = {
            "variable_type": "env_var",
            "protected": False,
            "masked": False,
            "hidden": False,
            "raw": False,
            "environment_scope": "*",
            **wanted,
        }
        if not _KEY.fullmatch(made["key"]):
            raise Refused(400, {"key": ["can contain only letters, digits and '_'."]})
        self._check_value(made)
        pair = (made["key"], made["environment_scope"])
        if any((one["key"], one["environment_scope"]) == pair for one in project.variables):
            raise Refused(400, {"key": [f"({made['key']}) has already been taken"]})
        project.variables.append(made)
        return Response(201, made)

    def _check_value(self, variable: dict[str, Any]) -> None:
        if len(variable["value"]) > 10_000:
            raise Refused(400, {"value": ["is too long (maximum is 10000 characters)"]})
        rule = _MASKABLE_RAW if variable["raw"] and self.raw_masks else _MASKABLE
        if variable["masked"] and not rule.fullmatch(variable["value"]):
            raise Refused(400, {"value": ["is invalid"]})

    @route("PUT", f"{_PROJECT}/variables/{{key}}")
    def edit_variable(self, request: Request) -> Response:
        """Change a variable."""
        found, wanted = self._variable(request), given(request)
        self._check_value({**found, **wanted})
        found.update(wanted)
        return Response(200, found)

    @route("DELETE", f"{_PROJECT}/variables/{{key}}")
    def delete_variable(self, request: Request) -> Response:
        """Remove a variable."""
        self.find(request).variables.remove(self._variable(request))
        return Response(204)

    def _variable(self, request: Request) -> dict[str, Any]:
        scope = request.query.get("filter[environment_scope]")
        found = [
            one
            for one in self.find(request).variables
            if one["key"] == request.values["key"] and scope in (None, one["environment_scope"])
        ]
        if not found:
            raise Refused(404, "404 Variable Not Found")
        if len(found) > 1:
            text = "There are multiple variables with provided parameters. Please use 'filter[environment_scope]'"
            raise Refused(409, text)
        return found[0]


def _public(request: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in request.items() if name != "checks"}


def _switches(wanted: dict[str, Any]) -> dict[str, Any]:
    for name, value in wanted.items():
        if name.endswith("_events") and not isinstance(value, bool):
            raise Refused(400, error=f"{name} is invalid")
    parts = urlsplit(wanted["url"])
    if parts.scheme not in ("http", "https") or not parts.hostname or _LOCAL.match(parts.hostname):
        raise Refused(422, "Invalid url given")
    return wanted
