"""From arguments to an exit code: parse, carry out, print, and let nothing else than a message out."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer, Application, Format
from devstream.errors import DevstreamError, ExitCode, UsageError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["COMPLETING", "main", "run_this_process"]

COMPLETING = "_DEVSTREAM_COMPLETE"
"""Set by a shell that wants to know how a line could go on."""


def run_this_process() -> int:
    """Run this process's command line."""
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started us
            nothing = os.open(os.devnull, os.O_RDWR)
            setattr(sys, name, os.fdopen(nothing, "r" if name == "stdin" else "w", encoding="utf-8"))
    if COMPLETING in os.environ:
        from devstream.cli.completion import complete

        return complete(os.environ)
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, ValueError):  # not every stand-in for a stream can be changed
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    name = Path(sys.argv[0]).name
    app = Application(
        sys.argv[1:],
        environ=os.environ,
        stdin=sys.stdin,
        stdout=sys.stdout,
        stderr=sys.stderr,
        program=_as_typed(name) if name in ("devstream", "dtm") else "devstream",
    )
    return main(app)


def _as_typed(name: str) -> str:
    """Give the word that starts this program: its name where PATH leads here, else the path that was used."""
    typed = sys.argv[0]
    if not os.path.exists(typed):  # noqa: PTH110 - runs at every start, and Path is slow
        return name
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        found = os.path.join(folder, name)  # noqa: PTH118
        if os.access(found, os.X_OK):
            return name if os.path.samefile(found, typed) else typed  # noqa: PTH121
    return typed


def main(app: Application) -> int:
    """Carry out the command line of ``app`` and give the exit code; never raises."""
    before = sys.stdout
    try:
        answer = _invoke(app)
        return int(app.answer(answer)) if isinstance(answer, Answer) else int(ExitCode.OK)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        return _refuse(app, error)
    except DevstreamError as error:
        return int(app.fail(error.diagnostics, error.exit_code))
    except (KeyboardInterrupt, click.Abort):
        return _interrupted(app)
    except BrokenPipeError:
        app.out.leave()  # whoever read our output has gone, `head` for example
        return int(ExitCode.OK)
    except Exception as error:  # noqa: BLE001 - the last place where a defect can be caught
        return _crash(app, error)
    finally:
        sys.stdout = before


def _invoke(app: Application) -> Any:
    """Parse the arguments and call the command; click's own `main` would exit and print by itself."""
    from devstream.cli.commands import root

    arguments = list(app.argv) or ["--help"]
    with root.make_context(app.program, arguments, obj=app) as context:
        return root.invoke(context)


def _refuse(app: Application, error: click.UsageError) -> int:
    """Say what is wrong with the command line, in the form that was asked for as far as can be told."""
    asked = _asked_format(app.argv)
    if asked is not None:
        app.shared.output = asked
    if app.command == "":
        app.command = error.ctx.command_path.partition(" ")[2] if error.ctx else ""
    usage = _usage_error(app, error)
    return int(app.fail(usage.diagnostics, usage.exit_code))


def _usage_error(app: Application, error: click.UsageError) -> UsageError:
    context = error.ctx
    path = context.command_path if context else app.program
    see = f"see {path} --help"
    if isinstance(error, click.NoSuchOption) and context:
        names = [name for param in context.command.get_params(context) for name in param.opts]
        message = f'"{path}" has no option "{error.option_name}"'
        return UsageError(message, suggestion=nearest(error.option_name, names) or see)
    if type(error).__name__ == "NoArgsIsHelpError":
        return UsageError(f'"{path}" needs a command', detail=error.format_message())
    notes = getattr(error, "__notes__", [])
    message = error.format_message().rstrip(".")
    return UsageError(message[:1].lower() + message[1:], suggestion=notes[0] if notes else see)


def _asked_format(argv: Sequence[str]) -> Format | None:
    """Find ``-o`` among arguments that could not be parsed."""
    values = [word.removeprefix("--output=") for word in argv if word.startswith("--output=")]
    values += [after for word, after in pairwise(argv) if word in ("-o", "--output")]
    values += [word[2:] for word in argv if word.startswith("-o")]
    known = [value for value in values if value in list(Format)]
    return Format(known[-1]) if known else None


def _interrupted(app: Application) -> int:
    error = UsageError("interrupted", code="interrupted")
    return int(app.fail(error.diagnostics, ExitCode.INTERRUPTED))


def _crash(app: Application, error: Exception) -> int:
    from devstream.cli.crash import crash_diagnostic, traceback_text
    from devstream.cli.wording import recorded_command

    with suppress(Exception):
        app.reporter.close()
    if app.shared.verbosity >= 2:
        app.err.text(traceback_text(error, app.redactor))
    command = recorded_command(app.program, app.argv)
    diagnostic = crash_diagnostic(error, command=command, environ=app.environ, redactor=app.redactor)
    return int(app.fail([diagnostic], ExitCode.BUG))
