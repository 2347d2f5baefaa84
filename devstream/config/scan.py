"""Find the templates in a file's text and put placeholders in their stead, before YAML is parsed.

The scan goes from left to right over ``[[`` and ``${{``. What it cannot judge alone it decides late: a broken
expression becomes a placeholder for the error (`Refused`), which counts only if it turns out to be in a value or
a key (in a comment nothing can fail); a ``[[`` that is left alone as text is remembered, and is an error only if
YAML takes it for the beginning of a nested list.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from devstream.config.brackets import DEEPEST, End, closing, is_literal, looks_like_shell
from devstream.config.tokens import MOST_TOKENS, Tokens
from devstream.config.tree import Env, Expression, Name, Ref

if TYPE_CHECKING:
    from devstream.config.tree import Part

__all__ = [
    "Refused",
    "Doubt",
    "Loose",
    "Cut",
    "Scan",
    "scan",
    "TooManyTemplates",
    "LONGEST",
    "NOT_OURS",
    "RAW_HINT",
]

LONGEST = 512
"""Characters of an expression; the bound keeps the scan linear."""

NOT_OURS = frozenset(
    "steps needs jobs job github env vars secrets inputs matrix runner strategy".split()  # noqa: SIM905
)
"""First words of ``${{ }}`` that belong to GitHub Actions; no tool may have such a name."""

RAW_HINT = 'to keep it as text, tag the value !raw or write [[ "[[" ]] for [['

_NAME = r"[^\W\d]\w*+"
_PLAIN = (
    rf"\[\[(?:-[ \t])?[ \t]*(?:\.?(?P<path>{_NAME}(?:\.{_NAME})*+)"
    r"|env[ \t]+(?P<quote>\\\"|\"|''|'|)(?P<env>[A-Za-z_][\w.-]*)(?P=quote))[ \t]*(?:[ \t]-)?\]\]"
)
_ESCAPE = re.compile(r"""\[\[[ \t]*(?:"\[\["|'\[\['|\\"\[\[\\"|''\[\['')[ \t]*\]\]""")
_FAST = re.compile(_PLAIN)
_START = re.compile(rf"{_PLAIN}|\[\[+|\$\{{\{{")
_LITERAL_WORDS = frozenset("true True TRUE false False FALSE null Null NULL".split())  # noqa: SIM905
_CONTROL = re.compile(
    r"(?:end|else)\s*$|else[ \t]+if\b|(?:if|else|range|with|define|template|block)[ \t]+(?![|~=!<>]|(?:in|not|and|or|if|else|is)\b)"
)
_REST_IS_BLANK = re.compile(r"[ \t]*(?:#[^\r\n]*)?(?:[\r\n]|\Z)")
_HAS_OPERATOR = re.compile(r"[|~(]|\w\[")

_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_REFERENCE = re.compile(
    r"\$\{\{[ \t]*(?P<text>(?P<word>[A-Za-z0-9_][A-Za-z0-9_-]{0,62})"
    r"\.(?P<id>[a-z0-9.-]{1,253}?)\.outputs\.[\w-]+(?:\.[\w-]+|\[\d{1,9}\])*)[ \t]*\}\}",
    re.ASCII,
)
_CUT = re.compile(
    rf"(?:\[\[[ \t]+(?:\.?{_NAME}(?:\.{_NAME})*+|env[ \t]+[\"']?[A-Za-z_]\w*+[\"']?)[ \t]+\])(?![\],])"
    r"|(?:\$\{\{[ \t]*(?P<word>[A-Za-z0-9_][A-Za-z0-9_-]*)\.[a-z0-9.-]+\.outputs\.[\w.\[\]-]+[ \t]*\}?)(?!\})"
)
"""What one bracket or brace more would make ours."""
_ID = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_LINE_END = re.compile(r"[\r\n]")
_FIRST_WORD = re.compile(r"[ \t]*([A-Za-z0-9_][A-Za-z0-9_-]*)")


class Refused(NamedTuple):
    """Stands in place of an expression that is an error wherever it is not in a comment."""

    summary: str
    suggestion: str
    offset: int


class Doubt(NamedTuple):
    """Why a ``[[`` was left alone; an error if YAML reads it as a nested list."""

    summary: str
    suggestion: str


class Loose(NamedTuple):
    """``${{ word ... }}`` that is not of our shape: an error if ``word`` is the name of a tool."""

    word: str
    text: str
    offset: int


class Cut(NamedTuple):
    """``[[ name ]`` or ``${{ reference }``: text, and probably meant to be more."""

    text: str
    closing: str
    offset: int


_NOT_CLOSED = Doubt(
    "[[ is not closed on this line", "write the expression on one line, or a nested list as [ [ ... ] ]"
)


_NESTED = Doubt("[[[ is read as nested lists", "")
_SHELL_TEST = Doubt(
    "[[ looks like a shell test", "quote the whole text, or write [ [ ... ] ] for a nested list"
)
_REFERENCE_INSIDE = Doubt(
    "a reference cannot stand inside [[ ]]",
    "write ${{ ... }} without [[ ]] around it, or [ [ ... ] ] for a nested list",
)


_TOO_DEEP = Doubt(
    f"brackets nest more than {DEEPEST} deep after [[",
    "write simpler expressions into vars, or [ [ ... ] ] for a nested list",
)


class TooManyTemplates(Exception):
    """One file holds more templates than there are placeholders; ``offset`` is that of the first too many."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class _Found(NamedTuple):
    """A template, or an error in its place, and the range that it covers."""

    part: Part | Refused
    start: int
    end: int


class Scan:
    """What the scan of one text found.

    Attributes:
        original: the text.
        text: the text with placeholders, of the same length.
        tokens: writes and finds the placeholders; None where there are none.
        parts: what each placeholder stands for: a part of a template, literal text, or `Refused`.
        spans: the range each placeholder covers.
        loose: what stays text and may be a mistake, in order of offset.
    """

    def __init__(self, original: str) -> None:
        self.original = original
        self.text = original
        self.tokens: Tokens | None = None
        self.parts: list[Part | Refused] = []
        self.spans: list[tuple[int, int]] = []
        self.loose: list[Loose | Cut] = []

    def doubt(self, offset: int) -> Doubt | None:
        """Say why a YAML list that begins at ``offset`` is probably not meant; None where it is fine."""
        start = _START.match(self.original, offset)
        verdict = None if start is None else _judge(self.original, start)
        if start is None or not isinstance(verdict, Doubt):
            return None
        if verdict is _NESTED:
            return _nested(self.original, start.end())
        return None if verdict is _NOT_CLOSED and _is_list(self.original, offset) else verdict


def scan(text: str) -> Scan:
    """Find every template of a text.

    Raises:
        TooManyTemplates: there are more than `MOST_TOKENS`.
        TooManyPrivateCharacters: no placeholders are left.
    """
    found = Scan(text)
    if "[[" in text or "${{" in text:
        _search(found)
    if found.spans:
        _swap(found)
    return found


def _search(found: Scan) -> None:
    text = found.original
    position = 0
    while (start := _START.search(text, position)) is not None:
        verdict = _judge(text, start)
        position = start.end()
        if type(verdict) is _Found:
            position = verdict.end
            found.parts.append(verdict.part)
            found.spans.append((verdict.start, position))
        elif isinstance(verdict, Loose):
            found.loose.append(verdict)
        elif (cut := _CUT.match(text, start.start(), start.start() + LONGEST)) and cut[
            "word"
        ] not in NOT_OURS:
            closing_sign = "]]" if cut["word"] is None else "}}"
            found.loose.append(Cut(cut[0].rstrip(), closing_sign, start.start()))
        if len(found.parts) > MOST_TOKENS or len(found.loose) > MOST_TOKENS:
            raise TooManyTemplates(start.start())


def _swap(found: Scan) -> None:
    """Write all placeholders into the text."""
    found.tokens = tokens = Tokens(found.original)
    pieces: list[str] = []
    position = 0
    for number, (start, end) in enumerate(found.spans):
        pieces += found.original[position:start], tokens.write(number, end - start)
        position = end
    found.text = "".join([*pieces, found.original[position:]])


def _judge(text: str, start: re.Match[str]) -> _Found | Doubt | Loose | None:
    """Say what begins at a match of `_START`."""
    if start.lastgroup is not None:
        is_ours = start["path"] not in _LITERAL_WORDS and start.end() - start.start() <= LONGEST
        return _plain(start) if is_ours else None
    if start[0] == "${{":
        return _braces(text, start.start())
    return _brackets(text, start)


def _braces(text: str, start: int) -> _Found | Loose | None:
    """Judge ``${{``."""
    reference = _REFERENCE.match(text, start, start + LONGEST)
    if reference is not None and _ID.fullmatch(reference["id"]):
        return (
            None
            if reference["word"] in NOT_OURS
            else _Found(Ref(reference["text"], start), start, reference.end())
        )
    end = text.find("}}", start, start + LONGEST)
    if end < 0 or _LINE_END.search(text, start, end):
        return None
    content = text[start + 3 : end]
    word = _FIRST_WORD.match(content)
    if word is not None and word[1] in NOT_OURS:
        return None
    if "[[" in content and ".outputs." in content:
        hint = "write the address out, or tag the value !raw"
        return _Found(Refused("a reference cannot hold a template", hint, start), start, end + 2)
    return None if word is None else Loose(word[1], text[start : end + 2], start)


def _brackets(text: str, run: re.Match[str]) -> _Found | Doubt | None:
    """Judge ``[[``, or a longer run of brackets: lists, the last two perhaps a template of the plain form."""
    start, last = run.start(), run.end() - 2
    if last > start:
        fast = _FAST.match(text, last)
        is_plain = fast is not None and fast["path"] not in _LITERAL_WORDS
        return _plain(fast) if fast and is_plain else _NESTED
    escape = _ESCAPE.match(text, start)
    if escape is not None:
        return _Found("[[", start, escape.end())
    if text[start + 2 : start + 3] in (":", "=", "^"):
        return Doubt("[[ looks like a character class", "quote the text")
    return _general(text, start)


def _plain(fast: re.Match[str]) -> _Found:
    """``[[ name ]]`` or ``[[ env X ]]``."""
    start, end, path = fast.start(), fast.end(), fast["path"]
    if path is None:
        return _Found(Env(fast["env"], start), start, end)
    if path in ("end", "else"):
        return _Found(_control(path, start), start, end)
    return _Found(Name(tuple(path.split(".")), start), start, end)


def _general(text: str, start: int) -> _Found | Doubt | None:
    """Judge anything between ``[[`` and ``]]`` that is not of the plain forms."""
    first = text.find("]]", start + 2, start + LONGEST)
    if first < 0 or _LINE_END.search(text, start, first):
        return _NOT_CLOSED
    end = closing(text, start + 2, start + LONGEST)
    if end is End.DEEP:
        return _TOO_DEEP
    stop = end if isinstance(end, int) else first
    content = text[start + 2 : stop]
    if end in (End.COMMA, End.SINGLE) or is_literal(content):
        return None
    if looks_like_shell(content, _line_before(text, start), text[stop + 2 : stop + 10]):
        return _REFERENCE_INSIDE if "${{" in content else _SHELL_TEST
    return _NOT_CLOSED if end is End.LINE else _Found(_expression(content, end, start), start, stop + 2)


def _is_list(text: str, start: int) -> bool:
    """Tell whether ``[[`` that is not closed on its line looks like YAML's nested lists."""
    if _REST_IS_BLANK.match(text, start + 2):
        return True
    return closing(text, start + 2, start + LONGEST) in (End.COMMA, End.SINGLE)


def _nested(text: str, start: int) -> Doubt | None:
    """Judge the content of ``[[[ ... ]]``: lists are fine, unless it looks like an expression."""
    close = closing(text, start, start + LONGEST)
    if not isinstance(close, int) or not _HAS_OPERATOR.search(text, start, close):
        return None
    return Doubt(_NESTED.summary, f"write [ [[ {text[start:close].strip()} ]] ] for a list with a template")


def _line_before(text: str, start: int) -> str:
    """Give what stands on the line before an offset; of a long line, the end."""
    before = text[max(start - 100, 0) : start]
    return _LINE_END.split(before)[-1]


def _expression(content: str, end: int | End, start: int) -> Expression | Refused:
    skipped = 2 if content[:2] in ("- ", "-\t") else 0
    text = content[skipped:-2] if content[-2:] in (" -", "\t-") else content[skipped:]
    blanks = len(text) - len(text.lstrip())
    if _CONTROL.match(text, blanks):
        return _control(text, start)
    if end is End.STRING:
        return Refused("a string in the expression is not closed", RAW_HINT, start)
    if end is End.UNBALANCED:
        return Refused("the brackets in the expression do not match", RAW_HINT, start)
    if "${{" in text:
        return Refused(*_REFERENCE_INSIDE, start)
    return Expression(text.strip(), start, start + 2 + skipped + blanks)


def _control(content: str, start: int) -> Refused:
    word = content.split(maxsplit=1)[0]
    hint = "[[ a if x else b ]] and [[ items | join(',') ]] are there; loops belong into a script or a template file"
    return Refused(f'"{word}" of Go templates is not supported', hint, start)
