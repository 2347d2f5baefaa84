"""Where the options of a ci or cd item go: into ``pipeline``, beside it, or as they are, as the tool's schema asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.config.origins import Written
from devstream.config.tree import Map
from devstream.errors import DevstreamError, PluginError
from devstream.model.schema import AppDefaults
from devstream.model.values import map_leaves

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.config.origins import VariablePlace
    from devstream.config.shape import Shape
    from devstream.config.uses import Use
    from devstream.model.app import App
    from devstream.model.schema import ToolSchema
    from devstream.model.values import Path, Value

__all__ = [
    "ImageRepo",
    "copied",
    "image_repo_of",
    "place_options",
    "placed_layers",
    "repo_layer",
    "with_defaults",
]


class ImageRepo(NamedTuple):
    """The ``imageRepo`` of a pipeline, shared with those after it."""

    value: dict[str, Value]
    use: Use


def image_repo_of(use: Use, earlier: ImageRepo | None) -> ImageRepo | None:
    """Give the ``imageRepo`` that pipelines after this one share: its own, else the earlier one."""
    own = use.options.get("imageRepo")
    return ImageRepo(own, use) if isinstance(own, dict) else earlier


def place_options(use: Use, app: App, shape: Shape, shared: ImageRepo | None) -> dict[str, Value]:
    """Put the options of an item where the tool's schema wants them, with the app's language and repository."""
    options = dict(use.options)
    if shape.declares("pipeline"):
        options = _with_pipeline(options, app, shape)
    if shape.has("scm") and "scm" not in options:
        options["scm"] = copied(app.repo)
    if shared and shape.declares("imageRepo") and "imageRepo" not in options:
        taken = {key: value for key, value in shared.value.items() if shape.takes("imageRepo", key)}
        options["imageRepo"] = copied(taken)
    return options


def _with_pipeline(options: dict[str, Value], app: App, shape: Shape) -> dict[str, Value]:
    """Put options under ``pipeline``, but for those the schema has beside it."""
    beside = (shape.fields or {}).keys() - {"pipeline", "scm"}
    hoisted = {key: value for key, value in options.items() if key in beside}
    inner = {key: value for key, value in options.items() if key not in beside}
    if "language" not in inner and app.spec.get("language") and shape.takes("pipeline", "language"):
        inner["language"] = _language(app)
    return {"pipeline": inner, **hoisted}


def placed_layers(
    use: Use, app: App, shape: Shape, shared: ImageRepo | None
) -> Iterator[tuple[Path, Written]]:
    """Give where the parts of what `place_options` made were written, for `LayeredOrigins`."""
    places = use.written[0].places
    if shape.declares("pipeline"):
        yield from use.layers("pipeline")
        for name, key in (("name", "language"), ("framework", "framework")):
            written = Written(app.source, places, (f"app {app.name}",), ("spec", key))
            yield ("pipeline", "language", name), written
    yield from use.layers()
    yield repo_layer(app, places, "scm")
    if shared:
        yield from shared.use.layers("imageRepo", within=("imageRepo",))


def repo_layer(app: App, places: Mapping[str, VariablePlace], *prefix: str) -> tuple[Path, Written]:
    """Give the place of an app's repository, as put at ``prefix``; older versions had it in ``spec``."""
    beside = isinstance(app.source, Map) and app.source.get("repo") is not None
    within = ("repo",) if beside else ("spec", "repo")
    return prefix, Written(app.source, places, (f"app {app.name}",), within)


def _language(app: App) -> dict[str, Value]:
    names = {"name": app.spec.get("language"), "framework": app.spec.get("framework")}
    return {key: value for key, value in names.items() if value is not None}


def copied(value: Value) -> Any:
    """Copy a tree, so that no tool's plugin can change another tool's options."""
    return map_leaves(value, lambda leaf: leaf)


def with_defaults(
    schema: ToolSchema | None, options: dict[str, Value], use: Use, app: App, shared: ImageRepo | None
) -> dict[str, Value]:
    """Let the tool fill in what an app implies.

    Raises:
        PluginError: the plugin fails at it, or gives no mapping.
    """
    if schema is None or schema.app_options is None:
        return options
    language, framework = app.spec.get("language"), app.spec.get("framework")
    defaults = AppDefaults(
        app.name,
        language if isinstance(language, str) else None,
        framework if isinstance(framework, str) else None,
        copied(app.repo),
        copied(shared.value) if shared else None,
    )
    try:  # whatever the plugin's code raises is its failure
        filled = schema.app_options(defaults, options)
    except DevstreamError:
        raise
    except (Exception, SystemExit) as error:
        raise _failed(use, app, f"{type(error).__name__}: {error}") from error
    if not isinstance(filled, dict):
        raise _failed(use, app, f"it gave {type(filled).__name__}, not a dict")
    return filled


def _failed(use: Use, app: App, why: str) -> PluginError:
    return PluginError(
        f'{use.tool} could not fill in its options for the app "{app.name}": {why}',
        mark=use.pipeline.origin.mark,
    )
