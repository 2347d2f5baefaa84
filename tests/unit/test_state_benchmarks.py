"""The table of what keeping the state costs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import pytest

from benchmarks.report import PAGE, put_into
from benchmarks.state_times import Row, opening_adds, table


def row(change: tuple[float, float, float], opening: float, swaps: tuple[int, int]) -> Row:
    sizes = dict(zip((10, 1_000, 10_000), change, strict=True))
    return Row("somewhere", sizes, opening, dict(zip((10, 64), swaps, strict=True)))


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (row((1.0, 1.4, 1.2), 0.3, (130, 30)), "met"),
        (row((1.0, 1.0, 1.6), 0.1, (50, 10)), "**missed**"),
        (row((1.0, 1.0, 1.0), 0.31, (50, 10)), "**missed**"),
        (row((1.0, 1.0, 1.0), 0.1, (131, 10)), "**missed**"),
        (row((1.0, 1.0, 1.0), 0.1, (50, 31)), "**missed**"),
    ],
)
def test_verdicts(made: Row, verdict: str) -> None:
    line = table([made], 0.001).splitlines()[2]
    assert line.endswith(f"| {verdict} |")
    assert line.count("|") == table([made], 0.001).splitlines()[0].count("|")


def test_what_opening_adds_is_told() -> None:
    assert "adds 5.0 ms to a plan (<= 15 ms): met" in table([], 0.005)
    assert "adds 16.0 ms to a plan (<= 15 ms): **missed**" in table([], 0.016)


def test_opening_is_measured(tmp_path: Path) -> None:
    assert 0 < opening_adds(tmp_path) < 1


def test_the_document_has_a_place_for_the_table() -> None:
    assert "\n\nnew\n\n" in put_into(PAGE.read_text(encoding="utf-8"), "state results", "new")
