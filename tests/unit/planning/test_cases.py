"""Every folder of tests/cases/plan: config, state and what `read` says in, a plan out.

See tests/cases/plan/README.md for how a case is written.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from devstream.errors import Diagnostic, Mark
from devstream.graph.dag import Graph
from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.plan import ABSENT, Action, FieldSource
from devstream.model.recorded import fingerprint, parse_reference
from devstream.model.schema import Traits
from devstream.model.state import ToolState
from devstream.model.status import ResourceStatus
from devstream.model.tool import BARRIER, ToolInstance
from devstream.model.values import Interpolation, Secret, SecretRef, format_path, map_leaves
from devstream.planning.planner import Unfinished, Wishes
from devstream.planning.provider import ReadAnswer
from devstream.planning.upstream import digest

if TYPE_CHECKING:
    from devstream.model.plan import Change, FieldChange, Plan
    from devstream.model.values import Path as OptionPath
    from tests.unit.planning.conftest import FakePlugin, World

CASES = Path(__file__).parents[2] / "cases" / "plan"
KEY = b"k" * 32
MARK = re.compile(r"\$\{\{ *(?P<ref>[^}]+?) *\}\}|\$\((?P<source>env|file):(?P<key>\w+)\)")
SEEDS = range(4)


class CaseLoader(yaml.SafeLoader):
    """YAML with the tags that a case may use: !fingerprint, !digest and !secret."""


CaseLoader.add_constructor("!fingerprint", lambda _, node: fingerprint(KEY, node.value))
CaseLoader.add_constructor("!secret", lambda _, node: Secret((SecretRef("output", ""),), node.value))
CaseLoader.add_constructor(
    "!hidden", lambda _, node: {"$secret": [], "fingerprint": fingerprint(KEY, node.value)}
)
CaseLoader.add_constructor("!digest", lambda load, node: digest(load.construct_mapping(node, deep=True), KEY))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "folder", sorted(path for path in CASES.iterdir() if path.is_dir()), ids=lambda p: p.name
)
def test_case(folder: Path, world_of: type[World], plugin_of: type[FakePlugin]) -> None:
    world = _world(folder, world_of, plugin_of)
    expected = _load(folder / "plan.yaml")
    for seed in SEEDS:
        plan = world.plan(seed)
        assert {str(change.address): _shown(change) for change in plan.changes} == expected["changes"]
        assert [warning.summary for warning in plan.warnings] == expected.get("warnings", [])
        _check_order(plan, expected.get("order", []))
        if "reads" in expected:
            assert sorted(str(request.address) for request in world.asked) == sorted(expected["reads"])
        for address, options in expected.get("readWith", {}).items():
            request = next(request for request in world.asked if str(request.address) == address)
            assert map_leaves(dict(request.options), _revealed) == options


def _world(folder: Path, world_of: type[World], plugin_of: type[FakePlugin]) -> World:
    config = _load(folder / "config.yaml")
    addresses = [f"{block['name']}.{block['instanceID']}" for block in config["tools"]]
    world = world_of(
        tools=[_tool(block, addresses, line) for line, block in enumerate(config["tools"], 1)],
        plugins={name: _plugin(plugin_of, said) for name, said in config.get("plugins", {}).items()},
        missing=frozenset(config.get("missing", [])),
        secrets=config.get("secrets", {}),
        wishes=_wishes(config.get("wishes", {})),
        unfinished=_unfinished(config.get("unfinished", {})),
    )
    barrier = {tool.address: tool for tool in world.tools}
    graph = world.graph()
    for text, entry in _load(folder / "state.yaml").items():
        address = Address.parse(text)
        wanted = barrier.get(address)
        defaults = {"dependsOn": [str(node) for node in graph.dependencies(address)] if wanted else []}
        if wanted is not None:
            defaults |= {"app": wanted.app, "tags": wanted.tags}  # type: ignore[dict-item]  # any field's type
        world.entries[address] = _entry(address, {**defaults, **entry})
    world.answers = {Address.parse(text): _answer(said) for text, said in _load(folder / "read.yaml").items()}
    return world


def _load(path: Path) -> Any:
    return yaml.load(path.read_text(), CaseLoader) or {} if path.exists() else {}


def _tool(block: dict[str, Any], addresses: list[str], line: int) -> ToolInstance:
    wanted = dict(block)
    renamed = {"allow_delete": "allowDelete", "after_tools": "afterTools"}
    fields = {name: wanted[key] for name, key in renamed.items() if key in wanted}
    fields |= {
        key: wanted[key]
        for key in ("app", "adopt", "protect", "retries", "timeout", "connection")
        if key in wanted
    }
    return ToolInstance(
        Address(wanted["name"], wanted["instanceID"]),
        map_leaves(wanted.get("options", {}), lambda leaf: _leaf(leaf, addresses)),
        Origin(Mark("config.yaml", line, 1)),
        depends_on=tuple(Address.parse(text) for text in wanted.get("dependsOn", [])),
        tags=tuple(wanted.get("tags", [])),
        origins=_LineOrigins(line),
        **fields,
    )


class _LineOrigins:
    """Places the option at a path on the tool's line, in a column that tells its depth."""

    def __init__(self, line: int) -> None:
        self.line = line

    def at(self, path: OptionPath) -> Origin:
        return Origin(Mark("config.yaml", self.line, 10 + len(path)))


def _leaf(leaf: Any, addresses: list[str]) -> Any:
    """Make references of ``${{ }}`` and secrets of ``$(env:NAME)``."""
    if not isinstance(leaf, str):
        return leaf
    parts: list[Any] = []
    end = 0
    for match in MARK.finditer(leaf):
        parts += [leaf[end : match.start()]] if match.start() > end else []
        reference = match["ref"]
        parts.append(
            parse_reference(reference, addresses) if reference else SecretRef(match["source"], match["key"])
        )
        end = match.end()
    parts += [leaf[end:]] if leaf[end:] else []
    if all(isinstance(part, str | SecretRef) for part in parts):
        return Secret(tuple(parts)) if any(isinstance(part, SecretRef) for part in parts) else leaf
    return parts[0] if len(parts) == 1 else Interpolation(tuple(parts))


def _plugin(plugin_of: type[FakePlugin], said: dict[str, Any]) -> FakePlugin:
    flags = {
        name: tuple(said[key])
        for name, key in (("immutable", "immutable"), ("record_only", "recordOnly"))
        if key in said
    }
    no: dict[str, Any] = {f"can_{verb}": False for verb in said.get("cannot", [])}
    traits = Traits(
        **no, can_integrate=said.get("integrates", False), repeatable=said.get("repeatable", False)
    )
    return plugin_of(traits, said.get("adopts", False), flags)


def _wishes(said: dict[str, Any]) -> Wishes:
    return Wishes(said.get("refresh", True), frozenset(map(Address.parse, said.get("unprotect", []))))


def _unfinished(said: dict[str, Any]) -> Unfinished:
    return Unfinished(
        {
            Address.parse(text): Diagnostic(why, "undecidable")
            for text, why in said.get("undecidable", {}).items()
        },
        {Address.parse(text): (op_id, attempt) for text, (op_id, attempt) in said.get("retries", {}).items()},
    )


def _entry(address: Address, said: dict[str, Any]) -> ToolState:
    camel = {
        re.sub(r"[A-Z]", lambda letter: "_" + letter[0].lower(), key): value for key, value in said.items()
    }
    camel |= {key: tuple(camel[key]) for key in ("depends_on", "tags") if key in camel}
    if "failed_action" in camel:
        camel["failed_action"] = Action(camel["failed_action"])
    return ToolState(address, **camel)


def _answer(said: Any) -> ReadAnswer:
    if said == "gone":
        return ReadAnswer(None)
    if "error" in said:
        return ReadAnswer(None, Diagnostic(said["error"], "read"))
    return ReadAnswer(ResourceStatus(said.get("properties", {}), said.get("outputs"), said.get("info", {})))


def _revealed(leaf: Any) -> Any:
    return leaf.reveal() if isinstance(leaf, Secret) else leaf


# ---- a change as a case writes it


def _shown(change: Change) -> dict[str, Any]:
    reasons = [str(reason.code) for reason in change.reasons]
    shown = {
        "action": str(change.action),
        "reason": reasons[0] if len(reasons) == 1 else reasons,
        "fields": {format_path(change.path) or "(all)": _field(change) for change in change.fields},
        "conditionalOn": [str(address) for address in change.conditional_on],
        "lookAgain": change.look_again and change.action is not Action.CONDITIONAL,
        "put": str(change.put) if change.put else None,
        "protected": change.protected,
        "retry": [change.op_id, change.attempt] if change.op_id else None,
        "error": change.error.summary if change.error else None,
        "suggestion": change.error.suggestion if change.error else None,
        "at": str(change.error.mark) if change.error and change.error.mark else None,
    }
    return {key: value for key, value in shown.items() if value}


def _field(field: FieldChange) -> str:
    notes = [word for word, holds in (
        ("drift", field.source is FieldSource.DRIFT),
        ("immutable", field.immutable),
        ("may change", field.may_change),
    ) if holds]  # fmt: skip
    text = f"{_value(field.before)} -> {_value(field.after)}"
    return f"{text} ({', '.join(notes)})" if notes else text


def _value(value: Any) -> str:
    if value is ABSENT:
        return "absent"
    return "secret" if isinstance(value, Secret) else json.dumps(value, default=str)


def _check_order(plan: Plan, wanted: list[str]) -> None:
    graph: Graph[Any] = Graph(plan.after)
    position = {str(change.address): index for index, change in enumerate(plan.changes)}
    for line in wanted:
        before, sign, after = line.split()
        behind = {str(node) for node in graph.ancestors([_node(after)])}
        assert (before in behind) == (sign == "<"), line
        if sign == "<" and BARRIER not in (before, after):
            assert position[before] < position[after], line


def _node(text: str) -> Address | str:
    return text if text.startswith("@") else Address.parse(text)
