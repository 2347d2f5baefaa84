"""One app becomes tools; loaded only where a configuration has apps."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from devstream.config.names import is_instance_id
from devstream.config.origins import LayeredOrigins, Written, place_of
from devstream.config.placement import (
    ImageRepo,
    copied,
    image_repo_of,
    place_options,
    placed_layers,
    repo_layer,
    with_defaults,
)
from devstream.config.shape import Shape, shape_of
from devstream.config.tools import tool_instance
from devstream.config.uses import Use, app_variables, use_of
from devstream.errors import DevstreamError, PluginError
from devstream.model.address import Address
from devstream.model.origin import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from devstream.config.check import Problems
    from devstream.config.model import Config
    from devstream.config.variables import Variables
    from devstream.errors import Mark
    from devstream.model.app import App, Pipeline
    from devstream.model.schema import ToolSchema
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path

__all__ = ["SCAFFOLDING", "AppExpander"]

SCAFFOLDING = "repo-scaffolding"
"""The tool that makes an app's repository from its template."""


class _Known(NamedTuple):
    """What is known at one point of an app's expansion.

    Attributes:
        after: what the next tool waits for.
        image_repo: the ``imageRepo`` of the pipelines so far.
    """

    variables: Variables
    after: tuple[Address, ...]
    image_repo: ImageRepo | None = None


class AppExpander:
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
        shared = known.image_repo
        options = place_options(use, app, shape, shared)
        treatment = use.pipeline.treatment
        if use.template:
            treatment = treatment.over(use.template.treatment)
        origin = Origin(use.pipeline.origin.mark, (f"app {app.name}",))
        return tool_instance(
            address,
            self._with_defaults(schema, options, use, app, shared),
            treatment.over(app.treatment),
            origin=origin,
            origins=LayeredOrigins(lambda: placed_layers(use, app, shape, shared), origin),
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
        self,
        schema: ToolSchema | None,
        options: dict[str, object],
        use: Use,
        app: App,
        shared: ImageRepo | None,
    ) -> dict[str, object]:
        try:
            return with_defaults(schema, options, use, app, shared)
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
    origin = Origin(app.origin.mark, (f"app {app.name}",))
    options = {"destinationRepo": copied(app.repo), "sourceRepo": copied(app.repo_template)}
    if app.template_vars is not None:
        options["vars"] = app.template_vars
    return tool_instance(
        Address(SCAFFOLDING, app.name),
        options,
        app.treatment,
        origin=origin,
        origins=LayeredOrigins(lambda: _scaffolding_layers(app, known), origin),
        depends_on=known.after,
        after_tools=app.depends_on is None,
        app=app.name,
    )


def _scaffolding_layers(app: App, known: _Known) -> Iterator[tuple[Path, Written]]:
    """Give where the options of `_scaffolding` were written."""
    trail, places = (f"app {app.name}",), known.variables.places
    yield repo_layer(app, places, "destinationRepo")
    yield ("sourceRepo",), Written(app.source, places, trail, ("repoTemplate",))
    yield ("vars",), Written(app.source, places, trail, ("repoTemplate", "vars"))
