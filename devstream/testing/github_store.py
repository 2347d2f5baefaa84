"""What GitHub's stand-in keeps of a repository, how it refuses, and the git hooks that say no in GitHub's words."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devstream.testing.service import Response

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GitHubRepository", "Refused", "invalid"]

_UPDATE = r"""#!/bin/sh
ref="$1" old="$2" new="$3"
if [ -f protected ] && grep -qxF "$ref" protected; then
  echo "error: GH006: Protected branch update failed for $ref." >&2
  echo "error: Changes must be made through a pull request." >&2
  exit 1
fi
if [ -f ruled ] && grep -qxF "$ref" ruled; then
  echo "error: GH013: Repository rule violations found for $ref." >&2
  echo "- Changes must be made through a pull request." >&2
  exit 1
fi
before=$(git rev-parse -q --verify "$old:.github/workflows")
after=$(git rev-parse -q --verify "$new:.github/workflows")
if [ -f no-workflow-scope ] && [ -n "$after" ] && [ "$before" != "$after" ]; then
  file=$(git ls-tree --name-only "$new" .github/workflows/ | head -n 1)
  echo "refusing to allow a Personal Access Token to create or update workflow \`$file\` without \`workflow\` scope" >&2
  exit 1
fi
"""
_POST_RECEIVE = """#!/bin/sh
while read -r old new ref; do
  case "$ref" in
    refs/heads/*) git rev-parse -q --verify HEAD >/dev/null || git symbolic-ref HEAD "$ref" ;;
  esac
done
"""
"""The first branch that is pushed becomes the default one."""


class Refused(Exception):
    """Ends a handler with an answer."""

    def __init__(
        self, status: int, message: str, *, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(message)
        body = {
            "message": message,
            "documentation_url": "https://docs.github.com/rest",
            "status": str(status),
        }
        self.response = Response(status, {**body, **more}, headers or {})


def invalid(resource: str, name: str, code: str = "invalid", message: str = "") -> Refused:
    """Give the refusal of a field that is not as it has to be."""
    error = {"resource": resource, "field": name, "code": code}
    return Refused(422, "Validation Failed", errors=[{**error, "message": message} if message else error])


@dataclass
class GitHubRepository:
    """What the stand-in knows of a repository; the rest is in its bare repository, at ``path``.

    Attributes:
        unseen: how often it is not found yet by the API; and by git.
        unchecked: how often pull requests have to be looked at until it is known whether they can be merged.
    """

    number: int
    owner: str
    name: str
    visibility: str
    description: str
    path: Path
    archived: bool = False
    merge_methods: tuple[str, ...] = ("merge", "squash", "rebase")
    topics: list[str] = field(default_factory=list)
    hooks: dict[int, dict[str, Any]] = field(default_factory=dict)
    hook_secrets: dict[int, str] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    sealing_key: Any = None
    keys: dict[int, dict[str, Any]] = field(default_factory=dict)
    unseen: int = 0
    unseen_by_git: int = 0
    unchecked: dict[int, int] = field(default_factory=dict)

    def start(self) -> None:
        """Make its bare repository."""
        self.path.mkdir(parents=True)
        self.git("init", "-q", "--bare", "-b", "main", "--template=", ".")
        (self.path / "hooks").mkdir()
        for hook, text in {"update": _UPDATE, "post-receive": _POST_RECEIVE}.items():
            (self.path / "hooks" / hook).write_text(text)
            (self.path / "hooks" / hook).chmod(0o755)

    @property
    def full_name(self) -> str:
        """Owner and name."""
        return f"{self.owner}/{self.name}"

    def git(self, *arguments: str, check: bool = True) -> str:
        """Run git on it; give what it prints, without the line's end."""
        who = ("-c", "user.name=GitHub", "-c", "user.email=noreply@github.com")
        done = subprocess.run(  # noqa: S603 - arguments of the stand-in's own
            ["git", *who, *arguments],  # noqa: S607 - the git on PATH
            cwd=self.path,
            capture_output=True,
            text=True,
            check=check,
        )
        return done.stdout.strip()

    @property
    def branches(self) -> dict[str, str]:
        """Head commits by branch."""
        listed = self.git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads/")
        return dict(line.split(" ") for line in listed.splitlines())
