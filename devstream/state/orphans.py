"""Blobs that nothing names: a crash between storing one and the swap that would have named it leaves them behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.state.editing import Proposal, current

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.state.backend import StateBackend
    from devstream.state.head import HeadDocument

__all__ = ["OURS", "clearing", "named"]

OURS = ("snapshot-", "segment-")
"""Kinds of blobs that a head names. What else lies there was put aside for people."""


def clearing(backend: StateBackend) -> Proposal:
    """Propose to delete the blobs that neither the state nor its history needs."""
    loaded = current(backend)
    needed = set(named(loaded.document))
    left = (item.name for item in loaded.document.garbage)
    lost = (name for name in backend.list_blobs() if name.startswith(OURS) and name not in needed)
    return Proposal(loaded, unneeded=tuple(dict.fromkeys([*lost, *left])))


def named(document: HeadDocument) -> Iterator[str]:
    """Yield the names of all blobs that a head needs, those of its history too."""
    if document.snapshot.blob is not None:
        yield document.snapshot.blob.name
    for segment in document.segments:
        yield segment.name
    for kept in document.history:
        yield kept.snapshot.name
        for segment in kept.segments:
            yield segment.name
