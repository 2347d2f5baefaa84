"""One ci or cd item: its template looked up, both rendered with the item's variables, and merged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.config.origins import VariablePlace, Written, place_of
from devstream.config.template import render
from devstream.config.tree import Map
from devstream.model.values import Unknown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.config.check import Problems
    from devstream.config.variables import Variables
    from devstream.errors import Mark
    from devstream.model.app import App, Pipeline, PipelineTemplate
    from devstream.model.values import Path

__all__ = ["Use", "app_variables", "use_of"]


class Use(NamedTuple):
    """A ci or cd item with its template, if it has one.

    Attributes:
        tool: the name of the tool it becomes.
        options: the template's options with the item's over them.
        written: where they were written, the item's first.
    """

    pipeline: Pipeline
    template: PipelineTemplate | None
    tool: str
    options: dict[str, Any]
    written: tuple[Written, ...]

    @property
    def mark_of_type(self) -> Mark | None:
        """Where the tool is named."""
        return place_of((self.template or self.pipeline).source, ("type",))

    def layers(self, *prefix: str, within: Path = ()) -> tuple[tuple[Path, Written], ...]:
        """Give the places of the options below ``within``, for options that were put at ``prefix``."""
        return tuple(
            (prefix, written._replace(within=(*written.within, *within))) for written in self.written
        )


def app_variables(app: App, variables: Variables) -> Variables:
    """Give the global variables with every scalar of an app's ``spec`` over them."""
    spec = {name: value for name, value in app.spec.items() if not isinstance(value, dict | list)}
    return variables.with_values(spec, _places("spec", spec, _map_at(app.source, "spec"), variables))


def _places(
    label: str, values: Mapping[str, Any], container: Map | None, variables: Variables
) -> dict[str, VariablePlace]:
    return {name: VariablePlace(f"{label}.{name}", container, name, variables.places) for name in values}


def _map_at(node: Any, key: str) -> Map | None:
    found = node.get(key) if isinstance(node, Map) else None
    return found if isinstance(found, Map) else None


def use_of(
    pipeline: Pipeline,
    *,
    app: App,
    known: Variables,
    outer: Variables,
    templates: Mapping[str, PipelineTemplate],
    problems: Problems,
) -> Use | None:
    """Give what a ci or cd item asks for; None where its template does not exist, which is noted.

    Args:
        known: the variables known in the app.
        outer: the global variables; the item's own ``vars`` were written with these.
    """
    template = templates.get(pipeline.template) if pipeline.template else None
    if pipeline.template and template is None:
        _no_template(pipeline, pipeline.template, templates, problems)
        return None
    container = _map_at(pipeline.source, "vars")
    variables = known.with_values(pipeline.vars, _places("vars", pipeline.vars, container, outer))
    options = _options(pipeline, variables, problems)
    written = [Written(pipeline.source, variables.places, (f"app {app.name}",), ("options",))]
    if template:
        options = _merged(_options(template, variables, problems), options)
        trail = (*written[0].trail, f"pipelineTemplate {template.name}")
        written.append(Written(template.source, variables.places, trail, ("options",)))
    tool = template.type if template else (pipeline.type or "")
    return Use(pipeline, template, tool, options, tuple(written))


def _no_template(
    pipeline: Pipeline, name: str, templates: Mapping[str, PipelineTemplate], problems: Problems
) -> None:
    problems.error(
        f'there is no pipeline template "{name}"',
        "unknown-template",
        place_of(pipeline.source, ("templateName",)),
        suggestion=problems.proposals.nearest(name, templates) or "add it to pipelineTemplates",
    )


def _options(
    written: Pipeline | PipelineTemplate, variables: Variables, problems: Problems
) -> dict[str, Any]:
    """Render options as written; what is no mapping is noted."""
    options = render(written.options, variables.scope)
    if isinstance(options, dict):
        return options
    if options is not None and not isinstance(options, Unknown):
        place = place_of(written.source, ("options",))
        problems.error("options must be a mapping", "wrong-type", place)
    return {}


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Give ``base`` with ``over`` on top, mapping by mapping; lists are replaced as a whole."""
    merged = dict(base)
    for key, value in over.items():
        if isinstance(value, dict) and isinstance(merged.get(key), dict):
            merged[key] = _merged(merged[key], value)
        else:
            merged[key] = value
    return merged
