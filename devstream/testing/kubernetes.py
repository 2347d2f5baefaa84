"""A stand-in for a Kubernetes API server: ConfigMaps and namespaces, over HTTPS, with users, as strict as the real one.

It keeps everything in memory. What it knows it answers as kube-apiserver 1.36 does: the same codes, reasons and words,
in the same order of checks. What it does not know (patches, YAML bodies, other resources) it refuses. ::

    with KubernetesStandIn() as cluster:
        cluster.add_namespace("team")
        kubeconfig = cluster.kubeconfig(tmp_path / "kubeconfig")

As a process of its own: ``python -m devstream.testing.kubernetes KUBECONFIG`` writes a kubeconfig of its admin and serves
until standard input ends. Needs ``trustme``.
"""

from __future__ import annotations

import json
import ssl
import sys
import threading
import time
from contextlib import suppress
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from devstream.testing.kubernetes_access import ADMIN, Access
from devstream.testing.kubernetes_requests import Answer, Api, Request
from devstream.testing.kubernetes_selectors import field_selector, label_selector
from devstream.testing.kubernetes_store import Change, Place, Store

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from types import TracebackType

    import trustme

__all__ = ["Fault", "KubernetesStandIn"]

_EVERYTHING = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}


class Fault(StrEnum):
    """What goes wrong with one request."""

    DROP_BEFORE = "the connection breaks; nothing was done"
    DROP_AFTER = "it is done, and the answer is lost"
    ERROR_BEFORE = "500; nothing was done"
    ERROR_AFTER = "500, although it was done"
    UNAVAILABLE = "503 in plain text, as a load balancer answers"
    THROTTLED = "429 with Retry-After, as a busy API server answers"
    LATE = "the connection breaks; it is done once `KubernetesStandIn.deliver` is called"


class KubernetesStandIn:
    """The server, in threads of its own; a context manager.

    Args:
        not_after: when the server's certificate ends; in an hour or so by default.

    Attributes:
        store: the objects.
        access: users and rights. The admin may do everything.
        fault: asked before each request whether something is to go wrong; None where it is not.
        requests: how many requests were answered, and how each began: ``PUT /api/v1/...``.
    """

    def __init__(self, *, not_after: datetime | None = None) -> None:
        import trustme

        self._authority = trustme.CA()
        self.store = Store(self.authority.decode())
        self.access = Access()
        self.fault: Callable[[Request], Fault | None] = lambda _: None
        self.requests: list[str] = []
        self._api = Api(self.store, self.access)
        self._late: list[Request] = []
        self._server = _Server(self, _tls(self._authority, not_after))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self.add_namespace("default")

    @property
    def url(self) -> str:
        """Where it listens: a free port of this machine."""
        return f"https://127.0.0.1:{self._server.server_port}"

    @property
    def authority(self) -> bytes:
        """The certificate that vouches for it, as PEM."""
        return self._authority.cert_pem.bytes()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.close_all()
        self._server.server_close()
        self._thread.join()

    def add_namespace(self, name: str) -> None:
        """Make a namespace."""
        self.store.create(Place("namespaces", "", name), {"metadata": {"name": name}})

    def token(self, user: str = ADMIN) -> str:
        """Make a bearer token for a user."""
        return self.access.token(user)

    def allow(self, user: str, namespace: str, *verbs: str) -> None:
        """Let a user do something with the ConfigMaps of a namespace; without verbs everything."""
        self.access.grant(user, namespace, [{**_EVERYTHING, "verbs": list(verbs) or ["*"]}])

    def kubeconfig(
        self, path: Path, user: str = ADMIN, *, authority: bytes | None = None, **fields: Any
    ) -> Path:
        """Write a kubeconfig, for its owner alone.

        Args:
            authority: the certificate to trust, as PEM; the right one by default.
            fields: what the user has instead of a token: ``exec={...}``, ``token="..."``.
        """
        import base64

        trusted = base64.b64encode(authority or self.authority).decode()
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "stand-in",
            "clusters": [
                {"name": "stand-in", "cluster": {"server": self.url, "certificate-authority-data": trusted}}
            ],
            "users": [{"name": user, "user": fields or {"token": self.token(user)}}],
            "contexts": [{"name": "stand-in", "context": {"cluster": "stand-in", "user": user}}],
        }
        path.touch(mode=0o600)
        path.write_text(json.dumps(content, indent=2), encoding="utf-8")
        return path

    def deliver(self) -> None:
        """Let the requests arrive that were late, in their order."""
        late, self._late = self._late, []
        for request in late:
            self._api.answer(request)

    def answer(self, request: Request) -> Answer | None:
        """Answer a request; None breaks the connection."""
        self.requests.append(f"{request.method} {request.target}")
        match self.fault(request):
            case None:
                return self._api.answer(request)
            case Fault.DROP_BEFORE:
                return None
            case Fault.DROP_AFTER:
                self._api.answer(request)
                return None
            case Fault.LATE:
                self._late.append(request)
                return None
            case Fault.ERROR_BEFORE:
                return _broken()
            case Fault.ERROR_AFTER:
                self._api.answer(request)
                return _broken()
            case Fault.UNAVAILABLE:
                return Answer(503, text="upstream connect error\n")
            case Fault.THROTTLED:
                text = "Too many requests, please try again later.\n"
                return Answer(429, text=text, headers={"Retry-After": "1"})

    def watch(
        self, place: Place, revision: int, query: Mapping[str, str]
    ) -> Iterable[Mapping[str, Any] | None]:
        """Tell what changes, until the time that the client gave is over; None means: nothing for a while."""
        matches = (
            label_selector(query.get("labelSelector", "")),
            field_selector(query.get("fieldSelector", "")),
        )
        until = time.monotonic() + int(query.get("timeoutSeconds") or 1800)
        revision = revision or self.store.revision
        while time.monotonic() < until and not self._server.is_closing:
            for change in self._changes(revision):
                revision = change.revision
                metadata = change.content["metadata"]
                same = change.place[:2] == place[:2] or (
                    change.place.resource == place.resource and not place.namespace
                )
                if same and matches[0](metadata.get("labels", {})) and matches[1](metadata):
                    yield {"type": change.kind, "object": change.content}
            yield None

    def _changes(self, revision: int) -> list[Change]:
        """Give what has changed since, or nothing after a moment."""
        with self.store.changed:
            changes = self.store.changes_since(revision)
            if not changes:
                self.store.changed.wait(0.05)
            return changes


def _broken() -> Answer:
    message = "Internal error occurred: etcdserver: request timed out"
    body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return Answer(500, {**body, "message": message, "reason": "InternalError", "code": 500})


def _tls(authority: trustme.CA, not_after: datetime | None) -> ssl.SSLContext:
    certificate = authority.issue_cert(
        "127.0.0.1", "localhost", "kubernetes.default.svc", not_after=not_after
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


class _Server(ThreadingHTTPServer):
    """Takes connections, each in a thread; knows them, so that it can close them."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, standin: KubernetesStandIn, tls: ssl.SSLContext) -> None:
        self.standin = standin
        self.is_closing = False
        self._tls = tls
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection; a client that does not trust the certificate goes away during the handshake."""
        with suppress(OSError), self._tls.wrap_socket(request, server_side=True) as secured:
            self._open.add(secured)
            try:
                super().finish_request(secured, client_address)
            finally:
                self._open.discard(secured)

    def close_all(self) -> None:
        """Break all connections."""
        self.is_closing = True
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(2)


class _Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and writes answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.standin.answer(Request(self.command, self.path, headers, body))
        if answer is None:
            self.close_connection = True
        elif answer.watch is not None:
            self._stream(Request(self.command, self.path, headers), *answer.watch)
        else:
            self._send(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _serve  # noqa: N815 - the base class asks for these names

    def _send(self, answer: Answer) -> None:
        is_text = answer.content is None
        data = answer.text.encode() if is_text else json.dumps(answer.content, ensure_ascii=False).encode()
        self.send_response(answer.code)
        self.send_header("Content-Type", "text/plain; charset=utf-8" if is_text else "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
        self.wfile.flush()

    def _stream(self, request: Request, place: Place, revision: int) -> None:
        """Answer a watch: a line for each change, in chunks."""
        from devstream.testing.kubernetes_status import ApiStatus

        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for event in self.server.standin.watch(place, revision, request.query):
                if event is not None:
                    self._chunk(json.dumps(event).encode() + b"\n")
        except ApiStatus as status:
            self._chunk(json.dumps({"type": "ERROR", "object": status.body}).encode() + b"\n")
        self._chunk(b"")

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Say nothing: clients see the answers."""


def _main() -> None:
    with KubernetesStandIn() as standin:
        standin.kubeconfig(Path(sys.argv[1]))
        sys.stdout.write(f"{standin.url}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    _main()
