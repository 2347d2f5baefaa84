"""Reading a repository's URL: https, ssh, scp-like, scheme-less, any depth."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

__all__ = ["RepoURL", "parse_repo_url", "kind_of_host", "is_schemeless", "is_loopback", "without_login"]

_SCP = re.compile(r"(?:(?P<user>[A-Za-z0-9._-]+)@)?(?P<host>[A-Za-z0-9.-]+):(?P<path>[^/\\:][^\\]*)")
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?|[0-9a-f:.]*:[0-9a-f:.]*")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0\u2000-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
"""What nobody sees in a URL, and what git, ssh and a terminal would each read in their own way."""
_SCHEMELESS = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(:[0-9]+)?/")
_LOGIN = re.compile(r"//[^/?#]*@")
_SCHEMES = ("https", "http", "ssh")
_KINDS = {
    "github": "github",
    "gitlab": "gitlab",
    "bitbucket": "bitbucket",
    "gitea": "gitea",
    "codeberg": "gitea",
    "forgejo": "gitea",
}
"""What a host is by a word in its name. Others have to be named with `scmType`."""


class RepoURL(NamedTuple):
    """A repository on a server.

    Attributes:
        path: the namespaces and the name, without ``.git``.
    """

    scheme: str
    host: str
    port: int | None
    path: tuple[str, ...]
    user: str = ""

    @property
    def namespace(self) -> str:
        """Everything before the name, joined by slashes."""
        return "/".join(self.path[:-1])

    @property
    def name(self) -> str:
        """The repository's name."""
        return self.path[-1]

    @property
    def address(self) -> str:
        """Host and port, as they are written in a URL."""
        return f"{self.host}:{self.port}" if self.port else self.host


def parse_repo_url(url: str) -> RepoURL:
    """Read a URL; one without a scheme is https, as DevStream takes it.

    >>> parse_repo_url("git@host.example:group/sub/app.git").path
    ('group', 'sub', 'app')
    >>> parse_repo_url("github.com/acme/shop").scheme
    'https'

    Raises:
        ValueError: it is none, or it holds a password or a query.
    """
    if _CONTROL.search(url):
        shown = without_login(url)
        message = f"{shown!r} is not the URL of a repository: it holds blanks or characters that nobody sees"
        raise ValueError(message)
    if "://" not in url:
        scp = _SCP.fullmatch(url)
        if scp and not _SCHEMELESS.match(url):
            path = _path_of(url, scp["path"])
            return _checked(url, RepoURL("ssh", scp["host"].lower(), None, path, scp["user"] or "git"))
        if not _SCHEMELESS.match(url):
            message = f'"{url}" is not the URL of a repository'
            raise ValueError(message)
        url = f"https://{url}"
    parts = urlsplit(url)
    if parts.password or (parts.username and parts.scheme != "ssh"):
        message = "a URL must not hold a user or a token: write `token: [[ env NAME ]]` beside it"
        raise ValueError(message)
    if parts.scheme not in _SCHEMES or not parts.hostname or parts.query or parts.fragment:
        message = f'"{url}" is not the URL of a repository: https://, ssh:// or git@host:path'
        raise ValueError(message)
    path = _path_of(url, parts.path)
    return _checked(url, RepoURL(parts.scheme, parts.hostname, parts.port, path, parts.username or ""))


def _checked(url: str, parsed: RepoURL) -> RepoURL:
    """Refuse what git or ssh could take for an option, or a path that leads elsewhere than it says."""
    odd = any(step in {".", ".."} or step.startswith("-") or _CONTROL.search(step) for step in parsed.path)
    if not _HOST.fullmatch(parsed.host) or (parsed.user and not _USER.fullmatch(parsed.user)) or odd:
        message = f"{url!r} is not the URL of a repository: https://HOST/PATH, ssh://USER@HOST/PATH or git@HOST:PATH"
        raise ValueError(message)
    return parsed


def _path_of(url: str, path: str) -> tuple[str, ...]:
    steps = tuple(unquote(path).strip("/").removesuffix(".git").split("/"))
    if not all(steps):
        message = f'"{url}" names no repository'
        raise ValueError(message)
    return steps


def without_login(url: str) -> str:
    """Give a URL, or what was meant as one, as it may be shown: without a user and a password."""
    return _LOGIN.sub("//", url)


def is_schemeless(url: str) -> bool:
    """Tell whether a URL lacks only its scheme: ``github.com/acme/shop``."""
    return _SCHEMELESS.match(url) is not None


def kind_of_host(host: str) -> str:
    """Say what runs on a host, where its name tells; else nothing."""
    return next((kind for word, kind in _KINDS.items() if word in host), "")


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine: what is sent there in clear does not cross a network."""
    return host in {"localhost", "::1"} or host.startswith("127.")
