from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.model.values import Secret, SecretRef, format_path, iter_leaves, map_leaves

TOKEN = SecretRef("env", "TOKEN")
TEXT = "hunter22"

json_trees = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(st.text(max_size=3), deeper, max_size=3),
    max_leaves=12,
)


@pytest.mark.parametrize(
    "written",
    [
        str,
        repr,
        lambda secret: f"{secret}",
        lambda secret: f"{secret!r:>40}",
        lambda secret: f"{secret:>20}",
        lambda secret: "%s" % secret,  # noqa: UP031 - this way of formatting too
        lambda secret: str([secret]),
        lambda secret: str({"a": secret}),
        lambda secret: str(pickle.dumps(secret)),
    ],
)
def test_a_secret_never_shows_its_text(written: Any) -> None:
    assert TEXT not in written(Secret(("Bearer ", TOKEN), f"Bearer {TEXT}"))


def test_a_secret_gives_its_text_only_when_asked() -> None:
    assert Secret((TOKEN,), TEXT).reveal() == TEXT
    with pytest.raises(ValueError, match=r"Secret\(env:TOKEN\) has not been resolved yet"):
        Secret((TOKEN,)).reveal()


def test_what_a_secret_is_made_of() -> None:
    mixed = Secret(("Bearer ", TOKEN), f"Bearer {TEXT}")
    assert (mixed.refs, mixed.is_plain, mixed.is_resolved) == ((TOKEN,), False, True)
    plain = Secret.plain("text")
    assert (plain.refs, plain.is_plain, plain.is_resolved, repr(plain)) == ((), True, True, "Secret(plain)")
    assert not Secret((TOKEN,)).is_resolved


def test_secrets_are_equal_by_name_not_by_text() -> None:
    assert Secret((TOKEN,), "one") == Secret((TOKEN,), "two")
    assert hash(Secret((TOKEN,), "one")) == hash(Secret((TOKEN,)))
    assert Secret((TOKEN,)) != Secret((SecretRef("env", "OTHER"),))
    assert Secret.plain("a") != "a"


def test_a_pickled_secret_is_its_name_again() -> None:
    again = pickle.loads(pickle.dumps(Secret((TOKEN,), TEXT)))
    assert again == Secret((TOKEN,))
    assert not again.is_resolved
    assert pickle.loads(pickle.dumps(Secret.plain("open"))).reveal() == "open"
    assert copy.deepcopy(Secret.plain("open")).reveal() == "open"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("a",), "a"),
        (("a", "b"), "a.b"),
        (("ports", 0, "name"), "ports[0].name"),
        (("a", 1, 2), "a[1][2]"),
    ],
)
def test_paths_are_written_as_users_do(path: tuple[str | int, ...], text: str) -> None:
    assert format_path(path) == text


@given(json_trees)
def test_leaves_are_found_where_they_are(tree: Any) -> None:
    for path, leaf in iter_leaves(tree):
        node = tree
        for step in path:
            node = node[step]
        assert node is leaf
        assert not isinstance(leaf, dict | list) or not leaf


@given(json_trees)
def test_mapping_leaves_copies_the_tree(tree: Any) -> None:
    copied = map_leaves(tree, lambda leaf: leaf)
    assert copied == tree
    assert copied is not tree or not isinstance(tree, dict | list)
    counted = [leaf for _, leaf in iter_leaves(tree) if not isinstance(leaf, dict | list)]
    seen: list[Any] = []
    map_leaves(tree, seen.append)
    assert seen == counted
