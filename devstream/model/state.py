"""The recorded truth: `State`, `ToolState` and the records that make one state of another.

All of it is immutable; `devstream.state.fold` turns a snapshot and records into a `State`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from devstream.record import Immutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.model.address import Address
    from devstream.model.plan import Action, Outcome

__all__ = [
    "ToolState",
    "OpenOperation",
    "PutReason",
    "Begin",
    "End",
    "Put",
    "Drop",
    "Move",
    "RunRecord",
    "Record",
    "LeaseHolder",
    "State",
]


class ToolState(Immutable, frozen=True):
    """What is recorded of one tool instance.

    Attributes:
        options: encoded (`devstream.model.recorded`): a reference is ``{"$ref": path, "value": ...}``, a
            secret ``{"$secret": parts, "fingerprint": ...}``.
        depends_on: direct dependencies as written in the state: addresses, or ``@tools``.
        tainted: the last operation failed or was interrupted after it began.
        failed_action: the action whose hook returned an error and left it tainted without a status
            (only for tools without `read`); None otherwise.
        integrated: `integrate` ran and succeeded since the last create or update.
        integrated_with: digest of the upstream outputs that `integrate` saw.
        adopted: it existed before us, so removal means FORGET.
        plugin, plugin_version: the distribution that made it.
        schema_version: `ToolSchema.version` of the recorded options.
        created, updated: UTC, ISO 8601 with Z.
        op_id: the operation that wrote this.
        extra: fields of a later version, kept as they are.
    """

    address: Address
    options: Mapping[str, Any] = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
    app: str | None = None
    tags: tuple[str, ...] = ()
    retries: int = 0
    timeout: float | None = None
    connection: str | None = None
    properties: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    info: Mapping[str, Any] = field(default_factory=dict)
    tainted: bool = False
    failed_action: Action | None = None
    integrated: bool = True
    integrated_with: str = ""
    adopted: bool = False
    protect: bool = False
    allow_delete: bool = False
    plugin: str = ""
    plugin_version: str = ""
    schema_version: int = 1
    created: str = ""
    updated: str = ""
    op_id: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


class PutReason(StrEnum):
    """Why an entry was written without an operation."""

    ADOPTED = "adopted"
    BOOKKEEPING = "bookkeeping"
    REFRESHED = "refreshed"
    SETTLED = "settled"
    IMPORTED = "imported"
    PROTECT = "protect"
    EDITED = "edited"


class Begin(Immutable, frozen=True):
    """An operation is about to touch the world; durable before it does.

    Attributes:
        op_id: names the operation, also over several attempts.
        attempt: from 1; the same op_id with attempt + 1 after "absent" was found.
        action: CREATE, UPDATE, DELETE or INTEGRATE.
        tool: what is operated on, as it would be recorded (references and secrets unresolved).
        repeatable: the tool's trait at that moment, so that settling needs no plugin to know it.
    """

    op_id: str
    attempt: int
    address: Address
    action: Action
    tool: ToolState
    run_id: str
    host: str
    boot_id: str
    repeatable: bool = False


class End(Immutable, frozen=True):
    """An operation came to an end; ``tool_state`` is what is recorded from now on, None for nothing."""

    op_id: str
    outcome: Outcome
    tool_state: ToolState | None


class Put(Immutable, frozen=True):
    """An entry is written without an operation."""

    address: Address
    tool_state: ToolState
    why: PutReason


class Drop(Immutable, frozen=True):
    """An entry is forgotten; the thing itself stays as it is."""

    address: Address
    why: str


class Move(Immutable, frozen=True):
    """An entry gets another address."""

    source: Address
    target: Address


class RunRecord(Immutable, frozen=True):
    """A run came to its end. ``not_succeeded`` feeds ``--lf``. Times are UTC, ISO 8601 with Z."""

    run_id: str
    command: str
    started: str
    ended: str
    not_succeeded: Mapping[Address, Outcome] = field(default_factory=dict)


Record = Begin | End | Put | Drop | Move | RunRecord


class OpenOperation(Immutable, frozen=True):
    """A `Begin` without its `End`: the outcome is unknown until it is settled.

    Attributes:
        in_progress_by: who is running it right now, where its run holds a live lease; None otherwise.
    """

    begin: Begin
    in_progress_by: str | None = None


class LeaseHolder(Immutable, frozen=True):
    """Who holds the lease, for messages and (on shared backends) for telling whether it is over.

    Attributes:
        run_id: the run.
        who: ``user@host``.
        since: UTC, ISO 8601 with Z.
        pid_start: start time of the process in clock ticks since boot (field 22 of /proc/PID/stat).
    """

    run_id: str
    who: str
    since: str
    host: str
    boot_id: str
    pid_namespace: str
    pid: int
    pid_start: int
    command: str = ""

    def __str__(self) -> str:
        return f"{self.who} (pid {self.pid}, `{self.command}`, since {self.since})"


class State(Immutable, frozen=True):
    """Everything recorded, at one serial.

    Attributes:
        lineage: uuid of this state since its first head; empty for a state that does not exist yet.
        serial: grows by one with each swap.
        hmac_key: keys the fingerprints of secrets, random per lineage.
        tools: entries by address, in the order they were first recorded.
        open_operations: by address; unfinished operations, to be settled before anything is planned there.
        last_run: the newest run that recorded something.
        lease: who holds the lease, as the head says.
    """

    lineage: str = ""
    serial: int = 0
    hmac_key: bytes = b""
    tools: Mapping[Address, ToolState] = field(default_factory=dict)
    open_operations: Mapping[Address, OpenOperation] = field(default_factory=dict)
    last_run: RunRecord | None = None
    lease: LeaseHolder | None = None

    @property
    def is_empty(self) -> bool:
        """True where nothing is recorded, and nothing is unfinished."""
        return not self.tools and not self.open_operations

    def with_tools(self, tools: Mapping[Address, ToolState]) -> State:
        """Give the same state with other entries."""
        return replace(self, tools=tools)
