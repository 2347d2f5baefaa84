"""The ``tools`` section: each item becomes a `ToolInstance`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.config.check import TREATMENT_KEYS, Block, plain
from devstream.config.names import dependencies, instance_id, tool_name
from devstream.config.origins import TreeOrigins, Written
from devstream.config.template import render
from devstream.config.tree import Map
from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.tool import ToolInstance

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from devstream.config.check import Problems
    from devstream.config.merge import Item
    from devstream.config.variables import Variables
    from devstream.model.app import Treatment
    from devstream.model.origin import Origins

__all__ = ["TOOL_KEYS", "PLAIN_REPO_KEYS", "read_tools", "tool_instance", "show_repo_plainly", "mapping_item"]

TOOL_KEYS = frozenset({"name", "instanceID", "dependsOn", "options"}) | TREATMENT_KEYS

PLAIN_REPO_KEYS = ("owner", "org", "name", "branch", "url", "baseURL", "scmType")
"""What identifies a repository; an environment variable is plain text there."""

_REPO_OPTIONS = frozenset({"scm", "sourceRepo", "destinationRepo", "projectRepo"})


def read_tools(items: Iterable[Item], variables: Variables, problems: Problems) -> tuple[ToolInstance, ...]:
    """Read every item of ``tools``; those that are not usable are noted and left out."""
    found = (_read_tool(item, variables, problems) for item in items)
    return tuple(tool for tool in found if tool)


def _read_tool(item: Item, variables: Variables, problems: Problems) -> ToolInstance | None:
    node = mapping_item(item, "tool", problems)
    if node is None:
        return None
    values: dict[str, Any] = render(node, variables.scope)
    block = Block(node, values, "the tool", problems)
    if not node.keys() <= TOOL_KEYS:
        block.check_keys(TOOL_KEYS)
    name, identity = tool_name(block), instance_id(block)
    written = block.mapping("options")
    options = written or {}
    if not _REPO_OPTIONS.isdisjoint(options):
        _show_repos_plainly(options, problems.env)
    depends_on = dependencies(block) or ()
    treatment = block.treatment()
    if not name or not identity or (written is None and values.get("options") is not None):
        return None
    return tool_instance(
        Address(name, identity),
        options,
        treatment,
        origin=Origin(item.mark),
        origins=TreeOrigins(Written(node, variables.places, (), ("options",))),
        depends_on=depends_on,
    )


def mapping_item(item: Item, what: str, problems: Problems) -> Map | None:
    """Give an item of a section that must be a mapping; None where it is not, which is noted."""
    node = item.node
    if isinstance(node, Map):
        return node
    problems.error(f"this must be a mapping: a {what}", "wrong-type", item.mark)
    return None


def tool_instance(
    address: Address,
    options: dict[str, Any],
    treatment: Treatment,
    *,
    origin: Origin,
    origins: Origins,
    depends_on: tuple[Address, ...],
    after_tools: bool = False,
    app: str | None = None,
) -> ToolInstance:
    """Make a `ToolInstance` that is treated as written."""
    return ToolInstance(
        address,
        options,
        origin,
        depends_on,
        after_tools,
        origins,
        app,
        treatment.tags,
        treatment.adopt,
        bool(treatment.allow_delete),
        treatment.protect,
        treatment.retries or 0,
        treatment.timeout,
        treatment.connection,
    )


def _show_repos_plainly(options: dict[str, Any], env: Callable[[str], str | None]) -> None:
    for key in _REPO_OPTIONS & options.keys():
        if isinstance(options[key], dict):
            show_repo_plainly(options[key], env)


def show_repo_plainly(repo: dict[str, Any], env: Callable[[str], str | None]) -> None:
    """Put plain text for the secrets at what identifies a repository; changes ``repo``."""
    for key in PLAIN_REPO_KEYS:
        if key in repo:
            value = plain(repo[key], env)
            repo[key] = str(value) if isinstance(value, str) else value
