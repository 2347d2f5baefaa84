"""`Gitea`: repositories on Gitea and Forgejo, by their REST API (version 1; the same for both).

What their description does not say is in their source, which the comments name by the path in the repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.api import OperationError, nearest
from devstream_plugin_scm.deploy_keys import bare_key, put_key
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
from devstream_plugin_scm.places import place_of, split_location
from devstream_plugin_scm.rest import Rest, RestError, attempts, authorization, check_clear, steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from devstream.api import Context, Secret
    from devstream_plugin_scm.forge import Mark
    from devstream_plugin_scm.repository import RepoInfo

__all__ = ["Gitea"]

DEFAULT_URL = "https://gitea.com"
_LATER = "try again later"
_STYLES = {
    "merge": "allow_merge_commits",
    "squash": "allow_squash_merge",
    "rebase": "allow_rebase",
    "rebase-merge": "allow_rebase_explicit",
}
"""Ways to merge, by the setting of a repository that allows them (modules/structs/repo.go)."""
_NEW_HINT = (
    "is it an organisation, and may the token make repositories there? "
    "(scopes `write:organization` and `write:repository`; for repositories of one's own `write:user` instead)"
)
_EVENTS = (
    *(
        "create",
        "delete",
        "fork",
        "issue_assign",
        "issue_comment",
        "issue_label",
        "issue_milestone",
        "issues",
    ),
    *("issues_only", "package", "pull_request", "pull_request_assign", "pull_request_comment"),
    *("pull_request_label", "pull_request_milestone", "pull_request_only", "pull_request_review"),
    *("pull_request_review_request", "pull_request_sync", "push", "release", "repository", "wiki"),
)


class Gitea:
    """Repositories on one Gitea.

    Args:
        repo: says where it is and with which token.

    Attributes:
        patience: seconds that Gitea gets to find out whether a pull request can be merged.
    """

    patience: float = 20.0

    def __init__(self, repo: RepoInfo, context: Context) -> None:
        place = place_of(repo, DEFAULT_URL)
        check_clear(place.url, allow_http=repo.allow_http)
        self._place = place
        self._host = place.host
        self._repo = repo
        self._context = context
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
        """Describe a repository, at the address that users named: git shows the token there.

        Gitea's own ``clone_url`` begins with its setting ROOT_URL, which may be another host.
        """
        return Hosted(
            id=str(found["id"]),
            location=f"{self._host}/{found['full_name']}",
            clone_url=f"{self._place.url}/{found['full_name']}.git",
            web_url=found["html_url"],
            default_branch=found.get("default_branch") or "",
            address=marked_address(found.get("description")),
            visibility="private" if found.get("private") else "public",
            archived=bool(found.get("archived")),
            ssh_url=found.get("ssh_url") or "",
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
        path = "/user/repos" if self._is_mine(owner) else steps("orgs", owner, "repos")
        try:
            made = self._rest.send("POST", path, wanted)
        except RestError as error:
            there = self.find(location) if error.status == 409 or error.unsettled else None
            if there is not None:
                return there
            if error.status == 404:
                raise RestError(error.diagnostic.summary, status=404, suggestion=_NEW_HINT) from None
            raise
        if made["private"] != wanted["private"]:  # FORCE_PRIVATE
            self._context.log.warning(f"{made['html_url']} is private: this Gitea has no public repositories")
        return self._hosted(made)

    def _is_mine(self, owner: str) -> bool:
        """Tell whether the token belongs to an owner; one that may not even read its user makes nothing there.

        Making a repository takes the scope `write:user` or `write:organization` besides `write:repository`
        (routers/api/v1/api.go).
        """
        if owner == self._repo.org:
            return False
        try:
            mine: str = self._rest.get("/user")["login"]
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
        owner, name = split_location(now.location, self._host)
        new_owner, new_name = split_location(target, self._host)
        if name != new_name:
            self._rest.send("PATCH", self._path(now.location), {"name": new_name})
        if owner.casefold() != new_owner.casefold():
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
        """Make a branch the default one; one that is not there Gitea passes over (routers/api/v1/repo/repo.go)."""
        now = self._rest.send("PATCH", self._path(location), {"default_branch": branch})["default_branch"]
        if now != branch:
            message = f"the default branch of {location} is still {now}: Gitea knows no branch {branch}"
            raise OperationError(message, suggestion="push it first")

    def login(self) -> Login | None:
        """Give the token: as a password it goes with any user."""
        token = self._repo.token
        return Login(self._repo.user or "devstream", token) if token else None

    # ---- pull requests

    def proposal(self, location: str, branch: str) -> Proposal | None:
        """Find the newest pull request from a branch: Gitea lists the newest first."""
        path = self._path(location, "pulls")
        listed = (pull for state in ("open", "closed") for pull in self._rest.pages(path, state=state))
        found = next((pull for pull in listed if _comes_from(pull, branch)), None)
        return _proposal(found) if found else None

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
        """Merge a pull request with a merge commit, or by what the repository allows.

        Gitea finds out later whether it can be merged, and says until then what it says of conflicts too
        (`CheckPullMergeable` in services/pull/check.go).
        """
        path = self._path(location, "pulls", proposal.number)
        style = _style(self._rest.get(self._path(location)))
        for last in attempts(self._context, self.patience):
            try:
                self._rest.send("POST", f"{path}/merge", {"Do": style})
            except RestError as error:
                if self._rest.get(path).get("merged"):
                    return
                if error.status != 405 or _LATER not in str(error):
                    raise
                if last:
                    message = f"Gitea does not merge {proposal.url} into {proposal.base}"
                    hint = "it conflicts, or is not checked yet: look at it there"
                    raise RestError(message, status=405, suggestion=hint) from None
            else:
                return

    def decline(self, location: str, proposal: Proposal) -> None:
        """Close a pull request."""
        try:
            self._rest.send("PATCH", self._path(location, "pulls", proposal.number), {"state": "closed"})
        except RestError:
            now = self.proposal(location, proposal.branch)
            if now is None or now.state is ProposalState.OPEN:
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
            made = self._rest.send("PATCH", self._path(location, "hooks", hook.id), wanted)
        else:
            made = self._rest.send("POST", self._path(location, "hooks"), {"type": "gitea", **wanted})
        _check_events(hook.events, made["events"])
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

    # ---- deploy keys

    def deploy_keys(self, location: str) -> Sequence[DeployKey]:
        """List the deploy keys."""
        return [_deploy_key(key) for key in self._rest.pages(self._path(location, "keys"))]

    def put_deploy_key(self, location: str, key: DeployKey) -> DeployKey:
        """Make a deploy key."""
        return put_key(
            location,
            key,
            listed=lambda: self.deploy_keys(location),
            make=lambda wanted: self._make_deploy_key(location, wanted),
            remove=lambda key_id: self.delete_deploy_key(location, key_id),
        )

    def _make_deploy_key(self, location: str, key: DeployKey) -> DeployKey:
        wanted = {"title": key.title, "key": key.key, "read_only": key.read_only}
        return _deploy_key(self._rest.send("POST", self._path(location, "keys"), wanted))

    def delete_deploy_key(self, location: str, key_id: str) -> None:
        """Remove a deploy key."""
        self._rest.remove(self._path(location, "keys", key_id))


def _comes_from(pull: dict[str, Any], branch: str) -> bool:
    """Tell whether a pull request is from a branch of the same repository; ``ref`` forgets one that is gone.

    As in services/convert/pull.go. Somebody's fork may have a branch of the same name.
    """
    head = pull["head"]
    return bool(head["label"] == branch and head["repo_id"] == pull["base"]["repo_id"])


def _proposal(pull: dict[str, Any]) -> Proposal:
    merged = bool(pull.get("merged"))
    state = ProposalState.MERGED if merged else ProposalState(pull["state"])
    return Proposal(pull["number"], pull["html_url"], pull["head"]["label"], pull["base"]["ref"], state)


def _style(repository: dict[str, Any]) -> str:
    """Choose how a pull request is merged."""
    allowed = ((style, repository.get(setting)) for style, setting in _STYLES.items())
    return next((style for style, may in allowed if may is not False), "merge")


def _check_events(wanted: Sequence[str], shown: Sequence[str]) -> None:
    """Refuse an event that Gitea passed over; one word may stand for many (`addHook` in routers/api/v1/utils/hook.go)."""
    for event in wanted:
        begins = event.casefold().removesuffix("_only")
        if not any(on.startswith(begins) for on in shown):
            message = f'Gitea has no webhook event "{event}"'
            raise OperationError(
                message, suggestion=nearest(event, _EVENTS) or f"it has: {', '.join(_EVENTS)}"
            )


def _deploy_key(found: dict[str, Any]) -> DeployKey:
    return DeployKey(found["title"], bare_key(found["key"]), found["read_only"], str(found["id"]))
