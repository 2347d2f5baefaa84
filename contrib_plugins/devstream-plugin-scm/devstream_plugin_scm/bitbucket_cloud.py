"""`BitbucketCloud`: repositories on bitbucket.org, by its REST API 2.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from devstream.api import OperationError
from devstream_plugin_scm.bitbucket import CLOUD, MOVED, authorization, host_of
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
from devstream_plugin_scm.places import split_location
from devstream_plugin_scm.repo_url import parse_repo_url
from devstream_plugin_scm.rest import Rest, RestError, check_clear, steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from devstream.api import Context, Secret
    from devstream_plugin_scm.forge import Mark
    from devstream_plugin_scm.repository import RepoInfo

__all__ = ["BitbucketCloud"]

DEFAULT_API = "https://api.bitbucket.org/2.0"
_PAGE = 50
_MOST_PAGES = 200
_STATES = {
    "OPEN": ProposalState.OPEN,
    "MERGED": ProposalState.MERGED,
    "DECLINED": ProposalState.CLOSED,
    "SUPERSEDED": ProposalState.CLOSED,
}


class BitbucketCloud:
    """Repositories on bitbucket.org: ``owner`` or ``org`` is the workspace, ``nameSpace`` a project's key.

    Args:
        repo: says in which workspace, and with which token: an access token, or with ``user`` an API token or an
            app password.
    """

    def __init__(self, repo: RepoInfo, context: Context) -> None:
        self._repo = repo
        self._host = host_of(repo)
        self._log = context.log
        self._api = repo.api_url.rstrip("/") or DEFAULT_API
        check_clear(self._api, allow_http=repo.allow_http)
        self._rest = Rest(
            context,
            self._api,
            headers=authorization(repo),
            service="Bitbucket",
            ca_file=context.folder / repo.ca_file if repo.ca_file else None,
            repeated=MOVED,
        )

    def locate(self, repo: RepoInfo) -> str:
        """Give ``bitbucket.org/workspace/name``; Bitbucket keeps both in small letters."""
        workspace = repo.owner or repo.org or (parse_repo_url(repo.url).namespace if repo.url else "")
        if not workspace:
            message = "a repository on bitbucket.org needs an owner or an org: its workspace"
            raise OperationError(message, suggestion="nameSpace names the project in it")
        return f"{self._host}/{workspace}/{repo.short_name}".lower()

    def _path(self, location: str, *more: object) -> str:
        return steps("repositories", *split_location(location, self._host), *more)

    def find(self, location: str) -> Hosted | None:
        """Look a repository up; Bitbucket sends old names on to new ones."""
        found = self._rest.find(self._path(location))
        return None if found is None else self._hosted(found)

    def _hosted(self, found: dict[str, Any]) -> Hosted:
        branch = found.get("mainbranch") or {}
        return Hosted(
            id=found["uuid"],
            location=f"{self._host}/{found['full_name']}",
            clone_url=_without_user(_link(found["links"]["clone"], "https")),
            web_url=found["links"]["html"]["href"],
            default_branch=branch.get("name", ""),
            address=marked_address(found.get("description")),
            visibility="private" if found["is_private"] else "public",
            ssh_url=_link(found["links"]["clone"], "ssh"),
        )

    def create(self, location: str, *, mark: Mark, visibility: str) -> Hosted:
        """Make an empty repository in the workspace, and in the project that ``nameSpace`` names."""
        if visibility == "internal":
            message = "Bitbucket knows no internal repositories"
            raise OperationError(message, suggestion="visibility: private, or public")
        private = visibility != "public"
        wanted: dict[str, Any] = {
            "type": "repository",
            "scm": "git",
            "description": description_of(mark),
            "is_private": private,
            "fork_policy": "no_public_forks" if private else "allow_forks",
        }
        if self._repo.name_space:
            wanted["project"] = {"type": "project", "key": self._repo.name_space}
        try:
            return self._hosted(self._rest.send("POST", self._path(location), wanted))
        except RestError as error:
            there = self.find(location) if error.status in {400, 409} or error.unsettled else None
            if there is None:
                raise
            return there

    def move(self, location: str, target: str) -> Hosted:
        """Rename; to another workspace Bitbucket moves repositories only by hand."""
        (workspace, _), (other, name) = (split_location(at, self._host) for at in (location, target))
        if workspace.casefold() != other.casefold():
            message = (
                f"{location} cannot become {target}: Bitbucket moves nothing between workspaces by its API"
            )
            raise OperationError(
                message, suggestion=f"transfer it in its settings on {CLOUD}, then run again"
            )
        found = self._change(location, {"name": name})
        if found.location.casefold() != target.casefold():
            message = f"{location} became {found.location}, not {target}"
            raise OperationError(message)
        return found

    def _change(self, location: str, fields: dict[str, Any]) -> Hosted:
        """Change a repository by its id: by its name, Bitbucket would make one where there is none."""
        found = self._rest.get(self._path(location))
        workspace = found["full_name"].partition("/")[0]
        wanted = {"type": "repository", "is_private": found["is_private"], **fields}
        return self._hosted(self._rest.send("PUT", steps("repositories", workspace, found["uuid"]), wanted))

    def delete(self, location: str) -> None:
        """Remove a repository."""
        self._rest.remove(self._path(location))

    def set_default_branch(self, location: str, branch: str) -> None:
        """Make a branch the main one."""
        self._change(location, {"mainbranch": {"type": "branch", "name": branch}})

    def login(self) -> Login | None:
        """Give the token, with the user that Bitbucket wants beside it: it differs by the kind of token."""
        if self._repo.token is None:
            return None
        user = self._repo.user or "x-token-auth"
        return Login("x-bitbucket-api-token-auth" if "@" in user else user, self._repo.token)

    # ---- pull requests

    def proposal(self, location: str, branch: str) -> Proposal | None:
        """Find the newest pull request from a branch."""
        path = self._path(location, "pullrequests")
        wanted = {"state": list(_STATES), "q": f'source.branch.name = "{branch}"', "sort": "-created_on"}
        found = [pull for pull in self._pages(path, **wanted) if _is_from(pull, branch)]
        if not found:
            return None
        return _proposal(max(found, key=lambda pull: (pull["state"] == "OPEN", pull["id"])))

    def propose(self, location: str, *, branch: str, base: str, title: str, body: str) -> Proposal:
        """Open a pull request, if none is open from the branch."""
        there = self.proposal(location, branch)
        if there is not None and there.state is ProposalState.OPEN:
            return there
        wanted = {
            "type": "pullrequest",
            "title": title,
            "description": body,
            "source": {"branch": {"name": branch}},
            "destination": {"branch": {"name": base}},
        }
        try:
            return _proposal(self._rest.send("POST", self._path(location, "pullrequests"), wanted))
        except RestError as error:
            there = self.proposal(location, branch) if error.status in {400, 409} or error.unsettled else None
            if there is None or there.state is not ProposalState.OPEN:
                raise
            return there

    def merge(self, location: str, proposal: Proposal) -> None:
        """Merge a pull request with a merge commit."""
        wanted = {"type": "pullrequest", "merge_strategy": "merge_commit"}
        try:
            self._rest.send("POST", self._path(location, "pullrequests", proposal.number, "merge"), wanted)
        except RestError:
            now = self._rest.find(self._path(location, "pullrequests", proposal.number))
            if now is None or now["state"] != "MERGED":
                raise

    def decline(self, location: str, proposal: Proposal) -> None:
        """Decline a pull request."""
        try:
            self._rest.send("POST", self._path(location, "pullrequests", proposal.number, "decline"))
        except RestError:
            now = self._rest.find(self._path(location, "pullrequests", proposal.number))
            if now is None or now["state"] == "OPEN":
                raise

    # ---- webhooks

    def webhooks(self, location: str) -> Sequence[Webhook]:
        """List the webhooks."""
        return [_webhook(hook) for hook in self._pages(self._path(location, "hooks"))]

    def put_webhook(self, location: str, hook: Webhook, secret: Secret | None) -> Webhook:
        """Make or change a webhook; without a secret, the one it has stays."""
        wanted: dict[str, Any] = {
            "type": "webhook_subscription",
            "description": "devstream",
            "url": hook.url,
            "active": hook.active,
            "events": list(hook.events),
        }
        if secret is not None:
            wanted["secret"] = secret.reveal()
        if hook.id:
            self._rest.send("PUT", self._path(location, "hooks", hook.id), wanted)
            return hook
        made = self._rest.send("POST", self._path(location, "hooks"), wanted)
        return hook._replace(id=made["uuid"])

    def delete_webhook(self, location: str, hook_id: str) -> None:
        """Remove a webhook."""
        self._rest.remove(self._path(location, "hooks", hook_id))

    # ---- deploy keys (access keys)

    def deploy_keys(self, location: str) -> Sequence[DeployKey]:
        """List the access keys; none of them may push."""
        try:
            return [_deploy_key(key) for key in self._pages(self._path(location, "deploy-keys"))]
        except RestError as error:
            if error.status != 403:
                raise
            hint = "access keys want an API token, with its user beside it; no access token gets to them"
            raise RestError(error.diagnostic.summary, status=403, suggestion=hint) from error

    def put_deploy_key(self, location: str, key: DeployKey) -> DeployKey:
        """Make an access key.

        Raises:
            OperationError: it is to push, which none can on bitbucket.org.
        """
        if not key.read_only:
            message = f"{location}: access keys on {CLOUD} can only read"
            raise OperationError(message, suggestion="readOnly: true; to push, an access token")
        return put_key(
            location,
            key,
            listed=lambda: self.deploy_keys(location),
            make=lambda new: self._make_deploy_key(location, new),
            remove=lambda key_id: self.delete_deploy_key(location, key_id),
        )

    def _make_deploy_key(self, location: str, key: DeployKey) -> DeployKey:
        wanted = {"label": key.title, "key": key.key}
        return _deploy_key(self._rest.send("POST", self._path(location, "deploy-keys"), wanted))

    def delete_deploy_key(self, location: str, key_id: str) -> None:
        """Remove an access key."""
        self._rest.remove(self._path(location, "deploy-keys", key_id))

    # ---- Pipelines

    def secret_names(self, location: str) -> frozenset[str]:
        """List the names of the secured variables of Bitbucket Pipelines."""
        return frozenset(item["key"] for item in self._variables(location) if item["secured"])

    def put_secret(self, location: str, name: str, value: Secret) -> None:
        """Set a secured variable."""
        self._put(location, {"key": name, "value": value.reveal(), "secured": True})

    def delete_secret(self, location: str, name: str) -> None:
        """Remove a secured variable."""
        self._remove(location, name, secured=True)

    def variables(self, location: str) -> dict[str, str]:
        """Give the variables that are not secured."""
        return {
            item["key"]: item.get("value", "") for item in self._variables(location) if not item["secured"]
        }

    def put_variable(self, location: str, name: str, value: str) -> None:
        """Set a variable that is not secured."""
        self._put(location, {"key": name, "value": value, "secured": False})

    def delete_variable(self, location: str, name: str) -> None:
        """Remove a variable that is not secured."""
        self._remove(location, name, secured=False)

    def _variables(self, location: str) -> list[dict[str, Any]]:
        """List all variables; there are none where Pipelines were never enabled."""
        try:
            return list(self._pages(self._path(location, "pipelines_config", "variables")))
        except RestError as error:
            if error.status != 404 or self.find(location) is None:
                raise
            return []

    def _put(self, location: str, variable: dict[str, Any]) -> None:
        self._enable_pipelines(location)
        wanted = {"type": "pipeline_variable", **variable}
        try:
            self._put_once(location, wanted)
        except RestError as error:
            if error.status != 409:
                raise
            self._put_once(location, wanted)  # somebody made it in between: now it is changed

    def _put_once(self, location: str, wanted: dict[str, Any]) -> None:
        path = ("pipelines_config", "variables")
        there = next((item for item in self._variables(location) if item["key"] == wanted["key"]), None)
        if there is not None and there["secured"] != wanted["secured"]:
            self._rest.remove(self._path(location, *path, there["uuid"]))  # Bitbucket changes no kind
            there = None
        if there is None:
            self._rest.send("POST", self._path(location, *path), wanted)
        else:
            self._rest.send("PUT", self._path(location, *path, there["uuid"]), wanted)

    def _remove(self, location: str, name: str, *, secured: bool) -> None:
        for item in self._variables(location):
            if item["key"] == name and item["secured"] == secured:
                self._rest.remove(self._path(location, "pipelines_config", "variables", item["uuid"]))

    def _enable_pipelines(self, location: str) -> None:
        """Enable Pipelines: before that, Bitbucket takes no variables."""
        path = self._path(location, "pipelines_config")
        now = self._rest.find(path)
        if not now or not now.get("enabled"):
            self._rest.send("PUT", path, {"type": "repository_pipelines_configuration", "enabled": True})

    def set_topics(self, location: str, topics: Sequence[str]) -> None:
        """Say that there are none: Bitbucket Cloud has no topics or labels."""
        if topics:
            self._log.info(f"{location}: Bitbucket has no topics; left out: {', '.join(topics)}")

    # ---- pages

    def _pages(self, path: str, **query: Any) -> Iterator[Any]:
        """Go through a list by the links that Bitbucket gives, never to another server."""
        page = self._rest.get(path, pagelen=_PAGE, **query)
        for _ in range(_MOST_PAGES):
            yield from page["values"]
            following = page.get("next")
            if not following:
                return
            if not following.startswith(f"{self._api}/"):
                message = (
                    f"Bitbucket continues a list on another server; it was not followed: {following[:200]}"
                )
                raise RestError(message)
            page = self._rest.get(following.removeprefix(self._api))


def _link(links: list[dict[str, str]], name: str) -> str:
    return next(link["href"] for link in links if link["name"] == name)


def _without_user(url: str) -> str:
    """Take the user out of a URL: Bitbucket writes whoever asks into it."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _is_from(pull: dict[str, Any], branch: str) -> bool:
    """Tell whether a pull request is from a branch of the repository itself; that of a deleted fork is None."""
    source, target = (pull[side].get("repository") or {} for side in ("source", "destination"))
    return pull["source"]["branch"]["name"] == branch and source.get("uuid") == target.get("uuid")


def _proposal(pull: dict[str, Any]) -> Proposal:
    return Proposal(
        pull["id"],
        pull["links"]["html"]["href"],
        pull["source"]["branch"]["name"],
        pull["destination"]["branch"]["name"],
        _STATES[pull["state"]],
    )


def _webhook(hook: dict[str, Any]) -> Webhook:
    return Webhook(hook["url"], tuple(sorted(hook["events"])), hook["uuid"], hook["active"])


def _deploy_key(found: dict[str, Any]) -> DeployKey:
    return DeployKey(found.get("label") or "", bare_key(found["key"]), id=str(found["id"]))
