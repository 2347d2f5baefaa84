"""What happens during a run, as it happens: for the live view, NDJSON and observer plugins (`devstream_event`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.record import Immutable

if TYPE_CHECKING:
    from devstream.errors import Diagnostic
    from devstream.model.address import Address
    from devstream.model.plan import Action, Plan, Result, RunReport

__all__ = [
    "Event",
    "PlanReady",
    "ReadStarted",
    "ReadEnded",
    "RunStarted",
    "OperationStarted",
    "OperationEnded",
    "OperationLog",
    "Notice",
    "RunEnded",
]


class Event(Immutable, frozen=True):
    """Base of all events. ``type`` in NDJSON is the class's name in snake_case."""


class ReadStarted(Event, frozen=True):
    """`read` is called for a tool."""

    address: Address


class ReadEnded(Event, frozen=True):
    """`read` came back, or failed with ``error``."""

    address: Address
    error: Diagnostic | None = None


class PlanReady(Event, frozen=True):
    """The plan is made."""

    plan: Plan


class RunStarted(Event, frozen=True):
    """The run begins; ``total`` changes are to be carried out or decided."""

    run_id: str
    total: int


class OperationStarted(Event, frozen=True):
    """A hook is called."""

    address: Address
    action: Action
    attempt: int = 1


class OperationLog(Event, frozen=True):
    """A line a plugin logged. ``level`` is debug, info or warning."""

    address: Address
    level: str
    message: str


class OperationEnded(Event, frozen=True):
    """A change came to its end, or was skipped."""

    result: Result


class Notice(Event, frozen=True):
    """Something the user should know now: who holds the lease, that an interrupt was seen."""

    diagnostic: Diagnostic


class RunEnded(Event, frozen=True):
    """The run is over."""

    report: RunReport
