"""`FaultProxy`: an HTTP/1.1 proxy in front of any server, which loses, delays, cuts and forges answers when told to.

::

    with FaultProxy("http://127.0.0.1:5055") as proxy:
        proxy.next(DROP, on("PUT"))             # the next PUT takes place, and nobody hears of it
        proxy.choose = Dice(0.3, FAULTS.values(), seed=7, of=on("PUT"))
        client = connect(proxy.url)
        ...
        proxy.drain()                           # everything late has arrived
        assert proxy.counts()["drop"] == 1
"""

from __future__ import annotations

import http.client
import random
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl

__all__ = [
    "AFTER_500",
    "AFTER_503",
    "Asked",
    "BEFORE_403",
    "BEFORE_409",
    "BEFORE_412",
    "BEFORE_429",
    "BEFORE_503",
    "CUT_ANSWER",
    "CUT_REQUEST",
    "DROP",
    "Dice",
    "FAULTS",
    "Fault",
    "FaultProxy",
    "delayed",
    "hang",
    "late",
    "on",
]

_HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"}
)


class Fault(NamedTuple):
    """What goes wrong with one request.

    Attributes:
        name: how it is counted.
        reaches: the server gets the request.
        hold: seconds before the server gets it.
        wait: seconds before the client gets an answer.
        status: what the client gets for an answer, in place of the server's; 0 for the server's own.
        drop: the client gets no answer: its connection is closed.
        cut: ``answer``: the client gets half of the body; ``request``: the server does.
        body: of the answer in place of the server's; None for the proxy's usual one.
    """

    name: str
    reaches: bool = True
    hold: float = 0.0
    wait: float = 0.0
    status: int = 0
    drop: bool = False
    cut: str = ""
    body: bytes | None = None


DROP = Fault("drop", drop=True)
AFTER_500 = Fault("after500", status=500)
AFTER_503 = Fault("after503", status=503)
BEFORE_403 = Fault("before403", reaches=False, status=403)
BEFORE_409 = Fault("before409", reaches=False, status=409)
BEFORE_412 = Fault("before412", reaches=False, status=412)
BEFORE_429 = Fault("before429", reaches=False, status=429)
BEFORE_503 = Fault("before503", reaches=False, status=503)
CUT_ANSWER = Fault("cut-answer", cut="answer")
CUT_REQUEST = Fault("cut-request", cut="request")


def hang(seconds: float) -> Fault:
    """The request takes place, and its answer comes after so long."""
    return Fault("hang", wait=seconds)


def late(seconds: float) -> Fault:
    """The request takes place after so long, perhaps long after the client has given it up; nobody hears of it."""
    return Fault("late", hold=seconds, drop=True)


def delayed(seconds: float) -> Fault:
    """Everything is well, only slow."""
    return Fault("delay", hold=seconds / 2, wait=seconds / 2)


FAULTS: Mapping[str, Fault] = {
    fault.name: fault
    for fault in (
        DROP, AFTER_500, AFTER_503, hang(0.6), late(0.6), delayed(0.02), BEFORE_503, BEFORE_409, BEFORE_429, BEFORE_412,
        BEFORE_403, CUT_ANSWER, CUT_REQUEST,
    )
}  # fmt: skip
"""One of each kind, for a client that waits half a second."""


class Asked(NamedTuple):
    """A request: its method, and its path with the query."""

    method: str
    path: str


Choose = Callable[[Asked], Fault | None]


def on(*methods: str, path: str = "") -> Callable[[Asked], bool]:
    """Match requests by method, and by a part of the path."""
    return lambda asked: asked.method in methods and path in asked.path


class Dice:
    """Chooses faults by chance, the same ones for the same seed and order of requests.

    Args:
        rate: how many of the requests go wrong, from 0 to 1.
        of: which requests may go wrong at all.
    """

    def __init__(
        self,
        rate: float,
        faults: Iterable[Fault],
        *,
        seed: int,
        of: Callable[[Asked], bool] = lambda _: True,
    ) -> None:
        self._rate = rate
        self._faults = tuple(faults)
        self._random = random.Random(seed)  # noqa: S311 - no secret
        self._of = of

    def __call__(self, asked: Asked) -> Fault | None:
        """Throw."""
        if not self._of(asked) or self._random.random() >= self._rate:
            return None
        return self._random.choice(self._faults)


class _Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class FaultProxy:
    """A proxy on a free port of this machine. A context manager; leaving it ends everything that is under way.

    Args:
        upstream: the server's URL: ``http://host:port``.
        error_body: makes the body that goes with a forged status.
        one_at_a_time: the server gets one request after another, so that it needs no locks of its own.
        tls: answers https with this context; the server is spoken to in plain http all the same.

    Attributes:
        choose: is asked about each request that nothing was scripted for; one at a time.
    """

    def __init__(
        self,
        upstream: str,
        *,
        error_body: Callable[[int], bytes] = lambda status: b'{"message": "fault %d"}' % status,
        one_at_a_time: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        host = urlsplit(upstream)
        self._host, self._port = host.hostname or "", host.port or 80
        self.error_body = error_body
        self.choose: Choose = lambda _: None
        self._script: list[tuple[Fault, Callable[[Asked], bool]]] = []
        self._counts: Counter[str] = Counter()
        self.log: list[tuple[Asked, str, int]] = []
        self._changed = threading.Condition()
        self._under_way = 0
        self._closing = threading.Event()
        self._turn = threading.Lock() if one_at_a_time else None
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def next(self, fault: Fault, of: Callable[[Asked], bool] = lambda _: True) -> None:
        """Let this happen to the next request that matches; faults for the same requests come in order."""
        with self._changed:
            self._script.append((fault, of))

    def counts(self) -> Counter[str]:
        """Give how often each fault happened, by name; requests without one are ``none``."""
        with self._changed:
            return Counter(self._counts)

    def drain(self, timeout: float = 60.0) -> None:
        """Wait until no request is under way, late ones included."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._under_way == 0, timeout)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.drain()

    # -- what a handler does with a request

    def handle(
        self, asked: Asked, headers: list[tuple[str, str]], body: bytes
    ) -> tuple[Fault, _Answer | None]:
        """Pass a request on as its fault says; None where the client gets no answer."""
        fault = self._fault_for(asked)
        try:
            answer = self._pass_on(fault, asked, headers, body)
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()
        with self._changed:
            self.log.append((asked, fault.name, answer.status if answer else 0))
        self._closing.wait(fault.wait)
        if fault.drop or answer is None:
            return fault, None
        if fault.status:
            forged = fault.body if fault.body is not None else self.error_body(fault.status)
            return fault, _Answer(fault.status, [("content-type", "application/xml")], forged)
        return fault, answer

    def _fault_for(self, asked: Asked) -> Fault:
        with self._changed:
            self._under_way += 1
            fault = self._scripted(asked) or self.choose(asked) or Fault("none")
            self._counts[fault.name] += 1
            return fault

    def _scripted(self, asked: Asked) -> Fault | None:
        for number, (fault, of) in enumerate(self._script):
            if of(asked):
                del self._script[number]
                return fault
        return None

    def _pass_on(
        self, fault: Fault, asked: Asked, headers: list[tuple[str, str]], body: bytes
    ) -> _Answer | None:
        self._closing.wait(fault.hold)
        if not fault.reaches:
            return _Answer(fault.status, [], b"")
        if fault.cut == "request":
            self._send_half(asked, headers, body)
            return None
        if self._turn is None:
            return self._forward(asked, headers, body)
        with self._turn:
            return self._forward(asked, headers, body)

    def _forward(self, asked: Asked, headers: list[tuple[str, str]], body: bytes) -> _Answer | None:
        connection = self._start(asked, headers)
        try:
            connection.endheaders(body or None)
            answer = connection.getresponse()
            return _Answer(answer.status, answer.getheaders(), answer.read())
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def _send_half(self, asked: Asked, headers: list[tuple[str, str]], body: bytes) -> None:
        connection = self._start(asked, headers)
        with suppress(OSError):
            connection.endheaders(body[: len(body) // 2] or None)
        connection.close()

    def _start(self, asked: Asked, headers: list[tuple[str, str]]) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=60)
        connection.putrequest(asked.method, asked.path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        return connection


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    proxy: FaultProxy

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that has gone is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _handle(self) -> None:
        body = self._read_body()
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in _HOP_BY_HOP]
        if self.headers.get("transfer-encoding"):
            headers.append(("content-length", str(len(body))))
        fault, answer = self.server.proxy.handle(Asked(self.command, self.path), headers, body)
        if answer is None:
            self._hang_up()
        else:
            self._answer(answer, half=fault.cut == "answer")

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = do_OPTIONS = _handle  # noqa: N815 - its names

    def _read_body(self) -> bytes:
        if "chunked" not in self.headers.get("transfer-encoding", ""):
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _answer(self, answer: _Answer, *, half: bool) -> None:
        self.send_response_only(answer.status)
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        for name, value in answer.headers:
            if name.lower() not in _HOP_BY_HOP and (bodiless or name.lower() != "content-length"):
                self.send_header(name, value)
        if not bodiless:
            self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        if not bodiless:
            self.wfile.write(answer.body[: len(answer.body) // 2] if half else answer.body)
        if half:
            self._hang_up()

    def _hang_up(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Say nothing: the proxy keeps a log."""
