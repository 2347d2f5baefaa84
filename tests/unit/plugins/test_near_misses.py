"""What counts as a misspelt hook."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.errors import PluginError
from devstream.hookspecs import TOOL_HOOKS, hookimpl
from devstream.plugins.relay import Relay, _one_edit_apart

LETTERS = "abcdefghijklmnopqrstuvwxyz_"


def edits(word: str) -> set[str]:
    """Everything one edit away, written down the slow way."""
    splits = [(word[:i], word[i:]) for i in range(len(word) + 1)]
    deleted = {a + b[1:] for a, b in splits if b}
    swapped = {a + b[1] + b[0] + b[2:] for a, b in splits if len(b) > 1}
    changed = {a + letter + b[1:] for a, b in splits if b for letter in LETTERS}
    inserted = {a + letter + b for a, b in splits for letter in LETTERS}
    return deleted | swapped | changed | inserted | {word}


@pytest.mark.parametrize("hook", TOOL_HOOKS)
def test_all_single_edits(hook: str) -> None:
    assert all(_one_edit_apart(word, hook) for word in edits(hook))


@given(st.sampled_from(TOOL_HOOKS), st.text(LETTERS, max_size=12))
def test_nothing_else(hook: str, word: str) -> None:
    assert _one_edit_apart(word, hook) == (word in edits(hook))


def test_the_place_of_the_function_is_named() -> None:
    class Plugin:
        @hookimpl
        def create(self) -> None: ...

        def crate(self) -> None: ...

        def delet(self) -> None: ...

    with pytest.raises(PluginError) as caught:
        Relay().register(Plugin(), "mine")
    assert "delet" in str(caught.value)
    assert __file__ in caught.value.diagnostic.detail


def test_inherited_methods_count() -> None:
    class Base:
        def integrat(self) -> None: ...

    class Plugin(Base):
        @hookimpl
        def create(self) -> None: ...

    with pytest.raises(PluginError, match="integrat"):
        Relay().register(Plugin(), "mine")


def test_a_refused_plugin_leaves_nothing_behind() -> None:
    class Bad:
        @hookimpl
        def craete(self) -> None: ...

    class Good:
        @hookimpl
        def create(self) -> None: ...

    relay = Relay()
    with pytest.raises(PluginError, match="craete"):
        relay.register(Bad(), "bad")
    assert relay.register(Good(), "good").name == "good"


def test_an_optional_hook_need_not_exist() -> None:
    class Plugin:
        @hookimpl(optionalhook=True)
        def of_a_later_version(self) -> None: ...

    Relay().register(Plugin(), "mine")
