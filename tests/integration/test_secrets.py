"""Secrets reach hooks, and nothing else: not the state, not events, not messages, not the command lines of children."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import OperationError, ResourceStatus, Secret, hookimpl, tool
from devstream.model.events import OperationLog
from devstream.model.plan import FieldSource
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, World

if TYPE_CHECKING:
    from devstream.api import Context, Tool
    from devstream.testing.project import RunResult

CANARY = "canary-4f1e9b7c"
ROTATED = "canary-rotated-77aa"


@pytest.fixture
def thing(project: Project) -> Thing:
    made = Thing()
    project.use(made)
    project.environ["TOKEN"] = CANARY
    return made


def with_token(address: str = "thing.a", **options: Any) -> dict[str, Any]:
    return block(address, {"token": '[[ env("TOKEN") ]]', **options})


def everything_written(project: Project) -> str:
    paths = [path for path in project.folder.parent.rglob("*") if path.is_file()]
    return "\n".join(path.read_bytes().decode("utf-8", "replace") for path in paths)


def everything_said(ran: RunResult) -> str:
    """What is said beside what a plugin logs, which is masked on its way out."""
    return repr([event for event in ran.events if not isinstance(event, OperationLog)]) + str(ran.error)


def test_a_hook_sees_the_text_and_nobody_else(project: Project, thing: Thing) -> None:
    seen: list[str] = []
    thing.before["create"] = lambda tool, _: seen.append(tool.options.token.reveal())
    project.tools(with_token())
    ran = project.run().assert_success()
    assert seen == [CANARY]
    assert CANARY not in everything_written(project)
    assert CANARY not in everything_said(ran)
    recorded = project.entry("thing.a").options["token"]
    assert recorded["$secret"] == [{"source": "env", "key": "TOKEN"}]
    assert set(recorded) == {"$secret", "fingerprint"}
    project.plan().assert_nothing_to_do()


def test_a_rotated_value_is_a_change_without_a_value(project: Project, thing: Thing) -> None:
    project.tools(with_token())
    project.run().assert_success()
    project.environ["TOKEN"] = ROTATED
    planned = project.plan()
    assert planned.actions == {"thing.a": "update"}
    (field,) = planned.change("thing.a").fields
    assert (field.path, field.source) == (("token",), FieldSource.OPTIONS)
    assert isinstance(field.before, Secret)
    assert isinstance(field.after, Secret)
    assert CANARY not in repr(planned.events)
    assert ROTATED not in repr(planned.events)
    project.run().assert_success()
    project.plan().assert_nothing_to_do()


def test_a_secret_inside_other_text(project: Project, thing: Thing) -> None:
    seen: list[str] = []
    thing.before["create"] = lambda tool, _: seen.append(tool.options.token.reveal())
    project.tools(block("thing.a", {"token": 'user:[[ env("TOKEN") ]]@host'}))
    project.run().assert_success()
    assert seen == [f"user:{CANARY}@host"]
    assert CANARY not in everything_written(project)


def test_what_is_written_in_clear_at_a_secret_option_is_not_recorded(project: Project, thing: Thing) -> None:
    project.tools(block("thing.a", {"token": CANARY}))
    ran = project.run().assert_success()
    assert CANARY not in everything_said(ran)
    assert project.redactor.mask(CANARY) == "(secret)"
    (project.folder / "devstream.yaml").unlink()
    assert CANARY not in everything_written(project)
    project.tools(block("thing.a", {"token": CANARY}))
    project.plan().assert_nothing_to_do()
    project.tools(block("thing.a", {"token": ROTATED}))
    assert project.plan().actions == {"thing.a": "update"}


def test_an_unset_variable_fails_the_delete_of_that_tool_only(project: Project, thing: Thing) -> None:
    project.tools(with_token(), block("thing.b"))
    project.run().assert_success()
    del project.environ["TOKEN"]
    project.tools()
    ran = project.run()
    assert ran.outcomes == {"thing.a": "delete failed", "thing.b": "delete succeeded"}
    assert "TOKEN is not set" in ran.problem("thing.a").summary
    assert project.recorded() == ["thing.a"]
    project.environ["TOKEN"] = ROTATED
    assert project.run().assert_success().outcomes == {"thing.a": "delete succeeded"}


def test_failures_of_every_kind_do_not_tell(project: Project, thing: Thing) -> None:
    """A plugin may put a secret anywhere; the filter on the way out knows it by then."""

    def tell(tool: Tool, context: Context) -> None:
        text = tool.options.token.reveal()
        context.log.info(f"logging in with {text}")
        message = f"refused: {text}"
        raise OperationError(message, detail=f"sent {text}")

    thing.before["create"] = tell
    project.tools(with_token())
    ran = project.run()
    said = project.redactor.mask(repr([str(event) for event in ran.events]) + repr(ran.problem("thing.a")))
    assert "refused: (secret)" in said
    assert CANARY not in said
    assert CANARY not in everything_written(project)


def test_children_get_secrets_by_their_environment_and_input_only(project: Project, thing: Thing) -> None:
    script = (
        "import json, os, sys; given = json.load(sys.stdin);"
        "print(json.dumps({'argv': open('/proc/self/cmdline').read().split(chr(0)),"
        " 'env': sorted(os.environ), 'by_input': given['options']['env']['PASSWORD'] == os.environ['PASSWORD'],"
        " 'length': len(os.environ['PASSWORD'])}))"
    )
    project.tools(
        block(
            "command.a",
            {"create": [sys.executable, "-c", script], "env": {"PASSWORD": '[[ env("TOKEN") ]]'}},
        )
    )
    project.run().assert_success()
    said = project.entry("command.a").properties
    assert said["length"] == len(CANARY)
    assert said["by_input"]
    assert CANARY not in " ".join(said["argv"])
    assert "TOKEN" not in said["env"], "a command gets only the variables that it is meant to have"
    assert CANARY not in everything_written(project)


@tool("generator")
class Generator:
    """Makes a password up and tells it once, or always."""

    def __init__(self, *, tells: bool) -> None:
        self.made = False
        self.tells = tells

    def _outputs(self) -> dict[str, Any]:
        return {"password": Secret((), CANARY), "user": "admin"}

    @hookimpl
    def create(self, context: Context) -> ResourceStatus:
        self.made = True
        return ResourceStatus(outputs=self._outputs())

    @hookimpl
    def read(self) -> ResourceStatus | None:
        if not self.made:
            return None
        return ResourceStatus(outputs=self._outputs() if self.tells else None)


def reader(field: str = "password") -> dict[str, Any]:
    return block("thing.reader", {"token": f"${{{{ generator.g.outputs.{field} }}}}"})


def test_a_secret_output_reaches_who_refers_to_it(project: Project, thing: Thing) -> None:
    seen: list[str] = []
    thing.before["create"] = lambda tool, _: seen.append(tool.options.token.reveal())
    project.use(Generator(tells=True))
    project.tools(block("generator.g"), reader())
    ran = project.run().assert_success()
    assert seen == [CANARY]
    assert CANARY not in everything_written(project)
    assert CANARY not in everything_said(ran)
    assert project.redactor.mask(f"it is {CANARY}") == "it is (secret)"
    project.plan().assert_nothing_to_do()


def test_a_secret_output_that_is_told_once_cannot_be_referred_to_later(
    project: Project, thing: Thing
) -> None:
    project.use(Generator(tells=False))
    project.tools(block("generator.g"))
    project.run().assert_success()
    project.tools(
        block("generator.g"), reader(), block("noop.n", {"input": "${{ generator.g.outputs.user }}"})
    )
    ran = project.run()
    assert ran.outcomes == {"thing.reader": "error failed", "noop.n": "create succeeded"}
    assert "is not recorded" in ran.problem("thing.reader").summary


def test_an_interrupted_operation_with_secrets_is_settled(project: Project, thing: Thing) -> None:
    def die(*_: object) -> None:
        raise SystemExit

    thing.after["create"] = die
    project.tools(with_token())
    project.run()
    thing.after.clear()
    assert project.run().assert_success().started == ["update thing.a"]
    assert World(project.folder / "world").doubled() == []
