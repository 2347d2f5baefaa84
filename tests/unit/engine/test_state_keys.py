"""Where keys come from: commands that print a passphrase, and what they may do wrong."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import pytest

from devstream.engine import state_keys
from devstream.engine.state_keys import KeyMaker
from devstream.errors import CredentialsError
from devstream.model.tool import Encryption, StateKey
from devstream.model.values import Secret, SecretRef

if TYPE_CHECKING:
    from pathlib import Path

    from devstream.errors import Diagnostic
    from devstream.state.keys import Keyring

CANARY = "c4n4ry-passphrase"


class Made:
    """A keyring of one key, and what was told on the way."""

    def __init__(self, folder: Path, key: StateKey, *, runs_commands: bool = True) -> None:
        self.concealed: list[str] = []
        self.warnings: list[Diagnostic] = []
        maker = KeyMaker(
            folder=folder,
            environ={"PATH": "/usr/bin:/bin", "SHOWN": "from the environment"},
            secret=lambda ref: f"secret of {ref}",
            conceal=self.concealed.append,
            warn=self.warnings.append,
            runs_commands=runs_commands,
        )
        self.ring: Keyring = maker.of_config(Encryption((key,)))

    def material(self) -> bytes:
        return self.ring._sources[0].material()

    def refused(self) -> str:
        with pytest.raises(CredentialsError) as caught:
            self.material()
        assert caught.value.exit_code == 7
        return str(caught.value)


def printing(code: str) -> StateKey:
    return StateKey("main", command=(sys.executable, "-c", code))


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_command_prints_the_passphrase(tmp_path: Path, ending: str) -> None:
    made = Made(tmp_path, printing(f"print({CANARY + ending!r}, end='')"))
    assert made.material() == CANARY.encode()
    assert made.concealed == [CANARY]


def test_a_command_runs_in_the_folder_of_the_configuration_with_the_environment(tmp_path: Path) -> None:
    made = Made(tmp_path, printing("import os; print(os.getcwd() + os.environ['SHOWN'])"))
    assert made.material().decode() == f"{tmp_path}from the environment"


def test_no_shell_is_involved(tmp_path: Path) -> None:
    key = StateKey("main", command=("echo", "$SHOWN; touch made", "`id`"))
    assert Made(tmp_path, key).material() == b"$SHOWN; touch made `id`"
    assert list(tmp_path.iterdir()) == []


WRONG = [
    (f"print({CANARY!r}); raise SystemExit(3)", "failed with exit code 3"),
    (f"print({CANARY!r} * 1000)", "printed more than 4096 bytes"),
    ("pass", "printed nothing"),
    ("import sys; sys.stdout.buffer.write(b'\\xff\\xfe')", "printed what is no UTF-8 text"),
    (f"import sys; print({CANARY!r}, file=sys.stderr); raise SystemExit(1)", "failed with exit code 1"),
    ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "failed with exit code -9"),
    ("print('short')", "less than 8 characters"),
]


@pytest.mark.parametrize(("code", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_a_command_does_wrong(tmp_path: Path, code: str, said: str) -> None:
    told = Made(tmp_path, printing(code)).refused()
    assert said in told
    assert CANARY not in told


def test_a_command_that_prints_for_ever_is_ended(tmp_path: Path) -> None:
    told = Made(tmp_path, printing("while True: print('x' * 1000)")).refused()
    assert "printed more than 4096 bytes" in told


def test_a_command_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state_keys, "COMMAND_TIMEOUT", 0.3)
    began = time.monotonic()
    told = Made(tmp_path, printing("import time; time.sleep(600)")).refused()
    assert "took more than" in told
    assert time.monotonic() - began < 30


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    told = Made(tmp_path, StateKey("main", command=("no-such-program-at-all",))).refused()
    assert 'the command no-such-program-at-all of the key "main" cannot be run: no such file' in told


def test_a_shell_that_completes_a_line_runs_nothing(tmp_path: Path) -> None:
    key = printing("open('made', 'w')")
    assert "is not run now" in Made(tmp_path, key, runs_commands=False).refused()
    assert list(tmp_path.iterdir()) == []


def test_a_passphrase_of_several_parts(tmp_path: Path) -> None:
    key = StateKey("main", passphrase=Secret(("prefix ", SecretRef("env", "PW"))))
    made = Made(tmp_path, key)
    assert made.material() == b"prefix secret of env:PW"
    assert made.concealed == ["prefix secret of env:PW"]


def test_a_variable_that_is_not_set(tmp_path: Path) -> None:
    key = StateKey("main", passphrase=Secret((SecretRef("unknown", "PW is not set"),)))
    assert 'the passphrase of the key "main" is not known: PW is not set' in Made(tmp_path, key).refused()


def test_a_key_of_text_is_masked(tmp_path: Path) -> None:
    import base64

    text = base64.b64encode(b"k" * 32)
    (tmp_path / "key").write_bytes(text)
    (tmp_path / "key").chmod(0o600)
    made = Made(tmp_path, StateKey("main", key_file="key"))
    assert made.material() == b"k" * 32
    assert made.concealed == [text.decode()]
    assert made.warnings == []


def test_nothing_is_looked_up_before_it_is_needed(tmp_path: Path) -> None:
    made = Made(tmp_path, printing("open('made', 'w')"))
    assert made.ring.names == ("main",)
    assert list(tmp_path.iterdir()) == []
