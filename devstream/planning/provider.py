"""What planning needs to know of a tool's plugin and of the world; the engine hands in the real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.errors import Diagnostic
    from devstream.model.address import Address
    from devstream.model.schema import Traits
    from devstream.model.state import ToolState
    from devstream.model.status import ResourceStatus
    from devstream.model.tool import ToolInstance
    from devstream.model.values import Path

__all__ = ["Provider", "ReadRequest", "ReadAnswer", "Reads"]


class Provider(Protocol):
    """The plugin of one tool, as far as planning asks."""

    @property
    def adopts(self) -> bool:
        """True where an existing thing is taken over without ``adopt: true``."""

    def traits(self, options: Mapping[str, Any]) -> Traits:
        """Say what can be done with an instance that has these options."""

    def flags(self, path: Path) -> frozenset[str]:
        """Give the flags that hold for the option at ``path``: immutable, record_only, secret."""

    def check(self, instance: ToolInstance) -> list[Diagnostic]:
        """List the mistakes in the instance's options, as far as they are known."""


class ReadRequest(Immutable, frozen=True):
    """Ask `read` about one address.

    Attributes:
        options: what the plugin gets, with references replaced by their values.
        recorded: None for what is not in the state.
        thorough: it may ask others what is newer.
    """

    address: Address
    options: Mapping[str, Any]
    recorded: ToolState | None
    tool: ToolInstance | None = None
    thorough: bool = False


class ReadAnswer(Immutable, frozen=True):
    """What `read` said: a status, None for "gone", or an error."""

    status: ResourceStatus | None
    error: Diagnostic | None = None


class Reads(Protocol):
    """Calls `read`, in parallel if it likes."""

    def start(self, request: ReadRequest) -> None:
        """Begin a read; returns at once."""

    def wait(self) -> tuple[Address, ReadAnswer]:
        """Wait until some read that was started has been answered."""
