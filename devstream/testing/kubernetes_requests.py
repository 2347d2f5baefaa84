"""One request to the API server of the stand-in: which checks come in which order, and what is answered."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

from devstream.testing.kubernetes_access import Access, Attributes
from devstream.testing.kubernetes_rules import decode
from devstream.testing.kubernetes_status import ApiStatus, Cause, bad_request, invalid
from devstream.testing.kubernetes_store import Place, Store

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Answer", "Api", "Request"]

_MAX_BODY = 3_145_728
_ACCEPTED = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
_VERBS = {
    "GET": "get",
    "POST": "create",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
    "HEAD": "get",
}
_OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "DELETE": "DeleteOptions"}
_PROPAGATION = ("", "Orphan", "Background", "Foreground")
_RESOURCES = ("configmaps", "namespaces")
_VERSION = {"major": "1", "minor": "36", "gitVersion": "v1.36.0", "platform": "linux/amd64"}


class Request(NamedTuple):
    """What came over the wire. ``headers`` has lower-case names."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def path(self) -> str:
        """The path, without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The parameters; of one name the first counts."""
        pairs = parse_qsl(urlsplit(self.target).query, keep_blank_values=True)
        return dict(reversed(pairs))


class Answer(NamedTuple):
    """What goes back: an object, or (where ``text`` is given) plain text."""

    code: int
    content: Mapping[str, Any] | None = None
    text: str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    watch: tuple[Place, int] | None = None


class Api:
    """Answers requests."""

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access

    def answer(self, request: Request) -> Answer:
        """Do what a request asks for; every refusal is an answer too."""
        try:
            user = self._access.user_of(request.headers.get("authorization", ""))
            wanted = _attributes(request)
            self._access.check(user, wanted)
            return self._served(request, wanted)
        except ApiStatus as status:
            return Answer(status.code, status.body)

    def _served(self, request: Request, wanted: Attributes) -> Answer:
        if wanted.path or wanted.resource not in _RESOURCES:
            return _outside(request.path)
        _check_accept(request)
        namespace = "" if wanted.resource == "namespaces" else wanted.namespace
        place = Place(wanted.resource, namespace, wanted.name)
        if wanted.verb == "watch":
            return Answer(200, watch=(place, _number(request.query, "resourceVersion")))
        if wanted.verb == "list":
            return Answer(200, self._store.find(place, request.query))
        if wanted.verb == "get":
            return Answer(200, self._store.read(place))
        if (wanted.verb, bool(place.name)) in (("create", False), ("update", True)):
            return self._write(request, place)
        if wanted.verb == "delete":
            return self._delete(request, place)
        message = "the server does not allow this method on the requested resource"
        raise ApiStatus(405, "MethodNotAllowed", message, kind=place.resource)

    def _write(self, request: Request, place: Place) -> Answer:
        _check_body(request)
        dry_run = _dry_run(request)
        strictness = _strictness(request)
        content, unknown = decode(request.body, place.kind)
        warnings = [f'unknown field "{name}"' for name in unknown]
        if warnings and strictness == "Strict":
            raise bad_request(f"strict decoding error: {', '.join(warnings)}")
        if request.method == "POST":
            answer = Answer(201, self._store.create(place, content, dry_run=dry_run))
        else:
            answer = Answer(200, self._store.replace(place, content, dry_run=dry_run))
        if warnings and strictness == "Warn":
            told = ", ".join(
                f'299 - "{warning}"'.replace('d "', 'd \\"').replace('""', '\\""') for warning in warnings
            )
            return answer._replace(headers={"Warning": told})
        return answer

    def _delete(self, request: Request, place: Place) -> Answer:
        options = _delete_options(request)
        dry_run = _dry_run(request) or options.get("dryRun") == ["All"]
        deleted, is_gone = self._store.delete(place, options.get("preconditions") or {}, dry_run=dry_run)
        if not is_gone:
            return Answer(200, deleted)
        details = {"name": place.name, "kind": place.resource, "uid": deleted["metadata"]["uid"]}
        return Answer(
            200,
            {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details},
        )


def _attributes(request: Request) -> Attributes:
    """Read from a request what its sender needs the right to."""
    verb = _VERBS.get(request.method, request.method.lower())
    parts = request.path.strip("/").split("/")
    if parts[:2] != ["api", "v1"] or len(parts) == 2:
        return Attributes(verb, path=request.path)
    rest = parts[2:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource, name = rest[0], "/".join(rest[1:])
    if resource == "namespaces" and not namespace:
        namespace = name
    if not name and verb == "get":
        verb = "watch" if request.query.get("watch") in ("true", "1") else "list"
    if not name and verb == "delete":
        verb = "deletecollection"
    return Attributes(verb, resource, namespace, name)


def _outside(path: str) -> Answer:
    if path == "/version":
        return Answer(200, _VERSION)
    if path in ("/healthz", "/readyz", "/livez"):
        return Answer(200, text="ok")
    return Answer(404, text="404 page not found\n")


def _check_accept(request: Request) -> None:
    accepted = request.headers.get("accept") or "*/*"
    kinds = {part.partition(";")[0].strip() for part in accepted.split(",")}
    if not kinds & {"*/*", "application/*", "application/json"}:
        message = f"only the following media types are accepted: {_ACCEPTED}"
        raise ApiStatus(406, "NotAcceptable", message)


def _check_body(request: Request) -> None:
    kind = request.headers.get("content-type", "application/json").partition(";")[0].strip()
    if kind not in ("application/json", "*/*", ""):
        message = (
            f"the body of the request was in an unknown format - accepted media types include: {_ACCEPTED}"
        )
        raise ApiStatus(415, "UnsupportedMediaType", message)
    if len(request.body) > _MAX_BODY:
        message = f"Request entity too large: limit is {_MAX_BODY}"
        raise ApiStatus(413, "RequestEntityTooLarge", message)


def _option_refused(request: Request, field: str, value: str, supported: str) -> ApiStatus:
    text = f'Unsupported value: "{value}": supported values: {supported}'
    kind = f"{_OPTIONS[request.method]}.meta.k8s.io"
    return invalid(kind, "", [Cause(field, "FieldValueNotSupported", text)])


def _dry_run(request: Request) -> bool:
    value = request.query.get("dryRun", "")
    if value not in ("", "All"):
        raise _option_refused(request, "dryRun", value, '"All"')
    return value == "All"


def _strictness(request: Request) -> str:
    value = request.query.get("fieldValidation") or "Warn"
    if value not in ("Ignore", "Warn", "Strict"):
        raise _option_refused(request, "fieldValidation", value, '"", "Ignore", "Strict", "Warn"')
    return value


def _delete_options(request: Request) -> dict[str, Any]:
    options: dict[str, Any] = {"propagationPolicy": request.query.get("propagationPolicy", "")}
    if request.body:
        _check_body(request)
        try:
            options = json.loads(request.body)
        except ValueError as error:
            message = f"couldn't get version/kind; json parse error: {error}"
            raise bad_request(message) from None
        if not isinstance(options, dict) or options.get("kind", "DeleteOptions") != "DeleteOptions":
            message = "decoded object cannot be converted to DeleteOptions"
            raise bad_request(message)
    policy = options.get("propagationPolicy") or ""
    if policy not in _PROPAGATION:
        raise _option_refused(request, "propagationPolicy", policy, '"Background", "Foreground", "Orphan"')
    return options


def _number(query: Mapping[str, str], name: str) -> int:
    value = query.get(name) or "0"
    if not value.isdecimal():
        message = f'Invalid value: "{value}": strconv.ParseUint: parsing "{value}": invalid syntax'
        raise invalid("ListOptions.meta.k8s.io", "", [Cause(name, "FieldValueInvalid", message)])
    return int(value)
