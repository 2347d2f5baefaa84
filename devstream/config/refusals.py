"""Why a template cannot be rendered, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from devstream.errors import Diagnostic
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Collection

    from devstream.config.tree import Source
    from devstream.errors import Proposals

__all__ = ["Place", "Refusal", "Missing", "no_key"]


class Place(NamedTuple):
    """A character of a source."""

    source: Source
    offset: int

    def __str__(self) -> str:
        return str(self.source.mark(self.offset))


class Refusal(Exception):
    """A template cannot be rendered; ``diagnostic`` is None where that has been reported already."""

    def __init__(self, diagnostic: Diagnostic | None) -> None:
        super().__init__(str(diagnostic))
        self.diagnostic = diagnostic

    @classmethod
    def at(cls, place: Place, summary: str, code: str, suggestion: str = "", detail: str = "") -> Self:
        """Make one with a place."""
        mark = place.source.mark(place.offset)
        return cls(Diagnostic(summary, code, mark=mark, suggestion=suggestion, detail=detail))


class Missing(Refusal):
    """A name, key or environment variable is not there; the filter ``default`` mends that.

    Attributes:
        unset: the environment variable, where it is one: that may be set later.
        wanted, among: the name and the valid ones; the nearest is looked for only where nothing mends the lack.
        aside: what is to be said beside the nearest name.
    """

    unset: str = ""
    wanted: str = ""
    among: Collection[str] = ()
    aside: str = ""

    def told(self, proposals: Proposals) -> Diagnostic | None:
        """Give the diagnostic, with the nearest valid name for the suggestion where there is one."""
        near = proposals.nearest(self.wanted, self.among) if self.wanted else ""
        if not near or self.diagnostic is None:
            return self.diagnostic
        return replace(self.diagnostic, suggestion=near, detail=self.aside)


def no_key(place: Place, summary: str, key: str, among: Collection[str]) -> Missing:
    """Make the refusal of a key that is not there."""
    missing = Missing.at(place, summary, "unknown-variable")
    missing.wanted, missing.among = key, among
    return missing
