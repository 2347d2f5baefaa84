"""`GitHub`: repositories on github.com and GitHub Enterprise, by PyGithub."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from devstream.api import OperationError, RetryableError
from devstream_plugin_scm.deploy_keys import bare_key, put_key
from devstream_plugin_scm.github_api import GitHubAPI
from devstream_plugin_scm.hosting import (
    DeployKey,
    Hosted,
    Login,
    Proposal,
    ProposalState,
    Webhook,
    description_of,
    marked_address,
)
from devstream_plugin_scm.places import Place, place_of, split_location
from devstream_plugin_scm.rest import RestError, attempts, check_clear, steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from github.PullRequest import PullRequest
    from github.Repository import Repository
    from github.RepositoryKey import RepositoryKey

    from devstream.api import Context, Secret
    from devstream_plugin_scm.forge import Mark
    from devstream_plugin_scm.github_requester import GuardedRequester
    from devstream_plugin_scm.repository import RepoInfo

__all__ = ["GitHub", "github_place", "api_of"]

DEFAULT_URL = "https://github.com"
_LOGIN = "x-access-token"
_CLOUD = ".ghe.com"


class GitHub:
    """Repositories on one GitHub.

    Args:
        repo: says where it is and with which token.

    Attributes:
        patience: seconds that what GitHub does later is waited for.
    """

    patience: float = 60.0

    def __init__(self, repo: RepoInfo, context: Context) -> None:
        self._place = github_place(repo)
        api = repo.api_url.rstrip("/") or api_of(self._place)
        for url in (self._place.url, api):
            check_clear(url, allow_http=repo.allow_http)
        self._repo = repo
        self._context = context
        self._api = GitHubAPI(
            context, api, token=repo.token, ca_file=context.folder / repo.ca_file if repo.ca_file else None
        )

    @cached_property
    def _requester(self) -> GuardedRequester:
        from devstream_plugin_scm.github_requester import GuardedRequester

        return GuardedRequester(self._api)

    def _path(self, location: str, *more: object) -> str:
        return steps("repos", *split_location(location, self._place.host), *more)

    def _repository(self, location: str) -> Repository:
        """Give PyGithub's object of a repository; nothing is asked yet."""
        from github.Repository import Repository

        return Repository(self._requester, url=self._path(location))

    # ---- repositories

    def locate(self, repo: RepoInfo) -> str:
        """Give ``host/owner/name``."""
        return f"{self._place.host}/{repo.namespace}/{repo.short_name}"

    def find(self, location: str) -> Hosted | None:
        """Look a repository up; GitHub sends old names on to new ones."""
        try:
            return self._hosted(self._repository(location).complete())
        except RestError as error:
            if error.status == 404:
                return None
            raise

    def _hosted(self, found: Repository) -> Hosted:
        """Describe a repository. Its address is put together here: what git shows the token to is what users named."""
        return Hosted(
            id=str(found.id),
            location=f"{self._place.host}/{found.full_name}",
            clone_url=f"{self._place.url}/{found.full_name}.git",
            web_url=found.html_url,
            default_branch=found.default_branch or "",
            address=marked_address(found.description),
            visibility=found.visibility or ("private" if found.private else "public"),
            archived=bool(found.archived),
            ssh_url=found.ssh_url or "",
        )

    def create(self, location: str, *, mark: Mark, visibility: str) -> Hosted:
        """Make an empty repository of the token's user or of an organisation."""
        owner, name = split_location(location, self._place.host)
        try:
            made = self._hosted(self._make(owner, name, description_of(mark), visibility))
        except RestError as error:
            there = self.find(location) if error.status == 422 or error.unsettled else None
            if there is None or there.location.casefold() != location.casefold():
                raise
            return there
        return self._shown(made)

    def _shown(self, made: Hosted) -> Hosted:
        """Wait until what was made is found: GitHub answers before all of its servers know."""
        for _ in attempts(self._context, self.patience):
            found = self.find(made.location)
            if found is not None:
                return found
        message = f"GitHub has made {made.location}, and does not find it yet"
        raise RetryableError(message)

    def _make(self, owner: str, name: str, description: str, visibility: str) -> Repository:
        from github.AuthenticatedUser import AuthenticatedUser
        from github.GithubObject import NotSet
        from github.Organization import Organization

        private = visibility != "public"
        if not self._is_mine(owner):
            org = Organization(self._requester, url=steps("orgs", owner))
            shown = visibility if visibility == "internal" else NotSet
            return org.create_repo(name, description=description, private=private, visibility=shown)
        if visibility == "internal":
            message = f"{owner} is a user: internal repositories belong to organisations of an enterprise"
            raise OperationError(message, suggestion="visibility: private, or public")
        me = AuthenticatedUser(self._requester, url="/user")
        return me.create_repo(name, description=description, private=private)

    def _is_mine(self, owner: str) -> bool:
        """Tell whether the token belongs to an owner; tokens of apps belong to nobody."""
        if owner == self._repo.org:
            return False
        try:
            mine: str = self._api.get("/user")["login"]
        except RestError as error:
            if error.status == 403:
                return False
            raise
        return mine.casefold() == owner.casefold()

    def move(self, location: str, target: str) -> Hosted:
        """Rename, transfer, or both, from wherever an earlier attempt or people have left it."""
        now = self.find(location)
        if now is None:
            message = f"there is no repository {location}"
            raise OperationError(message)
        (owner, name), (new_owner, new_name) = (
            split_location(at, self._place.host) for at in (now.location, target)
        )
        if owner.casefold() != new_owner.casefold():
            self._repository(now.location).transfer_ownership(new_owner, new_name=new_name)
        elif name != new_name:
            self._repository(now.location).edit(name=new_name)
        return self._arrived(now, target)

    def _arrived(self, moved: Hosted, target: str) -> Hosted:
        """Wait until a repository is where it is sent: GitHub says yes to a transfer before it is done."""
        for _ in attempts(self._context, self.patience):
            found = self.find(target)
            if found and found.location.casefold() == target.casefold():
                return found
        message = f"{moved.location} did not become {target}"
        raise OperationError(message, suggestion="its new owner may have to accept it: they got a mail")

    def delete(self, location: str) -> None:
        """Remove a repository."""
        self._api.remove(self._path(location))

    def set_default_branch(self, location: str, branch: str) -> None:
        """Make a branch the default one."""
        _, name = split_location(location, self._place.host)
        self._repository(location).edit(name=name, default_branch=branch)

    def login(self) -> Login | None:
        """Give the token, under the name that every kind of token goes with."""
        token = self._repo.token
        return Login(_LOGIN, token) if token else None

    # ---- pull requests

    def proposal(self, location: str, branch: str) -> Proposal | None:
        """Find the newest pull request from a branch."""
        owner, _ = split_location(location, self._place.host)
        pulls = self._repository(location).get_pulls(
            state="all", head=f"{owner}:{branch}", sort="created", direction="desc"
        )
        found = [_proposal(pull) for pull in pulls if pull.head.ref == branch]
        return max(found, key=lambda one: (one.state is ProposalState.OPEN, one.number), default=None)

    def propose(self, location: str, *, branch: str, base: str, title: str, body: str) -> Proposal:
        """Open a pull request."""
        try:
            return _proposal(
                self._repository(location).create_pull(base=base, head=branch, title=title, body=body)
            )
        except RestError as error:
            there = self.proposal(location, branch) if error.status == 422 or error.unsettled else None
            if there is None or there.state is not ProposalState.OPEN:
                raise
            return there

    def merge(self, location: str, proposal: Proposal) -> None:
        """Merge a pull request: with a merge commit, or by what the repository allows.

        Whether it can be merged GitHub finds out later, and refuses until then.
        """
        method = self._method(location)
        for last in attempts(self._context, self.patience):
            if self._is_merged(location, proposal, method, last=last):
                return

    def _is_merged(self, location: str, proposal: Proposal, method: str, *, last: bool) -> bool:
        from github.PullRequest import PullRequest

        pull = PullRequest(self._requester, url=self._path(location, "pulls", proposal.number))
        try:
            pull.merge(merge_method=method)
        except RestError as error:
            now = self._api.get(pull.url)
            if now["merged"]:
                return True
            if error.status == 405 and "try the merge again" in str(error):
                message = f"{proposal.base} changed while {proposal.url} was merged"
                raise RetryableError(message) from error
            if error.status == 405 and now["mergeable"] is None and not last:
                return False
            raise
        return True

    def _method(self, location: str) -> str:
        found = self._repository(location).complete()
        allowed = {
            "merge": found.allow_merge_commit,
            "squash": found.allow_squash_merge,
            "rebase": found.allow_rebase_merge,
        }
        return next((method for method, may in allowed.items() if may is not False), "merge")

    def decline(self, location: str, proposal: Proposal) -> None:
        """Close a pull request."""
        from github.PullRequest import PullRequest

        pull = PullRequest(self._requester, url=self._path(location, "pulls", proposal.number))
        pull.edit(state="closed")

    # ---- webhooks

    def webhooks(self, location: str) -> Sequence[Webhook]:
        """List the webhooks."""
        return [
            Webhook(str(hook.config.get("url", "")), tuple(sorted(hook.events)), str(hook.id), hook.active)
            for hook in self._repository(location).get_hooks()
        ]

    def put_webhook(self, location: str, hook: Webhook, secret: Secret | None) -> Webhook:
        """Make or change a webhook; without ``secret`` it keeps the one that it has."""
        config = {"url": hook.url, "content_type": "json", "insecure_ssl": "0"}
        if secret is not None:
            config["secret"] = secret.reveal()
        if not hook.id:
            return self._make_webhook(location, hook, config)
        return self._change_webhook(location, hook, config)

    def _change_webhook(self, location: str, hook: Webhook, config: dict[str, str]) -> Webhook:
        # Apart: a configuration that comes with the rest replaces the old one, and its secret.
        path = self._path(location, "hooks", hook.id)
        self._api.send("PATCH", path, {"events": list(hook.events), "active": hook.active})
        self._api.send("PATCH", f"{path}/config", config)
        return hook

    def _make_webhook(self, location: str, hook: Webhook, config: dict[str, str]) -> Webhook:
        try:
            made = self._repository(location).create_hook(
                "web", config, list(hook.events), active=hook.active
            )
        except RestError as error:
            if error.status != 422 and not error.unsettled:
                raise
            there = next((one for one in self.webhooks(location) if one.url == hook.url), None)
            if there is None:
                raise
            return self._change_webhook(location, hook._replace(id=there.id), config)
        return hook._replace(id=str(made.id))

    def delete_webhook(self, location: str, hook_id: str) -> None:
        """Remove a webhook."""
        self._api.remove(self._path(location, "hooks", hook_id))

    # ---- deploy keys

    def deploy_keys(self, location: str) -> Sequence[DeployKey]:
        """List the deploy keys."""
        return [_deploy_key(key) for key in self._repository(location).get_keys()]

    def put_deploy_key(self, location: str, key: DeployKey) -> DeployKey:
        """Make a deploy key; GitHub takes each key once, wherever it is."""
        keys = self._repository(location)
        return put_key(
            location,
            key,
            listed=lambda: self.deploy_keys(location),
            make=lambda new: _deploy_key(keys.create_key(new.title, new.key, read_only=new.read_only)),
            remove=lambda key_id: self.delete_deploy_key(location, key_id),
        )

    def delete_deploy_key(self, location: str, key_id: str) -> None:
        """Remove a deploy key."""
        self._api.remove(self._path(location, "keys", key_id))

    # ---- Actions

    def secret_names(self, location: str) -> frozenset[str]:
        """List the names of the secrets of Actions."""
        return frozenset(secret.name for secret in self._repository(location).get_secrets())

    def put_secret(self, location: str, name: str, value: Secret) -> None:
        """Set a secret of Actions, sealed with the repository's public key."""
        self._repository(location).create_secret(name, value.reveal())

    def delete_secret(self, location: str, name: str) -> None:
        """Remove a secret of Actions."""
        self._api.remove(self._path(location, "actions", "secrets", name))

    def variables(self, location: str) -> dict[str, str]:
        """Give the variables of Actions."""
        return {variable.name: variable.value for variable in self._repository(location).get_variables()}

    def put_variable(self, location: str, name: str, value: str) -> None:
        """Set a variable of Actions."""
        path = self._path(location, "actions", "variables", name)
        if self._api.find(path) is not None:
            self._api.send("PATCH", path, {"name": name, "value": value})
        else:
            self._repository(location).create_variable(name, value)

    def delete_variable(self, location: str, name: str) -> None:
        """Remove a variable of Actions."""
        self._api.remove(self._path(location, "actions", "variables", name))

    def set_topics(self, location: str, topics: Sequence[str]) -> None:
        """Replace the topics."""
        self._repository(location).replace_topics(list(topics))


def github_place(repo: RepoInfo) -> Place:
    """Say where a repository's GitHub is; the root of an API, as other tools ask for it, is understood too."""
    place = place_of(repo, DEFAULT_URL)
    url = place.url.removesuffix("/api/v3")
    return Place(DEFAULT_URL, "github.com") if place.host == "api.github.com" else Place(url, place.host)


def api_of(place: Place) -> str:
    """Give the root of the API of a GitHub: github.com, GHE.com or an Enterprise server.

    >>> api_of(Place("https://github.com", "github.com"))
    'https://api.github.com'
    >>> api_of(Place("https://git.example.org", "git.example.org"))
    'https://git.example.org/api/v3'
    """
    if place.host == "github.com" or place.host.endswith(_CLOUD):
        return f"https://api.{place.host}"
    return f"{place.url}/api/v3"


def _proposal(pull: PullRequest) -> Proposal:
    state = ProposalState.MERGED if pull.merged_at else ProposalState(pull.state)
    return Proposal(pull.number, pull.html_url, pull.head.ref, pull.base.ref, state)


def _deploy_key(found: RepositoryKey) -> DeployKey:
    return DeployKey(found.title, bare_key(found.key), found.read_only, str(found.id))
