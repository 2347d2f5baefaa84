"""What is asked of one tool's plugin: traits, options, and tools without a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from devstream.api import ResourceStatus, ToolSchema, hookimpl, tool
from devstream.errors import PluginError
from devstream.model.address import Address
from devstream.model.events import Event, ReadStarted
from devstream.model.origin import Origin
from devstream.model.schema import Traits
from devstream.model.tool import ToolInstance
from devstream.model.values import Secret, SecretRef
from devstream.plugins.manager import PluginManager

if TYPE_CHECKING:
    from devstream.plugins.tool_plugin import ToolPlugin

SECRET = Secret((SecretRef("env", "X"),), "s3cr3t")


class Options(msgspec.Struct):
    count: int = 1
    token: Any = None


@tool("plain")
class Plain:
    @hookimpl
    def create(self) -> None: ...

    @hookimpl
    def read(self) -> None: ...


def lie(options: Any) -> Traits:
    if options.get("fail"):
        raise KeyError("fail")
    return Traits(can_read=options.get("count", 0) > 1, can_integrate=True, repeatable=True)


@tool("described")
class Described:
    @hookimpl
    def devstream_tool_schema(self, tool_name: str) -> ToolSchema:
        return ToolSchema(Options, doc=tool_name, adopts=True, parallel=2, traits=lie)

    @hookimpl
    def create(self) -> ResourceStatus:
        return ResourceStatus({"by": type(self).__name__})

    @hookimpl
    def read(self) -> None: ...

    @hookimpl
    def delete(self) -> None: ...


class Watcher:
    def __init__(self) -> None:
        self.seen: list[Event] = []

    @hookimpl
    def devstream_event(self, event: Event) -> None:
        self.seen.append(event)


def manager(*plugins: object) -> PluginManager:
    made = PluginManager(folder=None, environ={}, search_path=[])
    made.add(*plugins)
    return made


@pytest.fixture
def plain() -> ToolPlugin:
    return manager(Plain).tool("plain")


@pytest.fixture
def described() -> ToolPlugin:
    return manager(Described()).tool("described")


def test_without_a_schema_any_options_will_do(plain: ToolPlugin) -> None:
    options = {"a": [1, SECRET], "b": {"c": "yes"}}
    instance = ToolInstance(Address("plain", "a"), options, Origin(None))
    assert plain.check(instance) == []
    assert plain.prepare(options, None) is options
    assert plain.convert(options) == options
    assert plain.flags(("a", 0)) == frozenset()
    assert (plain.schema, plain.options, plain.adopts, plain.parallel) == (None, None, False, None)


def test_traits_are_what_is_implemented(plain: ToolPlugin) -> None:
    assert plain.traits({}) == Traits(can_update=False, can_delete=False, can_integrate=False)


def test_traits_never_promise_what_is_not_implemented(described: ToolPlugin) -> None:
    expected = Traits(can_read=False, can_update=False, can_delete=True, repeatable=True)
    assert described.traits({}) == expected
    assert described.traits({"count": 2}).can_read


def test_traits_that_fail(described: ToolPlugin) -> None:
    with pytest.raises(PluginError, match=r'"described".*KeyError'):
        described.traits({"fail": True})


def test_what_the_schema_says(described: ToolPlugin) -> None:
    assert described.schema is not None
    assert (described.schema.doc, described.adopts, described.parallel) == ("described", True, 2)
    assert described.convert({"count": 3}) == Options(count=3)


def test_plugins_handed_in_beat_all_others_and_observers_see() -> None:
    watcher = Watcher()

    @tool("noop")
    class Mine(Described):
        """Mine."""

    made = manager(Mine, watcher)
    assert made.tool("noop").hooks.create(tool=None, context=None).properties == {"by": "Mine"}  # type: ignore[arg-type]  # not looked at
    made.emit(ReadStarted(Address("noop", "a")))
    assert watcher.seen == [ReadStarted(Address("noop", "a"))]
    with pytest.raises(PluginError, match="provides no tool"):
        manager(type("Stray", (Plain,), {})())
