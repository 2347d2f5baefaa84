"""Three writers and a cluster whose answers get lost; a writer that is killed between two chunks of a blob.

*Lost* is what was acknowledged and is not stored. A *phantom* is stored, and its writer was told that it failed.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest

from devstream.builtin.kubernetes import KubernetesBackend, make_kubernetes
from devstream.builtin.kubernetes_calls import Calls
from devstream.builtin.kubernetes_options import Target
from devstream.state.head import encode_head, first_head
from devstream.state.manager import StateManager
from devstream.testing.kubernetes import Fault, KubernetesStandIn
from tests.crash.s3_writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from devstream.testing.kubernetes_requests import Request

NAMES = "abc"
ROUND = 60
"""Operations on one state, which grows with them."""


class Tally(NamedTuple):
    """What came of many operations."""

    acknowledged: int = 0
    stored: int = 0
    failed: int = 0
    unknown: int = 0
    lost: int = 0
    phantom: int = 0


class Dice:
    """Lets something go wrong with some swaps, and lets late ones arrive at any later moment."""

    def __init__(self, cluster: KubernetesStandIn, faults: Sequence[Fault], seed: int) -> None:
        self._cluster = cluster
        self._faults = faults
        self._choice = random.Random(seed)
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def __call__(self, request: Request) -> Fault | None:
        with self._lock:
            fault = self._choice.choice(self._faults) if self._choice.random() < 0.3 else None
            deliver = self._choice.random() < 0.1
        if deliver:
            self._cluster.deliver()
        if request.method not in ("PUT", "POST"):
            return None
        self.counts[fault.name if fault else "none"] += 1
        return fault


@pytest.fixture
def cluster() -> Iterator[KubernetesStandIn]:
    with KubernetesStandIn() as made:
        made.add_namespace("team")
        yield made


def open_state(cluster: KubernetesStandIn, folder: Path, name: str) -> KubernetesBackend:
    target = Target("team", name, None, cluster.kubeconfig(folder / f"kubeconfig-{os.urandom(4).hex()}"))
    return KubernetesBackend(target, Calls(target, {}, sleep=lambda _: time.sleep(0.002)))


def play_round(
    cluster: KubernetesStandIn, folder: Path, faults: Sequence[Fault], seed: int, *, believing: bool = False
) -> tuple[Tally, Counter[str]]:
    name = f"state-{seed}"
    backend = open_state(cluster, folder, name)
    backend.swap_head(encode_head(first_head("2026-01-01T00:00:00Z")), None)
    writers = [Writer(open_state(cluster, folder, name), who, believing=believing) for who in NAMES]
    dice = cluster.fault = Dice(cluster, faults, seed)
    threads = [threading.Thread(target=writer.write, args=(ROUND // len(NAMES),)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cluster.fault = lambda _: None
    cluster.deliver()
    stored = {address.instance_id for address in StateManager(backend).read().tools}
    acknowledged = {one for writer in writers for one in writer.acknowledged}
    failed = {one for writer in writers for one in writer.failed}
    unknown = {one for writer in writers for one in writer.unknown}
    assert stored <= acknowledged | failed | unknown
    tally = Tally(
        len(acknowledged),
        len(stored & acknowledged),
        len(failed),
        len(unknown),
        len(acknowledged - stored),
        len(stored & failed),
    )
    return tally, dice.counts


def play(cluster: KubernetesStandIn, folder: Path, faults: Sequence[Fault], rounds: int) -> None:
    tallies, counts = [], Counter[str]()
    for seed in range(rounds):
        tally, counted = play_round(cluster, folder, faults, seed)
        tallies.append(tally)
        counts += counted
    total = Tally(*map(sum, zip(*tallies, strict=True)))
    print(f"kubernetes faults: {total._asdict()}; {dict(sorted(counts.items()))}")
    assert total.acknowledged >= rounds * ROUND
    assert (total.lost, total.phantom) == (0, 0)
    assert total.stored == total.acknowledged
    assert counts.total() > counts["none"]


def test_every_fault_at_once(cluster: KubernetesStandIn, tmp_path: Path) -> None:
    play(cluster, tmp_path, tuple(Fault), 2)


def test_believing_the_client_library_leaves_phantoms(cluster: KubernetesStandIn, tmp_path: Path) -> None:
    """The counting notices a broken protocol."""
    tally, _ = play_round(cluster, tmp_path, (Fault.DROP_AFTER, Fault.ERROR_AFTER), 1, believing=True)
    assert tally.phantom > 0
    assert tally.lost == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("fault", [*Fault, None], ids=lambda fault: fault.name if fault else "all")
def test_ten_thousand_operations(cluster: KubernetesStandIn, tmp_path: Path, fault: Fault | None) -> None:
    """Each kind alone, and all of them: 8 x 22 x 60 operations."""
    play(cluster, tmp_path, (fault,) if fault else tuple(Fault), 22)


# -- a writer that is killed between two chunks

PUT = """
import json, os, sys
from pathlib import Path
from devstream.builtin.kubernetes import make_kubernetes
backend = make_kubernetes(json.loads(sys.argv[1]), Path())
call, size = sys.argv[2], int(sys.argv[3])
if call == "put":
    backend.put_blob("snapshot-1", b"new" * (size // 3))
else:
    backend.delete_blob("snapshot-1")
"""

SIZE = 2_700_000
"""Three chunks."""


class Killer:
    """Kills a process when it sends its nth change, which is done all the same."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.pid = 0
        self.seen = 0

    def __call__(self, request: Request) -> Fault | None:
        if request.method == "GET":
            return None
        self.seen += 1
        if self.seen != self._at:
            return None
        os.kill(self.pid, signal.SIGKILL)
        return Fault.DROP_AFTER


def run_and_kill(cluster: KubernetesStandIn, options: dict[str, str], call: str, at: int) -> bool:
    killer = Killer(at)
    argv = [
        sys.executable,
        "-c",
        "import sys; sys.stdin.readline()\n" + PUT,
        json.dumps(options),
        call,
        str(SIZE),
    ]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, text=True) as process:
        killer.pid = process.pid
        cluster.fault = killer
        process.communicate("go\n", timeout=60)
    cluster.fault = lambda _: None
    assert process.returncode in (0, -signal.SIGKILL)
    return process.returncode != 0


@pytest.mark.parametrize("call", ["put", "delete"])
def test_a_reader_never_sees_a_part_of_a_blob(cluster: KubernetesStandIn, tmp_path: Path, call: str) -> None:
    kubeconfig = str(cluster.kubeconfig(tmp_path / "kubeconfig"))
    kills = 0
    for at in range(1, 20):
        options = {"namespace": "team", "configmap": f"state-{at}", "kubeconfig": kubeconfig}
        reader = make_kubernetes(options, tmp_path)
        if call == "delete":
            reader.put_blob("snapshot-1", b"new" * (SIZE // 3))
        killed = run_and_kill(cluster, options, call, at)
        seen = reader.get_blob("snapshot-1")
        assert seen in (None, b"new" * (SIZE // 3))
        left = reader.list_blobs()
        assert left == (["snapshot-1"] if seen else left), "gc finds what is left"
        reader.delete_blob("snapshot-1")
        assert reader.list_blobs() == [], "nothing stays"
        reader.put_blob("snapshot-1", b"old" * (SIZE // 3))
        assert reader.get_blob("snapshot-1") == b"old" * (SIZE // 3)
        kills += killed
        if not killed:
            break
    print(f"{call}: {kills} kills between chunks, never a part seen")
    assert kills == 3


@pytest.mark.slow
def test_a_reader_beside_writers_of_32_mib(cluster: KubernetesStandIn, tmp_path: Path) -> None:
    """Blobs come and go while they are read: a reader gets one of them whole, or nothing."""
    options = {"namespace": "team", "kubeconfig": str(cluster.kubeconfig(tmp_path / "kubeconfig"))}
    bodies = [os.urandom(1024) * 32 * 1024, os.urandom(1024) * 32 * 1024]
    writer, reader = make_kubernetes(options, tmp_path), make_kubernetes(options, tmp_path)
    done = threading.Event()

    def write() -> None:
        for number in range(6):
            writer.put_blob("dtm-original", bodies[number % 2])
            writer.delete_blob("dtm-original")
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    seen = Counter[str]()
    while not done.is_set():
        found = reader.get_blob("dtm-original")
        assert found is None or found in bodies
        seen["nothing" if found is None else "whole"] += 1
    thread.join()
    print(f"readings of 32 MiB: {dict(seen)}")
    assert seen["nothing"]
