"""A tool that says which outputs its `integrate` looks at is called for those, and for nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError, ResourceStatus, Traits, hookimpl, tool
from devstream.testing.project import Project, block
from devstream.testing.world import Things

if TYPE_CHECKING:
    from devstream.api import Context, Outputs, Tool, ToolState


@tool("offer")
class Offer:
    """Has the outputs that its options say."""

    @hookimpl
    def create(self, tool: Tool) -> ResourceStatus:
        return ResourceStatus(properties={}, outputs=dict(tool.options))

    @hookimpl
    def read(self, tool: Tool, recorded: ToolState | None) -> ResourceStatus | None:
        return ResourceStatus(properties={}, outputs=dict(recorded.outputs)) if recorded else None

    @hookimpl
    def update(self, tool: Tool) -> ResourceStatus:
        return self.create(tool)

    @hookimpl
    def delete(self) -> None:
        """Nothing is there."""


@tool("hub")
class Hub(Things):
    """Looks at webhooks and keys; keeps what it saw."""

    traits = Traits(can_integrate=True, integrates=("webhook", "key"))

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[dict[str, Any]] = []
        self.trouble = ""

    @hookimpl
    def integrate(
        self, tool: Tool, status: ResourceStatus, upstream: dict[str, Outputs], context: Context
    ) -> Outputs | None:
        if self.trouble:
            raise OperationError(self.trouble)
        self.seen.append(upstream)
        return super().integrate(tool, status, upstream, context)


@pytest.fixture
def hub(project: Project) -> Hub:
    made = Hub()
    project.use(Offer(), made)
    return made


def config(outputs: dict[str, Any] | None, value: object = None) -> list[Any]:
    if outputs is None:
        return [block("hub.h", {"value": value})]
    return [block("offer.o", outputs), block("hub.h", {"value": value}, after=["offer.o"])]


NOTHING: dict[str, Any] = {"url": "x"}
STEPS: list[tuple[dict[str, Any] | None, dict[str, Any] | None, list[str]]] = [
    (NOTHING, {"url": "y"}, ["update offer.o"]),
    ({"key": "1"}, {"key": "2"}, ["update offer.o", "integrate hub.h"]),
    ({"key": "1"}, {"key": "1", "url": "y"}, ["update offer.o"]),
    ({"key": "1"}, {"key": "1", "webhook": "w"}, ["update offer.o", "integrate hub.h"]),
    ({"key": "1"}, NOTHING, ["update offer.o", "integrate hub.h"]),
    ({"key": "1"}, None, ["integrate hub.h", "delete offer.o"]),
    (NOTHING, None, ["delete offer.o"]),
]


@pytest.mark.parametrize(("before", "after", "started"), STEPS)
def test_it_is_called_when_what_it_looks_at_changes(
    project: Project, hub: Hub, before: dict[str, Any], after: dict[str, Any] | None, started: list[str]
) -> None:
    project.tools(*config(before))
    looked_at = before.keys() & {"webhook", "key"}
    first = ["create offer.o", "create hub.h", *(["integrate hub.h"] if looked_at else [])]
    assert project.run().assert_success().started == first
    assert project.entry("hub.h").integrated
    project.plan().assert_nothing_to_do()
    project.tools(*config(after))
    assert sorted(project.run().assert_success().started) == sorted(started)
    project.plan().assert_nothing_to_do()
    if "integrate hub.h" in started:
        assert hub.seen[-1] == ({"offer.o": after} if after else {}), "it is given everything"


def test_an_upstream_that_begins_to_offer_is_seen_by_the_next_run(project: Project, hub: Hub) -> None:
    """No plan can know it: until then the upstream has nothing that would make the tool wait for it."""
    project.tools(*config(NOTHING))
    project.run().assert_success()
    project.tools(*config({"key": "1"}))
    assert project.plan().actions == {"offer.o": "update", "hub.h": "noop"}
    assert project.run().assert_success().started == ["update offer.o"]
    assert project.plan().actions["hub.h"] == "integrate"
    assert project.run().assert_success().started == ["integrate hub.h"]
    assert hub.seen == [{"offer.o": {"key": "1"}}]


def test_an_update_of_what_was_connected_connects_again(project: Project, hub: Hub) -> None:
    project.tools(*config({"key": "1"}))
    project.run().assert_success()
    project.tools(*config({"key": "1"}, value="other"))
    assert project.run().assert_success().started == ["update hub.h", "integrate hub.h"]
    project.tools(*config(NOTHING, value="third"))
    assert project.run().assert_success().started == ["update offer.o", "update hub.h", "integrate hub.h"]
    project.tools(*config(NOTHING, value="fourth"))
    assert project.run().assert_success().started == ["update hub.h"]
    assert len(hub.seen) == 3


def test_one_that_failed_is_called_again(project: Project, hub: Hub) -> None:
    hub.trouble = "the service is down"
    project.tools(*config({"key": "1"}))
    assert project.run().outcomes["hub.h"].endswith("failed")
    assert not project.entry("hub.h").integrated
    hub.trouble = ""
    assert project.run().assert_success().started == ["integrate hub.h"]
    project.plan().assert_nothing_to_do()
