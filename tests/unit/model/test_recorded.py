from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.model.address import Address
from devstream.model.recorded import (
    Fingerprint,
    comparable,
    decode,
    encode,
    fingerprint,
    has_marks,
    is_hidden,
    parse_reference,
    resolve,
    text_of,
    visible,
)
from devstream.model.values import (
    Interpolation,
    Reference,
    Secret,
    SecretRef,
    Unknown,
    format_path,
    map_leaves,
)

KEY = b"k" * 32
REPO = Address("repo", "a")
URL = Reference(REPO, ("url",))
TOKEN_OUT = Reference(REPO, ("token",))
LOGIN = Reference(REPO, ("login",))
LATER = Reference(REPO, ("later",))
TOKEN = SecretRef("env", "TOKEN")
OTHER = SecretRef("file", "key.pem")

OUTPUTS: dict[Reference, Any] = {
    URL: "git://a",
    Reference(REPO, ("port",)): 8080,
    Reference(REPO, ("tls",)): True,
    Reference(REPO, ("hosts",)): ["x", {"$ref": "odd"}],
    TOKEN_OUT: Secret.plain("output-secret"),
    LOGIN: {"user": "u", "password": Secret((SecretRef("output", ""),), "nested-secret")},
    LATER: Unknown("repo.a"),
}
SECRETS = {TOKEN: "hunter22-token", OTHER: "pem-text"}
HIDDEN_TEXTS = ("hunter22-token", "pem-text", "output-secret", "nested-secret")


@dataclass
class Book:
    """A resolver that knows the values above."""

    secrets: dict[SecretRef, str] = field(default_factory=lambda: dict(SECRETS))

    def reference(self, reference: Reference) -> Any:
        return OUTPUTS[reference]

    def secret(self, ref: SecretRef) -> str:
        return self.secrets[ref]


known_references = st.sampled_from([reference for reference in OUTPUTS if reference != LATER])
secret_refs = st.sampled_from([TOKEN, OTHER])
literals = st.text(max_size=4)
secrets = st.lists(literals | secret_refs, min_size=1, max_size=3).map(lambda parts: Secret((*parts, TOKEN)))
interpolations = st.lists(literals | secret_refs | known_references, max_size=2).flatmap(
    lambda parts: known_references.map(lambda reference: Interpolation((*parts, reference)))
)
plain = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | literals
)
marked = known_references | secrets | interpolations
keys = st.sampled_from(["a", "b", "$ref", "$map", "$secret", "$join", "value", "fingerprint"])


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    inner = st.recursive(
        leaves,
        lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(keys, deeper, max_size=3),
        max_leaves=8,
    )
    return st.dictionaries(keys, inner, max_size=4)


@given(trees(plain))
def test_plain_options_come_back_as_they_went(options: dict[str, Any]) -> None:
    encoded = encode(options, Book(), KEY)
    assert decode(json.loads(json.dumps(encoded)), lambda text, value: pytest.fail(text)) == options
    assert comparable(encoded) == options
    if not has_marks(options):
        assert encoded == options


@given(trees(plain | marked))
def test_what_is_recorded_is_json_and_holds_no_secret(options: dict[str, Any]) -> None:
    text = json.dumps(encode(options, Book(), KEY))
    assert not any(hidden in text for hidden in HIDDEN_TEXTS)


in_the_open = st.sampled_from([URL, Reference(REPO, ("port",)), Reference(REPO, ("hosts",))])
around_open = st.lists(literals | secret_refs, max_size=2).flatmap(
    lambda parts: in_the_open.map(lambda reference: Interpolation((*parts, reference)))
)


@given(trees(plain | secrets | around_open | known_references))
def test_a_record_gives_the_options_again(options: dict[str, Any]) -> None:
    by_text = {str(reference): value for reference, value in OUTPUTS.items()}
    encoded = json.loads(json.dumps(encode(options, Book(), KEY)))
    again = resolve(decode(encoded, lambda text, value: by_text[text]), Book())
    assert _texts(again) == _texts(resolve(options, Book()))


def _texts(value: Any) -> Any:
    return map_leaves(value, lambda leaf: ("secret", leaf.reveal()) if isinstance(leaf, Secret) else leaf)


@pytest.mark.parametrize(
    ("leaf", "encoded"),
    [
        (URL, {"$ref": "repo.a.outputs.url", "value": "git://a"}),
        (TOKEN_OUT, {"$ref": "repo.a.outputs.token", "fingerprint": fingerprint(KEY, "output-secret")}),
        (
            LOGIN,
            {
                "$ref": "repo.a.outputs.login",
                "fingerprint": fingerprint(KEY, '{"user": "u", "password": "nested-secret"}'),
            },
        ),
        (
            Secret(("Bearer ", TOKEN)),
            {
                "$secret": ["Bearer ", {"source": "env", "key": "TOKEN"}],
                "fingerprint": fingerprint(KEY, "Bearer hunter22-token"),
            },
        ),
        (Secret.plain("in the open"), "in the open"),
        (
            Interpolation(("at ", URL, "!")),
            {"$join": ["at ", {"$ref": "repo.a.outputs.url"}, "!"], "value": "at git://a!"},
        ),
        (
            Interpolation((URL, "?t=", TOKEN)),
            {
                "$join": [{"$ref": "repo.a.outputs.url"}, "?t=", {"source": "env", "key": "TOKEN"}],
                "fingerprint": fingerprint(KEY, "git://a?t=hunter22-token"),
            },
        ),
        (
            Interpolation(("x", TOKEN_OUT)),
            {
                "$join": ["x", {"$ref": "repo.a.outputs.token"}],
                "fingerprint": fingerprint(KEY, "xoutput-secret"),
            },
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_leaf(leaf: Any, encoded: Any) -> None:
    assert encode({"x": leaf}, Book(), KEY) == {"x": encoded}


@pytest.mark.parametrize("leaf", [LATER, Interpolation(("x", LATER)), Unknown("an unset variable")])
def test_what_is_not_known_cannot_be_recorded(leaf: Any) -> None:
    with pytest.raises(ValueError, match="not known yet"):
        encode([leaf], Book(), KEY)
    assert isinstance(resolve([leaf], Book())[0], Unknown)


def test_text_around_a_secret_output_is_a_secret() -> None:
    for reference, text in (
        (TOKEN_OUT, "<output-secret>"),
        (LOGIN, '<{"user": "u", "password": "nested-secret"}>'),
    ):
        value = resolve(Interpolation(("<", reference, ">")), Book())
        assert isinstance(value, Secret)
        assert value.reveal() == text
        assert not value.is_plain


def test_recorded_text_holds_where_its_upstream_is_gone() -> None:
    encoded = encode(Interpolation(("at ", URL)), Book(), KEY)
    assert decode(encoded, lambda text, value: pytest.fail(text)) == "at git://a"
    reference = encode(URL, Book(), KEY)
    assert decode(reference, lambda text, value: (text, value)) == ("repo.a.outputs.url", "git://a")


def test_a_secret_join_is_put_together_again() -> None:
    encoded = encode(Interpolation((URL, "?t=", TOKEN)), Book(), KEY)
    again = decode(encoded, lambda text, value: "git://b")
    assert again == Secret(("git://b", "?t=", TOKEN))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (1.5, "1.5"),
        (["ä", None], '["ä", null]'),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_values_inside_text(value: Any, text: str) -> None:
    assert text_of(value) == text


@given(st.text(st.characters()))
def test_fingerprints_are_keyed_and_of_one_width(text: str) -> None:
    assert len(fingerprint(KEY, text)) == 32
    assert fingerprint(KEY, text) == fingerprint(KEY, text)
    assert fingerprint(KEY, text) != fingerprint(b"another", text)
    assert fingerprint(KEY, text) != fingerprint(KEY, text + "x")


def test_a_fingerprint_is_never_printed() -> None:
    digest = Fingerprint(fingerprint(KEY, "x"))
    assert [f"{digest}", str(digest), repr(digest), f"{[digest]}"] == [
        "(secret)",
        "(secret)",
        "(secret)",
        "[(secret)]",
    ]


def test_what_a_plugin_reported_is_compared_by_fingerprint() -> None:
    recorded = {"a": [{"$secret": [], "fingerprint": fingerprint(KEY, "s")}], "b": {"$ref": "odd"}}
    reported = {"a": [Secret.plain("s")], "b": {"$ref": "odd"}}
    assert visible(recorded, KEY) == visible(reported, KEY)
    assert visible(recorded, KEY) != visible({**reported, "a": [Secret.plain("t")]}, KEY)


@pytest.mark.parametrize(
    ("value", "hidden"),
    [
        ({"$secret": [], "fingerprint": "f"}, True),
        ({"$secret": ["x"], "fingerprint": "f"}, False),
        ({"$secret": []}, False),
        ({"$secret": [], "fingerprint": "f", "more": 1}, False),
        ([], False),
        ("x", False),
    ],
)
def test_only_what_we_wrote_ourselves_counts_as_hidden(value: Any, *, hidden: bool) -> None:
    assert is_hidden(value) is hidden


@pytest.mark.parametrize(
    ("options", "marked"),
    [
        ({}, False),
        ({"a": [1, {"b": None}]}, False),
        ({"a": [1, {"b": URL}]}, True),
        ({"a": Secret.plain("x")}, True),
        ({"a": Interpolation((URL,))}, True),
        ({"a": Unknown()}, True),
        ({"a": {"$x": 1}}, True),
    ],
)
def test_has_marks(options: Any, *, marked: bool) -> None:
    assert has_marks(options) is marked


@pytest.mark.parametrize(
    ("text", "addresses", "address", "path"),
    [
        ("a.b.outputs.url", [], "a.b", ("url",)),
        ("a.b.outputs.ports[0].name", ["a.b"], "a.b", ("ports", 0, "name")),
        ("a.b.outputs.x[1][2]", ["a.b"], "a.b", ("x", 1, 2)),
        ("a.b.outputs.c.outputs.url", ["a.b", "a.b.outputs.c"], "a.b.outputs.c", ("url",)),
        ("a.b.outputs.c.outputs.url", ["a.b"], "a.b", ("c", "outputs", "url")),
        ("a.b.eu.outputs.url", ["a.b", "a.b.eu"], "a.b.eu", ("url",)),
    ],
)
def test_references_are_read_again(
    text: str, addresses: list[str], address: str, path: tuple[str | int, ...]
) -> None:
    reference = parse_reference(text, addresses)
    assert reference == Reference(Address.parse(address), path)
    assert str(reference) == text


@given(st.lists(st.from_regex(r"[a-z_][a-z0-9_-]*", fullmatch=True) | st.integers(0, 99), max_size=5))
def test_every_path_is_written_and_read_again(steps: list[str | int]) -> None:
    path = ("first", *steps)
    assert parse_reference(f"a.b.outputs.{format_path(path)}", ["a.b"]).path == path
