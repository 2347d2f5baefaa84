"""Any tree, dumped, with templates spliced in at random leaves, is parsed to the same tree."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from devstream.config.scalars import LARGEST, NUMERIC_START, SMALLEST, typed
from devstream.config.source import parse
from devstream.config.tree import Expression, Map, Name, Part, Ref, Seq, Source, Template, mark_of

WORD = re.compile("TPLZ([0-9]+)Z")
"""What stands in a dumped tree for a template, until the real one is written in its place."""

FORMS: list[tuple[str, type]] = [
    ("[[ a ]]", Name),
    ("[[a.b]]", Name),
    ("[[ x | lower ]]", Expression),
    ("[[ x[0] ]]", Expression),
    ("${{ t.i.outputs.k }}", Ref),
]


SHELL = re.compile(r"(?:if|elif|while|until|then|do|else|!|&&|\|\|)\s*\Z")
"""What makes the ``[[`` that follows a test of a shell, by rule R9."""


class Text(str):
    """Text that has to be quoted, since it would be something else without."""

    __slots__ = ()


class _Dumper(yaml.CSafeDumper):
    pass


_Dumper.add_representer(
    Text, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')
)


def is_free_of_brackets(text: str) -> bool:
    signs = ("[[", "]]", "${{", "TPLZ")
    return text == text.strip("[]") and not any(sign in text for sign in signs) and not SHELL.search(text)


def quoted_where_needed(text: str) -> str:
    return Text(text) if text[:1] in NUMERIC_START or not isinstance(typed(text), str) else text


SIGNS = st.characters(exclude_categories=("Cs", "Cc", "Cn", "Co"), include_characters="\n\t")
WORDS = st.text(SIGNS, max_size=20).filter(is_free_of_brackets).map(quoted_where_needed)
TEMPLATES = st.integers(0, len(FORMS) - 1).map("TPLZ{}Z".format)
TEXTS = (
    st.lists(st.one_of(WORDS.map(str), TEMPLATES), min_size=1, max_size=3)
    .map(" ".join)
    .map(quoted_where_needed)
)
NUMBERS = st.one_of(st.integers(SMALLEST, LARGEST), st.floats(allow_nan=False, allow_infinity=False))
LEAVES = st.one_of(TEXTS, TEMPLATES, WORDS, NUMBERS, st.booleans(), st.none())
KEYS = st.text(SIGNS, max_size=8).filter(is_free_of_brackets).map(quoted_where_needed)


def lists_of(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Lists that do not begin with a list: in flow style that would be ``[[``, a matter of rules of its own."""
    return st.lists(items, max_size=4).filter(lambda found: not (found and isinstance(found[0], list)))


TREES = st.dictionaries(
    KEYS,
    st.recursive(
        LEAVES,
        lambda inner: st.one_of(lists_of(inner), st.dictionaries(KEYS, inner, max_size=4)),
        max_leaves=12,
    ),
    max_size=4,
)
STYLES = st.fixed_dictionaries(
    {
        "default_flow_style": st.sampled_from([True, False, None]),
        "default_style": st.sampled_from([None, None, "'", '"', "|", ">"]),
        "allow_unicode": st.booleans(),
        "width": st.sampled_from([20, 80, 10_000]),
        "indent": st.sampled_from([2, 4]),
        "line_break": st.sampled_from(["\n", "\r\n", "\r"]),
        "explicit_start": st.booleans(),
    }
)


def dumped(tree: Any, style: dict[str, Any]) -> str:
    text: str = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, **style)
    return re.sub(rf"(\[?){WORD.pattern}", lambda word: _spaced(word[1]) + FORMS[int(word[2])][0], text)


def _spaced(bracket: str) -> str:
    """A list that begins with a template needs a blank: three brackets are lists, but for the plain forms."""
    return f"{bracket} " if bracket else ""


def compare(found: Any, expected: Any, styled: bool) -> None:
    """Hold a parsed node against what was dumped; ``styled`` where every scalar was written in quotes."""
    if isinstance(expected, dict):
        assert isinstance(found, Map)
        assert list(found) == [str(key) for key in expected]
        for key, value in expected.items():
            compare(found[str(key)], value, styled)
    elif isinstance(expected, list):
        assert isinstance(found, Seq)
        for item, value in zip(found, expected, strict=True):
            compare(item, value, styled)
    elif isinstance(expected, str) and WORD.search(expected):
        assert isinstance(found, Template)
        compare_parts(list(found.parts), found.source.text, str(expected))
    elif not (styled and not isinstance(expected, str)):  # a number in quotes gets a tag when dumped
        assert found == expected
        assert isinstance(found, str) == isinstance(expected, str)


def compare_parts(parts: list[Part], text: str, expected: str) -> None:
    pieces = [piece for piece in re.split("(TPLZ[0-9]+Z)", expected) if piece]
    for part, piece in zip(parts, pieces, strict=True):
        word = WORD.fullmatch(piece)
        if word is None:
            assert part == piece
            continue
        written, kind = FORMS[int(word[1])]
        assert isinstance(part, Name | Expression | Ref)
        assert isinstance(part, kind)
        assert text.startswith(written, part.offset)


@given(TREES, STYLES)
def test_a_dumped_tree_comes_back(tree: dict[str, Any], style: dict[str, Any]) -> None:
    text = dumped(tree, style)
    documents = parse(Source("f", Path("f"), text)).documents
    compare(documents[0], tree, style["default_style"] is not None)


@given(TREES, STYLES)
def test_every_mark_is_in_the_file(tree: dict[str, Any], style: dict[str, Any]) -> None:
    source = Source("f", Path("f"), dumped(tree, style))
    lines = re.split("\r\n|\r|\n", source.text)
    for container in containers(parse(source).documents[0]):
        for key in container if isinstance(container, Map) else range(len(container)):
            mark = mark_of(container, key)
            assert 1 <= mark.column <= len(lines[mark.line - 1]) + 1


def containers(node: Any) -> list[Map | Seq]:
    if isinstance(node, Map | Seq):
        inner = node.values() if isinstance(node, Map) else node
        return [node, *(found for item in inner for found in containers(item))]
    return []


@given(
    TREES.filter(lambda tree: "TPLZ" not in repr(tree)),
    STYLES.filter(lambda style: style["default_style"] is None),
)
def test_without_templates_the_tree_is_that_of_pyyaml(tree: dict[str, Any], style: dict[str, Any]) -> None:
    text = dumped(tree, style)
    (found,) = parse(Source("f", Path("f"), text)).documents
    compare_text(found, yaml.load(text, yaml.CBaseLoader))


def compare_text(found: Any, expected: Any) -> None:
    """Hold a tree against the same with every scalar left as text."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            compare_text(found[key], value)
    elif isinstance(expected, list):
        for item, value in zip(found, expected, strict=True):
            compare_text(item, value)
    else:
        assert found in (expected, typed(expected))
