"""Names of tools, instances and apps: what is allowed, and addresses that a ``dependsOn`` lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream.config.origins import place_of
from devstream.config.scan import NOT_OURS
from devstream.config.tree import Map, Seq
from devstream.model.address import INSTANCE_ID, TOOL_NAME, Address

if TYPE_CHECKING:
    from devstream.config.check import Block
    from devstream.config.tree import Node
    from devstream.errors import Mark

__all__ = ["tool_name", "instance_id", "dependencies", "DependencyPlaces"]

_LONGEST_ID = 253


def tool_name(block: Block, key: str = "name") -> str:
    """Give the name of a tool that must be there; the empty text where it is not usable (which is noted)."""
    name = block.required(key)
    if not name:
        return ""
    if name in NOT_OURS:
        message = f'no tool can be called "{name}": that word begins an expression of GitHub\'s workflows'
        block.problems.error(message, "reserved-name", block.place(key))
        return ""
    if not TOOL_NAME.fullmatch(name):
        shown = block.shown(block.values.get(key), name)
        message = f'{shown} is not the name of a tool: letters, digits, "-" and "_", at most 63'
        block.problems.error(message, "wrong-name", block.place(key))
        return ""
    return name


def instance_id(block: Block, key: str = "instanceID") -> str:
    """Give an instanceID that must be there; the empty text where it is not usable (which is noted)."""
    hint = "add instanceID: default, or another name that tells it from its like"
    name = block.required(key, hint if key == "instanceID" else "")
    if name and not is_instance_id(name):
        value = block.values.get(key)
        block.problems.error(
            f'{block.shown(value, name)} cannot be {_article(key)}: lower-case letters, digits, "-" and ".", at most 253',
            "wrong-name",
            block.place(key),
            suggestion=_repaired(name) if isinstance(value, str) else "",
        )
        return ""
    return name


def is_instance_id(text: str) -> bool:
    """Tell whether a text is an RFC 1123 subdomain."""
    return len(text) <= _LONGEST_ID and INSTANCE_ID.fullmatch(text) is not None


def _article(key: str) -> str:
    return "an instanceID" if key == "instanceID" else "a name, since it becomes an instanceID"


def _repaired(name: str) -> str:
    """Propose what was probably meant, where there is such a thing."""
    better = name.strip().lower().replace("_", "-").replace(" ", "-")
    return f'for example "{better}"' if is_instance_id(better) else ""


def dependencies(block: Block) -> tuple[Address, ...] | None:
    """Give the addresses that ``dependsOn`` lists; None where it is not written. Blank texts are left out."""
    if "dependsOn" not in block.values:
        return None
    value = block.values["dependsOn"]
    if not isinstance(value, list):
        found = [_address(block, word, "dependsOn") for word in block.words("dependsOn")]
    else:
        found = [_address(block, item, "dependsOn", index) for index, item in enumerate(value)]
    return tuple(dict.fromkeys(address for address in found if address))


def _address(block: Block, value: object, *path: str | int) -> Address | None:
    text = block.text_at(value, *path) if value is not None else None
    if not text or not text.strip():
        return None
    try:
        return Address.parse(text.strip())
    except ValueError:
        shown = block.shown(value, text.strip())
        message = f"{shown} is not an address: it has the form name.instanceID"
        block.problems.error(message, "wrong-address", block.place(*path))
        return None


class DependencyPlaces:
    """Where a ``dependsOn`` below ``node`` names which address (or the list, if a template makes it)."""

    def __init__(self, node: Node) -> None:
        self._node = node
        listed = node.get("dependsOn") if isinstance(node, Map) else None
        names = enumerate(listed) if isinstance(listed, Seq) else ()
        self._index: dict[str, int] = {}
        for index, name in names:
            if isinstance(name, str):
                self._index.setdefault(name.strip(), index)

    def of(self, address: Address) -> Mark | None:
        """Give the place of an address."""
        index = self._index.get(str(address))
        return place_of(self._node, ("dependsOn",) if index is None else ("dependsOn", index))
