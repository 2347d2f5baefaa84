"""`Checkout`: what Jenkins clones a repository with, and by which address."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from devstream.api import OperationError
from devstream_plugin_jenkins.credentials import KEY, SCM, credential_id
from devstream_plugin_jenkins.deploy_key import JobDeployKey
from devstream_plugin_scm.repo_url import parse_repo_url

if TYPE_CHECKING:
    from devstream.api import Address
    from devstream_plugin_jenkins.credentials import JobCredentials
    from devstream_plugin_jenkins.options import JenkinsOptions
    from devstream_plugin_scm.forge import Forge, Repository
    from devstream_plugin_scm.hosting import Login

__all__ = ["Checkout"]


class Checkout:
    """How one job gets at its repository: by https with a token, or by ssh with a key.

    A job that finds branches through the forge's API needs the token for that in any case; the key is then an addition.
    """

    def __init__(self, options: JenkinsOptions, forge: Forge, address: Address) -> None:
        self._options = options
        self._forge = forge
        self._address = address

    @cached_property
    def deploy_key(self) -> JobDeployKey | None:
        """The key that is a deploy key of the repository, where there is a service that has them."""
        hosting = self._forge.hosting
        return JobDeployKey(hosting, self._address) if hosting is not None else None

    @property
    def has_deploy_key(self) -> bool:
        """True where one is wanted."""
        return self._options.jenkins.deploy_key and self.deploy_key is not None

    @property
    def names(self) -> list[str]:
        """Names of the credentials."""
        return [*([SCM] if self._shows_login else []), *([KEY] if self._has_key else [])]

    @property
    def credentials(self) -> str:
        """Id of what the job's source names; empty for nothing."""
        if self._options.has_branch_source or not self._is_ssh:
            return self._id(SCM) if self._shows_login else ""
        return self._id(KEY) if self._has_key else ""

    @property
    def key(self) -> str:
        """Id of what a job that looks at the forge's API clones with, where that is another thing."""
        return self._id(KEY) if self._options.has_branch_source and self._has_key else ""

    def _id(self, name: str) -> str:
        return credential_id(self._address, name)

    @cached_property
    def _login(self) -> Login | None:
        hosting = self._forge.hosting
        return hosting.login() if hosting else self._options.scm.plain_login()

    @property
    def _shows_login(self) -> bool:
        return self._login is not None and (self._options.has_branch_source or not self._is_ssh)

    @property
    def _has_key(self) -> bool:
        return self.has_deploy_key or (self._is_ssh and self._options.scm.ssh_private_key is not None)

    @property
    def _is_ssh(self) -> bool:
        return self._options.jenkins.deploy_key or bool(self._ssh_url)

    @property
    def _ssh_url(self) -> str:
        """The URL that is written in the options, where it is one of ssh."""
        repo = self._options.scm
        is_ssh = repo.url and repo.scm_type != "local" and parse_repo_url(repo.url).scheme == "ssh"
        return repo.url if is_ssh else ""

    def clone_url(self, target: Repository) -> str:
        """Give what is cloned: as the options write it, where that is an ssh URL.

        Raises:
            OperationError: a deploy key is wanted, and the service has no ssh.
        """
        if not self._is_ssh:
            return target.url
        url = self._ssh_url or target.ssh_url
        if not url:
            message = f"{target.location} cannot be cloned over ssh, which a deploy key is for"
            raise OperationError(message, suggestion="leave `jenkins.deployKey` out: the token clones")
        return url

    def put(self, kept: JobCredentials, target: Repository) -> None:
        """Set the credentials; those whose values are in the options all again: Jenkins does not show what it has."""
        repo = self._options.scm
        if self._login is not None and self._shows_login:
            kept.put_login(self._login.user or "x-token-auth", self._login.password)
        if not self._has_key:
            return
        user = parse_repo_url(self.clone_url(target)).user or "git"
        if self.has_deploy_key and self.deploy_key is not None:
            self.deploy_key.put(target.location, kept, user)
        elif repo.ssh_private_key is not None:
            kept.put_key(user, repo.ssh_private_key)
