"""Where in a ConfigMap the head is, and how it is put there without touching what others keep in it."""

from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.api import StateUnreachableError

if TYPE_CHECKING:
    from devstream.builtin.kubernetes_options import Target

__all__ = ["head_in", "same_head", "version_of", "with_head"]

KEY = "head"
ORIGINAL = "state"
"""The key under which the original DevStream keeps its state."""

WRITE = "devstream.io/write"
"""An annotation that differs with every swap, so that two equal heads never look like one."""

_LONGEST_TEXT = 2_500_000
"""Bytes of JSON that a head may need as text; a request may have 3 MiB."""

_WORST_ESCAPE = 6
"""Characters of JSON for one byte: ``\\u0001``."""


class _Found(NamedTuple):
    """A head, and the key it was under."""

    data: bytes
    key: str


def head_in(config_map: dict[str, Any] | None) -> _Found | None:
    """Find the head: ours, or else the original DevStream's state; None where there is neither."""
    if config_map is None:
        return None
    texts, binaries = config_map.get("data") or {}, config_map.get("binaryData") or {}
    for key in (KEY, ORIGINAL):
        if key in texts:
            return _Found(texts[key].encode(), key)
        if key in binaries:
            return _Found(base64.b64decode(binaries[key]), key)
    return None


def version_of(config_map: dict[str, Any]) -> str:
    """Give the version of a ConfigMap: uid and resourceVersion.

    Raises:
        StateUnreachableError: it has none. Replacing it would overwrite whatever is there.
    """
    metadata = config_map.get("metadata") or {}
    uid, version = metadata.get("uid"), metadata.get("resourceVersion")
    if not uid or not version or version == "0":
        message = (
            f"the API server gives no version of the ConfigMap {metadata.get('name')}: it cannot be swapped"
        )
        raise StateUnreachableError(
            message, suggestion="use an API server of Kubernetes itself, not a cache of one"
        )
    return f"{uid}/{version}"


def same_head(before: dict[str, Any] | None, now: dict[str, Any] | None) -> bool:
    """Tell whether two readings hold the same head: nobody has swapped it, only other parts were changed."""
    heads = head_in(before), head_in(now)
    if before is None or now is None or heads == (None, None):
        return heads == (None, None)
    return heads[0] == heads[1] and _identity(before) == _identity(now)


def _identity(config_map: dict[str, Any]) -> tuple[Any, Any]:
    metadata = config_map["metadata"]
    return metadata.get("uid"), (metadata.get("annotations") or {}).get(WRITE)


def with_head(base: dict[str, Any] | None, data: bytes, target: Target) -> dict[str, Any]:
    """Put a head in a ConfigMap, or in a new one where there is none.

    The state of the original DevStream goes with the swap that puts a head in its place. All else stays.
    """
    if base is None:
        base = {
            "metadata": {"name": target.configmap, "namespace": target.namespace, "labels": target.labels}
        }
    else:
        version_of(base)  # refuses what cannot be swapped
    found = head_in(base)
    replaced = {KEY, found.key if found else KEY}
    kept = {
        field: {key: value for key, value in (base.get(field) or {}).items() if key not in replaced}
        for field in ("data", "binaryData")
    }
    text = _as_text(data)
    if text is None:
        kept["binaryData"][KEY] = base64.b64encode(data).decode("ascii")
    else:
        kept["data"][KEY] = text
    metadata = base["metadata"]
    annotations = {**(metadata.get("annotations") or {}), WRITE: os.urandom(8).hex()}
    return {**base, **kept, "metadata": {**metadata, "annotations": annotations}}


def _as_text(data: bytes) -> str | None:
    """Give a head as text, which people can read with kubectl; None where that cannot be sent."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return None
    if len(data) * _WORST_ESCAPE > _LONGEST_TEXT and len(json.dumps(text)) > _LONGEST_TEXT:
        return None
    return text
