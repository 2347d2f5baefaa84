"""`GitHubSettings`: webhooks, and secrets and variables of Actions, of GitHub's stand-in."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from devstream.testing.github_repositories import REPO, GitHubRepositories
from devstream.testing.github_store import Refused, invalid
from devstream.testing.service import Request, Response, route

if TYPE_CHECKING:
    from devstream.testing.github_store import GitHubRepository

__all__ = ["GitHubSettings"]

_NAME = re.compile(r"(?!GITHUB_)[A-Z_][A-Z0-9_]*", re.IGNORECASE)
_EVENTS = frozenset(
    [
        "*",
        "branch_protection_rule",
        "check_run",
        "check_suite",
        "create",
        "delete",
        "deployment",
        "issue_comment",
        "issues",
        "member",
        "push",
        "pull_request",
        "pull_request_review",
        "release",
        "repository",
        "status",
        "workflow_dispatch",
        "workflow_job",
        "workflow_run",
    ]
)
_CONFIG = ("url", "content_type", "secret", "insecure_ssl")
_MASK = "********"
_VARIABLES_PAGE = 30
_LARGEST = 48 * 1024
_TIMES = {"created_at": "2024-01-01T00:00:00Z", "updated_at": "2024-01-01T00:00:00Z"}


class GitHubSettings(GitHubRepositories):
    """Keeps what repositories are set to; secrets arrive sealed, and are opened with a key that it keeps."""

    # ---- webhooks

    @route("GET", f"{REPO}/hooks")
    def list_hooks(self, request: Request) -> Response:
        """List webhooks; secrets are masked."""
        return self.paged(request, list(self.find(request).hooks.values()))

    @route("POST", f"{REPO}/hooks")
    def make_hook(self, request: Request) -> Response:
        """Make a webhook; one that is just like another is refused."""
        found, wanted = self.find(request), request.json
        if wanted.get("name", "web") != "web":
            raise invalid("Hook", "name", message="'web' is the only name of a webhook")
        config = self._config(wanted.get("config") or {})
        events = self._events(wanted.get("events", ["push"]))
        if any(hook["config"]["url"] == config["url"] for hook in found.hooks.values()):
            message = "Hook already exists on this repository"
            raise Refused(
                422, "Validation Failed", errors=[{"resource": "Hook", "code": "custom", "message": message}]
            )
        number = self.next_number()
        found.hooks[number] = {
            "type": "Repository",
            "id": number,
            "name": "web",
            "active": wanted.get("active", True),
            "events": events,
            "url": f"{self.api}/repos/{found.full_name}/hooks/{number}",
        }
        self._keep(found, number, config)
        return Response(201, found.hooks[number])

    def _config(self, config: dict[str, Any]) -> dict[str, Any]:
        unknown = set(config) - set(_CONFIG)
        if unknown or not all(isinstance(value, str) for value in config.values()):
            raise invalid("Hook", "config")
        parts = urlsplit(config.get("url", ""))
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise invalid("Hook", "config", message="url is missing or not one")
        if config.get("content_type", "form") not in {"json", "form"}:
            raise invalid("Hook", "content_type")
        return {"content_type": "form", "insecure_ssl": "0", **config}

    def _events(self, events: Any) -> list[str]:
        unknown = sorted(set(events) - _EVENTS)
        if unknown:
            message = f"Invalid event '{unknown[0]}'"
            raise Refused(
                422, "Validation Failed", errors=[{"resource": "Hook", "code": "custom", "message": message}]
            )
        return sorted(set(events))

    def _keep(self, repository: GitHubRepository, number: int, config: dict[str, Any]) -> None:
        """Keep a configuration: the one before, and its secret, are forgotten."""
        repository.hook_secrets[number] = config.get("secret", "")
        masked = {**config, "secret": _MASK} if config.get("secret") else config
        repository.hooks[number]["config"] = masked

    def _hook(self, request: Request) -> tuple[GitHubRepository, int]:
        found, number = self.find(request), request.values["hook"]
        if not number.isdecimal() or int(number) not in found.hooks:
            raise Refused(404, "Not Found")
        return found, int(number)

    @route("PATCH", f"{REPO}/hooks/{{hook}}")
    def edit_hook(self, request: Request) -> Response:
        """Change a webhook; a configuration replaces the whole of the old one."""
        (found, number), wanted = self._hook(request), request.json
        hook = found.hooks[number]
        hook["events"] = self._events(wanted.get("events", hook["events"]))
        hook["active"] = wanted.get("active", hook["active"])
        if "config" in wanted:
            self._keep(found, number, self._config(wanted["config"]))
        return Response(200, hook)

    @route("PATCH", f"{REPO}/hooks/{{hook}}/config")
    def edit_hook_config(self, request: Request) -> Response:
        """Change those parts of a webhook's configuration that are given."""
        found, number = self._hook(request)
        kept = {**found.hooks[number]["config"], "secret": found.hook_secrets[number]}
        self._keep(found, number, self._config({**kept, **request.json}))
        return Response(200, found.hooks[number]["config"])

    @route("DELETE", f"{REPO}/hooks/{{hook}}")
    def delete_hook(self, request: Request) -> Response:
        """Remove a webhook."""
        found, number = self._hook(request)
        del found.hooks[number]
        return Response(204)

    # ---- Actions

    @route("GET", f"{REPO}/actions/secrets")
    def list_secrets(self, request: Request) -> Response:
        """List secrets by name."""
        names = [{"name": name, **_TIMES} for name in self.find(request).secrets]
        return self.paged(request, names, key="secrets")

    @route("GET", f"{REPO}/actions/secrets/public-key")
    def public_key(self, request: Request) -> Response:
        """Give the key that secrets have to be sealed with."""
        from nacl.public import PrivateKey

        found = self.find(request)
        found.sealing_key = found.sealing_key or PrivateKey.generate()
        key = b64encode(bytes(found.sealing_key.public_key)).decode()
        return Response(200, {"key_id": str(found.number), "key": key})

    @route("PUT", f"{REPO}/actions/secrets/{{name}}")
    def put_secret(self, request: Request) -> Response:
        """Open a sealed secret and keep it; names are kept in capitals."""
        found, wanted, name = self.find(request), request.json, self._named(request.values["name"])
        if wanted.get("key_id") != str(found.number) or found.sealing_key is None:
            raise Refused(422, "The key_id is not that of the repository's public key")
        there = name in found.secrets
        found.secrets[name] = self._opened(found, wanted.get("encrypted_value"))
        return Response(204) if there else Response(201, {})

    def _opened(self, repository: GitHubRepository, sealed: Any) -> str:
        from nacl.exceptions import CryptoError
        from nacl.public import SealedBox

        try:
            return SealedBox(repository.sealing_key).decrypt(b64decode(sealed, validate=True)).decode()
        except (CryptoError, binascii.Error, TypeError, ValueError):
            raise Refused(422, "The value is not sealed with the repository's public key") from None

    def _named(self, name: Any) -> str:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            message = (
                "Secret names can only contain alphanumeric characters ([a-z], [A-Z], [0-9]) or underscores"
            )
            raise Refused(422, message)
        return name.upper()

    @route("GET", f"{REPO}/actions/variables")
    def list_variables(self, request: Request) -> Response:
        """List variables, on smaller pages than anything else."""
        kept = self.find(request).variables.items()
        items = [{"name": name, "value": value, **_TIMES} for name, value in kept]
        return self.paged(request, items, most=_VARIABLES_PAGE, key="variables")

    @route("POST", f"{REPO}/actions/variables")
    def make_variable(self, request: Request) -> Response:
        """Make a variable."""
        found, wanted = self.find(request), request.json
        name = self._named(wanted.get("name"))
        if name in found.variables:
            raise Refused(409, "Already exists - Variable already exists")
        found.variables[name] = self._value(wanted)
        return Response(201, {})

    def _value(self, wanted: dict[str, Any]) -> str:
        value = wanted.get("value")
        if not isinstance(value, str) or len(value.encode()) > _LARGEST:
            raise Refused(422, "value is missing or too large")
        return value

    def _variable(self, request: Request) -> tuple[GitHubRepository, str]:
        found, name = self.find(request), request.values["name"].upper()
        if name not in found.variables:
            raise Refused(404, "Not Found")
        return found, name

    @route("GET", f"{REPO}/actions/variables/{{name}}")
    def show_variable(self, request: Request) -> Response:
        """Show a variable."""
        found, name = self._variable(request)
        return Response(200, {"name": name, "value": found.variables[name], **_TIMES})

    @route("PATCH", f"{REPO}/actions/variables/{{name}}")
    def edit_variable(self, request: Request) -> Response:
        """Change a variable."""
        found, name = self._variable(request)
        found.variables[name] = self._value(request.json)
        return Response(204)

    @route("DELETE", f"{REPO}/actions/{{kind}}/{{name}}")
    def delete_setting(self, request: Request) -> Response:
        """Remove a secret or a variable."""
        found, kind = self.find(request), request.values["kind"]
        kept = {"secrets": found.secrets, "variables": found.variables}.get(kind, {})
        if kept.pop(request.values["name"].upper(), None) is None:
            raise Refused(404, "Not Found")
        return Response(204)
