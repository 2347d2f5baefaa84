"""`ServerRepositories`: the part of a Bitbucket Data Center for tests that keeps repositories and says who may ask."""

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

__all__ = ["ServerRepositories", "ServerRepository", "HEADS", "REPO", "refusal"]

_REPOS = "/rest/api/1.0/projects/{key}/repos"
REPO = f"{_REPOS}/{{slug}}"
_NAME = re.compile(r"[A-Za-z0-9][\w. -]{0,127}")
HEADS = "refs/heads/"


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
    keys: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def place(self) -> tuple[str, str]:
        """Project and slug."""
        return self.key, self.slug


class ServerRepositories(Service):
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
        self.moved: dict[tuple[str, str], ServerRepository] = {}
        self._number = 0

    def repository(self, name: str) -> ServerRepository:
        """Give ``project/slug``."""
        key, slug = name.split("/")
        return self.repositories[key.upper(), slug]

    def protect(self, name: str, *branches: str) -> None:
        """Let nobody push to branches of ``project/slug``."""
        says = f"Branch refs/heads/{branches[0]} can only be modified through pull requests."
        self.repository(name).git.protect(*branches, says=says)

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
            return refusal(
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

    def with_repository(self, request: Request, answer: Callable[[ServerRepository], Response]) -> Response:
        """Answer for the repository that a request is about."""
        key, slug = request.values["key"].upper(), request.values["slug"].lower()
        found = self.repositories.get((key, slug))
        if found is not None:
            return answer(found)
        moved = self.moved.get((key, slug))
        if moved is not None and moved.place in self.repositories and not key.startswith("~"):
            return self._redirect(request, moved)
        if key not in self.projects:
            return refusal(404, f"Project {key} does not exist.", "project.NoSuchProject")
        return refusal(404, f"Repository {key}/{slug} does not exist.", "repository.NoSuchRepository")

    def _redirect(self, request: Request, moved: ServerRepository) -> Response:
        """Send an old name on to the new one, which Bitbucket does not do for users' own repositories."""
        old = f"/projects/{request.values['key']}/repos/{request.values['slug']}"
        key, slug = moved.place
        to = request.path.replace(old, f"/projects/{key}/repos/{slug}", 1)
        return Response(301, None, {"Location": f"{self.url}{to}"})

    @route("GET", REPO)
    def show(self, request: Request) -> Response:
        """Show a repository."""
        return self.with_repository(request, lambda found: Response(200, self.shown(found)))

    @route("POST", _REPOS)
    def make(self, request: Request) -> Response:
        """Make a repository."""
        key, wanted = request.values["key"].upper(), request.json
        if key not in self.projects:
            return refusal(404, f"Project {key} does not exist.", "project.NoSuchProject")
        name = wanted.get("name", "")
        if not _NAME.fullmatch(name) or wanted.get("scmId", "git") != "git":
            return refusal(400, "The name is not valid.", "IllegalEntityState")
        place = key, _slug(name)
        if place in self.repositories:
            return refusal(409, f"This repository URL is already taken by '{name}'.", "repository.NameTaken")
        kept = {} if self.terse else wanted
        assert self.git_root is not None
        self._number += 1
        branch = kept.get("defaultBranch", "main")
        git = BareRepository(self.git_root / f"{self._number}.git", branch)
        made = ServerRepository(
            self._number, *place, git, kept.get("public", False), kept.get("description", ""), branch
        )
        self.repositories[place] = made
        self.moved.pop(place, None)
        return Response(201, self.shown(made))

    def shown(self, repository: ServerRepository) -> dict[str, Any]:
        """Give a repository as it is shown."""
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

    @route("PUT", REPO)
    def edit(self, request: Request) -> Response:
        """Change, rename or move a repository."""

        def change(found: ServerRepository) -> Response:
            wanted = request.json
            slug = _slug(wanted.get("name", found.slug))
            key = wanted.get("project", {}).get("key", found.key).upper()
            if key not in self.projects:
                return refusal(404, f"Project {key} does not exist.", "project.NoSuchProject")
            if (key, slug) != found.place and (key, slug) in self.repositories:
                return refusal(409, "This repository URL is already taken.", "repository.NameTaken")
            if (key, slug) != found.place:
                self.moved[found.place] = self.repositories.pop(found.place)
                self.moved.pop((key, slug), None)
                found.key, found.slug = key, slug
                self.repositories[found.place] = found
            found.description = wanted.get("description", found.description)
            found.public = wanted.get("public", found.public)
            return Response(201, self.shown(found))

        return self.with_repository(request, change)

    @route("DELETE", REPO)
    def delete(self, request: Request) -> Response:
        """Remove a repository."""

        def remove(found: ServerRepository) -> Response:
            found.git.remove()
            del self.repositories[found.place]
            return Response(202, {"message": "Repository scheduled for deletion."})

        return self.with_repository(request, remove)

    @route("GET", f"{REPO}/default-branch")
    def default_branch(self, request: Request) -> Response:
        """Show the branch that is to be the default one, though it may not be there yet."""

        def show(found: ServerRepository) -> Response:
            name = found.default_branch
            return Response(200, {"id": f"{HEADS}{name}", "displayId": name, "type": "BRANCH"})

        return self.with_repository(request, show)

    @route("PUT", f"{REPO}/default-branch")
    def set_default_branch(self, request: Request) -> Response:
        """Make a branch the default one."""

        def change(found: ServerRepository) -> Response:
            ref = request.json.get("id", "")
            if not ref.startswith(HEADS):
                return refusal(400, "id: the full name of a branch is wanted", "ArgumentValidation")
            if ref.removeprefix(HEADS) not in found.git.branches():
                return refusal(404, f"{ref} does not exist.", "repository.NoSuchBranch")
            found.default_branch = ref.removeprefix(HEADS)
            found.git.set_head(found.default_branch)
            return Response(204)

        return self.with_repository(request, change)

    def paged(self, request: Request, items: list[Any]) -> Response:
        """Answer with one page of a list."""
        start, limit = int(request.query.get("start", 0)), int(request.query.get("limit", 25))
        size = min(limit, self.page)
        values, last = items[start : start + size], start + size >= len(items)
        shown = {"size": len(values), "limit": size, "start": start, "isLastPage": last, "values": values}
        return Response(200, {**shown, "nextPageStart": None if last else start + size})


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower())


def refusal(status: int, message: str, kind: str) -> Response:
    """Answer as the service refuses."""
    name = f"com.atlassian.bitbucket.{kind}Exception"
    return Response(status, {"errors": [{"context": None, "message": message, "exceptionName": name}]})
