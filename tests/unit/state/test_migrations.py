"""The seam where earlier formats are read."""

from __future__ import annotations

import pytest

from devstream.errors import StateDamagedError, StateForeignError
from devstream.state.migrations import FORMAT, MIGRATIONS, Document, migrate


def _two(document: Document) -> Document:
    return {**document, "steps": [*document.get("steps", ()), "1 to 2"]}


def _three(document: Document) -> Document:
    return {**document, "steps": [*document["steps"], "2 to 3"]}


STEPS = {1: _two, 2: _three}


def test_every_step_is_taken_in_order() -> None:
    old = {"format": 1, "x": 1}
    migrated = migrate(old, "it", newest=3, migrations=STEPS)
    assert migrated == {"format": 3, "x": 1, "steps": ["1 to 2", "2 to 3"]}
    assert old == {"format": 1, "x": 1}


def test_the_newest_stays_as_it_is() -> None:
    document = {"format": 3}
    assert migrate(document, "it", newest=3, migrations=STEPS) is document


def test_newer_is_refused() -> None:
    with pytest.raises(
        StateForeignError, match=r"it was written by a newer version .*format 4; this one knows 3"
    ):
        migrate({"format": 4}, "it", newest=3, migrations=STEPS)


@pytest.mark.parametrize("written", [0, None, "1", 1.5])
def test_formats_that_never_were(written: object) -> None:
    with pytest.raises(StateDamagedError, match="does not exist"):
        migrate({"format": written}, "it", newest=3, migrations=STEPS)


def test_there_is_a_step_from_every_released_format() -> None:
    assert sorted(MIGRATIONS) == list(range(1, FORMAT))
