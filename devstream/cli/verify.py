"""``devstream verify``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from devstream.cli.addresses import selection_options
from devstream.cli.application import Answer, Application
from devstream.cli.checks import Check, Verdict, check_data, check_lines, counted, plugin_names, state_text
from devstream.cli.exit_codes import of_plan, worst
from devstream.cli.options import epilog, output_options, source_options
from devstream.errors import DevstreamError, ExitCode
from devstream.model.plan import Action
from devstream.report.plan import count_line, selection_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.engine.session import Session
    from devstream.errors import Diagnostic

__all__ = ["verify"]


@click.command(
    epilog=epilog(
        "devstream verify                        is everything there that a run needs?",
        "devstream verify --detailed-exitcode    exit code 2 where a run would change something",
    )
)
@click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 where there are changes.")
@click.option("--parallelism", type=click.IntRange(1, 1000), help="How many tools are read at once.")
@selection_options
@source_options
@output_options
@click.pass_obj
def verify(app: Application, *, detailed_exitcode: bool, parallelism: int | None) -> Answer:
    """Check everything that a run needs: configuration, plugins, state, and whether a plan can be made.

    Changes nothing. One line each; what is wrong is said below.
    """
    app.begin("verify")
    session = app.open(app.invocation(parallelism=parallelism))
    done = _Verification(app, session, detailed=detailed_exitcode)
    done.carry_out()

    def data(mask: Any) -> Mapping[str, Any]:
        return {"checks": check_data(done.checks, mask)}

    return Answer(
        data, lambda look: check_lines(done.checks, look), worst(done.codes), tuple(dict.fromkeys(done.wrong))
    )


class _Verification:
    """The checks, one after the other; a check that needs what has failed is left out."""

    def __init__(self, app: Application, session: Session, *, detailed: bool) -> None:
        self._app = app
        self._session = session
        self._detailed = detailed
        self.checks: list[Check] = []
        self.codes: list[ExitCode] = []
        self.wrong: list[Diagnostic] = []

    def carry_out(self) -> None:
        """Check everything."""
        read = self._checked("configuration", self._configuration)
        self._checked("plugins", self._plugins, needed=read)
        self._checked("state", self._state, needed=read)
        fine = all(check.verdict is Verdict.OK for check in self.checks)
        self._checked("plan", self._plan, needed=fine)

    def _checked(self, name: str, check: Callable[[], Check], *, needed: bool = True) -> bool:
        """Carry one check out, where everything it needs is there; tells whether that went well."""
        if not needed:
            self.checks.append(Check(name, Verdict.NOT_CHECKED))
            return False
        try:
            self.checks.append(check())
        except DevstreamError as error:
            self.wrong += error.diagnostics
            self.codes.append(error.exit_code)
            self.checks.append(Check(name, Verdict.FAILED, error.diagnostics[0].summary))
            return False
        return True

    def _configuration(self) -> Check:
        config = self._session.config
        self._app.warn(config.warnings)
        try:
            tools = self._session.tools
            _ = self._session.graph
        except DevstreamError as error:
            if not all(diagnostic.code.startswith("plugin") for diagnostic in error.diagnostics):
                raise
            return Check("configuration", Verdict.OK, ", ".join(config.names))  # plugins come next
        self._app.warn(self._session.warnings)
        counts = f"{counted(len(tools), 'tool')}, {counted(len(config.apps), 'app')}"
        return Check("configuration", Verdict.OK, f"{', '.join(config.names)}: {counts}")

    def _plugins(self) -> Check:
        return Check("plugins", Verdict.OK, plugin_names(self._session.tools))

    def _state(self) -> Check:
        text = state_text(self._session.read_state(), self._session.state_location)
        return Check("state", Verdict.OK, text)

    def _plan(self) -> Check:
        made = self._session.plan()
        self._app.warn(made.warnings)
        self.codes.append(of_plan(made, detailed=self._detailed))
        self.wrong += [change.error for change in made.changes if change.error]
        verdict = Verdict.CHANGES if made.has_changes else Verdict.OK
        if any(change.action is Action.ERROR for change in made.changes):
            verdict = Verdict.FAILED
        about = f" {selection_line(made.selection)}" if made.selection is not None else ""
        return Check("plan", verdict, count_line(made) + about)
