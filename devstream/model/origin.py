"""Where a value comes from, so that every line of a plan can name its cause."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from devstream.record import Immutable

if TYPE_CHECKING:
    from devstream.errors import Mark
    from devstream.model.values import Path

__all__ = ["Origin", "Origins", "NoOrigins"]


class Origin(Immutable, frozen=True):
    """The place a value was written at, and how it got from there to where it is used.

    Attributes:
        mark: the place in a file; None for values that no file holds (``--var``, an environment
            variable, a default of the engine).
        trail: the steps in between, nearest to the use first, in words: ``("app svc", "pipelineTemplate ci")``.
        key: the place of the key that the value was written under, where it has one.
    """

    mark: Mark | None
    trail: tuple[str, ...] = ()
    key: Mark | None = None

    def __str__(self) -> str:
        steps = ([str(self.mark)] if self.mark else []) + list(self.trail)
        return ", ".join(steps)


class Origins(Protocol):
    """Finds the origin of a field of one tool's options; lazy, since few are ever asked for."""

    def at(self, path: Path) -> Origin | None:
        """Give the origin of the value at ``path`` (or of its nearest container); None if unknown."""


class NoOrigins(Immutable, frozen=True):
    """For tools that no file describes: those known from the state only, and in tests."""

    def at(self, path: Path) -> Origin | None:  # noqa: ARG002 - the protocol's signature
        """Know of no origin."""
        return None
