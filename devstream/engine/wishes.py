"""What is asked of a plan, in the planner's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.errors import UsageError, nearest
from devstream.planning.planner import Wishes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from devstream.engine.invocation import Invocation
    from devstream.graph.dag import Graph
    from devstream.model.address import Address
    from devstream.model.plan import Reason
    from devstream.model.state import State
    from devstream.model.tool import ToolInstance
    from devstream.planning.scope import Scope

__all__ = ["scope", "wishes"]


def scope(asked: Invocation, tools: Sequence[ToolInstance], graph: Graph[Any], state: State) -> Scope:
    """Say which tools a plan is about.

    Args:
        tools: of the config.
        graph: their dependencies.

    Raises:
        UsageError: the selection matches nothing.
    """
    from devstream.planning.scope import scope_of_removal, scope_of_run

    assert asked.selectors is not None
    if asked.removal:
        return scope_of_removal(asked.selectors, tools=tools, state=state, removal=asked.removal)
    return scope_of_run(asked.selectors, tools=tools, graph=graph, state=state)


def wishes(asked: Invocation, state: State, listed: Sequence[Address], within: Scope | None = None) -> Wishes:
    """Say what is asked of a plan.

    Args:
        listed: the addresses of the config.
        within: what was selected; None: everything.

    Raises:
        UsageError: an address is neither in the config nor, where that would do, in the state; or not selected.
    """
    leave: Mapping[Address, Reason] | None = None if within is None else within.leave
    if asked.removal and within is None:
        from devstream.planning.removal import Removal, leaving

        leave = leaving(state, None if asked.removal is Removal.EVERYTHING else listed)
    return Wishes(
        refresh=asked.refresh,
        leave=leave,
        staying=frozenset() if within is None else within.staying,
        replace=_named("--replace", asked.replace, listed, within),
        unprotect=_named("--unprotect", asked.unprotect, [*listed, *state.tools], within),
    )


def _named(
    option: str, names: Sequence[str], known: Iterable[Address], within: Scope | None
) -> frozenset[Address]:
    if not names:
        return frozenset()
    by_name = {str(address): address for address in known}
    for name in names:
        if name not in by_name:
            message = f'{option}: there is no tool "{name}"'
            raise UsageError(message, code="unknown-address", suggestion=nearest(name, by_name))
        if within is not None and by_name[name] not in within.addresses:
            message = f"{option}: {name} is not selected"
            raise UsageError(
                message, code="not-selected", suggestion=f"select it, or leave {option} {name} out"
            )
    return frozenset(by_name[name] for name in names)
