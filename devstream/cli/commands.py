"""The root of the command line, and the table of its commands."""

from __future__ import annotations

from typing import Any

import click

from devstream import __version__
from devstream.cli.lazy import Entry, LazyGroup
from devstream.cli.options import epilog, output_options

__all__ = ["root", "ENTRIES", "ALIASES", "CONTEXT"]

CONTEXT: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

ENTRIES = {
    "run": Entry("devstream.cli.run:run", "Make the world as the configuration says."),
    "plan": Entry("devstream.cli.plan:plan", "Show what a run would do."),
    "delete": Entry("devstream.cli.delete:delete", "Delete what the configuration lists."),
    "destroy": Entry("devstream.cli.destroy:destroy", "Delete everything that is recorded."),
    "init": Entry("devstream.cli.init:init", "Check that the plugins are there, and make the state."),
    "verify": Entry(
        "devstream.cli.verify:verify",
        "Check everything that a run needs: configuration, plugins, state, plan.",
    ),
    "validate": Entry(
        "devstream.cli.validate:validate", "Check the configuration, without looking at the world."
    ),
    "show": Entry("devstream.cli.show:show", "Show the configuration, the graph, the state or its outputs."),
    "state": Entry("devstream.cli.state:state", "Look at the recorded state, and mend it."),
    "apps": Entry("devstream.cli.apps:apps", "Look after apps: which are behind their template."),
    "list": Entry("devstream.cli.listing:listing", "List the plugins there are."),
    "completion": Entry(
        "devstream.cli.completion:completion", "Print the script that completes commands in a shell."
    ),
    "version": Entry("devstream.cli.version:version", "Print the version."),
}
ALIASES = {"apply": "run"}


@click.group(
    cls=LazyGroup,
    entries=ENTRIES,
    aliases=ALIASES,
    name="devstream",
    context_settings=CONTEXT,
    epilog=epilog(
        "devstream plan                  show what would be done",
        "devstream run                   do it",
        "devstream show state            what is recorded",
        "devstream COMMAND --help        options and examples of a command",
    ),
)
@click.version_option(__version__, message="devstream %(version)s")
@output_options
def root() -> None:
    """One YAML file becomes a working, connected DevOps toolchain, and stays one."""
