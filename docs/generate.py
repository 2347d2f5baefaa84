"""Writes the reference pages that come from the code: ``python -m docs.generate`` (or ``make docs``).

A test fails while a page on disk differs from what this would write.
"""

from __future__ import annotations

import inspect
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import click

    from devstream.plugins.manager import PluginManager

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
    """Write the list of tools."""
    manager = _plugins()
    lines = [
        "# Tools",
        "",
        (
            "The tools that come with devstream, and those of the plugins in `contrib_plugins/`. "
            "`devstream list plugins` lists what is installed."
        ),
        "",
        "| tool | what it does | from |",
        "|---|---|---|",
    ]
    for name, where in TOOLS.items():
        schema = manager.tool(name).schema
        lines.append(f"| [`{name}`](tools/{name}.md) | {schema.doc if schema else ''} | {where} |")
    return "\n".join(lines)


def _plugins() -> PluginManager:
    from devstream.plugins.manager import PluginManager

    return PluginManager(folder=None, environ={})


def tool(name: str) -> str:
    """Write the page of a tool: what it is and its options."""
    from devstream.plugins.describe import describe

    plugin = _plugins().tool(name)
    where = TOOLS[name]
    source = "Built in." if where == "built in" else f"In `{where}`: `pip install {where}`."
    lines = [f"# `{name}`", "", plugin.schema.doc if plugin.schema else "", "", source]
    if plugin.options is not None:
        lines += ["", "| option | type | default | meaning |", "|---|---|---|---|"]
        lines += [_option_row(option) for option in describe(plugin.options)]
    return "\n".join([*lines, "", "[All tools](../tools.md)"])


TOOLS = {
    "noop": "built in",
    "file": "built in",
    "command": "built in",
    "repo-scaffolding": "devstream-plugin-scm",
    "local-ci": "devstream-plugin-scm",
    "ci-generic": "devstream-plugin-scm",
    "github-actions": "devstream-plugin-scm",
    "gitlab-ci": "devstream-plugin-scm",
    "gitea-actions": "devstream-plugin-scm",
    "bitbucket-pipelines": "devstream-plugin-scm",
    "circleci": "devstream-plugin-scm",
    "travis-ci": "devstream-plugin-scm",
    "jenkins-pipeline": "devstream-plugin-jenkins",
}


def _option_row(option: Any) -> str:
    import msgspec

    flags = "".join(f" *{flag.replace('_', ' ')}*" for flag in sorted(option.flags))
    written = (
        ""
        if isinstance(option.default, msgspec.Struct)
        else f"`{msgspec.json.encode(option.default).decode()}`"
    )
    default = "required" if option.required else written
    cells = [f"`{option.name}`", option.type, default, f"{option.doc}{flags}"]
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _prose(thing: object) -> str:
    """Give a docstring as Markdown: its Google sections become bold words."""
    text = inspect.cleandoc(thing.__doc__ or "")
    for word in ("Returns:", "Raises:", "Args:"):
        text = text.replace(f"{word}\n    ", f"**{word}** ")
    return text.replace("``", "`")


PAGES: dict[str, Callable[[], str]] = {
    "hooks.md": hooks,
    "exit-codes.md": exit_codes,
    "command-line.md": command_line,
    "tools.md": tools,
    **{f"tools/{name}.md": partial(tool, name) for name in TOOLS},
}


def page(name: str) -> str:
    """Give the text of a page as it should be."""
    # click asks the terminal for its width; the page must not depend on who writes it
    os.environ["COLUMNS"] = "96"
    return NOTE + PAGES[name]() + "\n"


def main() -> None:
    """Write all pages."""
    (FOLDER / "tools").mkdir(exist_ok=True)
    for name in PAGES:
        (FOLDER / name).write_text(page(name), encoding="utf-8")


if __name__ == "__main__":
    main()
