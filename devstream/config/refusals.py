"""Why a template cannot be rendered, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from devstream.errors import Diagnostic

if TYPE_CHECKING:
    from devstream.config.tree import Source

__all__ = ["Place", "Refusal", "Missing"]


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

    ``unset`` names the environment variable, where it is one: that may be set later.
    """

    unset: str = ""
