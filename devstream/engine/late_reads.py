"""`LateReads`: many plans have nothing to read, and then nothing that reads need is brought in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.address import Address
    from devstream.planning.provider import ReadAnswer, ReadRequest, Reads

__all__ = ["LateReads"]


class LateReads:
    """Reads that bring in what they need with the first one.

    Args:
        reads: gives what really reads; called for each request.
    """

    def __init__(self, reads: Callable[[], Reads]) -> None:
        self._reads = reads

    def start(self, request: ReadRequest) -> None:
        """Begin a read."""
        self._reads().start(request)

    def wait(self) -> tuple[Address, ReadAnswer]:
        """Wait for the next answer."""
        return self._reads().wait()
