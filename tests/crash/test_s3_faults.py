"""Three writers in processes of their own, a store whose answers get lost: nothing is lost, and nothing is a phantom.

*Lost* is what was acknowledged and is not stored. A *phantom* is stored, and its writer was told that it failed.
*Unknown* is what its writer was told to look at again: while it waited for an answer, the others wrote more often than
a head remembers. That takes writers without a lease.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import msgspec
import pytest

from devstream.state.head import encode_head, first_head
from devstream.state.manager import StateManager
from devstream.testing.fault_proxy import AFTER_500, DROP, FAULTS, Dice, on
from devstream.testing.s3 import s3, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from devstream.testing.fault_proxy import Fault
    from devstream.testing.s3 import Bucket

__all__ = ["s3", "s3_server"]

TIMEOUT = 0.4
NAMES = "abc"
ROUND = 120
"""Operations on one state, which grows with them."""


class Tally(NamedTuple):
    """What came of many operations."""

    acknowledged: int
    stored: int
    failed: int
    unknown: int
    lost: int
    phantom: int

    def __add__(self, other: Tally) -> Tally:  # type: ignore[override]  # numbers are added, tuples are not joined
        return Tally(*(mine + others for mine, others in zip(self, other, strict=True)))


class Writers:
    """Three processes that wait for orders."""

    def __init__(self) -> None:
        argv = [sys.executable, str(Path(__file__).with_name("s3_writer.py"))]
        pipe = subprocess.PIPE
        self._processes = {name: subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) for name in NAMES}

    def order(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        answers: list[dict[str, Any]] = []

        def ask(name: str) -> None:
            process = self._processes[name]
            assert process.stdin is not None
            assert process.stdout is not None
            print(json.dumps(order | {"name": name}), file=process.stdin, flush=True)
            answers.append(json.loads(process.stdout.readline()))

        threads = [threading.Thread(target=ask, args=(name,)) for name in NAMES]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def close(self) -> None:
        for process in self._processes.values():
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.close()
            process.wait(30)
            process.stdout.close()


@contextmanager
def three_writers() -> Iterator[Writers]:
    writers = Writers()
    try:
        yield writers
    finally:
        writers.close()


def play_round(
    bucket: Bucket,
    writers: Writers,
    faults: Sequence[Fault],
    operations: int,
    seed: int,
    *,
    believing: bool = False,
) -> Tally:
    """Let the writers write to a new state, while things go wrong."""
    key = f"{uuid4().hex}/devstream.state"
    backend = bucket.backend(key)
    head = msgspec.structs.replace(first_head("2026-01-01T00:00:00Z"), store={"etag": "quoted"})
    backend.swap_head(encode_head(head), None)
    bucket.proxy.choose = Dice(0.3, faults, seed=seed, of=on("PUT", "GET"))
    order = {
        "options": bucket.options(key),
        "times": operations // len(NAMES),
        "timeout": TIMEOUT,
        "believing": believing,
    }
    answers = writers.order(order)
    bucket.proxy.choose = lambda _: None
    bucket.proxy.drain()
    stored = {address.instance_id for address in StateManager(backend).read().tools}
    acknowledged, failed, unknown = (
        {name for answer in answers for name in answer[told]}
        for told in ("acknowledged", "failed", "unknown")
    )
    assert stored <= acknowledged | failed | unknown
    return Tally(
        acknowledged=len(acknowledged),
        stored=len(stored & acknowledged),
        failed=len(failed),
        unknown=len(unknown),
        lost=len(acknowledged - stored),
        phantom=len(stored & failed),
    )


def play(bucket: Bucket, faults: Sequence[Fault], operations: int, capsys: Any, name: str) -> None:
    tally = Tally(*[0] * 6)
    with three_writers() as writers:
        for number in range(max(1, operations // ROUND)):
            tally += play_round(bucket, writers, faults, min(operations, ROUND), seed=number)
    counts = bucket.proxy.counts()
    with capsys.disabled():
        print(f"\ns3 faults, {name}: {tally._asdict()}; {dict(sorted(counts.items()))}")
    assert tally.acknowledged >= operations // ROUND * ROUND
    assert (tally.lost, tally.phantom) == (0, 0)
    assert tally.stored == tally.acknowledged
    assert tally.unknown <= tally.acknowledged / 20
    assert Counter(counts).total() > counts["none"]


def test_every_fault_at_once(s3: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    play(s3, tuple(FAULTS.values()), 2 * ROUND, capsys, "all at once")


def test_believing_the_client_library_leaves_phantoms(s3: Bucket) -> None:
    """The counting notices a broken protocol."""
    with three_writers() as writers:
        tally = play_round(s3, writers, (DROP, AFTER_500), 60, seed=1, believing=True)
    assert tally.phantom > 0
    assert tally.lost == 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", FAULTS)
def test_ten_thousand_operations(s3: Bucket, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each kind alone; with the mixture below, more than ten thousand."""
    play(s3, (FAULTS[name],), 6 * ROUND, capsys, name)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_operations_with_every_fault(s3: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    play(s3, tuple(FAULTS.values()), 9 * ROUND, capsys, "all at once")
