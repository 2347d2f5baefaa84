"""GitHub: the contract, against the stand-in or the server that DEVSTREAM_TEST_GITHUB_URL names; faults; what is special."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.testing.github import GitHubStandIn
from devstream_plugin_scm.testing import HostingContract, Server, server_from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class TestGitHub(HostingContract):
    scm_type = "github"

    def server(self, tmp_path: Path) -> Iterator[Server]:
        named = server_from_environment("github")
        if named:
            yield named
            return
        with GitHubStandIn(tmp_path / "served", page=3) as standin:
            yield Server(standin.url, standin.token, standin.user, "acme")
