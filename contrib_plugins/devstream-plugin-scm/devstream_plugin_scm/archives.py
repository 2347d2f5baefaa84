"""Template archives: zip and tar, read in memory, entry by entry, within limits. Nothing is ever extracted to disk.

An archive whose files all lie in one folder (as forges pack them) stands for what is in that folder.
"""

from __future__ import annotations

import stat
from io import BytesIO
from typing import IO, TYPE_CHECKING, NamedTuple

from devstream.api import OperationError
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.sources import MAX_FILE, MAX_FILES, MAX_TREE, check_path, check_tree

if TYPE_CHECKING:
    import tarfile
    import zipfile
    from collections.abc import Callable, Iterator

    from devstream_plugin_scm.sources import Tree

__all__ = ["ARCHIVES", "is_archive", "read_archive", "MAX_ARCHIVE"]

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")
"""What the name of an archive ends in."""
MAX_ARCHIVE = MAX_TREE
"""Bytes that an archive may have."""
_MAX_UNPACKED = MAX_TREE + MAX_FILES * 2048
"""A tar file has a few blocks beside each file."""
_MAX_RATIO = 250
_SMALL = 1024 * 1024
"""Below this size nobody asks how well something was packed."""
_MAX_DIRECTORY = 4 * 1024 * 1024
_XZ_MEMORY = 128 * 1024 * 1024
_ZIP_END = b"PK\x05\x06"
_MODES = {0, stat.S_IFREG, stat.S_IFDIR}


class _Entry(NamedTuple):
    """A file of an archive, not read yet; ``size`` is what the archive says."""

    path: str
    size: int
    mode: int
    open: Callable[[], IO[bytes] | None]


def is_archive(name: str) -> bool:
    """Tell whether a path or a URL names an archive."""
    return name.partition("?")[0].partition("#")[0].casefold().endswith(ARCHIVES)


def read_archive(data: bytes, name: str, *, whole: bool = False) -> Tree:
    """Read an archive; what it is, its first bytes say.

    Args:
        name: says in messages which one.
        whole: leave a single folder at the top as it is.

    Raises:
        OperationError: it is none, is damaged, breaks a limit, or holds something that has no place in a repository:
            a link, a device, a path that leads elsewhere, two files at one place.
    """
    import lzma
    import tarfile
    import zipfile
    import zlib

    try:
        files = _files(_entries(data))
        return check_tree(files if whole else _without_top(files))
    except OperationError as error:
        raise OperationError(f"{name}: {error}") from error
    except (zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError) as error:
        raise _refusal(name, f"damaged, or no archive ({error})") from error
    except (ValueError, NotImplementedError, IndexError, OverflowError, RuntimeError) as error:
        raise _refusal(name, f"no archive that can be read ({error})") from error


def _refusal(name: str, what: str) -> OperationError:
    return OperationError(f"{name}: {what}", suggestion=f"an archive is one of: {', '.join(ARCHIVES)}")


def _entries(data: bytes) -> Iterator[_Entry]:
    if data[:4] in {b"PK\x03\x04", _ZIP_END}:
        return _zip(data)
    return _tar(_inflated(data))


def _files(entries: Iterator[_Entry]) -> Tree:
    """Read the files one by one, stopping at the first that is not as it should be."""
    tree: Tree = {}
    size = 0
    for entry in entries:
        check_path(entry.path)
        if entry.path in tree:
            raise _bad(entry.path, "is there twice")
        if entry.size > MAX_FILE or size + entry.size > MAX_TREE or len(tree) >= MAX_FILES:
            message = f"{entry.path!r} is too much: at most {MAX_FILES} files of {MAX_FILE} bytes, {MAX_TREE} in all"
            raise OperationError(message)
        tree[entry.path] = File(_content(entry), executable=bool(entry.mode & 0o100))
        size += entry.size
    if not tree:
        message = "there is no file in it"
        raise OperationError(message)
    return tree


def _content(entry: _Entry) -> bytes:
    stream = entry.open()
    content = stream.read(entry.size + 1) if stream is not None else b""
    if len(content) != entry.size:
        raise _bad(entry.path, f"has not the {entry.size} bytes it claims")
    return content


def _bad(path: str, what: str) -> OperationError:
    return OperationError(f"{path[:200]!r} {what}")


def _without_top(tree: Tree) -> Tree:
    tops = {path.partition("/")[0] for path in tree}
    if len(tops) != 1 or tops & tree.keys():
        return tree
    return {path.partition("/")[2]: file for path, file in tree.items()}


# ---- tar


def _inflated(data: bytes) -> bytes:
    """Undo the compression, within limits."""
    import bz2
    import gzip

    if data.startswith(b"\x1f\x8b"):
        plain = gzip.GzipFile(fileobj=BytesIO(data)).read(_MAX_UNPACKED + 1)
    elif data.startswith(b"BZh"):
        plain = bz2.BZ2File(BytesIO(data)).read(_MAX_UNPACKED + 1)
    elif data.startswith(b"\xfd7zXZ\x00"):
        plain = _unxz(data)
    else:
        return data
    _check_ratio(len(data), len(plain))
    return plain


def _unxz(data: bytes) -> bytes:
    import lzma

    unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)
    plain = unpacker.decompress(data, max_length=_MAX_UNPACKED + 1)
    if not unpacker.eof and len(plain) <= _MAX_UNPACKED:
        message = "compressed file ended early"
        raise EOFError(message)
    return plain


def _check_ratio(packed: int, plain: int) -> None:
    if plain > _MAX_UNPACKED or (plain > _SMALL and plain > packed * _MAX_RATIO):
        message = f"it unpacks to more than {_MAX_UNPACKED} bytes, or more than {_MAX_RATIO} times its size"
        raise OperationError(message)


def _tar(data: bytes) -> Iterator[_Entry]:
    import tarfile

    archive = tarfile.open(fileobj=BytesIO(data), mode="r:", encoding="utf-8", errors="strict")  # noqa: SIM115 - lives as long as the generator
    for count, member in enumerate(archive, start=1):
        if count > 4 * MAX_FILES:
            message = f"it holds more than {4 * MAX_FILES} files and folders"
            raise OperationError(message)
        _check_member(member)
        if member.isreg():
            yield _Entry(member.name, member.size, member.mode, _opener(archive, member))
        elif member.name.strip("./"):
            check_path(member.name.removeprefix("./"))
    _check_end(data, archive.offset)


def _opener(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: archive.extractfile(member)


def _check_member(member: tarfile.TarInfo) -> None:
    if member.name.startswith("./"):
        member.name = member.name.removeprefix("./")
    if not (member.isreg() or member.isdir()) or member.issparse() or "\0" in member.name:
        raise _bad(member.name, "is a link, a device or another odd thing")
    if member.mode & 0o7000:
        raise _bad(member.name, "would run with the rights of its owner")
    if member.size < 0:
        raise _bad(member.name, "has no size")


def _check_end(data: bytes, offset: int) -> None:
    """Hold the archive to its end mark: the library stops without a word at a damaged header."""
    rest = data[offset:]
    if len(rest) < 512 or rest.strip(b"\0"):
        message = "damaged: it ends early, or holds something that cannot be read"
        raise OperationError(message)


# ---- zip


def _zip(data: bytes) -> Iterator[_Entry]:
    import zipfile

    _check_directory(data)
    with zipfile.ZipFile(BytesIO(data)) as archive:
        infos = archive.infolist()
        _check_places(infos, archive.start_dir)
        for info in infos:
            _check_info(info)
            mode = info.external_attr >> 16 if info.create_system == 3 else 0
            if info.is_dir():
                check_path(info.orig_filename.rstrip("/"))
            else:
                yield _Entry(info.orig_filename, info.file_size, mode, _zip_opener(archive, info))


def _zip_opener(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _check_directory(data: bytes) -> None:
    """Look at the end of a zip file before anything is read that it lists."""
    at = data.rfind(_ZIP_END, max(0, len(data) - 65_557))
    if at < 0 or len(data) < at + 22:
        message = "damaged: it ends early"
        raise OperationError(message)
    count = int.from_bytes(data[at + 10 : at + 12], "little")
    size = int.from_bytes(data[at + 12 : at + 16], "little")
    if count > 4 * MAX_FILES or size > _MAX_DIRECTORY:
        message = f"it lists more than {4 * MAX_FILES} files and folders"
        raise OperationError(message)


def _check_places(infos: list[zipfile.ZipInfo], end: int) -> None:
    """Refuse entries that share bytes: that is how much is made of little."""
    ordered = sorted(infos, key=lambda info: info.header_offset)
    for info, following in zip(ordered, [*(info.header_offset for info in ordered[1:]), end], strict=True):
        if info.header_offset + 30 + info.compress_size > following:
            raise _bad(info.orig_filename, "shares bytes with another file")


def _check_info(info: zipfile.ZipInfo) -> None:
    import zipfile

    path = info.orig_filename
    mode = info.external_attr >> 16 if info.create_system == 3 else 0
    if info.flag_bits & 0x41:
        raise _bad(path, "is encrypted")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise _bad(path, "is compressed in a way that is not supported")
    if stat.S_IFMT(mode) not in _MODES or (stat.S_ISDIR(mode) and not info.is_dir()):
        raise _bad(path, "is a link, a device or another odd thing")
    if mode & 0o7000:
        raise _bad(path, "would run with the rights of its owner")
    if info.file_size > _SMALL and info.file_size > info.compress_size * _MAX_RATIO:
        raise _bad(path, f"unpacks to more than {_MAX_RATIO} times its size")
