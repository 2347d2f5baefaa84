"""``devstream plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.addresses import replace_option, unprotect_option
from devstream.cli.application import Answer, Application
from devstream.cli.exit_codes import of_plan
from devstream.cli.options import epilog, output_options, source_options
from devstream.cli.wording import next_command
from devstream.report.plan import Depth, PlanView, count_line, plan_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.engine.session import Session
    from devstream.model.plan import Plan
    from devstream.report.terminal import Look

__all__ = ["nothing_to_remove", "plan", "plan_answer"]


@click.command(
    epilog=epilog(
        "devstream plan                            what differs, field by field",
        "devstream plan --summary                  one line for each change",
        "devstream plan --replace file.readme      make it anew, whatever its options",
        "devstream plan --detailed-exitcode        exit code 2 where there are changes",
        "devstream plan -o json | jq .summary      the same as data",
    )
)
@click.option(
    "--full", "depth", flag_value=Depth.FULL, type=Depth, help="Show everything, unchanged tools too."
)
@click.option("--summary", "depth", flag_value=Depth.SUMMARY, type=Depth, help="One line for each change.")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where there are changes.")
@click.option("--parallelism", type=click.IntRange(1, 1000), help="How many tools are read at once.")
@click.option("--no-refresh", is_flag=True, help="Believe the state: do not look at what it records.")
@replace_option
@unprotect_option
@source_options
@output_options
@click.pass_obj
def plan(
    app: Application,
    *,
    depth: Depth | None,
    detailed_exitcode: bool,
    parallelism: int | None,
    no_refresh: bool,
) -> Answer:
    """Show what a run would do, and why. Changes nothing."""
    app.begin("plan")
    session = app.open(app.invocation(refresh=not no_refresh, parallelism=parallelism))
    app.warn(session.warnings)
    return plan_answer(app, session, session.plan(), depth=depth or Depth.CHANGES, detailed=detailed_exitcode)


def plan_answer(
    app: Application,
    session: Session,
    made: Plan,
    *,
    depth: Depth = Depth.CHANGES,
    detailed: bool = False,
    verb: str = "run",
) -> Answer:
    """Answer with a plan.

    Args:
        detailed: exit with 2 where there are changes.
        verb: what to type to carry it out.
    """
    app.warn(made.warnings)

    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.report.json import plan_data

        return plan_data(made, mask)

    def lines(look: Look) -> Sequence[str]:
        if verb != "run" and not made.changes:
            return nothing_to_remove(session, look)
        if app.shared.quiet:
            return [count_line(made)]
        command = next_command(app.program, verb, app.shared, same_plan=True)
        return plan_lines(made, PlanView(look, depth, command, session.state_location))

    return Answer(data, lines, of_plan(made, detailed=detailed))


def nothing_to_remove(session: Session, look: Look) -> list[str]:
    """Say that nothing is recorded of what is to be removed."""
    return [
        "Nothing to do: nothing of it is recorded.",
        look.paint("dim", f"State: {session.state_location}"),
    ]
