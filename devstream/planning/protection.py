"""Protection: what must not be taken away stays, and so does everything it stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.errors import Diagnostic
from devstream.model.plan import Action, Reason, ReasonCode
from devstream.model.tool import BARRIER
from devstream.planning.removal import is_of_tools
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from devstream.model.address import Address
    from devstream.model.plan import Change

__all__ = ["leave_out_protected"]

_TAKES_AWAY = (Action.DELETE, Action.REPLACE)


def leave_out_protected(
    changes: Mapping[Address, Change], unprotect: Collection[Address]
) -> dict[Address, Change]:
    """Give the changes without those that would take away what is protected, or what that stands on.

    A delete becomes a NOOP and a replace an ERROR, both marked ``protected``.

    Args:
        unprotect: addresses whose protection does not count this time.
    """
    kept = [change for change in changes.values() if _is_held(change) and change.address not in unprotect]
    left_out: dict[Address, Change] = {}
    names = _names(changes) if kept else {}
    ahead = [(change, change.address) for change in kept]
    seen = {change.address for change in kept}
    while ahead:
        change, holder = ahead.pop()
        if change.action in _TAKES_AWAY or change.address == holder:
            left_out[change.address] = _left_out(change, holder)
        elif change.tool is not None:
            continue
        for name in change.recorded.depends_on if change.recorded else ():
            for address in names.pop(name, ()):
                if address not in seen:
                    seen.add(address)
                    ahead.append((changes[address], holder))
    return {address: left_out.get(address, change) for address, change in changes.items()}


def _names(changes: Mapping[Address, Change]) -> dict[str, tuple[Address, ...]]:
    """Say what recorded dependencies stand for: addresses, and the barrier for all of ``tools:``."""
    tools = (change for change in changes.values() if change.recorded and is_of_tools(change.recorded))
    return {
        **{str(address): (address,) for address in changes},
        BARRIER: tuple(change.address for change in tools),
    }


def _is_held(change: Change) -> bool:
    """Tell whether a change would end something that is protected; forgetting it would end its protection."""
    if change.tool is None:
        takes_away = change.action in (Action.DELETE, Action.FORGET)
        return takes_away and change.recorded is not None and change.recorded.protect
    if change.action is not Action.REPLACE:
        return False
    if change.tool.protect is not None:
        return change.tool.protect
    return change.recorded is not None and change.recorded.protect


def _left_out(change: Change, holder: Address) -> Change:
    why = "protected" if change.address == holder else f"{holder}, which is protected, stands on it"
    reason = Reason(ReasonCode.PROTECTED, f"{why}: left in place")
    reasons = (reason, *change.reasons)
    if change.tool is None:
        return replace(change, action=Action.NOOP, reasons=reasons, protected=True)
    error = Diagnostic(
        f"cannot be replaced: {why}",
        "protected",
        address=str(change.address),
        mark=change.tool.origin.mark,
        suggestion=f"--unprotect {holder}, or `protect: false`",
    )
    return replace(change, action=Action.ERROR, reasons=reasons, error=error, protected=True)
