"""What a plain scalar means: YAML 1.2 as DevStream's parser reads it, without dates.

Only these are not text: null, true and false, integers, and numbers with a point or an exponent. ``yes``, ``on``,
``1:30`` and ``2022-01-01`` are text.
"""

from __future__ import annotations

import math
import re
from typing import NamedTuple

from devstream.errors import Severity

__all__ = ["typed", "tagged", "Remark", "remark", "NUMERIC_START", "LARGEST", "SMALLEST"]

LARGEST = 2**64 - 1
SMALLEST = -(2**63)

NUMERIC_START = frozenset("0123456789+-.")
"""Characters that a number may begin with; anything else is no number at first sight."""

_WORDS: dict[str, bool | None] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F_]+)|0[oO](?P<octal>[0-7_]+)|0[bB](?P<binary>[01_]+)"
    r"|(?P<old_octal>0[0-7_]+)|(?P<decimal>0|[1-9][0-9_]*))"
)
_BASES = {"hex": 16, "octal": 8, "binary": 2, "old_octal": 8, "decimal": 10}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*\.[0-9_]*|[0-9][0-9_]*(?=[eE]))(?:[eE][-+]?[0-9]+)?")
_OLD_OCTAL = re.compile(r"[-+]?0[0-9_]+")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_LONGEST = 80
"""Characters; no number that fits 64 bits is written longer, and reading longer ones takes time."""


class Remark(NamedTuple):
    """Something to say about a scalar: an error, or a warning that it may not be what was meant."""

    severity: Severity
    summary: str
    suggestion: str


def typed(text: str) -> str | int | float | bool | None:
    """Give the value that unquoted text stands for; text that is nothing else is itself. Never raises.

    >>> typed("8080"), typed("0x1F"), typed("1e3"), typed("yes"), typed("~"), typed("2022-01-01")
    (8080, 31, 1000.0, 'yes', None, '2022-01-01')
    """
    if text in _WORDS:
        return _WORDS[text]
    return _number(text) if text[0] in NUMERIC_START else text


def _number(text: str) -> str | int | float:
    if len(text) > _LONGEST:
        return text
    integer = _INTEGER.fullmatch(text)
    if integer is not None:
        value = _integer(integer)
        return value if value is not None and SMALLEST <= value <= LARGEST else text
    if _FLOAT.fullmatch(text):
        number = float(text.replace("_", ""))
        return number if math.isfinite(number) else text
    return text


def _integer(match: re.Match[str]) -> int | None:
    kind = match.lastgroup or ""
    digits = match[kind].replace("_", "")
    return int(match["sign"] + digits, _BASES[kind]) if digits else None


def tagged(tag: str, text: str) -> str | int | float | bool | None:
    """Give the value of text under one of YAML's own scalar tags.

    Args:
        tag: ``str``, ``int``, ``float``, ``bool`` or ``null``.
        text: what is written.

    Raises:
        ValueError: the text is not of that type.
    """
    if tag == "str":
        return text
    value = typed(text)
    if tag == "float" and type(value) is int:
        value = float(value)
    if type(value) is not {"int": int, "float": float, "bool": bool, "null": type(None)}[tag]:
        message = f'"{text}" is not of the type !!{tag}'
        raise ValueError(message)
    return value


def remark(text: str, value: object) -> Remark | None:
    """Say what is doubtful about unquoted text that begins like a number.

    Args:
        text: as written.
        value: what `typed` made of it.
    """
    if isinstance(value, int):
        return _octal(text, value) if _OLD_OCTAL.fullmatch(text) else None
    if isinstance(value, float):
        return None
    if _OLD_OCTAL.fullmatch(text) and len(text) <= _LONGEST:
        return Remark(Severity.WARNING, f"{text} is kept as text", f'write "{text}" to say so')
    if _NOT_FINITE.fullmatch(text):
        return Remark(Severity.ERROR, f"{text} is not a value that JSON can hold", f'quote it: "{text}"')
    if _INTEGER.fullmatch(text) and text.strip("+-_0xXoObB"):
        return Remark(Severity.ERROR, "the number does not fit 64 bits", "quote it to make it text")
    if _FLOAT.fullmatch(text):
        return Remark(Severity.ERROR, "the number is too large", "quote it to make it text")
    return None


def _octal(text: str, value: int) -> Remark:
    digits = text.lstrip("+-").lstrip("0_") or "0"
    return Remark(
        Severity.WARNING, f"{text} is octal and means {value}", f'write "{text}" for text or 0o{digits}'
    )
