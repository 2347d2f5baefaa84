"""Where our time goes: one run under cProfile, summed up by package."""

from __future__ import annotations

import pstats
import sys
import sysconfig
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.measure import Command, measure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Profile", "profile", "summary"]

_CODE = """\
import cProfile, os, sys
from devstream.__main__ import main
sys.argv[0] = "devstream"
profile, leave = cProfile.Profile(), os._exit
def save_and_leave(code):
    profile.dump_stats({path!r})
    leave(code)
os._exit = save_and_leave
save_and_leave(profile.runcall(main))
"""

_ALL = 0.9
"""The share of the time above which a function only leads to where the time goes."""

_Function = tuple[str, int, str]
_STANDARD = Path(sysconfig.get_path("stdlib"))


class Profile(NamedTuple):
    """Seconds of the main thread.

    Attributes:
        packages: own time by package; a built-in function counts for the package that calls it.
        functions: own time by function.
        inclusive: time of our functions with all that they call.
    """

    total: float
    packages: Counter[str]
    functions: Counter[str]
    inclusive: Counter[str]


def profile(command: Command, environ: Mapping[str, str]) -> Profile:
    """Run our side of a row once under cProfile. It sees the main thread only, and slows it down twofold."""
    path = command.folder / ".profile"
    arguments = (
        command.argv[command.argv.index("devstream") + 1 :] if "-m" in command.argv else command.argv[1:]
    )
    argv = (sys.executable, "-c", _CODE.format(path=str(path)), *arguments)
    measure(Command(argv, command.folder, command.leftovers), dict(environ))
    return _sum_up(pstats.Stats(str(path)))


def _sum_up(stats: pstats.Stats) -> Profile:
    packages: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    inclusive: Counter[str] = Counter()
    entries = stats.stats  # type: ignore[attr-defined]
    for function, (_, _, own, with_calls, callers) in entries.items():
        functions[_name(function)] += own
        if _package(function).startswith("devstream.") and with_calls < _ALL * stats.total_tt:  # type: ignore[attr-defined]
            inclusive[_name(function)] = with_calls
        if function[0] != "~" or not callers:
            packages[_package(function)] += own
            continue
        for caller, (_, _, share, _) in callers.items():
            packages[_package(caller)] += share
    return Profile(sum(packages.values()), packages, functions, inclusive)


def _package(function: _Function) -> str:
    """Give the package that a function is part of: ``devstream.config``, ``yaml``, ``standard library``."""
    parts = Path(function[0]).parts
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1].removesuffix(".py")
    if "devstream" in parts:
        inner = parts[len(parts) - parts[::-1].index("devstream") :]
        return ".".join(["devstream", *inner[:-1]])
    if function[0].startswith("<frozen importlib"):
        return "imports"
    return "standard library" if Path(function[0]).is_relative_to(_STANDARD) else "other"


def _name(function: _Function) -> str:
    file, line, name = function
    return name if file == "~" else f"{Path(file).parent.name}/{Path(file).name}:{line} {name}"


def summary(found: Profile, *, functions: int = 8) -> str:
    """Say where the time goes, in Markdown: packages first, then the functions with the most time of their own."""
    packages = ", ".join(
        f"{name} {seconds / found.total:.0%}"
        for name, seconds in found.packages.most_common()
        if seconds >= found.total / 100
    )
    head = f"Own time of the main thread, {found.total:.2f} s under cProfile: {packages}."
    own, inclusive = _lines(found.functions, functions), _lines(found.inclusive, functions)
    return f"{head}\n\nBy function, own time:\n\n{own}\nOurs, with what they call:\n\n{inclusive}"


def _lines(times: Counter[str], count: int) -> str:
    return "".join(f"- {seconds:.3f} s `{name}`\n" for name, seconds in times.most_common(count))
