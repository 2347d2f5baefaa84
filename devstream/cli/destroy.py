"""``devstream destroy``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.addresses import selection_options, unprotect_option
from devstream.cli.delete import remove
from devstream.cli.options import epilog, output_options, run_options, source_options, state_option
from devstream.cli.state_session import with_default_state
from devstream.planning.removal import Removal
from devstream.record import replace
from devstream.report.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.cli.application import Answer, Application

__all__ = ["destroy"]


@click.command(
    epilog=epilog(
        "devstream destroy                              everything that the configuration's state records",
        "devstream destroy --state ./devstream.state    the configuration is lost",
        "devstream destroy --dry-run                    only show it",
        "devstream destroy --exclude app:shop           keep one app, and what it stands on",
    )
)
@run_options
@unprotect_option
@selection_options
@state_option
@source_options
@output_options
@click.pass_obj
def destroy(
    app: Application,
    *,
    yes: bool,
    dry_run: bool,
    fail_fast: bool,
    parallelism: int | None,
    lock_timeout: float,
) -> Answer:
    """Delete everything that is recorded, by its recorded options; the configuration is needed only for its state.

    Without a configuration the state is --state, or else ./devstream.state. Relative paths begin in the
    configuration's folder, or else in that of the state's file, or else in the current one: it is printed.
    """
    app.begin("destroy")
    invocation = app.invocation(
        offline=True, parallelism=parallelism, fail_fast=fail_fast, lock_timeout=lock_timeout
    )
    session = app.open(
        replace(with_default_state(invocation), removal=Removal.EVERYTHING, local_plugins=True)
    )
    if app.is_human and not app.shared.quiet:
        app.err.lines([f"Relative paths begin in {clean(str(session.folder))}"])
    answer = remove(app, session, "destroy", yes=yes, dry_run=dry_run)

    def data(mask: Any) -> Mapping[str, Any]:
        return {**answer.data(mask), "folder": mask(str(session.folder))}

    return replace(answer, data=data)
