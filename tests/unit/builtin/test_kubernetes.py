"""The Kubernetes backend beside what the contract asks: options, credentials, what it sends, the original's state."""

from __future__ import annotations

import base64
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from devstream.builtin import kubernetes_connect
from devstream.builtin.kubernetes import KubernetesBackend, devstream_register_backends, make_kubernetes
from devstream.builtin.kubernetes_calls import Calls
from devstream.builtin.kubernetes_head import head_in, with_head
from devstream.builtin.kubernetes_options import Target
from devstream.cli.application import Application
from devstream.cli.main import main
from devstream.cli.state_rbac import rbac_manifest
from devstream.errors import (
    CredentialsError,
    DevstreamError,
    OptionError,
    PluginError,
    StateConflictError,
    StateUnreachableError,
    SwapRefused,
    SwapUnsettled,
)
from devstream.plugins.manager import PluginManager
from devstream.plugins.registries import BackendRegistry
from devstream.record import replace
from devstream.state.head import encode_head, first_head
from devstream.state.swap import Swapper
from devstream.testing.kubernetes import Fault, KubernetesStandIn
from devstream.testing.kubernetes_rules import raw_size
from devstream.testing.kubernetes_store import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from devstream.testing.kubernetes_requests import Request

HEAD = Place("configmaps", "team", "state")


@pytest.fixture
def cluster() -> Iterator[KubernetesStandIn]:
    with KubernetesStandIn() as made:
        made.add_namespace("team")
        yield made


@pytest.fixture
def options(cluster: KubernetesStandIn, tmp_path: Path) -> dict[str, str]:
    return {"namespace": "team", "kubeconfig": str(cluster.kubeconfig(tmp_path / "kubeconfig"))}


@pytest.fixture
def backend(options: dict[str, str], tmp_path: Path) -> KubernetesBackend:
    return make_kubernetes(options, tmp_path)


def sent(cluster: KubernetesStandIn) -> list[str]:
    """The verbs since the last look."""
    verbs = [request.split()[0] for request in cluster.requests]
    cluster.requests.clear()
    return verbs


# -- options


@pytest.mark.parametrize("name", ["k8s", "kubernetes", "K8S", "Kubernetes"])
def test_it_is_built_in_under_both_names(name: str, tmp_path: Path) -> None:
    manager = PluginManager(folder=None, environ={}, search_path=[])
    assert manager.backend(name)({}, tmp_path).location == "k8s://devstream/state"


def test_it_registers_once_for_each_name() -> None:
    registry = BackendRegistry()
    devstream_register_backends(registry)
    assert registry.names() == ["k8s", "kubernetes"]


def test_nothing_is_imported_or_reached_before_the_first_call(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from devstream.builtin.kubernetes import make_kubernetes;"
        "make_kubernetes({}, Path()).location; assert not {'lightkube', 'ssl', 'yaml'} & set(sys.modules), sys.modules"
    )
    assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"namspace": "x"}, 'no option "namspace" (did you mean "namespace"?)'),
        ({"configMap": "x"}, 'did you mean "configmap"?'),
        ({"stateFile": "x"}, "its options are namespace, configmap, context, kubeconfig"),
        ({"namespace": 7}, "namespace is 7: it has to be text"),
        ({"namespace": "A"}, 'namespace is "A", which is no name in Kubernetes'),
        ({"namespace": "a.b"}, "no name in Kubernetes"),
        ({"namespace": "a" * 64}, "namespace has 64 characters: it may have 63"),
        ({"configmap": "a_b"}, "lower case letters, digits and -"),
        ({"configmap": "a/b"}, "no name in Kubernetes"),
        ({"configmap": "a\n"}, "no name in Kubernetes"),
        ({"configmap": "-a"}, "no name in Kubernetes"),
        ({"configmap": "a" * 161}, "configmap has 161 characters: it may have 160"),
    ],
)
def test_options_are_checked_before_anything_is_sent(
    options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(OptionError) as caught:
        make_kubernetes(options, tmp_path)
    assert message in str(caught.value)
    assert caught.value.option in options


@pytest.mark.parametrize(
    ("options", "location"),
    [
        ({}, "k8s://devstream/state"),
        ({"namespace": None, "configmap": ""}, "k8s://devstream/state"),
        ({"configmap": "a.b-c"}, "k8s://devstream/a.b-c"),
        (
            {"context": "arn:aws:eks:eu-1:1:cluster/x y"},
            "k8s://devstream/state?context=arn:aws:eks:eu-1:1:cluster/x+y",
        ),
        ({"kubeconfig": "/a b/c"}, "k8s://devstream/state?kubeconfig=/a+b/c"),
    ],
)
def test_its_location_is_what_state_takes(options: dict[str, Any], location: str, tmp_path: Path) -> None:
    from devstream.engine.locations import parse_state_url

    backend = make_kubernetes(options, tmp_path)
    assert backend.location == location
    parsed = parse_state_url(location)
    assert make_kubernetes(parsed.options, tmp_path).location == location


# -- what is sent


def test_a_swap_of_what_was_read_is_one_request(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    version = backend.swap_head(b"one", None)
    assert sent(cluster) == ["POST"]
    version = backend.swap_head(b"two", version)
    assert sent(cluster) == ["PUT"]
    backend.swap_head(b"three", version)
    assert sent(cluster) == ["PUT"]


@pytest.mark.parametrize(
    "stale", ["", "/", "uid/", "uid/0", "{uid}/", "{uid}/0", "{rv}", "x{uid}/{rv}", "{uid}/{rv}0"]
)
def test_a_version_that_would_overwrite_is_never_sent(
    cluster: KubernetesStandIn, backend: KubernetesBackend, stale: str
) -> None:
    uid, _, rv = backend.swap_head(b"one", None).partition("/")
    sent(cluster)
    with pytest.raises(StateConflictError):
        backend.swap_head(b"two", stale.format(uid=uid, rv=rv))
    assert "PUT" not in sent(cluster)


@pytest.mark.parametrize(
    "metadata", [{}, {"uid": "u"}, {"uid": "u", "resourceVersion": "0"}, {"resourceVersion": "7"}]
)
def test_a_config_map_without_a_version_is_refused(metadata: dict[str, str]) -> None:
    base = {"metadata": {"name": "state", **metadata}, "data": {"head": "x"}}
    with pytest.raises(StateUnreachableError, match="no version of the ConfigMap state"):
        with_head(base, b"y", Target("team", "state"))


def test_swaps_are_sent_once_whatever_is_answered(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    version = backend.swap_head(b"one", None)
    for fault in Fault:
        cluster.fault = lambda _, fault=fault: fault  # type: ignore[misc]
        sent(cluster)
        with pytest.raises(SwapUnsettled):
            backend.swap_head(b"two", version)
        assert sent(cluster) == ["PUT"], fault


def test_reads_are_tried_again(cluster: KubernetesStandIn, options: dict[str, str], tmp_path: Path) -> None:
    pauses: list[float] = []
    target = Target("team", "state", None, tmp_path / "kubeconfig")
    backend = KubernetesBackend(target, Calls(target, {}, sleep=pauses.append))
    backend.swap_head(b"one", None)
    faults = [Fault.DROP_BEFORE, Fault.ERROR_BEFORE, Fault.THROTTLED]
    cluster.fault = lambda _: faults.pop() if faults else None
    head = backend.read_head()
    assert head is not None
    assert head.data == b"one"
    assert pauses == [1.0, 0.4, 1.0], "Retry-After is waited for"


def test_a_blob_that_is_sent_again_is_stored_once(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    faults = [Fault.DROP_AFTER, Fault.ERROR_AFTER]
    cluster.fault = lambda _: faults.pop() if faults else None
    backend.put_blob("snapshot-1", b"x" * 2_000_000)
    assert backend.get_blob("snapshot-1") == b"x" * 2_000_000


def test_what_is_made_says_whose_it_is_and_has_no_owner(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    backend.swap_head(b"one", None)
    backend.put_blob("snapshot-1", b"x" * 1_000_000)
    listed = cluster.store.find(
        Place("configmaps", "team", ""), {"labelSelector": "devstream.io/state=state"}
    )
    found = {item["metadata"]["name"]: item for item in listed["items"]}
    assert set(found) == {"state", "state-snapshot-1-0", "state-snapshot-1-1"}
    for item in found.values():
        assert item["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "devstream"
        assert "ownerReferences" not in item["metadata"]
    assert found["state-snapshot-1-0"]["immutable"] is True


def test_states_with_longer_names_than_a_label_may_have(options: dict[str, str], tmp_path: Path) -> None:
    one = make_kubernetes({**options, "configmap": "x" * 100 + ".a"}, tmp_path)
    two = make_kubernetes({**options, "configmap": "x" * 100 + ".b"}, tmp_path)
    one.put_blob("snapshot-1", b"one")
    assert (one.list_blobs(), two.list_blobs()) == (["snapshot-1"], [])


def test_a_blob_whose_name_would_be_too_long(backend: KubernetesBackend, cluster: KubernetesStandIn) -> None:
    with pytest.raises(StateUnreachableError, match="too long for the name of a ConfigMap"):
        backend.put_blob("x" * 250, b"")
    assert sent(cluster) == []


def test_a_name_that_somebody_else_took(cluster: KubernetesStandIn, backend: KubernetesBackend) -> None:
    cluster.store.create(HEAD, {"metadata": {"name": "state-snapshot-1-0"}, "data": {"a": "b"}})
    assert backend.get_blob("snapshot-1") is None
    with pytest.raises(StateUnreachableError, match="team/state-snapshot-1-0 is there already"):
        backend.put_blob("snapshot-1", b"x")
    assert cluster.store.read(HEAD._replace(name="state-snapshot-1-0"))["data"] == {"a": "b"}


def test_a_whole_blob_is_never_replaced(backend: KubernetesBackend) -> None:
    backend.put_blob("snapshot-1", b"x" * 1_000_000)
    with pytest.raises(StateUnreachableError, match="is there already"):
        backend.put_blob("snapshot-1", b"y" * 1_000_000)
    assert backend.get_blob("snapshot-1") == b"x" * 1_000_000


def test_what_an_interrupted_write_left_is_no_blob_and_is_in_nobodys_way(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    backend.put_blob("snapshot-1", b"x" * 3_000_000)
    cluster.store.delete(HEAD._replace(name="state-snapshot-1-0"), {})
    cluster.store.delete(HEAD._replace(name="state-snapshot-1-3"), {})
    assert backend.get_blob("snapshot-1") is None
    assert backend.list_blobs() == ["snapshot-1"], "for gc to find"
    backend.put_blob("snapshot-1", b"y" * 2_000_000)
    assert backend.get_blob("snapshot-1") == b"y" * 2_000_000
    backend.delete_blob("snapshot-1")
    assert backend.list_blobs() == []


def test_a_chunk_of_another_write_is_noticed(cluster: KubernetesStandIn, backend: KubernetesBackend) -> None:
    backend.put_blob("snapshot-1", b"x" * 1_000_000)
    second = HEAD._replace(name="state-snapshot-1-1")
    content = cluster.store.read(second)
    cluster.store.delete(second, {})
    metadata = {name: value for name, value in content["metadata"].items() if name != "resourceVersion"}
    data = base64.b64encode(b"y" * 78_400).decode()
    cluster.store.create(second, {**content, "metadata": metadata, "binaryData": {"chunk": data}})
    assert backend.get_blob("snapshot-1") is None


# -- what others do to the ConfigMap meanwhile


def touch(cluster: KubernetesStandIn, **annotations: str) -> None:
    found = cluster.store.read(HEAD)
    cluster.store.replace(
        HEAD,
        {
            **found,
            "metadata": {
                **found["metadata"],
                "annotations": {**found["metadata"].get("annotations", {}), **annotations},
            },
        },
    )


def test_annotations_that_move_all_the_time_end_in_not_settled(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    version = backend.swap_head(b"one", None)
    count = iter(range(1000))

    def meddle(request: Request) -> None:
        if request.method == "PUT":
            touch(cluster, x=str(next(count)))

    cluster.fault = meddle
    with pytest.raises(SwapUnsettled, match="changed by somebody else all the time"):
        backend.swap_head(b"two", version)


def test_a_touch_while_an_answer_is_lost_is_settled(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    """A late swap may land after all: nobody may be told that it failed because a label has changed meanwhile."""
    first = first_head("2026-01-01T00:00:00Z")
    version = backend.swap_head(encode_head(first), None)
    second = replace(first, serial=2, write_id="second")
    faults = [Fault.LATE, Fault.DROP_BEFORE]

    def meddle(request: Request) -> Fault | None:
        if request.method != "PUT" or not faults:
            return None
        touch(cluster, x=str(len(faults)))
        return faults.pop()

    cluster.fault = meddle
    swapped = Swapper(backend).swap(encode_head(second), "second", version)
    cluster.deliver()
    assert not faults
    assert not swapped.overtaken
    head = backend.read_head()
    assert head is not None
    assert (head.data, head.version) == (encode_head(second), swapped.version)


def test_a_swap_between_two_touches_is_a_conflict(
    cluster: KubernetesStandIn, backend: KubernetesBackend, options: dict[str, str], tmp_path: Path
) -> None:
    version = backend.swap_head(b"one", None)
    touch(cluster, x="1")
    other = make_kubernetes(options, tmp_path)
    head = other.read_head()
    assert head is not None
    other.swap_head(b"one", head.version)
    touch(cluster, x="2")
    with pytest.raises(StateConflictError):
        backend.swap_head(b"two", version)


def test_a_head_that_vanishes_is_a_conflict(cluster: KubernetesStandIn, backend: KubernetesBackend) -> None:
    version = backend.swap_head(b"one", None)
    cluster.store.delete(HEAD, {})
    with pytest.raises(StateConflictError):
        backend.swap_head(b"two", version)
    assert backend.read_head() is None


def test_another_object_in_the_same_version_is_not_replaced(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    """A cluster that was restored from a backup counts its versions again."""
    version = backend.swap_head(b"one", None)
    found = cluster.store.read(HEAD)
    cluster.store._objects[HEAD] = {**found, "metadata": {**found["metadata"], "uid": "another"}}
    with pytest.raises(StateConflictError):
        backend.swap_head(b"two", version)
    assert cluster.store.read(HEAD)["data"] == {"head": "one"}


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    heads=st.lists(
        st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
        min_size=1,
        max_size=4,
    ),
    theirs=st.dictionaries(
        st.from_regex(r"\A[a-z]{5,9}\Z"),
        st.text(max_size=20, alphabet=st.characters(exclude_categories=["Cs"])),
        max_size=3,
    ),
)
def test_any_head_comes_back_and_other_keys_stay(
    cluster: KubernetesStandIn, backend: KubernetesBackend, heads: list[bytes], theirs: dict[str, str]
) -> None:
    theirs = {name: text for name, text in theirs.items() if name != "state"}
    cluster.store.create(HEAD, {"metadata": {"name": "state"}, "data": theirs})
    try:
        version = None
        for head in heads:
            version = backend.swap_head(head, version)
            found = backend.read_head()
            assert found is not None
            assert (found.data, found.version) == (head, version)
            kept = {
                name: text
                for name, text in cluster.store.read(HEAD).get("data", {}).items()
                if name != "head"
            }
            assert kept == theirs
    finally:
        cluster.store.delete(HEAD, {})


def test_a_head_is_text_where_people_can_read_it() -> None:
    target = Target("team", "state")
    assert with_head(None, b'{"a": "\xc3\xa4"}\n', target)["data"] == {"head": '{"a": "ä"}\n'}
    large = with_head(None, b"\x01" * 1_000_000, target)
    assert large["data"] == {}
    assert raw_size(large) == 1_000_000
    large["metadata"] |= {"uid": "u", "resourceVersion": "7"}
    found = head_in(with_head(large, b"small", target))
    assert found is not None
    assert found.data == b"small"


# -- the original DevStream's state

ORIGINAL = """\
argocd_default:
  name: argocd
  instanceID: default
  dependsOn: []
  options: {instanceID: default}
  resourceStatus: {}
"""


def put_original(cluster: KubernetesStandIn, text: str = ORIGINAL) -> None:
    labels = {"app.kubernetes.io/managed-by": "DevStream", "created_by": "DevStream"}
    cluster.store.create(
        HEAD, {"metadata": {"name": "state", "labels": labels}, "data": {"state": text, "x": "y"}}
    )


def test_the_originals_state_is_seen_and_never_overwritten(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    put_original(cluster)
    head = backend.read_head()
    assert head is not None
    assert head.data == ORIGINAL.encode()
    with pytest.raises(StateConflictError):
        backend.swap_head(b"ours", None)
    assert cluster.store.read(HEAD)["data"] == {"state": ORIGINAL, "x": "y"}


def test_an_empty_one_of_the_original_is_a_head_too(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    put_original(cluster, "")
    head = backend.read_head()
    assert head is not None
    assert head.data == b""


def test_the_import_takes_it_over_in_one_swap(cluster: KubernetesStandIn, backend: KubernetesBackend) -> None:
    put_original(cluster)
    before = cluster.store.revision
    argv = ["state", "import-dtm", "--yes", "--state", backend.location]
    app = Application(argv, environ={}, stdin=io.StringIO(), stdout=io.StringIO(), stderr=io.StringIO())
    assert main(app) == 0
    changes = [change for change in cluster.store.changes_since(before) if change.place == HEAD]
    assert all(set(change.content["data"]) == {"head", "x"} for change in changes)
    assert changes[0].kind == "MODIFIED"
    assert changes[0].content["metadata"]["labels"]["created_by"] == "DevStream"
    assert backend.get_blob("dtm-original") == ORIGINAL.encode()


def test_what_the_original_writes_later_beside_our_head_is_somebody_elses(
    cluster: KubernetesStandIn, backend: KubernetesBackend
) -> None:
    version = backend.swap_head(b"ours", None)
    found = cluster.store.read(HEAD)
    cluster.store.replace(HEAD, {**found, "data": {**found["data"], "state": ORIGINAL}})
    backend.swap_head(b"newer", version)
    assert cluster.store.read(HEAD)["data"] == {"head": "newer", "state": ORIGINAL}


# -- rights


@pytest.mark.parametrize("with_list", [False, True], ids=["least", "with list"])
def test_the_printed_role_is_enough(cluster: KubernetesStandIn, tmp_path: Path, with_list: bool) -> None:
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ann"}
    role, binding = yaml.safe_load_all(rbac_manifest("team", "state", subject, with_list=with_list))
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert (binding["subjects"], binding["metadata"]["namespace"]) == ([subject], "team")
    cluster.access.grant("ann", role["metadata"]["namespace"], role["rules"])
    kubeconfig = cluster.kubeconfig(tmp_path / "ann", "ann")
    backend = make_kubernetes({"namespace": "team", "kubeconfig": str(kubeconfig)}, tmp_path)
    version = backend.swap_head(b"one", None)
    backend.swap_head(b"two", version)
    backend.put_blob("snapshot-1", b"x" * 1_000_000)
    assert backend.get_blob("snapshot-1")
    backend.delete_blob("snapshot-1")
    if with_list:
        assert backend.list_blobs() == []
    else:
        with pytest.raises(CredentialsError, match="the right to list ConfigMaps"):
            backend.list_blobs()


def use_everything(backend: KubernetesBackend) -> None:
    version = backend.swap_head(b"one", None)
    backend.swap_head(b"two", version)
    backend.put_blob("snapshot-1", b"x")
    backend.get_blob("snapshot-1")
    backend.delete_blob("snapshot-1")
    backend.list_blobs()


@pytest.mark.parametrize("verb", ["get", "create", "update", "delete", "list"])
def test_each_missing_right_is_named(cluster: KubernetesStandIn, tmp_path: Path, verb: str) -> None:
    cluster.allow("ann", "team", *({"get", "create", "update", "delete", "list"} - {verb}))
    kubeconfig = cluster.kubeconfig(tmp_path / "ann", "ann")
    backend = make_kubernetes({"namespace": "team", "kubeconfig": str(kubeconfig)}, tmp_path)
    with pytest.raises((CredentialsError, SwapRefused)) as caught:
        use_everything(backend)
    text = str(caught.value)
    assert f'the right to {verb} ConfigMaps in the namespace "team" is missing' in text
    assert f'User "ann" cannot {verb} resource "configmaps"' in text
    assert "devstream state rbac --state k8s://team/state" in text
    assert caught.value.exit_code == 7


# -- credentials


def kubeconfig_of(cluster: KubernetesStandIn, path: Path, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(cluster.kubeconfig(path).read_text())
    content.update(changes)
    path.write_text(yaml.safe_dump(content))
    return content


def read_with(environ: dict[str, str], pod: Path, **options: Any) -> str:
    """Read the head with an environment; give the context that was taken."""
    target = Target("team", "state", **options)
    connection = kubernetes_connect.connect(target, environ, pod)
    calls = Calls(target, environ, connect=lambda *_: connection)
    assert KubernetesBackend(target, calls).read_head() is None
    return connection.context


def test_kubeconfig_is_taken_from_the_environment(cluster: KubernetesStandIn, tmp_path: Path) -> None:
    path = cluster.kubeconfig(tmp_path / "kubeconfig")
    assert read_with({"KUBECONFIG": str(path)}, tmp_path) == "stand-in"


def test_several_kubeconfigs_are_read_as_kubectl_does(cluster: KubernetesStandIn, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    kubeconfig_of(cluster, tmp_path / "one" / "a", users=[{"name": "ann", "user": {"tokenFile": "token"}}])
    (tmp_path / "one" / "token").write_text(cluster.token())
    kubeconfig_of(
        cluster,
        tmp_path / "b",
        contexts=[{"name": "mine", "context": {"cluster": "stand-in", "user": "ann"}}],
        **{"current-context": "nowhere"},
    )
    environ = {"KUBECONFIG": f"{tmp_path / 'missing'}:{tmp_path / 'one' / 'a'}:{tmp_path / 'b'}"}
    assert read_with(environ, tmp_path, context="mine") == "mine"


def test_in_a_pod_its_service_account_is_taken(
    cluster: KubernetesStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(cluster.token())
    (tmp_path / "namespace").write_text("team")
    (tmp_path / "ca.crt").write_bytes(cluster.authority)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", cluster.url.rpartition(":")[2])
    assert read_with({}, tmp_path) == "default"


def test_a_token_that_was_renewed_in_a_pod_is_read_again(
    cluster: KubernetesStandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = kubeconfig_of(
        cluster, tmp_path / "k", users=[{"name": "kubernetes-admin", "user": {"tokenFile": "token"}}]
    )
    assert path
    (tmp_path / "token").write_text(cluster.token())
    backend = make_kubernetes({"namespace": "team", "kubeconfig": "k"}, tmp_path)
    version = backend.swap_head(b"one", None)
    cluster.access.revoke("kubernetes-admin")
    (tmp_path / "token").write_text(cluster.token())
    backend.swap_head(b"two", version)


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_a_program_gives_the_token(cluster: KubernetesStandIn, tmp_path: Path, version: str) -> None:
    api = f"client.authentication.k8s.io/{version}"
    (tmp_path / "login").write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        f"info = json.loads(os.environ.get('KUBERNETES_EXEC_INFO', 'null'))\n"
        f"assert {version!r} != 'v1' or info['apiVersion'] == {api!r}\n"
        f"print(json.dumps({{'status': {{'token': {cluster.token()!r}}}}}))\n"
    )
    (tmp_path / "login").chmod(0o700)
    users = [{"name": "kubernetes-admin", "user": {"exec": {"apiVersion": api, "command": "./login"}}}]
    kubeconfig_of(cluster, tmp_path / "kubeconfig", users=users)
    backend = make_kubernetes({"namespace": "team", "kubeconfig": "kubeconfig"}, tmp_path)
    assert backend.read_head() is None


def test_lightkube_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightkube", None)
    with pytest.raises(PluginError, match="needs lightkube") as caught:
        make_kubernetes({}, tmp_path).read_head()
    assert caught.value.diagnostic.suggestion == "pip install 'devstream[k8s]'"
    assert caught.value.exit_code == 3


def test_it_says_nothing_of_secrets_in_a_broken_kubeconfig(tmp_path: Path) -> None:
    (tmp_path / "k").write_text("users:\n- name: a\n  user: {token: s3cr3t\n")
    with pytest.raises(DevstreamError, match="is no kubeconfig") as caught:
        make_kubernetes({"kubeconfig": "k"}, tmp_path).read_head()
    assert "s3cr3t" not in str(caught.value)
