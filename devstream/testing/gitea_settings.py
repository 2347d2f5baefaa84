"""`GiteaSettings`: webhooks, deploy keys, and the secrets and variables of Actions of Gitea's stand-in."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from devstream.testing.gitea_repositories import REPO, GiteaRepositories
from devstream.testing.gitea_store import Refused
from devstream.testing.public_keys import PublicKey
from devstream.testing.service import Request, Response, route

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from devstream.testing.gitea_store import GiteaRepository

__all__ = ["GiteaSettings"]

_SECRET = re.compile(r"(?!GITEA_|GITHUB_)[A-Z_][A-Z0-9_]*", re.IGNORECASE)
_HOOK_TYPES = ("gitea", "gogs", "slack", "discord", "dingtalk")
_PLAIN = ("create", "delete", "fork", "package", "push", "release", "repository", "wiki")
_ISSUE = ("issue_assign", "issue_comment", "issue_label", "issue_milestone")
_REVIEW = ("pull_request_review_approved", "pull_request_review_comment", "pull_request_review_rejected")
_PULL = (
    "pull_request_assign",
    "pull_request_comment",
    "pull_request_label",
    "pull_request_milestone",
    "pull_request_review_request",
    "pull_request_sync",
)
_EVENTS = {
    **{event: (event,) for event in (*_PLAIN, *_ISSUE, *_PULL)},
    "issues_only": ("issues",),
    "issues": ("issues", *_ISSUE),
    "pull_request_only": ("pull_request",),
    "pull_request_review": _REVIEW,
    "pull_request": ("pull_request", *_PULL, *_REVIEW),
}
"""What each word that may be asked for switches on, as a webhook shows it then."""


class GiteaSettings(GiteaRepositories):
    """Keeps what a repository's settings hold.

    Attributes:
        users_keys: keys that users have, which are no deploy keys then.
        ssh: it takes keys at all.
        actions: it has secrets and variables by API, as Gitea 1.22 and later do.
    """

    def __init__(self, git_root: Path, **rest: Any) -> None:
        super().__init__(git_root, **rest)
        self.users_keys: set[str] = set()
        self.actions = True
        self.ssh = True

    # ---- webhooks

    @route("GET", f"{REPO}/hooks")
    def hooks(self, request: Request) -> Response:
        """List webhooks; the secret is not shown."""
        return self.paged(request, list(self.find(request).hooks.values()))

    @route("POST", f"{REPO}/hooks")
    def make_hook(self, request: Request) -> Response:
        """Make a webhook."""
        found, wanted = self.find(request), request.json
        config = wanted.get("config") or {}
        if wanted.get("type") not in _HOOK_TYPES:
            raise Refused(422, f"Invalid hook type: {wanted.get('type')}")
        missing = next((name for name in ("url", "content_type") if not config.get(name)), "")
        if missing:
            raise Refused(422, f"Missing config option: {missing}")
        number = self.next_number()
        found.hooks[number] = {"id": number, "type": wanted["type"], "config": {}, "active": False}
        found.hook_secrets[number] = ""
        return Response(201, _edited(found, found.hooks[number], wanted))

    @route("PATCH", f"{REPO}/hooks/{{id}}")
    def edit_hook(self, request: Request) -> Response:
        """Change a webhook; one whose events are not named is for pushes from then on."""
        found = self.find(request)
        hook = found.hooks.get(int(request.values["id"]))
        if hook is None:
            raise Refused(404)
        return Response(200, _edited(found, hook, request.json))

    @route("DELETE", f"{REPO}/hooks/{{id}}")
    def delete_hook(self, request: Request) -> Response:
        """Remove a webhook."""
        return _gone(self.find(request).hooks.pop(int(request.values["id"]), None))

    # ---- Actions

    def _vault(self, request: Request, kind: str) -> dict[str, str]:
        found = self.find(request)
        if not self.actions:
            raise Refused(404)
        kept: dict[str, str] = getattr(found, kind)
        return kept

    @route("GET", f"{REPO}/actions/secrets")
    def secrets(self, request: Request) -> Response:
        """List secrets by name."""
        return self.paged(request, [{"name": name} for name in self._vault(request, "secrets")])

    @route("PUT", f"{REPO}/actions/secrets/{{name}}")
    def put_secret(self, request: Request) -> Response:
        """Set a secret; names are kept in capitals."""
        kept = self._vault(request, "secrets")
        there = request.values["name"].upper() in kept
        _keep(kept, "secret", request, "data")
        return Response(204 if there else 201)

    @route("DELETE", f"{REPO}/actions/{{kind}}/{{name}}")
    def delete_secret(self, request: Request) -> Response:
        """Remove a secret or a variable."""
        kept = self._vault(request, request.values["kind"])
        return _gone(kept.pop(request.values["name"].upper(), None))

    @route("GET", f"{REPO}/actions/variables")
    def variables(self, request: Request) -> Response:
        """List variables."""
        kept = self._vault(request, "variables")
        return self.paged(request, [{"name": name, "data": value} for name, value in kept.items()])

    @route("GET", f"{REPO}/actions/variables/{{name}}")
    def variable(self, request: Request) -> Response:
        """Show a variable."""
        kept, name = self._vault(request, "variables"), request.values["name"].upper()
        if name not in kept:
            raise Refused(404, "variable not found")
        return Response(200, {"name": name, "data": kept[name]})

    @route("POST", f"{REPO}/actions/variables/{{name}}")
    def make_variable(self, request: Request) -> Response:
        """Make a variable; 1.22 says so by 204, later ones by 201."""
        kept, name = self._vault(request, "variables"), request.values["name"]
        if name.upper() in kept:
            raise Refused(409, f"variable name {name} already exists")
        _keep(kept, "variable", request, "value")
        return Response(204)

    @route("PUT", f"{REPO}/actions/variables/{{name}}")
    def put_variable(self, request: Request) -> Response:
        """Change a variable."""
        kept = self._vault(request, "variables")
        if request.values["name"].upper() not in kept:
            raise Refused(404, "variable not found")
        _keep(kept, "variable", request, "value")
        return Response(204)

    # ---- deploy keys

    @route("GET", f"{REPO}/keys")
    def keys(self, request: Request) -> Response:
        """List deploy keys."""
        return self.paged(request, list(self.find(request).keys.values()))

    @route("POST", f"{REPO}/keys")
    def make_key(self, request: Request) -> Response:
        """Make a deploy key: title and key only once in a repository, and no key that a user has."""
        found, wanted = self.find(request), request.json
        refused = self._refused_key(found, wanted) if self.ssh else "SSH is disabled"
        if refused:
            raise Refused(422, refused)
        number = self.next_number()
        found.keys[number] = {
            "id": number,
            "key_id": number,
            "title": wanted["title"],
            "key": wanted["key"].strip(),
            "read_only": wanted.get("read_only", False),
        }
        return Response(201, found.keys[number])

    def _refused_key(self, found: GiteaRepository, wanted: dict[str, Any]) -> str:
        missing = next((name for name in ("Title", "Key") if not wanted.get(name.lower())), "")
        if missing:
            return f"[{missing}]: Required"
        key = PublicKey.read(wanted["key"])
        if key is None:
            return "Invalid key content: ssh: no key found"
        if key.bare in self.users_keys:
            return "Key content has been used as non-deploy key"
        if any(kept["key"].startswith(key.bare) for kept in found.keys.values()):
            return "This key has already been added to this repository"
        taken = any(kept["title"] == wanted["title"] for kept in found.keys.values())
        return "A key with the same name already exists" if taken else ""

    @route("DELETE", f"{REPO}/keys/{{id}}")
    def delete_key(self, request: Request) -> Response:
        """Remove a deploy key; that it is gone already is fine."""
        self.find(request).keys.pop(int(request.values["id"]), None)
        return Response(204)


def _edited(found: GiteaRepository, hook: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    config = dict(wanted.get("config") or {})
    if config.get("content_type", "json") not in ("json", "form"):
        raise Refused(422, "Invalid content type")
    if "secret" in config:
        found.hook_secrets[hook["id"]] = config.pop("secret")
    hook["config"].update(config)
    hook["events"] = _switched_on(wanted.get("events") or ["push"])
    hook["active"] = wanted.get("active", hook["active"])
    return hook


def _switched_on(events: Iterable[str]) -> list[str]:
    """Give what a webhook shows, in no order to rely on; words that Gitea does not know are passed over."""
    found = {on for event in events for on in _EVENTS.get(event.casefold(), ())}
    return sorted(found, reverse=True)


def _keep(kept: dict[str, str], what: str, request: Request, field: str) -> None:
    name, value = request.values["name"], request.json.get(field, "")
    if not value:
        raise Refused(422, f"[{field.title()}]: Required")
    if not _SECRET.fullmatch(name):
        raise Refused(400, f"invalid {what} name")
    kept[name.upper()] = value


def _gone(what: object) -> Response:
    if what is None:
        raise Refused(404)
    return Response(204)
