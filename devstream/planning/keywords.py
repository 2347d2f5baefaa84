"""The expression of ``-k``: words that a tool is to have, with ``and``, ``or``, ``not`` and parentheses. Pure.

::

    expression := term ("or" term)*
    term       := factor ("and" factor)*
    factor     := "not" factor | "(" expression ")" | WORD

A word is anything without spaces and parentheses; capitals make no difference.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from devstream.errors import UsageError
from devstream.record import Immutable

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Keywords", "parse_keywords"]

_BINDS = {"or": 1, "and": 2, "not": 3}
"""How tightly an operator binds; an opening parenthesis, which waits for its end, binds to nothing."""

_TOKEN = re.compile(r"[()]|[^\s()]+")
_QUOTED = 200
"""How much of an expression a message repeats."""


class _Token(NamedTuple):
    text: str
    column: int


class Keywords(Immutable, frozen=True):
    """An expression in postfix order: words, and operators that take what stands before them.

    Attributes:
        steps: (is an operator, text), words in lower case.
    """

    steps: tuple[tuple[bool, str], ...]

    @property
    def words(self) -> tuple[str, ...]:
        """The words, in the order they are written."""
        return tuple(text for is_operator, text in self.steps if not is_operator)

    def matches(self, texts: Sequence[str]) -> bool:
        """Tell whether the expression holds for something that is called by these texts.

        >>> parse_keywords("web and not (db or old)").matches(["noop.web-1", "shop"])
        True
        """
        folded = [text.lower() for text in texts]
        values: list[bool] = []
        for is_operator, text in self.steps:
            if not is_operator:
                values.append(any(text in candidate for candidate in folded))
            elif text == "not":
                values.append(not values.pop())
            else:
                right, left = values.pop(), values.pop()
                values.append(left and right if text == "and" else left or right)
        return values[0]


def parse_keywords(text: str) -> Keywords:
    """Read an expression, of any depth and length.

    Raises:
        UsageError: it is none; the message names the column, counted from 1.
    """
    return _Parser(text).parse()


class _Parser:
    """Turns infix into postfix order with a stack of what still waits for its right side."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._steps: list[tuple[bool, str]] = []
        self._waiting: list[_Token] = []
        self._wants_word = True

    def parse(self) -> Keywords:
        for match in _TOKEN.finditer(self._text):
            token = _Token(match[0], match.start() + 1)
            if self._wants_word:
                self._begin(token)
            else:
                self._go_on(token)
        self._end()
        return Keywords(tuple(self._steps))

    def _begin(self, token: _Token) -> None:
        """Take a token where a word, or what leads to one, has to stand."""
        if token.text in ("not", "("):
            self._waiting.append(token)
        elif token.text in ("and", "or", ")"):
            raise self._wrong(f'a word has to stand before "{token.text}"', token.column)
        else:
            self._steps.append((False, token.text.lower()))
            self._wants_word = False

    def _go_on(self, token: _Token) -> None:
        """Take a token after a word."""
        if token.text == ")":
            self._close(token)
        elif token.text in ("and", "or"):
            self._take(_BINDS[token.text])
            self._waiting.append(token)
            self._wants_word = True
        else:
            raise self._wrong(f'"and" or "or" has to stand before "{_short(token.text)}"', token.column)

    def _close(self, token: _Token) -> None:
        self._take(0)
        if not self._waiting:
            raise self._wrong('there is no "(" for this ")"', token.column)
        self._waiting.pop()

    def _take(self, least: int) -> None:
        """Move the waiting operators that bind at least so tightly, up to the last open parenthesis."""
        while self._waiting and _BINDS.get(self._waiting[-1].text, -1) >= least:
            self._steps.append((True, self._waiting.pop().text))

    def _end(self) -> None:
        if self._wants_word:
            last = self._waiting[-1].text if self._waiting else ""
            what = f'a word has to stand after "{last}"' if last else "a word has to stand here"
            raise self._wrong(what, len(self._text.rstrip()) + 1)
        self._take(0)
        if self._waiting:
            raise self._wrong('there is no ")" for this "("', self._waiting[-1].column)

    def _wrong(self, what: str, column: int) -> UsageError:
        message = f"-k, column {column}: {what}"
        begin = max(0, column - 1 - _QUOTED // 2)
        shown = self._text[begin : begin + _QUOTED]
        excerpt = f"{shown}\n{' ' * (column - 1 - begin)}^"
        return UsageError(
            message,
            code="keywords",
            detail=excerpt,
            suggestion='write words, "and", "or", "not" and parentheses: -k "web and not (db or old)"',
        )


def _short(text: str) -> str:
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]}..."
