from __future__ import annotations

import io
import json
from typing import Any

import pytest

from devstream.errors import Diagnostic, Mark, Severity
from devstream.model import events
from devstream.model.plan import (
    Action,
    Change,
    FieldChange,
    Outcome,
    Plan,
    Reason,
    ReasonCode,
    Result,
    RunReport,
)
from devstream.model.recorded import Fingerprint
from devstream.model.redact import Redactor
from devstream.model.state import Begin, OpenOperation, State, ToolState
from devstream.model.status import ResourceStatus
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown
from devstream.report.json import (
    Lines,
    diagnostic_data,
    document,
    encode,
    event_data,
    expanded_data,
    outputs_data,
    plan_data,
    run_data,
    state_data,
)
from devstream.report.values import plain

TOKEN = Secret((SecretRef("env", "TOKEN"),), "hunter2hunter2")


def through(data: Any) -> Any:
    """Write and read again: what a program at the other end gets."""
    return json.loads(encode(data))


VALUES = [
    ("text", "text"),
    (None, None),
    (True, True),
    (1.5, 1.5),
    ({"a": [1, {"b": None}]}, {"a": [1, {"b": None}]}),
    (TOKEN, {"sensitive": True, "changed": False}),
    (Secret.plain("open"), "open"),
    (Fingerprint("abc"), {"sensitive": True, "changed": False}),
    (Unknown("a.b"), {"unknown": True}),
    (Reference(("a", "b"), ("x",)), "${{ ('a', 'b').outputs.x }}"),  # type: ignore[arg-type]
    (Interpolation(("x ", SecretRef("env", "A"))), "x (secret)"),
    ("half \ud800", "half ?"),
    ((1, 2), [1, 2]),
]


@pytest.mark.parametrize(("value", "expected"), VALUES, ids=[str(number) for number in range(len(VALUES))])
def test_values(value: Any, expected: Any) -> None:
    assert through(plain(value)) == expected


def test_what_is_masked_stays_json() -> None:
    redactor = Redactor()
    redactor.add("123456")
    data = {"number": 123456, "text": "a 123456", "123456": 1}
    assert through(plain(data, redactor.mask)) == {"number": "(secret)", "text": "a (secret)", "(secret)": 1}


def test_diagnostic() -> None:
    told = Diagnostic("what", "code", Severity.WARNING, "more", Mark("f.yaml", 3, 5), "noop.a", "do that")
    assert through(diagnostic_data(told)) == {
        "severity": "warning",
        "code": "code",
        "summary": "what",
        "detail": "more",
        "file": "f.yaml",
        "line": 3,
        "column": 5,
        "address": "noop.a",
        "suggestion": "do that",
    }


def test_document_on_failure() -> None:
    data = through(document("plan", 3, [Diagnostic("what", "code")], {}))
    assert list(data) == ["format_version", "command", "exit_code", "diagnostics"]
    assert (data["format_version"], data["command"], data["exit_code"]) == ("1.0", "plan", 3)
    assert data["diagnostics"][0]["summary"] == "what"


def test_every_change_of_a_plan_is_there_in_its_order(plan: Plan) -> None:
    data = through(plan_data(plan))
    assert [change["address"] for change in data["changes"]] == [
        str(change.address) for change in plan.changes
    ]
    assert data["summary"]["create"] == 3
    assert data["summary"]["noop"] == 2
    assert {change["action"] for change in data["changes"]} <= {action.value for action in Action}
    keys = {"address", "action", "reasons", "before", "after", "conditional_on"}
    assert all(keys <= set(change) for change in data["changes"])


def test_no_secret_is_in_a_plan(plan: Plan) -> None:
    text = encode(plan_data(plan))
    assert not any(word in text for word in ("hunter2", "0123456789", "9876543210"))


def change_with(make: Any, before: dict[str, Any], after: dict[str, Any], *fields: FieldChange) -> Change:
    return Change(
        make.address("noop.a"),
        Action.UPDATE,
        (Reason(ReasonCode.OPTIONS, "x", paths=(("list", 0), ("token",))),),
        tool=make.tool("noop.a", **after),
        recorded=make.recorded("noop.a", **before),
        fields=fields,
    )


def test_a_secret_says_whether_it_changes(make: Any) -> None:
    stored = {"$secret": [{"source": "env", "key": "TOKEN"}], "fingerprint": "aa"}
    change = change_with(
        make,
        {"token": stored, "other": stored},
        {"token": TOKEN, "other": TOKEN},
        FieldChange(("token",), Fingerprint("aa"), Fingerprint("bb"), origin=make.written(4), immutable=True),
    )
    data = through(plan_data(Plan((change,))))["changes"][0]
    changed, same = {"sensitive": True, "changed": True}, {"sensitive": True, "changed": False}
    assert data["before"] == data["after"] == {"token": changed, "other": same}
    assert data["fields"] == [
        {
            "path": "token",
            "before": changed,
            "after": changed,
            "source": "options",
            "origin": {"file": "/proj/tools.yaml", "line": 4, "column": 9, "trail": []},
            "immutable": True,
            "may_change": False,
        }
    ]
    assert data["reasons"][0]["paths"] == ["list[0]", "token"]


UPSTREAMS = [
    # action, recorded outputs, observed outputs, what the reference becomes
    (Action.CREATE, None, None, {"unknown": True}),
    (Action.REPLACE, {"url": "old"}, None, {"unknown": True}),
    (Action.NOOP, {"url": "recorded"}, None, "recorded"),
    (Action.UPDATE, {"url": "recorded"}, {"url": "observed"}, "observed"),
    (Action.NOOP, {}, None, {"unknown": True}),
    (Action.NOOP, {"url": TOKEN}, None, {"sensitive": True, "changed": False}),
]


@pytest.mark.parametrize(("action", "outputs", "observed", "expected"), UPSTREAMS)
def test_references_in_after_are_what_is_known_of_them(
    make: Any, action: Action, outputs: Any, observed: Any, expected: Any
) -> None:
    upstream = Change(
        make.address("noop.up"),
        action,
        recorded=None if outputs is None else ToolState(make.address("noop.up"), outputs=outputs),
        observed=None if observed is None else ResourceStatus(outputs=observed),
    )
    user = Change(
        make.address("noop.a"),
        Action.CREATE,
        tool=make.tool("noop.a", repo=Reference(make.address("noop.up"), ("url",))),
    )
    assert through(plan_data(Plan((upstream, user))))["changes"][1]["after"] == {"repo": expected}


def test_a_deleted_tool_has_no_after_and_a_new_one_no_before(plan: Plan) -> None:
    changes = {change["address"]: change for change in through(plan_data(plan))["changes"]}
    assert changes["file.old"]["after"] is None
    assert changes["file.old"]["before"]["path"] == "old.txt"
    assert changes["file.gone"]["before"] is None


def report(make: Any) -> RunReport:
    failure = Diagnostic("no", "operation-failed")
    return RunReport(
        "run1",
        (
            Result(
                make.address("noop.a"),
                Action.CREATE,
                Outcome.SUCCEEDED,
                seconds=1.23456,
                info={"ci": {"result": "ok"}},
            ),
            Result(make.address("noop.b"), Action.UPDATE, Outcome.FAILED, failure),
            Result(make.address("noop.c"), Action.CREATE, Outcome.SKIPPED, cause=make.address("noop.b")),
            Result(make.address("noop.d"), Action.NOOP, Outcome.SUCCEEDED),
        ),
        2.5,
        protected=(make.address("db.main"),),
        signal=15,
    )


def test_run(make: Any) -> None:
    data = through(run_data(report(make)))
    assert [(one["address"], one["action"], one["outcome"]) for one in data["results"]] == [
        ("noop.a", "create", "succeeded"),
        ("noop.b", "update", "failed"),
        ("noop.c", "create", "skipped"),
    ]
    assert data["results"][0]["info"] == {"ci": {"result": "ok"}}
    assert data["results"][0]["seconds"] == 1.235
    assert data["results"][1]["error"]["summary"] == "no"
    assert data["results"][2]["cause"] == "noop.b"
    assert data["summary"]["failed"] == 1
    assert (data["protected"], data["signal"], data["run_id"]) == (["db.main"], 15, "run1")


def test_a_run_that_had_nothing_to_do_has_the_same_shape(make: Any) -> None:
    assert set(run_data(None)) == set(run_data(report(make)))


def test_expanded(make: Any) -> None:
    data = through(expanded_data([make.tool("noop.a", "web", x=1, y=Unknown())]))
    assert data["tools"] == [
        {
            "name": "noop",
            "instanceID": "a",
            "app": "web",
            "dependsOn": [],
            "afterTools": False,
            "options": {"x": 1, "y": {"unknown": True}},
            "origin": {"file": "/proj/tools.yaml", "line": 3, "column": 9, "trail": []},
        }
    ]


def state(make: Any) -> State:
    where = make.address("noop.a")
    options = {
        "port": {"$ref": "noop.b.outputs.port", "value": 80},
        "token": {"$secret": [], "fingerprint": "ff"},
    }
    entry = ToolState(where, options=options, outputs={"url": "http://x"}, app="web", tainted=True)
    begin = Begin("op1", 1, where, Action.UPDATE, entry, "run1", "host", "boot")
    return State("line", 3, tools={where: entry}, open_operations={where: OpenOperation(begin)})


def test_state(make: Any) -> None:
    data = through(state_data(state(make)))
    assert data["tools"]["noop.a"]["options"] == {"port": 80, "token": {"sensitive": True, "changed": False}}
    assert data["tools"]["noop.a"]["tainted"] is True
    assert data["unfinished"]["noop.a"]["action"] == "update"
    assert through(outputs_data(state(make).tools)) == {"outputs": {"noop.a": {"url": "http://x"}}}


def test_every_event_has_a_type_and_can_be_written(make: Any, plan: Plan) -> None:
    where = make.address("noop.a")
    examples = [
        (events.ReadStarted(where), "read_started"),
        (events.ReadEnded(where), "read_ended"),
        (events.PlanReady(plan), "plan_ready"),
        (events.RunStarted("r", 3), "run_started"),
        (events.OperationStarted(where, Action.CREATE), "operation_started"),
        (events.OperationLog(where, "info", "x"), "operation_log"),
        (events.OperationEnded(report(make).results[0]), "operation_ended"),
        (events.Notice(Diagnostic("x", "y")), "notice"),
        (events.RunEnded(report(make)), "run_ended"),
    ]
    # by name: a dataclass with slots is a second class of the same name
    assert {type(event).__name__ for event, _ in examples} == {
        kind.__name__ for kind in events.Event.__subclasses__()
    }
    for event, kind in examples:
        data = through(event_data(event))
        assert data.pop("type") == kind
        assert data


def test_ndjson_begins_with_the_version_and_masks(make: Any) -> None:
    redactor, stream = Redactor(), io.StringIO()
    redactor.add("hunter2hunter2")
    lines = Lines(make.output(stream, redactor=redactor), "run", redactor.mask)
    lines(events.OperationLog(make.address("noop.a"), "info", 'say "hunter2hunter2"\n'))
    lines.pause()
    lines.close()
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert first["type"] == "version"
    assert first["format_version"] == "1.0"
    assert second == {
        "type": "operation_log",
        "address": "noop.a",
        "level": "info",
        "message": 'say "(secret)"\n',
    }
