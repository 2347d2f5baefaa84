"""`BitbucketServerStandIn`: keeps repositories, pull requests, webhooks and labels as Bitbucket Data Center 8 does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devstream.testing.bare import BareRepository
from devstream.testing.service import Request, Response, Service, route

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["BitbucketServerStandIn", "ServerRepository"]

_REPOS = "/rest/api/1.0/projects/{key}/repos"
_REPO = f"{_REPOS}/{{slug}}"
_NAME = re.compile(r"[A-Za-z0-9][\w. -]{0,127}")
_LABEL = re.compile(r"[a-z0-9-]{1,50}")
_EVENTS = frozenset(
    (
        "repo:refs_changed",
        "repo:modified",
        "repo:forked",
        "pr:opened",
        "pr:merged",
        "pr:declined",
        "pr:deleted",
    )
)
_HEADS = "refs/heads/"


@dataclass
class ServerRepository:
    """What the stand-in knows of a repository; the rest is in its bare repository."""

    number: int
    key: str
    slug: str
    git: BareRepository
    public: bool
    description: str
    default_branch: str
    hooks: dict[int, dict[str, Any]] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)

    @property
    def place(self) -> tuple[str, str]:
        """Project and slug."""
        return self.key, self.slug


class BitbucketServerStandIn(Service):
    """A Data Center with projects, one user with an HTTP access token, and a token of a project.

    Args:
        git_root: an empty folder for the bare repositories.
        user: whom ``token`` belongs to; it is a password too, with the user's name.
        project_token: goes without any user's name, as a bearer's only.
        projects: keys of the projects that there are.
        page: the most items on a page.
        terse: takes nothing but the name of a new repository, as older ones do.
    """

    def __init__(
        self,
        git_root: Path,
        *,
        user: str = "someone",
        token: str = "data-center-token",  # noqa: S107 - a test's token
        project_token: str = "project-token",  # noqa: S107 - a test's token
        projects: tuple[str, ...] = ("ACME",),
        page: int = 1000,
        terse: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(git_root=git_root, tls=tls)
        self.user, self.token, self.project_token = user, token, project_token
        self.projects = (f"~{user}".upper(), *projects)
        self.page = page
        self.terse = terse
        self.repositories: dict[tuple[str, str], ServerRepository] = {}
        self._number = 0

    def protect(self, key: str, slug: str, *branches: str) -> None:
        """Let nobody push to branches."""
        says = f"Branch refs/heads/{branches[0]} can only be modified through pull requests."
        self.repositories[key, slug].git.protect(*branches, says=says)

    def git_repository(self, path: str) -> Path | None:
        """Serve ``/scm/<key>/<slug>.git``, the key in either case."""
        scm, _, place = path.partition("/")
        key, _, slug = place.partition("/")
        found = self.repositories.get((key.upper(), slug.lower())) if scm == "scm" else None
        return found.git.path if found else None

    # ---- who asks

    def _known(self, request: Request) -> bool:
        bearers = (f"Bearer {self.token}", f"Bearer {self.project_token}")
        return request.headers.get("authorization") in bearers or request.basic == (self.user, self.token)

    def allows(self, request: Request) -> Response | None:
        """Ask for a token, and against forged requests."""
        if not self._known(request):
            return _error(
                401, "Authentication failed. Please check your credentials and try again.", "Incorrect"
            )
        json = request.headers.get("content-type", "").startswith("application/json")
        checked = json or request.headers.get("x-atlassian-token") == "no-check"
        return None if request.method == "GET" or checked else Response(403, b"XSRF check failed")

    def allows_git(self, request: Request, repository: str, *, write: bool) -> Response | None:
        """Ask for a token, but to read what is public."""
        path = self.git_repository(repository)
        public = any(kept.public for kept in self.repositories.values() if kept.git.path == path)
        if self._known(request) or (public and not write):
            return None
        return Response(401, b"", {"WWW-Authenticate": 'Basic realm="Atlassian Bitbucket"'})

    # ---- repositories

    def _with(self, request: Request, answer: Callable[[ServerRepository], Response]) -> Response:
        key, slug = request.values["key"].upper(), request.values["slug"].lower()
        found = self.repositories.get((key, slug))
        if found is not None:
            return answer(found)
        if key not in self.projects:
            return _error(404, f"Project {key} does not exist.", "project.NoSuchProject")
        return _error(404, f"Repository {key}/{slug} does not exist.", "repository.NoSuchRepository")

    @route("GET", _REPO)
    def show(self, request: Request) -> Response:
        """Show a repository."""
        return self._with(request, lambda found: Response(200, self._shown(found)))

    @route("POST", _REPOS)
    def make(self, request: Request) -> Response:
        """Make a repository."""
        key, wanted = request.values["key"].upper(), request.json
        if key not in self.projects:
            return _error(404, f"Project {key} does not exist.", "project.NoSuchProject")
        name = wanted.get("name", "")
        if not _NAME.fullmatch(name) or wanted.get("scmId", "git") != "git":
            return _error(400, "The name is not valid.", "IllegalEntityState")
        place = key, _slug(name)
        if place in self.repositories:
            return _error(409, f"This repository URL is already taken by '{name}'.", "repository.NameTaken")
        kept = {} if self.terse else wanted
        assert self.git_root is not None
        self._number += 1
        branch = kept.get("defaultBranch", "main")
        git = BareRepository(self.git_root / f"{self._number}.git", branch)
        made = ServerRepository(
            self._number, *place, git, kept.get("public", False), kept.get("description", ""), branch
        )
        self.repositories[place] = made
        return Response(201, self._shown(made))

    def _shown(self, repository: ServerRepository) -> dict[str, Any]:
        key, slug = repository.place
        personal = key.startswith("~")
        page = f"users/{key[1:].lower()}" if personal else f"projects/{key}"
        clone = f"{self.url.replace('://', f'://{self.user}@')}/scm/{key.lower()}/{slug}.git"
        shown = {
            "id": repository.number,
            "slug": slug,
            "name": slug,
            "scmId": "git",
            "state": "AVAILABLE",
            "public": repository.public,
            "archived": False,
            "project": {"key": key, "type": "PERSONAL" if personal else "NORMAL"},
            "links": {
                "clone": [
                    {"name": "ssh", "href": f"ssh://git@127.0.0.1:7999/{key.lower()}/{slug}.git"},
                    {"name": "http", "href": clone},
                ],
                "self": [{"href": f"{self.url}/{page}/repos/{slug}/browse"}],
            },
        }
        return {**shown, "description": repository.description} if repository.description else shown

    @route("PUT", _REPO)
    def edit(self, request: Request) -> Response:
        """Change, rename or move a repository."""

        def change(found: ServerRepository) -> Response:
            wanted = request.json
            slug = _slug(wanted.get("name", found.slug))
            key = wanted.get("project", {}).get("key", found.key).upper()
            if key not in self.projects:
                return _error(404, f"Project {key} does not exist.", "project.NoSuchProject")
            if (key, slug) != found.place and (key, slug) in self.repositories:
                return _error(409, "This repository URL is already taken.", "repository.NameTaken")
            del self.repositories[found.place]
            found.key, found.slug = key, slug
            self.repositories[found.place] = found
            found.description = wanted.get("description", found.description)
            found.public = wanted.get("public", found.public)
            return Response(201, self._shown(found))

        return self._with(request, change)

    @route("DELETE", _REPO)
    def delete(self, request: Request) -> Response:
        """Remove a repository."""

        def remove(found: ServerRepository) -> Response:
            found.git.remove()
            del self.repositories[found.place]
            return Response(202, {"message": "Repository scheduled for deletion."})

        return self._with(request, remove)

    @route("GET", f"{_REPO}/default-branch")
    def default_branch(self, request: Request) -> Response:
        """Show the default branch: nothing for an empty repository, 404 before it is pushed."""

        def show(found: ServerRepository) -> Response:
            name, branches = found.default_branch, found.git.branches()
            if not branches:
                return Response(204)
            if name not in branches:
                return _error(404, "The default branch does not exist.", "NoDefaultBranch")
            return Response(200, {"id": f"{_HEADS}{name}", "displayId": name, "type": "BRANCH"})

        return self._with(request, show)

    @route("PUT", f"{_REPO}/default-branch")
    def set_default_branch(self, request: Request) -> Response:
        """Make a branch the default one."""

        def change(found: ServerRepository) -> Response:
            ref = request.json.get("id", "")
            if not ref.startswith(_HEADS):
                return _error(400, "id: the full name of a branch is wanted", "ArgumentValidation")
            if ref.removeprefix(_HEADS) not in found.git.branches():
                return _error(404, f"{ref} does not exist.", "repository.NoSuchBranch")
            found.default_branch = ref.removeprefix(_HEADS)
            found.git.set_head(found.default_branch)
            return Response(204)

        return self._with(request, change)

    def _paged(self, request: Request, items: list[Any]) -> Response:
        start, limit = int(request.query.get("start", 0)), int(request.query.get("limit", 25))
        size = min(limit, self.page)
        values, last = items[start : start + size], start + size >= len(items)
        shown = {"size": len(values), "limit": size, "start": start, "isLastPage": last, "values": values}
        return Response(200, {**shown, "nextPageStart": None if last else start + size})

    # ---- labels

    @route("GET", f"{_REPO}/labels")
    def labels(self, request: Request) -> Response:
        """List labels."""
        return self._with(
            request, lambda found: self._paged(request, [{"name": name} for name in found.labels])
        )

    @route("POST", f"{_REPO}/labels")
    def add_label(self, request: Request) -> Response:
        """Add a label."""

        def add(found: ServerRepository) -> Response:
            name = request.json.get("name", "")
            if not _LABEL.fullmatch(name):
                return _error(400, "The label is not valid.", "ArgumentValidation")
            if name not in found.labels:
                found.labels.append(name)
            return Response(200, {"name": name})

        return self._with(request, add)

    @route("DELETE", f"{_REPO}/labels/{{name}}")
    def delete_label(self, request: Request) -> Response:
        """Remove a label."""

        def remove(found: ServerRepository) -> Response:
            if request.values["name"] not in found.labels:
                return _error(404, "The label does not exist.", "label.NoSuchLabel")
            found.labels.remove(request.values["name"])
            return Response(204)

        return self._with(request, remove)

    # ---- webhooks

    @route("GET", f"{_REPO}/webhooks")
    def hooks(self, request: Request) -> Response:
        """List webhooks."""
        return self._with(request, lambda found: self._paged(request, list(found.hooks.values())))

    @route("POST", f"{_REPO}/webhooks")
    def make_hook(self, request: Request) -> Response:
        """Make a webhook."""
        self._number += 1
        return self._with(request, lambda found: _put_hook(found, self._number, request.json))

    @route("PUT", f"{_REPO}/webhooks/{{id}}")
    def edit_hook(self, request: Request) -> Response:
        """Change a webhook."""

        def change(found: ServerRepository) -> Response:
            number = int(request.values["id"])
            return _put_hook(found, number, request.json) if number in found.hooks else _no_hook()

        return self._with(request, change)

    @route("DELETE", f"{_REPO}/webhooks/{{id}}")
    def delete_hook(self, request: Request) -> Response:
        """Remove a webhook."""

        def remove(found: ServerRepository) -> Response:
            gone = found.hooks.pop(int(request.values["id"]), None)
            return Response(204) if gone else _no_hook()

        return self._with(request, remove)

    # ---- pull requests

    @route("GET", f"{_REPO}/pull-requests")
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
            return self._paged(request, listed)

        return self._with(request, kept)

    @route("POST", f"{_REPO}/pull-requests")
    def make_pull(self, request: Request) -> Response:
        """Open a pull request."""
        return self._with(request, lambda found: self._make_pull(found, request.json))

    def _make_pull(self, found: ServerRepository, wanted: dict[str, Any]) -> Response:
        refs = [wanted.get(side, {}).get("id", "") for side in ("fromRef", "toRef")]
        names = [ref.removeprefix(_HEADS) for ref in refs]
        if not wanted.get("title") or not all(
            wanted[side].get("repository") for side in ("fromRef", "toRef")
        ):
            return _error(400, "title: Please enter a title.", "validation.ArgumentValidation")
        if not all(ref.startswith(_HEADS) for ref in refs) or not set(names) <= set(found.git.branches()):
            return _error(404, f"Ref {refs[0]} does not exist.", "commit.NoSuchCommit")
        if any(pull["state"] == "OPEN" and pull["fromRef"]["id"] == refs[0] for pull in found.pulls):
            return _error(
                409, "Only one pull request may be open for a source and target.", "pull.DuplicatePullRequest"
            )
        if found.git.has(names[1], names[0]):
            return _error(409, "There are no commits to merge.", "pull.EmptyPullRequest")
        number, page = len(found.pulls) + 1, self._shown(found)["links"]["self"][0]["href"]
        sides = [
            {
                "id": f"{_HEADS}{name}",
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

    @route("GET", f"{_REPO}/pull-requests/{{id}}")
    def pull(self, request: Request) -> Response:
        """Show a pull request."""
        return self._with_pull(request, lambda _, pull: Response(200, pull))

    @route("POST", f"{_REPO}/pull-requests/{{id}}/merge")
    def merge(self, request: Request) -> Response:
        """Merge a pull request, in the version that the caller knows."""

        def merge(found: ServerRepository, pull: dict[str, Any]) -> Response:
            if request.query.get("version") != str(pull["version"]):
                return _error(409, "The pull request is out-of-date.", "pull.PullRequestOutOfDate")
            if pull["state"] != "OPEN":
                return _error(409, "This pull request has been closed.", "pull.IllegalPullRequestState")
            if not found.git.merge(pull["toRef"]["displayId"], pull["fromRef"]["displayId"]):
                return _error(409, "The pull request has conflicts.", "pull.PullRequestMergeVetoed")
            pull.update(state="MERGED", open=False, version=pull["version"] + 1)
            return Response(200, pull)

        return self._with_pull(request, merge)

    def _with_pull(
        self, request: Request, answer: Callable[[ServerRepository, dict[str, Any]], Response]
    ) -> Response:
        def chosen(found: ServerRepository) -> Response:
            number = int(request.values["id"])
            if not 0 < number <= len(found.pulls):
                return _error(404, f"Pull request {number} does not exist.", "pull.NoSuchPullRequest")
            return answer(found, found.pulls[number - 1])

        return self._with(request, chosen)


def _put_hook(found: ServerRepository, number: int, wanted: dict[str, Any]) -> Response:
    there = number in found.hooks
    events = set(wanted.get("events") or ())
    if not wanted.get("name") or not wanted.get("url") or not events or not events <= _EVENTS:
        return _error(400, "The name, the url and known events are wanted.", "validation.ArgumentValidation")
    found.hooks[number] = {
        "id": number,
        "name": wanted["name"],
        "url": wanted["url"],
        "active": wanted.get("active", False),
        "events": sorted(events),
        "configuration": wanted.get("configuration", {}),
    }
    return Response(200 if there else 201, found.hooks[number])


def _no_hook() -> Response:
    return _error(404, "The webhook does not exist.", "webhook.NoSuchWebhook")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower())


def _error(status: int, message: str, kind: str) -> Response:
    name = f"com.atlassian.bitbucket.{kind}Exception"
    return Response(status, {"errors": [{"context": None, "message": message, "exceptionName": name}]})
