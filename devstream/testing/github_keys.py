"""`GitHubKeys`: deploy keys of GitHub's stand-in. A key is taken once, whichever repository or user has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.testing.github_repositories import REPO, GitHubRepositories
from devstream.testing.github_store import Refused, invalid
from devstream.testing.public_keys import PublicKey
from devstream.testing.service import Request, Response, route

if TYPE_CHECKING:
    from devstream.testing.github_store import GitHubRepository

__all__ = ["GitHubKeys"]


class GitHubKeys(GitHubRepositories):
    """Keeps deploy keys, which are never changed: they are removed and made anew."""

    @route("GET", f"{REPO}/keys")
    def list_keys(self, request: Request) -> Response:
        """List deploy keys."""
        found = self.find(request)
        return self.paged(request, [self._key(found, key) for key in found.keys.values()])

    def _key(self, repository: GitHubRepository, key: dict[str, Any]) -> dict[str, Any]:
        return {**key, "url": f"{self.api}/repos/{repository.full_name}/keys/{key['id']}"}

    @route("POST", f"{REPO}/keys")
    def make_key(self, request: Request) -> Response:
        """Make a deploy key; its comment is dropped."""
        found, wanted = self.find(request), request.json
        if "key" not in wanted:
            message = 'Invalid request.\n\n"key" wasn\'t supplied.'
            raise Refused(422, message)
        key = PublicKey.read(wanted["key"])
        if key is None:
            message = "key is invalid. You must supply a key in OpenSSH public key format"
            raise invalid("PublicKey", "key", "custom", message)
        everywhere = [kept["key"] for one in self.repositories.values() for kept in one.keys.values()]
        if key.bare in everywhere:
            raise invalid("PublicKey", "key", "custom", "key is already in use")
        number = self.next_number()
        found.keys[number] = {
            "id": number,
            "key": key.bare,
            "title": wanted.get("title") or "",
            "verified": True,
            "created_at": "2024-01-01T00:00:00Z",
            "read_only": bool(wanted.get("read_only", False)),
        }
        return Response(201, self._key(found, found.keys[number]))

    @route("DELETE", f"{REPO}/keys/{{key}}")
    def delete_key(self, request: Request) -> Response:
        """Remove a deploy key."""
        found, number = self.find(request), request.values["key"]
        if not number.isdecimal() or found.keys.pop(int(number), None) is None:
            raise Refused(404, "Not Found")
        return Response(204)
