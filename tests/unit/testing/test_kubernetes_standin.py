"""The stand-in answers as a kube-apiserver does: a table of requests, run against a real one too where one is named.

``DEVSTREAM_TEST_KUBECONFIG`` names the kubeconfig of a cluster's admin; the rows then run there as well.
"""

from __future__ import annotations

import base64
import json
import os
import ssl
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import lightkube
import pytest
from lightkube.config.kubeconfig import KubeConfig

from devstream.testing.kubernetes import Fault, KubernetesStandIn
from devstream.testing.kubernetes_store import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Content = dict[str, Any]
    Body = Content | bytes | Callable[["Bench"], Content] | None

REAL = os.environ.get("DEVSTREAM_TEST_KUBECONFIG", "")
MAPS = "/api/v1/namespaces/{n}/configmaps"


class Reply(NamedTuple):
    code: int
    content: Any
    headers: Any

    @property
    def reason(self) -> str:
        return self.content.get("reason", "") if isinstance(self.content, dict) else ""

    @property
    def message(self) -> str:
        return self.content.get("message", "") if isinstance(self.content, dict) else str(self.content)


class Bench:
    """A client that sends what it is told to, and a namespace of its own."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        config = KubeConfig.from_file(kubeconfig).get()
        self._client = lightkube.Client(config)
        self._http = self._client._client._client
        self.namespace = namespace
        self.present: Content = {}

    def close(self) -> None:
        self._client.close()

    def send(
        self,
        method: str,
        path: str,
        body: Content | bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        sent = (
            {"Content-Type": "application/json", **(headers or {})} if data is not None else (headers or {})
        )
        answer = self._http.request(method, path.format(n=self.namespace), content=data, headers=sent)
        is_json = answer.headers.get("Content-Type", "").startswith("application/json")
        content = answer.json() if is_json and answer.content else answer.text
        return Reply(answer.status_code, content, answer.headers)

    def fill(self) -> None:
        """Make what the rows speak of: ``present``, ``fixed`` (immutable), and nothing else."""
        for name in ("present", "fixed", "new"):
            self.send("DELETE", f"{MAPS}/{name}")
        reply = self.send("POST", MAPS, config_map("present", data={"a": "b"}, labels={"app": "x"}))
        assert reply.code == 201, reply
        self.present = reply.content
        assert (
            self.send("POST", MAPS, {**config_map("fixed", data={"a": "b"}), "immutable": True}).code == 201
        )


def config_map(name: str, *, data: Content | None = None, **metadata: Any) -> Content:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, **metadata},
        **({} if data is None else {"data": data}),
    }


def changed(**metadata: Any) -> Callable[[Bench], Content]:
    """The ConfigMap ``present`` with other data, and other metadata where given; None leaves one out."""

    def make(bench: Bench) -> Content:
        merged = {**bench.present["metadata"], **metadata}
        kept = {name: value for name, value in merged.items() if value is not None}
        return {**bench.present, "data": {"a": "c"}, "metadata": kept}

    return make


def delete_options(**preconditions: Any) -> Content:
    return {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": preconditions}


class Row(NamedTuple):
    id: str
    method: str
    path: str
    body: Body
    code: int
    reason: str = ""
    text: str = ""
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


MIB = 1_048_576
HALF = base64.b64encode(b"x" * (MIB // 2)).decode()
OTHER_UID = "00000000-0000-4000-8000-000000000000"

ROWS = [
    # reading
    Row("get", "GET", f"{MAPS}/present", None, 200),
    Row("get missing", "GET", f"{MAPS}/nothing", None, 404, "NotFound", 'configmaps "nothing" not found'),
    Row("get in missing namespace", "GET", "/api/v1/namespaces/no-such-one/configmaps/x", None, 404, "NotFound", 'configmaps "x" not found'),
    Row("list", "GET", MAPS, None, 200),
    Row("unknown path", "GET", "/api/v1/namespaces/{n}/nonsense/x", None, 404, "", "404 page not found"),
    Row("list, bad selector", "GET", f"{MAPS}?labelSelector=a+b+c", None, 400, "BadRequest", "unable to parse requirement"),
    Row("list, unknown field", "GET", f"{MAPS}?fieldSelector=data.a%3Db", None, 400, "BadRequest", "field"),
    Row("list, bad token", "GET", f"{MAPS}?limit=1&continue=nonsense", None, 400, "BadRequest", "continue key is not valid"),
    Row("accept nothing known", "GET", f"{MAPS}/present", None, 406, "NotAcceptable", "", {"Accept": "image/png"}),
    # creating
    Row("create", "POST", MAPS, config_map("new", data={"a": "b"}), 201),
    Row("create without kind and version", "POST", MAPS, {"metadata": {"name": "new"}}, 201),
    Row("create, exists", "POST", MAPS, config_map("present"), 409, "AlreadyExists", 'configmaps "present" already exists'),
    Row("create, no namespace", "POST", "/api/v1/namespaces/no-such-one/configmaps", config_map("new"), 404, "NotFound", 'namespaces "no-such-one" not found'),
    Row("create, other namespace inside", "POST", MAPS, config_map("new", namespace="default"), 400, "BadRequest", "the namespace of the provided object does not match the namespace sent on the request"),
    Row("create with version", "POST", MAPS, config_map("new", resourceVersion="7"), 500, "", "resourceVersion should not be set on objects to be created"),
    Row("create, version 0", "POST", MAPS, config_map("new", resourceVersion="0"), 201),
    Row("create, dry run", "POST", f"{MAPS}?dryRun=All", config_map("new"), 201),
    Row("create, odd dry run", "POST", f"{MAPS}?dryRun=yes", config_map("new"), 422, "Invalid", "dryRun: Unsupported value"),
    Row("create, no name", "POST", MAPS, config_map(""), 422, "Invalid", "name or generateName is required"),
    Row("create, generated name", "POST", MAPS, {"metadata": {"generateName": "made-"}}, 201),
    Row("create, capitals", "POST", MAPS, config_map("New"), 422, "Invalid", "a lowercase RFC 1123 subdomain must consist of"),
    Row("create, underscore", "POST", MAPS, config_map("a_b"), 422, "Invalid", "metadata.name: Invalid value"),
    Row("create, ends with dash", "POST", MAPS, config_map("a-"), 422, "Invalid", "metadata.name"),
    Row("create, name of 254", "POST", MAPS, config_map("a" * 254), 422, "Invalid", "must be no more than 253"),
    Row("create, name of 253", "POST", f"{MAPS}?dryRun=All", config_map("a" * 253), 201),
    Row("create, name with dots", "POST", f"{MAPS}?dryRun=All", config_map("a.b-c.d"), 201),
    Row("create, label of 64", "POST", MAPS, config_map("new", labels={"a": "x" * 64}), 422, "Invalid", "must be no more than 63"),
    Row("create, label of 63", "POST", f"{MAPS}?dryRun=All", config_map("new", labels={"a": "x" * 63}), 201),
    Row("create, label with slash", "POST", MAPS, config_map("new", labels={"a": "x/y"}), 422, "Invalid", "a valid label must be"),
    Row("create, label key", "POST", MAPS, config_map("new", labels={"a b": "x"}), 422, "Invalid", "metadata.labels"),
    Row("create, label is a number", "POST", MAPS, config_map("new", labels={"a": 1}), 400, "BadRequest", "cannot be handled as a ConfigMap"),
    Row("create, annotation of 256 KiB", "POST", f"{MAPS}?dryRun=All", config_map("new", annotations={"a": "x" * 262_143}), 201),
    Row("create, larger annotation", "POST", MAPS, config_map("new", annotations={"a": "x" * 262_144}), 422, "Invalid", "Too long"),
    Row("create, owner without uid", "POST", MAPS, config_map("new", ownerReferences=[{"apiVersion": "v1", "kind": "ConfigMap", "name": "x"}]), 422, "Invalid", "uid must not be empty"),
    Row("create, key with space", "POST", MAPS, config_map("new", data={"a b": "x"}), 422, "Invalid", "a valid config key must consist of"),
    Row("create, key ..", "POST", MAPS, config_map("new", data={"..": "x"}), 422, "Invalid", "data[..]"),
    Row("create, key ..a", "POST", MAPS, config_map("new", data={"..a": "x"}), 422, "Invalid", "must not start with '..'"),
    Row("create, key twice", "POST", MAPS, {**config_map("new", data={"a": "x"}), "binaryData": {"a": "eA=="}}, 422, "Invalid", "duplicate of key present in binaryData"),
    Row("create, data is a number", "POST", MAPS, config_map("new", data={"a": 1}), 400, "BadRequest", "cannot be handled as a ConfigMap"),
    Row("create, bad base64", "POST", MAPS, {**config_map("new"), "binaryData": {"a": "?"}}, 400, "BadRequest", "illegal base64"),
    Row("create, another kind", "POST", MAPS, {**config_map("new"), "kind": "Namespace"}, 400, "BadRequest", "cannot be handled as a ConfigMap"),
    Row("create, unknown kind", "POST", MAPS, {**config_map("new"), "kind": "Nonsense"}, 400, "BadRequest", 'no kind "Nonsense" is registered'),
    Row("create, another version", "POST", MAPS, {**config_map("new"), "apiVersion": "v2"}, 400, "BadRequest", "v2"),
    Row("create, not JSON", "POST", MAPS, b"{", 400, "BadRequest"),
    Row("create, a list", "POST", MAPS, b"[]", 400, "BadRequest"),
    Row("create, no body", "POST", MAPS, b"", 400, "BadRequest"),
    Row("create, odd content type", "POST", MAPS, b"{}", 415, "UnsupportedMediaType", "the body of the request was in an unknown format", {"Content-Type": "text/plain"}),
    Row("create, unknown field", "POST", MAPS, {**config_map("new"), "nonsense": 1}, 201),
    Row("create, unknown field, strict", "POST", f"{MAPS}?fieldValidation=Strict", {**config_map("new"), "nonsense": 1}, 400, "BadRequest", 'unknown field "nonsense"'),
    Row("create, odd strictness", "POST", f"{MAPS}?fieldValidation=Odd", config_map("new"), 422, "Invalid", "fieldValidation"),
    Row("create, exactly 1 MiB", "POST", f"{MAPS}?dryRun=All", config_map("new", data={"a": "x" * MIB}), 201),
    Row("create, a byte more", "POST", MAPS, config_map("new", data={"a": "x" * (MIB + 1)}), 422, "Invalid", "Too long"),
    Row("create, 1 MiB in both", "POST", f"{MAPS}?dryRun=All", {**config_map("new", data={"a": "x" * (MIB // 2)}), "binaryData": {"b": HALF}}, 201),
    Row("create, a byte more in both", "POST", MAPS, {**config_map("new", data={"a": "x" * (MIB // 2 + 1)}), "binaryData": {"b": HALF}}, 422, "Invalid", "Too long"),
    Row("create, 1 MiB of control characters", "POST", MAPS, config_map("new", data={"a": "\x01" * MIB}), 413, "RequestEntityTooLarge", "limit is 3145728"),
    # replacing
    Row("replace", "PUT", f"{MAPS}/present", changed(), 200),
    Row("replace without version", "PUT", f"{MAPS}/present", changed(resourceVersion=None), 200),
    Row("replace, version 0", "PUT", f"{MAPS}/present", changed(resourceVersion="0"), 200),
    Row("replace, stale version", "PUT", f"{MAPS}/present", changed(resourceVersion="1"), 409, "Conflict", "the object has been modified; please apply your changes to the latest version and try again"),
    Row("replace, other uid", "PUT", f"{MAPS}/present", changed(uid=OTHER_UID), 409, "Conflict", "Precondition failed: UID in precondition"),
    Row("replace, other uid, no version", "PUT", f"{MAPS}/present", changed(uid=OTHER_UID, resourceVersion=None), 409, "Conflict"),
    Row("replace, odd version", "PUT", f"{MAPS}/present", changed(resourceVersion="abc"), 500, ""),
    Row("replace missing", "PUT", f"{MAPS}/new", config_map("new"), 404, "NotFound", 'configmaps "new" not found'),
    Row("replace missing, with uid", "PUT", f"{MAPS}/new", config_map("new", uid=OTHER_UID, resourceVersion="1"), 409, "Conflict"),
    Row("replace, other name inside", "PUT", f"{MAPS}/present", config_map("other"), 400, "BadRequest", "does not match the name on the URL"),
    Row("replace, no name inside", "PUT", f"{MAPS}/present", {"metadata": {}}, 400, "BadRequest", "name must be provided"),
    Row("replace, other namespace inside", "PUT", f"{MAPS}/present", config_map("present", namespace="default"), 400, "BadRequest", "namespace"),
    Row("replace, other creation", "PUT", f"{MAPS}/present", changed(creationTimestamp="2001-01-01T00:00:00Z"), 422, "Invalid", "field is immutable"),
    Row("replace immutable", "PUT", f"{MAPS}/fixed", {**config_map("fixed", data={"a": "c"}), "immutable": True}, 422, "Invalid", "field is immutable when `immutable` is set"),
    Row("replace immutable, unset", "PUT", f"{MAPS}/fixed", config_map("fixed", data={"a": "b"}), 422, "Invalid", "immutable: Forbidden"),
    Row("replace immutable, labels", "PUT", f"{MAPS}/fixed", {**config_map("fixed", data={"a": "b"}, labels={"x": "y"}), "immutable": True}, 200),
    Row("replace, too large", "PUT", f"{MAPS}/present", config_map("present", data={"a": "x" * (MIB + 1)}), 422, "Invalid", "Too long"),
    Row("put on the collection", "PUT", MAPS, config_map("present"), 405, "MethodNotAllowed"),
    # deleting
    Row("delete", "DELETE", f"{MAPS}/present", None, 200),
    Row("delete immutable", "DELETE", f"{MAPS}/fixed", None, 200),
    Row("delete missing", "DELETE", f"{MAPS}/nothing", None, 404, "NotFound", 'configmaps "nothing" not found'),
    Row("delete, dry run", "DELETE", f"{MAPS}/present?dryRun=All", None, 200),
    Row("delete, right uid", "DELETE", f"{MAPS}/present", lambda bench: delete_options(uid=bench.present["metadata"]["uid"]), 200),
    Row("delete, other uid", "DELETE", f"{MAPS}/present", delete_options(uid=OTHER_UID), 409, "Conflict", "does not match the UID in record"),
    Row("delete, stale version", "DELETE", f"{MAPS}/present", delete_options(resourceVersion="1"), 409, "Conflict", "does not match the ResourceVersion in record"),
    Row("delete, odd policy", "DELETE", f"{MAPS}/present", {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Odd"}, 422, "Invalid", "propagationPolicy"),
    Row("delete with another body", "DELETE", f"{MAPS}/present", config_map("present"), 400, "BadRequest"),
]  # fmt: skip


@pytest.fixture(scope="module", params=["stand-in", *(["real"] if REAL else [])])
def bench(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    namespace = f"devstream-table-{uuid4().hex[:8]}"
    if request.param == "real":
        yield from _bench(Path(REAL), namespace)
        return
    with KubernetesStandIn() as cluster:
        yield from _bench(cluster.kubeconfig(tmp_path_factory.mktemp("cluster") / "kubeconfig"), namespace)


def _bench(kubeconfig: Path, namespace: str) -> Iterator[Bench]:
    made = Bench(kubeconfig, namespace)
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    assert made.send("POST", "/api/v1/namespaces", body).code == 201
    try:
        yield made
    finally:
        made.send("DELETE", f"/api/v1/namespaces/{namespace}")
        made.close()


@pytest.mark.parametrize("row", ROWS, ids=[row.id for row in ROWS])
def test_answers_as_the_real_one(bench: Bench, row: Row) -> None:
    bench.fill()
    body = row.body(bench) if callable(row.body) else row.body
    reply = bench.send(row.method, row.path, body, row.headers)
    assert (reply.code, reply.reason) == (row.code, row.reason), reply.message
    assert row.text in reply.message
    if row.code >= 400 and row.reason:
        assert reply.content["kind"] == "Status"
        assert reply.content["status"] == "Failure"
        assert reply.content["code"] == row.code


def test_a_replace_moves_the_version_unless_nothing_changes(bench: Bench) -> None:
    bench.fill()
    before = bench.present["metadata"]
    same = bench.send("PUT", f"{MAPS}/present", bench.present).content["metadata"]
    assert same["resourceVersion"] == before["resourceVersion"]
    other = bench.send("PUT", f"{MAPS}/present", changed()(bench)).content["metadata"]
    assert int(other["resourceVersion"]) > int(before["resourceVersion"])
    assert other["uid"] == before["uid"]


def test_dry_run_leaves_everything_as_it_was(bench: Bench) -> None:
    bench.fill()
    bench.send("PUT", f"{MAPS}/present?dryRun=All", changed()(bench))
    bench.send("DELETE", f"{MAPS}/fixed?dryRun=All")
    assert bench.send("GET", f"{MAPS}/present").content["data"] == {"a": "b"}
    assert bench.send("GET", f"{MAPS}/fixed").code == 200


def test_made_anew_it_has_another_uid(bench: Bench) -> None:
    bench.fill()
    before = bench.present["metadata"]["uid"]
    bench.fill()
    assert bench.present["metadata"]["uid"] != before


def test_an_unknown_field_is_dropped_with_a_warning(bench: Bench) -> None:
    bench.fill()
    reply = bench.send("POST", MAPS, {**config_map("new"), "nonsense": 1})
    assert "nonsense" not in reply.content
    assert "unknown field" in reply.headers["Warning"]


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("app=x", {"present"}),
        ("app!=x", {"fixed"}),
        ("app", {"present"}),
        ("!app", {"fixed"}),
        ("app in (x,y)", {"present"}),
        ("app notin (x)", {"fixed"}),
        ("app=x,app!=x", set()),
    ],
)
def test_label_selectors(bench: Bench, selector: str, found: set[str]) -> None:
    bench.fill()
    for name in [item["metadata"]["name"] for item in bench.send("GET", MAPS).content["items"]]:
        if name.startswith("made-"):
            bench.send("DELETE", f"{MAPS}/{name}")
    items = bench.send("GET", f"{MAPS}?labelSelector={selector.replace(' ', '%20')}").content["items"]
    assert {item["metadata"]["name"] for item in items} - {"kube-root-ca.crt"} == found


def test_pages_show_one_moment(bench: Bench) -> None:
    bench.fill()
    first = bench.send("GET", f"{MAPS}?limit=1").content
    bench.send("POST", MAPS, config_map("new"))
    names = [first["items"][0]["metadata"]["name"]]
    page = first
    while token := page["metadata"].get("continue"):
        page = bench.send("GET", f"{MAPS}?limit=1&continue={token}").content
        names += [item["metadata"]["name"] for item in page["items"]]
        assert page["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert {"present", "fixed"} <= set(names)
    assert "new" not in names
    assert names == sorted(names)


# -- what only a stand-in can be asked


@pytest.fixture
def cluster() -> Iterator[KubernetesStandIn]:
    with KubernetesStandIn() as made:
        made.add_namespace("team")
        yield made


@pytest.fixture
def own(cluster: KubernetesStandIn, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    """Make benches for users of the stand-in, in the namespace ``team``."""
    made: list[Bench] = []

    def make(user: str, **fields: Any) -> Bench:
        kubeconfig = cluster.kubeconfig(tmp_path / f"kubeconfig-{len(made)}", user, **fields)
        made.append(Bench(kubeconfig, "team"))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


REQUESTS = {
    "get": ("GET", f"{MAPS}/x", None),
    "list": ("GET", MAPS, None),
    "watch": ("GET", f"{MAPS}?watch=true&timeoutSeconds=0", None),
    "create": ("POST", MAPS, config_map("x")),
    "update": ("PUT", f"{MAPS}/x", config_map("x")),
    "delete": ("DELETE", f"{MAPS}/x", None),
}


@pytest.mark.parametrize("verb", REQUESTS)
def test_each_verb_needs_its_right(cluster: KubernetesStandIn, own: Callable[..., Bench], verb: str) -> None:
    method, path, body = REQUESTS[verb]
    cluster.allow("ann", "team", *(set(REQUESTS) - {verb}))
    reply = own("ann").send(method, path, body)
    named = "" if verb in ("list", "watch", "create") else ' "x"'
    assert (reply.code, reply.reason) == (403, "Forbidden")
    assert reply.message == (
        f'configmaps{named} is forbidden: User "ann" cannot {verb} resource "configmaps" in API group "" in the namespace "team"'
    )
    cluster.allow("bob", "team", verb)
    assert own("bob").send(method, path, body).code != 403


def test_rights_are_for_a_namespace_and_names(cluster: KubernetesStandIn, own: Callable[..., Bench]) -> None:
    rule = {
        "apiGroups": [""],
        "resources": ["configmaps"],
        "verbs": ["get", "create"],
        "resourceNames": ["x"],
    }
    cluster.access.grant("ann", "team", [rule])
    ann = own("ann")
    assert ann.send("GET", f"{MAPS}/x").code == 404
    assert ann.send("GET", f"{MAPS}/y").code == 403
    assert ann.send("POST", MAPS, config_map("x")).code == 403, "create cannot be bound to a name"
    assert ann.send("GET", "/api/v1/namespaces/default/configmaps/x").code == 403


def test_who_is_unknown_and_who_says_nothing(cluster: KubernetesStandIn, own: Callable[..., Bench]) -> None:
    unknown = own("ann", token="nonsense").send("GET", f"{MAPS}/x")
    assert (unknown.code, unknown.reason, unknown.message) == (401, "Unauthorized", "Unauthorized")
    silent = own("ann", username="").send("GET", f"{MAPS}/x")
    assert silent.code == 403
    assert 'User "system:anonymous" cannot get' in silent.message


def test_a_namespace_that_goes(cluster: KubernetesStandIn, own: Callable[..., Bench]) -> None:
    admin = own("kubernetes-admin")
    admin.fill()
    assert admin.send("DELETE", "/api/v1/namespaces/team").content["status"]["phase"] == "Terminating"
    refused = admin.send("POST", MAPS, config_map("new"))
    assert (refused.code, refused.reason) == (403, "Forbidden")
    assert "unable to create new content in namespace team because it is being terminated" in refused.message
    assert refused.content["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert admin.send("PUT", f"{MAPS}/present", changed()(admin)).code == 200
    assert admin.send("DELETE", f"{MAPS}/present").code == 200
    cluster.store.finish_namespace("team")
    assert admin.send("POST", MAPS, config_map("new")).reason == "NotFound"


def test_a_quota(cluster: KubernetesStandIn, own: Callable[..., Bench]) -> None:
    cluster.store.quotas["team"] = 2
    admin = own("kubernetes-admin")
    assert admin.send("POST", MAPS, config_map("x")).code == 201
    refused = admin.send("POST", MAPS, config_map("y"))
    assert (refused.code, refused.reason) == (403, "Forbidden")
    assert (
        "exceeded quota: objects, requested: count/configmaps=1, used: count/configmaps=2" in refused.message
    )


def test_finalizers_keep_an_object_until_they_are_gone(own: Callable[..., Bench]) -> None:
    admin = own("kubernetes-admin")
    admin.send("POST", MAPS, config_map("x", finalizers=["example.org/wait"]))
    marked = admin.send("DELETE", f"{MAPS}/x").content
    assert marked["metadata"]["deletionTimestamp"]
    assert admin.send("GET", f"{MAPS}/x").code == 200
    metadata = {name: value for name, value in marked["metadata"].items() if name != "finalizers"}
    admin.send("PUT", f"{MAPS}/x", {**marked, "metadata": metadata})
    assert admin.send("GET", f"{MAPS}/x").code == 404


def test_old_pages_and_watches_are_gone(cluster: KubernetesStandIn, own: Callable[..., Bench]) -> None:
    admin = own("kubernetes-admin")
    admin.fill()
    token = admin.send("GET", f"{MAPS}?limit=1").content["metadata"]["continue"]
    admin.send("POST", MAPS, config_map("new"))
    cluster.store.compact()
    reply = admin.send("GET", f"{MAPS}?limit=1&continue={token}")
    assert (reply.code, reply.reason) == (410, "Expired")
    events = admin.send("GET", f"{MAPS}?watch=true&resourceVersion=1&timeoutSeconds=1").content
    assert events["type"] == "ERROR"
    assert (events["object"]["code"], events["object"]["reason"]) == (410, "Expired")


def test_a_watch_tells_what_changes(cluster: KubernetesStandIn, tmp_path: Path) -> None:
    from lightkube.generic_resource import GenericNamespacedResource, create_api_info

    class Map(GenericNamespacedResource):
        _api_info = create_api_info("", "v1", "ConfigMap", "configmaps")

    config = KubeConfig.from_file(cluster.kubeconfig(tmp_path / "kubeconfig")).get()
    with lightkube.Client(config) as client:
        told: list[tuple[str, str]] = []
        start = str(cluster.store.revision)

        def watch() -> None:
            for kind, item in client.watch(Map, namespace="team", resource_version=start):
                told.append((kind, item["metadata"]["name"]))
                if kind == "DELETED":
                    return

        watcher = threading.Thread(target=watch)
        watcher.start()
        made = client.create(Map.from_dict({"metadata": {"name": "x", "namespace": "team"}}))
        client.replace(Map.from_dict({**made, "data": {"a": "b"}}))
        client.delete(Map, "x", namespace="team")
        watcher.join(10)
    assert told == [("ADDED", "x"), ("MODIFIED", "x"), ("DELETED", "x")]


@pytest.mark.parametrize(
    ("fault", "code", "done"),
    [
        (Fault.DROP_BEFORE, None, False),
        (Fault.DROP_AFTER, None, True),
        (Fault.ERROR_BEFORE, 500, False),
        (Fault.ERROR_AFTER, 500, True),
        (Fault.UNAVAILABLE, 503, False),
        (Fault.THROTTLED, 429, False),
        (Fault.LATE, None, False),
    ],
)
def test_faults(
    cluster: KubernetesStandIn, own: Callable[..., Bench], fault: Fault, code: int | None, done: bool
) -> None:
    admin = own("kubernetes-admin")
    cluster.fault = lambda _: fault
    if code is None:
        with pytest.raises(Exception, match="disconnected"):
            admin.send("POST", MAPS, config_map("x"))
    else:
        reply = admin.send("POST", MAPS, config_map("x"))
        assert reply.code == code
        assert reply.headers.get("Retry-After") == ("1" if code == 429 else None)
    cluster.fault = lambda _: None
    assert (admin.send("GET", f"{MAPS}/x").code == 200) is done
    cluster.deliver()
    assert (admin.send("GET", f"{MAPS}/x").code == 200) is (done or fault is Fault.LATE)


def test_its_certificate_is_checked(cluster: KubernetesStandIn, tmp_path: Path) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with KubernetesStandIn() as other, KubernetesStandIn(not_after=yesterday) as expired:
        wrong = cluster.kubeconfig(tmp_path / "wrong", authority=other.authority)
        for kubeconfig, why in ((wrong, "unable to get"), (expired.kubeconfig(tmp_path / "old"), "expired")):
            bench = Bench(kubeconfig, "team")
            with pytest.raises(Exception, match=f"CERTIFICATE_VERIFY_FAILED.*{why}"):
                bench.send("GET", MAPS)
            bench.close()


def test_nobody_else_reads_its_kubeconfig(cluster: KubernetesStandIn, tmp_path: Path) -> None:
    assert cluster.kubeconfig(tmp_path / "kubeconfig").stat().st_mode & 0o777 == 0o600


def test_as_a_process_of_its_own(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "devstream.testing.kubernetes", str(tmp_path / "kubeconfig")]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith("https://127.0.0.1:")
        bench = Bench(tmp_path / "kubeconfig", "default")
        assert bench.send("GET", "/version").content["gitVersion"].startswith("v1.")
        bench.close()
        process.stdin.close()
        assert process.wait(10) == 0


def test_a_new_namespace_is_never_empty(cluster: KubernetesStandIn) -> None:
    assert cluster.store.read(Place("configmaps", "team", "kube-root-ca.crt"))["data"]["ca.crt"]
    ssl.create_default_context(cadata=cluster.authority.decode())
