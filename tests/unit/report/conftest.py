"""Plans, reports and streams made by hand, as the engine would make them."""

from __future__ import annotations

import io
from typing import Any

import pytest

from devstream.errors import Diagnostic, Mark
from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.plan import ABSENT, Action, Change, FieldChange, FieldSource, Plan, Reason, ReasonCode
from devstream.model.recorded import Fingerprint
from devstream.model.redact import Redactor
from devstream.model.state import PutReason, ToolState
from devstream.model.tool import ToolInstance
from devstream.model.values import Path, Reference, Secret, SecretRef, Unknown
from devstream.report.streams import Output
from devstream.report.terminal import Look


class AppOrigins:
    """Fields that come from an app by way of a template."""

    def at(self, path: Path) -> Origin | None:
        return Origin(Mark("/proj/apps.yaml", 12 + len(path), 5), ("app web", "pipelineTemplate ci"))


def address(text: str) -> Address:
    return Address.parse(text)


def written(line: int) -> Origin:
    return Origin(Mark("/proj/tools.yaml", line, 9))


def tool(name: str, app: str | None = None, **options: Any) -> ToolInstance:
    return ToolInstance(address(name), options, written(3), app=app, origins=AppOrigins())


def recorded(name: str, **options: Any) -> ToolState:
    return ToolState(address(name), options=options)


def change(
    name: str,
    action: Action,
    code: ReasonCode | None = None,
    text: str = "",
    **fields: Any,
) -> Change:
    reasons = (Reason(code, text),) if code else ()
    return Change(address(name), action, reasons, **fields)


def long_text(*marked: int) -> str:
    return "".join(f"line {number}{'!' if number in marked else ''}\n" for number in range(1, 31))


UPDATES = (
    FieldChange(("content",), long_text(), long_text(7, 20), origin=written(4)),
    FieldChange(("mode",), "0644", "0600", origin=written(5)),
    FieldChange(("token",), Fingerprint("0123456789"), Fingerprint("9876543210"), origin=written(6)),
    FieldChange(("url",), "http://old", Unknown("repo-scaffolding.web"), origin=written(7)),
    FieldChange(("port",), 80, 8080, origin=written(8), may_change=True),
    FieldChange(("list",), ["a", "b", "c"], ["a", "x", "b", "c"], origin=written(9)),
    FieldChange(
        ("jobs",),
        [{"name": "a", "run": 1}, {"name": "b", "run": 1}],
        [{"name": "b", "run": 2}],
        origin=written(10),
    ),
    FieldChange(("comment",), "old", ABSENT),
    FieldChange(
        ("motto",),
        "the quick brown fox jumps over the lazy dog and runs away into the wood",
        "the quick brown fox jumps over the lazy dog and runs away into the night \x1b[31mred\x07",
        origin=written(12),
    ),
)

DOOMED = recorded("file.old", path="old.txt", content="one\ntwo\n")


def everything() -> Plan:
    """One change of every kind that is shown."""
    repo = tool(
        "repo-scaffolding.web",
        "web",
        branch="main",
        scm={"scmType": "local", "owner": "me"},
        a=1,
        b=2,
        c=3,
        d=4,
    )
    ci = tool(
        "local-ci.web",
        "web",
        repo=Reference(address("repo-scaffolding.web"), ("url",)),
        token=Secret((SecretRef("env", "TOKEN"),), "hunter2hunter2"),
    )
    exists = Diagnostic("exists already and is not ours", "exists", suggestion="`adopt: true` takes it over")
    return Plan(
        (
            change(str(repo.address), Action.CREATE, ReasonCode.NEW, "not recorded yet", tool=repo),
            change(str(ci.address), Action.CREATE, ReasonCode.NEW, "not recorded yet", tool=ci),
            change(
                "file.readme",
                Action.UPDATE,
                ReasonCode.OPTIONS,
                "content, mode, token, url, port, list, jobs, comment, motto",
                tool=tool("file.readme"),
                fields=UPDATES,
            ),
            change(
                "cluster.main",
                Action.REPLACE,
                ReasonCode.OPTIONS,
                "region",
                tool=tool("cluster.main"),
                fields=(FieldChange(("region",), "eu", "us", origin=written(30), immutable=True),),
            ),
            change(
                "dns.main",
                Action.CONDITIONAL,
                ReasonCode.UPSTREAM,
                "depends on what becomes of cluster.main",
                tool=tool("dns.main"),
                conditional_on=(address("cluster.main"),),
            ),
            change(
                "file.gone",
                Action.CREATE,
                ReasonCode.GONE,
                "recorded, but gone",
                tool=tool("file.gone", path="b"),
            ),
            change(
                "file.drift",
                Action.UPDATE,
                ReasonCode.DRIFT,
                "changed outside: mode",
                tool=tool("file.drift"),
                fields=(FieldChange(("mode",), "0644", "0777", source=FieldSource.DRIFT),),
            ),
            change(
                "github.x",
                Action.ERROR,
                ReasonCode.EXISTS,
                exists.summary,
                tool=tool("github.x"),
                error=exists,
            ),
            change("noop.a", Action.NOOP, tool=tool("noop.a", input="same")),
            change(
                "noop.b",
                Action.NOOP,
                ReasonCode.BOOKKEEPING,
                "only what is recorded differs",
                tool=tool("noop.b"),
                put=PutReason.BOOKKEEPING,
            ),
            change(
                "file.mine",
                Action.NOOP,
                ReasonCode.ADOPTED,
                "taken over",
                tool=tool("file.mine"),
                put=PutReason.ADOPTED,
            ),
            change("file.old", Action.DELETE, ReasonCode.REMOVED, "no longer in the config", recorded=DOOMED),
            change(
                "db.main", Action.DELETE, ReasonCode.PROTECTED, "protected", recorded=DOOMED, protected=True
            ),
            change("file.left", Action.FORGET, ReasonCode.REMOVED, "left in place", recorded=DOOMED),
        ),
        lineage="f0f0",
        serial=7,
    )


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def output(stream: io.StringIO, look: Look | None = None, redactor: Redactor | None = None) -> Output:
    return Output(stream, redactor or Redactor(), look or Look())


class Samples:
    """What the tests build their examples from."""

    address = staticmethod(address)
    written = staticmethod(written)
    tool = staticmethod(tool)
    recorded = staticmethod(recorded)
    change = staticmethod(change)
    long_text = staticmethod(long_text)
    output = staticmethod(output)
    Terminal = Terminal


@pytest.fixture
def make() -> Samples:
    return Samples()


@pytest.fixture
def plan() -> Plan:
    return everything()
