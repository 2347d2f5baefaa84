"""``devstream delete``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from devstream.cli.addresses import selection_options, unprotect_option
from devstream.cli.options import epilog, output_options, run_options, source_options
from devstream.cli.plan import plan_answer
from devstream.cli.run import approve, report_answer
from devstream.planning.removal import Removal
from devstream.record import replace

if TYPE_CHECKING:
    from devstream.cli.application import Answer, Application
    from devstream.engine.session import Session

__all__ = ["delete", "remove"]


@click.command(
    epilog=epilog(
        "devstream delete                show what would be deleted, ask, delete it",
        "devstream delete --dry-run      only show it",
        "devstream delete --target file.readme    only this, and what stands on it",
        "devstream delete -y -f shop/    the configuration is a folder; nobody is asked",
    )
)
@run_options
@unprotect_option
@selection_options
@source_options
@output_options
@click.pass_obj
def delete(
    app: Application,
    *,
    yes: bool,
    dry_run: bool,
    fail_fast: bool,
    parallelism: int | None,
    lock_timeout: float,
) -> Answer:
    """Delete what the configuration lists, as it is recorded, and whatever stands on it.

    What stands on others goes first. What is protected stays, and what it depends on; what was there before
    devstream is only forgotten; what could not be deleted stays recorded. Everything else in the state is left alone.
    """
    app.begin("delete")
    invocation = app.invocation(
        offline=True, parallelism=parallelism, fail_fast=fail_fast, lock_timeout=lock_timeout
    )
    session = app.open(replace(invocation, removal=Removal.CONFIGURED))
    app.warn(session.warnings)
    return remove(app, session, "delete", yes=yes, dry_run=dry_run)


def remove(app: Application, session: Session, verb: str, *, yes: bool, dry_run: bool) -> Answer:
    """Carry out a session that removes, or show what it would do."""
    if dry_run:
        return plan_answer(app, session, session.plan(), verb=verb)
    report = session.run(lambda plan: approve(app, plan, yes=yes))
    return report_answer(app, session, report, verb=verb)
