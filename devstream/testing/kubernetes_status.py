"""What the API server of the stand-in refuses, in the words of the real one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "ApiStatus",
    "Cause",
    "already_exists",
    "bad_request",
    "conflict",
    "forbidden",
    "gone",
    "internal",
    "invalid",
    "not_found",
    "unauthorized",
]


class Cause(NamedTuple):
    """One wrong field.

    Attributes:
        field: its path, ``metadata.name``.
        reason: the kind of mistake, ``FieldValueInvalid``.
        message: what is wrong.
    """

    field: str
    reason: str
    message: str


class ApiStatus(Exception):
    """An answer that is no success; `body` is the object ``Status`` that goes over the wire."""

    def __init__(self, code: int, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.details = {name: value for name, value in details.items() if value}
        self.next_page = ""

    @property
    def body(self) -> dict[str, Any]:
        """The object ``Status``."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.next_page} if self.next_page else {},
            "status": "Failure",
            "message": str(self),
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details:
            body["details"] = self.details
        return {**body, "code": self.code}


def not_found(resource: str, name: str) -> ApiStatus:
    """404: there is no such object."""
    return ApiStatus(404, "NotFound", f'{resource} "{name}" not found', name=name, kind=resource)


def already_exists(resource: str, name: str) -> ApiStatus:
    """409: there is one of that name."""
    return ApiStatus(409, "AlreadyExists", f'{resource} "{name}" already exists', name=name, kind=resource)


def conflict(resource: str, name: str, why: str) -> ApiStatus:
    """409: it is not the one that was meant, or no longer."""
    message = f'Operation cannot be fulfilled on {resource} "{name}": {why}'
    return ApiStatus(409, "Conflict", message, name=name, kind=resource)


def forbidden(resource: str, name: str, why: str, causes: Sequence[Cause] = ()) -> ApiStatus:
    """403: this user may not, or nobody may."""
    subject = f'{resource} "{name}"' if name else resource
    return ApiStatus(
        403, "Forbidden", f"{subject} is forbidden: {why}", name=name, kind=resource, causes=_listed(causes)
    )


def invalid(kind: str, name: str, causes: Sequence[Cause]) -> ApiStatus:
    """422: fields do not hold what they may."""
    texts = list(dict.fromkeys(f"{cause.field}: {cause.message}" for cause in causes))
    listed = texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
    message = f'{kind} "{name}" is invalid: {listed}'
    bare, _, group = kind.partition(".")
    return ApiStatus(422, "Invalid", message, name=name, group=group, kind=bare, causes=_listed(causes))


def bad_request(message: str) -> ApiStatus:
    """400: it cannot be read."""
    return ApiStatus(400, "BadRequest", message)


def unauthorized() -> ApiStatus:
    """401: nobody knows who this is."""
    return ApiStatus(401, "Unauthorized", "Unauthorized")


def gone(message: str) -> ApiStatus:
    """410: what is asked for has been cleared away."""
    return ApiStatus(410, "Expired", message)


def internal(message: str) -> ApiStatus:
    """500: an error that the server has no word for."""
    return ApiStatus(500, "", message)


def _listed(causes: Sequence[Cause]) -> list[dict[str, str]]:
    return [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]
