"""`RegistryLogin`: what the pipeline logs in to the registry with, where the options give no password.

Two credentials are there from the beginning, so that the Jenkinsfile need not change when a login comes or goes. They hold
what an upstream offers; where none does they are empty, and people may fill them in by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.api import OperationError, Secret
from devstream_plugin_scm.ci_secrets import names_for
from devstream_plugin_scm.neighbours import REGISTRY, offers_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Log, Outputs
    from devstream_plugin_jenkins.credentials import JobCredentials
    from devstream_plugin_jenkins.options import JenkinsOptions
    from devstream_plugin_scm.neighbours import RegistryOffer

__all__ = ["RegistryLogin"]


class RegistryLogin:
    """The credentials of one pipeline's registry."""

    def __init__(self, options: JenkinsOptions) -> None:
        registry = options.pipeline.image_repo
        names = names_for(options.pipeline.name)
        wanted = registry is not None and registry.password is None
        self.names = [names["IMAGE_REPO_USER"], names["IMAGE_REPO_SECRET"]] if wanted else []
        self._user = registry.user if registry else ""

    def put(self, kept: JobCredentials, upstream: Mapping[str, Outputs], log: Log) -> None:
        """Set what an upstream offers, and empty what one offered before; what people filled in stays.

        Raises:
            OperationError: what is offered is no text, or is secret and not known today.
        """
        if not self.names:
            return
        offered = {of: {REGISTRY: outputs.get(REGISTRY)} for of, outputs in upstream.items()}
        of, offer = next(iter(offers_of(offered, log).registries.items()), ("", None))
        there = kept.details()
        for name, value in self._wanted(offer).items():
            from_upstream = there.get(name)
            if value is None:
                if from_upstream != of:
                    raise _not_known(of)
            elif offer or from_upstream or name not in there or (value.reveal() and not of):
                kept.put_secret("", name, value, detail=of)

    def _wanted(self, offer: RegistryOffer | None) -> dict[str, Secret | None]:
        """Give what each credential is to hold; None for what is secret and not known today."""
        user, password = self.names
        own_user = Secret.plain(self._user)
        if offer is None:
            return {user: own_user, password: Secret.plain("")}
        return {user: offer.user if offer.has_user else own_user, password: offer.password}


def _not_known(of: str) -> OperationError:
    message = f"the output {REGISTRY} of {of} is secret, and not recorded: it is not known today"
    return OperationError(
        message,
        code="secret-output",
        suggestion=f"encrypt the state, or let {of} be made anew: --replace {of}",
    )
