"""A built-in tool with its options converted, called through the plugin manager, without the engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.state import ToolState
from devstream.model.tool import ToolInstance
from devstream.plugins.manager import PluginManager
from devstream.testing.context import PlainContext, PlainTool

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.model.schema import Traits
    from devstream.model.status import Outputs, ResourceStatus


class Bench:
    """Calls the hooks of one built-in tool in a folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.address = Address(name, "test")
        self.plugin = PluginManager(folder=None, environ={}, search_path=[]).tool(name)
        self.context = PlainContext(folder, address=self.address)

    def tool(self, options: dict[str, Any]) -> PlainTool:
        return PlainTool(self.address, self.plugin.convert(options), options)

    def create(self, **options: Any) -> ResourceStatus:
        return self.plugin.hooks.create(tool=self.tool(options), context=self.context)

    def read(self, **options: Any) -> ResourceStatus | None:
        context = replace(self.context, reading=True)
        return self.plugin.hooks.read(tool=self.tool(options), recorded=None, context=context)

    def update(self, **options: Any) -> ResourceStatus:
        recorded = ToolState(self.address)
        return self.plugin.hooks.update(tool=self.tool(options), recorded=recorded, context=self.context)

    def delete(self, **options: Any) -> None:
        recorded = ToolState(self.address, properties={"was": 1})
        self.plugin.hooks.delete(tool=self.tool(options), recorded=recorded, context=self.context)

    def integrate(
        self, status: ResourceStatus, upstream: dict[str, Outputs], **options: Any
    ) -> Outputs | None:
        return self.plugin.hooks.integrate(
            tool=self.tool(options), status=status, upstream=upstream, context=self.context
        )

    def traits(self, **options: Any) -> Traits:
        return self.plugin.traits(options)

    def mistakes(self, **options: Any) -> list[str]:
        return [str(item) for item in self.plugin.check(ToolInstance(self.address, options, Origin(None)))]

    @property
    def logged(self) -> list[tuple[str, str]]:
        return self.context.log.lines


@pytest.fixture
def noop(tmp_path: Path) -> Bench:
    return Bench("noop", tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Bench:
    return Bench("file", tmp_path)


@pytest.fixture
def command(tmp_path: Path) -> Bench:
    return Bench("command", tmp_path)
