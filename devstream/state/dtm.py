"""The state of the original DevStream: read, and taken over as a state of ours at the same place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream.config.scalars import typed
from devstream.errors import StateDamagedError, StateForeignError, UsageError
from devstream.model.address import Address
from devstream.model.recorded import fingerprint
from devstream.model.state import Put, PutReason, ToolState
from devstream.model.values import Secret, SecretRef, format_path, map_leaves
from devstream.state.editing import Proposal, current, empty
from devstream.state.head import digest
from devstream.state.reading import Loaded
from devstream.state.salvage import has_recorded

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from devstream.model.values import Path
    from devstream.state.backend import StateBackend
    from devstream.state.editing import Propose

    IsSecret = Callable[[str, Path], bool]

__all__ = ["ORIGINAL", "importing"]

ORIGINAL = "dtm-original"
"""The blob that keeps the original's bytes."""

_DEEPEST = 100
_OURS = b'"lineage"'
_BLANK = b"\0 \t\r\n"


def importing(is_secret: IsSecret, now: str) -> Propose:
    """Make a `Propose` that takes the original's state over.

    Options and outputs come along, ``resourceStatus`` does not: its fields are not those that our plugins report, and
    would look like drift. What is secret leaves only its fingerprint.

    Args:
        is_secret: tells whether the option or output of a tool at a path is a secret.
        now: the time of day, as it is recorded.
    """

    def propose(backend: StateBackend) -> Proposal:
        head = backend.read_head()
        if head is None or _OURS in head.data:
            current(backend)
            message = f"there is no state of the original DevStream at {backend.location}"
            raise UsageError(message, code="nothing-to-import", suggestion="name it: --state FILE")
        if _is_blank(head.data) and has_recorded(backend):
            message = f"the state {backend.location} is empty, and it was not the original DevStream's"
            raise StateDamagedError(
                message, suggestion="`devstream state history` shows what can be restored"
            )
        loaded = empty(now)
        key = bytes.fromhex(loaded.document.hmac_key)
        entries = _entries(head.data, backend.location)
        records = [
            Put(where, _taken_over(where, entry, is_secret, key, now), PutReason.IMPORTED)
            for where, entry in entries.items()
        ]
        start = Loaded(loaded.document, head.version, loaded.fold)
        return Proposal(
            start, tuple(records), keep={_free_name(backend, head.data): head.data}, rewrites=True
        )

    return propose


def _is_blank(data: bytes) -> bool:
    return not data.strip(_BLANK)


def _free_name(backend: StateBackend, data: bytes) -> str:
    """Name the blob that keeps the original's bytes; what an earlier import kept stays."""
    kept = backend.get_blob(ORIGINAL)
    return ORIGINAL if kept in (None, data) else f"{ORIGINAL}-{digest(data)[:16]}"


def _entries(data: bytes, location: str) -> dict[Address, dict[str, Any]]:
    """Read the entries.

    Raises:
        StateForeignError: it is not such a state.
    """
    tree = _parsed(data, location)
    if not isinstance(tree, dict | None):
        raise _not_it(location, "it is not a mapping of tools")
    entries: dict[Address, dict[str, Any]] = {}
    for key, entry in (tree or {}).items():
        if not isinstance(entry, dict):
            raise _not_it(location, f"{key} is not a mapping")
        name, instance = entry.get("name"), entry.get("instanceID")
        if not isinstance(name, str) or not isinstance(instance, str):
            raise _not_it(location, f"{key} has no name and instanceID")
        try:
            address = Address.parse(f"{name}.{instance}")
        except ValueError as error:
            raise _not_it(location, f"{key}: {error}") from None
        if address in entries:
            raise _not_it(location, f"{address} is there twice")
        entries[address] = entry
    return entries


def _not_it(location: str, why: str) -> StateForeignError:
    return StateForeignError(
        f"{location} cannot be imported: {why}",
        code="not-dtm",
        suggestion="it stays as it is; mend it, or begin with an empty state at another place",
    )


def _taken_over(
    address: Address, entry: Mapping[str, Any], is_secret: IsSecret, key: bytes, now: str
) -> ToolState:
    options = _mapping(entry.get("options"))
    if options.get("instanceID") == address.instance_id:
        del options["instanceID"]  # the original put it there
    outputs = _mapping(_mapping(entry.get("resourceStatus")).get("outputs"))
    needs = entry.get("dependsOn")

    def safe(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            return {name: safe(item, (*path, name)) for name, item in value.items()}
        if isinstance(value, list):
            return [safe(item, (*path, number)) for number, item in enumerate(value)]
        if isinstance(value, str) and value and is_secret(address.name, path):
            return Secret((SecretRef("literal", format_path(path)),), value)
        return value

    return ToolState(
        address,
        options=_recorded(safe(options, ()), key),
        depends_on=tuple(item for item in needs if isinstance(item, str)) if isinstance(needs, list) else (),
        outputs=map_leaves(safe(outputs, ()), lambda leaf: _hidden(leaf, key)),
        created=now,
        updated=now,
    )


def _recorded(options: Any, key: bytes) -> Any:
    """Write options as they are recorded: a mapping that looks like a mark of ours is wrapped."""
    if isinstance(options, dict):
        written = {name: _recorded(item, key) for name, item in options.items()}
        return {"$map": written} if any(name.startswith("$") for name in written) else written
    if isinstance(options, list):
        return [_recorded(item, key) for item in options]
    if isinstance(options, Secret):
        parts = [{"source": ref.source, "key": ref.key} for ref in options.refs]
        return {"$secret": parts, "fingerprint": fingerprint(key, options.reveal())}
    return options


def _hidden(leaf: Any, key: bytes) -> Any:
    """Leave only the fingerprint of a secret output."""
    if isinstance(leaf, Secret):
        return {"$secret": [], "fingerprint": fingerprint(key, leaf.reveal())}
    return leaf


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, dict) else {}


def _parsed(data: bytes, location: str) -> Any:
    """Parse YAML as the original writes it: one document, no aliases, no tags of its own.

    Raises:
        StateForeignError: it is not that.
    """
    import yaml
    from yaml.cyaml import CParser  # type: ignore[attr-defined]  # its stubs do not re-export it

    if _is_blank(data):
        return None
    try:
        tree = _Tree()
        next_event = CParser(data.decode("utf-8")).get_event
        while not isinstance(event := next_event(), yaml.StreamEndEvent):
            tree.take(event)
    except (yaml.YAMLError, UnicodeError, ValueError) as error:
        raise _not_it(location, " ".join(str(error).split())) from None
    return tree.documents[0] if tree.documents else None


class _Tree:
    """Builds plain values from YAML events, without recursion. Raises ValueError for what the original never writes."""

    def __init__(self) -> None:
        self.documents: list[Any] = []
        self._open: list[Any] = [self.documents]
        self._keys: list[str | None] = [None]

    def take(self, event: Any) -> None:
        """Take the next event."""
        match type(event).__name__:
            case "ScalarEvent":
                self._scalar(event)
            case "MappingStartEvent":
                self._begin({})
            case "SequenceStartEvent":
                self._begin([])
            case "MappingEndEvent" | "SequenceEndEvent":
                self._open.pop()
                self._keys.pop()
            case "AliasEvent":
                message = "it has YAML aliases, which the original never writes"
                raise ValueError(message)
            case "DocumentStartEvent" if self.documents:
                message = "it has several YAML documents"
                raise ValueError(message)

    def _scalar(self, event: Any) -> None:
        if isinstance(self._open[-1], dict) and self._keys[-1] is None:
            if event.value in self._open[-1]:
                message = f"the key {event.value} is there twice"
                raise ValueError(message)
            self._keys[-1] = event.value
        else:
            self._add(typed(event.value) if event.implicit[0] else event.value)

    def _begin(self, container: Any) -> None:
        if len(self._open) > _DEEPEST:
            message = f"it is nested deeper than {_DEEPEST} levels"
            raise ValueError(message)
        self._add(container)
        self._open.append(container)
        self._keys.append(None)

    def _add(self, value: Any) -> None:
        around = self._open[-1]
        if isinstance(around, list):
            around.append(value)
            return
        key, self._keys[-1] = self._keys[-1], None
        if key is None:
            message = "a key is not text"
            raise ValueError(message)
        around[key] = value
