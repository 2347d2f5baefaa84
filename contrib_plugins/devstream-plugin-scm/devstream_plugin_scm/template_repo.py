"""`TemplateRepo`: where a template is, in options; what can be wrong with that is told before anything runs."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote, urlsplit

from devstream.api import WrongOption, nearest, option
from devstream_plugin_scm.archives import is_archive
from devstream_plugin_scm.downloads import Download
from devstream_plugin_scm.repo_url import is_schemeless, kind_of_host, parse_repo_url
from devstream_plugin_scm.repository import (
    SUPPORTED_SCM_TYPES,
    RepoInfo,
    at_option,
    check_branch,
    check_name,
    check_service,
)
from devstream_plugin_scm.sources import BUILTIN, check_path, unknown_builtin

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.api import Context

__all__ = ["TEMPLATES", "Place", "Policy", "TemplateRepo"]

TEMPLATES = "templates"
_SHA256 = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_POLICIES = ("", "push", "pull-request", "none")
_REMOTE = ("http://", "https://", "ssh://")


class Place(Enum):
    """What kind of place a template is in."""

    BUILTIN = "built-in"
    FOLDER = "folder"
    ARCHIVE = "archive"
    DOWNLOAD = "download"
    GIT_FOLDER = "git folder"
    GIT = "git"

    @property
    def is_pinned(self) -> bool:
        """True for what is elsewhere, or has versions: it stays as it was until it is asked to move on."""
        return self in {Place.DOWNLOAD, Place.GIT, Place.GIT_FOLDER}


class Policy(Enum):
    """How a template's changes get into a repository."""

    PUSH = "push"
    PULL_REQUEST = "pull-request"
    NONE = "none"


class TemplateRepo(RepoInfo, kw_only=True, rename="camel"):
    """The template of a repository: built-in, a folder, an archive, or a git repository by its URL or its parts."""

    version: Annotated[str, option("Git: the tag, or the whole id of the commit, that is used.")] = ""
    follow: Annotated[
        bool,
        option(
            "Git: look at every run whether `branch` has moved on, and follow it. By default an app stays at the commit "
            "it was made from until `version`, `branch` or `url` change."
        ),
    ] = False
    path: Annotated[str, option("The folder, in the repository or the archive, that the template is in.")] = (
        ""
    )
    sha256: Annotated[str, option("Digest of the archive; another one is refused.")] = ""
    update: Annotated[
        str,
        option(
            "How changes of the template and of `vars` get into the repository: `push` (the default; as a pull request "
            "where the branch is protected), `pull-request`, or `none`."
        ),
    ] = ""

    def __post_init__(self) -> None:
        """Check what can be checked without looking.

        Raises:
            ValueError: something contradicts, or is not written as it has to be.
        """
        wrong = unknown_builtin(self.url, TEMPLATES)
        if wrong:
            raise WrongOption(wrong, "url")
        if self.update not in _POLICIES:
            message = f'"{self.update}" is none of: {", ".join(filter(None, _POLICIES))}'
            raise WrongOption(message, "update")
        at_option("branch", check_branch, self.branch)
        at_option("version", check_branch, self.version)
        if self.path:
            self.path = _checked_path(self.path)
        self._check_sha256()
        self._check_place()

    def _check_sha256(self) -> None:
        if not self.sha256:
            return
        found = _SHA256.fullmatch(self.sha256.lower())
        if found is None or not is_archive(self.url):
            message = "sha256 is 64 hexadecimal digits, and belongs to a url of an archive"
            raise WrongOption(message, "sha256")
        self.sha256 = f"sha256:{found[1]}"

    def _check_place(self) -> None:
        if self.scm_type and self.scm_type not in SUPPORTED_SCM_TYPES:
            hint = (
                nearest(self.scm_type, SUPPORTED_SCM_TYPES) or f"there are: {', '.join(SUPPORTED_SCM_TYPES)}"
            )
            message = f'there is no scmType "{self.scm_type}" ({hint})'
            raise WrongOption(message, "scmType")
        if not self.url:
            self._check_parts()
        elif self.url.startswith(_REMOTE) and is_archive(self.url):
            if urlsplit(self.url).username:
                message = "a URL must not hold a user or a token: write `token: [[ env NAME ]]` beside it"
                raise WrongOption(message, "url")
        elif self._is_remote_git:
            at_option("url", parse_repo_url, self.url)
            self.scm_type = self.scm_type or kind_of_host(parse_repo_url(self.url).host) or "git"
        elif "::" in self.url or ("://" in self.url and not self.url.startswith("file://")):
            message = f'"{self.url}": a template comes by https://, ssh:// or file://'
            raise WrongOption(message, "url")
        git_only = (self.version and "version") or (self.follow and "follow")
        if git_only and self._is_plain:
            message = f"{git_only} is for templates in git repositories"
            raise WrongOption(message, git_only)

    def _check_parts(self) -> None:
        if not self.name or not self.scm_type or self.scm_type == "git":
            message = "a template needs a url, or scmType (of a service, or local), owner and name"
            raise ValueError(message)
        if self.scm_type != "local":
            at_option("baseURL", check_service, self.base_url)
        for step in filter(None, (*self.namespace.split("/"), self.name)):
            check_name(step.removeprefix("~") if self.scm_type == "bitbucket" else step)

    @property
    def _is_remote_git(self) -> bool:
        scp = "@" in self.url and ":" in self.url and "://" not in self.url
        named = bool(self.scm_type) and self.scm_type != "local"
        schemeless = is_schemeless(self.url) and (named or kind_of_host(self.url.partition("/")[0]) != "")
        return self.url.startswith(_REMOTE) or scp or schemeless

    @property
    def _is_plain(self) -> bool:
        """True for what has no versions."""
        folder = bool(self.url) and not self._is_remote_git and not self.url.endswith(".git")
        return folder or is_archive(self.url)

    @property
    def place(self) -> Place:
        """What kind of place it is in."""
        if self.url.startswith(BUILTIN):
            return Place.BUILTIN
        if is_archive(self.url):
            return Place.DOWNLOAD if self.url.startswith(_REMOTE) else Place.ARCHIVE
        if not self._is_plain:
            remote = self._is_remote_git or (not self.url and self.scm_type != "local")
            return Place.GIT if remote else Place.GIT_FOLDER
        return Place.FOLDER

    @property
    def title(self) -> str:
        """What it is called in messages and in the state; never a token."""
        return self.url or "/".join(filter(None, (self.scm_type, self.base_url, self.namespace, self.name)))

    @property
    def asked(self) -> str:
        """What of it is asked for, in words; another one means that the pin is not the one that is wanted."""
        words = {"version": self.version, "branch": "" if self.version else self.branch}
        words |= {"sha256": self.sha256.removeprefix("sha256:"), "path": self.path}
        return ", ".join(f"{word} {value}" for word, value in words.items() if value)

    @property
    def policy(self) -> Policy:
        """How changes are delivered."""
        return Policy(self.update or "push")

    def folder(self, context: Context) -> Path:
        """Give the file or folder on this machine."""
        if self.url:
            return context.folder / unquote(self.url.removeprefix("file://"))
        return context.folder / (self.base_url or "repos") / self.namespace / f"{self.name}.git"

    def download(self, context: Context) -> Download:
        """Say how its archive is fetched."""
        ca_file = context.folder / self.ca_file if self.ca_file else None
        return Download(self.url, self.token, self.user, ca_file, self.allow_http)


def _checked_path(path: str) -> str:
    from devstream.api import OperationError

    try:
        return check_path(path.strip("/"))
    except OperationError as error:
        raise ValueError(str(error)) from error
