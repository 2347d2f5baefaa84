"""Command lines in words: the one that is recorded, and the one that is proposed next."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from devstream.cli.application import Shared

__all__ = ["recorded_command", "next_command"]

_OF_A_STATE = ("destroy", "show", "state")
"""Commands that take ``--state``."""
_SELECTING = ("run", "plan", "delete", "destroy", "verify")
"""Commands that can be about some tools only."""


def recorded_command(program: str, argv: Sequence[str]) -> str:
    """Write the command line for records and crash files, without the values of variables.

    >>> recorded_command("devstream", ["run", "--var", "token=x", "--var=b=env:B", "-y"])
    'devstream run --var token=... --var=b=env:B -y'
    """
    from shlex import join

    words: list[str] = []
    for word in argv:
        if words and words[-1] == "--var":
            words.append(_without_value(word))
        elif word.startswith("--var="):
            words.append("--var=" + _without_value(word.removeprefix("--var=")))
        else:
            words.append(word)
    return join([program, *words])


def _without_value(assignment: str) -> str:
    name, equals, value = assignment.partition("=")
    return assignment if not equals or value.startswith("env:") else f"{name}=..."


def next_command(program: str, verb: str, shared: Shared, *, same_plan: bool = False) -> str:
    """Write the command that does ``verb`` (one or two words) with the same configuration and the same tools.

    Args:
        same_plan: with what else was asked of the plan, too.
    """
    from shlex import join

    selection = _selection(shared) if verb in _SELECTING else ()
    wishes = _wishes(shared) if same_plan else ()
    return join([program, *verb.split(), *_sources(shared, verb.partition(" ")[0]), *selection, *wishes])


def _selection(shared: Shared) -> Iterator[str]:
    for option, values in (
        ("--target", shared.target),
        ("--exclude", shared.exclude),
        ("-k", shared.keywords),
        ("--tags", shared.tags),
    ):
        for value in values:
            yield from (option, value)
    if shared.last_failed:
        yield "--lf"


def _wishes(shared: Shared) -> Iterator[str]:
    for address in shared.replace:
        yield from ("--replace", address)
    for address in shared.unprotect:
        yield from ("--unprotect", address)


def _sources(shared: Shared, command: str) -> Iterator[str]:
    if shared.chdir:
        yield from ("--chdir", shared.chdir)
    if shared.config_file:
        yield from ("-f", str(shared.config_file))
    if shared.state_url and command in _OF_A_STATE:
        yield from ("--state", shared.state_url)
    if command in _OF_A_STATE:
        for key_file in shared.state_key_files:
            yield from ("--state-key-file", str(key_file))
    for name, value in shared.variables.items():
        yield from ("--var", f"{name}={value}")
    for file in shared.var_files:
        yield from ("--var-file", str(file))
    for plugin in shared.plugins:
        yield from ("-p", plugin)
