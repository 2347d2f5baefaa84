"""States to measure: kept in different places, as large as wanted; and the work that is done on them.

What work costs is counted in calls and bytes, which are the same on every machine; `benchmarks.state_times` adds times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from benchmarks.measure import BenchmarkError
from devstream.builtin.kubernetes import make_kubernetes
from devstream.builtin.local import make_local
from devstream.builtin.s3 import make_s3
from devstream.model.address import Address
from devstream.model.state import Put, PutReason, RunRecord, ToolState
from devstream.state.head import new_id
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.sealed_backend import sealed
from devstream.testing.crash import BackendAround
from devstream.testing.keys import keyring
from devstream.testing.s3 import ACCESS_KEY, SECRET_KEY, bucket_at, moto_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from devstream.state.backend import Head, StateBackend
    from devstream.state.session import StateWriter

__all__ = ["KEY", "Counting", "Place", "changed", "filled", "one_run", "places", "writer"]

KEY = "main.key"
"""The file of the key that encrypted states have."""

_TOGETHER = 100
"""How many entries are handed in at once while a state is filled."""


class Place(NamedTuple):
    """Somewhere to keep states.

    Attributes:
        options: the backend's options for the state of this name.
        key: whether states are encrypted there, with a key from a file.
    """

    name: str
    folder: Path
    backend: str
    options: Callable[[str], dict[str, Any]]
    make: Callable[[Mapping[str, Any], Path], StateBackend]
    key: bool = False

    def config(self, name: str) -> dict[str, Any]:
        """Give what a configuration says under ``config.state``; paths are relative to the folder."""
        plain = {"backend": self.backend, "options": self.options(name)}
        return plain | {"encryption": {"keys": [{"name": "main", "keyFile": KEY}]}} if self.key else plain

    def open(self, name: str) -> StateBackend:
        """Open the state of this name."""
        backend = self.make(self.options(name), self.folder)
        return sealed(backend, keyring("main")) if self.key else backend


class Counting(BackendAround):
    """Counts what goes to a backend and comes from it."""

    def __init__(self, inner: StateBackend) -> None:
        super().__init__(inner)
        self.swaps = self.calls = self.sent = self.received = 0

    def read_head(self) -> Head | None:
        """Count it."""
        self.calls += 1
        head = super().read_head()
        self.received += len(head.data) if head else 0
        return head

    def swap_head(self, data: bytes, expected: str | None) -> str:
        """Count it."""
        self.calls += 1
        self.swaps += 1
        self.sent += len(data)
        return super().swap_head(data, expected)

    def put_blob(self, name: str, data: bytes) -> None:
        """Count it."""
        self.calls += 1
        self.sent += len(data)
        super().put_blob(name, data)

    def get_blob(self, name: str) -> bytes | None:
        """Count it."""
        self.calls += 1
        data = super().get_blob(name)
        self.received += len(data or b"")
        return data

    def delete_blob(self, name: str) -> None:
        """Count it."""
        self.calls += 1
        super().delete_blob(name)


@contextmanager
def places(folder: Path) -> Iterator[dict[str, Place]]:
    """Give the places, with the servers behind them, by name.

    Side effects: runs two servers in processes of their own; the environment has credentials for one meanwhile.
    """
    key = folder / KEY
    key.touch(0o600)
    key.write_bytes(b"main".ljust(32, b"\0"))
    with _credentials(), moto_server() as url, bucket_at(url) as bucket, _stand_in(folder) as kubeconfig:

        def in_bucket(name: str) -> dict[str, Any]:
            return bucket.options(name, endpoint=url)

        def in_cluster(name: str) -> dict[str, Any]:
            return {"namespace": "default", "configmap": name, "kubeconfig": str(kubeconfig)}

        made = (
            Place("local", folder, "local", _in_file, make_local),
            Place("local, encrypted", folder, "local", _in_sealed_file, make_local, key=True),
            Place("moto", folder, "s3", in_bucket, make_s3),
            Place("Kubernetes stand-in", folder, "k8s", in_cluster, make_kubernetes),
        )
        yield {place.name: place for place in made}


@contextmanager
def _credentials() -> Iterator[None]:
    before = dict(os.environ)
    os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _in_file(name: str) -> dict[str, Any]:
    return {"stateFile": f"{name}.state"}


def _in_sealed_file(name: str) -> dict[str, Any]:
    return {"stateFile": f"{name}.sealed.state"}


@contextmanager
def _stand_in(folder: Path) -> Iterator[Path]:
    """Run the stand-in for an API server in a process of its own; the value is a kubeconfig of its admin."""
    path = folder / "kubeconfig"
    argv = [sys.executable, "-m", "devstream.testing.kubernetes", str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield path
        process.stdin.close()


def writer(backend: StateBackend) -> StateWriter:
    """Take the lease on a state, to write it, for a run of its own."""
    holder = this_process(new_id(), "benchmark")
    return StateManager(backend).acquire(holder, timeout=0, notice=lambda _: None)


def entry(number: int, mark: int = 0) -> Put:
    """Make a record of a tool of the usual size."""
    values = {"name": f"service-{number}", "owner": "platform", "replicas": mark, "ports": [8080, 9090]}
    image = {"image": f"registry.example.com/service-{number}:1.4.2"}
    tool = ToolState(
        Address("noop", f"t{number}"),
        options={"input": values | image},
        depends_on=(f"noop.t{number - 1}",) if number else (),
        tags=("bench", "core"),
        properties={"input": values | image},
        outputs={"output": values | image},
        plugin="devstream",
        plugin_version="0.1.0",
        created="2026-01-01T00:00:00Z",
        updated="2026-01-01T00:00:00Z",
        op_id=f"{number:032x}",
    )
    return Put(tool.address, tool, PutReason.BOOKKEEPING)


def filled(backend: StateBackend, tools: int) -> None:
    """Record so many tools."""
    with writer(backend) as handle:
        for first in range(0, tools, _TOGETHER):
            handle.record(*map(entry, range(first, min(first + _TOGETHER, tools))))
            handle.flush()
        handle.close(RunRecord("run-of-benchmark", "benchmark", "then", "now"))


def changed(handle: StateWriter, changes: int, tools: int) -> None:
    """Record changes of tools, each when the one before is stored, as tools that wait for each other do."""
    for number in range(changes):
        handle.record(entry(number % tools, number + 1))
        handle.flush()


def one_run(place: Place, name: str, tools: int, parallelism: int) -> int:
    """Run so many tools that do nothing, from an empty state, with the real program; give how often it swapped."""
    config = place.folder / f"{name}.yaml"
    blocks = [{"name": "noop", "instanceID": f"t{number}"} for number in range(tools)]
    config.write_text(
        json.dumps({"config": {"state": place.config(name)}, "tools": blocks}), encoding="utf-8"
    )
    argv = [
        sys.executable,
        "-m",
        "devstream",
        "run",
        "--yes",
        f"--parallelism={parallelism}",
        "-f",
        str(config),
    ]
    subprocess.run(argv, check=True, capture_output=True)
    state = StateManager(place.open(name)).read()
    if len(state.tools) != tools or state.open_operations:
        message = f"{len(state.tools)} of {tools} tools were recorded in {place.name}"
        raise BenchmarkError(message)
    return state.serial - 1
