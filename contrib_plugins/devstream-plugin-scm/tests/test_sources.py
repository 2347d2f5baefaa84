"""What a template may consist of; crafted ones are refused before anything is made."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError
from devstream_plugin_scm import sources
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.sources import check_path, digest_of, read_location, read_tree
from devstream_plugin_scm.template_repo import Place, TemplateRepo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Workplace

BAD_PATHS = [
    "", "/etc/passwd", "..", "a/../b", "./a", "a//b", "a/", ".git", ".git/hooks/post-checkout", "sub/.GIT/config",
    ".git./x", ".git /x", "GIT~1/config", ".git::$INDEX_ALLOCATION/config", "a\\b", "C:x", "a\nb", "a\x00b", "a\x1b[2J",
    "tab\tin", "gpj.\u202eexe", "zero\u200bwidth", " lead", "trail ", "a" * 256, "ü" * 128, "q?", "a*", '"', "<", "|",
    "/".join("x" * 40), "/".join(["y" * 200] * 6), ".gitmodules", "sub/.GITMODULES", "gitmod~1", "con", "Aux.txt", "lpt1.c",
    ".g\u200cit/config", ".gi\ufefft/x",
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_bad_paths(path: str) -> None:
    with pytest.raises(OperationError, match="cannot be a path in a repository"):
        check_path(path)


@pytest.mark.parametrize(
    "path", [".gitignore", ".github/workflows/a.yml", "ü/日本.txt", "a b", ".gitx", "git", "a'b"]
)
def test_good_paths(path: str) -> None:
    assert check_path(path) == path


def link_to_a_file(folder: Path) -> None:
    (folder / "secret").symlink_to("/etc/passwd")


def link_to_a_folder(folder: Path) -> None:
    (folder / "up").symlink_to("..")


def dangling_link(folder: Path) -> None:
    (folder / "nothing").symlink_to("nowhere")


def link_inside(folder: Path) -> None:
    (folder / "again").symlink_to("good.txt")


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "pipe")


def nested_git(folder: Path) -> None:
    (folder / "sub" / ".git").mkdir(parents=True)
    (folder / "sub" / ".git" / "config").write_text("[core]\n")


def hooks_in_disguise(folder: Path) -> None:
    (folder / ".GIT").mkdir()
    (folder / ".GIT" / "x").write_text("x")


def control_characters(folder: Path) -> None:
    (folder / "a\x1b[2Jb").write_text("x")


def large_file(folder: Path) -> None:
    with (folder / "large").open("wb") as stream:
        stream.truncate(sources.MAX_FILE + 1)


def deep_folder(folder: Path) -> None:
    deep = folder.joinpath(*["d"] * (sources.MAX_DEPTH + 2))
    deep.mkdir(parents=True)
    (deep / "x").write_text("x")


def many_files(folder: Path) -> None:
    for number in range(sources.MAX_FILES + 1):
        (folder / f"{number}").touch()


CRAFTED: list[Callable[[Path], None]] = [
    link_to_a_file, link_to_a_folder, dangling_link, link_inside, pipe, nested_git, hooks_in_disguise,
    control_characters, large_file, deep_folder, many_files,
]  # fmt: skip


@pytest.mark.parametrize("craft", CRAFTED)
def test_a_crafted_template_is_refused(place: Workplace, craft: Callable[[Path], None]) -> None:
    url = place.template({"good.txt": "good\n"})
    craft(place.folder / url)
    with pytest.raises(OperationError):
        place.scaffold(url=url)
    assert not (place.folder / "repos").exists()


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("builtin:python-htpp", r'no built-in template "python-htpp" \(there are: .*python-http'),
        ("builtin:../pipelines", "no built-in template"),
        ("nowhere", "there is no folder"),
        ("https://example.org/template.zip", "not available yet"),
        ("git@example.org:a/b.git", "not available yet"),
        ("templates.tar.gz", "not available yet"),
    ],
)
def test_what_is_no_template(tmp_path: Path, location: str, message: str) -> None:
    with pytest.raises(OperationError, match=message):
        read_location(location, folder=tmp_path, shipped="templates")


def test_two_files_at_one_path_are_refused(place: Workplace) -> None:
    url = place.template({"a.txt": "1", "a.txt.tpl": "2"})
    with pytest.raises(OperationError, match=r"two files of the template end up at a\.txt"):
        place.scaffold(url=url)


def test_a_template_that_is_no_text_is_refused(place: Workplace) -> None:
    url = place.template({"a.txt": "1"})
    (place.folder / url / "b.tpl").write_bytes(b"\xff\xfe")
    with pytest.raises(OperationError, match=r"b\.tpl is not UTF-8"):
        place.scaffold(url=url)


def test_the_digest_tells_names_modes_and_contents_apart(tmp_path: Path) -> None:
    trees = [{"a": File(b"1"), "b": File(b"2")}, {"a": File(b"2"), "b": File(b"1")}, {"ab": File(b"12")}, {"a": File(b"1", True)}, {}]  # fmt: skip
    assert len({digest_of(tree) for tree in trees}) == len(trees)
    folder = tmp_path / "t"
    folder.mkdir()
    (folder / "a").write_text("1")
    (folder / "b").write_text("2")
    assert digest_of(read_tree(folder)) == digest_of(trees[0])
    shutil.copytree(folder, tmp_path / "copy")
    assert digest_of(read_tree(tmp_path / "copy")) == digest_of(trees[0])


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("builtin:python-htp", 'template "python-htp" (did you mean "builtin:python-http"?)'),
        ("builtin:cobol", 'there is no built-in template "cobol" (there are: deployments, go-cli, '),
    ],
)
def test_a_slip_in_the_name_of_a_template_is_told_before_anything_runs(url: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        TemplateRepo(url=url)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"url": "builtin:python-http"}, Place.BUILTIN),
        ({"url": "templates/mine"}, Place.FOLDER),
        ({"url": "my.templates/mine"}, Place.FOLDER),
        ({"url": "file:///srv/templates/mine"}, Place.FOLDER),
        ({"url": "templates/mine.zip"}, Place.ARCHIVE),
        ({"url": "file:///srv/mine.tar.gz"}, Place.ARCHIVE),
        ({"url": "https://example.org/mine.tar.gz?ref=1"}, Place.DOWNLOAD),
        ({"url": "templates/mine.git"}, Place.GIT_FOLDER),
        ({"scm_type": "local", "name": "mine"}, Place.GIT_FOLDER),
        ({"url": "https://github.com/o/r.git"}, Place.GIT),
        ({"url": "https://git.example.org/o/r"}, Place.GIT),
        ({"url": "github.com/o/r"}, Place.GIT),
        ({"url": "git.example.org/o/r", "scm_type": "gitea"}, Place.GIT),
        ({"url": "git@git.example.org:o/r.git"}, Place.GIT),
        ({"url": "ssh://git@git.example.org:2222/o/r.git"}, Place.GIT),
        ({"scm_type": "gitlab", "name_space": "group/sub", "name": "mine"}, Place.GIT),
    ],
)
def test_where_a_template_is(fields: dict[str, str], place: Place) -> None:
    assert TemplateRepo(**fields).place is place  # type: ignore[arg-type]  # all of them are texts


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "needs a url, or scmType"),
        ({"name": "mine"}, "needs a url, or scmType"),
        ({"name": "mine", "scm_type": "git"}, "needs a url, or scmType"),
        ({"name": "mine", "scm_type": "githb"}, 'no scmType "githb" .*github'),
        (
            {"name": "mine", "scm_type": "gitea", "base_url": "ext::sh -c x"},
            "is not the address of a service",
        ),
        ({"url": "ftp://example.org/a"}, "comes by https://, ssh:// or file://"),
        ({"url": "git://example.org/a.git"}, "comes by https://, ssh:// or file://"),
        ({"url": "ext::sh -c touch% /tmp/x"}, "comes by https://|is not"),
        ({"url": "https://user:s3cr3t@example.org/a.zip"}, "must not hold a user or a token"),
        ({"url": "https://s3cr3t@example.org/o/a.git"}, "must not hold a user or a token"),
        ({"url": "templates/mine", "version": "v1"}, "version is for templates in git repositories"),
        ({"url": "https://example.org/a.zip", "follow": True}, "follow is for templates in git repositories"),
        ({"url": "https://github.com/o/r", "version": "--upload-pack=x"}, "cannot name a branch"),
        ({"url": "https://github.com/o/r", "branch": "-x"}, "cannot name a branch"),
        ({"url": "https://github.com/o/r", "path": "../.."}, "cannot be a path"),
        ({"url": "https://example.org/a.zip", "sha256": "abc"}, "64 hexadecimal digits"),
        ({"url": "https://github.com/o/r", "sha256": "a" * 64}, "belongs to a url of an archive"),
        ({"url": "builtin:python-http", "update": "pr"}, "none of: push, pull-request, none"),
        ({"scm_type": "gitea", "owner": "../x", "name": "y"}, "cannot name a repository"),
    ],
)
def test_what_is_wrong_with_a_template_is_told_before_anything_runs(
    fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        TemplateRepo(**fields)
    assert "s3cr3t" not in str(caught.value)
