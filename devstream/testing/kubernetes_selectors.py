"""Selectors of labels and fields, as the API server of the stand-in reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from devstream.testing.kubernetes_status import bad_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Matches = Callable[[Mapping[str, Any]], bool]

__all__ = ["field_selector", "label_selector"]

_KEY = r"[A-Za-z0-9./_-]+"
_VALUE = r"[A-Za-z0-9._-]*"
_EQUALS = re.compile(rf"\s*({_KEY})\s*(==|=|!=)\s*({_VALUE})\s*")
_AMONG = re.compile(rf"\s*({_KEY})\s+(in|notin)\s+\(([^()]*)\)\s*")
_EXISTS = re.compile(rf"\s*(!?)\s*({_KEY})\s*")
_FIELDS = ("metadata.name", "metadata.namespace")


def label_selector(text: str) -> Matches:
    """Read ``labelSelector``.

    Raises:
        ApiStatus: it cannot be read (400).
    """
    requirements = [_requirement(part) for part in re.split(r",(?![^()]*\))", text) if text.strip()]

    def matches(labels: Mapping[str, Any]) -> bool:
        return all(requirement(labels) for requirement in requirements)

    return matches


def _requirement(text: str) -> Matches:
    if found := _EQUALS.fullmatch(text):
        key, operator, value = found.groups()
        return lambda labels: (labels.get(key) == value) is (operator != "!=")
    if found := _AMONG.fullmatch(text):
        key, operator, listed = found.groups()
        values = {value.strip() for value in listed.split(",")}
        return lambda labels: (labels.get(key) in values) is (operator == "in")
    if found := _EXISTS.fullmatch(text):
        absent, key = found.groups()
        return lambda labels: (key in labels) is not bool(absent)
    message = f"unable to parse requirement: found '{text.strip()}', expected: identifier"
    raise bad_request(message)


def field_selector(text: str) -> Matches:
    """Read ``fieldSelector``, which knows the name and the namespace.

    Raises:
        ApiStatus: it cannot be read, or names another field (400).
    """
    found = [_EQUALS.fullmatch(part) for part in text.split(",") if text.strip()]
    wanted: list[tuple[str, str, str]] = []
    for part in found:
        if part is None:
            message = f"invalid selector: '{text}'; can't understand '{text}'"
            raise bad_request(message)
        if part[1] not in _FIELDS:
            names = ", ".join(f'"{name}"' for name in _FIELDS)
            message = f'"{part[1]}" is not a known field selector: only {names}'
            raise bad_request(message)
        wanted.append((part[1].removeprefix("metadata."), part[2], part[3]))

    def matches(metadata: Mapping[str, Any]) -> bool:
        return all((metadata.get(name) == value) is (operator != "!=") for name, operator, value in wanted)

    return matches
