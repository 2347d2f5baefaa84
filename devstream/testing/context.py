"""`PlainContext` and `PlainTool`: what a hook is handed, for trying out a plugin without a configuration."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from devstream.engine.children import Children
from devstream.engine.context import HookContext
from devstream.engine.workers import Cancellation
from devstream.model.address import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import httpx

    from devstream.context import CompletedCommand

__all__ = ["PlainContext", "PlainTool", "RecordingLog"]


@dataclass(frozen=True, slots=True)
class PlainTool:
    """A tool instance as a hook sees it.

    >>> tool = PlainTool(Address("greeting", "world"), {"who": "you"})
    >>> tool.name, tool.options["who"]
    ('greeting', 'you')
    """

    address: Address
    options: Any
    raw_options: Mapping[str, Any] = field(default_factory=dict)
    app: str | None = None
    tags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The tool's name."""
        return self.address.name

    @property
    def instance_id(self) -> str:
        """The tool's instanceID."""
        return self.address.instance_id


@dataclass(slots=True)
class RecordingLog:
    """Keeps what a hook says: ``lines`` holds pairs of level and message."""

    lines: list[tuple[str, str]] = field(default_factory=list)

    def debug(self, message: str) -> None:
        """Keep a line."""
        self.lines.append(("debug", message))

    def info(self, message: str) -> None:
        """Keep a line."""
        self.lines.append(("info", message))

    def warning(self, message: str) -> None:
        """Keep a line."""
        self.lines.append(("warning", message))

    @property
    def text(self) -> str:
        """Everything that was said, a line each."""
        return "\n".join(message for _, message in self.lines)


@dataclass
class PlainContext:
    """A context that runs real commands on this machine, and keeps what was logged.

    Attributes:
        folder: stands for the config's folder.
        reading: as in `read`, refuse commands and requests that are not said to change nothing.
        thorough: as for `devstream apps outdated`.
        environ: where PATH, HOME, LANG and TMPDIR come from; by default this process's.
        stop: asked again and again; once it gives True, the hook is cancelled.
    """

    folder: Path
    address: Address = field(default_factory=lambda: Address("tool", "test"))
    op_id: str = "op-test"
    attempt: int = 1
    reading: bool = False
    thorough: bool = False
    upstream: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stop: Callable[[], bool] = lambda: False
    log: RecordingLog = field(default_factory=RecordingLog)

    @property
    def cancelled(self) -> bool:
        """True once ``stop`` says so."""
        return self.stop()

    def run(self, argv: Sequence[str], **asked: Any) -> CompletedCommand:
        """Run a command as the engine does; see `devstream.context.Context.run`."""
        return self._engine.run(argv, **asked)

    @property
    def http(self) -> httpx.Client:
        """The engine's HTTP client; with ``reading`` it refuses what may change something."""
        return self._engine.http

    def httpx_transport(self, *, ca_file: Path | None = None) -> httpx.BaseTransport:
        """The engine's transport, under the same rule as `http`."""
        return self._engine.httpx_transport(ca_file=ca_file)

    def check_request(self, method: str, url: str, *, reads: bool = False) -> None:
        """Refuse, with ``reading``, what may change something."""
        self._engine.check_request(method, url, reads=reads)

    def close(self) -> None:
        """Close what was opened, as the engine does when a hook is back."""
        self._engine.close()

    @cached_property
    def _engine(self) -> HookContext:
        """The context that hooks get in a run: what works here works there."""
        return HookContext(
            address=self.address,
            folder=self.folder,
            log=self.log,
            cancellation=_StoppedBy(self.stop),
            children=Children(),
            environ=self.environ,
            op_id=self.op_id,
            attempt=self.attempt,
            upstream=self.upstream,
            reading=self.reading,
            thorough=self.thorough,
        )


class _StoppedBy(Cancellation):
    """Is requested once a function of the test says so."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        super().__init__()
        self.reason = "the test stopped it"
        self._stop = stop

    @property
    def requested(self) -> bool:
        """True once the function says so."""
        return self._stop()
