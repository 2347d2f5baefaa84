"""``devstream init``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer, Application
from devstream.cli.checks import Check, Verdict, check_data, check_lines, plugin_names, state_text
from devstream.cli.options import Duration, epilog, output_options, source_options
from devstream.cli.wording import next_command
from devstream.errors import DevstreamError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from devstream.engine.session import Session
    from devstream.errors import Diagnostic
    from devstream.report.terminal import Look

__all__ = ["init"]

_INSTALL = "pip install "


@click.command(
    epilog=epilog(
        "devstream init             are the plugins there? then make the state",
        "devstream init -f shop/    the configuration is a folder",
    )
)
@click.option(
    "--lock-timeout",
    type=Duration(),
    default="90s",
    show_default=True,
    help="How long to wait for another run.",
)
@source_options
@output_options
@click.pass_obj
def init(app: Application, *, lock_timeout: float) -> Answer:
    """Check that the plugins of the configuration are installed, and make an empty state where there is none.

    Needs no credentials but those of the state. Nothing else is touched, and doing it twice is harmless; a run
    does not need it.
    """
    app.begin("init")
    session = app.open(app.invocation(offline=True, lock_timeout=lock_timeout))
    wrong = _wrong(session)
    missing = _distributions(wrong)
    if missing:
        return _not_there(wrong, _INSTALL + " ".join(missing))
    if wrong:
        raise wrong[0]
    app.warn(session.warnings)
    made = session.make_state()
    checks = [
        Check("plugins", Verdict.OK, plugin_names(session.tools)),
        Check("state", Verdict.OK, _state(session, made=made)),
    ]

    def data(mask: Any) -> Mapping[str, Any]:
        return {
            "checks": check_data(checks, mask),
            "state": mask(session.state_location),
            "made": made,
            "install": None,
        }

    def lines(look: Look) -> Sequence[str]:
        command = next_command(app.program, "plan", app.shared)
        return [*check_lines(checks, look), "", f"Try next:  {look.paint('bold', command)}"]

    return Answer(data, lines)


def _wrong(session: Session) -> list[DevstreamError]:
    """Collect what is wrong with the configuration, its plugins and the plugin of its state."""
    found: list[DevstreamError] = []
    for step in (lambda: session.graph, lambda: session.backend):
        try:
            step()
        except DevstreamError as error:
            found.append(error)
    return found


def _distributions(wrong: Sequence[DevstreamError]) -> list[str]:
    """Name what would have to be installed."""
    suggestions = (diagnostic.suggestion for diagnostic in _missing(wrong))
    return sorted({suggestion.rpartition(_INSTALL)[2] for suggestion in suggestions})


def _missing(wrong: Sequence[DevstreamError]) -> list[Diagnostic]:
    found = (diagnostic for error in wrong for diagnostic in error.diagnostics)
    return [
        diagnostic
        for diagnostic in found
        if diagnostic.code == "plugin-missing" and _INSTALL in diagnostic.suggestion
    ]


def _not_there(wrong: Sequence[DevstreamError], command: str) -> Answer:
    told = tuple(dict.fromkeys(diagnostic for error in wrong for diagnostic in error.diagnostics))

    def data(mask: Any) -> Mapping[str, Any]:
        return {"checks": [], "state": None, "made": False, "install": mask(command)}

    def lines(look: Look) -> Sequence[str]:
        return ["Plugins are missing. To install them:", f"  {look.paint('bold', command)}"]

    return Answer(data, lines, ExitCode.CONFIG, told)


def _state(session: Session, *, made: bool) -> str:
    if made:
        return f"made {session.state_location}"
    return state_text(session.read_state(), session.state_location)
