from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from devstream.testing.project import project
from tests.crash.conftest import WITH_WORLDS

if TYPE_CHECKING:
    from tests.crash.conftest import Place

__all__ = ["project"]


@pytest.fixture(scope="module", params=WITH_WORLDS)
def place(request: pytest.FixtureRequest) -> Place:
    return WITH_WORLDS[request.param](request)
