"""Merge requests of a GitLab project. GitLab finds out later whether one can be merged: it is waited for."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from devstream.api import OperationError
from devstream_plugin_scm.hosting import Proposal, ProposalState
from devstream_plugin_scm.rest import RestError

if TYPE_CHECKING:
    from gitlab.v4.objects import Project, ProjectMergeRequest

    from devstream_plugin_scm.gitlab_api import GitLabAPI

__all__ = ["newest", "propose", "merge"]

_STATES = {
    "opened": ProposalState.OPEN,
    "locked": ProposalState.OPEN,
    "merged": ProposalState.MERGED,
    "closed": ProposalState.CLOSED,
}
_READY = ("mergeable", "can_be_merged")
_UNDECIDED = ("unchecked", "checking", "preparing", "approvals_syncing", "cannot_be_merged_recheck")
_OBSTACLES = {
    "conflict": "it conflicts with {base}",
    "cannot_be_merged": "it conflicts with {base}",
    "draft_status": "it is a draft",
    "ci_must_pass": "its pipeline has to succeed first",
    "ci_still_running": "its pipeline is still running",
    "not_approved": "people have to approve it first",
    "requested_changes": "people asked for changes",
    "discussions_not_resolved": "its discussions have to be resolved first",
    "need_rebase": "it has to be rebased onto {base} first",
    "commits_status": "its branch is gone, or has no commits",
}
_NOT_YET = (405, 406, 409, 422)
_LONGEST_TITLE = 255


def newest(project: Project, branch: str, **filters: str) -> Proposal | None:
    """Find the newest merge request from a branch of the project itself: an open one first."""
    wanted: dict[str, Any] = {"source_branch": branch, "state": "all", **filters}
    found = [
        request
        for request in project.mergerequests.list(get_all=True, **wanted)
        if request.source_project_id == project.id
    ]
    if not found:
        return None
    return _proposal(max(found, key=lambda request: (request.state in {"opened", "locked"}, request.iid)))


def _proposal(request: ProjectMergeRequest) -> Proposal:
    return Proposal(
        request.iid, request.web_url, request.source_branch, request.target_branch, _STATES[request.state]
    )


def propose(project: Project, *, branch: str, base: str, title: str, body: str) -> Proposal:
    """Open a merge request, or give back the one that is open; its branch goes when it is merged."""
    wanted = {
        "source_branch": branch,
        "target_branch": base,
        "title": title[:_LONGEST_TITLE],
        "description": body,
        "remove_source_branch": True,
    }
    try:
        return _proposal(project.mergerequests.create(wanted))
    except RestError as error:
        known = error.status == 409 or error.unsettled
        there = newest(project, branch, state="opened", target_branch=base) if known else None
        if there is None:
            raise
        return there


def merge(project: Project, proposal: Proposal, api: GitLabAPI, patience: float) -> None:
    """Merge a merge request, once GitLab knows that it can be.

    Args:
        patience: seconds to wait for that.

    Raises:
        OperationError: something stands in the way.
    """
    until = time.monotonic() + patience
    while True:
        request = project.mergerequests.get(proposal.number)
        refused = _attempt(request)
        if request.state == "merged":
            return
        if time.monotonic() > until:
            message = f"GitLab did not merge {request.web_url} within {patience:.0f} s"
            raise refused or OperationError(message, suggestion="merge it there, or run again")
        api.pause()


def _attempt(request: ProjectMergeRequest) -> RestError | None:
    """Merge if it may be tried; give what GitLab refuses for now."""
    if request.state == "closed":
        message = f"{request.web_url} was closed"
        raise OperationError(message, suggestion="reopen it, or run again for a new one")
    if request.state != "opened" or not _is_ready(request):
        return None
    try:
        request.merge()
    except RestError as error:
        if error.status not in _NOT_YET and not error.unsettled:
            raise
        return error
    return None


def _is_ready(request: ProjectMergeRequest) -> bool:
    """Tell whether it can be merged; False where that is not known yet."""
    known = request.attributes
    status = known.get("detailed_merge_status") or known.get("merge_status") or ""
    if status in _READY:
        return True
    if status in _UNDECIDED:
        return False
    obstacle = _OBSTACLES.get(status, status.replace("_", " ")).format(base=request.target_branch)
    message = f"{request.web_url} cannot be merged: {obstacle}"
    raise OperationError(message)
