"""`integrate`: after each create and update, and again when an upstream says something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError, ResourceStatus, Secret, Traits, hookimpl, tool
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, Things

if TYPE_CHECKING:
    from devstream.api import Context, Outputs, Tool


@tool("hub")
class Hub(Things):
    """Is connected with its upstreams."""

    traits = Traits(can_integrate=True)


@pytest.fixture
def hub(project: Project) -> Hub:
    made = Hub()
    project.use(made, Thing())
    return made


def fail(*_: object) -> None:
    message = "cannot connect"
    raise OperationError(message)


def hub_block(value: object = None) -> dict[str, Any]:
    return block("hub.h", {"value": value}, after=["thing.a"])


def test_it_sees_the_outputs_of_direct_upstreams_and_adds_its_own(project: Project, hub: Hub) -> None:
    project.tools(
        block("thing.far", {"value": "far"}),
        block("thing.a", {"value": "A"}, after=["thing.far"]),
        block("thing.b", {"value": "B"}),
        block("hub.h", {"value": "${{ thing.b.outputs.value }}"}, after=["thing.a"]),
        block("noop.reader", {"input": "${{ hub.h.outputs.upstream }}"}),
    )
    ran = project.run().assert_success()
    assert ran.started[-3:] == ["create hub.h", "integrate hub.h", "create noop.reader"]
    seen = {"thing.a": "A", "thing.b": "B"}
    entry = project.entry("hub.h")
    assert entry.outputs["upstream"] == seen
    assert entry.outputs["value"] == "B"
    assert entry.integrated
    assert project.entry("noop.reader").outputs["output"] == seen
    project.plan().assert_nothing_to_do()


def test_it_is_called_after_an_update_and_keeps_its_outputs(project: Project, hub: Hub) -> None:
    reader = block("noop.reader", {"input": "${{ hub.h.outputs.upstream }}"})
    project.tools(block("thing.a"), hub_block(1), reader)
    project.run().assert_success()
    project.tools(block("thing.a"), hub_block(2), reader)
    assert project.run().assert_success().started == ["update hub.h", "integrate hub.h"]
    assert "upstream" in project.entry("hub.h").outputs
    project.plan().assert_nothing_to_do()


def test_one_that_fails_is_tried_again_by_itself(project: Project, hub: Hub) -> None:
    project.tools(block("thing.a"), hub_block(), block("thing.last", after=["hub.h"]))
    hub.before["integrate"] = fail
    ran = project.run()
    assert ran.outcomes["hub.h"] == "create failed"
    assert ran.problem("hub.h").summary == "cannot connect"
    assert ran.outcomes["thing.last"] == "create skipped"
    entry = project.entry("hub.h")
    assert not entry.integrated
    assert not entry.tainted
    hub.before.clear()
    assert project.plan().actions["hub.h"] == "integrate"
    assert project.run().assert_success().started == ["integrate hub.h", "create thing.last"]
    project.plan().assert_nothing_to_do()


def test_it_is_not_called_where_upstreams_only_changed_inside(project: Project, hub: Hub) -> None:
    project.tools(block("thing.a", {"count": 1}), hub_block())
    project.run().assert_success()
    project.tools(block("thing.a", {"count": 2}), hub_block())
    assert project.plan().actions["hub.h"] == "conditional"
    assert project.run().assert_success().started == ["update thing.a"]


def test_another_upstream_is_a_reason(project: Project, hub: Hub) -> None:
    project.tools(block("thing.a"), block("thing.b"), hub_block())
    project.run().assert_success()
    project.tools(block("thing.a"), block("thing.b"), block("hub.h", after=["thing.a", "thing.b"]))
    assert project.run().assert_success().started == ["integrate hub.h"]
    assert set(project.entry("hub.h").outputs["upstream"]) == {"thing.a", "thing.b"}
    project.plan().assert_nothing_to_do()


@tool("vault")
class Vault:
    """Has a secret output, and tells it whenever it is asked."""

    def __init__(self) -> None:
        self.text = "first-secret-text"

    @hookimpl
    def create(self) -> ResourceStatus:
        return self.read()

    @hookimpl
    def read(self) -> ResourceStatus:
        return ResourceStatus(outputs={"password": Secret((), self.text)})

    @hookimpl
    def delete(self) -> None: ...


@tool("client")
class Client:
    """Is connected with a vault."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.here = False

    @hookimpl
    def create(self) -> ResourceStatus:
        self.here = True
        return ResourceStatus()

    @hookimpl
    def read(self) -> ResourceStatus | None:
        return ResourceStatus() if self.here else None

    @hookimpl
    def integrate(self, tool: Tool, upstream: dict[str, Outputs], context: Context) -> None:
        self.seen += [outputs["password"].reveal() for outputs in upstream.values()]


def test_secret_outputs_of_upstreams_arrive_and_are_nowhere_recorded(project: Project) -> None:
    vault, client = Vault(), Client()
    project.use(vault, client)
    project.tools(block("vault.v", adopt=True), block("client.c", after=["vault.v"]))
    project.run().assert_success()
    project.plan().assert_nothing_to_do()
    assert client.seen == ["first-secret-text"]
    vault.text = "second-secret-text"
    assert project.run().assert_success().started == ["integrate client.c"]
    assert client.seen == ["first-secret-text", "second-secret-text"]
    project.plan().assert_nothing_to_do()
    state = (project.folder / "devstream.state").read_text()
    assert "secret-text" not in state
    assert project.redactor.mask("second-secret-text") == "(secret)"


def test_what_it_added_outlives_bookkeeping(project: Project, hub: Hub) -> None:
    project.tools(block("thing.a", {"value": "A"}), hub_block())
    project.run().assert_success()
    before = dict(project.entry("hub.h").outputs)
    assert "upstream" in before
    project.tools(block("thing.a", {"value": "A"}), {**hub_block(), "tags": ["new"]})
    project.run().assert_success()
    assert project.entry("hub.h").tags == ("new",)
    assert project.entry("hub.h").outputs == before


def test_a_failed_attempt_counts_even_if_the_upstream_goes_back(project: Project, hub: Hub) -> None:
    """Nobody knows how far the failed attempt got: what was connected before may not be any more."""
    project.tools(block("thing.a", {"value": "old"}), hub_block())
    project.run().assert_success()
    project.tools(block("thing.a", {"value": "new"}), hub_block())
    hub.before["integrate"] = fail
    assert project.run().outcomes["hub.h"] == "integrate failed"
    hub.before.clear()
    project.tools(block("thing.a", {"value": "old"}), hub_block())
    assert project.run().assert_success().started == ["update thing.a", "integrate hub.h"]
    project.plan().assert_nothing_to_do()
