"""Access keys of Bitbucket's stand-ins, Cloud (always for reading only) and Data Center."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.testing import bitbucket_projects, bitbucket_repositories
from devstream.testing.bitbucket_projects import ServerRepositories, ServerRepository
from devstream.testing.bitbucket_repositories import CloudRepositories, CloudRepository
from devstream.testing.public_keys import PublicKey
from devstream.testing.service import Request, Response, route

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CloudKeys", "ServerKeys"]

_CLOUD = f"{bitbucket_repositories.REPO}/deploy-keys"
_SERVER = "/rest/keys/1.0/projects/{key}/repos/{slug}/ssh"
_PERMISSIONS = ("REPO_READ", "REPO_WRITE")


class CloudKeys(CloudRepositories):
    """Keeps access keys of a bitbucket.org; with an access token nobody gets to them.

    Attributes:
        accounts_keys: keys that accounts have, without their comments; no repository can have them.
    """

    accounts_keys: frozenset[str] = frozenset()
    _last_key = 0

    @route("GET", _CLOUD)
    def keys(self, request: Request) -> Response:
        """List access keys."""
        return self._for_users(request, lambda found: self.paged(request, list(found.keys.values())))

    def _for_users(self, request: Request, answer: Callable[[CloudRepository], Response]) -> Response:
        if request.basic is None:
            return bitbucket_repositories.refusal(
                403, "This API is not accessible by this authentication mechanism"
            )
        return self.with_repository(request, answer)

    @route("POST", _CLOUD)
    def make_key(self, request: Request) -> Response:
        """Make an access key."""
        return self._for_users(request, lambda found: self._make_key(found, request.json or {}))

    def _make_key(self, found: CloudRepository, wanted: dict[str, Any]) -> Response:
        key = PublicKey.read(wanted.get("key"))
        if set(wanted) - {"key", "label"} or key is None:
            return bitbucket_repositories.refusal(400, "key: Invalid SSH key.")
        if key.bare in self.accounts_keys:
            return bitbucket_repositories.refusal(400, "Someone has already registered that SSH key.")
        if any(kept["key"] == key.bare for kept in found.keys.values()):
            message = "Someone has already added that access key to this repository."
            return bitbucket_repositories.refusal(400, message)
        self._last_key += 1
        found.keys[self._last_key] = {
            "type": "deploy_key",
            "id": self._last_key,
            "key": key.bare,
            "label": wanted.get("label", ""),
            "comment": key.comment,
        }
        return Response(200, found.keys[self._last_key])

    @route("DELETE", f"{_CLOUD}/{{id}}")
    def delete_key(self, request: Request) -> Response:
        """Remove an access key."""

        def remove(found: CloudRepository) -> Response:
            gone = found.keys.pop(int(request.values["id"]), None)
            return Response(204) if gone else bitbucket_repositories.refusal(404, "Not found")

        return self._for_users(request, remove)


class ServerKeys(ServerRepositories):
    """Keeps access keys of a Data Center.

    Attributes:
        users_keys: keys that users have, without their comments; no repository can have them.
    """

    users_keys: frozenset[str] = frozenset()
    _last_key = 0

    @route("GET", _SERVER)
    def keys(self, request: Request) -> Response:
        """List the access keys of a repository."""
        return self.with_repository(request, lambda found: self.paged(request, list(found.keys.values())))

    @route("POST", _SERVER)
    def make_key(self, request: Request) -> Response:
        """Make an access key; where no label is given, the comment is one."""
        return self.with_repository(request, lambda found: self._make_key(found, request.json or {}))

    def _make_key(self, found: ServerRepository, wanted: dict[str, Any]) -> Response:
        given = wanted.get("key") or {}
        key, permission = PublicKey.read(given.get("text")), wanted.get("permission")
        if key is None or permission not in _PERMISSIONS:
            return bitbucket_projects.refusal(
                400, "A key and its permission are wanted.", "validation.ArgumentValidation"
            )
        if key.bare in self.users_keys or any(_bare(kept) == key.bare for kept in found.keys.values()):
            message = "The key is already in use, by a user or by this repository."
            return bitbucket_projects.refusal(409, message, "ssh.DuplicateKey")
        self._last_key += 1
        label = given.get("label") or key.comment
        shown = {"id": self._last_key, "text": given["text"], "label": label}
        found.keys[self._last_key] = {"key": shown, "permission": permission}
        return Response(201, found.keys[self._last_key])

    @route("DELETE", f"{_SERVER}/{{id}}")
    def delete_key(self, request: Request) -> Response:
        """Take an access key from a repository."""

        def remove(found: ServerRepository) -> Response:
            gone = found.keys.pop(int(request.values["id"]), None)
            missing = bitbucket_projects.refusal(404, "There is no such key.", "ssh.NoSuchKey")
            return Response(204) if gone else missing

        return self.with_repository(request, remove)


def _bare(kept: dict[str, Any]) -> str:
    key = PublicKey.read(kept["key"]["text"])
    return key.bare if key else ""
