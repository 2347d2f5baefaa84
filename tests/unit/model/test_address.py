from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devstream.model.address import INSTANCE_ID, TOOL_NAME, Address

names = st.from_regex(TOOL_NAME, fullmatch=True)
instance_ids = st.from_regex(INSTANCE_ID, fullmatch=True).filter(lambda text: len(text) <= 253)


@given(names, instance_ids)
def test_every_address_is_read_as_it_is_written(name: str, instance_id: str) -> None:
    address = Address(name, instance_id)
    assert Address.parse(str(address)) == address


@pytest.mark.parametrize(
    ("text", "name", "instance_id"),
    [
        ("helm.argocd", "helm", "argocd"),
        ("helm-installer.argocd.eu", "helm-installer", "argocd.eu"),
        ("Tool_1.0", "Tool_1", "0"),
        ("a." + "b" * 253, "a", "b" * 253),
        ("a" * 63 + ".b", "a" * 63, "b"),
    ],
)
def test_the_first_dot_splits(text: str, name: str, instance_id: str) -> None:
    assert Address.parse(text) == (name, instance_id)


@pytest.mark.parametrize(
    "text",
    ["", ".", "helm", "helm.", ".argocd", "helm.Argo", "helm.a_b", "helm.-a", "helm.a-", "helm.a..b", "he lm.a", "-x.a",
     "helm.a ", "helm.a\n", "a." + "b" * 254, "a" * 64 + ".b", "@tools", "hélm.a"],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not an address: it has the form name\.instanceID"):
        Address.parse(text)


def test_addresses_sort_by_name_then_instance() -> None:
    found = [Address.parse(text) for text in ("b.a", "a.c", "a.b")]
    assert [str(address) for address in sorted(found)] == ["a.b", "a.c", "b.a"]
