"""Every ``devstream state`` command on every backend, with an encrypted state; and a state that goes from one to another."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from devstream.testing.kubernetes import KubernetesStandIn
from devstream.testing.s3 import s3, s3_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from devstream.testing.s3 import Bucket

__all__ = ["s3", "s3_server"]

TOOLS = [
    {"name": "noop", "instanceID": "a", "options": {"input": "canary-input"}},
    {"name": "noop", "instanceID": "b", "options": {"input": "${{ noop.a.outputs.output }}"}},
]
ORIGINAL = b"trello_default:\n  name: trello\n  instanceID: default\n  dependsOn: []\n  options: {board: b}\n"


class Store:
    """A place for states: what a configuration says of it, what ``--state`` says, and the raw bytes in it."""

    backend = "local"

    def options(self, name: str) -> dict[str, Any]:
        return {"stateFile": f"{name}.state"}

    def url(self, name: str) -> str:
        return f"{name}.state"

    def raw(self) -> str:
        raise NotImplementedError

    def put_original(self, name: str) -> None:
        raise NotImplementedError


class LocalStore(Store):
    def __init__(self, bench: Any) -> None:
        self._folder = bench.folder

    def raw(self) -> str:
        return "".join(path.read_text() for path in self._folder.rglob("*state*") if path.is_file())

    def put_original(self, name: str) -> None:
        (self._folder / f"{name}.state").write_bytes(ORIGINAL)


class S3Store(Store):
    backend = "s3"

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def options(self, name: str) -> dict[str, Any]:
        return self._bucket.options(f"{name}/devstream.state", region="us-east-1")

    def url(self, name: str) -> str:
        more = {"endpoint": self._bucket.proxy.url, "allowHttp": "true", "region": "us-east-1"}
        return f"s3://{self._bucket.name}/{name}/devstream.state?{urlencode(more)}"

    def raw(self) -> str:
        client, name = self._bucket.client, self._bucket.name
        stored = (client.get_object(Bucket=name, Key=key) for key in self._bucket.objects())
        return "".join(item["Body"].read().decode() for item in stored)

    def put_original(self, name: str) -> None:
        key = f"{name}/devstream.state"
        self._bucket.client.put_object(Bucket=self._bucket.name, Key=key, Body=ORIGINAL)


class KubernetesStore(Store):
    backend = "k8s"

    def __init__(self, cluster: KubernetesStandIn, kubeconfig: str) -> None:
        self._cluster = cluster
        self._kubeconfig = kubeconfig

    def options(self, name: str) -> dict[str, Any]:
        return {"namespace": "team", "configmap": name, "kubeconfig": self._kubeconfig}

    def url(self, name: str) -> str:
        return f"k8s://team/{name}?{urlencode({'kubeconfig': self._kubeconfig})}"

    def raw(self) -> str:
        text = ""
        for item in self._maps():
            text += "".join((item.data or {}).values())
            text += "".join(base64.b64decode(part).decode() for part in (item.binaryData or {}).values())
        return text

    def _maps(self) -> list[Any]:
        from lightkube.resources.core_v1 import ConfigMap

        with self._client() as client:
            return list(client.list(ConfigMap, namespace="team"))

    def _client(self) -> Any:
        import lightkube
        from lightkube.config.kubeconfig import KubeConfig

        return lightkube.Client(KubeConfig.from_file(self._kubeconfig).get())

    def put_original(self, name: str) -> None:
        from lightkube.models.meta_v1 import ObjectMeta
        from lightkube.resources.core_v1 import ConfigMap

        original = ConfigMap(
            metadata=ObjectMeta(name=name, namespace="team"), data={"state": ORIGINAL.decode()}
        )
        with self._client() as client:
            client.create(original)


@pytest.fixture
def stores(bench: Any, s3: Bucket) -> Iterator[dict[str, Store]]:
    with KubernetesStandIn() as cluster:
        cluster.add_namespace("team")
        kubeconfig = cluster.kubeconfig(bench.home / "kubeconfig")
        yield {
            "local": LocalStore(bench),
            "s3": S3Store(s3),
            "k8s": KubernetesStore(cluster, str(kubeconfig)),
        }


BACKENDS = ["local", "s3", "k8s"]


def write(bench: Any, store: Store, *keys: str, name: str = "shop") -> None:
    for key in keys:
        bench.write(base64.b64encode(key.encode().ljust(32, b"-")), f"keys/{key}")
        (bench.folder / "keys" / key).chmod(0o600)
    state: dict[str, Any] = {"backend": store.backend, "options": store.options(name)}
    if keys:
        state["encryption"] = {"keys": [{"name": key, "keyFile": f"keys/{key}"} for key in keys]}
    bench.write(json.dumps({"config": {"state": state}, "tools": TOOLS}))


def data(bench: Any, *argv: str, code: int = 0) -> Any:
    ended = bench(*argv, "-o", "json")
    assert ended.code == code, ended.out + ended.err
    return ended.data


def addresses(bench: Any, *argv: str) -> list[str]:
    return sorted(data(bench, "state", "list", *argv)["tools"])


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_command(bench: Any, stores: dict[str, Store], backend: str) -> None:
    store = stores[backend]
    write(bench, store, "old")
    assert data(bench, "state", "probe")["probed"] is (backend != "local")
    assert data(bench, "init")["made"] is True
    assert data(bench, "run", "-y")["summary"]
    assert addresses(bench) == ["noop.a", "noop.b"]
    assert data(bench, "state", "show", "noop.a")["tools"]
    pulled = data(bench, "state", "pull")
    assert data(bench, "state", "mv", "noop.a", "noop.z", "-y")["applied"] is True
    assert data(bench, "state", "rm", "noop.z", "-y")["applied"] is True
    assert addresses(bench) == ["noop.b"]
    bench.write(json.dumps(pulled), "pulled.json")
    assert data(bench, "state", "push", "pulled.json", "-y", code=6)["diagnostics"]
    assert data(bench, "state", "push", "pulled.json", "--force", "-y")["applied"] is True
    assert addresses(bench) == ["noop.a", "noop.b"]
    history = data(bench, "state", "history", "--verify")
    assert history["verified"] is True
    serial = history["history"][1]["serial"]
    assert data(bench, "state", "restore", str(serial), "-y")["applied"] is True
    assert addresses(bench) == ["noop.b"]
    assert data(bench, "state", "settle", "noop.b", "--absent", "-y", code=3)["diagnostics"]
    assert data(bench, "state", "accept-edit", "-y")["applied"] is False
    assert data(bench, "state", "unlock")["exit_code"] == 0
    assert data(bench, "state", "gc", "-y")["exit_code"] == 0
    write(bench, store, "new", "old")
    assert data(bench, "state", "rotate-key", "-y")["facts"]["key"] == "new"
    write(bench, store, "new")
    assert addresses(bench) == ["noop.b"]
    assert data(bench, "state", "history", "--verify")["verified"] is True
    assert data(bench, "run", "-y")["exit_code"] == 0
    assert "canary-input" not in store.raw()
    moved = data(bench, "state", "migrate-backend", store.url("other"), "-y")
    assert moved["applied"] is True
    assert "was moved to" in bench("plan").err
    write(bench, store, "new", name="other")
    assert "No changes" in bench("plan").out
    assert data(bench, "state", "history", "--verify")["verified"] is True


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_original_is_imported_encrypted(bench: Any, stores: dict[str, Store], backend: str) -> None:
    store = stores[backend]
    write(bench, store, "main")
    store.put_original("shop")
    assert "import-dtm" in bench("plan").err
    assert data(bench, "state", "import-dtm", "--dry-run")["applied"] is False
    assert data(bench, "state", "import-dtm", "-y")["applied"] is True
    assert addresses(bench) == ["trello.default"]
    assert data(bench, "state", "history", "--verify")["verified"] is True
    again = data(bench, "state", "import-dtm", "-y", code=3)
    assert again["diagnostics"][-1]["code"] == "nothing-to-import"


@pytest.mark.parametrize("keys", [(), ("main",)], ids=["plain", "encrypted"])
def test_a_state_goes_round(bench: Any, stores: dict[str, Store], keys: tuple[str, ...]) -> None:
    """From this machine to a bucket, to a cluster, and back."""
    write(bench, stores["local"], *keys)
    assert bench("run", "-y").code == 0
    order = ["local", "s3", "k8s", "local"]
    for source, target in pairwise(order):
        write(bench, stores[source], *keys)
        ended = data(bench, "state", "migrate-backend", stores[target].url("shop"), "-y")
        assert ended["stage"] == "ready"
        refused = data(bench, "plan", code=6)["diagnostics"][-1]
        assert refused["code"] == "state-moved"
        key = [word for name in keys for word in ("--state-key-file", f"keys/{name}")]
        assert addresses(bench, "--state", ended["to"], *key) == ["noop.a", "noop.b"]
        assert ended["to"] in refused["summary"]
    write(bench, stores["local"], *keys)
    assert "No changes" in bench("plan").out
    history = data(bench, "state", "history", "--verify")
    assert history["verified"] is True
    assert len(history["history"]) >= 3


def test_a_bucket_that_is_not_there(bench: Any, stores: dict[str, Store]) -> None:
    write(bench, stores["local"], "main")
    assert bench("run", "-y").code == 0
    before = bench.contents()
    for url in (
        stores["s3"].url("x").replace("s3://tests-", "s3://no-such-"),
        "k8s://nowhere/x?" + stores["k8s"].url("x").partition("?")[2],
        "s3://bucket/key?endpoint=http://127.0.0.1:1&allowHttp=true&region=us-east-1",
    ):
        ended = bench("state", "migrate-backend", url, "-y")
        assert ended.code in (6, 7), ended.err
        assert "Traceback" not in ended.err
    assert {
        name: told for name, told in bench.contents().items() if not name.endswith((".run", ".lock"))
    } == {name: told for name, told in before.items() if not name.endswith((".run", ".lock"))}
    assert addresses(bench) == ["noop.a", "noop.b"]
