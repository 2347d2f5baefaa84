"""The Kubernetes state backend: one ConfigMap that is compared and swapped, and immutable ones beside it.

::

    NAMESPACE/CONFIGMAP                 the head, under the key ``head``; other keys are other people's
    NAMESPACE/CONFIGMAP-BLOB-0, -1 ...  a blob in chunks; number 0 is written last, and says how many there are

A version is the ConfigMap's uid with its resourceVersion: the API server replaces nothing but that very object in that
very version. Where only somebody else's key, label or annotation was changed, the head keeps its version for whoever
has seen it, and the swap is tried again on top of that change.
"""

from __future__ import annotations

import os
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from devstream.api import DevstreamError, Head, StateConflictError, SwapUnsettled, hookimpl
from devstream.builtin.kubernetes_blobs import Blobs
from devstream.builtin.kubernetes_calls import Calls, is_moved
from devstream.builtin.kubernetes_head import head_in, same_head, version_of, with_head
from devstream.builtin.kubernetes_options import Target, read_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from devstream.api import BackendRegistry

__all__ = ["KubernetesBackend", "devstream_register_backends", "make_kubernetes"]

ConfigMap: TypeAlias = "dict[str, Any]"

_ATTEMPTS = 8
"""How often a swap is tried again because somebody touched another part of the ConfigMap."""

_MANNER = {"versions": "uid/resourceVersion"}


@hookimpl
def devstream_register_backends(registry: BackendRegistry) -> None:
    """Add the backend under both names that the original DevStream gave it."""
    for name in ("k8s", "kubernetes"):
        registry.add(name, make_kubernetes, plugin="devstream")


def make_kubernetes(options: Mapping[str, Any], folder: Path) -> KubernetesBackend:
    """Make the backend from ``config.state.options``: ``namespace configmap context kubeconfig``.

    Nothing is imported or reached before the first call.

    Raises:
        OptionError: an option is unknown, or has a value that Kubernetes does not take.
    """
    target = read_options(options, folder)
    return KubernetesBackend(target, Calls(target, os.environ))


class _Seen(NamedTuple):
    """The ConfigMap as it was read or written last, and the version of the head in it; None where there is none."""

    content: ConfigMap | None
    version: str | None


class KubernetesBackend:
    """State in ConfigMaps of one namespace.

    Args:
        target: which ConfigMap.
        calls: the API server.
    """

    def __init__(self, target: Target, calls: Calls) -> None:
        self._target = target
        self._calls = calls
        self._blobs = Blobs(target, calls)
        self._seen = _Seen(None, None)

    @property
    def location(self) -> str:
        """``k8s://namespace/configmap``, with the context where one is named."""
        return self._target.url

    def read_head(self) -> Head | None:
        """Read the head: the key ``head``, or without one the state that the original DevStream has left."""
        seen = self._look()
        head = head_in(seen.content)
        return None if head is None or seen.version is None else Head(head.data, seen.version)

    def _look(self) -> _Seen:
        """Read the ConfigMap. A head keeps its version while only other parts of the ConfigMap change."""
        now, before = self._calls.get(self._target.configmap), self._seen
        version = before.version if same_head(before.content, now) else _version(now)
        self._seen = seen = _Seen(now, version)
        return seen

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Replace the head if it is still the expected one: the same object, with the same head in it."""
        seen = self._seen
        for _ in range(_ATTEMPTS):
            if seen.version != expected:
                seen = self._look_again()
            if seen.version != expected:
                message = f"the state {self.location} is not what was expected: somebody else wrote it"
                raise StateConflictError(message)
            base = seen.content
            try:
                stored = self._store(with_head(base, data, self._target), is_new=base is None)
            except Exception as error:
                if not is_moved(error):
                    raise self._calls.refusal(error, "create" if base is None else "update") from error
                seen = self._look_again()
            else:
                self._seen = _Seen(stored, version_of(stored))
                return version_of(stored)
        message = f"the ConfigMap {self._target.name} is changed by somebody else all the time"
        raise SwapUnsettled(message)

    def _look_again(self) -> _Seen:
        """Read in the middle of a swap; where that fails, nothing is known of it."""
        try:
            return self._look()
        except DevstreamError as error:
            message = f"cannot read {self.location} in the middle of a swap"
            raise SwapUnsettled(message) from error

    def _store(self, content: ConfigMap, *, is_new: bool) -> ConfigMap:
        return self._calls.create(content) if is_new else self._calls.replace(content)

    def put_blob(self, name: str, data: bytes) -> None:
        """Store a blob in chunks; it is there once the first chunk is, which is written last."""
        self._blobs.put(name, data)

    def get_blob(self, name: str) -> bytes | None:
        """Read a blob; None where it is missing or not whole."""
        return self._blobs.get(name)

    def delete_blob(self, name: str) -> None:
        """Delete a blob, or what an interrupted write has left of one; a missing one is fine."""
        self._blobs.delete(name)

    def list_blobs(self) -> list[str]:
        """List the blobs, in order, with those that are not whole; needs the right to list."""
        return self._blobs.names()

    # -- a store that shows what it can do

    def manners(self) -> Sequence[Mapping[str, Any]]:
        """Give the one way in which ConfigMaps are swapped."""
        return (_MANNER,)

    def probe_place(self, manner: Mapping[str, Any]) -> KubernetesPlace:  # noqa: ARG002 - there is only one
        """Open a ConfigMap of its own beside the state."""
        beside = self._target._replace(configmap=f"{self._target.configmap}.probe-{uuid.uuid4()}")
        return KubernetesPlace(beside, self._calls)

    def adopt(self, manner: Mapping[str, Any]) -> None:
        """Use ConfigMaps as they always are."""


class KubernetesPlace(KubernetesBackend):
    """A ConfigMap to try things at."""

    def remove(self) -> None:
        """Delete it; a missing one is fine."""
        self._calls.delete(self._target.configmap)


def _version(content: ConfigMap | None) -> str | None:
    """Give the version of a ConfigMap as a head; None where there is no head in it."""
    return None if content is None or head_in(content) is None else version_of(content)
