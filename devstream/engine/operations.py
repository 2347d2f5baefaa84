"""`Operations.run`: one request, one hook call, one result.

A request holds no live object, so that another machine could run it one day; what a hook needs is built here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from devstream.engine.context import EventLog, HookContext, HookTool
from devstream.errors import DevstreamError, Diagnostic, OperationCancelled, OperationError, RetryableError
from devstream.model.status import ResourceStatus
from devstream.planning.provider import ReadAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from devstream.engine.process import Children
    from devstream.engine.workers import Cancellation
    from devstream.model.address import Address
    from devstream.model.events import Event
    from devstream.model.state import ToolState
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


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """What is to be called, with plain data only; it pickles, and secrets in it pickle as names.

    Attributes:
        options: references are replaced by values; secrets may still be names.
        status: what `create` or `update` said; for `integrate`.
        upstream: outputs of direct upstreams by address.
        retries: how often to try again after "nothing was changed" (or after any failed `read`).
        look_after: on failure ask `read` at once what is there now.
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


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What came of a request.

    Attributes:
        status: what create, read and update returned; None from read means gone.
        outputs: what integrate returned.
        error: what went wrong.
        unchanged: with an error, the plugin's promise that nothing was changed.
        cancelled: with an error, the hook gave up because it was asked to.
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
        lock: ``lock(lineage, op_id)`` opens the lock that an operation's children hold while they live.
    """

    def __init__(
        self,
        *,
        plugin: Callable[[str], ToolPlugin],
        secrets: Callable[[SecretRef], str],
        emit: Callable[[Event], None],
        children: Children,
        environ: Mapping[str, str],
        lock: Callable[[str, str], Any],
    ) -> None:
        self._plugin = plugin
        self._secrets = secrets
        self._emit = emit
        self._children = children
        self._environ = environ
        self._lock = lock

    def run(self, request: OperationRequest, cancellation: Cancellation) -> OperationResult:
        """Call the hook, again where that is promised to be harmless; never raises."""
        began = time.monotonic()
        for attempt in range(request.retries + 1):
            result = self._try(request, cancellation)
            again = result.unchanged or (request.hook is Hook.READ and result.error is not None)
            if not again or result.cancelled or attempt == request.retries:
                break
            if cancellation.wait(min(RETRY_DELAY * 2**attempt, 60.0)):
                break
        if result.error is not None and request.look_after and not result.unchanged:
            result = replace(result, looked=self._look(request, cancellation))
        return replace(result, seconds=time.monotonic() - began)

    def _look(self, request: OperationRequest, cancellation: Cancellation) -> ReadAnswer:
        """Ask `read` what a failed operation left behind, even if the run is being stopped."""
        fresh = type(cancellation)()
        looked = self._try(replace(request, hook=Hook.READ), fresh)
        return ReadAnswer(looked.status, looked.error)

    def _try(self, request: OperationRequest, cancellation: Cancellation) -> OperationResult:
        context = self._context(request, cancellation)
        try:
            return self._call(request, context)
        except DevstreamError as error:
            return OperationResult(
                error=_about(error.diagnostics[0], request.address),
                unchanged=isinstance(error, RetryableError),
                cancelled=isinstance(error, OperationCancelled) or cancellation.requested,
            )
        except Exception as error:  # noqa: BLE001 - a plugin may raise anything; it fails its tool only
            return OperationResult(error=_defect(error, request), cancelled=cancellation.requested)
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
            lock=None if reading or not request.op_id else lambda: self._lock(request.lineage, request.op_id),
        )

    def _call(self, request: OperationRequest, context: HookContext) -> OperationResult:
        plugin = self._plugin(request.address.name)
        options = _reveal(request.options, self._secrets)
        tool = HookTool(request.address, plugin.convert(options), options, request.app, request.tags)
        arguments: dict[str, Any] = {"tool": tool, "context": context}
        if request.hook in (Hook.READ, Hook.UPDATE, Hook.DELETE):
            arguments["recorded"] = request.recorded
        if request.hook is Hook.INTEGRATE:
            arguments["status"] = request.status
            arguments["upstream"] = dict(request.upstream)
        answer = getattr(plugin.hooks, request.hook)(**arguments)
        return _checked(answer, request)


def _reveal(options: Mapping[str, Any], secrets: Callable[[SecretRef], str]) -> dict[str, Any]:
    """Give every secret its text, right before the hook and nowhere else."""
    from devstream.model.recorded import resolve
    from devstream.planning.outputs import OutputBook

    revealed: dict[str, Any] = resolve(dict(options), OutputBook(secrets))
    return revealed


def _checked(answer: Any, request: OperationRequest) -> OperationResult:
    """Hold the plugin to its contract: the right type, and nothing but JSON and secrets in it."""
    if request.hook is Hook.DELETE:
        return OperationResult()
    if request.hook is Hook.INTEGRATE:
        outputs = {} if answer is None else answer
        _require_json(outputs, request)
        return OperationResult(outputs=outputs)
    if answer is None and request.hook is not Hook.READ:
        answer = ResourceStatus()
    if answer is not None and not isinstance(answer, ResourceStatus):
        message = f"`{request.hook}` returned {type(answer).__name__}, not a ResourceStatus"
        raise OperationError(message, code="plugin-contract")
    if answer is not None:
        for part in (answer.properties, answer.outputs, answer.info):
            _require_json(part, request)
    return OperationResult(status=answer)


def _require_json(tree: Any, request: OperationRequest) -> None:
    from devstream.model.values import Secret, format_path, iter_leaves

    for path, leaf in iter_leaves(tree):
        plain = leaf is None or isinstance(leaf, str | int | float | bool | Secret) or leaf in ({}, [])
        if not plain or not all(isinstance(step, str | int) for step in path):
            where = format_path(tuple(str(step) for step in path))
            message = f"`{request.hook}` returned {where} as {type(leaf).__name__}, which is not JSON"
            raise OperationError(message, code="plugin-contract")


def _about(diagnostic: Diagnostic, address: Address) -> Diagnostic:
    return diagnostic if diagnostic.address else replace(diagnostic, address=str(address))


def _defect(error: Exception, request: OperationRequest) -> Diagnostic:
    """Describe an exception that a plugin did not mean to raise; its text may hold anything, so it is detail."""
    import traceback

    frame = traceback.extract_tb(error.__traceback__)[-1]
    return Diagnostic(
        f"`{request.hook}` raised {type(error).__name__}: {error}",
        "plugin-defect",
        detail=f"in {frame.name}, {frame.filename}:{frame.lineno}",
        address=str(request.address),
        suggestion="this is a defect of the plugin",
    )
