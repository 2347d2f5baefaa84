"""``devstream show status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.addresses import complete_address, selection_options
from devstream.cli.application import Answer, Application
from devstream.cli.exit_codes import worst
from devstream.cli.options import epilog, output_options, source_options, state_option
from devstream.cli.state_session import with_default_state
from devstream.errors import ExitCode
from devstream.model.seen import Verdict
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from devstream.model.address import Address
    from devstream.model.seen import Seen
    from devstream.model.state import State
    from devstream.planning.selection import Selectors
    from devstream.report.terminal import Look

__all__ = ["status"]


@click.command(
    short_help="What is there now, beside what is recorded.",
    epilog=epilog(
        "devstream show status                        look at everything that is recorded",
        "devstream show status file.readme            at one tool",
        "devstream show status 'file.*' app:shop      at some; more ways to select: --tags, -k, --lf",
        "devstream show status --detailed-exitcode    exit code 2 where something drifted or is gone",
    ),
)
@click.argument("addresses", nargs=-1, shell_complete=complete_address, metavar="[WHICH]...")
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where the world is not as recorded.")
@click.option("--parallelism", type=click.IntRange(1, 1000), help="How many tools are read at once.")
@selection_options
@state_option
@source_options
@output_options
@click.pass_obj
def status(
    app: Application, *, addresses: tuple[str, ...], detailed_exitcode: bool, parallelism: int | None
) -> Answer:
    """Look at what is recorded, and show what is there now beside it. Changes nothing.

    Tools are looked at by their recorded options: no configuration is needed.
    """
    app.begin("show status")
    invocation = with_default_state(app.invocation(offline=True, parallelism=parallelism))
    session = app.open(replace(invocation, local_plugins=True))
    recorded = session.read_state()
    app.shared.target = (*addresses, *app.shared.target)
    found = session.look_at(recorded, _selected(recorded, app.shared.selectors))

    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.report.status import status_data

        return {**status_data(found, recorded, mask), "state": mask(session.state_location)}

    def lines(look: Look) -> Sequence[str]:
        from devstream.report.status import status_lines

        return status_lines(found, recorded, look)

    wrong = tuple(seen.error for seen in found if seen.error)
    return Answer(data, lines, worst(_codes(found, detailed=detailed_exitcode)), wrong)


def _codes(found: Sequence[Seen], *, detailed: bool) -> Iterator[ExitCode]:
    if detailed and any(seen.differs for seen in found):
        yield ExitCode.CHANGES
    if any(seen.verdict is Verdict.FAILED for seen in found):
        yield ExitCode.FAILED


def _selected(recorded: State, selectors: Selectors | None) -> list[Address]:
    """Give what is meant, all where nothing was selected; what was begun and never ended counts.

    Raises:
        UsageError: the selection matches nothing.
    """
    if selectors is None:
        return [*dict.fromkeys((*recorded.tools, *recorded.open_operations))]
    from devstream.planning.scope import entries_meant

    return entries_meant(selectors, recorded)
