"""What the engine hands to a hook: `HookTool` and `HookContext` (the Protocols are in `devstream.context`)."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from devstream.errors import OperationError
from devstream.model.events import OperationLog
from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import httpx

    from devstream.context import CompletedCommand, Log
    from devstream.engine.children import Children
    from devstream.engine.workers import Cancellation
    from devstream.model.address import Address
    from devstream.model.events import Event

__all__ = ["HookTool", "HookContext", "EventLog"]

_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
HTTP_TIMEOUT = 60.0
"""Seconds a single HTTP request may wait for the other side."""


class HookTool(Immutable, frozen=True):
    """A tool as a hook sees it: everything resolved."""

    address: Address
    options: Any
    raw_options: Mapping[str, Any]
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


class EventLog(Immutable, frozen=True):
    """Turns what a hook logs into events."""

    address: Address
    emit: Callable[[Event], None]

    def debug(self, message: str) -> None:
        """Say something for ``-vv``."""
        self.emit(OperationLog(self.address, "debug", message))

    def info(self, message: str) -> None:
        """Say something for ``-v``."""
        self.emit(OperationLog(self.address, "info", message))

    def warning(self, message: str) -> None:
        """Say something that people should see."""
        self.emit(OperationLog(self.address, "warning", message))


@dataclass(slots=True)
class HookContext:
    """One hook call's way to the world; close it when the hook is back.

    Attributes:
        environ: our environment, of which commands inherit little.
        lock: opens the lock that an operation's children hold while they live; None for a plan's reads.
        reading: nothing may be changed: it is a `read`.
        thorough: it may ask others what is newer.
    """

    address: Address
    folder: Path
    log: Log
    cancellation: Cancellation
    children: Children
    environ: Mapping[str, str]
    op_id: str = ""
    attempt: int = 1
    upstream: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    reading: bool = False
    thorough: bool = False
    lock: Callable[[], AbstractContextManager[int]] | None = None
    _open: ExitStack = field(default_factory=ExitStack)
    _fds: tuple[int, ...] | None = None
    _client: httpx.Client | None = None

    @property
    def cancelled(self) -> bool:
        """True once the hook should give up."""
        return self.cancellation.requested

    def run(
        self,
        argv: Sequence[str],
        *,
        reads: bool = False,
        input: str | None = None,  # noqa: A002 - subprocess's own word
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float | None = None,
        check: bool = True,
        stdout_limit: int = 64 * 1024 * 1024,
    ) -> CompletedCommand:
        """Run a command; see `devstream.context.Context.run`."""
        from devstream.engine.process import Command, base_environment, run_command

        if self.reading and not reads:
            message = f"`read` tried to run {argv[0]}, which may change something"
            raise OperationError(
                message, code="read-changes", suggestion="pass reads=True for a command that only looks"
            )
        command = Command(
            argv=argv,
            env={**base_environment(self.environ), **(env or {})},
            cwd=cwd or self.folder,
            input=input,
            timeout=timeout,
            stdout_limit=stdout_limit,
            pass_fds=self._lock_fds(),
            on_line=self.log.info,
        )
        done = run_command(command, self.cancellation, self.children)
        if check and done.returncode != 0:
            raise _failed(done)
        return done

    def _lock_fds(self) -> tuple[int, ...]:
        if self._fds is None:
            self._fds = (self._open.enter_context(self.lock()),) if self.lock is not None else ()
        return self._fds

    @property
    def http(self) -> httpx.Client:
        """An HTTP client of this call's own; certificates are always verified."""
        if self._client is None:
            import httpx

            client = httpx.Client(
                timeout=HTTP_TIMEOUT, event_hooks={"request": [self._check]}, trust_env=False
            )
            self._open.callback(client.close)  # not entered: a hook may say `with context.http`
            self._client = client
        return self._client

    def httpx_transport(self, *, ca_file: Path | None = None) -> httpx.BaseTransport:
        """Give a guarded transport; see `devstream.context.Context.httpx_transport`."""
        from devstream.engine.transport import guarded_transport

        transport = guarded_transport(self._check, ca_file=ca_file)
        self._open.callback(transport.close)
        return transport

    def _check(self, request: httpx.Request) -> None:
        reads = bool(request.extensions.get("devstream_reads"))
        self.check_request(request.method, str(request.url), reads=reads)

    def check_request(self, method: str, url: str, *, reads: bool = False) -> None:
        """Refuse what may change something; see `devstream.context.Context.check_request`."""
        if self.reading and not reads and method.upper() not in _SAFE_METHODS:
            from urllib.parse import urlsplit

            message = f"`read` tried to send {method} to {urlsplit(url).hostname}, which may change something"
            raise OperationError(message, code="read-changes")

    def close(self) -> None:
        """Close the client and our end of the children's lock."""
        self._open.close()


def _failed(done: CompletedCommand) -> OperationError:
    reason = (
        f"exit status {done.returncode}" if done.returncode > 0 else f"ended by signal {-done.returncode}"
    )
    return OperationError(f"{done.argv[0]} failed: {reason}", code="command-failed", detail=done.stderr)
