"""On every backend, by the commands: what can be wrong with a state is said well and changes nothing; and every command
that changes one waits for the lease, only looks with --dry-run, takes one swap, and is recorded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from devstream.builtin.kubernetes import make_kubernetes
from devstream.builtin.local import make_local
from devstream.builtin.s3 import make_s3
from devstream.errors import StateConflictError
from devstream.model.plan import Action
from devstream.model.state import Begin, Put, PutReason
from devstream.state.backend import KernelLease
from devstream.state.head import encode_head, is_sealed
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.reading import decode_head
from devstream.testing.backends import tool_state
from devstream.testing.kubernetes import KubernetesStandIn
from devstream.testing.kubernetes_store import Place as Where
from devstream.testing.s3 import s3, s3_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from devstream.state.backend import StateBackend
    from devstream.state.session import StateWriter
    from devstream.testing.s3 import Bucket

__all__ = ["s3", "s3_server"]

SMALL = [{"name": "noop", "instanceID": "a", "options": {"input": 1}}]
LARGE = [
    {"name": "noop", "instanceID": f"t{number}", "options": {"input": "x" * 500}} for number in range(80)
]
READING = (
    ["plan"],
    ["run", "-y"],
    ["state", "list"],
    ["state", "pull"],
    ["state", "mv", "noop.a", "noop.b", "-y"],
)


OF_A_LEASE = ("serial", "write_id", "recent", "lease", "sum")
"""What differs in a head once a lease was taken and given back."""


class Place:
    """A place for a state: what a configuration says of it, the state itself, and accidents."""

    backend = "local"

    def __init__(self, bench: Any) -> None:
        self.bench = bench

    def options(self) -> dict[str, Any]:
        return {"stateFile": "devstream.state"}

    def open(self) -> StateBackend:
        return make_local(self.options(), self.bench.folder)

    def lose_head(self) -> None:
        (self.bench.folder / "devstream.state").unlink()

    def put_head(self, data: bytes) -> None:
        """Write a head from outside."""
        backend = self.open()
        head = backend.read_head()
        backend.swap_head(data, head.version if head else None)

    def stored(self) -> dict[str, bytes | None]:
        """Tell everything that is stored, byte by byte."""
        backend = self.open()
        head = backend.read_head()
        blobs = {name: backend.get_blob(name) for name in backend.list_blobs()}
        return blobs | {"head": head.data if head else None}

    def serial(self) -> int:
        """Tell the serial of the head; 1 where that is none of ours."""
        data = self.stored()["head"] or b""
        return int(json.loads(data)["serial"]) if data.startswith(b"{") else 1

    def config(self, tools: list[dict[str, Any]], **state: Any) -> None:
        said = {"backend": self.backend, "options": self.options()} | state
        self.bench.write(json.dumps({"config": {"state": said}, "tools": tools}))

    def content(self) -> dict[str, Any]:
        """Tell everything that is stored, byte by byte; of a head that is whole what it tells of the state."""
        found: dict[str, Any] = self.stored()
        if not is_sealed(found["head"] or b""):
            return found
        told = json.loads(found.pop("head"))
        return found | {name: told[name] for name in told if name not in OF_A_LEASE}


class InBucket(Place):
    backend = "s3"

    def __init__(self, bench: Any, bucket: Bucket) -> None:
        super().__init__(bench)
        self.bucket = bucket

    def options(self) -> dict[str, Any]:
        return self.bucket.options("shop/devstream.state", region="us-east-1")

    def open(self) -> StateBackend:
        return make_s3(self.options(), self.bench.folder)

    def lose_head(self) -> None:
        self.bucket.client.delete_object(Bucket=self.bucket.name, Key="shop/devstream.state")


class InCluster(Place):
    backend = "k8s"

    def __init__(self, bench: Any, cluster: KubernetesStandIn) -> None:
        super().__init__(bench)
        self.cluster = cluster
        self.kubeconfig = cluster.kubeconfig(bench.home / "kubeconfig")

    def options(self) -> dict[str, Any]:
        return {"namespace": "team", "configmap": "shop", "kubeconfig": str(self.kubeconfig)}

    def open(self) -> StateBackend:
        return make_kubernetes(self.options(), self.bench.folder)

    def lose_head(self) -> None:
        self.cluster.store.delete(Where("configmaps", "team", "shop"), {})


@pytest.fixture
def cluster() -> Iterator[KubernetesStandIn]:
    with KubernetesStandIn() as made:
        made.add_namespace("team")
        yield made


@pytest.fixture(params=["local", "s3", "k8s"])
def place(request: pytest.FixtureRequest, bench: Any) -> Place:
    if request.param == "s3":
        return InBucket(bench, request.getfixturevalue("s3"))
    return InCluster(bench, request.getfixturevalue("cluster")) if request.param == "k8s" else Place(bench)


def recorded(place: Place, tools: list[dict[str, Any]] = SMALL, **state: Any) -> None:
    place.config(tools, **state)
    ended = place.bench("run", "-y")
    assert ended.code == 0, ended.err


def refused(place: Place, *argv: str, code: int, says: tuple[str, ...]) -> None:
    """A command ends with this exit code, says all of it and what to do next, and changes nothing that is stored."""
    before = place.content()
    ended = place.bench(*argv)
    flat = " ".join(ended.err.split())
    assert ended.code == code, (argv, ended)
    for words in says:
        assert words in flat, (argv, ended.err)
    assert "-> " in flat, ended.err
    assert place.content() == before


def edited(place: Place, change: Callable[[bytes], bytes]) -> None:
    head = place.open().read_head()
    assert head is not None
    data = change(head.data)
    assert data != head.data
    place.put_head(data)


def test_a_head_edited_by_hand(place: Place) -> None:
    recorded(place)
    edited(place, lambda data: data.replace(b'"noop.a"', b'"noop.q"'))
    for argv in READING:
        refused(place, *argv, code=6, says=("edited by hand", "noop.q: added", "state accept-edit"))
    assert place.bench("state", "accept-edit", "-y").code == 0
    assert list(json.loads(place.bench("state", "list", "-o", "json").out)["tools"]) == ["noop.q"]


def test_a_part_that_is_missing(place: Place) -> None:
    recorded(place, LARGE)
    recorded(place, LARGE[:-1])
    backend = place.open()
    head = backend.read_head()
    assert head is not None
    name = json.loads(head.data)["snapshot"]["blob"]["name"]
    backend.delete_blob(name)
    for argv in READING:
        refused(place, *argv, code=6, says=(f"its part {name} is missing", "devstream state history"))
    ended = place.bench("state", "history")
    assert ended.code == 6
    assert "devstream state restore SERIAL" in ended.err


def test_a_head_that_is_gone_is_not_an_empty_state(place: Place) -> None:
    recorded(place)
    recorded(place, [{**SMALL[0], "options": {"input": 2}}])
    before = json.loads(place.bench("state", "history", "-o", "json").out)["history"]
    place.lose_head()
    for argv in READING:
        refused(place, *argv, code=6, says=("is gone, but", "devstream state restore SERIAL"))
    serial = str(before[1]["serial"])
    ended = place.bench("state", "restore", serial, "-y")
    assert ended.code == 0, ended.err
    assert list(json.loads(place.bench("state", "list", "-o", "json").out)["tools"]) == ["noop.a"]


def test_an_older_serial_is_not_pushed(place: Place) -> None:
    recorded(place)
    place.bench.write(place.bench("state", "pull").out, "old.json")
    recorded(place, [{**SMALL[0], "options": {"input": 2}}])
    refused(place, "state", "push", "old.json", "-y", code=6, says=("serial", "--force"))


def test_two_lineages_are_not_mixed(place: Place, tmp_path: Any) -> None:
    recorded(place)
    other = tmp_path / "other"
    other.mkdir()
    (other / "devstream.yaml").write_text(json.dumps({"tools": SMALL}))
    assert place.bench("run", "-y", "-f", str(other / "devstream.yaml")).code == 0
    place.bench.write(
        place.bench("state", "pull", "--state", str(other / "devstream.state")).out, "other.json"
    )
    refused(place, "state", "push", "other.json", "-y", code=6, says=("another state",))


KEYS = {
    "missing": ({}, "DEVSTREAM_TEST_PASSPHRASE is not set"),
    "another": ({"DEVSTREAM_TEST_PASSPHRASE": "tr0ub4dor and three"}, "is another one now"),
}


@pytest.mark.parametrize("given", KEYS)
def test_the_passphrase_is_wrong_or_missing(place: Place, given: str) -> None:
    key = {"name": "main", "passphrase": "[[ env('DEVSTREAM_TEST_PASSPHRASE') ]]"}
    encryption = {"keys": [key]}
    place.bench.environ["DEVSTREAM_TEST_PASSPHRASE"] = "correct horse battery staple"
    recorded(place, encryption=encryption)
    del place.bench.environ["DEVSTREAM_TEST_PASSPHRASE"]
    environ, words = KEYS[given]
    place.bench.environ |= environ
    for argv in (["plan"], ["run", "-y"], ["state", "rm", "noop.a", "-y"], ["state", "list"]):
        is_mistake = given == "missing" and argv[0] != "state"  # the configuration names what is not there
        refused(place, *argv, code=3 if is_mistake else 7, says=(words,))


def test_a_key_that_was_rotated_away(place: Place) -> None:
    for name in ("old", "new"):
        place.bench.write(name.encode().ljust(32, b"-"), f"{name}.key")
        (place.bench.folder / f"{name}.key").chmod(0o600)
    old, new = ({"name": name, "keyFile": f"{name}.key"} for name in ("old", "new"))
    recorded(place, encryption={"keys": [old]})
    place.config(SMALL, encryption={"keys": [new, old]})
    assert place.bench("state", "rotate-key", "-y").code == 0
    place.config(SMALL, encryption={"keys": [old]})
    for argv in (["plan"], ["run", "-y"], ["state", "list"]):
        refused(
            place,
            *argv,
            code=7,
            says=('the key file "new"', "none of the keys there are: old", "list that key"),
        )


# -- commands that change a state

ORIGINAL = b"trello_default:\n  name: trello\n  instanceID: default\n  dependsOn: []\n  options: {board: b}\n"


def taken(place: Place) -> StateWriter:
    """Take the lease, as another run."""
    holder = this_process("other", "devstream run")
    return StateManager(place.open()).acquire(holder, timeout=0, notice=lambda _: None)


def two_serials(place: Place) -> list[str]:
    recorded(place)
    recorded(place, [{**SMALL[0], "options": {"input": 2}}])
    points = json.loads(place.bench("state", "history", "-o", "json").out)["history"]
    return ["restore", str(points[1]["serial"])]


def an_open_operation(place: Place) -> list[str]:
    recorded(place)
    tool = tool_state("open", n=1)
    with taken(place) as writer:
        writer.begin(
            Begin("op", 1, tool.address, Action.CREATE, tool, "other", "host", "boot"), lambda _: None
        )
    return ["settle", "noop.open", "--absent"]


def a_pulled_state(place: Place) -> list[str]:
    recorded(place)
    pulled = json.loads(place.bench("state", "pull").out)
    pulled["tools"]["noop.a"]["tags"] = ["changed"]
    place.bench.write(json.dumps(pulled), "pulled.json")
    return ["push", "pulled.json"]


def a_rescue_file(place: Place) -> list[str]:
    """Have a run lose its lease to somebody else's write."""
    recorded(place)
    tool = tool_state("late", n=1)
    backend = place.open()
    holder = this_process("late", "devstream run")
    manager = StateManager(backend, rescue_folder=place.bench.folder)
    writer = manager.acquire(holder, timeout=0, notice=lambda _: None)
    head = backend.read_head()
    assert head is not None
    document = msgspec.structs.replace(decode_head(head.data, ""), write_id="0" * 16)
    place.put_head(encode_head(document.holding(None)))
    writer.record(Put(tool.address, tool, PutReason.BOOKKEEPING))
    with pytest.raises(StateConflictError):
        writer.close()
    (path,) = place.bench.folder.glob("*rescue-late")
    return ["push", "--rescue", path.name]


def a_hand_edit(place: Place) -> list[str]:
    recorded(place)
    edited(place, lambda data: data.replace(b'"noop.a"', b'"noop.q"'))
    return ["accept-edit"]


def an_orphan(place: Place) -> list[str]:
    recorded(place)
    place.open().put_blob("segment-00000001-0123456789abcdef", b"{}")
    return ["gc"]


def an_original(place: Place) -> list[str]:
    place.config(SMALL)
    place.put_head(ORIGINAL)
    return ["import-dtm"]


def a_new_key(place: Place) -> list[str]:
    recorded(place)
    place.bench.write(b"k" * 32, "main.key")
    (place.bench.folder / "main.key").chmod(0o600)
    place.config(SMALL, encryption={"keys": [{"name": "main", "keyFile": "main.key"}]})
    return ["rotate-key"]


def small(*argv: str) -> Callable[[Place], list[str]]:
    def prepare(place: Place) -> list[str]:
        recorded(place)
        return list(argv)

    return prepare


CHANGES: dict[str, Callable[[Place], list[str]]] = {
    "mv": small("mv", "noop.a", "noop.z"),
    "rm": small("rm", "noop.a"),
    "settle": an_open_operation,
    "restore": two_serials,
    "accept-edit": a_hand_edit,
    "push": a_pulled_state,
    "push --rescue": a_rescue_file,
    "gc": an_orphan,
    "import-dtm": an_original,
    "rotate-key": a_new_key,
    "migrate-backend": small("migrate-backend", "elsewhere.state"),
}
NO_LEASE_THERE = {
    "import-dtm": "what is there can hold no lease; the one swap decides",
    "accept-edit": "the same",
    "push --rescue": "a lease that was taken since is a change since: nothing is left to be merged",
}
"""Commands that cannot meet a lease that lives in the head, and why."""


@pytest.mark.parametrize("name", CHANGES)
def test_a_command_that_changes_a_state(place: Place, name: str) -> None:
    argv = ["state", *CHANGES[name](place)]
    before = place.stored()
    tried = place.bench(*argv, "--dry-run")
    assert (tried.code, place.stored()) == (0, before), tried
    assert "dry run" in tried.out
    declined = place.bench(*argv)
    assert (declined.code, place.stored()) == (8, before), declined
    if name not in NO_LEASE_THERE or place.backend == "local":
        waits_for_the_lease(place, argv)
    serial = place.serial()
    force = ["--force"] if name == "push" else []
    done = place.bench(*argv, *force, "-y", "-o", "json")
    assert done.code == 0, done.err
    elsewhere = ["--state", "elsewhere.state"] if name == "migrate-backend" else []
    history = json.loads(place.bench("state", "history", "-o", "json", *elsewhere).out)["history"]
    assert f"devstream state {name.partition(' ')[0]}" in history[0]["command"]
    assert place.bench("state", "history", "--verify", *elsewhere).code == 0
    if not elsewhere:
        assert history[0]["serial"] == serial + 1, "one swap"


def waits_for_the_lease(place: Place, argv: list[str]) -> None:
    backend = place.open()
    holder = this_process("other", "devstream run")
    with backend.hold_lease(holder) if isinstance(backend, KernelLease) else taken(place):
        before = place.stored()
        force = ["--force"] if argv[1] == "push" and "--rescue" not in argv else []
        ended = place.bench(*argv, *force, "-y", "--lock-timeout", "0")
        assert (ended.code, place.stored()) == (5, before), ended
        assert "devstream run" in ended.err, "who holds it"
