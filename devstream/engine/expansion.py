"""From the checked config to its tools: plugins are loaded, apps expanded, options checked, and all put in a graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.config.check import in_file_order
from devstream.errors import ConfigError, PluginError
from devstream.graph.dag import CycleError, Graph
from devstream.model.tool import BARRIER
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from devstream.config.expand import Expansion
    from devstream.config.load import BrokenConfig
    from devstream.config.model import Config
    from devstream.errors import Diagnostic, Mark
    from devstream.model.schema import ToolSchema
    from devstream.model.tool import ToolInstance
    from devstream.model.values import SecretRef
    from devstream.plugins.manager import PluginManager

__all__ = ["Expanded", "every_mistake", "expand_config", "graph_of"]

MOST_CYCLES = 20
"""So many are looked for; each takes a walk over everything."""


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
        ConfigError: with every mistake at once, in file order: in links, in options, plugins that are missing, cycles.
        PluginError: plugins are missing or do not load, and nothing else is wrong.
    """
    expansion, missing = _expanded(config, plugins)
    prepared: list[ToolInstance] = []
    claims: list[tuple[ToolInstance, str, str]] = []
    found: list[Diagnostic] = [*expansion.warnings, *expansion.errors]
    for tool in expansion.tools:
        try:
            plugin = plugins.tool(tool.address.name)
        except PluginError:
            continue  # it is among those that are missing
        ready = replace(tool, options=plugin.prepare(dict(tool.options), secrets))
        _conceal_written_secrets(ready, conceal)
        found += plugin.check(ready)
        prepared.append(ready)
        claims += [(ready, thing, name) for thing, name in plugin.claims(ready)]
    found += _claimed_twice(claims)
    errors = [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    if missing is not None and not errors:
        raise missing
    if errors:
        raise _all_at_once(errors, missing, expansion, config)
    return Expanded(tuple(prepared), tuple(found))


def _claimed_twice(claims: Sequence[tuple[ToolInstance, str, str]]) -> list[Diagnostic]:
    """Find what two tools would take from each other; of each pair of tools one thing is told."""
    first: dict[str, tuple[ToolInstance, str]] = {}
    found: dict[tuple[Any, Any], Diagnostic] = {}
    for tool, thing, name in claims:
        other, its_name = first.setdefault(thing, (tool, name))
        if its_name != name:
            mistake = _claim_mistake(tool, other, thing)
            found.setdefault((tool.address, other.address), mistake)
    return list(found.values())


def _claim_mistake(tool: ToolInstance, other: ToolInstance, thing: str) -> Diagnostic:
    from devstream.errors import Diagnostic

    return Diagnostic(
        f"{tool.address} and {other.address} both keep {thing}",
        code="kept-twice",
        mark=tool.origin.mark,
        address=str(tool.address),
        suggestion="give one of them a `name`, or leave it out",
    )


def every_mistake(
    broken: BrokenConfig, plugins: PluginManager, *, conceal: Callable[[str], None]
) -> ConfigError:
    """Look for more mistakes in what could be read of a broken config, so that all are told at once."""
    config = broken.config
    more: Sequence[Diagnostic]
    try:
        more = _cycles(expand_config(config, plugins, secrets=None, conceal=conceal).tools)
    except (ConfigError, PluginError) as error:
        more = error.diagnostics
    return ConfigError(in_file_order([*broken.diagnostics, *more], config.names))


def _all_at_once(
    errors: Sequence[Diagnostic], missing: PluginError | None, expansion: Expansion, config: Config
) -> ConfigError:
    told = {diagnostic.summary for diagnostic in expansion.errors}
    lacking = [item for item in missing.diagnostics if item.summary not in told] if missing else []
    return ConfigError(in_file_order([*errors, *lacking, *_cycles(expansion.tools)], config.names))


def _expanded(config: Config, plugins: PluginManager) -> tuple[Expansion, PluginError | None]:
    """Expand the apps; plugins that are missing are told apart, since all else can be checked all the same."""
    from devstream.config.expand import expand_as_far_as_possible

    def schema_of(name: str, mark: Mark | None) -> ToolSchema | None:
        return plugins.tool(name, mark).schema

    missing = _missing(plugins, config.tools)
    expansion = expand_as_far_as_possible(config, schema_of)
    return expansion, missing if not config.apps else _missing(plugins, expansion.tools)


def _missing(plugins: PluginManager, tools: Sequence[ToolInstance]) -> PluginError | None:
    try:
        _load(plugins, tools)
    except PluginError as error:
        return error
    return None


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
    edges = _edges(tools)
    try:
        return Graph(edges)
    except CycleError:
        raise ConfigError(_cycles(tools)) from None


def _edges(tools: Sequence[ToolInstance]) -> dict[Any, list[Any]]:
    from devstream.config.references import references_in

    edges: dict[Any, list[Any]] = {BARRIER: []}
    for tool in tools:
        edges[tool.address] = [*tool.depends_on]
        edges[tool.address] += [reference.address for reference in references_in(tool.options)]
        if tool.app is None:
            edges[BARRIER].append(tool.address)
        if tool.after_tools:
            edges[tool.address].append(BARRIER)
    return edges


def _cycles(tools: Sequence[ToolInstance]) -> list[Diagnostic]:
    """Describe every cycle, as long as they do not touch: the first of those that do."""
    edges = _edges(tools)
    by_address = {tool.address: tool for tool in tools}
    found: list[Diagnostic] = []
    while len(found) < MOST_CYCLES:
        known = {
            node: [other for other in after if other in edges and other != node]
            for node, after in edges.items()
        }
        try:
            Graph(known)
        except CycleError as error:
            from devstream.engine.cycles import describe_cycle

            found.append(describe_cycle(error.path, by_address))
            told = set(error.path)
            edges = {node: after for node, after in edges.items() if node not in told}
        else:
            break
    return found
