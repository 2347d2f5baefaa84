"""The same as data: one JSON document a command, or one event a line. Secrets are named, never shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from devstream import __version__
from devstream.model import events
from devstream.model.plan import Action, FieldChange, Outcome
from devstream.model.recorded import comparable
from devstream.model.values import format_path
from devstream.report.plan import plan_counts
from devstream.report.values import plain
from devstream.report.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from devstream.errors import Diagnostic
    from devstream.model.address import Address
    from devstream.model.origin import Origin
    from devstream.model.plan import Change, Plan, Reason, Result, RunReport, Selection
    from devstream.model.state import State, ToolState
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path
    from devstream.report.streams import Output

    Mask = Callable[[str], str]

__all__ = [
    "FORMAT_VERSION",
    "document",
    "encode",
    "diagnostic_data",
    "plan_data",
    "selection_data",
    "run_data",
    "expanded_data",
    "state_data",
    "outputs_data",
    "event_data",
    "Lines",
]

FORMAT_VERSION = "1.0"
"""Minor versions add keys; a major one changes or removes some."""


def document(
    command: str,
    exit_code: int,
    diagnostics: Iterable[Diagnostic],
    payload: Mapping[str, Any],
    mask: Mask = str,
) -> dict[str, Any]:
    """Give the one document of a command; the payload is masked already."""
    told = [diagnostic_data(diagnostic, mask) for diagnostic in diagnostics]
    head = {"format_version": FORMAT_VERSION, "command": command, "exit_code": int(exit_code)}
    return {**head, "diagnostics": told, **payload}


def encode(data: Any, *, indent: bool = False) -> str:
    """Write data as JSON text, on one line or indented."""
    import msgspec

    raw = msgspec.json.encode(data)
    return (msgspec.json.format(raw, indent=2) if indent else raw).decode("utf-8")


def diagnostic_data(diagnostic: Diagnostic, mask: Mask = str) -> dict[str, Any]:
    """Give a diagnostic as data."""
    mark = diagnostic.mark
    return {
        "severity": diagnostic.severity.value,
        "code": diagnostic.code,
        "summary": plain(diagnostic.summary, mask),
        "detail": plain(diagnostic.detail, mask),
        "file": plain(mark.file, mask) if mark else None,
        "line": mark.line if mark else None,
        "column": mark.column if mark else None,
        "address": diagnostic.address,
        "suggestion": plain(diagnostic.suggestion, mask),
    }


def plan_data(plan: Plan, mask: Mask = str) -> dict[str, Any]:
    """Give a plan as data: every change in execution order, NOOP too, and the counts."""
    wanted = Wanted(plan)
    return {
        "changes": [_change(change, wanted, mask) for change in plan.changes],
        "summary": plan_counts(plan),
        "selection": selection_data(plan.selection),
        "lineage": plan.lineage,
        "serial": plan.serial,
    }


def selection_data(selection: Selection | None) -> dict[str, Any] | None:
    """Give what a plan is about as data; None where it is about everything."""
    if selection is None:
        return None
    return {
        "selected": [str(address) for address in selection.chosen],
        "added_upstream": [str(address) for address in selection.upstream],
        "added_standing": [str(address) for address in selection.standing],
        "total": selection.total,
    }


def _change(change: Change, wanted: Wanted, mask: Mask) -> dict[str, Any]:
    changed = {field.path for field in change.fields}
    return {
        "address": str(change.address),
        "app": change.app,
        "action": change.action.value,
        "reasons": [_reason(reason, mask) for reason in change.reasons],
        "before": _options(wanted.before(change), changed, mask),
        "after": _options(wanted.after(change), changed, mask),
        "fields": [_field(field, mask) for field in change.fields],
        "conditional_on": [str(address) for address in change.conditional_on],
        "protected": change.protected,
        "record": change.put.value if change.put else None,
        "error": diagnostic_data(change.error, mask) if change.error else None,
    }


def _options(options: Mapping[str, Any] | None, changed: set[Path], mask: Mask) -> Any:
    """Give options as data; a secret is marked as changed where the plan says that its field differs."""
    if options is None:
        return None
    return _tree(options, (), changed, mask)


def _tree(value: Any, path: Path, changed: set[Path], mask: Mask) -> Any:
    here = path in changed
    if isinstance(value, dict) and not here:
        return {
            plain(str(key), mask): _tree(item, (*path, key), changed, mask) for key, item in value.items()
        }
    if isinstance(value, list) and not here:
        return [_tree(item, (*path, index), changed, mask) for index, item in enumerate(value)]
    return plain(value, mask, changed=here)


def _reason(reason: Reason, mask: Mask) -> dict[str, Any]:
    return {
        "code": reason.code.value,
        "text": plain(reason.text, mask),
        "paths": [plain(format_path(path), mask) for path in reason.paths],
        "upstream": [str(address) for address in reason.upstream],
    }


def _field(field: FieldChange, mask: Mask) -> dict[str, Any]:
    return {
        "path": plain(format_path(field.path), mask),
        "before": plain(field.before, mask, changed=True),
        "after": plain(field.after, mask, changed=True),
        "source": field.source.value,
        "origin": _origin(field.origin, mask),
        "immutable": field.immutable,
        "may_change": field.may_change,
    }


def _origin(origin: Origin | None, mask: Mask) -> dict[str, Any] | None:
    if origin is None:
        return None
    mark = origin.mark
    return {
        "file": plain(mark.file, mask) if mark else None,
        "line": mark.line if mark else None,
        "column": mark.column if mark else None,
        "trail": plain(list(origin.trail), mask),
    }


def run_data(report: RunReport | None, mask: Mask = str) -> dict[str, Any]:
    """Give what came of a run as data; None stands for a run that had nothing to do."""
    results = report.results if report else ()
    counts = dict.fromkeys((outcome.value for outcome in Outcome), 0)
    for result in results:
        counts[result.outcome.value] += 1
    return {
        "run_id": report.run_id if report else None,
        "results": [_result(result, mask) for result in results if result.action is not Action.NOOP],
        "summary": {**counts, "seconds": round(report.seconds, 3) if report else 0.0},
        "protected": [str(address) for address in report.protected] if report else [],
        "signal": report.signal if report else 0,
    }


def _result(result: Result, mask: Mask) -> dict[str, Any]:
    return {
        "address": str(result.address),
        "action": result.action.value,
        "outcome": result.outcome.value,
        "error": diagnostic_data(result.error, mask) if result.error else None,
        "cause": str(result.cause) if result.cause else None,
        "seconds": round(result.seconds, 3),
        "info": plain(dict(result.info), mask),
    }


def expanded_data(tools: Iterable[ToolInstance], mask: Mask = str) -> dict[str, Any]:
    """Give the expanded tools as data, each with where it was written."""
    return {
        "tools": [
            {
                "name": tool.address.name,
                "instanceID": tool.address.instance_id,
                "app": tool.app,
                "dependsOn": [str(address) for address in tool.depends_on],
                "afterTools": tool.after_tools,
                "options": plain(dict(tool.options), mask),
                "origin": _origin(tool.origin, mask),
            }
            for tool in tools
        ]
    }


def state_data(state: State, mask: Mask = str) -> dict[str, Any]:
    """Give the recorded state as data; references as the values they had, secrets as secrets."""
    return {
        "lineage": state.lineage,
        "serial": state.serial,
        "tools": {str(address): _recorded(tool, mask) for address, tool in state.tools.items()},
        "unfinished": {
            str(address): {
                "action": opened.begin.action.value,
                "op_id": opened.begin.op_id,
                "by": opened.in_progress_by,
            }
            for address, opened in state.open_operations.items()
        },
    }


def _recorded(tool: ToolState, mask: Mask) -> dict[str, Any]:
    return {
        "options": plain(comparable(dict(tool.options)), mask),
        "dependsOn": list(tool.depends_on),
        "app": tool.app,
        "tags": list(tool.tags),
        "properties": plain(comparable(dict(tool.properties)), mask),
        "outputs": plain(comparable(dict(tool.outputs)), mask),
        "info": plain(comparable(dict(tool.info)), mask),
        "tainted": tool.tainted,
        "integrated": tool.integrated,
        "adopted": tool.adopted,
        "protect": tool.protect,
        "plugin": tool.plugin,
        "plugin_version": tool.plugin_version,
        "created": tool.created,
        "updated": tool.updated,
    }


def outputs_data(tools: Mapping[Address, ToolState], mask: Mask = str) -> dict[str, Any]:
    """Give the recorded outputs as data."""
    return {
        "outputs": {
            str(address): plain(comparable(dict(tool.outputs)), mask)
            for address, tool in tools.items()
            if tool.outputs
        }
    }


def event_data(event: events.Event, mask: Mask = str) -> dict[str, Any]:
    """Give an event as data; ``type`` is its class's name in snake_case."""
    return {"type": _snake(type(event).__name__), **_event_fields(event, mask)}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _event_fields(event: events.Event, mask: Mask) -> dict[str, Any]:
    match event:
        case events.ReadStarted(address):
            return {"address": str(address)}
        case events.ReadEnded(address, error):
            return {"address": str(address), "error": diagnostic_data(error, mask) if error else None}
        case events.PlanReady(plan):
            return plan_data(plan, mask)
        case events.RunStarted(run_id, total):
            return {"run_id": run_id, "total": total}
        case events.OperationStarted(address, action, attempt):
            return {"address": str(address), "action": action.value, "attempt": attempt}
        case events.OperationLog(address, level, message):
            return {"address": str(address), "level": level, "message": plain(message, mask)}
        case events.OperationEnded(result):
            return _result(result, mask)
        case events.Notice(diagnostic):
            return {"diagnostic": diagnostic_data(diagnostic, mask)}
        case events.RunEnded(report):
            return run_data(report, mask)
    return {}


class Lines:
    """Prints each event as a line of JSON; a `Reporter`. The first line says which version this is."""

    def __init__(self, out: Output, command: str, mask: Mask) -> None:
        self._out = out
        self._mask = mask
        head = {
            "type": "version",
            "format_version": FORMAT_VERSION,
            "devstream": __version__,
            "command": command,
        }
        self.put(head)

    def put(self, data: Mapping[str, Any]) -> None:
        """Print one line."""
        self._out.data(encode(data) + "\n")

    def __call__(self, event: events.Event) -> None:
        """Print an event."""
        self.put(event_data(event, self._mask))

    def pause(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
