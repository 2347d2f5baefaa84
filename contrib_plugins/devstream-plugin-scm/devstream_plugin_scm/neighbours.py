"""What the neighbours of a tool offer in their outputs: a webhook, a deploy key, a registry's credentials."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from devstream.api import OperationError, Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Log, Outputs

__all__ = [
    "DEPLOY_KEY",
    "REGISTRY",
    "WEBHOOK",
    "KeyOffer",
    "Offers",
    "RegistryOffer",
    "WebhookOffer",
    "offers_of",
]

WEBHOOK = "webhook"
DEPLOY_KEY = "deployKey"
REGISTRY = "registry"


class WebhookOffer(NamedTuple):
    """Who wants to be told of pushes. What is None is secret and was not recorded: nobody knows it today.

    Attributes:
        has_secret: what is posted is signed.
        shown: the URL is no secret, so that it may be recorded.
        events: in the service's own words; empty for pushes and pull requests.
    """

    url: Secret | None
    secret: Secret | None
    has_secret: bool
    shown: bool
    events: tuple[str, ...] = ()

    @property
    def known(self) -> bool:
        """True where everything is known that it takes to make it."""
        return self.url is not None and (self.secret is not None or not self.has_secret)


class KeyOffer(NamedTuple):
    """Who is to be let in by ssh."""

    key: str
    read_only: bool


class RegistryOffer(NamedTuple):
    """Where images are pushed to, and as whom. What is None is secret and was not recorded."""

    password: Secret | None
    user: Secret | None
    has_user: bool


class Offers(NamedTuple):
    """What there is on offer, by the addresses of those who offer it. One registry is enough: the first one."""

    webhooks: Mapping[str, WebhookOffer]
    keys: Mapping[str, KeyOffer]
    registries: Mapping[str, RegistryOffer]

    def __bool__(self) -> bool:
        return bool(self.webhooks or self.keys or self.registries)


def offers_of(upstream: Mapping[str, Outputs], log: Log) -> Offers:
    """Read the outputs of upstreams; one of these names that means something else is left out.

    Raises:
        OperationError: an offer is not as it has to be. Nothing secret is shown.
    """
    webhooks: dict[str, WebhookOffer] = {}
    keys: dict[str, KeyOffer] = {}
    registries: dict[str, RegistryOffer] = {}
    for of, outputs in upstream.items():
        if _is_offer(outputs, WEBHOOK, "url", of, log):
            webhooks[of] = _webhook(outputs[WEBHOOK], of)
        if _is_offer(outputs, DEPLOY_KEY, "publicKey", of, log):
            keys[of] = _key(outputs[DEPLOY_KEY], of)
        if not registries and _is_offer(outputs, REGISTRY, "password", of, log):
            registries[of] = _registry(outputs[REGISTRY], of)
    return Offers(webhooks, keys, registries)


def _is_offer(outputs: Outputs, name: str, needed: str, of: str, log: Log) -> bool:
    value = outputs.get(name)
    is_one = isinstance(value, dict) and bool(value.get(needed))
    if value and not is_one:
        log.debug(f"the output {name} of {of} has no {needed}: it is left out")
    return is_one


def _webhook(offered: Mapping[str, Any], of: str) -> WebhookOffer:
    url, events = _secret(offered["url"], of, "webhook.url"), offered.get("events") or ()
    if not isinstance(events, list | tuple) or not all(isinstance(event, str) for event in events):
        raise _wrong(of, "webhook.events", "a list of events, in the service's own words")
    if url is not None:
        parts = urlsplit(url.reveal())
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.fragment:
            raise _wrong(of, "webhook.url", "http:// or https:// and a host, without a user")
    secret = _secret(offered["secret"], of, "webhook.secret") if offered.get("secret") else None
    shown = isinstance(offered["url"], str)
    return WebhookOffer(url, secret, bool(offered.get("secret")), shown, tuple(events))


def _key(offered: Mapping[str, Any], of: str) -> KeyOffer:
    from devstream_plugin_scm.deploy_keys import public_key

    text, read_only = _secret(offered["publicKey"], of, "deployKey.publicKey"), offered.get("readOnly", True)
    if text is None or not isinstance(read_only, bool):
        raise _wrong(
            of, "deployKey", "publicKey: the public half, which is no secret; readOnly: true or false"
        )
    try:
        return KeyOffer(public_key(text.reveal()), read_only)
    except OperationError as error:
        message = f"the output deployKey of {of}: {error.diagnostic.summary}"
        raise OperationError(message, suggestion=error.diagnostic.suggestion or "") from None


def _registry(offered: Mapping[str, Any], of: str) -> RegistryOffer:
    user = _secret(offered["user"], of, "registry.user") if offered.get("user") else None
    return RegistryOffer(
        _secret(offered["password"], of, "registry.password"), user, bool(offered.get("user"))
    )


def _secret(value: object, of: str, name: str) -> Secret | None:
    """Give a value; None where it is a secret of which only the fingerprint is recorded."""
    if isinstance(value, Secret):
        return value
    if isinstance(value, str):
        return Secret.plain(value)
    if isinstance(value, dict):
        return None
    raise _wrong(of, name, "text")


def _wrong(of: str, name: str, right: str) -> OperationError:
    message = f"the output {name} of {of} is not as it has to be"
    return OperationError(message, suggestion=f"what would be right: {right}")
