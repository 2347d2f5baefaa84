"""``devstream validate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer, Application
from devstream.cli.options import epilog, output_options, source_options
from devstream.model.tool import BARRIER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.graph.dag import Graph

__all__ = ["validate"]


@click.command(
    epilog=epilog(
        "devstream validate                    the configuration in this folder",
        "devstream validate -f shop/ -o json   another one; mistakes as data",
    )
)
@source_options
@output_options
@click.pass_obj
def validate(app: Application) -> Answer:
    """Check the configuration: files, variables, plugins, options, references and cycles.

    Needs no network and no credentials; every mistake is shown, not only the first.
    """
    app.begin("validate")
    session = app.open(app.invocation(offline=True))
    config, tools = session.config, session.tools
    state = config.settings.state
    session.plugins.backend(state.backend, state.origin.mark)
    app.warn(session.warnings)
    counts = {"tools": len(tools), "apps": len(config.apps), "dependencies": _edges(session.graph)}

    def data(mask: Any) -> Mapping[str, Any]:
        return {"valid": True, **counts, "files": [mask(str(file)) for file in config.files]}

    text = f"The configuration is valid: {', '.join(_counted(*item) for item in counts.items())}."
    return Answer(data, lambda _: [text])


def _counted(name: str, number: int) -> str:
    singular = name.removesuffix("s") if name != "dependencies" else "dependency"
    return f"{number} {singular if number == 1 else name}"


def _edges(graph: Graph[Any]) -> int:
    """Count what waits for what; the barrier's own edges stand for no dependency anybody wrote."""
    return sum(len(graph.dependencies(node)) for node in graph if node != BARRIER)
