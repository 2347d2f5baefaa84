"""How git reaches a server: credentials in a file that only we can read, certificates and host keys verified."""

from __future__ import annotations

import os
import shlex
import shutil
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from devstream.api import OperationError
from devstream_plugin_scm.repo_url import is_loopback, parse_repo_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.api import Secret
    from devstream_plugin_scm.hosting import Login
    from devstream_plugin_scm.repo_url import RepoURL

__all__ = ["Remote", "opened"]


class Remote(NamedTuple):
    """A repository on a server, and what to show there.

    Attributes:
        url: https, http or ssh; without a user or a token (ssh may name its user).
        ssh_key: a private key without a passphrase; None for the user's own agent and keys.
        known_hosts: the file of host keys; None for the user's own.
        ca_file: certificates to trust instead of the usual ones.
        allow_http: plain http may be used on other hosts than this machine.
    """

    url: str
    login: Login | None = None
    ssh_key: Secret | None = None
    known_hosts: Path | None = None
    ca_file: Path | None = None
    allow_http: bool = False


@contextmanager
def opened(remote: Remote, folder: Path) -> Iterator[Mapping[str, str]]:
    """Write what git needs to reach a server into ``folder``; give the environment that points there.

    Raises:
        OperationError: the URL is plain http on another machine, or a key is missing.
    """
    parsed = _checked(remote)
    place = folder / "access"
    place.mkdir(mode=0o700)
    try:
        environment = {"GIT_ALLOW_PROTOCOL": parsed.scheme, "GIT_CONFIG_GLOBAL": str(place / "config")}
        if parsed.scheme == "ssh":
            environment |= _ssh(remote, place)
        else:
            environment["HOME"] = str(place)  # git would show the server what ~/.netrc says
        _write(place / "config", _configuration(remote, place))
        yield environment
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _checked(remote: Remote) -> RepoURL:
    try:
        parsed = parse_repo_url(remote.url)
    except ValueError as error:
        raise OperationError(str(error)) from error
    if parsed.scheme == "http" and not remote.allow_http and not is_loopback(parsed.host):
        message = f"{remote.url} would send the token in clear"
        raise OperationError(message, suggestion="use https://, or allowHttp: true on a network you trust")
    return parsed


def _configuration(remote: Remote, place: Path) -> str:
    lines = [
        "[core]",
        f"\thooksPath = {os.devnull}",
        "[http]",
        "\tfollowRedirects = false",
        "\tsslVerify = true",
        "\tlowSpeedLimit = 1000",
        "\tlowSpeedTime = 60",
    ]
    if remote.ca_file is not None:
        (place / "ca.pem").symlink_to(remote.ca_file)
        lines.append(f'\tsslCAInfo = "{_quoted(str(place / "ca.pem"))}"')
    lines += ["[submodule]", "\trecurse = false", "[credential]", "\thelper ="]
    if remote.login is not None and remote.login.user:
        _write(place / "credentials", _credential(remote))
        lines.append(f'\thelper = "store --file=\\"{_quoted(str(place / "credentials"))}\\""')
    elif remote.login is not None:
        bearer = f"Authorization: Bearer {remote.login.password.reveal()}"
        lines += ["[http]", f'\textraHeader = "{_quoted(bearer)}"']
    return "\n".join(lines) + "\n"


def _credential(remote: Remote) -> str:
    parsed = parse_repo_url(remote.url)
    assert remote.login is not None
    user, password = quote(remote.login.user, safe=""), quote(remote.login.password.reveal(), safe="")
    return f"{parsed.scheme}://{user}:{password}@{parsed.address}\n"


def _ssh(remote: Remote, place: Path) -> dict[str, str]:
    """Write an ssh configuration of our own: nothing of the user's but the agent and the known hosts."""
    known = place / "known_hosts"  # a link: ssh expands %, ~ and ${} in what it reads here
    known.symlink_to(remote.known_hosts or Path("~/.ssh/known_hosts").expanduser())
    lines = [
        "Host *",
        "\tBatchMode yes",
        "\tStrictHostKeyChecking yes",
        f'\tUserKnownHostsFile "{known}"',
        *(["\tGlobalKnownHostsFile none"] if remote.known_hosts else []),
        "\tProxyCommand none",
        "\tPermitLocalCommand no",
        "\tForwardAgent no",
    ]
    if remote.ssh_key is not None:
        key = place / "key"
        _write(key, remote.ssh_key.reveal().rstrip("\n") + "\n")
        lines += [f'\tIdentityFile "{key}"', "\tIdentitiesOnly yes"]
    _write(place / "ssh_config", "\n".join(lines) + "\n")
    # git hands GIT_SSH_COMMAND to a shell: nothing is in it but a path that this program made.
    environment = {
        "GIT_SSH_COMMAND": f"ssh -F {shlex.quote(str(place / 'ssh_config'))}",
        "GIT_SSH_VARIANT": "ssh",
    }
    agent = os.environ.get("SSH_AUTH_SOCK")
    return {**environment, "SSH_AUTH_SOCK": agent} if agent and remote.ssh_key is None else environment


def _quoted(path: str) -> str:
    return path.replace("\\", "\\\\").replace('"', '\\"')


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
