"""`Bench`: a repository with a name of its own on a server that a forge is tested against."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pytest

from devstream.api import Address, OperationError, Secret
from devstream.testing.context import PlainContext
from devstream_plugin_scm.forge import File, Mark, open_forge, proposal_branch
from devstream_plugin_scm.repository import TargetRepo

if TYPE_CHECKING:
    from pathlib import Path

    from devstream_plugin_scm.forge import Changes, Files, Forge
    from devstream_plugin_scm.hosting import Hosting

__all__ = ["Server", "Bench", "server_from_environment"]


class Server(NamedTuple):
    """A server to test against.

    Attributes:
        org: another namespace that the token may use; empty for none.
        api: the root of the API, where it is not the usual one.
        user: whose token it is, where the service asks for both.
    """

    url: str
    token: str
    owner: str
    org: str = ""
    api: str = ""
    user: str = ""


def server_from_environment(scm_type: str) -> Server | None:
    """Give the server that ``DEVSTREAM_TEST_<FORGE>_URL``, ``_TOKEN``, ``_OWNER`` and ``_ORG`` name; None for none."""
    name = f"DEVSTREAM_TEST_{scm_type.upper()}"
    url = os.environ.get(f"{name}_URL")
    if not url:
        return None
    missing = [part for part in ("TOKEN", "OWNER") if not os.environ.get(f"{name}_{part}")]
    if missing:
        pytest.fail(f"{name}_URL is set, and {', '.join(f'{name}_{part}' for part in missing)} not")
    return Server(
        url, os.environ[f"{name}_TOKEN"], os.environ[f"{name}_OWNER"], os.environ.get(f"{name}_ORG", "")
    )


@dataclass
class Bench:
    """A repository with a name of its own on a server, and the forge that works on it."""

    scm_type: str
    server: Server
    folder: Path
    name: str = field(default_factory=lambda: f"devstream-{secrets.token_hex(4)}")
    address: Address = field(default_factory=lambda: Address("repo-scaffolding", "shop"))
    opened: list[PlainContext] = field(default_factory=list)
    places: dict[str, None] = field(default_factory=dict)

    def repo(self, **fields: object) -> TargetRepo:
        """Give the options that name the repository."""
        where = {"base_url": self.server.url, "api_url": self.server.api, "user": self.server.user}
        named = {"owner": self.server.owner, "name": self.name, **where, **fields}
        token = Secret.plain(self.server.token)
        return TargetRepo(**{"scm_type": self.scm_type, "token": token, "allow_http": True, **named})  # type: ignore[arg-type]  # the fields of a test

    def context(self, *, reading: bool = False) -> PlainContext:
        """Give a context."""
        context = PlainContext(self.folder, self.address, reading=reading)
        self.opened.append(context)
        return context

    def clear(self) -> None:
        """Remove what is left at every place where a repository may have been, the last one first."""
        left = []
        for place in reversed(self.places):
            try:
                found = self.hosting.find(place)
                if found is not None:
                    self.hosting.delete(found.location)
            except OperationError as error:
                left.append(f"{place}: {error}")
        assert not left, "not removed: " + "; ".join(left)

    def close(self) -> None:
        """Close every context that was given."""
        for context in self.opened:
            context.close()

    def forge(self, *, reading: bool = False, **fields: object) -> Forge:
        """Give the forge."""
        return open_forge(self.repo(**fields), self.context(reading=reading))

    @property
    def location(self) -> str:
        """Where the repository is."""
        place = self.forge().locate(self.repo())
        self.places[place] = None
        return place

    @property
    def hosting(self) -> Hosting:
        """Give the service's API."""
        hosting = self.forge().hosting
        assert hosting is not None
        return hosting

    def make(self, op_id: str = "op-1") -> str:
        """Make the repository; give its location."""
        self.forge().create(self.location, branch="main", mark=Mark(op_id, str(self.address)))
        return self.location

    def push(self, files: dict[str, bytes], **how: object) -> str | None:
        """Commit files to main."""
        wanted = {path: File(content) for path, content in files.items()}

        def decide(head: Files, _: Files | None) -> Changes:
            return {
                path: file for path, file in wanted.items() if path not in head or not head[path].holds(file)
            }

        return self.forge().publish(
            self.location,
            "main",
            "Write files",
            decide,
            proposal=proposal_branch(self.address),
            **how,  # type: ignore[arg-type]  # what the test says
        )
