"""`GiteaPulls`: pull requests of Gitea's stand-in, merged in the bare repositories."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from devstream.testing.gitea_repositories import REPO, GiteaRepositories
from devstream.testing.gitea_store import Refused
from devstream.testing.service import Request, Response, route

if TYPE_CHECKING:
    from devstream.testing.gitea_store import GiteaRepository

__all__ = ["GiteaPulls"]


class GiteaPulls(GiteaRepositories):
    """Opens, lists and merges pull requests from branches of the same repository.

    Whether one can be merged is found out later, and again when its branch is pushed to.
    """

    @route("GET", f"{REPO}/pulls")
    def pulls(self, request: Request) -> Response:
        """List pull requests, newest first."""
        found, state = self.find(request), request.query.get("state", "open")
        kept = [pull for pull in reversed(found.pulls) if state in ("all", pull["state"])]
        return self.paged(request, [self._pull(found, pull) for pull in kept])

    def _pull(self, repository: GiteaRepository, pull: dict[str, Any]) -> dict[str, Any]:
        """Describe a pull request: once its branch is gone only the label tells what that was called."""
        head = pull["head"]
        sha = repository.branches.get(head["label"])
        ref = head["label"] if sha else f"refs/pull/{pull['number']}/head"
        url = f"{self.root_url or self.url}/{repository.full_name}/pulls/{pull['number']}"
        return {**pull, "html_url": url, "head": {**head, "ref": ref, "sha": sha or head["sha"]}}

    def _numbered(self, request: Request) -> tuple[GiteaRepository, dict[str, Any]]:
        found, index = self.find(request), request.values["index"]
        if not index.isdecimal() or not 0 < int(index) <= len(found.pulls):
            raise Refused(404)
        return found, found.pulls[int(index) - 1]

    @route("GET", f"{REPO}/pulls/{{index}}")
    def show_pull(self, request: Request) -> Response:
        """Show a pull request."""
        return Response(200, self._pull(*self._numbered(request)))

    @route("POST", f"{REPO}/pulls")
    def make_pull(self, request: Request) -> Response:
        """Open a pull request."""
        found, wanted = self.find(request), request.json
        branches, head, base = found.branches, wanted["head"], wanted["base"]
        if head not in branches or base not in branches:
            raise Refused(404)
        there = (pull["state"] == "open" and pull["head"]["label"] == head for pull in found.pulls)
        if any(there):
            raise Refused(409, "pull request already exists for these targets")
        made = {
            "id": self.next_number(),
            "number": len(found.pulls) + 1,
            "state": "open",
            "merged": False,
            "title": wanted["title"],
            "body": wanted.get("body", ""),
            "head": {"label": head, "ref": head, "sha": branches[head], "repo_id": found.number},
            "base": {"label": base, "ref": base, "sha": branches[base], "repo_id": found.number},
        }
        found.pulls.append(made)
        return Response(201, self._pull(found, made))

    @route("PATCH", f"{REPO}/pulls/{{index}}")
    def edit_pull(self, request: Request) -> Response:
        """Close a pull request, or open it again; not one that is merged."""
        found, pull = self._numbered(request)
        if pull["merged"]:
            raise Refused(412, "cannot change state of this pull request, it was already merged")
        if request.json.get("state") in ("open", "closed"):
            pull["state"] = request.json["state"]
        return Response(201, self._pull(found, pull))

    @route("POST", f"{REPO}/pulls/{{index}}/merge")
    def merge(self, request: Request) -> Response:
        """Merge a pull request; conflicts look like what is not found out yet."""
        found, pull = self._numbered(request)
        if pull["state"] != "open":
            raise Refused(405, "") if pull["merged"] else Refused(404)
        head = found.branches.get(pull["head"]["label"], pull["head"]["sha"])
        left = found.unchecked.get((pull["number"], head), self.checks)
        found.unchecked[pull["number"], head] = max(0, left - 1)
        if left:
            raise Refused(405, "Please try again later")
        style = request.json.get("Do") or "merge"
        if style not in found.styles:
            raise Refused(405, f"{style} is not allowed an allowed merge style for this repository")
        if not _merged(found, pull["base"]["ref"], head, style):
            raise Refused(405, "Please try again later")
        pull.update(state="closed", merged=True)
        return Response(200)


def _merged(repository: GiteaRepository, base: str, head: str, style: str) -> bool:
    """Merge a commit into a branch, if there are no conflicts."""
    try:
        tree = repository.git("merge-tree", "--write-tree", base, head).partition("\n")[0]
    except subprocess.CalledProcessError:
        return False
    parents = ("-p", base, "-p", head) if style.endswith("merge") else ("-p", base)
    commit = repository.git("commit-tree", tree, *parents, "-m", "Merge")
    repository.git("update-ref", f"refs/heads/{base}", commit)
    return True
