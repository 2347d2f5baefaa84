"""The public surface for plugin authors. Import from here and from nowhere else.

A tool in eight lines, in ``devstream_plugins.py`` beside a config or in a package of its own::

    from devstream.api import ResourceStatus, hookimpl, tool

    @tool("greeting")
    class Greeting:
        @hookimpl
        def create(self, tool, context):
            context.log.info(f"hello from {tool.address}")
            return ResourceStatus(properties={"greeted": tool.options["who"]})
"""

from __future__ import annotations

from devstream.context import CompletedCommand, Context, Log, Tool
from devstream.errors import (
    CredentialsError,
    DevstreamError,
    Diagnostic,
    Mark,
    OperationCancelled,
    OperationError,
    OptionError,
    PluginError,
    Refusal,
    RetryableError,
    StateConflictError,
    StateUnreachableError,
    SwapRefused,
    SwapUnsettled,
    nearest,
)
from devstream.hookspecs import hookimpl
from devstream.model.address import Address
from devstream.model.events import Event
from devstream.model.schema import AppDefaults, ToolSchema, Traits, WrongOption, option
from devstream.model.state import LeaseHolder, ToolState
from devstream.model.status import Outputs, ResourceStatus
from devstream.model.values import Secret
from devstream.plugins.declare import tool
from devstream.plugins.registries import BackendRegistry, SecretSource, SecretSourceRegistry
from devstream.state.backend import Head, KernelLease, Probed, ProbePlace, StateBackend

__all__ = [
    # writing a tool
    "hookimpl",
    "tool",
    "Tool",
    "Context",
    "Log",
    "CompletedCommand",
    "ResourceStatus",
    "Outputs",
    "ToolState",
    "Address",
    "Secret",
    # describing a tool
    "ToolSchema",
    "Traits",
    "AppDefaults",
    "option",
    "WrongOption",
    # failing
    "OperationError",
    "RetryableError",
    "OperationCancelled",
    "DevstreamError",
    "CredentialsError",
    "PluginError",
    "Diagnostic",
    "Mark",
    # extending devstream
    "BackendRegistry",
    "StateBackend",
    "KernelLease",
    "Probed",
    "ProbePlace",
    "OptionError",
    "nearest",
    "LeaseHolder",
    "Head",
    "StateConflictError",
    "StateUnreachableError",
    "SwapUnsettled",
    "SwapRefused",
    "Refusal",
    "SecretSourceRegistry",
    "SecretSource",
    "Event",
]
