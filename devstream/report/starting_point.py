"""A block of ``tools:`` to begin with: every option of a tool as YAML, explained; what is not needed is commented out."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from devstream.plugins.describe import REQUIRED, describe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.plugins.describe import OptionDoc
    from devstream.plugins.tool_plugin import ToolPlugin

__all__ = ["starting_point"]

_WIDTH = 100
_INSIDE = ("[]", "<name>")
"""Marks the options of things that stand in a list or a mapping: how many there are is up to people."""
_NOTHING = object()


def starting_point(name: str, plugin: ToolPlugin) -> list[str]:
    """Write a configuration of one tool, complete where the plugin gives an example."""
    doc = plugin.schema.doc if plugin.schema else ""
    lines = [
        *_prose(f"{name}: {doc}" if doc else name, ""),
        "# What begins with #NAME: is an option with its default. What is not commented out is needed, or an example.",
        "tools:",
        f"  - name: {name}",
        "    instanceID: example",
        "    # Tools that come first: [name.instanceID].",
        "    #dependsOn: []",
    ]
    if plugin.options is None or plugin.schema is None:
        return [*lines, "    # This plugin does not describe its options.", "    options: {}"]
    docs = {doc.name: doc for doc in describe(plugin.options)}
    options = _options("", docs, plugin.schema.example, active=True, indent="      ")
    return [*lines, "    options:", *options]


def _options(
    prefix: str, docs: Mapping[str, OptionDoc], example: Any, *, active: bool, indent: str
) -> Iterator[str]:
    """Write the options below one of them; ``active``: that one is not commented out itself."""
    for name, doc in docs.items():
        key = name.removeprefix(prefix)
        if not name.startswith(prefix) or "." in key:
            continue
        given = example.get(key, _NOTHING) if isinstance(example, Mapping) else _NOTHING
        is_needed = active and (doc.required or given is not _NOTHING)
        yield from _prose(_meaning(doc), indent)
        mark = "" if is_needed else "#"
        nested = any(other.startswith(f"{name}.") and not _is_inside(other, name) for other in docs)
        if not nested:
            yield f"{indent}{mark}{key}: {_value(doc, given)}".rstrip()
            continue
        yield f"{indent}{mark}{key}:"
        yield from _options(f"{name}.", docs, given, active=is_needed, indent=f"{indent}  ")


def _is_inside(name: str, owner: str) -> bool:
    return name.removeprefix(f"{owner}.").startswith(_INSIDE)


def _meaning(doc: OptionDoc) -> str:
    facts = [
        doc.type,
        *(["required"] if doc.required else []),
        *(["secret"] if "secret" in doc.flags else []),
    ]
    return f"{doc.doc} ({', '.join(facts)})".strip()


def _value(doc: OptionDoc, given: Any) -> str:
    """Write a value on one line: JSON is YAML."""
    import msgspec

    value = doc.default if given is _NOTHING else given
    if value is None or value is REQUIRED:
        return '""' if doc.required else ""
    text = msgspec.json.encode(value).decode()
    return text if isinstance(value, str | int | float) else text.replace(":", ": ").replace(",", ", ")


def _prose(text: str, indent: str) -> Iterator[str]:
    for line in wrap(text, _WIDTH - len(indent)):
        yield f"{indent}# {line}"
