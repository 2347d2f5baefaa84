"""Options and arguments that take addresses, and how a shell completes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from devstream.cli.application import Application
from devstream.cli.options import shared_option
from devstream.record import replace

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import click
    from click.shell_completion import CompletionItem

__all__ = ["complete_address", "replace_option", "unprotect_option"]

F = TypeVar("F", bound="Callable[..., Any]")


def complete_address(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Offer the addresses that are recorded."""
    from click.shell_completion import CompletionItem

    from devstream.cli.state_session import with_default_state

    app = ctx.find_object(Application)
    if app is None:
        return []
    try:
        invocation = with_default_state(app.invocation(offline=True))
        session = app.open(replace(invocation, bare=True))
        if session.state_settings.backend != "local":  # a shell's line is no place to wait for a network
            return []
        state = session.read_state()
    except Exception:  # noqa: BLE001 - whatever is wrong, the shell's line is no place to say so
        return []
    names = sorted({str(address) for address in (*state.tools, *state.open_operations)})
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


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
