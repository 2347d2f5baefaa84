"""``devstream list plugins``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer, Application
from devstream.cli.lazy import LazyGroup
from devstream.cli.options import epilog, output_options, source_options
from devstream.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from devstream.plugins.listing import PluginListing
    from devstream.report.terminal import Look

__all__ = ["listing", "plugin_folder"]


@click.group(name="list", cls=LazyGroup, epilog=epilog("devstream list plugins"))
@output_options
def listing() -> None:
    """List what there is."""


@listing.command(
    short_help="Tools, state backends, secret sources.",
    epilog=epilog(
        "devstream list plugins", "devstream list plugins -r 'git.*'", "devstream list plugins -o json"
    ),
)
@click.option("-r", "--filter", "pattern", metavar="REGEX", help="Only names in which the pattern is found.")
@source_options
@output_options
@click.pass_obj
def plugins(app: Application, *, pattern: str | None) -> Answer:
    """List the plugins there are: tools, state backends, secret sources; where each comes from."""
    from devstream.plugins.manager import PluginManager

    app.begin("list plugins")
    manager = PluginManager(folder=plugin_folder(app), arguments=app.shared.plugins, environ=app.environ)
    found = _matching(manager.available(), pattern)

    def data(mask: Any) -> Mapping[str, Any]:
        return {"plugins": [_data(item, mask) for item in found]}

    def lines(look: Look) -> Sequence[str]:
        from devstream.report.tables import table

        head = ("name", "kind", "aliases", "from", "version", "what it is")
        rows = [
            (item.name, item.kind, ", ".join(item.aliases), _origin(item), item.version, item.doc)
            for item in found
        ]
        return table(head, rows, look) if rows else ["There is no such plugin."]

    return Answer(data, lines)


def plugin_folder(app: Application) -> Path:
    """Find the folder beside whose configuration ``devstream_plugins.py`` may lie."""
    given = app.shared.config_file
    if given is None:
        return app.cwd
    path = app.cwd / given
    return path if path.is_dir() else path.parent


def _matching(found: Sequence[PluginListing], pattern: str | None) -> list[PluginListing]:
    try:
        wanted = re.compile(pattern or "")
    except re.error as error:
        message = f'"{pattern}" is not a regular expression: {error}'
        raise UsageError(message, code="bad-pattern") from None
    return [item for item in found if any(map(wanted.search, (item.name, *item.aliases)))]


def _origin(item: PluginListing) -> str:
    return item.distribution if item.source == "installed" else item.source


def _data(item: PluginListing, mask: Any) -> dict[str, Any]:
    return {
        "name": item.name,
        "kind": item.kind,
        "aliases": list(item.aliases),
        "source": item.source,
        "distribution": item.distribution,
        "version": item.version,
        "doc": mask(item.doc),
    }
