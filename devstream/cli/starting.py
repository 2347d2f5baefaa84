"""``devstream show config --plugin NAME`` and ``--template NAME``: configurations to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstream.cli.application import Answer, Application
from devstream.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.report.terminal import Look

__all__ = ["TEMPLATES", "starting_point"]

TEMPLATES = ("quickstart", "apps", "gitops")
"""The configurations that are shipped."""


def starting_point(app: Application, *, plugin: str | None, template: str | None) -> Answer:
    """Give the text of a configuration to begin with; reads no configuration.

    Raises:
        UsageError: both a plugin and a template are asked for.
        PluginError: there is no such tool, or it does not load.
    """
    if plugin and template:
        message = "--plugin and --template cannot be given at the same time"
        raise UsageError(message, code="two-starting-points")
    text = _of_plugin(app, plugin) if plugin else _of_template(template or TEMPLATES[0])

    def data(mask: Any) -> Mapping[str, Any]:  # noqa: ARG001 - nothing of the user's is in it
        return {"text": "".join(f"{line}\n" for line in text)}

    def lines(look: Look) -> Sequence[str]:  # noqa: ARG001 - text for any stream
        return text

    return Answer(data, lines)


def _of_plugin(app: Application, name: str) -> list[str]:
    from devstream.cli.listing import plugin_folder
    from devstream.plugins.manager import PluginManager
    from devstream.report.starting_point import starting_point as of_plugin

    manager = PluginManager(folder=plugin_folder(app), arguments=app.shared.plugins, environ=app.environ)
    return of_plugin(name, manager.tool(name))


def _of_template(name: str) -> list[str]:
    path = Path(__file__).with_name("starting_points") / f"{name}.yaml"
    return path.read_text(encoding="utf-8").splitlines()
