"""Writes the reference pages that come from the code: ``python -m docs.generate`` (or ``make docs``).

A test fails while a page on disk differs from what this would write.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    import click

__all__ = ["PAGES", "main", "page"]

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by `make docs` from the code: edit the code, not this page. -->\n\n"


def hooks() -> str:
    """Write the page of hooks."""
    from devstream import hookspecs

    lines = [
        "# Hooks",
        "",
        (
            "What a plugin implements. An implementation is marked with `devstream.api.hookimpl` and names only the "
            "arguments it wants. How to start: [your first plugin](../plugin/first-plugin.md)."
        ),
    ]
    for title, owner in (("Tools", hookspecs.ToolSpecs), ("Everything else", hookspecs.ExtensionSpecs)):
        lines += ["", f"## {title}", "", _prose(owner)]
        for name, function in vars(owner).items():
            if inspect.isfunction(function):
                arguments = ", ".join(list(inspect.signature(function).parameters)[1:])
                lines += ["", f"### `{name}({arguments})`", "", _prose(function)]
    return "\n".join(lines)


def exit_codes() -> str:
    """Write the page of exit codes."""
    import ast

    from devstream import errors

    tree = ast.parse(inspect.getsource(errors.ExitCode)).body[0]
    assert isinstance(tree, ast.ClassDef)
    rows = []
    for assignment, text in zip(tree.body, tree.body[1:], strict=False):
        if isinstance(assignment, ast.Assign) and isinstance(text, ast.Expr):
            rows.append(f"| {ast.unparse(assignment.value)} | {ast.literal_eval(text.value)} |")
    return "\n".join(
        [
            "# Exit codes",
            "",
            "They are frozen. Where several apply, the first of these wins: 130 or 143, 6, 1, 4, 9, 2.",
            "",
            "| code | meaning |",
            "|---|---|",
            *rows,
        ]
    )


def command_line() -> str:
    """Write the page of the command line, as ``--help`` shows it."""
    from devstream.cli.commands import root

    lines = ["# Command line", "", "`devstream` and `dtm` are the same program."]
    for path, text in _helps(root, "devstream"):
        lines += ["", f"## `{path}`", "", "```text", text, "```"]
    return "\n".join(lines)


def _helps(command: click.Command, path: str, parent: Any = None) -> Iterator[tuple[str, str]]:
    import click

    from devstream.cli.commands import CONTEXT

    name = path.rsplit(" ", 1)[-1]
    context = click.Context(command, info_name=name, parent=parent, terminal_width=96, **CONTEXT)
    yield path, command.get_help(context).strip()
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            assert child is not None
            yield from _helps(child, f"{path} {name}", context)


def tools() -> str:
    """Write the page of tools and their options."""
    from devstream.plugins.describe import describe
    from devstream.plugins.manager import PluginManager

    manager = PluginManager(folder=None, environ={})
    lines = [
        "# Tools",
        "",
        (
            "The tools that come with devstream, and those of the plugins in `contrib_plugins/`. "
            "`devstream list plugins` lists what is installed."
        ),
    ]
    for name, where in TOOLS.items():
        plugin = manager.tool(name)
        doc = plugin.schema.doc if plugin.schema else ""
        lines += ["", f"## `{name}`", "", f"{doc} *({where})*"]
        if plugin.options is None:
            continue
        lines += ["", "| option | type | default | meaning |", "|---|---|---|---|"]
        lines += [_option_row(option) for option in describe(plugin.options)]
    return "\n".join(lines)


TOOLS = {
    "noop": "built in",
    "file": "built in",
    "command": "built in",
    "repo-scaffolding": "devstream-plugin-scm",
    "local-ci": "devstream-plugin-scm",
    "ci-generic": "devstream-plugin-scm",
    "github-actions": "devstream-plugin-scm",
    "gitlab-ci": "devstream-plugin-scm",
}


def _option_row(option: Any) -> str:
    import msgspec

    flags = "".join(f" *{flag.replace('_', ' ')}*" for flag in sorted(option.flags))
    default = "required" if option.required else f"`{msgspec.json.encode(option.default).decode()}`"
    cells = [f"`{option.name}`", option.type, default, f"{option.doc}{flags}"]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _prose(thing: object) -> str:
    """Give a docstring as Markdown: its Google sections become bold words."""
    text = inspect.cleandoc(thing.__doc__ or "")
    for word in ("Returns:", "Raises:", "Args:"):
        text = text.replace(f"{word}\n    ", f"**{word}** ")
    return text.replace("``", "`")


PAGES = {"hooks.md": hooks, "exit-codes.md": exit_codes, "command-line.md": command_line, "tools.md": tools}


def page(name: str) -> str:
    """Give the text of a page as it should be."""
    # click asks the terminal for its width; the page must not depend on who writes it
    os.environ["COLUMNS"] = "96"
    return NOTE + PAGES[name]() + "\n"


def main() -> None:
    """Write all pages."""
    for name in PAGES:
        (FOLDER / name).write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
