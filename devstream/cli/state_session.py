"""What the ``devstream state`` commands share: finding the state, showing what is to be recorded, asking, recording."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import click

from devstream.cli.addresses import complete_address, selection_options
from devstream.cli.application import Answer, Application
from devstream.cli.options import Duration, output_options, source_options, state_option
from devstream.cli.prompt import agree
from devstream.cli.wording import next_command
from devstream.errors import DeclinedError
from devstream.record import Immutable, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from devstream.engine.session import Invocation, Session
    from devstream.model.address import Address
    from devstream.model.state import State
    from devstream.report.terminal import Look
    from devstream.state.editing import Proposal, Propose

__all__ = [
    "How",
    "Recorded",
    "carry_out",
    "complete_address",
    "editing",
    "looking",
    "open_recorded",
    "open_state",
    "reading",
    "with_default_state",
]

F = TypeVar("F", bound="Callable[..., Any]")

DEFAULT_STATE = "devstream.state"
"""The state where there is neither a configuration nor ``--state``."""


class How(Immutable, frozen=True):
    """How something is to be recorded.

    Attributes:
        lock_timeout: seconds to wait for another run.
    """

    yes: bool = False
    dry_run: bool = False
    lock_timeout: float = 90.0


def reading(command: F) -> F:
    """Add the options of a command that reads the state."""
    return state_option(source_options(output_options(command)))


def editing(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Add the options of a command that records something; the command gets them as ``how``."""

    @wraps(command)
    def with_how(*args: Any, yes: bool, dry_run: bool, lock_timeout: float, **rest: Any) -> Answer:
        return command(*args, how=How(yes, dry_run, lock_timeout), **rest)

    for option in (
        click.option(
            "--lock-timeout",
            type=Duration(),
            default="90s",
            show_default=True,
            help="How long to wait for another run.",
        ),
        click.option("--dry-run", is_flag=True, help="Only show what would be recorded."),
        click.option("-y", "--yes", is_flag=True, help="Do not ask."),
    ):
        with_how = option(with_how)
    return reading(with_how)


def open_state(app: Application, lock_timeout: float = 90.0) -> Session:
    """Open the state that ``--state`` or the configuration names; else the default one in the current folder."""
    return app.open(with_default_state(app.invocation(offline=True, lock_timeout=lock_timeout)))


def with_default_state(invocation: Invocation) -> Invocation:
    """Name the state in the current folder, where nothing else is named and there is no configuration."""
    from devstream.config.files import DEFAULT_NAMES

    if invocation.state_url is not None or invocation.config is not None:
        return invocation
    if any((invocation.cwd / name).exists() for name in DEFAULT_NAMES):
        return invocation
    return replace(invocation, state_url=DEFAULT_STATE)


class Recorded(NamedTuple):
    """A state that was opened to look at what it records.

    Attributes:
        meant: what was selected; None where nothing was said.
    """

    session: Session
    state: State
    meant: list[Address] | None


def looking(command: F) -> F:
    """Add the options of a command that looks at the world beside what is recorded."""
    which = click.argument("addresses", nargs=-1, shell_complete=complete_address, metavar="[WHICH]...")
    at_once = click.option(
        "--parallelism", type=click.IntRange(1, 1000), help="How many tools are read at once."
    )
    return which(at_once(selection_options(reading(command))))


def open_recorded(app: Application, addresses: Sequence[str], parallelism: int | None) -> Recorded:
    """Open the state to look at tools by their recorded options: no configuration is needed.

    Raises:
        UsageError: the selection matches nothing.
    """
    invocation = with_default_state(app.invocation(offline=True, parallelism=parallelism))
    session = app.open(replace(invocation, local_plugins=True))
    state = session.read_state()
    app.shared.target = (*addresses, *app.shared.target)
    if app.shared.selectors is None:
        return Recorded(session, state, None)
    from devstream.planning.scope import entries_meant

    return Recorded(session, state, entries_meant(app.shared.selectors, state))


def carry_out(
    app: Application,
    session: Session,
    propose: Propose,
    how: How,
    *,
    then: Sequence[tuple[str, str]] = (),
    breaking: bool = False,
    before: Callable[[Proposal], None] | None = None,
) -> Answer:
    """Show what is proposed, ask, record it, and say what comes next.

    Args:
        then: commands to propose, each with why.
        breaking: somebody else's lease is not waited for; it ends with what is recorded.
        before: called once somebody has agreed, before anything is recorded; raises to prevent that.

    Raises:
        DeclinedError: nobody agreed.
    """
    proposal = session.look(propose)
    applied = proposal.writes and not how.dry_run

    def agreed(proposed: Proposal) -> None:
        _approve(app, proposed, how)
        if before is not None:
            before(proposed)

    if applied:
        proposal = session.edit(propose, agreed, breaking=breaking)
        applied = proposal.writes
    location = session.state_location

    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.cli.state_view import proposal_data

        return {**proposal_data(proposal, mask, applied=applied), "state": mask(location)}

    def lines(look: Look) -> Sequence[str]:
        return _lines(app, proposal, then, look, applied=applied)

    return Answer(data, lines)


def _approve(app: Application, proposal: Proposal, how: How) -> None:
    """Show what is about to be recorded, and ask."""
    from devstream.cli.state_view import proposal_lines

    app.reporter.pause()
    if app.is_human and not app.shared.quiet:
        app.out.lines(proposal_lines(proposal, app.out.look))
    if how.yes:
        return
    if not app.is_human:
        app.err.lines(proposal_lines(proposal, app.err.look))
    if not agree(app.stdin, app.err, no_input=app.shared.no_input):
        message = "not approved: nothing was changed"
        raise DeclinedError(message)


def _lines(
    app: Application, proposal: Proposal, then: Sequence[tuple[str, str]], look: Look, *, applied: bool
) -> list[str]:
    from devstream.cli.state_view import proposal_lines

    if not proposal.writes:
        return [*(f"Note: {note}" for note in proposal.notes), "Nothing to do."]
    if not applied:
        return [*proposal_lines(proposal, look), "Nothing was recorded: this was a dry run."]
    done = f"Recorded at serial {proposal.loaded.document.serial + 1}."
    if app.shared.quiet or not then:
        return [done]
    commands = [(next_command(app.program, verb, app.shared), why) for verb, why in then]
    width = max(len(command) for command, _ in commands)
    rows = (f"  {command:<{width}}  {look.paint('dim', why)}" for command, why in commands)
    return [done, "", "Try next:", *rows]
