"""The fault proxy does what each fault says, and passes everything else on as it is."""

from __future__ import annotations

import http.client
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
import trustme

from devstream.testing.fault_proxy import (
    AFTER_500,
    BEFORE_412,
    BEFORE_503,
    CUT_ANSWER,
    CUT_REQUEST,
    DROP,
    FAULTS,
    Asked,
    Dice,
    Fault,
    FaultProxy,
    delayed,
    hang,
    late,
    on,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: EchoServer

    def _answer(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size)
        if len(body) == size:
            self.server.seen.append((self.command, self.path, body))
        self.send_response(200)
        self.send_header("x-host", self.headers["host"])
        self.send_header("x-dup", "one")
        self.send_header("x-dup", "two")
        self.send_header("content-length", "10")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(b"0123456789")

    do_GET = do_PUT = do_HEAD = do_DELETE = _answer  # noqa: N815 - its names

    def log_message(self, *_: object) -> None:
        pass


class EchoServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.seen: list[tuple[str, str, bytes]] = []


@pytest.fixture
def server() -> Iterator[EchoServer]:
    with EchoServer() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: EchoServer) -> Iterator[FaultProxy]:
    with FaultProxy(f"http://127.0.0.1:{server.server_port}") as made:
        yield made


def ask(
    proxy: FaultProxy, method: str = "PUT", body: bytes | None = b"body", timeout: float = 5.0
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=timeout)
    try:
        connection.request(method, "/a%20b?c=d", body=body)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_without_faults_all_is_as_it_is(server: EchoServer, proxy: FaultProxy) -> None:
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=5)
    for method, body in (("PUT", b"x" * 100_000), ("GET", None), ("HEAD", None), ("DELETE", None)):
        connection.request(method, "/a%20b?c=d", body=body)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.read() == (b"" if method == "HEAD" else b"0123456789")
        assert answer.getheader("x-host") == proxy.url.removeprefix("http://")
        assert answer.msg.get_all("x-dup") == ["one", "two"]
    connection.request("PUT", "/chunks", body=iter([b"one", b"two"]), encode_chunked=True)
    assert connection.getresponse().read() == b"0123456789"
    connection.close()
    assert server.seen[0] == ("PUT", "/a%20b?c=d", b"x" * 100_000)
    assert server.seen[-1] == ("PUT", "/chunks", b"onetwo")
    assert proxy.counts() == {"none": 5}


@pytest.mark.parametrize(
    ("fault", "reaches", "status"),
    [(AFTER_500, True, 500), (BEFORE_503, False, 503), (BEFORE_412, False, 412), (delayed(0.01), True, 200)],
)
def test_answers(server: EchoServer, proxy: FaultProxy, fault: Fault, reaches: bool, status: int) -> None:
    proxy.next(fault)
    assert ask(proxy)[0] == status
    assert bool(server.seen) is reaches
    assert ask(proxy)[0] == 200
    assert proxy.counts() == {fault.name: 1, "none": 1}


def test_drop(server: EchoServer, proxy: FaultProxy) -> None:
    proxy.next(DROP)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(proxy)
    assert len(server.seen) == 1


@pytest.mark.parametrize("fault", [hang(30), late(0.3)], ids=["hang", "late"])
def test_answers_that_come_too_late(server: EchoServer, proxy: FaultProxy, fault: Fault) -> None:
    proxy.next(fault)
    with pytest.raises(TimeoutError):
        ask(proxy, timeout=0.1)
    assert len(server.seen) == (1 if fault.name == "hang" else 0)
    proxy.drain()
    assert len(server.seen) == 1


def test_an_answer_that_is_cut(server: EchoServer, proxy: FaultProxy) -> None:
    proxy.next(CUT_ANSWER)
    with pytest.raises(http.client.IncompleteRead) as caught:
        ask(proxy)
    assert caught.value.partial == b"01234"
    assert len(server.seen) == 1


def test_a_request_that_is_cut(server: EchoServer, proxy: FaultProxy) -> None:
    proxy.next(CUT_REQUEST)
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(proxy)
    assert server.seen == []


def test_faults_meet_whom_they_are_meant_for(proxy: FaultProxy) -> None:
    proxy.next(BEFORE_503, on("PUT", path="/a%20"))
    proxy.next(BEFORE_412, on("PUT"))
    assert ask(proxy, "GET", None)[0] == 200
    assert [ask(proxy)[0] for _ in range(3)] == [503, 412, 200]


def test_dice_are_the_same_for_the_same_seed() -> None:
    def thrown(seed: int) -> list[str]:
        dice = Dice(0.5, FAULTS.values(), seed=seed, of=on("PUT"))
        return [fault.name if (fault := dice(Asked("PUT", "/"))) else "" for _ in range(50)]

    assert thrown(1) == thrown(1) != thrown(2)
    assert "" in thrown(1)
    assert len(set(thrown(1))) > 5
    assert Dice(1, [DROP], seed=1, of=on("PUT"))(Asked("GET", "/")) is None


def test_tls(server: EchoServer) -> None:
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with FaultProxy(f"http://127.0.0.1:{server.server_port}", tls=serving) as proxy:
        connection = http.client.HTTPSConnection(
            proxy.url.removeprefix("https://"), context=trusting, timeout=5
        )
        connection.request("GET", "/")
        assert connection.getresponse().status == 200
        connection.close()


def test_a_server_that_is_gone_gives_no_answer() -> None:
    with FaultProxy("http://127.0.0.1:1") as proxy, pytest.raises((http.client.HTTPException, OSError)):
        ask(proxy)
