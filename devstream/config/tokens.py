"""Placeholders for templates: as wide as what they stand for, of characters that the text does not hold.

Since a placeholder has the source's width, every offset in the text stays true. Private-use characters may begin
a plain scalar and stand in keys, quotes, flow and block scalars, but not in anchors, aliases and tags; so libyaml
itself refuses a template there, at the right column.
"""

from __future__ import annotations

import re

__all__ = ["Tokens", "MOST_TOKENS", "TooManyPrivateCharacters"]

MOST_TOKENS = 64**3
_FIRST, _LAST = 0xE000, 0xF8FE
_PRIVATE = re.compile("[\ue000-\uf8ff]")
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))")
_NEEDED = 66


class TooManyPrivateCharacters(Exception):
    """The text holds so many different private-use characters that not enough are left for placeholders."""


class Tokens:
    """Writes placeholders for one text and finds them again.

    Raises:
        TooManyPrivateCharacters: too few characters are left.
    """

    def __init__(self, text: str) -> None:
        characters = _unused(text)
        self.marker = characters[0]
        self._padding = characters[1]
        self._digits = characters[2:]
        self._values = {digit: value for value, digit in enumerate(self._digits)}
        self._pattern = re.compile(f"{self.marker}([{self._digits}]{{3}}){self._padding}*")

    def write(self, number: int, width: int) -> str:
        """Give placeholder ``number`` (below `MOST_TOKENS`), ``width`` characters wide (at least 4)."""
        digits = self._digits
        return (
            self.marker
            + digits[number >> 12]
            + digits[(number >> 6) & 63]
            + digits[number & 63]
            + self._padding * (width - 4)
        )

    def split(self, text: str) -> list[str | int]:
        """Split text at its placeholders: literal text at even places, numbers at odd ones."""
        pieces: list[str | int] = []
        values = self._values
        for index, piece in enumerate(self._pattern.split(text)):
            if index % 2:
                pieces.append((values[piece[0]] << 12) | (values[piece[1]] << 6) | values[piece[2]])
            else:
                pieces.append(piece)
        return pieces


def _unused(text: str) -> str:
    """Give the first private-use characters that are not in the text, nor spelled in it as an escape."""
    used: set[int] = set()
    if not text.isascii():
        used.update(ord(character) for character in set(_PRIVATE.findall(text)))
    if "\\" in text:
        used.update(int(short or long, 16) for short, long in set(_ESCAPED.findall(text)))
    free = [
        chr(code) for code in range(_FIRST, min(_FIRST + _NEEDED + len(used), _LAST + 1)) if code not in used
    ]
    if len(free) < _NEEDED:
        raise TooManyPrivateCharacters
    return "".join(free[:_NEEDED])
