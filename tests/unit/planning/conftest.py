"""A config, a state and a reality that are small enough for a test, and the planner over them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pytest

from devstream.errors import CredentialsError, Diagnostic, Mark, PluginError
from devstream.graph.dag import Graph
from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.plan import Action
from devstream.model.recorded import encode
from devstream.model.schema import Traits
from devstream.model.state import Begin, OpenOperation, State, ToolState
from devstream.model.status import ResourceStatus
from devstream.model.tool import BARRIER, ToolInstance
from devstream.model.values import Interpolation, Reference, SecretRef, iter_leaves
from devstream.planning.outputs import Known, OutputBook
from devstream.planning.planner import Planner, Unfinished, Wishes
from devstream.planning.provider import ReadAnswer, ReadRequest
from devstream.planning.upstream import digest, upstream_outputs

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Mapping

    from devstream.model.plan import Plan
    from devstream.model.values import Path

KEY = b"k" * 32


@dataclass(frozen=True)
class FakePlugin:
    """What the planner asks of a plugin. ``flagged`` lists the top-level options of each flag."""

    made: Traits = field(default_factory=Traits)
    adopts: bool = False
    flagged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    asked: list[object] = field(default_factory=list)

    def traits(self, options: Mapping[str, Any]) -> Traits:
        self.asked.append(options)
        return self.made

    def flags(self, path: Path) -> frozenset[str]:
        return frozenset(flag for flag, names in self.flagged.items() if path[0] in names)

    def check(self, instance: ToolInstance) -> list[Diagnostic]:
        return []


@dataclass
class ShuffledReads:
    """Answers in an order of its own: what is read must not depend on who answers first."""

    answer: Callable[[ReadRequest], ReadAnswer]
    order: random.Random
    open: list[ReadRequest] = field(default_factory=list)
    asked: list[ReadRequest] = field(default_factory=list)

    def start(self, request: ReadRequest) -> None:
        self.open.append(request)
        self.asked.append(request)

    def wait(self) -> tuple[Address, ReadAnswer]:
        request = self.open.pop(self.order.randrange(len(self.open)))
        return request.address, self.answer(request)


@dataclass
class World:
    """Everything a plan is made from.

    Attributes:
        answers: what `read` says. Of addresses that are not in here, a recorded one is as it was recorded
            and any other is gone.
        missing: tool names whose plugin is not there.
        begun: what creates that were interrupted had begun to make.
    """

    tools: list[ToolInstance] = field(default_factory=list)
    entries: dict[Address, ToolState] = field(default_factory=dict)
    answers: dict[Address, ReadAnswer] = field(default_factory=dict)
    plugins: dict[str, FakePlugin] = field(default_factory=dict)
    missing: frozenset[str] = frozenset()
    secrets: dict[str, str] = field(default_factory=dict)
    wishes: Wishes = field(default_factory=Wishes)
    unfinished: Unfinished = field(default_factory=Unfinished)
    begun: dict[Address, ToolState] = field(default_factory=dict)
    asked: list[ReadRequest] = field(default_factory=list)

    @property
    def state(self) -> State:
        unfinished = {
            address: OpenOperation(Begin("op", 1, address, Action.CREATE, entry, "run", "host", "boot"))
            for address, entry in self.begun.items()
        }
        return State("lineage", 7, KEY, self.entries, unfinished)

    def graph(self) -> Graph[Any]:
        """Dependencies as written, by reference and through the barrier, as the session makes them."""
        nodes: dict[Any, list[Any]] = {BARRIER: [t.address for t in self.tools if t.app is None]}
        for tool in self.tools:
            nodes[tool.address] = [*depends_on(tool), *([BARRIER] if tool.after_tools else [])]
        return Graph(nodes)

    def plan(self, seed: int = 0) -> Plan:
        """Plan, with reads that answer in an order that depends on ``seed``."""
        from random import Random

        reads = ShuffledReads(self._answer, Random(seed))
        planner = Planner(
            tools=self.tools,
            graph=self.graph(),
            state=self.state,
            provider=self.provider,
            reads=reads,
            secrets=self.secret,
            wishes=self.wishes,
            unfinished=self.unfinished,
        )
        plan = planner.plan()
        self.asked = reads.asked
        assert not reads.open, "every read that was started is waited for"
        return plan

    def provider(self, name: str) -> FakePlugin:
        if name in self.missing:
            raise PluginError(
                f'no plugin provides "{name}"', suggestion=f"pip install devstream-plugin-{name}"
            )
        return self.plugins.setdefault(name, FakePlugin())

    def secret(self, ref: SecretRef) -> str:
        if str(ref) not in self.secrets:
            raise CredentialsError(f"the environment variable {ref.key} is not set")
        return self.secrets[str(ref)]

    def _answer(self, request: ReadRequest) -> ReadAnswer:
        if request.address in self.answers:
            return self.answers[request.address]
        if request.recorded is None:
            return ReadAnswer(None)
        return ReadAnswer(ResourceStatus(request.recorded.properties))

    def carried_out(self) -> World:
        """Give the same config over the state it would have once every tool was made and connected."""
        outputs = {tool.address: {"out": str(tool.address)} for tool in self.tools}
        book = OutputBook(self.secret, {address: Known(said) for address, said in outputs.items()})
        graph = self.graph()
        entries = {}
        for tool in self.tools:
            nodes = graph.dependencies(tool.address)
            entries[tool.address] = ToolState(
                tool.address,
                options=encode(dict(tool.options), book, KEY),  # type: ignore[arg-type]  # a mapping stays one
                depends_on=tuple(str(node) for node in nodes),
                app=tool.app,
                tags=tool.tags,
                protect=bool(tool.protect),
                allow_delete=tool.allow_delete,
                properties={"size": 1},
                outputs=outputs[tool.address],
                integrated_with=digest(upstream_outputs(nodes, book.known), KEY),
            )
        return replace(self, entries=entries, answers={}, unfinished=Unfinished())


def depends_on(tool: ToolInstance) -> tuple[Address, ...]:
    """Give what a tool depends on, written or by reference."""
    found = dict.fromkeys(tool.depends_on)
    for _, leaf in iter_leaves(dict(tool.options)):
        parts: Iterable[object] = leaf.parts if isinstance(leaf, Interpolation) else (leaf,)
        found.update((part.address, None) for part in parts if isinstance(part, Reference))
    return tuple(found)


def tool(text: str, *, line: int = 1, **fields: Any) -> ToolInstance:
    """Make a tool at an address."""
    fields.setdefault("options", {})
    return ToolInstance(Address.parse(text), origin=Origin(Mark("config.yaml", line, 1)), **fields)


@pytest.fixture(scope="session")
def world_of() -> type[World]:
    return World


@pytest.fixture(scope="session")
def plugin_of() -> type[FakePlugin]:
    return FakePlugin


@pytest.fixture(scope="session")
def tool_at() -> Callable[..., ToolInstance]:
    return tool
