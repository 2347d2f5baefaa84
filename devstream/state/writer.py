"""The one thread that writes: whatever is handed in while a swap is under way goes into the next one, together."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, NamedTuple

from devstream.errors import DevstreamError, StateError
from devstream.model.state import Begin

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.state import Record
    from devstream.state.journal import Encoded, Journal

__all__ = ["Entry", "WriterThread"]


class Entry(NamedTuple):
    """Records that belong together, and who wants to know when they are stored.

    ``refused`` is set where a record cannot be written at all.
    """

    records: tuple[Encoded, ...]
    done: Callable[[DevstreamError | None], None] | None = None
    refused: DevstreamError | None = None


class WriterThread:
    """Owns a journal. It starts with the first record, or with a lease to renew, and lives until `stop`.

    Attributes:
        failed: why nothing can be stored any more; None while all is well.
        unsaved: records that were handed in and could not be stored. A `Begin` is never among them: its operation
            was told not to start.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._changed = threading.Condition()
        self._waiting: list[Entry] = []
        self._busy = False
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._refused: DevstreamError | None = None
        self._defect: BaseException | None = None
        self.failed: DevstreamError | None = None
        self.unsaved: list[Record] = []

    def hand_in(self, entry: Entry) -> None:
        """Put an entry into the queue; returns at once."""
        with self._changed:
            if self._stopping:
                message = "the state is closed"
                raise StateError(message)
            self._waiting.append(entry)
            self.start()
            self._changed.notify_all()

    def start(self) -> None:
        """Start the thread, where it does not run yet."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="devstream-state", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Wait until everything handed in is stored or refused.

        Raises:
            DevstreamError: what went wrong.
        """
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and not self._busy)
        self.check()

    def check(self) -> None:
        """Raise what went wrong so far, if anything did."""
        problem = self._defect or self.failed or self._refused
        if problem is not None:
            raise problem

    def stop(self) -> None:
        """Store what is waiting, and end the thread."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        while batch := self._take():
            error = self._store([record for entry in batch for record in entry.records])
            for entry in batch:
                self._answer(entry, error)
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _take(self) -> list[Entry]:
        """Wait for entries and take all there are; an empty one where a renewal is due, none once stopped."""
        with self._changed:
            silence = self._journal.silence if self.failed is None else None
            heard = self._changed.wait_for(lambda: bool(self._waiting) or self._stopping, silence)
            batch, self._waiting = self._waiting, []
            self._busy = bool(batch)
            return batch if heard else [Entry(())]

    def _store(self, records: list[Encoded]) -> DevstreamError | None:
        """Store a batch; give the error for all of it. After one failure nothing is tried again."""
        error = self.failed
        if error is None:
            try:
                self.failed = self._journal.append(records) if records else self._journal.renew()
            except DevstreamError as problem:
                error = self.failed = problem
            except BaseException as problem:  # noqa: BLE001 - a defect of ours: everybody has to hear of it
                self._defect = problem
                error = self.failed = StateError(f"the state cannot be written: {problem!r}", code="defect")
        if error is not None:
            self.unsaved += [item.record for item in records if not isinstance(item.record, Begin)]
        return error

    def _answer(self, entry: Entry, error: DevstreamError | None) -> None:
        if entry.done is None:
            self._refused = self._refused or entry.refused
            return
        try:
            entry.done(entry.refused or error)
        except BaseException as problem:  # noqa: BLE001 - the thread has to live on for the others
            self._defect = self._defect or problem
