"""Where the keys of a state come from: the configuration, or the command line and the environment."""

from __future__ import annotations

import binascii
import os
import selectors
import stat
import subprocess
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from devstream.engine.invocation import PASSPHRASE_VARIABLE
from devstream.errors import CredentialsError, Diagnostic, Severity
from devstream.state.encryption import require_library
from devstream.state.keys import KEY_BYTES, Keyring, KeySource

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from devstream.engine.invocation import Invocation
    from devstream.model.tool import Encryption, StateKey
    from devstream.model.values import SecretRef

__all__ = ["KeyMaker", "keyring"]

SHORTEST = 8
"""Characters that a passphrase has at least."""

COMMAND_TIMEOUT = 60.0
"""Seconds that a command may take to print a passphrase; somebody may have to unlock something first."""

_LIMIT = 4096
_LOOSE = 0o077


class KeyMaker:
    """Makes keyrings.

    Args:
        folder: where the paths of key files begin.
        secret: gives the text of a secret that the configuration names. Raises `CredentialsError`.
        conceal: is told every passphrase, so that it is masked everywhere from then on.
        warn: is told what the user should know.
        runs_commands: False where nothing may be started (a shell completes a line): such a key is not to be had.
    """

    def __init__(
        self,
        *,
        folder: Path,
        environ: Mapping[str, str],
        secret: Callable[[SecretRef], str],
        conceal: Callable[[str], None],
        warn: Callable[[Diagnostic], None],
        runs_commands: bool = True,
    ) -> None:
        self._folder = folder
        self._environ = environ
        self._secret = secret
        self._conceal = conceal
        self._warn = warn
        self._runs_commands = runs_commands

    def of_config(self, encryption: Encryption) -> Keyring:
        """Make the keyring that a configuration describes.

        Raises:
            PluginError: encryption needs a package that is not installed.
        """
        require_library()
        sources = (self._source(key) for key in encryption.keys)
        return Keyring(tuple(sources), enforced=encryption.enforced)

    def _source(self, key: StateKey) -> KeySource:
        if key.key_file:
            return self._file(key.name, self._folder / os.path.expanduser(key.key_file))  # noqa: PTH111 - a path of text
        if key.command:
            return KeySource(key.name, lambda: self._passphrase(key.name, self._printed(key)))
        return KeySource(key.name, lambda: self._passphrase(key.name, self._named(key)))

    def loose(self, files: Iterable[Path]) -> Keyring:
        """Make the keyring of ``--state-key-file`` and the environment; it never encrypts a state that is not.

        Raises:
            PluginError: encryption needs a package that is not installed.
        """
        require_library()
        sources = [self._file(file.name, file) for file in files]
        if self._environ.get(PASSPHRASE_VARIABLE):
            sources.append(
                KeySource(
                    PASSPHRASE_VARIABLE,
                    lambda: self._passphrase(PASSPHRASE_VARIABLE, self._environ[PASSPHRASE_VARIABLE]),
                )
            )
        return Keyring(tuple(sources), opens_only=True)

    def _file(self, name: str, path: Path) -> KeySource:
        return KeySource(name, lambda: self._from_file(path), is_passphrase=False)

    def _passphrase(self, name: str, text: str) -> bytes:
        self._conceal(text)
        if len(text) < SHORTEST:
            message = f'the passphrase of the key "{name}" has less than {SHORTEST} characters'
            raise CredentialsError(message, code="weak-passphrase", suggestion="choose a longer one")
        return text.encode("utf-8", "surrogatepass")

    def _named(self, key: StateKey) -> str:
        """Give a passphrase that the configuration names."""
        parts = key.passphrase.parts if key.passphrase else ()
        return "".join(part if isinstance(part, str) else self._text(part, key) for part in parts)

    def _text(self, ref: SecretRef, key: StateKey) -> str:
        if ref.source != "unknown":
            return self._secret(ref)
        message = f'the passphrase of the key "{key.name}" is not known: {ref.key}'
        hint = "set it, and try again; nothing was changed"
        raise CredentialsError(message, code="variable-not-set", mark=key.mark, suggestion=hint)

    def _from_file(self, path: Path) -> bytes:
        try:
            with path.open("rb") as file:
                data = file.read(_LIMIT)
                mode = os.fstat(file.fileno()).st_mode
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "that is no path"
            message = f"cannot read the key file {path}: {(reason or str(error)).lower()}"
            raise CredentialsError(message, code="key-file", suggestion=_MAKE.format(path)) from None
        if stat.S_IMODE(mode) & _LOOSE:
            self._warn(
                Diagnostic(
                    f"others can read the key file {path}",
                    "key-file-mode",
                    Severity.WARNING,
                    suggestion=f"chmod 600 {path}",
                )
            )
        return self._key_in(data, path)

    def _key_in(self, data: bytes, path: Path) -> bytes:
        """Give the key in a file: 32 bytes, or the same in base64."""
        text = data.strip()
        if len(data) == KEY_BYTES:
            return data
        with suppress(binascii.Error):
            key = binascii.a2b_base64(text, strict_mode=True)
            if len(key) == KEY_BYTES:
                self._conceal(text.decode("ascii"))
                return key
        found = f"{len(data)} bytes{' or more' if len(data) == _LIMIT else ''}"
        message = (
            f"the key file {path} holds {found}, and a key is {KEY_BYTES} bytes, as they are or in base64"
        )
        raise CredentialsError(message, code="key-file", suggestion=_MAKE.format(path))

    def _printed(self, key: StateKey) -> str:
        """Run a command and give the passphrase that it prints; nothing of what it prints is shown."""
        program = key.command[0]
        what = f'the command {program} of the key "{key.name}"'
        if not self._runs_commands:
            raise CredentialsError(f"{what} is not run now", code="key-command")
        try:
            data, code = _output(key.command, self._folder, self._environ)
        except TimeoutError as error:
            raise CredentialsError(f"{what} {error}", code="key-command", mark=key.mark) from None
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "a word of it holds a zero byte"
            message = f"{what} cannot be run: {(reason or str(error)).lower()}"
            raise CredentialsError(message, code="key-command", mark=key.mark) from None
        return self._checked(data, code, what, key)

    def _checked(self, data: bytes, code: int, what: str, key: StateKey) -> str:
        reason = ""
        text = ""
        try:
            text = data.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            reason = "printed what is no UTF-8 text"
        if code:
            reason = f"failed with exit code {code}"
        elif len(data) > _LIMIT:
            reason = f"printed more than {_LIMIT} bytes"
        elif not text and not reason:
            reason = "printed nothing"
        if reason:
            hint = "run it yourself to see why: it has to print the passphrase and nothing else"
            raise CredentialsError(f"{what} {reason}", code="key-command", mark=key.mark, suggestion=hint)
        return text


def keyring(maker: KeyMaker, encryption: Encryption | None, asked: Invocation) -> Keyring:
    """Make the keyring of the configuration; where it names no key, that of the command line and the environment."""
    if encryption is not None:
        return maker.of_config(encryption)
    return maker.loose([asked.cwd / file for file in asked.state_key_files])


_MAKE = "to make one: (umask 077; head -c 32 /dev/urandom | base64 > {})"


def _output(argv: Sequence[str], folder: Path, environ: Mapping[str, str]) -> tuple[bytes, int]:
    """Run a command; give the beginning of what it prints, and its exit code.

    Raises:
        TimeoutError: it took too long, and was ended.
    """
    with subprocess.Popen(  # noqa: S603 - the user's own command, as a list of words
        argv,
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            data = _read(process, time.monotonic() + COMMAND_TIMEOUT)
            return data, process.wait(COMMAND_TIMEOUT) if len(data) <= _LIMIT else 0
        except subprocess.TimeoutExpired:
            raise TimeoutError(_TOO_SLOW) from None
        finally:
            process.kill()


_TOO_SLOW = f"took more than {COMMAND_TIMEOUT:.0f} seconds"


def _read(process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Read until a command has closed its output, or has printed too much."""
    data = b""
    assert process.stdout is not None  # it was asked for
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while len(data) <= _LIMIT:
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise TimeoutError(_TOO_SLOW)
            chunk = os.read(process.stdout.fileno(), _LIMIT)
            if not chunk:
                return data
            data += chunk
    return data
