"""The lease where no kernel can hold one: a member of the head, taken, renewed and given back by swaps.

Every write of the holder carries a new *beat*; a bare renewal is written only after a third of ``ttl`` of silence.
Where the holder's process can be looked up, that alone decides whether it is over. Else its beat does: the lease is
over once the beat has stood still for ``ttl`` and a grace, by the clock of whoever waits. No two clocks are compared.

What keeps the state safe is the swap; the lease keeps people out of each other's way.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.errors import DevstreamError, LeaseError, StateConflictError
from devstream.state.clock import boottime
from devstream.state.codec import holder_from_json, holder_to_json
from devstream.state.head import encode_head, next_head
from devstream.state.holder import Condition, condition_of
from devstream.state.reading import decode_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.state import LeaseHolder
    from devstream.state.backend import StateBackend
    from devstream.state.head import HeadDocument
    from devstream.state.swap import Swapper

__all__ = [
    "TERMS",
    "HeadLeases",
    "Lease",
    "Taken",
    "Terms",
    "Verdict",
    "Watch",
    "holder_in",
    "lease_in",
    "written",
]


class Terms(NamedTuple):
    """How long a lease lasts without a sign of life, and how much longer others wait; in seconds."""

    ttl: float = 60.0
    grace: float = 10.0


TERMS = Terms()

_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 1.0
"""Seconds between two looks at somebody else's lease: it may be over at once, or in an hour."""

_ATTEMPTS = 1000
"""Lost races after which nobody tries to take a lease any more."""


class Lease(NamedTuple):
    """A lease as a head holds it."""

    holder: LeaseHolder
    beat: int
    ttl: float


def written(holder: LeaseHolder, beat: int, ttl: float) -> dict[str, Any]:
    """Give a lease as it is written into a head."""
    return {**holder_to_json(holder), "beat": beat, "ttl": ttl}


def lease_in(document: HeadDocument) -> Lease | None:
    """Give the lease that a head holds."""
    plain = document.lease
    if plain is None:
        return None
    return Lease(holder_from_json(plain), plain.get("beat", 0), plain.get("ttl", TERMS.ttl))


def holder_in(document: HeadDocument) -> LeaseHolder | None:
    """Say who holds the lease, as far as one look can tell; None where nobody does any more."""
    lease = lease_in(document)
    return lease.holder if lease and condition_of(lease.holder) is not Condition.GONE else None


class Verdict(Enum):
    """What one look at a lease says."""

    FREE = "nobody holds it"
    GONE = "its holder's process has ended"
    SILENT = "its holder has shown no sign of life for too long"
    HELD = "somebody holds it"


class Watch:
    """Looks at a lease again and again, and notices when its beat stands still.

    Args:
        monotonic: the observer's own seconds, which only grow.
    """

    def __init__(self, grace: float, monotonic: Callable[[], float]) -> None:
        self._grace = grace
        self._monotonic = monotonic
        self._seen: tuple[str, int] | None = None
        self._since = 0.0

    def judge(self, lease: Lease | None) -> Verdict:
        """Say whether the lease may be taken over now."""
        if lease is None:
            return Verdict.FREE
        condition = condition_of(lease.holder)
        if condition is Condition.GONE:
            return Verdict.GONE
        seen = (lease.holder.run_id, lease.beat)
        if condition is not Condition.ELSEWHERE or seen != self._seen:
            self._seen, self._since = seen, self._monotonic()
            return Verdict.HELD
        silent = self._monotonic() - self._since
        return Verdict.SILENT if silent >= lease.ttl + self._grace else Verdict.HELD


class Free(NamedTuple):
    """A head whose lease may be taken: None where there is no head yet."""

    document: HeadDocument | None
    version: str | None
    verdict: Verdict


class Taken(NamedTuple):
    """A lease that was taken.

    Attributes:
        document, version: the head that says so.
        sent_at: when the swap was sent that took it (`boottime`).
        verdict: what was known of the holder before.
    """

    document: HeadDocument
    version: str
    sent_at: float
    verdict: Verdict


class HeadLeases:
    """Waits for, takes and gives back the lease of one backend.

    Args:
        timeout: seconds to wait while somebody else has it, all in all.
        notice: called once, at once, with who has it.
        monotonic: seconds that only grow.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        backend: StateBackend,
        *,
        swapper: Swapper,
        terms: Terms,
        timeout: float,
        notice: Callable[[LeaseHolder], None],
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._backend = backend
        self._swapper = swapper
        self.terms = terms
        self._deadline = monotonic() + timeout
        self._pause = _FIRST_PAUSE
        self._longest = min(_LONGEST_PAUSE, terms.ttl / 20)
        self._may_wait = timeout > 0
        self._notice = notice
        self._monotonic = monotonic
        self._sleep = sleep
        self._watch = Watch(terms.grace, monotonic)
        self._told = False

    def wait(self) -> Free:
        """Wait until the lease may be taken.

        Raises:
            LeaseError: somebody else still has it.
            StateDamagedError, StateForeignError, StateUnreachableError: what is there cannot be read.
        """
        while True:
            free = self._look()
            if free.verdict is not Verdict.HELD:
                return free
            assert free.document is not None
            lease = lease_in(free.document)
            assert lease is not None
            if self._may_wait and not self._told:
                self._told = True
                self._notice(lease.holder)
            left = self._deadline - self._monotonic()
            if left <= 0:
                raise self._held(lease)
            self._sleep(min(self._pause, left))
            self._pause = min(self._pause * 1.5, self._longest)

    def _look(self) -> Free:
        head = self._backend.read_head()
        if head is None:
            return Free(None, None, Verdict.FREE)
        document = decode_head(head.data, self._backend.location, self._backend.get_blob)
        return Free(document, head.version, self._watch.judge(lease_in(document)))

    def take(self, holder: LeaseHolder, first: Callable[[], HeadDocument]) -> Taken:
        """Take the lease, by one swap; where there is no head yet, that of a new lineage is written with it.

        Args:
            first: makes the first head.

        Raises:
            LeaseError: somebody else has it.
            StateError, CredentialsError: the state cannot be read or written.
        """
        for _ in range(_ATTEMPTS):
            free = self.wait()
            document = self._held_by(holder, free.document, first)
            sent_at = boottime()
            try:
                swapped = self._swapper.swap(encode_head(document), document.write_id, free.version)
            except StateConflictError:
                continue  # somebody was faster; the next look says who
            if not swapped.overtaken:
                return Taken(document, swapped.version, sent_at, free.verdict)
        message = f"the state {self._backend.location} changes faster than its lease can be taken"
        raise StateConflictError(message, suggestion="try again")

    def _held_by(
        self, holder: LeaseHolder, now: HeadDocument | None, first: Callable[[], HeadDocument]
    ) -> HeadDocument:
        document = next_head(now, None) if now is not None else first()
        return document.holding(written(holder, document.serial, self.terms.ttl))

    def give_back(self, taken: Taken) -> None:
        """Let go of a lease that nothing was done under; where that does not work, it runs out by itself."""
        document = next_head(taken.document, None)
        try:
            self._swapper.swap(encode_head(document), document.write_id, taken.version)
        except DevstreamError:
            return

    def _held(self, lease: Lease) -> LeaseError:
        message = f"the state {self._backend.location} is in use by {lease.holder}"
        return LeaseError(message, suggestion=_way_out(lease, self.terms.grace))


def _way_out(lease: Lease, grace: float) -> str:
    match condition_of(lease.holder):
        case Condition.STOPPED:
            pid = lease.holder.pid
            return f"that process is stopped: let it go on (kill -CONT {pid}), or `devstream state unlock`"
        case Condition.ELSEWHERE:
            silence = f"{lease.ttl + grace:.0f}s"
            return (
                f"wait for it with --lock-timeout; if it is dead, {silence} without a sign of life end its lease, "
                "or `devstream state unlock` does at once"
            )
    return "wait for it, or allow more time with --lock-timeout; `devstream state unlock` says more"
