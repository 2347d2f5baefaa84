"""Archives: those that forges and people pack are read; those made to do harm are refused, each for its reason."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from devstream.api import OperationError
from devstream_plugin_scm import archives
from devstream_plugin_scm.archives import is_archive, read_archive
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.sources import MAX_FILE, MAX_FILES

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Workplace


class Part(NamedTuple):
    """An entry of a tar archive."""

    name: str
    data: bytes = b"x"
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644


GOOD = Part("good.txt", b"good\n")


def tar(*parts: Part, **how: Any) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:", format=how.get("format", tarfile.PAX_FORMAT)) as archive:
        for part in parts:
            member = tarfile.TarInfo(part.name)
            member.type, member.linkname, member.mode = part.kind, part.link, part.mode
            member.size = len(part.data) if part.kind == tarfile.REGTYPE else 0
            archive.addfile(member, io.BytesIO(part.data) if member.size else None)
    return packed.getvalue()


def packed_zip(*parts: tuple[str, bytes], **fields: Any) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (("good.txt", b"good\n"), *parts):
            info = zipfile.ZipInfo("x")
            info.filename = name  # as it is: the constructor would mend it
            info.compress_type = fields.get("compress_type", zipfile.ZIP_DEFLATED)
            info.external_attr = (
                fields.get("mode", stat.S_IFREG | 0o644) if name != "good.txt" else 0o644
            ) << 16
            archive.writestr(info, data)
    return packed.getvalue()


def named(name: str) -> list[bytes]:
    """The same bad name in both kinds of archives."""
    return [tar(GOOD, Part(name)), packed_zip((name, b"x"))]


def patched(data: bytes, mark: bytes, at: int, value: bytes, *, last: bool = False) -> bytes:
    """Change bytes at an offset from a mark."""
    start = (data.rfind(mark) if last else data.find(mark)) + at
    return data[:start] + value + data[start + len(value) :]


def lying_size(claimed: int) -> bytes:
    """A zip whose second file says that it has another size, in both of its headers."""
    data = packed_zip(("b.txt", b"y" * 500))
    local = data.find(b"PK\x03\x04", 10)
    data = data[: local + 22] + struct.pack("<I", claimed) + data[local + 26 :]
    return patched(data, b"PK\x01\x02", 24, struct.pack("<I", claimed), last=True)


def zip64(claimed: int) -> bytes:
    """A zip64 whose file says in its long size that it is enormous."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive, archive.open("b.txt", "w", force_zip64=True) as stream:
        stream.write(b"y" * 10)
    data = packed.getvalue()
    central = data.rfind(b"PK\x01\x02")
    name_end = central + 46 + 5
    extra = struct.pack("<HHQ", 1, 8, claimed)
    head = (
        data[:central]
        + data[central : central + 24]
        + b"\xff\xff\xff\xff"
        + data[central + 28 : central + 30]
    )
    entry = head + struct.pack("<H", len(extra)) + data[central + 32 : name_end] + extra
    size = len(entry) - central
    end = data[data.rfind(b"PK\x05\x06") :]
    return entry + end[:12] + struct.pack("<II", size, central) + end[20:]


def overlapping() -> bytes:
    """Two names for the bytes of one file."""
    data = packed_zip(("b.txt", b"y" * 500), ("c.txt", b"y" * 500))
    second = data.find(b"PK\x03\x04", 10)
    return patched(data, b"PK\x01\x02", 42, struct.pack("<I", second), last=True)


def stored(name: bytes, data: bytes) -> bytes:
    """The part of a zip file that holds one file, as it is."""
    head = struct.pack(
        "<4s5H3L2H", b"PK\x03\x04", 20, 0, 0, 0, 0x21, zlib.crc32(data), len(data), len(data), len(name), 0
    )
    return head + name + data


def listed(name: bytes, data: bytes, offset: int) -> bytes:
    """The line about it at the end of a zip file."""
    sizes = (zlib.crc32(data), len(data), len(data))
    fixed = (20, 20, 0, 0, 0, 0x21, *sizes, len(name), 0, 0, 0, 0, 0o100644 << 16, offset)
    return struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *fixed) + name


def quoting() -> bytes:
    """A file whose content is another file of the archive, header and all: the same bytes count twice."""
    inner = stored(b"b.txt", b"y" * 500)
    outer = stored(b"a.txt", inner)
    lines = listed(b"a.txt", inner, 0) + listed(b"b.txt", b"y" * 500, len(outer) - len(inner))
    return outer + lines + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, len(lines), len(outer), 0)


def encrypted() -> bytes:
    data = packed_zip(("b.txt", b"secret"))
    local = data.find(b"PK\x03\x04", 10)
    data = data[: local + 6] + b"\x01\x00" + data[local + 8 :]
    return patched(data, b"PK\x01\x02", 8, b"\x01\x00", last=True)


def other_name_inside() -> bytes:
    data = packed_zip(("b.txt", b"x"))
    local = data.find(b"PK\x03\x04", 10)
    return data[: local + 30] + b"../.." + data[local + 35 :]


def negative_size() -> bytes:
    data = bytearray(tar(GOOD, Part("b.txt", b"x" * 600)))
    at = 1024
    data[at + 124 : at + 136] = b"\xff" * 10 + b"\xfe\x00"
    data[at + 148 : at + 156] = b"        "
    data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])
    return bytes(data)


def sparse() -> bytes:
    """A GNU sparse file that claims a gigabyte of holes."""
    member = tarfile.TarInfo("holes")
    member.type = tarfile.GNUTYPE_SPARSE
    header = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    header[483:495] = b"%011o\0" % 2**30
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + bytes(1024)


def many(count: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    return tar(*(Part(f"f{number}", b"", kind) for number in range(count)))


def case(title: str, *data: bytes, says: str = "") -> list[Any]:
    return [pytest.param(item, says, id=f"{title}-{number}") for number, item in enumerate(data)]


PATH = "cannot be a path in a repository"
ODD = "is a link, a device or another odd thing"
LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
ACCENT, APART = "caf\u00e9.txt", "cafe\u0301.txt"
BIG = bytes(MAX_FILE + 1)

CRAFTED: list[Any] = [
    *case("climbs", *named("../evil"), says=PATH),
    *case("climbs-inside", *named("a/../../evil"), says=PATH),
    *case("absolute", *named("/etc/cron.d/evil"), says=PATH),
    *case("drive", *named("C:/evil"), says=PATH),
    *case("drive-relative", *named("C:evil"), says=PATH),
    *case("backslash", *named("..\\evil"), says=PATH),
    *case("network-share", *named("\\\\host\\share\\evil"), says=PATH),
    *case("dot", *named("a/./b"), says=PATH),
    *case("double-slash", *named("a//b"), says=PATH),
    *case("git", *named(".git/hooks/post-checkout"), says=PATH),
    *case("git-deep", *named("a/.git/config"), says=PATH),
    *case("git-capitals", *named(".GIT/config"), says=PATH),
    *case("git-short-name", *named("git~1/config"), says=PATH),
    *case("git-trailing-dot", *named(".git./config"), says=PATH),
    *case("git-trailing-blank", *named(".git /config"), says=PATH),
    *case("git-stream", *named(".git::$INDEX_ALLOCATION/config"), says=PATH),
    *case("git-ignorable-character", *named(".g\u200cit/config"), says=PATH),
    *case("submodules", *named(".gitmodules"), says=PATH),
    *case("submodules-capitals", *named(".GitModules"), says=PATH),
    *case("submodules-short-name", *named("gitmod~1"), says=PATH),
    *case("escape-sequence", *named("a\x1b[2Jb"), says=PATH),
    *case("new-line", *named("a\nb"), says=PATH),
    *case("right-to-left", *named("gpj.\u202eexe"), says=PATH),
    *case("device-name", *named("aux.txt"), says=PATH),
    *case("long-part", *named("n" * 300), says=PATH),
    *case("long-path", *named("/".join(["d" * 200] * 25)), says=PATH),
    *case("deep", *named("/".join(["d"] * 60)), says=PATH),
    *case("nul", packed_zip(("a\0.txt", b"x")), says=PATH),
    *case("link-out", tar(GOOD, Part("l", kind=LINK, link="/etc/passwd")), says=ODD),
    *case("link-up", tar(GOOD, Part("l", kind=LINK, link="..")), says=ODD),
    *case("link-inside", tar(GOOD, Part("l", kind=LINK, link="good.txt")), says=ODD),
    *case("link-dangling", tar(GOOD, Part("l", kind=LINK, link="nowhere")), says=ODD),
    *case("link-then-through", tar(Part("l", kind=LINK, link="/tmp"), Part("l/evil")), says=ODD),
    *case("links-chained", tar(Part("a", kind=LINK, link="b"), Part("b", kind=LINK, link="..")), says=ODD),
    *case("hard-link-out", tar(GOOD, Part("l", kind=HARD, link="/etc/passwd")), says=ODD),
    *case("hard-link-inside", tar(GOOD, Part("l", kind=HARD, link="good.txt")), says=ODD),
    *case("link-of-zip", packed_zip(("l", b"/etc/passwd"), mode=stat.S_IFLNK | 0o777), says=ODD),
    *case("character-device", tar(GOOD, Part("d", kind=tarfile.CHRTYPE)), says=ODD),
    *case("block-device", tar(GOOD, Part("d", kind=tarfile.BLKTYPE)), says=ODD),
    *case("fifo", tar(GOOD, Part("d", kind=tarfile.FIFOTYPE)), says=ODD),
    *case("fifo-of-zip", packed_zip(("d", b""), mode=stat.S_IFIFO | 0o644), says=ODD),
    *case("sparse", sparse(), says=ODD),
    *case("setuid", tar(GOOD, Part("s", mode=0o4755)), says="rights of its owner"),
    *case("setgid", tar(GOOD, Part("s", mode=0o2755)), says="rights of its owner"),
    *case("setuid-of-zip", packed_zip(("s", b"x"), mode=stat.S_IFREG | 0o4755), says="rights of its owner"),
    *case("twice", tar(GOOD, GOOD), packed_zip(("evil.txt", b"x")).replace(b"evil.txt", b"good.txt"), says="is there twice"),
    *case("twice-by-dot", tar(GOOD, Part("./good.txt")), says="is there twice"),
    *case("capitals", *named("GOOD.txt"), says="are one name on some systems"),
    *case("capitals-of-a-folder", tar(Part("a/x"), Part("A/y")), says="are one name on some systems"),
    *case("accents", tar(Part(ACCENT), Part(APART)), packed_zip((ACCENT, b"1"), (APART, b"2")), says="are one name"),
    *case("file-and-folder", *named("good.txt/x"), says="cannot be a file and a folder at once"),
    *case("large-file", tar(Part("big", BIG)), packed_zip(("big", os.urandom(MAX_FILE + 1))), says="is too much"),
    *case("many-files", many(MAX_FILES + 1), says="is too much"),
    *case("many-folders", many(4 * MAX_FILES + 1, tarfile.DIRTYPE), says="more than 8000 files and folders"),
    *case("bomb-by-ratio", gzip.compress(tar(Part("a", bytes(3_000_000)))), says="times its size"),
    *case("bomb-of-bz2", bz2.compress(tar(Part("a", bytes(3_000_000)))), says="times its size"),
    *case("bomb-of-xz", lzma.compress(tar(Part("a", bytes(3_000_000)))), says="times its size"),
    *case("bomb-of-zip", packed_zip(("a", bytes(3_000_000))), says="times its size"),
    *case("zip-larger-than-it-says", lying_size(10), says="damaged"),
    *case("zip-smaller-than-it-says", lying_size(5000), says="has not the 5000 bytes"),
    *case("zip64-of-a-terabyte", zip64(2**40), says="times its size|is too much"),
    *case("zip-overlapping", overlapping(), quoting(), says="shares bytes"),
    *case("zip-encrypted", encrypted(), says="'b.txt' is encrypted$"),
    *case("zip-other-name-inside", other_name_inside(), says="damaged"),
    *case("zip-lists-too-many", patched(packed_zip(), b"PK\x05\x06", 10, b"\xff\xff"), says="lists more than"),
    *case("zip-odd-compression", packed_zip(("a", b"x"), compress_type=zipfile.ZIP_LZMA), says="is not supported"),
    *case("negative-size", negative_size(), says="has no size|damaged|odd"),
    *case("cut", tar(GOOD, Part("b", b"x" * 2000))[:1800], packed_zip(("b", os.urandom(2000)))[:1800], says="damaged|ends early|bytes it claims"),
    *case("cut-between-files", tar(GOOD, Part("b"))[:1024], says="ends early"),
    *case("damaged-header", tar(GOOD, Part("b", b"x" * 2000)).replace(b"ustar", b"\xffstar")[:9000], says="damaged|no archive"),
    *case("second-header-damaged", patched(tar(GOOD, Part("b")), b"ustar", -200, b"\xff" * 8, last=True), says="damaged"),
    *case("cut-gzip", gzip.compress(tar(GOOD))[:-20], says="damaged"),
    *case("cut-xz", lzma.compress(tar(GOOD))[:-20], says="damaged"),
    *case("wrong-checksum", patched(packed_zip(), b"PK\x01\x02", 16, b"\0\0\0\0"), says="damaged"),
    *case("gzip-with-something-behind", gzip.compress(tar(GOOD)) + b"evil", says="damaged"),
    *case("empty", b"", tar(), packed_zip()[:0], says="damaged|no file|ends early"),
    *case("no-archive", b"<html>Not Found</html>" * 100, says="damaged|no archive"),
    *case("names-that-are-no-utf8", tar(Part("a\udcff"), format=tarfile.GNU_FORMAT), says="no archive that can be read|path"),
]  # fmt: skip


def test_there_are_enough_of_them() -> None:
    assert len(CRAFTED) >= 60


@pytest.mark.parametrize(("data", "says"), CRAFTED)
def test_a_crafted_archive_is_refused(data: bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=rf"(?s)^evil\.tar: .*(?:{says})") as caught:
        read_archive(data, "evil.tar")
    assert len(str(caught.value)) < 1000
    assert "\x1b" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made_of_a_crafted_archive(place: Workplace) -> None:
    (place.folder / "evil.tar").write_bytes(tar(GOOD, Part("../evil")))
    with pytest.raises(OperationError, match=r"evil\.tar: '\.\./evil' cannot be a path"):
        place.scaffold(url="evil.tar")
    assert not (place.folder / "repos").exists()
    assert not list(place.folder.rglob("evil"))


FILES = {
    "bin/run.sh": File(b"#!/bin/sh\n", executable=True),
    "ü.txt": File("ü\n".encode()),
    "empty": File(b""),
}


def tar_of(files: dict[str, File], top: str = "") -> bytes:
    return tar(
        Part(top or "bin", kind=tarfile.DIRTYPE, mode=0o755),
        *(
            Part(top + path, file.content, mode=0o755 if file.executable else 0o644)
            for path, file in files.items()
        ),
    )


def zip_of(files: dict[str, File], top: str = "") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, file in files.items():
            info = zipfile.ZipInfo(top + path)
            info.external_attr = (stat.S_IFREG | (0o755 if file.executable else 0o644)) << 16
            archive.writestr(info, file.content)
    return packed.getvalue()


def zip64_of(files: dict[str, File]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, file in files.items():
            info = zipfile.ZipInfo(path)
            info.external_attr = (stat.S_IFREG | (0o755 if file.executable else 0o644)) << 16
            with archive.open(info, "w", force_zip64=True) as stream:
                stream.write(file.content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "pack",
    [
        tar_of,
        lambda files: gzip.compress(tar_of(files)),
        lambda files: bz2.compress(tar_of(files)),
        lambda files: lzma.compress(tar_of(files)),
        lambda files: tar_of(files, "repo-1a2b3c/"),
        lambda files: tar_of(files, "./"),
        zip_of,
        lambda files: zip_of(files, "repo-main/"),
        zip64_of,
    ],
)
def test_an_archive_gives_the_files_that_were_packed(pack: Callable[[dict[str, File]], bytes]) -> None:
    assert read_archive(pack(FILES), "good") == FILES


def test_a_folder_at_the_top_can_be_kept() -> None:
    assert list(read_archive(tar(Part("a/b")), "a", whole=True)) == ["a/b"]


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("https://example.org/a.zip", True),
        ("https://example.org/a.TAR.GZ?token=1", True),
        ("a.tgz", True),
        ("a.tar.xz#x", True),
        ("https://example.org/a.git", False),
        ("zip", False),
        ("a.zip/b", False),
    ],
)
def test_what_is_called_an_archive(name: str, is_one: bool) -> None:
    assert is_archive(name) is is_one


def test_what_unpacks_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "_MAX_UNPACKED", 100_000)
    for packed in (gzip.compress(bytes(10**6), 0), bz2.compress(bytes(10**6)), lzma.compress(bytes(10**6))):
        with pytest.raises(OperationError, match="unpacks to more than"):
            read_archive(packed, "bomb")
