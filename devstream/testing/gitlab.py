"""`GitLabStandIn`: keeps projects, merge requests, webhooks and CI/CD variables as GitLab 17 does.

What it accepts and answers follows the documentation of GitLab's REST API. It can also be told to do what newer and
stricter ones do: to delete later, to hide references, to find out slowly whether a branch can be merged.
"""

from __future__ import annotations

import re
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from devstream.testing.gitlab_keys import GitLabKeys
from devstream.testing.gitlab_parts import (
    API,
    PROTECT,
    GitLabProject,
    Refused,
    given,
    required,
)
from devstream.testing.service import Request, Response, Service, route

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable
    from pathlib import Path

    from devstream.testing.service import Handler

__all__ = ["GitLabStandIn", "GitLabProject"]

_PROJECT = f"{API}/projects/{{id}}"
_PATH = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+ -]*")
_LEVELS = ("private", "internal", "public")
_INTERNAL = ("refs/environments", "refs/keep-around", "refs/merge-requests", "refs/pipelines")
_DELETION_DAY = "2030-01-01"


class GitLabStandIn(GitLabKeys, Service):
    """A GitLab with one user, groups and tokens.

    Args:
        git_root: an empty folder for the bare repositories.
        user: whom ``token`` belongs to.
        groups: groups that the user owns, each with its parents; names to visibility.
        page: the most items on a page.

    Attributes:
        tokens: what tokens may do: ``api`` or ``read_api``.
        delayed: deleted projects are only marked; ``moving`` renames them as well, as GitLab 18 does.
        late: how often a branch that is there cannot be made the default one yet.
        busy_deleting: how often a new project is refused because an old one is still being deleted.
    """

    def __init__(
        self,
        git_root: Path,
        *,
        user: str = "someone",
        token: str = "glpat-stand-in-token",  # noqa: S107 - a test's token
        groups: Iterable[str] = ("acme", "acme/platform", "acme/platform/web"),
        page: int = 100,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(git_root=git_root, tls=tls)
        self.user = user
        self.token = token
        self.tokens = {token: "api"}
        self.namespaces = {name: number for number, name in enumerate((user, *groups), 101)}
        self.group_visibility = dict.fromkeys(groups, "public")
        self.page = page
        self.projects: dict[int, GitLabProject] = {}
        self.renamed: dict[str, int] = {}
        self.delayed = False
        self.moving = False
        self.late = 0
        self.busy_deleting = 0
        self._number = 0

    @property
    def all_projects(self) -> list[GitLabProject]:
        """Every project."""
        return list(self.projects.values())

    # ---- for tests

    def project(self, path: str) -> GitLabProject:
        """Give the project that is at a path."""
        return next(one for one in self.projects.values() if one.full_path.casefold() == path.casefold())

    def repository(self, project: GitLabProject) -> Path:
        """Give the bare repository of a project."""
        assert self.git_root is not None
        return self.git_root / f"{project.id}.git"

    def protect(self, path: str, *branches: str) -> None:
        """Let nobody push to branches."""
        hook = self.repository(self.project(path)) / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(PROTECT.format(branches=" ".join(branches)))
        hook.chmod(0o755)

    def hide(self, path: str, references: str) -> None:
        """Take no pushes to references, as an administrator can have it."""
        self.git(self.project(path), "config", "--add", "transfer.hideRefs", references)

    def git(self, project: GitLabProject, *arguments: str, text: str = "") -> str:
        """Run git in a project's repository, with ``text`` on its standard input; give what it prints."""
        who = ("-c", "user.name=GitLab", "-c", "user.email=gitlab@localhost")
        done = subprocess.run(  # noqa: S603 - names that git itself gave
            ["git", *who, *arguments],  # noqa: S607 - the git on PATH
            cwd=self.repository(project),
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def commit(self, path: str, branch: str, *, start: str = "", **texts: str) -> str:
        """Commit files to a branch, beginning at another where that is named; give the commit."""
        project = self.project(path)
        blobs = {
            name: self.git(project, "hash-object", "-w", "--stdin", text=text) for name, text in texts.items()
        }
        entries = "".join(f"100644 blob {blob}\t{name}\n" for name, blob in blobs.items())
        tree = self.git(project, "mktree", text=entries)
        parents = ("-p", start) if start else ()
        commit = self.git(project, "commit-tree", tree, *parents, "-m", f"Change {branch}")
        self.git(project, "update-ref", f"refs/heads/{branch}", commit)
        return commit

    # ---- who asks

    def allows(self, request: Request) -> Response | None:
        """Ask for a token, and whether it may change something."""
        given_token = request.headers.get("private-token", "")
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer":
            given_token = bearer
        scope = self.tokens.get(given_token)
        if scope is None:
            return _unauthorized(bearer)
        if scope != "api" and request.method != "GET":
            text = "The request requires higher privileges than provided by the access token."
            body = {"error": "insufficient_scope", "error_description": text, "scope": "api"}
            return Response(403, body)
        return None

    def allows_git(self, request: Request, repository: str, *, write: bool) -> Response | None:
        """Ask for a token as the password, but to read what is public."""
        found = next((one for one in self.projects.values() if one.full_path == repository), None)
        user, password = request.basic or ("", "")
        scope = self.tokens.get(password) if user else None
        if scope == "api" or (scope and not write):
            return None
        if scope is None and found is not None and found.visibility == "public" and not write:
            return None
        text = b"HTTP Basic: Access denied. If a password was provided for Git authentication, it was incorrect.\n"
        return Response(401, text, {"WWW-Authenticate": 'Basic realm="GitLab"'})

    def git_repository(self, path: str) -> Path | None:
        """Give the bare repository of the project at a path: it lies there by its id."""
        return next((self.repository(one) for one in self.projects.values() if one.full_path == path), None)

    def _handled(self, handler: Handler, request: Request) -> Response:
        def refusing(service: Any, asked: Request) -> Response:
            try:
                return handler(service, asked)
            except Refused as refused:
                return refused.response

        return super()._handled(refusing, request)

    # ---- what is asked for

    def find(self, request: Request) -> GitLabProject:
        """Give the project that a request is about, by id or path; send old paths on."""
        wanted = request.values["id"]
        by_path = (one for one in self.projects.values() if one.full_path.casefold() == wanted.casefold())
        found = self.projects.get(int(wanted)) if wanted.isdecimal() else next(by_path, None)
        if found is not None:
            return found
        moved = self.renamed.get(wanted.casefold())
        if moved not in self.projects:
            raise Refused(404, "404 Project Not Found")
        rest = request.path.removeprefix(f"{API}/projects/{quote(wanted, safe='')}")
        query = f"?{urlencode(request.query)}" if request.query else ""
        target = f"{self.url}{API}/projects/{moved}{rest}{query}"
        text = f"This resource has been moved permanently to {target}".encode()
        raise Refused(301, body=text, headers={"Location": target})

    # ---- namespaces

    @route("GET", f"{API}/namespaces")
    def list_namespaces(self, request: Request) -> Response:
        """List the namespaces that the user may see."""
        return self.paged(request, [self._namespace(path) for path in self.namespaces])

    @route("GET", f"{API}/namespaces/{{id}}")
    def show_namespace(self, request: Request) -> Response:
        """Show a namespace by id or path."""
        return Response(200, self._namespace(self._namespace_path(request.values["id"])))

    def _namespace(self, path: str) -> dict[str, Any]:
        kind = "user" if path == self.user else "group"
        name = path.rpartition("/")[2]
        return {"id": self.namespaces[path], "name": name, "path": name, "kind": kind, "full_path": path}

    def _namespace_path(self, wanted: object) -> str:
        for path, number in self.namespaces.items():
            if str(wanted) == str(number) or str(wanted).casefold() == path.casefold():
                return path
        raise Refused(404, "404 Namespace Not Found")

    # ---- projects

    @route("POST", f"{API}/projects")
    def make_project(self, request: Request) -> Response:
        """Make a project, without a commit."""
        wanted = given(request)
        name: str = wanted.get("name") or wanted.get("path") or ""
        path: str = wanted.get("path") or name
        if not name:
            raise Refused(400, error="name, path are missing, at least one parameter must be provided")
        if wanted.get("visibility", "private") not in _LEVELS:
            raise Refused(400, error="visibility does not have a valid value")
        namespace = self._target(wanted.get("namespace_id", self.namespaces[self.user]))
        self._check_new(namespace, name, path, wanted.get("visibility", "private"))
        self._number += 1
        made = GitLabProject(
            id=self._number,
            namespace=namespace,
            path=path,
            name=name,
            description=wanted.get("description") or "",
            visibility=wanted.get("visibility", "private"),
        )
        self.projects[made.id] = made
        self.renamed.pop(made.full_path.casefold(), None)
        self._make_repository(made)
        return Response(201, self.shown(made))

    def _target(self, number: object) -> str:
        try:
            return self._namespace_path(number)
        except Refused:
            raise Refused(400, {"namespace": ["is not valid"]}) from None

    def _check_new(self, namespace: str, name: str, path: str, visibility: str) -> None:
        if self.busy_deleting:
            self.busy_deleting -= 1
            text = "The project is still being deleted. Please try again later."
            raise Refused(
                400,
                {"project_namespace.name": ["has already been taken"], "base": [text], "limit_reached": []},
            )
        self._check_place(namespace, name, path)
        group = self.group_visibility.get(namespace, "public")
        if _LEVELS.index(visibility) > _LEVELS.index(group):
            raise Refused(400, {"visibility_level": [f"{visibility} is not allowed in a {group} group."]})

    def _check_place(self, namespace: str, name: str, path: str, but: int = 0) -> None:
        if not _NAME.fullmatch(name):
            raise Refused(
                400, {"name": ["can contain only letters, digits, emoji, '_', '.', '+', dashes, or spaces."]}
            )
        if not _PATH.fullmatch(path) or path.endswith((".git", ".atom", ".")):
            raise Refused(400, {"path": ["can contain only letters, digits, '_', '-' and '.'."]})
        others = [one for one in self.projects.values() if one.namespace == namespace and one.id != but]
        taken = {
            what: ["has already been taken"]
            for what, value in (("name", name), ("path", path))
            if any(getattr(one, what).casefold() == value.casefold() for one in others)
        }
        if taken:
            raise Refused(400, taken)

    def _make_repository(self, project: GitLabProject) -> None:
        path = self.repository(project)
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)  # noqa: S603, S607 - the git on PATH
        for references in _INTERNAL:
            self.git(project, "config", "--add", "transfer.hideRefs", references)

    def branches(self, project: GitLabProject) -> dict[str, str]:
        """Give the branches of a project with their commits."""
        listed = self.git(
            project, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads/"
        )
        return dict(line.split(" ") for line in listed.splitlines())

    def shown(self, project: GitLabProject) -> dict[str, Any]:
        """Describe a project as GitLab does to its maintainers."""
        branches = self.branches(project)
        if project.default_branch is None and branches:
            project.default_branch = "main" if "main" in branches else next(iter(branches))
        return {
            "id": project.id,
            "description": project.description,
            "name": project.name,
            "path": project.path,
            "path_with_namespace": project.full_path,
            "default_branch": project.default_branch,
            "topics": project.topics,
            "ssh_url_to_repo": f"git@{self.host}:{project.full_path}.git",
            "http_url_to_repo": f"{self.url}/{project.full_path}.git",
            "web_url": f"{self.url}/{project.full_path}",
            "namespace": self._namespace(project.namespace),
            "empty_repo": not branches,
            "archived": project.archived,
            "visibility": project.visibility,
            "marked_for_deletion_on": project.marked,
        }

    @route("GET", _PROJECT)
    def show_project(self, request: Request) -> Response:
        """Show a project."""
        return Response(200, self.shown(self.find(request)))

    @route("PUT", _PROJECT)
    def edit_project(self, request: Request) -> Response:
        """Change a project."""
        project, wanted = self.find(request), given(request)
        known = {"name", "path", "description", "visibility", "default_branch", "topics"}
        if not known & wanted.keys():
            raise Refused(400, error="name, path are missing, at least one parameter must be provided")
        if {"name", "path"} & wanted.keys():
            name, path = wanted.get("name", project.name), wanted.get("path", project.path)
            self._check_place(project.namespace, name, path, project.id)
            self._relocate(project, project.namespace, path)
        if "default_branch" in wanted:
            self._set_default(project, wanted["default_branch"])
        for what in known - {"path"} & wanted.keys():
            setattr(project, what, wanted[what])
        return Response(200, self.shown(project))

    def _set_default(self, project: GitLabProject, branch: str) -> None:
        known = branch in self.branches(project)
        if not known or self.late:
            self.late -= known
            text = (
                f"Could not set the default branch. Do you have a branch named '{branch}' in your repository?"
            )
            raise Refused(400, {"base": [text]})
        self.git(project, "symbolic-ref", "HEAD", f"refs/heads/{branch}")

    def _relocate(self, project: GitLabProject, namespace: str, path: str) -> None:
        old = project.full_path.casefold()
        project.namespace, project.path = namespace, path
        if project.full_path.casefold() != old:
            self.renamed[old] = project.id
            self.renamed.pop(project.full_path.casefold(), None)

    @route("PUT", f"{_PROJECT}/transfer")
    def transfer(self, request: Request) -> Response:
        """Give a project to another namespace."""
        project = self.find(request)
        namespace = self._namespace_path(required(request, "namespace")["namespace"])
        try:
            self._check_place(namespace, project.name, project.path, project.id)
        except Refused:
            text = "Project with same name or path in target namespace already exists"
            raise Refused(400, text) from None
        self._relocate(project, namespace, project.path)
        return Response(200, self.shown(project))

    @route("DELETE", _PROJECT)
    def delete_project(self, request: Request) -> Response:
        """Remove a project, or mark it."""
        project = self.find(request)
        if project.marked:
            raise Refused(400, "Project has been already marked for deletion")
        if not self.delayed:
            del self.projects[project.id]
            return Response(202, {"message": "202 Accepted"})
        project.marked, project.archived = _DELETION_DAY, True
        if self.moving:
            project.name = f"{project.name}-deletion_scheduled-{project.id}"
            self._relocate(project, project.namespace, f"{project.path}-deletion_scheduled-{project.id}")
        return Response(202, {"message": "202 Accepted"})

    @route("GET", f"{_PROJECT}/repository/branches/{{branch}}")
    def show_branch(self, request: Request) -> Response:
        """Show a branch."""
        commit = self.branches(self.find(request)).get(request.values["branch"])
        if commit is None:
            raise Refused(404, "404 Branch Not Found")
        return Response(200, {"name": request.values["branch"], "commit": {"id": commit}})


def _unauthorized(bearer: str) -> Response:
    if bearer:
        text = "Token was revoked. You have to re-authorize from the user."
        return Response(401, {"error": "invalid_token", "error_description": text})
    return Response(401, {"message": "401 Unauthorized"})
