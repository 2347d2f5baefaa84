from __future__ import annotations

from typing import Any

import pytest

from devstream.errors import OperationError
from devstream.model.address import Address
from devstream.model.recorded import fingerprint
from devstream.model.state import ToolState
from devstream.model.status import ResourceStatus
from devstream.model.values import Reference, Secret, SecretRef, Unknown
from devstream.planning.outputs import Known, OutputBook, outputs_before, outputs_now
from devstream.planning.upstream import digest, upstream_outputs

KEY = b"k" * 32
REPO = Address("repo", "a")
HIDDEN = {"$secret": [], "fingerprint": fingerprint(KEY, "token")}
TOKEN = Secret((SecretRef("output", ""),), "token")


def book(outputs: dict[str, Any] | None, **how: bool) -> OutputBook:
    return OutputBook(lambda ref: pytest.fail(str(ref)), {REPO: Known(outputs, **how)})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("url",), "u"),
        (("none",), None),
        (("ports", 0, "name"), "http"),
        (("schema",), {"$ref": "#/x", "value": 1}),
        (("token",), TOKEN),
    ],
)
def test_an_output_is_found_by_its_path(path: tuple[str | int, ...], value: Any) -> None:
    outputs = {
        "url": "u",
        "none": None,
        "ports": [{"name": "http"}],
        "schema": {"$ref": "#/x", "value": 1},
        "token": TOKEN,
    }
    opened = book(outputs)
    assert opened.reference(Reference(REPO, path)) == value
    assert not opened.unknown
    assert not opened.uncertain


@pytest.mark.parametrize(
    ("path", "summary", "suggestion"),
    [
        (("ulr",), "repo.a has no output ulr", 'did you mean "url"?'),
        (("zzz",), "repo.a has no output zzz", "there are: url, ports"),
        (("url", "x"), "repo.a has no output url.x", "it has none"),
        (("ports", 3), "repo.a has no output ports[3]", "it has none"),
        (("ports", 0, "nam"), "repo.a has no output ports[0].nam", 'did you mean "name"?'),
    ],
)
def test_an_output_that_does_not_exist_is_named_with_the_nearest(
    path: tuple[str | int, ...], summary: str, suggestion: str
) -> None:
    with pytest.raises(OperationError) as caught:
        book({"url": "u", "ports": [{"name": "http"}]}).reference(Reference(REPO, path))
    assert caught.value.diagnostic.summary == summary
    assert caught.value.diagnostic.suggestion == suggestion


@pytest.mark.parametrize("how", [{"may_change": True}, {"complete": False}])
def test_what_is_not_there_yet_is_unknown_where_that_may_change(how: dict[str, bool]) -> None:
    for outputs in ({}, {"token": HIDDEN}):
        opened = book(outputs, **how)
        assert opened.reference(Reference(REPO, ("token",))) == Unknown("repo.a")
        assert list(opened.unknown) == [REPO]


def test_nothing_is_known_of_a_tool_that_is_not_there_yet() -> None:
    for opened in (book(None), OutputBook(lambda ref: "")):
        assert opened.reference(Reference(REPO, ("url",))) == Unknown("repo.a")
        assert list(opened.unknown) == [REPO]
        opened.start()
        assert not opened.unknown


def test_a_value_that_may_change_is_noted() -> None:
    opened = book({"url": "u"}, may_change=True)
    assert opened.reference(Reference(REPO, ("url",))) == "u"
    assert (list(opened.uncertain), list(opened.unknown)) == ([REPO], [])


@pytest.mark.parametrize("outputs", [{"token": HIDDEN}, {"token": {"deep": [HIDDEN]}}])
def test_a_secret_that_is_not_recorded_is_never_taken_for_its_fingerprint(outputs: dict[str, Any]) -> None:
    with pytest.raises(OperationError, match=r"secret output repo\.a\.outputs\.token is not recorded"):
        book(outputs).reference(Reference(REPO, ("token",)))


def entry(**outputs: Any) -> ToolState:
    return ToolState(REPO, outputs=outputs)


def status(outputs: dict[str, Any] | None) -> ResourceStatus:
    return ResourceStatus({}, outputs)


@pytest.mark.parametrize(
    ("recorded", "observed", "can_integrate", "now", "before"),
    [
        (None, None, False, None, None),
        (entry(a=1), None, False, {"a": 1}, {"a": 1}),
        (entry(a=1), status(None), False, {"a": 1}, {"a": 1}),
        (entry(a=1), status(None), True, {"a": 1}, {"a": 1}),
        (entry(), status({}), True, {}, {}),
        (None, status({"a": 2}), False, {"a": 2}, {"a": 2}),
        (entry(a=1, b=1), status({"a": 2, "c": 2}), False, {"a": 2, "c": 2}, {"a": 1, "b": 1, "c": 2}),
        (entry(a=1, b=1), status({"a": 2, "c": 2}), True, {"a": 2, "b": 1, "c": 2}, {"a": 1, "b": 1, "c": 2}),
        (entry(a=HIDDEN), status({"a": TOKEN}), False, {"a": TOKEN}, {"a": TOKEN}),
        (entry(a=HIDDEN), status({"b": 1}), True, {"a": HIDDEN, "b": 1}, {"a": HIDDEN, "b": 1}),
    ],
)
def test_outputs_of_a_tool_that_stays_and_of_one_that_changes(
    recorded: ToolState | None, observed: ResourceStatus | None, now: Any, before: Any, *, can_integrate: bool
) -> None:
    assert outputs_now(recorded, observed, can_integrate=can_integrate) == now
    assert outputs_before(recorded, observed) == before


def test_upstream_outputs_are_those_that_are_known() -> None:
    other = Address("repo", "b")
    known = {REPO: Known({"url": "u"}), other: Known(None)}
    assert upstream_outputs([REPO, other, Address("repo", "c"), "@tools"], known) == {"repo.a": {"url": "u"}}


def test_the_digest_depends_on_values_and_nothing_else() -> None:
    assert digest({}, KEY) == ""
    first = digest({"a.b": {"x": 1, "y": [True]}, "c.d": {}}, KEY)
    assert first == digest({"c.d": {}, "a.b": {"y": [True], "x": 1}}, KEY)
    assert first != digest({"a.b": {"x": 1, "y": [1]}, "c.d": {}}, KEY)
    assert first != digest({"a.b": {"x": 1, "y": [True]}}, KEY)


def test_the_digest_of_a_secret_is_the_same_read_or_recorded() -> None:
    assert digest({"a.b": {"x": [TOKEN]}}, KEY) == digest({"a.b": {"x": [HIDDEN]}}, KEY)
    assert digest({"a.b": {"x": TOKEN}}, KEY) != digest({"a.b": {"x": Secret.plain("other")}}, KEY)
    assert digest({"a.b": {"x": TOKEN}}, KEY) != digest({"a.b": {"x": TOKEN}}, b"another key")
