"""`Operations.run`: one request, one hook call, one result.

A request holds no live object, so that another machine could run it one day; what a hook needs is built here.
"""

from __future__ import annotations

import time
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

from devstream.engine.answers import checked_outputs, checked_status, secrets_in
from devstream.engine.context import EventLog, HookContext, HookTool
from devstream.errors import DevstreamError, Diagnostic, RetryableError, StateError
from devstream.model.tool import READ_TIMEOUT
from devstream.planning.provider import ReadAnswer
from devstream.record import Immutable, field, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from devstream.engine.children import Children
    from devstream.engine.workers import Cancellation
    from devstream.model.address import Address
    from devstream.model.events import Event
    from devstream.model.state import ToolState
    from devstream.model.status import ResourceStatus
    from devstream.model.values import SecretRef
    from devstream.plugins.tool_plugin import ToolPlugin

__all__ = ["Hook", "OperationRequest", "OperationResult", "Operations"]

RETRY_DELAY = 1.0
"""Seconds before the first retry; doubled each time, at most a minute."""


class Hook(StrEnum):
    """The five tool hooks."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    INTEGRATE = "integrate"


class OperationRequest(Immutable, frozen=True):
    """What is to be called, with plain data only; it pickles, and secrets in it pickle as names.

    Attributes:
        options: references are replaced by values; secrets may still be names.
        status: what `create` or `update` said; for `integrate`.
        upstream: outputs of direct upstreams by address.
        retries: how often to try again after "nothing was changed" (or after any failed `read`).
        look_after: on failure ask `read` at once what is there now.
        timeout: seconds it may take, tries again included.
        thorough: `read` may ask others what is newer.
    """

    hook: Hook
    address: Address
    options: Mapping[str, Any]
    folder: Path
    recorded: ToolState | None = None
    status: ResourceStatus | None = None
    upstream: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    op_id: str = ""
    attempt: int = 1
    retries: int = 0
    look_after: bool = False
    lineage: str = ""
    app: str | None = None
    tags: tuple[str, ...] = ()
    timeout: float = READ_TIMEOUT
    thorough: bool = False


class OperationResult(Immutable, frozen=True):
    """What came of a request.

    Attributes:
        status: what create, read and update returned; None from read means gone.
        outputs: what integrate returned.
        error: what went wrong.
        unchanged: with an error, nothing was changed: the hook was not called, or its plugin promises so.
        cancelled: with an error, the run is being stopped and the hook gave up.
        looked: with an error, what `read` said right after; None where it was not asked.
        seconds: how long the hook took.
    """

    status: ResourceStatus | None = None
    outputs: Mapping[str, Any] | None = None
    error: Diagnostic | None = None
    unchanged: bool = False
    cancelled: bool = False
    looked: ReadAnswer | None = None
    seconds: float = 0.0


class Operations:
    """Calls hooks.

    Args:
        plugin: finds the plugin of a tool by its name.
        secrets: gives secrets their text.
        emit: where the log goes.
        conceal: is given the text of every secret that a plugin reports, to mask it from then on.
        lock: ``lock(lineage, op_id)`` opens the lock that an operation's children hold while they live.
    """

    def __init__(
        self,
        *,
        plugin: Callable[[str], ToolPlugin],
        secrets: Callable[[SecretRef], str],
        emit: Callable[[Event], None],
        conceal: Callable[[str], None],
        children: Children,
        environ: Mapping[str, str],
        lock: Callable[[str, str], Any],
    ) -> None:
        self._plugin = plugin
        self._secrets = secrets
        self._emit = emit
        self._conceal = conceal
        self._children = children
        self._environ = environ
        self._lock = lock

    def run(
        self,
        request: OperationRequest,
        cancellation: Cancellation,
        *,
        permit: Callable[[], None] = lambda: None,
    ) -> OperationResult:
        """Call the hook, again where that is promised to be harmless; never raises.

        Args:
            permit: asked right before each call of the hook; it raises where the call must not be made any more.
        """
        began = time.monotonic()
        for attempt in range(request.retries + 1):
            result = self._try(request, cancellation, permit)
            again = result.unchanged or (request.hook is Hook.READ and result.error is not None)
            if not again or result.cancelled or attempt == request.retries:
                break
            if cancellation.wait(min(RETRY_DELAY * 2**attempt, 60.0)):
                result = replace(result, cancelled=not cancellation.overdue)
                break
        if result.error is not None and request.look_after and not result.unchanged:
            result = replace(result, looked=self._look(request, cancellation))
        return replace(result, seconds=time.monotonic() - began)

    def _look(self, request: OperationRequest, cancellation: Cancellation) -> ReadAnswer:
        """Ask `read` what a failed operation left behind, even if the run is being stopped."""
        fresh = type(cancellation)()
        looked = self._try(replace(request, hook=Hook.READ), fresh, lambda: None)
        return ReadAnswer(looked.status, looked.error)

    def _try(
        self, request: OperationRequest, cancellation: Cancellation, permit: Callable[[], None]
    ) -> OperationResult:
        context = self._context(request, cancellation)
        called = False
        try:
            call = self._prepared(request, context)
            permit()
            called = True
            return self._accepted(call(), request)
        except BaseException as error:  # noqa: BLE001 - a plugin may raise anything; it fails its tool only
            not_permitted = isinstance(error, StateError) and not called
            return OperationResult(
                error=_diagnostic_of(error, request),
                unchanged=not called or isinstance(error, RetryableError),
                cancelled=not_permitted or (cancellation.requested and not cancellation.overdue),
            )
        finally:
            context.close()

    def _context(self, request: OperationRequest, cancellation: Cancellation) -> HookContext:
        reading = request.hook is Hook.READ
        return HookContext(
            address=request.address,
            folder=request.folder,
            log=EventLog(request.address, self._emit),
            cancellation=cancellation,
            children=self._children,
            environ=self._environ,
            op_id=request.op_id,
            attempt=request.attempt,
            upstream=request.upstream,
            reading=reading,
            thorough=request.thorough,
            lock=None if reading or not request.op_id else lambda: self._lock(request.lineage, request.op_id),
        )

    def _prepared(self, request: OperationRequest, context: HookContext) -> Callable[[], Any]:
        """Give the hook with its arguments; what goes wrong until here has touched nothing."""
        plugin = self._plugin(request.address.name)
        options = _reveal(request.options, self._secrets)
        tool = HookTool(request.address, plugin.convert(options), options, request.app, request.tags)
        arguments: dict[str, Any] = {"tool": tool, "context": context}
        if request.hook in (Hook.READ, Hook.UPDATE, Hook.DELETE):
            arguments["recorded"] = request.recorded
        if request.hook is Hook.INTEGRATE:
            arguments["status"] = request.status
            arguments["upstream"] = dict(request.upstream)
        return partial(getattr(plugin.hooks, request.hook), **arguments)

    def _accepted(self, answer: Any, request: OperationRequest) -> OperationResult:
        """Check an answer, and mask from now on what secrets are in it."""
        if request.hook is Hook.DELETE or (request.hook is Hook.READ and answer is None):
            return OperationResult()
        if request.hook is Hook.INTEGRATE:
            outputs = checked_outputs(answer, request.hook)
            self._conceal_all(outputs)
            return OperationResult(outputs=outputs)
        status = checked_status(answer, request.hook)
        self._conceal_all(status.properties, status.outputs, status.info)
        return OperationResult(status=status)

    def _conceal_all(self, *trees: Mapping[str, Any] | None) -> None:
        for secret in secrets_in(*trees):
            self._conceal(secret.reveal())


def _reveal(options: Mapping[str, Any], secrets: Callable[[SecretRef], str]) -> dict[str, Any]:
    """Give every secret its text, right before the hook and nowhere else."""
    from devstream.model.recorded import resolve
    from devstream.planning.outputs import OutputBook

    revealed: dict[str, Any] = resolve(dict(options), OutputBook(secrets))
    return revealed


def _diagnostic_of(error: BaseException, request: OperationRequest) -> Diagnostic:
    if not isinstance(error, DevstreamError):
        return _defect(error, request)
    first = error.diagnostics[0]
    return first if first.address else replace(first, address=str(request.address))


def _defect(error: BaseException, request: OperationRequest) -> Diagnostic:
    """Describe an exception that a plugin did not mean to raise; `SystemExit` is one too."""
    import traceback

    frame = traceback.extract_tb(error.__traceback__)[-1]
    first, _, rest = _text_of(error).partition("\n")
    return Diagnostic(
        f"`{request.hook}` raised {type(error).__name__}{f': {first}' if first else ''}",
        "plugin-defect",
        detail="\n".join(filter(None, (rest, f"in {frame.name}, {frame.filename}:{frame.lineno}"))),
        address=str(request.address),
        suggestion="this is a defect of the plugin",
    )


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - even this is the plugin's code
        return ""
