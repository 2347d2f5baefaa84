"""What goes wrong with a state in Kubernetes, seen from the command line: what, where, what next, the exit code."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from devstream.cli.application import Application
from devstream.cli.main import main
from devstream.testing.kubernetes import Fault, KubernetesStandIn
from devstream.testing.kubernetes_store import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HEAD = Place("configmaps", "team", "state")
TOKEN = "t0ken-that-nobody-may-see"


class Scene:
    """A cluster, a folder with a kubeconfig and a configuration in it, and the command line."""

    def __init__(self, cluster: KubernetesStandIn, folder: Path) -> None:
        self.cluster = cluster
        self.folder = folder
        self.path = cluster.kubeconfig(folder / "kubeconfig")
        self.options: dict[str, str] = {"namespace": "team", "kubeconfig": "kubeconfig"}

    def change(self, **changes: Any) -> None:
        """Replace parts of the kubeconfig; None leaves one out."""
        content = {**json.loads(self.path.read_text()), **changes}
        self.path.write_text(json.dumps({name: part for name, part in content.items() if part is not None}))

    def user(self, **fields: Any) -> None:
        self.change(users=[{"name": "kubernetes-admin", "user": fields}])

    def server(self, **fields: Any) -> None:
        (cluster,) = json.loads(self.path.read_text())["clusters"]
        self.change(clusters=[{"name": "stand-in", "cluster": {**cluster["cluster"], **fields}}])

    def program(self, text: str) -> None:
        """Let a program give the credentials."""
        path = self.folder / "login"
        path.write_text(f"#!{sys.executable}\n{text}\n")
        path.chmod(0o700)
        self.user(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": str(path)})

    def run(self, *argv: str) -> tuple[int, str]:
        state = {"backend": "k8s", "options": self.options}
        tools = [{"name": "noop", "instanceID": "a", "options": {"input": 1}}]
        (self.folder / "devstream.yaml").write_text(
            json.dumps({"config": {"state": state}, "tools": tools}, indent=2)
        )
        out, err = io.StringIO(), io.StringIO()
        environ = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin", "COLUMNS": "400"}
        app = Application(
            argv or ("run", "--yes"), environ=environ, stdin=io.StringIO(), stdout=out, stderr=err
        )
        code = main(app)
        return code, out.getvalue() + err.getvalue()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    with KubernetesStandIn() as cluster:
        cluster.add_namespace("team")
        yield Scene(cluster, tmp_path)


class Case(NamedTuple):
    """What is wrong, and what the command line says: all of the texts."""

    arrange: Callable[[Scene], object]
    code: int
    texts: tuple[str, ...]


def expired(scene: Scene) -> None:
    """Show a certificate that has ended; nothing but the handshake reaches that server."""
    old = KubernetesStandIn(not_after=datetime.now(UTC) - timedelta(days=1))
    old.__enter__()
    scene.cluster.__exit__(None, None, None)
    scene.cluster = old
    old.kubeconfig(scene.path)


def without_right(verb: str) -> Callable[[Scene], None]:
    def arrange(scene: Scene) -> None:
        scene.cluster.allow("ann", "team", *({"get", "create", "update", "delete"} - {verb}))
        scene.cluster.kubeconfig(scene.path, "ann")

    return arrange


def right_is_missing(verb: str) -> tuple[str, ...]:
    return (
        f'the right to {verb} ConfigMaps in the namespace "team" is missing',
        f'User "ann" cannot {verb} resource "configmaps"',
        "devstream state rbac --state k8s://team/state --user ann | kubectl apply -f -",
    )


def immutable(scene: Scene) -> None:
    content = {"metadata": {"name": "state"}, "data": {"a": "b"}, "immutable": True}
    scene.cluster.store.create(HEAD, content)


def full(scene: Scene) -> None:
    scene.cluster.store.create(HEAD, {"metadata": {"name": "state"}, "data": {"theirs": "x" * 1_048_000}})


CASES = {
    "no kubeconfig": Case(lambda scene: scene.options.update(kubeconfig="nowhere"), 3, ("there is no kubeconfig", "nowhere does not exist", "KUBECONFIG")),
    "no kubeconfig named, none there": Case(lambda scene: scene.options.pop("kubeconfig"), 3, ("there is no kubeconfig", ".kube/config")),
    "no kubeconfig at all": Case(lambda scene: scene.path.write_text("[]"), 3, ("kubeconfig is no kubeconfig", "kubectl config view")),
    "a folder": Case(lambda scene: scene.options.update(kubeconfig="."), 3, ("there is no kubeconfig",)),
    "no current context": Case(lambda scene: scene.change(**{"current-context": None}), 3, ("has no current context", "name one with the option context: stand-in")),
    "empty current context": Case(lambda scene: scene.change(**{"current-context": ""}), 3, ("has no current context", "stand-in")),
    "context is missing": Case(lambda scene: scene.options.update(context="prod"), 3, ('has no context "prod"', "there are: stand-in")),
    "context names a missing user": Case(lambda scene: scene.change(users=[]), 3, ('names the user "kubernetes-admin", which is not there',)),
    "context names a missing cluster": Case(lambda scene: scene.change(clusters=[]), 3, ('names the cluster "stand-in", which is not there',)),
    "certificate not looked at": Case(lambda scene: scene.server(**{"insecure-skip-tls-verify": True}), 3, ('the context "stand-in"', "says insecure-skip-tls-verify", "certificate-authority")),
    "authority file is missing": Case(lambda scene: scene.change(clusters=[{"name": "stand-in", "cluster": {"server": "https://127.0.0.1:1", "certificate-authority": "ca.crt"}}]), 3, ("cannot be used: no such file or directory", "certificates and keys")),
    "token file is missing": Case(lambda scene: scene.user(tokenFile="nowhere"), 7, ('no credentials for the context "stand-in"', "nowhere")),
    "program fails": Case(lambda scene: scene.program("raise SystemExit('please log in')"), 7, ("no credentials for the context", "please log in", "login by hand")),
    "program is missing": Case(lambda scene: scene.user(exec={"apiVersion": "client.authentication.k8s.io/v1", "command": "/nowhere/login"}), 7, ("no credentials", "/nowhere/login")),
    "program gives no token": Case(lambda scene: scene.program("print('{}')"), 7, ("no credentials for the context", "login by hand")),
    "program speaks another protocol": Case(lambda scene: scene.user(exec={"apiVersion": "v9", "command": "login"}), 7, ("no credentials", "v9")),
    "wrong token": Case(lambda scene: scene.user(token=TOKEN), 7, ("does not accept the credentials of the context", "https://127.0.0.1:", "log in again")),
    "no token": Case(lambda scene: scene.user(), 7, ('the right to get ConfigMaps in the namespace "team" is missing', "system:anonymous")),
    "nothing listens": Case(lambda scene: scene.server(server=f"https://ann:{TOKEN}@127.0.0.1:1"), 6, ("cannot reach the API server at https://127.0.0.1:1: ", "refused", "look at the network")),
    "no such host": Case(lambda scene: scene.server(server="https://no-such-host.invalid"), 6, ("cannot reach the API server at https://no-such-host.invalid",)),
    "wrong authority": Case(lambda scene: scene.server(**{"certificate-authority-data": "", "certificate-authority": None}), 6, ("shows a certificate that is not trusted", "certificate-authority in the kubeconfig")),
    "expired certificate": Case(expired, 6, ("shows a certificate that is not trusted: certificate has expired", "clock")),
    "not an API server": Case(lambda scene: scene.server(server=scene.cluster.url + "/elsewhere"), 6, ("is no API server of Kubernetes: it answers 404", "the server in the kubeconfig")),
    "no right to get": Case(without_right("get"), 7, right_is_missing("get")),
    "no right to create": Case(without_right("create"), 7, right_is_missing("create")),
    "no right to update": Case(without_right("update"), 7, right_is_missing("update")),
    "no namespace": Case(lambda scene: scene.options.update(namespace="nowhere"), 6, ('there is no namespace "nowhere"', "kubectl create namespace nowhere")),
    "namespace goes": Case(lambda scene: scene.cluster.store.delete(Place("namespaces", "", "team"), {}), 6, ('the namespace "team" is being deleted', "wait until it is gone")),
    "quota": Case(lambda scene: scene.cluster.store.quotas.update(team=1), 6, ('the quota of the namespace "team" is used up', "count/configmaps=1", "ask for a larger quota")),
    "immutable": Case(immutable, 6, ("the ConfigMap team/state is marked as immutable",)),
    "full of other things": Case(full, 6, ("the ConfigMap team/state would be larger than Kubernetes lets it be", "other people's keys")),
    "throttled": Case(lambda scene: setattr(scene.cluster, "fault", lambda _: Fault.THROTTLED), 6, ("answers 429 for team/state: Too many requests",)),
    "cut": Case(lambda scene: setattr(scene.cluster, "fault", lambda _: Fault.DROP_BEFORE), 6, ("cannot reach the API server",)),
    "down": Case(lambda scene: setattr(scene.cluster, "fault", lambda _: Fault.UNAVAILABLE), 6, ("answers 503 for team/state: upstream connect error",)),
    "unknown option": Case(lambda scene: scene.options.update(configMap="x"), 3, ('no option "configMap"', 'did you mean "configmap"?', "devstream.yaml:")),
    "odd name": Case(lambda scene: scene.options.update(configmap="My_State"), 3, ('configmap is "My_State", which is no name in Kubernetes', "devstream.yaml:")),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_trouble_is_told(scene: Scene, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devstream.builtin.kubernetes_calls._LONGEST_PAUSE", 0.0)
    case = CASES[name]
    case.arrange(scene)
    code, said = scene.run()
    assert code == case.code, said
    assert [text for text in case.texts if text not in said] == [], said
    assert TOKEN not in said
    assert "Traceback" not in said
    scene.cluster.__exit__(None, None, None) if name == "expired certificate" else None


@pytest.mark.parametrize("name", ["wrong token", "no right to create", "no namespace"])
def test_trouble_is_told_in_json(scene: Scene, name: str) -> None:
    case = CASES[name]
    case.arrange(scene)
    code, said = scene.run("run", "--yes", "-o", "json")
    document = json.loads(said)
    assert (code, document["exit_code"]) == (case.code, case.code)
    assert document["diagnostics"][0]["suggestion"]


def test_a_right_that_is_taken_away_between_two_runs(scene: Scene) -> None:
    assert scene.run()[0] == 0
    without_right("update")(scene)
    code, said = scene.run("state", "rm", "noop.a", "--yes")
    assert code == 7
    assert all(text in said for text in right_is_missing("update"))


def test_clearing_up_needs_the_right_to_list(scene: Scene) -> None:
    scene.cluster.allow("ann", "team", "get", "create", "update", "delete")
    scene.cluster.kubeconfig(scene.path, "ann")
    assert scene.run()[0] == 0
    code, said = scene.run("state", "gc")
    assert code == 7
    assert all(text in said for text in right_is_missing("list"))


def test_rbac_reaches_no_cluster(scene: Scene) -> None:
    scene.options["kubeconfig"] = "nowhere"
    code, said = scene.run("state", "rbac", "--group", "ops", "--with-list")
    assert code == 0
    assert '"get", "create", "update", "delete", "list"' in said
    assert 'kind: "Group"' in said
    code, said = scene.run("state", "rbac", "-o", "json", "--service-account", "ci/builder")
    role, binding = json.loads(said)["manifests"]
    assert role["metadata"]["namespace"] == "team"
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "builder", "namespace": "ci"}]
    assert scene.cluster.requests == []


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (("--user", "a", "--group", "b"), "take one of them"),
        (("--state", "./devstream.state"), "the state is not in Kubernetes, but in the backend local"),
    ],
)
def test_rbac_of_something_else(scene: Scene, argv: tuple[str, ...], text: str) -> None:
    code, said = scene.run("state", "rbac", *argv)
    assert code == 3
    assert text in said
