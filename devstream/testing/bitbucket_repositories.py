"""`CloudRepositories`: the part of a bitbucket.org for tests that keeps repositories and says who may ask."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

from devstream.testing.bare import BareRepository
from devstream.testing.service import Request, Response, Service, route

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["CloudRepositories", "CloudRepository", "REPO", "refusal"]

REPO = "/2.0/repositories/{workspace}/{slug}"
_SLUG = re.compile(r"[a-z0-9._-]{1,62}")


@dataclass
class CloudRepository:
    """What the stand-in knows of a repository; the rest is in its bare repository."""

    uuid: str
    workspace: str
    slug: str
    git: BareRepository
    private: bool
    description: str
    fork_policy: str
    project: str
    main_branch: str = ""
    hooks: dict[str, dict[str, Any]] = field(default_factory=dict)
    hook_secrets: dict[str, str] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    pipelines: bool | None = None
    variables: dict[str, dict[str, Any]] = field(default_factory=dict)
    keys: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Workspace and slug."""
        return f"{self.workspace}/{self.slug}"


class CloudRepositories(Service):
    """A bitbucket.org with one user, who has an access token (``token``) and an API token (``password``).

    Args:
        git_root: an empty folder for the bare repositories.
        workspaces: their ids.
        projects: keys of the projects in each of them.
        page: the most items on a page.
    """

    def __init__(
        self,
        git_root: Path,
        *,
        user: str = "someone",
        email: str = "someone@example.org",
        token: str = "bitbucket-access-token",  # noqa: S107 - a test's token
        password: str = "bitbucket-api-token",  # noqa: S107 - a test's token
        workspaces: tuple[str, ...] = ("someone", "acme"),
        projects: tuple[str, ...] = ("PROJ",),
        page: int = 100,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(git_root=git_root, tls=tls)
        self.user, self.email = user, email
        self.token, self.password = token, password
        self.workspaces, self.projects = workspaces, projects
        self.page = page
        self.repositories: dict[str, CloudRepository] = {}
        self.renamed: dict[str, str] = {}

    @property
    def api(self) -> str:
        """The root of the API."""
        return f"{self.url}/2.0"

    def repository(self, name: str) -> CloudRepository:
        """Give ``workspace/slug``."""
        return self.repositories[name]

    def protect(self, name: str, *branches: str) -> None:
        """Let nobody push to branches of ``workspace/slug``."""
        says = f"Permission denied to update branch {branches[0]}."
        self.repositories[name].git.protect(*branches, says=says)

    # ---- who asks

    def allows(self, request: Request) -> Response | None:
        """Ask for a token."""
        if request.headers.get("authorization") == f"Bearer {self.token}":
            return None
        if request.basic in ((self.user, self.password), (self.email, self.password)):
            return None
        return refusal(401, "Token is invalid, expired, or not supported for this endpoint.")

    def allows_git(self, request: Request, repository: str, *, write: bool) -> Response | None:
        """Ask for a token, with the user that goes with its kind; but to read what is public."""
        pairs = (
            ("x-token-auth", self.token),
            ("x-bitbucket-api-token-auth", self.password),
            (self.user, self.password),
        )
        found = self.repositories.get(repository)
        if request.basic in pairs or (found is not None and not found.private and not write):
            return None
        return Response(401, b"Unauthorized\n", {"WWW-Authenticate": 'Basic realm="Bitbucket.org HTTP"'})

    # ---- repositories

    def _found(self, request: Request) -> CloudRepository | Response:
        """Give the repository that a request is about, by slug or uuid; sends old names on."""
        workspace, slug = request.values["workspace"], request.values["slug"]
        if slug.startswith("{"):
            found = next((kept for kept in self.repositories.values() if kept.uuid == slug), None)
        else:
            found = self.repositories.get(f"{workspace}/{slug}".casefold())
        if found is not None:
            return found
        now = self.renamed.get(f"{workspace}/{slug}".casefold())
        if now is None:
            return refusal(404, "You may not have access to this repository or it no longer exists.")
        to = request.path.replace(f"/repositories/{workspace}/{slug}", f"/repositories/{now}", 1)
        return Response(301, None, {"Location": f"{self.url}{to}"})

    def with_repository(self, request: Request, answer: Callable[[CloudRepository], Response]) -> Response:
        """Answer for the repository that a request is about."""
        found = self._found(request)
        return found if isinstance(found, Response) else answer(found)

    @route("GET", REPO)
    def show(self, request: Request) -> Response:
        """Show a repository."""
        return self.with_repository(request, lambda found: Response(200, self._shown(found)))

    @route("POST", REPO)
    def make(self, request: Request) -> Response:
        """Make a repository."""
        workspace, slug = request.values["workspace"], request.values["slug"]
        wanted = request.json or {}
        if workspace not in self.workspaces:
            return refusal(404, f"No workspace with identifier '{workspace}'.")
        if not _SLUG.fullmatch(slug):
            return refusal(400, "Invalid slug: lowercase letters, digits, '_', '-' and '.' only")
        if f"{workspace}/{slug}" in self.repositories:
            return refusal(400, "Repository with this Slug and Owner already exists.")
        refused = self._check(wanted)
        if refused:
            return refused
        assert self.git_root is not None
        made = CloudRepository(
            f"{{{uuid4()}}}",
            workspace,
            slug,
            BareRepository(self.git_root / workspace / f"{slug}.git"),
            wanted.get("is_private", False),
            wanted.get("description", ""),
            wanted.get("fork_policy", "allow_forks"),
            wanted.get("project", {}).get("key", self.projects[0]),
        )
        self.repositories[made.full_name] = made
        self.renamed.pop(made.full_name, None)
        return Response(200, self._shown(made))

    def _check(self, wanted: dict[str, Any]) -> Response | None:
        key = wanted.get("project", {}).get("key")
        if key is not None and key not in self.projects:
            return refusal(400, f"project: project '{key}' not found")
        if wanted.get("scm", "git") != "git":
            return refusal(400, "scm: only git is supported")
        if wanted.get("fork_policy", "no_forks") not in ("allow_forks", "no_public_forks", "no_forks"):
            return refusal(400, "fork_policy: not a valid choice")
        return (
            None
            if isinstance(wanted.get("is_private", True), bool)
            else refusal(400, "is_private: a boolean")
        )

    def _shown(self, repository: CloudRepository) -> dict[str, Any]:
        full, host = repository.full_name, self.url.partition("://")[2]
        branch = self.main_branch(repository)
        clone = f"{self.url.partition('://')[0]}://{self.user}@{host}/{full}.git"
        return {
            "type": "repository",
            "uuid": repository.uuid,
            "full_name": full,
            "name": repository.slug,
            "scm": "git",
            "is_private": repository.private,
            "description": repository.description,
            "fork_policy": repository.fork_policy,
            "project": {"type": "project", "key": repository.project},
            "mainbranch": {"type": "branch", "name": branch} if branch else None,
            "links": {
                "html": {"href": f"{self.url}/{full}"},
                "clone": [
                    {"name": "https", "href": clone},
                    {"name": "ssh", "href": f"git@bitbucket.org:{full}.git"},
                ],
            },
        }

    def main_branch(self, repository: CloudRepository) -> str:
        """Give the main branch: the first one that was pushed, until another is chosen."""
        branches = repository.git.branches()
        if not repository.main_branch and branches:
            repository.main_branch = next(iter(branches))
            repository.git.set_head(repository.main_branch)
        return repository.main_branch

    @route("PUT", REPO)
    def edit(self, request: Request) -> Response:
        """Change a repository; or make it, where there is none of this name."""
        found = self._found(request)
        if isinstance(found, Response):
            by_id = request.values["slug"].startswith("{")
            return found if by_id or found.status != 404 else self.make(request)
        wanted = request.json
        branch = (wanted.get("mainbranch") or {}).get("name")
        if branch and branch not in found.git.branches():
            return refusal(400, f"mainbranch: branch '{branch}' not found")
        refused = self._check(wanted) or self._rename(found, wanted.get("name", found.slug))
        if refused:
            return refused
        found.private = wanted.get("is_private", found.private)
        found.description = wanted.get("description", found.description)
        if branch:
            found.main_branch = branch
            found.git.set_head(branch)
        return Response(200, self._shown(found))

    def _rename(self, repository: CloudRepository, name: str) -> Response | None:
        slug = re.sub(r"[^a-z0-9._-]+", "-", name.lower())
        if slug == repository.slug:
            return None
        if f"{repository.workspace}/{slug}" in self.repositories:
            return refusal(400, "name: You already have a repository with this name.")
        old = repository.full_name
        del self.repositories[old]
        repository.slug = slug
        self.repositories[repository.full_name] = repository
        new = repository.full_name
        self.renamed = {was: new if now == old else now for was, now in self.renamed.items()} | {old: new}
        repository.git.move(repository.git.path.parent / f"{slug}.git")
        return None

    @route("DELETE", REPO)
    def delete(self, request: Request) -> Response:
        """Remove a repository."""

        def remove(found: CloudRepository) -> Response:
            found.git.remove()
            del self.repositories[found.full_name]
            return Response(204)

        return self.with_repository(request, remove)

    def paged(self, request: Request, items: list[Any], *, most: int = 100) -> Response:
        """Answer with one page of a list, and the way to the next one."""
        wanted = int(request.query.get("pagelen", 10))
        if not 1 <= wanted <= most:
            return refusal(400, "Invalid pagelen")
        size, page = min(wanted, self.page), int(request.query.get("page", 1))
        shown = {
            "pagelen": size,
            "page": page,
            "size": len(items),
            "values": items[(page - 1) * size :][:size],
        }
        if page * size < len(items):
            query = {**request.repeated, "page": (str(page + 1),)}
            shown["next"] = f"{self.url}{request.path}?{urlencode(query, doseq=True)}"
        return Response(200, shown)


def refusal(status: int, message: str) -> Response:
    """Answer as the service refuses."""
    return Response(status, {"type": "error", "error": {"message": message}})
