"""The options that commands share: declared once, kept in `Shared`, not handed to each command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from devstream.cli.application import Application, Format
from devstream.errors import Diagnostic, Severity
from devstream.report.terminal import Colour

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

__all__ = [
    "output_options",
    "source_options",
    "state_option",
    "run_options",
    "shared_option",
    "epilog",
    "Duration",
]

F = TypeVar("F", bound="Callable[..., Any]")

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class Duration(click.ParamType[float]):
    """A time span: ``90``, ``90s``, ``5m``, ``1h``; in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read a time span."""
        if isinstance(value, float | int):
            return float(value)
        number = value.rstrip("msh")
        unit = _UNITS.get(value[len(number) :] or "s")
        if unit is None or not number.replace(".", "", 1).isdecimal():
            self.fail(f'"{value}" is not a time span: write 90, 90s, 5m or 1h', param, ctx)
        return float(number) * unit


def epilog(*examples: str) -> str:
    """Write the examples at the end of a command's help."""
    return "\b\nExamples:\n" + "\n".join(f"  {example}" for example in examples)


def _keep(attribute: str, convert: Callable[[Any], Any] = lambda value: value) -> Callable[..., None]:
    """Make a callback that keeps an option's value, where one was given."""

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> None:  # noqa: ARG001 - click's signature
        if value not in (None, False, 0, ()):
            setattr(ctx.find_object(Application).shared, attribute, convert(value))  # type: ignore[union-attr]

    return callback


def _shared(*names: str, keep: Callable[..., None], **settings: Any) -> Decorator:
    return click.option(*names, callback=keep, expose_value=False, **settings)


def shared_option(attribute: str, *names: str, **settings: Any) -> Decorator:
    """Make an option whose value is kept in `Shared`, under a name."""
    return _shared(*names, keep=_keep(attribute), **settings)


def _chdir(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    import os

    try:
        os.chdir(value)
    except OSError as error:
        message = f"cannot go to {value}: {error.strerror}"
        raise click.BadParameter(message, ctx, param) from None
    _keep("chdir")(ctx, param, value)


def _variables(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> None:
    variables: dict[str, str] = {}
    for assignment in values:
        name, equals, value = assignment.partition("=")
        if not equals or not name:
            message = f'"{name}" has no value: write NAME=VALUE'
            raise click.BadParameter(message, ctx, param)
        variables[name] = value
    _keep("variables")(ctx, param, variables or None)


def _plugin_dir(ctx: click.Context, param: click.Parameter, value: str | None) -> None:  # noqa: ARG001 - click's signature
    if value is None:
        return
    warning = Diagnostic(
        "-d/--plugin-dir has no effect: plugins are Python packages",
        "plugin-dir",
        severity=Severity.WARNING,
        suggestion="install them with pip; `devstream list plugins` shows what there is",
    )
    ctx.find_object(Application).diagnostics.append(warning)  # type: ignore[union-attr]


def output_options(command: F) -> F:
    """Add the options that say how a command talks."""
    for option in reversed(
        [
            _shared("--chdir", metavar="DIR", is_eager=True, keep=_chdir, help="Go to DIR first."),
            _shared(
                "-o",
                "--output",
                type=click.Choice([form.value for form in Format]),
                keep=_keep("output", Format),
                help="Text for people, one JSON document, or one JSON event a line.",
            ),
            _shared(
                "--color",
                "--colour",
                type=click.Choice([colour.value for colour in Colour]),
                keep=_keep("colour", Colour),
                help="Colour; NO_COLOR and FORCE_COLOR are honoured too.",
            ),
            _shared(
                "--no-color",
                is_flag=True,
                keep=_keep("colour", lambda _: Colour.NEVER),
                help="The same as --color never.",
            ),
            _shared("-q", "--quiet", is_flag=True, keep=_keep("quiet"), help="Only the result and errors."),
            _shared(
                "-v", "--verbose", count=True, keep=_keep("verbosity"), help="Say more; -vv says everything."
            ),
            _shared("--debug", is_flag=True, keep=_keep("verbosity", lambda _: 2), help="The same as -vv."),
            _shared("--no-input", is_flag=True, keep=_keep("no_input"), help="Never ask; fail instead."),
        ]
    ):
        command = option(command)  # type: ignore[assignment]  # click keeps the type
    return command


def source_options(command: F) -> F:
    """Add the options that say which configuration a command works on."""
    for option in reversed(
        [
            _shared(
                "-f",
                "--config-file",
                type=click.Path(path_type=Path),
                keep=_keep("config_file"),
                help="The configuration: a file or a folder. [devstream.yaml, devstream.yml, devstream.d/ or config.yaml]",
            ),
            _shared(
                "--var",
                multiple=True,
                metavar="NAME=VALUE",
                keep=_variables,
                help="Set a variable; VALUE env:NAME takes a secret from the environment.",
            ),
            _shared(
                "--var-file",
                multiple=True,
                type=click.Path(path_type=Path),
                keep=_keep("var_files"),
                help="A YAML file of variables.",
            ),
            _shared(
                "-p",
                "plugins",
                multiple=True,
                metavar="PLUGIN",
                keep=_keep("plugins"),
                help="Load a plugin: a module or a .py file; no:NAME blocks one.",
            ),
            _shared(
                "-d",
                "--plugin-dir",
                metavar="DIR",
                keep=_plugin_dir,
                help="Accepted for old scripts; no effect.",
            ),
        ]
    ):
        command = option(command)  # type: ignore[assignment]  # click keeps the type
    return command


def run_options(command: F) -> F:
    """Add the options of a command that carries out a plan; it gets them as arguments."""
    for option in reversed(
        [
            click.option("-y", "--yes", is_flag=True, help="Do not ask."),
            click.option("--dry-run", "--check", "dry_run", is_flag=True, help="Only show the plan."),
            click.option("-x", "--fail-fast", is_flag=True, help="Start nothing new after a failure."),
            click.option(
                "--parallelism", type=click.IntRange(1, 1000), help="How many operations run at once."
            ),
            click.option(
                "--lock-timeout",
                type=Duration(),
                default="90s",
                show_default=True,
                help="How long to wait for another run.",
            ),
        ]
    ):
        command = option(command)
    return command


def state_option(command: F) -> F:
    """Add ``--state``, which names a state without a configuration, and ``--state-key-file``, which opens it."""
    key_file = _shared(
        "--state-key-file",
        multiple=True,
        type=click.Path(path_type=Path),
        metavar="FILE",
        keep=_keep("state_key_files"),
        help="A key of an encrypted state, where no configuration names one; or set DEVSTREAM_STATE_PASSPHRASE.",
    )
    url = _shared(
        "--state",
        metavar="URL",
        keep=_keep("state_url"),
        help="The state, without a configuration: a path or a URL.",
    )
    return url(key_file(command))  # type: ignore[return-value]  # click keeps the type
