"""`ToolHooks`: the five hooks of one tool, typed, each asked of the one plugin that provides it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.errors import OperationError, PluginError
from devstream.model.status import ResourceStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.context import Context, Tool
    from devstream.model.schema import ToolSchema
    from devstream.model.state import ToolState
    from devstream.model.status import Outputs
    from devstream.plugins.relay import Plugin, Relay

__all__ = ["ToolHooks"]


class ToolHooks:
    """Calls one provider's hooks, inside the wrappers of every plugin that is loaded by then."""

    def __init__(self, relay: Relay, plugin: Plugin) -> None:
        self._relay = relay
        self._plugin = plugin
        self._generation = -1
        self._callers: dict[str, Callable[..., Any]] = {}

    def implements(self, hook: str) -> bool:
        """Tell whether the provider implements one of the hooks."""
        return self._plugin.provider.facade_implements(hook)

    def create(self, *, tool: Tool, context: Context) -> ResourceStatus:
        """Make the thing.

        Raises:
            OperationError: or whatever else the hook raises.
        """
        return self._status("create", tool=tool, context=context) or ResourceStatus()

    def read(self, *, tool: Tool, recorded: ToolState | None, context: Context) -> ResourceStatus | None:
        """Say what is there; None means that it is gone."""
        return self._status("read", tool=tool, recorded=recorded, context=context)

    def update(self, *, tool: Tool, recorded: ToolState, context: Context) -> ResourceStatus:
        """Bring the thing in line with the options."""
        return self._status("update", tool=tool, recorded=recorded, context=context) or ResourceStatus()

    def delete(self, *, tool: Tool, recorded: ToolState, context: Context) -> None:
        """Remove the thing."""
        self._call("delete", tool=tool, recorded=recorded, context=context)

    def integrate(
        self, *, tool: Tool, status: ResourceStatus, upstream: Mapping[str, Outputs], context: Context
    ) -> Outputs | None:
        """Connect the thing with its neighbours; gives outputs to merge, or None."""
        outputs = self._call("integrate", tool=tool, status=status, upstream=upstream, context=context)
        if outputs is not None and not isinstance(outputs, dict):
            raise self._broken("integrate", outputs, "a dict of outputs or None")
        return outputs

    def schema(self, name: str) -> ToolSchema | None:
        """Ask for the tool's schema; None where the provider describes none."""
        if not self.implements("devstream_tool_schema"):
            return None
        return self._caller("devstream_tool_schema")(tool_name=name)  # type: ignore[no-any-return]  # checked by the caller

    def _status(self, hook: str, **arguments: object) -> ResourceStatus | None:
        status = self._call(hook, **arguments)
        if status is not None and not isinstance(status, ResourceStatus):
            raise self._broken(hook, status, "a ResourceStatus or None")
        return status

    def _call(self, hook: str, **arguments: object) -> Any:
        if not self.implements(hook):
            # pluggy would answer None, which means "gone" to `read` and "done" to the others.
            message = f"{self._plugin.name} does not implement {hook}"
            raise PluginError(message, code="hook-missing")
        return self._caller(hook)(**arguments)

    def _caller(self, hook: str) -> Callable[..., Any]:
        if self._generation != self._relay.generation:
            self._generation = self._relay.generation
            self._callers = {}
        caller = self._callers.get(hook)
        if caller is None:
            caller = self._callers[hook] = self._relay.caller(hook, self._plugin)
        return caller

    def _broken(self, hook: str, answer: object, wanted: str) -> OperationError:
        return OperationError(
            f"{hook} of {self._plugin.name} returned {type(answer).__name__}, not {wanted}",
            code="plugin-contract",
            suggestion="this is a defect of the plugin",
        )
