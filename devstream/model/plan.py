"""The plan: plain data, made by `devstream.planning`, shown by `devstream.report`, carried out by the runner."""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any

from devstream.record import Immutable, field

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.errors import Diagnostic
    from devstream.model.address import Address
    from devstream.model.origin import Origin
    from devstream.model.state import PutReason, ToolState
    from devstream.model.status import ResourceStatus
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path

__all__ = [
    "Action",
    "Outcome",
    "ReasonCode",
    "Reason",
    "FieldSource",
    "FieldChange",
    "ABSENT",
    "Change",
    "Selection",
    "Plan",
    "Result",
    "RunReport",
]


class Action(StrEnum):
    """What is to happen to one tool instance."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    FORGET = "forget"
    INTEGRATE = "integrate"
    NOOP = "noop"
    CONDITIONAL = "conditional"
    ERROR = "error"


class Outcome(StrEnum):
    """What came of an operation."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class ReasonCode(StrEnum):
    """Why an action was chosen; the rows of the planning table."""

    NEW = "new"
    ADOPTED = "adopted"
    EXISTS = "exists"
    TAINTED = "tainted"
    GONE = "gone"
    OPTIONS = "options"
    DRIFT = "drift"
    UPSTREAM = "upstream"
    BOOKKEEPING = "bookkeeping"
    REMOVED = "removed"
    PROTECTED = "protected"
    READ_FAILED = "read_failed"
    UNDECIDABLE = "undecidable"
    MOVED = "moved"
    REQUESTED = "requested"


class Reason(Immutable, frozen=True):
    """Why, for people and for programs: ``text`` is one short clause, ``paths`` the fields it is about."""

    code: ReasonCode
    text: str
    paths: tuple[Path, ...] = ()
    upstream: tuple[Address, ...] = ()


class FieldSource(StrEnum):
    """Whether a field differs because the config changed or because the world did."""

    OPTIONS = "options"
    DRIFT = "drift"


class FieldChange(Immutable, frozen=True):
    """One field that differs.

    Attributes:
        before, after: JSON, or a `Secret` (shown as changed, never as text), or an `Unknown`; `ABSENT`
            where the field is not there at all.
        origin: where the new value was written (or where it was removed from: None).
        may_change: the value comes from a tool that is to be updated, so it may still differ.
    """

    path: Path
    before: Any
    after: Any
    source: FieldSource = FieldSource.OPTIONS
    origin: Origin | None = None
    immutable: bool = False
    may_change: bool = False


class Absent(Enum):
    """The value of a field that is not there; an enum, so that it survives pickling as the same object."""

    ABSENT = "absent"


ABSENT = Absent.ABSENT
"""A field that is not there."""


class Change(Immutable, frozen=True):
    """What is to happen to one address, why, and everything needed to do it.

    Attributes:
        tool: what the config wants; None where the config no longer has it.
        recorded: what the state says; None where nothing is recorded.
        observed: what `read` said; None where it said "gone" or was not asked (see ``was_read``).
        fields: what differs.
        conditional_on: with CONDITIONAL, the upstreams it waits for.
        look_again: `read` could not be called while planning; it is asked again at its turn.
        put: an entry to be written although no operation runs (bookkeeping, adoption), or along with one.
        error: with ERROR, what is wrong.
        protected: True where a delete was left out because it is protected.
        op_id, attempt: set where an interrupted create is to be tried again under its old name.
    """

    address: Address
    action: Action
    reasons: tuple[Reason, ...] = ()
    tool: ToolInstance | None = None
    recorded: ToolState | None = None
    observed: ResourceStatus | None = None
    was_read: bool = False
    fields: tuple[FieldChange, ...] = ()
    conditional_on: tuple[Address, ...] = ()
    look_again: bool = False
    put: PutReason | None = None
    error: Diagnostic | None = None
    protected: bool = False
    op_id: str = ""
    attempt: int = 1

    @property
    def app(self) -> str | None:
        """The app it belongs to, as the config or else the state says."""
        owner = self.tool or self.recorded
        return owner.app if owner else None


class Selection(Immutable, frozen=True):
    """Which tools a plan is about, where not all are meant.

    Attributes:
        chosen: what was selected.
        upstream: added, because some of the others depend on it.
        standing: added, because it stands on something that is to be deleted.
        total: how many tools there were to choose from.
    """

    chosen: tuple[Address, ...]
    upstream: tuple[Address, ...] = ()
    standing: tuple[Address, ...] = ()
    total: int = 0


class Plan(Immutable, frozen=True):
    """All changes in an order in which they can be carried out, NOOP too.

    Attributes:
        changes: in execution order.
        after: for each address the addresses whose changes must be over before its own starts.
        lineage, serial: of the state it was made from.
        warnings: what the user should know and that stops nothing.
        selection: what the plan is about; None where it is about everything.
    """

    changes: tuple[Change, ...]
    after: Mapping[Address, frozenset[Address]] = field(default_factory=dict)
    lineage: str = ""
    serial: int = 0
    warnings: tuple[Diagnostic, ...] = ()
    selection: Selection | None = None

    @property
    def has_changes(self) -> bool:
        """True where something is to be done for sure: not NOOP, CONDITIONAL or ERROR."""
        quiet = (Action.NOOP, Action.CONDITIONAL, Action.ERROR)
        return any(change.action not in quiet for change in self.changes)

    @property
    def writes(self) -> bool:
        """True where a run of it would do or record anything."""
        return any(change.action not in (Action.NOOP, Action.ERROR) or change.put for change in self.changes)

    def count(self) -> dict[Action, int]:
        """Count the changes by action; actions that do not occur are left out."""
        counts: dict[Action, int] = {}
        for change in self.changes:
            counts[change.action] = counts.get(change.action, 0) + 1
        return counts


class Result(Immutable, frozen=True):
    """What came of one change.

    Attributes:
        action: the action that was carried out (for CONDITIONAL: what it turned out to be).
        cause: for SKIPPED, the address whose failure is the cause.
        seconds: how long its hooks took.
        info: what the plugin reports beside the managed fields, a CI result for example.
    """

    address: Address
    action: Action
    outcome: Outcome
    error: Diagnostic | None = None
    cause: Address | None = None
    seconds: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)


class RunReport(Immutable, frozen=True):
    """What came of a run: one result for each change but NOOP, in the order they ended.

    Attributes:
        protected: addresses that were left in place because they are protected, or needed by such.
        signal: the number of the signal that stopped it; 0 where none did.
    """

    run_id: str
    results: tuple[Result, ...]
    seconds: float
    protected: tuple[Address, ...] = ()
    signal: int = 0
