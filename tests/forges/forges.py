"""The forges that whole runs are tried on: each by a stand-in with one token and the organisation ``acme``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.testing.gitea import GiteaStandIn
from devstream.testing.service import Request
from tests.forges.shop import CANARY, Shop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["Forge", "FORGES", "Place"]


class Forge(NamedTuple):
    """A forge.

    Attributes:
        kind: its ``scmType``.
        pipeline: the path of the app's pipeline.
        api: what the paths of its API begin with, in the stand-in's log.
        opened: gives the stand-in.
    """

    kind: str
    ci: str
    pipeline: str
    api: str
    opened: Callable[[Path], Any]


FORGES = {
    "gitea": Forge(
        "gitea",
        "github",
        ".github/workflows/test.yml",
        "/api/v1",
        lambda root: GiteaStandIn(root, token=CANARY),
    ),
}


class Place(NamedTuple):
    """An app that was made on a forge, and the stand-in that has it."""

    forge: Forge
    service: Any
    shop: Shop

    @property
    def repository(self) -> Any:
        """What the stand-in keeps of the app's repository."""
        return self.service.repository("acme/shop")

    @property
    def hook(self) -> dict[str, Any]:
        """The one webhook."""
        (hook,) = self.repository.hooks.values()
        assert isinstance(hook, dict)
        return hook

    def rename(self, name: str) -> None:
        """Rename the repository by the service's own API, as people do by its pages."""
        path = f"{self.forge.api}/repos/acme/shop"
        body = json.dumps({"name": name}).encode()
        headers = {"authorization": f"token {CANARY}", "content-type": "application/json"}
        answer = self.service.answer(Request("PATCH", path, {}, headers, body))
        assert answer is not None
        assert answer.status == 200, answer

    def check(self, commits: int | None = 2) -> None:
        """Make sure that there is one of each, and nothing to do."""
        assert list(self.service.repositories) == ["acme/shop"]
        assert self.hook["active"]
        assert "devstream=webhook.shop" in self.hook["config"]["url"]
        files = self.shop.files()
        assert {self.forge.pipeline, "Dockerfile", "README.md", "service.py", "tests/test_service.py"} <= set(
            files
        )
        if commits is not None:
            assert len(self.shop.log()) == commits, self.shop.log()
        assert self.shop.plan() == {}
