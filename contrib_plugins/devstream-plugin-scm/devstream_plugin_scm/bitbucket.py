"""Bitbucket: which of its two services a repository is on, Cloud or Data Center; they share nothing but the name."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from devstream_plugin_scm.places import place_of

if TYPE_CHECKING:
    from devstream.api import Context
    from devstream_plugin_scm.hosting import Hosting
    from devstream_plugin_scm.repository import RepoInfo

__all__ = ["CLOUD", "MOVED", "authorization", "open_bitbucket", "is_cloud", "host_of"]

CLOUD = "bitbucket.org"
MOVED = (301, 302, 307, 308)
"""What either answers to whatever is asked of an old name; it has done nothing then."""


def open_bitbucket(repo: RepoInfo, context: Context) -> Hosting:
    """Give the service that a repository is on.

    Raises:
        OperationError: it cannot be talked to with what the options say.
    """
    if is_cloud(repo):
        from devstream_plugin_scm.bitbucket_cloud import BitbucketCloud

        return BitbucketCloud(repo, context)
    from devstream_plugin_scm.bitbucket_server import BitbucketServer

    return BitbucketServer(repo, context)


def is_cloud(repo: RepoInfo) -> bool:
    """Tell Cloud: bitbucket.org, or where nothing is said, or where ``apiURL`` ends as that of Cloud does."""
    return host_of(repo) == CLOUD or repo.api_url.rstrip("/").endswith("/2.0")


def host_of(repo: RepoInfo) -> str:
    """Give the service's host; ssh has others of bitbucket.org."""
    host = place_of(repo, f"https://{CLOUD}").host
    return CLOUD if host.endswith(f".{CLOUD}") else host


def authorization(repo: RepoInfo) -> dict[str, str]:
    """Give the header that holds the token: as a password where a user is named, else as a bearer's."""
    if repo.token is None:
        return {}
    if not repo.user:
        return {"Authorization": f"Bearer {repo.token.reveal()}"}
    pair = f"{repo.user}:{repo.token.reveal()}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}
