"""Which tools a selection means, and what has to come along."""

from __future__ import annotations

import keyword
import random
import re
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import assume, event, given, reject
from hypothesis import strategies as st

from devstream.errors import UsageError
from devstream.graph.dag import Graph
from devstream.model.address import Address
from devstream.model.plan import Action, Outcome
from devstream.model.state import Begin, OpenOperation, RunRecord, State, ToolState
from devstream.model.tool import BARRIER
from devstream.planning.keywords import parse_keywords
from devstream.planning.removal import Removal
from devstream.planning.scope import Scope, entries_meant, scope_of_removal, scope_of_run
from devstream.planning.selection import Candidate, Selectors, excluded, matched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from devstream.model.tool import ToolInstance

    ToolAt = Callable[..., ToolInstance]

# ---- the expression of -k

CALLED = ["helm-installer.argocd", "shop", "blue", "EU-west"]
HOLDS = [
    # expression, whether it holds for what is called as above
    ("argocd", True),
    ("installer.arg", True),
    ("shop", True),
    ("eu", True),
    ("BLUE", True),
    ("red", False),
    ("not red", True),
    ("not not red", False),
    ("blue and red", False),
    ("blue or red", True),
    ("red or shop and blue", True),
    ("red and shop or blue", True),
    ("red and (shop or blue)", False),
    ("not (red or green)", True),
    ("not red and blue", True),
    ("not blue or shop", True),
    ("(((blue)))", True),
    ("(blue)and(shop)", True),
    ("android", False),
    ("notblue", False),
    ("  blue\tand\nshop ", True),
]


@pytest.mark.parametrize(("text", "holds"), HOLDS)
def test_keywords(text: str, *, holds: bool) -> None:
    assert parse_keywords(text).matches(CALLED) is holds


WRONG = [
    # expression, column, a part of the message
    ("", 1, "a word has to stand here"),
    ("   ", 1, "a word has to stand here"),
    ("and web", 1, 'before "and"'),
    ("web and", 8, 'after "and"'),
    ("web or or x", 8, 'before "or"'),
    ("web db", 5, '"and" or "or" has to stand before "db"'),
    ("web (db)", 5, '"and" or "or" has to stand before "("'),
    ("web not db", 5, '"and" or "or" has to stand before "not"'),
    ("not", 4, 'after "not"'),
    ("()", 2, 'before ")"'),
    ("(web", 1, 'no ")" for this "("'),
    ("a and (b or (c)", 7, 'no ")" for this "("'),
    ("web)", 4, 'no "(" for this ")"'),
    ("(a or b", 1, 'no ")" for this "("'),
    ("(a or", 6, 'after "or"'),
]


@pytest.mark.parametrize(("text", "column", "said"), WRONG)
def test_mistakes_in_keywords_point_at_the_column(text: str, column: int, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_keywords(text)
    diagnostic = caught.value.diagnostic
    assert diagnostic.summary.startswith(f"-k, column {column}: ")
    assert said in diagnostic.summary
    shown, _, caret = diagnostic.detail.rpartition("\n")
    assert shown == text
    assert caret == " " * (column - 1) + "^"


def test_a_long_mistake_is_quoted_around_its_place() -> None:
    with pytest.raises(UsageError) as caught:
        parse_keywords("word or " * 1000 + ")" + " or word" * 1000)
    shown, caret = caught.value.diagnostic.detail.split("\n")
    assert len(shown) <= 200
    assert shown[len(caret) - 1] == ")"


@pytest.mark.parametrize(
    "text", ["(" * 50_000 + "a" + ")" * 50_000, "not " * 50_000 + "a", "a and " * 50_000 + "a"]
)
def test_depth_and_length_do_not_matter(text: str) -> None:
    assert parse_keywords(text).matches(["a"])


words = st.text("abcxyz-.", min_size=1, max_size=3).filter(lambda text: not keyword.iskeyword(text))
expressions = st.recursive(
    words,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join)
        | inner.map(lambda text: f"not {text}")
        | inner.map(lambda text: f"({text})")
    ),
    max_leaves=12,
)


@given(expressions, st.lists(st.text("abcxyz-.", max_size=6), min_size=1, max_size=3))
def test_keywords_bind_as_in_python(text: str, called: list[str]) -> None:
    python = re.sub(
        r"[^\s()]+",
        lambda found: (
            found[0] if found[0] in ("and", "or", "not") else str(any(found[0] in name for name in called))
        ),
        text,
    )
    assert parse_keywords(text).matches(called) is eval(python)


@given(st.text("ab() \tandortx", max_size=30))
def test_anything_is_an_expression_or_a_mistake_with_a_column(text: str) -> None:
    try:
        parse_keywords(text).matches(CALLED)
    except UsageError as error:
        summary = error.diagnostic.summary
    else:
        return
    assert re.match(r"-k, column \d+: ", summary)


# ---- what the selectors mean

AMONG = [
    Candidate(Address("noop", "a"), None, ("base",)),
    Candidate(Address("noop", "b.eu"), None, ("web", "blue")),
    Candidate(Address("file", "a"), None, ()),
    Candidate(Address("jenkins", "shop"), "shop", ("web",)),
    Candidate(Address("jenkins", "shop-two"), "shop-two", ()),
]
MEANT = [
    # selectors, the addresses
    ({"target": ("noop.a",)}, "noop.a"),
    ({"target": ("noop.a", "file.a")}, "noop.a file.a"),
    ({"target": ("noop.*",)}, "noop.a noop.b.eu"),
    ({"target": ("*.a",)}, "noop.a file.a"),
    ({"target": ("noop.?",)}, "noop.a"),
    ({"target": ("[fj]*",)}, "file.a jenkins.shop jenkins.shop-two"),
    ({"target": ("*.eu",)}, "noop.b.eu"),
    ({"target": ("app:shop",)}, "jenkins.shop"),
    ({"target": ("app:shop*",)}, "jenkins.shop jenkins.shop-two"),
    ({"target": ("tag:web",)}, "noop.b.eu jenkins.shop"),
    ({"target": ("tag:b*",)}, "noop.a noop.b.eu"),
    ({"tags": ("web",)}, "noop.b.eu jenkins.shop"),
    ({"tags": ("base,blue",)}, "noop.a noop.b.eu"),
    ({"tags": ("base", "blue")}, "noop.a noop.b.eu"),
    ({"keywords": ("a and not noop",)}, "file.a"),
    ({"keywords": ("eu", "file")}, "noop.b.eu file.a"),
    ({"target": ("noop.*",), "tags": ("web",)}, "noop.b.eu"),
    ({"target": ("noop.*",), "tags": ("web",), "keywords": ("blue",)}, "noop.b.eu"),
    ({"last_failed": True}, "file.a jenkins.shop"),
    ({"last_failed": True, "tags": ("web",)}, "jenkins.shop"),
    ({"last_failed": True, "tags": ("base",)}, ""),
    ({"exclude": ("noop.a",)}, "noop.a noop.b.eu file.a jenkins.shop jenkins.shop-two"),
]
FAILED = [Address("file", "a"), Address("jenkins", "shop"), Address("long", "gone")]


@pytest.mark.parametrize(("selectors", "meant"), MEANT)
def test_what_is_meant(selectors: dict[str, Any], meant: str) -> None:
    assert {str(one) for one in matched(Selectors(**selectors), AMONG, FAILED)} == set(meant.split())


NO_MATCH = [
    # selectors, a part of the message, the suggestion
    ({"target": ("noop.c",)}, 'no tool matches "noop.c"', '"noop.a"'),
    ({"target": ("jenkns.shop",)}, '"jenkns.shop"', 'did you mean "jenkins.shop" or "jenkins.shop-two"?'),
    ({"target": ("noop.a", "nothing.*")}, 'no tool matches "nothing.*"', ""),
    ({"target": ("jenkins",)}, '"jenkins"', 'did you mean "jenkins.*"?'),
    ({"target": ("app:shopp",)}, '"app:shopp"', 'did you mean "app:shop"?'),
    ({"target": ("tag:wbe",)}, '"tag:wbe"', 'did you mean "tag:web"?'),
    ({"target": ("",)}, 'no tool matches ""', ""),
    ({"target": ("noop.a\nnoop.b",)}, "no tool matches", "did you mean"),
    ({"tags": ("wbe",)}, '--tags: no tool matches "wbe"', 'did you mean "web"?'),
    ({"tags": ("web,",)}, '--tags: no tool matches ""', ""),
    ({"keywords": ("jenkns.shop",)}, '-k: no tool matches "jenkns.shop"', "did you mean"),
    ({"target": ("noop.a",), "tags": ("web",)}, "all of --target, -k and --tags", "intersect"),
]


@pytest.mark.parametrize(("selectors", "said", "near"), NO_MATCH)
def test_what_matches_nothing(selectors: dict[str, Any], said: str, near: str) -> None:
    with pytest.raises(UsageError) as caught:
        matched(Selectors(**selectors), AMONG, FAILED)
    diagnostic = caught.value.diagnostic
    assert diagnostic.code == "no-match"
    assert said in diagnostic.summary
    assert near in diagnostic.suggestion


def test_an_exclusion_that_matches_nothing_is_a_mistake_too() -> None:
    with pytest.raises(UsageError, match=r"--exclude: no tool matches .noop.c"):
        excluded(Selectors(exclude=("noop.c",)), AMONG)


# ---- what comes along

CONFIG = {
    # `tools:`; mid stands on base, top on mid; the app waits for all of them; solo waits for nothing
    "noop.base": [],
    "noop.mid": ["noop.base"],
    "noop.top": ["noop.mid"],
    "ci.shop": [BARRIER],
    "cd.shop": [BARRIER, "ci.shop"],
    "ci.solo": [],
}
APPS = {"ci.shop": "shop", "cd.shop": "shop", "ci.solo": "solo", "ex.stem": "ex", "ex.leaf": "ex"}


def graph_of(config: Mapping[str, list[str]]) -> Graph[Any]:
    nodes: dict[Any, list[Any]] = {BARRIER: [Address.parse(name) for name in config if name not in APPS]}
    for name, before in config.items():
        nodes[Address.parse(name)] = [one if one == BARRIER else Address.parse(one) for one in before]
    return Graph(nodes)


def tools_of(config: Iterable[str], tool_at: ToolAt) -> list[ToolInstance]:
    return [tool_at(name, app=APPS.get(name)) for name in config]


def state_of(entries: Mapping[str, list[str]], **fields: Any) -> State:
    tools = {
        Address.parse(name): ToolState(Address.parse(name), depends_on=tuple(before), app=APPS.get(name))
        for name, before in entries.items()
    }
    return State("lineage", tools=tools, **fields)


def names(addresses: Iterable[Any]) -> set[str]:
    return {str(address) for address in addresses}


RUNS = [
    # selectors; tools; what is deleted; added upstream; added because it stands on a delete
    ({"target": ("noop.base",)}, "noop.base", "", "", ""),
    ({"target": ("noop.top",)}, "noop.top noop.mid noop.base", "", "noop.mid noop.base", ""),
    (
        {"target": ("ci.shop",)},
        "ci.shop noop.base noop.mid noop.top",
        "",
        "noop.base noop.mid noop.top",
        "",
    ),
    ({"target": ("ci.solo",)}, "ci.solo", "", "", ""),
    ({"exclude": ("noop.top",)}, "noop.base noop.mid ci.solo", "old.one old.two old.base", "", ""),
    ({"exclude": ("app:shop",)}, "noop.base noop.mid noop.top ci.solo", "old.one old.two old.base", "", ""),
    ({"exclude": ("noop.base",)}, "ci.solo", "old.one old.two", "", ""),
    ({"target": ("noop.*",), "exclude": ("noop.mid",)}, "noop.base", "", "", ""),
    ({"target": ("old.two",)}, "", "old.two", "", ""),
    ({"target": ("old.one",)}, "", "old.one old.two", "", "old.two"),
    ({"target": ("old.base",)}, "noop.mid noop.base", "old.base", "noop.base", "noop.mid"),
    ({"target": ("old.*",)}, "noop.mid noop.base", "old.one old.two old.base", "noop.base", "noop.mid"),
    (
        {"target": ("old.*",), "exclude": ("old.one",)},
        "noop.mid noop.base",
        "old.base",
        "noop.base",
        "noop.mid",
    ),
    (
        {"target": ("old.*",), "exclude": ("old.two",)},
        "noop.mid noop.base",
        "old.base",
        "noop.base",
        "noop.mid",
    ),
    ({"target": ("old.*",), "exclude": ("noop.mid",)}, "", "old.one old.two", "", ""),
]
RECORDED = {
    # as configured, but that mid stood on something that has left; two stands on one
    "noop.base": [],
    "noop.mid": ["noop.base", "old.base"],
    "noop.top": ["noop.mid"],
    "ci.shop": [BARRIER],
    "cd.shop": [BARRIER, "ci.shop"],
    "ci.solo": [],
    "old.one": [],
    "old.two": ["old.one"],
    "old.base": [],
}


@pytest.mark.parametrize(("selectors", "tools", "leave", "upstream", "standing"), RUNS)
def test_what_a_run_is_about(  # noqa: PLR0917 - the columns of the table
    selectors: dict[str, Any], tools: str, leave: str, upstream: str, standing: str, tool_at: ToolAt
) -> None:
    scope = run_scope(selectors, tool_at)
    assert names(tool.address for tool in scope.tools) == set(tools.split())
    assert names(scope.leave) == set(leave.split())
    assert names(scope.selection.upstream) == set(upstream.split())
    assert names(scope.selection.standing) == set(standing.split())
    assert names(scope.staying) == {"old.one", "old.two", "old.base"} - set(leave.split())
    assert scope.selection.total == len(RECORDED)
    assert names(scope.graph) - {BARRIER} == set(tools.split())


def run_scope(selectors: Mapping[str, Any], tool_at: ToolAt) -> Scope:
    return scope_of_run(
        Selectors(**selectors),
        tools=tools_of(CONFIG, tool_at),
        graph=graph_of(CONFIG),
        state=state_of(RECORDED),
    )


def test_all_that_is_selected_is_excluded(tool_at: ToolAt) -> None:
    for selectors in (
        {"target": ("noop.top",), "exclude": ("noop.base",)},
        {"target": ("ci.shop",), "exclude": ("noop.top",)},
        {"exclude": ("*",)},
        {"target": ("old.base",), "exclude": ("noop.mid",)},
    ):
        with pytest.raises(UsageError) as caught:
            run_scope(selectors, tool_at)
        assert caught.value.diagnostic.code == "all-excluded"


def test_apps_that_stay_let_removed_tools_go_though_they_had_waited_for_them(tool_at: ToolAt) -> None:
    """Behind the barrier nothing is handed on: an app that is not selected loses nothing with a tool of `tools:`."""
    scope = run_scope({"target": ("old.two",)}, tool_at)
    assert names(scope.leave) == {"old.two"}
    assert not scope.tools


def test_apps_that_leave_go_before_the_tools_they_waited_for(tool_at: ToolAt) -> None:
    config: dict[str, list[str]] = {"noop.base": []}
    recorded = {"noop.base": [], "noop.old": [], "ci.shop": [BARRIER]}
    scope = scope_of_run(
        Selectors(target=("noop.old",)),
        tools=tools_of(config, tool_at),
        graph=graph_of(config),
        state=state_of(recorded),
    )
    assert names(scope.leave) == {"noop.old", "ci.shop"}
    kept = scope_of_run(
        Selectors(exclude=("ci.shop",)),
        tools=tools_of(config, tool_at),
        graph=graph_of(config),
        state=state_of(recorded),
    )
    assert (names(kept.leave), names(kept.staying)) == (set(), {"noop.old", "ci.shop"})


def test_what_was_begun_and_never_ended_counts_as_recorded(tool_at: ToolAt) -> None:
    entry = ToolState(Address("old", "half"), tags=("x",), app="old", depends_on=("old.one",))
    begin = Begin("op", 1, entry.address, Action.CREATE, entry, "run", "host", "boot")
    state = state_of(RECORDED, open_operations={entry.address: OpenOperation(begin)})
    for selectors in (Selectors(target=("old.half",)), Selectors(tags=("x",)), Selectors(last_failed=True)):
        scope = scope_of_run(selectors, tools=tools_of(CONFIG, tool_at), graph=graph_of(CONFIG), state=state)
        assert names(scope.addresses) == {"old.half"}
        destroyed = scope_of_removal(selectors, tools=(), state=state, removal=Removal.EVERYTHING)
        assert names(destroyed.leave) == {"old.half"}
    brought = scope_of_run(
        Selectors(target=("old.one",)), tools=tools_of(CONFIG, tool_at), graph=graph_of(CONFIG), state=state
    )
    assert names(brought.leave) == {"old.one", "old.two", "old.half"}


LISTED = "noop.base noop.mid noop.top ci.shop cd.shop ci.solo"
TO_REMOVE = {
    # as configured, and two of an app that has left the config; leaf stands on stem
    **CONFIG,
    "ex.stem": [],
    "ex.leaf": ["ex.stem"],
}
REMOVALS = [
    # what is to be removed, selectors, what leaves, what of it was added
    (Removal.EVERYTHING, {"target": ("ex.leaf",)}, "ex.leaf", ""),
    (Removal.EVERYTHING, {"target": ("ex.stem",)}, "ex.stem ex.leaf", "ex.leaf"),
    (Removal.EVERYTHING, {"target": ("noop.top",)}, "noop.top ci.shop cd.shop", "ci.shop cd.shop"),
    (Removal.EVERYTHING, {"target": ("app:shop",)}, "ci.shop cd.shop", ""),
    (Removal.EVERYTHING, {"target": ("app:ex", "ci.solo")}, "ex.stem ex.leaf ci.solo", ""),
    (Removal.EVERYTHING, {"exclude": ("ex.leaf",)}, LISTED, ""),
    (Removal.EVERYTHING, {"exclude": ("ex.stem",)}, LISTED, ""),
    (Removal.EVERYTHING, {"exclude": ("ci.shop",)}, "ci.solo ex.stem ex.leaf", ""),
    (Removal.EVERYTHING, {"exclude": ("noop.base",)}, "ci.solo ex.stem ex.leaf", ""),
    (Removal.EVERYTHING, {"target": ("*.shop",), "exclude": ("ex.*",)}, "ci.shop cd.shop", ""),
    (Removal.CONFIGURED, {"target": ("ci.solo",)}, "ci.solo", ""),
    (Removal.CONFIGURED, {"exclude": ("ex.leaf",)}, LISTED, ""),
    (Removal.CONFIGURED, {"target": ("ci.*",)}, "ci.shop ci.solo cd.shop", "cd.shop"),
]


@pytest.mark.parametrize(("removal", "selectors", "leave", "added"), REMOVALS)
def test_what_a_removal_is_about(
    removal: Removal, selectors: dict[str, Any], leave: str, added: str, tool_at: ToolAt
) -> None:
    scope = scope_of_removal(
        Selectors(**selectors),
        tools=tools_of(CONFIG, tool_at),
        state=state_of(TO_REMOVE),
        removal=removal,
    )
    assert names(scope.leave) == set(leave.split())
    assert names(scope.selection.standing) == set(added.split())
    assert not scope.tools


def test_a_removal_of_the_config_does_not_mean_what_it_does_not_list(tool_at: ToolAt) -> None:
    with pytest.raises(UsageError, match=r"no tool matches .old.one"):
        scope_of_removal(
            Selectors(target=("old.one",)),
            tools=tools_of(CONFIG, tool_at),
            state=state_of(RECORDED),
            removal=Removal.CONFIGURED,
        )


def test_nothing_recorded_leaves_nothing_to_select_from() -> None:
    selectors = Selectors(target=("noop.a",), exclude=("noop.b",))
    scope = scope_of_removal(selectors, tools=(), state=State(), removal=Removal.EVERYTHING)
    assert scope.addresses == set()


def test_the_last_failures_are_those_that_are_still_known(tool_at: ToolAt) -> None:
    failures = {
        Address("noop", "mid"): Outcome.FAILED,
        Address("noop", "top"): Outcome.SKIPPED,
        Address("ci", "solo"): Outcome.UNKNOWN,
        Address("long", "gone"): Outcome.FAILED,
    }
    state = state_of(RECORDED, last_run=RunRecord("run", "devstream run", "", "", failures))
    scope = scope_of_run(
        Selectors(last_failed=True), tools=tools_of(CONFIG, tool_at), graph=graph_of(CONFIG), state=state
    )
    assert names(scope.selection.chosen) == {"noop.mid", "noop.top", "ci.solo"}
    assert names(scope.selection.upstream) == {"noop.base"}


def test_entries_alone_bring_nothing() -> None:
    state = state_of(RECORDED)
    assert names(entries_meant(Selectors(target=("noop.top",)), state)) == {"noop.top"}
    assert names(entries_meant(Selectors(target=("noop.*",), exclude=("noop.mid",)), state)) == {"noop.base"}


# ---- laws

ADDRESSES = [Address("noop", name) for name in "abcdefgh"]


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Graph[Any], list[Address], State]:
    """Draw a config over some addresses and a record over some, which may contradict itself."""
    configured = draw(st.lists(st.sampled_from(ADDRESSES), unique=True))
    apps = draw(st.integers(0, len(configured)))
    before = {
        address: draw(st.lists(st.sampled_from(configured[:at]), max_size=2)) if at else []
        for at, address in enumerate(configured)
    }
    nodes: dict[Any, list[Any]] = {BARRIER: configured[: len(configured) - apps], **before}
    for address in configured[len(configured) - apps :]:
        nodes[address] = [*before[address], BARRIER]
    recorded = draw(st.lists(st.sampled_from(ADDRESSES), unique=True))
    anything = st.lists(st.sampled_from([*map(str, ADDRESSES), BARRIER, "un.heard"]), unique=True, max_size=3)
    entries = {
        address: ToolState(
            address, depends_on=tuple(draw(anything)), app=draw(st.sampled_from([None, None, "shop"]))
        )
        for address in recorded
    }
    return Graph(nodes), configured, State("lineage", tools=entries)


@st.composite
def selections(draw: st.DrawFn, known: Iterable[Address]) -> Selectors:
    some = st.lists(st.sampled_from(sorted(map(str, known))), unique=True, max_size=3).map(tuple)
    return Selectors(target=draw(some), exclude=draw(some))


def attempt(make: Callable[[], Scope]) -> Scope:
    """Make a scope, but for examples in which everything is excluded."""
    try:
        return make()
    except UsageError as error:
        event(error.diagnostic.code)
        reject()


def direct(state: State, address: Address) -> set[Address]:
    """Give what an entry is recorded as standing on directly, but for the barrier and for itself."""
    return {other for other in state.tools if str(other) in state.tools[address].depends_on} - {address}


@given(world=worlds(), data=st.data())
def test_a_run_is_closed_and_takes_nobody_the_ground(
    world: tuple[Graph[Any], list[Address], State], data: st.DataObject, tool_at: ToolAt
) -> None:
    graph, configured, state = world
    known = {*configured, *state.tools}
    assume(known)
    selectors = data.draw(selections(known))
    tools = [tool_at(str(address)) for address in configured]
    scope = attempt(lambda: scope_of_run(selectors, tools=tools, graph=graph, state=state))
    about, planned = scope.addresses, {tool.address for tool in scope.tools}
    for address in planned:
        assert graph.dependencies(address) == scope.graph.dependencies(address)
        assert set(graph.ancestors([address])) - {BARRIER} <= planned
    for address in set(state.tools) - about:  # whoever is not touched keeps what it stands on
        assert not direct(state, address) & set(scope.leave)
    out = {Address.parse(name) for name in selectors.exclude}
    assert about.isdisjoint({*out, *graph.descendants(address for address in out if address in graph)})
    assert about == {*scope.selection.chosen, *scope.selection.upstream, *scope.selection.standing}
    assert set(scope.staying) | set(scope.leave) == set(state.tools) - set(configured)
    if not selectors.exclude:
        assert about >= {Address.parse(name) for name in selectors.target}


@given(world=worlds(), data=st.data())
def test_a_removal_takes_nobody_the_ground(
    world: tuple[Graph[Any], list[Address], State], data: st.DataObject
) -> None:
    _, _, state = world
    assume(state.tools)
    selectors = data.draw(selections(state.tools))
    scope = attempt(lambda: scope_of_removal(selectors, tools=(), state=state, removal=Removal.EVERYTHING))
    assert {Address.parse(name) for name in selectors.exclude}.isdisjoint(scope.leave)
    for address in set(state.tools) - set(scope.leave):
        assert not direct(state, address) & set(scope.leave)
    if not selectors.exclude:
        assert set(scope.leave) >= {Address.parse(name) for name in selectors.target}


def test_many_tools_are_selected_quickly(tool_at: ToolAt) -> None:
    chosen = random.Random(1).sample(range(5_000), 200)
    config = {f"noop.n{number}": [f"noop.n{number // 2}"] if number else [] for number in range(5_000)}
    tools, graph = [tool_at(name) for name in config], graph_of(config)
    began = time.process_time()
    scope_of_run(
        Selectors(target=tuple(f"noop.n{number}" for number in chosen), keywords=("noop and not x",)),
        tools=tools,
        graph=graph,
        state=state_of(config),
    )
    assert time.process_time() - began < 1.5
