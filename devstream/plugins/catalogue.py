"""`Catalogue`: which names there are on which level, where each comes from, and which one wins."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from devstream import __version__
from devstream.errors import Mark, PluginError, nearest
from devstream.plugins.discovery import EXTENSIONS, TOOLS, EntryPoint, scan, scan_thoroughly
from devstream.plugins.names import BUILTIN_TOOLS, likely_distribution

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Level", "Candidate", "Catalogue", "candidate_of"]


class Level(IntEnum):
    """Where a plugin comes from; the lowest number wins."""

    ARGUMENT = 0
    LOCAL = 1
    INSTALLED = 2
    BUILTIN = 3


class Candidate(NamedTuple):
    """One provider of one name.

    Attributes:
        value: what to import; empty where ``found`` is the class, or an object of it.
        distribution: what it comes with: a distribution, ``devstream``, or a file's or module's name.
        place: for messages: the entry point, or the class in its file.
    """

    name: str
    level: Level
    distribution: str
    version: str
    place: str
    value: str = ""
    found: object = None

    @property
    def what(self) -> str:
        """Name it in messages."""
        return f'plugin "{self.name}" ({self.place})'

    @property
    def labels(self) -> frozenset[str]:
        """The names by which it can be blocked."""
        return frozenset((self.name, self.distribution, self.value, self.value.partition(":")[0]))

    def is_same(self, other: Candidate) -> bool:
        """Tell whether both stand for one object."""
        return self.found is other.found and self.value == other.value


def candidate_of(point: EntryPoint) -> Candidate:
    """Make a candidate of what an installed distribution provides."""
    place = f"{point.distribution} {point.version}, {point.value}"
    return Candidate(point.name, Level.INSTALLED, point.distribution, point.version, place, point.value)


class Catalogue:
    """Finds the provider of a name by level: ``-p``, the local file, installed distributions, built-in.

    Args:
        blocked: names that ``-p no:NAME`` and the environment block: of tools, extensions, distributions, modules.
        search_path: where to look for distributions; None means `sys.path`.
    """

    def __init__(self, blocked: frozenset[str], search_path: Sequence[str] | None) -> None:
        self._blocked = blocked
        self._search_path = search_path
        self._declared: list[Candidate] = []
        self._points: tuple[EntryPoint, ...] | None = None
        self._thorough = False

    def declare(self, candidate: Candidate) -> None:
        """Add a class found in a ``-p`` module or in the local file."""
        self._declared.append(candidate)

    def is_blocked(self, *labels: str) -> bool:
        """Tell whether something known by these names is blocked."""
        return not self._blocked.isdisjoint(labels)

    def tool(self, name: str, mark: Mark | None = None) -> Candidate:
        """Find the provider of a tool.

        Raises:
            PluginError: there is none, or two on one level.
        """
        found = self._tool_candidates(name)
        if not found:
            self._look_harder()
            found = self._tool_candidates(name)
        if not found:
            raise self._unknown(name, mark)
        return self._best(found)

    def extension(self, name: str, *, thorough: bool = False) -> Candidate | None:
        """Find an installed extension by its entry point's name, ``backend.s3`` for example.

        Args:
            thorough: look in places too that are slow to look into.

        Raises:
            PluginError: two distributions provide it.
        """
        if thorough:
            self._look_harder()
        found = self._extension_candidates(name)
        return self._best(found) if found else None

    def extensions(self) -> list[Candidate]:
        """List all installed extensions, by name."""
        return self._allowed(candidate_of(point) for point in self._of_group(EXTENSIONS))

    def tools(self) -> list[Candidate]:
        """List the candidates of all tools that are known without importing, the ones that win first."""
        installed = (candidate_of(point) for point in self._of_group(TOOLS))
        builtin = (_builtin(name) for name in BUILTIN_TOOLS)
        return sorted(self._allowed([*self._declared, *installed, *builtin]), key=lambda item: item.level)

    def entry_points(self) -> tuple[EntryPoint, ...]:
        """Give what is installed; reads the disk once."""
        if self._points is None:
            self._points = scan(self._search_path)
        return self._points

    def _of_group(self, group: str) -> list[EntryPoint]:
        return [point for point in self.entry_points() if point.group == group]

    def _tool_candidates(self, name: str) -> list[Candidate]:
        declared = [candidate for candidate in self._declared if candidate.name == name]
        installed = [candidate_of(point) for point in self._of_group(TOOLS) if point.name == name]
        builtin = [_builtin(name)] if name in BUILTIN_TOOLS else []
        return self._allowed([*declared, *installed, *builtin])

    def _extension_candidates(self, name: str) -> list[Candidate]:
        points = self._of_group(EXTENSIONS)
        return self._allowed(
            candidate_of(point) for point in points if point.name.casefold() == name.casefold()
        )

    def _allowed(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        return [candidate for candidate in candidates if not self.is_blocked(*candidate.labels)]

    def _best(self, candidates: Sequence[Candidate]) -> Candidate:
        """Choose by level; two different ones on the same level are for the user to decide between."""
        first = min(candidates, key=lambda candidate: candidate.level)
        for other in candidates:
            if other.level == first.level and not other.is_same(first):
                raise _twice(first, other)
        return first

    def _look_harder(self) -> None:
        """Ask `importlib.metadata` once, for what the quick scan does not see."""
        if self._thorough:
            return
        self._thorough = True
        known = {(point.group, point.name, point.value) for point in self.entry_points()}
        more = scan_thoroughly(self._search_path)
        self._points = (
            *self.entry_points(),
            *(point for point in more if (point.group, point.name, point.value) not in known),
        )

    def _unknown(self, name: str, mark: Mark | None) -> PluginError:
        summary = f'there is no tool "{name}"'
        if self.is_blocked(name):
            hint = f"-p no:{name} or DEVSTREAM_DISABLE_PLUGINS blocks it"
        else:
            near = nearest(name, [candidate.name for candidate in self.tools()])
            install = f"pip install {likely_distribution(name)}"
            hint = f"{near} If not: {install}" if near else install
        return PluginError(summary, code="plugin-missing", mark=mark, suggestion=hint)


def _twice(first: Candidate, other: Candidate) -> PluginError:
    hint = f"block one of them, with `-p no:{other.distribution}` for example"
    if first.distribution == other.distribution:  # to block it would block both
        hint = "give one of them another name"
    message = f'two plugins provide "{first.name}": {first.place}; and {other.place}'
    return PluginError(message, code="plugin-twice", suggestion=hint)


def _builtin(name: str) -> Candidate:
    value = BUILTIN_TOOLS[name].value
    return Candidate(name, Level.BUILTIN, "devstream", __version__, f"built-in, {value}", value)
