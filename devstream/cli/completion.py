"""``devstream completion bash|zsh|fish``, and what its scripts ask this program for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from devstream.cli.application import Answer, Application
from devstream.cli.main import COMPLETING
from devstream.cli.options import epilog, output_options

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.shell_completion import ShellComplete

__all__ = ["PROGRAMS", "SHELLS", "complete", "completion", "script"]

SHELLS = ("bash", "zsh", "fish")
PROGRAMS = ("devstream", "dtm")
"""The names of this program."""


@click.command(
    epilog=epilog(
        'eval "$(devstream completion bash)"                  in ~/.bashrc',
        'eval "$(devstream completion zsh)"                   in ~/.zshrc, after compinit',
        "devstream completion fish > ~/.config/fish/conf.d/devstream.fish",
    )
)
@click.argument("shell", type=click.Choice(SHELLS))
@output_options
@click.pass_obj
def completion(app: Application, *, shell: str) -> Answer:
    """Print the script with which a shell completes commands, flags and recorded addresses."""
    app.begin("completion")
    text = script(shell)

    def data(mask: Any) -> Mapping[str, Any]:  # noqa: ARG001 - nothing secret in it
        return {"shell": shell, "script": text}

    return Answer(data, lambda _: text.splitlines())


def script(shell: str) -> str:
    """Give the script for a shell, for both names of this program."""
    texts = [_source(shell, program) for program in PROGRAMS]
    if shell != "zsh":
        return "\n".join(texts)
    # zsh takes the names from the first line where it finds the script in a folder of its functions
    first, *others = PROGRAMS
    both = " ".join((first, *others))
    return (
        texts[0]
        .replace(f"#compdef {first}\n", f"#compdef {both}\n")
        .replace(f"compdef _{first}_completion {first}\n", f"compdef _{first}_completion {both}\n")
    )


def _source(shell: str, program: str) -> str:
    """Fill in click's template; its own `source` would start a bash to ask for its version."""
    made = _completer(shell, program, {})
    return made.source_template % made.source_vars()


def _completer(shell: str, program: str, context: dict[str, Any]) -> ShellComplete:
    from click.shell_completion import get_completion_class

    from devstream.cli.commands import root

    kind = get_completion_class(shell)
    assert kind is not None
    return kind(root, context, program, COMPLETING)


def complete(environ: Mapping[str, str]) -> int:
    """Answer a shell that wants to know how a line could go on; never says what is wrong with it."""
    shell, _, instruction = environ[COMPLETING].partition("_")
    if shell not in SHELLS or instruction != "complete":
        return 1
    app = Application([], environ=environ, stdin=sys.stdin, stdout=sys.stderr, stderr=sys.stderr)
    try:
        text = _completer(shell, PROGRAMS[0], {"obj": app}).complete()
    except Exception:  # noqa: BLE001 - whatever is wrong, the shell's line is no place to say so
        return 1
    sys.stdout.write(f"{text}\n")
    return 0
