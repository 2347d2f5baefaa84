"""Tools name each other: addresses are unique, and every ``dependsOn`` and reference names one that exists."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from devstream.config.names import DependencyPlaces
from devstream.config.origins import TreeOrigins
from devstream.config.references import references_in
from devstream.model.address import Address
from devstream.model.recorded import parse_reference
from devstream.model.values import Interpolation, Reference, iter_leaves, map_leaves
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from devstream.config.check import Problems
    from devstream.errors import Mark
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Value

__all__ = ["check_links", "place_of_link"]

_OUTPUTS = ".outputs."


def check_links(
    tools: Iterable[ToolInstance],
    place_of_dependency: Callable[[ToolInstance, Address], Mark | None],
    problems: Problems,
    *,
    is_whole: bool = True,
) -> tuple[ToolInstance, ...]:
    """Check the links between all tools; give them with every reference naming the longest address that fits.

    Args:
        is_whole: False where tools are left out, so that nobody can tell what does not exist.
    """
    links = _Links(problems, place_of_dependency, is_whole=is_whole)
    unique = [tool for tool in tools if links.add(tool)]
    return tuple(links.check(tool) for tool in unique)


class _Links:
    def __init__(
        self,
        problems: Problems,
        place: Callable[[ToolInstance, Address], Mark | None],
        *,
        is_whole: bool,
    ) -> None:
        self._problems = problems
        self._is_whole = is_whole
        self._place = place
        self._tools: dict[Address, ToolInstance] = {}
        self._proposals: dict[Address, str] = {}

    def add(self, tool: ToolInstance) -> bool:
        """Take a tool in, unless its address is taken."""
        first = self._tools.setdefault(tool.address, tool)
        if first is tool:
            return True
        self._problems.error(
            f"{tool.address} is there twice",
            "duplicate-address",
            tool.origin.mark,
            detail=f"first at {first.origin.mark}",
            suggestion="give one of them another instanceID"
            if tool.app is None
            else "give the ci or cd item a name, or the app another one",
        )
        return False

    def check(self, tool: ToolInstance) -> ToolInstance:
        """Check what one tool names."""
        for address in tool.depends_on:
            self._check_dependency(tool, address)
        references = references_in(tool.options)
        if not references:
            return tool
        if any(str(reference).count(_OUTPUTS) > 1 for reference in references):
            tool = replace(tool, options=map_leaves(tool.options, self._longest))
        for reference in references_in(tool.options):
            self._check_reference(tool, reference)
        return tool

    def _check_dependency(self, tool: ToolInstance, address: Address) -> None:
        if address == tool.address:
            message = f"{address} depends on itself"
            self._problems.error(message, "self-dependency", self._place(tool, address))
        elif self._is_whole and address not in self._tools:
            self._problems.error(
                f"dependsOn names {address}, which does not exist",
                "unknown-address",
                self._place(tool, address),
                suggestion=self._nearest(address),
            )

    def _check_reference(self, tool: ToolInstance, reference: Reference) -> None:
        if reference.address == tool.address:
            self._problems.error(
                f"{tool.address} refers to its own output", "self-reference", _place_of(tool, reference)
            )
        elif self._is_whole and reference.address not in self._tools:
            near = self._nearest(reference.address)
            self._problems.error(
                f"${{{{ {reference} }}}} names {reference.address}, which does not exist",
                "unknown-reference",
                _place_of(tool, reference),
                suggestion=f"{near + '; ' if near else ''}text that only looks like a reference takes the tag !raw",
            )

    def _nearest(self, address: Address) -> str:
        if address not in self._proposals:
            found = self._problems.proposals.nearest(str(address), self._names)
            self._proposals[address] = found
        return self._proposals[address]

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """All addresses, as text; asked for once the tools are complete, and something is wrong."""
        return tuple(map(str, self._tools))

    def _longest(self, leaf: Value) -> Value:
        """Read a leaf's references again, now that the tools are known."""
        if isinstance(leaf, Reference):
            return self._read_again(leaf)
        if isinstance(leaf, Interpolation):
            return Interpolation(
                tuple(self._read_again(part) if isinstance(part, Reference) else part for part in leaf.parts)
            )
        return leaf

    def _read_again(self, reference: Reference) -> Reference:
        pieces = str(reference).split(_OUTPUTS)
        texts = (_OUTPUTS.join(pieces[:count]) for count in range(1, len(pieces)))
        return parse_reference(str(reference), [text for text in texts if self._exists(text)])

    def _exists(self, text: str) -> bool:
        name, _, identity = text.partition(".")
        return Address(name, identity) in self._tools


def place_of_link(tool: ToolInstance, address: Address) -> Mark | None:
    """Give the place where a tool names another one: in its ``dependsOn``, or the first reference."""
    if address in tool.depends_on and isinstance(tool.origins, TreeOrigins):
        return DependencyPlaces(tool.origins.written.node).of(address)
    named = (reference for reference in references_in(tool.options) if reference.address == address)
    reference = next(named, None)
    return _place_of(tool, reference) if reference else tool.origin.mark


def _place_of(tool: ToolInstance, reference: Reference) -> Mark | None:
    """Give the place of the first field that holds a reference."""
    for path, leaf in iter_leaves(tool.options):
        if reference in references_in(leaf):
            origin = tool.origins.at(path)
            return origin.mark if origin else None
    return tool.origin.mark
