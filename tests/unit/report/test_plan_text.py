from __future__ import annotations

from pathlib import Path
from typing import Any
from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.model.address import Address
from devstream.model.plan import ABSENT, Action, FieldChange, Plan, ReasonCode
from devstream.model.recorded import Fingerprint
from devstream.model.state import PutReason
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown
from devstream.report.fields import FieldView, field_lines
from devstream.report.plan import (
    MANY_DOOMED,
    MANY_NEW,
    Depth,
    PlanView,
    count_line,
    delete_lines,
    plan_counts,
    plan_lines,
)
from devstream.report.terminal import Look, display_width

GOLDEN = Path(__file__).parent / "golden"
COMMAND = "devstream run -f tools.yaml"


def view(width: int, depth: Depth, **look: Any) -> PlanView:
    return PlanView(Look(width=width, folder="/proj", **look), depth, COMMAND, "devstream.state")


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("depth", list(Depth))
def test_golden(plan: Plan, width: int, depth: Depth) -> None:
    text = "\n".join(plan_lines(plan, view(width, depth))) + "\n"
    assert text == (GOLDEN / f"{depth}-{width}.txt").read_text()


@pytest.mark.parametrize("width", [40, 80, 200])
def test_lines_keep_to_the_width_but_for_words_that_are_longer(plan: Plan, width: int) -> None:
    for line in plan_lines(plan, view(width, Depth.CHANGES)):
        assert display_width(line) <= width or len(line.strip()) > width - 12, line


def test_ascii_streams_get_ascii(plan: Plan) -> None:
    assert "\n".join(plan_lines(plan, view(80, Depth.CHANGES, unicode=False))).isascii()


def test_colour_only_adds_to_what_is_there_without_it(plan: Plan) -> None:
    import re

    coloured = plan_lines(plan, view(80, Depth.CHANGES, colour=True))
    assert any("\x1b[" in line for line in coloured)
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in coloured] == plan_lines(
        plan, view(80, Depth.CHANGES)
    )


def test_control_characters_of_values_never_get_out(plan: Plan) -> None:
    for depth in Depth:
        assert "\x1b" not in "\n".join(plan_lines(plan, view(80, depth)))


def test_secrets_never_get_out(plan: Plan) -> None:
    for depth in Depth:
        text = "\n".join(plan_lines(plan, view(200, depth)))
        assert not any(word in text for word in ("hunter2", "0123456789", "9876543210"))


def test_deletes_come_last(plan: Plan) -> None:
    lines = plan_lines(plan, view(80, Depth.SUMMARY))
    assert lines.index("no longer in the config") > lines.index("cannot be planned")


NO_CHANGES = [
    ((), "No changes: 0 tools are as the configuration says."),
    ((("noop.a", Action.NOOP, {}),), "No changes: 1 tool is as the configuration says."),
    (
        (("noop.a", Action.NOOP, {}), ("noop.b", Action.DELETE, {"protected": True})),
        "No changes: 1 tool is as the configuration says, 1 protected and left in place.",
    ),
    (
        (("noop.a", Action.CONDITIONAL, {}),),
        "Plan: nothing for sure; 1 conditional (decided at its turn).",
    ),
    ((("noop.a", Action.ERROR, {}),), "Plan: nothing for sure; 1 cannot be planned."),
    ((("noop.a", Action.NOOP, {"put": PutReason.ADOPTED}),), "Plan: 1 to adopt."),
    ((("a.a", Action.FORGET, {}), ("b.b", Action.INTEGRATE, {})), "Plan: 1 to integrate, 1 to forget."),
]


@pytest.mark.parametrize(("changes", "expected"), NO_CHANGES)
def test_count_line(
    make: Any, changes: tuple[tuple[str, Action, dict[str, Any]], ...], expected: str
) -> None:
    plan = Plan(tuple(make.change(name, action, **rest) for name, action, rest in changes))
    assert count_line(plan) == expected


def test_counts_hold_every_kind(plan: Plan) -> None:
    counts = plan_counts(plan)
    assert sum(counts.values()) - counts["bookkeeping"] == len(plan.changes)
    assert min(counts[kind] for kind in counts if kind != "integrate") == 1


def test_the_next_command_is_not_proposed_where_there_is_nothing_to_do(make: Any) -> None:
    plan = Plan((make.change("noop.a", Action.NOOP),))
    assert COMMAND not in "\n".join(plan_lines(plan, view(80, Depth.CHANGES)))


def test_what_the_prompt_repeats(plan: Plan) -> None:
    assert delete_lines(plan, Look()) == ["  -/+ replace cluster.main", "    - delete file.old"]


def test_of_very_many_the_prompt_says_how_many(make: Any) -> None:
    plan = Plan(tuple(make.change(f"noop.t{number}", Action.DELETE) for number in range(1000)))
    lines = delete_lines(plan, Look())
    assert lines[0] == "    - delete noop.t0"
    assert lines[-1] == f"  … and {1000 - MANY_DOOMED} more, listed above: 1,000 in all"
    assert len(lines) == MANY_DOOMED + 1


def test_no_group_has_a_title_without_changes(make: Any) -> None:
    plan = Plan(
        (make.change("noop.a", Action.NOOP), make.change("noop.b", Action.CREATE, ReasonCode.NEW, "new"))
    )
    lines = plan_lines(plan, view(80, Depth.SUMMARY))
    assert lines[:3] == ["tools", "  +   create noop.b  new", ""]


def new_tools(make: Any, count: int) -> Plan:
    tools = [make.tool(f"noop.t{number}", size=number) for number in range(count)]
    return Plan(
        tuple(make.change(str(one.address), Action.CREATE, ReasonCode.NEW, "new", tool=one) for one in tools)
    )


@pytest.mark.parametrize(("count", "shown"), [(MANY_NEW, True), (MANY_NEW + 1, False)])
def test_of_very_many_new_tools_the_options_are_left_out_and_it_says_so(
    make: Any, count: int, shown: bool
) -> None:
    text = "\n".join(plan_lines(new_tools(make, count), view(80, Depth.CHANGES)))
    assert ("+ size" in text) is shown
    assert ("`plan --full`" in text) is not shown
    assert text.count("create noop.t") == count
    assert "+ size" in "\n".join(plan_lines(new_tools(make, count), view(80, Depth.FULL)))


def test_among_many_new_tools_what_changes_is_still_shown(make: Any) -> None:
    new = new_tools(make, MANY_NEW + 1)
    update = make.change("a.a", Action.UPDATE, fields=(FieldChange(("f",), 1, 2),), tool=make.tool("a.a"))
    assert "~ f: 1 → 2" in "\n".join(plan_lines(Plan((*new.changes, update)), view(80, Depth.CHANGES)))


def test_colours_show_on_a_light_and_on_a_dark_terminal(plan: Plan) -> None:
    """Neither black nor white nor anything bright; and what they say is said by a sign and a word, too."""
    import re

    text = "\n".join(plan_lines(plan, view(80, Depth.FULL, colour=True)))
    codes = {code for found in re.findall(r"\x1b\[([\d;]*)m", text) for code in found.split(";")}
    assert codes <= {"0", "1", "2", "31", "32", "33", "34", "36"}


FIELDS: list[tuple[str, Any, Any, list[str]]] = [
    ("text", "a", "b", ['~ f: "a" → "b"']),
    ("added", ABSENT, {"x": [1, None]}, ["+ f: {x: [1, null]}"]),
    ("removed", True, ABSENT, ["- f: true"]),
    ("one is no boolean", 1, True, ["~ f: 1 → true"]),
    ("secret", Fingerprint("aa"), Fingerprint("bb"), ["~ f: (secret) changed"]),
    ("from secret", Fingerprint("aa"), "plain", ['~ f: (secret) → "plain"']),
    ("new secret", ABSENT, Secret((SecretRef("env", "A"),)), ["+ f: (secret)"]),
    ("unknown", 1, Unknown("a.b"), ["~ f: 1 → (known after a.b)"]),
    ("unknown in words", 1, Unknown("once X is set"), ["~ f: 1 → (once X is set)"]),
    ("reference", ABSENT, Reference(Address("a", "b"), ("c", 0)), ["+ f: ${{ a.b.outputs.c[0] }}"]),
    ("joined", ABSENT, Interpolation(("x-", SecretRef("env", "A"))), ['+ f: "x-(secret)"']),
    ("mapping", {"a": 1, "b": 2}, {"a": 1, "b": 3, "c": 4}, ["~ f.b: 2 → 3", "+ f.c: 4"]),
    ("list grows in front", ["a", "b"], ["x", "a", "b"], ['+ f[0]: "x"']),
    ("list shrinks", ["a", "b", "c"], ["a", "c"], ['- f[1]: "b"']),
    (
        "list item",
        [{"x": 1}, {"x": 2}],
        [{"x": 1}, {"x": 3}, {"x": 4}],
        ["~ f[1].x: 2 → 3", "+ f[2]:   {x: 4}"],
    ),
    (
        "list by name",
        [{"name": "a", "v": 1}, {"name": "b", "v": 1}],
        [{"name": "b", "v": 2}, {"name": "c", "v": 1}],
        ['- f[name=a]:   {name: "a", v: 1}', "~ f[name=b].v: 1 → 2", '+ f[name=c]:   {name: "c", v: 1}'],
    ),
    (
        "list by number",
        [{"id": 7, "v": 1}, {"id": 9, "v": 1}],
        [{"id": 9, "v": 2}],
        ["- f[id=7]:   {id: 7, v: 1}", "~ f[id=9].v: 1 → 2"],
    ),
    (
        "list by key in another order",
        [{"key": "a"}, {"key": "b"}, {"key": "c"}],
        [{"key": "b"}, {"key": "a"}],
        ['- f[key=c]:   {key: "c"}', '~ f in order: "a, b" → "b, a"'],
    ),
    (
        "a name that is there twice names nothing",
        [{"name": "a", "v": 1}, {"name": "a", "v": 2}],
        [{"name": "a", "v": 1}, {"name": "a", "v": 3}],
        ["~ f[1].v: 2 → 3"],
    ),
    ("text is quoted", 'say "x"\\', "", ['~ f: "say \\"x\\"\\\\" → ""']),
    ("controls", "a\x1b]0;title\x07b", "\u202eabc", ['~ f: "ab" → "\\u202eabc"']),
    ("added text", ABSENT, "one\ntwo\n", ["+ f:", "    + one", "    + two"]),
    (
        "changed text",
        "one\ntwo\n",
        "one\n2\n",
        ["~ f:", "    @@ line 1 @@", "      one", "    - two", "    + 2"],
    ),
    ("last line end", "one\ntwo\n", "one\ntwo", ["~ f:", "    (only the line ends differ)"]),
]


@pytest.mark.parametrize(
    ("before", "after", "expected"), [row[1:] for row in FIELDS], ids=[row[0] for row in FIELDS]
)
def test_field(before: Any, after: Any, expected: list[str]) -> None:
    assert field_lines((FieldChange(("f",), before, after),), FieldView(Look(), indent=0)) == expected


def test_long_values_show_where_they_differ() -> None:
    before, after = "x" * 300 + "old", "x" * 300 + "new"
    lines = field_lines((FieldChange(("f",), before, after),), FieldView(Look(width=60)))
    assert "old" in lines[1]
    assert "new" in lines[2]
    assert all(len(line) <= 60 for line in lines)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


@given(json_values, json_values, st.integers(20, 120), st.booleans())
def test_any_field_can_be_shown(before: Any, after: Any, width: int, full: bool) -> None:
    lines = field_lines((FieldChange(("f",), before, after),), FieldView(Look(width=width), full=full))
    assert not {category(char) for line in lines for char in line} & {"Cc", "Cs"}
    if before != after and before not in ([], {}) and after not in ([], {}):
        assert lines
    if not full:
        assert all(display_width(line) <= max(width, 22) or "f" in line for line in lines)
