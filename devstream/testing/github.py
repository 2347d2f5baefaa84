"""`GitHubStandIn`: keeps repositories, pull requests, webhooks, keys, secrets and variables as GitHub's REST API v3 does.

Secrets are really sealed, and opened here; pushes go through git, and are refused in GitHub's words::

    with GitHubStandIn(tmp_path / "served") as github:
        github.protect("someone/shop", "main")
        github.repository("someone/shop").secrets["TOKEN"]
"""

from __future__ import annotations

from devstream.testing.github_keys import GitHubKeys
from devstream.testing.github_pulls import GitHubPulls
from devstream.testing.github_settings import GitHubSettings
from devstream.testing.github_store import GitHubRepository

__all__ = ["GitHubStandIn", "GitHubRepository"]


class GitHubStandIn(GitHubPulls, GitHubSettings, GitHubKeys):
    """A GitHub with one user, organisations, other people, and one token (`GitHubRepositories`)."""
