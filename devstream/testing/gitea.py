"""`GiteaStandIn`: keeps repositories, pull requests, webhooks, keys, secrets and variables as Gitea 1.22 does.

What it accepts is held to Gitea's own description of its API, and to a real Gitea, by contract tests. What no
description says is as in Gitea's own source: what it does later (whether a pull request can be merged), what it
passes over (webhook events and default branches that it does not know), what it switches on besides.
"""

from __future__ import annotations

from devstream.testing.gitea_pulls import GiteaPulls
from devstream.testing.gitea_settings import GiteaSettings
from devstream.testing.gitea_store import GiteaRepository

__all__ = ["GiteaStandIn", "GiteaRepository"]


class GiteaStandIn(GiteaPulls, GiteaSettings):
    """A Gitea with one user, organisations and tokens (`GiteaRepositories`)."""
