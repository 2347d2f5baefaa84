"""Apps become tools: a repository from its template, then every ci, then every cd.

``app svc`` with a ``repoTemplate``, one ci of type ``local-ci`` and one cd of type ``argocdapp`` becomes::

    repo-scaffolding.svc
    local-ci.svc           after repo-scaffolding.svc
    argocdapp.svc          after repo-scaffolding.svc and local-ci.svc

and all three wait for ``tools:``, unless the app has a ``dependsOn`` of its own: then they wait for that instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.config.check import Problems, in_file_order
from devstream.config.links import check_links
from devstream.config.names import is_instance_id
from devstream.config.origins import LayeredOrigins, VariablePlace, Written, place_of
from devstream.config.shape import Shape
from devstream.config.source import check_loose
from devstream.config.template import render
from devstream.config.tools import tool_instance
from devstream.config.tree import Map
from devstream.errors import ConfigError, DevstreamError, PluginError, nearest
from devstream.model.address import Address
from devstream.model.app import Treatment
from devstream.model.origin import Origin
from devstream.model.schema import AppDefaults
from devstream.model.values import Unknown, map_leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.config.model import Config
    from devstream.config.variables import Variables
    from devstream.errors import Diagnostic, Mark
    from devstream.model.app import App, Pipeline, PipelineTemplate
    from devstream.model.schema import ToolSchema
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path

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
    """What is known once for all pipelines of an app."""

    app: App
    variables: Variables
    first: tuple[Address, ...]
    image_repo: _ImageRepo | None = None


class _ImageRepo(NamedTuple):
    """The ``imageRepo`` of an earlier pipeline, and where it was written."""

    value: dict[str, Any]
    layers: tuple[tuple[Path, Written], ...]


class _Use(NamedTuple):
    """One ci or cd item with its template, if it has one, and its options as both say."""

    pipeline: Pipeline
    template: PipelineTemplate | None
    tool: str
    options: dict[str, Any]
    own: Written
    shared: Written | None

    def layers(self, *prefix: str, within: Path = ()) -> tuple[tuple[Path, Written], ...]:
        """Give the places of the options for `LayeredOrigins`, as put at ``prefix``."""
        written = [self.own] if self.shared is None else [self.own, self.shared]
        return tuple((prefix, part._replace(within=(*part.within, *within))) for part in written)


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
        self._apps = {app.name: app for app in config.apps}

    def expand(self, app: App) -> list[ToolInstance]:
        """Give the tools of one app, in the order they are to be made."""
        known = _Known(app, _app_variables(app, self._config.variables), app.depends_on or ())
        tools: list[ToolInstance] = []
        if app.repo_template is not None:
            tools.append(_scaffolding(known))
            known = known._replace(first=(*known.first, tools[0].address))
        ids: dict[Address, Pipeline] = {}
        for kind in ("ci", "cd"):
            made, known = self._expand_kind(kind, known, ids)
            tools += made
            known = known._replace(first=(*known.first, *(tool.address for tool in made)))
        return tools

    def _expand_kind(
        self, kind: str, known: _Known, ids: dict[Address, Pipeline]
    ) -> tuple[list[ToolInstance], _Known]:
        """Give the tools of an app's ``ci`` or ``cd``, and what is known after them."""
        tools: list[ToolInstance] = []
        for pipeline in known.app.pipelines:
            use = self._use(pipeline, known) if pipeline.kind == kind else None
            address = self._address(use, known.app, ids) if use else None
            if use is None or address is None:
                continue
            tools.append(self._tool(use, address, known))
            if isinstance(use.options.get("imageRepo"), dict):
                repo = _ImageRepo(use.options["imageRepo"], use.layers("imageRepo", within=("imageRepo",)))
                known = known._replace(image_repo=repo)
        return tools, known

    def _use(self, pipeline: Pipeline, known: _Known) -> _Use | None:
        """Look up an item's template and render both with the item's variables."""
        template = self._template(pipeline) if pipeline.template else None
        if pipeline.template and template is None:
            return None
        places = {
            name: VariablePlace(f"vars.{name}", _map_at(pipeline.source, "vars"), name, self._config.variables.places)
            for name in pipeline.vars
        }
        variables = known.variables.with_values(pipeline.vars, places)
        trail = (f"app {known.app.name}",)
        own = Written(pipeline.source, variables.places, trail, ("options",))
        shared = (
            Written(template.source, variables.places, (*trail, f"pipelineTemplate {template.name}"), ("options",))
            if template
            else None
        )
        options = self._options(pipeline, variables)
        if template:
            options = _merged(self._options(template, variables), options)
        return _Use(pipeline, template, template.type if template else pipeline.type or "", options, own, shared)

    def _template(self, pipeline: Pipeline) -> PipelineTemplate | None:
        templates = self._config.pipeline_templates
        name = pipeline.template or ""
        if name not in templates:
            self._problems.error(
                f'there is no pipeline template "{name}"',
                "unknown-template",
                place_of(pipeline.source, ("templateName",)),
                suggestion=nearest(name, templates) or "add it to pipelineTemplates",
            )
        return templates.get(name)

    def _options(self, written: Pipeline | PipelineTemplate, variables: Variables) -> dict[str, Any]:
        """Render options as written; what is no mapping is noted."""
        options = render(written.options, variables.scope)
        if isinstance(options, dict):
            return options
        if options is not None and not isinstance(options, Unknown):
            self._problems.error(
                "options must be a mapping", "wrong-type", place_of(written.source, ("options",))
            )
        return {}

    def _address(self, use: _Use, app: App, ids: dict[Address, Pipeline]) -> Address | None:
        """Give the address of a ci or cd item; two of one type need names."""
        name = use.pipeline.name
        address = Address(use.tool, f"{app.name}-{name}" if name else app.name)
        mark = use.pipeline.origin.mark
        if not is_instance_id(address.instance_id):
            self._problems.error(
                f'the name "{name}" makes the instanceID "{address.instance_id}", which is not allowed',
                "wrong-name",
                place_of(use.pipeline.source, ("name",)),
                suggestion='lower-case letters, digits, "-" and ".", at most 253 together',
            )
            return None
        first = ids.setdefault(address, use.pipeline)
        if first is not use.pipeline:
            self._problems.error(
                f'the app "{app.name}" has two {use.tool} {"called " + name if name else "without a name"}',
                "duplicate-pipeline",
                mark,
                detail=f"first at {first.origin.mark}",
                suggestion=f"tell them apart: name: {_proposal(use.pipeline, name)}",
            )
            return None
        return address

    def _tool(self, use: _Use, address: Address, known: _Known) -> ToolInstance:
        """Make the tool of one ci or cd item."""
        app = known.app
        schema, shape = self._schema(use)
        options, layers = _placed(use, shape, known)
        options = self._with_defaults(schema, options, use, known)
        treatment = use.pipeline.treatment
        if use.template:
            treatment = treatment.over(use.template.treatment)
        return tool_instance(
            address,
            options,
            treatment.over(app.treatment),
            origin=Origin(use.pipeline.origin.mark, (f"app {app.name}",)),
            origins=LayeredOrigins(layers, Origin(use.pipeline.origin.mark, (f"app {app.name}",))),
            depends_on=known.first,
            after_tools=app.depends_on is None,
            app=app.name,
        )

    def _schema(self, use: _Use) -> tuple[ToolSchema | None, Shape]:
        """Ask for the schema of a tool, once; a plugin that is missing is noted."""
        if use.tool not in self._schemas:
            written = use.template.source if use.template else use.pipeline.source
            try:
                schema = self._schema_of(use.tool, place_of(written, ("type",)))
            except PluginError as error:
                self._problems.errors += error.diagnostics
                schema = None
            self._schemas[use.tool] = (schema, shape_of(schema))
        return self._schemas[use.tool]
