"""Lists of named items are told by name, whatever their places and their lengths."""

from __future__ import annotations

from typing import Any

import pytest

from devstream.model.plan import Action, Change, FieldChange, FieldSource, Plan
from devstream.model.recorded import comparable
from devstream.planning.diff import diff
from devstream.report.fields import FieldView, field_lines
from devstream.report.keyed import by_key
from devstream.report.terminal import Look
from devstream.report.wanted import Wanted


def told(make: Any, before: Any, after: Any, **flags: Any) -> list[str]:
    """Plan an update of the option ``jobs``, and show it."""
    change = updated(make, before, after, **flags)
    return field_lines(by_key(change, Wanted(Plan((change,)))), FieldView(Look(width=120), indent=0))


def updated(make: Any, before: Any, after: Any, **flags: Any) -> Change:
    old, new = make.recorded("noop.a", jobs=before), make.tool("noop.a", jobs=after)
    differing = diff(comparable(dict(old.options)), dict(new.options))
    fields = tuple(FieldChange(*found, origin=new.origins.at(found[0]), **flags) for found in differing)
    change: Change = make.change("noop.a", Action.UPDATE, tool=new, recorded=old, fields=fields)
    return change


def job(name: str, image: str = "python") -> dict[str, Any]:
    return {"name": name, "image": image}


CASES: dict[str, tuple[Any, Any, list[str]]] = {
    "one goes and one comes": (
        [job("build"), job("test")],
        [job("test", "ruby"), job("lint")],
        [
            '- jobs[name=build]: {name: "build", image: "python"}',
            '~ jobs[name=test].image: "python" → "ruby"',
            '+ jobs[name=lint]: {name: "lint", image: "python"}',
        ],
    ),
    "only the order": (
        [job("a"), job("b")],
        [job("b"), job("a")],
        ['~ jobs in order: "a, b" → "b, a"'],
    ),
    "inside of each other": (
        [{"name": "x", "env": [{"name": "A", "value": 1}, {"name": "B", "value": 2}]}],
        [{"name": "x", "env": [{"name": "C", "value": 1}, {"name": "B", "value": 3}]}],
        [
            '- jobs[name=x].env[name=A]: {name: "A", value: 1}',
            "~ jobs[name=x].env[name=B].value: 2 → 3",
            '+ jobs[name=x].env[name=C]: {name: "C", value: 1}',
        ],
    ),
    "lists without names": ([{"a": 1}, {"a": 2}], [{"a": 1}, {"a": 3}], ["~ jobs[1].a: 2 → 3"]),
    "a plain list in a named item": (
        [{"id": 1, "argv": ["a", "b"]}],
        [{"id": 1, "argv": ["a", "c"]}],
        ['~ jobs[id=1].argv[1]: "b" → "c"'],
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), list(CASES.values()), ids=list(CASES))
def test_lists_by_key(make: Any, before: Any, after: Any, expected: list[str]) -> None:
    lines = [" ".join(line.partition("  # ")[0].split()) for line in told(make, before, after)]
    assert lines == expected


def test_each_line_says_where_its_item_is_written(make: Any) -> None:
    lines = told(make, [job("a"), job("b")], [job("b", "new"), job("c")])
    places = [line.partition("# ")[2].strip() for line in lines]
    assert places == ["", "/proj/apps.yaml:15", "/proj/apps.yaml:14"], "what is gone is written nowhere"


def test_flags_of_what_differs_are_kept(make: Any) -> None:
    change = updated(make, [job("a"), job("b")], [job("b"), job("c")], immutable=True, may_change=True)
    assert all(field.immutable and field.may_change for field in by_key(change, Wanted(Plan((change,)))))


def test_a_list_with_a_secret_is_left_to_the_plan(make: Any) -> None:
    secret = {"$secret": [{"source": "env", "key": "T"}], "fingerprint": "aa"}
    change = updated(make, [{**job("a"), "token": secret}, job("b")], [job("b"), job("c")])
    assert by_key(change, Wanted(Plan((change,)))) == change.fields


def test_drift_is_left_to_the_plan(make: Any) -> None:
    change = updated(make, [job("a")], [job("b")], source=FieldSource.DRIFT)
    assert by_key(change, Wanted(Plan((change,)))) == change.fields
