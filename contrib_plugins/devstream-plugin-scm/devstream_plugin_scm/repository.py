"""How a repository is named in options (DevStream's RepoInfo), and which names are safe to hand to git."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Annotated

from msgspec import Struct, field

from devstream.api import Secret, option

__all__ = ["RepoInfo", "TargetRepo", "SUPPORTED_SCM_TYPES", "DEFAULT_BRANCH", "check_name", "check_branch"]

SUPPORTED_SCM_TYPES = ("local",)
DEFAULT_BRANCH = "main"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}")


class RepoInfo(Struct, kw_only=True, rename="camel"):
    """A repository, by its URL or by its parts. The names are DevStream's."""

    owner: Annotated[str, option("The user it belongs to.")] = ""
    org: Annotated[str, option("The organisation it belongs to; not together with `owner`.")] = ""
    name: Annotated[str, option("Its name.")] = ""
    branch: Annotated[str, option("The branch to work on; by default `main`.")] = ""
    scm_type: Annotated[str, option("What it lives in: `local`, a bare repository in a folder.")] = ""
    url: Annotated[str, option("Where it is, instead of the parts.")] = ""
    base_url: Annotated[str, option("`local`: the folder of the repositories; by default `repos`.")] = field(
        name="baseURL", default=""
    )
    api_url: Annotated[str, option("Root of the API, where it is not the usual one.")] = field(
        name="apiURL", default=""
    )
    name_space: Annotated[str, option("GitLab: the namespace.")] = ""
    visibility: Annotated[str, option("`public`, `internal` or `private`, where the service knows that.")] = (
        ""
    )
    token: Annotated[Secret | None, option("API token.", secret=True, record_only=True)] = None
    ssh_private_key: Annotated[Secret | None, option("Key to clone with.", secret=True, record_only=True)] = (
        None
    )

    @property
    def namespace(self) -> str:
        """Whom it belongs to: the owner or the organisation; empty for neither."""
        return self.owner or self.org

    @property
    def short_name(self) -> str:
        """Its name, from the url where it is not given."""
        return self.name or self.url.rpartition("/")[2].removesuffix(".git")


class TargetRepo(RepoInfo, kw_only=True, rename="camel"):
    """A repository that tools write into: it has to be complete, and of a kind that is supported."""

    def __post_init__(self) -> None:
        """Check what can be checked without looking.

        Raises:
            ValueError: the parts contradict each other, or a name is not safe; msgspec adds the path.
        """
        if self.owner and self.org:
            message = "owner and org cannot be given at the same time"
            raise ValueError(message)
        self._check_kind()
        for part in filter(None, (self.owner, self.org)):
            check_name(part)
        if self.branch:
            check_branch(self.branch)
        self._check_place()

    def _check_kind(self) -> None:
        kind = self.scm_type or _kind_of(self.url)
        if not kind:
            message = f"scmType is missing (supported: {', '.join(SUPPORTED_SCM_TYPES)})"
            raise ValueError(message)
        if kind not in SUPPORTED_SCM_TYPES:
            near = get_close_matches(kind, SUPPORTED_SCM_TYPES, n=1)
            hint = f'did you mean "{near[0]}"?' if near else f"supported: {', '.join(SUPPORTED_SCM_TYPES)}"
            message = f'scmType "{kind}" is not available yet ({hint})'
            raise ValueError(message)
        self.scm_type = kind

    def _check_place(self) -> None:
        if not self.url and not self.name:
            message = "a repository needs a name or a url"
            raise ValueError(message)
        if self.url and not self.url.endswith(".git"):
            message = f'"{self.url}" is not the url of a local repository: a path, or file://, ending in .git'
            raise ValueError(message)
        check_name(self.short_name)
        for place in (self.url, self.base_url):
            _check_folder(place)


def _kind_of(url: str) -> str:
    """Say what a URL points to, where `scmType` is not written."""
    if not url:
        return ""
    if url.startswith("file://") or ("://" not in url and "@" not in url and url.endswith(".git")):
        return "local"
    return "github" if "github" in url else "gitlab"


def _check_folder(place: str) -> None:
    if place.startswith("~"):
        message = f'"{place}": ~ is not expanded, write the absolute path'
        raise ValueError(message)
    if place.startswith("-") or any(ord(character) < 32 for character in place):
        message = f"{place!r} is not a path that can be used"
        raise ValueError(message)


def check_name(name: str) -> str:
    """Give back an owner's or repository's name that is safe in paths and on command lines.

    Raises:
        ValueError: it has other characters than letters, digits, ``.``, ``_`` and ``-``, begins with a dot or
            a dash, or ends in ``.git`` or ``.lock``.
    """
    if not _NAME.fullmatch(name) or name.endswith((".git", ".lock", ".")) or ".." in name:
        message = (
            f"{name!r} cannot name a repository or its owner: letters, digits, dots, dashes and underscores, "
            "beginning with a letter or a digit, not ending in .git or .lock"
        )
        raise ValueError(message)
    return name


def check_branch(branch: str) -> str:
    """Give back a branch's name that git accepts and that cannot be taken for an option.

    Raises:
        ValueError: it is not one.
    """
    parts = branch.split("/")
    odd = any(not part or part.startswith(".") or part.endswith((".", ".lock")) for part in parts)
    if odd or not _BRANCH.fullmatch(branch) or ".." in branch:
        message = f"{branch!r} cannot name a branch"
        raise ValueError(message)
    return branch
