"""Which repositories can be named: DevStream's fields, and nothing that git or a file system would misread."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from devstream_plugin_scm.repository import TargetRepo, check_branch, check_name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "x"}, r"scmType is missing \(supported: local"),
        ({"name": "x", "scmType": "lcoal"}, r'no scmType "lcoal" \(did you mean "local"\?\)'),
        ({"name": "x", "scmType": "cvs"}, r'no scmType "cvs" \(supported: local'),
        (
            {"url": "https://git.example.org/a/b"},
            "scmType is missing: the url https://git.example.org/a/b does not",
        ),
        ({"scmType": "git", "name": "x"}, "scmType: git needs a url"),
        ({"scmType": "git", "url": "https://u:p@host/a/b"}, "must not hold a user or a token"),
        ({"scmType": "git", "url": "https://token@host/a/b"}, "must not hold a user or a token"),
        ({"scmType": "git", "url": "ftp://host/a/b"}, "is not the URL of a repository"),
        ({"scmType": "git", "url": "ext::sh -c id"}, "is not the URL of a repository|cannot name"),
        ({"scmType": "git", "url": "--upload-pack=id"}, "is not the URL of a repository"),
        ({"scmType": "git", "url": "-oProxyCommand=id:a/b"}, "is not the URL of a repository"),
        ({"scmType": "git", "url": "https://host/a//b"}, "names no repository"),
        ({"scmType": "git", "url": "https://host/a/b", "visibility": "secret"}, "is none of: private"),
        ({"scmType": "git", "url": "https://host/a/b", "baseURL": "host"}, "not the address of a service"),
        ({"name": "x", "scmType": "local", "owner": "a", "org": "b"}, "owner and org"),
        ({"scmType": "local"}, "needs a name or a url"),
        ({"scmType": "local", "url": "repos/x"}, r"ending in \.git"),
        ({"scmType": "local", "url": "~/x.git"}, "~ is not expanded"),
        ({"scmType": "local", "url": "-oProxyCommand/x.git"}, "not a path"),
        ({"scmType": "local", "url": "a\nb.git"}, "not a path"),
        ({"scmType": "local", "name": "x", "baseURL": "~"}, "~ is not expanded"),
        ({"scmType": "local", "name": "x", "baseURL": "a\x00b"}, "not a path"),
        ({"scmType": "local", "name": "x", "branch": "--force"}, "cannot name a branch"),
        ({"scmType": "local", "name": "-x"}, "cannot name a repository or its owner"),
        ({"scmType": "local", "name": "x", "owner": "../up"}, "cannot name a repository or its owner"),
        ({"scmType": "local", "name": "x", "org": ".git"}, "cannot name a repository or its owner"),
    ],
)
def test_what_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=message):
        msgspec.convert(options, TargetRepo)


@pytest.mark.parametrize(
    "options",
    [
        {"scmType": "local", "name": "x"},
        {"url": "file:///srv/x.git"},
        {"url": "../x.git"},
        {"url": "/srv/x.git", "scmType": "local", "name": "prefilled"},
        {
            "scmType": "local",
            "name": "x",
            "visibility": "private",
            "nameSpace": "n",
            "apiURL": "u",
            "baseURL": "b",
        },
    ],
)
def test_what_is_a_local_repository(options: dict[str, Any]) -> None:
    assert msgspec.convert(options, TargetRepo).scm_type == "local"


@pytest.mark.parametrize("name", ["a", "A-b_c.d", "0", "x" * 100, "_private", "web.api"])
def test_good_names(name: str) -> None:
    assert check_name(name) == name


BAD_NAMES = [
    "",
    ".",
    "..",
    "-a",
    ".a",
    "a.git",
    "a.lock",
    "a.",
    "a..b",
    "a/b",
    "a\\b",
    "a b",
    "ü",
    "a\n",
    "x" * 101,
]


@pytest.mark.parametrize("name", [*BAD_NAMES, "a$(id)", "a;b", "a:b", "\u202egnp"])
def test_bad_names(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name a repository"):
        check_name(name)


@pytest.mark.parametrize("branch", ["main", "feature/x", "v1.2", "a+b", "release-1"])
def test_good_branches(branch: str) -> None:
    assert check_branch(branch) == branch


BAD_BRANCHES = [
    "",
    "-x",
    "/a",
    "a/",
    "a//b",
    "a..b",
    ".a",
    "a/.b",
    "a.lock",
    "a.lock/b",
    "a.",
    "a b",
    "a~1",
    "a^",
    "a:b",
]


@pytest.mark.parametrize("branch", [*BAD_BRANCHES, "a?", "a*", "a[", "a\\b", "@{u}", "refs\nx", "ü"])
def test_bad_branches(branch: str) -> None:
    with pytest.raises(ValueError, match="cannot name a branch"):
        check_branch(branch)
