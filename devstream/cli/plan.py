"""``devstream plan``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstream.cli.addresses import replace_option, selection_options, unprotect_option
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

__all__ = ["nothing_failed", "nothing_to_remove", "nothing_to_retry", "plan", "plan_answer"]


@click.command(
    epilog=epilog(
        "devstream plan                            what differs, field by field",
        "devstream plan --summary                  one line for each change",
        "devstream plan --replace file.readme      make it anew, whatever its options",
        "devstream plan --target app:shop          only one app, and what it depends on",
        "devstream plan --out shop.plan            save it, for: devstream run shop.plan",
        "devstream plan --detailed-exitcode        exit code 2 where there are changes",
        "devstream plan -o json | jq .summary      the same as data",
    )
)
@click.option(
    "--full", "depth", flag_value=Depth.FULL, type=Depth, help="Show everything, unchanged tools too."
)
@click.option("--summary", "depth", flag_value=Depth.SUMMARY, type=Depth, help="One line for each change.")
@click.option(
    "--diff", "depth", flag_value=Depth.DIFF, type=Depth, help="Show what changes to its end, long texts too."
)
@click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Save the plan in FILE: `devstream run FILE` carries it out, if all is still as it was.",
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where there are changes.")
@click.option("--parallelism", type=click.IntRange(1, 1000), help="How many tools are read at once.")
@click.option("--no-refresh", is_flag=True, help="Believe the state: do not look at what it records.")
@replace_option
@unprotect_option
@selection_options
@source_options
@output_options
@click.pass_obj
def plan(
    app: Application,
    *,
    depth: Depth | None,
    file: Path | None,
    detailed_exitcode: bool,
    parallelism: int | None,
    no_refresh: bool,
) -> Answer:
    """Show what a run would do, and why. Changes nothing."""
    app.begin("plan")
    session = app.open(app.invocation(refresh=not no_refresh, parallelism=parallelism))
    app.warn(session.warnings)
    made = session.plan() if file is None else _saved(app, session, file)
    return plan_answer(
        app, session, made, depth=depth or Depth.CHANGES, detailed=detailed_exitcode, file=file
    )


def _saved(app: Application, session: Session, file: Path) -> Plan:
    from devstream.cli.saved import save

    return save(app, session, file)


def plan_answer(
    app: Application,
    session: Session,
    made: Plan,
    *,
    depth: Depth = Depth.CHANGES,
    detailed: bool = False,
    verb: str = "run",
    file: Path | None = None,
) -> Answer:
    """Answer with a plan.

    Args:
        detailed: exit with 2 where there are changes.
        verb: what to type to carry it out.
        file: where it is saved.
    """
    app.warn(made.warnings)

    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.report.json import plan_data

        return {**plan_data(made, mask), **({"file": mask(str(file))} if file is not None else {})}

    def lines(look: Look) -> Sequence[str]:
        if nothing_failed(app, made):
            return nothing_to_retry(session, look)
        if verb != "run" and not made.changes:
            return nothing_to_remove(session, look)
        if app.shared.quiet:
            return [count_line(made)]
        command = _command(app, verb, file)
        return plan_lines(made, PlanView(look, depth, command, session.state_location))

    return Answer(data, lines, of_plan(made, detailed=detailed))


def _command(app: Application, verb: str, file: Path | None) -> str:
    """Write what to type to carry a plan out."""
    if file is None:
        return next_command(app.program, verb, app.shared, same_plan=True)
    from devstream.cli.saved import run_command

    return run_command(app, file)


def nothing_failed(app: Application, made: Plan) -> bool:
    """Tell whether a plan is empty because ``--lf`` means nothing."""
    return app.shared.last_failed and made.selection is not None and not made.selection.chosen


def nothing_to_retry(session: Session, look: Look) -> list[str]:
    """Say that there is nothing for ``--lf``."""
    return [
        "Nothing to do: nothing that is meant failed, was skipped or is unknown since the last run.",
        look.paint("dim", f"State: {session.state_location}"),
    ]


def nothing_to_remove(session: Session, look: Look) -> list[str]:
    """Say that nothing is recorded of what is to be removed."""
    return [
        "Nothing to do: nothing of it is recorded.",
        look.paint("dim", f"State: {session.state_location}"),
    ]
