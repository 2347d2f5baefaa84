"""R5-R14: what is a template, what is YAML, what is text; where each ends; the placeholders."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.config import scan as scan_module
from devstream.config.scan import LONGEST, NOT_OURS, Loose, Refused, Scan, TooManyTemplates, scan
from devstream.config.tokens import MOST_TOKENS, Tokens, TooManyPrivateCharacters
from devstream.config.tree import Env, Expression, Name, Ref


def names(*paths: str) -> list[Any]:
    return [tuple(path.split(".")) for path in paths]


def found(text: str) -> list[Any]:
    """Give what the scan took, shortly: a path, ``env:X``, an expression's text, a reference's text, or the escape."""
    return [_short(part) for part in scan(text).parts]


def _short(part: object) -> Any:
    if isinstance(part, Name):
        return part.path
    if isinstance(part, Env):
        return f"env:{part.variable}"
    if isinstance(part, Refused):
        return f"refused: {part.summary}"
    return part.text if isinstance(part, Expression | Ref) else part


OURS: list[tuple[str, str, list[Any]]] = [
    # R5: the plain forms
    ("R5", "[[ a ]]", names("a")),
    ("R5", "[[a]]", names("a")),
    ("R5", "[[ a.b ]]", names("a.b")),
    ("R5", "[[ a.b.c ]]", names("a.b.c")),
    ("R5", "[[ .a.b ]]", names("a.b")),
    ("R5", "[[.a]]", names("a")),
    ("R5", "[[\ta\t]]", names("a")),
    ("R5", "[[ env X ]]", ["env:X"]),
    ("R5", "[[ env X]]", ["env:X"]),
    ("R5", '[[ env "X" ]]', ["env:X"]),
    ("R5", "[[ env 'X' ]]", ["env:X"]),
    ("R5", '[[ env \\"X\\" ]]', ["env:X"]),
    ("R5", "[[ env ''X'' ]]", ["env:X"]),
    ("R5", "[[ env ]]", names("env")),
    ("R5", "x-[[ a ]]-[[ b ]].git", names("a", "b")),
    ("R5", "[[x]]:[[y]]", names("x", "y")),
    ("R5", "[[ größe ]]", names("größe")),
    # R6: the general form ends at the ]] outside of strings and brackets
    ("R6", "[[ x[0] ]]", ["x[0]"]),
    ("R6", "[[ x[y[0]]]]", ["x[y[0]]"]),
    ("R6", '[[ {"a": [1]}["a"] ]]', ['{"a": [1]}["a"]']),
    ("R6", "[[ f(a, b) ]]", ["f(a, b)"]),
    ("R6", '[[ x | default("a]]b") ]]', ['x | default("a]]b")']),
    ("R6", "[[ x | default('a]]b') ]]", ["x | default('a]]b')"]),
    ("R6", '[[ x | default(\\"a]]b\\") ]]', ['x | default(\\"a]]b\\")']),
    ("R6", '[[ x | default("a\\"]]b") ]]', ['x | default("a\\"]]b")']),
    ("R6", '[[ x | default(\\"a\\\\\\"]]b\\") ]]', ['x | default(\\"a\\\\\\"]]b\\")']),
    ("R6", "[[ a ~ b ]] [[ c | lower ]]", ["a ~ b", "c | lower"]),
    ("R6", "[[ a == b ]]", ["a == b"]),
    ("R6", '[[ a | default("&&") ]]', ['a | default("&&")']),
    # R7: YAML's nested lists
    ("R7", "[[1, 2], [3]]", []),
    ("R7", "[[a, b]]", []),
    ("R7", "[[1,2],\n [3]]", []),
    ("R7", "[[]]", []),
    ("R7", "[[ ]]", []),
    ("R7", "[[1]]", []),
    ("R7", "[[ -1.5e3 ]]", []),
    ("R7", '[["a"]]', []),
    ("R7", "[['a']]", []),
    ("R7", '[[\\"a\\"]]', []),
    ("R7", 'x[["a"]]', []),
    ("R7", "[[true]]", []),
    ("R7", "[[ null ]]", []),
    ("R7", "[[a], [b]]", []),
    ("R7", "[[a, [[ b ]]]]", names("b")),
    ("R7", "[ [a] ]", []),
    # R8: three and more
    ("R8", "[[[ a ]], [[ b ]]]", names("a", "b")),
    ("R8", "[[[a]]]", names("a")),
    ("R8", "[[[[a]]]]", names("a")),
    ("R8", "[[[1, 2]]]", []),
    ("R8", "[[[ x[0] ]], y]", []),
    ("R8", "[[[true]]]", []),
    # R9: shells and regular expressions
    ("R9a", "grep '[[:space:]]'", []),
    ("R9a", "[[=a=]]", []),
    ("R9a", "sed 's/\\[[^]]*\\]//'", []),
    ("R9b", "[[ -f x ]]", []),
    ("R9b", "[[ -n $x ]]", []),
    ("R9b", "[[ ! -e x ]]", []),
    ("R9b", "[[ $a == b ]]", []),
    ("R9b", '[[ "$a" == b ]] &&', []),
    ("R9b", "[[ '$a' == b ]]", []),
    ("R9b", '[[ \\"$a\\" == b ]]', []),
    ("R9b", "[[ ( a == b ) ]]", []),
    ("R9b", "[[ a =~ b ]]", []),
    ("R9b", "[[ a && b ]]", []),
    ("R9b", "[[ a || b ]]", []),
    ("R9b", "[[ a -eq 1 ]]", []),
    ("R9b", "[[ a -ot b ]]", []),
    ("R9b", 'while [[ $(kubectl get) != "True" ]]; do', []),
    ("R9b", "[[ $a =~ [[:digit:]] ]]", []),
    ("R9c", "if [[ a == b ]]; then", []),
    ("R9c", "  elif [[ x[0] ]]; then", []),
    ("R9c", "! [[ a == b ]]", []),
    ("R9c", "x && [[ a == b ]]", []),
    ("R9c", "bash -c 'if [[ a == b ]]; then x; fi'", []),
    ("R9c", "if [[ FLAG ]]; then", names("FLAG")),
    ("R9c", "x && [[ a | lower ]]", ["a | lower"]),
    ("R9c", "gif [[ a == b ]]", ["a == b"]),
    ("R9d", "[[ a == b ]] || exit", []),
    ("R9d", "[[ a != b ]]; x", []),
    ("R9d", "[[ a < b ]] && x", []),
    ("R9d", "echo [[ x | default('y') ]]; exit", ["x | default('y')"]),
    ("R9d", "echo [[ x[0] ]]; exit", ["x[0]"]),
    ("R9", '[[ "${{ steps.x.outputs.y }}" == "true" ]]', []),
    ("R9", '[[ "${{ a.b.outputs.c }}" == "true" ]]', ["a.b.outputs.c"]),
    ("R9", "if [[ -f x ]]; then echo [[ a ]]; fi", names("a")),
    ("R9", '[[ "$x" == [[ a ]] ]]', names("a")),
    # R10: the escape
    ("R10", '[[ "[[" ]]', ["[["]),
    ("R10", "[[ '[[' ]]", ["[["]),
    ("R10", '[[ \\"[[\\" ]]', ["[["]),
    ("R10", "[[''[['']]", ["[["]),
    ("R10", "\\[[ a ]]", names("a")),
    # R11: errors, where they are not in a comment
    ("R11", "[[ if x ]]", ['refused: "if" of Go templates is not supported']),
    ("R11", "[[- if x -]]", ['refused: "if" of Go templates is not supported']),
    ("R11", "[[ else if x ]]", ['refused: "else" of Go templates is not supported']),
    ("R11", "[[ end ]]", ['refused: "end" of Go templates is not supported']),
    ("R11", "[[ else ]]", ['refused: "else" of Go templates is not supported']),
    ("R11", "[[ range .x ]]", ['refused: "range" of Go templates is not supported']),
    ("R11", "[[ with x ]]", ['refused: "with" of Go templates is not supported']),
    ("R11", '[[ define "x" ]]', ['refused: "define" of Go templates is not supported']),
    ("R11", '[[ template "x" . ]]', ['refused: "template" of Go templates is not supported']),
    ("R11", '[[ block "x" . ]]', ['refused: "block" of Go templates is not supported']),
    ("R11", "[[ template ]]", names("template")),
    ("R11", "[[ template | lower ]]", ["template | lower"]),
    ("R11", "[[- x -]]", names("x")),
    ("R11", "[[- x | lower -]]", ["x | lower"]),
    ("R11", "[[ it's ]]", ["refused: a string in the expression is not closed"]),
    ("R11", "[[ f(a ]]", ["refused: the brackets in the expression do not match"]),
    ("R11", "[[ x ~ ${{ a.b.outputs.c }} ]]", ["refused: a reference cannot stand inside [[ ]]"]),
    ("R11", "[[ a b c ]]", ["a b c"]),
    # R12: everything on one line
    ("R12", '[[ a |\n default("x") ]]', []),
    ("R12", "[[ a\r]]", []),
    ("R12", "[[ a", []),
    ("R12", "[[ a [[ b ]]", names("b")),
    ("R12", f"[[ {'x' * LONGEST} ~ y ]]", []),
    ("R12", f"[[ {'x' * LONGEST} ]]", []),
    # R13: references
    ("R13", "${{ a.b.outputs.c }}", ["a.b.outputs.c"]),
    ("R13", "${{a.b.outputs.c}}", ["a.b.outputs.c"]),
    ("R13", "${{ my-tool.x.y-z.outputs.a.b[0].c }}", ["my-tool.x.y-z.outputs.a.b[0].c"]),
    ("R13", "${{ a.b.outputs.c.outputs.d }}", ["a.b.outputs.c.outputs.d"]),
    ("R13", "x ${{ a.b.outputs.c }} ${{ d.e.outputs.f }}", ["a.b.outputs.c", "d.e.outputs.f"]),
    *(("R13", f"${{{{ {word}.build.outputs.tag }}}}", []) for word in sorted(NOT_OURS)),
    ("R13", "${{ github.sha }}", []),
    ("R13", "${{ a.B.outputs.c }}", []),
    ("R13", "${{ a.b-.outputs.c }}", []),
    ("R13", "${{ a.b.output.c }}", []),
    ("R13", "${{ a.b.outputs.c | x }}", []),
    ("R13", "${{ a.b.outputs.c }", []),
    ("R13", "${{ a.b\n.outputs.c }}", []),
    ("R13", f"${{{{ a.{'b' * 254}.outputs.c }}}}", []),
    ("R13", f"${{{{ {'a' * 64}.b.outputs.c }}}}", []),
    ("R13", "${{ secrets.[[ x ]] }}", names("x")),
    ("R13", "${{ [[ x ]].b.outputs.c }}", ["refused: a reference cannot hold a template"]),
    ("R13", "${{ foo.[[ x ]] }}", names("x")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "text", "parts"), OURS, ids=[f"{rule}: {text[:60]}" for rule, text, _ in OURS]
)
def test_what_is_taken(rule: str, text: str, parts: list[Any]) -> None:
    assert found(text) == parts


@pytest.mark.parametrize("text", [text for _, text, parts in OURS if parts])
def test_offsets_point_at_what_was_taken(text: str) -> None:
    text = f"é😀: {text}"
    result = scan(text)
    assert len(result.text) == len(text)
    for part, (start, end) in zip(result.parts, result.spans, strict=True):
        assert text[start : start + 2] in ("[[", "${")
        assert text[end - 2 : end] in ("]]", "}}")
        if not isinstance(part, str):
            assert part.offset == start
        if isinstance(part, Expression):
            assert text.startswith(part.text, part.start)


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("[[ -f x ]]", "shell"),
        ("[[ a", "not closed"),
        ('[[ a |\n default("x") ]]', "not closed"),
        ("[[:space:]]", "character class"),
        ("[[ ${{ a.b.outputs.c }} ]]", "cannot stand inside"),
        ("[[[ x | lower ]], b]", "nested lists"),
        ("[[[ x[0] ]], b]", "nested lists"),
        (f"[[ {'x' * LONGEST} ~ y ]]", "not closed"),
    ],
)
def test_what_is_left_alone_is_an_error_where_yaml_makes_a_list_of_it(text: str, summary: str) -> None:
    doubt = scan(text).doubt(0)
    assert doubt is not None
    assert summary in doubt.summary
    assert doubt.suggestion


@pytest.mark.parametrize(
    "text",
    [
        "[[1, 2]]",
        "[[a, b\n]]",
        "[[1]]",
        "[[",
        "[[\n a]]",
        "[[  # note\n",
        "[[]]",
        "[a]",
        "[[[1]]]",
        "[[a], b]",
        '[["a"]]',
    ],
)
def test_lists_that_are_meant_are_not(text: str) -> None:
    assert scan(text).doubt(0) is None


def test_what_looks_like_a_reference_is_remembered() -> None:
    result = scan("a ${{ tool.x }} ${{ github.sha }} ${{ fn(x) }} ${{ }} ${{ tool.y\n}}")
    assert result.loose == [Loose("tool", "${{ tool.x }}", 2), Loose("fn", "${{ fn(x) }}", 34)]


# R14: placeholders


def swapped_and_back(text: str) -> str:
    result: Scan = scan(text)
    if result.tokens is None:
        return result.text
    pieces = result.tokens.split(result.text)
    return "".join(piece if isinstance(piece, str) else text[slice(*result.spans[piece])] for piece in pieces)


@pytest.mark.parametrize(
    "text", ["\ue000\ue001\ue0b0 [[ a ]]", '"\\ue000\\U0000E001" [[a]]', "[[a]]\uf8ff", "a"]
)
def test_r14_private_characters_of_the_text_are_safe(text: str) -> None:
    result = scan(text)
    assert len(result.text) == len(text)
    assert swapped_and_back(text) == text
    if result.tokens:
        assert result.tokens.marker not in text
        assert f"\\u{ord(result.tokens.marker):04x}" not in text.lower()


@given(
    st.lists(
        st.sampled_from(["[[a]]", "[[ b ]]", "${{ a.b.outputs.c }}", "x", "[", "]", "\ue000", "\\ue002", "é"])
    )
)
def test_r14_placeholders_are_as_wide_as_their_source_and_come_back(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert len(scan(text).text) == len(text)
    assert swapped_and_back(text) == text


@pytest.mark.parametrize("number", [0, 63, 64, 4095, 4096, MOST_TOKENS - 1])
@pytest.mark.parametrize("width", [5, 6, 500])
def test_r14_every_number_comes_back(number: int, width: int) -> None:
    tokens = Tokens("")
    token = tokens.write(number, width)
    assert len(token) == width
    assert tokens.split(f"a{token}b") == ["a", number, "b"]
    assert all("\ue000" <= character <= "\uf8fe" for character in token)


def test_r14_no_private_characters_left() -> None:
    text = "".join(chr(code) for code in range(0xE000, 0xF8FF - 64))
    with pytest.raises(TooManyPrivateCharacters):
        scan(text + "[[ a ]]")
    assert scan(text).tokens is None


def test_r14_too_many_templates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_module, "MOST_TOKENS", 3)
    assert len(scan("[[a]]" * 3).parts) == 3
    with pytest.raises(TooManyTemplates) as caught:
        scan("[[a]]" * 4)
    assert caught.value.offset == 15


# Time


@pytest.mark.parametrize(
    "unit",
    [
        "[[ a ",
        "[[ ' ",
        "[[",
        "[[[ a",
        "${{ a.",
        "${{ a.b.outputs.",
        '[[ "',
        '[[ \\"',
        "[[ a.b",
        "[[ (",
        "${{",
        "[[ a ] ]",
        '[[ \\"' + "\\" * 240,
    ],
)
def test_the_scan_is_linear(unit: str) -> None:
    """Without the bound on an expression's length each of these would take minutes."""
    text = unit * (200_000 // len(unit)) + "]]"
    often_closed = (unit * (500 // len(unit)) + "]] ") * 200
    begin = time.process_time()
    scan(text)
    scan(often_closed)
    assert time.process_time() - begin < 5
