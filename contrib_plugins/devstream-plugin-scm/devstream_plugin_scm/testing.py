"""`HostingContract`: what every forge has to pass, a stand-in and the real thing alike.

A subclass names a server; nothing is assumed of it but that the token may make and delete repositories of ``owner``::

    class TestGitea(HostingContract):
        def server(self, tmp_path):
            return server_from_environment("gitea") or start_a_stand_in(tmp_path)
"""

from __future__ import annotations

import os
import secrets
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import pytest

from devstream.api import Address, OperationError, Secret
from devstream.testing.context import PlainContext
from devstream_plugin_scm.forge import Delivery, File, Mark, open_forge, proposal_branch
from devstream_plugin_scm.hosting import ProposalState, Webhook, is_our_webhook, webhook_url
from devstream_plugin_scm.repository import TargetRepo

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devstream_plugin_scm.forge import Changes, Files, Forge
    from devstream_plugin_scm.hosting import Hosting

__all__ = ["Server", "Bench", "HostingContract", "server_from_environment"]


class Server(NamedTuple):
    """A server to test against. ``org`` is another namespace that the token may use; empty for none."""

    url: str
    token: str
    owner: str
    org: str = ""


def server_from_environment(scm_type: str) -> Server | None:
    """Give the server that ``DEVSTREAM_TEST_<FORGE>_URL``, ``_TOKEN``, ``_OWNER`` and ``_ORG`` name; None for none."""
    name = f"DEVSTREAM_TEST_{scm_type.upper()}"
    url = os.environ.get(f"{name}_URL")
    if not url:
        return None
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

    def repo(self, **fields: object) -> TargetRepo:
        """Give the options that name the repository."""
        named = {"owner": self.server.owner, "name": self.name, "base_url": self.server.url, **fields}
        token = Secret.plain(self.server.token)
        return TargetRepo(**{"scm_type": self.scm_type, "token": token, "allow_http": True, **named})  # type: ignore[arg-type]  # the fields of a test

    def context(self, *, reading: bool = False) -> PlainContext:
        """Give a context."""
        context = PlainContext(self.folder, self.address, reading=reading)
        self.opened.append(context)
        return context

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
        return self.forge().locate(self.repo())

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


class HostingContract(ABC):
    """Everything a forge has to do. Subclasses set ``scm_type`` and give a server."""

    scm_type: str
    events: tuple[str, ...] = ("push",)

    @abstractmethod
    def server(self, tmp_path: Path) -> Iterator[Server] | Server:
        """Give the server, or yield it and stop it afterwards."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        """Give a repository's place, and remove what is left of it."""
        opened = self.server(tmp_path)
        server = opened if isinstance(opened, Server) else next(opened)
        bench = Bench(self.scm_type, server, tmp_path)
        yield bench
        bench.hosting.delete(bench.location)
        bench.close()
        if not isinstance(opened, Server):
            next(opened, None)

    def test_nothing_is_there_before(self, bench: Bench) -> None:
        assert bench.forge(reading=True).describe(bench.location) is None

    def test_a_new_repository_is_private_empty_and_marked(self, bench: Bench) -> None:
        bench.make()
        found = bench.forge(reading=True).describe(bench.location)
        assert found is not None
        assert found.location == bench.location
        assert not found.branches
        assert found.mark is not None
        assert found.mark.address == str(bench.address)
        hosted = bench.hosting.find(bench.location)
        assert hosted is not None
        assert hosted.visibility == "private"
        assert hosted.id == found.mark.id

    def test_making_it_again_finds_what_an_earlier_attempt_made(self, bench: Bench) -> None:
        bench.make()
        first = bench.hosting.find(bench.location)
        bench.make()
        assert bench.hosting.find(bench.location) == first

    def test_somebody_elses_repository_is_not_taken(self, bench: Bench) -> None:
        bench.make()
        other = Mark("op-2", "repo-scaffolding.other")
        with pytest.raises(OperationError, match="exists already and is not ours"):
            bench.forge().create(bench.location, branch="main", mark=other)

    def test_the_first_commit_and_a_second_one(self, bench: Bench) -> None:
        bench.make()
        first = bench.push({"README.md": b"hello\n", "bin/data": b"\0\xff\r\n"})
        second = bench.push({"README.md": b"hello again\n"})
        found = bench.forge(reading=True).describe(bench.location)
        assert found is not None
        assert found.branches == {"main": second}
        assert first != second
        listing = bench.forge(reading=True).listing(bench.location, second or "")
        assert set(listing) == {"README.md", "bin/data"}
        assert bench.push({"README.md": b"hello again\n"}) is None

    def test_what_was_rendered_is_kept_beside_the_branches(self, bench: Bench) -> None:
        bench.make()
        rendered = {"a": File(b"1")}
        bench.forge().publish(
            bench.location, "main", "Begin", lambda head, _: {} if head else rendered, rendered=rendered
        )
        seen: list[set[str]] = []

        def look(_: Files, base: Files | None) -> Changes:
            seen.append(set(base or ()))
            return {}

        bench.forge().publish(bench.location, "main", "Look", look)
        found = bench.forge(reading=True).describe(bench.location)
        assert seen == [{"a"}]
        assert found is not None
        assert found.rendered is not None
        assert set(found.branches) == {"main"}

    def test_a_renamed_repository_keeps_its_id_and_its_content(self, bench: Bench) -> None:
        bench.make()
        bench.push({"a": b"1"})
        before = bench.hosting.find(bench.location)
        old, bench.name = bench.location, f"{bench.name}-new"
        bench.forge().move(old, bench.location)
        after = bench.forge(reading=True).describe(bench.location)
        assert before is not None
        assert after is not None
        assert after.id == before.id
        assert "main" in after.branches

    def test_a_repository_renamed_by_hand_is_found_by_its_old_name(self, bench: Bench) -> None:
        bench.make()
        old, bench.name = bench.location, f"{bench.name}-new"
        bench.hosting.move(old, bench.location)
        found = bench.hosting.find(old)
        assert found is None or found.location == bench.location

    def test_deleting_twice_is_deleting_once(self, bench: Bench) -> None:
        bench.make()
        bench.forge().delete(bench.location)
        bench.forge().delete(bench.location)
        assert bench.forge(reading=True).describe(bench.location) is None

    def test_a_branch_becomes_the_default_one(self, bench: Bench) -> None:
        bench.make()
        commit = bench.push({"a": b"1"})
        bench.forge().start_branch(bench.location, "trunk", commit or "")
        hosted = bench.hosting.find(bench.location)
        found = bench.forge(reading=True).describe(bench.location)
        assert hosted is not None
        assert found is not None
        assert hosted.default_branch == "trunk"
        assert found.branches == {"main": commit, "trunk": commit}

    def test_a_proposal_waits_for_people_and_goes_on_when_it_is_changed(self, bench: Bench) -> None:
        bench.make()
        bench.push({"a": b"1"})
        branch = proposal_branch(bench.address)
        first = bench.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
        found = bench.forge(reading=True).describe(bench.location)
        assert found is not None
        assert found.proposed == {branch: first}
        second = bench.push({"a": b"3"}, delivery=Delivery.PULL_REQUEST)
        proposal = bench.hosting.proposal(bench.location, branch)
        assert proposal is not None
        assert proposal.state is ProposalState.OPEN
        bench.hosting.merge(bench.location, proposal)
        bench.hosting.merge(bench.location, proposal)
        after = bench.forge(reading=True).describe(bench.location)
        assert after is not None
        assert not after.proposed
        assert after.branches["main"] not in {first, second}
        assert set(bench.forge().listing(bench.location, after.branches["main"])) == {"a"}

    def test_webhooks_are_marked_and_found_again(self, bench: Bench) -> None:
        bench.make()
        ours = webhook_url("https://ci.example.org/hook", str(bench.address))
        hosting = bench.hosting
        made = hosting.put_webhook(bench.location, Webhook(ours, self.events), Secret.plain("s3cret-canary"))
        theirs = hosting.put_webhook(bench.location, Webhook("https://other.example.org/", self.events), None)
        listed = hosting.webhooks(bench.location)
        found = [hook for hook in listed if is_our_webhook(hook, str(bench.address))]
        assert [hook.id for hook in found] == [made.id]
        assert found[0].active
        assert set(self.events) <= set(found[0].events)
        hosting.put_webhook(bench.location, found[0]._replace(active=True), Secret.plain("s3cret-canary"))
        assert len(hosting.webhooks(bench.location)) == len(listed)
        hosting.delete_webhook(bench.location, made.id)
        hosting.delete_webhook(bench.location, made.id)
        assert [hook.id for hook in hosting.webhooks(bench.location)] == [theirs.id]

    def test_secrets_are_set_listed_by_name_and_removed(self, bench: Bench) -> None:
        bench.make()
        hosting = bench.hosting
        for value in ("first-value-1", "second-value-2"):
            hosting.put_secret(bench.location, "IMAGE_REPO_SECRET", Secret.plain(value))
        assert hosting.secret_names(bench.location) == {"IMAGE_REPO_SECRET"}
        hosting.delete_secret(bench.location, "IMAGE_REPO_SECRET")
        hosting.delete_secret(bench.location, "IMAGE_REPO_SECRET")
        assert not hosting.secret_names(bench.location)

    def test_variables_are_set_read_and_removed(self, bench: Bench) -> None:
        bench.make()
        hosting = bench.hosting
        for value in ("someone", "someone-else"):
            hosting.put_variable(bench.location, "IMAGE_REPO_USER", value)
        assert hosting.variables(bench.location) == {"IMAGE_REPO_USER": "someone-else"}
        hosting.delete_variable(bench.location, "IMAGE_REPO_USER")
        hosting.delete_variable(bench.location, "IMAGE_REPO_USER")
        assert not hosting.variables(bench.location)

    def test_topics_are_replaced(self, bench: Bench) -> None:
        bench.make()
        bench.hosting.set_topics(bench.location, ["devstream", "python"])
        bench.hosting.set_topics(bench.location, ["devstream"])

    def test_a_read_may_change_nothing(self, bench: Bench) -> None:
        bench.make()
        with pytest.raises(OperationError, match="which may change something"):
            bench.forge(reading=True).delete(bench.location)
        assert bench.hosting.find(bench.location) is not None

    def test_a_wrong_token_is_named_and_not_shown(self, bench: Bench) -> None:
        bench.make()
        wrong = bench.forge(token=Secret.plain("canary-wrong-token"))
        with pytest.raises(OperationError) as caught:
            wrong.create(bench.location, branch="main", mark=Mark("op-9", "a.b"))
        assert "canary" not in str(caught.value)
        assert "token" in str(caught.value)
