"""How options are recorded: references and secrets by name, with the value or fingerprint they had.

The encoded form is JSON. A leaf that is more than JSON becomes a mapping with one ``$`` key beside its value:

* ``{"$ref": "name.id.outputs.path", "value": 8080}``
* ``{"$secret": [part, ...], "fingerprint": "..."}``; a part is text or ``{"source": .., "key": ..}``
* ``{"$join": [part, ...], "value": "..."}``; a part is text, ``{"$ref": ..}`` or ``{"source": .., "key": ..}``

with ``fingerprint`` in place of ``value`` where anything secret is in it. A user's own mapping that has a key
beginning with ``$`` is wrapped as ``{"$map": {...}}``.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Protocol

from devstream.model.address import Address
from devstream.model.values import (
    Interpolation,
    Path,
    Reference,
    Secret,
    SecretRef,
    Unknown,
    iter_leaves,
    map_leaves,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from devstream.model.values import JSON, Value

__all__ = [
    "Resolver",
    "Fingerprint",
    "NotYetKnownError",
    "resolve",
    "encode",
    "decode",
    "comparable",
    "visible",
    "is_hidden",
    "fingerprint",
    "text_of",
    "parse_reference",
    "has_marks",
    "renamed",
]


_MARKS = (Reference, Secret, Interpolation, Unknown)
"""The leaves that are more than JSON."""

_UNNAMED = SecretRef("output", "")
"""Stands for a secret that a plugin reported: it has a text, and no source to name."""


class Resolver(Protocol):
    """Knows what references and secrets stand for at this moment."""

    def reference(self, reference: Reference) -> Any:
        """Give the value of an output: JSON, a resolved `Secret`, or an `Unknown`."""

    def secret(self, ref: SecretRef) -> str:
        """Give the text of a secret, or raise `CredentialsError`."""


class NotYetKnownError(ValueError):
    """A value cannot be recorded before it is known."""

    def __init__(self, because: str) -> None:
        super().__init__(f"a value is not known yet: {because}")


class Fingerprint(str):
    """A secret's digest standing in for its value: equal where the secrets are; prints as nothing."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "(secret)"

    __str__ = __repr__


def fingerprint(key: bytes, text: str) -> str:
    """Give a keyed, fixed-width digest of a secret, so that a change is seen and the value is not."""
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex()[:32]


def text_of(value: Any) -> str:
    """Write a value inside text: booleans and None as YAML does, mappings and lists as JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        import json

        return json.dumps(value, ensure_ascii=False)
    return str(value)


def resolve(options: Value, resolver: Resolver) -> Value:
    """Replace references by their values and give every secret its text.

    A leaf that depends on something unknown becomes `Unknown`.
    """
    if isinstance(options, dict):
        return {name: resolve(item, resolver) for name, item in options.items()}
    if isinstance(options, list):
        return [resolve(item, resolver) for item in options]
    if isinstance(options, Reference):
        return resolver.reference(options)
    if isinstance(options, Secret):
        return options if options.is_resolved else _joined(options.parts, resolver)
    if isinstance(options, Interpolation):
        return _joined(options.parts, resolver)
    return options


def _joined(parts: Sequence[str | Reference | SecretRef], resolver: Resolver) -> str | Secret | Unknown:
    """Join parts to text; the result is a secret where a part is one, or holds one."""
    texts: list[str] = []
    named: list[str | SecretRef] = []
    for part in parts:
        value: Any = part
        if isinstance(part, SecretRef):
            value = Secret((part,), resolver.secret(part))
        elif isinstance(part, Reference):
            value = resolver.reference(part)
        if isinstance(value, Unknown):
            return value
        refs = _secret_parts(value)
        texts.append(text_of(_revealed(value)) if refs else text_of(value))
        named.extend(refs or (texts[-1],))
    text = "".join(texts)
    return Secret(tuple(named), text) if any(isinstance(part, SecretRef) for part in named) else text


def _secret_parts(value: Any) -> tuple[str | SecretRef, ...]:
    """Name the secrets in a value; empty where there is none (a plugin may mark an output without a name)."""
    if isinstance(value, Secret):
        return value.parts if value.refs else (_UNNAMED,)
    if not isinstance(value, (dict, list)):
        return ()
    secrets = [leaf for _, leaf in iter_leaves(value) if isinstance(leaf, Secret)]
    return tuple(ref for secret in secrets for ref in (secret.refs or (_UNNAMED,)))


def _revealed(value: Any) -> Any:
    return map_leaves(value, lambda leaf: leaf.reveal() if isinstance(leaf, Secret) else leaf)


def encode(options: Value, resolver: Resolver, key: bytes) -> JSON:
    """Encode options for the state; ``key`` is the lineage's key for fingerprints.

    Raises:
        NotYetKnownError: something is UNKNOWN still.
    """
    if isinstance(options, dict):
        encoded = {name: encode(item, resolver, key) for name, item in options.items()}
        return {"$map": encoded} if any(name.startswith("$") for name in options) else encoded
    if isinstance(options, list):
        return [encode(item, resolver, key) for item in options]
    if isinstance(options, Reference):
        return {"$ref": str(options), **_seen(resolver.reference(options), key)}
    if isinstance(options, Secret):
        if options.is_plain:
            return options.reveal()
        return {"$secret": _parts(options.parts), **_seen(resolve(options, resolver), key)}
    if isinstance(options, Interpolation):
        return {"$join": _parts(options.parts), **_seen(_joined(options.parts, resolver), key)}
    if isinstance(options, Unknown):
        raise NotYetKnownError(options.because)
    return options  # type: ignore[no-any-return]  # plain JSON


def _parts(parts: Sequence[str | Reference | SecretRef]) -> list[JSON]:
    encoded: list[JSON] = []
    for part in parts:
        if isinstance(part, SecretRef):
            encoded.append({"source": part.source, "key": part.key})
        else:
            encoded.append({"$ref": str(part)} if isinstance(part, Reference) else part)
    return encoded


def _seen(value: Any, key: bytes) -> dict[str, Any]:
    if isinstance(value, Unknown):
        raise NotYetKnownError(value.because)
    digest = _secret_digest(value, key)
    return {"value": value} if digest is None else {"fingerprint": digest}


def _secret_digest(value: Any, key: bytes) -> str | None:
    """Give the fingerprint of a value in which anything is secret, of all of it; None where nothing is."""
    return fingerprint(key, text_of(_revealed(value))) if _secret_parts(value) else None


def decode(encoded: Any, reference: Callable[[str, Any], Any]) -> Value:
    """Turn recorded options into options again; secrets stay unresolved.

    Args:
        encoded: what `encode` gave.
        reference: gives the value of a reference by its text and its recorded value (None where it was secret).
    """
    if isinstance(encoded, list):
        return [decode(item, reference) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if "$map" in encoded:
        return {name: decode(item, reference) for name, item in encoded["$map"].items()}
    if "$ref" in encoded:
        return reference(encoded["$ref"], encoded.get("value"))
    if "$secret" in encoded:
        return Secret(tuple(_decode_part(part) for part in encoded["$secret"]))
    if "$join" in encoded:
        return _decode_join(encoded, reference)
    return {name: decode(item, reference) for name, item in encoded.items()}


def _decode_join(encoded: dict[str, Any], reference: Callable[[str, Any], Any]) -> Value:
    """Recorded text holds: a part of it cannot be told from the whole once its upstream is gone."""
    if "value" in encoded:
        return encoded["value"]
    parts: list[str | SecretRef] = []
    for part in encoded["$join"]:
        if isinstance(part, dict) and "$ref" in part:
            value = reference(part["$ref"], None)
            parts.extend(value.parts if isinstance(value, Secret) else (text_of(value),))
        else:
            parts.append(_decode_part(part))
    return Secret(tuple(parts))


def _decode_part(part: Any) -> str | SecretRef:
    return part if isinstance(part, str) else SecretRef(part["source"], part["key"])


def renamed(encoded: Any, names: Callable[[str], str]) -> Any:
    """Give recorded options whose references have other texts; what was seen through them stays.

    Args:
        names: gives the new text of a reference.
    """
    if isinstance(encoded, list):
        return [renamed(item, names) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if "$map" in encoded:
        return {"$map": {name: renamed(item, names) for name, item in encoded["$map"].items()}}
    if "$ref" in encoded:
        return {**encoded, "$ref": names(encoded["$ref"])}
    if "$join" in encoded:
        return {**encoded, "$join": renamed(encoded["$join"], names)}
    if "$secret" in encoded:
        return encoded
    return {name: renamed(item, names) for name, item in encoded.items()}


def comparable(encoded: Any) -> Any:
    """Reduce recorded options to what counts when they are compared: values, and fingerprints of secrets."""
    if isinstance(encoded, list):
        return [comparable(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if "$map" in encoded:
        return {name: comparable(item) for name, item in encoded["$map"].items()}
    if "$ref" in encoded or "$secret" in encoded or "$join" in encoded:
        return encoded["value"] if "value" in encoded else Fingerprint(encoded["fingerprint"])
    return {name: comparable(item) for name, item in encoded.items()}


def is_hidden(value: Any) -> bool:
    """Tell whether this is all that is recorded of a secret that a plugin reported: its fingerprint."""
    return (
        isinstance(value, dict) and len(value) == 2 and value.get("$secret") == [] and "fingerprint" in value
    )


def visible(reported: Any, key: bytes) -> Any:
    """Reduce what a plugin reported, or what is recorded of it, to what counts when the two are compared."""
    if is_hidden(reported):
        return Fingerprint(reported["fingerprint"])
    if isinstance(reported, dict):
        return {name: visible(item, key) for name, item in reported.items()}
    if isinstance(reported, list):
        return [visible(item, key) for item in reported]
    return Fingerprint(fingerprint(key, reported.reveal())) if isinstance(reported, Secret) else reported


def has_marks(options: Value) -> bool:
    """Tell whether any leaf is more than JSON (so that `resolve` and `encode` would change anything)."""
    if isinstance(options, dict):
        return any(name.startswith("$") or has_marks(item) for name, item in options.items())
    if isinstance(options, list):
        return any(has_marks(item) for item in options)
    return isinstance(options, _MARKS)


def parse_reference(text: str, addresses: Sequence[str]) -> Reference:
    """Read ``name.id.outputs.path`` again; the longest of ``addresses`` that fits is the tool.

    >>> parse_reference("a.b.outputs.ports[0].name", ["a.b"])
    Reference(address=Address(name='a', instance_id='b'), path=('ports', 0, 'name'))
    """
    fitting = [address for address in addresses if text.startswith(f"{address}.outputs.")]
    address = max(fitting, key=len) if fitting else text.partition(".outputs.")[0]
    return Reference(Address.parse(address), _parse_path(text[len(address) + len(".outputs.") :]))


def _parse_path(text: str) -> Path:
    steps: list[str | int] = []
    for word in text.replace("[", ".[").split("."):
        steps.append(int(word[1:-1]) if word.startswith("[") else word)
    return tuple(steps)
