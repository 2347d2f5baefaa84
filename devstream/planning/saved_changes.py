"""Changes of a saved plan as they are written, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from devstream.errors import Diagnostic, Mark, Severity
from devstream.model.address import Address
from devstream.model.origin import Origin
from devstream.model.plan import Action, Change, FieldChange, FieldSource, Reason, ReasonCode
from devstream.model.state import PutReason  # noqa: TC001 - msgspec reads it
from devstream.model.tool import ToolInstance
from devstream.planning.saved_values import decode_value, encode_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = [
    "ChangeDocument",
    "OriginDocument",
    "Wording",
    "change_document",
    "change_of",
    "origin_document",
    "origin_of",
]


class Wording(NamedTuple):
    """How text that is only for people is written.

    Attributes:
        mask: takes secrets out of it.
        file: makes the name of a file such that it means the same anywhere.
    """

    mask: Callable[[str], str] = str
    file: Callable[[str], str] = str


class MarkDocument(msgspec.Struct, frozen=True, array_like=True):
    """A place in a file."""

    file: str
    line: int
    column: int


class OriginDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a value was written."""

    mark: MarkDocument | None = None
    trail: tuple[str, ...] = ()


class ToolDocument(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A tool instance; the names are those of `ToolInstance`."""

    options: dict[str, Any]
    origin: OriginDocument
    depends_on: tuple[str, ...] = ()
    after_tools: bool = False
    app: str | None = None
    tags: tuple[str, ...] = ()
    adopt: bool | None = None
    allow_delete: bool = False
    protect: bool | None = None
    retries: int = 0
    timeout: float | None = None
    connection: str | None = None


class ReasonDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why something is to be done."""

    code: ReasonCode
    text: str
    paths: tuple[tuple[str | int, ...], ...] = ()
    upstream: tuple[str, ...] = ()


class FieldDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """A field that differs."""

    path: tuple[str | int, ...]
    before: Any
    after: Any
    source: FieldSource = FieldSource.OPTIONS
    origin: OriginDocument | None = None
    immutable: bool = False
    may_change: bool = False


class ErrorDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with an address."""

    summary: str
    code: str
    severity: Severity = Severity.ERROR
    detail: str = ""
    mark: MarkDocument | None = None
    address: str | None = None
    suggestion: str = ""


class ChangeDocument(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A change; the names are those of `Change`. What is recorded and what `read` said are not in it."""

    address: str
    action: Action
    reasons: tuple[ReasonDocument, ...] = ()
    tool: ToolDocument | None = None
    was_read: bool = False
    fields: tuple[FieldDocument, ...] = ()
    conditional_on: tuple[str, ...] = ()
    look_again: bool = False
    put: PutReason | None = None
    error: ErrorDocument | None = None
    protected: bool = False
    op_id: str = ""
    attempt: int = 1


_PLAIN_TOOL = (
    "after_tools",
    "app",
    "tags",
    "adopt",
    "allow_delete",
    "protect",
    "retries",
    "timeout",
    "connection",
)
_PLAIN_CHANGE = ("action", "was_read", "look_again", "put", "protected", "op_id", "attempt")


def change_document(change: Change, wording: Wording) -> ChangeDocument:
    """Write a change."""
    return ChangeDocument(
        address=str(change.address),
        reasons=tuple(_reason_document(reason, wording) for reason in change.reasons),
        tool=_tool_document(change.tool, wording) if change.tool else None,
        fields=tuple(_field_document(field, wording) for field in change.fields),
        conditional_on=_texts(change.conditional_on),
        error=_error_document(change.error, wording) if change.error else None,
        **{name: getattr(change, name) for name in _PLAIN_CHANGE},
    )


def change_of(document: ChangeDocument) -> Change:
    """Read a change.

    Raises:
        KeyError, TypeError, ValueError: it is nothing that `change_document` writes.
    """
    address = Address.parse(document.address)
    return Change(
        address,
        reasons=tuple(_reason_of(reason) for reason in document.reasons),
        tool=_tool_of(address, document.tool) if document.tool else None,
        fields=tuple(_field_of(field) for field in document.fields),
        conditional_on=_addresses(document.conditional_on),
        error=_error_of(document.error) if document.error else None,
        **{name: getattr(document, name) for name in _PLAIN_CHANGE},
    )


def _texts(addresses: Iterable[Address]) -> tuple[str, ...]:
    return tuple(str(address) for address in addresses)


def _addresses(texts: Iterable[str]) -> tuple[Address, ...]:
    return tuple(Address.parse(text) for text in texts)


def _tool_document(tool: ToolInstance, wording: Wording) -> ToolDocument:
    options: Any = encode_value(dict(tool.options))
    return ToolDocument(
        options=options,
        origin=origin_document(tool.origin, wording),
        depends_on=_texts(tool.depends_on),
        **{name: getattr(tool, name) for name in _PLAIN_TOOL},
    )


def _tool_of(address: Address, document: ToolDocument) -> ToolInstance:
    return ToolInstance(
        address,
        decode_value(document.options),
        origin_of(document.origin),
        _addresses(document.depends_on),
        **{name: getattr(document, name) for name in _PLAIN_TOOL},
    )


def _reason_document(reason: Reason, wording: Wording) -> ReasonDocument:
    return ReasonDocument(reason.code, wording.mask(reason.text), reason.paths, _texts(reason.upstream))


def _reason_of(document: ReasonDocument) -> Reason:
    return Reason(document.code, document.text, document.paths, _addresses(document.upstream))


def _field_document(field: FieldChange, wording: Wording) -> FieldDocument:
    return FieldDocument(
        field.path,
        _masked(encode_value(field.before), wording),
        _masked(encode_value(field.after), wording),
        field.source,
        origin_document(field.origin, wording) if field.origin else None,
        field.immutable,
        field.may_change,
    )


def _masked(encoded: Any, wording: Wording) -> Any:
    if isinstance(encoded, dict):
        return {name: _masked(item, wording) for name, item in encoded.items()}
    if isinstance(encoded, list):
        return [_masked(item, wording) for item in encoded]
    return wording.mask(encoded) if isinstance(encoded, str) else encoded


def _field_of(document: FieldDocument) -> FieldChange:
    return FieldChange(
        document.path,
        decode_value(document.before),
        decode_value(document.after),
        document.source,
        origin_of(document.origin) if document.origin else None,
        document.immutable,
        document.may_change,
    )


def _error_document(error: Diagnostic, wording: Wording) -> ErrorDocument:
    return ErrorDocument(
        wording.mask(error.summary),
        error.code,
        error.severity,
        wording.mask(error.detail),
        _mark_document(error.mark, wording),
        error.address,
        wording.mask(error.suggestion),
    )


def _error_of(document: ErrorDocument) -> Diagnostic:
    return Diagnostic(
        document.summary,
        document.code,
        document.severity,
        document.detail,
        _mark_of(document.mark),
        document.address,
        document.suggestion,
    )


def origin_document(origin: Origin, wording: Wording) -> OriginDocument:
    """Write where a value was written."""
    return OriginDocument(_mark_document(origin.mark, wording), origin.trail)


def origin_of(document: OriginDocument) -> Origin:
    """Read where a value was written."""
    return Origin(_mark_of(document.mark), document.trail)


def _mark_document(mark: Mark | None, wording: Wording) -> MarkDocument | None:
    return MarkDocument(wording.file(mark.file), mark.line, mark.column) if mark else None


def _mark_of(document: MarkDocument | None) -> Mark | None:
    return Mark(document.file, document.line, document.column) if document else None
