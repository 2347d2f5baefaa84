"""Options and arguments that take addresses, and how a shell completes them."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from devstream.cli.application import Application
from devstream.cli.options import shared_option
from devstream.errors import DevstreamError
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    import click
    from click.shell_completion import CompletionItem

    from devstream.engine.session import Session
    from devstream.model.address import Address
    from devstream.model.state import ToolState

__all__ = ["complete_address", "replace_option", "selection_options", "unprotect_option"]

F = TypeVar("F", bound="Callable[..., Any]")


def complete_address(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the addresses that are recorded."""
    return _offer(ctx, incomplete, lambda session: (str(address) for address in _recorded(session)))


def complete_target(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer addresses, apps and tags, recorded or of the configuration."""

    def names(session: Session) -> Iterator[str]:
        for called in _called(session, ctx):
            if called.address:
                yield str(called.address)
            if called.app:
                yield f"app:{called.app}"
            yield from (f"tag:{tag}" for tag in called.tags)

    return _offer(ctx, incomplete, names)


def complete_tag(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer tags, recorded or of the configuration."""

    def names(session: Session) -> Iterator[str]:
        for called in _called(session, ctx):
            yield from called.tags

    return _offer(ctx, incomplete, names)


def _offer(
    ctx: click.Context, incomplete: str, names: Callable[[Session], Iterable[str]]
) -> list[CompletionItem]:
    """Offer names that a session knows of, without loading a plugin."""
    from click.shell_completion import CompletionItem

    from devstream.cli.state_session import with_default_state

    app = ctx.find_object(Application)
    if app is None:
        return []
    try:
        invocation = with_default_state(app.invocation(offline=True))
        found = sorted(set(names(app.open(replace(invocation, bare=True)))))
    except Exception:  # noqa: BLE001 - whatever is wrong, the shell's line is no place to say so
        return []
    return [CompletionItem(name) for name in found if name.startswith(incomplete)]


def _recorded(session: Session) -> dict[Address, ToolState]:
    from devstream.planning.removal import recorded_entries

    if session.state_settings.backend != "local":  # a shell's line is no place to wait for a network
        return {}
    return recorded_entries(session.read_state())


class _Called(NamedTuple):
    """What something can be selected by; an app that is not expanded has no addresses yet."""

    address: Address | None
    app: str | None
    tags: tuple[str, ...]


def _called(session: Session, ctx: click.Context) -> Iterator[_Called]:
    """Yield what is recorded, and what the configuration says without its plugins."""
    for entry in _recorded(session).values():
        yield _Called(entry.address, entry.app, entry.tags)
    if ctx.find_object(Application).shared.state_url:  # type: ignore[union-attr]  # `_offer` has looked
        return
    with suppress(DevstreamError):  # the default state needs no configuration
        for tool in session.config.tools:
            yield _Called(tool.address, None, tool.tags)
        for app in session.config.apps:
            yield _Called(None, app.name, app.treatment.tags)


def selection_options(command: F) -> F:
    """Add the options that select tools."""
    for option in reversed(
        [
            shared_option(
                "target",
                "--target",
                multiple=True,
                metavar="WHICH",
                shell_complete=complete_target,
                help="Only WHICH: an address, a glob, app:NAME or tag:X; and what has to come along.",
            ),
            shared_option(
                "exclude",
                "--exclude",
                multiple=True,
                metavar="WHICH",
                shell_complete=complete_target,
                help="All but WHICH, and everything downstream of it.",
            ),
            shared_option(
                "keywords",
                "-k",
                multiple=True,
                metavar="WORDS",
                help="Only tools whose address, app or tags hold WORDS, joined by and, or, not, ( ).",
            ),
            shared_option(
                "tags",
                "--tags",
                multiple=True,
                metavar="TAG[,TAG]",
                shell_complete=complete_tag,
                help="Only tools with one of these tags.",
            ),
            shared_option(
                "last_failed",
                "--lf",
                is_flag=True,
                help="Only what failed, was skipped or is unknown since the last run.",
            ),
        ]
    ):
        command = option(command)  # type: ignore[assignment]  # click keeps the type
    return command


def unprotect_option(command: F) -> F:
    """Add ``--unprotect``."""
    return shared_option(  # type: ignore[return-value]  # click keeps the type
        "unprotect",
        "--unprotect",
        multiple=True,
        metavar="ADDRESS",
        shell_complete=complete_address,
        help="Take ADDRESS away although it is protected, this time.",
    )(command)


def replace_option(command: F) -> F:
    """Add ``--replace``."""
    return shared_option(  # type: ignore[return-value]  # click keeps the type
        "replace",
        "--replace",
        multiple=True,
        metavar="ADDRESS",
        shell_complete=complete_address,
        help="Delete ADDRESS and make it anew, whatever its options.",
    )(command)
