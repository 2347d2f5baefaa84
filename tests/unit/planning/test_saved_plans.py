"""The file of a saved plan: what is written is what is read, and whatever else is there is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.errors import Diagnostic, ExitCode, Mark, UsageError
from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.plan import (
    ABSENT,
    Action,
    Change,
    FieldChange,
    FieldSource,
    Plan,
    Reason,
    ReasonCode,
    Selection,
)
from devstream.model.state import PutReason
from devstream.model.tool import Encryption, StateKey, StateLocation, ToolInstance
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown
from devstream.planning.saved import FORMAT, MAGIC, Basis, Provided, SavedPlan, plan_bytes, read_plan
from devstream.planning.saved_changes import Wording
from devstream.planning.saved_values import decode_value, encode_value
from devstream.record import replace

A, B, GONE = Address("file", "a"), Address("noop", "b.c"), Address("noop", "gone")
TOKEN = SecretRef("env", "TOKEN")
HERE = Origin(Mark("devstream.yaml", 3, 5), ("app web", "pipelineTemplate ci"))


def tool(address: Address, **options: Any) -> ToolInstance:
    return ToolInstance(
        address,
        options,
        HERE,
        (A,),
        after_tools=True,
        app="web",
        tags=("x",),
        adopt=True,
        allow_delete=True,
        protect=False,
        retries=2,
        timeout=1.5,
        connection="box",
    )


CHANGES = (
    Change(
        A,
        Action.UPDATE,
        (Reason(ReasonCode.OPTIONS, "a[0]", (("a", 0),), (B,)),),
        tool=tool(A, a=[1], token=Secret((TOKEN, "-x"))),
        was_read=True,
        fields=(
            FieldChange(("a", 0), 1, ABSENT, FieldSource.DRIFT, HERE, immutable=True, may_change=True),
            FieldChange(("t",), Secret((SecretRef("recorded", ""),)), Unknown("noop.b")),
        ),
        put=PutReason.ADOPTED,
        op_id="f00",
        attempt=3,
    ),
    Change(
        B,
        Action.CONDITIONAL,
        tool=tool(
            B, value=Reference(A, ("list", 0, "x")), text=Interpolation(("a ", Reference(A, ("p",)), TOKEN))
        ),
        conditional_on=(A,),
        look_again=True,
    ),
    Change(
        GONE,
        Action.ERROR,
        error=Diagnostic("no", "code", detail="more", mark=HERE.mark, address="noop.gone", suggestion="yes"),
        protected=True,
    ),
    Change(Address("noop", "same"), Action.NOOP),
)

AFTER: dict[Any, Any] = {
    A: frozenset(),
    B: frozenset({A, "@tools"}),
    "@tools": frozenset({A}),
    GONE: frozenset({B}),
}

SAVED = SavedPlan(
    plan=Plan(
        CHANGES,
        AFTER,
        "lineage",
        7,
        selection=Selection((A,), (B,), (GONE,), 5),
    ),
    dependencies={A: (), B: (A, "@tools")},
    basis={A: Basis("aa", "bb"), B: Basis(), GONE: Basis("cc")},
    secrets={TOKEN: "fingerprint", SecretRef("file", "/run/secrets/a:b"): "other"},
    plugins={"file": Provided("devstream", "1.0", 2)},
    key=b"\x01\x02",
    state=StateLocation(
        "s3",
        {"bucket": "b", "secretKey": Secret((SecretRef("env", "KEY"),))},
        HERE,
        Encryption((StateKey("main", Secret((TOKEN,))), StateKey("old", None, "keys/old")), enforced=True),
    ),
    location="s3://b/key",
    state_base=Path("/base"),
    folder=Path("/folder"),
    parallelism=3,
    arguments=("my_plugin", "/a/plugin.py"),
    source="/folder/devstream.yaml",
    config={"/folder/devstream.yaml": "digest"},
    made="2026-01-02T03:04:05Z",
    command="devstream plan --out x",
)
WRITTEN = plan_bytes(SAVED)

KEYS = st.text() | st.sampled_from(["$ref", "$map", "$secret", "$join", "$unknown", "$absent"])


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
    )


plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
)
secret_refs = st.builds(SecretRef, st.sampled_from(["env", "file"]), st.text())
paths = st.lists(st.text() | st.integers(0, 9), min_size=1, max_size=3)
references = st.builds(lambda to, path: Reference(to, tuple(path)), st.sampled_from([A, B]), paths)
unknowns = st.builds(lambda why: Unknown(f"{why}"), st.text())
secrets = st.builds(
    lambda parts: Secret(tuple(parts)), st.lists(st.text() | secret_refs, min_size=1, max_size=3)
)
joined = st.lists(st.text() | secret_refs | references, min_size=1, max_size=3)
texts = st.builds(lambda parts: Interpolation(tuple(parts)), joined)
values = trees(plain | references | unknowns | secrets | texts)


@given(value=values)
def test_values_come_back(value: Any) -> None:
    encoded = encode_value(value)
    assert json.loads(json.dumps(encoded)) == encoded
    assert decode_value(encoded) == value


def test_what_is_written_is_what_is_read() -> None:
    assert read_plan(WRITTEN, "a.plan") == SAVED


def test_a_secret_is_named_and_nothing_else() -> None:
    resolved = tool(A, token=Secret((TOKEN,), "canary"), plain=Secret.plain("no secret"))
    data = plan_bytes(replace(SAVED, plan=Plan((replace(CHANGES[0], tool=resolved),))))
    assert b"canary" not in data
    (change,) = read_plan(data, "a").plan.changes
    assert change.tool
    assert not change.tool.options["token"].is_resolved
    assert change.tool.options["plain"].reveal() == "no secret"


def test_what_is_only_for_people_is_masked_and_files_are_named_for_anywhere() -> None:
    leaky = replace(
        CHANGES[0],
        reasons=(Reason(ReasonCode.DRIFT, "canary"),),
        fields=(FieldChange(("a",), ["canary"], {"b": "canary"}, origin=HERE),),
        error=Diagnostic("canary", "x", detail="canary", suggestion="canary"),
    )
    wording = Wording(lambda text: text.replace("canary", "(secret)"), lambda name: f"/there/{name}")
    data = plan_bytes(replace(SAVED, plan=Plan((leaky,))), wording)
    assert b"canary" not in data
    (change,) = read_plan(data, "a").plan.changes
    assert change.fields[0].before == ["(secret)"]
    assert str(change.tool.origin.mark if change.tool else "") == "/there/devstream.yaml:3:5"


def test_of_what_is_not_touched_only_the_name_is_there() -> None:
    same = Change(Address("noop", "same"), Action.NOOP, tool=tool(Address("noop", "same"), big="marker"))
    data = plan_bytes(replace(SAVED, plan=Plan((same,))))
    assert b"marker" not in data
    assert read_plan(data, "a").plan.changes == (Change(Address("noop", "same"), Action.NOOP),)


def test_the_file_begins_with_its_format_and_lineage() -> None:
    assert WRITTEN.startswith(MAGIC + b'1,"lineage":"lineage"')
    document = json.loads(WRITTEN)
    assert list(document)[:4] == ["devstream_plan", "lineage", "serial", "folder"]
    assert list(document)[-1] == "sum"


def refused(data: bytes) -> UsageError:
    with pytest.raises(UsageError) as caught:
        read_plan(data, "a.plan")
    assert caught.value.exit_code is ExitCode.CONFIG
    assert "a.plan" in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not-a-plan"),
        (b"tools: []\n", "not-a-plan"),
        (b"\x00\xff\xfe" * 50, "not-a-plan"),
        (b"[]", "not-a-plan"),
        (b'{"format": 1}', "not-a-plan"),
        (b'{"devstream_plan"', "plan-damaged"),
        (b'{"devstream_plan":1}', "plan-damaged"),
        (MAGIC + b"1" * 4000, "plan-newer"),
        (WRITTEN.replace(MAGIC + b"1", MAGIC + b"2", 1), "plan-newer"),
        (WRITTEN[:-1], "plan-damaged"),
        (WRITTEN + b" ", "plan-damaged"),
        (WRITTEN * 2, "plan-damaged"),
    ],
)
def test_what_is_no_plan(data: bytes, code: str) -> None:
    error = refused(data)
    assert error.diagnostic.code == code
    if code == "not-a-plan" and data:
        assert "-f a.plan" in error.diagnostic.suggestion


def test_cut_off_anywhere() -> None:
    for length in range(0, len(WRITTEN), 7):
        refused(WRITTEN[:length])


@given(bit=st.integers(0, len(WRITTEN) * 8 - 1))
def test_any_bit_flipped(bit: int) -> None:
    data = bytearray(WRITTEN)
    data[bit // 8] ^= 1 << bit % 8
    refused(bytes(data))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), "half \ud800", {1, 2}])
def test_what_json_does_not_have(value: Any) -> None:
    change = replace(CHANGES[0], tool=tool(A, value=value))
    with pytest.raises(UsageError) as caught:
        plan_bytes(replace(SAVED, plan=Plan((change,))))
    assert caught.value.diagnostic.code == "not-json"


def test_a_sealed_file_that_is_another_document() -> None:
    from devstream.state.head import seal

    error = refused(seal(b'{"devstream_plan":%d,"lineage":3}' % FORMAT))
    assert error.diagnostic.code == "plan-damaged"
