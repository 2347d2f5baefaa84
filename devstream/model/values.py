"""The values that options hold beside plain JSON: references, secrets, text made of both, and UNKNOWN.

Options are trees of ``dict``, ``list``, ``str``, numbers, booleans and None, whose leaves may also be:

* `Reference`: ``${{ name.id.outputs.path }}`` as the whole value; keeps the type of what it names.
* `Secret`: text that comes from a secret source; hooks see its text only through `Secret.reveal`.
* `Interpolation`: text put together from literal parts, references and secrets.
* `Unknown`: a value that will be known later (after a tool is created, or once a variable is set).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from devstream.model.address import Address

__all__ = [
    "JSON",
    "Path",
    "Value",
    "SecretRef",
    "Secret",
    "Reference",
    "Interpolation",
    "Unknown",
    "format_path",
    "iter_leaves",
    "map_leaves",
]

JSON: TypeAlias = "bool | int | float | str | list[Any] | dict[str, Any] | None"
Path: TypeAlias = "tuple[str | int, ...]"
Value: TypeAlias = Any
"""JSON whose leaves may also be Reference, Secret, Interpolation or Unknown."""


class SecretRef(NamedTuple):
    """Names a secret without holding it: ``SecretRef("env", "GITHUB_TOKEN")``.

    The source ``literal`` stands for text that was written into the config in clear at a secret option;
    it is compared by fingerprint and recorded nowhere, so ``key`` is the option's path.
    """

    source: str
    key: str

    def __str__(self) -> str:
        return f"{self.source}:{self.key}"


class Secret:
    """Text that must not be seen: it prints, formats and pickles as its name, never as its value.

    Args:
        parts: literal text and `SecretRef`, in the order they are joined.
        text: the joined text, where it has been resolved.

    >>> token = Secret((SecretRef("env", "TOKEN"),), "s3cr3t")
    >>> f"{token!r} {token}"
    'Secret(env:TOKEN) (secret)'
    >>> token.reveal()
    's3cr3t'
    """

    __slots__ = ("_text", "parts")

    def __init__(self, parts: tuple[str | SecretRef, ...], text: str | None = None) -> None:
        self.parts = parts
        self._text = text

    @classmethod
    def plain(cls, text: str) -> Secret:
        """Wrap text that is no secret, for options that take either."""
        return cls((text,), text)

    @property
    def is_plain(self) -> bool:
        """True where nothing in it comes from a secret source."""
        return not any(isinstance(part, SecretRef) for part in self.parts)

    @property
    def is_resolved(self) -> bool:
        """True where `reveal` will work."""
        return self._text is not None

    @property
    def refs(self) -> tuple[SecretRef, ...]:
        """The secrets it is made of."""
        return tuple(part for part in self.parts if isinstance(part, SecretRef))

    def reveal(self) -> str:
        """Give the text.

        Raises:
            ValueError: it has not been resolved (the engine resolves secrets right before each hook).
        """
        if self._text is None:
            message = f"{self!r} has not been resolved yet"
            raise ValueError(message)
        return self._text

    def __repr__(self) -> str:
        return f"Secret({', '.join(str(ref) for ref in self.refs) or 'plain'})"

    def __str__(self) -> str:
        return "(secret)"

    def __format__(self, spec: str) -> str:
        return format("(secret)", spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.parts == other.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __reduce__(self) -> tuple[object, ...]:
        return Secret, (self.parts,) if not self.is_plain else (self.parts, self._text)


class Reference(Immutable, frozen=True):
    """``${{ name.id.outputs.path }}``: the value of another tool's output, and an edge to that tool."""

    address: Address
    path: Path

    def __str__(self) -> str:
        return f"{self.address}.outputs.{format_path(self.path)}"


class Interpolation(Immutable, frozen=True):
    """Text joined from literal parts, references and secrets; at least one reference is among them."""

    parts: tuple[str | Reference | SecretRef, ...]


class Unknown(Immutable, frozen=True):
    """A value that will be known later; `because` says after what, in words for the plan."""

    because: str = ""


def format_path(path: Path) -> str:
    """Write a path as users do.

    >>> format_path(("ports", 0, "name"))
    'ports[0].name'
    """
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else (f".{step}" if text else step)
    return text


def iter_leaves(value: Value, path: Path = ()) -> Iterator[tuple[Path, Value]]:
    """Yield every leaf of an options tree with its path; empty containers are leaves too."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from iter_leaves(item, (*path, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from iter_leaves(item, (*path, index))
    else:
        yield path, value


def map_leaves(value: Value, change: Callable[[Value], Value]) -> Value:
    """Give a copy of an options tree with every leaf replaced by ``change(leaf)``."""
    if isinstance(value, dict):
        return {key: map_leaves(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [map_leaves(item, change) for item in value]
    return change(value)
