"""Option values as people and programs get to see them; secrets are never among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.plan import ABSENT
from devstream.model.recorded import Fingerprint
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown
from devstream.report.terminal import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["shown", "scalar", "unknown_text", "is_secret", "is_container", "plain", "flat", "quoted"]


def is_secret(value: Any) -> bool:
    """Tell whether a value may be named but not shown."""
    return isinstance(value, Fingerprint) or (isinstance(value, Secret) and not value.is_plain)


def is_container(value: Any) -> bool:
    """Tell whether a value has fields or items of its own."""
    return isinstance(value, dict | list) and bool(value)


def shown(value: Any) -> str:
    """Write a value on one line, as YAML's flow style would.

    >>> shown({"a": [1, True, None, "x y"], "b": {}})
    '{a: [1, true, null, "x y"], b: {}}'
    """
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    return scalar(value)


def scalar(value: Any) -> str:
    """Write a value that has no parts: text in quotes, everything that is no JSON in round brackets."""
    if is_secret(value):
        return "(secret)"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Secret):
        return quoted(value.reveal())
    if isinstance(value, Unknown):
        return unknown_text(value)
    if isinstance(value, Reference):
        return "${{ " + str(value) + " }}"
    if isinstance(value, Interpolation):
        return quoted(_joined(value))
    return clean(str(value))


def quoted(text: str) -> str:
    """Write text in double quotes, on one line."""
    for char, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\n", "\\n"), ("\t", "\\t")):
        text = text.replace(char, escaped)
    return f'"{clean(text)}"'


def unknown_text(value: Unknown) -> str:
    """Say when an unknown value will be known."""
    because = clean(value.because)
    if not because:
        return "(not known yet)"
    return f"({because})" if " " in because else f"(known after {because})"


def _key(key: object) -> str:
    text = str(key)
    return clean(text) if text and text.replace("_", "").replace("-", "").isalnum() else quoted(text)


def _joined(value: Interpolation) -> str:
    return "".join(part if isinstance(part, str) else _named(part) for part in value.parts)


def _named(part: Reference | SecretRef) -> str:
    return "${{ " + str(part) + " }}" if isinstance(part, Reference) else "(secret)"


def plain(value: Any, mask: Callable[[str], str] = str, *, changed: bool = False) -> Any:
    """Turn a value into JSON: an unknown is ``{"unknown": true}``, a secret ``{"sensitive": true, "changed": ..}``.

    Args:
        mask: applied to every text, keys of users' mappings among them.
        changed: what is said of the secrets in it.
    """
    if is_secret(value):
        return {"sensitive": True, "changed": changed}
    if isinstance(value, str):
        return _text(value, mask)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, dict):
        return {_text(str(key), mask): plain(item, mask, changed=changed) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, mask, changed=changed) for item in value]
    return _plain_leaf(value, mask)


def _plain_leaf(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, Unknown):
        return {"unknown": True}
    if value is ABSENT:
        return None
    if isinstance(value, int | float):
        text = str(value)
        return value if mask(text) == text else mask(text)
    if isinstance(value, Secret):
        return _text(value.reveal(), mask)
    return _text(_joined(value) if isinstance(value, Interpolation) else scalar(value), mask)


def _text(text: str, mask: Callable[[str], str]) -> str:
    masked = mask(text)
    return masked if masked.isascii() else masked.encode("utf-8", "replace").decode("utf-8")


def flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Give the leaves of a mapping by dotted key; lists stay whole."""
    leaves: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, dict) and item:
            leaves |= flat(item, f"{prefix}{key}.")
        else:
            leaves[f"{prefix}{key}"] = item
    return leaves
