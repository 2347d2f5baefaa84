"""A Ceph cluster of one monitor, one OSD in memory and one gateway: a real S3 server, for the long lane of the tests.

It wants bare ETags, checks signatures and permissions, and answers a lost race with an error of its own. Needs the
programs of the Debian packages ``ceph-mon ceph-osd radosgw ceph-common``.
"""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Ceph", "ceph_cluster", "missing_programs"]

_PROGRAMS = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "ceph")
_PATIENCE = 30.0

_CONFIG = """
[global]
fsid = {fsid}
mon_host = v2:127.0.0.1:{mon}/0
mon_initial_members = a
auth_cluster_required = none
auth_service_required = none
auth_client_required = none
ms_mon_client_mode = crc
auth_allow_insecure_global_id_reclaim = true
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_warn_on_pool_no_redundancy = false
mon_data_avail_crit = 1
run_dir = {folder}
log_file = {folder}/$name.log
admin_socket = {folder}/$name.$pid.asok
pid_file = {folder}/$name.pid
[mon.a]
mon_data = {folder}/mon
[osd]
osd_data = {folder}/osd
osd_objectstore = memstore
memstore_device_bytes = 268435456
public_network = 127.0.0.0/8
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{rgw}
rgw_data = {folder}/rgw
rgw_enable_usage_log = false
"""


class Ceph(NamedTuple):
    """A running cluster, and the keys of its one user."""

    url: str
    access_key: str
    secret_key: str


def missing_programs() -> list[str]:
    """List the programs that are not installed."""
    return [name for name in _PROGRAMS if shutil.which(name) is None]


@contextmanager
def ceph_cluster(folder: Path) -> Iterator[Ceph]:
    """Run a cluster in a folder, which should have a short path; it is gone afterwards."""
    cluster = _Cluster(folder)
    with ExitStack() as stack:
        cluster.start_mon(stack)
        cluster.start_osd(stack)
        key = cluster.make_user()
        cluster.start_gateway(stack)
        yield Ceph(cluster.url, key["access_key"], key["secret_key"])


class _Cluster:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fsid = str(uuid4())
        self._port = _free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._mon_port = _free_port()
        self._config = folder / "ceph.conf"
        text = _CONFIG.format(fsid=self._fsid, folder=folder, mon=self._mon_port, rgw=self._port)
        self._config.write_text(text, "utf-8")
        for name in ("mon", "osd", "rgw"):
            (folder / name).mkdir()

    def start_mon(self, stack: ExitStack) -> None:
        monmap = self._folder / "monmap"
        address = f"[v2:127.0.0.1:{self._mon_port}]"
        self._run(
            "monmaptool", "--create", "--clobber", "--fsid", self._fsid, "--addv", "a", address, str(monmap)
        )
        self._run("ceph-mon", "-c", str(self._config), "--mkfs", "-i", "a", "--monmap", str(monmap))
        self._start(stack, "ceph-mon", "-i", "a")
        self._until(lambda: self._ceph("mon", "stat"))
        self._ceph("config", "set", "mon", "auth_allow_insecure_global_id_reclaim", "true")

    def start_osd(self, stack: ExitStack) -> None:
        identity = str(uuid4())
        self._ceph("osd", "new", identity)
        self._run("ceph-osd", "-c", str(self._config), "-i", "0", "--mkfs", "--osd-uuid", identity)
        self._start(stack, "ceph-osd", "-i", "0")
        self._until(lambda: "1 up" in self._ceph("osd", "stat"))

    def make_user(self) -> dict[str, str]:
        text = self._run(
            "radosgw-admin", "-c", str(self._config), "-n", "client.rgw", "user", "create",
            "--uid", "tests", "--display-name", "tests",
        )  # fmt: skip
        key: dict[str, str] = json.loads(text)["keys"][0]
        return key

    def start_gateway(self, stack: ExitStack) -> None:
        self._start(stack, "radosgw", "-n", "client.rgw")
        self._until(self._answers)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status < 500
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _ceph(self, *words: str) -> str:
        return self._run("ceph", "-c", str(self._config), "--connect-timeout", "5", *words)

    def _run(self, *argv: str) -> str:
        done = subprocess.run(  # noqa: S603 - programs named here
            argv, capture_output=True, text=True, check=False, timeout=_PATIENCE, cwd=self._folder
        )
        if done.returncode != 0:
            message = f"{argv[0]} failed: {done.stderr[-2000:]}"
            raise RuntimeError(message)
        return done.stdout

    def _start(self, stack: ExitStack, program: str, *words: str) -> None:
        argv = [program, "-c", str(self._config), "-f", *words]
        with (self._folder / f"{program}.out").open("wb") as out:
            process = subprocess.Popen(argv, stdout=out, stderr=out, cwd=self._folder)  # noqa: S603 - as above
        stack.callback(_end, process)

    def _until(self, is_so: Callable[[], object]) -> None:
        """Wait for a server that says nothing when it is ready."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            with suppress(RuntimeError, subprocess.TimeoutExpired):
                if is_so():
                    return
            if time.monotonic() > deadline:
                message = f"the cluster in {self._folder} does not come up"
                raise RuntimeError(message)
            time.sleep(0.2)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
