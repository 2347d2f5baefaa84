"""Files and documents become one configuration: lists join, ``vars`` merge, ``config`` stands once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from devstream.config.tree import Map, Seq, key_mark, mark_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devstream.config.check import Problems
    from devstream.config.tree import Node
    from devstream.errors import Mark

__all__ = ["SECTIONS", "Item", "Sections", "merge"]

SECTIONS = ("config", "vars", "tools", "apps", "pipelineTemplates")
"""The keys at the top of a file."""


class Item(NamedTuple):
    """One item of a section's list, where it is written."""

    container: Seq
    at: int

    @property
    def node(self) -> Node:
        """The item as written."""
        return self.container[self.at]

    @property
    def mark(self) -> Mark:
        """Where it is written."""
        return mark_of(self.container, self.at)


@dataclass(slots=True)
class Sections:
    """The sections of all files together, in the order they were read.

    Attributes:
        config: the mapping under ``config``; None where no file has it.
        variables: per name the ``vars`` mapping that holds it.
        is_empty: True where no file has ``tools`` or ``apps`` at all.
        lacks_variables: True where ``vars`` is misspelt or no mapping, so that names seem unknown that are not.
    """

    config: Map | None = None
    config_mark: Mark | None = None
    variables: dict[str, Map] = field(default_factory=dict)
    tools: list[Item] = field(default_factory=list)
    apps: list[Item] = field(default_factory=list)
    templates: list[Item] = field(default_factory=list)
    is_empty: bool = True
    lacks_variables: bool = False

    def add_variables(self, variables: Map, problems: Problems) -> None:
        """Add the variables of one mapping; a variable that is there already is a mistake."""
        for name in variables:
            if name in self.variables:
                problems.error(
                    f'the variable "{name}" is written twice',
                    "duplicate-variable",
                    key_mark(variables, name),
                    detail=f"first at {key_mark(self.variables[name], name)}",
                )
            else:
                self.variables[name] = variables


def merge(documents: Iterable[Map], problems: Problems) -> Sections:
    """Join the documents of all files, in order."""
    sections = Sections()
    for document in documents:
        add_document(sections, document, problems)
    return sections


def add_document(sections: Sections, document: Map, problems: Problems) -> None:
    """Add one document's sections to those of the others."""
    lists = {"tools": sections.tools, "apps": sections.apps, "pipelineTemplates": sections.templates}
    if "tools" in document or "apps" in document:
        sections.is_empty = False
    for key, value in document.items():
        if key not in SECTIONS:
            _unknown_section(sections, document, key, problems)
        elif key == "config":
            _add_config(sections, document, problems)
        elif value is None:
            continue
        elif key == "vars" and isinstance(value, Map):
            sections.add_variables(value, problems)
        elif key != "vars" and isinstance(value, Seq):
            lists[key] += (Item(value, index) for index in range(len(value)))
        else:
            wanted = "a mapping" if key == "vars" else "a list"
            sections.lacks_variables |= key == "vars"
            problems.error(f'the section "{key}" must be {wanted}', "wrong-type", mark_of(document, key))


def _unknown_section(sections: Sections, document: Map, key: str, problems: Problems) -> None:
    near = problems.proposals.nearest
    sections.lacks_variables |= not sections.lacks_variables and bool(near(key, ["vars"]))
    problems.error(
        f'there is no section "{key}"',
        "unknown-section",
        key_mark(document, key),
        suggestion=near(key, SECTIONS) or f"the sections are {', '.join(SECTIONS)}",
    )


def _add_config(sections: Sections, document: Map, problems: Problems) -> None:
    mark = key_mark(document, "config")
    value = document["config"]
    if sections.config_mark is not None:
        problems.error(
            'the section "config" is written twice',
            "duplicate-section",
            mark,
            detail=f"first at {sections.config_mark}",
        )
        return
    sections.config_mark = mark
    if isinstance(value, Map):
        sections.config = value
    elif value is not None:
        problems.error('the section "config" must be a mapping', "wrong-type", mark_of(document, "config"))
