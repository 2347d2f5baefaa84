"""Git servers for tests, from programs that people run: nginx with git's own CGI, and OpenSSH. On this machine only.

Both need Debian's packages (`nginx-light fcgiwrap openssh-server`); `missing_programs` says which are not there.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import socket
import subprocess
import threading
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

__all__ = ["GitOverHttps", "GitOverSsh", "KeyPair", "make_key", "missing_programs"]

_BACKEND = Path("/usr/lib/git-core/git-http-backend")
_NGINX = """
{user}daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
  access_log {folder}/access.log;
  client_body_temp_path {folder}/body; fastcgi_temp_path {folder}/fastcgi; proxy_temp_path {folder}/proxy;
  scgi_temp_path {folder}/scgi; uwsgi_temp_path {folder}/uwsgi; client_max_body_size 0;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
    location / {{
      auth_basic "git"; auth_basic_user_file {folder}/passwords;
      fastcgi_param SCRIPT_FILENAME {backend};
      fastcgi_param GIT_PROJECT_ROOT {root};
      fastcgi_param GIT_HTTP_EXPORT_ALL "";
      fastcgi_param PATH_INFO $uri;
      fastcgi_param QUERY_STRING $query_string;
      fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param CONTENT_TYPE $content_type;
      fastcgi_param CONTENT_LENGTH $content_length;
      fastcgi_param REMOTE_USER $remote_user;
      fastcgi_param REMOTE_ADDR $remote_addr;
      fastcgi_pass unix:{folder}/cgi.sock;
    }}
  }}
}}
"""
_SSHD = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
PermitUserRC no
PrintMotd no
"""


def missing_programs(*names: str) -> list[str]:
    """Say which of these programs are not there: `nginx`, `fcgiwrap`, `sshd`, ..."""
    return [name for name in names if _program(name) is None]


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class KeyPair(NamedTuple):
    """A key of ssh: what stays secret, and the line that does not."""

    private: str
    public: str


def make_key(folder: Path, name: str = "key") -> KeyPair:
    """Make an ed25519 key without a passphrase; its files stay in ``folder``."""
    path = folder / name
    asked = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(path)]
    subprocess.run(asked, check=True)  # noqa: S603 - our own words
    return KeyPair(path.read_text(), path.with_suffix(".pub").read_text().strip())


class _Listening:
    """A socket that is bound before anybody has to know its port."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.socket = socket.create_server((address, port))
        self.address, self.port = self.socket.getsockname()[:2]


class GitOverHttps:
    """Nginx with TLS and basic authentication in front of git's CGI; a context manager.

    Args:
        root: the folder of bare repositories: ``root/a/b.git`` is ``url/a/b.git``.
        folder: an empty one for what the servers need.
        certificate: certificate chain and private key (PEM) for 127.0.0.1.
        password: that of ``user``.
    """

    user = "someone"

    def __init__(self, root: Path, folder: Path, *, certificate: bytes, password: str) -> None:
        self.root = root
        self._folder = folder
        self._listening = _Listening()
        self.url = f"https://127.0.0.1:{self._listening.port}"
        (folder / "server.pem").write_bytes(certificate)
        digest = b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()
        (folder / "passwords").write_text(f"{self.user}:{{SHA}}{digest}\n")
        known: dict[str, object] = {
            "folder": folder,
            "root": root,
            "port": self._listening.port,
            "backend": _BACKEND,
        }
        known["user"] = "user root; " if os.getuid() == 0 else ""  # else nginx's workers become nobody
        (folder / "nginx.conf").write_text(_NGINX.format(**known))
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        self._start_cgi()
        self._start_nginx()
        return self

    def _start_cgi(self) -> None:
        """Start fcgiwrap on a socket that is there already, so that nobody has to wait for it."""
        with socket.socket(socket.AF_UNIX) as cgi:
            cgi.bind(str(self._folder / "cgi.sock"))
            cgi.listen()
            environment = {"PATH": os.environ["PATH"], "HOME": str(self._folder)}
            command = [_program("fcgiwrap") or "fcgiwrap"]
            self._running.append(subprocess.Popen(command, stdin=cgi.fileno(), env=environment))  # noqa: S603 - our own words

    def _start_nginx(self) -> None:
        """Start nginx with our socket, as it does itself when it is upgraded while it runs."""
        held = self._listening.socket
        command = [_program("nginx") or "nginx", "-c", str(self._folder / "nginx.conf")]
        command += ["-e", str(self._folder / "error.log"), "-p", str(self._folder)]
        environment = {"PATH": os.environ["PATH"], "NGINX": f"{held.fileno()};"}
        started = subprocess.Popen(command, env=environment, pass_fds=(held.fileno(),))  # noqa: S603 - our own words
        self._running.append(started)
        held.close()

    def __exit__(self, *_: object) -> None:
        for process in reversed(self._running):
            process.terminate()
            process.wait(timeout=10)

    @property
    def log(self) -> str:
        """What nginx was asked."""
        return (self._folder / "access.log").read_text()


class GitOverSsh:
    """OpenSSH's server, one process for each connection; a context manager. It runs as whoever runs the test.

    Args:
        root: the folder of bare repositories, where paths without a slash in front begin.
        folder: an empty one for what the server needs.
        authorized: public keys that may log in.
        address: where it listens, on this machine.
        port: 22 for URLs that cannot name one, where that is allowed; 0 for any.
    """

    def __init__(
        self,
        root: Path,
        folder: Path,
        *,
        authorized: tuple[str, ...],
        address: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self._folder = folder
        self._listening = _Listening(address, port)
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.host_key = make_key(folder, "host_key").public
        only = f'restrict,command="cd {root} && exec git shell -c \\"$SSH_ORIGINAL_COMMAND\\""'
        (folder / "authorized_keys").write_text("".join(f"{only} {key}\n" for key in authorized))
        (folder / "sshd_config").write_text(_SSHD.format(folder=folder))
        self._connections: list[subprocess.Popen[bytes]] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def address(self) -> str:
        """Host and port as they are written in a URL."""
        return f"{self._listening.address}:{self._listening.port}"

    @property
    def url(self) -> str:
        """Where it is; an absolute path follows."""
        return f"ssh://{self.user}@{self.address}"

    def known_host(self, key: str = "") -> str:
        """Write a line of known_hosts for it, with its own key or another."""
        address, port = self._listening.address, self._listening.port
        name = address if port == 22 else f"[{address}]:{port}"
        return f"{name} {key or self.host_key}\n"

    def __enter__(self) -> Self:
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # sshd insists on it
        self._thread.start()
        return self

    def _serve(self) -> None:
        with suppress(OSError):  # closed: the test is over
            while True:
                self._answer(self._listening.socket.accept()[0])

    def _answer(self, connection: socket.socket) -> None:
        command = [_program("sshd") or "sshd", "-i", "-e", "-f", str(self._folder / "sshd_config")]
        with connection, (self._folder / "sshd.log").open("ab") as log:
            wire = connection.fileno()
            started = subprocess.Popen(command, stdin=wire, stdout=wire, stderr=log)  # noqa: S603 - our own words
            self._connections.append(started)

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listening.socket.shutdown(socket.SHUT_RDWR)
        self._listening.socket.close()
        self._thread.join()
        for process in self._connections:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
            process.kill()
            process.wait()
