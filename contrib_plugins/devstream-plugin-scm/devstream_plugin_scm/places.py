"""Where a service is, and where a repository is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from devstream.api import OperationError
from devstream_plugin_scm.repo_url import parse_repo_url

if TYPE_CHECKING:
    from devstream_plugin_scm.repository import RepoInfo

__all__ = ["Place", "place_of", "split_location"]


class Place(NamedTuple):
    """A service: its URL without a slash at the end, and its host with the port, where that is not the usual one."""

    url: str
    host: str


def place_of(repo: RepoInfo, default: str) -> Place:
    """Say where a repository's service is: ``baseURL``, else the host of its url, else ``default``."""
    url = repo.base_url.rstrip("/")
    if not url and repo.url:
        parsed = parse_repo_url(repo.url)
        url = f"{parsed.scheme}://{parsed.address}" if parsed.scheme != "ssh" else f"https://{parsed.host}"
    url = url or default
    return Place(url, urlsplit(url).netloc)


def split_location(location: str, host: str) -> tuple[str, str]:
    """Give the namespace and the name of a location on ``host``.

    Raises:
        OperationError: it is on another host.
    """
    at, _, path = location.partition("/")
    namespace, _, name = path.rpartition("/")
    if at != host:
        message = f"{location} is not on {host}"
        raise OperationError(message, suggestion="keep baseURL as it was, or make a new repository")
    return namespace, name
