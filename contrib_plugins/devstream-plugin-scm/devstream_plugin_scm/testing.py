"""`HostingContract`: what every forge has to pass, a stand-in and the real thing alike.

A subclass names a server; nothing is assumed of it but that the token may make and delete repositories of ``owner``::

    class TestGitea(HostingContract):
        def server(self, tmp_path):
            return server_from_environment("gitea") or start_a_stand_in(tmp_path)
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from devstream.api import OperationError, Secret
from devstream.testing.public_keys import made_up_key
from devstream_plugin_scm.forge import Delivery, File, Mark, proposal_branch
from devstream_plugin_scm.hosting import (
    DeployKey,
    ProposalState,
    Webhook,
    deploy_key_title,
    is_our_deploy_key,
    is_our_webhook,
    webhook_url,
)
from devstream_plugin_scm.testing_bench import Bench, Server, server_from_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devstream_plugin_scm.forge import Changes, Files
    from devstream_plugin_scm.hosting import Hosting

__all__ = ["Server", "Bench", "HostingContract", "server_from_environment"]


class HostingContract(ABC):
    """Everything a forge has to do. Subclasses set ``scm_type`` and give a server."""

    scm_type: str
    events: tuple[str, ...] = ("push",)
    keys_may_push: bool = True
    keeps_secrets: bool = True

    def keys(self, bench: Bench) -> Hosting:
        """Give the service's API with a token that gets to deploy keys."""
        return bench.hosting

    @abstractmethod
    def server(self, tmp_path: Path) -> Iterator[Server] | Server:
        """Give the server, or yield it and stop it afterwards."""

    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[Bench]:
        """Give a repository's place, and remove what is left of it."""
        opened = self.server(tmp_path)
        server = opened if isinstance(opened, Server) else next(opened)
        bench = Bench(self.scm_type, server, tmp_path)
        with ExitStack() as after:
            if not isinstance(opened, Server):
                after.callback(next, opened, None)
            after.callback(bench.close)
            after.callback(bench.clear)
            yield bench

    def test_nothing_is_there_before(self, bench: Bench) -> None:
        assert bench.forge(reading=True).describe(bench.location) is None

    def test_a_new_repository_is_private_empty_and_marked(self, bench: Bench) -> None:
        bench.make()
        found = bench.forge(reading=True).describe(bench.location)
        assert found is not None
        assert found.location.casefold() == bench.location.casefold()
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
        assert found is None or found.location.casefold() == bench.location.casefold()

    def test_a_repository_is_given_to_another_owner(self, bench: Bench) -> None:
        if not bench.server.org:
            pytest.skip("no second owner is named")
        bench.make()
        before, old = bench.hosting.find(bench.location), bench.location
        bench.name, bench.server = f"{bench.name}-new", bench.server._replace(owner=bench.server.org)
        bench.forge().move(old, bench.location)
        after = bench.forge(reading=True).describe(bench.location)
        assert before is not None
        assert after is not None
        assert after.id == before.id
        assert bench.push({"a": b"1"})

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

    def test_a_proposal_is_withdrawn_with_its_branch(self, bench: Bench) -> None:
        bench.make()
        bench.push({"a": b"1"})
        branch = proposal_branch(bench.address)
        bench.push({"a": b"2"}, delivery=Delivery.PULL_REQUEST)
        for _ in range(2):
            bench.forge().withdraw(bench.location, branch)
        found = bench.forge(reading=True).describe(bench.location)
        assert found is not None
        assert set(found.branches) == {"main"}
        proposal = bench.hosting.proposal(bench.location, branch)
        assert proposal is None or proposal.state is ProposalState.CLOSED

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

    def test_deploy_keys_are_made_once_found_again_and_removed(self, bench: Bench) -> None:
        hosting, location = self.keys(bench), bench.make()
        texts = [made_up_key("someone@example.org") for _ in range(4)]
        title = deploy_key_title(str(bench.address), of="jenkins.main")
        made = _first_key(hosting, location, DeployKey(title, texts[0]))
        assert made == DeployKey(title, texts[0].rpartition(" ")[0], id=made.id)
        assert hosting.put_deploy_key(location, DeployKey(title, f"{made.key} other@example.org")) == made
        others = [hosting.put_deploy_key(location, DeployKey(text[-30:], text)) for text in texts[1:]]
        listed = hosting.deploy_keys(location)
        assert sorted(listed) == sorted([made, *others])
        assert [key for key in listed if is_our_deploy_key(key, str(bench.address))] == [made]
        for _ in range(2):
            hosting.delete_deploy_key(location, made.id)
        assert sorted(hosting.deploy_keys(location)) == sorted(others)

    def test_a_deploy_key_with_other_rights_is_replaced(self, bench: Bench) -> None:
        hosting, location = self.keys(bench), bench.make()
        wanted = DeployKey("pushes", made_up_key(), read_only=False)
        if not self.keys_may_push:
            with pytest.raises(OperationError, match="can only read"):
                hosting.put_deploy_key(location, wanted)
            return
        _first_key(hosting, location, wanted)
        for read_only in (False, True, True):
            hosting.put_deploy_key(location, wanted._replace(read_only=read_only))
            (found,) = hosting.deploy_keys(location)
            assert found == wanted._replace(read_only=read_only, id=found.id)

    def test_what_is_no_public_key_is_refused_and_not_shown(self, bench: Bench) -> None:
        hosting, location = self.keys(bench), bench.make()
        private = "-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----"
        with pytest.raises(OperationError, match="no OpenSSH public key") as caught:
            hosting.put_deploy_key(location, DeployKey("k", private))
        assert "canary" not in str(caught.value)
        assert not hosting.deploy_keys(location)

    def test_secrets_are_set_listed_by_name_and_removed(self, bench: Bench) -> None:
        hosting, location = bench.hosting, bench.make()
        if not self.keeps_secrets:
            for ask in (
                lambda: hosting.secret_names(location),
                lambda: hosting.put_secret(location, "A", Secret.plain("b")),
            ):
                with pytest.raises(OperationError, match="has no CI of its own"):
                    ask()
            hosting.delete_secret(location, "A")
            return
        _skip_without_vault(bench)
        for value in ("first-value-1", "second-value-2"):
            hosting.put_secret(bench.location, "IMAGE_REPO_SECRET", Secret.plain(value))
        assert hosting.secret_names(bench.location) == {"IMAGE_REPO_SECRET"}
        hosting.delete_secret(bench.location, "IMAGE_REPO_SECRET")
        hosting.delete_secret(bench.location, "IMAGE_REPO_SECRET")
        assert not hosting.secret_names(bench.location)

    def test_variables_are_set_read_and_removed(self, bench: Bench) -> None:
        hosting, location = bench.hosting, bench.make()
        if not self.keeps_secrets:
            for ask in (
                lambda: hosting.variables(location),
                lambda: hosting.put_variable(location, "A", "b"),
            ):
                with pytest.raises(OperationError, match="has no CI of its own"):
                    ask()
            hosting.delete_variable(location, "A")
            return
        _skip_without_vault(bench)
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


def _first_key(hosting: Hosting, location: str, key: DeployKey) -> DeployKey:
    """Make a deploy key; skip where a server of people's own has no ssh to use it with."""
    try:
        return hosting.put_deploy_key(location, key)
    except OperationError as error:
        if "SSH is disabled" not in str(error):
            raise
        pytest.skip(str(error))


def _skip_without_vault(bench: Bench) -> None:
    """Skip where there are no secrets and variables: a server of people's own may be an older one."""
    try:
        bench.hosting.secret_names(bench.location)
    except OperationError as error:
        if "no secrets and variables" not in str(error):
            raise
        pytest.skip(str(error))
