"""`PoolReads`: calls `read` on the workers, for the planner and for settling."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from devstream.engine.operations import Hook, OperationRequest, OperationResult
from devstream.engine.workers import Abandoned, Finished
from devstream.errors import Diagnostic
from devstream.model.events import ReadEnded, ReadStarted
from devstream.model.tool import READ_TIMEOUT
from devstream.planning.provider import ReadAnswer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from devstream.engine.operations import Operations
    from devstream.engine.workers import Workers
    from devstream.model.address import Address
    from devstream.model.events import Event
    from devstream.planning.provider import ReadRequest

__all__ = ["PoolReads", "answer_of", "read_request"]


class PoolReads:
    """Reads in parallel, at most as many as the pool has workers; the rest wait here, outside of any time limit."""

    def __init__(
        self, *, workers: Workers, operations: Operations, folder: Path, emit: Callable[[Event], None]
    ) -> None:
        self._workers = workers
        self._operations = operations
        self._folder = folder
        self._emit = emit
        self._waiting: deque[ReadRequest] = deque()

    def start(self, request: ReadRequest) -> None:
        """Begin a read, or queue it."""
        self._waiting.append(request)
        self._fill()

    def wait(self) -> tuple[Address, ReadAnswer]:
        """Wait for the next answer."""
        while True:
            self._fill()
            message = self._workers.wait()
            if isinstance(message, Finished | Abandoned):
                address: Address = message.key  # type: ignore[assignment]  # the keys submitted below
                answer = answer_of(message)
                self._emit(ReadEnded(address, answer.error))
                return address, answer

    def _fill(self) -> None:
        while self._waiting and self._workers.idle > 0:
            request = read_request(self._waiting.popleft(), self._folder)
            self._emit(ReadStarted(request.address))
            self._workers.submit(
                request.address,
                partial(self._operations.run, request),
                timeout=request.timeout,
            )


def read_request(request: ReadRequest, folder: Path) -> OperationRequest:
    """Make the operation that asks `read`."""
    tool, recorded = request.tool, request.recorded
    owner = tool or recorded
    return OperationRequest(
        Hook.READ,
        request.address,
        request.options,
        folder,
        recorded=recorded,
        retries=owner.retries if owner else 0,
        app=owner.app if owner else None,
        tags=owner.tags if owner else (),
        timeout=min(READ_TIMEOUT, (owner.timeout if owner else None) or READ_TIMEOUT),
        thorough=request.thorough,
    )


def answer_of(message: Finished | Abandoned) -> ReadAnswer:
    """Turn what became of the call into what `read` said."""
    if isinstance(message, Abandoned):
        error = Diagnostic(
            f"`read` {message.reason} and did not come back", "read-hangs", address=str(message.key)
        )
        return ReadAnswer(None, error)
    if message.error is not None:
        raise message.error  # Operations.run never raises: this is our own defect
    result: OperationResult = message.value
    return ReadAnswer(result.status, result.error)
