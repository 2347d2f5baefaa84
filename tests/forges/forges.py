"""The forges that whole runs are tried on: each by a stand-in with one token and the organisation ``acme``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.testing.gitea import GiteaStandIn
from devstream.testing.github import GitHubStandIn
from devstream.testing.gitlab import GitLabStandIn
from devstream_plugin_scm.testing import Bench, Server
from tests.forges.program import CANARY
from tests.forges.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devstream_plugin_scm.hosting import Hosting, Proposal, Webhook

__all__ = ["Forge", "FORGES", "Place"]


class Forge(NamedTuple):
    """A forge.

    Attributes:
        kind: its ``scmType``.
        ci: the tool that writes its pipelines.
        pipeline: the path of the app's pipeline.
        opened: gives the stand-in.
        names: gives the full names of the repositories it has.
        make: where a repository is made, as the stand-in's log has it.
        hook: where a webhook is made.
        look: where a repository is looked up.
        edits: what people may do to a webhook.
    """

    kind: str
    ci: str
    pipeline: str
    opened: Callable[[Path], Any]
    names: Callable[[Any], list[str]]
    make: str
    hook: str
    look: str
    edits: tuple[dict[str, Any], ...]
    group: str = "org"


FORGES = {
    "gitea": Forge(
        "gitea",
        "gitea-actions",
        ".gitea/workflows/main.yml",
        lambda root: GiteaStandIn(root, token=CANARY),
        lambda service: list(service.repositories),
        "/api/v1/orgs/acme/repos",
        "/api/v1/repos/acme/shop/hooks",
        "/api/v1/repos/acme/shop",
        ({"active": False}, {"events": []}),
    ),
    "github": Forge(
        "github",
        "github-actions",
        ".github/workflows/main.yml",
        lambda root: GitHubStandIn(root, token=CANARY),
        lambda service: list(service.repositories),
        "/orgs/acme/repos",
        "/repos/acme/shop/hooks",
        "/repos/acme/shop",
        ({"active": False}, {"events": ["issues"]}),
    ),
    "gitlab": Forge(
        "gitlab",
        "gitlab-ci",
        ".gitlab-ci.yml",
        lambda root: GitLabStandIn(root, token=CANARY),
        lambda service: [project.full_path for project in service.projects.values()],
        "/api/v4/projects",
        "/api/v4/projects/",
        "/api/v4/projects/",
        ({"push_events": False},),
        "nameSpace",
    ),
}


@dataclass(frozen=True)
class Place:
    """An app on a forge, the stand-in that has it, and the service's API as the plugin sees it.

    Attributes:
        bench: looks at the service.
    """

    forge: Forge
    service: Any
    shop: Shop
    bench: Bench

    @classmethod
    def on(cls, forge: Forge, service: Any, root: Path) -> Place:
        """Write the app's configuration."""
        bench = Bench(
            forge.kind, Server(service.url, CANARY, service.user, "acme"), root / "bench", name="shop"
        )
        shop = Shop(root, {}, service, forge.kind, forge.ci, forge.group)
        return cls(forge, service, shop, bench)

    @property
    def names(self) -> list[str]:
        """What repositories there are."""
        return self.forge.names(self.service)

    @property
    def hosting(self) -> Hosting:
        """The service's API."""
        return self.bench.hosting

    @property
    def location(self) -> str:
        """Where the repository is."""
        return f"{self.service.host}/acme/shop"

    @property
    def hook(self) -> Webhook:
        """The one webhook."""
        (hook,) = self.hosting.webhooks(self.location)
        return hook

    @property
    def kept(self) -> Any:
        """The repository, as the stand-in keeps it."""
        find = self.service.project if self.forge.kind == "gitlab" else self.service.repository
        return find("acme/shop")

    @property
    def kept_hooks(self) -> dict[int, dict[str, Any]]:
        """The webhooks, as the stand-in keeps them."""
        hooks: dict[int, dict[str, Any]] = self.kept.hooks
        return hooks

    def proposal(self, address: str) -> Proposal | None:
        """Give what was proposed for one tool."""
        return self.hosting.proposal(self.location, f"devstream/{address}")

    def rename(self, name: str) -> None:
        """Rename the repository as people do."""
        self.hosting.move(self.location, f"{self.service.host}/acme/{name}")

    def check(self, commits: int | None = 2) -> None:
        """Make sure that there is one of each, and nothing to do."""
        assert self.names == ["acme/shop"]
        assert self.hook.active
        assert self.hook.events == ("push",)
        assert "devstream=webhook.shop" in self.hook.url
        assert "IMAGE_REPO_SECRET" in self.hosting.secret_names(self.location)
        kept = {self.forge.pipeline, "Dockerfile", "README.md", "service.py", "tests/test_service.py"}
        assert kept <= set(self.shop.files())
        if commits is not None:
            assert len(self.shop.log()) == commits, self.shop.log()
        assert self.shop.plan() == {}
