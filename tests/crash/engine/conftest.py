from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devstream.testing.project import project
from tests.crash.conftest import PLACES, REMOTE, WORLDS, open_place

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.crash.conftest import Place

__all__ = ["project"]


@pytest.fixture(
    scope="module",
    params=[*PLACES, *(pytest.param(name, marks=pytest.mark.slow) for name in (*WORLDS, *REMOTE))],
)
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with open_place(request) as made:
        yield made
