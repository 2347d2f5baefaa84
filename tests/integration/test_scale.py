"""A thousand tools: how often the state is written, and that all of it is there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from devstream.testing.crash import BreakableBackend
from devstream.testing.project import Project, block

if TYPE_CHECKING:
    from devstream.api import StateBackend


class DistantBackend(BreakableBackend):
    """Takes as long for a swap as a store in a network does, so that the count says little of the machine's load."""

    def swap_head(self, data: bytes, expected: str | None) -> str:
        time.sleep(0.01)
        return super().swap_head(data, expected)


@pytest.mark.parametrize(("parallelism", "limit"), [(10, 130), (64, 30)])
def test_a_thousand_operations_take_few_swaps(project: Project, parallelism: int, limit: int) -> None:
    backends: list[BreakableBackend] = []

    def wrap(backend: StateBackend) -> BreakableBackend:
        backends.append(DistantBackend(backend))
        return backends[-1]

    project.wrap = wrap
    names = [f"noop.n{number}" for number in range(1000)]
    project.tools(*(block(name, {"input": {"text": name}}) for name in names))
    project.run(parallelism=parallelism).assert_success()
    assert backends[0].swaps <= limit
    assert sorted(project.recorded()) == sorted(names)
    project.plan().assert_nothing_to_do()


def test_a_long_chain_is_carried_out_in_order(project: Project) -> None:
    names = [f"noop.n{number}" for number in range(300)]
    before = dict(zip(names[1:], names, strict=False))
    project.tools(*(block(name, after=[before[name]] if name in before else []) for name in reversed(names)))
    assert project.run().assert_success().started == [f"create {name}" for name in names]
    project.tools()
    assert project.run().assert_success().started == [f"delete {name}" for name in reversed(names)]
