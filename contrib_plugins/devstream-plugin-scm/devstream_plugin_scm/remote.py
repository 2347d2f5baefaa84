"""`RemoteForge`: repositories on a server. Git does what git can, the same for all; the rest is a service's `Hosting`."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, NamedTuple

from devstream.api import OperationCancelled, OperationError
from devstream_plugin_scm.access import Remote
from devstream_plugin_scm.forge import PROPOSALS, Delivery, Files, Mark, Order, Rendered, Repository
from devstream_plugin_scm.hosting import ProposalState
from devstream_plugin_scm.repo_url import parse_repo_url
from devstream_plugin_scm.workshop import HEADS, RENDERED_BRANCH, RENDERED_REF, commit_all, fetching

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from devstream.api import CompletedCommand, Context
    from devstream_plugin_scm.forge import Decide, File
    from devstream_plugin_scm.hosting import Hosted, Hosting
    from devstream_plugin_scm.repository import RepoInfo, TargetRepo
    from devstream_plugin_scm.workshop import Workshop

__all__ = ["RemoteForge", "open_remote"]

_ATTEMPTS = 10
_PROTECTED = (
    "protected branch",
    "GH006",
    "GH013",
    "not allowed to push",
    "pre-receive hook declined",
    "prohibited",
)
"""What services say when a branch does not take pushes."""
_PUSH_HINTS = {
    "create or update workflow": "give the token the scope `workflow` (fine-grained: Workflows: write)",
    "archived": "the repository is archived: unarchive it in its settings, or leave it alone",
}
"""What would be right, by what services say to other pushes that they refuse."""
_ABSENT = ("not found", "does not exist", "does not appear to be a git repository", "could not be found")
_STRANGER = ("host key verification failed", "certificate verification failed", "certificate problem")
"""What git and ssh say of a server that cannot prove who it is."""
_REFUSED = ("authentication failed", "could not read username", "permission denied", "403", "401")


class _Refs(NamedTuple):
    """What a server's repository has.

    Attributes:
        default: the branch that HEAD names; empty where it names none that exists.
    """

    default: str
    branches: Mapping[str, str]
    rendered: str | None


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
        refs = self._refs(location, hosted)
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
            _check_push(workshop.push({HEADS + branch: commit}), location)
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
    ) -> str | None:
        """Make commits in a throw-away repository and push them; start again when somebody was faster.

        Where the branch is protected the commit goes to the branch ``proposal``, and a pull request asks for it.
        """
        order = Order(branch, branch, message, decide, rendered)
        if delivery is Delivery.PULL_REQUEST:
            order = order._replace(target=proposal)
        for attempt in range(_ATTEMPTS):
            before = self._existing(location)
            if before.proposed.get(proposal):
                order = order._replace(target=proposal)  # people decide on what is there: it goes on there
            commit, refs, pushed = self._push(before, order)
            if pushed is None or self._arrived(pushed, location, refs):
                if commit and order.target != branch:
                    self._propose(before.location, order)
                return commit
            if order.target == branch and proposal and _says(pushed, _PROTECTED):
                order = order._replace(target=proposal)
            elif self._existing(location) == before:
                _check_push(pushed, location)
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
                workshop, before, head, order.message, changes=changes, rendered=order.rendered
            )
            if commit:
                refs[_reference(before, order)] = commit
            pushed = workshop.push(refs) if refs else None
            if pushed is not None and _refuses_references(pushed):
                self._context.log.info(
                    f"{before.location} takes nothing but branches: using {RENDERED_BRANCH}"
                )
                refs[f"{HEADS}{RENDERED_BRANCH}"] = refs.pop(RENDERED_REF)
                pushed = workshop.push(refs)
            return commit, refs, pushed

    def _propose(self, location: str, order: Order) -> None:
        if self.hosting is None:
            self._context.log.warning(f"pushed to the branch {order.target}: merge it into {order.branch}")
            return
        title, _, body = order.message.partition("\n")
        proposal = self.hosting.propose(
            location, branch=order.target, base=order.branch, title=title, body=body.strip()
        )
        self._context.log.warning(f"waits for review: {proposal.url}")

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
        url = ssh or (hosted.clone_url if hosted else self._clone_url(location))
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
        return hosted.clone_url

    def _refs(self, location: str, hosted: Hosted | None) -> _Refs | None:
        """List references with git; None where there is no such repository."""
        with fetching(self._context, self._remote(location, hosted), reads=True) as workshop:
            listed = workshop.remote_refs(("HEAD", f"{HEADS}*", RENDERED_REF))
        if listed.returncode == 0:
            return _parse(listed.stdout)
        if _says(listed, _ABSENT) and not self.hosting:
            return None
        stranger, refused = _says(listed, _STRANGER), _says(listed, _REFUSED)
        message = f"git cannot {'trust' if stranger else 'log in to' if refused else 'reach'} {location}"
        hint = "check the token or key, and that it may read the repository" if refused else ""
        if stranger:
            hint = "caFile names the certificates, knownHosts the file with the host's key, if it is who you think"
        raise OperationError(message, detail=listed.stderr.strip()[-2000:], suggestion=hint)


def _reference(before: Repository, order: Order) -> str:
    """Name what a commit is pushed to; a proposal that is over is replaced, one that people work on is not."""
    over = order.target in before.branches and order.target not in before.proposed
    force = "+" if over and order.target != order.branch else ""
    return f"{force}{HEADS}{order.target}"


def _check_push(pushed: CompletedCommand, location: str) -> None:
    if pushed.returncode != 0:
        reason = "\n".join(pushed.stderr.strip().splitlines()[-20:])
        message = f"git push to {location} was refused"
        hint = next((hint for words, hint in _PUSH_HINTS.items() if _says(pushed, (words,))), "")
        raise OperationError(message, detail=reason, suggestion=hint)


def _refuses_references(pushed: CompletedCommand) -> bool:
    """Tell whether a server takes no reference beside its branches and tags: it hides ours, or its hook names it."""
    said = [line for line in pushed.stderr.splitlines() if RENDERED_REF in line]
    return any("hidden ref" in line or line.startswith("remote:") for line in said)


def _says(done: CompletedCommand, words: Sequence[str]) -> bool:
    said = done.stderr.casefold()
    return any(word.casefold() in said for word in words)


def _parse(listed: str) -> _Refs:
    """Read ``git ls-remote --symref``."""
    default, rendered = "", None
    branches: dict[str, str] = {}
    for line in listed.splitlines():
        value, _, name = line.partition("\t")
        if value.startswith("ref: ") and name == "HEAD":
            default = value.removeprefix("ref: ").removeprefix(HEADS)
        elif name.startswith(HEADS):
            branches[name.removeprefix(HEADS)] = value
        elif name == RENDERED_REF:
            rendered = value
    beside = branches.pop(RENDERED_BRANCH, None)
    return _Refs(default, branches, rendered or beside)


def _nothing(blob: str) -> bytes:
    message = f"{blob} is in no file"
    raise OperationError(message)
