"""`ToolBench`: calls the hooks of one tool instance as the engine does, keeps what it would record, and dies on demand.

The plugin is found by the tool's name, as it is installed::

    bench = ToolBench(tmp_path, Address("hello", "world"), {"who": "you"})
    bench.create()
    assert bench.drift() == {}
    assert bench.dies(bench.update, die_before=2)     # SIGKILL right before the second command or request
    bench.apply()                                     # what the next run does
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpx
import msgspec

from devstream.api import CompletedCommand, ResourceStatus, Secret, ToolState
from devstream.plugins.manager import PluginManager
from devstream.record import replace
from devstream.testing.context import PlainContext, PlainTool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from devstream.api import Address, Outputs

__all__ = ["Killed", "KillingContext", "ToolBench", "secret_of"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing in a plugin may catch it."""


@dataclass
class KillingContext(PlainContext):
    """Counts commands and requests, and dies right before or right after one of them, counted from 1."""

    die_before: int = 0
    die_after: int = 0
    count: int = 0

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.count += 1
        number = self.count
        if number == self.die_before:
            raise Killed
        yield
        if number == self.die_after:
            raise Killed

    def run(self, argv: Sequence[str], **options: Any) -> CompletedCommand:
        """Count a command."""
        with self._counted():
            return super().run(argv, **options)

    def httpx_transport(self, *, ca_file: Path | None = None) -> httpx.BaseTransport:
        """Give a transport that counts."""
        inner, counted = super().httpx_transport(ca_file=ca_file), self._counted

        class Counting(httpx.BaseTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                with counted():
                    return inner.handle_request(request)

            def close(self) -> None:
                inner.close()

        return Counting()


def secret_of(wanted: type, value: object) -> object:
    """Do what the engine does with text at an option of type Secret."""
    return value if isinstance(value, wanted) or wanted is not Secret else Secret.plain(str(value))


@dataclass
class ToolBench:
    """One tool instance with its options as they are written.

    Attributes:
        recorded: what the engine would have recorded; None for nothing.
        adopted: it is recorded as taken over.
        upstream: outputs of what the tool depends on.
        context: the one that was handed to the last hook.
        points: how many commands and requests the last create or update was made of.
        said: what that one logged, as pairs of level and message.
    """

    folder: Path
    address: Address
    options: dict[str, Any]
    recorded: ToolState | None = None
    adopted: bool = False
    upstream: dict[str, Outputs] = field(default_factory=dict)
    operations: int = 0
    context: KillingContext = field(init=False)
    points: int = 0
    said: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        manager = PluginManager(folder=None, environ={})
        manager.load([self.address.name])
        plugin = manager.tool(self.address.name)
        assert plugin.schema is not None
        self.schema, self.hooks = plugin.schema, plugin.hooks
        self._new_context()

    def _new_context(self, **fields: Any) -> KillingContext:
        self.close()
        op_id = f"op-{self.address}-{self.operations}"
        self.context = KillingContext(
            self.folder, self.address, op_id=op_id, upstream=self.upstream, **fields
        )
        return self.context

    def close(self) -> None:
        """Close what the last hook opened."""
        if "context" in vars(self):
            self.context.close()

    def tool(self) -> PlainTool:
        """Give the tool with its options, checked as the engine does."""
        assert self.schema.options is not None
        options = msgspec.convert(self.options, self.schema.options, dec_hook=secret_of)
        return PlainTool(self.address, options, self.options)

    # ---- hooks

    def read(self, **fields: Any) -> ResourceStatus | None:
        """Read, and hold the hook to its promise: two reads in a row are equal."""
        first, second = (self._read_once(**fields) for _ in range(2))
        assert first == second
        return first

    def _read_once(self, **fields: Any) -> ResourceStatus | None:
        context = self._new_context(reading=True, **fields)
        return self.hooks.read(tool=self.tool(), recorded=self.recorded, context=context)

    def there(self) -> ResourceStatus:
        """Read what has to be there."""
        status = self._read_once()
        assert status is not None
        return status

    def create(self, **fields: Any) -> ResourceStatus:
        """Create, and record."""
        return self._keep(self.hooks.create(tool=self.tool(), context=self._new_context(**fields)))

    def update(self, **fields: Any) -> ResourceStatus:
        """Update, and record."""
        context = self._new_context(**fields)
        assert self.recorded is not None
        return self._keep(self.hooks.update(tool=self.tool(), recorded=self.recorded, context=context))

    def delete(self, **fields: Any) -> None:
        """Delete, and forget."""
        assert self.recorded is not None
        self.hooks.delete(tool=self.tool(), recorded=self.recorded, context=self._new_context(**fields))
        self.recorded = None

    def integrate(self, **fields: Any) -> Mapping[str, Any]:
        """Integrate with what `upstream` has, and record; gives the outputs that it adds."""
        context, known = self._new_context(**fields), self.recorded
        status = ResourceStatus(known.properties, known.outputs) if known else ResourceStatus()
        added = self.hooks.integrate(tool=self.tool(), status=status, upstream=self.upstream, context=context)
        if known is not None:
            self.recorded = replace(known, outputs={**known.outputs, **(added or {})})
        return added or {}

    def apply(self) -> ResourceStatus:
        """Create what is not there, update what is: what the next run does after a crash."""
        status = self.read()
        if status is None:
            return self.create()
        self.recorded = self.recorded or self.taint(status)
        return self.update()

    def dies(self, action: Callable[..., Any], **fields: int) -> bool:
        """Tell whether an action reached the command or request at which it is to die."""
        try:
            action(**fields)
        except Killed:
            return True
        return False

    # ---- what is recorded

    def drift(self) -> dict[str, tuple[Any, Any]]:
        """Compare recorded properties with a fresh read, as the planner does."""
        recorded = self.recorded.properties if self.recorded else {}
        now = self.there().properties
        return {key: (recorded[key], now[key]) for key in recorded.keys() & now if recorded[key] != now[key]}

    def taint(self, status: ResourceStatus) -> ToolState:
        """Give what is recorded of something that was found after a crash."""
        return ToolState(self.address, properties=status.properties, tainted=True)

    def _keep(self, status: ResourceStatus) -> ResourceStatus:
        self.operations += 1
        self.said, self.points = self.context.log.lines, self.context.count
        self.recorded = ToolState(
            self.address, properties=status.properties, outputs=status.outputs or {}, adopted=self.adopted
        )
        # What is written is what a read finds: anything else would be drift at once.
        assert self.there().properties == status.properties
        return status
