"""`GiteaStandIn`: keeps repositories, pull requests, webhooks and CI secrets as Gitea 1.22 does.

What it accepts is held to Gitea's own description of its API, and to a real Gitea, by contract tests.
"""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devstream.testing.service import Request, Response, Service, route

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

__all__ = ["GiteaStandIn", "GiteaRepository"]

_API = "/api/v1"
_REPO = f"{_API}/repos/{{owner}}/{{repo}}"
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
_SECRET = re.compile(r"(?!GITEA_|GITHUB_)[A-Za-z_][A-Za-z0-9_]*", re.IGNORECASE)
_PROTECT = """#!/bin/sh
while read -r old new ref; do
  for branch in {branches}; do
    if [ "$ref" = "refs/heads/$branch" ]; then
      echo "Gitea: Not allowed to push to protected branch $branch" >&2
      exit 1
    fi
  done
done
"""


@dataclass
class GiteaRepository:
    """What the stand-in knows of a repository; the rest is in its bare repository."""

    number: int
    owner: str
    name: str
    private: bool
    description: str
    default_branch: str
    topics: list[str] = field(default_factory=list)
    hooks: dict[int, dict[str, Any]] = field(default_factory=dict)
    hook_secrets: dict[int, str] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)


class GiteaStandIn(Service):
    """A Gitea with one user, organisations and tokens.

    Args:
        git_root: an empty folder for the bare repositories.
        user: whom ``token`` belongs to.
        orgs: organisations that the user owns.
        page: the most items on a page.
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
        self.user = user
        self.token = token
        self.orgs = orgs
        self.page = page
        self.repositories: dict[str, GiteaRepository] = {}
        self.renamed: dict[str, str] = {}
        self._number = 0

    # ---- for tests

    def repository(self, name: str) -> GiteaRepository:
        """Give ``owner/name``."""
        return self.repositories[name.casefold()]

    def protect(self, name: str, *branches: str) -> None:
        """Let nobody push to branches."""
        assert self.git_root is not None
        repository = self.repository(name)
        hook = self.git_root / repository.owner / f"{repository.name}.git" / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_PROTECT.format(branches=" ".join(branches)))
        hook.chmod(0o755)

    # ---- who asks

    def allows(self, request: Request) -> Response | None:
        """Ask for the token."""
        if request.headers.get("authorization") == f"token {self.token}":
            return None
        if request.basic and request.basic[1] == self.token:
            return None
        return Response(401, {"message": "token is required", "url": f"{self.url}/api/swagger"})

    def allows_git(self, request: Request, repository: str, *, write: bool) -> Response | None:
        """Ask for the token, but to read what is public."""
        found = self.repositories.get(repository.casefold())
        if request.basic and request.basic[1] == self.token:
            return None
        if found is not None and not found.private and not write:
            return None
        return Response(401, b"Unauthorized\n", {"WWW-Authenticate": 'Basic realm="Gitea"'})

    # ---- repositories

    @route("GET", f"{_API}/user")
    def who(self, _: Request) -> Response:
        """Say whose token it is."""
        return Response(200, {"id": 1, "login": self.user})

    @route("GET", f"{_API}/version")
    def version(self, _: Request) -> Response:
        """Say which version this is."""
        return Response(200, {"version": "1.22.6"})

    @route("POST", f"{_API}/user/repos")
    def make_mine(self, request: Request) -> Response:
        """Make a repository of the user."""
        return self._make(self.user, request.json)

    @route("POST", f"{_API}/orgs/{{org}}/repos")
    def make_theirs(self, request: Request) -> Response:
        """Make a repository of an organisation."""
        if request.values["org"] not in self.orgs:
            return Response(404, {"message": "GetOrgByName"})
        return self._make(request.values["org"], request.json)

    def _make(self, owner: str, wanted: dict[str, Any]) -> Response:
        name = wanted.get("name", "")
        if not _NAME.fullmatch(name) or name.endswith((".git", ".wiki")) or name in {".", ".."}:
            return Response(422, {"message": f"repository name is not valid: {name}"})
        key = f"{owner}/{name}".casefold()
        if key in self.repositories:
            return Response(409, {"message": "The repository with the same name already exists."})
        self._number += 1
        branch = wanted.get("default_branch") or "main"
        made = GiteaRepository(
            self._number, owner, name, wanted.get("private", False), wanted.get("description", ""), branch
        )
        self.repositories[key] = made
        self.renamed.pop(key, None)
        path = self._path(made)
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", branch, str(path)], check=True)  # noqa: S603, S607 - the git on PATH
        return Response(201, self._shown(made))

    def _path(self, repository: GiteaRepository) -> Path:
        assert self.git_root is not None
        return self.git_root / repository.owner / f"{repository.name}.git"

    def _shown(self, repository: GiteaRepository) -> dict[str, Any]:
        full = f"{repository.owner}/{repository.name}"
        return {
            "id": repository.number,
            "name": repository.name,
            "full_name": full,
            "owner": {"login": repository.owner},
            "description": repository.description,
            "private": repository.private,
            "empty": not self._branches(repository),
            "archived": False,
            "default_branch": repository.default_branch,
            "clone_url": f"{self.url}/{full}.git",
            "ssh_url": f"git@{self.host}:{full}.git",
            "html_url": f"{self.url}/{full}",
        }

    def _branches(self, repository: GiteaRepository) -> dict[str, str]:
        listed = subprocess.run(
            ["git", "for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads/"],  # noqa: S607 - the git on PATH
            cwd=self._path(repository),
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(line.split(" ") for line in listed.stdout.splitlines())

    def _find(self, request: Request) -> GiteaRepository | Response:
        """Give the repository that a request is about; sends old names on."""
        key = f"{request.values['owner']}/{request.values['repo']}".casefold()
        found = self.repositories.get(key)
        if found is not None:
            return found
        now = self.renamed.get(key)
        if now is None:
            return Response(404, {"message": "The target couldn't be found."})
        owner, repo = request.values["owner"], request.values["repo"]
        to = request.path.replace(f"/repos/{owner}/{repo}", f"/repos/{now}", 1)
        return Response(301 if request.method in ("GET", "HEAD") else 307, None, {"Location": to})

    @route("GET", _REPO)
    def show(self, request: Request) -> Response:
        """Show a repository."""
        found = self._find(request)
        return found if isinstance(found, Response) else Response(200, self._shown(found))

    @route("PATCH", _REPO)
    def edit(self, request: Request) -> Response:
        """Change a repository."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        wanted = request.json
        branch = wanted.get("default_branch")
        if branch and self._branches(found) and branch not in self._branches(found):
            return Response(422, {"message": f"branch {branch} does not exist"})
        if wanted.get("name", found.name) != found.name:
            refused = self._rename(found, found.owner, wanted["name"])
            if refused:
                return refused
        for name in ("description", "private", "default_branch"):
            setattr(found, name, wanted.get(name, getattr(found, name)))
        if branch:
            (self._path(found) / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
        return Response(200, self._shown(found))

    def _rename(self, repository: GiteaRepository, owner: str, name: str) -> Response | None:
        key = f"{owner}/{name}".casefold()
        if key in self.repositories:
            return Response(422, {"message": f"repository name is already taken [name: {name}]"})
        before, old = self._path(repository), f"{repository.owner}/{repository.name}".casefold()
        del self.repositories[old]
        repository.owner, repository.name = owner, name
        self.repositories[key] = repository
        self.renamed = {
            was: f"{owner}/{name}" if now.casefold() == old else now for was, now in self.renamed.items()
        }
        self.renamed[old] = f"{owner}/{name}"
        after = self._path(repository)
        after.parent.mkdir(parents=True, exist_ok=True)
        before.rename(after)
        return None

    @route("POST", f"{_REPO}/transfer")
    def transfer(self, request: Request) -> Response:
        """Give a repository to somebody else."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        owner = request.json["new_owner"]
        if owner not in {self.user, *self.orgs}:
            return Response(404, {"message": "The new owner does not exist or cannot be found"})
        return self._rename(found, owner, found.name) or Response(202, self._shown(found))

    @route("DELETE", _REPO)
    def delete(self, request: Request) -> Response:
        """Remove a repository."""
        import shutil

        found = self._find(request)
        if isinstance(found, Response):
            return found
        shutil.rmtree(self._path(found))
        del self.repositories[f"{found.owner}/{found.name}".casefold()]
        return Response(204)

    @route("PUT", f"{_REPO}/topics")
    def topics(self, request: Request) -> Response:
        """Replace the topics."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        wanted = request.json["topics"]
        if any(not re.fullmatch(r"[a-z0-9][a-z0-9-.]{0,34}", topic) for topic in wanted):
            return Response(422, {"message": "Topic names are invalid", "invalidTopics": wanted})
        found.topics = wanted
        return Response(204)

    def _paged(self, request: Request, items: list[Any]) -> Response:
        size = min(int(request.query.get("limit", 30)), self.page)
        start = (int(request.query.get("page", 1)) - 1) * size
        headers = {"X-Total-Count": str(len(items)), "Access-Control-Expose-Headers": "X-Total-Count"}
        return Response(200, items[start : start + size], headers)

    # ---- webhooks

    @route("GET", f"{_REPO}/hooks")
    def hooks(self, request: Request) -> Response:
        """List webhooks; the secret is not shown."""
        found = self._find(request)
        return found if isinstance(found, Response) else self._paged(request, list(found.hooks.values()))

    @route("POST", f"{_REPO}/hooks")
    def make_hook(self, request: Request) -> Response:
        """Make a webhook."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        wanted = request.json
        config = wanted.get("config", {})
        if wanted.get("type") not in ("gitea", "gogs", "slack", "discord", "dingtalk"):
            return Response(422, {"message": f"Invalid hook type: {wanted.get('type')}"})
        if not config.get("url") or config.get("content_type") not in ("json", "form"):
            return Response(422, {"message": "Missing config option: url"})
        self._number += 1
        found.hook_secrets[self._number] = config.pop("secret", "")
        found.hooks[self._number] = {
            "id": self._number,
            "type": wanted["type"],
            "config": config,
            "events": sorted(wanted.get("events") or ["push"]),
            "active": wanted.get("active", False),
        }
        return Response(201, found.hooks[self._number])

    @route("PATCH", f"{_REPO}/hooks/{{id}}")
    def edit_hook(self, request: Request) -> Response:
        """Change a webhook."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        hook = found.hooks.get(int(request.values["id"]))
        if hook is None:
            return Response(404, {"message": "The target couldn't be found."})
        wanted = request.json
        config = wanted.get("config", {})
        if "secret" in config:
            found.hook_secrets[hook["id"]] = config.pop("secret")
        hook["config"].update(config)
        hook["events"] = sorted(wanted.get("events", hook["events"]))
        hook["active"] = wanted.get("active", hook["active"])
        return Response(200, hook)

    @route("DELETE", f"{_REPO}/hooks/{{id}}")
    def delete_hook(self, request: Request) -> Response:
        """Remove a webhook."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        gone = found.hooks.pop(int(request.values["id"]), None)
        return Response(204) if gone else Response(404, {"message": "The target couldn't be found."})

    # ---- pull requests

    @route("GET", f"{_REPO}/pulls")
    def pulls(self, request: Request) -> Response:
        """List pull requests, newest first."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        state = request.query.get("state", "open")
        kept = [pull for pull in reversed(found.pulls) if state in ("all", pull["state"])]
        return self._paged(request, kept)

    @route("POST", f"{_REPO}/pulls")
    def make_pull(self, request: Request) -> Response:
        """Open a pull request."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        wanted = request.json
        branches = self._branches(found)
        if wanted["head"] not in branches or wanted["base"] not in branches:
            return Response(404, {"message": "The target couldn't be found."})
        if any(pull["state"] == "open" and pull["head"]["ref"] == wanted["head"] for pull in found.pulls):
            return Response(409, {"message": "pull request already exists for these targets"})
        number = len(found.pulls) + 1
        pull = {
            "id": number,
            "number": number,
            "state": "open",
            "merged": False,
            "title": wanted["title"],
            "body": wanted.get("body", ""),
            "html_url": f"{self.url}/{found.owner}/{found.name}/pulls/{number}",
            "head": {"ref": wanted["head"], "sha": branches[wanted["head"]]},
            "base": {"ref": wanted["base"]},
        }
        found.pulls.append(pull)
        return Response(201, pull)

    @route("POST", f"{_REPO}/pulls/{{index}}/merge")
    def merge(self, request: Request) -> Response:
        """Merge a pull request with a merge commit, in the bare repository."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        index = int(request.values["index"])
        pull = found.pulls[index - 1] if 0 < index <= len(found.pulls) else None
        if pull is None:
            return Response(404, {"message": "The target couldn't be found."})
        if pull["state"] != "open":
            return Response(405, {"message": "The PR is already merged"})
        if not self._merge(self._path(found), pull["base"]["ref"], pull["head"]["ref"]):
            return Response(405, {"message": "Please try again later"})
        pull.update(state="closed", merged=True)
        return Response(200)

    def _merge(self, path: Path, base: str, head: str) -> bool:
        def git(*arguments: str) -> str:
            who = ("-c", "user.name=Gitea", "-c", "user.email=gitea@localhost")
            done = subprocess.run(  # noqa: S603 - names that git itself gave
                ["git", *who, *arguments],  # noqa: S607 - the git on PATH
                cwd=path,
                capture_output=True,
                text=True,
                check=True,
            )
            return done.stdout.partition("\n")[0]

        try:
            tree = git("merge-tree", "--write-tree", base, head)
        except subprocess.CalledProcessError:
            return False
        commit = git("commit-tree", tree, "-p", base, "-p", head, "-m", "Merge")
        git("update-ref", f"refs/heads/{base}", commit)
        return True

    # ---- Actions

    @route("GET", f"{_REPO}/actions/secrets")
    def secrets(self, request: Request) -> Response:
        """List secrets by name."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        return self._paged(request, [{"name": name} for name in found.secrets])

    @route("PUT", f"{_REPO}/actions/secrets/{{name}}")
    def put_secret(self, request: Request) -> Response:
        """Set a secret; names are kept in capitals."""
        return self._put(request, "secrets", request.json.get("data", ""))

    def _put(self, request: Request, kind: str, value: str) -> Response:
        found = self._find(request)
        if isinstance(found, Response):
            return found
        name = request.values["name"]
        if not _SECRET.fullmatch(name) or not value:
            return Response(400, {"message": f"invalid {kind[:-1]} name"})
        kept: dict[str, str] = getattr(found, kind)
        there = name.upper() in kept
        kept[name.upper()] = value
        return Response(204 if there else 201)

    @route("DELETE", f"{_REPO}/actions/{{kind}}/{{name}}")
    def delete_secret(self, request: Request) -> Response:
        """Remove a secret or a variable."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        kept: dict[str, str] = getattr(found, request.values["kind"])
        gone = kept.pop(request.values["name"].upper(), None)
        return Response(204) if gone is not None else Response(404, {"message": "not found"})

    @route("GET", f"{_REPO}/actions/variables")
    def variables(self, request: Request) -> Response:
        """List variables."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        return self._paged(
            request, [{"name": name, "data": value} for name, value in found.variables.items()]
        )

    @route("GET", f"{_REPO}/actions/variables/{{name}}")
    def variable(self, request: Request) -> Response:
        """Show a variable."""
        found = self._find(request)
        if isinstance(found, Response):
            return found
        name = request.values["name"].upper()
        if name not in found.variables:
            return Response(404, {"message": "variable not found"})
        return Response(200, {"name": name, "data": found.variables[name]})

    @route("POST", f"{_REPO}/actions/variables/{{name}}")
    def make_variable(self, request: Request) -> Response:
        """Make a variable."""
        found = self._find(request)
        if not isinstance(found, Response) and request.values["name"].upper() in found.variables:
            return Response(409, {"message": "variable already exists"})
        answer = self._put(request, "variables", request.json.get("value", ""))
        return Response(201) if answer.status == 201 else answer

    @route("PUT", f"{_REPO}/actions/variables/{{name}}")
    def put_variable(self, request: Request) -> Response:
        """Change a variable."""
        found = self._find(request)
        if not isinstance(found, Response) and request.values["name"].upper() not in found.variables:
            return Response(404, {"message": "variable not found"})
        return self._put(request, "variables", request.json.get("value", ""))
