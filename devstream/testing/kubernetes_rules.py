"""Which objects the API server of the stand-in takes: decoding, and the rules of fields."""

from __future__ import annotations

import base64
import binascii
import json
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.testing.kubernetes_status import Cause, bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["KINDS", "MAX_ANNOTATIONS", "MAX_DATA", "Decoded", "check", "check_change", "decode", "raw_size"]

MAX_DATA = 1_048_576
"""Bytes that all values of a ConfigMap may have together, base64 not counted."""

MAX_ANNOTATIONS = 262_144
"""Bytes that all annotations of an object may have together, keys counted."""

_MAX_NAME = 253
_MAX_LABEL = 63

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = f"({_QUALIFIED})?"
_DATA_KEY = "[-._a-zA-Z0-9]+"

_IS_SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_IS_LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_IS_QUALIFIED = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_IS_LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_LABEL_VALUE}')"
)
_IS_DATA_KEY = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    f"'key-name', regex used for validation is '{_DATA_KEY}')"
)
_UNCHANGED = "field is immutable when `immutable` is set"

_METADATA: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("name", "generateName", "namespace", "selfLink", "uid", "resourceVersion"), "string"
        ),
        **dict.fromkeys(("creationTimestamp", "deletionTimestamp"), "string"),
        **dict.fromkeys(("generation", "deletionGracePeriodSeconds"), "number"),
        **dict.fromkeys(("labels", "annotations"), "map"),
        **dict.fromkeys(("ownerReferences", "finalizers", "managedFields"), "array"),
    }
)
KINDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "ConfigMap": MappingProxyType({"data": "map", "binaryData": "map", "immutable": "bool"}),
        "Namespace": MappingProxyType({"spec": "object", "status": "object"}),
    }
)
"""The kinds that the stand-in knows, with the fields beside ``metadata`` and their types."""

_TYPES: Mapping[str, tuple[type, ...]] = MappingProxyType(
    {"string": (str,), "number": (int,), "map": (dict,), "object": (dict,), "array": (list,), "bool": (bool,)}
)


class Decoded(NamedTuple):
    """An object as it was sent, without what is null or empty, and the fields that nobody knows."""

    content: dict[str, Any]
    unknown: tuple[str, ...]


def decode(body: bytes, kind: str) -> Decoded:
    """Read the body of a request.

    Raises:
        ApiStatus: it is no such object (400).
    """
    try:
        tree = json.loads(body)
    except (ValueError, RecursionError) as error:
        message = f"couldn't get version/kind; json parse error: {error}"
        raise bad_request(_unrecognised(kind, message, body)) from None
    if not isinstance(tree, dict):
        message = (
            "couldn't get version/kind; json parse error: json: cannot unmarshal into Go value of type struct"
        )
        raise bad_request(_unrecognised(kind, message, body))
    _check_kind(tree, kind)
    unknown: list[str] = []
    content = _known(
        tree, {"apiVersion": "string", "kind": "string", "metadata": "object", **KINDS[kind]}, kind
    )
    unknown += [name for name in tree if name not in content and tree[name] is not None]
    metadata = content.get("metadata") or {}
    content["metadata"] = _known(metadata, _METADATA, f"{kind}.metadata")
    unknown += [f"metadata.{name}" for name in metadata if name not in _METADATA]
    if kind == "ConfigMap":
        _check_binary(content)
    return Decoded(
        {**_without_empty(content), "metadata": _without_empty(content["metadata"])}, tuple(unknown)
    )


def _unrecognised(kind: str, why: str, body: bytes) -> str:
    summary = body[:30].decode("utf-8", "replace") + (" ..." if len(body) > 30 else "")
    return f"the object provided is unrecognized (must be of type {kind}): {why} ({summary})"


def _check_kind(tree: Mapping[str, Any], kind: str) -> None:
    """Refuse another kind or version; without either the server takes the one of the URL."""
    version, found = tree.get("apiVersion") or "v1", tree.get("kind") or kind
    known = version == "v1" and found in KINDS
    if version == "v1" and found == kind:
        return
    why = (
        f"converting (v1.{found}) to (core.{kind}): unknown conversion"
        if known
        else f'no kind "{found}" is registered for version "{version}" in scheme "pkg/api/legacyscheme/scheme.go:30"'
    )
    message = f'{found} in version "{version}" cannot be handled as a {kind}: {why}'
    raise bad_request(message)


def _known(tree: Mapping[str, Any], fields: Mapping[str, str], where: str) -> dict[str, Any]:
    known = {name: value for name, value in tree.items() if name in fields and value is not None}
    for name, value in known.items():
        _check_type(value, fields[name], f"{where}.{name}")
        if fields[name] == "map":
            known[name] = {key: "" if item is None else item for key, item in value.items()}
            for item in known[name].values():
                _check_type(item, "string", f"{where}.{name}")
    return known


def _check_type(value: Any, kind: str, where: str) -> None:
    if isinstance(value, _TYPES[kind]) and (kind == "bool" or not isinstance(value, bool)):
        return
    found = next((name for name, types in _TYPES.items() if type(value) in types), "number")
    expected = {"map": "map[string]string", "number": "int64"}.get(kind, kind)
    outer = where.partition(".")[0]
    message = f'{outer} in version "v1" cannot be handled as a {outer}: json: cannot unmarshal {found} into Go struct field {where} of type {expected}'
    raise bad_request(message)


def _check_binary(content: Mapping[str, Any]) -> None:
    for value in content.get("binaryData", {}).values():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            message = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: illegal base64 data at input byte 0'
            raise bad_request(message) from None


def _without_empty(tree: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in tree.items() if value not in ("", [], {})}


def check(kind: str, content: Mapping[str, Any]) -> list[Cause]:
    """Find what is wrong in a new object."""
    causes = list(_metadata_causes(kind, content["metadata"]))
    if kind == "ConfigMap":
        causes += _data_causes(content)
    return causes


def check_change(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Cause]:
    """Find what is wrong in an object that is to replace another."""
    before, after = old["metadata"], new["metadata"]
    causes = [
        Cause(
            f"metadata.{name}", "FieldValueInvalid", f'Invalid value: "{after.get(name)}": field is immutable'
        )
        for name in ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds")
        if name in after and after[name] != before.get(name)
    ]
    if old.get("immutable"):
        fixed = [("immutable", bool(new.get("immutable")))]
        fixed += [(name, new.get(name) == old.get(name)) for name in ("data", "binaryData")]
        causes += [
            Cause(name, "FieldValueForbidden", f"Forbidden: {_UNCHANGED}") for name, same in fixed if not same
        ]
    return causes + check(kind, new)


def _metadata_causes(kind: str, metadata: Mapping[str, Any]) -> Iterator[Cause]:
    name = metadata.get("name", "")
    if not name:
        yield Cause("metadata.name", "FieldValueRequired", "Required value: name or generateName is required")
    elif kind == "Namespace":
        yield from _invalid("metadata.name", name, _wrong(name, _MAX_LABEL, _LABEL, _IS_LABEL))
    else:
        yield from _invalid("metadata.name", name, _wrong(name, _MAX_NAME, _SUBDOMAIN, _IS_SUBDOMAIN))
    for key, value in metadata.get("labels", {}).items():
        yield from _invalid("metadata.labels", key, _wrong_key(key))
        yield from _invalid(
            "metadata.labels", value, _wrong(value, _MAX_LABEL, _LABEL_VALUE, _IS_LABEL_VALUE)
        )
    annotations = metadata.get("annotations", {})
    for key in annotations:
        yield from _invalid("metadata.annotations", key, _wrong_key(key.lower()))
    if sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items()) > MAX_ANNOTATIONS:
        yield _too_long("metadata.annotations", MAX_ANNOTATIONS)
    yield from _reference_causes(metadata)


def _reference_causes(metadata: Mapping[str, Any]) -> Iterator[Cause]:
    for number, owner in enumerate(metadata.get("ownerReferences", [])):
        for name, what in (("apiVersion", "version"), ("kind", "kind"), ("name", "name"), ("uid", "uid")):
            if not owner.get(name):
                where = f"metadata.ownerReferences[{number}].{name}"
                yield Cause(where, "FieldValueInvalid", f'Invalid value: "": {what} must not be empty')
    for finalizer in metadata.get("finalizers", []):
        yield from _invalid("metadata.finalizers", finalizer, _wrong_key(finalizer))


def _data_causes(content: Mapping[str, Any]) -> Iterator[Cause]:
    binary = content.get("binaryData", {})
    for field in ("data", "binaryData"):
        for key in content.get(field, {}):
            where = f"{field}[{key}]"
            yield from _invalid(where, key, _wrong_data_key(key))
            if field == "data" and key in binary:
                message = f'Invalid value: "{key}": duplicate of key present in binaryData'
                yield Cause(where, "FieldValueInvalid", message)
    if raw_size(content) > MAX_DATA:
        yield _too_long("[]", MAX_DATA)


def raw_size(content: Mapping[str, Any]) -> int:
    """Count the bytes of all values of a ConfigMap, as its limit does."""
    texts = (len(value.encode()) for value in content.get("data", {}).values())
    binaries = (len(base64.b64decode(value)) for value in content.get("binaryData", {}).values())
    return sum(texts) + sum(binaries)


def _too_long(field: str, limit: int) -> Cause:
    return Cause(field, "FieldValueTooLong", f"Too long: may not be more than {limit} bytes")


def _invalid(field: str, value: str, reasons: list[str]) -> list[Cause]:
    shown = json.dumps(value, ensure_ascii=False)
    return [Cause(field, "FieldValueInvalid", f"Invalid value: {shown}: {reason}") for reason in reasons]


def _wrong(value: str, longest: int, pattern: str, rule: str) -> list[str]:
    reasons = [f"must be no more than {longest} bytes"] if len(value.encode()) > longest else []
    return reasons if re.fullmatch(pattern, value) else [*reasons, rule]


def _wrong_data_key(key: str) -> list[str]:
    reasons = _wrong(key, _MAX_NAME, _DATA_KEY, _IS_DATA_KEY)
    if key in (".", ".."):
        return [*reasons, f"must not be '{key}'"]
    return [*reasons, "must not start with '..'"] if key.startswith("..") else reasons


def _wrong_key(key: str) -> list[str]:
    """Say what is wrong with the key of a label or annotation: ``[prefix/]name``."""
    *prefix, name = key.split("/")
    if len(prefix) > 1:
        return [f"a valid label key {_IS_QUALIFIED} with an optional DNS subdomain prefix and '/'"]
    named: Callable[[str], str] = "name part {}".format
    reasons = [named("must be non-empty")] if not name else []
    if name:
        reasons = _wrong(name, _MAX_LABEL, _QUALIFIED, _IS_QUALIFIED)
    if prefix:
        reasons += [f"prefix part {why}" for why in _wrong(prefix[0], _MAX_NAME, _SUBDOMAIN, _IS_SUBDOMAIN)]
    return reasons
