"""What is decided only when its turn comes, and what references stand for then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError, ResourceStatus, Traits, hookimpl, tool
from devstream.model.events import OperationEnded
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, Things, World

if TYPE_CHECKING:
    from devstream.api import Context, Tool


@tool("hub")
class Hub(Things):
    """Is connected with its upstreams."""

    traits = Traits(can_integrate=True)


@pytest.fixture
def thing(project: Project) -> Thing:
    made = Thing()
    project.use(made, Hub())
    return made


@pytest.fixture
def world(project: Project) -> World:
    return World(project.folder / "world")


def user(field: str = "value") -> dict[str, Any]:
    return block("thing.user", {field: "${{ thing.up.outputs.value }}"})


def up(value: object, count: int = 0) -> dict[str, Any]:
    return block("thing.up", {"value": value, "count": count})


def test_nothing_to_do_where_the_output_stays(project: Project, thing: Thing) -> None:
    project.tools(up("same"), user())
    project.run().assert_success()
    project.tools(up("same", count=1), user())
    assert project.plan().actions == {"thing.up": "update", "thing.user": "conditional"}
    ran = project.run().assert_success()
    assert ran.started == ["update thing.up"]
    told = [event.result for event in ran.events if isinstance(event, OperationEnded)]
    assert [(str(one.address), str(one.action)) for one in told] == [
        ("thing.up", "update"),
        ("thing.user", "noop"),
    ]
    project.plan().assert_nothing_to_do()


def test_update_where_it_changes(project: Project, thing: Thing, world: World) -> None:
    project.tools(up("old"), user())
    project.run().assert_success()
    project.tools(up("new"), user())
    ran = project.run().assert_success()
    assert ran.outcomes["thing.user"] == "update succeeded"
    assert world.things()[project.entry("thing.user").outputs["id"]]["value"] == "new"


def test_create_where_it_is_gone_by_then(project: Project, thing: Thing, world: World) -> None:
    project.tools(up("old"), user())
    project.run().assert_success()
    identity = project.entry("thing.user").outputs["id"]
    thing.before["update thing.up"] = lambda *_: world.remove(identity)
    project.tools(up("old", count=1), user())
    ran = project.run().assert_success()
    assert ran.outcomes["thing.user"] == "create succeeded"
    assert world.names() == ["thing.up", "thing.user"]


def test_integrate_where_an_upstream_says_something_else(project: Project, thing: Thing) -> None:
    hub = block("hub.h", after=["thing.up"])
    project.tools(up("old"), hub)
    project.run().assert_success()
    project.tools(up("new"), hub)
    assert project.plan().actions == {"thing.up": "update", "hub.h": "conditional"}
    assert project.run().assert_success().started == ["update thing.up", "integrate hub.h"]
    assert project.entry("hub.h").outputs["upstream"] == {"thing.up": "new"}


def test_a_replacement_that_nobody_agreed_to_is_not_done(
    project: Project, thing: Thing, world: World
) -> None:
    project.tools(up("old"), user("fixed"), block("thing.last", after=["thing.user"]))
    project.run().assert_success()
    project.tools(up("new"), user("fixed"), block("thing.last", {"value": 1}, after=["thing.user"]))
    ran = project.run()
    assert ran.outcomes == {
        "thing.up": "update succeeded",
        "thing.user": "error failed",
        "thing.last": "update skipped",
    }
    assert "run it again" in ran.problem("thing.user").suggestion
    assert project.plan().actions["thing.user"] == "replace"
    project.run().assert_success()
    assert world.things()[project.entry("thing.user").outputs["id"]]["fixed"] == "new"


def test_a_new_tool_is_looked_for_once_its_options_are_known(
    project: Project, thing: Thing, world: World
) -> None:
    world.put({"name": "thing.user", "value": "theirs", "fixed": None})
    project.tools(up("x"), user())
    assert project.plan().actions == {"thing.up": "create", "thing.user": "create"}
    assert project.plan().change("thing.user").look_again
    ran = project.run()
    assert ran.outcomes == {"thing.up": "create succeeded", "thing.user": "error failed"}
    assert "exists already" in ran.problem("thing.user").summary
    assert world.doubled() == []


def test_and_taken_over_where_that_is_wanted(project: Project, thing: Thing, world: World) -> None:
    identity = world.put({"name": "thing.user", "value": "theirs", "fixed": None})
    project.tools(up("x"), {**user(), "adopt": True})
    project.run().assert_success()
    assert project.entry("thing.user").adopted
    assert world.things()[identity]["value"] == "x"
    project.plan().assert_nothing_to_do()


def test_looking_that_fails_at_its_turn_fails_that_tool(project: Project, thing: Thing) -> None:
    project.tools(up("old"), user(), block("thing.last", after=["thing.user"]))
    project.run().assert_success()

    def break_reads(*_: object) -> None:
        thing.before["read thing.user"] = fail

    def fail(*_: object) -> None:
        message = "no answer"
        raise OperationError(message)

    thing.before["update thing.up"] = break_reads
    project.tools(up("new"), user(), block("thing.last", {"value": 1}, after=["thing.user"]))
    ran = project.run()
    assert ran.outcomes["thing.user"] == "error failed"
    assert ran.problem("thing.user").summary == "no answer"
    assert ran.outcomes["thing.last"] == "update skipped"


def test_many_that_wait_for_one_are_all_decided(project: Project, thing: Thing) -> None:
    """Tools without `read` are decided at once, those with one on few workers: neither may stall the run."""
    users = [block(f"thing.u{n}", {"value": "${{ thing.up.outputs.value }}"}) for n in range(6)]
    blind = [block(f"noop.n{n}", {"input": "${{ thing.up.outputs.value }}"}) for n in range(6)]
    project.tools(up("old"), *users, *blind)
    project.run().assert_success()
    project.tools(up("old", count=1), *users, *blind)
    assert project.run(parallelism=2).assert_success().started == ["update thing.up"]
    project.tools(up("new"), *users, *blind)
    assert len(project.run(parallelism=2).assert_success().started) == 13


def test_only_conditional_changes_that_turn_out_to_be_none(project: Project) -> None:
    """A run may end right where the last one is decided."""
    pair = [
        block("noop.a", {"input": 1, "delay": 0}),
        block("noop.b", {"input": "${{ noop.a.outputs.output }}"}),
    ]
    project.tools(*pair)
    project.run().assert_success()
    project.tools(block("noop.a", {"input": 2, "delay": 0}), pair[1])
    assert project.run().assert_success().started == ["update noop.a", "update noop.b"]


# ---- what references stand for

VALUES = [
    0,
    7,
    -1.5,
    True,
    False,
    None,
    "",
    "text",
    "$1 \\1 ${x} {{y}} %s",
    "grüße, 世界 🎉",
    'quote " and \\ backslash\nand a second line',
    "true",
    "017",
    [],
    {},
    [1, "two", None, [3]],
    {"deep": {"list": [{"name": "x"}]}, "dotted.key": 1},
    "x" * 100_000,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30])
def test_a_whole_value_keeps_its_type(project: Project, value: object) -> None:
    """D6 of the first DevStream: everything became text, and lists were not looked into."""
    project.tools(
        block("noop.a", {"input": value}),
        block(
            "noop.b",
            {"input": {"one": "${{ noop.a.outputs.output }}", "many": ["${{noop.a.outputs.output}}"]}},
        ),
    )
    project.run().assert_success()
    seen = project.entry("noop.b").outputs["output"]
    assert seen == {"one": value, "many": [value]}
    assert type(seen["one"]) is type(value)
    project.plan().assert_nothing_to_do()


TEXTS = [
    (7, "port ${{ noop.a.outputs.output }}", "port 7"),
    (True, "${{ noop.a.outputs.output }}!", "true!"),
    (None, "<${{ noop.a.outputs.output }}>", "<null>"),
    ("$1 \\g<0>", "a ${{ noop.a.outputs.output }} b", "a $1 \\g<0> b"),
    ("ü🎉", "${{ noop.a.outputs.output }}${{ noop.a.outputs.output }}", "ü🎉ü🎉"),
    ({"x": [1, 2]}, "${{ noop.a.outputs.output.x[0] }}/${{ noop.a.outputs.output.x[1] }}", "1/2"),
    ([1, "ü"], "json: ${{ noop.a.outputs.output }}", 'json: [1, "ü"]'),
]


@pytest.mark.parametrize(("value", "text", "expected"), TEXTS, ids=[text for _, text, _ in TEXTS])
def test_references_inside_text(project: Project, value: object, text: str, expected: str) -> None:
    project.tools(block("noop.a", {"input": value}), block("noop.b", {"input": text}))
    project.run().assert_success()
    assert project.entry("noop.b").outputs["output"] == expected
    project.plan().assert_nothing_to_do()


def test_different_tools_in_one_text(project: Project) -> None:
    """D6: only the last reference was looked up, and its value stood in for all of them."""
    project.tools(
        block("noop.a", {"input": "A"}),
        block("noop.b", {"input": "B"}),
        block("noop.c", {"input": "${{ noop.a.outputs.output }}-${{ noop.b.outputs.output }}"}),
    )
    project.run().assert_success()
    assert project.entry("noop.c").outputs["output"] == "A-B"


def test_an_instance_id_with_dots_is_found(project: Project) -> None:
    project.tools(
        block("noop.a", {"input": {"b": "wrong"}}),
        block("noop.a.outputs.b", {"input": "right"}),
        block("noop.c", {"input": "${{ noop.a.outputs.b.outputs.output }}"}),
    )
    project.run().assert_success()
    assert project.entry("noop.c").outputs["output"] == "right"


@pytest.mark.parametrize("path", ["nope", "output.nope", "output.list[5]", "output[0]"])
def test_an_output_that_does_not_exist_is_a_failure(project: Project, path: str) -> None:
    """D1 of the first DevStream: such a tool was skipped without a word, with exit code 0."""
    made = block("noop.a", {"input": {"list": [1]}})
    project.tools(made, block("noop.b", {"input": f"${{{{ noop.a.outputs.{path} }}}}"}), block("noop.c"))
    ran = project.run()
    assert ran.outcomes["noop.b"].endswith("failed")
    assert f"noop.a has no output {path}" in ran.problem("noop.b").summary
    assert ran.outcomes["noop.c"] == "create succeeded"
    again = project.run()
    assert f"noop.a has no output {path}" in again.problem("noop.b").summary
    assert again.problem("noop.b").mark is not None


@tool("forgetful")
class Forgetful:
    """Says its outputs when it is made, and not when it is looked at or updated."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        self.made[str(tool.address)] = dict(tool.options)
        return ResourceStatus(outputs={"number": 42})

    @hookimpl
    def read(self, tool: Tool) -> ResourceStatus | None:
        return ResourceStatus() if str(tool.address) in self.made else None

    @hookimpl
    def update(self, tool: Tool) -> None: ...


def test_outputs_that_a_plugin_does_not_repeat_stay(project: Project) -> None:
    project.use(Forgetful())
    reader = block("noop.b", {"input": "${{ forgetful.a.outputs.number }}"})
    project.tools(block("forgetful.a"), reader)
    project.run().assert_success()
    project.tools(block("forgetful.a", {"x": 1}), reader)
    assert project.run().assert_success().started == ["update forgetful.a"]
    assert project.entry("forgetful.a").outputs == {"number": 42}
    project.plan().assert_nothing_to_do()


@tool("numbered")
class Numbered(Forgetful):
    """Has outputs only at the first time."""

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        first = not self.made
        super().create(tool, context)
        return ResourceStatus(outputs={"number": 42} if first else None)


def test_outputs_of_a_thing_that_is_gone_are_not_kept(project: Project) -> None:
    numbered = Numbered()
    project.use(numbered)
    project.tools(block("numbered.a"))
    project.run().assert_success()
    numbered.made = {"other": None}
    project.run().assert_success()
    assert project.entry("numbered.a").outputs == {}
