"""Changes that are proposed, under faults: one pull request of each tool, and none is forgotten."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.forges.proposals import check_proposals, propose

if TYPE_CHECKING:
    from tests.forges.forges import Place


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["refused", "done"])
@pytest.mark.parametrize("status", [403, 422, 500, 0])
def test_a_pull_request_that_was_not_made_is_made_by_the_next_run(
    place: Place, status: int, after: bool
) -> None:
    propose(place)
    armed = place.service.fail("POST", place.forge.pulls, status=status, after=after)
    ended = place.shop.devstream("run", "--yes", code=None)
    assert armed.times == 0, "the fault was met"
    assert ended.code in (0, 4), ended.err
    place.shop.run()
    check_proposals(place)


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True], ids=["lost", "done"])
@pytest.mark.parametrize("status", [500, 0])
def test_a_push_of_a_proposal_that_went_wrong_is_made_good(place: Place, status: int, after: bool) -> None:
    propose(place)
    where = f"/{place.forge.path}.git/git-receive-pack"
    armed = place.service.fail("POST", where, status=status, after=after)
    place.shop.devstream("run", "--yes", code=None)
    assert armed.times == 0, "the fault was met"
    place.shop.run()
    check_proposals(place)
