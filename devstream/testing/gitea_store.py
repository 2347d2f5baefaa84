"""What Gitea's stand-in keeps of a repository, how it refuses, and the hook that protects branches in Gitea's words."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devstream.testing.service import Response

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["GiteaRepository", "Refused", "NOT_FOUND"]

NOT_FOUND = "The target couldn't be found."
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


class Refused(Exception):
    """Ends a handler with an answer."""

    def __init__(
        self, status: int, message: str = NOT_FOUND, *, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.response = Response(status, {"message": message, "url": "/api/swagger"}, headers or {})


@dataclass
class GiteaRepository:
    """What the stand-in knows of a repository; the rest is in its bare repository, which is moved when it is renamed.

    Attributes:
        unchecked: how often a merge of a pull request, at a commit, is refused yet.
        styles: the ways in which pull requests may be merged.
    """

    number: int
    owner: str
    name: str
    private: bool
    description: str
    default_branch: str
    root: Path
    archived: bool = False
    unchecked: dict[tuple[int, str], int] = field(default_factory=dict)
    styles: tuple[str, ...] = ("merge", "rebase", "rebase-merge", "squash")
    topics: list[str] = field(default_factory=list)
    hooks: dict[int, dict[str, Any]] = field(default_factory=dict)
    hook_secrets: dict[int, str] = field(default_factory=dict)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    secrets: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    keys: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def full_name(self) -> str:
        """Owner and name."""
        return f"{self.owner}/{self.name}"

    @property
    def path(self) -> Path:
        """The bare repository."""
        return self.root / self.owner / f"{self.name}.git"

    def start(self) -> None:
        """Make the bare repository."""
        self.path.mkdir(parents=True)
        self.git("init", "-q", "--bare", "-b", self.default_branch, ".")

    def protect(self, *branches: str) -> None:
        """Let nobody push to branches."""
        hook = self.path / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_PROTECT.format(branches=" ".join(branches)))
        hook.chmod(0o755)

    def git(self, *arguments: str) -> str:
        """Run git on it; give what it prints, without the line's end."""
        who = ("-c", "user.name=Gitea", "-c", "user.email=gitea@localhost")
        done = subprocess.run(  # noqa: S603 - arguments of the stand-in's own
            ["git", *who, *arguments],  # noqa: S607 - the git on PATH
            cwd=self.path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    @property
    def branches(self) -> dict[str, str]:
        """Head commits by branch."""
        listed = self.git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads/")
        return dict(line.split(" ") for line in listed.splitlines())
