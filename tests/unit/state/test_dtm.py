"""The original DevStream's state, taken over."""

from __future__ import annotations

from typing import Any

import pytest

from devstream.errors import StateDamagedError, StateForeignError, UsageError
from devstream.model.address import Address
from devstream.model.recorded import fingerprint
from devstream.state.dtm import ORIGINAL, importing

APP = Address("repo-scaffolding", "myapp")

OLD = """\
repo-scaffolding_myapp:
  name: repo-scaffolding
  instanceID: myapp
  dependsOn: []
  options:
    instanceID: myapp
    destinationRepo:
      name: myapp
      token: s3cr3t
      tokens: [one, two]
    count: 3
    ratio: 1.5
    quoted: "8080"
    yes: yes
    nothing: null
    on: true
    odd:
      $ref: kept
  resourceStatus:
    status: running
    outputs:
      repo: myapp
      token: hunter2
helm-installer_argocd.eu:
  name: helm-installer
  instanceID: argocd.eu
  dependsOn:
  - repo-scaffolding.myapp
  options: {}
  resourceStatus: {}
"""


def is_secret(tool: str, path: tuple[str | int, ...]) -> bool:
    return tool == "repo-scaffolding" and "token" in path


def take_over(recorded: Any, text: str | bytes = OLD) -> Any:
    recorded.path.write_bytes(text.encode() if isinstance(text, str) else text)
    return recorded.edit(importing(is_secret, "2026-01-01T00:00:00Z"))


def test_entries_come_along(recorded: Any) -> None:
    take_over(recorded)
    state = recorded.state
    assert list(map(str, state.tools)) == ["repo-scaffolding.myapp", "helm-installer.argocd.eu"]
    assert state.tools[Address("helm-installer", "argocd.eu")].depends_on == ("repo-scaffolding.myapp",)
    entry = state.tools[APP]
    digest = fingerprint(state.hmac_key, "s3cr3t")
    assert entry.options == {
        "destinationRepo": {
            "name": "myapp",
            "token": {
                "$secret": [{"source": "literal", "key": "destinationRepo.token"}],
                "fingerprint": digest,
            },
            "tokens": ["one", "two"],
        },
        "count": 3,
        "ratio": 1.5,
        "quoted": "8080",
        "yes": "yes",
        "nothing": None,
        "on": True,
        "odd": {"$map": {"$ref": "kept"}},
    }
    hidden = {"$secret": [], "fingerprint": fingerprint(state.hmac_key, "hunter2")}
    assert entry.outputs == {"repo": "myapp", "token": hidden}
    assert (entry.properties, entry.info) == ({}, {})
    assert (entry.tainted, entry.adopted, entry.integrated) == (False, False, True)


def test_secrets_are_only_in_what_was_kept_of_the_original(recorded: Any) -> None:
    take_over(recorded)
    everything = recorded.path.read_bytes()
    for name in recorded.blobs - {ORIGINAL}:
        everything += recorded.backend.get_blob(name)
    assert b"s3cr3t" not in everything
    assert b"hunter2" not in everything


def test_the_original_is_kept_byte_for_byte(recorded: Any) -> None:
    take_over(recorded)
    assert recorded.backend.get_blob(ORIGINAL) == OLD.encode()
    mode = (recorded.path.parent / "devstream.state.d" / ORIGINAL).stat().st_mode
    assert mode & 0o777 == 0o600


@pytest.mark.parametrize("data", [b"", b"\n", b"\0\0", b"{}\n"], ids=["no byte", "blank", "zeros", "a map"])
def test_an_empty_one_becomes_an_empty_state(recorded: Any, data: bytes) -> None:
    take_over(recorded, data)
    assert recorded.state.tools == {}
    assert recorded.state.lineage
    assert recorded.backend.get_blob(ORIGINAL) == data


def test_runs_go_on_from_there(recorded: Any) -> None:
    take_over(recorded)
    recorded.run(a=1)
    assert len(recorded.state.tools) == 3


def test_there_is_nothing_to_import(recorded: Any) -> None:
    with pytest.raises(UsageError, match="there is no state of the original"):
        recorded.edit(importing(is_secret, "now"))
    recorded.run(a=1)
    with pytest.raises(UsageError, match="there is no state of the original"):
        recorded.edit(importing(is_secret, "now"))
    recorded.path.write_bytes(recorded.path.read_bytes()[:-50])
    with pytest.raises(StateDamagedError):
        recorded.edit(importing(is_secret, "now"))


def test_a_state_of_ours_that_was_emptied_is_not_the_originals(recorded: Any) -> None:
    recorded.run(a=1)
    with pytest.raises(StateDamagedError, match="it was not the original DevStream's"):
        take_over(recorded, b"")
    assert recorded.path.read_bytes() == b""


def test_what_an_earlier_import_kept_stays(recorded: Any) -> None:
    take_over(recorded, "")
    take_over(recorded, OLD)
    assert recorded.backend.get_blob(ORIGINAL) == b""
    assert OLD.encode() in [recorded.backend.get_blob(name) for name in recorded.blobs]


WRONG: dict[str, tuple[str | bytes, str]] = {
    "not YAML": ("a: [", "cannot be imported"),
    "a list": ("- a\n", "it is not a mapping of tools"),
    "an entry": ("a: 3\n", "a is not a mapping"),
    "no name": ("a:\n  instanceID: x\n", "a has no name"),
    "a bad id": ("a:\n  name: noop\n  instanceID: A_B\n", 'a: "noop.A_B" is not an address'),
    "twice": (
        "a: {name: noop, instanceID: x}\nb: {name: noop, instanceID: x}\n",
        "noop.x is there twice",
    ),
    "a key twice": ("a: {name: noop}\na: {name: noop}\n", "the key a is there twice"),
    "aliases": ("a: &x {name: noop}\nb: *x\n", "aliases"),
    "documents": ("a: {}\n---\nb: {}\n", "several YAML documents"),
    "depth": ("a: " + "[" * 5000 + "]" * 5000, "nested deeper"),
    "a key that is a list": ("? [a]\n: b\n", "a key is not text"),
    "bytes": (b"\xff\xfe\xfa", "cannot be imported"),
    "control": (b"a: \x01\n", "cannot be imported"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_imported_stays_as_it_is(recorded: Any, name: str) -> None:
    text, message = WRONG[name]
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(StateForeignError, match=message) as caught:
        take_over(recorded, data)
    assert "Traceback" not in str(caught.value)
    assert recorded.path.read_bytes() == data
    assert recorded.blobs == set()
