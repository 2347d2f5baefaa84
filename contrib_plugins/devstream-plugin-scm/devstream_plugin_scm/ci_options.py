"""Options of the pipeline tools: what they have in common, and what each has beside that."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from msgspec import Struct, field

from devstream.api import OperationError, Secret, WrongOption, option
from devstream_plugin_scm.ci_kinds import EVERYWHERE, KINDS
from devstream_plugin_scm.ci_templates import check_location
from devstream_plugin_scm.options import Pipeline
from devstream_plugin_scm.repo_url import without_login
from devstream_plugin_scm.repository import TargetRepo, at_option, check_service
from devstream_plugin_scm.sources import BUILTIN, check_path

__all__ = [
    "PipelineOptions",
    "GithubActionsOptions",
    "GiteaActionsOptions",
    "GitlabCiOptions",
    "BitbucketOptions",
    "CircleCiOptions",
    "TravisCiOptions",
    "CiAccount",
    "Runner",
    "CiWebhook",
    "GenericCi",
    "GenericOptions",
]


def _check_forge(kind_name: str, repo: TargetRepo) -> None:
    kind = KINDS[kind_name]
    if repo.scm_type not in kind.forges:
        message = f"{kind.title} does not look at repositories on {repo.scm_type}"
        raise WrongOption(message, "scm.scmType", suggestion=f"it does on {', '.join(sorted(kind.forges))}")


class PipelineOptions(Struct, kw_only=True):
    """Options of every pipeline tool."""

    kind_name: ClassVar[str] = "github"
    shipped: ClassVar[str] = "github-actions"

    scm: Annotated[TargetRepo, option("The repository to write into.")]
    pipeline: Annotated[Pipeline, option("What the pipeline does.")] = field(default_factory=Pipeline)

    def __post_init__(self) -> None:
        """Check what can be checked without looking.

        Raises:
            ValueError: the repository is on a service that the CI system does not look at, or the pipeline that is
                shipped would do nothing with these options.
        """
        _check_forge(self.kind_name, self.scm)
        at_option("pipeline.configLocation", check_location, self.pipeline.config_location)
        if not self.pipeline.config_location or self.pipeline.config_location.startswith(BUILTIN):
            self.pipeline.check_that_it_does_something()

    @property
    def location(self) -> str:
        """Where its template is."""
        return self.pipeline.config_location or f"{BUILTIN}{self.shipped}"


class GithubActionsOptions(PipelineOptions, kw_only=True):
    """Options of ``github-actions``."""


class GiteaActionsOptions(PipelineOptions, kw_only=True):
    """Options of ``gitea-actions``."""

    kind_name = "gitea"
    shipped = "gitea-actions"


class Runner(Struct, kw_only=True):
    """DevStream's option to install a runner."""

    enable: Annotated[bool, option("Only `false`: runners are not installed.")] = False

    def __post_init__(self) -> None:
        """Refuse what is not done.

        Raises:
            ValueError: a runner is asked for.
        """
        if self.enable:
            message = "installing a GitLab runner is not available: use one of the instance or the group"
            raise ValueError(message)


class GitlabCiOptions(PipelineOptions, kw_only=True):
    """Options of ``gitlab-ci``."""

    kind_name = "gitlab"
    shipped = "gitlab-ci"

    runner: Annotated[Runner, option("DevStream's; a runner has to be there already.")] = field(
        default_factory=Runner
    )


class BitbucketOptions(PipelineOptions, kw_only=True):
    """Options of ``bitbucket-pipelines``."""

    kind_name = "bitbucket"
    shipped = "bitbucket-pipelines"


class CiAccount(Struct, kw_only=True):
    """How a CI service is talked to."""

    token: Annotated[Secret, option("A personal API token.", secret=True, record_only=True)]
    url: Annotated[str, option("The service, where it is not the public one.", plain=True)] = ""
    project: Annotated[
        str, option("What the service calls the project; by default the repository's owner and name.")
    ] = ""

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            ValueError: it is none.
        """
        at_option("url", check_service, self.url)


class CircleCiOptions(PipelineOptions, kw_only=True):
    """Options of ``circleci``."""

    kind_name = "circleci"
    shipped = "circleci"

    circleci: Annotated[
        CiAccount | None, option("CircleCI itself: with it the project is followed, and its variables set.")
    ] = None


class TravisCiOptions(PipelineOptions, kw_only=True):
    """Options of ``travis-ci``."""

    kind_name = "travis"
    shipped = "travis-ci"

    travis: Annotated[
        CiAccount | None, option("Travis CI itself: with it the project is activated, and its variables set.")
    ] = None


class CiWebhook(Struct, kw_only=True):
    """How a repository tells the CI system of pushes."""

    url: Annotated[str, option("Where it is posted to; it is recorded, so it must not hold a token.")]
    secret: Annotated[Secret | None, option("What it is signed with.", secret=True)] = None
    events: Annotated[
        list[str], option("What is told, in the service's own words; by default pushes and pull requests.")
    ] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Check the address.

        Raises:
            ValueError: it is no http or https URL, or holds a user.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.fragment:
            message = f'"{without_login(self.url)}" cannot be the address of a webhook'
            raise WrongOption(message, "url")


class GenericCi(Struct, kw_only=True, rename="camel"):
    """A pipeline of one's own."""

    type: Annotated[
        Literal["github", "gitlab", "jenkins", "gitea", "bitbucket", "circleci", "travis"],
        option("The CI system it is for."),
    ]
    config_location: Annotated[
        str, option("Where the pipeline is; as `pipeline.configLocation` of the other tools.")
    ] = ""
    config_contents: Annotated[dict[str, str], option("The pipeline itself, by file name.")] = field(
        default_factory=dict
    )
    vars: Annotated[dict[str, Any], option("Variables of the pipeline's template.")] = field(
        default_factory=dict
    )
    webhook: Annotated[
        CiWebhook | None, option("A webhook of the repository, for a CI system that waits for one.")
    ] = None

    def __post_init__(self) -> None:
        """Check that there is exactly one source.

        Raises:
            ValueError: there is none, or there are two.
        """
        if bool(self.config_location) == bool(self.config_contents):
            message = "give either configLocation or configContents"
            raise ValueError(message)
        at_option("configLocation", check_location, self.config_location)
        for name in self.config_contents:
            try:
                check_path(name)
            except OperationError as error:
                raise WrongOption(str(error), "configContents") from error


class GenericOptions(Struct, kw_only=True):
    """Options of ``ci-generic``."""

    scm: Annotated[TargetRepo, option("The repository to write into.")]
    ci: Annotated[GenericCi, option("The pipeline.")]

    def __post_init__(self) -> None:
        """Check that the repository can do what is wanted.

        Raises:
            ValueError: a webhook is wanted of a repository without a service.
        """
        if self.ci.webhook is not None and self.scm.scm_type in EVERYWHERE:
            message = f"a repository with scmType: {self.scm.scm_type} has no webhooks"
            raise ValueError(message)
