"""What the planner asks of others, and when; what it decides is in the cases and the laws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from devstream.errors import Diagnostic, Mark, PluginError
from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.plan import Action, FieldSource
from devstream.model.schema import Traits
from devstream.model.state import ToolState
from devstream.model.status import ResourceStatus
from devstream.model.tool import ToolInstance
from devstream.model.values import Interpolation, Reference, Secret, SecretRef
from devstream.planning.planner import Planner, Unfinished, Wishes
from devstream.planning.provider import ReadAnswer, ReadRequest

if TYPE_CHECKING:
    from devstream.model.values import Path
    from tests.unit.planning.conftest import FakePlugin, World

A, B, C = (Address("web", name) for name in "abc")


@dataclass
class WatchedReads:
    """Says which reads were under way whenever somebody waited."""

    open: list[ReadRequest] = field(default_factory=list)
    under_way: list[set[Address]] = field(default_factory=list)

    def start(self, request: ReadRequest) -> None:
        self.open.append(request)

    def wait(self) -> tuple[Address, ReadAnswer]:
        self.under_way.append({request.address for request in self.open})
        return self.open.pop().address, ReadAnswer(ResourceStatus({}, {"out": 1}))


def watched(world: World) -> list[set[Address]]:
    reads = WatchedReads()
    Planner(
        tools=world.tools,
        graph=world.graph(),
        state=world.state,
        provider=world.provider,
        reads=reads,
        secrets=world.secret,
    ).plan()
    assert not reads.open
    return reads.under_way


def web(address: Address, **fields: Any) -> ToolInstance:
    fields.setdefault("options", {})
    return ToolInstance(address, origin=Origin(Mark("config.yaml", 1, 1)), **fields)


def test_reads_that_wait_for_nothing_are_under_way_at_once(world_of: type[World]) -> None:
    secret = {"token": Secret((SecretRef("env", "TOKEN"),))}
    world = world_of(
        tools=[web(A), web(B, depends_on=(A,)), web(C, options=secret, depends_on=(B,))],
        secrets={"env:TOKEN": "hunter22"},
    )
    assert watched(world)[0] == {A, B, C}


def test_a_read_starts_as_soon_as_its_upstream_is_known(
    world_of: type[World], plugin_of: type[FakePlugin]
) -> None:
    blind = Address("blind", "a")
    entries = {address: ToolState(address, outputs={"out": 1}) for address in (blind, A)}
    behind_blind = web(B, options={"x": Reference(blind, ("out",))})
    behind_read = web(C, options={"x": Interpolation(("at ", Reference(A, ("out",))))})
    world = world_of(
        tools=[web(blind), web(A), behind_blind, behind_read],
        entries=entries,
        plugins={"blind": plugin_of(Traits(can_read=False))},
    )
    assert watched(world) == [{A, B}, {A}, {C}]


def test_read_is_told_the_options_and_the_record(world_of: type[World]) -> None:
    entry = ToolState(A, options={"x": 1})
    world = world_of(tools=[web(A, options={"x": 2}), web(B)], entries={A: entry})
    world.plan()
    asked = {request.address: request for request in world.asked}
    assert (asked[A].options, asked[A].recorded, asked[A].tool) == ({"x": 2}, entry, world.tools[0])
    assert (asked[B].options, asked[B].recorded, asked[B].tool) == ({}, None, world.tools[1])


def test_traits_are_asked_with_the_options_as_written_and_as_recorded(
    world_of: type[World], plugin_of: type[FakePlugin]
) -> None:
    reference = Reference(B, ("out",))
    recorded = {"delete": ["rm"], "x": {"$ref": "web.b.outputs.out", "value": 5}, "m": {"$map": {"$k": 1}}}
    plugin = plugin_of()
    world = world_of(
        tools=[web(A, options={"x": reference})],
        entries={C: ToolState(C, options=recorded)},
        plugins={"web": plugin},
    )
    world.tools.append(web(B))
    world.plan()
    assert {"x": reference} in plugin.asked
    assert {"delete": ["rm"], "x": 5, "m": {"$k": 1}} in plugin.asked


def test_a_plan_says_what_it_was_made_from(world_of: type[World]) -> None:
    status = ResourceStatus({"size": 2})
    world = world_of(tools=[web(A), web(B)], entries={A: ToolState(A)}, answers={A: ReadAnswer(status)})
    plan = world.plan()
    changes = {change.address: change for change in plan.changes}
    assert (plan.lineage, plan.serial) == (world.state.lineage, world.state.serial)
    assert (changes[A].tool, changes[A].recorded) == (world.tools[0], world.entries[A])
    assert (changes[A].observed, changes[A].was_read) == (status, True)
    assert (changes[B].observed, changes[B].was_read) == (None, True)
    world.wishes = Wishes(refresh=False)
    assert {change.address: change.was_read for change in world.plan().changes} == {A: False, B: True}


@dataclass(frozen=True)
class Places:
    """Knows where each option was written."""

    lines: dict[Path, int]

    def at(self, path: Path) -> Origin | None:
        return Origin(Mark("config.yaml", self.lines[path], 3)) if path in self.lines else None


def test_a_changed_option_says_where_it_was_written(world_of: type[World]) -> None:
    tool = web(A, options={"port": 81, "new": 1}, origins=Places({("port",): 7}))
    entry = ToolState(A, options={"port": 80}, properties={"size": 1})
    world = world_of(tools=[tool], entries={A: entry}, answers={A: ReadAnswer(ResourceStatus({"size": 2}))})
    (change,) = world.plan().changes
    found = {field.path: (field.source, field.origin and str(field.origin)) for field in change.fields}
    assert found == {
        ("port",): (FieldSource.OPTIONS, "config.yaml:7:3"),
        ("new",): (FieldSource.OPTIONS, None),
        ("size",): (FieldSource.DRIFT, None),
    }
    assert change.reasons[0].paths == (("port",), ("new",))


def test_no_value_of_a_secret_is_in_the_plan(world_of: type[World]) -> None:
    options = {
        "token": Secret((SecretRef("env", "TOKEN"),)),
        "url": Interpolation((Reference(B, ("key",)), "@h")),
    }
    entry = ToolState(A, options={"token": "plain before", "url": "x"})
    world = world_of(
        tools=[web(A, options=options), web(B)],
        entries={A: entry, B: ToolState(B)},
        answers={
            B: ReadAnswer(
                ResourceStatus({"key": Secret.plain("correct-horse")}, {"key": Secret.plain("battery")})
            )
        },
        secrets={"env:TOKEN": "hunter22"},
    )
    text = repr(world.plan())
    assert not [secret for secret in ("hunter22", "correct-horse", "battery") if secret in text]


def test_what_may_have_been_made_keeps_what_it_stands_on_until_it_is_settled(world_of: type[World]) -> None:
    trouble = {A: Diagnostic("interrupted", "undecidable")}
    world = world_of(
        entries={B: ToolState(B)},
        begun={A: ToolState(A, depends_on=(str(B),))},
        unfinished=Unfinished(trouble),
    )
    plan = world.plan()
    assert [(change.address, change.action) for change in plan.changes] == [
        (A, Action.ERROR),
        (B, Action.DELETE),
    ]
    assert A in plan.after[B]


def test_an_error_names_the_tool_it_is_about(world_of: type[World]) -> None:
    world = world_of(
        tools=[web(A, options={"token": Secret((SecretRef("env", "TOKEN"),))})],
        entries={Address("old", "x"): ToolState(Address("old", "x"))},
        missing=frozenset({"old"}),
    )
    errors = {change.address: change.error for change in world.plan().changes}
    assert all(error is not None and error.address == str(address) for address, error in errors.items())
    # nobody knows where the option was written, so its block has to do
    assert str(errors[A]) == "config.yaml:1:1: the environment variable TOKEN is not set"


def test_a_warning_says_where_and_about_whom(world_of: type[World], plugin_of: type[FakePlugin]) -> None:
    stuck = Traits(can_update=False, can_delete=False)
    world = world_of(
        tools=[web(A)], entries={A: ToolState(A, tainted=True)}, plugins={"web": plugin_of(stuck)}
    )
    (warning,) = world.plan().warnings
    assert (warning.severity, warning.address, str(warning.mark)) == ("warning", "web.a", "config.yaml:1:1")


def test_a_tool_of_the_config_without_a_plugin_ends_planning(world_of: type[World]) -> None:
    with pytest.raises(PluginError, match="pip install devstream-plugin-web"):
        world_of(tools=[web(A)], missing=frozenset({"web"})).plan()
