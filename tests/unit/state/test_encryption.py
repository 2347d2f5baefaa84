"""Encrypted documents: what went in comes out, and any bit that differs is refused."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.errors import StateForeignError
from devstream.state.encryption import Kdf, Kind, open_sealed, read_envelope, seal
from devstream.state.keys import Key

if TYPE_CHECKING:
    from devstream.state.encryption import Envelope

KEY = Key("main", Kdf("none"), b"k" * 32)
OTHER = Key("main", Kdf("none"), b"o" * 32)
CLEAR: dict[str, Any] = {"format": 1, "lineage": "l", "serial": 7, "recent": ["a", "b"], "moved_to": None}


def sealed(plain: bytes = b"the plain text", kind: Kind = Kind.HEAD) -> bytes:
    return seal(kind, plain, KEY, CLEAR)


def opened(data: bytes, kind: Kind = Kind.HEAD, key: Key = KEY) -> bytes | None:
    envelope = read_envelope(data, "it")
    return None if envelope is None else open_sealed(kind, data, envelope, key)


json_text = st.text(st.characters(codec="utf-8"), max_size=20)
members = st.dictionaries(
    json_text.filter(lambda name: name not in ("encryption", "ciphertext", "lineage", "name", "moved_to")),
    st.one_of(st.none(), st.integers(-(2**60), 2**60), json_text, st.lists(json_text, max_size=3)),
    max_size=5,
)


@given(plain=st.binary(max_size=3000), clear=members, kind=st.sampled_from(Kind))
def test_what_is_sealed_opens(plain: bytes, clear: dict[str, Any], kind: Kind) -> None:
    data = seal(kind, plain, KEY, clear)
    assert opened(data, kind) == plain
    whole = json.loads(data)
    assert {name: whole[name] for name in clear} == clear


@given(plain=st.binary(min_size=1, max_size=200), position=st.integers(0), bit=st.integers(0, 7))
def test_any_flipped_bit_is_refused(plain: bytes, position: int, bit: int) -> None:
    data = bytearray(sealed(plain))
    data[position % len(data)] ^= 1 << bit
    with suppress(StateForeignError):  # the name of the method was hit
        assert opened(bytes(data)) is None


@given(cut=st.integers(0), tail=st.binary(max_size=3))
def test_what_is_cut_or_goes_on_is_refused(cut: int, tail: bytes) -> None:
    data = sealed()
    assert opened(data[: cut % len(data)]) is None
    assert tail == b"" or opened(data + tail) is None


def test_every_bit_of_one_document() -> None:
    data = sealed(b"x" * 40)
    for position in range(len(data)):
        for bit in (0, 3, 6):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            with suppress(StateForeignError):
                assert opened(bytes(changed)) is None, (position, bit)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"serial": 7', b'"serial": 8'),
        (b'"serial": 7', b'"serial":  7'),
        (b'"lineage": "l"', b'"lineage": "m"'),
        (b'"moved_to": null', b'"moved_to": "/elsewhere"'),
        (b'"of": "head"', b'"of": "blob"'),
        (b'"key": "main"', b'"key": "other"'),
    ],
)
def test_clear_members_cannot_be_changed(old: bytes, new: bytes) -> None:
    data = sealed()
    assert old in data
    for kind in Kind:
        assert opened(data.replace(old, new), kind) is None


def test_ciphertext_of_another_document_does_not_fit() -> None:
    first, second = json.loads(sealed(b"first")), sealed(b"second").decode()
    mixed = second.replace(json.loads(second)["ciphertext"], first["ciphertext"])
    assert opened(mixed.encode()) is None


def test_another_key_does_not_open() -> None:
    assert opened(sealed(), key=OTHER) is None


def test_one_kind_is_not_another() -> None:
    assert opened(sealed(kind=Kind.BLOB), Kind.HEAD) is None


def test_nothing_of_the_plain_text_is_to_be_seen() -> None:
    data = sealed(b"canary-1234567890")
    assert b"canary" not in data
    assert KEY.secret not in data
    assert KEY.secret.hex().encode() not in data
    assert "6b6b" not in repr(KEY)


def test_the_same_text_gives_other_bytes_each_time() -> None:
    nonces = {json.loads(sealed())["encryption"]["nonce"] for _ in range(500)}
    assert len(nonces) == 500


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"null",
        b"\xff\xfe",
        b'{"encryption": {}, "ciphertext": "x"}',
        b'{"encryption": 1, "ciphertext": "x"}',
        b'{"a": {"encryption": 1}, "b": "\\"ciphertext\\": \\""}',
        b"[" * 100_000 + b'"encryption""ciphertext": "',
    ],
    ids=range(8),
)
def test_other_bytes_are_no_envelope(data: bytes) -> None:
    assert read_envelope(data, "it") is None


def test_a_method_of_a_newer_version_is_said_to_be_one() -> None:
    data = sealed().replace(b"aes-256-gcm", b"aes-512-xyz")
    with pytest.raises(StateForeignError, match="the state x is encrypted in a way") as caught:
        read_envelope(data, "the state x")
    assert caught.value.diagnostic.suggestion == "upgrade devstream"


def test_a_nonce_of_another_length_is_refused() -> None:
    envelope = read_envelope(sealed(), "it")
    assert envelope is not None
    for nonce in ("", "00", "zz"):
        assert open_sealed(Kind.HEAD, sealed(), _with_nonce(envelope, nonce), KEY) is None


def _with_nonce(envelope: Envelope, nonce: str) -> Envelope:
    import msgspec

    header = msgspec.structs.replace(envelope.encryption, nonce=nonce)
    return msgspec.structs.replace(envelope, encryption=header)
