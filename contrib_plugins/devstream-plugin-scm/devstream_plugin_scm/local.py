"""`LocalForge`: bare git repositories in a folder (``scmType: local``)."""

from __future__ import annotations

import random
import shutil
import time
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote

from devstream.api import OperationCancelled, OperationError
from devstream_plugin_scm.forge import PROPOSALS, Delivery, Files, Mark, Order, Rendered, Repository
from devstream_plugin_scm.git import Git
from devstream_plugin_scm.workshop import HEADS, RENDERED_REF, borrowing, commit_all, parse_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from devstream.api import CompletedCommand, Context
    from devstream_plugin_scm.forge import Decide, File
    from devstream_plugin_scm.repository import RepoInfo
    from devstream_plugin_scm.workshop import Workshop

__all__ = ["LocalForge", "DEFAULT_FOLDER"]

DEFAULT_FOLDER = "repos"
_ATTEMPTS = 20
_PATIENCE = 3
_FORMAT = f"%(refname)%00%(objectname)%00%(if:equals={RENDERED_REF})%(refname)%(then)%(tree)%(end)"
_SKELETON = frozenset({"HEAD", "config", "objects", "refs"})
"""Without these git takes a folder for no repository; a removal leaves them to the last."""


class LocalForge:
    """Keeps bare repositories in folders; pushes to them as people do, so that their hooks run.

    A location is a path ending in ``.git``, relative to the configuration's folder or absolute, as written.
    """

    hosting = None

    def __init__(self, context: Context) -> None:
        self._context = context

    def locate(self, repo: RepoInfo) -> str:
        """Give the path of a repository: its url, or ``<baseURL>/<owner>/<name>.git``."""
        if repo.url.startswith("file://"):
            return unquote(repo.url.removeprefix("file://"))
        if repo.url:
            return str(PurePosixPath(repo.url))
        folder = PurePosixPath(repo.base_url.removeprefix("file://") or DEFAULT_FOLDER)
        return str(folder / repo.namespace / f"{repo.name}.git")

    def path(self, location: str) -> Path:
        """Give the absolute path of a location."""
        return self._context.folder / location

    def describe(self, location: str) -> Repository | None:
        """Read the repository's configuration and references."""
        path = self.path(location)
        if not _is_repository(path):
            return None
        git = Git(self._context, path)
        refs, rendered = _parse_refs(
            git.read("for-each-ref", f"--format={_FORMAT}", HEADS, RENDERED_REF).stdout
        )
        default = _default_branch(path)
        return Repository(
            location=location,
            url=str(path),
            default_branch=default,
            branches=refs,
            proposed=_proposed(git, refs, default),
            mark=_mark(git.read("config", "--null", "--get-regexp", r"^devstream\.", check=False).stdout),
            rendered=rendered,
        )

    def create(self, location: str, *, branch: str, mark: Mark, visibility: str = "") -> None:  # noqa: ARG002 - a folder is as visible as it is
        """Make a bare repository beside its place and move it there whole, so that it is never half made."""
        found = self.describe(location)
        if found is not None:
            return _check_ours_and_empty(found, mark)
        path = self.path(location)
        making = path.with_name(f".{path.name}.new")
        with _plain_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(making, ignore_errors=True)
            git = Git(self._context, making)
            git.write("init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}")
            with (making / "config").open("a", encoding="utf-8") as config:
                config.write(_configuration(mark))
            making.rename(path)
        return None

    def move(self, location: str, target: str) -> None:
        """Rename the repository's folder."""
        source, path = self.path(location), self.path(target)
        if _is_repository(path):
            message = f"{source} cannot become {path}: that exists already"
            raise OperationError(message)
        with _plain_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            source.rename(path)

    def start_branch(self, location: str, branch: str, commit: str) -> None:
        """Make a reference where there is none, and point HEAD to it."""
        git = Git(self._context, self.path(location))
        there = git.read("rev-parse", "--quiet", "--verify", f"{HEADS}{branch}", check=False)
        if there.returncode != 0:
            git.write("update-ref", f"{HEADS}{branch}", commit, "")
        self._point_head(location, branch)

    def _point_head(self, location: str, branch: str) -> None:
        Git(self._context, self.path(location)).write("symbolic-ref", "HEAD", f"{HEADS}{branch}")

    def delete(self, location: str) -> None:
        """Remove the folder; what makes it a repository goes last, so that an interrupted removal is seen."""
        path = self.path(location)
        trash = path.with_name(f".{path.name}.deleted")
        with _plain_errors(path):
            shutil.rmtree(trash, ignore_errors=True)
            if not _is_repository(path):
                return
            (path / "packed-refs").unlink(missing_ok=True)
            for folder in (path / "refs", path, path / "objects"):
                _empty(folder, keep=_SKELETON if folder == path else frozenset())
            path.rename(trash)
            shutil.rmtree(trash)

    def listing(self, location: str, commit: str, paths: Sequence[str] = ()) -> Files:
        """Ask git for the files of a commit."""
        git = Git(self._context, self.path(location))
        listed = git.read("ls-tree", "-r", "-z", "--full-tree", commit, "--", *paths).stdout
        return Files(dict(parse_entry(line) for line in listed.split("\0") if line), _no_content)

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

        A folder has no pull requests: a proposal is a branch, for people to merge.
        """
        target = proposal if delivery is Delivery.PULL_REQUEST else branch
        order = Order(branch, target, message, decide, rendered, explain)
        for attempt in range(_ATTEMPTS):
            before = self._existing(location)
            with borrowing(self._context, self.path(location)) as workshop:
                commit, refs = _prepare(workshop, before, order)
                pushed = workshop.push(refs) if refs else None
            if pushed is None or self._arrived(pushed, location, refs):
                if commit and target != branch:
                    self._context.log.warning(f"pushed to the branch {target}: merge it into {branch}")
                return commit
            self._wait_or_fail(attempt, before, pushed)
        message = f"{location}: others pushed to {branch} all the time; nothing was pushed"
        raise OperationError(message)

    def withdraw(self, location: str, proposal: str) -> None:
        """Remove the branch; there are no pull requests."""
        Git(self._context, self.path(location)).write("update-ref", "-d", f"{HEADS}{proposal}")

    def _existing(self, location: str) -> Repository:
        found = self.describe(location)
        if found is None:
            message = f"there is no repository {self.path(location)}"
            raise OperationError(message, suggestion="repo-scaffolding makes one: let this tool depend on it")
        return found

    def _arrived(self, pushed: CompletedCommand, location: str, refs: Mapping[str, str]) -> bool:
        """Tell whether a push did its work; the exit status alone does not say (a hook may spoil it)."""
        if pushed.returncode == 0:
            return True
        after = self._existing(location).branches
        heads = {ref: commit for ref, commit in refs.items() if ref.startswith(HEADS)}
        return bool(heads) and all(after.get(ref.removeprefix(HEADS)) == heads[ref] for ref in heads)

    def _wait_or_fail(self, attempt: int, before: Repository, pushed: CompletedCommand) -> None:
        """Give way to whoever was faster; fail where nobody was and the push is refused all the same."""
        if attempt >= _PATIENCE and self.describe(before.location) == before:
            reason = "\n".join(pushed.stderr.strip().splitlines()[-20:])
            message = f"git push to {self.path(before.location)} was refused"
            raise OperationError(message, detail=reason)
        if self._context.cancelled:
            message = "the run is being stopped"
            raise OperationCancelled(message)
        time.sleep(random.uniform(0.005, 0.02) * (attempt + 1))  # noqa: S311 - only spreads rivals


def _prepare(workshop: Workshop, before: Repository, order: Order) -> tuple[str | None, dict[str, str]]:
    """Make the commits; give the one with the changes, and what to push, by reference."""
    head = before.proposed.get(order.target) or before.branches.get(order.branch)
    files = workshop.files(head) if head else Files({}, _no_content)
    base = workshop.files(before.rendered.commit) if before.rendered else None
    changes = order.decide(files, base)
    if not changes and order.rendered is None:
        return None, {}
    commit, refs = commit_all(workshop, before, head, order.text, changes=changes, rendered=order.rendered)
    return commit, {**refs, HEADS + order.target: commit} if commit else refs


def _proposed(git: Git, branches: Mapping[str, str], default: str) -> dict[str, str]:
    """Give the branches of ours that are not part of the default branch."""
    ours = {name: commit for name, commit in branches.items() if name.startswith(PROPOSALS)}
    if not ours or default not in branches:
        return ours
    listed = git.read(
        "branch", "--format=%(refname:short)", "--no-merged", default, "--list", f"{PROPOSALS}*"
    )
    return {name: ours[name] for name in listed.stdout.split() if name in ours}


def _no_content(blob: str) -> bytes:
    message = f"the content of {blob} was not fetched"
    raise OperationError(message)


def _is_repository(path: Path) -> bool:
    """Tell a bare repository from nothing (an empty folder is nothing too).

    Raises:
        OperationError: something else is there.
    """
    with _plain_errors(path):
        if (path / "HEAD").is_file() and (path / "objects").is_dir():
            return True
        if not path.exists() or (path.is_dir() and not any(path.iterdir())):
            return False
    message = f"{path} is there and is not a bare git repository"
    raise OperationError(message, suggestion="move it away, or choose another name or baseURL")


def _check_ours_and_empty(found: Repository, mark: Mark) -> None:
    if found.branches or found.mark is None or mark.address != found.mark.address:
        message = f"{found.url} exists already and is not ours"
        raise OperationError(message, suggestion="`adopt: true` takes it over")


def _configuration(mark: Mark) -> str:
    """Write what a repository of ours has in its configuration beside git's own."""
    return f"[receive]\n\tautogc = false\n[devstream]\n\tid = {mark.id}\n\taddress = {mark.address}\n"


def _default_branch(path: Path) -> str:
    with _plain_errors(path):
        return (
            (path / "HEAD")
            .read_text(encoding="utf-8", errors="replace")
            .strip()
            .removeprefix(f"ref: {HEADS}")
        )


def _parse_refs(output: str) -> tuple[dict[str, str], Rendered | None]:
    """Read for-each-ref's lines: heads by branch, and what was rendered last."""
    heads: dict[str, str] = {}
    rendered = None
    for line in output.splitlines():
        name, commit, tree = line.split("\0")
        if name == RENDERED_REF:
            rendered = Rendered(commit, tree)
        else:
            heads[name.removeprefix(HEADS)] = commit
    return heads, rendered


def _mark(output: str) -> Mark | None:
    """Read ``git config --null --get-regexp``: key, newline, value, NUL."""
    values = dict(entry.partition("\n")[::2] for entry in output.split("\0") if entry)
    mark = Mark(values.get("devstream.id", ""), values.get("devstream.address", ""))
    return mark if mark.id else None


def _empty(folder: Path, *, keep: frozenset[str]) -> None:
    """Remove what is in a folder, but for names to keep."""
    for child in list(folder.iterdir()) if folder.is_dir() else ():
        if child.name in keep:
            continue
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()


@contextmanager
def _plain_errors(path: Path) -> Iterator[None]:
    """Turn an error of the file system into one that names the path and the reason."""
    try:
        yield
    except OSError as error:
        message = f"{error.filename or path}: {error.strerror or error}"
        raise OperationError(message) from error
