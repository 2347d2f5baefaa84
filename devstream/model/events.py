"""What happens during a run, as it happens: for the live view, NDJSON and observer plugins (`devstream_event`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events. ``type`` in NDJSON is the class's name in snake_case."""


@dataclass(frozen=True, slots=True)
class ReadStarted(Event):
    """`read` is called for a tool."""

    address: Address


@dataclass(frozen=True, slots=True)
class ReadEnded(Event):
    """`read` came back, or failed with ``error``."""

    address: Address
    error: Diagnostic | None = None


@dataclass(frozen=True, slots=True)
class PlanReady(Event):
    """The plan is made."""

    plan: Plan


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """The run begins; ``total`` changes are to be carried out or decided."""

    run_id: str
    total: int


@dataclass(frozen=True, slots=True)
class OperationStarted(Event):
    """A hook is called."""

    address: Address
    action: Action
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class OperationLog(Event):
    """A line a plugin logged. ``level`` is debug, info or warning."""

    address: Address
    level: str
    message: str


@dataclass(frozen=True, slots=True)
class OperationEnded(Event):
    """A change came to its end, or was skipped."""

    result: Result


@dataclass(frozen=True, slots=True)
class Notice(Event):
    """Something the user should know now: who holds the lease, that an interrupt was seen."""

    diagnostic: Diagnostic


@dataclass(frozen=True, slots=True)
class RunEnded(Event):
    """The run is over."""

    report: RunReport
