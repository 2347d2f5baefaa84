"""``devstream version``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from devstream import __version__
from devstream.cli.application import Answer, Application
from devstream.cli.options import epilog, output_options

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["version"]


@click.command(epilog=epilog("devstream version", "devstream version -o json"))
@output_options
@click.pass_obj
def version(app: Application) -> Answer:
    """Print the version, of Python too."""
    app.begin("version")
    python = ".".join(map(str, sys.version_info[:3]))

    def data(mask: Any) -> Mapping[str, Any]:  # noqa: ARG001 - nothing secret in it
        return {"version": __version__, "python": python, "platform": sys.platform}

    return Answer(data, lambda _: [f"devstream {__version__} (Python {python}, {sys.platform})"])
