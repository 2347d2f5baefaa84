"""Template sources: a tree of files read from a folder or from this package, within limits."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from devstream.api import OperationError
from devstream_plugin_scm.forge import File

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Tree",
    "read_tree",
    "read_location",
    "digest_of",
    "check_path",
    "check_tree",
    "unknown_builtin",
    "BUILTIN",
    "MAX_DEPTH",
    "MAX_FILE",
    "MAX_FILES",
    "MAX_TREE",
]

Tree = dict[str, File]
"""Files by path, in order; paths are relative, with ``/``."""

BUILTIN = "builtin:"
MAX_FILES = 2_000
MAX_FILE = 4 * 1024 * 1024
MAX_TREE = 64 * 1024 * 1024
MAX_DEPTH = 32
MAX_PATH = 1024
"""Bytes of a whole path; some systems take no longer ones."""
_PACKAGE = Path(__file__).parent
_REMOTE = ("http://", "https://", "git://", "ssh://", "git@", "git::")
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
_GIT_NAMES = frozenset({".git", "git~1", ".gitmodules", "gitmod~1"})
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{kind}{n}" for kind in ("com", "lpt") for n in range(1, 10))}
)
"""Names that Windows keeps for devices, whatever stands after a dot."""


def read_location(location: str, *, folder: Path, shipped: str) -> Tree:
    """Read what a location names: ``builtin:NAME``, a folder or a single file.

    Args:
        location: as written in options.
        folder: what relative paths are relative to.
        shipped: the folder of this package that ``builtin:`` names are looked up in.

    Raises:
        OperationError: there is nothing, it is of a kind that is not supported, or it breaks a limit.
    """
    if location.startswith(BUILTIN):
        return read_tree(_builtin(location.removeprefix(BUILTIN), _PACKAGE / shipped))
    if location.startswith(_REMOTE) or location.endswith((*_ARCHIVES, ".git")):
        message = f'templates from "{location}" are not available yet'
        raise OperationError(message, suggestion="use a folder, or builtin:NAME")
    path = folder / location
    if path.is_file():
        return {check_path(path.name): _read_file(path)}
    return read_tree(path)


def _builtin(name: str, shipped: Path) -> Path:
    names = _names(shipped)
    if name not in names:
        message = f'there is no built-in template "{name}"'
        raise OperationError(message, suggestion=f"there are: {', '.join(names)}")
    return shipped / name


def _names(shipped: Path) -> list[str]:
    return sorted(path.name for path in shipped.iterdir() if not path.name.startswith(("_", ".")))


def unknown_builtin(location: str, shipped: str) -> str:
    """Say what is wrong with ``builtin:NAME`` where there is no such template; else empty.

    Args:
        shipped: the folder of this package that the names are looked up in.
    """
    names = _names(_PACKAGE / shipped)
    name = location.removeprefix(BUILTIN)
    if not location.startswith(BUILTIN) or name in names:
        return ""
    near = get_close_matches(name, names, n=1)
    hint = f'did you mean "{BUILTIN}{near[0]}"?' if near else f"there are: {', '.join(names)}"
    return f'there is no built-in template "{name}" ({hint})'


def read_tree(root: Path) -> Tree:
    """Read a folder; a ``.git`` at its top is left out.

    Raises:
        OperationError: it is no folder, or holds a link, a device, an unsafe name or too much.
    """
    if not root.is_dir():
        message = f"there is no folder {root}"
        raise OperationError(message)
    tree: Tree = {}
    size = 0
    for path in _walk(root, depth=0):
        name = check_path(path.relative_to(root).as_posix())
        tree[name] = _read_file(path)
        size += len(tree[name].content)
        if size > MAX_TREE or len(tree) > MAX_FILES:
            message = f"{root} holds more than {MAX_FILES} files or {MAX_TREE} bytes"
            raise OperationError(message)
    return check_tree(tree)


def _walk(folder: Path, *, depth: int) -> Iterator[Path]:
    """Yield every file, sorted, without following a link."""
    if depth > MAX_DEPTH:
        message = f"{folder} is more than {MAX_DEPTH} folders deep"
        raise OperationError(message)
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        message = f"{folder} cannot be read: {error.strerror}"
        raise OperationError(message) from error
    for entry in found:
        if depth == 0 and entry.name == ".git":
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path), depth=depth + 1)
        else:
            yield Path(entry.path)


def _read_file(path: Path) -> File:
    """Read one file through a descriptor that cannot have followed a link."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror} (links and devices are refused)"
        raise OperationError(message) from error
    with os.fdopen(descriptor, "rb") as stream:
        facts = os.fstat(descriptor)
        content = stream.read(MAX_FILE + 1) if _is_plain(facts) else b""
    if not _is_plain(facts) or len(content) > MAX_FILE:
        message = f"{path} is no plain file, or larger than {MAX_FILE} bytes"
        raise OperationError(message)
    return File(content, executable=bool(facts.st_mode & 0o100))


def _is_plain(facts: os.stat_result) -> bool:
    from stat import S_ISREG

    return S_ISREG(facts.st_mode)


def check_path(path: str) -> str:
    """Give back a path that is safe inside a repository, on every system.

    Raises:
        OperationError: it is absolute, climbs, names git's own folder, or has characters that trick people.
    """
    parts = path.split("/")
    long = len(parts) > MAX_DEPTH or len(path.encode(errors="replace")) > MAX_PATH
    if long or any(_is_odd(part) for part in parts):
        shown = f"{path[:200]!r}{'...' * (len(path) > 200)}"
        message = f"{shown} cannot be a path in a repository"
        raise OperationError(message)
    return path


def check_tree(tree: Tree) -> Tree:
    """Give back a tree that can be checked out on every system.

    Raises:
        OperationError: two names in it are one where capitals or the way of writing an accent do not count, or
            one is a file and a folder at once.
    """
    known: dict[str, str] = {}
    for path in tree:
        for name in _places(path):
            other = known.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
            if other != name:
                message = f"{name!r} and {other!r} are one name on some systems"
                raise OperationError(message)
            if name != path and name in tree:
                message = f"{name!r} cannot be a file and a folder at once"
                raise OperationError(message)
    return tree


def _places(path: str) -> Iterator[str]:
    """Yield a path and every folder that it is in."""
    yield path
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _is_odd(part: str) -> bool:
    """Tell whether a part of a path is empty, special to git or a system, or invisible somewhere.

    Windows takes ``.git.``, ``.git::$INDEX_ALLOCATION`` and ``GIT~1`` for ``.git``; macOS drops some characters.
    """
    if part in {"", ".", ".."} or len(part.encode(errors="replace")) > 255:
        return True
    if not part.isprintable() or any(character in part for character in '\\:*?"<>|'):
        return True
    plain = part.casefold().rstrip(" .")
    return plain in _GIT_NAMES or plain.partition(".")[0] in _DEVICES or part != part.strip(" ")


def digest_of(tree: Mapping[str, File]) -> str:
    """Give one digest for names, modes and contents.

    >>> digest_of({"a": File(b"x")}) == digest_of({"a": File(b"x", executable=True)})
    False
    """
    digest = hashlib.sha256()
    for path in sorted(tree):
        file = tree[path]
        digest.update(f"{path}\0{file.mode}\0{len(file.content)}\0".encode())
        digest.update(file.content)
    return f"sha256:{digest.hexdigest()}"
