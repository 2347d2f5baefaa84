"""`Wiring`: what the neighbours of a tool offer, put in place: webhooks, deploy keys, a registry's credentials.

What is recorded of it is the tool's output ``neighbours``: by neighbour and kind, names and ids, never values. What is
on the service is marked: a webhook's URL by the tool and the neighbour, a deploy key by its title.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from devstream.api import OperationError
from devstream_plugin_scm.ci_secrets import CiSecrets, Wanted
from devstream_plugin_scm.ci_webhook import RepositoryWebhook
from devstream_plugin_scm.deploy_keys import fingerprint
from devstream_plugin_scm.hosting import DeployKey, deploy_key_title, is_our_deploy_key, webhook_mark
from devstream_plugin_scm.neighbours import DEPLOY_KEY, REGISTRY, WEBHOOK, offers_of
from devstream_plugin_scm.rest import RestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from devstream.api import Context, Log, Outputs, Secret, ToolState
    from devstream_plugin_scm.ci_secrets import Vault
    from devstream_plugin_scm.hosting import Hosting
    from devstream_plugin_scm.neighbours import KeyOffer, Offers, RegistryOffer, WebhookOffer
    from devstream_plugin_scm.repository import TargetRepo

__all__ = ["NEIGHBOURS", "OFFERS", "RegistryPlace", "Wired", "Wiring", "is_wired", "wired_before"]

NEIGHBOURS = "neighbours"
"""The output that says what is wired, and the property that says what of it is not there any more."""
OFFERS = (WEBHOOK, DEPLOY_KEY)
"""The outputs that every repository looks at."""
_GONE, _CHANGED = "gone", "changed"

Made: TypeAlias = "Mapping[str, Any]"
"""What is wired of one kind, by neighbour."""
Wired: TypeAlias = "Mapping[str, Made]"
"""What is wired: by neighbour, then by kind."""


class RegistryPlace(NamedTuple):
    """Where a registry's credentials go: what keeps them, and under which names.

    Attributes:
        wanted: they are to be taken from a neighbour; else only what came from one is removed.
        others: secrets that come from elsewhere: what a neighbour's took the place of is set again.
    """

    vault: Vault
    user: str
    password: str
    wanted: bool = True
    others: Mapping[str, Secret] = MappingProxyType({})


class _Kind(Protocol):
    """One kind of things that are wired."""

    def put(self, location: str, offers: Offers, known: Made) -> dict[str, Any]:
        """Put what is offered in place, take away what is not, and give what is to be recorded by neighbour."""

    def state(self, location: str, of: str, made: Any) -> str:
        """Say what became of what was recorded; empty where it is as it was made."""


class Wiring:
    """Connects one repository with the neighbours of one tool.

    Args:
        hosting: the repository's service; None where there is only git.
        repo: the options of the repository.
        registry: where a registry's credentials go; None where nothing keeps them.
    """

    def __init__(
        self,
        hosting: Hosting | None,
        repo: TargetRepo,
        context: Context,
        registry: RegistryPlace | None = None,
    ) -> None:
        self._log = context.log
        self._kinds: dict[str, _Kind] = {}
        if hosting is not None:
            address = str(context.address)
            self._kinds[WEBHOOK] = _Webhooks(hosting, repo, address, context.log)
            self._kinds[DEPLOY_KEY] = _Keys(hosting, address, context.log)
        if registry is not None:
            self._kinds[REGISTRY] = _Registry(registry, context.log)

    def put(self, location: str, upstream: Mapping[str, Outputs], recorded: Wired) -> dict[str, Any]:
        """Put everything that is offered in place, and take away what is not offered any more.

        Args:
            recorded: what was wired until now.

        Returns:
            What is wired now.

        Raises:
            OperationError: something offered is not as it has to be, is not known today, or is refused.
        """
        offers = offers_of(upstream, self._log)
        self._say_what_is_left_out(offers)
        wired: dict[str, dict[str, Any]] = {}
        for name, kind in self._kinds.items():
            known = {of: kinds[name] for of, kinds in recorded.items() if name in kinds}
            for of, made in kind.put(location, offers, known).items():
                wired.setdefault(of, {})[name] = made
        return wired

    def _say_what_is_left_out(self, offers: Offers) -> None:
        for name, offered in ((WEBHOOK, offers.webhooks), (DEPLOY_KEY, offers.keys)):
            for of in offered if name not in self._kinds else ():
                self._log.warning(
                    f"{of} offers a {name}, and the repository is on no service that has any: set it up by hand"
                )

    def remove(self, location: str, recorded: Wired) -> None:
        """Take away everything of ours; what is gone already is fine."""
        self.put(location, {}, recorded)

    def look(self, location: str, recorded: Wired) -> dict[str, str]:
        """Say what of all that was wired is not as it was, by kind and neighbour; nothing wired asks nothing."""
        found = {
            f"{name} of {of}": self._kinds[name].state(location, of, made)
            for of, kinds in recorded.items()
            for name, made in kinds.items()
            if name in self._kinds
        }
        return {what: state for what, state in found.items() if state}


def wired_before(outputs: Mapping[str, Any]) -> dict[str, Any]:
    """Give what the recorded outputs of a tool say is wired."""
    wired = outputs.get(NEIGHBOURS)
    return dict(wired) if isinstance(wired, dict) else {}


def is_wired(recorded: ToolState) -> bool:
    """Tell whether there may be something wired: it is recorded, or was begun and not recorded."""
    return not recorded.integrated or bool(recorded.integrated_with or wired_before(recorded.outputs))


class _Webhooks:
    """Webhooks of a repository, marked by the tool and the neighbour."""

    def __init__(self, hosting: Hosting, repo: TargetRepo, address: str, log: Log) -> None:
        self._hosting = hosting
        self._repo = repo
        self._address = address
        self._log = log

    def put(self, location: str, offers: Offers, known: Made) -> dict[str, Any]:
        hooks = _looked(lambda: self._hosting.webhooks(location), offers.webhooks, known)
        there: dict[str, str] = {}
        for hook in hooks:
            address, _, of = webhook_mark(hook).partition("/")
            if address == self._address and of in offers.webhooks:
                there[of] = hook.id
            elif of and (address == self._address or hook.id == known.get(of, {}).get("id")):
                self._hosting.delete_webhook(
                    location, hook.id
                )  # of a neighbour that left, or of our old address
                self._log.info(f"removed the webhook for {of} ({hook.id})")
        return {
            of: self._put(location, of, offer, there.get(of, "")) for of, offer in offers.webhooks.items()
        }

    def _put(self, location: str, of: str, offer: WebhookOffer, there: str) -> dict[str, Any]:
        """Put one in place; what is secret and not known today stays as it is on the service."""
        if not offer.known and not there:
            raise _not_known(of, WEBHOOK)
        webhook = self._webhook(of, offer)
        hook_id = webhook.put(location) if offer.url is not None else there
        self._log.info(f"the webhook for {of} is in place ({hook_id})")
        shown = _described(webhook.look(location) or {}, with_url=offer.shown)
        return {**shown, "id": hook_id}

    def _webhook(self, of: str, offer: WebhookOffer | None = None) -> RepositoryWebhook:
        from devstream_plugin_scm.ci_options import CiWebhook

        wanted = None
        if offer is not None and offer.url is not None:
            wanted = CiWebhook(url=offer.url.reveal(), secret=offer.secret, events=list(offer.events))
        return RepositoryWebhook(self._hosting, wanted, self._repo, f"{self._address}/{of}")

    def state(self, location: str, of: str, made: Any) -> str:
        shown = self._webhook(of).look(location)
        if shown is None:
            return _GONE
        like = {name: value for name, value in made.items() if name != "id"}
        return "" if _described(shown, with_url="url" in made) == like else _CHANGED


class _Keys:
    """Deploy keys of a repository, with titles that say whose they are."""

    def __init__(self, hosting: Hosting, address: str, log: Log) -> None:
        self._hosting = hosting
        self._address = address
        self._log = log

    def put(self, location: str, offers: Offers, known: Made) -> dict[str, Any]:
        keys = _looked(lambda: self._hosting.deploy_keys(location), offers.keys, known)
        wanted = {(offer.key, offer.read_only) for offer in offers.keys.values()}
        ours = [key for key in keys if self._made(key, known)]
        for key in ours:
            if (key.key, key.read_only) not in wanted:
                self._hosting.delete_deploy_key(location, key.id)
                self._log.info(f"removed the deploy key {fingerprint(key.key)}")
        theirs = {key.key: key for key in keys if key not in ours}
        return {
            of: _shared(theirs[offer.key], of, offer)
            if offer.key in theirs
            else self._put(location, of, offer)
            for of, offer in offers.keys.items()
        }

    def _made(self, key: DeployKey, known: Made) -> bool:
        """Tell whether a key is one that this tool made; a shared one keeps the title that it had elsewhere."""
        recorded = any(made.get("id") == key.id and _is(key, made) for made in known.values())
        return recorded or is_our_deploy_key(key, self._address)

    def _put(self, location: str, of: str, offer: KeyOffer) -> dict[str, Any]:
        title = deploy_key_title(self._address, of)
        made = self._hosting.put_deploy_key(location, DeployKey(title, offer.key, offer.read_only))
        described = _key(offer)
        self._log.info(f"the deploy key for {of} is in place: {described['fingerprint']}")
        return {**described, "id": made.id}

    def state(self, location: str, of: str, made: Any) -> str:  # noqa: ARG002 - one key may serve several neighbours
        there = [key for key in self._hosting.deploy_keys(location) if _is(key, made)]
        if not there:
            return _GONE
        return "" if there[0].read_only == made["readOnly"] else _CHANGED


class _Registry:
    """A registry's credentials, where the pipeline reads them."""

    def __init__(self, place: RegistryPlace, log: Log) -> None:
        self._place = place
        self._log = log

    def put(self, location: str, offers: Offers, known: Made) -> dict[str, Any]:
        before = {name for names in known.values() for name in names}
        wanted = offers.registries if self._place.wanted else {}
        made = {of: self._put(location, of, offer, before) for of, offer in wanted.items()}
        gone, others = before.difference(*made.values()), self._place.others
        secrets = CiSecrets(self._place.vault, location)
        secrets.put(Wanted({name: others[name] for name in sorted(gone & others.keys())}, {}))
        secrets.remove(sorted(gone - others.keys()), ())
        return made

    def _put(self, location: str, of: str, offer: RegistryOffer, before: set[str]) -> list[str]:
        """Set them; what is secret and not known today stays as it is."""
        values = {self._place.password: offer.password}
        if offer.has_user:
            values[self._place.user] = offer.user
        unknown = {name for name, value in values.items() if value is None}
        if unknown and not unknown <= before & self._place.vault.secret_names(location):
            raise _not_known(of, REGISTRY)
        secrets = {name: value for name, value in values.items() if value is not None}
        CiSecrets(self._place.vault, location).put(Wanted(secrets, {}))
        self._log.info(f"the registry of {of} is known to the pipeline: {', '.join(sorted(values))}")
        return sorted(values)

    def state(self, location: str, of: str, made: Any) -> str:  # noqa: ARG002 - there is one registry
        return "" if set(made) <= self._place.vault.secret_names(location) else _GONE


def _key(offer: KeyOffer) -> dict[str, Any]:
    return {"fingerprint": fingerprint(offer.key), "readOnly": offer.read_only}


def _shared(there: DeployKey, of: str, offer: KeyOffer) -> dict[str, Any]:
    """Take a key that somebody else put there for what it is; it is not ours to change or to remove."""
    if there.read_only == offer.read_only:
        return _key(offer)
    may = "read" if there.read_only else "push"
    message = f'the deploy key that {of} offers is there already, as "{there.title}", and may {may}: not ours'
    raise OperationError(message, suggestion="remove it there, or let the two agree on readOnly")


def _is(key: DeployKey, made: Mapping[str, Any]) -> bool:
    return fingerprint(key.key) == str(made["fingerprint"])


def _described(shown: Mapping[str, Any], *, with_url: bool) -> dict[str, Any]:
    """Give what is recorded and compared of a webhook; its URL only where that is no secret."""
    return {name: value for name, value in shown.items() if name != "url" or with_url}


def _looked(ask: Callable[[], Sequence[Any]], offered: Mapping[str, Any], known: Made) -> Sequence[Any]:
    """List what is there. In a repository that has gone there is nothing; who may not look has made nothing."""
    try:
        return ask()
    except RestError as error:
        if offered or error.status not in {403, 404} or (known and error.status == 403):
            raise
        return ()


def _not_known(of: str, kind: str) -> OperationError:
    message = f"the output {kind} of {of} is secret, and not recorded: it is not known today"
    return OperationError(
        message,
        code="secret-output",
        suggestion=f"encrypt the state, or let {of} be made anew: --replace {of}",
    )
