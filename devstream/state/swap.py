"""One compare-and-swap that ends in certainty, whatever the backend answered.

A backend may lose its answer, resend by itself and report its own success as somebody else's, or land a request
seconds after it was given up. So its exceptions decide nothing. The head that is there now decides:

* our write id is in it: the swap took place (in ``recent`` only: and somebody wrote on top since);
* its version is the one we expected: send *the same bytes with the same expectation* again, so that a late first
  request and the second cannot both win;
* anything else: somebody else was first.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from devstream.errors import (
    CredentialsError,
    DevstreamError,
    StateConflictError,
    StateUnreachableError,
    SwapRefused,
)
from devstream.state.backend import probed_behind
from devstream.state.head import RECENT
from devstream.state.reading import decode_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.state.backend import StateBackend

__all__ = ["Swapped", "Swapper"]

_PATIENCE = 60.0
_FIRST_PAUSE = 0.02


class Swapped(NamedTuple):
    """A swap that took place; ``overtaken`` says that somebody has written on top of it since."""

    version: str
    overtaken: bool = False


class _Ours(NamedTuple):
    """How a head of ours is recognised."""

    write_id: str
    serial: int


class _OnlySerial(msgspec.Struct):
    """The one member of a head that counts the swaps."""

    serial: int = 0


def _serial_in(data: bytes) -> int:
    """Give the serial in a head's bytes; 0 where there is none."""
    try:
        return msgspec.json.decode(data, type=_OnlySerial).serial
    except msgspec.MsgspecError:
        return 0


class Swapper:
    """Swaps heads of one backend.

    Args:
        monotonic: seconds that only grow.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        backend: StateBackend,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._backend = backend
        self._monotonic = monotonic
        self._sleep = sleep
        self._knows_store = False

    def swap(self, data: bytes, write_id: str, expected: str | None) -> Swapped:
        """Store a head, and know that it is stored.

        Args:
            data: the head.
            write_id: the id that the head carries and no other head ever did.
            expected: the version to replace; None where there must be no head yet.

        Raises:
            StateConflictError: somebody else was first; nothing of ours is stored.
            StateUnreachableError, SwapRefused, CredentialsError: it is not stored for good.
        """
        self._know_store(data)
        ours = _Ours(write_id, _serial_in(data))
        deadline = self._monotonic() + _PATIENCE
        pause = _FIRST_PAUSE
        refusal: DevstreamError | None = None
        cause: Exception
        is_open = False
        while True:
            try:
                return Swapped(self._backend.swap_head(data, expected))
            except (StateUnreachableError, CredentialsError):
                raise
            except SwapRefused as error:
                refusal, cause = error, error
            except Exception as error:  # noqa: BLE001 - no client library's word on its failure is believed
                is_open, cause = True, error  # it may land later: a refusal of the next one ends nothing
            try:
                settled = self._look(ours, expected, cause)
            except (StateUnreachableError, CredentialsError) as error:
                if not is_open:
                    raise
                settled, refusal = None, error if isinstance(error, CredentialsError) else refusal
            if settled is not None:
                return settled
            if refusal is not None and not is_open:
                raise refusal
            if self._monotonic() + pause > deadline:
                raise refusal or self._gave_up()
            self._sleep(pause)
            pause *= 2

    def _know_store(self, data: bytes) -> None:
        """Before the first swap, tell a backend what is known about its store; what nobody knows yet is found out."""
        if self._knows_store:
            return
        backend = probed_behind(self._backend)
        if backend is not None:
            from devstream.state.probe import probe, store_in

            backend.adopt(store_in(data) or probe(backend))
        self._knows_store = True

    def _look(self, ours: _Ours, expected: str | None, cause: Exception) -> Swapped | None:
        """Read the head back; None where it is still the expected one."""
        head = self._backend.read_head()
        if (head.version if head else None) == expected:
            return None
        if head is None:
            message = f"the state {self._backend.location} has been removed while it was in use"
            raise StateConflictError(message) from cause
        document = decode_head(head.data, self._backend.location, accept_moved=True)
        if ours.write_id == document.write_id:
            return Swapped(head.version)
        if ours.write_id in document.recent:
            return Swapped(head.version, overtaken=True)
        if ours.serial and document.serial - ours.serial > RECENT:
            raise self._lost_sight(document.serial) from cause
        raise conflict_with(self._backend.location, document.serial, document.snapshot.run_id) from cause

    def _lost_sight(self, serial: int) -> StateConflictError:
        """Others have written so often that the head no longer remembers whether ours was among them."""
        return StateConflictError(
            f"others have changed the state {self._backend.location} many times meanwhile (serial {serial}): "
            "whether the last change was stored before them cannot be said any more",
            code="swap-unsettled",
            suggestion="run again: what was begun is looked at",
        )

    def _gave_up(self) -> DevstreamError:
        return StateUnreachableError(
            f"{self._backend.location} does not say whether the last change of the state was stored",
            code="swap-unsettled",
            suggestion="look whether it can be reached, then run again",
        )


def conflict_with(location: str, serial: int, run_id: str) -> StateConflictError:
    """Make the error for a head that somebody else has written."""
    who = f" (last run: {run_id})" if run_id else ""
    return StateConflictError(
        f"somebody else has changed the state {location} meanwhile: serial {serial}{who}"
    )
