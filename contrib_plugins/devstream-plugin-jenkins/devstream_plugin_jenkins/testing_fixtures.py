"""Fixtures on a stand-in of Jenkins, for a test module that has this one among its ``pytest_plugins``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devstream.testing.jenkins import JenkinsStandIn
from devstream_plugin_jenkins.testing import JobBench, Server, bench_on

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["bench", "hooked", "jenkins"]


@pytest.fixture
def jenkins() -> Iterator[JenkinsStandIn]:
    """Give a stand-in."""
    with JenkinsStandIn() as standin:
        yield standin


@pytest.fixture
def bench(jenkins: JenkinsStandIn, tmp_path: Path) -> Iterator[JobBench]:
    """Give a job's place on a stand-in."""
    with bench_on(Server(jenkins.url, jenkins.user, jenkins.token), tmp_path) as bench:
        yield bench


@pytest.fixture
def hooked(jenkins: JenkinsStandIn, tmp_path: Path) -> Iterator[JobBench]:
    """Give one whose repository is on a server, which has webhooks; slower than one in a folder."""
    with bench_on(Server(jenkins.url, jenkins.user, jenkins.token), tmp_path, hooked=True) as bench:
        yield bench
