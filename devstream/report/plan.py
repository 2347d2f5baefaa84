"""The plan as people read it: a tree by app, the fields that differ with their cause, deletes last."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from devstream.model.plan import Action, ReasonCode
from devstream.model.state import PutReason
from devstream.record import Immutable, replace
from devstream.report.fields import FieldView, field_lines
from devstream.report.terminal import Look, clean, display_width, fit, one_line, wrap
from devstream.report.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from devstream.model.address import Address
    from devstream.model.plan import Change, FieldChange, Plan, Selection

__all__ = [
    "Depth",
    "PlanView",
    "plan_lines",
    "count_line",
    "plan_counts",
    "is_bookkeeping",
    "delete_lines",
    "selection_line",
]


class Depth(StrEnum):
    """How much of a plan is shown."""

    SUMMARY = "summary"
    CHANGES = "changes"
    DIFF = "diff"
    """As CHANGES, and nothing is cut."""
    FULL = "full"
    """As DIFF, and what does not change, too."""

    @property
    def is_uncut(self) -> bool:
        """True where texts are shown to their end."""
        return self in (Depth.DIFF, Depth.FULL)


class PlanView(Immutable, frozen=True):
    """How a plan is shown.

    Attributes:
        next_command: what to type to carry it out; empty: not said.
        state: where the state is, for the last lines; empty: not said.
        new_options: options of new tools are shown, too.
    """

    look: Look
    depth: Depth = Depth.CHANGES
    next_command: str = ""
    state: str = ""
    new_options: bool = True


_Section = tuple[str, list["Change"]]
"""A title and the changes below it."""


NEW_FIELDS = 6
"""So many options of a new tool are shown, unless everything is asked for."""

MANY_NEW = 100
"""Of more new tools than this no options are shown, unless everything is asked for: they are in the config."""

NAMED = 3
"""So many of the tools that were added to a selection are named."""

MANY_DOOMED = 20
"""So many of the things that are to be destroyed are named at the prompt."""

REASON_WIDTH = 60

_MARKS = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "adopt": ("~", "cyan"),
    "replace": ("-/+", "red"),
    "delete": ("-", "red"),
    "forget": ("-", "yellow"),
    "integrate": ("~", "yellow"),
    "conditional": ("?", "cyan"),
    "error": ("!", "red"),
    "keep": ("!", "yellow"),
    "noop": ("=", "dim"),
}
_WORDS = {"noop": "unchanged"}
_COUNTED = (
    ("create", "to create"),
    ("adopt", "to adopt"),
    ("update", "to update"),
    ("replace", "to replace"),
    ("integrate", "to integrate"),
    ("delete", "to delete"),
    ("forget", "to forget"),
)


def plan_lines(plan: Plan, view: PlanView) -> list[str]:
    """Give the plan as lines: sections of changes, then counts, then what to type next."""
    wanted = Wanted(plan)
    new = sum(change.action is Action.CREATE for change in plan.changes)
    if new > MANY_NEW and view.depth is Depth.CHANGES:
        view = replace(view, new_options=False)
    lines: list[str] = []
    for title, changes in _sections(plan, view.depth):
        lines.append(view.look.paint("bold", title))
        columns = _columns(changes, view.look)
        for change in changes:
            lines += _heading(change, columns, view) + _detail(change, wanted, view)
        lines.append("")
    if not view.new_options:
        text = (
            f"The options of new tools are left out, as there are {new:,} of them: `plan --full` shows them."
        )
        lines += [*(view.look.paint("dim", line) for line in wrap(text, view.look.width)), ""]
    return lines + _closing(plan, view)


def kind_of(change: Change) -> str:
    """Name what is shown for a change: its action, or "adopt" or "keep" where that says more."""
    if change.protected:
        return "keep"
    if change.put is PutReason.ADOPTED and change.action is Action.NOOP:
        return "adopt"
    return change.action.value


def is_bookkeeping(change: Change) -> bool:
    """Tell whether a change is only written down: nothing is called and nobody needs to be asked."""
    return change.action is Action.NOOP and change.put is not None and change.put is not PutReason.ADOPTED


def plan_counts(plan: Plan) -> dict[str, int]:
    """Count the changes by what is shown for them, and the bookkeeping; kinds that do not occur are 0."""
    counts = dict.fromkeys((*_MARKS, "bookkeeping"), 0)
    for change in plan.changes:
        counts[kind_of(change)] += 1
        counts["bookkeeping"] += is_bookkeeping(change)
    return counts


def count_line(plan: Plan) -> str:
    """Give the one line that says how much is to be done."""
    counts = plan_counts(plan)
    sure = [f"{counts[kind]} {words}" for kind, words in _COUNTED if counts[kind]]
    apart = [
        f"{counts[kind]} {words}"
        for kind, words in (
            ("conditional", "conditional (decided at its turn)"),
            ("error", "cannot be planned"),
            ("keep", "protected"),
            ("noop", "unchanged"),
        )
        if counts[kind]
    ]
    if not sure and not counts["conditional"] and not counts["error"]:
        kept = f", {counts['keep']} protected and left in place" if counts["keep"] else ""
        if kept and not counts["noop"]:
            return f"No changes{kept}."
        return f"No changes: {_tools(counts['noop'])} as the configuration says{kept}."
    return f"Plan: {', '.join(sure) or 'nothing for sure'}{'; ' if apart else ''}{', '.join(apart)}."


def _tools(count: int) -> str:
    return "1 tool is" if count == 1 else f"{count} tools are"


def delete_lines(plan: Plan, look: Look) -> list[str]:
    """List what a run of the plan would destroy, for the prompt; of very many the first ones and their number."""
    doomed = [change for change in plan.changes if kind_of(change) in ("delete", "replace")]
    lines = [
        f"  {look.paint('red', _MARKS[change.action.value][0].rjust(3))} {change.action.value} {change.address}"
        for change in doomed[:MANY_DOOMED]
    ]
    left = len(doomed) - len(lines)
    return (
        [*lines, f"  {look.ellipsis} and {left:,} more, listed above: {len(doomed):,} in all"]
        if left
        else lines
    )


def _sections(plan: Plan, depth: Depth) -> Iterator[_Section]:
    """Yield the sections in the order they are read: by app, changed outside, what cannot be, deletes."""
    groups: dict[str, list[Change]] = {}
    outside: list[Change] = []
    errors: list[Change] = []
    removals: list[Change] = []
    asked: list[Change] = []
    for change in plan.changes:
        kind = kind_of(change)
        if kind == "noop" and depth is not Depth.FULL:
            continue
        if kind in ("delete", "forget", "keep"):
            (asked if _is_asked_for(change) else removals).append(change)
        elif kind == "error":
            errors.append(change)
        elif _is_outside(change):
            outside.append(change)
        else:
            groups.setdefault(clean(change.app or ""), []).append(change)
    for app in sorted(groups, key=bool):
        yield f"app {app}" if app else "tools", groups[app]
    for title, changes in (
        ("changed outside of devstream", outside),
        ("cannot be planned", errors),
        ("no longer in the config", removals),
        ("to be removed", asked),
    ):
        if changes:
            yield title, changes


def _is_asked_for(change: Change) -> bool:
    return any(reason.code is ReasonCode.REQUESTED for reason in change.reasons)


def _is_outside(change: Change) -> bool:
    """Tell whether the world is the only reason, not the config."""
    codes = {reason.code for reason in change.reasons}
    return bool(codes) and codes <= {ReasonCode.DRIFT, ReasonCode.GONE}


def _columns(changes: list[Change], look: Look) -> tuple[int, int]:
    """Give the widths of words and addresses, but for the few addresses that would leave no room for reasons."""
    limit = look.width // 2
    words = max(len(_word(change)) for change in changes)
    sizes = [size for change in changes if (size := len(str(change.address))) <= limit]
    return words, max(sizes, default=0)


def _word(change: Change) -> str:
    kind = kind_of(change)
    return _WORDS.get(kind, kind)


def _heading(change: Change, columns: tuple[int, int], view: PlanView) -> list[str]:
    """Give the line with symbol, word, address and reason; the reason goes below where it has no room."""
    symbol, style = _MARKS[kind_of(change)]
    look = view.look
    start = f"{symbol:<3} {_word(change):<{columns[0]}}"
    address = str(change.address)
    line = f"  {look.paint(style, start)} {look.paint('bold', address)}"
    reason, place = _reason(change, view), _block_place(change, view)
    text = f"{reason}  {place}" if reason and place else reason or place
    used = 2 + len(start) + 1 + max(columns[1], len(address)) + 2
    if used + display_width(text) <= look.width:
        return [f"{line}{' ' * (columns[1] - len(address) + 2)}{look.paint('dim', text)}" if text else line]
    below = wrap(reason, look.width, " " * 6)
    if below and place and display_width(below[-1]) + len(place) + 2 <= look.width:
        below[-1] += f"  {place}"
    elif place:
        below.append(" " * 6 + place)
    return [line, *(look.paint("dim", text) for text in below)]


def _reason(change: Change, view: PlanView) -> str:
    texts = [one_line(reason.text or reason.code.value) for reason in change.reasons]
    text = "; ".join(texts)
    is_needed = (
        change.error is not None and view.depth is not Depth.SUMMARY
    )  # it is all that is said about it
    return text if is_needed or view.depth.is_uncut else fit(text, REASON_WIDTH, view.look.ellipsis)


def _block_place(change: Change, view: PlanView) -> str:
    """Say where a tool is written, where its fields do not."""
    shows = change.action in (Action.CREATE, Action.ERROR, Action.CONDITIONAL) or view.depth is Depth.FULL
    origin = change.tool.origin if change.tool else None
    if not shows or view.depth is Depth.SUMMARY or origin is None or origin.mark is None:
        return ""
    return f"# {view.look.place(origin.mark)}"


def _detail(change: Change, wanted: Wanted, view: PlanView) -> list[str]:
    """Give the lines below a heading."""
    if view.depth is Depth.SUMMARY:
        return []
    if change.error is not None:
        return _error_lines(change, view)
    fields = _fields(change, wanted, view)
    shown = fields if view.depth.is_uncut or change.fields else fields[:NEW_FIELDS]
    style = FieldView(
        view.look,
        full=view.depth.is_uncut,
        whole=view.depth is Depth.FULL,
        replacing=change.action is Action.REPLACE,
    )
    lines = field_lines(shown, style)
    if len(shown) < len(fields):
        left = len(fields) - len(shown)
        more = f"{view.look.ellipsis} {left} more option{'s' * (left > 1)} (--diff)"
        lines.append(view.look.paint("dim", f"      {more}"))
    return lines


def _fields(change: Change, wanted: Wanted, view: PlanView) -> tuple[FieldChange, ...]:
    if change.action is Action.CREATE and not change.fields:
        return wanted.new_fields(change) if view.new_options else ()
    fields = change.fields
    if fields:
        from devstream.report.keyed import by_key

        fields = by_key(change, wanted)
    if view.depth is not Depth.FULL:
        return fields
    if change.tool is None:
        return wanted.old_fields(change)
    return fields + wanted.same_fields(change)


def _error_lines(change: Change, view: PlanView) -> list[str]:
    assert change.error is not None
    text = [change.error.detail, change.error.suggestion]
    lines = [line for part in text if part for line in wrap(clean(part), view.look.width, " " * 6)]
    told = change.error.summary in "".join(reason.text for reason in change.reasons)
    summary = [] if told else wrap(clean(change.error.summary), view.look.width, " " * 6)
    return summary + lines


def selection_line(selection: Selection) -> str:
    """Say how many tools a plan is about, and which were added and why."""
    tools = "1 tool" if selection.total == 1 else f"{selection.total} tools"
    parts = [f"{len(selection.chosen)} of {tools} selected"]
    if selection.upstream:
        parts.append(f"added, because others depend on it: {_named(selection.upstream)}")
    if selection.standing:
        parts.append(f"added, because it stands on what is deleted: {_named(selection.standing)}")
    return f"{'; '.join(parts)}."


def _named(addresses: Sequence[Address]) -> str:
    names = ", ".join(str(address) for address in addresses[:NAMED])
    more = len(addresses) - NAMED
    return f"{names} and {more} more" if more > 0 else names


def _closing(plan: Plan, view: PlanView) -> list[str]:
    look = view.look
    lines = wrap(count_line(plan), look.width)
    if plan.selection is not None:
        lines += wrap(selection_line(plan.selection), look.width)
    booked = plan_counts(plan)["bookkeeping"]
    if booked:
        entries = "1 entry" if booked == 1 else f"{booked} entries"
        text = f"{entries} of the state will be brought up to date; nothing is called."
        lines += [look.paint("dim", line) for line in wrap(text, look.width)]
    if view.state:
        lines.append(look.paint("dim", f"State: {clean(view.state)}"))
    if view.next_command and plan.writes:
        lines += ["", f"To carry it out:  {look.paint('bold', clean(view.next_command))}"]
    return lines
