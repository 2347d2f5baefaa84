"""Which repositories can be named: DevStream's fields, and nothing that git or a file system would misread."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from devstream.api import Secret, WrongOption
from devstream.model.values import SecretRef
from devstream_plugin_scm.repository import TargetRepo, check_branch, check_name, check_service


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


_TOKEN = Secret((SecretRef("env", "T"),), "t")
_SHOP = {"scm_type": "gitea", "owner": "acme", "name": "shop"}


@pytest.mark.parametrize(
    ("fields", "option", "message"),
    [
        ({**_SHOP, "branch": "--force"}, "branch", "cannot name a branch: letters"),
        ({**_SHOP, "name": "h\u0435llo"}, "name", r"'h\\u0435llo' cannot name"),
        ({**_SHOP, "owner": "a/b"}, "owner", "'a/b' cannot name"),
        ({**_SHOP, "base_url": "https://me:hunter2@host"}, "baseURL", "must not hold a user or a token"),
        ({**_SHOP, "url": "https://host/acme/other"}, "name", 'name says "shop", the url says "other"'),
        ({**_SHOP, "url": "https://host/acme2/shop"}, "owner", 'owner says "acme", the url says "acme2"'),
        ({**_SHOP, "url": "https://a/acme/shop", "base_url": "https://b"}, "baseURL", 'says "b"'),
        ({**_SHOP, "token": _TOKEN, "base_url": "http://git.example.org"}, "baseURL", "in clear"),
        ({**_SHOP, "token": _TOKEN, "api_url": "http://git.example.org/api"}, "apiURL", "in clear"),
        ({"scm_type": "git", "token": _TOKEN, "url": "http://git.example.org/a/b"}, "url", "in clear"),
    ],
)
def test_what_is_wrong_is_said_of_the_option(fields: dict[str, Any], option: str, message: str) -> None:
    with pytest.raises(WrongOption, match=message) as caught:
        TargetRepo(**fields)
    assert caught.value.option == option
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {**_SHOP, "url": "https://host/Acme/shop.git", "base_url": "https://host"},
        {**_SHOP, "url": "https://host/git/acme/shop.git", "base_url": "https://host/git"},
        {**_SHOP, "url": "git@ssh.host:acme/shop.git", "base_url": "https://host"},
        {"scm_type": "gitlab", "url": "https://host/a/b/shop", "name_space": "a/b"},
        {
            "scm_type": "bitbucket",
            "url": "https://bitbucket.org/acme/shop",
            "owner": "acme",
            "name_space": "KEY",
        },
        {"scm_type": "bitbucket", "url": "https://host/scm/key/shop.git", "owner": "KEY"},
        {"scm_type": "git", "url": "https://host/srv/shop.git", "owner": "acme", "name": "prefilled"},
        {**_SHOP, "token": _TOKEN, "base_url": "http://127.0.0.1:3000"},
        {**_SHOP, "token": _TOKEN, "base_url": "http://git.example.org", "allow_http": True},
        {**_SHOP, "base_url": "http://git.example.org"},
    ],
)
def test_a_url_and_the_parts_beside_it_may_say_the_same(fields: dict[str, Any]) -> None:
    assert TargetRepo(**fields).scm_type


def test_an_address_is_shown_without_what_it_must_not_hold() -> None:
    with pytest.raises(ValueError, match="must not hold a user or a token"):
        check_service("https://me:hunter2@host")


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
