"""`BareRepository`: the repository behind a stand-in for a forge; branches, merges and protected branches by git itself."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["BareRepository"]

_PROTECT = """#!/bin/sh
while read -r old new ref; do
  for branch in {branches}; do
    if [ "$ref" = "refs/heads/$branch" ]; then
      echo "{says}" >&2
      exit 1
    fi
  done
done
"""


class BareRepository:
    """A bare repository at ``path``, made at once.

    Args:
        branch: what HEAD names.
    """

    def __init__(self, path: Path, branch: str = "main") -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "-q", "--bare", "-b", branch, str(path)], check=True)  # noqa: S603, S607 - the git on PATH

    def git(self, *arguments: str) -> str:
        """Run git in it; give what it printed, without the last line's end."""
        who = ("-c", "user.name=A Forge", "-c", "user.email=forge@localhost")
        done = subprocess.run(  # noqa: S603 - names that git itself gave
            ["git", *who, *arguments],  # noqa: S607 - the git on PATH
            cwd=self.path,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.rstrip("\n")

    def branches(self) -> Mapping[str, str]:
        """Give the head commit of each branch."""
        listed = self.git("for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads/")
        return dict(line.split(" ") for line in listed.splitlines())

    def set_head(self, branch: str) -> None:
        """Make HEAD name a branch."""
        self.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")

    def has(self, base: str, head: str) -> bool:
        """Tell whether everything of a branch is in another one."""
        return not self.git("rev-list", "--max-count=1", f"refs/heads/{base}..refs/heads/{head}")

    def merge(self, base: str, head: str) -> str:
        """Merge a branch into another with a merge commit; give it, or nothing where there are conflicts."""
        try:
            tree = self.git("merge-tree", "--write-tree", base, head).partition("\n")[0]
        except subprocess.CalledProcessError:
            return ""
        commit = self.git("commit-tree", tree, "-p", base, "-p", head, "-m", f"Merge {head}")
        self.git("update-ref", f"refs/heads/{base}", commit)
        return commit

    def protect(self, *branches: str, says: str) -> None:
        """Let nobody push to branches; ``says`` is the service's own reason."""
        hook = self.path / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(_PROTECT.format(branches=" ".join(branches), says=says))
        hook.chmod(0o755)

    def move(self, path: Path) -> None:
        """Put it elsewhere."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = self.path.rename(path)

    def remove(self) -> None:
        """Remove it from the disk."""
        shutil.rmtree(self.path)
