"""Hooks that fail, hang, lie or break their contract: what is reported, what is recorded, what comes next."""

from __future__ import annotations

import asyncio
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import (
    OperationError,
    ResourceStatus,
    RetryableError,
    Secret,
    Traits,
    hookimpl,
    tool,
)
from devstream.engine import operations
from devstream.model.plan import Action
from devstream.model.values import SecretRef
from devstream.testing.project import Project, block
from devstream.testing.world import Thing, Things, World

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from devstream.api import Context, Tool


@tool("blind")
class Blind(Things):
    """Cannot be looked at."""

    traits = Traits(can_read=False)


@tool("plaque")
class Plaque(Things):
    """Cannot be updated."""

    traits = Traits(can_update=False)


@tool("stamp")
class Stamp(Things):
    """Can neither be updated nor deleted, but made again."""

    traits = Traits(can_update=False, can_delete=False, repeatable=True)


@tool("fixture")
class Fixture(Things):
    """Can neither be updated nor deleted, nor made again."""

    traits = Traits(can_update=False, can_delete=False)


@pytest.fixture
def things(project: Project) -> dict[str, Things]:
    made: dict[str, Things] = {
        "thing": Thing(),
        "blind": Blind(),
        "plaque": Plaque(),
        "stamp": Stamp(),
        "fixture": Fixture(),
    }
    project.use(*made.values())
    return made


@pytest.fixture
def world(project: Project) -> World:
    return World(project.folder / "world")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "RETRY_DELAY", 0.0)


def fail(*_: object) -> None:
    message = "the service said no"
    raise OperationError(message)


# ---- a create or update that fails after its begin


def test_a_create_that_made_it_all_the_same(
    project: Project, things: dict[str, Things], world: World
) -> None:
    things["thing"].after["create"] = fail
    project.tools(block("thing.a", {"value": 1}))
    assert project.run().outcomes == {"thing.a": "create failed"}
    entry = project.entry("thing.a")
    assert entry.tainted
    assert entry.failed_action is None
    assert entry.properties["value"] == 1
    assert entry.outputs["id"] in world.things()
    things["thing"].after.clear()
    assert project.plan().actions == {"thing.a": "update"}
    project.run().assert_success()
    assert world.doubled() == []
    project.plan().assert_nothing_to_do()


def test_a_create_that_made_nothing(project: Project, things: dict[str, Things]) -> None:
    things["thing"].before["create"] = fail
    project.tools(block("thing.a"))
    ran = project.run()
    assert ran.problem("thing.a").summary == "the service said no"
    assert project.recorded() == []
    assert not project.state().open_operations


def test_a_create_of_which_nobody_can_tell(project: Project, things: dict[str, Things], world: World) -> None:
    def fail_for_good(*_: object) -> None:
        things["thing"].before["read"] = fail
        fail()

    things["thing"].after["create"] = fail_for_good
    project.tools(block("thing.a"))
    assert project.run().outcomes == {"thing.a": "create failed"}
    entry = project.entry("thing.a")
    assert entry.tainted
    assert entry.properties == {}
    things["thing"].after.clear()
    assert project.run().outcomes == {"thing.a": "error failed"}, "while it cannot be read, nothing is tried"
    things["thing"].before.clear()
    assert project.run().assert_success().started == ["update thing.a"]
    assert world.doubled() == []
    project.plan().assert_nothing_to_do()


@pytest.mark.parametrize(
    ("kind", "made", "next_one"),
    [
        ("thing", True, ["update thing.a"]),
        ("plaque", True, ["delete plaque.a", "create plaque.a"]),
        ("stamp", True, ["create stamp.a"]),
        ("fixture", True, []),
        ("fixture", False, ["create fixture.a"]),
        ("blind", True, ["create blind.a"]),
    ],
)
def test_how_a_failed_create_goes_on(
    *,
    project: Project,
    things: dict[str, Things],
    kind: str,
    made: bool,
    next_one: list[str],
) -> None:
    acts = things[kind].after if made else things[kind].before
    acts["create"] = fail
    project.tools(block(f"{kind}.a"))
    project.run()
    acts.clear()
    ran = project.run()
    assert ran.started == next_one
    if kind == "fixture" and made:
        assert project.entry("fixture.a").tainted
        assert ran.plan is not None
        assert [warning.code for warning in ran.plan.warnings] == ["tainted"]
    else:
        ran.assert_success()
        assert not project.entry(f"{kind}.a").tainted
        project.plan().assert_nothing_to_do()


def test_a_blind_tool_remembers_which_hook_failed(project: Project, things: dict[str, Things]) -> None:
    project.tools(block("blind.a", {"value": 1}))
    things["blind"].before["create"] = fail
    project.run()
    assert project.entry("blind.a").failed_action is Action.CREATE
    things["blind"].before.clear()
    project.run().assert_success()
    project.tools(block("blind.a", {"value": 2}))
    things["blind"].before["update"] = fail
    project.run()
    assert project.entry("blind.a").failed_action is Action.UPDATE
    things["blind"].before.clear()
    assert project.run().assert_success().started == ["update blind.a"]


def test_a_failed_update_keeps_the_old_options(
    project: Project, things: dict[str, Things], world: World
) -> None:
    project.tools(block("thing.a", {"value": 1}))
    project.run().assert_success()
    things["thing"].after["update"] = fail
    project.tools(block("thing.a", {"value": 2}))
    project.run()
    entry = project.entry("thing.a")
    assert (entry.options["value"], entry.properties["value"], entry.tainted) == (1, 2, True)
    things["thing"].after.clear()
    assert project.run().assert_success().started == ["update thing.a"]
    project.plan().assert_nothing_to_do()


def test_a_failed_update_that_lost_the_thing(
    project: Project, things: dict[str, Things], world: World
) -> None:
    project.tools(block("thing.a", {"value": 1}))
    project.run().assert_success()
    identity = project.entry("thing.a").outputs["id"]

    def lose(*_: object) -> None:
        world.remove(identity)
        fail()

    things["thing"].before["update"] = lose
    project.tools(block("thing.a", {"value": 2}))
    project.run()
    assert project.recorded() == []
    assert project.run().assert_success().started == ["create thing.a"]


def test_a_replace_whose_second_half_fails(project: Project, things: dict[str, Things], world: World) -> None:
    project.tools(block("thing.a", {"fixed": 1}), block("thing.b", after=["thing.a"]))
    project.run().assert_success()
    things["thing"].before["create"] = fail
    project.tools(block("thing.a", {"fixed": 2}), block("thing.b", {"value": 1}, after=["thing.a"]))
    ran = project.run()
    assert ran.outcomes == {"thing.a": "replace failed", "thing.b": "update skipped"}
    assert project.recorded() == ["thing.b"]
    things["thing"].before.clear()
    assert project.run().assert_success().started == ["create thing.a", "update thing.b"]


def test_a_replace_whose_first_half_fails(project: Project, things: dict[str, Things], world: World) -> None:
    project.tools(block("thing.a", {"fixed": 1}))
    project.run().assert_success()
    things["thing"].before["delete"] = fail
    project.tools(block("thing.a", {"fixed": 2}))
    assert project.run().started == ["delete thing.a"]
    assert [thing["fixed"] for thing in world.things().values()] == [1]
    assert project.plan().actions == {"thing.a": "replace"}


# ---- trying again


class Flaky:
    """Fails so many times."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left = times
        self.error = error

    def __call__(self, *_: object) -> None:
        if self.left:
            self.left -= 1
            raise self.error


@pytest.mark.parametrize(
    ("failures", "retries", "succeeds"), [(2, 2, True), (2, 1, False), (1, 0, False), (0, 3, True)]
)
def test_retries_of_what_changed_nothing(
    *, project: Project, things: dict[str, Things], failures: int, retries: int, succeeds: bool
) -> None:
    things["thing"].before["create"] = Flaky(failures, RetryableError("try later"))
    project.tools(block("thing.a", retries=retries))
    ran = project.run()
    assert ran.outcomes == {"thing.a": "create succeeded" if succeeds else "create failed"}
    assert len(project.calls("create")) == min(failures, retries) + 1
    assert len({call.op_id for call in project.hook_calls.made if call.hook == "create"}) == 1
    assert project.recorded() == (["thing.a"] if succeeds else [])


def test_other_failures_are_not_tried_again(project: Project, things: dict[str, Things]) -> None:
    things["thing"].before["create"] = Flaky(1, OperationError("broken"))
    project.tools(block("thing.a", retries=5))
    assert project.run().outcomes == {"thing.a": "create failed"}
    assert len(project.calls("create")) == 1


def test_a_read_is_tried_again_whatever_it_said(project: Project, things: dict[str, Things]) -> None:
    things["thing"].before["read"] = Flaky(2, OSError("connection reset"))
    project.tools(block("thing.a", retries=2))
    project.run().assert_success()
    assert len(project.calls("read")) == 3
    things["thing"].before["read"] = Flaky(9, OSError("connection reset"))
    assert "OSError: connection reset" in project.run().problem("thing.a").summary


def test_a_retryable_update_failure_changes_no_record(project: Project, things: dict[str, Things]) -> None:
    project.tools(block("thing.a", {"value": 1}))
    project.run().assert_success()
    before = project.entry("thing.a")
    things["thing"].before["update"] = Flaky(1, RetryableError("later"))
    project.tools(block("thing.a", {"value": 2}))
    project.run()
    assert project.entry("thing.a") == before


# ---- time limits


def test_a_command_that_takes_too_long_is_ended_and_has_failed(project: Project) -> None:
    wait = [sys.executable, "-c", "import time; time.sleep(60)"]
    project.tools(block("command.a", {"create": wait, "read": ["sh", "-c", "exit 3"]}, timeout=0.3))
    ran = project.run()
    assert ran.outcomes == {"command.a": "create failed"}
    assert "took too long" in ran.problem("command.a").summary
    assert project.recorded() == []
    last = project.state().last_run
    assert last is not None
    assert [str(address) for address in last.not_succeeded] == ["command.a"]


def test_a_hook_that_hangs_is_abandoned_and_the_next_run_looks(
    project: Project, things: dict[str, Things], world: World
) -> None:
    over = threading.Event()

    def hang(*_: object) -> None:
        over.wait(60)
        fail()

    things["thing"].after["create thing.deaf"] = hang
    project.patience = 0.05
    project.tools(
        block("thing.deaf", timeout=0.5), block("thing.next", after=["thing.deaf"]), block("thing.other")
    )
    try:
        ran = project.run(parallelism=1)
        assert ran.outcomes["thing.deaf"] == "create unknown"
        assert "does not react" in ran.problem("thing.deaf").summary
        assert ran.outcomes["thing.next"] == "create skipped"
        assert ran.outcomes["thing.other"] == "create succeeded"
        assert [str(address) for address in project.state().open_operations] == ["thing.deaf"]
        things["thing"].after.clear()
        project.tools(block("thing.deaf"), block("thing.next", after=["thing.deaf"]), block("thing.other"))
        assert project.run().assert_success().started == ["update thing.deaf", "create thing.next"]
        assert world.doubled() == []
    finally:
        over.set()


# ---- plugins that break things


class Unprintable(Exception):
    def __str__(self) -> str:
        message = "not even this"
        raise ValueError(message)


def recurse(*_: object) -> None:
    recurse()


def raising(error: BaseException) -> Callable[..., None]:
    def act(*_: object) -> None:
        raise error

    return act


ODD = {
    "KeyError: 'x'": raising(KeyError("x")),
    "SystemExit: 3": raising(SystemExit(3)),
    "KeyboardInterrupt": raising(KeyboardInterrupt()),
    "CancelledError": raising(asyncio.CancelledError()),
    "Unprintable": raising(Unprintable()),
    "ExceptionGroup: several": raising(ExceptionGroup("several", [ValueError("a"), OSError("b")])),
    "ValueError: first line": raising(ValueError("first line\nsecond line")),
    "RecursionError": recurse,
    "AssertionError": raising(AssertionError()),
    "MemoryError": raising(MemoryError()),
}


@pytest.mark.parametrize("expected", ODD)
@pytest.mark.parametrize("hook", ["create", "read"])
def test_whatever_a_plugin_raises_fails_its_own_tool_only(
    project: Project, things: dict[str, Things], hook: str, expected: str
) -> None:
    things["thing"].before[f"{hook} thing.a"] = ODD[expected]
    project.tools(block("thing.a"), block("thing.b"))
    ran = project.run()
    assert ran.outcomes["thing.a"].endswith("failed")
    assert ran.outcomes["thing.b"] == "create succeeded"
    problem = ran.problem("thing.a")
    assert f"`{hook}` raised {expected}" in problem.summary
    assert "\n" not in problem.summary
    assert problem.suggestion == "this is a defect of the plugin"


cycle: dict[str, Any] = {}
cycle["itself"] = cycle

ANSWERS: dict[str, tuple[Any, str]] = {
    "text": ("done", "returned str, not a ResourceStatus"),
    "a dict": ({"a": 1}, "returned dict, not a ResourceStatus"),
    "a list of properties": (ResourceStatus(properties=[1]), "returned properties as list, not as a dict"),  # type: ignore[arg-type]
    "outputs as text": (ResourceStatus(outputs="x"), "returned outputs as str, not as a dict"),  # type: ignore[arg-type]
    "a path": (
        ResourceStatus({"where": Path("/x")}),
        "returned properties.where as PosixPath, which is not JSON",
    ),
    "bytes": (ResourceStatus(outputs={"a": [b"x"]}), "returned outputs.a[0] as bytes, which is not JSON"),
    "a set": (ResourceStatus(info={"a": {"b": {1}}}), "returned info.a.b as set, which is not JSON"),
    "a tuple": (ResourceStatus({"a": (1, 2)}), "returned properties.a as tuple, which is not JSON"),
    "not a number": (ResourceStatus({"a": float("nan")}), "returned properties.a as nan, which is not JSON"),
    "infinity": (ResourceStatus({"a": float("inf")}), "returned properties.a as inf, which is not JSON"),
    "a number as key": (
        ResourceStatus({"a": {1: 2}}),
        "returned the key 1 in properties.a: keys have to be text",
    ),
    "half a surrogate": (
        ResourceStatus({"a": "\ud800"}),
        "returned properties.a as text that is not valid Unicode",
    ),
    "a secret without text": (
        ResourceStatus(outputs={"a": Secret((SecretRef("env", "X"),))}),
        "returned outputs.a as a secret without its text",
    ),
    "a circle": (ResourceStatus(cycle), "RecursionError"),
}


@tool("liar")
class Liar:
    """Answers whatever it is told to."""

    def __init__(self) -> None:
        self.answer: Any = None

    @hookimpl
    def create(self) -> Any:
        return self.answer

    @hookimpl
    def delete(self) -> Any:
        return self.answer

    @hookimpl
    def integrate(self) -> Any:
        return None


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_that_break_the_contract(project: Project, name: str) -> None:
    liar = Liar()
    project.use(liar)
    liar.answer, message = ANSWERS[name]
    project.tools(block("liar.a"), block("noop.b"))
    ran = project.run()
    assert ran.outcomes == {"liar.a": "create failed", "noop.b": "create succeeded"}
    assert message in ran.problem("liar.a").summary or message.split(", ")[0] in ran.problem("liar.a").summary
    assert project.entry("liar.a").tainted
    project.tools(block("noop.b"))
    project.run().assert_success()


@pytest.mark.parametrize(
    "answer", [["x"], "x", {1: 2}, {"a": object()}], ids=["list", "text", "number key", "object"]
)
def test_integrate_has_to_answer_with_outputs(project: Project, answer: object) -> None:
    @tool("connector")
    class Connector(Liar):
        @hookimpl
        def integrate(self) -> Any:
            return answer

    project.use(Connector())
    project.tools(block("connector.a"))
    assert project.run().outcomes == {"connector.a": "create failed"}
    assert not project.entry("connector.a").integrated


def test_huge_numbers_and_deep_trees_come_back_as_they_were(project: Project) -> None:
    deep: Any = 2**80
    for _ in range(60):
        deep = {"in": [deep]}
    liar = Liar()
    project.use(liar)
    liar.answer = ResourceStatus(outputs={"deep": deep, "tiny": 5e-324, "big": -(2**63) - 1})
    project.tools(block("liar.a"))
    project.run().assert_success()
    assert project.entry("liar.a").outputs == liar.answer.outputs


# ---- a read that would change something


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.seen.append(self.command)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815 - the names that the base class looks for

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def service() -> Iterator[HTTPServer]:
    server = HTTPServer(("127.0.0.1", 0), _Answers)
    server.seen = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@tool("probe")
class Probe:
    """Does in `read` what the test says."""

    def __init__(self, look: Callable[[Context], Any]) -> None:
        self.look = look

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        self.look(context)
        return ResourceStatus()

    @hookimpl
    def read(self, tool: Tool, context: Context) -> ResourceStatus | None:
        self.look(context)
        return None


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_read_cannot_change_anything_over_http(project: Project, service: HTTPServer, method: str) -> None:
    url = f"http://127.0.0.1:{service.server_port}/"
    project.use(Probe(lambda context: context.http.request(method, url)))
    project.tools(block("probe.a"))
    ran = project.run()
    assert f"`read` tried to send {method} to 127.0.0.1" in ran.problem("probe.a").summary
    assert service.seen == []  # type: ignore[attr-defined]


def test_what_only_looks_is_allowed(project: Project, service: HTTPServer) -> None:
    url = f"http://127.0.0.1:{service.server_port}/"
    project.use(
        Probe(
            lambda context: (
                context.http.get(url),
                context.http.post(url, extensions={"devstream_reads": True}),
                context.run(["true"], reads=True),
            )
        )
    )
    project.tools(block("probe.a"))
    project.run().assert_success()
    assert service.seen == ["GET", "POST"] * 2  # type: ignore[attr-defined]


def test_a_read_cannot_run_a_command_that_may_change_something(project: Project) -> None:
    project.use(Probe(lambda context: context.run(["touch", "here"])))
    project.tools(block("probe.a"))
    ran = project.run()
    assert "`read` tried to run touch" in ran.problem("probe.a").summary
    assert not (project.folder / "here").exists()


# ---- what is not the plugin's fault


def test_options_that_do_not_fit_once_they_are_known_fail_before_anything_is_called(
    project: Project, things: dict[str, Things]
) -> None:
    project.tools(
        block("noop.a", {"input": "no number"}), block("thing.b", {"count": "${{ noop.a.outputs.output }}"})
    )
    ran = project.run()
    assert ran.outcomes == {"noop.a": "create succeeded", "thing.b": "create failed"}
    assert project.calls("create") == ["noop.a"]
    assert not project.state().open_operations
    assert project.recorded() == ["noop.a"]


def test_a_reporter_that_fails_does_not_stop_a_run(project: Project, things: dict[str, Things]) -> None:
    def closed(event: object) -> None:
        if type(event).__name__ == "OperationStarted":
            raise BrokenPipeError

    project.tools(block("thing.a"), block("thing.b", after=["thing.a"]))
    with pytest.raises(BrokenPipeError):
        project.session(closed).run(lambda _: True)
    assert project.recorded() == ["thing.a", "thing.b"]
    project.plan().assert_nothing_to_do()


def test_a_reporter_that_fails_at_the_plan_stops_before_anything_is_done(
    project: Project, things: dict[str, Things]
) -> None:
    def closed(event: object) -> None:
        raise BrokenPipeError

    project.tools(block("thing.a"))
    with pytest.raises(BrokenPipeError):
        project.session(closed).run(lambda _: True)
    assert project.calls("create") == []


def test_events_are_told_one_at_a_time(project: Project, things: dict[str, Things]) -> None:
    busy = threading.Lock()
    overlaps: list[object] = []

    def tell(event: object) -> None:
        if not busy.acquire(blocking=False):
            overlaps.append(event)
            return
        sum(range(2000))
        busy.release()

    def chatter(tool: Tool, context: Context) -> None:
        for number in range(50):
            context.log.info(str(number))

    things["thing"].before["create"] = chatter
    project.tools(*(block(f"thing.t{number}") for number in range(8)))
    report = project.session(tell).run(lambda _: True)
    assert report is not None
    assert overlaps == []
