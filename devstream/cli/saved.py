"""Plans in files: ``devstream plan --out FILE`` and ``devstream run FILE``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from devstream.errors import UsageError
from devstream.record import replace

if TYPE_CHECKING:
    from devstream.cli.application import Application
    from devstream.engine.session import Invocation, Session
    from devstream.model.plan import Plan
    from devstream.planning.saved import SavedPlan

__all__ = ["open_saved", "run_command", "save"]

_ABOUT_THE_PLAN = {
    "config_file": "-f",
    "variables": "--var",
    "var_files": "--var-file",
    "plugins": "-p",
    "replace": "--replace",
    "unprotect": "--unprotect",
    "target": "--target",
    "exclude": "--exclude",
    "keywords": "-k",
    "tags": "--tags",
    "last_failed": "--lf",
}
"""Options that say what a plan is made from, by the field of `Shared` they are kept in."""


def save(app: Application, session: Session, file: Path) -> Plan:
    """Make a plan and write it to a file.

    Raises:
        UsageError: it cannot be written.
        ConfigError: it would have to hold a secret that is written in the config itself.
    """
    from devstream.engine.plan_files import save_plan
    from devstream.engine.sealed_plans import sealed_plan
    from devstream.planning.saved_changes import Wording

    saved = session.plan_to_save()
    cwd = app.cwd
    wording = Wording(app.redactor.mask, lambda name: str(cwd / name))
    save_plan(saved, cwd / file, wording, lambda data: sealed_plan(data, session.backend))
    return saved.plan


def run_command(app: Application, file: Path) -> str:
    """Write the command that carries a saved plan out."""
    from shlex import join

    place = ["--chdir", app.shared.chdir] if app.shared.chdir else []
    return join([app.program, "run", *place, str(file)])


def open_saved(app: Application, file: Path, invocation: Invocation) -> Session:
    """Open the session that carries a saved plan out.

    Args:
        invocation: what else is asked for.

    Raises:
        UsageError: there is no such plan, or an option contradicts that it stands alone.
    """
    from devstream.engine.plan_files import load_plan
    from devstream.engine.saved_plans import changed_files
    from devstream.engine.sealed_plans import opened_plan

    def unseal(data: bytes, name: str) -> bytes:
        return opened_plan(
            data,
            name,
            environ=app.environ,
            redactor=app.redactor,
            warn=lambda diagnostic: app.warn([diagnostic]),
        )

    _refuse_other_options(app, invocation)
    saved = load_plan(app.cwd / file, unseal)
    app.warn(changed_files(saved))
    _propose_its_config(app, saved)
    return app.open(replace(invocation, saved=saved))


def _refuse_other_options(app: Application, invocation: Invocation) -> None:
    given = [option for attribute, option in _ABOUT_THE_PLAN.items() if getattr(app.shared, attribute)]
    if not invocation.refresh:
        given.append("--no-refresh")
    if given:
        message = f"a saved plan stands alone: {given[0]} has no place beside it"
        raise UsageError(
            message,
            suggestion=f"leave it out, or make a plan with it: devstream plan {given[0]} ... --out FILE",
        )


def _propose_its_config(app: Application, saved: SavedPlan) -> None:
    """Let the commands that are proposed afterwards name the config that the plan was made from."""
    if saved.source:
        app.shared.config_file = Path(saved.source)
