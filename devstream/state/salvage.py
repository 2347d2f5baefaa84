"""A state whose head is lost, damaged or edited by hand, as if it had been read: what `restore` and `accept-edit` start from.

Every snapshot that was kept names what came before it, and a small one holds the records that followed it. So where the
head is gone the newest kept snapshot tells the state right after the last run that ended; what came later is lost.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from devstream.errors import StateDamagedError, StateForeignError
from devstream.state.codec import tool_to_json
from devstream.state.documents import check_tools
from devstream.state.edits import replacement
from devstream.state.editing import Proposal
from devstream.state.head import Blob, Garbage, HeadDocument, Kept, Snapshot, digest, is_sealed, new_id
from devstream.state.journal import KEPT
from devstream.state.migrations import migrate
from devstream.state.reading import Blobs, Loaded, apply_all, document_of, fold_of, folded, load, state_of

if TYPE_CHECKING:
    from devstream.model.state import State
    from devstream.state.backend import Head, StateBackend

__all__ = ["load_or_rebuild", "rebuilt", "accepted"]

_SNAPSHOT = re.compile(r"snapshot-(\d+)-[0-9a-f]+")
_DAMAGED = "damaged-"


class _Found(NamedTuple):
    """A snapshot that was kept, as it lies there."""

    blob: Blob
    written: int
    plain: dict[str, Any]

    @property
    def serial(self) -> int:
        return int(self.plain["serial"])
