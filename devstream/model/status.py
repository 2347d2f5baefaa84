"""`ResourceStatus`: what a plugin says about the thing it manages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from devstream.record import Immutable, field

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Outputs", "ResourceStatus"]

Outputs: TypeAlias = "Mapping[str, Any]"
"""What other tools may reference, by key; values are JSON or `Secret`."""


class ResourceStatus(Immutable, frozen=True):
    """What `create`, `read` and `update` return.

    Attributes:
        properties: what is managed; a difference between two reads is drift, so nothing that changes by
            itself belongs here. Absence of a thing is reported as None, not by leaving the key out.
        outputs: what other tools may reference. None means "not looked up": the recorded ones stay.
        info: what lives by itself (a CI result, a branch's head): shown, never compared.
    """

    properties: Mapping[str, Any] = field(default_factory=dict)
    outputs: Outputs | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
