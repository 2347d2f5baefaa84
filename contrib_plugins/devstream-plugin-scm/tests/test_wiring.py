"""What neighbours offer, put in place at a Gitea: made once, followed, taken away, never somebody else's."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from devstream.api import Address, OperationError, Secret, ToolState
from devstream.testing.context import PlainContext
from devstream.testing.gitea import GiteaRepository, GiteaStandIn
from devstream.testing.public_keys import made_up_key
from devstream_plugin_scm.ci_options import CiWebhook
from devstream_plugin_scm.ci_webhook import RepositoryWebhook
from devstream_plugin_scm.deploy_keys import fingerprint
from devstream_plugin_scm.forge import Mark
from devstream_plugin_scm.hosting import DeployKey, webhook_mark
from devstream_plugin_scm.testing import Bench, Server
from devstream_plugin_scm.wiring import RegistryPlace, Wiring, is_wired

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.testing.service import Fault, Request, Response
    from devstream_plugin_scm.hosting import Hosting
    from devstream_plugin_scm.repository import TargetRepo

CANARY = "canary-secret-55e1"
HOOK = "https://ci.example.org/hook"
A, B = made_up_key(), made_up_key()
HIDDEN = {"$secret": [], "fingerprint": "00"}
"""What a plugin gets of a secret output that was not recorded."""
USER, PASSWORD = "IMAGE_REPO_USER", "IMAGE_REPO_SECRET"


@dataclass
class Wires:
    """One tool's wiring on a Gitea."""

    gitea: GiteaStandIn
    hosting: Hosting
    repo: TargetRepo
    location: str
    address: Address = field(default_factory=lambda: Address("gitea-actions", "shop"))
    wired: dict[str, Any] = field(default_factory=dict)
    context: PlainContext | None = None

    def wiring(self, *, hosted: bool = True, wanted: bool = True) -> Wiring:
        self.context = PlainContext(Path(), self.address)
        place = RegistryPlace(self.hosting, user=USER, password=PASSWORD, wanted=wanted)
        return Wiring(self.hosting if hosted else None, self.repo, self.context, place)

    def put(self, upstream: Mapping[str, Any], **how: bool) -> dict[str, Any]:
        self.wired = self.wiring(**how).put(self.location, upstream, self.wired)
        return self.wired

    @property
    def broken(self) -> dict[str, str]:
        return self.wiring().look(self.location, self.wired)

    @property
    def repository(self) -> GiteaRepository:
        return self.gitea.repository("someone/shop")

    @property
    def hooks(self) -> dict[str, str]:
        hooks = self.hosting.webhooks(self.location)
        found = {webhook_mark(hook): hook.url.partition("?")[0] for hook in hooks}
        assert len(found) == len(hooks)
        return found

    @property
    def keys(self) -> dict[str, bool]:
        return {key["key"]: key["read_only"] for key in self.repository.keys.values()}

    @property
    def secrets(self) -> dict[str, str]:
        return self.repository.secrets

    @property
    def changes(self) -> int:
        return sum(request.method != "GET" for request in self.gitea.requests)


@pytest.fixture
def wires(tmp_path: Path) -> Iterator[Wires]:
    with GiteaStandIn(tmp_path / "served") as gitea:
        bench = Bench("gitea", Server(gitea.url, gitea.token, gitea.user), tmp_path, name="shop")
        hosting, location = bench.hosting, bench.location
        hosting.create(location, mark=Mark("op-1", "a.b"), visibility="")
        yield Wires(gitea, hosting, bench.repo(), location)
        bench.close()


CI, NEW = "jenkins.main", "gitea-actions.shop/jenkins.main"
FULL = {
    CI: {
        "webhook": {"url": HOOK, "secret": Secret.plain(CANARY)},
        "deployKey": {"publicKey": f"{A} jenkins@ci", "readOnly": False},
        "registry": {"url": "x", "user": "robot", "password": CANARY},
    }
}
STEPS: list[tuple[dict[str, Any], dict[str, str], dict[str, bool], dict[str, str]]] = [
    ({}, {}, {}, {}),
    (FULL, {NEW: HOOK}, {A: False}, {USER: "robot", PASSWORD: CANARY}),
    ({CI: {"webhook": {"url": f"{HOOK}/2"}}}, {NEW: f"{HOOK}/2"}, {}, {}),
    ({CI: {"deployKey": {"publicKey": A}}}, {}, {A: True}, {}),
    ({CI: {"deployKey": {"publicKey": B}}}, {}, {B: True}, {}),
    ({CI: {"deployKey": {"publicKey": A}}, "x.y": {"deployKey": {"publicKey": A}}}, {}, {A: True}, {}),
    (
        {CI: {"deployKey": {"publicKey": A}}, "x.y": {"deployKey": {"publicKey": B}}},
        {},
        {A: True, B: True},
        {},
    ),
    ({"x.y": {"webhook": {"url": HOOK}}}, {"gitea-actions.shop/x.y": HOOK}, {}, {}),
    ({CI: {"registry": {"password": "p-only"}}}, {}, {}, {PASSWORD: "p-only"}),
    ({CI: {"registry": {"password": "1"}}, "x.y": {"registry": {"password": "2"}}}, {}, {}, {PASSWORD: "1"}),
    ({CI: {"webhook": "https://x", "deployKey": 7, "registry": {"url": "x"}, "more": []}}, {}, {}, {}),
]


@pytest.mark.parametrize(("upstream", "hooks", "keys", "secrets"), STEPS)
def test_what_is_offered_is_there_and_nothing_else(
    wires: Wires,
    upstream: dict[str, Any],
    hooks: dict[str, str],
    keys: dict[str, bool],
    secrets: dict[str, str],
) -> None:
    """From nothing, and from everything; twice is once; and what was removed is all gone."""
    for before in ({}, FULL):
        wires.put(before)
        for _ in range(2):
            wires.put(upstream)
            assert (wires.hooks, wires.keys, wires.secrets) == (hooks, keys, secrets)
            assert wires.broken == {}
            assert CANARY not in str(wires.wired)
            assert wires.context is not None
            assert CANARY not in str(wires.context.log.lines)
    wires.wiring().remove(wires.location, wires.wired)
    assert (wires.hooks, wires.keys, wires.secrets) == ({}, {}, {})


def test_what_is_recorded_has_names_and_ids_only(wires: Wires) -> None:
    wired = wires.put({CI: {**FULL[CI], "webhook": {"url": Secret.plain(f"{HOOK}?token={CANARY}")}}})
    (key_id,), ((hook_id, hook),) = wires.repository.keys, wires.repository.hooks.items()
    assert wired == {
        CI: {
            "webhook": {"id": str(hook_id), "events": sorted(hook["events"]), "active": True},
            "deployKey": {"id": str(key_id), "fingerprint": fingerprint(A), "readOnly": False},
            "registry": [PASSWORD, USER],
        }
    }
    assert hook["config"]["url"].startswith(f"{HOOK}?token={CANARY}&devstream=")


def test_what_is_not_recorded_is_found_by_its_marks(wires: Wires) -> None:
    """A run that was killed before it could record anything."""
    wires.put(FULL)
    wires.wired = {}
    before = wires.changes
    wires.put(FULL)
    posts = [request for request in wires.gitea.requests if request.method in {"POST", "DELETE"}]
    assert len(posts) == 3, "the repository, its webhook, its key"
    assert wires.changes - before == 3, "one webhook and two secrets are set again"
    wires.wired = {}
    wires.put({CI: {"registry": FULL[CI]["registry"]}})
    assert (wires.hooks, wires.keys) == ({}, {})


@pytest.mark.parametrize(("status", "upstream"), [(403, {}), (404, {}), (404, FULL), (403, FULL)])
def test_who_may_not_look_has_made_nothing(wires: Wires, status: int, upstream: dict[str, Any]) -> None:
    for part in ("hooks", "keys"):
        wires.gitea.fail("GET", f"/api/v1/repos/someone/shop/{part}", status=status)
    if not upstream:
        assert wires.put(upstream) == {}
        return
    with pytest.raises(OperationError, match=str(status)):
        wires.put(upstream)


def edit_hook(repository: GiteaRepository, **fields: Any) -> None:
    next(iter(repository.hooks.values())).update(fields)


EDITS: dict[str, tuple[Any, dict[str, str]]] = {
    "webhook removed": (lambda kept: kept.hooks.clear(), {"webhook of jenkins.main": "gone"}),
    "webhook off": (lambda kept: edit_hook(kept, active=False), {"webhook of jenkins.main": "changed"}),
    "other events": (lambda kept: edit_hook(kept, events=["issues"]), {"webhook of jenkins.main": "changed"}),
    "other url": (
        lambda kept: edit_hook(kept, config={"url": f"https://evil.example/?devstream={NEW}"}),
        {"webhook of jenkins.main": "changed"},
    ),
    "key removed": (lambda kept: kept.keys.clear(), {"deployKey of jenkins.main": "gone"}),
    "key may read": (
        lambda kept: next(iter(kept.keys.values())).update(read_only=True),
        {"deployKey of jenkins.main": "changed"},
    ),
    "secret removed": (lambda kept: kept.secrets.pop(PASSWORD), {"registry of jenkins.main": "gone"}),
    "title changed": (lambda kept: next(iter(kept.keys.values())).update(title="mine"), {}),
}


@pytest.mark.parametrize("edit", EDITS)
def test_what_people_changed_is_seen_and_put_back(wires: Wires, edit: str) -> None:
    change, broken = EDITS[edit]
    wires.put(FULL)
    change(wires.repository)
    assert wires.broken == broken
    wires.put(FULL)
    assert wires.broken == {}
    assert (wires.hooks, wires.keys) == ({NEW: HOOK}, {A: False})
    assert set(wires.secrets) == {USER, PASSWORD}


def test_the_tools_own_webhook_is_another(wires: Wires) -> None:
    own = RepositoryWebhook(wires.hosting, CiWebhook(url=HOOK), wires.repo, str(wires.address))
    own.put(wires.location)
    wires.put(FULL)
    own.put(wires.location)
    assert wires.hooks == {str(wires.address): HOOK, NEW: HOOK}
    wires.put({})
    assert wires.hooks == {str(wires.address): HOOK}
    wires.put(FULL)
    own.remove(wires.location)
    assert wires.hooks == {NEW: HOOK}


def test_another_tools_wiring_is_left_alone(wires: Wires) -> None:
    other = Wires(
        wires.gitea, wires.hosting, wires.repo, wires.location, Address("gitea-actions", "shop-lint")
    )
    other.put({CI: {"webhook": {"url": HOOK}, "deployKey": {"publicKey": B}}})
    wires.put(FULL)
    wires.put({})
    assert wires.hooks == {"gitea-actions.shop-lint/jenkins.main": HOOK}
    assert wires.keys == {B: True}


def test_a_key_that_people_put_there_stays_theirs(wires: Wires) -> None:
    wires.hosting.put_deploy_key(wires.location, DeployKey("Ann's", A))
    offer: dict[str, Any] = {CI: {"deployKey": {"publicKey": A}}}
    assert wires.put(offer) == {CI: {"deployKey": {"fingerprint": fingerprint(A), "readOnly": True}}}
    assert wires.put({}) == {}
    assert wires.keys == {A: True}
    offer[CI]["deployKey"]["readOnly"] = False
    with pytest.raises(OperationError, match='"Ann\'s", and may read: not ours'):
        wires.put(offer)
    assert wires.keys == {A: True}


def test_after_the_tool_got_another_address_nothing_is_doubled(wires: Wires) -> None:
    wires.put(FULL)
    wires.address = Address("gitea-actions", "store")
    assert wires.broken == {"webhook of jenkins.main": "gone"}
    wires.put(FULL)
    assert wires.hooks == {"gitea-actions.store/jenkins.main": HOOK}
    assert wires.keys == {A: False}
    wires.put({})
    assert (wires.hooks, wires.keys) == ({}, {})


def test_what_is_secret_and_not_known_today_stays_as_it_is(wires: Wires) -> None:
    wires.put(FULL)
    hidden = {
        CI: {
            "webhook": {"url": HOOK, "secret": HIDDEN},
            "deployKey": FULL[CI]["deployKey"],
            "registry": {"user": "robot", "password": HIDDEN},
        }
    }
    wires.put(hidden)
    assert wires.secrets == {USER: "robot", PASSWORD: CANARY}
    assert list(wires.repository.hook_secrets.values())[-1] == CANARY
    wires.put({CI: {"webhook": {"url": HIDDEN}}})
    assert wires.hooks == {NEW: HOOK}


@pytest.mark.parametrize(
    "offer",
    [
        {"webhook": {"url": HOOK, "secret": HIDDEN}},
        {"webhook": {"url": HIDDEN}},
        {"registry": {"password": HIDDEN}},
    ],
)
def test_what_is_secret_and_was_never_set_is_named(wires: Wires, offer: dict[str, Any]) -> None:
    with pytest.raises(OperationError, match=r"of jenkins.main is secret, and not recorded") as caught:
        wires.put({CI: offer})
    assert "encrypt the state" in (caught.value.diagnostic.suggestion or "")


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        ({"webhook": {"url": f"https://u:{CANARY}@x.org/"}}, r"webhook.url of jenkins.main is not"),
        ({"webhook": {"url": f"ftp://{CANARY}"}}, r"webhook.url of jenkins.main is not"),
        ({"webhook": {"url": 7}}, r"webhook.url of jenkins.main is not"),
        ({"webhook": {"url": HOOK, "events": "push"}}, r"webhook.events of jenkins.main is not"),
        ({"webhook": {"url": HOOK, "secret": 7}}, r"webhook.secret of jenkins.main is not"),
        ({"deployKey": {"publicKey": CANARY}}, r"deployKey of jenkins.main: the deploy key is no OpenSSH"),
        ({"deployKey": {"publicKey": HIDDEN}}, r"deployKey of jenkins.main is not"),
        ({"deployKey": {"publicKey": A, "readOnly": "no"}}, r"deployKey of jenkins.main is not"),
        ({"registry": {"password": [CANARY]}}, r"registry.password of jenkins.main is not"),
    ],
)
def test_offers_that_cannot_be_are_named_and_not_shown(
    wires: Wires, offer: dict[str, Any], said: str
) -> None:
    before = wires.changes
    with pytest.raises(OperationError, match=said) as caught:
        wires.put({CI: offer})
    assert CANARY not in str(caught.value)
    assert wires.changes == before


def test_a_repository_on_no_service_leaves_it_to_people(wires: Wires) -> None:
    assert wires.put(FULL, hosted=False) == {CI: {"registry": [PASSWORD, USER]}}
    assert wires.context is not None
    said = str(wires.context.log.lines)
    assert "jenkins.main offers a webhook, and the repository is on no service" in said
    assert "jenkins.main offers a deployKey" in said


def test_a_registry_that_is_not_wanted_any_more_goes(wires: Wires) -> None:
    wires.put(FULL)
    assert "registry" not in wires.put(FULL, wanted=False)[CI]
    assert wires.secrets == {}


@pytest.mark.parametrize(
    ("recorded", "wired"),
    [
        ({}, False),
        ({"integrated": False}, True),
        ({"integrated_with": "00"}, True),
        ({"outputs": {"neighbours": {CI: {}}}}, True),
        ({"outputs": {"neighbours": {}}}, False),
        ({"outputs": {"neighbours": "odd"}}, False),
    ],
)
def test_what_was_never_wired_asks_nothing_on_its_way_out(recorded: dict[str, Any], *, wired: bool) -> None:
    assert is_wired(ToolState(Address("a", "b"), **recorded)) is wired


BEFORE: dict[str, Any] = {
    CI: {"webhook": {"url": f"{HOOK}/old"}, "deployKey": {"publicKey": B}, "registry": {"password": "old"}},
    "x.y": {"webhook": {"url": HOOK}},
}
REQUESTS = 11
"""How many requests it takes to go from `BEFORE` to `FULL`."""


QUICK = ((5, 0, True), (9, 500, False))
EACH = [
    pytest.param(number, *how, marks=() if (number, *how) in QUICK else pytest.mark.slow)
    for number in range(REQUESTS)
    for how in ((500, True), (0, True), (500, False))
]


@pytest.mark.parametrize(("number", "status", "after"), EACH)
def test_a_run_that_ends_at_any_request_is_made_good_by_the_next(
    wires: Wires, number: int, status: int, *, after: bool
) -> None:
    """What was done until then is not recorded; the next run finds it, and doubles nothing."""
    wires.put(BEFORE)
    gitea, start = wires.gitea, len(wires.gitea.requests)
    faults: list[Fault] = []
    answer = gitea.answer

    def answered(request: Request) -> Response | None:
        if len(gitea.requests) - start == number and not faults:
            faults.append(gitea.fail(request.method, request.path, status=status, after=after))
        return answer(request)

    gitea.answer = answered  # type: ignore[method-assign]  # the first to see a request
    with contextlib.suppress(OperationError):
        wires.wiring().put(wires.location, FULL, wires.wired)
    assert [fault.times for fault in faults] == [0]
    wires.put(FULL)
    assert (wires.hooks, wires.keys) == ({NEW: HOOK}, {A: False})
    assert wires.secrets == {USER: "robot", PASSWORD: CANARY}
    assert wires.broken == {}
