"""``noop``: does nothing, and gives its input back as an output. For trying things out, and for wiring."""

from __future__ import annotations

from time import monotonic, sleep
from typing import Annotated, Any

from msgspec import Meta, Struct

from devstream.api import (
    Context,
    OperationCancelled,
    ResourceStatus,
    Tool,
    ToolSchema,
    ToolState,
    Traits,
    hookimpl,
    option,
    tool,
)

__all__ = ["Noop", "NoopOptions"]

_PULSE = 0.02
"""Seconds between two looks at whether the run is being stopped."""


class NoopOptions(Struct, rename="camel", forbid_unknown_fields=True, frozen=True):
    """The options of ``noop``."""

    input: Annotated[Any, option("Any value; it is the output `output`.")] = None
    triggers: Annotated[
        Any, option("Any value; when it changes, the instance is replaced.", immutable=True)
    ] = None
    delay: Annotated[
        float, Meta(ge=0), option("How long each operation takes, in seconds.", record_only=True)
    ] = 0.0


def _traits(_: object) -> Traits:
    return Traits(can_read=False, repeatable=True)


@tool("noop")
class Noop:
    """Does nothing; gives its input back as an output."""

    @hookimpl
    def devstream_tool_schema(self) -> ToolSchema:
        """Describe the options."""
        return ToolSchema(NoopOptions, doc="Does nothing; gives its input back as an output.", traits=_traits)

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        """Wait for as long as ``delay`` says, and give the input back."""
        _wait(tool.options.delay, context)
        return ResourceStatus(outputs={"output": tool.options.input})

    @hookimpl
    def update(self, tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:  # noqa: ARG002
        """Do the same as `create`."""
        return self.create(tool, context)

    @hookimpl
    def delete(self, tool: Tool, context: Context) -> None:
        """Wait; there is nothing to remove."""
        _wait(tool.options.delay, context)


def _wait(seconds: float, context: Context) -> None:
    """Wait in short steps, so that a run that is being stopped does not wait for us."""
    end = monotonic() + seconds
    while (left := end - monotonic()) > 0:
        if context.cancelled:
            message = "stopped while waiting"
            raise OperationCancelled(message)
        sleep(min(left, _PULSE))
