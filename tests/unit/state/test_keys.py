"""The keyring: which key opens, which one writes, and what is said where none fits."""

from __future__ import annotations

import pytest

from devstream.errors import CredentialsError, StateDamagedError
from devstream.state.encryption import Envelope, Header, Kdf, Kind, read_envelope, seal
from devstream.state.keys import SCRYPT, Key, Keyring, KeySource

CHEAP = Kdf("scrypt", n=16, r=8, p=1)


class Source:
    """A passphrase or a key file that counts how often it is asked for."""

    def __init__(self, name: str, material: bytes | None, *, is_file: bool = False) -> None:
        self.asked = 0
        self._material = material
        self.source = KeySource(name, self._give, is_passphrase=not is_file)

    def _give(self) -> bytes:
        self.asked += 1
        if self._material is None:
            raise CredentialsError("the environment variable PW is not set")
        return self._material


def ring(*sources: Source) -> Keyring:
    return Keyring([source.source for source in sources], cost=CHEAP)


def sealed_with(key: Key) -> Envelope:
    envelope = read_envelope(seal(Kind.HEAD, b"plain", key, {}), "it")
    assert envelope is not None
    return envelope


def test_a_passphrase_opens_what_it_wrote_in_another_process() -> None:
    key = ring(Source("main", b"correct horse")).writing(None)
    again = ring(Source("main", b"correct horse")).opening(sealed_with(key), "it")
    assert (again.id, again.secret) == (key.id, key.secret)
    assert again is not key


def test_a_key_does_not_depend_on_its_name() -> None:
    key = ring(Source("main", b"correct horse")).writing(None)
    assert ring(Source("renamed", b"correct horse")).opening(sealed_with(key), "it").id == key.id


def test_each_state_has_its_own_salt() -> None:
    first, second = (ring(Source("main", b"correct horse")).writing(None) for _ in range(2))
    assert first.kdf.salt != second.kdf.salt
    assert first.id != second.id
    assert first.secret != second.secret


def test_the_salt_of_a_state_stays() -> None:
    key = ring(Source("main", b"correct horse")).writing(None)
    keys = ring(Source("main", b"correct horse"))
    opened = keys.opening(sealed_with(key), "it")
    assert keys.writing(opened) is opened


def test_a_passphrase_is_asked_for_once_and_only_when_it_is_needed() -> None:
    main, old = Source("main", b"correct horse"), Source("old", b"battery staple")
    keys = ring(main, old)
    assert (main.asked, old.asked) == (0, 0)
    envelope = sealed_with(keys.writing(None))
    for _ in range(3):
        keys.opening(envelope, "it")
        keys.writing(keys.opening(envelope, "it"))
    assert (main.asked, old.asked) == (1, 0)


def test_the_first_key_writes_and_all_of_them_read() -> None:
    old = ring(Source("old", b"battery staple")).writing(None)
    keys = ring(Source("main", b"correct horse"), Source("old", b"battery staple"))
    opened = keys.opening(sealed_with(old), "it")
    assert opened.name == "old"
    written = keys.writing(opened)
    assert written.name == "main"
    assert keys.writing(opened) is written
    assert keys.writing(written) is written


def test_a_key_that_moved_down_under_a_new_name_is_found() -> None:
    written = ring(Source("main", b"battery staple")).writing(None)
    keys = ring(Source("main", b"correct horse"), Source("before", b"battery staple"))
    opened = keys.opening(sealed_with(written), "it")
    assert opened.name == "before"
    assert keys.writing(opened).id != opened.id


def test_key_files_and_passphrases_side_by_side() -> None:
    phrase, file = Source("p", b"correct horse"), Source("f", b"k" * 32, is_file=True)
    by_file = ring(file).writing(None)
    assert by_file.kdf == Kdf("none")
    assert ring(phrase, file).opening(sealed_with(by_file), "it").name == "f"
    assert phrase.asked == 0
    by_phrase = ring(phrase).writing(None)
    assert ring(file, phrase).opening(sealed_with(by_phrase), "it").name == "p"


WRONG = [
    ("main", b"wrong passphrase", "is another one now", "list the new key first"),
    ("other", b"wrong passphrase", "none of the keys there are: other", "config.state.encryption.keys"),
    ("main", None, "PW is not set", ""),
    ("other", None, "PW is not set", ""),
]


@pytest.mark.parametrize(("name", "material", "said", "hint"), WRONG)
def test_what_does_not_open_is_said(name: str, material: bytes | None, said: str, hint: str) -> None:
    envelope = sealed_with(ring(Source("main", b"correct horse")).writing(None))
    with pytest.raises(CredentialsError) as caught:
        ring(Source(name, material)).opening(envelope, "the state x")
    diagnostic = caught.value.diagnostic
    assert caught.value.exit_code == 7
    assert said in diagnostic.summary
    assert hint in diagnostic.suggestion
    assert envelope.encryption.id in diagnostic.summary + diagnostic.detail
    assert "passphrase" not in str(caught.value) or "wrong passphrase" not in str(caught.value)


def test_a_key_that_cannot_be_had_does_not_hide_one_that_fits() -> None:
    envelope = sealed_with(ring(Source("main", b"correct horse")).writing(None))
    keys = ring(Source("main", None), Source("same", b"correct horse"))
    assert keys.opening(envelope, "it").name == "same"


@pytest.mark.parametrize(
    "kdf",
    [
        Kdf("scrypt", "00" * 16, n=2**30, r=8, p=1),
        Kdf("scrypt", "00" * 16, n=2**17, r=2**20, p=1),
        Kdf("scrypt", "00" * 16, n=3, r=8, p=1),
        Kdf("scrypt", "00" * 16, n=-2, r=8, p=1),
        Kdf("scrypt", "00" * 16, n=16, r=8, p=10**6),
        Kdf("scrypt", "00" * 4, n=16, r=8, p=1),
        Kdf("scrypt", "zz" * 16, n=16, r=8, p=1),
        Kdf("md5"),
        Kdf("none", "00" * 16),
    ],
    ids=str,
)
def test_what_cannot_be_a_key_costs_nothing(kdf: Kdf) -> None:
    header = Header("head", "aes-256-gcm", "main", "0" * 16, kdf, "0" * 24)
    source = Source("main", b"correct horse")
    with pytest.raises(StateDamagedError, match="damaged"):
        ring(source).opening(Envelope(header, ""), "the state x")
    assert source.asked == 0


def test_guessing_is_made_expensive() -> None:
    assert (SCRYPT.n, SCRYPT.r, SCRYPT.p) == (2**17, 8, 1)
    assert Keyring([Source("m", b"correct horse").source]).writing(None).kdf.n == 2**17
