"""``devstream show config|expanded|graph|state|outputs|status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer, Application
from devstream.cli.lazy import LazyGroup
from devstream.cli.options import epilog, output_options, source_options, state_option
from devstream.cli.state_session import complete_address, open_state
from devstream.cli.status import status
from devstream.errors import UsageError, nearest
from devstream.report.graph import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.model.address import Address
    from devstream.model.state import State, ToolState
    from devstream.report.terminal import Look

__all__ = ["show"]


@click.group(
    cls=LazyGroup,
    epilog=epilog(
        "devstream show expanded             what apps and templates become",
        "devstream show graph | less         how it hangs together",
        "devstream show outputs              what was made, and where",
    ),
)
@output_options
def show() -> None:
    """Show the configuration, the graph, the state, its outputs, or what is there now."""


show.add_command(status)


@show.command(
    short_help="The configuration, variables filled in; or one to begin with.",
    epilog=epilog(
        "devstream show config",
        "devstream show config -f shop/ --var branch=main -o json",
        "devstream show config --plugin repo-scaffolding            a tool's options, explained",
        "devstream show config --template apps > devstream.yaml     something to begin with",
    ),
)
@click.option("--plugin", metavar="NAME", help="Instead: a tool to begin with, its options explained.")
@click.option(
    "--template",
    type=click.Choice(["quickstart", "apps", "gitops"]),
    help="Instead: a whole configuration to begin with.",
)
@source_options
@output_options
@click.pass_obj
def config(app: Application, *, plugin: str | None, template: str | None) -> Answer:
    """Show the configuration with its variables filled in; secrets are named, not shown.

    With --plugin or --template, show one to begin with; yours is not read then.
    """
    app.begin("show config")
    if plugin or template:
        from devstream.cli.starting import starting_point

        return starting_point(app, plugin=plugin, template=template)
    session = app.open(app.invocation(offline=True))
    rendered = session.config.rendered
    app.warn(session.warnings)

    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.report.values import plain

        return {"config": plain(rendered, mask)}

    def lines(look: Look) -> Sequence[str]:  # noqa: ARG001 - text for any stream
        from devstream.report.outline import outline

        return outline(rendered)

    return Answer(data, lines)


@show.command(
    short_help="The tools that apps become, with origins.",
    epilog=epilog("devstream show expanded", "devstream show expanded -o json | jq '.tools[].name'"),
)
@source_options
@output_options
@click.pass_obj
def expanded(app: Application) -> Answer:
    """Show the tools that apps and templates become, with where each field was written."""
    app.begin("show expanded")
    session = app.open(app.invocation(offline=True))
    tools = session.tools
    app.warn(session.warnings)

    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.report.json import expanded_data

        return expanded_data(tools, mask)

    def lines(look: Look) -> Sequence[str]:
        from devstream.report.outline import expanded_lines

        return expanded_lines(tools, look)

    return Answer(data, lines)


@show.command(
    short_help="Which tool waits for which.",
    epilog=epilog(
        "devstream show graph",
        "devstream show graph --format svg > graph.svg",
        "devstream show graph -o json",
    ),
)
@click.option(
    "--format",
    "picture",
    type=click.Choice([form.value for form in Picture]),
    default=Picture.MERMAID.value,
    show_default=True,
    help="The form.",
)
@source_options
@output_options
@click.pass_obj
def graph(app: Application, *, picture: str) -> Answer:
    """Show which tool waits for which, grouped by app."""
    from devstream.report import graph as drawing

    app.begin("show graph")
    session = app.open(app.invocation(offline=True))
    nodes, apps = session.graph, {str(tool.address): tool.app for tool in session.tools}
    app.warn(session.warnings)

    def data(mask: Any) -> Mapping[str, Any]:  # noqa: ARG001 - addresses are no secrets
        return drawing.graph_data(nodes, apps)

    def lines(look: Look) -> Sequence[str]:  # noqa: ARG001 - text for any stream
        from devstream.report.json import encode

        match Picture(picture):
            case Picture.MERMAID:
                return drawing.mermaid(nodes, apps)
            case Picture.DOT:
                return drawing.dot(nodes, apps)
            case Picture.SVG:
                return [drawing.svg(nodes, apps, app.environ.get("PATH"))]
        return [encode(drawing.graph_data(nodes, apps), indent=True)]

    return Answer(data, lines)


@show.command(
    short_help="What is recorded.",
    epilog=epilog(
        "devstream show state                              all that is recorded",
        "devstream show state file.readme                  one tool, in full",
        "devstream show state --state ./devstream.state    without a configuration",
    ),
)
@click.argument("addresses", nargs=-1, shell_complete=complete_address)
@state_option
@source_options
@output_options
@click.pass_obj
def state(app: Application, *, addresses: tuple[str, ...]) -> Answer:
    """Show what is recorded: all tools as a table, or some in full."""
    app.begin("show state")
    recorded = _selected(open_state(app).read_state(), addresses)

    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.report.json import state_data

        return state_data(recorded, mask)

    def lines(look: Look) -> Sequence[str]:
        if not addresses:
            from devstream.report.tables import state_lines

            return state_lines(recorded, look)
        from devstream.report.outline import outline

        return outline(data(str)["tools"])

    return Answer(data, lines)


@show.command(
    short_help="What was made, and where.",
    epilog=epilog("devstream show outputs", "devstream show outputs repo-scaffolding.web -o json"),
)
@click.argument("addresses", nargs=-1, shell_complete=complete_address)
@state_option
@source_options
@output_options
@click.pass_obj
def outputs(app: Application, *, addresses: tuple[str, ...]) -> Answer:
    """Show the recorded outputs: what was made, and where."""
    app.begin("show outputs")
    tools = _selected(open_state(app).read_state(), addresses).tools

    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.report.json import outputs_data

        return outputs_data(tools, mask)

    def lines(look: Look) -> Sequence[str]:
        from devstream.report.tables import output_lines

        return output_lines(tools, look)

    return Answer(data, lines)


def _selected(recorded: State, addresses: tuple[str, ...]) -> State:
    """Give the state with only the named entries.

    Raises:
        UsageError: nothing is recorded under a name; the nearest one is suggested.
    """
    if not addresses:
        return recorded
    by_name = {str(address): address for address in recorded.tools}
    for name in addresses:
        if name not in by_name:
            message = f'nothing is recorded for "{name}"'
            raise UsageError(message, code="unknown-address", suggestion=nearest(name, by_name))
    kept: dict[Address, ToolState] = {by_name[name]: recorded.tools[by_name[name]] for name in addresses}
    return recorded.with_tools(kept)
