from __future__ import annotations

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.model.redact import MASK, Redactor

SECRET = 'p@ss w/örd"\\+1'

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
secrets = st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=20)


def redactor(*values: str) -> Redactor:
    made = Redactor()
    for value in values:
        made.add(value)
    return made


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        json.dumps(SECRET)[1:-1],
        json.dumps(SECRET, ensure_ascii=False)[1:-1],
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
    ],
)
def test_every_escaped_form_is_masked(form: str) -> None:
    assert redactor(SECRET).mask(f"a {form} b") == f"a {MASK} b"


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("after", ["", "x", "xy"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_is_masked_wherever_the_secret_lies_in_it(before: str, after: str, encode: object) -> None:
    assert callable(encode)
    encoded = encode((before + SECRET + after).encode()).decode()
    masked = redactor(SECRET).mask(f"Basic {encoded}")
    assert MASK in masked
    # what is left beside the mask are the characters that hold bits of what stands beside the secret
    assert len(masked.replace(MASK, "")) <= len("Basic ") + len(base64.b64encode(before.encode())) + 8


def test_short_values_stay() -> None:
    assert redactor("12345").mask("12345") == "12345"
    assert redactor("123456").mask("0123456") == f"0{MASK}"


def test_each_line_of_a_key_is_masked_alone() -> None:
    key = "-----BEGIN KEY-----\nMIIBVgIBADAN\nend\n"
    assert redactor(key).mask("log: MIIBVgIBADAN") == f"log: {MASK}"
    assert redactor(key).mask("the end") == "the end"


def test_overlapping_secrets_leave_no_fragment() -> None:
    assert redactor("abcdefgh", "efghijkl").mask("<abcdefghijkl>") == f"<{MASK}>"
    assert redactor("abcdefgh", "ijklmnop").mask("<abcdefghijklmnop>") == f"<{MASK}>"
    assert redactor("aaaaaa").mask("a" * 9) == MASK


def test_two_places_are_two_masks() -> None:
    assert redactor("abcdef").mask("abcdef-abcdef") == f"{MASK}-{MASK}"


@given(text, st.lists(secrets, min_size=1, max_size=3), text)
def test_no_secret_survives(before: str, values: list[str], after: str) -> None:
    masked = redactor(*values).mask(before + "".join(values) + after)
    left = masked.split(MASK)
    assert not any(value in part for value in values for part in left)


@given(text)
def test_nothing_is_touched_without_secrets(line: str) -> None:
    assert redactor().mask(line) == line
    assert redactor("\x00never-in-there\x00").mask(line) == line
