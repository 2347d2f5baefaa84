"""The planning table: facts about one address in, one action with its reason out. Pure.

Each function is one region of the table and each ``return`` one of its rows, in the table's order. The
case folders in ``tests/cases/plan`` hold one example of every row.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from devstream.errors import Diagnostic
from devstream.model.plan import Action, Change, FieldSource, Reason, ReasonCode
from devstream.model.state import PutReason
from devstream.model.values import format_path
from devstream.record import Immutable, replace

if TYPE_CHECKING:
    from devstream.model.address import Address
    from devstream.model.plan import FieldChange
    from devstream.model.schema import Traits
    from devstream.model.state import ToolState
    from devstream.model.status import ResourceStatus
    from devstream.model.tool import ToolInstance

__all__ = ["LEFT_CONFIG", "Facts", "Read", "decide", "decide_removed", "made_anew"]

_NAMED = 3
"""How many upstreams a reason names."""

LEFT_CONFIG = Reason(ReasonCode.REMOVED, "no longer in the config")


class Read(Enum):
    """What came of asking `read`."""

    NOT_CALLABLE = "an option is not known yet"
    NOT_ASKED = "there is no `read`, or it is not wanted"
    GONE = "gone"
    PRESENT = "present"
    FAILED = "failed"


class Facts(Immutable, frozen=True, kw_only=True):
    """Everything the table asks about one tool of the config.

    Attributes:
        fields: options that differ (without the record-only ones) and properties that drifted.
        bookkeeping: only what is recorded differs: dependsOn, tags, record-only options and the like.
        refreshed: `read` gave outputs, or properties, that are not recorded.
        integrate_due: `integrate` has not succeeded with the upstream outputs of today.
        unknown_after: upstreams that options wait for.
        changing: upstreams because of which something may differ at its turn.
        renamed_from: an address to be deleted whose recorded properties are those that `read` found.
        undecidable: an interrupted operation of which nobody can tell what came; says what to do.
        retry_op: (op_id, attempt) of an interrupted create that is to be tried again.
    """

    tool: ToolInstance
    traits: Traits
    adopts: bool = False
    recorded: ToolState | None = None
    read: Read = Read.NOT_ASKED
    observed: ResourceStatus | None = None
    error: Diagnostic | None = None
    fields: tuple[FieldChange, ...] = ()
    bookkeeping: bool = False
    refreshed: bool = False
    integrate_due: bool = False
    unknown_after: tuple[Address, ...] = ()
    changing: tuple[Address, ...] = ()
    renamed_from: Address | None = None
    undecidable: Diagnostic | None = None
    retry_op: tuple[str, int] | None = None

    @property
    def address(self) -> Address:
        """The tool's address."""
        return self.tool.address


def decide(facts: Facts) -> Change:
    """Choose the action for a tool that is in the config."""
    if facts.undecidable is not None:
        return _error(facts, ReasonCode.UNDECIDABLE, facts.undecidable)
    if facts.read is Read.FAILED:
        assert facts.error is not None
        return _error(facts, ReasonCode.READ_FAILED, facts.error)
    if facts.recorded is None:
        return _decide_new(facts)
    if facts.read is Read.NOT_CALLABLE:
        return _conditional(facts, facts.unknown_after)
    recorded = facts.recorded
    change = _decide_tainted(facts, recorded) if recorded.tainted else _decide_recorded(facts)
    if change.action is Action.REPLACE and recorded.adopted and not facts.tool.allow_delete:
        return replace(change, action=Action.ERROR, error=_not_ours_to_replace(facts.tool))
    return change


def _decide_new(facts: Facts) -> Change:
    if facts.read is not Read.PRESENT:
        op_id, attempt = facts.retry_op or ("", 1)
        reason = (
            Reason(ReasonCode.TAINTED, "was interrupted before")
            if facts.retry_op
            else Reason(ReasonCode.NEW, "not recorded yet")
        )
        look_again = facts.read is Read.NOT_CALLABLE and facts.traits.can_read
        return _change(facts, Action.CREATE, reason, look_again=look_again, op_id=op_id, attempt=attempt)
    if facts.renamed_from is not None:
        return _error(facts, ReasonCode.MOVED, _renamed(facts, facts.renamed_from))
    if facts.tool.adopt or (facts.adopts and facts.tool.adopt is None):
        action = Action.UPDATE if facts.traits.can_update else Action.NOOP
        return _change(
            facts, action, Reason(ReasonCode.ADOPTED, "exists already: taken over"), put=PutReason.ADOPTED
        )
    return _error(facts, ReasonCode.EXISTS, _exists(facts))


def _decide_tainted(facts: Facts, recorded: ToolState) -> Change:
    if facts.read is Read.GONE:
        return _change(facts, Action.CREATE, Reason(ReasonCode.TAINTED, "the last attempt failed"))
    if facts.read is Read.NOT_ASKED and not facts.traits.can_read:
        return _decide_tainted_blind(facts, recorded)
    reason = Reason(ReasonCode.TAINTED, "the last attempt failed or was interrupted")
    if facts.traits.can_update:
        return _change(facts, Action.UPDATE, reason)
    if facts.traits.can_delete:
        return _change(facts, Action.REPLACE, reason)
    if facts.traits.repeatable:
        return _change(facts, Action.CREATE, reason)
    left = Reason(
        ReasonCode.TAINTED, "the last attempt failed; it can neither be updated nor deleted: left as it is"
    )
    return _change(facts, Action.NOOP, left)


def _decide_tainted_blind(facts: Facts, recorded: ToolState) -> Change:
    reason = Reason(ReasonCode.TAINTED, "the last attempt failed")
    if recorded.failed_action is Action.CREATE or (
        recorded.failed_action is None and facts.traits.repeatable
    ):
        return _change(facts, Action.CREATE, reason)
    return _change(facts, _by_update(facts, ()), reason)


def _decide_recorded(facts: Facts) -> Change:
    if facts.read is Read.GONE:
        return _change(facts, Action.CREATE, Reason(ReasonCode.GONE, "recorded, but gone"))
    options = [field for field in facts.fields if field.source is FieldSource.OPTIONS]
    if options:
        reason = Reason(ReasonCode.OPTIONS, _paths(options), tuple(field.path for field in options))
        return _change(facts, _by_update(facts, options), reason, fields=facts.fields)
    if facts.fields:
        drift = Reason(ReasonCode.DRIFT, f"changed outside: {_paths(facts.fields)}", _all_paths(facts.fields))
        return _change(facts, _by_update(facts, ()), drift, fields=facts.fields)
    if facts.changing:
        return _conditional(facts, facts.changing)
    if facts.integrate_due and facts.traits.can_integrate:
        return _change(
            facts, Action.INTEGRATE, Reason(ReasonCode.UPSTREAM, "to be connected with its upstreams")
        )
    if facts.bookkeeping:
        reason = Reason(ReasonCode.BOOKKEEPING, "only what is recorded differs")
        return _change(facts, Action.NOOP, reason, put=PutReason.BOOKKEEPING)
    return _change(facts, Action.NOOP, None, put=PutReason.REFRESHED if facts.refreshed else None)


def _by_update(facts: Facts, options: list[FieldChange] | tuple[FieldChange, ...]) -> Action:
    """Choose between UPDATE and REPLACE; UPDATE of a tool without `update` calls its `create`."""
    if any(field.immutable for field in options) and facts.traits.can_delete:
        return Action.REPLACE
    if facts.traits.can_update or not facts.traits.can_delete:
        return Action.UPDATE
    return Action.REPLACE


def decide_removed(
    recorded: ToolState,
    *,
    can_delete: bool,
    undecidable: Diagnostic | None = None,
    why: Reason = LEFT_CONFIG,
) -> Change:
    """Choose the action for an entry that is to leave: its tool has left the config, or that was asked for."""
    address = recorded.address
    if undecidable is not None:
        reason = Reason(ReasonCode.UNDECIDABLE, undecidable.summary)
        return Change(address, Action.ERROR, (reason,), recorded=recorded, error=undecidable)
    if recorded.adopted and not recorded.allow_delete:
        reason = replace(why, text=f"{why.text}; it was there before us, so it stays")
        return Change(address, Action.FORGET, (reason,), recorded=recorded)
    if not can_delete:
        reason = replace(why, text=f"{why.text}; it cannot be deleted, so it is left in place")
        return Change(address, Action.FORGET, (reason,), recorded=recorded)
    return Change(address, Action.DELETE, (why,), recorded=recorded)


def made_anew(change: Change, traits: Traits) -> Change:
    """Turn the change of a tool into a replace, because that was asked for; what is not there is made anyway."""
    tool, recorded = change.tool, change.recorded
    if tool is None or recorded is None or change.action in (Action.CREATE, Action.ERROR):
        return change
    reasons = (Reason(ReasonCode.REQUESTED, "asked for"), *change.reasons)
    error = None
    if recorded.adopted and not tool.allow_delete:
        error = _not_ours_to_replace(tool)
    elif not traits.can_delete:
        error = _cannot_be_deleted(tool)
    return replace(
        change,
        action=Action.ERROR if error else Action.REPLACE,
        reasons=reasons,
        conditional_on=(),
        look_again=False,
        put=None,
        error=error,
    )


def _cannot_be_deleted(tool: ToolInstance) -> Diagnostic:
    return Diagnostic(
        "cannot be replaced: it cannot be deleted",
        "not-deletable",
        mark=tool.origin.mark,
        address=str(tool.address),
    )


def _change(
    facts: Facts,
    action: Action,
    reason: Reason | None,
    *,
    fields: tuple[FieldChange, ...] = (),
    look_again: bool = False,
    put: PutReason | None = None,
    op_id: str = "",
    attempt: int = 1,
) -> Change:
    return Change(
        facts.address,
        action,
        (reason,) if reason else (),
        tool=facts.tool,
        recorded=facts.recorded,
        observed=facts.observed,
        was_read=facts.read in (Read.GONE, Read.PRESENT),
        fields=fields,
        look_again=look_again,
        put=put,
        op_id=op_id,
        attempt=attempt,
    )


def _conditional(facts: Facts, upstream: tuple[Address, ...]) -> Change:
    return Change(
        facts.address,
        Action.CONDITIONAL,
        (Reason(ReasonCode.UPSTREAM, f"depends on what becomes of {_few(upstream)}", upstream=upstream),),
        tool=facts.tool,
        recorded=facts.recorded,
        observed=facts.observed,
        was_read=facts.read is Read.PRESENT,
        conditional_on=upstream,
        look_again=True,
    )


def _few(addresses: tuple[Address, ...]) -> str:
    """Name the first few; a barrier may stand for thousands."""
    more = len(addresses) - _NAMED
    return ", ".join(str(address) for address in addresses[:_NAMED]) + (
        f" and {more} more" if more > 0 else ""
    )


def _error(facts: Facts, code: ReasonCode, error: Diagnostic) -> Change:
    return Change(
        facts.address,
        Action.ERROR,
        (Reason(code, error.summary),),
        tool=facts.tool,
        recorded=facts.recorded,
        observed=facts.observed,
        error=error,
    )


def _not_ours_to_replace(tool: ToolInstance) -> Diagnostic:
    return Diagnostic(
        "would have to be replaced, but it was there before us and is not deleted",
        "adopted",
        mark=tool.origin.mark,
        address=str(tool.address),
        suggestion="`allowDelete: true` allows it",
    )


def _exists(facts: Facts) -> Diagnostic:
    if facts.retry_op is not None:
        return Diagnostic(
            "was found to be missing after an interrupted create, and is there now",
            "made-meanwhile",
            mark=facts.tool.origin.mark,
            address=str(facts.address),
            suggestion="run again: it is ours, and the next run takes it on",
        )
    return Diagnostic(
        "exists already and is not ours",
        "exists",
        mark=facts.tool.origin.mark,
        address=str(facts.address),
        suggestion="`adopt: true` takes it over; it is then never deleted unless `allowDelete: true`",
    )


def _renamed(facts: Facts, old: Address) -> Diagnostic:
    return Diagnostic(
        f"this is {old} under a new name",
        "renamed",
        mark=facts.tool.origin.mark,
        address=str(facts.address),
        suggestion=f"devstream state mv {old} {facts.address}",
    )


def _paths(fields: list[FieldChange] | tuple[FieldChange, ...]) -> str:
    return ", ".join(format_path(field.path) for field in fields)


def _all_paths(fields: tuple[FieldChange, ...]) -> tuple[tuple[str | int, ...], ...]:
    return tuple(field.path for field in fields)
