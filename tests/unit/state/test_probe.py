"""The probe accepts stores that compare and swap, in the manner that works, and refuses all others."""

from __future__ import annotations

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from devstream.builtin.local import make_local
from devstream.builtin.s3 import S3Backend
from devstream.builtin.s3_options import place_of
from devstream.errors import (
    DevstreamError,
    Refusal,
    StateConflictError,
    StateError,
    SwapRefused,
    SwapUnsettled,
)
from devstream.state.backend import Probed, probed_behind
from devstream.state.head import encode_head, first_head
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.probe import probe, store_in, with_store
from devstream.testing.backends import MemoryBackend
from devstream.testing.crash import BackendAround
from devstream.testing.fault_proxy import FAULTS, Dice
from devstream.testing.s3 import s3, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from devstream.state.backend import Head
    from devstream.testing.s3 import Bucket

__all__ = ["s3", "s3_server"]

NOW = "2026-01-01T00:00:00Z"


class Place:
    """A place in memory, with what is wrong with it."""

    def __init__(self, store: Store, manner: Mapping[str, Any]) -> None:
        self.inner = MemoryBackend()
        self.store = store
        self.manner = manner
        store.places.append(self)
        self.removed = False
        self._barrier = threading.Barrier(2, timeout=5)

    def read_head(self) -> Head | None:
        return self.inner.read_head()

    def swap_head(self, data: bytes, expected: str | None) -> str:
        flaw = self.store.flaw
        if flaw == "refuses everything":
            message = "no"
            raise SwapRefused(message, Refusal.FORBIDDEN)
        if flaw == "stores nothing" or (flaw == "wants bare" and expected and self.manner["etag"] != "bare"):
            raise StateConflictError("no")
        head = self.inner.read_head()
        now = head.version if head else None
        blind = (
            flaw == "ignores If-None-Match" and expected is None and head,
            flaw == "ignores If-Match" and expected is not None,
            flaw == "everybody wins" and expected == "v2",
        )
        if any(blind):
            return self.inner.swap_head(data, now)
        if flaw == "says yes" and expected != now:
            return "v9"
        if flaw == "answers with its own error" and expected != now:
            raise SwapUnsettled("500")
        return self.inner.swap_head(data, expected)

    def remove(self) -> None:
        self.removed = True


class Store(MemoryBackend):
    """A backend whose store is probed."""

    def __init__(self, flaw: str = "") -> None:
        super().__init__()
        self.flaw = flaw
        self.places: list[Place] = []
        self.adopted: Mapping[str, Any] = {}

    def manners(self) -> Sequence[Mapping[str, Any]]:
        return ({"etag": "quoted"}, {"etag": "bare"})

    def probe_place(self, manner: Mapping[str, Any]) -> Place:
        return Place(self, manner)

    def adopt(self, manner: Mapping[str, Any]) -> None:
        self.adopted = manner


@pytest.mark.parametrize(
    ("flaw", "manner"),
    [("", "quoted"), ("wants bare", "bare"), ("answers with its own error", "quoted")],
)
def test_a_right_store_is_accepted(flaw: str, manner: str) -> None:
    store = Store(flaw)
    assert probe(store, sleep=lambda _: None) == {"etag": manner}
    assert all(place.removed for place in store.places)


@pytest.mark.parametrize(
    ("flaw", "reason"),
    [
        ("stores nothing", "does not store a new object"),
        ("ignores If-None-Match", "replaces what is there"),
        ("ignores If-Match", "an older version is accepted"),
        ("says yes", "replaces what is there"),
        ("everybody wins", "not exactly one is stored"),
    ],
)
def test_a_wrong_store_is_refused(flaw: str, reason: str) -> None:
    store = Store(flaw)
    with pytest.raises(StateError, match=reason) as caught:
        probe(store, sleep=lambda _: None)
    assert caught.value.diagnostic.code == "store-unsafe"
    assert caught.value.exit_code == 6
    assert "conditional writes" in caught.value.diagnostic.suggestion
    assert len(store.places) == 2
    assert all(place.removed for place in store.places)


def test_a_refusal_is_passed_on() -> None:
    store = Store("refuses everything")
    with pytest.raises(SwapRefused) as caught:
        probe(store)
    assert caught.value.exit_code == 7
    assert store.places[0].removed


def acquire(backend: Any) -> Any:
    return StateManager(backend).acquire(this_process("run", "tests"), timeout=0, notice=lambda _: None)


def test_the_first_head_remembers_what_was_found() -> None:
    store = Store("wants bare")
    acquire(store).close()
    head = store.read_head()
    assert head is not None
    assert store_in(head.data) == {"etag": "bare"}
    assert store.adopted == {"etag": "bare"}
    assert len(store.places) == 2
    store.adopted = {}
    with acquire(store):
        assert len(store.places) == 2


def test_what_is_known_is_adopted_before_a_swap_and_what_is_not_is_found_out(s3: Bucket) -> None:
    backend = s3.backend()
    backend.swap_head(encode_head(first_head(NOW)), None)  # a head that was copied there by hand
    with acquire(s3.backend()):
        pass
    assert s3.objects() == ["devstream.state"]
    assert any("probe" in asked.path for asked, _, _ in s3.proxy.log)


def test_nothing_is_written_where_the_store_is_wrong() -> None:
    store = Store("ignores If-Match")
    with pytest.raises(StateError, match="cannot keep a state"):
        acquire(store)
    assert store.read_head() is None


def test_local_needs_no_probe(tmp_path: Path) -> None:
    backend = make_local({}, tmp_path)
    assert probed_behind(backend) is None
    document = first_head(NOW)
    assert with_store(document, backend) is document


def test_the_backend_behind_others_is_found() -> None:
    store = Store()
    assert isinstance(store, Probed)
    assert probed_behind(BackendAround(BackendAround(store))) is store
    assert probed_behind(object()) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"store": 5}', b"\xff"])
def test_bytes_that_are_no_head_say_nothing(data: bytes) -> None:
    assert store_in(data) == {}


@pytest.mark.parametrize("seed", range(4))
def test_a_store_is_probed_through_a_bad_network(s3: Bucket, seed: int) -> None:
    """Answers that get lost, come late or are cut say nothing against a store."""
    forged = ("before403", "before409", "before412")
    faults = [fault for name, fault in FAULTS.items() if name not in forged]
    s3.proxy.choose = Dice(0.35, faults, seed=seed)
    assert probe(S3Backend(s3.place(), timeout=0.3)) == {"etag": "quoted"}
    assert s3.proxy.counts().total() > s3.proxy.counts()["none"]


class LyingHandler(BaseHTTPRequestHandler):
    """Stores objects; of preconditions it believes what the server's ``believes`` says."""

    protocol_version = "HTTP/1.1"
    server: LyingServer

    def _reply(self, status: int, body: bytes = b"", etag: str = "") -> None:
        self.send_response_only(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT")
        if etag:
            self.send_header("etag", f'"{etag}"')
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        body = self.server.objects.get(self.path)
        if body is None:
            self._reply(404, b"<Error><Code>NoSuchKey</Code></Error>")
        else:
            self._reply(200, body, hashlib.md5(body, usedforsecurity=False).hexdigest())

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        old = self.server.objects.get(self.path)
        if "if-none-match" in self.headers and old is not None and "If-None-Match" in self.server.believes:
            self._reply(412, b"<Error><Code>PreconditionFailed</Code></Error>")
            return
        self.server.objects[self.path] = body
        self._reply(200, b"", hashlib.md5(body, usedforsecurity=False).hexdigest())

    def do_DELETE(self) -> None:
        self.server.objects.pop(self.path, None)
        self._reply(204)

    def log_message(self, *_: object) -> None:
        pass


class LyingServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, believes: tuple[str, ...]) -> None:
        super().__init__(("127.0.0.1", 0), LyingHandler)
        self.objects: dict[str, bytes] = {}
        self.believes = believes


@pytest.fixture(params=[(), ("If-None-Match",)], ids=["believes nothing", "believes If-None-Match"])
def lying(request: pytest.FixtureRequest) -> Iterator[LyingServer]:
    with LyingServer(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_store_that_ignores_preconditions_is_never_used(
    lying: LyingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "y")
    endpoint = f"http://127.0.0.1:{lying.server_port}"
    options = {"bucket": "b", "key": "devstream.state", "endpoint": endpoint, "allowHttp": True}
    with pytest.raises(DevstreamError, match="cannot keep a state") as caught:
        acquire(S3Backend(place_of(options, {})))
    assert caught.value.exit_code == 6
    assert lying.objects == {}
