"""The loader meets nonsense: whatever the bytes, there is a tree or an error with its place, nothing else."""

from __future__ import annotations

import random
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from devstream.config.scalars import typed
from devstream.config.source import Parsed, parse, read_source
from devstream.config.template import Scope, render
from devstream.config.tree import Env, Expression, Map, Name, Ref, Seq, Source, Template
from devstream.errors import ConfigError, Diagnostic
from devstream.model.values import Interpolation, Reference, Secret, Unknown

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES = """
[[a]]
[[ b.c ]]
[[- a -]]
${{ t.i.outputs.k }}
${{ t.x }}
${{ steps.a.outputs.b }}
[[ env "X" ]]
[[ env NO ]]
[[ env("X") ~ a ]]
[[ x[0] ]]
[[ a ~ b ]]
[[ it's ]]
[[ l | join(",") ]]
[[ a | default('') ]]
[[ no | default(\\"a]]b\\") ]]
[[ "[[" ]]
[[ m ]]
[[ if x ]]
[[ -f x ]]
[[:alpha:]]
[[1, 2], [3]]
[[[ a ]], b]
if [[ a == b ]]; then
""".strip().splitlines()

SIGNS = """
[[ ]] [[[ ]]] ${{ }} [ ] { } : , - ? | > |- >+ |2 # & * ! &x *x &y *y !raw !!str !!int !!map !t << --- ... %YAML ' " '' \\" \\\\ \\
` @ = ~ null true 012 08 1.20 1e3 .inf 0x1f yes a b k vars tools if end env "X" (a) lower | && || $x
"""
PIECES = [
    *TEMPLATES,
    *re.findall(r"\S+", SIGNS),
    "é",
    "😀",
    " ",
    " ",
    " ",
    "\n",
    "\n",
    "\n  ",
    "\n- ",
    "\n  - ",
    "\n    ",
]
PIECES += [": ", ": ", "\r\n", "\t", "k: ", "- ", "{k: ", ", ", "a" * 70, "[" * 70, "<<: *x\n"]
PIECES += [
    "\ue000",
    "\ue001",
    "\\ue000",
    "\\0",
    "\\ud800",
    "\u2028",
    "\u0085",
    "\ufeff",
    "\0",
    "\x1b",
    "\ufffe",
]

SEEDS = [
    'vars: {a: 1, l: [1, 2]}\ntools:\n- name: x\n  options: {k: [[ a ]], l: "x [[ l[0] ]]"}\n',
    "k: |\n  if [[ -f x ]]; then echo [[ a ]]; fi\nl: >-\n  folded [[ b.c ]]\n  ${{ t.i.outputs.k }}\n",
    "a: &x {p: [[ a ]], q: &y [1, *x]}\n"[:24] + "}\nb: {<<: *x, r: !raw [[ q ]]}\n",
    "'[[ x | default('''') ]]': \"[[ env \\\"X\\\" ]]\"\n? [[ a ]]\n: [ [[ a ]], ${{ secrets.b }} ]\n---\nc: 1\n",
    "# it's [[ a 'comment ]]\nk: v # [[ if x ]]\nm: [[1, 2], [3]]\n",
]

VARIABLES: dict[str, Any] = {"a": "1", "b": {"c": 2}, "l": [1, "x"], "m": {"k": [True, None]}, "x": "t"}
ALLOWED_LEAVES = (str, int, float, bool, type(None), Secret, Reference, Interpolation, Unknown)


def made_of_pieces(chance: random.Random) -> bytes:
    text = "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 30)))
    encoding = chance.choice(["utf-8"] * 8 + ["utf-16", "utf-8-sig"])
    return text.encode(encoding)


def grammatical(chance: random.Random) -> bytes:
    """YAML that is mostly right, of mappings, lists and leaves in every style."""
    return "".join(
        f"{chance.choice(['a', 'b', 'k', '[[ a ]]', 'on', 'x.y'])}{n}: {_node(chance, 1)}\n" for n in range(3)
    ).encode()


def _node(chance: random.Random, depth: int) -> str:
    kind = chance.randrange(10) if depth < 4 else 0
    indent = "\n" + "  " * depth
    if kind < 5:
        return _leaf(chance, indent)
    items = [_node(chance, depth + 1) for _ in range(chance.randint(0, 3))]
    if kind == 5:
        return "".join(f"{indent}- {item}" for item in items)
    if kind == 6:
        return "".join(f"{indent}k{n}: {item}" for n, item in enumerate(items))
    leaves = [_leaf(chance, " ") for _ in items]
    if kind == 7:
        return f"[{', '.join(leaves)} ]"
    if kind == 8:
        return "{" + ", ".join(f"k{n}: {leaf}" for n, leaf in enumerate(leaves)) + " }"
    return chance.choice(["&x ", "!raw ", "!!str ", "&y "]) + _leaf(chance, indent)


def _leaf(chance: random.Random, indent: str) -> str:
    words = " ".join(
        chance.choice([*TEMPLATES, "a", "é", "12", "yes", "text"]) for _ in range(chance.choice([1, 1, 2, 3]))
    )
    kind = chance.randrange(6)
    if kind == 0:
        return '"' + words.replace('"', '\\"') + '"'
    if kind == 1:
        return "'" + words.replace("'", "''") + "'"
    if kind == 2 and indent != " ":
        return chance.choice(["|", ">", "|-", ">+"]) + "".join(f"{indent}  {words}" for _ in range(2))
    return words if kind < 5 else chance.choice(["*x", "12", "~", "1.5", "<<", "2022-01-01", ""])


def mutated(chance: random.Random) -> bytes:
    data = bytearray(chance.choice(SEEDS).encode())
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            data[at:at] = chance.choice(PIECES).encode()
        elif kind == 1:
            del data[at : at + chance.randint(1, 8)]
        elif kind == 2:
            data[at : at + 1] = bytes([chance.randrange(256)])
        else:
            data[at:at] = data[chance.randrange(len(data) + 1) :][:20]
    return bytes(data)


MAKERS = (made_of_pieces, mutated, grammatical)


def check_place(diagnostic: Diagnostic, text: str | None) -> None:
    assert diagnostic.mark is not None, diagnostic
    assert diagnostic.mark.file == "f"
    assert diagnostic.mark.line >= 1
    assert diagnostic.mark.column >= 1
    assert diagnostic.summary
    assert diagnostic.code
    if text is not None:
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        assert diagnostic.mark.line <= len(lines)
        assert diagnostic.mark.column <= len(lines[diagnostic.mark.line - 1]) + 2


def check_tree(node: Any, source: Source) -> None:
    if isinstance(node, Map):
        assert set(node.marks) == set(node)
        for item in node.values():
            check_tree(item, source)
    elif isinstance(node, Seq):
        assert len(node.marks) == len(node)
        for item in node:
            check_tree(item, source)
    elif isinstance(node, Template):
        assert any(not isinstance(part, str) for part in node.parts)
        for part in node.parts:
            if isinstance(part, Ref):
                assert source.text.startswith("${{", part.offset)
            elif isinstance(part, Name | Env | Expression):
                assert source.text.startswith("[[", part.offset)
    else:
        check_text(node, source)


def check_text(node: Any, source: Source) -> None:
    """No placeholder ever gets out: private characters come from the text or an escape in it."""
    assert node is None or isinstance(node, str | int | float)
    if isinstance(node, str) and not source.text.isascii():
        return
    assert (
        not isinstance(node, str)
        or "\\u" in source.text
        or not any("\ue000" <= sign <= "\uf8ff" for sign in node)
    )


def check_values(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) is str
            check_values(item)
    elif isinstance(value, list):
        for item in value:
            check_values(item)
    else:
        assert isinstance(value, ALLOWED_LEAVES)


def check_rendering(parsed: Parsed, text: str, *, offline: bool) -> None:
    for document in parsed.documents:
        scope = Scope({**VARIABLES, **document}, {"X": "x"}.get, offline=offline)
        check_values(render(document, scope))
        for diagnostic in (*scope.errors, *scope.warnings):
            check_place(diagnostic, text)


def check_agreement(parsed: Parsed | None, error: ConfigError | None, source: Source) -> None:
    """On text without templates PyYAML reads the same, and what it can read we refuse for a reason of our own."""
    text = source.text
    if any(sign in text for sign in ("[[", "${{", "<<", "!raw", "&")):
        return
    try:
        expected = [found for found in yaml.load_all(text, yaml.CBaseLoader) if found not in ("~", "null")]
        expected = [found for found in expected if found]
    except (yaml.YAMLError, UnicodeEncodeError, ValueError, TypeError):
        assert parsed is None or not yaml_is_broken(text)
        return
    if parsed is None:
        assert error is not None
        assert any(found.code not in ("yaml", "template") for found in error.diagnostics), (text, str(error))
        return
    for ours, theirs in zip([document for document in parsed.documents if document], expected, strict=True):
        compare_text(ours, theirs)


def yaml_is_broken(text: str) -> bool:
    """Tell whether even PyYAML's events end in an error; its constructors refuse more, like lists as keys."""
    try:
        for _ in yaml.parse(text, yaml.CBaseLoader):
            pass
    except (yaml.YAMLError, UnicodeEncodeError):
        return True
    return False


def compare_text(ours: Any, theirs: Any) -> None:
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for key, item in theirs.items():
            compare_text(ours[key], item)
    elif isinstance(theirs, list):
        for item, other in zip(ours, theirs, strict=True):
            compare_text(item, other)
    else:
        assert ours in (theirs, typed(theirs)) or str(ours) == theirs or float(ours) == typed(theirs)


def run_case(file: Path, data: bytes, *, offline: bool) -> None:
    file.write_bytes(data)
    try:
        source = read_source(file, "f")
    except ConfigError as error:
        for diagnostic in error.diagnostics:
            check_place(diagnostic, None)
        return
    parsed, failed = None, None
    try:
        parsed = parse(source)
    except ConfigError as error:
        failed = error
        for diagnostic in error.diagnostics:
            check_place(diagnostic, source.text)
    check_agreement(parsed, failed, source)
    if parsed is not None:
        for document in parsed.documents:
            check_tree(document, source)
        for diagnostic in parsed.warnings:
            check_place(diagnostic, source.text)
        check_rendering(parsed, source.text, offline=offline)


def run_cases(folder: Path, numbers: range) -> None:
    for number in numbers:
        chance = random.Random(number)
        data = MAKERS[number % 3](chance)
        try:
            run_case(folder / "f.yaml", data, offline=number % 2 == 0)
        except Exception as error:
            error.add_note(f"case {number}: {data!r}")
            raise


@pytest.mark.parametrize("part", range(4))
def test_nonsense(tmp_path: Path, part: int) -> None:
    run_cases(tmp_path, range(part * 500, (part + 1) * 500))


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", range(20))
def test_much_nonsense(tmp_path: Path, part: int) -> None:
    run_cases(tmp_path, range(2_000 + part * 10_000, 2_000 + (part + 1) * 10_000))


def test_the_fuzz_reaches_what_it_is_for(tmp_path: Path) -> None:
    """A fuzz that only meets syntax errors would prove nothing."""
    trees = templates = 0
    codes: set[str] = set()
    for number in range(600):
        chance = random.Random(number)
        (tmp_path / "f").write_bytes(MAKERS[number % 3](chance))
        try:
            source = read_source(tmp_path / "f", "f")
            documents = parse(source).documents
        except ConfigError as error:
            codes.update(found.code for found in error.diagnostics)
            continue
        trees += bool(documents)
        templates += "Template" in repr(documents)
    assert trees > 100
    assert templates > 50
    assert codes >= {"yaml", "template", "tag", "encoding", "duplicate-key", "not-a-mapping"}
