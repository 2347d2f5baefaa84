"""`RemoteForge`: repositories on a server. Git does what git can, the same for all; the rest is a service's `Hosting`."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from devstream.api import OperationCancelled, OperationError
from devstream_plugin_scm.access import Remote
from devstream_plugin_scm.forge import PROPOSALS, Delivery, Files, Mark, Order, Rendered, Repository
from devstream_plugin_scm.git_answers import (
    check_push,
    is_absent,
    is_protected,
    read_refs,
    refuses_references,
    unreachable,
)
from devstream_plugin_scm.hosting import ProposalState
from devstream_plugin_scm.repo_url import parse_repo_url
from devstream_plugin_scm.rest import attempts
from devstream_plugin_scm.workshop import HEADS, RENDERED_BRANCH, RENDERED_REF, commit_all, fetching

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from devstream.api import CompletedCommand, Context
    from devstream_plugin_scm.forge import Decide, File
    from devstream_plugin_scm.git_answers import Refs
    from devstream_plugin_scm.hosting import Hosted, Hosting
    from devstream_plugin_scm.repository import RepoInfo, TargetRepo
    from devstream_plugin_scm.workshop import Workshop

__all__ = ["RemoteForge", "open_remote", "git_url"]

_ATTEMPTS = 10
_PATIENCE = 20.0


def open_remote(repo: TargetRepo, context: Context) -> RemoteForge:
    """Give the forge of a repository on a server.

    Raises:
        OperationError: it cannot be talked to with what the options say.
    """
    return RemoteForge(context, repo, _hosting(repo, context))


def _hosting(repo: TargetRepo, context: Context) -> Hosting | None:
    match repo.scm_type:
        case "github":
            from devstream_plugin_scm.github import GitHub

            return GitHub(repo, context)
        case "gitlab":
            from devstream_plugin_scm.gitlab import GitLab

            return GitLab(repo, context)
        case "gitea":
            from devstream_plugin_scm.gitea import Gitea

            return Gitea(repo, context)
        case "bitbucket":
            from devstream_plugin_scm.bitbucket import open_bitbucket

            return open_bitbucket(repo, context)
        case _:
            return None


class RemoteForge:
    """Works on repositories of one server.

    A location is ``host[:port]/owner/name``; for ``scmType: git`` it is the URL, as written.

    Args:
        repo: says how the server is reached.
        hosting: the service's API; None where there is only git: then repositories exist already.
    """

    def __init__(self, context: Context, repo: RepoInfo, hosting: Hosting | None) -> None:
        self._context = context
        self._repo = repo
        self.hosting = hosting

    def locate(self, repo: RepoInfo) -> str:
        """Give the location of a repository by its options."""
        return self.hosting.locate(repo) if self.hosting else repo.url

    def describe(self, location: str) -> Repository | None:
        """Ask the service, then git, what is there."""
        hosted = self.hosting.find(location) if self.hosting else None
        if self.hosting and hosted is None:
            return None
        refs = self._refs(location, hosted)
        if refs is None:
            return None
        mark = Mark(hosted.id, hosted.address) if hosted else None
        return Repository(
            location=hosted.location if hosted else location,
            url=hosted.clone_url if hosted else location,
            default_branch=refs.default or (hosted.default_branch if hosted else ""),
            branches=refs.branches,
            mark=mark,
            rendered=Rendered(refs.rendered, refs.rendered) if refs.rendered else None,
            web_url=hosted.web_url if hosted else None,
            proposed=self._proposed(location, refs.branches),
            id=hosted.id if hosted else "",
            ssh_url=hosted.ssh_url if hosted else "",
        )

    def _proposed(self, location: str, branches: Mapping[str, str]) -> dict[str, str]:
        """Give our branches that are not merged: those that wait, and those that people declined."""
        found = {}
        for name, commit in branches.items():
            if name.startswith(PROPOSALS) and self.hosting is not None:
                proposal = self.hosting.proposal(location, name)
                if proposal is not None and proposal.state is not ProposalState.MERGED:
                    found[name] = commit
        return found

    def create(self, location: str, *, branch: str, mark: Mark, visibility: str = "") -> None:
        """Make an empty repository by the service's API; the first push gives it its branch."""
        hosting = self._service("made")
        hosted = hosting.create(location, mark=mark, visibility=visibility)
        refs = self._refs(location, hosted, patience=_PATIENCE)
        if hosted.address != mark.address or (refs and refs.branches):
            message = f"{hosted.web_url} exists already and is not ours"
            raise OperationError(message, suggestion="`adopt: true` takes it over")
        if hosted.default_branch != branch:
            self._context.log.debug(f"{hosted.location} calls its default branch {hosted.default_branch}")

    def move(self, location: str, target: str) -> None:
        """Rename or transfer a repository within its service."""
        if location.partition("/")[0] != target.partition("/")[0]:
            message = f"{location} cannot become {target}: that is another server"
            raise OperationError(
                message, suggestion="make a new one there, and push to it what you want to keep"
            )
        self._service("moved").move(location, target)

    def start_branch(self, location: str, branch: str, commit: str) -> None:
        """Push a branch that begins at a commit, and make it the default one."""
        with self._fetching(location) as workshop:
            workshop.fetch([commit], contents=False)
            check_push(workshop.push({HEADS + branch: commit}), location)
        if self.hosting:
            self.hosting.set_default_branch(location, branch)

    def delete(self, location: str) -> None:
        """Remove a repository by the service's API."""
        self._service("deleted").delete(location)

    def _service(self, what: str) -> Hosting:
        if self.hosting is None:
            message = f"a repository with scmType: git cannot be {what}: there is no service to ask"
            raise OperationError(
                message, suggestion="name the service: scmType: github, gitlab, gitea or bitbucket"
            )
        return self.hosting

    def listing(self, location: str, commit: str, paths: Sequence[str] = ()) -> Files:
        """Fetch a commit without the content of its files, and list these."""
        with self._fetching(location, digits=len(commit), reads=True) as workshop:
            workshop.fetch([commit], contents=False)
            return workshop.files(commit, paths)

    def publish(
        self,
        location: str,
        branch: str,
        message: str,
        decide: Decide,
        *,
        rendered: Mapping[str, File] | None = None,
        delivery: Delivery = Delivery.PUSH,
        proposal: str = "",
        explain: Callable[[], str] | None = None,
    ) -> str | None:
        """Make commits in a throw-away repository and push them; start again when somebody was faster.

        Where the branch is protected the commit goes to the branch ``proposal``, and a pull request asks for it.
        """
        order = Order(branch, branch, message, decide, rendered, explain)
        if delivery is Delivery.PULL_REQUEST:
            order = order._replace(target=proposal)
        for attempt in range(_ATTEMPTS):
            before = self._existing(location)
            if before.proposed.get(proposal):
                order = order._replace(target=proposal)  # people decide on what is there: it goes on there
            commit, refs, pushed = self._push(before, order)
            if pushed is None or self._arrived(pushed, location, refs):
                return commit
            if order.target == branch and proposal and is_protected(pushed):
                order = order._replace(target=proposal)
            elif self._existing(location) == before:
                check_push(pushed, location)
            else:
                self._give_way(attempt)
        message = f"{location}: others pushed to {branch} all the time; nothing was pushed"
        raise OperationError(message)

    def _push(
        self, before: Repository, order: Order
    ) -> tuple[str | None, dict[str, str], CompletedCommand | None]:
        """Make the commits and push them; give the one with the changes, the references, what git said."""
        head = before.proposed.get(order.target) or before.branches.get(order.branch)
        base = before.rendered.commit if before.rendered else None
        known = [commit for commit in (head, base) if commit]
        with self._fetching(before.location, digits=len(known[0]) if known else 40) as workshop:
            workshop.fetch(known)
            files = workshop.files(head) if head else Files({}, _nothing)
            changes = order.decide(files, workshop.files(base) if base else None)
            if not changes and order.rendered is None:
                return None, {}, None
            commit, refs = commit_all(
                workshop, before, head, order.text, changes=changes, rendered=order.rendered
            )
            ours = {_reference(before, order): commit} if commit else {}
            if order.target == order.branch:
                refs |= ours
            elif ours or (refs and order.target in before.proposed):
                refused = self._push_proposal(workshop, before, order, ours)
                if refused:
                    return commit, {}, refused
            return commit, refs, self._send(workshop, before, refs)

    def _push_proposal(
        self, workshop: Workshop, before: Repository, order: Order, ours: Mapping[str, str]
    ) -> CompletedCommand | None:
        """Push a branch of ours and open its pull request; give what git said, where that was no success.

        What a template was rendered to goes after it: while it is not there, a run that comes after one that died
        sees the template's changes again, and proposes them.
        """
        pushed = workshop.push(ours) if ours else None
        if pushed is not None and pushed.returncode != 0:
            return pushed
        self._propose(before.location, order)
        return None

    def _send(self, workshop: Workshop, before: Repository, refs: dict[str, str]) -> CompletedCommand | None:
        """Push references, where there are any; by a branch what a server takes only as one."""
        pushed = workshop.push(refs) if refs else None
        if pushed is not None and refuses_references(pushed):
            self._context.log.info(f"{before.location} takes nothing but branches: using {RENDERED_BRANCH}")
            refs[f"{HEADS}{RENDERED_BRANCH}"] = refs.pop(RENDERED_REF)
            pushed = workshop.push(refs)
        return pushed

    def _propose(self, location: str, order: Order) -> None:
        if self.hosting is None:
            self._context.log.warning(f"pushed to the branch {order.target}: merge it into {order.branch}")
            return
        proposal = self.hosting.propose(
            location, branch=order.target, base=order.branch, title=order.message, body=order.body
        )
        self._context.log.warning(f"waits for review: {proposal.url}")

    def withdraw(self, location: str, proposal: str) -> None:
        """Decline what is open, then push the removal of the branch."""
        asked = self.hosting.proposal(location, proposal) if self.hosting else None
        if self.hosting and asked and asked.state is ProposalState.OPEN:
            self.hosting.decline(location, asked)
        commit = self._existing(location).branches.get(proposal)
        if commit is None:
            return
        with self._fetching(location, digits=len(commit)) as workshop:
            pushed = workshop.push({HEADS + proposal: ""})
        if pushed.returncode != 0 and proposal in self._existing(location).branches:
            check_push(pushed, location)

    def _existing(self, location: str) -> Repository:
        found = self.describe(location)
        if found is None:
            message = f"there is no repository {location}"
            raise OperationError(message, suggestion="repo-scaffolding makes one: let this tool depend on it")
        return found

    def _arrived(self, pushed: CompletedCommand, location: str, refs: Mapping[str, str]) -> bool:
        """Tell whether a push did its work; an answer that was lost looks like a failure."""
        if pushed.returncode == 0:
            return True
        heads = {ref.lstrip("+").removeprefix(HEADS): at for ref, at in refs.items() if HEADS in ref}
        heads.pop(RENDERED_BRANCH, None)  # it is not listed among the branches
        after = self._existing(location).branches
        return bool(heads) and all(after.get(name) == commit for name, commit in heads.items())

    def _give_way(self, attempt: int) -> None:
        if self._context.cancelled:
            message = "the run is being stopped"
            raise OperationCancelled(message)
        time.sleep(random.uniform(0.02, 0.1) * (attempt + 1))  # noqa: S311 - only spreads rivals

    # ---- git on the wire

    def _fetching(
        self, location: str, *, digits: int = 40, reads: bool = False
    ) -> AbstractContextManager[Workshop]:
        return fetching(self._context, self._remote(location), digits=digits, reads=reads)

    def _remote(self, location: str, hosted: Hosted | None = None) -> Remote:
        """Say how git reaches a repository: as the options write it, where they give an ssh URL."""
        repo = self._repo
        ssh = repo.url if repo.url and parse_repo_url(repo.url).scheme == "ssh" else ""
        url = ssh or (git_url(hosted, repo) if hosted else self._clone_url(location))
        folder = self._context.folder
        return Remote(
            url,
            login=self.hosting.login() if self.hosting else repo.plain_login(),
            ssh_key=repo.ssh_private_key,
            known_hosts=folder / repo.known_hosts if repo.known_hosts else None,
            ca_file=folder / repo.ca_file if repo.ca_file else None,
            allow_http=repo.allow_http,
        )

    def _clone_url(self, location: str) -> str:
        if self.hosting is None:
            return location
        hosted = self.hosting.find(location)
        if hosted is None:
            message = f"there is no repository {location}"
            raise OperationError(message)
        return git_url(hosted, self._repo)

    def _refs(self, location: str, hosted: Hosted | None, *, patience: float = 0.0) -> Refs | None:
        """List references with git; None where there is no such repository.

        Args:
            patience: seconds that a new repository, which git may hear of later than its service, is waited for.
        """
        for last in attempts(self._context, patience):
            with fetching(self._context, self._remote(location, hosted), reads=True) as workshop:
                listed = workshop.remote_refs(("HEAD", f"{HEADS}*", RENDERED_REF))
            if listed.returncode == 0:
                return read_refs(listed.stdout)
            if last or not is_absent(listed):
                break
        if is_absent(listed) and not self.hosting:
            return None
        raise unreachable(listed, location)


def git_url(hosted: Hosted, repo: RepoInfo) -> str:
    """Give where git finds a repository: on a host that users named, for there git shows the token.

    Raises:
        OperationError: its service says that it is somewhere else.
    """
    parts = urlsplit(hosted.clone_url)
    named = hosted.location.partition("/")[0]
    known = {_host(named), _host(urlsplit(repo.api_url).netloc)}
    if parts.scheme in {"http", "https"} and _host(parts.netloc) not in known:
        message = f"{named} says that git finds {hosted.web_url} on {parts.netloc}, which nobody named here"
        hint = f"if that is right: baseURL: {parts.scheme}://{parts.netloc}, and apiURL: what it is now"
        raise OperationError(message, suggestion=hint)
    return hosted.clone_url


def _host(netloc: str) -> str:
    return netloc.casefold().removesuffix(":443").removesuffix(":80")


def _reference(before: Repository, order: Order) -> str:
    """Name what a commit is pushed to; a proposal that is over is replaced, one that people work on is not."""
    over = order.target in before.branches and order.target not in before.proposed
    force = "+" if over and order.target != order.branch else ""
    return f"{force}{HEADS}{order.target}"


def _nothing(blob: str) -> bytes:
    message = f"{blob} is in no file"
    raise OperationError(message)
