"""`Description`: a vendor's description of a JSON API (Swagger 2 or OpenAPI 3); requests and answers are held to it.

::

    description = Description(Path("gitea.json"))
    for request, response in recorded:
        assert description.problems(request, response) == []

Needs the library jsonschema.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from devstream.testing.service import Request, Response

__all__ = ["Description", "Recorder", "Exchange"]

_JSON = "application/json"
_OTHERS = ("anyOf", "oneOf")


class Exchange(NamedTuple):
    """A request, and what was answered."""

    request: Request
    response: Response


class Recorder:
    """Mixed in before a stand-in: keeps what its API was asked together with what it answered."""

    @cached_property
    def exchanges(self) -> list[Exchange]:
        """What was asked and answered, in order."""
        return []

    def _routed(self, request: Request) -> Response:
        response: Response = super()._routed(request)  # type: ignore[misc]  # of the Service it is mixed in before
        if ".git/" not in request.path:
            self.exchanges.append(Exchange(request, response))
        return response


class Description:
    """The operations of an API.

    Args:
        path: the description, as JSON.
    """

    def __init__(self, path: Path) -> None:
        self._document = _nullable(json.loads(path.read_text(encoding="utf-8")))
        servers = self._document.get("servers") or [{"url": ""}]
        self._base = self._document.get("basePath") or urlsplit(servers[0]["url"]).path
        self._templates = sorted(self._document["paths"], key=lambda template: template.count("{"))

    def problems(self, request: Request, response: Response | None = None) -> list[str]:
        """List what the description does not have, or has otherwise, in a request and the answer to it."""
        asked = f"{request.method} {request.path}"
        operation = self._operation(request)
        if operation is None:
            return [f"{asked}: there is no such operation"]
        found = [*self._query(request, operation), *self._body(request, operation)]
        if response is not None:
            found += self._answer(response, operation)
        return [f"{asked}: {problem}" for problem in found]

    def _operation(self, request: Request) -> dict[str, Any] | None:
        path = request.path.removeprefix(self._base)
        for template in self._templates:
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            methods = self._document["paths"][template]
            if re.fullmatch(pattern, path) and request.method.lower() in methods:
                shared = methods.get("parameters", [])
                own = methods[request.method.lower()]
                return {**own, "parameters": [*shared, *own.get("parameters", [])]}
        return None

    def _parameters(self, operation: Mapping[str, Any], where: str) -> dict[str, Any]:
        found = [self._resolved(parameter) for parameter in operation["parameters"]]
        return {parameter["name"]: parameter for parameter in found if parameter["in"] == where}

    def _resolved(self, thing: Any) -> Any:
        while "$ref" in thing:
            value: Any = self._document
            for step in thing["$ref"].removeprefix("#/").split("/"):
                value = value[step]
            thing = value
        return thing

    def _query(self, request: Request, operation: Mapping[str, Any]) -> Iterator[str]:
        known = self._parameters(operation, "query")
        asked = request.repeated or {name: (value,) for name, value in request.query.items()}
        for name, value in ((name, value) for name, values in asked.items() for value in values):
            if name not in known:
                yield f"the query knows no {name}"
                continue
            schema = known[name].get("schema") or known[name]
            schema = schema["items"] if schema.get("type") == "array" else schema
            if schema.get("type") in {"integer", "number"} and not value.isdecimal():
                yield f"{name}={value} is no number"
            if value not in schema.get("enum", [value]):
                yield f"{name}={value} is none of {schema['enum']}"
        yield from (
            f"the query lacks {name}"
            for name, one in known.items()
            if one.get("required") and name not in request.query
        )

    def _body(self, request: Request, operation: Mapping[str, Any]) -> Iterator[str]:
        schema, is_required = self._body_schema(operation)
        if not request.body:
            if is_required:
                yield "the body is missing"
        elif schema is None:
            yield "there is no body to send"
        else:
            yield from self._mismatches(schema, request.json, "body")

    def _body_schema(self, operation: Mapping[str, Any]) -> tuple[Any, bool]:
        if "requestBody" in operation:
            body = self._resolved(operation["requestBody"])
            return body["content"].get(_JSON, {}).get("schema"), bool(body.get("required"))
        for parameter in self._parameters(operation, "body").values():
            return parameter.get("schema"), bool(parameter.get("required"))
        return None, False

    def _answer(self, response: Response, operation: Mapping[str, Any]) -> Iterator[str]:
        described = operation["responses"].get(str(response.status))
        if described is None:
            if response.status < 300:
                yield f"{response.status} is no answer"
            return
        found = self._resolved(described)
        schema = found.get("schema") or found.get("content", {}).get(_JSON, {}).get("schema")
        if schema is None or response.body is None or response.status >= 300:
            return
        yield from self._mismatches(_without_required(schema), response.body, "answer")

    def _mismatches(self, schema: Any, value: Any, what: str) -> Iterator[str]:
        from jsonschema import Draft4Validator  # type: ignore[import-untyped]  # it has no types

        kept = {name: self._document.get(name, {}) for name in ("definitions", "components")}
        if what == "answer":
            kept = _without_required(kept)
        for error in Draft4Validator({"allOf": [schema], **kept}).iter_errors(value):
            yield f"{what}{error.json_path.removeprefix('$')}: {error.message[:200]}"
        yield from self._unknown(schema, value, what)

    def _unknown(self, schema: Any, value: Any, where: str) -> Iterator[str]:
        """Give fields that the schema does not name, where it names any and says nothing of others."""
        schema = self._resolved(schema)
        if isinstance(value, list):
            for item in value:
                yield from self._unknown(schema.get("items", {}), item, f"{where}[]")
        properties = self._properties(schema)
        if not isinstance(value, dict) or not properties:
            return
        for name, item in value.items():
            if name not in properties:
                yield f"{where} knows no {name}"
            else:
                yield from self._unknown(properties[name], item, f"{where}.{name}")

    def _properties(self, schema: Any) -> dict[str, Any] | None:
        """Give the fields that a schema names, with those of its parts; None where it lets others pass."""
        schema = self._resolved(schema)
        if schema.get("additionalProperties") or any(word in schema for word in _OTHERS):
            return None
        found = dict(schema.get("properties", {}))
        for part in schema.get("allOf", ()):
            fields = self._properties(part)
            if fields is None:
                return None
            found |= fields
        return found


def _nullable(value: Any) -> Any:
    """Say ``nullable`` in the words of JSON Schema."""
    if isinstance(value, list):
        return [_nullable(item) for item in value]
    if not isinstance(value, dict):
        return value
    made = {key: _nullable(item) for key, item in value.items()}
    if made.pop("nullable", None) is True:
        made = {"anyOf": [made, {"type": "null"}]} if "type" not in made else {**made, **_or_null(made)}
    return made


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    wider: dict[str, Any] = {"type": [schema["type"], "null"]}
    return {**wider, "enum": [*schema["enum"], None]} if "enum" in schema else wider


def _without_required(value: Any) -> Any:
    """Let fields be missing: a stand-in answers what is read, and no more. Alternatives are not told apart then."""
    if isinstance(value, list):
        return [_without_required(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        "anyOf" if key == "oneOf" else key: _without_required(item)
        for key, item in value.items()
        if key != "required" or not isinstance(item, list)
    }
