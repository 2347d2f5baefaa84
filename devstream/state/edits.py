"""What people may ask to be recorded: names, forgetting, the outcome of what was interrupted. Pure functions."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from devstream.errors import UsageError, nearest
from devstream.model.address import Address
from devstream.model.plan import Action
from devstream.model.state import Drop, Move, Put, PutReason
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from devstream.model.state import State, ToolState

__all__ = ["FORGOTTEN", "matching", "recorded", "forget", "rename", "settle", "replacement"]

FORGOTTEN = "forgotten"
"""Why an entry is dropped that somebody wants forgotten."""

_APP = "app:"


def recorded(state: State, names: Sequence[str]) -> list[Address]:
    """Find the addresses of entries, each once.

    Raises:
        UsageError: nothing is recorded under a name; the nearest one is suggested.
    """
    known = {str(address): address for address in state.tools}
    unknown = [name for name in names if name not in known]
    if unknown:
        message = "nothing is recorded for " + ", ".join(f'"{name}"' for name in unknown)
        raise UsageError(message, code="unknown-address", suggestion=_near(unknown[0], known))
    return [known[name] for name in dict.fromkeys(names)]


def matching(state: State, pattern: str) -> State:
    """Give the state with only the entries and open operations whose address matches a glob.

    Raises:
        UsageError: there is none.
    """
    names = [str(address) for address in (*state.tools, *state.open_operations)]
    if not any(fnmatchcase(name, pattern) for name in names):
        message = f'nothing is recorded that matches "{pattern}"'
        raise UsageError(message, code="unknown-address", suggestion=_near(pattern, names))
    return replace(
        state,
        tools={where: tool for where, tool in state.tools.items() if fnmatchcase(str(where), pattern)},
        open_operations={
            where: opened
            for where, opened in state.open_operations.items()
            if fnmatchcase(str(where), pattern)
        },
    )


def _near(name: str, known: Iterable[str]) -> str:
    return nearest(name, known) or "`devstream state list` shows what is recorded"


def forget(state: State, names: Sequence[str]) -> list[Drop]:
    """Forget entries; the things themselves stay as they are.

    Raises:
        UsageError: an entry is not recorded, or an operation on it is not settled.
    """
    addresses = recorded(state, names)
    _require_settled(state, addresses)
    return [Drop(address, FORGOTTEN) for address in addresses]


def _require_settled(state: State, addresses: Iterable[Address]) -> None:
    for address in addresses:
        if address in state.open_operations:
            action = state.open_operations[address].begin.action
            raise UsageError(
                f"{address}: it is not known what came of an interrupted {action}",
                code="unsettled",
                address=str(address),
                suggestion=f"`devstream run` finds out; or first: devstream state settle {address} --created|--absent",
            )


def rename(state: State, source: str, target: str) -> list[Move]:
    """Give an entry another address, or (``app:OLD``, ``app:NEW``) all entries of an app.

    Raises:
        UsageError: the old address is not recorded, the new one is taken or is none, or something is not settled.
    """
    if source.startswith(_APP) or target.startswith(_APP):
        moves = _of_app(state, source, target)
    else:
        moves = [Move(recorded(state, [source])[0], _parsed(target))]
    for move in moves:
        _require_same_tool(move)
        _require_free(state, move.target)
    _require_settled(state, [address for move in moves for address in (move.source, move.target)])
    return moves


def _parsed(text: str) -> Address:
    try:
        return Address.parse(text)
    except ValueError as error:
        raise UsageError(str(error), code="bad-address", suggestion="noop.example is one") from None


def _require_same_tool(move: Move) -> None:
    if move.source.name != move.target.name:
        raise UsageError(
            f"{move.source} is a {move.source.name}, and {move.target} would be another tool",
            code="another-tool",
            suggestion=f"a new name keeps the first part: {move.source.name}.{move.target.instance_id}",
        )


def _require_free(state: State, target: Address) -> None:
    if target in state.tools:
        raise UsageError(
            f"{target} is recorded already",
            code="taken",
            suggestion=f"choose another name, or forget that entry first: devstream state rm {target}",
        )


def _of_app(state: State, source: str, target: str) -> list[Move]:
    """An app's tools are called APP or APP-NAME; those that are not keep their names."""
    old, new = source.removeprefix(_APP), target.removeprefix(_APP)
    if not (source.startswith(_APP) and target.startswith(_APP)):
        message = "an app is renamed to an app"
        raise UsageError(message, code="bad-address", suggestion=f"devstream state mv app:{old} app:{new}")
    apps = {tool.app for tool in state.tools.values() if tool.app}
    if old not in apps:
        message = f'nothing is recorded of an app "{old}"'
        raise UsageError(message, code="unknown-app", suggestion=nearest(old, apps))
    moves = []
    for address, tool in state.tools.items():
        rest = address.instance_id.removeprefix(old)
        if tool.app == old and rest != address.instance_id and rest[:1] in ("", "-"):
            moves.append(Move(address, _parsed(f"{address.name}.{new}{rest}")))
    return moves


def settle(state: State, name: str, *, created: bool) -> list[Put | Drop]:
    """Record what somebody has seen to have come of an interrupted operation.

    Args:
        created: the thing is there; else it is not.

    Raises:
        UsageError: no operation is open at that address.
    """
    opened = {str(address): operation.begin for address, operation in state.open_operations.items()}
    if name not in opened:
        message = f'no operation of "{name}" is waiting to be settled'
        known = f"these are: {', '.join(opened)}" if opened else "there is none"
        raise UsageError(message, code="nothing-to-settle", suggestion=nearest(name, opened) or known)
    begin = opened[name]
    if not created:
        return [Drop(begin.address, PutReason.SETTLED.value)]
    before = state.tools.get(begin.address)
    match begin.action:
        case Action.CREATE:
            entry = replace(begin.tool, tainted=False, failed_action=None, integrated=False)
        case Action.UPDATE:
            entry = replace(before or begin.tool, tainted=True, failed_action=None)
        case Action.INTEGRATE:
            entry = replace(before or begin.tool, integrated=False)
        case _:
            entry = before or begin.tool
    return [Put(begin.address, entry, PutReason.SETTLED)]


def replacement(
    before: Mapping[Address, ToolState], after: Mapping[Address, ToolState], *, dropped: str
) -> list[Put | Drop]:
    """Give the records that turn the entries of a state into others. What is open stays open.

    Args:
        dropped: why entries that are only in ``before`` go.
    """
    gone = [Drop(address, dropped) for address in before if address not in after]
    new = [
        Put(address, tool, PutReason.EDITED) for address, tool in after.items() if before.get(address) != tool
    ]
    return [*gone, *new]
