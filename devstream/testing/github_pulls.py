"""`GitHubPulls`: pull requests of GitHub's stand-in, merged in the bare repositories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.testing.github_repositories import REPO, GitHubRepositories
from devstream.testing.github_store import Refused, invalid
from devstream.testing.service import Request, Response, route

if TYPE_CHECKING:
    from devstream.testing.github_store import GitHubRepository

__all__ = ["GitHubPulls"]

_STATES = ("open", "closed", "all")
_MERGED_AT = "2024-01-01T00:00:00Z"


class GitHubPulls(GitHubRepositories):
    """Opens, lists and merges pull requests from branches of the same repository."""

    @route("GET", f"{REPO}/pulls")
    def list_pulls(self, request: Request) -> Response:
        """List pull requests, newest first."""
        found, query = self.find(request), request.query
        state = query.get("state", "open")
        if state not in _STATES:
            raise invalid("PullRequest", "state")
        user, _, branch = query.get("head", "").partition(":")
        kept = [
            self._pull(found, pull)
            for pull in found.pulls
            if state in ("all", pull["state"])
            and (not branch or (user.casefold(), branch) == (found.owner.casefold(), pull["head"]["ref"]))
        ]
        if query.get("direction", "desc") == "desc":
            kept.reverse()
        # The list tells less of a pull request than asking for one does.
        return self.paged(request, [_without(pull, "merged", "mergeable") for pull in kept])

    def _pull(self, repository: GitHubRepository, pull: dict[str, Any]) -> dict[str, Any]:
        number, full = pull["number"], repository.full_name
        shown = {
            "url": f"{self.api}/repos/{full}/pulls/{number}",
            "html_url": f"{self.url}/{full}/pull/{number}",
        }
        sha = repository.branches.get(pull["head"]["ref"], pull["head"]["sha"])
        return {**pull, **shown, "head": {**pull["head"], "sha": sha}}

    @route("POST", f"{REPO}/pulls")
    def make_pull(self, request: Request) -> Response:
        """Open a pull request."""
        found, wanted = self.find(request), request.json
        head, base = (self._branch(found, wanted, name) for name in ("head", "base"))
        if not wanted.get("title"):
            raise invalid("PullRequest", "title", "missing_field")
        if any(pull["state"] == "open" and pull["head"]["ref"] == head for pull in found.pulls):
            message = f"A pull request already exists for {found.owner}:{head}."
            raise Refused(422, "Validation Failed", errors=[_custom(message)])
        if not found.git("rev-list", "-1", f"{base}..{head}"):
            message = f"No commits between {base} and {head}"
            raise Refused(422, "Validation Failed", errors=[_custom(message)])
        made = {
            "id": self.next_number(),
            "number": len(found.pulls) + 1,
            "state": "open",
            "merged": False,
            "mergeable": None,
            "merged_at": None,
            "title": wanted["title"],
            "body": wanted.get("body"),
            "head": {"ref": head, "sha": found.branches[head], "label": f"{found.owner}:{head}"},
            "base": {"ref": base, "sha": found.branches[base], "label": f"{found.owner}:{base}"},
        }
        found.pulls.append(made)
        found.unchecked[len(found.pulls)] = self.checks
        return Response(201, self._pull(found, made))

    def _branch(self, repository: GitHubRepository, wanted: dict[str, Any], name: str) -> str:
        branch = str(wanted.get(name, "")).removeprefix(f"{repository.owner}:")
        if branch not in repository.branches:
            raise invalid("PullRequest", name)
        return branch

    @route("GET", f"{REPO}/pulls/{{number}}")
    def show_pull(self, request: Request) -> Response:
        """Show a pull request; whether it can be merged is found out later, once somebody has looked."""
        found, pull = self._numbered(request)
        left = found.unchecked.get(pull["number"], 0)
        found.unchecked[pull["number"]] = max(0, left - 1)
        known = pull["state"] == "open" and not left
        return Response(
            200, {**self._pull(found, pull), "mergeable": bool(_merged_tree(found, pull)) if known else None}
        )

    def _numbered(self, request: Request) -> tuple[GitHubRepository, dict[str, Any]]:
        found, number = self.find(request), request.values["number"]
        if not number.isdecimal() or not 0 < int(number) <= len(found.pulls):
            raise Refused(404, "Not Found")
        return found, found.pulls[int(number) - 1]

    @route("PATCH", f"{REPO}/pulls/{{number}}")
    def edit_pull(self, request: Request) -> Response:
        """Close a pull request, or open it again."""
        found, pull = self._numbered(request)
        state = request.json.get("state", pull["state"])
        if state not in ("open", "closed") or (state == "open" and pull["merged"]):
            raise invalid("PullRequest", "state")
        pull["state"] = state
        return Response(200, self._pull(found, pull))

    @route("PUT", f"{REPO}/pulls/{{number}}/merge")
    def merge(self, request: Request) -> Response:
        """Merge a pull request."""
        found, pull = self._numbered(request)
        method = (request.json or {}).get("merge_method", "merge")
        if method not in found.merge_methods:
            kind = {"merge": "Merge commits", "squash": "Squash merges", "rebase": "Rebase merges"}[method]
            raise Refused(405, f"{kind} are not allowed on this repository.")
        ready = pull["state"] == "open" and not found.unchecked.get(pull["number"])
        commit = self._merge(found, pull, method) if ready else ""
        if not commit:
            raise Refused(405, "Pull Request is not mergeable")
        pull.update(state="closed", merged=True, merged_at=_MERGED_AT)
        message = "Pull Request successfully merged"
        return Response(200, {"sha": commit, "merged": True, "message": message})

    def _merge(self, repository: GitHubRepository, pull: dict[str, Any], method: str) -> str:
        """Give the merge's commit; empty where there are conflicts."""
        base, head = (f"refs/heads/{pull[side]['ref']}" for side in ("base", "head"))
        tree = _merged_tree(repository, pull)
        if not tree:
            return ""
        parents = ("-p", base, "-p", head) if method == "merge" else ("-p", base)
        commit = repository.git("commit-tree", tree, *parents, "-m", pull["title"])
        repository.git("update-ref", base, commit)
        return commit


def _merged_tree(repository: GitHubRepository, pull: dict[str, Any]) -> str:
    """Give the tree that a merge would have; empty where there are conflicts."""
    base, head = (f"refs/heads/{pull[side]['ref']}" for side in ("base", "head"))
    tree, _, conflicts = repository.git("merge-tree", "--write-tree", base, head, check=False).partition("\n")
    return "" if conflicts else tree


def _custom(message: str) -> dict[str, str]:
    return {"resource": "PullRequest", "code": "custom", "message": message}


def _without(item: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in names}
