"""Which plugins are installed, read from the ``*.dist-info`` folders without importing anything.

Reading the few ``entry_points.txt`` that mention devstream takes about a millisecond; `importlib.metadata`
takes twenty to forty. It is asked all the same when a name is not found, since it knows more kinds of places
(zip files, import hooks).
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["TOOLS", "EXTENSIONS", "EntryPoint", "scan", "scan_thoroughly", "summary_of"]

TOOLS = "devstream.tools"
"""The group of tools: ``NAME = "package.module"`` or ``"package.module:OBJECT"``."""

EXTENSIONS = "devstream.extensions"
"""The group of everything else: ``backend.NAME``, ``secrets.NAME``, ``observer.NAME``."""

_GROUPS = (TOOLS, EXTENSIONS)
_SIGN = b"[devstream."


class EntryPoint(NamedTuple):
    """One name an installed distribution provides.

    Attributes:
        value: ``package.module`` or ``package.module:OBJECT``.
        place: the folder it was found in, for messages and `summary_of`; empty where it is in none.
    """

    group: str
    name: str
    value: str
    distribution: str
    version: str
    place: str = ""

    @property
    def module(self) -> str:
        """Name the module it lives in."""
        return self.value.partition(":")[0]


def scan(search_path: Sequence[str] | None = None) -> tuple[EntryPoint, ...]:
    """Find the devstream entry points of all distributions on ``search_path`` (by default `sys.path`).

    Of one distribution in two places the first counts, as it does for `import`.
    """
    found: list[EntryPoint] = []
    seen: set[str] = set()
    for folder in dict.fromkeys(sys.path if search_path is None else search_path):
        for name, place in _metadata_folders(folder or "."):
            distribution, _, version = name.rpartition(".")[0].partition("-")
            if distribution.casefold() in seen:
                continue
            seen.add(distribution.casefold())
            version = version.partition("-py")[0]
            found.extend(_read(place, distribution.replace("_", "-"), version))
    return tuple(found)


def _metadata_folders(folder: str) -> list[tuple[str, str]]:
    """List name and path of the metadata folders in one entry of the path; a bad entry has none."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                (entry.name, entry.path)
                for entry in entries
                if entry.name.endswith((".dist-info", ".egg-info"))
            )
    except OSError:
        return []


def _read(place: str, distribution: str, version: str) -> Iterator[EntryPoint]:
    try:
        with open(f"{place}/entry_points.txt", "rb") as file:  # noqa: PTH123 - pathlib costs more than the reading
            data = file.read()
    except OSError:
        return
    if _SIGN not in data:
        return
    for group, name, value in _parse(data.decode("utf-8", "replace")):
        yield EntryPoint(group, name, value, distribution, version, place)


def _parse(text: str) -> Iterator[tuple[str, str, str]]:
    """Read ``entry_points.txt``: an INI file, as the packaging specification has it."""
    group = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1].strip()
        elif group in _GROUPS and "=" in line and not line.startswith(("#", ";")):
            name, _, value = line.partition("=")
            yield group, name.strip(), _without_extras(value)


def _without_extras(value: str) -> str:
    return value.partition("[")[0].replace(" ", "")


def scan_thoroughly(search_path: Sequence[str] | None = None) -> tuple[EntryPoint, ...]:
    """Find the same with `importlib.metadata`: slow, and it knows places that are no folders."""
    from importlib import metadata

    distributions: Iterable[metadata.Distribution] = (
        metadata.distributions() if search_path is None else metadata.distributions(path=list(search_path))
    )
    found: dict[str, list[EntryPoint]] = {}
    for distribution in distributions:
        name = (distribution.metadata["Name"] or "").replace("_", "-")
        if name.casefold() not in found:
            found[name.casefold()] = [
                EntryPoint(point.group, point.name, _without_extras(point.value), name, distribution.version)
                for point in distribution.entry_points
                if point.group in _GROUPS
            ]
    return tuple(point for points in found.values() for point in points)


def summary_of(point: EntryPoint) -> str:
    """Give the one-line summary of the distribution that provides it; empty where there is none."""
    for name in ("METADATA", "PKG-INFO"):
        try:
            with open(f"{point.place}/{name}", encoding="utf-8", errors="replace") as file:  # noqa: PTH123
                return next((line[8:].strip() for line in file if line.startswith("Summary:")), "")
        except OSError:
            continue
    return ""
