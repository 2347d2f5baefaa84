"""Apps become tools: a repository from its template, then every ci, then every cd.

``app svc`` with a ``repoTemplate``, one ci of type ``local-ci`` and one cd of type ``argocdapp`` becomes::

    repo-scaffolding.svc
    local-ci.svc           after repo-scaffolding.svc
    argocdapp.svc          after repo-scaffolding.svc and local-ci.svc

and all three wait for ``tools:``, unless the app has a ``dependsOn`` of its own: then they wait for that instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from devstream.config.check import Problems, in_file_order
from devstream.config.links import check_links
from devstream.config.names import DependencyPlaces
from devstream.config.origins import TreeOrigins
from devstream.config.source import check_loose
from devstream.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from devstream.config.model import Config
    from devstream.config.tree import Node
    from devstream.errors import Diagnostic, Mark
    from devstream.model.address import Address
    from devstream.model.schema import ToolSchema
    from devstream.model.tool import ToolInstance

__all__ = ["Expansion", "expand", "expand_as_far_as_possible"]


class Expansion(NamedTuple):
    """All tool instances: those of ``tools`` first, then the apps'; and what is wrong, in no order."""

    tools: tuple[ToolInstance, ...]
    warnings: tuple[Diagnostic, ...]
    errors: tuple[Diagnostic, ...] = ()


def expand(config: Config, schema_of: Callable[[str, Mark | None], ToolSchema | None]) -> Expansion:
    """Expand the apps of a configuration, and check how all tools are linked.

    Args:
        config: a configuration as `load_config` gave it.
        schema_of: gives the schema of a tool by name, and where it was named; None for a tool that has none.

    Raises:
        ConfigError: with every mistake that was found, in file order: an address that is there twice or does
            not exist, a tool whose plugin is missing, a mistake in a pipeline template that is used.
    """
    expansion = expand_as_far_as_possible(config, schema_of)
    if expansion.errors:
        raise ConfigError(in_file_order(expansion.errors, config.names))
    return expansion


def expand_as_far_as_possible(
    config: Config, schema_of: Callable[[str, Mark | None], ToolSchema | None]
) -> Expansion:
    """Do what `expand` does, and give the mistakes with those tools that there are."""
    scope = config.variables.scope
    errors, warnings = len(scope.errors), len(scope.warnings)
    problems = Problems(config.env, offline=config.offline)
    tools = [*config.tools, *_expanded(config, schema_of, problems)]
    problems.errors += scope.errors[errors:]
    linked = check_links(tools, _Places(config).of_dependency, problems, is_whole=config.is_whole)
    problems.errors += check_loose(config.loose, {tool.address.name for tool in linked})
    _check_files(linked, config, problems)
    found = in_file_order([*problems.warnings, *scope.warnings[warnings:]], config.names)
    return Expansion(linked, tuple(found), tuple(problems.errors))


def _expanded(
    config: Config, schema_of: Callable[[str, Mark | None], ToolSchema | None], problems: Problems
) -> Iterable[ToolInstance]:
    if not config.apps:
        return ()
    from devstream.config.expander import AppExpander

    expander = AppExpander(config, schema_of, problems)
    return (tool for app in config.apps for tool in expander.expand(app))


def _check_files(tools: tuple[ToolInstance, ...], config: Config, problems: Problems) -> None:
    """Note every ``file`` tool that would write what the next run reads as configuration."""
    for tool in tools:
        path = tool.options.get("path")
        if tool.address.name == "file" and isinstance(path, str) and config.found.would_read(path):
            origin = tool.origins.at(("path",)) or tool.origin
            problems.error(
                f'{tool.address} writes "{path}", which would be read as configuration',
                "file-is-config",
                origin.mark,
                suggestion="write it to a folder whose name begins with a dot, or outside the configuration's folder",
            )


class _Places:
    """Knows where what a tool depends on was written."""

    def __init__(self, config: Config) -> None:
        self._apps: dict[str | None, Node] = {app.name: app.source for app in config.apps}
        self._last: tuple[Node, DependencyPlaces] = (None, DependencyPlaces(None))

    def of_dependency(self, tool: ToolInstance, address: Address) -> Mark | None:
        """Give the place where a tool's ``dependsOn``, or its app's, names an address."""
        own = tool.origins.written.node if isinstance(tool.origins, TreeOrigins) else self._apps.get(tool.app)
        if self._last[0] is not own:
            self._last = (own, DependencyPlaces(own))
        return self._last[1].of(address)
