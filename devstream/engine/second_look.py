"""Asking `read` once more for what a plan was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.errors import DevstreamError, Diagnostic
from devstream.model.recorded import has_marks, resolve
from devstream.planning.outputs import Known, OutputBook
from devstream.planning.planner import known_after
from devstream.planning.provider import ReadAnswer, ReadRequest
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from devstream.model.address import Address
    from devstream.model.plan import Change
    from devstream.model.state import State
    from devstream.model.values import SecretRef
    from devstream.planning.provider import Provider, Reads

__all__ = ["second_look"]


def second_look(
    changes: Iterable[Change],
    asked: Collection[Address],
    *,
    state: State,
    provider: Callable[[str], Provider],
    reads: Reads,
    secrets: Callable[[SecretRef], str],
) -> dict[Address, ReadAnswer]:
    """Ask `read` about some of a plan's tools, with the options they had while it was planned.

    Args:
        changes: all of the plan.
        asked: whom to look at.

    Returns:
        One answer for each that was asked for; where its options cannot be resolved any more, the reason.
    """
    look = _Look(changes, asked, state, provider, reads, OutputBook(secrets))
    while look.waiting:
        if not look.round():
            look.give_up()
    return look.answers


class _Look:
    """Reads in rounds: with each, more outputs are known, and more tools can be asked."""

    def __init__(  # noqa: PLR0917 - one caller, just above
        self,
        changes: Iterable[Change],
        asked: Collection[Address],
        state: State,
        provider: Callable[[str], Provider],
        reads: Reads,
        book: OutputBook,
    ) -> None:
        self._state = state
        self._provider = provider
        self._reads = reads
        self._book = book
        self._book.known = {address: Known(entry.outputs) for address, entry in state.tools.items()}
        self.answers: dict[Address, ReadAnswer] = {}
        self.waiting: dict[Address, Change] = {}
        wanted = set(asked)
        for change in changes:
            if change.tool is None:
                continue
            if change.address in wanted:
                self.waiting[change.address] = change
                self._book.known[change.address] = Known(None)
            else:
                self._learn(change, None)

    def round(self) -> bool:
        """Ask whoever can be asked now; False where that is nobody."""
        started: dict[Address, Change] = {}
        for address, change in list(self.waiting.items()):
            request = self._request(change)
            if request is None:
                continue
            del self.waiting[address]
            if isinstance(request, ReadAnswer):
                self.answers[address] = request
                continue
            started[address] = change
            self._reads.start(request)
        for _ in range(len(started)):
            address, answer = self._reads.wait()
            self.answers[address] = answer
            self._learn(started[address], answer)
        return bool(started)

    def _request(self, change: Change) -> ReadRequest | ReadAnswer | None:
        """Make the request; None where an option is not known yet, an answer where it never will be."""
        assert change.tool is not None
        options: Mapping[str, Any] = change.tool.options
        if has_marks(dict(options)):
            self._book.start()
            try:
                options = resolve(dict(options), self._book)
            except DevstreamError as error:
                return ReadAnswer(None, error.diagnostics[0])
            if self._book.unknown:
                return None
        return ReadRequest(change.address, options, self._state.tools.get(change.address), change.tool)

    def _learn(self, change: Change, answer: ReadAnswer | None) -> None:
        """Note what references to a tool stand for, as the planner did."""
        assert change.tool is not None
        can_integrate = self._provider(change.address.name).traits(change.tool.options).can_integrate
        seen = replace(
            change,
            recorded=self._state.tools.get(change.address),
            observed=answer.status if answer else None,
        )
        self._book.known[change.address] = known_after(seen, can_integrate=can_integrate)

    def give_up(self) -> None:
        """Say of the rest that its options cannot be resolved any more."""
        for address in self.waiting:
            trouble = Diagnostic(
                "an option of it is not known any more", "unknown-output", address=str(address)
            )
            self.answers[address] = ReadAnswer(None, trouble)
        self.waiting.clear()
