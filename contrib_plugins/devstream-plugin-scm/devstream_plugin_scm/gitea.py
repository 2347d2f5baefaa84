"""`Gitea`: repositories on Gitea and Forgejo, by their REST API (version 1; the same for both)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.api import OperationError
from devstream_plugin_scm.hosting import (
    Hosted,
    Login,
    Proposal,
    ProposalState,
    Webhook,
    description_of,
    marked_address,
)
from devstream_plugin_scm.places import place_of, split_location
from devstream_plugin_scm.rest import Rest, RestError, authorization, check_clear, steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from devstream.api import Context, Secret
    from devstream_plugin_scm.forge import Mark
    from devstream_plugin_scm.repository import RepoInfo

__all__ = ["Gitea"]

DEFAULT_URL = "https://gitea.com"


class Gitea:
    """Repositories on one Gitea.

    Args:
        repo: says where it is and with which token.
    """

    def __init__(self, repo: RepoInfo, context: Context) -> None:
        place = place_of(repo, DEFAULT_URL)
        check_clear(place.url, allow_http=repo.allow_http)
        self._host = place.host
        self._repo = repo
        api = repo.api_url.rstrip("/") or f"{place.url}/api/v1"
        check_clear(api, allow_http=repo.allow_http)
        self._rest = Rest(
            context,
            api,
            headers=authorization(repo.token, "Gitea", "token"),
            service="Gitea",
            ca_file=context.folder / repo.ca_file if repo.ca_file else None,
        )

    def locate(self, repo: RepoInfo) -> str:
        """Give ``host/owner/name``."""
        return f"{self._host}/{repo.namespace}/{repo.short_name}"

    def _path(self, location: str, *more: object) -> str:
        return steps("repos", *split_location(location, self._host), *more)

    def find(self, location: str) -> Hosted | None:
        """Look a repository up; Gitea sends old names on to new ones."""
        found = self._rest.find(self._path(location))
        return None if found is None else self._hosted(found)

    def _hosted(self, found: dict[str, Any]) -> Hosted:
        return Hosted(
            id=str(found["id"]),
            location=f"{self._host}/{found['full_name']}",
            clone_url=found["clone_url"],
            web_url=found["html_url"],
            default_branch=found.get("default_branch") or "",
            address=marked_address(found.get("description")),
            visibility="private" if found.get("private") else "public",
            archived=bool(found.get("archived")),
        )

    def create(self, location: str, *, mark: Mark, visibility: str) -> Hosted:
        """Make an empty repository of the token's user or of an organisation."""
        owner, name = split_location(location, self._host)
        if visibility == "internal":
            message = "Gitea knows no internal repositories"
            raise OperationError(message, suggestion="visibility: private, or public")
        wanted = {
            "name": name,
            "description": description_of(mark),
            "private": visibility != "public",
            "default_branch": self._repo.branch or "main",
            "auto_init": False,
        }
        mine = self._rest.get("/user")["login"].casefold() == owner.casefold()
        try:
            made = self._rest.send("POST", "/user/repos" if mine else steps("orgs", owner, "repos"), wanted)
        except RestError as error:
            there = self.find(location) if error.status == 409 or error.unsettled else None
            if there is None:
                raise
            return there
        return self._hosted(made)

    def move(self, location: str, target: str) -> Hosted:
        """Rename, transfer, or both."""
        (owner, name), (new_owner, new_name) = (split_location(at, self._host) for at in (location, target))
        if name != new_name:
            self._rest.send("PATCH", self._path(location), {"name": new_name})
        if owner != new_owner:
            path = self._path(f"{self._host}/{owner}/{new_name}", "transfer")
            self._rest.send("POST", path, {"new_owner": new_owner})
        found = self.find(target)
        if found is None or found.location.casefold() != target.casefold():
            message = f"{location} did not become {target}: does {new_owner} have to accept it?"
            raise OperationError(message)
        return found

    def delete(self, location: str) -> None:
        """Remove a repository."""
        self._rest.remove(self._path(location))

    def set_default_branch(self, location: str, branch: str) -> None:
        """Make a branch the default one."""
        self._rest.send("PATCH", self._path(location), {"default_branch": branch})

    def login(self) -> Login | None:
        """Give the token: as a password it goes with any user."""
        token = self._repo.token
        return Login(self._repo.user or "devstream", token) if token else None

    # ---- pull requests

    def proposal(self, location: str, branch: str) -> Proposal | None:
        """Find the newest pull request from a branch."""
        found = [
            pull
            for pull in self._rest.pages(self._path(location, "pulls"), state="all", sort="recentupdate")
            if pull["head"]["ref"] == branch
        ]
        if not found:
            return None
        return _proposal(max(found, key=lambda pull: (pull["state"] == "open", pull["number"])))

    def propose(self, location: str, *, branch: str, base: str, title: str, body: str) -> Proposal:
        """Open a pull request."""
        wanted = {"head": branch, "base": base, "title": title, "body": body}
        try:
            return _proposal(self._rest.send("POST", self._path(location, "pulls"), wanted))
        except RestError as error:
            there = self.proposal(location, branch) if error.status in {409, 422} or error.unsettled else None
            if there is None or there.state is not ProposalState.OPEN:
                raise
            return there

    def merge(self, location: str, proposal: Proposal) -> None:
        """Merge a pull request with a merge commit."""
        try:
            self._rest.send("POST", self._path(location, "pulls", proposal.number, "merge"), {"Do": "merge"})
        except RestError:
            now = self.proposal(location, proposal.branch)
            if now is None or now.state is not ProposalState.MERGED:
                raise

    # ---- webhooks

    def webhooks(self, location: str) -> Sequence[Webhook]:
        """List the webhooks."""
        return [
            Webhook(
                hook["config"].get("url", ""), tuple(sorted(hook["events"])), str(hook["id"]), hook["active"]
            )
            for hook in self._rest.pages(self._path(location, "hooks"))
        ]

    def put_webhook(self, location: str, hook: Webhook, secret: Secret | None) -> Webhook:
        """Make or change a webhook."""
        config = {"url": hook.url, "content_type": "json"}
        if secret is not None:
            config["secret"] = secret.reveal()
        wanted = {"config": config, "events": list(hook.events), "active": hook.active}
        if hook.id:
            self._rest.send("PATCH", self._path(location, "hooks", hook.id), wanted)
            return hook
        made = self._rest.send("POST", self._path(location, "hooks"), {"type": "gitea", **wanted})
        return hook._replace(id=str(made["id"]))

    def delete_webhook(self, location: str, hook_id: str) -> None:
        """Remove a webhook."""
        self._rest.remove(self._path(location, "hooks", hook_id))

    # ---- Actions

    def secret_names(self, location: str) -> frozenset[str]:
        """List the names of the secrets of Gitea's Actions."""
        path = self._path(location, "actions", "secrets")
        return frozenset(secret["name"] for secret in self._actions(path))

    def put_secret(self, location: str, name: str, value: Secret) -> None:
        """Set a secret of Gitea's Actions."""
        self._rest.send("PUT", self._path(location, "actions", "secrets", name), {"data": value.reveal()})

    def delete_secret(self, location: str, name: str) -> None:
        """Remove a secret of Gitea's Actions."""
        self._rest.remove(self._path(location, "actions", "secrets", name))

    def variables(self, location: str) -> dict[str, str]:
        """Give the variables of Gitea's Actions."""
        path = self._path(location, "actions", "variables")
        return {variable["name"]: variable["data"] for variable in self._actions(path)}

    def put_variable(self, location: str, name: str, value: str) -> None:
        """Set a variable of Gitea's Actions."""
        path = self._path(location, "actions", "variables", name)
        there = self._rest.find(path) is not None
        self._rest.send("PUT" if there else "POST", path, {"value": value})

    def delete_variable(self, location: str, name: str) -> None:
        """Remove a variable of Gitea's Actions."""
        self._rest.remove(self._path(location, "actions", "variables", name))

    def _actions(self, path: str) -> Iterator[Any]:
        try:
            yield from self._rest.pages(path)
        except RestError as error:
            if error.status != 404:
                raise
            message = "this Gitea has no secrets and variables for Actions by API"
            raise OperationError(
                message, suggestion="Gitea 1.22 and later have; Actions have to be enabled"
            ) from error

    def set_topics(self, location: str, topics: Sequence[str]) -> None:
        """Replace the topics."""
        self._rest.send("PUT", self._path(location, "topics"), {"topics": list(topics)})


def _proposal(pull: dict[str, Any]) -> Proposal:
    merged = bool(pull.get("merged"))
    state = ProposalState.MERGED if merged else ProposalState(pull["state"])
    return Proposal(pull["number"], pull["html_url"], pull["head"]["ref"], pull["base"]["ref"], state)
