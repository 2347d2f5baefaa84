"""Values of a saved plan as JSON: references and secrets by name, never with what they stand for.

A leaf that is more than JSON becomes a mapping with one ``$`` key:

* ``{"$ref": ["name.id", "path", "to", 0]}``
* ``{"$secret": [part, ...]}``; a part is text or ``{"source": .., "key": ..}``
* ``{"$join": [part, ...]}``; a part may be a ``$ref``, too
* ``{"$unknown": "because"}`` and ``{"$absent": true}``

A user's own mapping that has a key beginning with ``$`` is wrapped as ``{"$map": {...}}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.model.address import Address
from devstream.model.plan import ABSENT
from devstream.model.values import Interpolation, Reference, Secret, SecretRef, Unknown

if TYPE_CHECKING:
    from devstream.model.values import JSON, Value

__all__ = ["encode_value", "decode_value"]


def encode_value(value: Value) -> JSON:
    """Write a value as JSON."""
    if isinstance(value, dict):
        encoded = {name: encode_value(item) for name, item in value.items()}
        return {"$map": encoded} if any(name.startswith("$") for name in value) else encoded
    if isinstance(value, list):
        return [encode_value(item) for item in value]
    if isinstance(value, Reference):
        return _encode_part(value)
    if isinstance(value, Secret):
        return {"$secret": [_encode_part(part) for part in value.parts]}
    if isinstance(value, Interpolation):
        return {"$join": [_encode_part(part) for part in value.parts]}
    if isinstance(value, Unknown):
        return {"$unknown": value.because}
    return {"$absent": True} if value is ABSENT else value


def _encode_part(part: str | Reference | SecretRef) -> JSON:
    if isinstance(part, Reference):
        return {"$ref": [str(part.address), *part.path]}
    return {"source": part.source, "key": part.key} if isinstance(part, SecretRef) else part


def decode_value(encoded: Any) -> Value:
    """Read what `encode_value` wrote; secrets are not resolved.

    Raises:
        KeyError, TypeError, ValueError: it is nothing that `encode_value` writes.
    """
    if isinstance(encoded, list):
        return [decode_value(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if "$map" in encoded:
        return {name: decode_value(item) for name, item in encoded["$map"].items()}
    if "$ref" in encoded:
        return _decode_part(encoded)
    if "$secret" in encoded:
        return _secret(tuple(_decode_part(part) for part in encoded["$secret"]))
    if "$join" in encoded:
        return Interpolation(tuple(_decode_part(part) for part in encoded["$join"]))
    if "$unknown" in encoded:
        return Unknown(encoded["$unknown"])
    if "$absent" in encoded:
        return ABSENT
    return {name: decode_value(item) for name, item in encoded.items()}


def _secret(parts: tuple[Any, ...]) -> Secret:
    """Text that is no secret has its text again."""
    is_plain = all(isinstance(part, str) for part in parts)
    return Secret(parts, "".join(parts) if is_plain else None)


def _decode_part(part: Any) -> Any:
    if isinstance(part, str):
        return part
    if "$ref" in part:
        address, *path = part["$ref"]
        return Reference(Address.parse(address), tuple(path))
    return SecretRef(part["source"], part["key"])
