"""Whole runs of the program against forges: an app is made, kept, repaired after faults and mishaps, and removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from devstream_plugin_scm.hosting import ProposalState
from tests.forges.program import CANARY, PASSWORD

if TYPE_CHECKING:
    from tests.forges.forges import Place

HARMLESS = ("GET", "HEAD")


def changing(place: Place) -> list[str]:
    """List the requests that change something."""
    return [
        f"{request.method} {request.path}"
        for request in place.service.requests
        if request.method not in HARMLESS and not request.path.endswith("/git-upload-pack")
    ]


def test_the_whole_life_of_an_app(empty: Place) -> None:
    shop = empty.shop
    ci = f"{empty.forge.ci}.shop"
    assert shop.run() == dict.fromkeys(("repo-scaffolding.shop", ci, "webhook.shop"), "create")
    empty.check()

    empty.service.requests.clear()
    assert shop.run() == {}
    assert changing(empty) == []
    shop.devstream("verify", "--detailed-exitcode")

    shop.replace("Hello, shop", "Good morning")
    assert shop.plan() == {"repo-scaffolding.shop": "update"}
    assert shop.run() == {"repo-scaffolding.shop": "update"}
    assert "Good morning" in shop.show("service.py")
    shop.replace("echo one", "echo two")
    assert shop.run() == {ci: "update"}
    assert "echo two" in shop.show(empty.forge.pipeline)
    empty.check(commits=4)

    assert CANARY not in shop.written
    assert PASSWORD not in shop.written
    shop.devstream("delete", "--yes")
    assert not empty.names
    shop.devstream("delete", "--yes")


# faults: the first run may fail or not, the second one converges


class Fault(NamedTuple):
    """A request that goes wrong once: ``status`` 0 is a cut connection; ``after``: it was done.

    Without a ``method`` the path begins with one.
    """

    method: str
    path: str
    status: int
    after: bool = False
    headers: dict[str, str] = {}  # noqa: RUF012 - nobody changes it


MAKE, HOOK, LOOK, PUSH = "{0.make}", "{0.hook}", "{0.look}", "/{0.path}.git/git-receive-pack"
SECRET = "{0.secret}"
FAULTS = [
    *(Fault("POST", path, status) for path in (MAKE, HOOK) for status in (401, 403, 404, 409, 422, 500, 0)),
    *(Fault("POST", path, status, after=True) for path in (MAKE, HOOK, PUSH) for status in (500, 0)),
    *(Fault("POST", path, 429, headers={"Retry-After": retry}) for path in (MAKE, HOOK) for retry in "01"),
    Fault("POST", HOOK, 429, headers={"Retry-After": "3600"}),
    *(Fault("", SECRET, status) for status in (401, 403, 404, 422, 500, 0)),
    *(Fault("", SECRET, status, after=True) for status in (500, 0)),
    Fault("", SECRET, 429, headers={"Retry-After": "1"}),
    *(Fault("POST", PUSH, status) for status in (401, 403, 500, 0)),
    *(Fault("GET", LOOK, status) for status in (401, 403, 500, 0)),
    *(Fault("GET", "/{0.path}.git/info/refs", status) for status in (403, 500, 0)),
]
SAMPLE = (Fault("POST", MAKE, 500, after=True),)


def _named(fault: Fault) -> str:
    after = "-after" if fault.after else ""
    return f"{fault.method or 'put'}-{fault.path.rpartition('/')[2].strip('{}0.')}-{fault.status}{after}{''.join(fault.headers.values())}"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, marks=() if fault in SAMPLE else pytest.mark.slow, id=_named(fault))
        for fault in FAULTS
    ],
)
def test_the_second_run_after_a_fault_converges(empty: Place, fault: Fault) -> None:
    where = fault.path.format(empty.forge)
    if not where:
        pytest.skip("the tool sets no secrets there")
    method, where = (fault.method, where) if fault.method else where.split(" ")
    armed = empty.service.fail(method, where, status=fault.status, after=fault.after, headers=fault.headers)
    ended = empty.shop.devstream("run", "--yes", code=None)
    assert armed.times == 0, "the fault was met"
    assert ended.code in (0, 4), ended.err
    empty.shop.run()
    empty.check()


# mishaps: what people and crashes leave behind


@pytest.mark.slow
def test_a_repository_renamed_by_hand_gets_its_name_again(place: Place) -> None:
    hook = place.hook.id
    place.rename("store")
    assert place.shop.plan()["repo-scaffolding.shop"] == "update"
    place.shop.run()
    place.shop.run()
    place.check()
    assert place.hook.id == hook


@pytest.mark.slow
def test_a_webhook_edited_by_hand_is_put_right(place: Place) -> None:
    before = place.hook.id
    for edit in place.forge.edits:
        (kept,) = place.kept_hooks.values()
        kept.update(edit)
        assert place.shop.run() == {"webhook.shop": "update"}
        place.check()
        assert place.hook.id == before


@pytest.mark.slow
def test_a_webhook_and_a_pipeline_removed_by_hand_come_back(place: Place) -> None:
    place.kept_hooks.clear()
    place.shop.commit(place.forge.pipeline, "", remove=True)
    assert place.shop.run() == {"webhook.shop": "create", f"{place.forge.ci}.shop": "create"}
    place.check(commits=4)


@pytest.mark.slow
def test_a_repository_that_lost_all_its_branches_is_filled_again(place: Place) -> None:
    for reference in place.shop.ask("for-each-ref", "--format=%(refname)").split():
        place.shop.ask("update-ref", "-d", reference)
    place.shop.run()
    place.shop.run()
    place.check()


@pytest.mark.slow
def test_half_a_tree_is_completed(place: Place) -> None:
    """Files of the template that people removed stay removed; the pipeline is the tool's own and comes back."""
    place.shop.commit("Dockerfile", "", remove=True)
    place.shop.commit(place.forge.pipeline, "", remove=True)
    place.shop.run()
    assert "Dockerfile" not in place.shop.files()
    assert place.forge.pipeline in place.shop.files()
    assert place.shop.plan() == {}


@pytest.mark.slow
def test_a_branch_left_over_is_no_obstacle(place: Place) -> None:
    head = place.shop.ask("rev-parse", "main~1").strip()
    for address in ("repo-scaffolding.shop", f"{place.forge.ci}.shop"):
        place.shop.ask("update-ref", f"refs/heads/devstream/{address}", head)
    place.shop.replace("echo one", "echo two")
    place.shop.replace("Hello, shop", "Good morning")
    place.shop.run()
    assert "echo two" in place.shop.show(place.forge.pipeline)
    assert "Good morning" in place.shop.show("service.py")
    assert place.proposal("repo-scaffolding.shop") is None
    assert place.proposal(f"{place.forge.ci}.shop") is None
    assert place.shop.plan() == {}


@pytest.mark.slow
def test_a_protected_branch_gets_one_pull_request(place: Place) -> None:
    place.service.protect("acme/shop", "main")
    place.shop.replace("Hello, shop", "Good morning")
    place.shop.devstream("run", "--yes")
    place.shop.devstream("run", "--yes")
    proposal = place.proposal("repo-scaffolding.shop")
    assert proposal is not None
    assert proposal.state is ProposalState.OPEN
    assert proposal.number == 1
    assert "Good morning" in place.shop.show("service.py", branch="devstream/repo-scaffolding.shop")
    assert "Good morning" not in place.shop.show("service.py")
    assert place.shop.plan() == {}
    place.hosting.merge(place.location, proposal)
    assert "Good morning" in place.shop.show("service.py")
    assert place.hook.active
    place.shop.run()
    assert place.shop.plan() == {}


@pytest.mark.slow
def test_what_people_push_is_no_drift_and_stays(place: Place) -> None:
    place.shop.commit("NOTES.md", "ours\n")
    place.shop.commit("service.py", place.shop.show("service.py") + "# ours\n")
    assert place.shop.run() == {}
    place.shop.replace("Hello, shop", "Good morning")
    place.shop.run()
    text = place.shop.show("service.py")
    assert "Good morning" in text
    assert text.endswith("# ours\n")
    assert place.shop.show("NOTES.md") == "ours\n"
    assert place.shop.plan() == {}


@pytest.mark.slow
def test_a_repository_of_somebody_else_is_not_taken(empty: Place) -> None:
    empty.shop.run()
    empty.shop.forget_state()
    empty.kept.description = "somebody's own"
    ended = empty.shop.devstream("run", "--yes", code=4)
    assert "exists already and is not ours" in ended.err
    assert empty.shop.devstream("run", "--yes", code=4).err
    assert len(empty.shop.log()) == 2
