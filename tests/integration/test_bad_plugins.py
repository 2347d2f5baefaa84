"""Plugins that crash, hang, lie, print or look with heavy hands: their own tool fails, the others do not.

What is found when a plugin is loaded is in tests/cases/bad_input.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import ResourceStatus, hookimpl, tool
from devstream.engine import reads
from devstream.testing.project import Project, block

if TYPE_CHECKING:
    from devstream.api import Outputs

HOOKS = ("create", "read", "update", "delete", "integrate")

PLUGIN = """\
from pathlib import Path

from devstream.api import ResourceStatus, hookimpl, tool

MADE = Path(__file__).with_name("made")


def act(hook):
    bad = Path(__file__).with_name("bad")
    if bad.exists() and bad.read_text() == hook:
        raise ValueError("boom")


@tool("mine")
class Mine:
    @hookimpl
    def create(self, tool):
        act("create")
        MADE.write_text(str(tool.raw_options))
        return ResourceStatus({"text": MADE.read_text()})

    @hookimpl
    def read(self):
        act("read")
        return ResourceStatus({"text": MADE.read_text()}) if MADE.exists() else None

    @hookimpl
    def update(self, tool):
        act("update")
        MADE.write_text(str(tool.raw_options))
        return ResourceStatus({"text": MADE.read_text()})

    @hookimpl
    def delete(self):
        act("delete")
        MADE.unlink(missing_ok=True)

    @hookimpl
    def integrate(self):
        act("integrate")
"""

BOTH = "tools:\n  - name: mine\n    instanceID: a\n    options: {size: %s}\n%s"
OTHER = "  - name: noop\n    instanceID: %s\n"


@pytest.mark.parametrize("hook", HOOKS)
def test_a_crash_in_a_hook(bench: Any, hook: str) -> None:
    bench.write(PLUGIN, "devstream_plugins.py")
    bench.write(BOTH % (1, OTHER % "b"))
    if hook in ("update", "delete"):
        assert bench("run", "-y").code == 0
    after = f"tools:\n{OTHER % 'c'}" if hook == "delete" else BOTH % (2, OTHER % "c")
    bench.write(after)
    bench.write(hook, "bad")
    ended = bench("run", "-y")
    assert ended.code == 4
    assert f"mine.a: `{hook}` raised ValueError: boom" in " ".join(ended.err.split())
    assert "devstream_plugins.py:11" in ended.err
    assert "this is a defect of the plugin" in ended.err
    results = bench("show", "state", "-o", "json").data["tools"]
    assert "noop.c" in results
    assert ("mine.a" in results) is (hook not in ("create", "read"))
    assert bench("run", "-y", "-o", "json").code == 4
    (bench.folder / "bad").unlink()
    assert bench("run", "-y").code == 0
    assert bench("plan", "--detailed-exitcode").code == 0
    assert (bench.folder / "made").exists() is (hook != "delete")


def test_a_plan_shows_a_crash_in_read_and_changes_nothing(bench: Any) -> None:
    bench.write(PLUGIN, "devstream_plugins.py")
    bench.write(BOTH % (1, OTHER % "b"))
    bench.write("read", "bad")
    before = bench.contents()
    planned = bench("plan")
    assert planned.code == 4
    assert "`read` raised ValueError: boom" in planned.out
    assert "Plan: 1 to create; 1 cannot be planned." in planned.out
    machine = bench("plan", "-o", "json").data
    changes = {change["address"]: change["action"] for change in machine["changes"]}
    assert (machine["exit_code"], changes) == (4, {"mine.a": "error", "noop.b": "create"})
    assert bench.contents() == before


# ---- hooks that do not come back


@tool("sleeper")
class Sleeper:
    """Does not come back from one hook until it is told to."""

    def __init__(self) -> None:
        self.hangs = ""
        self.over = threading.Event()
        self.made = False

    def _act(self, hook: str) -> None:
        if self.hangs == hook:
            self.over.wait(60)

    @hookimpl
    def create(self) -> ResourceStatus:
        self._act("create")
        self.made = True
        return ResourceStatus()

    @hookimpl
    def read(self) -> ResourceStatus | None:
        self._act("read")
        return ResourceStatus() if self.made else None

    @hookimpl
    def update(self) -> ResourceStatus:
        self._act("update")
        return ResourceStatus()

    @hookimpl
    def delete(self) -> None:
        self._act("delete")
        self.made = False

    @hookimpl
    def integrate(self) -> Outputs | None:
        self._act("integrate")
        return None


HANGS = {
    "create": "create unknown",
    "read": "error failed",
    "update": "update unknown",
    "delete": "delete unknown",
    "integrate": "create unknown",
}


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hang_in_a_hook(project: Project, monkeypatch: pytest.MonkeyPatch, hook: str) -> None:
    sleeper = Sleeper()
    project.use(sleeper)
    monkeypatch.setattr(reads, "READ_TIMEOUT", 0.3)
    project.patience = 0.05
    mine = block("sleeper.a", {"size": 1}, timeout=0.3)
    if hook in ("update", "delete"):
        project.tools(mine)
        project.run().assert_success()
    sleeper.hangs = hook
    wanted = [] if hook == "delete" else [{**mine, "options": {"size": 2}}]
    project.tools(*wanted, block("noop.b"), block("noop.c", after=["noop.b"]))
    try:
        ran = project.run()
        assert ran.outcomes["sleeper.a"] == HANGS[hook]
        assert f"`{hook}` took too long" in ran.problem("sleeper.a").summary
        assert ran.outcomes["noop.c"] == "create succeeded"
    finally:
        sleeper.over.set()
    sleeper.hangs = ""
    project.run().assert_success()
    assert sleeper.made is (hook != "delete")
    project.plan().assert_nothing_to_do()


# ---- hooks that do what they must not


def one_hook(hook: str, body: str) -> str:
    create = "" if hook == "create" else "    @hookimpl\n    def create(self): ...\n\n"
    return (
        "from devstream.api import ResourceStatus, hookimpl, tool\n\n\n@tool('mine')\nclass Mine:\n"
        f"{create}    @hookimpl\n    def {hook}(self, tool, context):\n        {body}\n"
    )


def test_a_read_that_would_change_something(bench: Any) -> None:
    bench.write(BOTH % (1, OTHER % "b"))
    bench.write(one_hook("read", "context.run(['touch', 'made'])"), "devstream_plugins.py")
    before = bench.contents()
    planned = bench("plan")
    assert planned.code == 4
    assert "`read` tried to run touch, which may change something" in planned.out
    assert "reads=True" in planned.out
    assert bench.contents() == before


def test_a_read_that_would_post(bench: Any) -> None:
    bench.write(BOTH % (1, OTHER % "b"))
    bench.write(one_hook("read", "context.http.post('http://127.0.0.1:9/')"), "devstream_plugins.py")
    before = bench.contents()
    planned = bench("plan")
    assert planned.code == 4
    assert "`read` tried to send POST to 127.0.0.1, which may change something" in planned.out
    assert bench.contents() == before


ANSWERS = {
    "return ResourceStatus(outputs={'a': {1}})": "returned outputs.a as set, which is not JSON",
    "return ResourceStatus({'a': float('inf')})": "returned properties.a as inf, which is not JSON",
    "return 'done'": "returned str, not a ResourceStatus",
}


@pytest.mark.parametrize("body", ANSWERS)
def test_an_answer_that_is_not_json(bench: Any, body: str) -> None:
    bench.write(BOTH % (1, OTHER % "b"))
    bench.write(one_hook("create", body), "devstream_plugins.py")
    ended = bench("run", "-y")
    assert ended.code == 4
    assert ANSWERS[body] in " ".join(ended.err.split())
    assert "1 succeeded, 1 failed" in ended.out


EVERY_HOOK = """\
from pathlib import Path

from devstream.api import ResourceStatus, hookimpl, tool

MADE = Path(__file__).with_name("made")


def answer(hook, good):
    bad = Path(__file__).with_name("bad")
    if not bad.exists() or bad.read_text().partition(" ")[0] != hook:
        return good
    return eval(bad.read_text().partition(" ")[2])


@tool("mine")
class Mine:
    @hookimpl
    def create(self, tool):
        MADE.touch()
        return answer("create", ResourceStatus())

    @hookimpl
    def read(self):
        return answer("read", ResourceStatus()) if MADE.exists() else answer("read", None)

    @hookimpl
    def update(self, tool):
        return answer("update", ResourceStatus())

    @hookimpl
    def delete(self):
        MADE.unlink(missing_ok=True)
        return answer("delete", None)

    @hookimpl
    def integrate(self, status):
        return answer("integrate", {})
"""
NO_JSON = {
    "create": ("ResourceStatus(outputs={'a': {1}})", "`create` returned outputs.a as set, which is not JSON"),
    "read": (
        "ResourceStatus({'a': [float('nan')]})",
        "`read` returned properties.a[0] as nan, which is not JSON",
    ),
    "update": ("ResourceStatus(info={1: 2})", "`update` returned the key 1 in info: keys have to be text"),
    "delete": ("{'a': {1}}", ""),
    "integrate": ("{'a': b'1'}", "`integrate` returned outputs.a as bytes, which is not JSON"),
}
NO_STATUS = {
    "create": ("'done'", "returned str, not a ResourceStatus"),
    "read": ("{'a': 1}", "returned dict, not a ResourceStatus"),
    "update": ("True", "returned bool, not a ResourceStatus"),
    "delete": ("'done'", ""),
    "integrate": ("'done'", "returned str, not a dict of outputs"),
}


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("answers", [NO_JSON, NO_STATUS])
def test_a_wrong_answer_of_every_hook(bench: Any, hook: str, answers: dict[str, tuple[str, str]]) -> None:
    """What `delete` returns is nobody's business: it is done all the same."""
    body, said = answers[hook]
    bench.write(EVERY_HOOK, "devstream_plugins.py")
    bench.write(BOTH % (1, OTHER % "b"))
    if hook in ("update", "delete"):
        assert bench("run", "-y").code == 0
    bench.write(f"tools:\n{OTHER % 'c'}" if hook == "delete" else BOTH % (2, OTHER % "c"))
    bench.write(f"{hook} {body}", "bad")
    ended = bench("run", "-y")
    assert ended.code == (4 if said else 0)
    told = " ".join(ended.err.split())
    assert not said or ("mine.a: " in told and hook in told and said in told)
    assert "noop.c" in bench("show", "state", "-o", "json").data["tools"]
    (bench.folder / "bad").unlink()
    assert bench("run", "-y").code == 0
    assert bench("plan", "--detailed-exitcode").code == 0


@pytest.mark.parametrize("output", ["not json", "[1]", '{"a": 1} {"b": 2}', '{"a": NaN}', '{"a": 1'])
def test_a_command_whose_output_is_not_json(bench: Any, output: str) -> None:
    create = json.dumps(["printf", "%s", output])
    bench.write(
        f"tools:\n  - name: command\n    instanceID: a\n    options: {{create: {create}, stdout: json}}\n"
    )
    ended = bench("run", "-y")
    assert ended.code == 4
    flat = " ".join(ended.err.split())
    assert 'the command of "create" succeeded, but its standard output is not one JSON object' in flat
    assert "`stdout: log`" in flat


def test_what_a_plugin_prints_does_not_get_into_the_result(bench: Any) -> None:
    bench.write(BOTH % (1, OTHER % "b"))
    bench.write("print('loading')\n" + one_hook("create", "print('creating')"), "devstream_plugins.py")
    ended = bench.process("run", "-y", "-o", "json")
    assert (ended.code, ended.data["summary"]["succeeded"]) == (0, 2)
    assert ended.err.splitlines() == ["loading", "creating"]
    assert bench.process("validate").out == "The configuration is valid: 2 tools, 0 apps, 0 dependencies.\n"
    assert "Usage:" in bench.process("run", "--help").out


def test_an_observer_that_crashes_is_reported_once(bench: Any) -> None:
    bench.write(BOTH % (1, OTHER % "b"))
    observer = "\n\n@hookimpl\ndef devstream_event(event):\n    raise ValueError('no')\n"
    bench.write(PLUGIN + observer, "devstream_plugins.py")
    ended = bench("run", "-y")
    assert ended.code == 0
    assert ended.err.count("failed as an observer: ValueError: no") == 1


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ("nosuch", "No module named 'nosuch'"),
        ("./nosuch.py", "No such file or directory"),
        ("no:noop", "-p no:noop or DEVSTREAM_DISABLE_PLUGINS blocks it"),
    ],
)
def test_a_plugin_that_is_not_there(bench: Any, argument: str, said: str) -> None:
    bench.write(f"tools:\n{OTHER % 'b'}")
    ended = bench("plan", "-p", argument)
    assert (ended.code, ended.out) == (3, "")
    assert said in " ".join(ended.err.split())


BROKEN = {
    "raise OSError('no network')": "fails in devstream_register_backends: OSError: no network",
    "raise SystemExit(0)": "fails in devstream_register_backends: SystemExit: 0",
    "registry.add('mine', None); registry.add('mine', None)": '"mine" is registered twice',
}


@pytest.mark.parametrize("body", BROKEN)
def test_a_backend_that_does_not_register(bench: Any, body: str) -> None:
    bench.write(f"config:\n  state: {{backend: mine}}\ntools:\n{OTHER % 'b'}")
    code = f"from devstream.api import hookimpl\n\n\n@hookimpl\ndef devstream_register_backends(registry):\n    {body}\n"
    bench.write(code, "devstream_plugins.py")
    ended = bench("plan")
    assert (ended.code, ended.out) == (3, "")
    assert BROKEN[body] in " ".join(ended.err.split())


def test_traits_that_are_none(bench: Any) -> None:
    schema = (
        "\n    @hookimpl\n    def devstream_tool_schema(self, tool_name):\n        from devstream.api import ToolSchema\n"
        "        from msgspec import Struct\n\n        class Options(Struct):\n            size: int = 0\n\n"
        "        return ToolSchema(Options, traits=lambda options: None)\n"
    )
    bench.write(PLUGIN + schema, "devstream_plugins.py")
    bench.write(BOTH % (1, ""))
    ended = bench("plan")
    assert (ended.code, ended.out) == (3, "")
    assert "are given as NoneType, not as Traits" in " ".join(ended.err.split())
