"""Deciding a change at its turn, when nothing upstream is unknown any more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.errors import DevstreamError, Diagnostic
from devstream.model.plan import Action, Change
from devstream.planning.compare import compare
from devstream.planning.decide import Facts, Read, decide
from devstream.planning.upstream import digest, looked_at, upstream_outputs
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from devstream.graph.dag import Graph
    from devstream.model.state import State, ToolState
    from devstream.planning.outputs import OutputBook
    from devstream.planning.provider import Provider, ReadAnswer

__all__ = ["decide_at_turn"]


def decide_at_turn(
    change: Change,
    answer: ReadAnswer | None,
    *,
    book: OutputBook,
    graph: Graph[Any],
    state: State,
    provider: Provider,
) -> Change:
    """Decide a change again, by the same table as the plan; the answer is NOOP, CREATE, UPDATE or INTEGRATE.

    A change that would now have to be replaced is an ERROR: the user has not agreed to that.
    """
    book.start()
    try:
        facts = _facts(change, answer, book, graph.dependencies(change.address), state, provider)
    except DevstreamError as failure:
        return replace(change, action=Action.ERROR, error=failure.diagnostics[0])
    decided = decide(facts)
    if decided.action is Action.REPLACE:
        return replace(decided, action=Action.ERROR, error=_plan_again(decided))
    return decided


def _facts(  # noqa: PLR0917 - one caller, which has all of it at hand
    change: Change,
    answer: ReadAnswer | None,
    book: OutputBook,
    dependencies: Sequence[Any],
    state: State,
    provider: Provider,
) -> Facts:
    tool = change.tool
    assert tool is not None
    recorded = state.tools.get(change.address)
    observed = answer.status if answer else None
    traits = provider.traits(tool.options)
    comparison = compare(
        tool=tool,
        recorded=recorded,
        observed=observed,
        resolver=book,
        key=state.hmac_key,
        flags=provider.flags,
        dependencies=dependencies,
    )
    upstream = looked_at(upstream_outputs(dependencies, book.known), traits.integrates)
    return Facts(
        tool=tool,
        traits=traits,
        adopts=provider.adopts,
        recorded=recorded,
        read=_read_kind(answer),
        observed=observed,
        error=answer.error if answer else None,
        fields=comparison.fields,
        bookkeeping=comparison.bookkeeping,
        refreshed=comparison.refreshed,
        integrate_due=traits.can_integrate and _integrate_due(recorded, digest(upstream, state.hmac_key)),
        retry_op=(change.op_id, change.attempt) if change.op_id else None,
    )


def _integrate_due(recorded: ToolState | None, now: str) -> bool:
    return recorded is not None and (not recorded.integrated or recorded.integrated_with != now)


def _read_kind(answer: ReadAnswer | None) -> Read:
    if answer is None:
        return Read.NOT_ASKED
    if answer.error is not None:
        return Read.FAILED
    return Read.GONE if answer.status is None else Read.PRESENT


def _plan_again(change: Change) -> Diagnostic:
    fields = ", ".join(reason.text for reason in change.reasons)
    return Diagnostic(
        f"would now have to be replaced ({fields}), which the plan did not say",
        "plan-again",
        address=str(change.address),
        mark=change.tool.origin.mark if change.tool else None,
        suggestion="run it again: the new plan shows the replacement",
    )
