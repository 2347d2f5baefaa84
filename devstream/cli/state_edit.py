"""``devstream state mv|rm|settle|restore|accept-edit|push|gc|import-dtm``: changing what is recorded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from devstream.cli.options import epilog
from devstream.cli.state_session import How, carry_out, complete_address, editing, open_state
from devstream.errors import DevstreamError, UsageError
from devstream.state.editing import on_state

if TYPE_CHECKING:
    from devstream.cli.application import Answer, Application
    from devstream.engine.session import Session
    from devstream.model.values import Path as ValuePath

__all__ = ["accept_edit", "gc", "import_dtm", "mv", "push", "restore", "rm", "settle"]

_PLAN = ("plan", "what differs from the configuration and the world")
_SECRET = re.compile(
    r"(?i)passw|passphrase|token|secret|credential|private_?key|api_?key|access_?key(?!_?id)"
)


@click.command(
    epilog=epilog(
        "devstream state mv file.readme file.manual    then rename it in the configuration too",
        "devstream state mv app:shop app:store         all tools of an app",
        "devstream state mv file.a file.b --dry-run",
    )
)
@click.argument("old", shell_complete=complete_address)
@click.argument("new")
@editing
@click.pass_obj
def mv(app: Application, *, old: str, new: str, how: How) -> Answer:
    """Give an entry another address, so that a renamed tool is not made anew."""
    from devstream.state.edits import rename

    app.begin("state mv")
    then = [("plan", "after renaming it in the configuration: nothing should be to do")]
    propose = on_state(lambda state: rename(state, old, new))
    return carry_out(app, open_state(app, how.lock_timeout), propose, how, then=then)


@click.command(
    epilog=epilog(
        "devstream state rm file.readme",
        "devstream state rm file.readme file.manual -y",
    )
)
@click.argument("addresses", nargs=-1, required=True, metavar="ADDRESS...", shell_complete=complete_address)
@editing
@click.pass_obj
def rm(app: Application, *, addresses: tuple[str, ...], how: How) -> Answer:
    """Forget entries; the things themselves stay as they are.

    A tool that is still in the configuration is then found to exist already; `adopt: true` takes it over again.
    """
    from devstream.state.edits import forget

    app.begin("state rm")
    propose = on_state(lambda state: forget(state, addresses))
    return carry_out(app, open_state(app, how.lock_timeout), propose, how, then=[_PLAN])


@click.command(
    epilog=epilog(
        "devstream state settle command.deploy --created    I have looked: it is there",
        "devstream state settle command.deploy --absent     it is not: make it again",
    )
)
@click.argument("address", shell_complete=complete_address)
@click.option("--created/--absent", "created", default=None, help="Whether the thing is there.")
@editing
@click.pass_obj
def settle(app: Application, *, address: str, created: bool | None, how: How) -> Answer:
    """Say what came of an operation that was interrupted, where no tool can find out.

    Look at the thing yourself first. If it is there by half, remove it and say --absent.
    """
    from devstream.state.edits import settle as settled

    app.begin("state settle")
    if created is None:
        message = "say what you have seen: --created or --absent"
        raise UsageError(message, suggestion=f"devstream state settle {address} --absent")
    propose = on_state(lambda state: settled(state, address, created=created))
    then = [("run", "go on from there")]
    return carry_out(app, open_state(app, how.lock_timeout), propose, how, then=then)


@click.command(
    epilog=epilog(
        "devstream state history               which serials there are",
        "devstream state restore 41 --dry-run  what would change",
        "devstream state restore 41",
    )
)
@click.argument("serial", type=click.IntRange(min=1))
@editing
@click.pass_obj
def restore(app: Application, *, serial: int, how: How) -> Answer:
    """Go back to what was recorded at an older serial, also where the state is damaged or lost.

    Only the record goes back, the things do not; what is there now is kept in the history, and operations whose
    outcome is not known stay so. `devstream plan` then shows how the world differs.
    """
    from devstream.state.salvage import restore as restored

    app.begin("state restore")
    return carry_out(app, open_state(app, how.lock_timeout), restored(serial), how, then=[_PLAN])


@click.command(
    "accept-edit",
    epilog=epilog("devstream state accept-edit --dry-run    what was edited", "devstream state accept-edit"),
)
@editing
@click.pass_obj
def accept_edit(app: Application, *, how: How) -> Answer:
    """Take over a state file that was edited by hand: shows what differs, and signs it again."""
    from devstream.state.salvage import accepted

    app.begin("state accept-edit")
    return carry_out(app, open_state(app, how.lock_timeout), accepted, how, then=[_PLAN])


@click.command(
    epilog=epilog(
        "devstream state push state.json --dry-run                 a state that was pulled, and changed",
        "devstream state push --rescue devstream.state.rescue-1f3  what a run could not record",
    )
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--rescue", is_flag=True, help="FILE is a rescue file: merge what its run did.")
@click.option("--force", is_flag=True, help="Push although something was recorded since it was pulled.")
@editing
@click.pass_obj
def push(app: Application, *, file: Path, rescue: bool, force: bool, how: How) -> Answer:
    """Record a state that `devstream state pull` printed, or merge a rescue file.

    A pulled state takes the place of what is recorded. A rescue file is merged: nothing that was recorded since is
    overwritten, and merging it twice is merging it once. `-` reads standard input.
    """
    from devstream.state.documents import push as pushed
    from devstream.state.merging import merging

    app.begin("state push")
    data, name = _content(app, file), str(file)
    propose = merging(data, name) if rescue else pushed(data, name, force=force)
    then = [("run", "look at what is still open, and go on")] if rescue else [_PLAN]
    return carry_out(app, open_state(app, how.lock_timeout), propose, how, then=then)


def _content(app: Application, file: Path) -> bytes:
    if str(file) == "-":
        return app.stdin.read().encode("utf-8", "surrogateescape")
    try:
        return file.read_bytes()
    except OSError as error:
        message = f"cannot read {file}: {(error.strerror or str(error)).lower()}"
        raise UsageError(message, code="unreadable") from None


@click.command(epilog=epilog("devstream state gc --dry-run", "devstream state gc -y"))
@editing
@click.pass_obj
def gc(app: Application, *, how: How) -> Answer:
    """Remove kept parts that neither the state nor its history needs: a crash may leave one behind."""
    from devstream.state.orphans import clearing

    app.begin("state gc")
    return carry_out(app, open_state(app, how.lock_timeout), clearing, how)


@click.command(
    "import-dtm",
    epilog=epilog(
        "devstream state import-dtm --dry-run                     what would be taken over",
        "devstream state import-dtm --state ./devstream.state -y",
    ),
)
@editing
@click.pass_obj
def import_dtm(app: Application, *, how: How) -> Answer:
    """Take over the state of the original DevStream, at the same place.

    Its bytes are kept beside the state. Options, dependencies and outputs come along; what is secret leaves only a
    fingerprint.
    """
    from devstream.state.clock import utc_now
    from devstream.state.dtm import importing

    app.begin("state import-dtm")
    session = open_state(app, how.lock_timeout)

    def is_secret(tool: str, path: ValuePath) -> bool:
        return _is_secret(session, tool, path)

    return carry_out(app, session, importing(is_secret, utc_now()), how, then=[_PLAN])


def _is_secret(session: Session, tool: str, path: ValuePath) -> bool:
    """Ask the tool's plugin; what it does not describe is judged by its name."""
    try:
        if "secret" in session.plugins.tool(tool).flags(path):
            return True
    except DevstreamError:
        pass  # the plugin is not installed: the state can be imported all the same
    names = [step for step in path if isinstance(step, str)]
    return bool(names) and _SECRET.search(names[-1]) is not None
