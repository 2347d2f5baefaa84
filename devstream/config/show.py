"""The rendered configuration as plain data, for people to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.config.template import render
from devstream.config.tree import Env, Expression, Map, Name, Ref, Seq, Template
from devstream.config.variables import variable_values
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown, map_leaves

if TYPE_CHECKING:
    from devstream.config.model import Config
    from devstream.config.tree import Node, Part
    from devstream.config.variables import Variables
    from devstream.model.values import Value

__all__ = ["rendered", "as_written"]


def rendered(config: Config) -> dict[str, Any]:
    """Give the sections with variables filled in; what is rendered at its use only is as written."""
    variables, sections = config.variables, config.sections
    shown = {
        "config": _show(sections.config, variables),
        "vars": map_leaves(variable_values(variables), _visible),
        "tools": [_show(item.node, variables) for item in sections.tools],
        "apps": [_show_app(item.node, variables) for item in sections.apps],
        "pipelineTemplates": [as_written(item.node) for item in sections.templates],
    }
    return {name: section for name, section in shown.items() if section}


def _show(node: Node, variables: Variables) -> Any:
    return map_leaves(render(node, variables.scope), _visible)


def _show_app(node: Node, variables: Variables) -> Any:
    """Show an app; the options of its pipelines know more variables than the rest, so they stay as written."""
    if not isinstance(node, Map):
        return as_written(node)
    return {
        key: [_show_pipeline(item, variables) for item in value]
        if key in ("ci", "cd") and isinstance(value, Seq)
        else _show(value, variables)
        for key, value in node.items()
    }


def _show_pipeline(node: Node, variables: Variables) -> Any:
    if not isinstance(node, Map):
        return as_written(node)
    return {
        key: as_written(value) if key == "options" else _show(value, variables) for key, value in node.items()
    }


def _visible(leaf: Value) -> Any:
    """Write a leaf as text where it is more than plain data."""
    if isinstance(leaf, Secret):
        return "(secret)"
    if isinstance(leaf, Unknown):
        return "(not known)"
    if isinstance(leaf, Reference):
        return f"${{{{ {leaf} }}}}"
    if isinstance(leaf, Interpolation):
        return "".join(_visible_part(part) for part in leaf.parts)
    return str(leaf) if isinstance(leaf, str) else leaf


def _visible_part(part: str | Reference | SecretRef) -> str:
    if isinstance(part, SecretRef):
        return "(secret)"
    return part if isinstance(part, str) else f"${{{{ {part} }}}}"


def as_written(node: Node) -> Any:
    """Give a part of the tree as plain data with its templates as text."""
    if isinstance(node, Map):
        return {key: as_written(value) for key, value in node.items()}
    if isinstance(node, Seq):
        return [as_written(item) for item in node]
    if isinstance(node, Template):
        return "".join(_written_part(part) for part in node.parts)
    return node


def _written_part(part: Part) -> str:
    if isinstance(part, Name):
        return f"[[ {'.'.join(part.path)} ]]"
    if isinstance(part, Env):
        return f'[[ env "{part.variable}" ]]'
    if isinstance(part, Expression):
        return f"[[ {part.text} ]]"
    if isinstance(part, Ref):
        return f"${{{{ {part.text} }}}}"
    return part
