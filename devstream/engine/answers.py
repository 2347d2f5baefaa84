"""What a plugin answered, held to its contract: the right types, and nothing but JSON and secrets in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from devstream.errors import OperationError
from devstream.model.plain import plain_copy
from devstream.model.status import ResourceStatus
from devstream.model.values import Path, Secret, format_path

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["checked_status", "checked_outputs", "secrets_in"]


def checked_status(answer: Any, hook: str) -> ResourceStatus:
    """Check what create, read or update returned; None counts as an empty status.

    Raises:
        OperationError: the plugin breaks its contract.
    """
    if answer is None:
        return ResourceStatus()
    if not isinstance(answer, ResourceStatus):
        raise _broken(hook, f"returned {type(answer).__name__}, not a ResourceStatus")
    outputs = answer.outputs
    return ResourceStatus(
        properties=_checked(answer.properties, hook, "properties"),
        outputs=None if outputs is None else _checked(outputs, hook, "outputs"),
        info=_checked(answer.info, hook, "info"),
    )


def checked_outputs(answer: Any, hook: str) -> dict[str, Any]:
    """Check the outputs that integrate returned; None counts as none.

    Raises:
        OperationError: the plugin breaks its contract.
    """
    return {} if answer is None else _checked(answer, hook, "outputs")


def secrets_in(*trees: Mapping[str, Any] | None) -> list[Secret]:
    """Give every secret in what a plugin reported."""
    found: list[Secret] = []
    for tree in trees:
        _collect(dict(tree or {}), found)
    return found


def _collect(value: Any, found: list[Secret]) -> None:
    if isinstance(value, dict):
        for item in value.values():
            _collect(item, found)
    elif isinstance(value, list):
        for item in value:
            _collect(item, found)
    elif isinstance(value, Secret):
        found.append(value)


def _checked(tree: Any, hook: str, name: str) -> dict[str, Any]:
    """Give a copy that a plugin cannot change later."""
    if not isinstance(tree, Mapping):
        raise _broken(hook, f"returned {name} as {type(tree).__name__}, not as a dict")
    copy = plain_copy(dict(tree))
    if copy is None:
        copy = {key: _json(item, hook, path) for key, item, path in _items(dict(tree), hook, (name,))}
    return copy


def _json(value: Any, hook: str, path: Path) -> Any:
    """Copy a value in which something is no plain JSON, and find out what it is."""
    if isinstance(value, dict):
        return {key: _json(item, hook, below) for key, item, below in _items(value, hook, path)}
    if isinstance(value, list):
        return [_json(item, hook, (*path, index)) for index, item in enumerate(value)]
    return _leaf(value, hook, path)


def _items(value: dict[Any, Any], hook: str, path: Path) -> Iterator[tuple[str, Any, Path]]:
    for key, item in value.items():
        if not isinstance(key, str) or not _is_text(key):
            raise _broken(hook, f"returned the key {key!r} in {format_path(path)}: keys have to be text")
        yield key, item, (*path, key)


def _leaf(leaf: Any, hook: str, path: Path) -> Any:
    where = format_path(path)
    if isinstance(leaf, Secret):
        if not leaf.is_resolved:
            raise _broken(hook, f"returned {where} as a secret without its text")
        return leaf
    copy = plain_copy({where: leaf})
    if copy is not None:
        return copy[where]
    if isinstance(leaf, float):
        raise _broken(hook, f"returned {where} as {leaf}, which is not JSON")
    if isinstance(leaf, str) and not _is_text(leaf):
        raise _broken(hook, f"returned {where} as text that is not valid Unicode")
    raise _broken(hook, f"returned {where} as {type(leaf).__name__}, which is not JSON")


def _is_text(text: str) -> bool:
    """Tell whether it can be written: half a surrogate pair, as odd file names have it, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _broken(hook: str, what: str) -> OperationError:
    return OperationError(
        f"`{hook}` {what}", code="plugin-contract", suggestion="this is a defect of the plugin"
    )
