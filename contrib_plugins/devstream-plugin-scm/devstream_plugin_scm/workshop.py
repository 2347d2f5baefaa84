"""`Workshop`: a throw-away repository. Commits are made here, then pushed to where they belong."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from devstream_plugin_scm.access import opened
from devstream_plugin_scm.forge import Entry, Files
from devstream_plugin_scm.git import Git

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from devstream.api import CompletedCommand, Context
    from devstream_plugin_scm.access import Remote
    from devstream_plugin_scm.forge import File, Repository

__all__ = [
    "Workshop",
    "borrowing",
    "fetching",
    "own_folder",
    "commit_all",
    "HEADS",
    "RENDERED_BRANCH",
    "RENDERED_REF",
]

HEADS = "refs/heads/"
RENDERED_REF = "refs/devstream/rendered"
RENDERED_BRANCH = "devstream-rendered"
"""Takes the place of `RENDERED_REF` on servers that take nothing but branches and tags."""
_RENDER = "Render the template"
_PREFIX = "devstream-scm-"
_LOCK = "lock"
"""Is locked as long as somebody works in the folder."""
_LONG_AGO = 3600.0
"""Seconds after which nobody is about to lock a folder any more."""
_FORMATS = {40: "sha1", 64: "sha256"}


class Workshop:
    """Makes trees and commits without a work tree.

    Args:
        context: what git runs through.
        origin: what is pushed to: a path, or a URL that ``environment`` gives access to.
        folder: an empty folder to work in.
        digits: how many digits an id has: 40, or 64 where the repository uses SHA-256.
        reads: only looks; nothing outside ``folder`` is changed.
    """

    def __init__(
        self,
        context: Context,
        origin: str,
        folder: Path,
        *,
        digits: int = 40,
        environment: Mapping[str, str] | None = None,
        reads: bool = False,
    ) -> None:
        self._origin = origin
        self._folder = folder
        self.path = folder / "work.git"
        self._git = Git(context, self.path, index=folder / "index", environment=environment)
        self._null = "0" * digits
        make = self._git.read if reads else self._git.write
        make("init", "--quiet", "--bare", "--template=", f"--object-format={_FORMATS[digits]}")

    def fetch(self, commits: Sequence[str], *, contents: bool = True) -> None:
        """Get commits without their history; without ``contents``, files only when they are asked for."""
        if commits:
            partial = () if contents else ("--filter=blob:none",)
            options = ("--quiet", "--no-tags", "--depth=1", "--no-recurse-submodules", *partial)
            self._git.read("fetch", *options, "--", self._origin, *commits)

    def remote_refs(self, patterns: Sequence[str]) -> CompletedCommand:
        """List references of what is pushed to."""
        return self._git.read("ls-remote", "--symref", "--", self._origin, *patterns, check=False)

    def files(self, commit: str, paths: Sequence[str] = ()) -> Files:
        """List the files of a commit, or those of ``paths`` that it has."""
        listed = self._git.read("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths).stdout
        return Files(dict(parse_entry(line) for line in listed.split("\0") if line), self._content)

    def _content(self, blob: str) -> bytes:
        return self._git.content(blob, self._folder)

    def tree_of(self, commit: str) -> str:
        """Give the id of a commit's tree."""
        return self._git.read("rev-parse", f"{commit}^{{tree}}").stdout.strip()

    def tree(self, base: str | None, changes: Mapping[str, File | None]) -> str:
        """Write the tree of ``base`` with ``changes`` applied; give its id."""
        self._git.write("read-tree", base or "--empty")
        written = self._blobs([file for file in changes.values() if file is not None])
        blobs = iter(written)
        lines = [
            f"0 {self._null}\t{path}" if file is None else f"{file.mode} {next(blobs)}\t{path}"
            for path, file in changes.items()
        ]
        self._git.write("update-index", "-z", "--index-info", text="".join(f"{line}\0" for line in lines))
        return self._git.write("write-tree").stdout.strip()

    def _blobs(self, files: list[File]) -> list[str]:
        """Store contents; give their ids, in order."""
        paths = []
        for number, file in enumerate(files):
            path = self._folder / f"blob-{number}"
            path.write_bytes(file.content)
            paths.append(f"{path}\n")
        stored = self._git.write("hash-object", "-w", "--no-filters", "--stdin-paths", text="".join(paths))
        return stored.stdout.split()

    def commit(self, tree: str, parent: str | None, message: str) -> str:
        """Make a commit; give its id."""
        parents = ("-p", parent) if parent else ()
        return self._git.write("commit-tree", tree, *parents, "-F", "-", text=f"{message}\n").stdout.strip()

    def push(self, refs: Mapping[str, str]) -> CompletedCommand:
        """Push commits to references, all or none, as a user would: the hooks of the target run.

        A reference that begins with ``+`` is replaced, whatever it holds; no commit removes it.
        """
        pairs = [f"{'+' * ref.startswith('+')}{commit}:{ref.lstrip('+')}" for ref, commit in refs.items()]
        return self._git.write(
            "push", "--quiet", "--atomic", "--no-verify", "--", self._origin, *pairs, check=False
        )


@contextmanager
def borrowing(context: Context, origin: Path) -> Iterator[Workshop]:
    """Open a workshop that uses the objects of a repository on this machine; remove it at the end."""
    with own_folder() as folder:
        form = Git(context, origin).read("rev-parse", "--show-object-format").stdout.strip()
        workshop = Workshop(context, str(origin), folder, digits=64 if form == "sha256" else 40)
        alternates = workshop.path / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_text(f"{origin / 'objects'}\n", encoding="utf-8")
        yield workshop


@contextmanager
def fetching(
    context: Context, remote: Remote, *, digits: int = 40, reads: bool = False
) -> Iterator[Workshop]:
    """Open a workshop for a repository on a server; remove it at the end."""
    with own_folder() as folder, opened(remote, folder) as environment:
        yield Workshop(context, remote.url, folder, digits=digits, environment=environment, reads=reads)


@contextmanager
def own_folder() -> Iterator[Path]:
    """Give a folder of one's own; first removes those of processes that died, for they hold credentials."""
    from tempfile import TemporaryDirectory, gettempdir

    _remove_left_behind(Path(gettempdir()))
    with TemporaryDirectory(prefix=_PREFIX, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with (folder / "lock.new").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "lock.new").rename(folder / _LOCK)  # it has its name once it is locked
            yield folder


def _remove_left_behind(place: Path) -> None:
    for folder in place.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # locked: somebody is at work; gone: somebody else removed it; not ours
            facts = folder.lstat()
            if facts.st_uid != os.getuid() or folder.is_symlink():
                continue
            if time.time() - facts.st_mtime > _LONG_AGO:
                (folder / _LOCK).touch()  # where there is none, it died before it had one
            with (folder / _LOCK).open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(folder)


def _remove(folder: Path) -> None:
    """Remove a folder, and last its lock: what a git that is still dying puts there is left to whoever comes next."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != _LOCK:
            path.unlink()
    if [path.name for path in folder.iterdir()] == [_LOCK]:
        shutil.rmtree(folder, ignore_errors=True)


def commit_all(
    workshop: Workshop,
    before: Repository,
    head: str | None,
    message: str,
    *,
    changes: Mapping[str, File | None],
    rendered: Mapping[str, File] | None,
) -> tuple[str | None, dict[str, str]]:
    """Make the commits.

    Args:
        head: the commit that ``changes`` go on top of.

    Returns:
        The commit with the changes, and what else to push, by reference.
    """
    refs: dict[str, str] = {}
    tree = workshop.tree(head, changes) if changes else ""
    commit = workshop.commit(tree, head, message) if changes else None
    if rendered is None:
        return commit, refs
    previous, now = before.rendered, workshop.tree(None, rendered)
    if previous is None:
        # A repository begins with its rendering: one commit is both, so that merges have a common ancestor.
        refs[RENDERED_REF] = commit if commit and tree == now else workshop.commit(now, None, _RENDER)
    elif workshop.tree_of(previous.commit) != now:
        refs[RENDERED_REF] = workshop.commit(now, previous.commit, _RENDER)
    return commit, refs


def parse_entry(line: str) -> tuple[str, Entry]:
    """Read a line of ``git ls-tree``."""
    facts, _, path = line.partition("\t")
    mode, _, blob = facts.split(" ")
    return path, Entry(mode, blob)
