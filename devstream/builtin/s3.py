"""The s3 state backend: one object in a bucket of any S3-like store, replaced by conditional writes.

::

    KEY                   the head
    KEY.d/                blobs: kept snapshots, rolled-up records
    KEY.probe-ID          for a moment, before the first head is written

What a store answers to a swap is not believed: the manager reads back. Only what cannot come from a swap that took
place (no such bucket, no permission, wrong credentials, too large) is passed on as a refusal.

Do not fork once a backend was used: obstore's threads do not live on in the child, which would wait for ever.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from devstream.api import (
    CredentialsError,
    DevstreamError,
    Head,
    Refusal,
    StateConflictError,
    StateUnreachableError,
    SwapRefused,
    SwapUnsettled,
    hookimpl,
)
from devstream.builtin.s3_errors import Kind, Trouble, explain, understand
from devstream.builtin.s3_options import Place, place_of
from devstream.builtin.s3_store import open_store, require_obstore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from devstream.api import BackendRegistry

__all__ = ["S3Backend", "devstream_register_backends", "make_s3"]

T = TypeVar("T")

_QUOTED, _BARE, _GENERATION = "quoted", "bare", "generation"
_PAUSES = (0.1, 0.2, 0.4, 0.8)
_TIMEOUT = 15.0
_BLOB_TIMEOUTS = 8
"""How many times longer the request of a blob may take: it can be a hundred times as large as a head."""

_REFUSALS = {
    Kind.NO_CONTAINER: Refusal.CONTAINER_MISSING,
    Kind.NO_CREDENTIALS: Refusal.CREDENTIALS,
    Kind.CREDENTIALS: Refusal.CREDENTIALS,
    Kind.CLOCK: Refusal.CREDENTIALS,
    Kind.FORBIDDEN: Refusal.FORBIDDEN,
    Kind.TOO_LARGE: Refusal.TOO_LARGE,
}
_FOR_CREDENTIALS = (Kind.NO_CREDENTIALS, Kind.CREDENTIALS, Kind.CLOCK, Kind.FORBIDDEN)


@hookimpl
def devstream_register_backends(registry: BackendRegistry) -> None:
    """Add the backend ``s3``."""
    registry.add("s3", make_s3, plugin="devstream")


def make_s3(options: Mapping[str, Any], folder: Path) -> S3Backend:  # noqa: ARG001 - what every factory is given
    """Make the backend from ``config.state.options``: ``bucket region key`` and others; see the how-to page.

    Raises:
        OptionError: an option is unknown, missing or wrong.
        PluginError: obstore is not installed.
    """
    place = place_of(options)
    require_obstore()
    return S3Backend(place)


class S3Backend:
    """State in an object of a bucket. Nothing is sent before the first call.

    Args:
        timeout: seconds that one request for the head may take.
        sleep: waits so many seconds.
    """

    def __init__(
        self,
        place: Place,
        *,
        timeout: float = _TIMEOUT,
        manner: Mapping[str, Any] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._place = place
        self._timeout = timeout
        self._etag = (manner or self.manners()[0])["etag"]
        self._sleep = sleep
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._stores: dict[float, Any] = {}

    @property
    def location(self) -> str:
        """The URL of the head."""
        return self._place.location

    # -- the six calls

    def read_head(self) -> Head | None:
        """Read the object; its version is its ETag without quotes."""
        return self._get(self._place.key, self._timeout)

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Write the object if it is the expected one, or if there is none. Sent once, whatever comes of it."""
        mode = "create" if expected is None else self._if_match(expected)
        answer = self._put(self._place.key, data, mode, self._timeout)
        if isinstance(answer, Trouble):
            raise self._swap_error(answer)
        version = self._version(answer)
        if not version:
            message = f"{self.location} was perhaps written: the store gave no version"
            raise SwapUnsettled(message)
        return version

    def put_blob(self, name: str, data: bytes) -> None:
        """Write a blob; sent again where the answer is lost, since its name is its own."""
        path, seconds = self._blob(name), self._timeout * _BLOB_TIMEOUTS
        self._patiently("write", lambda: self._put(path, data, "overwrite", seconds))

    def get_blob(self, name: str) -> bytes | None:
        """Read a blob; None where it is missing."""
        found = self._get(self._blob(name), self._timeout * _BLOB_TIMEOUTS)
        return found.data if found else None

    def delete_blob(self, name: str) -> None:
        """Delete a blob; a missing one is fine."""
        self._delete(self._blob(name))

    def list_blobs(self) -> list[str]:
        """List the blobs, in order."""
        import obstore

        prefix = self._blob("")
        store = self._store(self._timeout)
        found = self._patiently("list", lambda: _tried(lambda: obstore.list(store, prefix[:-1]).collect()))
        names = [entry["path"].removeprefix(prefix) for entry in found or ()]
        return sorted(name for name in names if "/" not in name)

    # -- the probe

    def manners(self) -> Sequence[Mapping[str, Any]]:
        """How the version is written into If-Match: as an ETag with quotes, or without, as some stores want it."""
        if self._place.scheme == "gs":
            return ({"etag": _GENERATION},)
        return ({"etag": _QUOTED}, {"etag": _BARE})

    def probe_place(self, manner: Mapping[str, Any]) -> S3Backend:
        """Open a new object beside the head."""
        place = self._place._replace(key=f"{self._place.key}.probe-{uuid4().hex}")
        return S3Backend(place, timeout=self._timeout, manner=manner, sleep=self._sleep)

    def adopt(self, manner: Mapping[str, Any]) -> None:
        """Write versions in this manner; an unknown one is that of a newer devstream, and changes nothing."""
        if manner in self.manners():
            self._etag = manner["etag"]

    def remove(self) -> None:
        """Delete the object."""
        self._delete(self._place.key)

    # -- requests

    def _store(self, timeout: float) -> Any:
        """Open the store on first use; one for each time-out, since that belongs to the connection."""
        if os.getpid() != self._pid:
            message = f"{self.location}: this process was forked from one that had opened the state"
            raise StateUnreachableError(message, suggestion="start it anew: spawn or forkserver, not fork")
        with self._lock:
            if timeout not in self._stores:
                self._stores[timeout] = open_store(self._place, timeout)
            return self._stores[timeout]

    def _get(self, path: str, timeout: float) -> Head | None:
        import obstore

        store = self._store(timeout)

        def get() -> Head:
            found = obstore.get(store, path)
            return Head(bytes(found.bytes()), self._version(found.meta))

        return self._patiently("read", lambda: _tried(get))

    def _put(self, path: str, data: bytes, mode: Any, timeout: float) -> Any:
        import obstore

        store = self._store(timeout)
        return _tried(lambda: obstore.put(store, path, data, mode=mode, use_multipart=False))

    def _delete(self, path: str) -> None:
        import obstore

        store = self._store(self._timeout)
        self._patiently("delete", lambda: _tried(lambda: obstore.delete(store, path)))

    def _patiently(self, doing: str, ask: Callable[[], T | Trouble]) -> T | None:
        """Ask for something that may be asked for twice; None where the object is missing."""
        answer = ask()
        for pause in _PAUSES:
            if not isinstance(answer, Trouble) or not answer.kind.passes:
                break
            self._sleep(pause)
            answer = ask()
        if not isinstance(answer, Trouble):
            return answer
        if answer.kind is Kind.MISSING:
            return None
        raise self._error(answer, doing)

    def _blob(self, name: str) -> str:
        return f"{self._place.key}.d/{name}"

    # -- versions

    def _version(self, about: Mapping[str, Any]) -> str:
        if self._etag == _GENERATION:
            return about.get("version") or ""
        return (about.get("e_tag") or "").removeprefix("W/").strip('"')

    def _if_match(self, version: str) -> Mapping[str, str]:
        """Say what has to be there. ``*`` would match anything, and no version might match nothing."""
        if not version.strip('"* ') or not version.isprintable():
            message = f"{version!r} is no version of {self.location}"
            raise StateConflictError(message)
        if self._etag == _GENERATION:
            return {"version": version}
        return {"e_tag": version if self._etag == _BARE else f'"{version}"'}

    # -- errors

    def _swap_error(self, trouble: Trouble) -> DevstreamError:
        what, hint = explain(trouble, self._place)
        if trouble.kind in _REFUSALS:
            message = f"cannot write the state {self.location}: {what}"
            return SwapRefused(message, _REFUSALS[trouble.kind], suggestion=hint)
        if trouble.kind in (Kind.CONFLICT, Kind.MISSING):
            return StateConflictError(
                f"the state {self.location} is not what was expected ({trouble.status})"
            )
        return SwapUnsettled(f"{self.location} was perhaps written: {what}")

    def _error(self, trouble: Trouble, doing: str) -> DevstreamError:
        what, hint = explain(trouble, self._place)
        kind = CredentialsError if trouble.kind in _FOR_CREDENTIALS else StateUnreachableError
        return kind(f"cannot {doing} the state {self.location}: {what}", suggestion=hint)


def _tried(call: Callable[[], T]) -> T | Trouble:
    """Call obstore. What it raises ends here: its text may hold what nobody should read."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001 - no exception class of obstore says what happened
        return understand(error)
