"""``devstream run`` (``apply``)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstream.cli.addresses import replace_option, selection_options, unprotect_option
from devstream.cli.application import Answer, Application
from devstream.cli.exit_codes import of_run
from devstream.cli.options import epilog, output_options, run_options, source_options
from devstream.cli.plan import nothing_failed, nothing_to_remove, nothing_to_retry, plan_answer
from devstream.cli.prompt import confirm, needs_answer
from devstream.cli.wording import next_command
from devstream.errors import DevstreamError
from devstream.model.plan import Outcome
from devstream.report.plan import Depth, PlanView, count_line, plan_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.engine.session import Session
    from devstream.errors import Diagnostic
    from devstream.model.address import Address
    from devstream.model.plan import Plan, RunReport
    from devstream.report.terminal import Look

__all__ = ["approve", "report_answer", "run"]


@click.command(
    epilog=epilog(
        "devstream run                        show the plan, ask, carry it out",
        "devstream run -y -f shop/            the configuration is a folder; nobody is asked",
        "devstream run --var branch=main -x   set a variable; stop at the first failure",
        "devstream run --check                the same as devstream plan",
        "devstream run shop.plan              carry out a plan that was saved with plan --out; nobody is asked",
        "devstream run --lf                   only what did not succeed the last time",
    )
)
@click.argument("plan_file", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
@run_options
@click.option(
    "--diff", "depth", flag_value=Depth.DIFF, type=Depth, help="Show what changes to its end, long texts too."
)
@click.option("--no-refresh", is_flag=True, help="Believe the state: do not look at what it records.")
@replace_option
@unprotect_option
@selection_options
@source_options
@output_options
@click.pass_obj
def run(
    app: Application,
    *,
    plan_file: Path | None,
    depth: Depth | None,
    yes: bool,
    parallelism: int | None,
    lock_timeout: float,
    no_refresh: bool,
    fail_fast: bool,
    dry_run: bool,
) -> Answer:
    """Make the world as the configuration says.

    Shows the plan, asks, and carries it out: creates, updates and connects what the configuration asks for,
    and deletes what has left it.

    With PLAN, a file that `devstream plan --out` wrote, exactly that plan is carried out, without a question and
    without the configuration. If anything it was made from has changed, nothing is done.
    """
    app.begin("run")
    invocation = app.invocation(
        refresh=not no_refresh, parallelism=parallelism, fail_fast=fail_fast, lock_timeout=lock_timeout
    )
    if plan_file is not None:
        from devstream.cli.saved import open_saved

        session = open_saved(app, plan_file, invocation)
    else:
        session = app.open(invocation)
        app.warn(session.warnings)
    depth = depth or Depth.CHANGES
    if dry_run:
        return plan_answer(app, session, session.plan(), depth=depth, file=plan_file)
    agreed = yes or plan_file is not None
    report = session.run(lambda plan: approve(app, plan, yes=agreed, depth=depth))
    return report_answer(app, session, report)


def approve(app: Application, plan: Plan, *, yes: bool, depth: Depth = Depth.CHANGES) -> bool:
    """Show the plan and ask; what only writes things down needs no answer."""
    app.reporter.pause()
    app.plan = plan
    app.warn(plan.warnings)
    if app.is_human:
        view = PlanView(app.out.look, depth)
        app.out.lines([count_line(plan)] if app.shared.quiet else [*plan_lines(plan, view), ""])
    if yes or not needs_answer(plan):
        return True
    if not app.is_human:
        app.err.lines(plan_lines(plan, PlanView(app.err.look)))
    return confirm(plan, app.stdin, app.err, no_input=app.shared.no_input)


def report_answer(
    app: Application, session: Session, report: RunReport | None, *, verb: str = "run"
) -> Answer:
    """Answer with what came of a plan.

    Args:
        verb: what to type to try again.
    """
    if app.plan is not None:
        app.warn(app.plan.warnings)
    failed = _failed(app.plan, report)

    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.report.json import run_data, selection_data

        about = selection_data(app.plan.selection if app.plan else None)
        return {**run_data(report, mask), "selection": about, "state": mask(session.state_location)}

    def lines(look: Look) -> Sequence[str]:
        if report is None:
            return _nothing_done(app, session, look, verb)
        return _summary(app, session, report, look, verb)

    return Answer(data, lines, of_run(report, app.plan), failed)


def _failed(plan: Plan | None, report: RunReport | None) -> tuple[Diagnostic, ...]:
    """Collect what went wrong: while planning and while running."""
    planned = [change.error for change in plan.changes if change.error] if plan else []
    results = report.results if report else ()
    ran = [result.error for result in results if result.error and result.outcome is not Outcome.SKIPPED]
    return tuple(dict.fromkeys([*planned, *ran]))


def _nothing_done(app: Application, session: Session, look: Look, verb: str) -> list[str]:
    if app.plan is not None and nothing_failed(app, app.plan):
        return nothing_to_retry(session, look)
    if app.plan is None or (verb != "run" and not app.plan.changes):
        return nothing_to_remove(session, look)
    lines = plan_lines(app.plan, PlanView(look, state=session.state_location))
    return [count_line(app.plan)] if app.shared.quiet else lines


def _summary(app: Application, session: Session, report: RunReport, look: Look, verb: str) -> list[str]:
    from devstream.report.tables import run_count_line, run_lines

    if app.shared.quiet:
        return [run_count_line(report)]
    state = look.paint("dim", f"State: {session.state_location}")
    rows = run_lines(report, lambda: _outputs(session), look, full=app.shared.verbosity > 0)
    return ["", *rows, state, "", *_try_next(app, report, look, verb)]


def _outputs(session: Session) -> Mapping[Address, Mapping[str, Any]]:
    """Read the recorded outputs; a summary without them is better than none."""
    from devstream.model.recorded import comparable

    try:
        tools = session.read_state().tools
    except DevstreamError:
        return {}
    return {address: comparable(dict(tool.outputs)) for address, tool in tools.items()}


_AFTER_RUN = (
    ("show outputs", "what was made, and where"),
    ("plan", "what differs from the configuration"),
)
_AFTER_REMOVAL = (("show state", "what is still recorded"),)


def _try_next(app: Application, report: RunReport, look: Look, verb: str) -> list[str]:
    """Propose what people do next: try again after a failure, else look around."""
    from dataclasses import replace

    proposals = [*(_AFTER_RUN if verb == "run" else _AFTER_REMOVAL)]
    left = {*report.protected}
    failed = any(
        result.outcome is not Outcome.SUCCEEDED and result.address not in left for result in report.results
    )
    if failed:
        proposals.insert(0, (verb, "try again what did not succeed"))
    elif verb == "run":
        proposals.append(("show graph", "how it hangs together"))
    shared = app.shared if failed else replace(app.shared, last_failed=False)
    commands = [(next_command(app.program, verb, shared), why) for verb, why in proposals]
    width = max(len(command) for command, _ in commands)
    if width + max(len(why) for _, why in commands) + 4 > look.width:
        return ["Try next:", *(f"  {command}" for command, _ in commands)]
    return ["Try next:", *(f"  {command:<{width}}  {look.paint('dim', why)}" for command, why in commands)]
