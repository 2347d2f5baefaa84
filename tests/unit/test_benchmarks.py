"""The harness of the benchmarks works; what it measures is nobody's business here."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from benchmarks.measure import BenchmarkError, Command, Cost, Metric, alternate, environment, measure
from benchmarks.profiling import profile, summary
from benchmarks.programs import Case, Program, Workshop, find_programs
from benchmarks.report import PAGE, Machine, block, one_line, put_into
from benchmarks.results import Result, command_of, measure_row
from benchmarks.rows import IDEAL, Row, Target, all_rows
from benchmarks.workloads import Load, Shape

THREE = Load(Shape.CHAIN, 3)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


@pytest.fixture
def programs(workshop: Workshop) -> dict[str, Program]:
    found, missing = find_programs(workshop.folder, ("devstream",))
    assert not missing
    return found


def python(code: str, folder: Path, **more: object) -> Command:
    return Command((sys.executable, "-I", "-c", code), folder, **more)  # type: ignore[arg-type]


def test_three_tools_are_measured_and_reported(workshop: Workshop, programs: dict[str, Program]) -> None:
    row = Row("run-3", Case.RUN, THREE, "devstream", (Target(1e9),), against=Load(Shape.INDEPENDENT, 3))
    result = measure_row(row, programs, workshop, 1)
    assert result.meets(row.targets[0])
    assert "writes of the state" in result.note
    text = block(
        [result], programs.values(), Machine(0.1, 0.5, datetime(2026, 1, 2, tzinfo=UTC)), {"x": "gone"}
    )
    assert "2 January 2026" in text
    assert "| run from empty, 3 chain `run-3` | itself, 3 independent | 1 |" in text
    assert "- `x`: gone" in text
    assert one_line(result).startswith("run-3")


@pytest.mark.parametrize("shape", Shape)
def test_every_shape_is_a_configuration(
    shape: Shape, workshop: Workshop, programs: dict[str, Program]
) -> None:
    measure(workshop.command(programs["devstream"], Case.VALIDATE, Load(shape, 12)), workshop.environ)


def test_a_settled_folder_has_nothing_to_do(workshop: Workshop, programs: dict[str, Program]) -> None:
    command = workshop.command(programs["devstream"], Case.NOOP, THREE)
    assert command.expect == "No changes"
    measure(command, workshop.environ)


def test_a_profile_names_our_packages(workshop: Workshop, programs: dict[str, Program]) -> None:
    found = profile(command_of(Row("p", Case.PLAN, THREE, ""), programs, workshop), workshop.environ)
    assert found.packages["devstream.config"] > 0
    assert found.total == pytest.approx(sum(found.packages.values()))
    assert "devstream.config" in summary(found)


def test_memory_is_the_programs_own(tmp_path: Path) -> None:
    """A child would be charged for the memory of this process, had it started the child itself."""
    ballast = bytearray(b"x" * 200 * 2**20)
    cost = measure(python("pass", tmp_path), environment(tmp_path))
    assert len(ballast) / 2**20 > 4 * cost.peak > 0
    more = measure(python("b'x' * 100 * 2**20", tmp_path), environment(tmp_path))
    assert more.peak > cost.peak + 90


def test_cpu_is_not_wall(tmp_path: Path) -> None:
    cost = measure(python("import time; time.sleep(0.3)", tmp_path), environment(tmp_path))
    assert cost.wall >= 0.3 > cost.cpu


@pytest.mark.parametrize(
    ("code", "more"),
    [
        ("import sys; sys.exit('lost the plot')", {}),
        ("print('lost the plot')", {"expect": "done"}),
        ("import time; print('lost the plot', flush=True); time.sleep(60)", {"limit": 1}),
    ],
)
def test_what_fails_is_not_measured(code: str, more: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="lost the plot"):
        measure(python(code, tmp_path, **more), environment(tmp_path))


def test_leftovers_are_removed_before_every_run(tmp_path: Path) -> None:
    (tmp_path / "old.d").mkdir()
    command = python("open('old', 'x').close()", tmp_path, leftovers=("old*",))
    alternate(command, command, pairs=2, environ=environment(tmp_path))
    assert not (tmp_path / "old.d").exists()


def test_the_environment_lets_python_keep_its_bytecode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("TF_LOG", "trace")
    assert not {"PYTHONDONTWRITEBYTECODE", "TF_LOG"} & environment(tmp_path).keys()


@pytest.mark.parametrize(
    ("peer", "pairs", "metric", "ratio"),
    [
        (
            "doit",
            [(1, 2), (4, 2), (3, 1)],
            Metric.WALL,
            2.0,
        ),  # the median of the ratios, not the ratio of medians
        ("doit", [(1, 2), (4, 2), (3, 1)], Metric.PEAK, 2.0),
        (IDEAL, [(1.5, None), (2.0, None), (1.0, None)], Metric.WALL, 1.5),
    ],
)
def test_ratios(peer: str, pairs: list[tuple[float, float | None]], metric: Metric, ratio: float) -> None:
    costs = tuple((Cost(a, a, a), None if b is None else Cost(b, b, b)) for a, b in pairs)
    row = Row("r", Case.RUN, Load(Shape.INDEPENDENT, 100, 0.1), peer, (Target(ratio, metric),))
    result = Result(row, costs)
    assert result.ratio(metric) == pytest.approx(ratio)
    assert not result.missed
    assert Result(Row("r", Case.RUN, row.load, peer, (Target(ratio / 2, metric),)), costs).missed


@pytest.mark.parametrize("shape", Shape)
@pytest.mark.parametrize("tools", [1, 2, 10, 100, 101])
def test_edges_lead_upwards(shape: Shape, tools: int) -> None:
    load = Load(shape, tools)
    edges = [load.upstream(index) for index in range(tools)]
    assert all(0 <= other < index for index, upstream in enumerate(edges) for other in upstream)
    assert all(len(set(upstream)) == len(upstream) <= 3 for upstream in edges)


def test_layers_have_three_edges_a_tool() -> None:
    edges = [Load(Shape.LAYERED, 100).upstream(index) for index in range(100)]
    assert [len(upstream) for upstream in edges] == [0] * 10 + [3] * 90


def test_rows_have_names_of_their_own() -> None:
    keys = [row.key for row in all_rows(("ansible", "pyinfra"))]
    assert len(set(keys)) == len(keys)


def test_a_table_takes_the_place_of_the_one_before() -> None:
    page = "a\n<!-- results -->\nold\n<!-- end of results -->\nz\n"
    once = put_into(page, "results", "new")
    assert once == "a\n<!-- results -->\n\nnew\n\n<!-- end of results -->\nz\n"
    assert put_into(once, "results", "new") == once
    with pytest.raises(ValueError, match="no place"):
        put_into(page, "long results", "new")


@pytest.mark.parametrize("name", ["results", "long results"])
def test_the_document_has_a_place_for_each_table(name: str) -> None:
    assert "\n\nnew\n\n" in put_into(PAGE.read_text(encoding="utf-8"), name, "new")
