"""How a repository is named in options (DevStream's RepoInfo), and which names are safe to hand to git."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from msgspec import Struct, field

from devstream.api import Secret, WrongOption, nearest, option
from devstream_plugin_scm.repo_url import (
    is_loopback,
    is_schemeless,
    kind_of_host,
    parse_repo_url,
    without_login,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream_plugin_scm.hosting import Login

__all__ = [
    "RepoInfo",
    "TargetRepo",
    "SUPPORTED_SCM_TYPES",
    "DEFAULT_BRANCH",
    "VISIBILITIES",
    "at_option",
    "check_name",
    "check_branch",
    "check_service",
]

SUPPORTED_SCM_TYPES = ("local", "github", "gitlab", "gitea", "bitbucket", "git")
DEFAULT_BRANCH = "main"
VISIBILITIES = ("", "private", "internal", "public")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
_SERVICE = re.compile(r"[A-Za-z0-9:/._~\[\]-]+")
_BRANCH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._/+-]{0,199}")


class RepoInfo(Struct, kw_only=True, rename="camel"):
    """A repository, by its URL or by its parts. The names are DevStream's."""

    owner: Annotated[str, option("The user it belongs to.")] = ""
    org: Annotated[str, option("The organisation it belongs to; not together with `owner`.")] = ""
    name: Annotated[str, option("Its name.")] = ""
    branch: Annotated[str, option("The branch to work on; by default `main`.")] = ""
    scm_type: Annotated[
        str,
        option(
            "What it lives in: `local` (a bare repository in a folder), `github` (and Enterprise), `gitlab`, "
            "`gitea` (and Forgejo), `bitbucket` (Cloud and Data Center), or `git` for one on a server that exists already; by default what the url "
            "tells."
        ),
    ] = ""
    url: Annotated[str, option("Where it is, instead of the parts.")] = ""
    base_url: Annotated[
        str,
        option(
            "The service, where it is not the public one: `https://git.example.org`. `local`: the folder of the "
            "repositories; by default `repos`."
        ),
    ] = field(name="baseURL", default="")
    api_url: Annotated[str, option("Root of the API, where it is not the usual one.")] = field(
        name="apiURL", default=""
    )
    name_space: Annotated[
        str, option("GitLab: the group, of any depth: `group/subgroup`. Bitbucket: the key of the project.")
    ] = ""
    visibility: Annotated[str, option("`private` (the default), `internal` or `public`.")] = ""
    user: Annotated[
        str, option("The user that the token belongs to, where the service asks for both.", plain=True)
    ] = ""
    token: Annotated[Secret | None, option("API token.", secret=True, record_only=True)] = None
    ssh_private_key: Annotated[Secret | None, option("Key to clone with.", secret=True, record_only=True)] = (
        None
    )
    known_hosts: Annotated[str, option("ssh: the file of host keys; by default `~/.ssh/known_hosts`.")] = ""
    ca_file: Annotated[str, option("A file of certificates (PEM) to trust, for a service of one's own.")] = ""
    allow_http: Annotated[bool, option("Send the token in clear over http://, in a network you trust.")] = (
        False
    )

    @property
    def namespace(self) -> str:
        """Whom it belongs to: the owner, the organisation or the group; empty for none."""
        return self.owner or self.org or self.name_space or self._in_url("namespace")

    @property
    def short_name(self) -> str:
        """Its name, from the url where it is not given."""
        return self.name or self.url.rpartition("/")[2].rpartition(":")[2].removesuffix(".git")

    def _in_url(self, part: str) -> str:
        if not self.url or self.scm_type in {"", "local"}:
            return ""
        value: str = getattr(parse_repo_url(self.url), part)
        return value

    def plain_login(self) -> Login | None:
        """Give what git logs in with where there is no service to say it; None without a token."""
        from devstream_plugin_scm.hosting import Login

        return Login(self.user or "git", self.token) if self.token is not None else None


class TargetRepo(RepoInfo, kw_only=True, rename="camel"):
    """A repository that tools write into: it has to be complete, and of a kind that is supported."""

    def __post_init__(self) -> None:
        """Check what can be checked without looking.

        Raises:
            ValueError: the parts contradict each other, or a name is not safe; msgspec adds the path.
        """
        if self.owner and self.org:
            message = "owner and org cannot be given at the same time"
            raise WrongOption(message, "org")
        self._check_kind()
        for option_name, part in (("owner", self.owner), ("org", self.org)):
            for step in part.split("/") if self.scm_type == "gitlab" else (part,):
                at_option(option_name, check_name, step)
        at_option("branch", check_branch, self.branch)
        self._check_place()

    def _check_kind(self) -> None:
        kind = self.scm_type or _kind_of(self.url)
        if not kind:
            where = f": the url {self.url} does not tell" if self.url else ""
            message = f"scmType is missing{where} (supported: {', '.join(SUPPORTED_SCM_TYPES)})"
            raise ValueError(message)
        if kind not in SUPPORTED_SCM_TYPES:
            supported = f"supported: {', '.join(SUPPORTED_SCM_TYPES)}"
            message = f'there is no scmType "{kind}" ({nearest(kind, SUPPORTED_SCM_TYPES) or supported})'
            raise WrongOption(message, "scmType")
        self.scm_type = kind

    def _check_place(self) -> None:
        if not self.url and not self.name:
            message = "a repository needs a name or a url"
            raise ValueError(message)
        if self.scm_type == "local":
            self._check_local()
        else:
            self._check_remote()
        at_option("name" if self.name else "url", check_name, self.short_name)

    def _check_local(self) -> None:
        if self.url and (not self.url.endswith(".git") or "://" in self.url.removeprefix("file://")):
            message = f"{self.url!r} is not the url of a local repository: a path, or file://, ending in .git"
            raise WrongOption(message, "url")
        for option_name, place in (("url", self.url), ("baseURL", self.base_url)):
            at_option(option_name, _check_folder, place)

    def _check_remote(self) -> None:
        if self.visibility not in VISIBILITIES:
            message = f'visibility "{self.visibility}" is none of: {", ".join(filter(None, VISIBILITIES))}'
            raise WrongOption(message, "visibility")
        at_option("baseURL", check_service, self.base_url)
        at_option("apiURL", check_service, self.api_url)
        places = {"caFile": self.ca_file, "knownHosts": self.known_hosts, "user": self.user}
        for option_name, place in places.items():
            at_option(option_name, _check_folder, place)
        if self.scm_type == "git" and not self.url:
            message = "scmType: git needs a url"
            raise ValueError(message)
        at_option("url", parse_repo_url, self.url)
        if not self.url and not self.namespace:
            message = f"a repository on {self.scm_type} needs an owner or an org"
            raise ValueError(message)
        for step in filter(None, f"{self.namespace}/{self.name_space}".split("/")):
            check_name(step.removeprefix("~") if self.scm_type == "bitbucket" else step)
        self._check_clear()
        if self.url and self.scm_type != "git":
            self._check_agreement()

    def _check_clear(self) -> None:
        """Refuse to send the token in clear to another machine."""
        urls = {"baseURL": self.base_url, "apiURL": self.api_url, "url": self.url}
        for option_name, url in urls.items() if self.token and not self.allow_http else ():
            if url.startswith("http://") and not is_loopback(urlsplit(url).hostname or ""):
                message = f"{url} would send the token in clear"
                hint = "use https://, or allowHttp: true on a network you trust"
                raise WrongOption(message, option_name, suggestion=hint)

    def _check_agreement(self) -> None:
        """Refuse a url that names another repository than the parts beside it."""
        parsed, base = parse_repo_url(self.url), urlsplit(self.base_url)
        if base.hostname and parsed.scheme != "ssh" and parsed.host != base.hostname:
            self._disagrees("baseURL", base.hostname, parsed.host)
        namespace = parsed.namespace.removeprefix(f"{base.path.strip('/')}/")
        namespace = namespace.removeprefix("scm/")  # Bitbucket Data Center clones from below this
        group = "" if self.scm_type == "bitbucket" else self.name_space
        given = {"owner": self.owner, "org": self.org, "nameSpace": group}
        for option_name, part in given.items():
            if part and part.casefold() != namespace.casefold():
                self._disagrees(option_name, part, namespace)
        if self.name and self.name.casefold() != parsed.name.casefold():
            self._disagrees("name", self.name, parsed.name)

    def _disagrees(self, option_name: str, part: str, in_url: str) -> None:
        message = f'{option_name} says "{part}", the url says "{in_url}"'
        raise WrongOption(message, option_name, suggestion="write one of the two")


def _kind_of(url: str) -> str:
    """Say what a URL points to, where `scmType` is not written; empty where it does not tell."""
    if not url:
        return ""
    if url.startswith("file://") or (
        "://" not in url and "@" not in url and url.endswith(".git") and not is_schemeless(url)
    ):
        return "local"
    return kind_of_host(parse_repo_url(url).host)


def at_option(name: str, check: Callable[[str], object], value: str) -> None:
    """Check an option that is given; what is wrong is shown where that option is written.

    Raises:
        WrongOption: ``check`` raises ValueError.
    """
    if value:
        try:
            check(value)
        except ValueError as error:
            raise WrongOption(str(error), name) from error


def check_service(url: str) -> str:
    """Give back the address of a service.

    Raises:
        ValueError: it is no http or https URL, or holds a user, a token or a query.
    """
    parts = urlsplit(url)
    odd = parts.query or parts.fragment or not _SERVICE.fullmatch(url) or ".." in url
    if parts.scheme not in {"http", "https"} or not parts.hostname or odd:
        message = f"{without_login(url)!a} is not the address of a service: https://HOST"
        if "@" in url:
            message = "a URL must not hold a user or a token: they have options of their own"
        raise ValueError(message)
    return url


def _check_folder(place: str) -> None:
    if place.startswith("~"):
        message = f"{place!r}: ~ is not expanded, write the absolute path"
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
            f"{name!a} cannot name a repository or its owner: letters, digits, dots, dashes and underscores, "
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
        message = (
            f"{branch!a} cannot name a branch: letters, digits and . _ / + -, no part of it beginning or ending "
            "with a dot"
        )
        raise ValueError(message)
    return branch
