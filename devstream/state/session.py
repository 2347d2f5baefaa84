"""`StateWriter`: what a run that holds the lease writes with, and how it ends."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, Self

from devstream.errors import DevstreamError, StateConflictError, SwapRefused
from devstream.model.state import RunRecord
from devstream.record import replace
from devstream.state.codec import encode_record
from devstream.state.journal import Encoded
from devstream.state.rescue import rescue_path, write_rescue
from devstream.state.writer import Entry, WriterThread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
    from pathlib import Path
    from types import TracebackType

    from devstream.model.state import Begin, Drop, End, LeaseHolder, Move, Put, Record, State
    from devstream.state.journal import Journal

__all__ = ["StateWriter", "Closing"]


class Closing(NamedTuple):
    """What the end of a run needs to know."""

    location: str
    rescue_folder: Path | None
    holder: LeaseHolder
    clock: Callable[[], str]
    encrypt: Callable[[bytes], bytes] = bytes


class StateWriter:
    """Records what a run does. A context manager: leaving it closes it.

    ``done`` callbacks are called in the writer's thread and must not wait for anything. A `done` without an error
    means that the record and everything handed in before it are durable.

    Args:
        lease: what is to be closed at the end, for a lease that the kernel keeps.
        is_only: False where somebody who had the lease before may still be at work; nobody can tell.
    """

    def __init__(self, journal: Journal, lease: ExitStack, closing: Closing, *, is_only: bool = True) -> None:
        self._journal = journal
        self._lease = lease
        self._closing = closing
        self._thread = WriterThread(journal)
        self._closed = False
        self.is_only = is_only
        if journal.silence is not None:
            self._thread.start()

    @property
    def state(self) -> State:
        """Everything that is durable, folded. Later records do not change a state that was given."""
        return self._journal.state

    @property
    def failed(self) -> DevstreamError | None:
        """Why nothing can be recorded any more; None while all is well."""
        return self._thread.failed

    def begin(self, record: Begin, done: Callable[[DevstreamError | None], None]) -> None:
        """Announce an operation; it may start once ``done(None)`` was called. Returns at once."""
        self._hand_in((record,), done)

    def record(
        self,
        *records: End | Put | Drop | Move,
        done: Callable[[DevstreamError | None], None] | None = None,
    ) -> None:
        """Record what came of something. Returns at once; several records of one call are stored together."""
        self._hand_in(records, done)

    def _hand_in(
        self, records: Sequence[Record], done: Callable[[DevstreamError | None], None] | None
    ) -> None:
        if not records and done is None:
            return
        try:
            entry = Entry(_encode(records), done)
        except DevstreamError as problem:
            entry = Entry((), done, problem)
        self._thread.hand_in(entry)

    def require_lease(self) -> None:
        """Make sure, right before a side effect, that we still have the lease; renews it where it has run out.

        Waits for a swap where it has; to be called from a worker's thread.

        Raises:
            StateError, CredentialsError: it is lost: somebody else may be at work.
        """
        if self.failed is None and self._journal.has_lease:
            return
        heard: list[DevstreamError | None] = []
        answered = threading.Event()

        def done(error: DevstreamError | None) -> None:
            heard.append(error)
            answered.set()

        self._thread.hand_in(Entry((), done))
        answered.wait()
        problem = heard[0] or self.failed
        if problem is not None:
            raise problem
        if not self._journal.has_lease:
            message = f"the lease on the state {self._closing.location} runs out before it can be renewed"
            raise StateConflictError(message, code="lease-lost", suggestion="run again")

    def flush(self) -> None:
        """Wait until everything handed in is durable.

        Raises:
            DevstreamError: it could not be stored, or a record was no JSON.
        """
        self._thread.flush()

    def close(self, run: RunRecord | None = None) -> None:
        """Store what is waiting, record the run, and let go of the lease. Closing twice is closing once.

        A run that recorded nothing and in which all went well writes nothing. Where records could not be stored,
        they go into a rescue file, which the error names.

        Raises:
            StateConflictError: somebody else wrote the state meanwhile.
            DevstreamError: it could not be stored for another reason.
        """
        if self._closed:
            return
        self._closed = True
        with self._lease:
            self._thread.stop()
            records = _encode((run,)) if run else ()
            if self._thread.failed is None:
                self._finish(records, worthwhile=bool(run and run.not_succeeded))
            if self._thread.failed is not None:
                self._rescue(self._thread.failed)
            if isinstance(self._thread.failed, SwapRefused):  # a head without more in it may be accepted
                self._give_back()
            self._thread.check()

    def _finish(self, records: Sequence[Encoded], *, worthwhile: bool) -> None:
        if not self._journal.wrote and not worthwhile:
            self._give_back()
            return
        try:
            self._thread.failed = self._journal.finish(records)
        except DevstreamError as problem:
            self._thread.failed = problem
            self._thread.unsaved += [encoded.record for encoded in records]

    def _give_back(self) -> None:
        """Let go of the lease; one that is lost already, or cannot be let go of, does no harm."""
        with suppress(DevstreamError):
            self._journal.give_back()

    def _rescue(self, problem: DevstreamError) -> None:
        """Write the rescue file where something is lost, and say so in the problem."""
        from shlex import quote

        if all(isinstance(record, RunRecord) for record in self._thread.unsaved):
            return
        closing = self._closing
        path = rescue_path(closing.location, closing.rescue_folder, closing.holder.run_id)
        try:
            write_rescue(
                path,
                self._journal.document,
                closing.holder,
                self._thread.unsaved,
                self._journal.begin_of,
                now=closing.clock(),
                encrypt=closing.encrypt,
            )
        except OSError as error:
            kept = f"what this run did could not be kept in {path} either ({error.strerror})"
            hint = (
                f"{kept}; `devstream run` looks at each operation that was left open and goes on from there"
            )
        else:
            kept = f"what this run did and could not record is kept in {path}"
            hint = f"{kept}; once the state can be written, record it: devstream state push --rescue {quote(str(path))}"
        problem.diagnostic = replace(problem.diagnostic, suggestion=hint)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
            return
        try:
            self.close()
        except DevstreamError as problem:
            error.add_note(str(problem))


def _encode(records: Sequence[Record]) -> tuple[Encoded, ...]:
    return tuple(Encoded(record, encode_record(record)) for record in records)
