"""`Forge`: where repositories live. One implementation for each `scmType`; tools know nothing else of it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from devstream.api import Context
    from devstream_plugin_scm.hosting import Hosting
    from devstream_plugin_scm.repository import RepoInfo, TargetRepo

__all__ = [
    "File",
    "Entry",
    "Listing",
    "Files",
    "Changes",
    "Decide",
    "Mark",
    "Order",
    "Rendered",
    "Repository",
    "Delivery",
    "Forge",
    "PROPOSALS",
    "blob_id",
    "open_forge",
    "proposal_branch",
]

PROPOSALS = "devstream/"
"""What the branches that wait for people's consent begin with; the tool's address follows."""


class File(NamedTuple):
    """A file to commit."""

    content: bytes
    executable: bool = False

    @property
    def mode(self) -> str:
        """Give git's mode of it."""
        return "100755" if self.executable else "100644"


class Entry(NamedTuple):
    """A file as a commit has it: git's mode and the id of its content."""

    mode: str
    blob: str

    def holds(self, file: File) -> bool:
        """Tell whether it is ``file``, content and mode."""
        return self.mode == file.mode and self.blob == blob_id(file.content, like=self.blob)


Listing: TypeAlias = Mapping[str, Entry]
"""Files of a commit by path."""

Changes: TypeAlias = Mapping[str, File | None]
"""What a commit does, by path; None removes the file."""


class Files(Mapping[str, Entry]):
    """The files of a commit by path, and what is in them.

    Args:
        listing: the files.
        content: gives the content of a blob by its id.
    """

    def __init__(self, listing: Listing, content: Callable[[str], bytes]) -> None:
        self._listing = listing
        self._content = content

    def __getitem__(self, path: str) -> Entry:
        return self._listing[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listing)

    def __len__(self) -> int:
        return len(self._listing)

    def content(self, path: str) -> bytes:
        """Read a file.

        Raises:
            KeyError: there is none at ``path``.
        """
        return self._content(self._listing[path].blob)


Decide: TypeAlias = Callable[[Files, Files | None], Changes]
"""Says what to change, given the files of the branch as it is, and those that a template was last rendered to (None
where nothing was); called again when somebody else was faster."""


class Delivery(Enum):
    """How a commit gets to a branch."""

    PUSH = "push"
    """Straight; as a pull request where the branch is protected."""
    PULL_REQUEST = "pull-request"
    """As a pull request, which people merge."""


class Mark(NamedTuple):
    """What a repository made by `repo-scaffolding` carries: the operation that made it, and for which tool."""

    id: str
    address: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository that is there.

    Attributes:
        location: what its forge finds it by; stands still, fit to be recorded.
        url: what to clone and push.
        branches: head commit by branch; empty for a repository that nothing was pushed to.
        mark: who made it; None where it was not one of us.
        rendered: the commit that holds what a template was last rendered to.
        proposed: branches of ours that wait for people's consent, or did not get it, with their head commits.
        id: the service's own id of it, which survives renames; empty for a folder.
        ssh_url: what to clone over ssh; empty where its service has none.
    """

    location: str
    url: str
    default_branch: str
    branches: Mapping[str, str] = field(default_factory=dict)
    mark: Mark | None = None
    rendered: Rendered | None = None
    web_url: str | None = None
    proposed: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    ssh_url: str = ""


class Rendered(NamedTuple):
    """What a template was last rendered to: a commit of its own, beside the branches.

    ``content`` stands still while what was rendered does: the id of the tree, or that of the commit.
    """

    commit: str
    content: str


class Order(NamedTuple):
    """A commit that is wanted.

    Attributes:
        target: the branch that it is pushed to; another than ``branch`` where it is proposed.
    """

    branch: str
    target: str
    message: str
    decide: Decide
    rendered: Mapping[str, File] | None = None
    explain: Callable[[], str] | None = None

    @property
    def body(self) -> str:
        """What there is to say beyond the first line; known once ``decide`` has decided."""
        return self.explain() if self.explain else ""

    @property
    def text(self) -> str:
        """The whole message of the commit."""
        return f"{self.message}\n\n{self.body}".strip()


class Forge(Protocol):
    """Keeps repositories. Every method raises OperationError when it cannot do what it says."""

    @property
    def hosting(self) -> Hosting | None:
        """What its service does beside git; None where there is only git."""

    def locate(self, repo: RepoInfo) -> str:
        """Give the location of a repository by its options; it need not exist."""

    def describe(self, location: str) -> Repository | None:
        """Say what is there, changing nothing; None for nothing."""

    def create(self, location: str, *, branch: str, mark: Mark, visibility: str = "") -> None:
        """Make an empty repository; go on with one that carries ``mark`` and is still empty."""

    def move(self, location: str, target: str) -> None:
        """Give a repository another location, with everything in it."""

    def start_branch(self, location: str, branch: str, commit: str) -> None:
        """Begin a branch at a commit, or find it there, and make it the default one."""

    def delete(self, location: str) -> None:
        """Remove a repository with everything in it; that it is gone already is fine."""

    def listing(self, location: str, commit: str, paths: Sequence[str] = ()) -> Listing:
        """List the files of a commit, or those of ``paths`` that it has, changing nothing."""

    def publish(
        self,
        location: str,
        branch: str,
        message: str,
        decide: Decide,
        *,
        rendered: Mapping[str, File] | None = None,
        delivery: Delivery = Delivery.PUSH,
        proposal: str = "",
        explain: Callable[[], str] | None = None,
    ) -> str | None:
        """Push one commit to a branch, and beside it what a template was rendered to.

        Somebody else's push in between is no failure: ``decide`` is asked again.

        Args:
            proposal: the branch that a pull request is made from (`proposal_branch`), where one is needed.
            explain: says more than ``message``, of what ``decide`` decided, in the commit and the pull request.

        Returns:
            The commit; None where there was nothing to change.
        """

    def withdraw(self, location: str, proposal: str) -> None:
        """Close the pull request from a branch of ours, and remove the branch; that they are gone already is fine."""


def proposal_branch(address: object) -> str:
    """Name the branch on which a tool proposes its changes.

    >>> proposal_branch("repo-scaffolding.shop")
    'devstream/repo-scaffolding.shop'
    """
    return f"{PROPOSALS}{address}"


def blob_id(content: bytes, *, like: str = "") -> str:
    """Give git's id of a file's content, in the hash that the id ``like`` is written in.

    >>> blob_id(b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    algorithm = hashlib.sha256 if len(like) == 64 else hashlib.sha1
    return algorithm(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def open_forge(repo: TargetRepo, context: Context) -> Forge:
    """Give the forge that a repository lives in.

    Raises:
        OperationError: its service cannot be talked to with what the options say.
    """
    if repo.scm_type == "local":
        from devstream_plugin_scm.local import LocalForge

        return LocalForge(context)
    from devstream_plugin_scm.remote import open_remote

    return open_remote(repo, context)
