"""Where ``[[ ... ]]`` ends, and whether it is ours: YAML's nested lists and shell tests look alike."""

from __future__ import annotations

import re
from enum import Enum

__all__ = ["End", "closing", "is_literal", "looks_like_shell"]


class End(Enum):
    """Why no ``]]`` closes what ``[[`` opened."""

    COMMA = "a comma outside of all brackets: a YAML list"
    SINGLE = "a single ] outside of all brackets: a YAML list"
    LINE = "the line, or the longest expression, ends before"
    STRING = "a string is not closed"
    UNBALANCED = "a bracket is closed by another kind"
    DEEP = "brackets nest too deeply for an expression"


DEEPEST = 8
"""Brackets within brackets of an expression; the bound keeps the scan linear on lines full of ``[[``."""

_STOP = re.compile(
    r"""[\[\](){},\r\n]|"(?:[^"\\\r\n]|\\.)*+"|'(?:[^'\\\r\n]|\\.)*+'"""
    r"""|\\"(?:(?!\\")(?>[^\\\r\n]|\\{4}|\\{3}"|\\[^"\r\n]))*+\\"|\\\\|\\"|["']"""
)
"""Brackets, commas, line ends, whole strings, and (last) quotes of strings that are not closed."""
_CLOSER = {"[": "]", "(": ")", "{": "}"}
_QUOTES = ('"', "'", '\\"')
_STRING = re.compile(r"""\\"(?:[^\\]|\\[^"])*?\\"|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")
_LITERAL = re.compile(
    r"""[ \t]*(?:[-+]?\.?\d[\w.+-]*|\\"[^"]*\\"|"[^"]*"|'[^']*'|true|True|TRUE|false|False|FALSE|null|Null|NULL|~|)[ \t]*"""
)
_SHELL_START = re.compile(r"""[ \t]*(?:-[A-Za-z][ \t]|![ \t]|\\?["']?\$|\([ \t])""")
_SHELL_SIGN = re.compile(r"=~|&&|\|\||[ \t]-(?:eq|ne|lt|gt|le|ge|nt|ot|ef)[ \t]")
_SHELL_BEFORE = re.compile(r"""(?:^|[\s;("'`&|])(?:if|elif|while|until|then|do|else|!|&&|\|\|)[ \t]+$""")
_SHELL_AFTER = re.compile(r"[ \t]*(?:&&|\|\||;)")
_COMPARISON = re.compile(r"[ \t](?:==?|!=|<|>)[ \t]")
_FILTER = re.compile(r"(?<!\|)\|(?!\|)")


def closing(text: str, start: int, limit: int) -> int | End:
    """Find the ``]]`` that closes an expression, minding strings and brackets.

    Args:
        text: the whole text.
        start: the first character after ``[[``.
        limit: where to give up.

    Returns:
        The offset of the ``]]``, or why there is none.
    """
    open_brackets: list[str] = []
    for stop in _STOP.finditer(text, start, limit):
        sign = stop[0]
        if sign in _CLOSER:
            if len(open_brackets) == DEEPEST:
                return End.DEEP
            open_brackets.append(_CLOSER[sign])
        elif sign in "])}" and open_brackets:
            if open_brackets.pop() != sign:
                return End.UNBALANCED
        elif sign in "])},":
            if not open_brackets:
                return _outside(text, stop.start(), sign)
        elif sign in "\r\n":
            return End.LINE
        elif sign in _QUOTES:
            return End.STRING
    return End.LINE


def _outside(text: str, at: int, sign: str) -> int | End:
    """Judge a comma or closing bracket that no bracket of the expression is open for."""
    if sign == ",":
        return End.COMMA
    if sign != "]":
        return End.UNBALANCED
    return at if text.startswith("]]", at) else End.SINGLE


def is_literal(content: str) -> bool:
    """Tell whether it is empty or one number, word or string: a YAML list of one, never a template."""
    return _LITERAL.fullmatch(content) is not None


def looks_like_shell(content: str, before: str, after: str) -> bool:
    """Tell whether ``[[ content ]]`` is a test of a shell rather than an expression.

    Args:
        content: what stands between the brackets.
        before: what stands before on the line.
        after: the next few characters.
    """
    if _SHELL_START.match(content):
        return True
    bare = _STRING.sub('""', content)
    if _SHELL_SIGN.search(bare):
        return True
    if _FILTER.search(bare):
        return False
    if _SHELL_BEFORE.search(before):
        return True
    return _SHELL_AFTER.match(after) is not None and _COMPARISON.search(bare) is not None
