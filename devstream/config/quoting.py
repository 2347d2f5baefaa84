"""Free text from the YAML quotes it stands in: a placeholder took it out of YAML's own hands."""

from __future__ import annotations

import re

from devstream.config.brackets import closing

__all__ = ["unquoted", "unquoted_expression"]

_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U(0010[0-9a-fA-F]{4}|000[0-9a-fA-F]{5})|(.))")
_CHARACTERS = {
    **dict(zip("0abtnvfe", "\0\a\b\t\n\v\f\x1b", strict=True)),
    **dict(zip('N_LP\t "/\\', '\x85\xa0\u2028\u2029\t "/\\', strict=True)),
}
_QUOTES = re.compile("'+")


def unquoted(text: str, style: str) -> str:
    """Give what the characters of a scalar stand for.

    Args:
        text: characters from inside of it.
        style: ``"``, ``'``, or anything else for scalars without quotes, which stand for themselves.

    >>> unquoted("env ''X''", "'")
    "env 'X'"
    """
    if style == '"' and "\\" in text:
        return _ESCAPE.sub(_character, text)
    if style == "'" and all(len(run) % 2 == 0 for run in _QUOTES.findall(text)):
        return text.replace("''", "'")
    return text


def unquoted_expression(text: str, style: str) -> str:
    """Give an expression freed from its quotes; as it is where only that makes sense.

    DevStream rendered before it parsed, so ``'[[ x | default('') ]]'`` is legal there and must load, too.

    >>> unquoted_expression("x | default('''')", "'"), unquoted_expression("x | default('')", "'")
    ("x | default('')", "x | default('')")
    """
    result = unquoted(text, style)
    return result if closing(f"{result}]]", 0, len(result) + 2) == len(result) else text


def _character(escape: re.Match[str]) -> str:
    code = escape[1] or escape[2] or escape[3]
    return chr(int(code, 16)) if code else _CHARACTERS.get(escape[4], escape[0])
