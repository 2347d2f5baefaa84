"""`Seen`: what `read` says of a tool now, beside what is recorded of it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from devstream.record import Immutable

if TYPE_CHECKING:
    from devstream.errors import Diagnostic
    from devstream.model.address import Address
    from devstream.model.plan import FieldChange
    from devstream.model.state import ToolState
    from devstream.model.status import ResourceStatus

__all__ = ["Seen", "Verdict"]


class Verdict(StrEnum):
    """How a tool compares with its record."""

    SAME = "same"
    DRIFTED = "drifted"
    GONE = "gone"
    FAILED = "failed"
    NOT_ASKED = "not asked"


class Seen(Immutable, frozen=True):
    """One tool, looked at.

    Attributes:
        recorded: None where there is only an operation that began and never ended.
        asked: False for a tool that cannot be read.
        observed: what `read` said; None stands for "gone".
        fields: the properties that drifted.
        error: why it could not be read.
    """

    address: Address
    recorded: ToolState | None
    asked: bool = True
    observed: ResourceStatus | None = None
    fields: tuple[FieldChange, ...] = ()
    error: Diagnostic | None = None

    @property
    def verdict(self) -> Verdict:
        """How it compares with its record."""
        if self.error is not None:
            return Verdict.FAILED
        if not self.asked:
            return Verdict.NOT_ASKED
        if self.observed is None:
            return Verdict.GONE
        return Verdict.DRIFTED if self.fields else Verdict.SAME

    @property
    def differs(self) -> bool:
        """True where the world is not as recorded."""
        return self.recorded is not None and self.verdict in (Verdict.DRIFTED, Verdict.GONE)
