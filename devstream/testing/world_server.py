"""The outside world of tests over HTTP: a service that chooses the ids of its things, and a tool that uses it.

It is as unhelpful as many real services are: a thing that is asked for twice is there twice. One that takes *tokens*
is not: it makes one thing for all requests with the same ``Idempotency-Key``, and answers with that.

::

    with WorldServer(tmp_path) as server:       # one world for every folder below
        server.connect(project.folder)          # whose things are files in FOLDER/world
        project.use(RemoteThing())
"""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qs, quote, unquote, urlsplit

from devstream.api import tool
from devstream.testing.world import Things, World

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType

    import httpx

    from devstream.api import Context

__all__ = ["RemoteThing", "RemoteWorld", "WorldServer"]

_ADDRESS = "world.url"
"""The file in a project's folder that names its world."""


class WorldServer:
    """Serves a world for every folder below ``root``.

    Args:
        tokens: the same ``Idempotency-Key`` makes nothing twice.
    """

    def __init__(self, root: Path, *, tokens: bool = False) -> None:
        self._root = root
        self._tokens = tokens
        self._made: dict[str, str] = {}
        self._lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"service": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def connect(self, folder: Path) -> None:
        """Let the things of a project's folder be in this world."""
        url = f"http://127.0.0.1:{self._server.server_port}/{quote(str(folder.relative_to(self._root)))}"
        (folder / _ADDRESS).write_text(url, "utf-8")

    def world(self, path: str) -> World:
        """Give the world that the path of a URL names."""
        return World(self._root / unquote(path).strip("/") / "world")

    def make(self, world: World, thing: Mapping[str, Any], token: str) -> str:
        """Make a thing, and give its id."""
        if not self._tokens or not token:
            return world.put(thing)
        with self._lock:
            if token not in self._made:
                self._made[token] = world.put(thing)
            return self._made[token]


class _Handler(BaseHTTPRequestHandler):
    """Answers requests for ``/FOLDER/things`` and ``/FOLDER/things/ID``."""

    service: WorldServer

    def _asked(self) -> tuple[World, str]:
        folder, _, identity = urlsplit(self.path).path.partition("/things")
        return self.service.world(folder), identity.strip("/")

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return content

    def do_POST(self) -> None:
        """Make a thing."""
        world, _ = self._asked()
        token = self.headers.get("Idempotency-Key", "")
        self._answer(201, {"id": self.service.make(world, self._content(), token)})

    def do_GET(self) -> None:
        """Give a thing, or the ids of those with a name."""
        world, identity = self._asked()
        if identity:
            thing = world.get(identity)
            self._answer(200 if thing else 404, thing or {})
            return
        (name,) = parse_qs(urlsplit(self.path).query)["name"]
        found = [key for key, thing in world.things().items() if thing["name"] == name]
        self._answer(200, {"ids": found})

    def do_PATCH(self) -> None:
        """Change a thing."""
        world, identity = self._asked()
        try:
            world.change(identity, **self._content())
        except LookupError:
            self._answer(404, {})
        else:
            self._answer(200, {})

    def do_DELETE(self) -> None:
        """Remove a thing."""
        world, identity = self._asked()
        world.remove(identity)
        self._answer(200, {})

    def _answer(self, status: int, content: Mapping[str, Any]) -> None:
        data = json.dumps(dict(content)).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        with suppress(ConnectionError):  # who asked was killed meanwhile
            self.end_headers()
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the standard library's name
        """Say nothing: the tests' output is for people."""


class RemoteWorld:
    """A world behind HTTP, with what a `World` offers to a plugin."""

    def __init__(self, client: httpx.Client, url: str, token: str) -> None:
        self._client = client
        self._url = url
        self._token = token

    def _ask(self, method: str, path: str = "", **fields: Any) -> httpx.Response:
        answer = self._client.request(method, f"{self._url}/things{path}", **fields)
        if answer.status_code != 404:
            answer.raise_for_status()
        return answer

    def put(self, thing: Mapping[str, Any]) -> str:
        """Make a thing; the service chooses its id, which is given back."""
        answer = self._ask("POST", json=dict(thing), headers={"Idempotency-Key": self._token})
        return str(answer.json()["id"])

    def get(self, identity: str) -> dict[str, Any] | None:
        """Give a thing; None where there is none."""
        answer = self._ask("GET", f"/{identity}")
        found: dict[str, Any] | None = answer.json() or None
        return found

    def find(self, name: str) -> str | None:
        """Give the id of a thing of that name; None where there is none."""
        found = self._ask("GET", params={"name": name}).json()["ids"]
        return str(found[0]) if found else None

    def change(self, identity: str, **fields: Any) -> None:
        """Change some fields of a thing."""
        if self._ask("PATCH", f"/{identity}", json=fields).status_code == 404:
            message = f"there is no thing {identity}"
            raise LookupError(message)

    def remove(self, identity: str) -> None:
        """Remove a thing; a missing one is fine."""
        self._ask("DELETE", f"/{identity}")


@tool("thing")
class RemoteThing(Things):
    """A thing behind HTTP; the operation's id is its token."""

    def world(self, context: Context) -> RemoteWorld:
        """Give the world that the project's folder names."""
        url = (context.folder / _ADDRESS).read_text("utf-8")
        return RemoteWorld(context.http, url, context.op_id)
