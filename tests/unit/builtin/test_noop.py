"""The tool ``noop``."""

from __future__ import annotations

from dataclasses import replace
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest

from devstream.errors import OperationCancelled
from devstream.model.schema import Traits
from devstream.model.state import ToolState
from devstream.model.values import Secret, SecretRef

if TYPE_CHECKING:
    from .conftest import Bench

SECRET = Secret((SecretRef("env", "X"),), "x")


@pytest.mark.parametrize("value", [None, 1, "text", [1, {"a": None}], {"b": SECRET}], ids=repr)
def test_the_input_comes_back(noop: Bench, value: Any) -> None:
    assert noop.create(input=value).outputs == {"output": value}
    assert noop.update(input=value).outputs == {"output": value}
    assert noop.create(input=value).properties == {}


def test_traits_and_flags(noop: Bench) -> None:
    assert noop.traits() == Traits(can_read=False, repeatable=True)
    assert noop.plugin.flags(("triggers", "a")) == {"immutable"}
    assert noop.plugin.flags(("delay",)) == {"record_only"}


@pytest.mark.parametrize("options", [{"delay": -1}, {"delay": "long"}, {"inputs": 1}], ids=str)
def test_mistakes(noop: Bench, options: dict[str, Any]) -> None:
    assert len(noop.mistakes(**options)) == 1


def test_delay_waits(noop: Bench) -> None:
    start = monotonic()
    noop.create(delay=0.1)
    assert monotonic() - start >= 0.1


def test_a_wait_of_a_day_ends_when_the_run_is_stopped(noop: Bench) -> None:
    looks = iter([False, False, True])
    context = replace(noop.context, stop=lambda: next(looks))
    with pytest.raises(OperationCancelled):
        noop.plugin.hooks.delete(
            tool=noop.tool({"delay": 86400}), recorded=ToolState(noop.address), context=context
        )
