"""Real stores beside moto: Ceph, which wants bare ETags, and s3rver, which ignores preconditions."""

from __future__ import annotations

import base64
import hmac
import http.client
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from devstream.builtin.s3 import S3Backend
from devstream.builtin.s3_options import place_of
from devstream.errors import CredentialsError, StateError, StateUnreachableError, SwapRefused
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.probe import probe
from devstream.testing.backends import BackendContract
from devstream.testing.ceph import ceph_cluster, missing_programs
from devstream.testing.s3 import SettlingBackend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.state.backend import StateBackend
    from devstream.testing.ceph import Ceph

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def ceph() -> Iterator[Ceph]:
    missing = missing_programs()
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="ceph") as folder, ceph_cluster(Path(folder)) as cluster:
        yield cluster


def client_of(endpoint: str, access_key: str, secret_key: str) -> Any:
    import boto3  # type: ignore[import-untyped]  # it has no types

    return boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=access_key,
        aws_secret_access_key=secret_key,
    )  # fmt: skip


@pytest.fixture
def options(ceph: Ceph, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ceph.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", ceph.secret_key)
    name = f"tests-{uuid4().hex}"
    client_of(*ceph).create_bucket(Bucket=name)
    return {"bucket": name, "key": "team/devstream.state", "endpoint": ceph.url, "allowHttp": True}


class TestCeph(BackendContract):
    @pytest.fixture(autouse=True)
    def _place(self, options: dict[str, Any]) -> None:
        self.place = place_of(options, {})

    def open(self, place: Path) -> StateBackend:
        own = self.place._replace(key=f"{place.name}/devstream.state")
        return SettlingBackend(own, manner={"etag": "bare"})


def test_ceph_wants_bare_etags_and_the_head_remembers_it(options: dict[str, Any]) -> None:
    place = place_of(options, {})
    with StateManager(S3Backend(place)).acquire(
        this_process("one", "tests"), timeout=0, notice=lambda _: None
    ) as writer:
        assert writer.state.serial
    head = S3Backend(place).read_head()
    assert head is not None
    assert b'"etag": "bare"' in head.data
    with StateManager(S3Backend(place)).acquire(
        this_process("two", "tests"), timeout=0, notice=lambda _: None
    ):
        pass


def test_ceph_refuses_wrong_credentials(
    ceph: Ceph, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(CredentialsError, match="SignatureDoesNotMatch"):
        S3Backend(place_of(options, {})).read_head()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "another")
    with pytest.raises(SwapRefused, match="InvalidAccessKeyId"):
        S3Backend(place_of(options, {})).swap_head(b"x", None)
    assert ceph.access_key


def test_ceph_names_a_missing_bucket(options: dict[str, Any]) -> None:
    place = place_of(options | {"bucket": "nobody-made-it"}, {})
    with pytest.raises(StateUnreachableError, match='no bucket "nobody-made-it"'):
        S3Backend(place).read_head()
    with pytest.raises(SwapRefused, match="no bucket"):
        S3Backend(place).swap_head(b"x", None)


def installed(package: str, folder: Path) -> Path:
    """Install a package of npm, and give the folder of its programs; skips where that is not possible."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("npm is not installed")
    argv = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), package]
    if subprocess.run(argv, capture_output=True, timeout=240, check=False).returncode:
        pytest.skip(f"{package} cannot be installed")
    return folder / "node_modules" / ".bin"


@contextmanager
def serving(*argv: str, folder: Path) -> Iterator[str]:
    """Run a server of npm's on a free port, in an empty folder; the value is its URL."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    folder.mkdir()
    words = [word.format(port=port, folder=folder) for word in argv]
    with (folder.parent / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
    try:
        wait_for(int(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def wait_for(port: int) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        else:
            return


@pytest.fixture
def s3rver(tmp_path: Path) -> Iterator[str]:
    program = installed("s3rver@3.7.1", tmp_path) / "s3rver"
    argv = [str(program), "-d", "{folder}", "-a", "127.0.0.1", "-p", "{port}", "--no-vhost-buckets",
            "--configure-bucket", "tests"]  # fmt: skip
    with serving(*argv, folder=tmp_path / "data") as url:
        yield url


def test_a_store_that_ignores_preconditions_is_refused(
    s3rver: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "S3RVER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "S3RVER")
    options = {"bucket": "tests", "key": "devstream.state", "endpoint": s3rver, "allowHttp": True}
    backend = S3Backend(place_of(options, {}))
    with pytest.raises(StateError, match="replaces what is there") as caught:
        probe(backend)
    assert caught.value.diagnostic.code == "store-unsafe"
    assert backend.read_head() is None
    assert not any("probe" in path.name for path in (tmp_path / "data").rglob("*"))


ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The published account of the emulator."""


def make_container(endpoint: str, name: str) -> None:
    now = formatdate(usegmt=True)
    signed = f"PUT\n{chr(10) * 11}x-ms-date:{now}\nx-ms-version:2021-08-06\n/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signature = hmac.new(base64.b64decode(ACCOUNT_KEY), signed.encode(), "sha256").digest()
    headers = {
        "x-ms-date": now,
        "x-ms-version": "2021-08-06",
        "authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}",
        "content-length": "0",
    }
    host = urlsplit(endpoint)
    connection = http.client.HTTPConnection(host.hostname or "", host.port, timeout=10)
    connection.request("PUT", f"{host.path}/{name}?restype=container", headers=headers)
    assert connection.getresponse().status == 201
    connection.close()


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The emulator of Azure Blob Storage; the value is the URL of its account."""
    folder = tmp_path_factory.mktemp("azurite")
    program = installed("azurite@3", folder) / "azurite-blob"
    argv = [str(program), "--location", "{folder}", "--blobHost", "127.0.0.1", "--blobPort", "{port}",
            "--skipApiVersionCheck"]  # fmt: skip
    with serving(*argv, folder=folder / "data") as url:
        make_container(f"{url}/{ACCOUNT}", "tests")
        yield f"{url}/{ACCOUNT}"


class TestAzure(BackendContract):
    @pytest.fixture(autouse=True)
    def _place(self, azurite: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", ACCOUNT_KEY)
        options = {"url": f"az://tests/{uuid4().hex}", "endpoint": azurite, "allowHttp": True}
        self.place = place_of(options, {})

    def open(self, place: Path) -> StateBackend:
        return S3Backend(self.place._replace(key=f"{self.place.key}/{place.name}"))

    def test_the_probe_likes_it(self) -> None:
        assert probe(S3Backend(self.place)) == {"etag": "quoted"}

    def test_a_missing_container_is_named(self) -> None:
        backend = S3Backend(self.place._replace(bucket="nobody-made-it"))
        with pytest.raises(StateUnreachableError, match='no bucket "nobody-made-it"'):
            backend.read_head()
