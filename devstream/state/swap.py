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

from devstream.errors import (
    CredentialsError,
    DevstreamError,
    StateConflictError,
    StateUnreachableError,
    SwapRefused,
)
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
        deadline = self._monotonic() + _PATIENCE
        pause = _FIRST_PAUSE
        while True:
            try:
                return Swapped(self._backend.swap_head(data, expected))
            except (StateUnreachableError, CredentialsError):
                raise
            except SwapRefused:
                settled = self._look(write_id, expected)
                if settled is None:
                    raise
                return settled
            except Exception as error:  # noqa: BLE001 - no client library's word on its failure is believed
                settled = self._settle(write_id, expected, error)
            if settled is not None:
                return settled
            if self._monotonic() + pause > deadline:
                raise self._gave_up()
            self._sleep(pause)
            pause *= 2

    def _settle(self, write_id: str, expected: str | None, cause: Exception) -> Swapped | None:
        """Look what became of a swap; None where that cannot be known yet."""
        try:
            return self._look(write_id, expected)
        except StateUnreachableError:
            return None
        except StateConflictError as conflict:
            raise conflict from cause

    def _look(self, write_id: str, expected: str | None) -> Swapped | None:
        """Read the head back; None where it is still the expected one."""
        head = self._backend.read_head()
        if (head.version if head else None) == expected:
            return None
        if head is None:
            message = f"the state {self._backend.location} has been removed while it was in use"
            raise StateConflictError(message)
        document = decode_head(head.data, self._backend.location)
        if write_id == document.write_id:
            return Swapped(head.version)
        if write_id in document.recent:
            return Swapped(head.version, overtaken=True)
        raise conflict_with(self._backend.location, document.serial, document.snapshot.run_id)

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
