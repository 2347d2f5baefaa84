"""`Workshop`: a throw-away repository that borrows another's objects. Commits are made here, then pushed."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from devstream_plugin_scm.git import Git

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.api import CompletedCommand, Context
    from devstream_plugin_scm.forge import File

__all__ = ["Workshop", "open_workshop"]


class Workshop:
    """Makes trees and commits without a work tree.

    Args:
        context: what git runs through.
        origin: the bare repository whose objects are borrowed and that is pushed to.
        folder: an empty folder to work in.
    """

    def __init__(self, context: Context, origin: Path, folder: Path) -> None:
        self._origin = origin
        self._folder = folder
        repository = folder / "work.git"
        self._git = Git(context, repository, index=folder / "index")
        form = Git(context, origin).read("rev-parse", "--show-object-format").stdout.strip()
        self._null = "0" * (64 if form == "sha256" else 40)
        self._git.write("init", "--quiet", "--bare", "--template=", f"--object-format={form}")
        alternates = repository / "objects" / "info" / "alternates"
        alternates.parent.mkdir(exist_ok=True)
        alternates.write_text(f"{origin / 'objects'}\n", encoding="utf-8")

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
        """Push commits to references, all or none, as a user would: the hooks of the target run."""
        pairs = [f"{commit}:{ref}" for ref, commit in refs.items()]
        return self._git.write(
            "push", "--quiet", "--atomic", "--no-verify", "--", str(self._origin), *pairs, check=False
        )


@contextmanager
def open_workshop(context: Context, origin: Path) -> Iterator[Workshop]:
    """Open a workshop on a repository and remove it at the end."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="devstream-scm-", ignore_cleanup_errors=True) as folder:
        yield Workshop(context, origin, Path(folder))
