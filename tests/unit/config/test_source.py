"""R1-R4 and R14-R25: bytes to a tree; limits, places, tags, anchors, merges, keys; the pitfalls, a row a case."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from devstream.config import build
from devstream.config.source import LARGEST_FILE, Parsed, check_loose, parse, read_source
from devstream.config.tree import (
    Env,
    Expression,
    Map,
    Name,
    Ref,
    Seq,
    Source,
    Template,
    key_mark,
    mark_of,
)
from devstream.errors import ConfigError, Diagnostic


def parsed(text: str) -> Parsed:
    return parse(Source("f", Path("f"), text))


def tree(text: str) -> Map:
    (document,) = parsed(text).documents
    return document


def plain(node: Any) -> Any:
    """Write a tree with every template as the list of its parts, a tuple where it keeps its type."""
    if isinstance(node, Map):
        return {key: plain(item) for key, item in node.items()}
    if isinstance(node, Seq):
        return [plain(item) for item in node]
    if isinstance(node, Template):
        parts = [_short(part) for part in node.parts]
        return T(*parts) if node.typed else J(*parts)
    return node


def T(*parts: str) -> tuple[str, ...]:  # noqa: N802 - reads as a word of the tables below
    """A template that keeps its value's type."""
    return ("typed", *parts)


def J(*parts: str) -> tuple[str, ...]:  # noqa: N802 - reads as a word of the tables below
    """A template whose parts are joined to text."""
    return ("joined", *parts)


def _short(part: object) -> str:
    if isinstance(part, Name):
        return f"<{'.'.join(part.path)}>"
    if isinstance(part, Env):
        return f"<env {part.variable}>"
    if isinstance(part, Ref):
        return f"${part.text}"
    if isinstance(part, Expression):
        return f"<{part.text}>"
    assert isinstance(part, str)
    return part


def errors(text: str) -> tuple[Diagnostic, ...]:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return caught.value.diagnostics


def only_error(text: str) -> Diagnostic:
    (error,) = errors(text)
    return error


def place(diagnostic: Diagnostic) -> str:
    assert diagnostic.mark is not None
    assert diagnostic.mark.file == "f"
    return f"{diagnostic.mark.line}:{diagnostic.mark.column}"


TREES: list[tuple[str, str, Any]] = [
    # the table of pitfalls, in its order
    ("P1", "k: [[ A ]]/b", {"k": J("<A>", "/b")}),
    ("P1", "k: x-[[ a ]]-[[ b ]].git", {"k": J("x-", "<a>", "-", "<b>", ".git")}),
    ("P1", "k: [[x]]:[[y]]", {"k": J("<x>", ":", "<y>")}),
    ("P1", "k: x#[[ y ]] #c", {"k": J("x#", "<y>")}),
    ("P1", "k: [[ a ]] [[ b ]]", {"k": J("<a>", " ", "<b>")}),
    ("P1", 'k: [[ x ]]"q"', {"k": J("<x>", '"q"')}),
    ("P2", "[[ a ]]: v", {"[[ a ]]": "v"}),
    ("P2", "[[ a ]]-x: v", {"[[ a ]]-x": "v"}),
    ("P2", "{[[ a ]]: v}", {"[[ a ]]": "v"}),
    ("P2", "? [[ a ]]", {"[[ a ]]": None}),
    ("P3", "k: [ [[ a ]], [[ b ]] ]", {"k": [T("<a>"), T("<b>")]}),
    ("P3", "k: {a: [[ a ]]}", {"k": {"a": T("<a>")}}),
    ("P3", "k: [${{ a.b.outputs.c }}, x]", {"k": [T("$a.b.outputs.c"), "x"]}),
    ("P4", "k: [[[ a ]], [[ b ]]]", {"k": [T("<a>"), T("<b>")]}),
    ("P5", 'k: "[[ env \\"X\\" ]]"', {"k": J("<env X>")}),
    ("P5", "k: '[[ env ''X'' ]]'", {"k": J("<env X>")}),
    ("P5", 'k: "[[ env "X" ]]"', {"k": J("<env X>")}),
    ("P5", "k: '[[ env 'X' ]]'", {"k": J("<env X>")}),
    ("P6", 'k: "[[ x | default(\\"a]]b\\") ]]"', {"k": J('<x | default("a]]b")>')}),
    ("P7", "k: '[[ x | default('''') ]]'", {"k": J("<x | default('')>")}),
    ("P7", "k: '[[ x | default('') ]]'", {"k": J("<x | default('')>")}),
    ("P8", "k: v # [[ if x ]]", {"k": "v"}),
    ("P8", "# it's [[ a 'comment ]]\nk: v", {"k": "v"}),
    (
        "P9",
        "k: |\n  if [[ -f x ]]; then echo [[ a ]]; fi",
        {"k": J("if [[ -f x ]]; then echo ", "<a>", "; fi")},
    ),
    ("P10", 'k: |-\n  [[ "$a" == b ]] &&', {"k": '[[ "$a" == b ]] &&'}),
    (
        "P10",
        'k: |-\n  while [[ $(kubectl get) != "True" ]]; do',
        {"k": 'while [[ $(kubectl get) != "True" ]]; do'},
    ),
    (
        "P10",
        'k: |-\n  [[ "${{ steps.x.outputs.y }}" == "true" ]]',
        {"k": '[[ "${{ steps.x.outputs.y }}" == "true" ]]'},
    ),
    ("P11", "k: grep '[[:space:]]'", {"k": "grep '[[:space:]]'"}),
    ("P11", "k: sed 's/\\[[^]]*\\]//'", {"k": "sed 's/\\[[^]]*\\]//'"}),
    ("P12", "k: |\n  [[runners]]", {"k": J("<runners>")}),
    ("P14", "k: >\n  folded [[ a ]]\n  and [[ b ]]", {"k": J("folded ", "<a>", " and ", "<b>")}),
    ("P14", "k: |2-\n   [[ a ]]\n  x", {"k": J(" ", "<a>", "\nx")}),
    ("P14", "k: 'multi [[ a ]]\n  line [[ b ]]'", {"k": J("multi ", "<a>", " line ", "<b>")}),
    ("P15", 'k: "esc \\\\[[ a ]]"', {"k": J("esc \\", "<a>")}),
    ("P19", "k: é[[ a ]]ü", {"k": J("é", "<a>", "ü")}),
    ("P19", 'k: "😀😀 [[ a ]]"', {"k": J("😀😀 ", "<a>")}),
    ("P19", 'k: "\\u00e9 [[ a ]]"', {"k": J("é ", "<a>")}),
    ("P25", "k:\t[[ a ]]", {"k": T("<a>")}),
    ("P25", "k: [\t[[ a ]],\t1 ]", {"k": [T("<a>"), 1]}),
    ("P27", "on: 1\nyes: 2\n012: 3", {"on": 1, "yes": 2, "012": 3}),
    # R2: line ends
    ("R2", "a: 1\r\nb: [[ x ]]\r\n", {"a": 1, "b": T("<x>")}),
    ("R2", "a: 1\rb: 2\r", {"a": 1, "b": 2}),
    # R10: the escape
    ("R10", 'k: [[ "[[" ]] x ]]', {"k": "[[ x ]]"}),
    ("R10", "k: [[ '[[' ]]", {"k": "[["}),
    ("R10", 'k: "[[ \\"[[\\" ]] [[ a ]]"', {"k": J("[[ ", "<a>")}),
    # R10: !raw
    ("R10", 'k: !raw "[[ env \\"X\\" ]]\\t"', {"k": '[[ env "X" ]]\t'}),
    ("R10", "k: !raw 'it''s [[ env ''X'' ]]'", {"k": "it's [[ env 'X' ]]"}),
    ("R10", "k: !raw [[ a ]]", {"k": "[[ a ]]"}),
    ("R10", "k: !raw |\n  [[runners]]\n    x = ${{ a.b.outputs.c }}", {"k": "[[runners]]\n  x = ${{ a.b.outputs.c }}"}),
    ("R10", "k: !raw {[[ a ]]: [ [[ b ]], 012, yes, '[[ c ]]' ]}", {"k": {"[[ a ]]": ["[[ b ]]", 10, "yes", "[[ c ]]"]}}),
    ("R10", "k: !raw [ [[ a ]] ]\nl: [[ a ]]", {"k": ["[[ a ]]"], "l": T("<a>")}),
    ("R10", "k: !raw 8080", {"k": "8080"}),
    ("R10", "k: !raw [[ if x ]]", {"k": "[[ if x ]]"}),
    ("R10", "!raw [[ a ]]: [[ b ]]", {"[[ a ]]": T("<b>")}),
    # R11
    ("R11", "k: [[- x -]]", {"k": T("<x>")}),
    # R13
    ("R13", "k: ${{ secrets.[[ x ]] }}", {"k": J("${{ secrets.", "<x>", " }}")}),
    ("R13", "k: ${{ github.sha }}", {"k": "${{ github.sha }}"}),
    # R14: escapes that spell private characters, and private characters as they are
    ("R14", 'k: "\\ue000\\ue002\\ue002\\ue002\\ue001 [[ a ]]"', {"k": J("\ue000\ue002\ue002\ue002\ue001 ", "<a>")}),
    ("R14", "k: \ue000\ue001 [[ a ]]", {"k": J("\ue000\ue001 ", "<a>")}),
    ("R14", 'k: "\\0\\u0000\\U0010ffff"', {"k": "\0\0\U0010ffff"}),
    # R16: what keeps its type
    ("R16", "k: [[ a ]]", {"k": T("<a>")}),
    ("R16", 'k: "[[ a ]]"', {"k": J("<a>")}),
    ("R16", "k: '[[ a ]]'", {"k": J("<a>")}),
    ("R16", "k: |-\n  [[ a ]]", {"k": J("<a>")}),
    ("R16", "k: >\n  [[ a ]]", {"k": J("<a>")}),
    ("R16", "k: |\n  [[ a ]]\n", {"k": J("<a>", "\n")}),
    ("R16", "k: ${{ a.b.outputs.c }}", {"k": T("$a.b.outputs.c")}),
    ("R16", 'k: "${{ a.b.outputs.c }}"', {"k": T("$a.b.outputs.c")}),
    ("R16", "k: '${{ a.b.outputs.c }}'", {"k": T("$a.b.outputs.c")}),
    ("R16", "k: x ${{ a.b.outputs.c }}", {"k": J("x ", "$a.b.outputs.c")}),
    ("R16", "k: !!str [[ a ]]", {"k": J("<a>")}),
    # R17: expressions are freed from the quotes around them
    ("R17", 'k: "[[ x | replace(\\"\\\\\\\\\\", \\"/\\") ]]"', {"k": J('<x | replace("\\\\", "/")>')}),
    ("R17", 'k: "[[ x | default("a") ]]"', {"k": J('<x | default("a")>')}),
    ("R17", "k: '[[ x | default(''a'') ]]'", {"k": J("<x | default('a')>")}),
    ("R17", "k: '[[ x | default('a') ]]'", {"k": J("<x | default('a')>")}),
    ("R17", "k: '[[ x | replace('', '') ]]'", {"k": J("<x | replace(', ')>")}),
    ("R17", "k: x[[ x | default('''') ]]", {"k": J("x", "<x | default('''')>")}),
    # R19-R22: anchors and merges
    ("R20", "a: &x 1\nb: &x 2\nc: *x", {"a": 1, "b": 2, "c": 2}),
    ("R20", "a: &x [&x 1, *x]\nb: *x", {"a": [1, 1], "b": [1, 1]}),
    ("R21", "a: &x [[ t ]]\nb: *x", {"a": T("<t>"), "b": T("<t>")}),
    ("R22", "a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}", {"a": {"p": 1, "q": 2}, "b": {"q": 3, "p": 1}}),
    ("R22", "a: &x {p: 1}\nb: &y {p: 2, q: 2}\nc: {<<: [*x, *y]}", {"a": {"p": 1}, "b": {"p": 2, "q": 2}, "c": {"p": 1, "q": 2}}),
    ("R22", "b: {q: 3, <<: {p: 1, q: 2}}", {"b": {"q": 3, "p": 1}}),
    ("R22", "b: {<<: {p: {<<: {r: 1}}}}", {"b": {"p": {"r": 1}}}),
    ("R22", "b: {'<<': 1, !!str <<: 2}"[:13] + "}", {"b": {"<<": 1}}),
    ("R22", "a: &x {[[ k ]]: 1}\nb: {<<: *x}", {"a": {"[[ k ]]": 1}, "b": {"[[ k ]]": 1}}),
    ("R26", "k: <<\nl: =", {"k": "<<", "l": "="}),
    # R23: keys
    ("R23", "a: &x text\n*x : 1", {"a": "text", "text": 1}),
    ("R23", "1.0: a\ntrue: b\nnull: c\n~: d\n'': e", {"1.0": "a", "true": "b", "null": "c", "~": "d", "": "e"}),
    ("R23", "&x a: *x", {"a": "a"}),
    # R25: tags
    ("R25", "a: !!map {b: !!seq [1]}\nc: ! [2]\nd: !!str 012", {"a": {"b": [1]}, "c": [2], "d": "012"}),
    # R7 and others: lists that only look like templates
    ("R7", "k: [[1, 2],\n    [3]]", {"k": [[1, 2], [3]]}),
    ("R7", "k: [[\n    1]]", {"k": [[1]]}),
    ("R7", 'k: [["a"]]\nl: [[]]\nm: [ [a] ]', {"k": [["a"]], "l": [[]], "m": [["a"]]}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "text", "expected"), TREES, ids=[f"{rule}: {text[:50]!r}" for rule, text, _ in TREES]
)
def test_tree(rule: str, text: str, expected: Any) -> None:
    assert plain(tree(text)) == expected


ERRORS: list[tuple[str, str, str, str]] = [
    # rule, text, place, piece of the message with its suggestion
    ("P13", "k: [[ -f x ]]", "1:4", "looks like a shell test (quote"),
    ("P13", "k: [[ a\n  ]]", "1:4", "not closed on this line"),
    ("P13", "k: [[ ${{ a.b.outputs.c }} ]]", "1:4", "a reference cannot stand inside [[ ]]"),
    ("P13", "k: [[ x ~ ${{ a.b.outputs.c }} ]]", "1:4", "a reference cannot stand inside [[ ]]"),
    ("P15", '"a\\[[ a ]]"', "1:3", "unknown escape"),
    ("P16", "k: &[[ a ]] v", "1:5", ""),
    ("P16", "k: *[[ a ]]", "1:5", ""),
    ("P16", "k: ![[ a ]] v", "1:5", ""),
    ("P17", "k: [[ a ]: v", "1:5", ""),
    ("P17", "k: [[ a ]", "1:10", ""),
    ("P17", "k: {x: [[ a ]}", "1:14", ""),
    ("P17", 'k: "[[ a ]]', "1:12", "end of stream"),
    ("P18", "[[ a ]]: x: y", "1:11", "mapping values are not allowed"),
    ("P18", "a: [[ x ]]: y", "1:11", "mapping values are not allowed"),
    ("P20", "a: 'x\u2028 y'\nb: c: d", "2:5", "mapping values are not allowed"),
    ("P20", "a: 'x\u0085 y'\nb: c: d", "2:5", "mapping values are not allowed"),
    ("P22", f"{'x' * 1100}: 1", "1:1101", "at most 1024 characters"),
    ("P22", f"[[ a ~ '{'x' * 490}' ]] {'y' * 600}: 1", None, "at most 1024 characters"),  # type: ignore[list-item]
    ("P23", f"k: x\nl: {'y' * 1_000_000}\nm: n: o", "3:5", "mapping values"),
    ("P25", "a:\n\tb: 1", "2:1", "a tab cannot indent"),
    ("R18", "a:\n- b: 1\n c: 2", "3:2", "keys of one mapping stand below each other"),
    ("R18", " a: 1\nb: 2", "2:1", "top-level keys stand at the left margin"),
    ("R18", "a: [b\nc: 1", "2:2", "not closed"),
    ("R18", "a: {b: c: d}", "1:9", "not closed"),
    ("P25", "\tk: 1", "1:1", "a tab cannot indent"),
    ("P26", "a: &x [*x]", "1:8", "contains itself"),
    ("P28", "a: !!python/object:os.system x", "1:4", "unknown tag"),
    # R3: characters
    ("R3", "k: é\0", "1:5", "U+0000"),
    ("R3", "k: x\ny: \x1b[0m", "2:4", "U+001B"),
    ("R3", "k: \ud800", "1:4", "U+D800"),
    ("R14", 'k: "\\ud800"', "1:7", "Unicode character escape code"),
    ("R1", "k: x\n\ufeffl: y", "2:2", "a byte order mark"),
    # R4: documents
    ("R4", "- a\n- b", "1:1", "a config file holds a mapping at its top"),
    ("R4", "a: 1\n---\ntext", "3:1", "a config file holds a mapping at its top"),
    ("R4", "[[ a ]]", "1:1", "a config file holds a mapping at its top"),
    ("R4", "a: &x 1\n---\nb: *x", "3:4", 'no anchor "x"'),
    # R8
    ("R8", "k: [[[ x | lower ]], b]", "1:4", "[[[ is read as nested lists (write [ [[ x | lower ]] ]"),
    # R11
    ("R11", "k: [[ if x ]]", "1:4", '"if" of Go templates is not supported'),
    ("R11", "[[ end ]]: x", "1:1", '"end" of Go templates is not supported'),
    ("R11", "k: [[ it's ]]", "1:4", "a string in the expression is not closed"),
    ("R11", "k: |\n  x [[ (a ]]", "2:5", "brackets in the expression do not match"),
    # R12
    ("R12", 'k: [[ a |\n    default("x") ]]', "1:4", "not closed on this line"),
    ("R12", "k: !raw [[ -f x ]]", "1:9", "looks like a shell test"),
    ("R12", "k: &x [[ -f x ]]", "1:7", "looks like a shell test"),
    ("R12", "k: [[:space:]]", "1:4", "character class"),
    # R13
    ("R13", 'k: "${{ [[ x ]].b.outputs.c }}"', "1:5", "a reference cannot hold a template"),
    # R19: limits
    ("R19", "k: " + "[" * 100_000, "1:67", "nested more than 64 deep"),
    ("R19", "- " * 100_000, "1:129", "nested more than 64 deep"),
    ("R19", "a: &x " + "[" * 40 + "]" * 40 + "\nb: " + "[" * 30 + "*x" + "]" * 30, "2:34", "nested more than 64 deep"),
    ("R19", "a: &x 1\nb: [" + "*x, " * 1001 + "]", "2:4005", "more than 1,000 aliases"),
    ("R19", "a: &a [1,1,1,1,1,1,1,1,1]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefghi", "bcdefghij", strict=True)
    ), "6:", "aliases stand for more than 400,000 values"),
    # R22
    ("R22", "k: {<<: [[ x ]]}", "1:9", "<< takes a mapping"),
    ("R22", "k: {<<: [{a: 1}, 2]}", "1:9", "<< takes a mapping"),
    ("R22", "k: {<<: {a: 1}, <<: {b: 1}}", "1:17", 'the key "<<" is written twice'),
    # R23
    ("R23", "? [a]\n: 1", "1:3", "a key must be text (a list or a mapping cannot be a key)"),
    ("R23", "{{a: 1}: 2}", "1:2", "a key must be text"),
    ("R23", "!!int 8: x", "1:1", "a key must be text, not !!int"),
    ("R23", ": 1", "1:1", ""),
    ("R23", "?\n: 1", "1:2", "a key is missing"),
    ("R23", "a: &x 1\n*x : 1", "2:1", "an alias used as a key must stand for plain text"),
    # R24
    ("R24", "a: 1\nb: 2\na: 3", "3:1", 'the key "a" is written twice (first at f:1:1)'),
    ("R24", "[[ a ]]: 1\n[[ a ]]: 2", "2:1", "is written twice (first at f:1:1)"),
    ("R24", "k: {a: 1, 'a': 2}", "1:11", 'the key "a" is written twice (first at f:1:5)'),
    # R25
    ("R25", "k: !!binary aGk=", "1:4", 'unknown tag "!!binary"'),
    ("R25", "k: !!timestamp 2022-01-01", "1:4", 'unknown tag "!!timestamp"'),
    ("R25", "k: !mine {a: 1}", "1:4", 'unknown tag "!mine" (leave it out'),
    ("R25", "k: !!str [a]", "1:4", "a list is not of the type !!str"),
    ("R25", "k: !!seq {a: 1}", "1:4", "a mapping is not of the type !!seq"),
    ("R25", "k: !!int [[ a ]]", "1:4", "!!int cannot be combined with a template"),
    ("R20", "k: *x", "1:4", 'no anchor "x"'),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rule", "text", "where", "piece"), ERRORS, ids=[f"{rule}: {text[:50]!r}" for rule, text, _, _ in ERRORS]
)
def test_error(rule: str, text: str, where: str | None, piece: str) -> None:
    first = errors(text)[0]
    assert piece in str(first)
    assert first.code
    if where is None:
        assert place(first)
    elif where.endswith(":"):
        assert place(first).startswith(where)
    else:
        assert place(first) == where


def test_all_errors_of_a_file_are_given_in_its_order() -> None:
    text = "a: .inf\nb: [[ if x ]]\na: !!binary x\nc: {d: 1, d: 2}\ne: f: g\n"
    assert [(place(error), error.code) for error in errors(text)] == [
        ("1:4", "number"),
        ("2:4", "template"),
        ("3:1", "duplicate-key"),
        ("3:4", "tag"),
        ("4:11", "duplicate-key"),
        ("5:5", "yaml"),
    ]


# R1: bytes


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_r1_encodings(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "config.yaml"
    text = "k: é [[ a ]]\nl: m: n"
    if encoding == "utf-16-be":
        text = "\ufeff" + text
    if encoding == "utf-16-le":
        text = "\ufeff" + text
    file.write_bytes(text.encode(encoding))
    with pytest.raises(ConfigError, match=r"^config.yaml:2:5: mapping values"):
        parse(read_source(file, "config.yaml"))


def test_r1_a_file_is_kept_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xef\xbb\xbfk: 1\r\nl: 2\r\n")
    source = read_source(file, "c")
    assert (source.text, source.path, source.name) == ("k: 1\r\nl: 2\r\n", file, "c")


@pytest.mark.parametrize(
    ("data", "where", "piece"),
    [
        (b"k: \xff\n", "c:1:4", "not UTF-8: byte 3"),
        (b"k: 1\nl: \xc3", "c:2:4", "not UTF-8: byte 8"),
        (b"\xff\xfek\0:\0 \0x", "c:1:4", "not UTF-16"),
    ],
)
def test_r1_bytes_that_are_no_text(tmp_path: Path, data: bytes, where: str, piece: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        read_source(file, "c")
    (found,) = caught.value.diagnostics
    assert str(found.mark) == where
    assert piece in found.summary


def test_r1_too_large(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_bytes(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(ConfigError, match="larger than 16 MiB"):
        read_source(file, "c")
    file.write_bytes(b"#" * LARGEST_FILE)
    assert parse(read_source(file, "c")).documents == ()


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_r1_unreadable(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=f"^{name}: cannot be read: "):
        read_source(tmp_path / name, name)


# R2: places


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_r2_lines_end_as_in_editors(end: str) -> None:
    source = Source("f", Path("f"), end.join(["ab", "", "c\u2028d\u0085\x0be", "f"]))
    last = source.mark(len(source.text) - 1)
    assert (last.line, last.column) == (4, 1)
    assert str(source.mark(source.text.index("d"))) == "f:3:3"
    assert str(source.mark(0)) == "f:1:1"
    assert str(source.mark(1)) == "f:1:2"
    assert str(source.mark(len(source.text))) == "f:4:2"


def test_r4_empty_documents_are_skipped() -> None:
    documents = parsed("a: 1\n---\n---\nb: 2\n...\n").documents
    assert [plain(document) for document in documents] == [{"a": 1}, {"b": 2}]
    assert parsed("").documents == ()
    assert parsed("# nothing\n---\n~\n").documents == ()


# Marks


def test_marks_of_keys_and_values() -> None:
    text = 'a: "x"\nb:\n  - 1\n  - {c: &d [[ e ]]}\n  - *d\nf: *d\n'
    document = tree(text)
    assert [str(key_mark(document, key)) for key in document] == ["f:1:1", "f:2:1", "f:6:1"]
    assert str(mark_of(document, "a")) == "f:1:4"
    items = document["b"]
    assert isinstance(items, Seq)
    assert [str(mark_of(items, index)) for index in range(3)] == ["f:3:5", "f:4:5", "f:4:9"]
    inner = items[1]
    assert isinstance(inner, Map)
    assert str(mark_of(inner, "c")) == "f:4:9"
    template = inner["c"]
    assert isinstance(template, Template)
    (part,) = template.parts
    assert isinstance(part, Name)
    assert text[part.offset :].startswith("[[ e ]]")
    assert items[2] is template


def test_r22_merged_keys_keep_their_places() -> None:
    document = tree("a: &x {p: 1}\nb: {<<: *x, q: [[ y ]]}\n")
    merged = document["b"]
    assert isinstance(merged, Map)
    assert str(key_mark(merged, "p")) == "f:1:8"
    assert str(mark_of(merged, "q")) == "f:2:16"
    assert set(merged.marks) == {"p", "q"}


def test_r18_the_offset_of_an_expression_text() -> None:
    text = 'k: a [[  x | lower  ]]\nl: "[[ x | default(\\"y\\") ]]"'
    document = tree(text)
    (_, plain_one), (quoted,) = (node.parts for node in document.values() if isinstance(node, Template))
    assert isinstance(plain_one, Expression)
    assert isinstance(quoted, Expression)
    assert text[plain_one.start :].startswith("x | lower")
    assert quoted.start == -1


def test_r24_a_template_key_keeps_its_template() -> None:
    document = tree("[[ a ]]-x: 1\ny: 2")
    assert document.templates is not None
    assert list(document.templates) == ["[[ a ]]-x"]
    assert plain(document.templates["[[ a ]]-x"]) == J("<a>", "-x")


# R13: what only looks like a reference


def test_r13_a_tools_name_in_a_malformed_reference_is_an_error() -> None:
    text = "a: ${{ tool.x }}\nb: !raw ${{ tool.x }}\nc: '${{ fn(x) }}' # ${{ tool.y }}\nd: ['a ${{tool}}']\n"
    loose = parsed(text).loose
    assert [found.text for found in loose] == ["${{ tool.x }}", "${{ fn(x) }}", "${{tool}}"]
    assert check_loose(loose, {"other"}) == []
    found = check_loose(loose, {"tool"})
    assert [place(diagnostic) for diagnostic in found] == ["1:4", "4:8"]
    assert all("!raw" in diagnostic.suggestion for diagnostic in found)


# Limits that are too large to reach by text in a test


def test_r19_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "MOST_NODES", 5)
    assert tree("a: [1, 2]")  # two mappings' worth: map, key, list, two items
    assert "more than 5 values" in only_error("a: [1, 2, 3]").summary


def test_a_yaml_library_without_libyaml_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml.cyaml", None)
    with pytest.raises(ConfigError, match="without libyaml"):
        parsed("a: 1")


# Agreement with PyYAML


DOCUMENTS = [
    "a: {b: [c, d], e: 'f'}\ng:\n- h\n-\n  i: j\n",
    "a: |\n  x\n   y\n\n  z\nb: >-\n  folded\n  text\n\n  more\n",
    "a: \"\\x41\\u00e9\\n\"\nb: 'it''s'\nc: plain  text # comment\n",
    "a: &x {b: c}\nd: *x\ne: [*x, *x]\n",
    "? a\n: b\n? c\n",
    "a: []\nb: {}\nc:\n",
    "%YAML 1.1\n---\na: b\n...\n",
]


@pytest.mark.parametrize("text", DOCUMENTS)
def test_the_same_tree_as_pyyaml(text: str) -> None:
    assert plain(tree(text)) == _typed(yaml.load(text, yaml.CBaseLoader))


def _typed(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _typed(item) for key, item in node.items()}
    if isinstance(node, list):
        return [_typed(item) for item in node]
    return None if node == "" else node
