"""What ``devstream list plugins`` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream import __version__
from devstream.plugins.catalogue import Candidate, Catalogue, Level
from devstream.plugins.discovery import summary_of
from devstream.plugins.names import BUILTIN_BACKENDS, BUILTIN_SECRET_SOURCES, BUILTIN_TOOLS
from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from devstream.plugins.names import Builtin

__all__ = ["PluginListing", "list_plugins"]


class PluginListing(Immutable, frozen=True):
    """One plugin that could be used.

    Attributes:
        name: of the tool, or of the backend, secret source or observer.
        kind: ``tool``, ``backend``, ``secrets``, ``observer`` or another prefix of an extension.
        aliases: its other names.
        source: ``built-in``, ``local``, ``-p`` or ``installed``.
        distribution: what it comes with.
        version: of the distribution; empty where there is none.
        doc: one line; for an installed one, its distribution's summary.
    """

    name: str
    kind: str
    aliases: tuple[str, ...]
    source: str
    distribution: str
    version: str
    doc: str


_SOURCES = ("-p", "local", "installed", "built-in")


def list_plugins(catalogue: Catalogue) -> tuple[PluginListing, ...]:
    """List what can be used, tools first: of several plugins of one name the one that wins."""
    summaries = {
        (point.distribution, point.name): point.place and summary_of(point)
        for point in catalogue.entry_points()
    }
    tools = [_listing("tool", group, summaries) for group in _grouped(catalogue.tools())]
    extensions = [_extension(candidate, summaries) for candidate in catalogue.extensions()]
    builtin = [*_builtins("backend", BUILTIN_BACKENDS), *_builtins("secrets", BUILTIN_SECRET_SOURCES)]
    taken = {(item.kind, item.name) for item in extensions}
    extensions += [item for item in builtin if (item.kind, item.name) not in taken]
    return (
        *sorted(tools, key=lambda item: item.name),
        *sorted(extensions, key=lambda item: (item.kind, item.name)),
    )


def _grouped(candidates: Iterable[Candidate]) -> list[list[Candidate]]:
    """Put the names of one plugin together; a name that a higher level has is not listed again."""
    groups: list[list[Candidate]] = []
    names: set[str] = set()
    for candidate in candidates:
        if candidate.name in names:
            continue
        names.add(candidate.name)
        same = next((group for group in groups if _aliases(group[0], candidate)), None)
        if same is None:
            groups.append([candidate])
        else:
            same.append(candidate)
    return groups


def _aliases(one: Candidate, other: Candidate) -> bool:
    return one.level is other.level and one.distribution == other.distribution and one.is_same(other)


def _listing(kind: str, group: list[Candidate], summaries: Mapping[tuple[str, str], str]) -> PluginListing:
    first, *others = group
    return PluginListing(
        first.name,
        kind,
        tuple(candidate.name for candidate in others),
        _SOURCES[first.level],
        first.distribution,
        first.version,
        _doc(first, summaries),
    )


def _doc(candidate: Candidate, summaries: Mapping[tuple[str, str], str]) -> str:
    if candidate.level is Level.BUILTIN:
        return BUILTIN_TOOLS[candidate.name].doc
    if candidate.found is not None:
        return (candidate.found.__doc__ or "").strip().partition("\n")[0]
    return summaries.get((candidate.distribution, candidate.name), "")


def _extension(candidate: Candidate, summaries: Mapping[tuple[str, str], str]) -> PluginListing:
    kind, _, name = candidate.name.partition(".")
    doc = summaries.get((candidate.distribution, candidate.name), "")
    return PluginListing(name, kind, (), "installed", candidate.distribution, candidate.version, doc)


def _builtins(kind: str, plugins: Mapping[str, Builtin]) -> list[PluginListing]:
    return [
        PluginListing(name, kind, (), "built-in", "devstream", __version__, builtin.doc)
        for name, builtin in plugins.items()
    ]
