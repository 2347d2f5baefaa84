"""State in Kubernetes as people use it, and what is in the way of it: said with where, what next, and the exit code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.testing.kubernetes import Fault, KubernetesStandIn
from devstream.testing.kubernetes_store import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TOOLS = [{"name": "noop", "instanceID": "a", "options": {"input": 1}}]


@pytest.fixture
def cluster() -> Iterator[KubernetesStandIn]:
    with KubernetesStandIn() as made:
        made.add_namespace("team")
        yield made


@pytest.fixture
def options(bench: Any, cluster: KubernetesStandIn) -> dict[str, Any]:
    kubeconfig = cluster.kubeconfig(bench.home / "kubeconfig")
    return {"namespace": "team", "configmap": "shop", "kubeconfig": str(kubeconfig)}


def configure(bench: Any, options: dict[str, Any]) -> None:
    bench.write(json.dumps({"config": {"state": {"backend": "k8s", "options": options}}, "tools": TOOLS}))


def refused(bench: Any, argv: list[str], code: int, *says: str) -> None:
    ended = bench(*argv)
    said = " ".join(ended.err.split())
    assert ended.code == code, said
    for words in (*says, "-> "):
        assert words in said


RUN, PLAN = ["run", "-y"], ["plan"]


def test_a_namespace_that_is_not_there(
    bench: Any, cluster: KubernetesStandIn, options: dict[str, Any]
) -> None:
    configure(bench, options | {"namespace": "nowhere"})
    for argv in (["init"], RUN):
        refused(
            bench, argv, 6, f'no namespace "nowhere" at {cluster.url}', "kubectl create namespace nowhere"
        )


def test_a_namespace_that_is_being_deleted(
    bench: Any, cluster: KubernetesStandIn, options: dict[str, Any]
) -> None:
    configure(bench, options)
    cluster.store.delete(Place("namespaces", "", "team"), {})
    for argv in (["init"], RUN):
        refused(bench, argv, 6, 'namespace "team" is being deleted', "make it anew, or name another")


def kubeconfig(change: Callable[[dict[str, Any]], None]) -> Callable[[str], str]:
    def changed(text: str) -> str:
        import yaml

        plain = yaml.safe_load(text)
        change(plain)
        return str(json.dumps(plain))

    return changed


def _no_context(plain: dict[str, Any]) -> None:
    del plain["current-context"]


def _no_authority(plain: dict[str, Any]) -> None:
    plain["clusters"][0]["cluster"].pop("certificate-authority-data")


def _wrong_token(plain: dict[str, Any]) -> None:
    plain["users"][0]["user"]["token"] = "wrong"


KUBECONFIGS: dict[str, tuple[Callable[[str], str], int, tuple[str, ...]]] = {
    "without a context": (kubeconfig(_no_context), 3, ("has no current context", "option context")),
    "of another authority": (kubeconfig(_no_authority), 6, ("certificate that is not trusted", "clock")),
    "with a wrong token": (kubeconfig(_wrong_token), 7, ("does not accept the credentials", "log in again")),
    "that is none": (lambda _: "{{{", 3, ("is no kubeconfig",)),
}


@pytest.mark.parametrize("name", KUBECONFIGS)
def test_a_kubeconfig(bench: Any, options: dict[str, Any], name: str) -> None:
    change, code, says = KUBECONFIGS[name]
    path = Path(options["kubeconfig"])
    path.write_text(change(path.read_text()))
    configure(bench, options)
    for argv in (PLAN, RUN, ["init"]):
        refused(bench, argv, code, *says)


def test_a_context_that_is_not_there(bench: Any, options: dict[str, Any]) -> None:
    configure(bench, options | {"context": "stand-inn"})
    refused(bench, PLAN, 3, 'has no context "stand-inn"', "stand-in")


def test_a_network_that_is_cut_for_a_moment(
    bench: Any, cluster: KubernetesStandIn, options: dict[str, Any]
) -> None:
    """Every third request is lost, before or after it is done: the run succeeds, and each record is there once."""
    configure(bench, options)
    faults = [None, None, Fault.DROP_AFTER, None, None, Fault.DROP_BEFORE] * 50
    cluster.fault = lambda _: faults.pop() if faults else None
    assert bench(*RUN).code == 0
    assert len(faults) < 299
    cluster.fault = lambda _: None
    assert "No changes" in bench(*PLAN).out
    assert bench("state", "history", "--verify").code == 0
