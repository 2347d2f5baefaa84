"""`BitbucketServer`: repositories on Bitbucket Data Center, by its REST API 1.0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from devstream.api import OperationError
from devstream_plugin_scm.bitbucket import MOVED, authorization
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
from devstream_plugin_scm.repo_url import parse_repo_url
from devstream_plugin_scm.rest import Rest, RestError, check_clear, steps

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from devstream.api import Context, Secret
    from devstream_plugin_scm.forge import Mark
    from devstream_plugin_scm.repository import RepoInfo

__all__ = ["BitbucketServer"]

_PAGE = 50
_MOST_PAGES = 200
_HEADS = "refs/heads/"
_API = "/rest/api/1.0"
_KEYS_API = "/rest/keys/1.0"
_READ, _WRITE = "REPO_READ", "REPO_WRITE"
_MERGE_TRIES = 3
_STATES = {
    "OPEN": ProposalState.OPEN,
    "MERGED": ProposalState.MERGED,
    "DECLINED": ProposalState.CLOSED,
}


class BitbucketServer:
    """Repositories on one Bitbucket Data Center: ``org`` or ``nameSpace`` is a project, ``owner`` a user.

    Args:
        repo: says where it is and with which token: an HTTP access token, or with ``user`` also a password.
    """

    def __init__(self, repo: RepoInfo, context: Context) -> None:
        place = place_of(repo, "")
        self._repo = repo
        self._host = place.host
        self._base = f"{place.url}{'' if repo.base_url else _context_path(repo.url)}"
        check_clear(self._base, allow_http=repo.allow_http)
        api = repo.api_url.rstrip("/") or f"{self._base}{_API}"
        headers = {"X-Atlassian-Token": "no-check", **authorization(repo)}
        ca_file = context.folder / repo.ca_file if repo.ca_file else None
        name = "Bitbucket Data Center"
        keys = f"{api.removesuffix(_API)}{_KEYS_API}"
        self._rest, self._keys = (
            Rest(context, url, headers=headers, service=name, ca_file=ca_file, repeated=MOVED)
            for url in (api, keys)
        )

    def locate(self, repo: RepoInfo) -> str:
        """Give ``host/PROJECT/name``, or ``host/~user/name`` of a user's own."""
        return f"{self._host}/{_key(_namespace(repo))}/{repo.short_name.lower()}"

    def _path(self, location: str, *more: object) -> str:
        key, name = split_location(location, self._host)
        return steps("projects", key, "repos", name, *more)

    def find(self, location: str) -> Hosted | None:
        """Look a repository up, following a redirect within the server."""
        found = self._rest.find(self._path(location))
        return None if found is None else self._hosted(found)

    def _hosted(self, found: dict[str, Any]) -> Hosted:
        location = f"{self._host}/{_key(found['project']['key'])}/{found['slug']}"
        branch = self._rest.find(self._path(location, "default-branch")) or {}
        return Hosted(
            id=str(found["id"]),
            location=location,
            clone_url=_clone_url(found),
            web_url=found["links"]["self"][0]["href"].removesuffix("/browse"),
            default_branch=branch.get("displayId", ""),
            address=marked_address(found.get("description")),
            visibility="public" if found["public"] else "private",
            archived=bool(found.get("archived")),
            ssh_url=next((link["href"] for link in found["links"]["clone"] if link["name"] == "ssh"), ""),
        )

    def create(self, location: str, *, mark: Mark, visibility: str) -> Hosted:
        """Make an empty repository in a project that exists, or of a user's own."""
        key, name = split_location(location, self._host)
        if visibility == "internal":
            message = "Bitbucket Data Center knows no internal repositories"
            raise OperationError(message, suggestion="visibility: private, or public")
        wanted = {
            "name": name,
            "scmId": "git",
            "description": description_of(mark),
            "public": visibility == "public",
            "defaultBranch": self._repo.branch or "main",
        }
        try:
            made = self._rest.send("POST", steps("projects", key, "repos"), wanted)
        except RestError as error:
            there = self.find(location) if error.status == 409 or error.unsettled else None
            if there is None:
                raise
            return there
        return self._hosted(self._completed(made, wanted))

    def _completed(self, made: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
        """Set what a server leaves out when it makes a repository: older ones take only the name."""
        missing = {part: wanted[part] for part in ("description", "public") if made.get(part) != wanted[part]}
        if not missing:
            return made
        path = steps("projects", made["project"]["key"], "repos", made["slug"])
        changed: dict[str, Any] = self._rest.send("PUT", path, missing)
        return changed

    def move(self, location: str, target: str) -> Hosted:
        """Rename, move to another project, or both."""
        key, name = split_location(target, self._host)
        wanted = {"name": name, "project": {"key": key}}
        found = self._hosted(self._rest.send("PUT", self._path(location), wanted))
        if found.location.casefold() != target.casefold():
            message = f"{location} became {found.location}, not {target}"
            raise OperationError(message)
        return found

    def delete(self, location: str) -> None:
        """Remove a repository."""
        self._rest.remove(self._path(location))

    def set_default_branch(self, location: str, branch: str) -> None:
        """Make a branch the default one."""
        self._rest.send("PUT", self._path(location, "default-branch"), {"id": f"{_HEADS}{branch}"})

    def login(self) -> Login | None:
        """Give the token: with its user as a password, alone as a bearer's (a project's token has no user)."""
        return Login(self._repo.user, self._repo.token) if self._repo.token else None

    # ---- pull requests

    def proposal(self, location: str, branch: str) -> Proposal | None:
        """Find the newest pull request from a branch."""
        found = self._pull(location, branch)
        return _proposal(found) if found else None

    def _pull(self, location: str, branch: str) -> dict[str, Any] | None:
        path = self._path(location, "pull-requests")
        wanted = {"state": "ALL", "direction": "OUTGOING", "order": "NEWEST", "at": f"{_HEADS}{branch}"}
        found = [pull for pull in self._pages(path, **wanted) if _is_from(pull, branch)]
        return max(found, key=lambda pull: (pull["state"] == "OPEN", pull["id"]), default=None)

    def propose(self, location: str, *, branch: str, base: str, title: str, body: str) -> Proposal:
        """Open a pull request."""
        key, name = split_location(location, self._host)
        repository = {"slug": name, "project": {"key": key}}
        wanted = {
            "title": title,
            "description": body,
            "fromRef": {"id": f"{_HEADS}{branch}", "repository": repository},
            "toRef": {"id": f"{_HEADS}{base}", "repository": repository},
        }
        try:
            return _proposal(self._rest.send("POST", self._path(location, "pull-requests"), wanted))
        except RestError as error:
            there = self.proposal(location, branch) if error.status == 409 or error.unsettled else None
            if there is None or there.state is not ProposalState.OPEN:
                raise
            return there

    def merge(self, location: str, proposal: Proposal) -> None:
        """Merge a pull request in the version it has now; in the next one where it was changed meanwhile."""
        path = self._path(location, "pull-requests", proposal.number)
        pull = self._rest.get(path)
        for _ in range(_MERGE_TRIES):
            if pull["state"] == "MERGED":
                return
            before = pull["version"]
            try:
                self._rest.request("POST", f"{path}/merge", body={}, query={"version": before})
            except RestError as error:
                pull = self._rest.get(path)
                if pull["state"] != "MERGED" and (error.status != 409 or pull["version"] == before):
                    raise
            else:
                return
        message = f"{proposal.url} is changed all the time; it was not merged"
        raise OperationError(message)

    def decline(self, location: str, proposal: Proposal) -> None:
        """Decline a pull request in the version it has now."""
        path = self._path(location, "pull-requests", proposal.number)
        for attempt in range(_MERGE_TRIES):
            pull = self._rest.get(path)
            if pull["state"] != "OPEN":
                return
            try:
                self._rest.request("POST", f"{path}/decline", body={}, query={"version": pull["version"]})
            except RestError as error:
                if error.status != 409 or attempt == _MERGE_TRIES - 1:
                    raise

    # ---- webhooks

    def webhooks(self, location: str) -> Sequence[Webhook]:
        """List the webhooks."""
        return [
            Webhook(hook["url"], tuple(sorted(hook["events"])), str(hook["id"]), hook["active"])
            for hook in self._pages(self._path(location, "webhooks"))
        ]

    def put_webhook(self, location: str, hook: Webhook, secret: Secret | None) -> Webhook:
        """Make or change a webhook."""
        wanted: dict[str, Any] = {
            "name": "devstream",
            "url": hook.url,
            "active": hook.active,
            "events": list(hook.events),
            "sslVerificationRequired": True,
        }
        if secret is not None:
            wanted["configuration"] = {"secret": secret.reveal()}
        if hook.id:
            self._rest.send("PUT", self._path(location, "webhooks", hook.id), wanted)
            return hook
        made = self._rest.send("POST", self._path(location, "webhooks"), wanted)
        return hook._replace(id=str(made["id"]))

    def delete_webhook(self, location: str, hook_id: str) -> None:
        """Remove a webhook."""
        self._rest.remove(self._path(location, "webhooks", hook_id))

    # ---- deploy keys (access keys)

    def deploy_keys(self, location: str) -> Sequence[DeployKey]:
        """List the access keys of the repository itself; those of its project are the project's business."""
        return [_deploy_key(key) for key in _pages(self._keys, self._path(location, "ssh"))]

    def put_deploy_key(self, location: str, key: DeployKey) -> DeployKey:
        """Make an access key."""
        return put_key(
            location,
            key,
            listed=lambda: self.deploy_keys(location),
            make=lambda new: self._make_deploy_key(location, new),
            remove=lambda key_id: self.delete_deploy_key(location, key_id),
        )

    def _make_deploy_key(self, location: str, key: DeployKey) -> DeployKey:
        # Older servers take the label from the key's comment only.
        text = {"text": f"{key.key} {key.title}", "label": key.title}
        wanted = {"key": text, "permission": _READ if key.read_only else _WRITE}
        return _deploy_key(self._keys.send("POST", self._path(location, "ssh"), wanted))

    def delete_deploy_key(self, location: str, key_id: str) -> None:
        """Remove an access key from the repository."""
        self._keys.remove(self._path(location, "ssh", key_id))

    # ---- CI: there is none

    def secret_names(self, location: str) -> frozenset[str]:
        """Refuse: see `_no_ci`."""
        raise _no_ci(location)

    def put_secret(self, location: str, name: str, value: Secret) -> None:  # noqa: ARG002 - the protocol's
        """Refuse: see `_no_ci`."""
        raise _no_ci(location)

    def delete_secret(self, location: str, name: str) -> None:
        """Do nothing: it is gone."""

    def variables(self, location: str) -> dict[str, str]:
        """Refuse: see `_no_ci`."""
        raise _no_ci(location)

    def put_variable(self, location: str, name: str, value: str) -> None:  # noqa: ARG002 - the protocol's
        """Refuse: see `_no_ci`."""
        raise _no_ci(location)

    def delete_variable(self, location: str, name: str) -> None:
        """Do nothing: it is gone."""

    # ---- labels

    def set_topics(self, location: str, topics: Sequence[str]) -> None:
        """Replace the labels, which are what Data Center has for topics."""
        path = self._path(location, "labels")
        there = {label["name"] for label in self._pages(path)}
        for name in sorted(set(topics) - there):
            self._rest.send("POST", path, {"name": name})
        for name in sorted(there - set(topics)):
            self._rest.remove(self._path(location, "labels", name))

    def _pages(self, path: str, **query: Any) -> Iterator[Any]:
        return _pages(self._rest, path, **query)


def _pages(rest: Rest, path: str, **query: Any) -> Iterator[Any]:
    start = 0
    for _ in range(_MOST_PAGES):
        page = rest.get(path, **query, start=start, limit=_PAGE)
        yield from page["values"]
        if page["isLastPage"]:
            return
        start = page["nextPageStart"]


def _namespace(repo: RepoInfo) -> str:
    """Say whose a repository is: a project's, by its key, or a user's, as ``~user``."""
    if repo.name_space or repo.org:
        return repo.name_space or repo.org
    if repo.owner:
        return f"~{repo.owner}"
    path = parse_repo_url(repo.url).path
    kind, key, repos = ("", "", *path[:-1])[-3:]
    if repos == "repos" and kind in {"projects", "users"}:  # as the browser shows it
        return f"~{key}" if kind == "users" else key
    return repos


def _context_path(url: str) -> str:
    """Give what stands before ``scm`` in the URL of a clone: where Bitbucket shares its host."""
    if not url or parse_repo_url(url).scheme == "ssh":
        return ""
    before, found, _ = urlsplit(url).path.partition("/scm/")
    return before if found else ""


def _key(key: str) -> str:
    """Write a project's key as Bitbucket does; it takes both cases, and answers in either for users."""
    return key.lower() if key.startswith("~") else key.upper()


def _clone_url(found: dict[str, Any]) -> str:
    """Give what git clones: by http without the user that is in it, by ssh where a server has nothing else."""
    links = {link["name"]: link["href"] for link in found["links"]["clone"]}
    href = links.get("http") or links.get("https")
    if not href:
        return str(links["ssh"])
    parts = urlsplit(href)
    return str(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl())


def _is_from(pull: dict[str, Any], branch: str) -> bool:
    """Tell whether a pull request is from a branch of the repository itself, not of a fork."""
    source, target = pull["fromRef"], pull["toRef"]
    return bool(source["displayId"] == branch and source["repository"]["id"] == target["repository"]["id"])


def _proposal(pull: dict[str, Any]) -> Proposal:
    return Proposal(
        pull["id"],
        pull["links"]["self"][0]["href"],
        pull["fromRef"]["displayId"],
        pull["toRef"]["displayId"],
        _STATES[pull["state"]],
    )


def _no_ci(location: str) -> OperationError:
    message = (
        f"{location}: Bitbucket Data Center has no CI of its own, and so no secrets or variables for one"
    )
    return OperationError(message, suggestion="keep them where the CI is: jenkins-pipeline does")


def _deploy_key(found: dict[str, Any]) -> DeployKey:
    key = found["key"]
    return DeployKey(
        key.get("label") or "", bare_key(key["text"]), found["permission"] == _READ, str(key["id"])
    )
