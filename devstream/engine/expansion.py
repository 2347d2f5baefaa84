"""From the checked config to its tools: plugins are loaded, apps expanded, options checked, and all put in a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.errors import ConfigError, PluginError
from devstream.graph.dag import CycleError, Graph
from devstream.model.tool import BARRIER
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from devstream.config.expand import Expansion
    from devstream.config.model import Config
    from devstream.errors import Diagnostic, Mark
    from devstream.model.schema import ToolSchema
    from devstream.model.tool import ToolInstance
    from devstream.model.values import SecretRef
    from devstream.plugins.manager import PluginManager

__all__ = ["Expanded", "expand_config", "graph_of"]


class Expanded(NamedTuple):
    """Every tool instance of a config, options in the form their schemas ask for."""

    tools: tuple[ToolInstance, ...]
    warnings: tuple[Diagnostic, ...]


def expand_config(
    config: Config,
    plugins: PluginManager,
    *,
    secrets: Callable[[SecretRef], str] | None,
    conceal: Callable[[str], None],
) -> Expanded:
    """Expand a config, load the plugins of its tools, and check their options.

    Args:
        secrets: gives the text of a secret; None: secrets are not looked up.
        conceal: is told every secret that was written in clear.

    Raises:
        ConfigError: with every mistake in options at once.
        PluginError: a tool's plugin is missing or does not load.
    """
    expansion = _expanded(config, plugins)
    _load(plugins, expansion.tools)
    prepared, found = [], list(expansion.warnings)
    for tool in expansion.tools:
        plugin = plugins.tool(tool.address.name)
        ready = replace(tool, options=plugin.prepare(dict(tool.options), secrets))
        _conceal_written_secrets(ready, conceal)
        found += plugin.check(ready)
        prepared.append(ready)
    errors = [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    if errors:
        raise ConfigError(errors)
    return Expanded(tuple(prepared), tuple(found))


def _expanded(config: Config, plugins: PluginManager) -> Expansion:
    """Expand the apps; where plugins are missing, everything else that is wrong is said with it."""
    from devstream.config.expand import expand

    def schema_of(name: str, mark: Mark | None) -> ToolSchema | None:
        return plugins.tool(name, mark).schema

    missing: PluginError | None = None
    try:
        _load(plugins, config.tools)
    except PluginError as error:
        missing = error
    try:
        expansion = expand(config, schema_of)
    except ConfigError as error:
        if missing is None:
            raise
        raise ConfigError(dict.fromkeys([*missing.diagnostics, *error.diagnostics])) from None
    if missing is not None:
        raise missing
    return expansion


def _load(plugins: PluginManager, tools: Sequence[ToolInstance]) -> None:
    """Load the plugins of tools; a message names where the first instance of each is written."""
    marks = {tool.address.name: tool.origin.mark for tool in reversed(tools) if tool.origin.mark}
    plugins.load(marks, marks)


def _conceal_written_secrets(tool: ToolInstance, conceal: Callable[[str], None]) -> None:
    """Text that was written in clear at a secret option is a secret from now on."""
    from devstream.engine.answers import secrets_in

    for secret in secrets_in(tool.options):
        if secret.is_resolved and not secret.is_plain:
            conceal(secret.reveal())


def graph_of(tools: Sequence[ToolInstance]) -> Graph[Any]:
    """Say what waits for what: addresses, and the barrier that stands for all of ``tools:``.

    Raises:
        ConfigError: tools wait for each other.
    """
    from devstream.config.references import references_in

    edges: dict[Any, list[Any]] = {BARRIER: []}
    for tool in tools:
        edges[tool.address] = [*tool.depends_on]
        edges[tool.address] += [reference.address for reference in references_in(tool.options)]
        if tool.app is None:
            edges[BARRIER].append(tool.address)
        if tool.after_tools:
            edges[tool.address].append(BARRIER)
    try:
        return Graph(edges)
    except CycleError as error:
        raise ConfigError([_cycle(error, tools)]) from None


def _cycle(error: CycleError, tools: Sequence[ToolInstance]) -> Diagnostic:
    from devstream.engine.cycles import describe_cycle

    return describe_cycle(error.path, {tool.address: tool for tool in tools})
