from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.forges.forges import FORGES, Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


QUICK = "gitea"
"""The forge that is tried in every run of the tests; the others are slow to try."""


@pytest.fixture(
    params=[pytest.param(name, marks=() if name == QUICK else pytest.mark.slow) for name in FORGES]
)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give a forge on which nothing was made yet."""
    forge = FORGES[request.param]
    with forge.opened(tmp_path / "served") as service:
        place = Place.on(forge, service, tmp_path)
        yield place
        place.bench.close()


@pytest.fixture
def place(empty: Place) -> Place:
    """Give an app that was made on a forge."""
    empty.shop.run()
    return empty
