"""What is found wrong or doubtful in one source."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from devstream.errors import Diagnostic, Severity

if TYPE_CHECKING:
    from devstream.config.tree import Source

__all__ = ["Findings", "Stop", "clipped"]

LONGEST_SUMMARY = 1000
"""Characters; a name or text that a message quotes may be as long as the file."""


class Stop(Exception):
    """There is no sense in reading on; the reason is among the findings."""


class Findings:
    """Collects the diagnostics of one source; places are offsets.

    Attributes:
        errors: in the order they were found.
        warnings: the same.
    """

    def __init__(self, source: Source) -> None:
        self.errors: list[Diagnostic] = []
        self.warnings: list[Diagnostic] = []
        self._source = source

    def error(self, summary: str, code: str, offset: int, suggestion: str = "") -> None:
        """Note a mistake."""
        mark = self._source.mark(offset)
        self.errors.append(Diagnostic(clipped(summary), code, mark=mark, suggestion=suggestion))

    def warning(self, summary: str, code: str, offset: int, suggestion: str) -> None:
        """Note what is probably not meant."""
        mark = self._source.mark(offset)
        self.warnings.append(
            Diagnostic(clipped(summary), code, Severity.WARNING, mark=mark, suggestion=suggestion)
        )

    def stop(self, summary: str, code: str, offset: int, suggestion: str = "") -> NoReturn:
        """Note a mistake that nothing sensible can follow.

        Raises:
            Stop: always.
        """
        self.error(summary, code, offset, suggestion)
        raise Stop


def clipped(summary: str) -> str:
    """Give a summary of bearable length: the begin and the end of a longer one."""
    half = LONGEST_SUMMARY // 2
    return summary if len(summary) <= LONGEST_SUMMARY else f"{summary[:half]} ... {summary[-half:]}"
