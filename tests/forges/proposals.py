"""What it takes to have both tools of an app propose their changes, and how that has to look."""

from __future__ import annotations

from typing import TYPE_CHECKING

from devstream_plugin_scm.hosting import ProposalState

if TYPE_CHECKING:
    from tests.forges.forges import Place

__all__ = ["propose", "check_proposals"]

TEMPLATE = "url: builtin:python-http"


def propose(place: Place) -> None:
    """Protect the branch, and want something else of both tools: one is to ask, the other one has to."""
    place.service.protect("acme/shop", "main")
    place.shop.replace(TEMPLATE, f"{TEMPLATE}\n      update: pull-request")
    place.shop.replace("Hello, shop", "Good morning")
    place.shop.replace("echo one", "echo two")


def check_proposals(place: Place) -> None:
    """Make sure that there is one open pull request of each tool, and nothing to do; then merge them."""
    shop = place.shop
    proposals = [place.proposal(address) for address in place.addresses]
    assert sorted(proposal.number for proposal in proposals if proposal) == [1, 2]
    for proposal in proposals:
        assert proposal is not None
        assert proposal.state is ProposalState.OPEN
        assert shop.ask("rev-list", "--count", f"main..{proposal.branch}").strip() == "1"
    assert set(shop.branches()) - {"devstream-rendered"} == {
        "main",
        *(one.branch for one in proposals if one),
    }
    assert len(shop.log()) == 2
    assert place.names == ["acme/shop"]
    assert place.hook.active
    assert shop.plan() == {}
    for proposal in proposals:
        assert proposal is not None
        place.hosting.merge(place.location, proposal)
    shop.run()
    assert "Good morning" in shop.show("service.py")
    assert "echo two" in shop.show(place.forge.pipeline)
    merged = [place.proposal(address) for address in place.addresses]
    assert [one and (one.number, one.state.value) for one in merged] == [
        one and (one.number, "merged") for one in proposals
    ]
