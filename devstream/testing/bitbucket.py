"""`BitbucketCloudStandIn`: keeps repositories, pull requests, webhooks and Pipelines variables as bitbucket.org does.

That of Data Center, another service altogether, is in `devstream.testing.bitbucket_server`.
"""

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

__all__ = ["BitbucketCloudStandIn", "CloudRepository"]

_REPO = "/2.0/repositories/{workspace}/{slug}"
_SLUG = re.compile(r"[a-z0-9._-]{1,62}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_EVENT = re.compile(r"(repo|pullrequest|issue|project):[a-z_]+")
_STATES = ("OPEN", "MERGED", "DECLINED", "SUPERSEDED")


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

    @property
    def full_name(self) -> str:
        """Workspace and slug."""
        return f"{self.workspace}/{self.slug}"


class BitbucketCloudStandIn(Service):
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
        return _error(401, "Token is invalid, expired, or not supported for this endpoint.")

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
            return _error(404, "You may not have access to this repository or it no longer exists.")
        to = request.path.replace(f"/repositories/{workspace}/{slug}", f"/repositories/{now}", 1)
        return Response(301, None, {"Location": f"{self.url}{to}"})

    def _with(self, request: Request, answer: Callable[[CloudRepository], Response]) -> Response:
        found = self._found(request)
        return found if isinstance(found, Response) else answer(found)

    @route("GET", _REPO)
    def show(self, request: Request) -> Response:
        """Show a repository."""
        return self._with(request, lambda found: Response(200, self._shown(found)))

    @route("POST", _REPO)
    def make(self, request: Request) -> Response:
        """Make a repository."""
        workspace, slug = request.values["workspace"], request.values["slug"]
        wanted = request.json or {}
        if workspace not in self.workspaces:
            return _error(404, f"No workspace with identifier '{workspace}'.")
        if not _SLUG.fullmatch(slug):
            return _error(400, "Invalid slug: lowercase letters, digits, '_', '-' and '.' only")
        if f"{workspace}/{slug}" in self.repositories:
            return _error(400, "Repository with this Slug and Owner already exists.")
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
            return _error(400, f"project: project '{key}' not found")
        if wanted.get("scm", "git") != "git":
            return _error(400, "scm: only git is supported")
        if wanted.get("fork_policy", "no_forks") not in ("allow_forks", "no_public_forks", "no_forks"):
            return _error(400, "fork_policy: not a valid choice")
        return (
            None if isinstance(wanted.get("is_private", True), bool) else _error(400, "is_private: a boolean")
        )

    def _shown(self, repository: CloudRepository) -> dict[str, Any]:
        full, host = repository.full_name, self.url.partition("://")[2]
        branch = self._main_branch(repository)
        clone = f"{self.url.partition('://')[0]}://{self.user}@{host}/{full}.git"
        return {
            "type": "repository",
            "uuid": repository.uuid,
            "full_name": full,
            "name": repository.slug,
            "slug": repository.slug,
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

    def _main_branch(self, repository: CloudRepository) -> str:
        """Give the main branch: the first one that was pushed, until another is chosen."""
        branches = repository.git.branches()
        if not repository.main_branch and branches:
            repository.main_branch = next(iter(branches))
            repository.git.set_head(repository.main_branch)
        return repository.main_branch

    @route("PUT", _REPO)
    def edit(self, request: Request) -> Response:
        """Change a repository; or make it, where there is none of this name."""
        found = self._found(request)
        if isinstance(found, Response):
            by_id = request.values["slug"].startswith("{")
            return found if by_id or found.status != 404 else self.make(request)
        wanted = request.json
        branch = (wanted.get("mainbranch") or {}).get("name")
        if branch and branch not in found.git.branches():
            return _error(400, f"mainbranch: branch '{branch}' not found")
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
            return _error(400, "name: You already have a repository with this name.")
        old = repository.full_name
        del self.repositories[old]
        repository.slug = slug
        self.repositories[repository.full_name] = repository
        new = repository.full_name
        self.renamed = {was: new if now == old else now for was, now in self.renamed.items()} | {old: new}
        repository.git.move(repository.git.path.parent / f"{slug}.git")
        return None

    @route("DELETE", _REPO)
    def delete(self, request: Request) -> Response:
        """Remove a repository."""

        def remove(found: CloudRepository) -> Response:
            found.git.remove()
            del self.repositories[found.full_name]
            return Response(204)

        return self._with(request, remove)

    def _paged(self, request: Request, items: list[Any], *, most: int = 100) -> Response:
        wanted = int(request.query.get("pagelen", 10))
        if not 1 <= wanted <= most:
            return _error(400, "Invalid pagelen")
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

    # ---- webhooks

    @route("GET", f"{_REPO}/hooks")
    def hooks(self, request: Request) -> Response:
        """List webhooks; the secret is not shown."""
        return self._with(request, lambda found: self._paged(request, list(found.hooks.values())))

    @route("POST", f"{_REPO}/hooks")
    def make_hook(self, request: Request) -> Response:
        """Make a webhook."""
        return self._with(request, lambda found: self._put_hook(found, f"{{{uuid4()}}}", request.json))

    @route("PUT", f"{_REPO}/hooks/{{uid}}")
    def edit_hook(self, request: Request) -> Response:
        """Change a webhook."""

        def change(found: CloudRepository) -> Response:
            uid = request.values["uid"]
            return (
                self._put_hook(found, uid, request.json)
                if uid in found.hooks
                else _error(404, "No such hook")
            )

        return self._with(request, change)

    def _put_hook(self, found: CloudRepository, uid: str, wanted: dict[str, Any]) -> Response:
        events = wanted.get("events") or []
        if not str(wanted.get("url", "")).startswith(("http://", "https://")):
            return _error(400, "url: Enter a valid URL.")
        if not events or not all(_EVENT.fullmatch(event) for event in events):
            return _error(400, "events: Select a valid choice.")
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

    @route("DELETE", f"{_REPO}/hooks/{{uid}}")
    def delete_hook(self, request: Request) -> Response:
        """Remove a webhook."""

        def remove(found: CloudRepository) -> Response:
            gone = found.hooks.pop(request.values["uid"], None)
            return Response(204) if gone else _error(404, "No such hook")

        return self._with(request, remove)

    # ---- pull requests

    @route("GET", f"{_REPO}/pullrequests")
    def pulls(self, request: Request) -> Response:
        """List pull requests: the open ones, unless states are asked for."""

        def kept(found: CloudRepository) -> Response:
            states = request.repeated.get("state", ("OPEN",))
            if not set(states) <= set(_STATES):
                return _error(400, "state: not a valid choice")
            query = re.fullmatch(r'source\.branch\.name = "([^"]*)"', request.query.get("q", ""))
            if "q" in request.query and query is None:
                return _error(400, "q: invalid query")
            listed = [
                pull
                for pull in reversed(found.pulls)
                if pull["state"] in states and (query is None or pull["source"]["branch"]["name"] == query[1])
            ]
            return self._paged(request, listed, most=50)

        return self._with(request, kept)

    @route("POST", f"{_REPO}/pullrequests")
    def make_pull(self, request: Request) -> Response:
        """Open a pull request."""
        return self._with(request, lambda found: self._make_pull(found, request.json))

    def _make_pull(self, found: CloudRepository, wanted: dict[str, Any]) -> Response:
        source, target = (
            wanted.get(side, {}).get("branch", {}).get("name") for side in ("source", "destination")
        )
        target = target or self._main_branch(found)
        branches = found.git.branches()
        if not wanted.get("title"):
            return _error(400, "title: This field is required.")
        if source not in branches or target not in branches:
            return _error(400, "source: branch not found")
        if found.git.has(target, source):
            return _error(400, "There are no changes to be pulled")
        if any(
            pull["state"] == "OPEN" and pull["source"]["branch"]["name"] == source for pull in found.pulls
        ):
            return _error(409, "There is already an open pull request for these branches")
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

    @route("GET", f"{_REPO}/pullrequests/{{id}}")
    def pull(self, request: Request) -> Response:
        """Show a pull request."""

        def show(found: CloudRepository) -> Response:
            pull = _numbered(found.pulls, request.values["id"])
            return Response(200, pull) if pull else _error(404, "No such pull request")

        return self._with(request, show)

    @route("POST", f"{_REPO}/pullrequests/{{id}}/merge")
    def merge(self, request: Request) -> Response:
        """Merge a pull request."""

        def merge(found: CloudRepository) -> Response:
            pull = _numbered(found.pulls, request.values["id"])
            if pull is None:
                return _error(404, "No such pull request")
            if pull["state"] != "OPEN":
                return _error(400, "This pull request is already closed.")
            if (request.json or {}).get("merge_strategy", "merge_commit") != "merge_commit":
                return _error(400, "merge_strategy: not a valid choice")
            if not found.git.merge(pull["destination"]["branch"]["name"], pull["source"]["branch"]["name"]):
                return _error(409, "There are conflicts")
            pull["state"] = "MERGED"
            return Response(200, pull)

        return self._with(request, merge)

    # ---- Pipelines

    @route("GET", f"{_REPO}/pipelines_config")
    def pipelines(self, request: Request) -> Response:
        """Say whether Pipelines are enabled; nothing is known where they never were."""

        def show(found: CloudRepository) -> Response:
            if found.pipelines is None:
                return _error(404, "Not found")
            return Response(200, {"type": "repository_pipelines_configuration", "enabled": found.pipelines})

        return self._with(request, show)

    @route("PUT", f"{_REPO}/pipelines_config")
    def enable(self, request: Request) -> Response:
        """Enable Pipelines."""

        def enable(found: CloudRepository) -> Response:
            found.pipelines = bool(request.json["enabled"])
            return Response(200, {"type": "repository_pipelines_configuration", "enabled": found.pipelines})

        return self._with(request, enable)

    def _variables(self, request: Request, answer: Callable[[CloudRepository], Response]) -> Response:
        return self._with(
            request, lambda found: answer(found) if found.pipelines else _error(404, "Not found")
        )

    @route("GET", f"{_REPO}/pipelines_config/variables")
    def variables(self, request: Request) -> Response:
        """List variables; the value of a secured one is not shown."""

        def shown(found: CloudRepository) -> Response:
            hidden = [
                {name: value for name, value in kept.items() if name != "value" or not kept["secured"]}
                for kept in found.variables.values()
            ]
            return self._paged(request, hidden)

        return self._variables(request, shown)

    @route("POST", f"{_REPO}/pipelines_config/variables")
    def make_variable(self, request: Request) -> Response:
        """Make a variable."""

        def make(found: CloudRepository) -> Response:
            wanted = request.json
            if any(kept["key"] == wanted.get("key") for kept in found.variables.values()):
                return _error(409, "A variable with this key already exists")
            if not _VARIABLE.fullmatch(wanted.get("key", "")) or not isinstance(wanted.get("value"), str):
                return _error(400, "key: Invalid variable name")
            uuid = f"{{{uuid4()}}}"
            secured = bool(wanted.get("secured", False))
            made = {"type": "pipeline_variable", "uuid": uuid, **wanted, "secured": secured}
            found.variables[uuid] = made
            return Response(201, made)

        return self._variables(request, make)

    @route("PUT", f"{_REPO}/pipelines_config/variables/{{uuid}}")
    def edit_variable(self, request: Request) -> Response:
        """Change a variable's value; whether it is secured stays."""

        def change(found: CloudRepository) -> Response:
            kept = found.variables.get(request.values["uuid"])
            if kept is None:
                return _error(404, "Not found")
            if request.json.get("secured", kept["secured"]) != kept["secured"]:
                return _error(400, "secured: cannot be changed")
            kept["value"] = request.json["value"]
            return Response(200, kept)

        return self._variables(request, change)

    @route("DELETE", f"{_REPO}/pipelines_config/variables/{{uuid}}")
    def delete_variable(self, request: Request) -> Response:
        """Remove a variable."""

        def remove(found: CloudRepository) -> Response:
            gone = found.variables.pop(request.values["uuid"], None)
            return Response(204) if gone else _error(404, "Not found")

        return self._variables(request, remove)


def _error(status: int, message: str) -> Response:
    return Response(status, {"type": "error", "error": {"message": message}})


def _numbered(pulls: list[dict[str, Any]], number: str) -> dict[str, Any] | None:
    index = int(number) if number.isdecimal() else 0
    return pulls[index - 1] if 0 < index <= len(pulls) else None
