"""The s3 backend passes the contract: through a proxy, without quotes, and on any server that is named."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from devstream.builtin.s3 import S3Backend
from devstream.builtin.s3_options import place_of
from devstream.state.probe import probe
from devstream.testing.backends import BackendContract
from devstream.testing.s3 import SettlingBackend, s3, s3_server

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.state.backend import StateBackend
    from devstream.testing.s3 import Bucket

__all__ = ["s3", "s3_server"]

NAMED = "DEVSTREAM_TEST_S3_ENDPOINT"


class TestS3(BackendContract):
    """Against moto, through the fault proxy."""

    @pytest.fixture(autouse=True)
    def _bucket(self, s3: Bucket) -> None:
        self.bucket = s3

    def open(self, place: Path) -> StateBackend:
        return self.bucket.backend(f"{place.name}/devstream.state")


@pytest.mark.slow
class TestS3WithoutQuotes(TestS3):
    """The same, with versions written as Ceph wants them."""

    def open(self, place: Path) -> StateBackend:
        key = f"{place.name}/devstream.state"
        return S3Backend(self.bucket.place(key), timeout=5, manner={"etag": "bare"})


class TestNamedServer(BackendContract):
    """Against ``DEVSTREAM_TEST_S3_ENDPOINT`` (with ``_KEY``, ``_SECRET``, ``_BUCKET``), which need not be empty."""

    __test__ = NAMED in os.environ

    @pytest.fixture(autouse=True)
    def _server(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", os.environ[f"{NAMED.removesuffix('ENDPOINT')}KEY"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", os.environ[f"{NAMED.removesuffix('ENDPOINT')}SECRET"])
        options = {
            "bucket": os.environ[f"{NAMED.removesuffix('ENDPOINT')}BUCKET"],
            "endpoint": os.environ[NAMED],
            "key": f"devstream-tests/{uuid4().hex}",
            "allowHttp": True,
        }
        self.place = place_of(options, {})
        self.manner = probe(S3Backend(self.place))

    def open(self, place: Path) -> StateBackend:
        return SettlingBackend(
            self.place._replace(key=f"{self.place.key}/{place.name}"), manner=self.manner, timeout=30
        )


def test_the_named_server_is_asked_or_there_is_none() -> None:
    if NAMED not in os.environ:
        pytest.skip(f"{NAMED} is not set")
    assert TestNamedServer.__test__
