"""`PlainContext` and `PlainTool`: what a hook is handed, for trying out a plugin without the engine."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

from devstream.context import CompletedCommand
from devstream.errors import OperationCancelled, OperationError
from devstream.model.address import Address

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import httpx

__all__ = ["PlainContext", "PlainTool", "RecordingLog"]

_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")
_PULSE = 0.02
_SHOWN_LINES = 20
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


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
        environ: where PATH, HOME, LANG and TMPDIR come from; by default this process's.
        stop: asked again and again; once it gives True, the hook is cancelled.
    """

    folder: Path
    address: Address = field(default_factory=lambda: Address("tool", "test"))
    op_id: str = "op-test"
    attempt: int = 1
    reading: bool = False
    upstream: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    stop: Callable[[], bool] = lambda: False
    log: RecordingLog = field(default_factory=RecordingLog)

    @property
    def cancelled(self) -> bool:
        """True once ``stop`` says so."""
        return self.stop()

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
        """Run a command; see `devstream.context.Context.run`. Its standard error becomes log lines."""
        if self.reading and not reads:
            message = f"`read` tried to run {argv[0]}, which may change something"
            raise OperationError(message, code="read-changes")
        inherited = {name: self.environ[name] for name in _INHERITED if name in self.environ}
        process = _started(argv, cwd or self.folder, {**inherited, **(env or {})})
        try:
            stdout, stderr = self._finish(process, argv[0], (input or "").encode(), timeout)
        finally:
            _end(process)
        if len(stdout) > stdout_limit:
            message = f"{argv[0]} wrote more than {stdout_limit:,} bytes to standard output"
            raise OperationError(message, code="too-much-output")
        return self._completed(process, argv, stdout, stderr, check=check)

    def _finish(
        self, process: subprocess.Popen[bytes], name: str, data: bytes, timeout: float | None
    ) -> tuple[bytes, bytes]:
        end = monotonic() + timeout if timeout is not None else None
        pending: bytes | None = data
        while True:
            if self.cancelled:
                message = f"{name} was stopped"
                raise OperationCancelled(message)
            if end is not None and monotonic() > end:
                message = f"{name} took longer than {timeout:g} s and was stopped"
                raise OperationError(message, code="timeout")
            try:
                return process.communicate(pending, timeout=_PULSE)
            except subprocess.TimeoutExpired:
                pending = None

    def _completed(
        self,
        process: subprocess.Popen[bytes],
        argv: Sequence[str],
        stdout: bytes,
        stderr: bytes,
        *,
        check: bool,
    ) -> CompletedCommand:
        lines = stderr.decode("utf-8", "backslashreplace").splitlines()
        for line in lines:
            self.log.info(line)
        tail = "\n".join(lines[-_SHOWN_LINES:])
        if check and process.returncode != 0:
            message = f"{argv[0]} failed: exit status {process.returncode}"
            raise OperationError(message, code="command-failed", detail=tail)
        text = stdout.decode("utf-8", "backslashreplace")
        return CompletedCommand(tuple(argv), process.returncode, text, tail)

    @cached_property
    def http(self) -> httpx.Client:
        """A real HTTP client; with ``reading`` it refuses what may change something."""
        import httpx

        hooks = {"request": [_refuse_changes]} if self.reading else {}
        return httpx.Client(event_hooks=hooks, trust_env=False)


def _started(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - a fixed argv, never a shell
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env=dict(env),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        message = f"cannot run {argv[0]}: {error}"
        raise OperationError(message, code="cannot-run") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is still running, with everything it started."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _refuse_changes(request: httpx.Request) -> None:
    if request.method not in _SAFE_METHODS:
        message = f"`read` tried to send {request.method} to {request.url.host}, which may change something"
        raise OperationError(message, code="read-changes")
