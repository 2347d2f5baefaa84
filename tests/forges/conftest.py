from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.forges.forges import FORGES, Place
from tests.forges.shop import Shop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(params=FORGES)
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Give a forge on which nothing was made yet."""
    forge = FORGES[request.param]
    with forge.opened(tmp_path / "served") as service:
        yield Place(forge, service, Shop(tmp_path, service, forge.kind, forge.ci))


@pytest.fixture
def place(empty: Place) -> Place:
    """Give an app that was made on a forge."""
    empty.shop.run()
    return empty
