"""`Hosting`: what a forge does beside git, by its API. One implementation for each service; git itself is the same for all."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devstream.api import Secret
    from devstream_plugin_scm.forge import Mark
    from devstream_plugin_scm.repository import RepoInfo

__all__ = [
    "Hosted",
    "Hosting",
    "Login",
    "Proposal",
    "ProposalState",
    "Webhook",
    "DeployKey",
    "MARK_WORDS",
    "description_of",
    "marked_address",
    "webhook_url",
    "webhook_mark",
    "is_our_webhook",
    "deploy_key_title",
    "is_our_deploy_key",
]

MARK_WORDS = "made by devstream for "
_WEBHOOK_MARK = "devstream="
_KEY_MARK = "devstream: "
_KEY_OF = " for "


class Hosted(NamedTuple):
    """A repository as a service describes it.

    Attributes:
        id: the service's own id; survives renames and transfers.
        location: ``host/owner/name`` as it is now.
        clone_url: what git clones and pushes over https; without a user or a token.
        address: the tool whose mark the description carries, or empty.
        archived: it can only be read.
        ssh_url: what git clones over ssh; empty where the service has no ssh.
    """

    id: str
    location: str
    clone_url: str
    web_url: str
    default_branch: str
    address: str = ""
    visibility: str = ""
    archived: bool = False
    ssh_url: str = ""


class Login(NamedTuple):
    """What git shows to a service over https; without a user, the password is sent as a bearer's token."""

    user: str
    password: Secret


class ProposalState(Enum):
    """What became of a pull or merge request."""

    OPEN = "open"
    MERGED = "merged"
    CLOSED = "closed"


class Proposal(NamedTuple):
    """A pull or merge request: ``number`` is what people call it by."""

    number: int
    url: str
    branch: str
    base: str
    state: ProposalState


class Webhook(NamedTuple):
    """A webhook. ``events`` are the service's own words; ``id`` is empty before it is made."""

    url: str
    events: tuple[str, ...]
    id: str = ""
    active: bool = True


class DeployKey(NamedTuple):
    """A public key that opens one repository: ``key`` is its type and data, without a comment.

    ``id`` is the service's; it is empty before the key is made.
    """

    title: str
    key: str
    read_only: bool = True
    id: str = ""


class Hosting(Protocol):
    """A service that keeps repositories. Methods raise OperationError when they cannot do what they say.

    Those up to `decline` every service has; what it lacks of the others raises OperationError that says so.
    Everything may be called again after a crash: what is there already is fine, nothing is doubled.
    """

    def locate(self, repo: RepoInfo) -> str:
        """Give the location of a repository by its options: ``host[:port]/owner/name``; it need not exist."""

    def find(self, location: str) -> Hosted | None:
        """Look a repository up, following renames; None where there is none that the token can see."""

    def create(self, location: str, *, mark: Mark, visibility: str) -> Hosted:
        """Make an empty repository whose description carries ``mark``.

        One that is there with this very mark is given back: an earlier attempt made it.
        ``visibility`` is `private`, `internal` or `public`; empty for private.
        """

    def move(self, location: str, target: str) -> Hosted:
        """Rename or transfer a repository within the service."""

    def delete(self, location: str) -> None:
        """Remove a repository; that it is gone already is fine."""

    def set_default_branch(self, location: str, branch: str) -> None:
        """Make a branch the default one."""

    def login(self) -> Login | None:
        """Give what git logs in with over https; None where no token was given."""

    def proposal(self, location: str, branch: str) -> Proposal | None:
        """Find the newest pull request from a branch of the same repository: an open one first."""

    def propose(self, location: str, *, branch: str, base: str, title: str, body: str) -> Proposal:
        """Open a pull request, or give back the one that is open from this branch."""

    def merge(self, location: str, proposal: Proposal) -> None:
        """Merge a pull request; that it is merged already is fine."""

    def decline(self, location: str, proposal: Proposal) -> None:
        """Close a pull request as it is; that it is closed already is fine."""

    def webhooks(self, location: str) -> Sequence[Webhook]:
        """List the webhooks."""

    def put_webhook(self, location: str, hook: Webhook, secret: Secret | None) -> Webhook:
        """Make a webhook, or change the one that has ``hook.id``."""

    def delete_webhook(self, location: str, hook_id: str) -> None:
        """Remove a webhook; that it is gone already is fine."""

    def deploy_keys(self, location: str) -> Sequence[DeployKey]:
        """List the deploy keys, without their comments."""

    def put_deploy_key(self, location: str, key: DeployKey) -> DeployKey:
        """Make a deploy key; the one with the same key and rights that is there is given back, under its own title.

        One whose rights differ is replaced. Raises OperationError for what is no OpenSSH public key, and for a key
        that the service has elsewhere already and takes only once.
        """

    def delete_deploy_key(self, location: str, key_id: str) -> None:
        """Remove a deploy key; that it is gone already is fine."""

    def secret_names(self, location: str) -> frozenset[str]:
        """List the names of the CI secrets; values cannot be read."""

    def put_secret(self, location: str, name: str, value: Secret) -> None:
        """Set a CI secret; masked in logs, and kept to protected branches where the service can."""

    def delete_secret(self, location: str, name: str) -> None:
        """Remove a CI secret; that it is gone already is fine."""

    def variables(self, location: str) -> dict[str, str]:
        """Give the CI variables that are not secret."""

    def put_variable(self, location: str, name: str, value: str) -> None:
        """Set a CI variable that is not secret."""

    def delete_variable(self, location: str, name: str) -> None:
        """Remove a CI variable; that it is gone already is fine."""

    def set_topics(self, location: str, topics: Sequence[str]) -> None:
        """Replace the topics (labels) of a repository."""


def description_of(mark: Mark, about: str = "") -> str:
    """Write the description that a new repository gets; it is how a killed run finds what it made.

    >>> from devstream_plugin_scm.forge import Mark
    >>> description_of(Mark("1f", "repo-scaffolding.shop"))
    'made by devstream for repo-scaffolding.shop (1f)'
    """
    made = f"{MARK_WORDS}{mark.address} ({mark.id})"
    return f"{about}; {made}" if about else made


def marked_address(description: str | None) -> str:
    """Read the tool's address from a description; empty where people wrote another one.

    >>> marked_address("A shop; made by devstream for repo-scaffolding.shop (1f)")
    'repo-scaffolding.shop'
    """
    _, found, rest = (description or "").partition(MARK_WORDS)
    return rest.partition(" ")[0] if found else ""


def webhook_url(url: str, address: str) -> str:
    """Mark a webhook's URL as ours, so that it is found again: services show it in full.

    >>> webhook_url("https://ci.example/hook?x=1", "jenkins-pipeline.shop")
    'https://ci.example/hook?x=1&devstream=jenkins-pipeline.shop'
    """
    from urllib.parse import quote

    return f"{url}{'&' if '?' in url else '?'}{_WEBHOOK_MARK}{quote(address, safe='.')}"


def webhook_mark(hook: Webhook) -> str:
    """Give the mark of a webhook's URL: the tool's address, and behind a slash the neighbour's; empty without one.

    >>> webhook_mark(Webhook("https://ci.example/hook?devstream=gitlab-ci.shop%2Fjenkins.main", ()))
    'gitlab-ci.shop/jenkins.main'
    """
    from urllib.parse import parse_qs, urlsplit

    marks = parse_qs(urlsplit(hook.url).query).get("devstream", [])
    return marks[0] if len(marks) == 1 else ""


def is_our_webhook(hook: Webhook, address: str) -> bool:
    """Tell whether a webhook is the one that a tool made, though people may have changed the rest of it."""
    return webhook_mark(hook) == address


def deploy_key_title(address: str, of: str = "") -> str:
    """Name a deploy key by the tool that keeps it, and by the neighbour that it is for.

    >>> deploy_key_title("repo-scaffolding.shop", of="jenkins.main")
    'devstream: repo-scaffolding.shop for jenkins.main'
    """
    return f"{_KEY_MARK}{address}{_KEY_OF if of else ''}{of}"


def is_our_deploy_key(key: DeployKey, address: str) -> bool:
    """Tell whether a deploy key is one that a tool made, for whichever neighbour."""
    mark, found, rest = key.title.partition(_KEY_MARK)
    return bool(found) and not mark and rest.partition(_KEY_OF)[0] == address
