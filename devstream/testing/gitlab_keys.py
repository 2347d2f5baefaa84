"""`GitLabKeys`: deploy keys of GitLab's stand-in. A key is kept once, and opens any number of projects."""

from __future__ import annotations

from typing import Any

from devstream.testing.gitlab_parts import API, GitLabParts, GitLabProject, Refused, required
from devstream.testing.public_keys import PublicKey
from devstream.testing.service import Request, Response, route

__all__ = ["GitLabKeys"]

_KEYS = f"{API}/projects/{{id}}/deploy_keys"


class GitLabKeys(GitLabParts):
    """Keeps deploy keys.

    Attributes:
        strangers_keys: keys that somebody else has on this GitLab, without their comments.
    """

    def __init__(self, **kept: Any) -> None:
        super().__init__(**kept)
        self.strangers_keys: set[str] = set()
        self._keys: dict[int, dict[str, Any]] = {}
        self._last_key = 0

    def _key(self, project: GitLabProject, number: int) -> dict[str, Any]:
        return {**self._keys[number], "can_push": project.keys[number]}

    @route("GET", _KEYS)
    def list_keys(self, request: Request) -> Response:
        """List the deploy keys of a project."""
        project = self.find(request)
        return self.paged(request, [self._key(project, number) for number in project.keys])

    @route("POST", _KEYS)
    def make_key(self, request: Request) -> Response:
        """Make a key; one that the project has is shown, one that another project has is shared as it is.

        It is known again by its text, comment and all: with another comment it is one that is taken.
        """
        project, wanted = self.find(request), required(request, "title", "key")
        key = PublicKey.read(wanted["key"])
        if key is None:
            raise Refused(400, {"key": ["type is forbidden. Must be RSA, ECDSA, ED25519", "is invalid"]})
        text = wanted["key"].strip()
        known = {number: kept["key"] for number, kept in self._keys.items()}
        number = next((number for number, kept in known.items() if kept == text), 0)
        alike = any(kept.startswith(key.bare) for kept in known.values())
        if key.bare in self.strangers_keys or (alike and not number):
            raise Refused(400, {"deploy_key.fingerprint_sha256": ["has already been taken"]})
        number = number or self._kept_key(wanted)
        project.keys.setdefault(number, bool(wanted.get("can_push", False)))
        return Response(201, self._key(project, number))

    def _kept_key(self, wanted: dict[str, Any]) -> int:
        self._last_key += 1
        self._keys[self._last_key] = {
            "id": self._last_key,
            "title": wanted["title"],
            "key": wanted["key"].strip(),
            "created_at": "2024-01-01T00:00:00.000Z",
            "expires_at": None,
        }
        return self._last_key

    @route("DELETE", f"{_KEYS}/{{key}}")
    def delete_key(self, request: Request) -> Response:
        """Take a key from a project; it is forgotten where no project has it any more."""
        project, number = self.find(request), int(request.values["key"])
        if number not in project.keys:
            raise Refused(404, "404 Deploy Key Not Found")
        del project.keys[number]
        if not any(number in one.keys for one in self.all_projects):
            del self._keys[number]
        return Response(204)

    @property
    def all_projects(self) -> list[GitLabProject]:
        """Every project."""
        raise NotImplementedError
