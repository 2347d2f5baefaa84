"""Secrets and variables that a pipeline needs: kept where the CI system reads them, never in a file.

Values cannot be read back. What is compared is which names are there; another value is another option's fingerprint,
which makes an update, and an update sets them all again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol
from urllib.parse import parse_qs, urlsplit

from devstream.api import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from devstream_plugin_scm.ci_kinds import CiKind
    from devstream_plugin_scm.options import Pipeline

__all__ = ["Vault", "Wanted", "CiSecrets", "NAMES", "names_for", "needed_by", "wanted_by"]

NAMES = (
    "IMAGE_REPO_USER",
    "IMAGE_REPO_SECRET",
    "SONAR_SECRET_TOKEN",
    "DINGTALK_SECURITY_TOKEN",
    "DINGTALK_SECURITY_VALUE",
    "SLACK_WEBHOOK",
    "NOTIFY_WEBHOOK",
)
"""The usual names; a named pipeline has its own."""
_DINGTALK = "oapi.dingtalk.com"


class Vault(Protocol):
    """What keeps secrets and variables: a `Hosting`, or a CI service. See there."""

    def secret_names(self, location: str) -> frozenset[str]:
        """List the names of the secrets."""

    def put_secret(self, location: str, name: str, value: Secret) -> None:
        """Set a secret."""

    def delete_secret(self, location: str, name: str) -> None:
        """Remove a secret; that it is gone already is fine."""

    def variables(self, location: str) -> dict[str, str]:
        """Give the variables that are not secret."""

    def put_variable(self, location: str, name: str, value: str) -> None:
        """Set a variable."""

    def delete_variable(self, location: str, name: str) -> None:
        """Remove a variable; that it is gone already is fine."""


class Wanted(NamedTuple):
    """What is to be kept, by name."""

    secrets: Mapping[str, Secret]
    variables: Mapping[str, str]

    def __bool__(self) -> bool:
        return bool(self.secrets or self.variables)

    @property
    def names(self) -> list[str]:
        """Every name."""
        return [*self.secrets, *self.variables]


def names_for(pipeline: str) -> dict[str, str]:
    """Say what secrets are called in a pipeline, by their usual names.

    >>> names_for("nightly-arm")["SLACK_WEBHOOK"]
    'SLACK_WEBHOOK_NIGHTLY_ARM'
    """
    suffix = f"_{pipeline.upper().replace('-', '_')}" if pipeline else ""
    return {name: f"{name}{suffix}" for name in NAMES}


def wanted_by(pipeline: Pipeline, name: str, kind: CiKind) -> Wanted:
    """Say what a pipeline needs, as far as its options give it. Secrets are not revealed."""
    names = names_for(name)
    secrets = {names[usual]: value for usual, value in _secrets(pipeline) if value is not None}
    user = pipeline.image_repo.user if pipeline.image_repo else ""
    variables = {names["IMAGE_REPO_USER"]: user} if user else {}
    if kind.hides_user:
        hidden = {name: Secret.plain(value) for name, value in variables.items()}
        return Wanted({**secrets, **hidden}, {})
    return Wanted(secrets, variables)


def _secrets(pipeline: Pipeline) -> Iterator[tuple[str, Secret | None]]:
    if pipeline.image_repo is not None:
        yield "IMAGE_REPO_SECRET", pipeline.image_repo.password
    if pipeline.sonarqube is not None:
        yield "SONAR_SECRET_TOKEN", pipeline.sonarqube.token
    if pipeline.ding_talk is not None:
        yield "DINGTALK_SECURITY_TOKEN", pipeline.ding_talk.webhook
        yield "DINGTALK_SECURITY_VALUE", pipeline.ding_talk.security_value
    if pipeline.slack is not None:
        yield "SLACK_WEBHOOK", pipeline.slack.webhook
    if pipeline.webhook is not None:
        yield "NOTIFY_WEBHOOK", pipeline.webhook.url


class CiSecrets:
    """The secrets and variables of one pipeline.

    Args:
        vault: what keeps them.
        location: the repository's.
    """

    def __init__(self, vault: Vault, location: str) -> None:
        self._vault = vault
        self._location = location

    def look(self, secrets: Iterable[str], variables: Iterable[str]) -> dict[str, Any]:
        """Give what is compared: which secrets are there, and what the variables hold; nothing asks for nothing."""
        wanted, plain = list(secrets), list(variables)
        there = self._vault.secret_names(self._location) if wanted else frozenset()
        held = self._vault.variables(self._location) if plain else {}
        return {
            "secrets": {name: True if name in there else None for name in wanted},
            "variables": {name: held.get(name) for name in plain},
        }

    def put(self, wanted: Wanted) -> None:
        """Set everything; doing it again is harmless."""
        for name, secret in wanted.secrets.items():
            self._vault.put_secret(self._location, name, _as_kept(name, secret))
        for name, value in wanted.variables.items():
            self._vault.put_variable(self._location, name, value)

    def remove(self, secrets: Iterable[str], variables: Iterable[str]) -> None:
        """Remove names; those that have gone already are fine."""
        for name in secrets:
            self._vault.delete_secret(self._location, name)
        for name in variables:
            self._vault.delete_variable(self._location, name)


def _as_kept(name: str, secret: Secret) -> Secret:
    """Give the value that pipelines expect: of DingTalk's own webhooks the token alone, as DevStream keeps it."""
    if not name.startswith("DINGTALK_SECURITY_TOKEN"):
        return secret
    url = urlsplit(secret.reveal())
    token = parse_qs(url.query).get("access_token", [""])[0]
    return Secret(secret.parts, token) if url.hostname == _DINGTALK and token else secret


def needed_by(pipeline: Pipeline, name: str, *, own_token: bool) -> list[str]:
    """Name the secrets that a pipeline cannot do without.

    Args:
        own_token: the CI system's own token is good for the registry.
    """
    names = names_for(name)
    needed = []
    if pipeline.image_repo is not None and not own_token:
        needed += [names["IMAGE_REPO_USER"], names["IMAGE_REPO_SECRET"]]
    if pipeline.sonarqube is not None:
        needed.append(names["SONAR_SECRET_TOKEN"])
    if pipeline.ding_talk is not None:
        needed.append(names["DINGTALK_SECURITY_TOKEN"])
    if pipeline.slack is not None:
        needed.append(names["SLACK_WEBHOOK"])
    if pipeline.webhook is not None:
        needed.append(names["NOTIFY_WEBHOOK"])
    return needed
