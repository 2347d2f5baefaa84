"""``devstream state list|show|history|pull|unlock``: looking at the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer, Application
from devstream.cli.options import epilog
from devstream.cli.state_session import How, carry_out, complete_address, editing, open_state, reading
from devstream.errors import Diagnostic, ExitCode, LeaseError, Severity, StateDamagedError
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.engine.session import Session
    from devstream.model.state import LeaseHolder, State
    from devstream.report.terminal import Look
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Proposal
    from devstream.state.history import Point

__all__ = ["list_", "show", "history", "pull", "unlock"]


@click.command(
    "list",
    epilog=epilog(
        "devstream state list",
        "devstream state list 'repo-scaffolding.*'       a pattern in quotes",
        "devstream state list -o json | jq '.tools | keys'",
    ),
)
@click.argument("glob", required=False, shell_complete=complete_address)
@reading
@click.pass_obj
def list_(app: Application, *, glob: str | None) -> Answer:
    """List what is recorded, or only what matches a pattern."""
    app.begin("state list")
    recorded = open_state(app).read_state()
    if glob is not None:
        from devstream.state.edits import matching

        recorded = matching(recorded, glob)

    def lines(look: Look) -> Sequence[str]:
        from devstream.report.tables import state_lines

        return state_lines(recorded, look)

    return Answer(_data(recorded), lines)


def _data(state: State) -> Any:
    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.report.json import state_data

        return state_data(state, mask)

    return data


@click.command(epilog=epilog("devstream state show file.readme", "devstream state show file.readme -o json"))
@click.argument("address", shell_complete=complete_address)
@reading
@click.pass_obj
def show(app: Application, *, address: str) -> Answer:
    """Show one entry in full, and what is unfinished about it."""
    from devstream.model.address import Address
    from devstream.state.edits import recorded

    app.begin("state show")
    whole = open_state(app).read_state()
    unfinished = {str(where): operation for where, operation in whole.open_operations.items()}
    if address not in unfinished:
        recorded(whole, [address])
    where = Address.parse(address)
    entry = replace(
        whole,
        tools={where: whole.tools[where]} if where in whole.tools else {},
        open_operations={where: unfinished[address]} if address in unfinished else {},
    )
    data = _data(entry)

    def lines(look: Look) -> Sequence[str]:  # noqa: ARG001 - text for any stream
        from devstream.report.outline import outline

        plain = data(str)
        return outline({name: plain[name] for name in ("tools", "unfinished") if plain[name]})

    return Answer(data, lines)


@click.command(
    epilog=epilog(
        "devstream state history", "devstream state history --verify    check every part of the trail"
    )
)
@click.option("--verify", is_flag=True, help="Check every kept part, and that each names the one before it.")
@reading
@click.pass_obj
def history(app: Application, *, verify: bool) -> Answer:
    """List what was recorded before: when, by which run, and what it changed.

    `devstream state restore SERIAL` goes back to one of them. Works on a damaged state too, as far as parts of it are
    left.
    """
    app.begin("state history")
    session = open_state(app)
    points, problems = _history(session)
    broken = [problem for problem in problems if verify or problem.code != "trail"]
    if verify and not broken:
        app.warn(_in_the_clear(session))

    def data(mask: Any) -> Mapping[str, Any]:
        from devstream.cli.state_view import history_data

        return {"history": history_data(points, mask), "verified": verify and not broken}

    def lines(look: Look) -> Sequence[str]:
        from devstream.cli.state_view import history_lines

        if not points:
            return ["Nothing is recorded."]
        verdict = ["", "Every part is what was written."] if verify and not broken else []
        damaged = any(problem.code != "trail" for problem in problems)
        return [*history_lines(points, look, damaged=damaged), *verdict]

    return Answer(data, lines, ExitCode.STATE if broken else ExitCode.OK, tuple(broken))


def _in_the_clear(session: Session) -> list[Diagnostic]:
    """Say which kept parts of an encrypted state are not encrypted."""
    from devstream.state.rotating import unsealed

    names = unsealed(session.backend)
    if not names:
        return []
    return [
        Diagnostic(
            f"the state is encrypted, and {len(names)} kept parts of it are not: {', '.join(names)}",
            "not-encrypted",
            Severity.WARNING,
            suggestion="devstream state rotate-key",
        )
    ]


def _history(session: Session) -> tuple[Sequence[Point], list[Diagnostic]]:
    """Read the points, and what is wrong; of a damaged state those that can be gone back to."""
    from devstream.state.history import points, read_history

    try:
        found, problems = read_history(session.backend)
    except StateDamagedError as damage:
        from devstream.state.salvage import salvage, stored_head

        backend = session.backend
        salvaged = salvage(backend, stored_head(backend), damage)
        hint = "go back to one of these: devstream state restore SERIAL"
        return points(salvaged.loaded, backend), [replace(damage.diagnostic, suggestion=hint)]
    hint = "what is recorded now is whole; put the part back from a backup, or go on: it leaves the history with time"
    return found, [Diagnostic(problem, "trail", suggestion=hint) for problem in problems]


@click.command(
    epilog=epilog(
        "devstream state pull > state.json",
        "devstream state pull | jq '.tools | keys'",
    )
)
@reading
@click.pass_obj
def pull(app: Application) -> Answer:
    """Print everything that is recorded as one JSON document, which `devstream state push` takes."""
    app.begin("state pull")
    recorded = open_state(app).read_state()

    def data(_mask: Any) -> Mapping[str, Any]:
        from devstream.state.documents import state_document

        return state_document(recorded)

    def lines(look: Look) -> Sequence[str]:  # noqa: ARG001 - text for any stream
        from devstream.report.json import encode

        return [encode(data(str), indent=True)]

    return Answer(data, lines)


@click.command(
    epilog=epilog(
        "devstream state unlock            who holds it; ends the lease of a run that is stopped or dead",
        "devstream state unlock --dry-run  only says who",
        "devstream state unlock --force    also takes it from a process that is running on this machine",
    )
)
@click.option("--force", is_flag=True, help="Also where the holder's process is running.")
@editing
@click.pass_obj
def unlock(app: Application, *, force: bool, how: How) -> Answer:
    """Say who holds the state, and end a lease that its holder does not give back.

    A run that loses its lease stops at its next record and keeps what it did in a rescue file; nothing it wrote is lost.
    The lease on a local state is a lock that the kernel keeps: it ends with the process that holds it, however that
    ends, so there is never a stale one to break.
    """
    from devstream.state.backend import KernelLease

    app.begin("state unlock")
    session = open_state(app, how.lock_timeout)
    if isinstance(session.backend, KernelLease):
        return _unlock_kernel(app, session, how, force=force)
    return _unlock_head(app, session, how, force=force)


def _unlock_head(app: Application, session: Session, how: How, *, force: bool) -> Answer:
    """End a lease that lives in the head."""
    from devstream.state.holder import Condition, condition_of
    from devstream.state.unlocking import noted_holder, unlocking

    holder = noted_holder(session.backend)
    if holder is None:
        return _nobody(session)
    if condition_of(holder) is Condition.RUNNING and not force and not how.dry_run:
        hint = f"wait for it, or end it: kill {holder.pid}; --force takes the lease from it all the same"
        message = f"the state {session.state_location} is held by {holder}"
        raise LeaseError(message, detail="That process is running.", suggestion=hint)
    then = [("run", "look at what was left open, and go on")]
    return carry_out(app, session, unlocking(holder.run_id), how, then=then, breaking=True)


def _unlock_kernel(app: Application, session: Session, how: How, *, force: bool) -> Answer:
    """Say who holds a lease that the kernel keeps; clear the note that a crash left."""
    from devstream.state.lease import live_holder

    holder = live_holder(session.backend)
    if holder is not None:
        raise _held(session.state_location, holder)
    return carry_out(app, session, _without_note, how) if force else _nobody(session)


def _nobody(session: Session) -> Answer:
    location = session.state_location
    return Answer(
        lambda mask: {"held": False, "state": mask(location)},
        lambda _: [f"Nobody holds the state {location}: there is nothing to unlock."],
    )


def _without_note(backend: StateBackend) -> Proposal:
    from devstream.state.editing import Proposal, current

    loaded = current(backend)
    return Proposal(loaded, rewrites=loaded.document.lease is not None)


def _held(location: str, holder: LeaseHolder) -> LeaseError:
    from devstream.state.holder import Condition, condition_of

    pid = holder.pid
    detail, hint = {
        Condition.RUNNING: ("That process is running.", f"wait for it, or end it: kill {pid}"),
        Condition.STOPPED: (
            "That process is stopped.",
            f"let it go on (kill -CONT {pid}), or end it (kill -KILL {pid})",
        ),
        Condition.GONE: ("That process has ended; one that it started still has the lock.", "end that one"),
        Condition.ELSEWHERE: ("That process is on another machine or in another container.", "end it there"),
    }[condition_of(holder)]
    return LeaseError(
        f"the state {location} is held by {holder}",
        detail=f"{detail} The kernel gives the lease back the moment it ends; nothing else can, nor needs to.",
        suggestion=hint,
    )
