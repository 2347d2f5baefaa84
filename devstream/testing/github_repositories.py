"""`GitHubRepositories`: the ground of GitHub's stand-in. Who asks, rate limits, pages, repositories and git."""

from __future__ import annotations

import re
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from devstream.testing.github_store import GitHubRepository, Refused, invalid
from devstream.testing.service import Request, Response, Service, route

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

    from devstream.testing.service import Handler

__all__ = ["GitHubRepositories", "REPO"]

REPO = "/repos/{owner}/{repo}"
_NUMBERED = re.compile(r"/repositories/(\d+)(?=/|$)")
_VERSIONS = ("2022-11-28", "2026-03-10")
_LIMIT = 5000
_TOPIC = re.compile(r"[a-z0-9][a-z0-9-]{0,49}")
_READS = ("GET", "HEAD")
_TEXT = {"Content-Type": "text/plain; charset=UTF-8"}


class GitHubRepositories(Service):
    """A GitHub with one user, organisations, other people, and one token.

    Args:
        git_root: an empty folder for the bare repositories.
        orgs: organisations in which the user may make repositories.
        strangers: other users; what is transferred to them waits for ever.
        scopes: what the (classic) token may do.
        enterprise: an Enterprise server: its API is below ``/api/v3``, and its organisations have internal
            repositories. Else the API is at the root, as on api.github.com.
        page: the most items on a page.

    Attributes:
        remaining: requests that are left until ``reset``, seconds since 1970.
        transfer_takes: how often a repository has to be looked at until a transfer is done.
        unseen: how often a new repository is not found yet by the API; and by git.
        checks: how often a new pull request is looked at until it is known whether it can be merged.
    """

    def __init__(
        self,
        git_root: Path,
        *,
        user: str = "someone",
        token: str = "ghp_token",  # noqa: S107 - a test's token
        orgs: tuple[str, ...] = ("acme",),
        strangers: tuple[str, ...] = ("stranger",),
        scopes: tuple[str, ...] = ("repo", "delete_repo", "workflow", "admin:org"),
        enterprise: bool = True,
        page: int = 100,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(git_root=git_root, tls=tls)
        self.user, self.token, self.orgs, self.strangers = user, token, orgs, strangers
        self.scopes, self.enterprise, self.page = scopes, enterprise, page
        self.repositories: dict[str, GitHubRepository] = {}
        self.renamed: dict[str, int] = {}
        self.remaining = _LIMIT
        self.reset = time.time() + 3600
        self.transfer_takes = 2
        self.unseen, self.unseen_by_git, self.checks = 0, 0, 1
        self._transfers: list[tuple[GitHubRepository, str, str, list[int]]] = []
        self._number = 1000

    # ---- for tests

    @property
    def api(self) -> str:
        """The root of the API."""
        return f"{self.url}/api/v3" if self.enterprise else self.url

    def repository(self, name: str) -> GitHubRepository:
        """Give ``owner/name``."""
        return self.repositories[name.casefold()]

    def protect(self, name: str, *branches: str, ruleset: bool = False) -> None:
        """Let nobody push to branches: by branch protection, or by a ruleset, which says it in other words."""
        lines = "".join(f"refs/heads/{branch}\n" for branch in branches)
        (self.repository(name).path / ("ruled" if ruleset else "protected")).write_text(lines)

    # ---- who asks, where and how often

    def answer(self, request: Request) -> Response | None:
        """Answer; the log has paths below the API's root, and repositories by name where they are asked by number."""
        root = "/api/v3" if self.enterprise and ".git/" not in request.path else ""
        if not request.path.startswith(root):
            return Response(404, b"<!DOCTYPE html>", {"Content-Type": "text/html"})
        path = _NUMBERED.sub(self._by_number, request.path.removeprefix(root))
        response = super().answer(replace(request, path=path))
        return response and replace(response, headers={**self._limits(), **response.headers})

    def _by_number(self, found: re.Match[str]) -> str:
        named = [one for one in self.repositories.values() if one.number == int(found[1])]
        return f"/repos/{named[0].full_name}" if named else found[0]

    def _limits(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(_LIMIT),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Used": str(_LIMIT - self.remaining),
            "X-RateLimit-Reset": str(int(self.reset)),
            "X-RateLimit-Resource": "core",
            "X-OAuth-Scopes": ", ".join(self.scopes),
        }

    def allows(self, request: Request) -> Response | None:
        """Check the token, the limit, and what every request needs."""
        try:
            self._check(request)
        except Refused as refused:
            return refused.response
        return None

    def _check(self, request: Request) -> None:
        if not request.headers.get("user-agent"):
            raise Refused(403, "Request forbidden by administrative rules.")
        if request.headers.get("x-github-api-version", _VERSIONS[0]) not in _VERSIONS:
            raise Refused(400, "Invalid API version")
        self._count()
        if "authorization" in request.headers and not self._knows(request):
            raise Refused(401, "Bad credentials")
        if request.method not in _READS and not self._knows(request):
            raise Refused(401, "Requires authentication")
        if request.body and not request.body.lstrip().startswith(b"{"):
            raise Refused(400, "Problems parsing JSON")

    def _count(self) -> None:
        if self.reset <= time.time():
            self.remaining, self.reset = _LIMIT, time.time() + 3600
        if self.remaining <= 0:
            raise Refused(403, "API rate limit exceeded for user ID 1.")
        self.remaining -= 1

    def _knows(self, request: Request) -> bool:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        return scheme.casefold() in {"bearer", "token"} and value == self.token

    def allows_git(self, request: Request, repository: str, *, write: bool) -> Response | None:
        """Ask for the token, but to read what is public."""
        found = self.repositories.get(repository.casefold())
        known = request.basic is not None and request.basic[0] != "" and request.basic[1] == self.token
        if not known and (write or found is None or found.visibility != "public"):
            return Response(401, b"Unauthorized\n", {"WWW-Authenticate": 'Basic realm="GitHub"'})
        if found is None or found.unseen_by_git:
            if found is not None:
                found.unseen_by_git -= 1
            return Response(404, b"Repository not found.\n", _TEXT)
        if found.archived and write:
            return Response(403, b"This repository was archived so it is read-only.\n", _TEXT)
        mark = found.path / "no-workflow-scope"
        mark.unlink(missing_ok=True) if "workflow" in self.scopes else mark.touch()
        return None

    def git_repository(self, path: str) -> Path | None:
        """Give the bare repository that has a name now."""
        found = self.repositories.get(path.casefold())
        return found.path if found else None

    # ---- for handlers

    def _handled(self, handler: Handler, request: Request) -> Response:
        def kept(service: Any, asked: Request) -> Response:
            try:
                return handler(service, asked)
            except Refused as refused:
                return refused.response

        return super()._handled(kept, request)

    def next_number(self) -> int:
        """Give an id that nothing has."""
        self._number += 1
        return self._number

    def find(self, request: Request) -> GitHubRepository:
        """Give the repository that a request is about; send old names on, refuse to write to what is archived."""
        self._transfer()
        owner, repo = request.values["owner"], request.values["repo"]
        key = f"{owner}/{repo}".casefold()
        found = self.repositories.get(key)
        if found is None and key in self.renamed:
            raise self._moved(request, self.renamed[key])
        if found is None or (found.visibility != "public" and not self._knows(request)):
            raise Refused(404, "Not Found")
        if found.unseen:
            found.unseen -= 1
            raise Refused(404, "Not Found")
        if found.archived and request.method not in (*_READS, "DELETE"):
            raise Refused(403, "Repository was archived so is read-only.")
        return found

    def _moved(self, request: Request, number: int) -> Refused:
        rest = "/".join(request.path.split("/")[4:])
        url = f"{self.api}/repositories/{number}{'/' if rest else ''}{rest}"
        read = request.method in _READS
        message = "Moved Permanently" if read else "Temporary Redirect"
        return Refused(301 if read else 307, message, url=url, headers={"Location": url})

    def paged(self, request: Request, items: list[Any], *, most: int = 100, key: str = "") -> Response:
        """Give one page of a list, with links to others; under ``key`` with a total where that is given."""
        size = max(1, min(int(request.query.get("per_page", 30)), most, self.page))
        page = int(request.query.get("page", 1))
        last = max(1, -(-len(items) // size))
        places = {"prev": page - 1, "next": page + 1, "last": last, "first": 1}
        links = [
            f'<{self.api}{request.path}?{urlencode({**request.query, "page": at})}>; rel="{name}"'
            for name, at in places.items()
            if 1 <= at <= last and at != page
        ]
        shown = items[(page - 1) * size : page * size]
        body = {"total_count": len(items), key: shown} if key else shown
        return Response(200, body, {"Link": ", ".join(links)} if links else {})

    # ---- repositories

    @route("GET", "/user")
    def who(self, request: Request) -> Response:
        """Say whose token it is."""
        if not self._knows(request):
            raise Refused(401, "Requires authentication")
        return Response(200, self._account(self.user))

    def _account(self, login: str) -> dict[str, Any]:
        kind = "Organization" if login in self.orgs else "User"
        return {"login": login, "id": 1, "type": kind, "url": f"{self.api}/users/{login}"}

    @route("POST", "/user/repos")
    def make_mine(self, request: Request) -> Response:
        """Make a repository of the user."""
        return self._make(self.user, request.json)

    @route("POST", "/orgs/{org}/repos")
    def make_theirs(self, request: Request) -> Response:
        """Make a repository of an organisation."""
        if request.values["org"] not in self.orgs:
            raise Refused(404, "Not Found")
        return self._make(request.values["org"], request.json)

    def _make(self, owner: str, wanted: dict[str, Any]) -> Response:
        if not {"repo", "public_repo"} & set(self.scopes):
            raise Refused(404, "Not Found", headers={"X-Accepted-OAuth-Scopes": "public_repo, repo"})
        name = self._free_name(owner, wanted.get("name"), "Repository creation failed.")
        visibility = wanted.get("visibility") or ("private" if wanted.get("private") else "public")
        self._check_visibility(owner, visibility)
        description = wanted.get("description") or ""
        if any(ord(character) < 32 for character in description):
            raise invalid(
                "Repository", "description", message="description control characters are not allowed"
            )
        made = self._made(owner, name, visibility, description)
        return Response(201, self.shown(made))

    def _free_name(self, owner: str, name: Any, message: str) -> str:
        """Give the name that GitHub makes of one that is asked for."""
        if not isinstance(name, str) or not 0 < len(name) <= 100:
            raise invalid("Repository", "name", "missing_field" if not name else "invalid")
        kept = re.sub(r"[^A-Za-z0-9._-]", "-", name).removesuffix(".git")
        if f"{owner}/{kept}".casefold() in self.repositories:
            error = {"resource": "Repository", "code": "custom", "field": "name"}
            taken = "name already exists on this account"
            raise Refused(422, message, errors=[{**error, "message": taken}])
        return kept

    def _check_visibility(self, owner: str, visibility: str) -> None:
        if visibility == "internal" and not (self.enterprise and owner in self.orgs):
            said = "Only organizations associated with an enterprise can set visibility to internal"
            raise invalid("Repository", "visibility", "custom", f"Visibility can't be internal. {said}")
        if visibility not in {"public", "private", "internal"}:
            raise invalid("Repository", "visibility")

    def _made(self, owner: str, name: str, visibility: str, description: str) -> GitHubRepository:
        assert self.git_root is not None
        number = self.next_number()
        path = self.git_root / f"{number}.git"
        made = GitHubRepository(number, owner, name, visibility, description, path)
        made.unseen, made.unseen_by_git = self.unseen, self.unseen_by_git
        made.start()
        self.repositories[made.full_name.casefold()] = made
        self.renamed.pop(made.full_name.casefold(), None)
        return made

    def shown(self, repository: GitHubRepository) -> dict[str, Any]:
        """Describe a repository as the API does."""
        full = repository.full_name
        return {
            "id": repository.number,
            "name": repository.name,
            "full_name": full,
            "owner": self._account(repository.owner),
            "description": repository.description or None,
            "private": repository.visibility != "public",
            "visibility": repository.visibility,
            "archived": repository.archived,
            "default_branch": repository.git("symbolic-ref", "--short", "HEAD"),
            "topics": repository.topics,
            "allow_merge_commit": "merge" in repository.merge_methods,
            "allow_squash_merge": "squash" in repository.merge_methods,
            "allow_rebase_merge": "rebase" in repository.merge_methods,
            "url": f"{self.api}/repos/{full}",
            "clone_url": f"{self.url}/{full}.git",
            "ssh_url": f"git@{self.host}:{full}.git",
            "html_url": f"{self.url}/{full}",
        }

    @route("GET", REPO)
    def show(self, request: Request) -> Response:
        """Show a repository."""
        return Response(200, self.shown(self.find(request)))

    @route("PATCH", REPO)
    def edit(self, request: Request) -> Response:
        """Change a repository."""
        found, wanted = self.find(request), request.json
        branch = wanted.get("default_branch")
        if branch and branch not in found.branches:
            message = f"The branch {branch} was not found. Please push that ref first."
            raise invalid("Repository", "default_branch", message=message)
        if wanted.get("name", found.name) != found.name:
            name = self._free_name(found.owner, wanted["name"], "Validation Failed")
            self._rename(found, found.owner, name)
        if branch:
            found.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        found.description = wanted.get("description", found.description)
        found.archived = wanted.get("archived", found.archived)
        return Response(200, self.shown(found))

    def _rename(self, repository: GitHubRepository, owner: str, name: str) -> None:
        old = repository.full_name.casefold()
        del self.repositories[old]
        repository.owner, repository.name = owner, name
        self.repositories[repository.full_name.casefold()] = repository
        self.renamed[old] = repository.number
        self.renamed.pop(repository.full_name.casefold(), None)

    @route("POST", f"{REPO}/transfer")
    def transfer(self, request: Request) -> Response:
        """Begin to give a repository to somebody else."""
        found, wanted = self.find(request), request.json
        owner = wanted.get("new_owner")
        if owner not in {self.user, *self.orgs, *self.strangers}:
            raise invalid("Repository", "new_owner", message="Could not resolve to a user or organization")
        name = self._free_name(owner, wanted.get("new_name") or found.name, "Validation Failed")
        if owner not in self.strangers:
            self._transfers.append((found, owner, name, [self.transfer_takes]))
        settings = ("allow_merge_commit", "allow_squash_merge", "allow_rebase_merge")
        shown = {name: value for name, value in self.shown(found).items() if name not in settings}
        return Response(202, shown)

    def _transfer(self) -> None:
        """Get on with transfers, a step each time that somebody looks."""
        for one in list(self._transfers):
            repository, owner, name, left = one
            left[0] -= 1
            if left[0] < 0:
                self._rename(repository, owner, name)
                self._transfers.remove(one)

    @route("DELETE", REPO)
    def delete(self, request: Request) -> Response:
        """Remove a repository."""
        found = self.find(request)
        if "delete_repo" not in self.scopes:
            message = "Must have admin rights to Repository."
            raise Refused(403, message, headers={"X-Accepted-OAuth-Scopes": "delete_repo"})
        shutil.rmtree(found.path)
        del self.repositories[found.full_name.casefold()]
        self.renamed = {was: at for was, at in self.renamed.items() if at != found.number}
        return Response(204)

    @route("PUT", f"{REPO}/topics")
    def put_topics(self, request: Request) -> Response:
        """Replace the topics."""
        found, names = self.find(request), request.json.get("names")
        if (
            not isinstance(names, list)
            or len(names) > 20
            or not all(_TOPIC.fullmatch(name) for name in names)
        ):
            raise Refused(
                422, "Validation Failed", errors="Topics must start with a lowercase letter or number"
            )
        found.topics = names
        return Response(200, {"names": names})
