"""Blobs as immutable ConfigMaps in chunks.

Chunk 0 is written last and deleted first, and carries the number of chunks and the digest of the whole: who sees
it sees all of the blob, or notices. The others are written from 1 upwards and deleted downwards, so that whatever
a crash leaves behind begins with chunk 1 and can be found without the right to list.

They never have ownerReferences: deleting the head and putting it back would delete its history.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.api import StateUnreachableError
from devstream.builtin.kubernetes_options import LONGEST_NAME

if TYPE_CHECKING:
    from devstream.builtin.kubernetes_calls import Calls
    from devstream.builtin.kubernetes_options import Target

__all__ = ["CHUNK", "Blobs"]

CHUNK = 900 * 1024
"""Bytes of a chunk: a ConfigMap may have 1 MiB with all that is around."""

_KEY = "chunk"
_BLOB = "devstream.io/blob"
_COUNT = "devstream.io/chunks"
_DIGEST = "devstream.io/sha256"


class _Chunk(NamedTuple):
    """A chunk, and what it says about its blob."""

    data: bytes
    total: int
    digest: str


class Blobs:
    """The blobs of one state."""

    def __init__(self, target: Target, calls: Calls) -> None:
        self._target = target
        self._calls = calls

    def put(self, name: str, data: bytes) -> None:
        """Store a blob; sent again, or on top of what a crash has left, it does no harm.

        Raises:
            StateUnreachableError: another blob has that name, or the name is too long.
            CredentialsError: it is not allowed.
        """
        chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)] or [b""]
        self._name(name, len(chunks))
        digest = hashlib.sha256(data).hexdigest()
        for number in (*range(1, len(chunks)), 0):
            chunk = _Chunk(chunks[number], len(chunks), digest)
            if not self._put_chunk(name, number, chunk):
                self._make_way(name, number)
                self.put(name, data)
                return

    def _put_chunk(self, name: str, number: int, chunk: _Chunk) -> bool:
        """Store one chunk; False where another is in its place."""
        content = self._config_map(name, number, chunk)
        if self._calls.create_if_absent(content):
            return True
        return self._chunk(name, number) == chunk

    def _make_way(self, name: str, number: int) -> None:
        """Clear away what an interrupted write of the same name has left; a whole blob stays.

        Raises:
            StateUnreachableError: it is a whole blob, or not ours.
        """
        if self._chunk(name, 0) is not None or self._chunk(name, number) is None:
            message = f"{self._target.namespace}/{self._name(name, number)} is there already, with something else in it"
            raise StateUnreachableError(message, suggestion="remove that ConfigMap if nobody needs it")
        self.delete(name)

    def get(self, name: str) -> bytes | None:
        """Read a blob; None where it is missing, not whole yet, or being deleted."""
        first = self._chunk(name, 0)
        if first is None:
            return None
        parts = [first.data]
        for number in range(1, first.total):
            part = self._chunk(name, number)
            if part is None:
                return None
            parts.append(part.data)
        data = b"".join(parts)
        return data if hashlib.sha256(data).hexdigest() == first.digest else None

    def delete(self, name: str) -> None:
        """Delete a blob, or what is left of one."""
        self._calls.delete(self._name(name, 0))
        rest = self._chunk(name, 1)
        if rest is not None:
            for number in reversed(range(1, rest.total)):
                self._calls.delete(self._name(name, number))

    def names(self) -> list[str]:
        """List all blobs of the state, in order; also those that are not whole."""
        found = self._calls.find(self._target.labels)
        names = {(item["metadata"].get("annotations") or {}).get(_BLOB) for item in found}
        return sorted(name for name in names if name)

    def _chunk(self, name: str, number: int) -> _Chunk | None:
        """Read a chunk; None where it is missing or not of this state."""
        found = self._calls.get(self._name(name, number))
        if found is None:
            return None
        metadata = found["metadata"]
        annotations = metadata.get("annotations") or {}
        ours = self._target.labels.items() <= (metadata.get("labels") or {}).items()
        count = annotations.get(_COUNT, "")
        if not ours or annotations.get(_BLOB) != name or not count.isdecimal():
            return None
        data = base64.b64decode((found.get("binaryData") or {}).get(_KEY, ""))
        return _Chunk(data, int(count), annotations.get(_DIGEST, ""))

    def _config_map(self, name: str, number: int, chunk: _Chunk) -> dict[str, Any]:
        return {
            "metadata": {
                "name": self._name(name, number),
                "namespace": self._target.namespace,
                "labels": self._target.labels,
                "annotations": {_BLOB: name, _COUNT: str(chunk.total), _DIGEST: chunk.digest},
            },
            "immutable": True,
            "binaryData": {_KEY: base64.b64encode(chunk.data).decode("ascii")},
        }

    def _name(self, name: str, number: int) -> str:
        """Name the ConfigMap of a chunk.

        Raises:
            StateUnreachableError: it would be too long.
        """
        full = f"{self._target.configmap}-{name}-{number}"
        if len(full) > LONGEST_NAME:
            message = f"{full} is too long for the name of a ConfigMap"
            raise StateUnreachableError(message, suggestion="give the state's ConfigMap a shorter name")
        return full
