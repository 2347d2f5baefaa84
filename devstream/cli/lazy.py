"""A group of commands that are imported only when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from devstream.errors import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from click.shell_completion import CompletionItem

__all__ = ["LazyGroup", "Entry"]


class Entry(NamedTuple):
    """Where a command is defined (``module:attribute``), and its line in the list of commands."""

    place: str
    summary: str


class LazyGroup(click.Group):
    """Knows its commands by name and place; an alias is one name more for the same place."""

    def __init__(
        self,
        *args: Any,
        entries: Mapping[str, Entry] | None = None,
        aliases: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self._entries = dict(entries or {})
        self._aliases = dict(aliases or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the commands, in the order in which people need them."""
        return [*self._entries, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        entry = self._entries.get(self._aliases.get(cmd_name, cmd_name))
        if entry is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = entry.place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command the arguments begin with; the error names the nearest one."""
        name = args[0]
        if not ctx.resilient_parsing and self.get_command(ctx, name) is None and not name.startswith("-"):
            near = nearest(name, [*self.list_commands(ctx), *self._aliases])
            error = click.UsageError(f'there is no command "{name}"', ctx)
            error.add_note(near or f"there are: {', '.join(self.list_commands(ctx))}")
            raise error
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the commands, without importing them, and the group's options."""
        from click.shell_completion import CompletionItem

        rows = {name: entry.summary for name, entry in self._entries.items()}
        rows |= {alias: rows[target] for alias, target in self._aliases.items()}
        rows |= {name: command.get_short_help_str() for name, command in sorted(self.commands.items())}
        items = [
            CompletionItem(name, help=text) for name, text in rows.items() if name.startswith(incomplete)
        ]
        return [*items, *click.Command.shell_complete(self, ctx, incomplete)]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands, without importing them."""
        rows = [(self._with_aliases(name), entry.summary) for name, entry in self._entries.items()]
        if not rows:
            super().format_commands(ctx, formatter)
            return
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _with_aliases(self, name: str) -> str:
        return ", ".join([name, *(alias for alias, target in self._aliases.items() if target == name)])
