"""Files that a tool keeps in somebody's repository: written, compared and removed in one commit each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from devstream.api import OperationError
from devstream_plugin_scm.forge import open_forge, proposal_branch
from devstream_plugin_scm.repository import DEFAULT_BRANCH

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from devstream.api import Context, ToolState
    from devstream_plugin_scm.forge import Changes, Files, Forge, Listing, Repository
    from devstream_plugin_scm.repository import TargetRepo
    from devstream_plugin_scm.sources import Tree

__all__ = ["KeptFiles", "FilesThere"]


@dataclass(frozen=True, slots=True)
class FilesThere:
    """What a repository's branch has of the files a tool keeps.

    Attributes:
        repository: the repository.
        head: the branch's commit.
        blobs: git's id of each file's content, None where it is missing.
        waits: the branch of ours that asks for people's consent, where there is one: `blobs` are what it has.
    """

    repository: Repository
    head: str
    blobs: Mapping[str, str | None]
    waits: str = ""

    def properties(self, branch: str) -> dict[str, Any]:
        """Give what is compared: where, and each file's content."""
        return {"repo": self.repository.location, "branch": branch, "files": dict(self.blobs)}


class KeptFiles:
    """The files that one tool keeps on one branch.

    Where the branch takes no pushes they are proposed, and what is proposed counts as written.

    Args:
        repo: where, by the options as they are.
        context: what it works through.
        recorded: what was recorded of it, by which files it wrote earlier are known.
        shared: files that all pipelines of a repository have in common, each with the folder whose last file takes
            it along.
    """

    def __init__(
        self,
        repo: TargetRepo,
        context: Context,
        recorded: ToolState | None,
        shared: Mapping[str, str] | None = None,
    ) -> None:
        self.forge: Forge = open_forge(repo, context)
        self.location = self.forge.locate(repo)
        self.branch = repo.branch or DEFAULT_BRANCH
        self._address = context.address
        self._proposal = proposal_branch(context.address)
        self._shared = shared or {}
        properties = recorded.properties if recorded else {}
        files = properties.get("files")
        self._known: dict[str, Any] = files if isinstance(files, dict) else {}
        self._place = (properties.get("repo") or self.location, properties.get("branch") or self.branch)

    @property
    def place(self) -> tuple[str, str]:
        """Give the location and branch that the files were last written to."""
        return self._place

    def look(self, paths: tuple[str, ...]) -> FilesThere | None:
        """See which of the recorded files (or of ``paths``, where none are) are there, changing nothing.

        Returns:
            None where there is no such repository or branch.
        """
        return self._look(*self._place, tuple(self._known) or paths)

    def _look(self, location: str, branch: str, paths: tuple[str, ...]) -> FilesThere | None:
        found = self.forge.describe(location)
        head = found.branches.get(branch) if found else None
        if found is None or head is None:
            return None
        waiting = found.proposed.get(self._proposal)
        listed = self.forge.listing(found.location, waiting or head, paths)
        blobs = {path: listed[path].blob if path in listed else None for path in paths}
        return FilesThere(found, head, blobs, self._proposal if waiting else "")

    def target(self) -> Repository:
        """Give the repository that is written to.

        Raises:
            OperationError: it is not there, or has no such branch: its first commit is the scaffold's.
        """
        found = self.forge.describe(self.location)
        if found is None or self.branch not in found.branches:
            what = f"no branch {self.branch} in {found.url}" if found else f"no repository {self.location}"
            message = f"there is {what}"
            raise OperationError(message, suggestion="push to it first, or depend on the tool that does")
        return found

    def left_behind(self, target: Repository) -> str | None:
        """Give the location of the other repository that was written to before; None where it is still this one."""
        location, _ = self._place
        if location in {self.location, target.location}:
            return None
        found = self.forge.describe(location)
        return None if found is None or found.location == target.location else found.location

    def write(self, files: Tree, target: Repository | None = None) -> tuple[str | None, FilesThere]:
        """Commit what differs and remove what is not written any more.

        Args:
            target: what `target` gave, where it was asked already.

        Returns:
            The commit (None where nothing differed), and what is there now.

        Raises:
            OperationError: there is no such repository or branch, or it does not take the commit.
        """
        target = target or self.target()
        if self.left_behind(target) or self._place[1] != self.branch:
            self.remove()
        gone = [path for path in self._known if path not in files]
        message = f"Write {', '.join(files)} ({self._address})"

        def decide(head: Files, _: Files | None) -> Changes:
            changed = {path: file for path, file in files.items() if not _has(head, path, file)}
            return {**self._without(head, gone), **changed}

        location = target.location
        commit = self.forge.publish(location, self.branch, message, decide, proposal=self._proposal)
        there = self._look(location, self.branch, tuple(files))
        if there is None:
            message = f"{self.location} has vanished while it was being worked on"
            raise OperationError(message)
        return commit, there

    def remove(self, paths: tuple[str, ...] = ()) -> str | None:
        """Remove the recorded files (or ``paths``, where none are) in one commit, where they still are."""
        location, branch = self._place
        found = self.forge.describe(location)
        if found is None or branch not in found.branches:
            return None
        names = tuple(self._known) or paths
        self._withdraw(found, names)
        message = f"Remove {', '.join(names)} ({self._address})"
        return self.forge.publish(
            found.location,
            branch,
            message,
            lambda head, _: self._without(head, names),
            proposal=self._proposal,
        )

    def _withdraw(self, found: Repository, names: tuple[str, ...]) -> None:
        """Take back what was proposed, unless it is the removal itself."""
        waiting = found.branches.get(self._proposal)
        if waiting and self.forge.listing(found.location, waiting, names):
            self.forge.withdraw(found.location, self._proposal)

    def _without(self, head: Listing, names: Iterable[str]) -> dict[str, None]:
        """Remove files from a commit, but for one that others still share."""
        leaving = {path for path in names if path in head}
        for path, folder in self._shared.items():
            if any(name.startswith(folder) for name in head if name not in leaving):
                leaving.discard(path)
        return dict.fromkeys(sorted(leaving))


def _has(head: Listing, path: str, file: Any) -> bool:
    return path in head and head[path].holds(file)
