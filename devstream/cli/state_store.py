"""``devstream state probe|rotate-key|migrate-backend``: about what stores the state."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer
from devstream.cli.options import epilog
from devstream.cli.state_session import How, carry_out, editing, open_state, reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.cli.application import Application
    from devstream.engine.session import Session
    from devstream.report.terminal import Look
    from devstream.state.moving import Move

__all__ = ["migrate_backend", "probe", "rotate_key"]


@click.command(
    epilog=epilog(
        "devstream state probe",
        "devstream state probe --state 's3://bucket/devstream.state?region=eu-1'",
    )
)
@reading
@click.pass_obj
def probe(app: Application) -> Answer:
    """Try out whether the state's store really compares and swaps, and print what was found.

    Writes to a place of its own beside the state, and removes that again; the state itself is not touched.
    """
    from devstream.state.backend import probed_behind
    from devstream.state.probe import probe as probed

    app.begin("state probe")
    session = open_state(app)
    backend = probed_behind(session.backend)
    location = session.state_location
    found = dict(probed(backend)) if backend is not None else None

    def data(mask: Any) -> Mapping[str, Any]:
        return {"state": mask(location), "probed": found is not None, "found": found}

    def lines(_: Look) -> Sequence[str]:
        if found is None:
            return [f"{location} needs no probe: it is compared and swapped under a lock of this machine."]
        rows = (f"  {name}: {value}" for name, value in found.items())
        return [f"{location} keeps a state safely: a stale write is refused, of two at once one wins.", *rows]

    return Answer(data, lines)


@click.command(
    "rotate-key",
    epilog=epilog(
        "devstream state rotate-key --dry-run    what would be encrypted anew",
        "devstream state rotate-key -y           after a new key was put first, or encryption was switched on",
    ),
)
@editing
@click.pass_obj
def rotate_key(app: Application, *, how: How) -> Answer:
    """Encrypt the state and everything kept beside it anew, with the first key of the configuration.

    Whatever interrupts it, the old keys and the new one together open the state; do it again then. Once it is done,
    the old keys can be taken out of the configuration.
    """
    from devstream.state.rotating import rotating

    app.begin("state rotate-key")
    then = [("state history --verify", "every part can be read; then take the old key out")]
    return carry_out(app, open_state(app, how.lock_timeout), rotating, how, then=then)


@click.command(
    "migrate-backend",
    epilog=epilog(
        "devstream state migrate-backend 's3://bucket/devstream.state?region=eu-1' --dry-run",
        "devstream state migrate-backend k8s://devstream/state -y",
        "devstream state migrate-backend ../team/devstream.state --state ./devstream.state",
    ),
)
@click.argument("url")
@editing
@click.pass_obj
def migrate_backend(app: Application, *, url: str, how: How) -> Answer:
    """Move the state, with its history, to another place: URL, as --state takes it.

    Everything is copied and read back before the old place says that the state has moved. An interrupted move is
    finished, or begun anew, by the same command.
    """
    from devstream.state.clock import utc_now
    from devstream.state.moving import Move, Stage

    app.begin("state migrate-backend")
    session = open_state(app, how.lock_timeout)
    target = session.backend_at(url)
    move = Move(session.backend, target, session.holder, utc_now)
    stage = move.stage()
    if stage is Stage.READY:
        return _moved(app, session, move, how, target.location)
    if stage is Stage.HALF and not how.dry_run:
        move.finish()
    return _answer(
        session.state_location, target.location, stage, applied=not how.dry_run, program=app.program
    )


def _moved(app: Application, session: Session, move: Move, how: How, target: str) -> Answer:
    """Carry a move out, from the beginning."""
    answer = carry_out(app, session, move.propose, how, before=move.copy)
    if how.dry_run:
        return answer
    move.finish()
    return _answer(session.state_location, target, "ready", applied=True, program=app.program, move=move)


def _answer(
    source: str, target: str, stage: str, *, applied: bool, program: str, move: Move | None = None
) -> Answer:
    from shlex import join

    copied = move.copied if move else None
    look_at_it = join([program, "state", "list", "--state", target])

    def data(mask: Any) -> Mapping[str, Any]:
        return {
            "from": mask(source),
            "to": mask(target),
            "stage": str(stage),
            "applied": applied and stage != "done",
            "parts": copied.blobs if copied else None,
            "bytes": copied.size if copied else None,
        }

    def lines(_: Look) -> Sequence[str]:
        if stage == "done":
            return [f"The state was moved to {target} before: nothing to do."]
        if not applied:
            return [
                f"What is missing: {target} would become the state. Nothing was changed: this was a dry run."
            ]
        told = (
            f", with {copied.blobs} kept parts ({copied.size} bytes, read back and compared)"
            if copied
            else ""
        )
        return [
            f"The state is at {target} now{told}.",
            f"{source} says so to whoever still uses it.",
            "",
            f"Name the new place under config.state. To look at it: {look_at_it}",
        ]

    return Answer(data, lines)
