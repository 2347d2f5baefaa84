"""The contract between the engine and plugins. Read this file first when writing a plugin.

The five tool hooks come in the order of a tool's life. Each is answered by exactly one plugin, the one that
provides the tool (a wrapper, ``@hookimpl(wrapper=True)``, of any plugin sees every tool). An implementation
names only the arguments it wants.

A hook fails by raising: `devstream.api.OperationError` says what went wrong; `RetryableError` promises that
nothing was changed. Whatever else it raises is reported as a defect of the plugin, for that tool only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from devstream.context import Context, Tool
    from devstream.model.events import Event
    from devstream.model.schema import ToolSchema
    from devstream.model.state import ToolState
    from devstream.model.status import Outputs, ResourceStatus
    from devstream.plugins.registries import BackendRegistry, SecretSourceRegistry

__all__ = ["hookspec", "hookimpl", "TOOL_HOOKS", "ToolSpecs", "ExtensionSpecs"]

PROJECT = "devstream"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

TOOL_HOOKS = ("create", "read", "update", "delete", "integrate")
"""The hooks of a tool's life, in its order."""


class ToolSpecs:
    """The hooks that a tool implements: `create` always, the others as far as they make sense."""

    @hookspec(firstresult=True)
    def create(self, tool: Tool, context: Context) -> ResourceStatus | None:
        """Make the thing that ``tool`` describes.

        Called when it is not recorded, or is gone. Not called when `read` finds it in place, unless the tool is
        ``repeatable`` or has no `update`. The intent is recorded before the call; after a crash in the middle
        `read` decides whether it happened, so a `read` that finds the thing by its options is worth having. Where
        the service takes a client token, give it ``context.op_id``.

        Returns:
            What was made. None means the same as an empty ResourceStatus.
        """

    @hookspec(firstresult=True)
    def read(self, tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
        """Say what is really there, without changing anything.

        Called in parallel while planning, and after a create or update that failed. ``recorded`` is None for what
        is not in the state: find the thing by its options then.

        Returns:
            What is there. **None means that it is gone.** Properties must stand still while nobody changes the
            thing: two calls in a row give equal properties. Where ``context.thorough`` is true, ``info`` may also say
            what is newer elsewhere; no plan waits for that.
        """

    @hookspec(firstresult=True)
    def update(self, tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus | None:
        """Bring the thing in line with ``tool``'s options; also called to repair drift.

        Not called when an immutable option changed: that is `delete` and `create`.

        Returns:
            What is there now. None means the same as an empty ResourceStatus.
        """

    @hookspec(firstresult=True)
    def delete(self, tool: Tool, recorded: ToolState, context: Context) -> None:
        """Remove the thing. ``tool`` holds the *recorded* options.

        That it is gone already is success. Not called for adopted things (they are forgotten), nor for
        protected ones.
        """

    @hookspec(firstresult=True)
    def integrate(
        self, tool: Tool, status: ResourceStatus, upstream: dict[str, Outputs], context: Context
    ) -> Outputs | None:
        """Connect the thing with its neighbours; idempotent.

        Called after each create and update, and again whenever the outputs of a direct upstream (``dependsOn``
        and references) change. ``upstream`` maps the address of each to its outputs. A tool whose traits name the
        outputs that it looks at (``integrates``) is called for those alone.

        Returns:
            Outputs to merge into the tool's own, or None.
        """

    @hookspec(firstresult=True)
    def devstream_tool_schema(self, tool_name: str) -> ToolSchema | None:
        """Describe the tool's options and traits. Called once when the tool is loaded, before anything runs.

        ``tool_name`` tells which of its names (aliases) is meant. Without this hook any options are accepted.
        """


class ExtensionSpecs:
    """The hooks of plugins that are not tools."""

    @hookspec
    def devstream_register_backends(self, registry: BackendRegistry) -> None:
        """Add state backends: ``registry.add("s3", factory)``. Called when a config asks for one of them."""

    @hookspec
    def devstream_register_secret_sources(self, registry: SecretSourceRegistry) -> None:
        """Add secret sources: ``registry.add("vault", factory)``. Called when a config asks for one of them."""

    @hookspec
    def devstream_event(self, event: Event) -> None:
        """Observe what happens (`devstream.model.events`). An exception is logged and never fatal."""
