"""`GiteaRepositories`: the ground of Gitea's stand-in. Who asks and what for, pages, repositories and git."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from devstream.testing.gitea_store import GiteaRepository, Refused
from devstream.testing.service import Request, Response, Service, route

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from devstream.testing.service import Handler

__all__ = ["GiteaRepositories", "API", "REPO"]

API = "/api/v1"
REPO = f"{API}/repos/{{owner}}/{{repo}}"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-.]{0,34}")
_READS = ("GET", "HEAD")
_SCOPES = {"/user": "user", "/orgs": "organization", "/repos": "repository"}


class GiteaRepositories(Service):
    """A Gitea with one user, organisations and tokens.

    Args:
        git_root: an empty folder for the bare repositories.
        user: whom ``token`` belongs to.
        orgs: organisations that the user owns.
        page: the most items on a page, whatever is asked for.

    Attributes:
        scopes: what the token may read or write; `write` is both.
        root_url: what Gitea calls itself, in its setting ROOT_URL; empty for where it really is.
        checks: how often a merge is refused because it is still being found out whether there are conflicts.
        force_private: every new repository is private, as FORCE_PRIVATE has it.
    """

    def __init__(
        self,
        git_root: Path,
        *,
        user: str = "someone",
        token: str = "gitea-token",  # noqa: S107 - a test's token
        orgs: tuple[str, ...] = ("acme",),
        page: int = 50,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(git_root=git_root, tls=tls)
        self.user, self.token, self.orgs, self.page = user, token, orgs, page
        self.scopes = {f"write:{what}" for what in _SCOPES.values()}
        self.root_url = ""
        self.checks = 1
        self.force_private = False
        self.repositories: dict[str, GiteaRepository] = {}
        self.renamed: dict[str, GiteaRepository] = {}
        self._number = 0

    # ---- for tests

    def repository(self, name: str) -> GiteaRepository:
        """Give ``owner/name``."""
        return self.repositories[name.casefold()]

    def protect(self, name: str, *branches: str) -> None:
        """Let nobody push to branches."""
        self.repository(name).protect(*branches)

    # ---- who asks

    def allows(self, request: Request) -> Response | None:
        """Ask for the token, and for its scopes."""
        basic = request.basic[1] if request.basic else ""
        if self.token not in (request.headers.get("authorization", "").removeprefix("token "), basic):
            return Response(401, {"message": "token is required", "url": f"{self.url}/api/swagger"})
        wanted = [scope for scope in self._wanted(request) if not self._may(scope)]
        if not wanted:
            return None
        said = f"token does not have at least one of required scope(s): [{' '.join(wanted)}]"
        return Response(403, {"message": said, "url": f"{self.url}/api/swagger"})

    def _wanted(self, request: Request) -> list[str]:
        """Name the scopes that a request needs: making a repository needs two."""
        level = "read" if request.method in _READS else "write"
        path = request.path.removeprefix(API)
        first = "/" + path.split("/")[1]
        kinds = [_SCOPES[first]] if first in _SCOPES else []
        if path.endswith("/repos") and request.method == "POST":
            kinds.append("repository")
        return [f"{level}:{kind}" for kind in kinds]

    def _may(self, scope: str) -> bool:
        return bool({scope, scope.replace("read:", "write:")} & self.scopes)

    def allows_git(self, request: Request, repository: str, *, write: bool) -> Response | None:
        """Ask for the token, but to read what is public."""
        found = self.repositories.get(repository.casefold())
        if not (request.basic and request.basic[1] == self.token):
            if found is not None and not found.private and not write:
                return None
            return Response(401, b"Unauthorized\n", {"WWW-Authenticate": 'Basic realm="Gitea"'})
        if not self._may(f"{'write' if write else 'read'}:repository"):
            return Response(403, b"Forbidden\n")
        if found is not None and found.archived and write:
            text = b"This repo is archived. You can view files and clone it, but cannot push.\n"
            return Response(403, text, {"Content-Type": "text/plain; charset=utf-8"})
        return None

    # ---- for handlers

    def _handled(self, handler: Handler, request: Request) -> Response:
        def refusing(service: Any, asked: Request) -> Response:
            try:
                return handler(service, asked)
            except Refused as refused:
                return refused.response

        return super()._handled(refusing, request)

    def next_number(self) -> int:
        """Give an id that nothing has."""
        self._number += 1
        return self._number

    def find(self, request: Request) -> GiteaRepository:
        """Give the repository that a request is about; send old names on, whatever is asked, by a path."""
        owner, repo = request.values["owner"], request.values["repo"]
        key = f"{owner}/{repo}".casefold()
        found = self.repositories.get(key)
        if found is None and key in self.renamed:
            old = f"/{quote(owner)}/{quote(repo)}"
            to = request.path.replace(old, f"/{self.renamed[key].full_name}", 1)
            query = f"?{urlencode(request.query)}" if request.query else ""
            raise Refused(307, headers={"Location": f"{to}{query}"})
        if found is None:
            raise Refused(404)
        if (
            found.archived
            and request.method not in (*_READS, "DELETE")
            and "archived" not in (request.json or {})
        ):
            raise Refused(423, f"{found.full_name} is archived")
        return found

    def paged(self, request: Request, items: list[Any]) -> Response:
        """Give one page of a list, with the number of all items."""
        size = min(int(request.query.get("limit", 30)), self.page)
        start = (int(request.query.get("page", 1)) - 1) * size
        headers = {"X-Total-Count": str(len(items)), "Access-Control-Expose-Headers": "X-Total-Count"}
        return Response(200, items[start : start + size], headers)

    # ---- repositories

    @route("GET", f"{API}/user")
    def who(self, _: Request) -> Response:
        """Say whose token it is."""
        return Response(200, {"id": 1, "login": self.user})

    @route("GET", f"{API}/version")
    def version(self, _: Request) -> Response:
        """Say which version this is."""
        return Response(200, {"version": "1.22.6"})

    @route("POST", f"{API}/user/repos")
    def make_mine(self, request: Request) -> Response:
        """Make a repository of the user."""
        return self._make(self.user, request.json)

    @route("POST", f"{API}/orgs/{{org}}/repos")
    def make_theirs(self, request: Request) -> Response:
        """Make a repository of an organisation, whose name may be written in any case."""
        wanted = request.values["org"].casefold()
        org = next((org for org in self.orgs if org.casefold() == wanted), None)
        if org is None:
            raise Refused(404, "GetOrgByName")
        return self._make(org, request.json)

    def _make(self, owner: str, wanted: dict[str, Any]) -> Response:
        name = wanted.get("name", "")
        if not _NAME.fullmatch(name) or name.endswith((".git", ".wiki")) or name in {".", ".."}:
            raise Refused(422, f"repository name is not valid: {name}")
        key = f"{owner}/{name}".casefold()
        if key in self.repositories:
            raise Refused(409, "The repository with the same name already exists.")
        assert self.git_root is not None
        branch = wanted.get("default_branch") or "main"
        private = self.force_private or wanted.get("private", False)
        made = GiteaRepository(
            self.next_number(), owner, name, private, wanted.get("description", ""), branch, self.git_root
        )
        made.start()
        self.repositories[key] = made
        self.renamed.pop(key, None)
        return Response(201, self.shown(made))

    def shown(self, repository: GiteaRepository) -> dict[str, Any]:
        """Describe a repository, with addresses below the setting ROOT_URL, as Gitea makes them."""
        full, root = repository.full_name, self.root_url or self.url
        return {
            "id": repository.number,
            "name": repository.name,
            "full_name": full,
            "owner": {"login": repository.owner},
            "description": repository.description,
            "private": repository.private,
            "empty": not repository.branches,
            "archived": repository.archived,
            "default_branch": repository.default_branch,
            "allow_merge_commits": "merge" in repository.styles,
            "allow_rebase": "rebase" in repository.styles,
            "allow_rebase_explicit": "rebase-merge" in repository.styles,
            "allow_squash_merge": "squash" in repository.styles,
            "clone_url": f"{root}/{full}.git",
            "ssh_url": f"git@{self.host}:{full}.git",
            "html_url": f"{root}/{full}",
        }

    @route("GET", REPO)
    def show(self, request: Request) -> Response:
        """Show a repository."""
        return Response(200, self.shown(self.find(request)))

    @route("PATCH", REPO)
    def edit(self, request: Request) -> Response:
        """Change a repository; a default branch that is not there is passed over without a word."""
        found, wanted = self.find(request), request.json
        if wanted.get("name", found.name).casefold() != found.name.casefold():
            self._rename(found, found.owner, wanted["name"])
        branch = wanted.get("default_branch", found.default_branch)
        if not found.branches or branch in found.branches:
            found.default_branch = branch
            found.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        for name in ("description", "private", "archived"):
            setattr(found, name, wanted.get(name, getattr(found, name)))
        return Response(200, self.shown(found))

    def _rename(self, repository: GiteaRepository, owner: str, name: str) -> None:
        key = f"{owner}/{name}".casefold()
        if key in self.repositories:
            raise Refused(422, f"repo name is already taken [name: {name}]")
        before, old = repository.path, repository.full_name.casefold()
        repository.owner, repository.name = owner, name
        self.repositories[key] = self.repositories.pop(old)
        self.renamed[old] = repository
        self.renamed.pop(key, None)
        repository.path.parent.mkdir(parents=True, exist_ok=True)
        before.rename(repository.path)

    @route("POST", f"{REPO}/transfer")
    def transfer(self, request: Request) -> Response:
        """Give a repository to somebody else."""
        found = self.find(request)
        wanted = request.json["new_owner"].casefold()
        owner = next((one for one in (self.user, *self.orgs) if one.casefold() == wanted), None)
        if owner is None:
            raise Refused(404, "The new owner does not exist or cannot be found")
        self._rename(found, owner, found.name)
        return Response(202, self.shown(found))

    @route("DELETE", REPO)
    def delete(self, request: Request) -> Response:
        """Remove a repository, and what its old names led to."""
        found = self.find(request)
        shutil.rmtree(found.path)
        del self.repositories[found.full_name.casefold()]
        self.renamed = {was: now for was, now in self.renamed.items() if now is not found}
        return Response(204)

    @route("PUT", f"{REPO}/topics")
    def topics(self, request: Request) -> Response:
        """Replace the topics; 25 are the most."""
        found, wanted = self.find(request), request.json["topics"]
        if len(wanted) > 25 or any(not _TOPIC.fullmatch(topic) for topic in wanted):
            return Response(422, {"message": "Topic names are invalid", "invalidTopics": wanted})
        found.topics = wanted
        return Response(204)
