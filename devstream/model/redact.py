"""`Redactor`: takes the text of secrets out of everything that is printed or written."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Redactor", "MASK", "SHORTEST"]

MASK = "(secret)"
"""What is printed in a secret's place."""

SHORTEST = 6
"""Shorter secrets are not masked: they would blot out ordinary words and numbers."""


class Redactor:
    """Masks the secrets it was told of, also where they are base64-, URL- or JSON-escaped.

    Safe to use from several threads: `add` replaces the list of what to look for as a whole.

    >>> redactor = Redactor()
    >>> redactor.add("hunter2hunter2")
    >>> redactor.mask("password=hunter2hunter2")
    'password=(secret)'
    """

    __slots__ = ("_known", "_lock", "_needles")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: frozenset[str] = frozenset()
        self._needles: tuple[str, ...] = ()

    def add(self, text: str) -> None:
        """Mask ``text`` from now on, and each line of it where it has several."""
        with self._lock:
            if len(text) < SHORTEST or text in self._known:
                return
            self._known |= {text}
            self._needles += tuple(
                needle for needle in dict.fromkeys(_forms(text)) if needle not in self._needles
            )

    def mask(self, text: str) -> str:
        """Give ``text`` with every secret replaced; costs nothing where there are none."""
        if not self._needles:
            return text
        spans = [span for needle in self._needles if needle in text for span in _find(text, needle)]
        return _cut(text, sorted(spans)) if spans else text


def _find(text: str, needle: str) -> Iterator[tuple[int, int]]:
    start = text.find(needle)
    while start >= 0:
        yield start, start + len(needle)
        start = text.find(needle, start + 1)


def _cut(text: str, spans: list[tuple[int, int]]) -> str:
    """Replace the spans; those that overlap or touch become one, so that no fragment stays between them."""
    kept: list[str] = []
    end = 0
    for first, last in spans:
        if first > end or not kept:
            kept += (text[end:first], MASK)
        end = max(end, last)
    return "".join(kept) + text[end:]


def _forms(text: str) -> Iterator[str]:
    """Yield every form a secret is looked for in."""
    whole = [text, *(line.strip() for line in text.splitlines() if len(line.strip()) >= SHORTEST)]
    for form in dict.fromkeys(whole):
        yield form
        yield from _escaped(form)
    yield from _base64(text.encode("utf-8", "surrogatepass"))


def _escaped(text: str) -> Iterator[str]:
    from json import dumps
    from urllib.parse import quote, quote_plus

    yield dumps(text)[1:-1]
    yield dumps(text, ensure_ascii=False)[1:-1]
    for safe in ("", "/"):
        yield quote(text, safe=safe, errors="replace")
    yield quote_plus(text, errors="replace")


def _base64(raw: bytes) -> Iterator[str]:
    """Yield the part of each base64 form that does not depend on what stands beside the secret."""
    from base64 import b64encode

    for shift in range(3):
        first = (shift * 8 + 5) // 6
        last = (shift + len(raw)) * 8 // 6
        form = b64encode(b"\0" * shift + raw).decode("ascii")[first:last]
        if len(form) >= SHORTEST:
            yield form
            yield form.replace("+", "-").replace("/", "_")
