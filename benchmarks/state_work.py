"""States to measure: kept in different places, as large as wanted; and the work that is done on them.

What work costs is counted in calls and bytes, which are the same on every machine; `benchmarks.state_times` adds times.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.builtin.kubernetes import make_kubernetes
from devstream.builtin.local import make_local
from devstream.builtin.s3 import make_s3
from devstream.model.address import Address
from devstream.model.state import Put, PutReason, RunRecord, ToolState
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.sealed_backend import sealed
from devstream.testing.crash import BackendAround
from devstream.testing.keys import keyring
from devstream.testing.kubernetes import KubernetesStandIn
from devstream.testing.s3 import ACCESS_KEY, SECRET_KEY, create_bucket, moto_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from devstream.state.backend import Head, StateBackend
    from devstream.state.session import StateWriter

__all__ = ["Counting", "Place", "changed", "filled", "places", "writer"]

_TOGETHER = 100
"""How many entries are handed in at once while a state is filled."""


class Place(NamedTuple):
    """Somewhere to keep states.

    Attributes:
        options: what a configuration says of the state of this name under ``config.state``.
        opened: the backend of the state of this name.
    """

    name: str
    options: Callable[[str], dict[str, Any]]
    opened: Callable[[str], StateBackend]


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
    """Give the places, with the servers behind them.

    Side effects: runs a server in a process and one in a thread; puts credentials for them into the environment.
    """
    os.environ |= {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with ExitStack() as stack:
        url = stack.enter_context(moto_server())
        cluster = stack.enter_context(KubernetesStandIn())
        kubeconfig = cluster.kubeconfig(folder / "kubeconfig")
        bucket = create_bucket(url)
        local = Place("local", lambda name: _local(folder, name), lambda name: make_local(_local(folder, name)["options"], folder))
        yield {
            place.name: place
            for place in (
                local,
                _encrypted(local, folder),
                _place("moto", "s3", lambda name: {"bucket": bucket, "key": name, "endpoint": url, "allowHttp": True}, make_s3),
            )
        }
