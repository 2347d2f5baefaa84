"""What a hook is handed, as Protocols; `devstream.engine.context` implements them, tests may too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import httpx

    from devstream.model.address import Address

__all__ = ["Tool", "Log", "CompletedCommand", "Context"]


class Tool(Protocol):
    """The tool instance a hook works on, with references and secrets resolved.

    Attributes:
        address: ``name.instanceID``.
        options: the options as the Struct of the tool's schema (a dict where it has no schema).
        raw_options: the same as a tree of dicts and lists, without the schema's defaults; secrets are `Secret`.
        app: name of the app it was generated from, or None.
    """

    @property
    def address(self) -> Address: ...
    @property
    def name(self) -> str: ...
    @property
    def instance_id(self) -> str: ...
    @property
    def options(self) -> Any: ...
    @property
    def raw_options(self) -> Mapping[str, Any]: ...
    @property
    def app(self) -> str | None: ...
    @property
    def tags(self) -> tuple[str, ...]: ...


class Log(Protocol):
    """Where a hook says what it is doing; secrets are masked on the way out."""

    def debug(self, message: str) -> None:
        """Say something for ``-vv``."""

    def info(self, message: str) -> None:
        """Say something for ``-v``; the last line is shown beside the running operation."""

    def warning(self, message: str) -> None:
        """Say something that people should see."""


class CompletedCommand(Immutable, frozen=True):
    """A command that has ended."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str


class Context(Protocol):
    """What a hook may use to touch the world.

    Attributes:
        address: the tool it works for.
        op_id: names this operation, also when it is tried again after a crash; empty in a `read` of a plan.
        attempt: from 1.
        folder: absolute folder of the configuration, for relative paths.
        log: where to say what it is doing.
        upstream: outputs of the direct upstreams by address, as far as they are known.
    """

    @property
    def address(self) -> Address: ...
    @property
    def op_id(self) -> str: ...
    @property
    def attempt(self) -> int: ...
    @property
    def folder(self) -> Path: ...
    @property
    def log(self) -> Log: ...
    @property
    def upstream(self) -> Mapping[str, Mapping[str, Any]]: ...

    @property
    def thorough(self) -> bool:
        """True where people ask what is newer elsewhere (`devstream apps outdated`); a plan's reads are not thorough.

        `read` may then ask others for it, and give it in ``info``: ``template: {url, pinned, latest, behind}``.
        """

    @property
    def cancelled(self) -> bool:
        """True once the run is being stopped, or this operation's time is up: give up soon."""

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
        """Run a command, without a shell, and wait for it.

        Args:
            argv: the command; an absolute path or a name looked up on PATH.
            reads: the caller promises that it changes nothing. While planning everything else is refused.
            input: text for its standard input; without it, standard input is empty.
            env: added to PATH, HOME, LANG and TMPDIR, which is all it gets otherwise.
            cwd: the folder it runs in; by default the configuration's.
            timeout: seconds, beside the operation's own limit.
            check: raise when the exit status is not 0.
            stdout_limit: bytes of standard output to keep; more is an error.

        Raises:
            OperationError: the command is missing, failed (the last lines of its standard error are shown) or
                took too long.
            OperationCancelled: the run is being stopped; the command and its children were ended.
        """

    @property
    def http(self) -> httpx.Client:
        """An HTTP client; while planning it refuses everything but GET, HEAD and OPTIONS."""

    def httpx_transport(self, *, ca_file: Path | None = None) -> httpx.BaseTransport:
        """Give a transport for a client that builds its own httpx client, under the same rule as `http`.

        Args:
            ca_file: certificates (PEM) to trust instead of the usual ones; they are verified in any case.

        Raises:
            OperationError: ``ca_file`` cannot be read.
        """

    def check_request(self, method: str, url: str, *, reads: bool = False) -> None:
        """Ask leave to send a request with a client that has a transport of its own (requests, urllib3).

        Args:
            reads: the caller promises that this request changes nothing, whatever its method.

        Raises:
            OperationError: a `read` may not send it.
        """
