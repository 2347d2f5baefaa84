"""Whether a store really compares and swaps: tried out at a place of its own, before a state is entrusted to it.

Some stores that speak the right language ignore a precondition, and so lose what another run has written. None is
used before it has shown that a right swap wins, that a stale one fails, and that of two racers exactly one wins.
What is stored afterwards decides; what the store answers decides only against it.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from devstream.errors import (
    DevstreamError,
    StateConflictError,
    StateError,
    StateUnreachableError,
    SwapUnsettled,
)
from devstream.state.backend import probed_behind
from devstream.state.head import new_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.state.backend import Head, Probed, ProbePlace, StateBackend
    from devstream.state.head import HeadDocument

__all__ = ["probe", "store_in", "with_store"]

_ATTEMPTS = 8
"""How often a write is tried whose fate is not known; a network may lose things while it is probed."""

_NOES = 3
"""How many refusals are believed."""

_FIRST_PAUSE = 0.02


class _OnlyStore(msgspec.Struct):
    """The one member of a head that says what is known about its store."""

    store: dict[str, Any] = {}


class _Claim(NamedTuple):
    """One write: its bytes, and what the store said: it took place, it did not, or nothing certain (None)."""

    data: bytes
    said: bool | None


class _Unfit(Exception):
    """The store does not do what a state needs, in one manner."""


def store_in(data: bytes) -> dict[str, Any]:
    """Give what a head's bytes say about its store; empty where they say nothing."""
    try:
        return msgspec.json.decode(data, type=_OnlyStore).store
    except msgspec.DecodeError:
        return {}


def with_store(document: HeadDocument, backend: StateBackend) -> HeadDocument:
    """Give a head that says what is known about its store; where that is nothing yet, the store is probed.

    Raises:
        StateError, CredentialsError: see `probe`.
    """
    probed = probed_behind(backend)
    if probed is None or document.store:
        return document
    return msgspec.structs.replace(document, store=dict(probe(probed)))


def probe(backend: Probed, *, sleep: Callable[[float], None] = time.sleep) -> Mapping[str, Any]:
    """Find the manner in which a store compares and swaps. Writes beside the state, and removes that again.

    Args:
        sleep: waits so many seconds.

    Raises:
        StateError: it does not, in any manner: it must not be used.
        StateUnreachableError, SwapRefused, CredentialsError: it cannot be asked.
    """
    reasons = []
    for manner in backend.manners():
        place = backend.probe_place(manner)
        try:
            _Trial(place, sleep).run()
        except _Unfit as unfit:
            reasons.append(str(unfit))
        else:
            return manner
        finally:
            with suppress(DevstreamError):
                place.remove()
    raise _unsafe(backend, reasons)


def _unsafe(backend: Probed, reasons: list[str]) -> StateError:
    location = getattr(backend, "location", "the state")
    return StateError(
        f"{location} cannot keep a state: {reasons[0]}",
        code="store-unsafe",
        detail="Two runs at once would overwrite each other's records, and neither would notice.",
        suggestion="use a store with conditional writes (If-Match and If-None-Match), or another state backend",
    )


class _Trial:
    """The five steps, at one place in one manner."""

    def __init__(self, place: ProbePlace, sleep: Callable[[float], None]) -> None:
        self._place = place
        self._sleep = sleep

    def run(self) -> None:
        """Go through all steps.

        Raises:
            _Unfit: one of them went wrong.
        """
        first = self._must_win(None, "it does not store a new object")
        self._must_fail(
            None, "a write that must only create replaces what is there (If-None-Match is ignored)"
        )
        second = self._must_win(first, "it refuses the right version of an object (If-Match)")
        self._must_fail(first, "a write that expects an older version is accepted (If-Match is ignored)")
        self._race(second)

    def _must_win(self, expected: str | None, reason: str) -> str:
        data = _bytes()
        noes = 0
        for pause in _pauses():
            claim = self._write(data, expected)
            head = self._place.read_head()
            if head is not None and head.data == data:
                return head.version
            noes += claim.said is False
            if _version(head) != expected or noes == _NOES:
                break
            self._sleep(pause)
        raise _Unfit(reason)

    def _must_fail(self, expected: str | None, reason: str) -> None:
        data = _bytes()
        for pause in _pauses()[:_NOES]:
            claim = self._write(data, expected)
            head = self._place.read_head()
            if claim.said or head is None or head.data == data:
                raise _Unfit(reason)
            if claim.said is False:
                break
            self._sleep(pause)  # some stores answer a stale write with an error of their own

    def _race(self, expected: str) -> None:
        claims: list[_Claim] = []
        for pause in _pauses():
            claims += self._both(expected)
            head = self._place.read_head()
            stored = [claim for claim in claims if head is not None and head.data == claim.data]
            others = [claim for claim in claims if claim.said and claim not in stored]
            if stored and not others:
                return
            if others or _version(head) != expected:
                break
            self._sleep(pause)
        message = "of two writes at once that expect the same version, not exactly one is stored"
        raise _Unfit(message)

    def _both(self, expected: str) -> list[_Claim]:
        """Write twice at once."""
        claims: list[_Claim] = []
        failures: list[BaseException] = []
        start = threading.Barrier(2)

        def write() -> None:
            start.wait()
            try:
                claims.append(self._write(_bytes(), expected))
            except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
                failures.append(error)

        threads = [threading.Thread(target=write) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        return claims

    def _write(self, data: bytes, expected: str | None) -> _Claim:
        try:
            self._place.swap_head(data, expected)
        except StateConflictError:
            return _Claim(data, said=False)
        except (SwapUnsettled, StateUnreachableError):
            return _Claim(data, said=None)
        return _Claim(data, said=True)


def _bytes() -> bytes:
    """Give bytes that nobody has ever stored."""
    return b"probe of devstream %s\n" % new_id().encode()


def _version(head: Head | None) -> str | None:
    return head.version if head else None


def _pauses() -> list[float]:
    return [_FIRST_PAUSE * 2**number for number in range(_ATTEMPTS)]
