"""`plain_copy`: copies of trees that are JSON through and through, made by the JSON library instead of walked here.

Nearly every tree of options, properties and outputs is plain JSON, and each is looked through many times in a run.
To encode, decode and compare one takes a fraction of what one walk over its leaves takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["MARKED", "plain_copy"]

MARKED = b'"$'
"""What the JSON text of a tree holds if one of its keys begins with ``$``, as the recorded form of a secret does."""


def plain_copy(tree: Mapping[str, Any], *, unless: bytes = b"") -> dict[str, Any] | None:
    """Give an equal tree of ``dict``, ``list``, ``str``, numbers, booleans and None, which shares nothing with this one.

    Args:
        unless: give none either where the JSON text of the tree holds this.

    Returns:
        None where JSON has no equal: for secrets and references, tuples, dates, numbers that are not finite, keys
        that are no text, half characters.
    """
    try:
        text = msgspec.json.encode(tree)
        if unless and unless in text:
            return None
        copy: dict[str, Any] = msgspec.json.decode(text)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        return None
    return copy if copy == tree else None
