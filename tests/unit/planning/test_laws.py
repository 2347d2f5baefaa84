"""What holds for every config, every state and everything that `read` may say."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from devstream.errors import Diagnostic
from devstream.graph.dag import CycleError, Graph
from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.plan import Action, FieldChange, FieldSource, Plan
from devstream.model.schema import Traits
from devstream.model.state import ToolState
from devstream.model.status import ResourceStatus
from devstream.model.tool import BARRIER, ToolInstance
from devstream.model.values import Reference
from devstream.planning.decide import Facts, Read, decide, decide_removed
from devstream.planning.planner import Unfinished, Wishes
from devstream.planning.provider import ReadAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.planning.conftest import FakePlugin, World

T = TypeVar("T")
KINDS = ("alpha", "beta", "gamma")
ADDRESSES = [Address(*pair) for pair in product(KINDS, ("a", "b", "c"))]
NAMES = [*(str(address) for address in ADDRESSES), BARRIER, "unheard.of"]


def made(
    kind: Callable[..., T], *positional: st.SearchStrategy[Any], **named: st.SearchStrategy[Any]
) -> st.SearchStrategy[T]:
    """Draw values of a class, with nothing guessed from its annotations: they name what only type checkers import."""

    def build(*args: Any, **fields: Any) -> T:
        return kind(*args, **fields)

    return st.builds(build, *positional, **named)


traits = made(Traits, *[st.booleans()] * 5)
statuses = made(
    ResourceStatus,
    st.fixed_dictionaries({}, optional={"size": st.integers(1, 2)}),
    st.none() | st.fixed_dictionaries({}, optional={"out": st.sampled_from(["x", "y"])}),
)
answers = made(ReadAnswer, st.none() | statuses) | made(
    ReadAnswer, st.none(), st.just(Diagnostic("away", "read"))
)


@st.composite
def configs(draw: st.DrawFn) -> list[ToolInstance]:
    """Draw tools, those of `tools:` first; each depends on some before it, as the barrier allows."""
    chosen = draw(st.lists(st.sampled_from(ADDRESSES), unique=True))
    of_tools = draw(st.integers(0, len(chosen)))
    tools: list[ToolInstance] = []
    for index, address in enumerate(chosen):
        upstream = (
            st.lists(st.sampled_from(chosen[:index]), unique=True, max_size=3) if index else st.just([])
        )
        references = {f"r{at}": Reference(to, ("out",)) for at, to in enumerate(draw(upstream))}
        in_app = index >= of_tools
        tools.append(
            ToolInstance(
                address,
                {"x": draw(st.integers(1, 2)), **references},
                Origin(None),
                depends_on=tuple(draw(upstream)),
                after_tools=in_app and draw(st.booleans()),
                app="shop" if in_app else None,
                adopt=draw(st.sampled_from([None, True, False])),
                protect=draw(st.sampled_from([None, None, True, False])),
            )
        )
    return tools


def entries(address: Address) -> st.SearchStrategy[ToolState]:
    return made(
        ToolState,
        st.just(address),
        options=st.fixed_dictionaries({"x": st.integers(1, 2)}),
        depends_on=st.lists(st.sampled_from(NAMES), unique=True, max_size=3).map(tuple),
        app=st.sampled_from([None, "shop"]),
        outputs=st.fixed_dictionaries({}, optional={"out": st.sampled_from(["x", "y"])}),
        properties=st.fixed_dictionaries({}, optional={"size": st.integers(1, 2)}),
        tainted=st.booleans(),
        failed_action=st.sampled_from([None, Action.CREATE, Action.UPDATE]),
        integrated=st.booleans(),
        adopted=st.booleans(),
        protect=st.sampled_from([False, False, True]),
    )


@st.composite
def worlds(draw: st.DrawFn, world_of: type[World], plugin_of: type[FakePlugin]) -> World:
    tools = draw(configs())
    recorded = draw(st.lists(st.sampled_from(ADDRESSES), unique=True))
    used = {tool.address.name for tool in tools}
    subset = st.lists(st.sampled_from(ADDRESSES), unique=True, max_size=2)
    trouble = {address: Diagnostic("interrupted", "undecidable") for address in draw(subset)}
    return world_of(
        tools=tools,
        entries={address: draw(entries(address)) for address in recorded},
        answers=draw(st.dictionaries(st.sampled_from(ADDRESSES), answers)),
        plugins={name: plugin_of(draw(traits), draw(st.booleans()), {"immutable": ("x",)}) for name in KINDS},
        missing=frozenset(
            name for name in draw(st.sets(st.sampled_from(KINDS), max_size=1)) if name not in used
        ),
        wishes=Wishes(draw(st.booleans()), frozenset(draw(subset))),
        unfinished=Unfinished(
            trouble, {address: ("op", 2) for address in draw(subset) if address not in recorded}
        ),
    )


@pytest.fixture(scope="module")
def drawn(world_of: type[World], plugin_of: type[FakePlugin]) -> st.SearchStrategy[World]:
    return worlds(world_of, plugin_of)


@given(data=st.data())
def test_everything_is_decided_once_and_for_a_reason(
    data: st.DataObject, drawn: st.SearchStrategy[World]
) -> None:
    world = data.draw(drawn)
    plan = world.plan()
    expected = {tool.address for tool in world.tools} | set(world.entries) | set(world.unfinished.undecidable)
    assert Counter(change.address for change in plan.changes) == Counter(expected)
    for change in plan.changes:
        assert change.reasons or change.action is Action.NOOP
        assert (change.error is not None) == (change.action is Action.ERROR)
        assert bool(change.conditional_on) == (change.action is Action.CONDITIONAL)
        assert (change.tool is None) == (change.address not in {tool.address for tool in world.tools})


@given(data=st.data(), seed=st.integers(1, 99))
def test_the_plan_depends_on_nothing_but_its_facts(
    data: st.DataObject, seed: int, drawn: st.SearchStrategy[World]
) -> None:
    world = data.draw(drawn)
    first, again, shuffled = world.plan(), world.plan(), world.plan(seed)
    assert first == again == shuffled
    assert list(first.after.items()) == list(shuffled.after.items())


@given(data=st.data())
def test_every_change_comes_after_all_it_has_to_wait_for(
    data: st.DataObject, drawn: st.SearchStrategy[World]
) -> None:
    world = data.draw(drawn)
    plan = world.plan()
    after: Graph[Any] = Graph(plan.after)
    position = {change.address: index for index, change in enumerate(plan.changes)}
    assert all(
        position[other] < position[change.address]
        for change in plan.changes
        for other in after.ancestors([change.address])
        if other in position
    )
    config = world.graph()
    for node in config:
        assert after.ancestors([node]) >= config.ancestors([node])


@given(data=st.data())
def test_deletes_go_in_reverse_and_after_those_who_let_go(
    data: st.DataObject, drawn: st.SearchStrategy[World]
) -> None:
    world = data.draw(drawn)
    assume(_no_circles_in_the_record(world))
    plan = world.plan()
    after: Graph[Any] = Graph(plan.after)
    changes = {change.address: change for change in plan.changes}
    for address, upstream in _recorded_edges(world):
        above, below = changes[address], changes[upstream]
        if above.tool is None and (below.tool is None or below.action is Action.REPLACE):
            assert address in after.ancestors([upstream])
        elif above.tool is not None and below.tool is None and address not in after.ancestors([upstream]):
            # the other way round only where something is replaced that stood under the delete
            assert upstream in after.ancestors([address])
            between = after.ancestors([address]) & after.descendants([upstream])
            assert any(
                changes[node].action is Action.REPLACE for node in {*between, address} if node in changes
            )


@given(data=st.data())
def test_what_is_protected_is_never_taken_away(data: st.DataObject, drawn: st.SearchStrategy[World]) -> None:
    world = data.draw(drawn)
    plan = world.plan()
    changes = {change.address: change for change in plan.changes}
    written = {tool.address: tool.protect for tool in world.tools}
    for address, entry in world.entries.items():
        wanted = written.get(address)
        protected = entry.protect if wanted is None else wanted
        if protected and address not in world.wishes.unprotect:
            assert changes[address].action not in (Action.DELETE, Action.REPLACE, Action.FORGET)
    for address, upstream in _recorded_edges(world):
        if changes[address].protected:
            assert changes[upstream].action not in (Action.DELETE, Action.REPLACE)


@given(data=st.data())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    data: st.DataObject, drawn: st.SearchStrategy[World]
) -> None:
    done = data.draw(drawn).carried_out()
    plan = done.plan()
    assert {change.action for change in plan.changes} <= {Action.NOOP}
    assert not plan.writes
    assert not plan.warnings


@given(data=st.data())
def test_records_that_contradict_each_other_still_have_an_order(
    data: st.DataObject, drawn: st.SearchStrategy[World]
) -> None:
    world = data.draw(drawn)
    circle = [str(address) for address in world.entries]
    world.entries = {
        address: _with(entry, depends_on=(*entry.depends_on, circle[index - 1]))
        for index, (address, entry) in enumerate(world.entries.items())
    }
    plan = world.plan()
    assert len(plan.changes) == len({change.address for change in plan.changes})


facts = made(
    Facts,
    tool=made(
        ToolInstance,
        st.just(ADDRESSES[0]),
        st.just({}),
        st.just(Origin(None)),
        adopt=st.sampled_from([None, True, False]),
    ),
    traits=traits,
    adopts=st.booleans(),
    recorded=st.none() | entries(ADDRESSES[0]),
    read=st.sampled_from(Read),
    error=st.just(Diagnostic("away", "read")),
    fields=st.lists(
        made(
            FieldChange,
            st.just(("x",)),
            st.just(1),
            st.just(2),
            st.sampled_from(FieldSource),
            immutable=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
    bookkeeping=st.booleans(),
    refreshed=st.booleans(),
    integrate_due=st.booleans(),
    unknown_after=st.just((ADDRESSES[1],)),
    changing=st.sampled_from([(), (ADDRESSES[1],)]),
    renamed_from=st.sampled_from([None, ADDRESSES[2]]),
    undecidable=st.sampled_from([None, None, Diagnostic("interrupted", "undecidable")]),
    retry_op=st.sampled_from([None, ("op", 2)]),
)


@given(facts)
def test_no_decision_is_silent_or_beyond_what_the_tool_can(known: Facts) -> None:
    change = decide(known)
    assert change.reasons or change.action is Action.NOOP
    assert change.action not in (Action.DELETE, Action.FORGET)
    assert (change.error is not None) == (change.action is Action.ERROR)
    if change.action is Action.REPLACE:
        assert known.traits.can_delete
        assert known.recorded is not None
    if change.action is Action.INTEGRATE:
        assert known.traits.can_integrate
    if change.action is Action.CREATE:
        # nothing that is known to be there is created again, but where that is harmless
        assert known.read is not Read.PRESENT or known.traits.repeatable
    if change.put is not None:
        assert change.action is Action.NOOP or change.recorded is None


@given(entry=entries(ADDRESSES[0]), can_delete=st.booleans())
def test_a_removal_deletes_only_what_is_ours_and_can_be_deleted(
    entry: ToolState, *, can_delete: bool
) -> None:
    change = decide_removed(entry, can_delete=can_delete)
    assert change.action is (Action.DELETE if can_delete and not entry.adopted else Action.FORGET)
    assert change.reasons


def _with(entry: ToolState, **fields: Any) -> ToolState:
    from devstream.record import replace

    return replace(entry, **fields)


def _recorded_edges(world: World) -> list[tuple[Address, Address]]:
    """Give who stands on whom by the record, as far as both are in the plan."""
    planned = {tool.address for tool in world.tools} | set(world.entries) | set(world.unfinished.undecidable)
    by_name = {str(address): address for address in planned}
    return [
        (address, by_name[name])
        for address, entry in world.entries.items()
        for name in entry.depends_on
        if name in by_name and by_name[name] != address
    ]


def _no_circles_in_the_record(world: World) -> bool:
    """Tell whether the record could have come about: the deletes, and the barrier among them, go one way."""
    edges: dict[Any, list[Any]] = {BARRIER: []}
    for address in {*ADDRESSES}:
        edges[address] = []
    for address, upstream in _recorded_edges(world):
        edges[address].append(upstream)
    for address, entry in world.entries.items():
        if BARRIER in entry.depends_on:
            edges[address].append(BARRIER)
        elif entry.app is None:
            edges[BARRIER].append(address)
    try:
        Graph(edges)
    except CycleError:
        return False
    return True


def test_plan_is_a_value(world_of: type[World]) -> None:
    import pickle

    plan: Plan = world_of(tools=[ToolInstance(ADDRESSES[0], {"x": 1}, Origin(None))]).plan()
    assert pickle.loads(pickle.dumps(plan)).changes == plan.changes
