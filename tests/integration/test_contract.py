"""Plugins that raise, answer or do what they must not: their own tool fails, and nobody else's."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import ResourceStatus, Secret, hookimpl, tool
from devstream.model.values import SecretRef
from devstream.testing.project import Project, block
from devstream.testing.world import Thing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from devstream.api import Context, Tool


@pytest.fixture
def thing(project: Project) -> Thing:
    made = Thing()
    project.use(made)
    return made


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
    project: Project, thing: Thing, hook: str, expected: str
) -> None:
    thing.before[f"{hook} thing.a"] = ODD[expected]
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
