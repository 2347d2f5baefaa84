"""A state goes to another backend, and at no moment are there two of it.

1. every blob is copied, then a head at the new place that says "not yet: the state is still at the old place";
2. all of that is read back and compared;
3. one swap makes the old head say "moved to the new place": from here on nobody writes there;
4. one swap makes the new head the state.

Whatever is interrupted before 3, the old place is the state, and doing it again begins anew. Between 3 and 4 neither
takes a run, each names the command that finishes, and all of the state is at both.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from devstream.errors import DevstreamError, StateDamagedError, StateError, UsageError
from devstream.model.state import RunRecord
from devstream.record import Immutable
from devstream.state.codec import record_to_json
from devstream.state.editing import Proposal
from devstream.state.head import digest, encode_head, is_sealed, new_id
from devstream.state.orphans import OURS, named
from devstream.state.probe import with_store
from devstream.state.reading import document_of, load
from devstream.state.sealed_backend import SealedBackend, lineage_in, stored
from devstream.state.swap import Swapper

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.model.state import LeaseHolder
    from devstream.state.backend import StateBackend
    from devstream.state.head import HeadDocument

__all__ = ["Copied", "Move", "Stage"]


class Stage(StrEnum):
    """How far a move has come."""

    READY = "ready"
    HALF = "half"
    DONE = "done"


class Copied(Immutable, frozen=True):
    """What was copied: how many blobs, and bytes in them and the head, before encryption."""

    blobs: int
    size: int


class _There(Immutable, frozen=True):
    """A head as it is, whether it is the state or not."""

    document: HeadDocument
    version: str


class Move:
    """One state on its way from one backend to another.

    Args:
        clock: the time of day, as it is written.
    """

    def __init__(
        self, source: StateBackend, target: StateBackend, holder: LeaseHolder, clock: Callable[[], str]
    ) -> None:
        self._source = source
        self._target = target
        self._holder = holder
        self._clock = clock
        self._write_id = new_id()
        self._copied = Copied(0, 0)

    @property
    def copied(self) -> Copied:
        """What `copy` has copied."""
        return self._copied

    def stage(self) -> Stage:
        """Look at both places. Writes nothing.

        Raises:
            UsageError: both are one place, or there is nothing to move.
            StateError: the new place is not empty, or one of them cannot be read.
        """
        if self._source.location == self._target.location:
            raise self._same()
        source = _look(self._source)
        if isinstance(self._source, SealedBackend) and not self._source.seals:
            self._target = stored(self._target)
        target = _look(self._target)
        if source is None:
            message = f"there is no state at {self._source.location} that could be moved"
            raise UsageError(message, code="nothing-to-move")
        if source.document.moved_to:
            return self._stage_of_moved(source.document, target)
        if target is not None and target.document.write_id == source.document.write_id:
            raise self._same()
        self._require_room(source.document, target)
        return Stage.READY

    def _same(self) -> UsageError:
        message = f"the state is at {self._target.location} already: both are the same place"
        return UsageError(message, code="same-place")

    def _stage_of_moved(self, source: HeadDocument, target: _There | None) -> Stage:
        arrived = target.document if target else None
        if source.moved_as and arrived and arrived.write_id == source.moved_as:
            return Stage.HALF
        if source.moved_as and arrived and not arrived.moved_to and arrived.lineage == source.lineage:
            return Stage.DONE
        load(self._source)  # which says where it went
        return Stage.DONE

    def _require_room(self, source: HeadDocument, target: _There | None) -> None:
        """Refuse a place with anything in it but what an earlier attempt left."""
        if target is not None and not (
            target.document.moved_to and target.document.lineage == source.lineage
        ):
            raise StateError(
                f"there is a state at {self._target.location} already (lineage {target.document.lineage})",
                code="not-empty",
                suggestion="name an empty place",
            )
        if target is None:
            strange = [name for name in _listed(self._target) if not self._is_ours(name, source)]
            if strange:
                raise StateError(
                    f"at {self._target.location} are parts of another state whose head is gone: {strange[0]}",
                    code="not-empty",
                    suggestion="name an empty place, or restore that state: `devstream state history` there",
                )

    def _is_ours(self, name: str, source: HeadDocument) -> bool:
        """Tell whether an interrupted move of this state may have left a blob."""
        data = self._target.get_blob(name) or b""
        return lineage_in(data) == source.lineage or data == self._source.get_blob(name)

    def propose(self, backend: StateBackend) -> Proposal:
        """Propose that the old head says where the state went; `copy` comes before that is recorded."""
        loaded = load(backend)
        if loaded is None:
            raise StateError(f"the state {backend.location} is gone")
        document = msgspec.structs.replace(
            loaded.document, moved_to=self._target.location, moved_as=self._write_id
        )
        names = _kept(backend, loaded.document)
        note = f"the state with {len(names)} kept parts goes to {self._target.location}"
        return Proposal(loaded._replace(document=document), rewrites=True, notes=(note,))

    def copy(self, proposal: Proposal) -> None:
        """Copy everything and compare; the new place is not the state yet.

        Raises:
            StateError, CredentialsError: something could not be copied; the old place is still the state.
        """
        source = proposal.loaded.document
        names = _kept(self._source, source)
        size = sum(self._copy_blob(name) for name in names)
        there = _look(self._target)
        document = self._arriving(source)
        data = encode_head(document)
        Swapper(self._target).swap(data, document.write_id, there.version if there else None)
        self._verify(names, data)
        self._copied = Copied(len(names), size + len(data))

    def _copy_blob(self, name: str) -> int:
        data = self._source.get_blob(name)
        if data is None:
            raise StateDamagedError(
                f"the state {self._source.location} is damaged: its part {name} is missing",
                suggestion="`devstream state history --verify` says what else is; a restore drops what is broken",
            )
        there = self._target.get_blob(name)
        if there is not None and there != data:
            self._target.delete_blob(name)
        if there != data:
            self._target.put_blob(name, data)
        return len(data)

    def _arriving(self, source: HeadDocument) -> HeadDocument:
        """Make the head that says at the new place that the state has not arrived."""
        run = RunRecord(self._holder.run_id, self._holder.command, self._holder.since, self._clock(), {})
        document = msgspec.structs.replace(
            source,
            serial=source.serial + 1,
            write_id=self._write_id,
            recent=(source.write_id,),
            records=(*source.records, record_to_json(run)),
            lease=None,
            garbage=(),
            store={},
            moved_to=self._source.location,
            moved_as=None,
        )
        return with_store(document, self._target)

    def _verify(self, names: list[str], data: bytes) -> None:
        """Read everything back."""
        head = self._target.read_head()
        wrong = [name for name in names if not self._is_equal(name)]
        if head is None or head.data != data or wrong:
            what = wrong[0] if wrong else "the head"
            raise StateError(
                f"{self._target.location} does not give back what was stored there: {what} differs",
                code="copy-differs",
                suggestion=f"the state stays at {self._source.location}; look at that store",
            )

    def _is_equal(self, name: str) -> bool:
        there, here = self._target.get_blob(name), self._source.get_blob(name)
        return there is not None and here is not None and digest(there) == digest(here)

    def finish(self) -> None:
        """Make the new place the state. The old one has said before that it is not any more.

        Raises:
            StateError: the new place is not what was copied there.
        """
        source, target = _look(self._source), _look(self._target)
        if source is None or target is None or source.document.moved_as != target.document.write_id:
            message = f"what is at {self._target.location} is not what was copied there"
            raise StateError(message, code="copy-differs")
        now = target.document
        document = msgspec.structs.replace(
            now, serial=now.serial + 1, write_id=new_id(), recent=(now.write_id, *now.recent), moved_to=None
        )
        Swapper(self._target).swap(encode_head(document), document.write_id, target.version)


def _look(backend: StateBackend) -> _There | None:
    """Read a head, also one that is not the state; None where there is none.

    Raises:
        StateDamagedError, StateForeignError: it cannot be read.
    """
    head = backend.read_head()
    if head is None:
        return None
    if not is_sealed(head.data):
        load(backend)  # which says what it is
    return _There(document_of(head.data, backend.location), head.version)


def _kept(backend: StateBackend, document: HeadDocument) -> list[str]:
    """Name everything that goes along: what the head names, and what people put aside."""
    aside = (name for name in _listed(backend) if not name.startswith(OURS))
    return list(dict.fromkeys([*named(document), *aside]))


def _listed(backend: StateBackend) -> list[str]:
    """List blobs; none where that is not allowed."""
    try:
        return backend.list_blobs()
    except DevstreamError:
        return []
