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
from devstream.model.plain import MARKED, plain_copy
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
    from collections.abc import Callable, Iterator, Mapping, Sequence

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
    "hidden",
    "is_hidden",
    "revealed",
    "recorded_texts",
    "without_texts",
    "with_texts",
    "fingerprint",
    "text_of",
    "parse_reference",
    "has_marks",
    "renamed",
]


_MARKS = (Reference, Secret, Interpolation, Unknown)
"""The leaves that are more than JSON."""

_TEXT = "text"
"""Of a secret output that is recorded whole, beside its fingerprint; never read as a value by itself."""

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
    copy = plain_copy(options) if isinstance(options, dict) else None
    return _resolved(options, resolver) if copy is None else copy


def _resolved(options: Value, resolver: Resolver) -> Value:
    if isinstance(options, dict):
        return {name: _resolved(item, resolver) for name, item in options.items()}
    if isinstance(options, list):
        return [_resolved(item, resolver) for item in options]
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
    copy = plain_copy(encoded, unless=MARKED) if isinstance(encoded, dict) else None
    return _comparable(encoded) if copy is None else copy


def _comparable(encoded: Any) -> Any:
    if isinstance(encoded, list):
        return [_comparable(item) for item in encoded]
    if not isinstance(encoded, dict):
        return encoded
    if "$map" in encoded:
        return {name: _comparable(item) for name, item in encoded["$map"].items()}
    if "$ref" in encoded or "$secret" in encoded or "$join" in encoded:
        return encoded["value"] if "value" in encoded else Fingerprint(encoded["fingerprint"])
    return {name: _comparable(item) for name, item in encoded.items()}


def hidden(text: str, key: bytes, *, keep: bool = False) -> dict[str, Any]:
    """Write a secret that a plugin reported: its fingerprint, and its text only where the state is encrypted.

    Args:
        keep: the state is encrypted.
    """
    written: dict[str, Any] = {"$secret": [], "fingerprint": fingerprint(key, text)}
    return {**written, _TEXT: text} if keep else written


def is_hidden(value: Any) -> bool:
    """Tell whether this is what is recorded of a secret that a plugin reported."""
    return (
        isinstance(value, dict)
        and value.get("$secret") == []
        and "fingerprint" in value
        and len(value) == 2 + (_TEXT in value)
    )


def revealed(outputs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give recorded outputs with a `Secret` for each secret whose text is recorded; the same where there is none."""
    if not outputs:
        return outputs
    return _revealed_in(outputs) if any(True for _ in recorded_texts(outputs)) else outputs


def _revealed_in(value: Any) -> Any:
    if is_hidden(value):
        return Secret((_UNNAMED,), value[_TEXT]) if _TEXT in value else value
    if isinstance(value, dict):
        return {name: _revealed_in(item) for name, item in value.items()}
    return [_revealed_in(item) for item in value] if isinstance(value, list) else value


def recorded_texts(outputs: Any) -> Iterator[str]:
    """Yield the text of every secret among recorded outputs."""
    if is_hidden(outputs):
        if _TEXT in outputs:
            yield outputs[_TEXT]
    elif isinstance(outputs, dict | list):
        for item in outputs.values() if isinstance(outputs, dict) else outputs:
            yield from recorded_texts(item)


def without_texts(outputs: Any) -> Any:
    """Give recorded outputs with only the fingerprints of secrets."""
    if is_hidden(outputs):
        return {name: item for name, item in outputs.items() if name != _TEXT}
    if isinstance(outputs, dict):
        return {name: without_texts(item) for name, item in outputs.items()}
    return [without_texts(item) for item in outputs] if isinstance(outputs, list) else outputs


def with_texts(outputs: Any, recorded: Any) -> Any:
    """Give outputs with the texts that ``recorded`` has for the same secrets at the same places."""
    if is_hidden(outputs) and is_hidden(recorded):
        return recorded if outputs["fingerprint"] == recorded["fingerprint"] else outputs
    if isinstance(outputs, dict) and isinstance(recorded, dict):
        return {name: with_texts(item, recorded.get(name)) for name, item in outputs.items()}
    if isinstance(outputs, list) and isinstance(recorded, list):
        there = [*recorded, *[None] * len(outputs)]
        return [with_texts(item, there[number]) for number, item in enumerate(outputs)]
    return outputs


def visible(reported: Any, key: bytes) -> Any:
    """Reduce what a plugin reported, or what is recorded of it, to what counts when the two are compared."""
    copy = plain_copy(reported, unless=MARKED) if isinstance(reported, dict) else None
    return _visible(reported, key) if copy is None else copy


def _visible(reported: Any, key: bytes) -> Any:
    if is_hidden(reported):
        return Fingerprint(reported["fingerprint"])
    if isinstance(reported, dict):
        return {name: _visible(item, key) for name, item in reported.items()}
    if isinstance(reported, list):
        return [_visible(item, key) for item in reported]
    return Fingerprint(fingerprint(key, reported.reveal())) if isinstance(reported, Secret) else reported


def has_marks(options: Value) -> bool:
    """Tell whether any leaf is more than JSON (so that `resolve` and `encode` would change anything)."""
    if isinstance(options, dict) and plain_copy(options, unless=MARKED) is not None:
        return False
    return _has_marks(options)


def _has_marks(options: Value) -> bool:
    if isinstance(options, dict):
        return any(name.startswith("$") or _has_marks(item) for name, item in options.items())
    if isinstance(options, list):
        return any(_has_marks(item) for item in options)
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
