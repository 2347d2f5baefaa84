"""``devstream show status``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer, Application
from devstream.cli.exit_codes import worst
from devstream.cli.options import epilog
from devstream.cli.state_session import looking, open_recorded
from devstream.errors import ExitCode
from devstream.model.seen import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from devstream.model.seen import Seen
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
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where the world is not as recorded.")
@looking
@click.pass_obj
def status(
    app: Application, *, addresses: tuple[str, ...], detailed_exitcode: bool, parallelism: int | None
) -> Answer:
    """Look at what is recorded, and show what is there now beside it. Changes nothing.

    Tools are looked at by their recorded options: no configuration is needed.
    """
    app.begin("show status")
    session, recorded, meant = open_recorded(app, addresses, parallelism)
    # What was begun and never ended counts too.
    known = dict.fromkeys((*recorded.tools, *recorded.open_operations))
    found = session.look_at(recorded, [*known] if meant is None else meant)

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
