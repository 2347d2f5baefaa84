"""XML for Jenkins: built from trees, never from text; read without entities and within limits."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING, Any
from xml.parsers import expat

from devstream.api import OperationError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["element", "parse", "write", "MAX_XML"]

MAX_XML = 4 * 1024 * 1024
"""The most bytes of XML that are read; configurations of jobs have a few thousand."""
_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_DECLARATION = re.compile(rb"\A\s*<\?xml[^>]*\?>")


def element(tag: str, content: str | Iterable[ET.Element] = (), **attributes: str) -> ET.Element:
    """Make an element with text or children. ``of`` stands for the attribute ``class``.

    Raises:
        OperationError: the text has characters that XML cannot hold.
    """
    named = {"class" if name == "of" else name: _checked(value) for name, value in attributes.items()}
    made = ET.Element(tag, named)
    if isinstance(content, str):
        made.text = _checked(content)
    else:
        made.extend(content)
    return made


def _checked(text: str) -> str:
    odd = _ILLEGAL.search(text)
    if odd:
        message = f"a value holds the character U+{ord(odd.group()):04X}, which XML cannot hold"
        raise OperationError(message)
    return text


def write(root: ET.Element) -> bytes:
    """Write a document; values are escaped."""
    return f"<?xml version='1.0' encoding='UTF-8'?>\n{ET.tostring(root, encoding='unicode')}".encode()


def parse(document: bytes, *, what: str) -> ET.Element:
    """Read a document. Jenkins declares XML 1.1, which says nothing that matters here.

    Args:
        what: its name, for messages.

    Raises:
        OperationError: it is too large, not well-formed, or has a document type (and so may have entities).
    """
    if len(document) > MAX_XML:
        message = f"{what} is larger than {MAX_XML} bytes"
        raise OperationError(message)
    builder = ET.TreeBuilder()
    parser = expat.ParserCreate("utf-8")
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data

    def refuse(*_: Any) -> None:
        message = f"{what} has a document type, which no configuration of Jenkins has"
        raise OperationError(message)

    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(_DECLARATION.sub(b"", document), True)
    except expat.ExpatError as error:
        message = f"{what} is not well-formed XML: {error}"
        raise OperationError(message) from None
    return builder.close()
