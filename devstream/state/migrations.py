"""Reading what earlier versions wrote: one small function a step of the format, none of them ever removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.errors import StateDamagedError, StateForeignError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["FORMAT", "MIGRATIONS", "Document", "migrate"]

Document = dict[str, Any]
"""A head or a blob as plain JSON; ``format`` says which version wrote it."""

FORMAT = 1
"""The format this version writes."""

MIGRATIONS: Mapping[int, Callable[[Document], Document]] = {}
"""By format: what turns a document (head, snapshot or segment) of that format into the next one."""


def migrate(
    document: Document,
    where: str,
    *,
    newest: int = FORMAT,
    migrations: Mapping[int, Callable[[Document], Document]] = MIGRATIONS,
) -> Document:
    """Bring a document to the format of this version. Nothing is written: the next swap does that.

    Raises:
        StateForeignError: a newer version wrote it.
        StateDamagedError: it names no format that ever was.
    """
    written = document.get("format")
    if isinstance(written, int) and written > newest:
        message = (
            f"{where} was written by a newer version of devstream (format {written}; this one knows {newest})"
        )
        raise StateForeignError(message, code="state-newer", suggestion="upgrade devstream")
    while written != newest:
        if not isinstance(written, int) or written not in migrations:
            message = f"{where} names a format that does not exist: {written!r}"
            raise StateDamagedError(message)
        document = {**migrations[written](document), "format": written + 1}
        written += 1
    return document
