"""Runs on an encrypted state: what a plugin says is secret may be kept there, and is seen by nobody but who refers to it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import ResourceStatus, Secret, hookimpl, tool
from devstream.model.address import Address
from devstream.model.events import OperationLog
from devstream.testing.project import Project, block
from devstream.testing.world import Thing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Outputs

CANARY = "canary-9d2e51aa"
KEY = {"name": "main", "keyFile": "state.key"}


@tool("generator")
class Generator:
    """Makes a password up and tells it once."""

    def __init__(self) -> None:
        self.made = False

    @hookimpl
    def create(self) -> ResourceStatus:
        self.made = True
        return ResourceStatus(outputs={"login": {"password": Secret((), CANARY), "user": "admin"}})

    @hookimpl
    def read(self) -> ResourceStatus | None:
        return ResourceStatus() if self.made else None

    @hookimpl
    def delete(self) -> None:
        self.made = False


@tool("listener")
class Listener:
    """Hears the outputs of what is before it."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

        self.made = False

    @hookimpl
    def create(self) -> ResourceStatus:
        self.made = True
        return ResourceStatus()

    @hookimpl
    def read(self) -> ResourceStatus | None:
        return ResourceStatus() if self.made else None

    @hookimpl
    def integrate(self, upstream: Mapping[str, Outputs]) -> None:
        self.heard.append(dict(upstream["generator.g"]))


@pytest.fixture
def thing(project: Project) -> Thing:
    made = Thing()
    project.use(made)
    project.use(Generator())
    key = project.write("state.key", "k" * 32)
    key.chmod(0o600)
    return made


def tools(project: Project, *blocks: dict[str, Any], encrypted: bool = True) -> None:
    state = {"encryption": {"keys": [KEY]}} if encrypted else {}
    project.config({"config": {"state": state}, "tools": [block("generator.g"), *blocks]})


def reader() -> dict[str, Any]:
    return block("thing.reader", {"token": "${{ generator.g.outputs.login.password }}"})


def written(project: Project) -> str:
    paths = [path for path in project.folder.rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in paths)


def test_a_secret_output_that_was_told_once_can_be_referred_to_later(project: Project, thing: Thing) -> None:
    seen: list[str] = []
    thing.before["create"] = lambda tool, _: seen.append(tool.options.token.reveal())
    tools(project)
    project.run().assert_success()
    tools(project, reader())
    ran = project.run().assert_success()
    assert ran.outcomes == {"thing.reader": "create succeeded"}
    assert seen == [CANARY]
    assert CANARY not in written(project)
    said = repr([event for event in ran.events if not isinstance(event, OperationLog)])
    assert CANARY not in said
    project.plan().assert_nothing_to_do()


def test_without_encryption_it_is_not_kept(project: Project, thing: Thing) -> None:
    tools(project, encrypted=False)
    project.run().assert_success()
    entry = project.entry("generator.g").outputs["login"]["password"]
    assert set(entry) == {"$secret", "fingerprint"}
    tools(project, reader(), encrypted=False)
    assert "is not recorded" in project.run().problem("thing.reader").summary


def test_it_is_masked_as_soon_as_the_state_was_read(project: Project, thing: Thing) -> None:
    tools(project)
    project.run().assert_success()
    project.redactor = type(project.redactor)()
    project.plan()
    assert project.redactor.mask(f"it is {CANARY}") == "it is (secret)"


def test_its_fields_are_no_outputs(project: Project, thing: Thing) -> None:
    tools(project)
    project.run().assert_success()
    for field in ("text", "fingerprint"):
        tools(project, block("thing.r", {"token": f"${{{{ generator.g.outputs.login.password.{field} }}}}"}))
        assert "no output" in project.run().problem("thing.r").summary
    assert CANARY not in written(project)


def test_integrate_gets_it_as_a_secret(project: Project, thing: Thing) -> None:
    tools(project)
    project.run().assert_success()
    listener = Listener()
    project.use(listener)
    tools(project, block("listener.l", after=["generator.g"]))
    project.run().assert_success()
    (outputs,) = listener.heard
    assert outputs["login"]["user"] == "admin"
    assert outputs["login"]["password"].reveal() == CANARY
    assert str(outputs["login"]["password"]) == "(secret)"
    project.plan().assert_nothing_to_do()


def test_a_delete_gets_it_after_a_new_start(project: Project, thing: Thing) -> None:
    seen: list[str] = []
    thing.before["delete"] = lambda tool, _: seen.append(tool.options.token.reveal())
    tools(project, reader())
    project.run().assert_success()
    tools(project)
    assert project.run().assert_success().outcomes == {"thing.reader": "delete succeeded"}
    assert seen == [CANARY]


def test_what_is_pulled_has_no_text_and_pushing_it_loses_none(project: Project, thing: Thing) -> None:
    from devstream.state.documents import push, state_document

    tools(project)
    project.run().assert_success()
    document = state_document(project.state())
    assert CANARY not in json.dumps(document)
    document["tools"]["generator.g"]["tags"] = ["changed"]
    session = project.session()
    session.edit(push(json.dumps(document).encode(), "it"), lambda _: None)
    entry = project.entry("generator.g")
    assert entry.tags == ("changed",)
    assert entry.outputs["login"]["password"]["text"] == CANARY
    assert Address.parse("generator.g") in project.state().tools


def test_switching_encryption_on_keeps_it_from_the_next_time_it_is_told(
    project: Project, thing: Thing
) -> None:
    tools(project, encrypted=False)
    project.run().assert_success()
    tools(project)
    project.plan().assert_nothing_to_do()
    project.run(replace=("generator.g",)).assert_success()
    assert project.entry("generator.g").outputs["login"]["password"]["text"] == CANARY
    assert CANARY not in written(project)
