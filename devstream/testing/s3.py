"""S3 for tests: a moto server in a process of its own, a proxy before it that breaks things, and states in it.

::

    pytest_plugins = ["devstream.testing.s3"]

    def test_mine(s3: Bucket) -> None:
        s3.proxy.next(DROP, on("PUT"))
        backend = s3.backend("devstream.state")
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest

from devstream.builtin.s3 import S3Backend
from devstream.builtin.s3_options import place_of
from devstream.errors import StateConflictError, SwapUnsettled
from devstream.testing.fault_proxy import FaultProxy

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from devstream.builtin.s3_options import Place

__all__ = ["Bucket", "SettlingBackend", "bucket_at", "moto_server", "s3", "s3_error", "s3_server"]

ACCESS_KEY = "AKIATESTTESTTESTTEST"
SECRET_KEY = "not-a-secret-but-long-enough"  # noqa: S105 - of a server that lives as long as a test

_NAMES = {
    403: "AccessDenied",
    409: "ConditionalRequestConflict",
    412: "PreconditionFailed",
    429: "TooManyRequests",
    500: "InternalError",
    503: "SlowDown",
}

_MOTO = """
import logging, os, sys
from moto.server import ThreadedMotoServer
logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
os._exit(0)
"""


def s3_error(status: int, name: str = "", extra: str = "") -> bytes:
    """Make the body that S3 sends with an error."""
    code = name or _NAMES.get(status, "InternalError")
    return (
        f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as told</Message>{extra}</Error>".encode()
    )


@contextmanager
def moto_server() -> Iterator[str]:
    """Run a moto server in a process of its own, which ends with this one; the value is its URL."""
    argv = [sys.executable, "-c", _MOTO]
    process = subprocess.Popen(  # noqa: S603 - this very Python
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.stdin.close()
        process.wait(20)
        process.stdout.close()


class Bucket(NamedTuple):
    """An empty bucket of its own, behind a proxy.

    Attributes:
        server: the URL of the server itself.
    """

    name: str
    server: str
    proxy: FaultProxy

    def options(self, key: str = "devstream.state", **more: Any) -> dict[str, Any]:
        """Give what would be written under ``config.state.options``."""
        return {"bucket": self.name, "key": key, "endpoint": self.proxy.url, "allowHttp": True, **more}

    def place(self, key: str = "devstream.state", **more: Any) -> Place:
        """Give the place of a state in it."""
        return place_of(self.options(key, **more), {})

    def backend(self, key: str = "devstream.state", *, timeout: float = 5.0) -> S3Backend:
        """Open a state in it; every call gives a client of its own."""
        return S3Backend(self.place(key), timeout=timeout)

    @property
    def client(self) -> Any:
        """A client of boto3, past the proxy, to look behind the scenes."""
        return _boto3(self.server)

    def objects(self) -> list[str]:
        """List the keys of what is in it."""
        return [entry["Key"] for entry in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]


def _boto3(endpoint: str) -> Any:
    import boto3  # type: ignore[import-untyped]  # it has no types

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )


@contextmanager
def bucket_at(
    server: str, *, one_at_a_time: bool = True, tls: ssl.SSLContext | None = None
) -> Iterator[Bucket]:
    """Make a bucket in a server, and a proxy before it."""
    name = f"tests-{uuid4().hex}"
    _boto3(server).create_bucket(Bucket=name)
    with FaultProxy(server, error_body=s3_error, one_at_a_time=one_at_a_time, tls=tls) as proxy:
        yield Bucket(name, server, proxy)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A moto server: one for every worker."""
    with moto_server() as url:
        yield url


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    """An empty bucket behind a proxy, and credentials for it in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    with bucket_at(s3_server) as bucket:
        yield bucket


class SettlingBackend(S3Backend):
    """For stores that answer a lost race with an error of their own: looks, as the manager does, who was first."""

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Write, and say for certain what became of it; what was stored and overtaken at once counts as lost."""
        try:
            return super().swap_head(data, expected)
        except SwapUnsettled:
            head = self.read_head()
        if (head.version if head else None) == expected:
            return self.swap_head(data, expected)
        message = "somebody else was first"
        raise StateConflictError(message)
