"""The merge of a template's changes into people's work: rule by rule, and the law that people's lines are never lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devstream.testing.context import PlainContext
from devstream_plugin_scm.forge import Entry, File, Files, blob_id
from devstream_plugin_scm.merging import MergeTexts, merge, merge_with_git

if TYPE_CHECKING:
    from pathlib import Path

    from devstream_plugin_scm.merging import Merged

Tree = dict[str, File]


def commit(tree: Tree, **modes: str) -> Files:
    """Give a tree as a commit has it; ``modes`` makes something else of files."""
    contents = {blob_id(file.content): file.content for file in tree.values()}
    listing = {path: Entry(modes.get(path, file.mode), blob_id(file.content)) for path, file in tree.items()}
    return Files(listing, contents.__getitem__)


def refuse(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """Stands for texts that cannot be merged."""
    assert len({base, ours, theirs}) == 3, "only what needs merging is merged"
    return None


def join(base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """Stands for texts that can."""
    return ours + theirs[len(base) :]


A, B, C = File(b"a\n"), File(b"b\n"), File(b"c\n")
RUN = File(b"a\n", executable=True)
BINARY = [File(b"\0" + bytes([number])) for number in range(3)]

RULES: list[tuple[str, Tree, Tree, Tree, dict[str, File | None], tuple[str, ...]]] = [
    # what it is about, base, head, rendered, changes, left
    ("nothing", {"f": A}, {"f": A}, {"f": A}, {}, ()),
    ("template changed", {"f": A}, {"f": A}, {"f": B}, {"f": B}, ()),
    ("people changed", {"f": A}, {"f": B}, {"f": A}, {}, ()),
    ("both alike", {"f": A}, {"f": B}, {"f": B}, {}, ()),
    ("both differently", {"f": A}, {"f": B}, {"f": C}, {}, ("f",)),
    ("template added", {}, {}, {"f": A}, {"f": A}, ()),
    ("both added alike", {}, {"f": A}, {"f": A}, {}, ()),
    ("both added differently", {}, {"f": B}, {"f": A}, {}, ("f",)),
    ("people added", {}, {"f": A}, {}, {}, ()),
    ("template removed", {"f": A}, {"f": A}, {}, {"f": None}, ()),
    ("template removed what people changed", {"f": A}, {"f": B}, {}, {}, ("f",)),
    ("people removed what the template changed", {"f": A}, {}, {"f": B}, {}, ("f",)),
    ("both removed", {"f": A}, {}, {}, {}, ()),
    ("people removed", {"f": A}, {}, {"f": A}, {}, ()),
    ("a folder in the way", {}, {"f/x": A}, {"f": B}, {}, ("f",)),
    ("a file in the way", {}, {"f": A}, {"f/x": B}, {}, ("f/x",)),
    ("template made it run", {"f": A}, {"f": A}, {"f": RUN}, {"f": RUN}, ()),
    ("template made it run, people changed it", {"f": A}, {"f": B}, {"f": RUN}, {"f": File(B.content, True)}, ()),
    ("people made it run, template changed it", {"f": A}, {"f": RUN}, {"f": B}, {"f": File(B.content, True)}, ()),
    ("binary, both", {"f": BINARY[0]}, {"f": BINARY[1]}, {"f": BINARY[2]}, {}, ("f",)),
    ("binary, template", {"f": BINARY[0]}, {"f": BINARY[0]}, {"f": BINARY[2]}, {"f": BINARY[2]}, ()),
]  # fmt: skip


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule[0].replace(" ", "-"))
def test_rule(rule: tuple[str, Tree, Tree, Tree, dict[str, File | None], tuple[str, ...]]) -> None:
    _, base, head, rendered, changes, left = rule
    merged = merge(commit(base), commit(head), rendered, refuse)
    assert (merged.changes, merged.left) == (changes, left)


def test_what_is_merged_is_named() -> None:
    merged = merge(commit({"f": A}), commit({"f": File(b"people\n")}), {"f": File(b"a\nmore\n")}, join)
    assert (merged.changes, merged.mixed) == ({"f": File(b"people\nmore\n")}, ("f",))


@pytest.mark.parametrize("mode", ["120000", "160000"])
def test_what_people_made_a_link_or_a_submodule_stays(mode: str) -> None:
    merged = merge(commit({"f": A}), commit({"f": B}, f=mode), {"f": C}, join)
    assert (merged.changes, merged.left) == ({}, ("f",))


def test_without_a_base_nothing_is_touched() -> None:
    assert merge(None, commit({"f": A}), {"f": B, "g": C}, refuse).changes == {}


# ---- git's own merge of texts


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> MergeTexts:
    return merge_with_git(PlainContext(tmp_path_factory.mktemp("merge")))


BASE = b"1\n2\n3\n4\n5\n6\n7\n8\n"


@pytest.mark.parametrize(
    ("ours", "theirs", "merged"),
    [
        (b"1\n2\n3\n4\n5\n6\n7\npeople\n", b"template\n2\n3\n4\n5\n6\n7\n8\n", b"template\n2\n3\n4\n5\n6\n7\npeople\n"),
        (BASE + b"people\n", b"template\n" + BASE, b"template\n" + BASE + b"people\n"),
        (BASE + b"no end", BASE.replace(b"1", b"one"), BASE.replace(b"1", b"one") + b"no end"),
        (BASE.replace(b"4", b"people"), BASE.replace(b"4", b"template"), None),
        (BASE.replace(b"\n", b"\r\n"), BASE.replace(b"4", b"template"), None),
        (b"", BASE.replace(b"4", b"template"), None),
        ("ü\n".encode("latin-1") + BASE, BASE.replace(b"8", b"8\n9"), "ü\n".encode("latin-1") + BASE + b"9\n"),
        (BASE + b"<<<<<<< mine\n", b"template\n" + BASE, b"template\n" + BASE + b"<<<<<<< mine\n"),
    ],
)  # fmt: skip
def test_a_text_is_merged_or_left(
    texts: MergeTexts, ours: bytes, theirs: bytes, merged: bytes | None
) -> None:
    assert texts(BASE, ours, theirs) == merged


lines = st.lists(st.sampled_from([b"a\n", b"b\n", b"}\n", b"\n", b"x y\n", b"<<<<<<<\n"]), max_size=12)


@st.composite
def edited(draw: st.DrawFn, base: list[bytes], who: bytes) -> list[bytes]:
    """Change, remove and insert lines; what is new names who wrote it."""
    result = []
    for number, line in enumerate(base):
        edit = draw(st.sampled_from(["keep", "keep", "keep", "remove", "change", "insert"]))
        if edit in {"change", "insert"}:
            result.append(b"%s %d\n" % (who, number))
        if edit in {"keep", "insert"}:
            result.append(line)
    return result + [b"%s at the end\n" % who] * draw(st.integers(0, 1))


def people_lose_nothing(base: list[bytes], ours: list[bytes], theirs: list[bytes], merged: Merged) -> None:
    after = merged.changes.get("f", File(b"".join(ours)))
    assert after is not None
    now = after.content.splitlines(keepends=True)
    written = [line for line in ours if line.startswith(b"people")]
    assert [line for line in now if line.startswith(b"people")] == written, "in their order, none twice"
    if "f" in merged.left:
        assert after.content == b"".join(ours)
    kept = [line for line in now if line in base]
    assert len(now) - len(kept) <= len(ours) + len(theirs)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_peoples_lines_are_never_lost(texts: MergeTexts, data: st.DataObject) -> None:
    base = data.draw(lines)
    ours, theirs = data.draw(edited(base, b"people")), data.draw(edited(base, b"template"))
    before, head, new = ({"f": File(b"".join(text))} for text in (base, ours, theirs))
    people_lose_nothing(base, ours, theirs, merge(commit(before), commit(head), new, texts))


@pytest.mark.slow
@settings(max_examples=2000, deadline=None)
@given(st.data())
def test_peoples_lines_are_never_lost_at_length(texts: MergeTexts, data: st.DataObject) -> None:
    base = data.draw(lines)
    ours, theirs = data.draw(edited(base, b"people")), data.draw(edited(base, b"template"))
    before, head, new = ({"f": File(b"".join(text))} for text in (base, ours, theirs))
    people_lose_nothing(base, ours, theirs, merge(commit(before), commit(head), new, texts))


files = st.dictionaries(
    st.sampled_from(["a", "b", "d/a", "d", "a/x"]), st.sampled_from([A, B, C, RUN]), max_size=4
)


@settings(max_examples=300, deadline=None)
@given(files, files, files)
def test_what_people_changed_is_never_removed_or_replaced(base: Tree, head: Tree, rendered: Tree) -> None:
    merged = merge(commit(base), commit(head), rendered, refuse)
    for path, file in merged.changes.items():
        assert path not in head or head[path] == base.get(path) or (file is not None and path in merged.mixed)
    touched = {path for path in {*base, *rendered} if base.get(path) != rendered.get(path)}
    settled = {path for path in touched if head.get(path) == rendered.get(path)}
    assert touched - settled == {*merged.changes, *merged.left} | {
        path for path in merged.mixed if path in touched
    }


def test_a_merge_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    merge_with_git(PlainContext(tmp_path))(BASE, BASE + b"9\n", b"0\n" + BASE)
    assert list(tmp_path.iterdir()) == []
