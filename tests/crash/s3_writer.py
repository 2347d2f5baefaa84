"""Writes to a state on S3, among others who do, whatever breaks. Started by the tests, in a process of its own.

Reads a JSON order a line, and answers with what was acknowledged and what was reported as failed.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from devstream.builtin.s3 import S3Backend
from devstream.builtin.s3_options import place_of
from devstream.errors import DevstreamError, StateConflictError
from devstream.model.state import Put, PutReason
from devstream.state.clock import utc_now
from devstream.state.codec import encode_record
from devstream.state.holder import this_process
from devstream.state.journal import Encoded, Journal
from devstream.state.reading import load
from devstream.state.swap import Swapped, Swapper
from devstream.testing.backends import tool_state

if TYPE_CHECKING:
    from devstream.state.backend import StateBackend

__all__: list[str] = []


class Believing(Swapper):
    """Broken on purpose: it believes what the client library says."""

    def swap(self, data: bytes, write_id: str, expected: str | None) -> Swapped:
        try:
            return Swapped(self._backend.swap_head(data, expected))
        except DevstreamError as error:
            message = "it failed, says the library"
            raise StateConflictError(message) from error


class Writer:
    """Adds tools to the state, each by a swap of its own, without a lease."""

    def __init__(self, backend: StateBackend, name: str, *, believing: bool) -> None:
        self._backend = backend
        self._name = name
        self._swapper = Believing(backend) if believing else Swapper(backend)
        self.acknowledged: list[str] = []
        self.failed: list[str] = []
        self.unknown: list[str] = []

    def write(self, times: int) -> None:
        while len(self.acknowledged) < times:
            try:
                journal = self._open()
            except DevstreamError:  # reading was refused or cut too often: try again
                continue
            while len(self.acknowledged) < times and self._add(journal):
                pass

    def _open(self) -> Journal:
        loaded = load(self._backend)
        assert loaded is not None
        holder = this_process(self._name, "tests")
        return Journal(self._backend, loaded, swapper=self._swapper, holder=holder, clock=utc_now)

    def _add(self, journal: Journal) -> bool:
        """Add one tool; False where the state has to be read anew."""
        name = f"{self._name}{len(self.acknowledged) + len(self.failed) + len(self.unknown)}"
        tool = tool_state(name)
        record = Put(tool.address, tool, PutReason.EDITED)
        try:
            overtaken = journal.append([Encoded(record, encode_record(record))])
        except DevstreamError as error:
            told = self.unknown if error.diagnostic.code == "swap-unsettled" else self.failed
            told.append(name)
            return False
        self.acknowledged.append(name)
        return overtaken is None


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    backend = S3Backend(place_of(order["options"], {}), timeout=order["timeout"])
    writer = Writer(backend, order["name"], believing=order["believing"])
    writer.write(order["times"])
    return {"acknowledged": writer.acknowledged, "failed": writer.failed, "unknown": writer.unknown}


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(carry_out(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
