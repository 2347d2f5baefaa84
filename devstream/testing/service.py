"""`Service`: a web service for tests, on this machine, that keeps state: the ground that stand-ins are built on.

It keeps what was asked of it, can be told to fail, checks whom it talks to, and serves repositories by git's own
smart HTTP::

    class Counter(Service):
        count = 0

        @route("POST", "/api/count/{name}")
        def add(self, request: Request) -> Response:
            self.count += 1
            return Response(201, {"name": request.values["name"], "count": self.count})

    with Counter() as service:
        service.fail("POST", "/api/count/", status=500, after=True)    # done, and then the answer is lost
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

__all__ = ["Service", "Request", "Response", "Fault", "route"]


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. ``values`` are the parts of the path that a route names; header names are lower case.

    ``query`` has the last value of each name, ``repeated`` all of them.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    values: Mapping[str, str] = field(default_factory=dict)
    repeated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body, read as JSON; None where there is none."""
        return json.loads(self.body) if self.body else None

    @property
    def basic(self) -> tuple[str, str] | None:
        """User and password of basic authentication; None where there is none."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.casefold() != "basic":
            return None
        user, _, password = b64decode(value).decode().partition(":")
        return user, password


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered: ``body`` bytes as they are, anything else but None as JSON."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, str]:
        """Give bytes and content type."""
        if isinstance(self.body, bytes):
            return self.body, "application/octet-stream"
        return (b"", "") if self.body is None else (json.dumps(self.body).encode(), "application/json")


@dataclass(slots=True)
class Fault:
    """Makes requests fail: those of ``method`` whose path begins with ``prefix``, ``times`` times.

    Attributes:
        status: the answer; 0 cuts the connection instead.
        after: first does what was asked.
    """

    method: str
    prefix: str
    status: int
    after: bool = False
    times: int = 1
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    def hits(self, request: Request) -> bool:
        """Tell whether a request is one to fail."""
        return (
            self.times > 0 and self.method in ("*", request.method) and request.path.startswith(self.prefix)
        )


Handler = Callable[[Any, Request], Response]
H = TypeVar("H", bound=Handler)


def route(method: str, path: str) -> Callable[[H], H]:
    """Mark a method of a `Service` as what answers a path; ``{name}`` matches a step, ``{name...}`` any number."""

    def mark(handler: H) -> H:
        routes = getattr(handler, "routes", ())
        handler.routes = (*routes, (method, _pattern(path)))  # type: ignore[attr-defined]  # read by __init_subclass__
        return handler

    return mark


def _pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{\w+(?:\.\.\.)?\})", path)
    steps = [
        (f"(?P<{part[1:-4]}>.+)" if part.endswith("...}") else f"(?P<{part[1:-1]}>[^/]+)")
        if part.startswith("{")
        else re.escape(part)
        for part in parts
    ]
    return re.compile("".join(steps))


class Service:
    """A service on a port of its own; a context manager.

    Attributes:
        requests: everything that was asked, in order.
        git_root: the folder of bare repositories that are served as ``/<path>.git``; None for none.
        lock: held while a request is answered, so that handlers need none of their own.
    """

    _routes: ClassVar[list[tuple[str, re.Pattern[str], Handler]]] = []

    def __init_subclass__(cls) -> None:
        cls._routes = [
            (method, pattern, handler)
            for owner in cls.__mro__
            for handler in vars(owner).values()
            for method, pattern in getattr(handler, "routes", ())
        ]

    def __init__(self, *, git_root: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.git_root = git_root
        self.requests: list[Request] = []
        self.lock = threading.RLock()
        self._faults: list[Fault] = []
        self._server = _Server(self)
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def host(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """Where it is, without a slash at the end."""
        return f"{self._scheme}://{self.host}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    # ---- for the test

    def fail(self, method: str, prefix: str, **how: Any) -> Fault:
        """Make the next request fail (see `Fault`)."""
        fault = Fault(method, prefix, **{"status": 500, **how})
        self._faults.append(fault)
        return fault

    def asked(self, method: str, prefix: str = "") -> list[Request]:
        """Give the requests of a method whose path begins so."""
        return [
            request
            for request in self.requests
            if request.method == method and request.path.startswith(prefix)
        ]

    # ---- for the stand-in

    def allows(self, request: Request) -> Response | None:
        """Check whom it talks to, before a route is called; give the answer to refuse with."""

    def allows_git(self, request: Request, repository: str, *, write: bool) -> Response | None:
        """Check who pulls or pushes; give the answer to refuse with."""

    def git_repository(self, path: str) -> Path | None:
        """Give the bare repository that ``<path>.git`` stands for; None where there is none."""
        if self.git_root is None:
            return None
        found = (self.git_root / f"{path}.git").resolve()
        return found if found.is_dir() and found.is_relative_to(self.git_root.resolve()) else None

    def answer(self, request: Request) -> Response | None:
        """Answer a request; None cuts the connection."""
        with self.lock:
            self.requests.append(request)
            fault = next((fault for fault in self._faults if fault.hits(request)), None)
            if fault is not None:
                fault.times -= 1
                if fault.after:
                    self._routed(request)
                return Response(fault.status, fault.body, fault.headers) if fault.status else None
            return self._routed(request)

    def _routed(self, request: Request) -> Response:
        if _GIT.search(request.path):
            return self._git(request)
        refused = self.allows(request)
        if refused is not None:
            return refused
        other = False
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(request.path)
            if found and method == request.method:
                values = {name: unquote(value) for name, value in found.groupdict().items()}
                return self._handled(handler, _with(request, values))
            other = other or found is not None
        return Response(405 if other else 404, {"message": "Not Found"})

    def _handled(self, handler: Handler, request: Request) -> Response:
        try:
            return handler(self, request)
        except Exception:  # noqa: BLE001 - a mistake in a stand-in has to be seen in the test that meets it
            import traceback

            return Response(500, {"message": f"the stand-in failed: {traceback.format_exc()[-1500:]}"})

    def _git(self, request: Request) -> Response:
        found = _GIT.search(request.path)
        assert found is not None
        path = unquote(request.path[: found.start()]).strip("/")
        repository = self.git_repository(path)
        write = "git-receive-pack" in (found["service"], request.query.get("service"))
        refused = self.allows_git(request, path, write=write)
        if refused is not None:
            return refused
        if repository is None:
            return Response(404, b"Not Found\n")
        return _http_backend(request, repository, found.group())


_GIT = re.compile(r"\.git/(?:info/refs|(?P<service>git-upload-pack|git-receive-pack))$")


def _with(request: Request, values: Mapping[str, str]) -> Request:
    return replace(request, values=values)


def _http_backend(request: Request, repository: Path, rest: str) -> Response:
    """Let git itself answer, by CGI."""
    environment = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": str(repository),
        "GIT_HTTP_EXPORT_ALL": "1",
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": "http.receivepack",
        "GIT_CONFIG_VALUE_0": "true",
        "GIT_CONFIG_KEY_1": "uploadpack.allowFilter",
        "GIT_CONFIG_VALUE_1": "true",
        "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
        "REQUEST_METHOD": request.method,
        "PATH_INFO": rest.removeprefix(".git"),
        "QUERY_STRING": "&".join(f"{name}={value}" for name, value in request.query.items()),
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
        "REMOTE_USER": request.basic[0] if request.basic else "",
        "REMOTE_ADDR": "127.0.0.1",
    }
    done = subprocess.run(
        ["git", "http-backend"],  # noqa: S607 - the git that is on PATH
        input=request.body,
        env=environment,
        capture_output=True,
        check=False,
    )
    head, _, body = done.stdout.partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().splitlines() if ": " in line)
    status = int(headers.pop("Status", "200").split()[0])
    return Response(status, body, headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, service: Service) -> None:
        self.service = service
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """Head and body go out as one: in two parts, the second waits 40 ms for the first to be acknowledged."""
    server: _Server

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet: tests look at ``requests``."""

    def _answer(self) -> None:
        response = self.server.service.answer(self._request())
        if response is None:
            self.close_connection = True
            self.connection.close()
            return
        body, kind = response.encoded()
        self.send_response(response.status)
        headers = {"Content-Type": kind, **response.headers} if body else dict(response.headers)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query, keep_blank_values=True)
        query = {name: values[-1] for name, values in asked.items()}
        repeated = {name: tuple(values) for name, values in asked.items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        return Request(self.command, parts.path, query, headers, self._body(), repeated=repeated)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").casefold() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        chunks = bytearray()
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return bytes(chunks)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815 - the library's names
