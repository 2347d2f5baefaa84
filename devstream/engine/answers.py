"""What a plugin answered, held to its contract: the right types, and nothing but JSON and secrets in it."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from devstream.errors import OperationError
from devstream.model.status import ResourceStatus
from devstream.model.values import Path, Secret, format_path, iter_leaves

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["checked_status", "checked_outputs", "secrets_in"]

_PLAIN = (str, int, float, bool, type(None))


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


def secrets_in(*trees: Mapping[str, Any] | None) -> Iterator[Secret]:
    """Yield every secret in what a plugin reported."""
    for tree in trees:
        for _, leaf in iter_leaves(dict(tree or {})):
            if isinstance(leaf, Secret):
                yield leaf


def _checked(tree: Any, hook: str, name: str) -> dict[str, Any]:
    if not isinstance(tree, Mapping):
        raise _broken(hook, f"returned {name} as {type(tree).__name__}, not as a dict")
    plain = dict(tree)
    _require_json(plain, hook, (name,))
    return plain


def _require_json(value: Any, hook: str, path: Path) -> None:
    if type(value) is dict:
        for key, item in value.items():
            if type(key) is not str or not _is_text(key):
                raise _broken(hook, f"returned the key {key!r} in {format_path(path)}: keys have to be text")
            _require_json(item, hook, (*path, key))
    elif type(value) is list:
        for index, item in enumerate(value):
            _require_json(item, hook, (*path, index))
    else:
        _require_plain(value, hook, path)


def _require_plain(leaf: Any, hook: str, path: Path) -> None:
    where = format_path(path)
    if isinstance(leaf, Secret):
        if not leaf.is_resolved:
            raise _broken(hook, f"returned {where} as a secret without its text")
    elif type(leaf) not in _PLAIN:
        raise _broken(hook, f"returned {where} as {type(leaf).__name__}, which is not JSON")
    elif isinstance(leaf, float) and not isfinite(leaf):
        raise _broken(hook, f"returned {where} as {leaf}, which is not JSON")
    elif isinstance(leaf, str) and not _is_text(leaf):
        raise _broken(hook, f"returned {where} as text that is not valid Unicode")


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
