"""The forges that whole runs are tried on: each by a stand-in with one token and the organisation ``acme``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.testing.bitbucket import BitbucketCloudStandIn
from devstream.testing.bitbucket_server import BitbucketServerStandIn
from devstream.testing.gitea import GiteaStandIn
from devstream.testing.github import GitHubStandIn
from devstream.testing.gitlab import GitLabStandIn
from devstream_plugin_scm.testing import Bench, Server
from tests.forges.program import CANARY
from tests.forges.shop import PIPELINE, Shop

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from devstream_plugin_scm.hosting import Hosting, Proposal, Webhook
    from devstream_plugin_scm.repository import TargetRepo

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
        group: the option that names whom the app belongs to.
        by_api: it is told by the root of its API.
        event: what it calls a push.
        files: those of the pipeline, for a tool that is given them; it sets no secrets then.
        path: of the app's repository, as git knows it.
        pulls: where a pull request is made.
        secret: how a secret is set, ``METHOD path``; empty where the tool sets none.
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
    by_api: bool = False
    event: str = "push"
    files: str = ""
    path: str = "acme/shop"
    pulls: str = ""
    secret: str = ""

    def shop(self, service: Any, root: Path) -> Shop:
        """Write the app's configuration."""
        return Shop(
            root,
            {},
            service,
            self.kind,
            self.ci,
            self.group,
            more=f"apiURL: {service.api}" if self.by_api else "",
            options=self.files or PIPELINE,
            event=self.event,
            path=self.path,
        )

    def named(self, service: Any) -> dict[str, str]:
        """Say where the app's repository is, in fields of its options."""
        api = service.api if self.by_api else ""
        return {"owner": "", "org": "acme", "base_url": service.url, "api_url": api}


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
        pulls="/api/v1/repos/acme/shop/pulls",
        secret="PUT /api/v1/repos/acme/shop/actions/secrets/",
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
        pulls="/repos/acme/shop/pulls",
        secret="PUT /repos/acme/shop/actions/secrets/",
    ),
    "gitlab": Forge(
        "gitlab",
        "gitlab-ci",
        ".gitlab-ci.yml",
        lambda root: GitLabStandIn(root, token=CANARY),
        lambda service: [project.full_path for project in service.projects.values()],
        "/api/v4/projects",
        "/api/v4/projects/1/hooks",
        "/api/v4/projects/",
        ({"push_events": False},),
        "nameSpace",
        pulls="/api/v4/projects/1/merge_requests",
        secret="POST /api/v4/projects/1/variables",
    ),
    "bitbucket": Forge(
        "bitbucket",
        "bitbucket-pipelines",
        "bitbucket-pipelines.yml",
        lambda root: BitbucketCloudStandIn(root, token=CANARY),
        lambda service: list(service.repositories),
        "/2.0/repositories/acme/shop",
        "/2.0/repositories/acme/shop/hooks",
        "/2.0/repositories/acme/shop",
        ({"active": False}, {"events": ["repo:fork"]}),
        by_api=True,
        event="repo:push",
        pulls="/2.0/repositories/acme/shop/pullrequests",
        secret="POST /2.0/repositories/acme/shop/pipelines_config/variables",
    ),
    "bitbucket-server": Forge(
        "bitbucket",
        "ci-generic",
        "Jenkinsfile",
        lambda root: BitbucketServerStandIn(root, token=CANARY),
        lambda service: [f"{key.lower()}/{slug}" for key, slug in service.repositories],
        "/rest/api/1.0/projects/ACME/repos",
        "/rest/api/1.0/projects/ACME/repos/shop/webhooks",
        "/rest/api/1.0/projects/ACME/repos/shop",
        ({"active": False}, {"events": ["repo:forked"]}),
        event="repo:refs_changed",
        files="{ci: {type: jenkins, configContents: {Jenkinsfile: \"node { sh 'echo one' }\"}}}",
        path="scm/acme/shop",
        pulls="/rest/api/1.0/projects/ACME/repos/shop/pull-requests",
    ),
}


@dataclass
class NamingBench(Bench):
    """Names the repository as the app's configuration does.

    Attributes:
        named: the fields that say where it is.
    """

    named: Mapping[str, str] = field(default_factory=dict)

    def repo(self, **fields: object) -> TargetRepo:
        """Give the options that name the repository."""
        return super().repo(**{**self.named, **fields})


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
        server = Server(service.url, CANARY, service.user, "acme")
        bench = NamingBench(forge.kind, server, root / "bench", name="shop", named=forge.named(service))
        return cls(forge, service, forge.shop(service, root), bench)

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
        return self.bench.location

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

    @property
    def addresses(self) -> tuple[str, str]:
        """The tools that keep files: they may propose changes of them."""
        return "repo-scaffolding.shop", f"{self.forge.ci}.shop"

    @property
    def kept_names(self) -> tuple[str, ...]:
        """What the service keeps for pipelines, secret or not."""
        if self.forge.files:
            return ()
        return tuple(
            sorted([*self.hosting.secret_names(self.location), *self.hosting.variables(self.location)])
        )

    def rename(self, name: str) -> None:
        """Rename the repository as people do."""
        self.hosting.move(self.location, f"{self.location.rpartition('/')[0]}/{name}")

    def check(self, commits: int | None = 2) -> None:
        """Make sure that there is one of each, and nothing to do."""
        assert self.names == ["acme/shop"]
        assert self.hook.active
        assert self.hook.events == (self.forge.event,)
        assert "devstream=webhook.shop" in self.hook.url
        assert self.kept_names == (() if self.forge.files else ("IMAGE_REPO_SECRET", "IMAGE_REPO_USER"))
        assert [self.proposal(address) for address in self.addresses] == [None, None]
        assert self.shop.branches() in (["main"], ["devstream-rendered", "main"])
        kept = {self.forge.pipeline, "Dockerfile", "README.md", "service.py", "tests/test_service.py"}
        assert kept <= set(self.shop.files())
        if commits is not None:
            assert len(self.shop.log()) == commits, self.shop.log()
        assert self.shop.plan() == {}
