"""What is asked of a plan, in the planner's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.errors import UsageError, nearest
from devstream.planning.planner import Wishes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from devstream.engine.invocation import Invocation
    from devstream.model.address import Address
    from devstream.model.state import State

__all__ = ["wishes"]


def wishes(asked: Invocation, state: State, listed: Sequence[Address]) -> Wishes:
    """Say what is asked of a plan.

    Args:
        listed: the addresses of the config.

    Raises:
        UsageError: an address is neither in the config nor, where that would do, in the state.
    """
    leave = None
    if asked.removal:
        from devstream.planning.removal import Removal, leaving

        leave = leaving(state, None if asked.removal is Removal.EVERYTHING else listed)
    return Wishes(
        refresh=asked.refresh,
        leave=leave,
        replace=_named("--replace", asked.replace, listed),
        unprotect=_named("--unprotect", asked.unprotect, [*listed, *state.tools]),
    )


def _named(option: str, names: Sequence[str], known: Iterable[Address]) -> frozenset[Address]:
    if not names:
        return frozenset()
    by_name = {str(address): address for address in known}
    for name in names:
        if name not in by_name:
            message = f'{option}: there is no tool "{name}"'
            raise UsageError(message, code="unknown-address", suggestion=nearest(name, by_name))
    return frozenset(by_name[name] for name in names)
