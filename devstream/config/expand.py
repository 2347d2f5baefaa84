"""Apps become tools: a repository from its template, then every ci, then every cd.

``app svc`` with a ``repoTemplate``, one ci of type ``local-ci`` and one cd of type ``argocdapp`` becomes::

    repo-scaffolding.svc
    local-ci.svc           after repo-scaffolding.svc
    argocdapp.svc          after repo-scaffolding.svc and local-ci.svc

and all three wait for ``tools:``, unless the app has a ``dependsOn`` of its own: then they wait for that instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from devstream.config.check import Problems, in_file_order
from devstream.config.links import check_links
from devstream.config.names import dependency_place, is_instance_id
from devstream.config.origins import LayeredOrigins, TreeOrigins, Written, place_of
from devstream.config.placement import ImageRepo, image_repo_of, place_options, repo_layer, with_defaults
from devstream.config.shape import Shape, shape_of
from devstream.config.source import check_loose
from devstream.config.tools import tool_instance
from devstream.config.uses import Use, app_variables, use_of
from devstream.errors import DevstreamError, PluginError
from devstream.model.address import Address
from devstream.model.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.config.model import Config
    from devstream.config.variables import Variables
    from devstream.errors import Diagnostic, Mark
    from devstream.model.app import App, Pipeline
    from devstream.model.schema import ToolSchema
    from devstream.model.tool import ToolInstance

__all__ = ["Expansion", "expand"]

SCAFFOLDING = "repo-scaffolding"
"""The tool that makes an app's repository from its template."""


@dataclass(frozen=True, slots=True)
class Expansion:
    """All tool instances: those of ``tools`` first, then the apps'."""

    tools: tuple[ToolInstance, ...]
    warnings: tuple[Diagnostic, ...]


def expand(config: Config, schema_of: Callable[[str, Mark | None], ToolSchema | None]) -> Expansion:
    """Expand the apps of a configuration, and check how all tools are linked.

    Args:
        config: a configuration as `load_config` gave it.
        schema_of: gives the schema of a tool by name, and where it was named; None for a tool that has none.

    Raises:
        ConfigError: with every mistake that was found, in file order: an address that is there twice or does
            not exist, a tool whose plugin is missing, a mistake in a pipeline template that is used.
    """
    scope = config.variables.scope
    errors, warnings = len(scope.errors), len(scope.warnings)
    problems = Problems(config.env, offline=config.offline)
    expander = _Expander(config, schema_of, problems)
    tools = [*config.tools, *(tool for app in config.apps for tool in expander.expand(app))]
    problems.errors += scope.errors[errors:]
    linked = check_links(tools, expander.place_of_dependency, problems)
    problems.errors += check_loose(config.loose, {tool.address.name for tool in linked})
    _check_files(linked, config, problems)
    problems.raise_any(config.names)
    found = in_file_order([*problems.warnings, *scope.warnings[warnings:]], config.names)
    return Expansion(linked, tuple(found))


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


class _Known(NamedTuple):
    """What is known at one point of an app's expansion.

    Attributes:
        after: what the next tool waits for.
        image_repo: the ``imageRepo`` of the pipelines so far.
    """

    variables: Variables
    after: tuple[Address, ...]
    image_repo: ImageRepo | None = None


class _Expander:
    """Turns apps into tools."""

    def __init__(
        self,
        config: Config,
        schema_of: Callable[[str, Mark | None], ToolSchema | None],
        problems: Problems,
    ) -> None:
        self._config = config
        self._schema_of = schema_of
        self._problems = problems
        self._schemas: dict[str, tuple[ToolSchema | None, Shape]] = {}
        self._sources = {app.name: app.source for app in config.apps}

    def place_of_dependency(self, tool: ToolInstance, address: Address) -> Mark | None:
        """Give the place where a tool's ``dependsOn``, or its app's, names an address."""
        if isinstance(tool.origins, TreeOrigins):
            return dependency_place(tool.origins.written.node, address)
        return dependency_place(self._sources.get(tool.app or ""), address)

    def expand(self, app: App) -> list[ToolInstance]:
        """Give the tools of one app, in the order they are to be made."""
        known = _Known(app_variables(app, self._config.variables), app.depends_on or ())
        tools: list[ToolInstance] = []
        if app.repo_template is not None:
            tools.append(_scaffolding(app, known))
            known = known._replace(after=(*known.after, tools[0].address))
        taken: dict[Address, Pipeline] = {}
        for kind in ("ci", "cd"):
            made, known = self._expand_kind(kind, app, known, taken)
            tools += made
            known = known._replace(after=(*known.after, *(tool.address for tool in made)))
        return tools

    def _expand_kind(
        self, kind: str, app: App, known: _Known, taken: dict[Address, Pipeline]
    ) -> tuple[list[ToolInstance], _Known]:
        """Give the tools of an app's ``ci`` or ``cd``, and what is known after them."""
        tools: list[ToolInstance] = []
        outer, templates = self._config.variables, self._config.pipeline_templates
        for pipeline in app.pipelines:
            if pipeline.kind != kind:
                continue
            use = use_of(
                pipeline,
                app=app,
                known=known.variables,
                outer=outer,
                templates=templates,
                problems=self._problems,
            )
            address = self._address(use, app, taken) if use else None
            if use and address:
                tools.append(self._tool(use, address, app, known))
                known = known._replace(image_repo=image_repo_of(use, known.image_repo))
        return tools, known

    def _address(self, use: Use, app: App, taken: dict[Address, Pipeline]) -> Address | None:
        """Give the address of a ci or cd item; None where it cannot have it, which is noted."""
        name = use.pipeline.name
        address = Address(use.tool, f"{app.name}-{name}" if name else app.name)
        if not is_instance_id(address.instance_id):
            self._problems.error(
                f'the name "{name}" makes the instanceID "{address.instance_id}", which is not allowed',
                "wrong-name",
                place_of(use.pipeline.source, ("name",)),
                suggestion='lower-case letters, digits, "-" and ".", at most 253 together',
            )
            return None
        first = taken.setdefault(address, use.pipeline)
        if first is use.pipeline:
            return address
        self._problems.error(
            f'the app "{app.name}" has two {use.tool} {f"called {name}" if name else "without a name"}',
            "duplicate-pipeline",
            use.pipeline.origin.mark,
            detail=f"first at {first.origin.mark}",
            suggestion=f"tell them apart, for example by name: {_proposal(use.pipeline, app)}",
        )
        return None

    def _tool(self, use: Use, address: Address, app: App, known: _Known) -> ToolInstance:
        """Make the tool of one ci or cd item."""
        schema, shape = self._schema(use)
        placed = place_options(use, app, shape, known.image_repo, known.variables.places)
        treatment = use.pipeline.treatment
        if use.template:
            treatment = treatment.over(use.template.treatment)
        origin = Origin(use.pipeline.origin.mark, (f"app {app.name}",))
        return tool_instance(
            address,
            self._with_defaults(schema, placed.options, use, app, known),
            treatment.over(app.treatment),
            origin=origin,
            origins=LayeredOrigins(placed.layers, origin),
            depends_on=known.after,
            after_tools=app.depends_on is None,
            app=app.name,
        )

    def _schema(self, use: Use) -> tuple[ToolSchema | None, Shape]:
        """Ask for the schema of a tool, once; a plugin that is missing is noted."""
        if use.tool not in self._schemas:
            try:
                schema = self._schema_of(use.tool, use.mark_of_type)
            except PluginError as error:
                self._problems.errors += error.diagnostics
                schema = None
            self._schemas[use.tool] = (schema, shape_of(schema))
        return self._schemas[use.tool]

    def _with_defaults(
        self, schema: ToolSchema | None, options: dict[str, object], use: Use, app: App, known: _Known
    ) -> dict[str, object]:
        try:
            return with_defaults(schema, options, use, app, known.image_repo)
        except DevstreamError as error:
            self._problems.errors += error.diagnostics
            return options


def _proposal(pipeline: Pipeline, app: App) -> str:
    """Propose a name for an item that has none of its own, and that no other item has."""
    used = {other.name for other in app.pipelines}
    wanted = pipeline.template or f"{pipeline.type}-2"
    return wanted if wanted not in used else f"{wanted}-2"


def _scaffolding(app: App, known: _Known) -> ToolInstance:
    """Make the tool that makes an app's repository from its template."""
    trail, places = (f"app {app.name}",), known.variables.places
    options = {"destinationRepo": dict(app.repo), "sourceRepo": dict(app.repo_template or {})}
    layers = [
        repo_layer(app, places, "destinationRepo"),
        (("sourceRepo",), Written(app.source, places, trail, ("repoTemplate",))),
    ]
    if app.template_vars is not None:
        options["vars"] = app.template_vars
        layers.append((("vars",), Written(app.source, places, trail, ("repoTemplate", "vars"))))
    return tool_instance(
        Address(SCAFFOLDING, app.name),
        options,
        app.treatment,
        origin=Origin(app.origin.mark, trail),
        origins=LayeredOrigins(tuple(layers), Origin(app.origin.mark, trail)),
        depends_on=known.after,
        after_tools=app.depends_on is None,
        app=app.name,
    )
