"""Options of ``jenkins-pipeline``, in DevStream's names."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from msgspec import Struct, field

from devstream.api import Secret, WrongOption, option
from devstream_plugin_scm.ci_kinds import EVERYWHERE
from devstream_plugin_scm.ci_templates import check_location
from devstream_plugin_scm.options import Pipeline
from devstream_plugin_scm.repo_url import is_loopback
from devstream_plugin_scm.repository import TargetRepo, at_option, check_service
from devstream_plugin_scm.sources import BUILTIN

__all__ = [
    "JenkinsServer",
    "JenkinsRepo",
    "JenkinsOptions",
    "MULTIBRANCH",
    "PIPELINE",
    "SHIPPED",
    "check_job_name",
    "script_name",
]

MULTIBRANCH = "multibranch"
PIPELINE = "pipeline"
SHIPPED = str(Path(__file__).parent / "pipelines")
"""The folder that ``builtin:`` templates are looked up in."""
_STEP = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._+-]{0,99}")
_BY_ITSELF = frozenset({"github", "gitea", "bitbucket"})
"""Kinds of repositories whose branches Jenkins finds without more than the repository's name."""


class JenkinsServer(Struct, kw_only=True, rename="camel"):
    """A Jenkins, and what may be done to it."""

    url: Annotated[
        str, option("Its address, with the path where it has one: `https://ci.example.org/jenkins`.")
    ]
    user: Annotated[str, option("The user who works there.", plain=True)]
    password: Annotated[Secret, option("The user's API token, or password.", secret=True, record_only=True)]
    namespace: Annotated[
        str, option("DevStream's; where Jenkins runs in Kubernetes. Nothing depends on it.", record_only=True)
    ] = "jenkins"
    enable_restart: Annotated[
        bool, option("Restart Jenkins, once no build runs, where new plugins need it.", record_only=True)
    ] = False
    install_plugins: Annotated[
        bool, option("Install the plugins that are missing; else they are only named.", record_only=True)
    ] = False
    offline: Annotated[
        bool, option("Jenkins reaches no update site: nothing is installed.", record_only=True)
    ] = False
    public_url: Annotated[
        str, option("Its address as the forge sees it, for the webhook; by default `url`.")
    ] = field(name="publicURL", default="")
    webhook: Annotated[
        bool, option("Make a webhook in the repository; without one Jenkins looks every quarter of an hour.")
    ] = True
    webhook_secret: Annotated[
        Secret | None,
        option(
            "What the forge's plugin in Jenkins has as the secret of webhooks, where it has one.", secret=True
        ),
    ] = None
    gitlab_server: Annotated[
        str, option("GitLab, `type: multibranch`: the server's name in Jenkins' own configuration.")
    ] = ""
    deploy_key: Annotated[
        bool,
        option(
            "Clone over ssh, with a key of the job's own: the private half is kept by Jenkins alone, the public one "
            "is a deploy key of the repository that can only read."
        ),
    ] = False
    ca_file: Annotated[str, option("A file of certificates (PEM) to trust, for a Jenkins of one's own.")] = ""
    allow_http: Annotated[
        bool, option("Send the password in clear over http://, in a network you trust.")
    ] = False

    def __post_init__(self) -> None:
        """Check the addresses.

        Raises:
            ValueError: one is none.
        """
        at_option("url", check_service, self.url)
        at_option("publicURL", check_service, self.public_url)
        host = urlsplit(self.url).hostname or ""
        if self.url.startswith("http://") and not self.allow_http and not is_loopback(host):
            message = f"{self.url} would send the password in clear"
            hint = "use https://, or allowHttp: true on a network you trust"
            raise WrongOption(message, "url", suggestion=hint)


class JenkinsRepo(TargetRepo, kw_only=True, rename="camel"):
    """The repository. Jenkins keeps its token or key, so that a new one makes an update here."""

    token: Annotated[Secret | None, option("API token; Jenkins clones with it too.", secret=True)] = None
    ssh_private_key: Annotated[Secret | None, option("Key to clone with.", secret=True)] = None


class JenkinsOptions(Struct, kw_only=True, rename="camel"):
    """Options of ``jenkins-pipeline``."""

    jenkins: Annotated[JenkinsServer, option("The Jenkins.")]
    scm: Annotated[JenkinsRepo, option("The repository to build.")]
    pipeline: Annotated[Pipeline, option("What the pipeline does.")] = field(default_factory=Pipeline)
    job_name: Annotated[
        str, option("The job: `a`, or `folder/a` of any depth; by default the repository's name.")
    ] = ""
    type: Annotated[
        Literal["", "multibranch", "pipeline"],
        option(
            "`multibranch` builds every branch and pull request, `pipeline` one branch; by default `multibranch` on GitHub, "
            "Gitea and Bitbucket.",
            immutable=True,
        ),
    ] = ""

    def __post_init__(self) -> None:
        """Check the job's name, and that there is something to do.

        Raises:
            ValueError: there is not, or it cannot be a name.
        """
        for step in self.job_name.split("/") if self.job_name else ():
            at_option("jobName", check_job_name, step or "/")
        shipped = partial(check_location, shipped=SHIPPED)
        at_option("pipeline.configLocation", shipped, self.pipeline.config_location)
        if self.location.startswith(BUILTIN):
            self.pipeline.check_that_it_does_something()
        if self.jenkins.deploy_key:
            self._check_deploy_key()

    def _check_deploy_key(self) -> None:
        repo = self.scm
        if repo.scm_type in EVERYWHERE:
            message = f"a repository with scmType: {repo.scm_type} has no deploy keys"
            raise WrongOption(
                message, "jenkins.deployKey", suggestion="leave it out, or write scm.sshPrivateKey"
            )
        if repo.token is None:
            message = "a deploy key needs scm.token, by which it is put into the repository"
            raise WrongOption(message, "jenkins.deployKey", suggestion='scm: {token: "[[ env NAME ]]"}')

    @property
    def job(self) -> str:
        """The job's path."""
        suffix = f"-{self.pipeline.name}" if self.pipeline.name else ""
        return self.job_name or f"{self.scm.short_name}{suffix}"

    @property
    def location(self) -> str:
        """Where the Jenkinsfile's template is."""
        return self.pipeline.config_location or f"{BUILTIN}jenkins"

    @property
    def has_branch_source(self) -> bool:
        """True where Jenkins finds the branches through the forge's API, not by git."""
        by_server = self.scm.scm_type == "gitlab" and bool(self.jenkins.gitlab_server)
        return self.kind == MULTIBRANCH and (self.scm.scm_type in _BY_ITSELF or by_server)

    @property
    def kind(self) -> str:
        """What the job is: one of the words for ``type``."""
        return self.type or (MULTIBRANCH if self.scm.scm_type in _BY_ITSELF else PIPELINE)


def check_job_name(step: str) -> str:
    """Give back one step of a job's path that Jenkins takes, and that means nothing in a URL.

    Raises:
        ValueError: it is none.
    """
    if not _STEP.fullmatch(step) or step.endswith((".", " ")):
        message = (
            f"{step!r} cannot be a job or a folder: letters, digits, blanks and . _ + -, "
            "beginning with a letter, a digit or _"
        )
        raise ValueError(message)
    return step


def script_name(pipeline: str) -> str:
    """Name the Jenkinsfile of a pipeline: a repository may have several.

    >>> script_name("nightly")
    'Jenkinsfile.nightly'
    """
    return f"Jenkinsfile.{pipeline}" if pipeline else "Jenkinsfile"
