"""`Address`: how a tool instance is named in the graph, the state, messages and on the command line."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["Address", "TOOL_NAME", "INSTANCE_ID"]

TOOL_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")
"""A tool's name has no dot, so that the first dot of an address splits it."""

INSTANCE_ID = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
"""An RFC 1123 subdomain (at most 253 characters), as DevStream asks; it may hold dots."""


class Address(NamedTuple):
    """Identity of a tool instance: ``name.instanceID``. Sorts by name, then instance.

    >>> Address.parse("helm-installer.argocd.eu")
    Address(name='helm-installer', instance_id='argocd.eu')
    """

    name: str
    instance_id: str

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``name.instanceID``.

        Raises:
            ValueError: there is no dot, or a part is empty or has characters that are not allowed.
        """
        name, dot, instance_id = text.partition(".")
        if not dot or not TOOL_NAME.fullmatch(name) or not _is_instance_id(instance_id):
            message = f'"{text}" is not an address: it has the form name.instanceID'
            raise ValueError(message)
        return cls(name, instance_id)

    def __str__(self) -> str:
        return f"{self.name}.{self.instance_id}"


def _is_instance_id(text: str) -> bool:
    return len(text) <= 253 and INSTANCE_ID.fullmatch(text) is not None
