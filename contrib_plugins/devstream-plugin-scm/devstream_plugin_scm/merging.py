"""What a new rendering changes in a branch that people work on: a three-way merge, file by file. Theirs always stays.

The base is what was rendered last, ours is the branch, theirs is what is rendered now. A file that cannot be merged
without asking stays as it is in the branch, whole; no conflict markers are ever committed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from devstream.api import OperationError
from devstream_plugin_scm.forge import File

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.api import Context
    from devstream_plugin_scm.forge import Entry, Files
    from devstream_plugin_scm.sources import Tree

__all__ = ["Merged", "MergeTexts", "merge", "merge_with_git"]

MergeTexts: TypeAlias = "Callable[[bytes, bytes, bytes], bytes | None]"
"""Merges a text: of base, ours and theirs it gives ours with what changed from base to theirs; None where changes meet."""


class Merged(NamedTuple):
    """What comes of a merge.

    Attributes:
        changes: what to commit, by path.
        mixed: files that people and the template changed, with both kinds of changes now.
        left: files that stay as they are in the branch though the template changed them.
    """

    changes: Mapping[str, File | None]
    mixed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def merge(base: Files | None, head: Files, rendered: Tree, texts: MergeTexts) -> Merged:
    """Decide, file by file, what a new rendering changes.

    Args:
        base: what was rendered last; None where that is not known, then nothing is touched.
        head: the branch as it is.
        rendered: what is rendered now.
    """
    changes: dict[str, File | None] = {}
    mixed: list[str] = []
    left: list[str] = []
    for path in sorted({*(base or {}), *rendered}) if base is not None else ():
        assert base is not None
        old, new, now = base.get(path), rendered.get(path), head.get(path)
        if _same(old, new) or _same(now, new):
            continue
        if _in_the_way(path, head):
            left.append(path)
        elif now == old:
            changes[path] = new
        elif (file := _mixed(path, base, head, new, texts)) is not None:
            if not _same(now, file):
                changes[path] = file
            mixed.append(path)
        else:
            left.append(path)
    return Merged(changes, tuple(mixed), tuple(left))


def _same(entry: Entry | None, file: File | None) -> bool:
    return file is None if entry is None else file is not None and entry.holds(file)


def _in_the_way(path: str, head: Files) -> bool:
    """Tell whether people made a folder where a file is to be, or a file where a folder is."""
    parts = path.split("/")
    if any("/".join(parts[:depth]) in head for depth in range(1, len(parts))):
        return True
    return any(other.startswith(f"{path}/") for other in head)


def _mixed(path: str, base: Files, head: Files, new: File | None, texts: MergeTexts) -> File | None:
    """Merge one file that both sides changed; None where that takes a person."""
    if new is None or path not in base or path not in head:
        return None
    old, now = base[path], head[path]
    if not {old.mode, now.mode} <= {"100644", "100755"}:
        return None  # people made a link of it, or a submodule
    mode = new.mode if now.mode == old.mode else now.mode
    if old.blob == now.blob or _same(now._replace(mode=new.mode), new):
        content: bytes | None = new.content
    elif _same(old._replace(mode=new.mode), new):
        content = head.content(path)
    else:
        content = _merged_text(base.content(path), head.content(path), new.content, texts)
    return None if content is None else File(content, executable=mode == "100755")


def _merged_text(base: bytes, ours: bytes, theirs: bytes, texts: MergeTexts) -> bytes | None:
    if any(b"\0" in content for content in (base, ours, theirs)):
        return None
    return texts(base, ours, theirs)


def merge_with_git(context: Context) -> MergeTexts:
    """Give git's own merge of texts (``git merge-file``), in files that are thrown away."""

    def texts(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
        from tempfile import TemporaryDirectory

        from devstream_plugin_scm.git import GIT_ENVIRONMENT

        with TemporaryDirectory(prefix="devstream-merge-") as name:
            folder = Path(name)
            for part, content in (("ours", ours), ("base", base), ("theirs", theirs)):
                (folder / part).write_bytes(content)
            command = ["git", "merge-file", "--quiet", "ours", "base", "theirs"]
            done = context.run(command, reads=True, cwd=folder, env=GIT_ENVIRONMENT, check=False)
            if done.returncode < 0 or done.returncode > 127:
                message = "git cannot merge two versions of a file"
                raise OperationError(message, detail=done.stderr)
            return (folder / "ours").read_bytes() if done.returncode == 0 else None

    return texts
