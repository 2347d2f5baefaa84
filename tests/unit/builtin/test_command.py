"""The tool ``command``: what its commands get, and what is made of their answers."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from devstream.errors import OperationCancelled, OperationError
from devstream.model.address import Address
from devstream.model.schema import Traits
from devstream.model.state import ToolState
from devstream.model.status import ResourceStatus
from devstream.model.values import Secret, SecretRef

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Bench

SECRET = Secret((SecretRef("env", "X"),), "s3cr3t")
LOOK = (
    "import json, os, sys; "
    "print(json.dumps({'got': json.load(sys.stdin), 'env': dict(os.environ), 'cwd': os.getcwd()}))"
)


def py(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def out(text: str) -> list[str]:
    return py(f"import sys; sys.stdout.write({text!r})")


LOOKS = py(LOOK)
HOOKS = ["create", "read", "update", "delete", "integrate"]


def call(bench: Bench, hook: str, **options: Any) -> Any:
    if hook == "integrate":
        return bench.integrate(ResourceStatus(), {}, **options)
    return getattr(bench, hook)(**options)


def all_hooks(argv: list[str], **options: Any) -> dict[str, Any]:
    return {**dict.fromkeys(HOOKS, argv), **options}


# what they get


def test_standard_input_on_create(command: Bench) -> None:
    command.context.upstream = {"noop.a": {"output": [1, SECRET]}}
    options = {"create": LOOKS, "input": {"n": 1, "pw": SECRET}, "env": {"TOKEN": SECRET}}
    status = command.create(**options)
    assert status.properties["got"] == {
        "options": {"create": LOOKS, "input": {"n": 1, "pw": "s3cr3t"}, "env": {"TOKEN": "s3cr3t"}},
        "recorded": None,
        "upstream": {"noop.a": {"output": [1, "s3cr3t"]}},
    }


def test_recorded_on_update_and_read(command: Bench) -> None:
    recorded = ToolState(command.address, properties={"a": 1}, outputs={"b": SECRET}, info={"c": 2})
    seen = {"properties": {"a": 1}, "outputs": {"b": "s3cr3t"}, "info": {"c": 2}}
    tool = command.tool({"create": LOOKS, "update": LOOKS, "read": LOOKS})
    status = command.plugin.hooks.update(tool=tool, recorded=recorded, context=command.context)
    assert status.properties["got"]["recorded"] == seen
    read = command.plugin.hooks.read(
        tool=tool, recorded=recorded, context=replace(command.context, reading=True)
    )
    assert read is not None
    assert read.properties["got"]["recorded"] == seen
    unrecorded = command.read(create=LOOKS, read=LOOKS)
    assert unrecorded is not None
    assert unrecorded.properties["got"]["recorded"] is None


def test_integrate_gets_status_and_upstream(command: Bench) -> None:
    code = "import json, sys; print(json.dumps({'outputs': {'got': json.load(sys.stdin)}}))"
    outputs = command.integrate(
        ResourceStatus(properties={"p": 1}), {"noop.a": {"o": 2}}, create=["x"], integrate=py(code)
    )
    assert outputs is not None
    assert outputs["got"]["recorded"]["properties"] == {"p": 1}
    assert outputs["got"]["upstream"] == {"noop.a": {"o": 2}}


def test_environment(command: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    command.context.environ = {"PATH": "/bin", "HOME": "/h", "LANG": "C", "TMPDIR": "/t", "MY_TOKEN": "no"}
    status = command.create(create=LOOKS, env={"A": "1", "TOKEN": SECRET, "LANG": "de"})
    env = {name: value for name, value in status.properties["env"].items() if name not in ("LC_CTYPE", "PWD")}
    assert env == {
        "PATH": "/bin", "HOME": "/h", "LANG": "de", "TMPDIR": "/t", "A": "1", "TOKEN": "s3cr3t",
        "DEVSTREAM_ADDRESS": "command.test", "DEVSTREAM_OP_ID": "op-test",
    }  # fmt: skip


def test_folder(command: Bench, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert command.create(create=LOOKS).properties["cwd"] == str(tmp_path)
    assert command.create(create=LOOKS, cwd="sub").properties["cwd"] == str(tmp_path / "sub")
    assert command.create(create=LOOKS, cwd="/").properties["cwd"] == "/"


def test_no_shell(command: Bench) -> None:
    code = "import json, sys; print(json.dumps({'argv': sys.argv[1:]}))"
    words = ["$HOME", "a b", "*", ";", "", "ü"]
    assert command.create(create=[*py(code), *words]).properties["argv"] == words


# what is made of the answer

ANSWERS: dict[str, tuple[str, ResourceStatus]] = {
    "empty": ("", ResourceStatus()),
    "blank": (" \n", ResourceStatus()),
    "empty object": ("{}", ResourceStatus()),
    "properties": ('{"a": 1, "b": [null]}\n', ResourceStatus({"a": 1, "b": [None]})),
    "all three": (
        '{"a": 1, "outputs": {"o": 2}, "info": {"i": 3}}',
        ResourceStatus({"a": 1}, {"o": 2}, {"i": 3}),
    ),
    "null parts": ('{"outputs": null, "info": null}', ResourceStatus()),
}


@pytest.mark.parametrize(("stdout", "status"), ANSWERS.values(), ids=ANSWERS)
@pytest.mark.parametrize("hook", ["create", "read", "update"])
def test_answers(command: Bench, hook: str, stdout: str, status: ResourceStatus) -> None:
    assert call(command, hook, **all_hooks(out(stdout))) == status


NO_ANSWERS = {
    "text": "created 3 things",
    "list": "[1]",
    "two objects": '{"a": 1}\n{"b": 2}',
    "object after a log": 'starting\n{"a": 1}',
    "not a number": '{"a": NaN}',
    "long": "x" * 500,
}


@pytest.mark.parametrize("stdout", NO_ANSWERS.values(), ids=NO_ANSWERS)
@pytest.mark.parametrize("hook", ["create", "read", "update", "integrate"])
def test_what_is_no_answer(command: Bench, hook: str, stdout: str) -> None:
    with pytest.raises(OperationError) as caught:
        call(command, hook, **all_hooks(out(stdout)))
    error = caught.value.diagnostic
    assert f'the command of "{hook}" succeeded, but' in error.summary
    assert error.suggestion == "print logs to stderr, or set `stdout: log`"
    assert repr(stdout[:80]) in error.detail
    assert len(error.detail) < 200


@pytest.mark.parametrize("part", ["outputs", "info"])
def test_a_part_that_is_no_object(command: Bench, part: str) -> None:
    with pytest.raises(OperationError, match=f'"{part}" in its output is not a JSON object'):
        command.create(create=out(json.dumps({part: [1]})))


def test_too_much(command: Bench) -> None:
    fits = json.dumps({"a": "x" * ((1 << 20) - 9)})
    assert len(fits) == 1 << 20
    make = "import sys; sys.stdout.write('{\"a\": \"' + 'x' * %d + '\"}')"
    assert len(command.create(create=py(make % ((1 << 20) - 9))).properties["a"]) == (1 << 20) - 9
    with pytest.raises(OperationError, match="more than 1,048,576 bytes"):
        command.create(create=py(make % ((1 << 20) - 8)))


@pytest.mark.parametrize("hook", HOOKS)
def test_stdout_as_a_log(command: Bench, hook: str) -> None:
    status = call(command, hook, **all_hooks(out("one\ntwo\n"), stdout="log"))
    assert status in (ResourceStatus(), None)
    if hook != "read":
        assert command.logged == [("info", "one"), ("info", "two")]


def test_delete_may_print_what_it_likes(command: Bench) -> None:
    command.delete(create=["x"], delete=out("deleted\n"))
    assert command.logged == [("info", "deleted")]


def test_stderr_is_the_log(command: Bench) -> None:
    command.create(create=py("import sys; sys.stderr.write('hello\\nworld\\n')"))
    assert command.logged == [("info", "hello"), ("info", "world")]


def test_outputs_of_integrate(command: Bench) -> None:
    assert command.integrate(ResourceStatus(), {}, create=["x"], integrate=out('{"outputs": {"a": 1}}')) == {
        "a": 1
    }
    assert command.integrate(ResourceStatus(), {}, create=["x"], integrate=out("")) is None


# exit codes


def test_exit_3_of_read_means_gone(command: Bench) -> None:
    assert command.read(create=["x"], read=py("raise SystemExit(3)")) is None


FAILURES = [
    (hook, status) for hook in HOOKS for status in (1, 2, 3, 127, 255) if (hook, status) != ("read", 3)
]


@pytest.mark.parametrize(("hook", "status"), FAILURES)
def test_other_exit_codes_are_failures(command: Bench, hook: str, status: int) -> None:
    code = f"import sys; [print('line', n, file=sys.stderr) for n in range(30)]; sys.exit({status})"
    with pytest.raises(OperationError) as caught:
        call(command, hook, **all_hooks(py(code)))
    error = caught.value.diagnostic
    assert f'the command of "{hook}" ended with status {status}' in error.summary
    assert error.detail.splitlines() == [f"line {n}" for n in range(10, 30)]


def test_ended_by_a_signal(command: Bench) -> None:
    with pytest.raises(OperationError, match="ended by a signal"):
        command.create(create=py("import os; os.kill(os.getpid(), 9)"))


def test_not_found(command: Bench) -> None:
    with pytest.raises(OperationError, match="no-such-command"):
        command.create(create=["no-such-command"])


def test_timeout(command: Bench) -> None:
    with pytest.raises(OperationError, match=r"took longer than 0\.1 s"):
        command.create(create=py("import time; time.sleep(60)"), timeout=0.1)


def test_cancelled(command: Bench) -> None:
    looks = iter([False, True])
    command.context.stop = lambda: next(looks)
    with pytest.raises(OperationCancelled):
        command.create(create=py("import time; time.sleep(60)"))


# options

TRAITS: dict[str, tuple[dict[str, Any], Traits]] = {
    "create only": ({}, Traits(can_read=False, can_update=False, can_delete=False)),
    "read": ({"read": ["x"]}, Traits(can_update=False, can_delete=False)),
    "update": ({"update": ["x"]}, Traits(can_read=False, can_delete=False)),
    "delete": ({"delete": ["x"]}, Traits(can_read=False, can_update=False)),
    "null is none": ({"read": None}, Traits(can_read=False, can_update=False, can_delete=False)),
    "integrate": (
        {"integrate": ["x"]},
        Traits(can_read=False, can_update=False, can_delete=False, can_integrate=True),
    ),
    "repeatable": (
        {"repeatable": True},
        Traits(can_read=False, can_update=False, can_delete=False, repeatable=True),
    ),
    "repeatable: no": ({"repeatable": "no"}, Traits(can_read=False, can_update=False, can_delete=False)),
}


@pytest.mark.parametrize(("options", "traits"), TRAITS.values(), ids=TRAITS)
def test_traits(command: Bench, options: dict[str, Any], traits: Traits) -> None:
    assert command.traits(create=["x"], **options) == traits


@pytest.mark.parametrize("option", ["read", "delete", "integrate", "timeout"])
def test_record_only_options(command: Bench, option: str) -> None:
    assert "record_only" in command.plugin.flags((option,))


@pytest.mark.parametrize("option", ["create", "update", "env", "cwd", "input"])
def test_options_whose_change_is_an_update(command: Bench, option: str) -> None:
    assert not command.plugin.flags((option,)) & {"record_only", "immutable"}


MISTAKES = {
    "no create": ({}, '"create" is missing'),
    "text": ({"create": "make it"}, 'takes a list, not the text "make it"'),
    "empty": ({"create": []}, "at least 1 item"),
    "number": ({"create": ["x", 1]}, "put it in quotes"),
    "secret in argv": ({"create": ["x", SECRET]}, "hand it over by `env:`"),
    "secret in another argv": ({"create": ["x"], "delete": [SECRET]}, "standard input"),
    "nul": ({"create": ["a\0b"]}, "pattern"),
    "name of a variable": ({"create": ["x"], "env": {"A=B": "1"}}, "env.A=B"),
    "variable as a number": ({"create": ["x"], "env": {"A": 1}}, "put it in quotes"),
    "stdout": ({"create": ["x"], "stdout": "yaml"}, '"json", "log"'),
    "timeout": ({"create": ["x"], "timeout": 0}, "more than 0"),
    "misspelt": ({"create": ["x"], "raed": ["x"]}, 'did you mean "read"?'),
}


@pytest.mark.parametrize(("options", "message"), MISTAKES.values(), ids=MISTAKES)
def test_mistakes(command: Bench, options: dict[str, Any], message: str) -> None:
    (mistake,) = command.mistakes(**options)
    assert message in mistake
    assert "s3cr3t" not in mistake


def test_the_address_of_the_context_is_what_commands_see(command: Bench) -> None:
    command.context.address = Address("command", "other")
    env = command.create(create=LOOKS).properties["env"]
    assert env["DEVSTREAM_ADDRESS"] == "command.other"
