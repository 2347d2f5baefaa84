"""The Kubernetes backend passes the contract, on the stand-in and on a real API server where one is named.

``DEVSTREAM_TEST_KUBECONFIG`` names a kubeconfig, ``DEVSTREAM_TEST_NAMESPACE`` a namespace of it. Without the latter the
tests make a namespace and delete it afterwards. It need not be empty: every place has a name of its own, and what
is stored there is removed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import lightkube
import pytest
from lightkube.config.kubeconfig import KubeConfig
from lightkube.resources.core_v1 import ConfigMap, Namespace

from devstream.builtin.kubernetes import KubernetesBackend, make_kubernetes
from devstream.state.probe import probe
from devstream.testing.backends import BackendContract
from devstream.testing.kubernetes import KubernetesStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.state.backend import StateBackend

REAL = os.environ.get("DEVSTREAM_TEST_KUBECONFIG", "")
GIVEN = os.environ.get("DEVSTREAM_TEST_NAMESPACE", "")


class Kubernetes(BackendContract):
    """What every API server has to pass; places are ConfigMaps of one namespace."""

    __test__ = False
    kubeconfig: Path
    namespace: str

    def options(self, place: Path) -> dict[str, str]:
        name = f"contract-{hashlib.sha256(str(place).encode()).hexdigest()[:16]}"
        return {"namespace": self.namespace, "configmap": name, "kubeconfig": str(self.kubeconfig)}

    def open(self, place: Path) -> StateBackend:
        return make_kubernetes(self.options(place), place)

    def kubernetes(self, place: Path) -> KubernetesBackend:
        return make_kubernetes(self.options(place), place)

    @pytest.fixture
    def client(self) -> Iterator[Any]:
        with lightkube.Client(KubeConfig.from_file(self.kubeconfig).get()) as client:
            yield client

    def config_map(self, client: Any, place: Path) -> Any:
        return client.get(ConfigMap, self.options(place)["configmap"], namespace=self.namespace)

    def test_the_probe_finds_it_fit_and_leaves_nothing(self, client: Any, tmp_path: Path) -> None:
        before = {item.metadata.name for item in client.list(ConfigMap, namespace=self.namespace)}
        assert probe(self.kubernetes(tmp_path)) == {"versions": "uid/resourceVersion"}
        after = {item.metadata.name for item in client.list(ConfigMap, namespace=self.namespace)}
        assert after - before <= {"kube-root-ca.crt"}

    def test_what_others_keep_in_it_survives(self, client: Any, tmp_path: Path) -> None:
        options = self.options(tmp_path)
        made: Any = ConfigMap.from_dict(
            {
                "metadata": {
                    "name": options["configmap"],
                    "namespace": self.namespace,
                    "labels": {"app.kubernetes.io/managed-by": "Helm"},
                    "annotations": {"example.org/owner": "ann"},
                },
                "data": {"notes": "theirs"},
                "binaryData": {"logo": "AAH/"},
            }
        )
        client.create(made)
        backend = self.kubernetes(tmp_path)
        assert backend.read_head() is None
        version = backend.swap_head(b"one", None)
        backend.swap_head(b"\xff", version)
        found = self.config_map(client, tmp_path)
        assert found.data == {"notes": "theirs"}
        assert found.binaryData == {"logo": "AAH/", "head": "/w=="}
        assert found.metadata.labels == {"app.kubernetes.io/managed-by": "Helm"}
        assert found.metadata.annotations["example.org/owner"] == "ann"

    def test_a_change_beside_the_head_is_no_conflict(self, client: Any, tmp_path: Path) -> None:
        backend = self.kubernetes(tmp_path)
        version = backend.swap_head(b"one", None)
        found = self.config_map(client, tmp_path)
        found.data["notes"] = "theirs"
        client.replace(found)
        newer = backend.swap_head(b"two", version)
        assert self.config_map(client, tmp_path).data == {"head": "two", "notes": "theirs"}
        assert self.kubernetes(tmp_path).swap_head(b"three", newer)

    def test_a_head_deleted_and_restored_is_another_one(self, client: Any, tmp_path: Path) -> None:
        backend = self.kubernetes(tmp_path)
        version = backend.swap_head(b"one", None)
        backend.put_blob("snapshot-1", b"kept")
        found = self.config_map(client, tmp_path)
        client.delete(ConfigMap, found.metadata.name, namespace=self.namespace)
        content = found.to_dict()
        for name in ("uid", "resourceVersion", "creationTimestamp", "managedFields"):
            content["metadata"].pop(name, None)
        client.create(ConfigMap.from_dict(content))
        with pytest.raises(Exception, match="somebody else wrote it"):
            backend.swap_head(b"two", version)
        head = backend.read_head()
        assert head is not None
        assert (head.data, head.version != version) == (b"one", True)
        backend.swap_head(b"two", head.version)
        assert backend.get_blob("snapshot-1") == b"kept"

    def test_of_equal_heads_exactly_one_wins(self, tmp_path: Path) -> None:
        version = self.open(tmp_path).swap_head(b"start", None)
        race = self._race(tmp_path, [b"same"] * 4, version)
        assert (len(race.won), len(race.lost)) == (1, 3)

    @pytest.mark.parametrize("size", [900 * 1024 - 1, 900 * 1024, 900 * 1024 + 1, 3_000_000], ids=str)
    def test_blobs_of_several_chunks(self, tmp_path: Path, size: int) -> None:
        data = os.urandom(1000) * (size // 1000) + b"x" * (size % 1000)
        backend, other = self.kubernetes(tmp_path), self.kubernetes(tmp_path)
        backend.put_blob("snapshot-1", data)
        assert other.get_blob("snapshot-1") == data
        assert other.list_blobs() == ["snapshot-1"]
        other.delete_blob("snapshot-1")
        assert (backend.get_blob("snapshot-1"), backend.list_blobs()) == (None, [])

    @pytest.mark.slow
    @pytest.mark.parametrize("size", [8 * 2**20, 32 * 2**20], ids=["8 MiB", "32 MiB"])
    def test_large_blobs(self, tmp_path: Path, size: int) -> None:
        self.test_blobs_of_several_chunks(tmp_path, size)

    @pytest.mark.parametrize(
        "head",
        [b"x" * 1_048_576, b"\xff" * 1_048_576, b'{"a": "b"}\n' * 90_000, b"\x01" * 1_048_576],
        ids=["text", "binary", "json", "control characters"],
    )
    def test_heads_as_large_as_a_config_map(self, tmp_path: Path, head: bytes) -> None:
        version = self.open(tmp_path).swap_head(head, None)
        found = self.open(tmp_path).read_head()
        assert found is not None
        assert (found.data, found.version) == (head, version)

    @pytest.mark.parametrize("head", [b"x" * 1_048_577, b"\xff" * 1_048_577], ids=["text", "binary"])
    def test_a_head_that_is_too_large(self, tmp_path: Path, head: bytes) -> None:
        backend = self.open(tmp_path)
        version = backend.swap_head(b"old", None)
        with pytest.raises(Exception, match="larger than Kubernetes lets it be") as caught:
            backend.swap_head(head, version)
        assert getattr(caught.value, "refusal", None) == "too_large"
        assert self.open(tmp_path).read_head() == backend.read_head()

    def test_eight_processes_at_once(self, tmp_path: Path) -> None:
        race_processes(self.options(tmp_path), 8, 10)

    @pytest.mark.slow
    @pytest.mark.timeout(900)
    def test_eight_processes_a_thousand_times(self, tmp_path: Path) -> None:
        race_processes(self.options(tmp_path), 8, 125)


SWAPS = """
import json, sys
from pathlib import Path
from devstream.builtin.kubernetes import make_kubernetes
from devstream.errors import StateConflictError
backend = make_kubernetes(json.loads(sys.argv[1]), Path())
sys.stdin.readline()
won = lost = 0
while won < int(sys.argv[2]):
    head = backend.read_head()
    try:
        backend.swap_head(b"%d" % (int(head.data) + 1), head.version)
        won += 1
    except StateConflictError:
        lost += 1
print(won, lost)
"""


def race_processes(options: dict[str, str], number: int, swaps: int) -> None:
    import json

    backend = make_kubernetes(options, Path())
    backend.swap_head(b"0", None)
    argv = [sys.executable, "-c", SWAPS, json.dumps(options), str(swaps)]
    racers = [
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(number)
    ]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    told = [racer.communicate(timeout=600)[0].split() for racer in racers]
    head = backend.read_head()
    assert head is not None
    print(
        f"{number} processes: {sum(int(won) for won, _ in told)} swaps, {sum(int(lost) for _, lost in told)} lost races"
    )
    assert int(head.data) == sum(int(won) for won, _ in told) == number * swaps


class TestStandIn(Kubernetes):
    __test__ = True

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _cluster(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
        cls.namespace = "team"
        with KubernetesStandIn() as cluster:
            cluster.add_namespace("team")
            cls.kubeconfig = cluster.kubeconfig(tmp_path_factory.mktemp("cluster") / "kubeconfig")
            yield


class TestReal(Kubernetes):
    __test__ = bool(REAL)

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def _cluster(cls) -> Iterator[None]:
        cls.kubeconfig = Path(REAL)
        cls.namespace = GIVEN or f"devstream-contract-{uuid4().hex[:8]}"
        client: Any
        with lightkube.Client(KubeConfig.from_file(REAL).get()) as client:
            if GIVEN:
                yield
                return
            client.create(Namespace.from_dict({"metadata": {"name": cls.namespace}}))
            yield
            client.delete(Namespace, cls.namespace)

    @pytest.fixture(autouse=True)
    def _tidy(self, tmp_path: Path) -> Iterator[None]:
        """Give a namespace back as it was."""
        yield
        name = self.options(tmp_path)["configmap"]
        with lightkube.Client(KubeConfig.from_file(REAL).get()) as client:
            for item in client.list(ConfigMap, namespace=self.namespace):
                if str(item.metadata and item.metadata.name).startswith(name):
                    client.delete(
                        ConfigMap, str(item.metadata and item.metadata.name), namespace=self.namespace
                    )
