"""A small outside world for tests: things that are files, with ids that only the world chooses.

It is as unhelpful as real services are: creating a thing twice makes two of it, and its name is no key. So a
run that loses, doubles or leaves behind something can be told by looking at the folder.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Struct

from devstream.api import ResourceStatus, Secret, ToolSchema, Traits, hookimpl, option, tool

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from devstream.api import Context, Outputs, Tool, ToolState

    Act = Callable[[Tool, Context], None]

__all__ = ["Things", "Thing", "ThingOptions", "World"]


class ThingOptions(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The options of a thing."""

    value: Annotated[Any, option("What is in it.")] = None
    fixed: Annotated[Any, option("What cannot be changed.", immutable=True)] = None
    note: Annotated[Any, option("What is only recorded.", record_only=True)] = None
    count: Annotated[int, option("A number.")] = 0
    token: Annotated[Secret | None, option("A secret.", secret=True)] = None


class World:
    """The things in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, thing: Mapping[str, Any]) -> str:
        """Make a thing; the world chooses its id, which is given back."""
        self.folder.mkdir(exist_ok=True)
        identity = os.urandom(6).hex()
        self._write(identity, thing)
        return identity

    def _write(self, identity: str, thing: Mapping[str, Any]) -> None:
        path = self.folder / identity
        temporary = path.with_name(f".{identity}")
        temporary.write_text(json.dumps(dict(thing)), "utf-8")
        temporary.replace(path)

    def change(self, identity: str, **fields: Any) -> None:
        """Change some fields of a thing."""
        thing = self.get(identity)
        if thing is None:
            message = f"there is no thing {identity}"
            raise LookupError(message)
        self._write(identity, {**thing, **fields})

    def get(self, identity: str) -> dict[str, Any] | None:
        """Give a thing; None where there is none."""
        try:
            thing: dict[str, Any] = json.loads((self.folder / identity).read_text("utf-8"))
        except FileNotFoundError:
            return None
        return thing

    def remove(self, identity: str) -> None:
        """Remove a thing; a missing one is fine."""
        (self.folder / identity).unlink(missing_ok=True)

    def things(self) -> dict[str, dict[str, Any]]:
        """Give every thing by its id, in the order of ids."""
        if not self.folder.is_dir():
            return {}
        names = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
        found = ((name, self.get(name)) for name in names)
        return {name: thing for name, thing in found if thing is not None}

    def find(self, name: str) -> str | None:
        """Give the id of a thing of that name, the first where there are several; None where there is none."""
        return next((identity for identity, thing in self.things().items() if thing["name"] == name), None)

    def names(self) -> list[str]:
        """List the names of all things, in order; a name comes as often as there are things of it."""
        return sorted(thing["name"] for thing in self.things().values())

    def doubled(self) -> list[str]:
        """List the names of which there is more than one thing."""
        return sorted(name for name, number in Counter(self.names()).items() if number > 1)


class Things:
    """The plugin of a tool whose instances are things; make a class of it with ``@tool("name")``.

    Attributes:
        traits: what can be done with its things.
        adopts, parallel: for its schema.
        before, after: what to do around a hook, by "hook address" or by "hook"; it may raise.
    """

    traits = Traits()
    adopts = False
    parallel: int | None = None

    def __init__(self) -> None:
        self.before: dict[str, Act] = {}
        self.after: dict[str, Act] = {}

    @hookimpl
    def devstream_tool_schema(self) -> ToolSchema:
        """Describe the options."""
        return ToolSchema(
            ThingOptions, adopts=self.adopts, parallel=self.parallel, traits=lambda _: self.traits
        )

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        """Make a thing."""
        self._act(self.before, "create", tool, context)
        thing = _content(tool)
        identity = self.world(context).put({**thing, "op_id": context.op_id})
        self._act(self.after, "create", tool, context)
        return _status(identity, thing)

    @hookimpl
    def read(self, tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
        """Look for the thing: by its id where that is recorded, else by its name."""
        self._act(self.before, "read", tool, context)
        world = self.world(context)
        identity = recorded.outputs.get("id") if recorded else None
        identity = identity or world.find(str(tool.address))
        thing = world.get(identity) if identity else None
        self._act(self.after, "read", tool, context)
        return _status(identity, thing) if identity and thing else None

    @hookimpl
    def update(self, tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:
        """Change the thing."""
        self._act(self.before, "update", tool, context)
        identity = recorded.outputs.get("id") or self.world(context).find(str(tool.address)) or "missing"
        thing = _content(tool)
        self.world(context).change(identity, **thing)
        self._act(self.after, "update", tool, context)
        return _status(identity, thing)

    @hookimpl
    def delete(self, tool: Tool, recorded: ToolState, context: Context) -> None:
        """Remove the thing."""
        self._act(self.before, "delete", tool, context)
        identity = recorded.outputs.get("id") or self.world(context).find(str(tool.address))
        if identity:
            self.world(context).remove(identity)
        self._act(self.after, "delete", tool, context)

    @hookimpl
    def integrate(
        self,
        tool: Tool,
        status: ResourceStatus,  # noqa: ARG002 - the hook's signature
        upstream: dict[str, Outputs],
        context: Context,
    ) -> Outputs | None:
        """Give back what its upstreams said."""
        self._act(self.before, "integrate", tool, context)
        seen = {address: outputs.get("value") for address, outputs in upstream.items()}
        self._act(self.after, "integrate", tool, context)
        return {"upstream": seen}

    def world(self, context: Context) -> Any:
        """Give the world that the things are in: by default the folder ``world`` of the project."""
        return World(context.folder / "world")

    def _act(self, acts: Mapping[str, Act], hook: str, tool: Tool, context: Context) -> None:
        act = acts.get(f"{hook} {tool.address}") or acts.get(hook)
        if act:
            act(tool, context)


@tool("thing")
class Thing(Things):
    """A thing that can be created, read, updated and deleted."""


def _content(tool: Tool) -> dict[str, Any]:
    options: ThingOptions = tool.options
    return {"name": str(tool.address), "value": _json(options.value), "fixed": _json(options.fixed)}


def _json(value: Any) -> Any:
    return "(hidden)" if isinstance(value, Secret) else value


def _status(identity: str, thing: Mapping[str, Any]) -> ResourceStatus:
    managed = {"value": thing["value"], "fixed": thing["fixed"]}
    return ResourceStatus(properties=managed, outputs={"id": identity, "value": thing["value"]})
