"""Which tools a selection means: addresses, globs, ``app:NAME``, ``tag:X``, ``-k``, ``--tags``, ``--lf``. Pure.

Several values of one selector unite, different selectors intersect. What else has to come along is said in
`devstream.planning.scope`.
"""

from __future__ import annotations

import fnmatch
import re
from typing import TYPE_CHECKING, NamedTuple

from devstream.errors import UsageError, nearest
from devstream.planning.keywords import parse_keywords
from devstream.planning.removal import recorded_entries
from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

    from devstream.model.address import Address
    from devstream.model.state import State
    from devstream.model.tool import ToolInstance

__all__ = ["Candidate", "Selectors", "candidates", "excluded", "matched", "unsuccessful"]

_NAMED = 3
"""How many addresses a message names."""


class Selectors(Immutable, frozen=True):
    """What is selected, in the words of the command line.

    Attributes:
        target, exclude: addresses, globs, ``app:NAME`` or ``tag:X``.
        keywords: expressions of ``-k``.
        tags: tags; one value may hold several, with commas between them.
        last_failed: what failed, was skipped or is unknown since the last recorded run.
    """

    target: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    keywords: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    last_failed: bool = False


class Candidate(NamedTuple):
    """Something that can be selected, and what it is called by."""

    address: Address
    app: str | None
    tags: tuple[str, ...]


def candidates(tools: Iterable[ToolInstance], state: State) -> dict[Address, Candidate]:
    """Collect what can be selected: the tools of the config as written, all others as recorded."""
    found = {tool.address: Candidate(tool.address, tool.app, tool.tags) for tool in tools}
    for address, entry in recorded_entries(state).items():
        found.setdefault(address, Candidate(address, entry.app, entry.tags))
    return found


def unsuccessful(state: State) -> set[Address]:
    """Say what ``--lf`` means: what did not succeed in the last recorded run, and what never came to its end."""
    failed = state.last_run.not_succeeded if state.last_run else {}
    return {*failed, *state.open_operations}


def matched(selectors: Selectors, among: Collection[Candidate], failed: Collection[Address]) -> set[Address]:
    """Give what all selectors mean, but for ``--exclude``; without any it is everything.

    Args:
        failed: what ``--lf`` means.

    Raises:
        UsageError: a value matches nothing, or no tool is meant by all selectors.
    """
    found = {candidate.address for candidate in among}
    parts = []
    if selectors.target:
        parts.append(_any_of("", selectors.target, among))
    if selectors.keywords:
        parts.append(_by_keywords(selectors.keywords, among))
    if selectors.tags:
        parts.append(_by_tags(selectors.tags, among))
    for part in parts:
        found &= part
    if parts and not found:
        message = "no tool is meant by all of --target, -k and --tags together"
        raise UsageError(message, code="no-match", suggestion="different selectors intersect: leave one out")
    return found & set(failed) if selectors.last_failed else found


def excluded(selectors: Selectors, among: Collection[Candidate]) -> set[Address]:
    """Give what ``--exclude`` means, without what comes along with it.

    Raises:
        UsageError: a value matches nothing.
    """
    return _any_of("--exclude", selectors.exclude, among)


def _any_of(option: str, patterns: Sequence[str], among: Collection[Candidate]) -> set[Address]:
    """Give what any of the patterns means."""
    by_name = {str(candidate.address): candidate.address for candidate in among}
    found: set[Address] = set()
    for pattern in patterns:
        if pattern in by_name:
            found.add(by_name[pattern])
            continue
        holds = _pattern(pattern)
        meant = {candidate.address for candidate in among if holds(candidate)}
        if not meant:
            raise _no_match(option, pattern, _near(pattern, among))
        found |= meant
    return found


def _pattern(pattern: str) -> Callable[[Candidate], bool]:
    """Read a pattern; ``*``, ``?`` and ``[...]`` are as in shells, and ``*`` stands for dots too."""
    kind, colon, rest = pattern.partition(":")
    is_kind = bool(colon) and kind in ("app", "tag")
    holds = re.compile(fnmatch.translate(rest if is_kind else pattern)).match
    if is_kind and kind == "app":
        return lambda candidate: candidate.app is not None and holds(candidate.app) is not None
    if is_kind:
        return lambda candidate: any(holds(tag) for tag in candidate.tags)
    return lambda candidate: holds(str(candidate.address)) is not None


def _by_keywords(texts: Sequence[str], among: Collection[Candidate]) -> set[Address]:
    expressions = [parse_keywords(text) for text in texts]
    found: set[Address] = set()
    for expression, text in zip(expressions, texts, strict=True):
        meant = {candidate.address for candidate in among if expression.matches(_called(candidate))}
        if not meant:
            near = (_near(word, among) for word in expression.words)
            raise _no_match("-k", text, next(filter(None, near), ""))
        found |= meant
    return found


def _called(candidate: Candidate) -> list[str]:
    app = [candidate.app] if candidate.app else []
    return [str(candidate.address), *app, *candidate.tags]


def _by_tags(values: Sequence[str], among: Collection[Candidate]) -> set[Address]:
    found: set[Address] = set()
    for tag in _split(values):
        meant = {candidate.address for candidate in among if tag in candidate.tags}
        if not meant:
            raise _no_match("--tags", tag, nearest(tag, _tags(among)))
        found |= meant
    return found


def _split(values: Sequence[str]) -> list[str]:
    return [tag.strip() for value in values for tag in value.split(",")]


def _tags(among: Collection[Candidate]) -> list[str]:
    return sorted({tag for candidate in among for tag in candidate.tags})


def _no_match(option: str, value: str, near: str) -> UsageError:
    message = f'{option}: no tool matches "{value}"' if option else f'no tool matches "{value}"'
    return UsageError(message, code="no-match", suggestion=near)


def _near(value: str, among: Collection[Candidate]) -> str:
    """Say what was probably meant: apps and tags for their patterns, else the nearest addresses."""
    kind, colon, _ = value.partition(":")
    if colon and kind == "app":
        apps = sorted({candidate.app for candidate in among if candidate.app})
        return nearest(value, [f"app:{app}" for app in apps])
    if colon and kind == "tag":
        return nearest(value, [f"tag:{tag}" for tag in _tags(among)])
    addresses = [str(candidate.address) for candidate in among]
    if any(candidate.address.name == value for candidate in among):
        return f'did you mean "{value}.*"?'
    return _nearest_addresses(value, addresses) or nearest(
        value, [address.partition(".")[2] for address in addresses]
    )


def _nearest_addresses(value: str, addresses: Sequence[str]) -> str:
    from difflib import get_close_matches

    near = [f'"{name}"' for name in get_close_matches(value, addresses, n=_NAMED, cutoff=0.6)]
    if not near:
        return ""
    others = f"{', '.join(near[:-1])} or " if len(near) > 1 else ""
    return f"did you mean {others}{near[-1]}?"
