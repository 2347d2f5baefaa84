"""Bitbucket: which of its two services a repository is on, Cloud or Data Center; they share nothing but the name."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING

from devstream_plugin_scm.places import place_of

if TYPE_CHECKING:
    from devstream.api import Context
    from devstream_plugin_scm.hosting import Hosting
    from devstream_plugin_scm.repository import RepoInfo

__all__ = ["CLOUD", "authorization", "open_bitbucket"]

CLOUD = "bitbucket.org"


def open_bitbucket(repo: RepoInfo, context: Context) -> Hosting:
    """Give the service: Cloud for bitbucket.org or where nothing is said, Data Center for another ``baseURL`` or url.

    Raises:
        OperationError: it cannot be talked to with what the options say.
    """
    host = place_of(repo, f"https://{CLOUD}").host
    if host == CLOUD or host.endswith(f".{CLOUD}"):
        from devstream_plugin_scm.bitbucket_cloud import BitbucketCloud

        return BitbucketCloud(repo, context)
    from devstream_plugin_scm.bitbucket_server import BitbucketServer

    return BitbucketServer(repo, context)


def authorization(repo: RepoInfo) -> dict[str, str]:
    """Give the header that holds the token: as a password where a user is named, else as a bearer's."""
    if repo.token is None:
        return {}
    if not repo.user:
        return {"Authorization": f"Bearer {repo.token.reveal()}"}
    pair = f"{repo.user}:{repo.token.reveal()}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}
