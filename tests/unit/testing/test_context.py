"""`PlainContext`, on which plugin authors try out their hooks."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from devstream.errors import OperationCancelled, OperationError
from devstream.testing.context import PlainContext, PlainTool, RecordingLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devstream.context import Context, Tool


@pytest.fixture
def context(tmp_path: Path) -> PlainContext:
    return PlainContext(tmp_path)


def py(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_it_satisfies_the_protocols(context: PlainContext) -> None:
    as_context: Context = context
    as_tool: Tool = PlainTool(context.address, {})
    assert as_context.address == as_tool.address
    assert (as_tool.name, as_tool.instance_id, as_tool.app, as_tool.tags) == ("tool", "test", None, ())


def test_run(context: PlainContext, tmp_path: Path) -> None:
    code = (
        "import os, sys; print(sys.stdin.read(), os.getcwd(), os.environ['A']); print('log', file=sys.stderr)"
    )
    done = context.run(py(code), input="in", env={"A": "1"})
    assert done.stdout == f"in {tmp_path} 1\n"
    assert (done.returncode, done.stderr) == (0, "log")
    assert context.log.lines == [("info", "log")]


def test_a_failure(context: PlainContext) -> None:
    failing = py("import sys; print('why', file=sys.stderr); sys.exit(2)")
    with pytest.raises(OperationError) as caught:
        context.run(failing)
    assert "exit status 2" in str(caught.value)
    assert caught.value.diagnostic.detail == "why"
    assert context.run(failing, check=False).returncode == 2


def test_limits(context: PlainContext) -> None:
    with pytest.raises(OperationError, match="more than 3 bytes"):
        context.run(py("print('abc')"), stdout_limit=3)
    with pytest.raises(OperationError, match=r"took longer than 0\.05 s"):
        context.run(py("import time; time.sleep(60)"), timeout=0.05)
    with pytest.raises(OperationCancelled):
        replace(context, stop=lambda: True).run(py("import time; time.sleep(60)"))
    with pytest.raises(OperationError, match="command not found: nothing-there"):
        context.run(["nothing-there"])


def test_reading_refuses_changes(context: PlainContext) -> None:
    reading = replace(context, reading=True)
    assert reading.run(py("print(1)"), reads=True).stdout == "1\n"
    with pytest.raises(OperationError, match="may change something"):
        reading.run(py("print(1)"))


class Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(204)
        self.end_headers()

    do_POST = do_GET  # noqa: N815 - the base class's spelling

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_http(context: PlainContext, url: str) -> None:
    with context.http as http:
        assert http.post(url).status_code == 204
    with replace(context, reading=True).http as http:
        assert http.get(url).status_code == 204
        with pytest.raises(OperationError, match="tried to send POST"):
            http.post(url)


def test_log() -> None:
    log = RecordingLog()
    log.debug("a")
    log.warning("b")
    assert log.text == "a\nb"
    assert log.lines == [("debug", "a"), ("warning", "b")]
