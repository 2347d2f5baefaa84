from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.errors import Diagnostic, OperationError, UsageError
from devstream.graph.dag import Graph
from devstream.model.plan import Action, Outcome, Result, RunReport
from devstream.model.state import Begin, OpenOperation, State, ToolState
from devstream.model.tool import BARRIER
from devstream.model.values import Reference
from devstream.report.graph import dot, graph_data, mermaid, svg
from devstream.report.outline import expanded_lines, outline
from devstream.report.tables import MANY, output_lines, run_count_line, run_lines, state_lines, table
from devstream.report.terminal import Look, display_width

if TYPE_CHECKING:
    from pathlib import Path


def graph(make: Any, *, apps: bool = True) -> tuple[Graph[Any], dict[str, str | None]]:
    base, repo, ci = (make.address(name) for name in ("noop.base", "repo.web", "ci.web"))
    edges: dict[Any, list[Any]] = {base: [], BARRIER: [base]}
    if apps:
        edges |= {repo: [BARRIER], ci: [repo]}
    return Graph(edges), {str(base): None, str(repo): 'we"b', str(ci): 'we"b'}


def test_mermaid(make: Any) -> None:
    assert mermaid(*graph(make)) == [
        "flowchart LR",
        '  n0["noop.base"]',
        '  n1["@tools"]',
        '  subgraph g1["app we#34;b"]',
        '    n2["repo.web"]',
        '    n3["ci.web"]',
        "  end",
        "  n0 --> n1",
        "  n1 --> n2",
        "  n2 --> n3",
    ]


def test_dot(make: Any) -> None:
    lines = dot(*graph(make))
    assert '    label="app we\\"b";' in lines
    assert '  "noop.base" -> "@tools";' in lines
    assert lines[-1] == "}"


def test_the_barrier_is_drawn_only_where_something_waits_for_it(make: Any) -> None:
    assert graph_data(*graph(make, apps=False)) == {
        "nodes": [{"address": "noop.base", "app": None}],
        "edges": [],
    }
    assert {"from": "@tools", "to": "repo.web"} in graph_data(*graph(make))["edges"]


def test_svg_without_graphviz(make: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Graphviz") as caught:
        svg(*graph(make), str(tmp_path))
    assert "--format mermaid" in caught.value.diagnostic.suggestion


def fake_dot(folder: Path, script: str) -> str:
    program = folder / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_svg_is_what_dot_draws(make: Any, tmp_path: Path) -> None:
    path = fake_dot(tmp_path, 'test "$1" = -Tsvg && grep -q digraph && echo "<svg/>"')
    assert svg(*graph(make), path) == "<svg/>"


def test_svg_says_what_dot_said(make: Any, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="exit status 3") as caught:
        svg(*graph(make), fake_dot(tmp_path, "cat > /dev/null; echo bad label >&2; exit 3"))
    assert caught.value.diagnostic.detail == "bad label"


@given(st.text(min_size=1, max_size=20))
def test_any_label_is_quoted(label: str) -> None:
    nodes: Graph[str] = Graph({label: []})
    for line in (mermaid(nodes, {label: label})[2], dot(nodes, {label: label})[4]):
        body = line[line.index('"') + 1 : line.rindex('"')]
        assert '"' not in body.replace("\\\\", "").replace('\\"', "")
        assert "\n" not in line


OUTLINES = [
    ({}, ["{}"]),
    ([], ["[]"]),
    ({"a": None, "b": "", "c": [], "d": {}}, ["a: null", 'b: ""', "c: []", "d: {}"]),
    ({"a": {"b": {"c": 1}}}, ["a:", "  b:", "    c: 1"]),
    ([[1, 2], [3]], ["- - 1", "  - 2", "- - 3"]),
    (
        {"a": "yes", "b": "1", "c": "x: y", "d": " x", "e": "x y"},
        ['a: "yes"', 'b: "1"', 'c: "x: y"', 'd: " x"', "e: x y"],
    ),
    ({"a": "one\ntwo\n"}, ["a: |", "  one", "  two"]),
    ({"a": "one\n\n two"}, ["a: |-", "  one", "", "   two"]),
    ({"a": " one\ntwo\n"}, ['a: " one\\ntwo\\n"']),
    ({"a": "one\ntwo\n\n"}, ['a: "one\\ntwo\\n\\n"']),
    ({"a": "\x1b[1mx"}, ['a: "x"']),
    ({"a b": 1, "c:": 2}, ["a b: 1", '"c:": 2']),
]


@pytest.mark.parametrize(("value", "expected"), OUTLINES)
def test_outline(value: Any, expected: list[str]) -> None:
    assert outline(value) == expected


trees = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(categories=["L", "N", "P", "Zs"], include_characters="\n"), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:# -1", max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(trees)
def test_an_outline_is_yaml_that_says_the_same(value: Any) -> None:
    import yaml

    assert yaml.safe_load("\n".join(outline(value))) == value


def test_expanded_lines(make: Any) -> None:
    tool = make.tool("noop.a", "web", x=Reference(make.address("noop.b"), ("port",)))
    origin = "# apps.yaml:13, app web, pipelineTemplate ci"
    assert expanded_lines([tool, make.tool("noop.b")], Look(folder="/proj")) == [
        "tools:",
        f"{'- name: noop':<48}# tools.yaml:3",
        "  instanceID: a",
        "  options:",
        f"{'    x: ${{ noop.b.outputs.port }}':<48}{origin}",
        f"{'- name: noop':<48}# tools.yaml:3",
        "  instanceID: b",
        f"{'  options: {}':<48}{origin.replace('13', '12')}",
    ]
    assert expanded_lines([], Look()) == ["tools: []"]


def test_table_cuts_the_last_column_and_cleans() -> None:
    lines = table(("name", "what"), [("a", "x" * 100), ("b\x1b[1m", "007")], Look(width=40))
    assert lines == ["name    what", f"a       {'x' * 31}…", "b       007"]


def test_a_long_first_cell_stands_on_a_line_of_its_own() -> None:
    rows = [("repo-scaffolding.web", "create", "worth knowing"), ("b", "", "x")]
    assert table(("tool", "action", "notes"), rows, Look(width=36)) == [
        "tool    action    notes",
        "repo-scaffolding.web",
        "        create    worth knowing",
        "b                 x",
    ]


def test_wide_characters_do_not_push_columns() -> None:
    rows = [("noop.a", "日本語 🚀", "x"), ("noop.b", "ascii", "y"), ("noop.c", "e\u0301", "z")]
    lines = table(("tool", "label", "end"), rows, Look(width=80))
    assert lines[1] == "noop.a  日本語 🚀  x"
    assert {display_width(line) for line in lines[1:]} == {display_width(lines[1])}


def test_table_becomes_blocks_where_it_is_too_narrow() -> None:
    rows = [("repo-scaffolding.web", "create", "worth knowing"), ("b", "", "x")]
    lines = table(("tool", "action", "notes"), rows, Look(width=24))
    assert lines == ["repo-scaffolding.web", "  action: create", "  notes: worth knowing", "b", "  notes: x"]


RESULTS = [
    # outcome, what the result holds, recorded outputs, the note
    (
        Outcome.SUCCEEDED,
        {"info": {"ci": {"result": "passed"}}},
        {"repoURL": "file:///r"},
        "ci.result: passed, repoURL: file:///r",
    ),
    (Outcome.SUCCEEDED, {}, {"name": "x", "url": ""}, ""),
    (
        Outcome.SUCCEEDED,
        {"info": {"log": "x", "commit": "0123456789" * 4, "ci": {"result": "failed"}}},
        {"name": "n", "webUrl": "u"},
        "ci.result: failed, webUrl: u, log: x",
    ),
    (Outcome.SUCCEEDED, {"info": {"commit": "0123456789" * 4}}, {}, "commit: 0123456789"),
    (Outcome.SUCCEEDED, {"info": {"a": 1, "b": 2, "c": 3, "d": 4}}, {}, "a: 1, b: 2, c: 3"),
    (Outcome.SUCCEEDED, {"info": {"long": "x" * 99, "list": [1]}}, {}, ""),
    (Outcome.FAILED, {"error": Diagnostic("said\nno", "x")}, {"url": "x"}, "said no"),
]


@pytest.mark.parametrize(("outcome", "rest", "outputs", "note"), RESULTS)
def test_what_is_worth_knowing(
    make: Any, outcome: Outcome, rest: dict[str, Any], outputs: dict[str, Any], note: str
) -> None:
    where = make.address("noop.a")
    report = RunReport("r", (Result(where, Action.CREATE, outcome, **rest),), 1.0)
    lines = run_lines(report, lambda: {where: outputs}, Look(width=200))
    notes = [lines[1].split(str(outcome))[1], *lines[2 : lines.index("")]]
    assert ", ".join(line.strip() for line in notes) == note


def test_run_summary(make: Any) -> None:
    results = (
        Result(make.address("noop.a"), Action.CREATE, Outcome.SUCCEEDED, seconds=1.5),
        Result(make.address("noop.b"), Action.DELETE, Outcome.SKIPPED, cause=make.address("noop.a")),
        Result(make.address("noop.c"), Action.NOOP, Outcome.SUCCEEDED),
    )
    report = RunReport("r", results, 2.0, protected=(make.address("db.x"),))
    assert run_lines(report, dict, Look(width=80)) == [
        "tool    action    outcome    time    worth knowing",
        "noop.a  create    succeeded  1.5s",
        "noop.b  delete    skipped            because of noop.a",
        "",
        "Done in 2.0s: 1 succeeded, 1 skipped, 1 protected and left in place.",
    ]
    coloured = run_lines(report, dict, Look(width=80, colour=True))
    assert coloured[1] == "noop.a  create    \x1b[32msucceeded\x1b[0m  1.5s"


def test_run_count_line_of_a_run_that_only_recorded_or_was_stopped() -> None:
    assert run_count_line(RunReport("r", (), 0.1)) == "Done in 0.1s: the state was brought up to date."
    assert run_count_line(RunReport("r", (), 0.1, signal=2)).startswith("Stopped in 0.1s")


def test_state_table(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make.address("noop.a"), make.address("noop.b")
    begin = Begin("op", 1, second, Action.CREATE, ToolState(second), "r", "h", "b")
    entry = ToolState(
        first, app="web", tainted=True, adopted=True, plugin="scm", plugin_version="1.0", updated="soon"
    )
    state = State("l", 1, tools={first: entry}, open_operations={second: OpenOperation(begin)})
    assert state_lines(state, Look(width=120))[1:] == [
        "noop.a  tainted, adopted   web    soon       scm 1.0",
        "noop.b  unfinished create",
    ]
    assert state_lines(State(), Look()) == ["Nothing is recorded."]


def test_output_table(make: Any) -> None:
    where = make.address("noop.a")
    secret = {"$secret": [{"source": "env", "key": "A"}], "fingerprint": "ff"}
    entry = ToolState(where, outputs={"url": "http://x", "a": {"b": [1]}, "token": secret})
    assert output_lines({where: entry}, Look(width=80)) == [
        "tool    output    value",
        "noop.a  url       http://x",
        "noop.a  a.b       [1]",
        "noop.a  token     (secret)",
    ]
    assert output_lines({}, Look()) == ["There are no outputs."]


@given(
    st.lists(st.tuples(st.text("ab漢", max_size=9), st.text("xy ", max_size=60)), min_size=1, max_size=4),
    st.integers(30, 90),
)
def test_tables_keep_to_the_width(rows: list[tuple[str, str]], width: int) -> None:
    assert all(display_width(line) <= width for line in table(("one", "two"), rows, Look(width=width)))


@pytest.mark.parametrize("width", [30, 60, 80, 200])
def test_what_people_copy_is_never_cut(make: Any, width: int) -> None:
    where = make.address("repo-scaffolding.hello")
    place = "/home/ann/projects/quickstart/repos/demo/hello.git"
    report = RunReport("r", (Result(where, Action.CREATE, Outcome.SUCCEEDED, seconds=0.2),), 1.0)
    lines = run_lines(report, lambda: {where: {"repoURL": place}}, Look(width=width))
    noted = [line for line in lines if place in line]
    assert len(noted) == 1
    beside = "repo-scaffolding.hello" in noted[0]
    assert beside == (width == 200)
    assert beside or noted[0] == f"    repoURL: {place}"


def many_results(make: Any, failing: int) -> RunReport:
    outcomes = [Outcome.FAILED] * failing + [Outcome.SUCCEEDED] * (MANY + 1 - failing)
    return RunReport(
        "r",
        tuple(
            Result(make.address(f"noop.t{number}"), Action.CREATE, outcome)
            for number, outcome in enumerate(outcomes)
        ),
        1.0,
    )


def test_of_very_many_only_what_did_not_succeed_has_a_row(make: Any) -> None:
    lines = run_lines(many_results(make, 2), pytest.fail, Look(width=80))
    assert [line.split()[0] for line in lines if line] == ["tool", "noop.t0", "noop.t1", "Done"]


def test_very_many_that_succeeded_are_counted_and_nothing_is_set_out_or_read(make: Any) -> None:
    lines = run_lines(many_results(make, 0), pytest.fail, Look(width=80))
    assert lines == [f"Done in 1.0s: {MANY + 1} succeeded."]


def test_who_asks_for_more_gets_every_row(make: Any) -> None:
    assert len(run_lines(many_results(make, 0), dict, Look(width=80), full=True)) == MANY + 4


def test_a_row_below_a_long_address_is_coloured(make: Any) -> None:
    results = (
        Result(make.address("noop." + "x" * 60), Action.CREATE, Outcome.FAILED),
        Result(make.address("noop.b"), Action.CREATE, Outcome.SUCCEEDED),
    )
    lines = run_lines(RunReport("r", results, 1.0), dict, Look(width=80, colour=True))
    assert lines[1] == "noop." + "x" * 60
    assert "\x1b[31;1mfailed" in lines[2]
    assert "\x1b[32msucceeded" in lines[3]
