"""Templates in git repositories: a name resolved to a commit, and the files of a commit, byte for byte."""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from devstream.api import OperationError
from devstream_plugin_scm.access import Remote
from devstream_plugin_scm.archives import MAX_ARCHIVE, read_archive
from devstream_plugin_scm.git import Git
from devstream_plugin_scm.repo_url import parse_repo_url
from devstream_plugin_scm.sources import MAX_FILES, MAX_TREE
from devstream_plugin_scm.workshop import Workshop, fetching, own_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.api import CompletedCommand, Context
    from devstream_plugin_scm.hosting import Login
    from devstream_plugin_scm.repository import RepoInfo, TargetRepo
    from devstream_plugin_scm.sources import Tree

__all__ = ["GitSource", "is_commit", "newest_version", "remote_of"]

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_VERSION = re.compile(r"v?(\d{1,9})\.(\d{1,9})(?:\.(\d{1,9}))?")
_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_ATTRIBUTES = "* -export-ignore -export-subst -text -ident -filter -working-tree-encoding\n"
"""What a repository says about its files changes nothing of them."""
_SERVICES = {
    "github": "https://github.com",
    "gitlab": "https://gitlab.com",
    "gitea": "https://gitea.com",
    "bitbucket": "https://bitbucket.org",
}


def is_commit(text: str) -> bool:
    """Tell whether a text is the whole id of a commit."""
    return _COMMIT.fullmatch(text) is not None


class GitSource(NamedTuple):
    """A repository with templates: ``place`` is a folder on this machine, or how a server is reached."""

    context: Context
    place: Path | Remote

    @property
    def url(self) -> str:
        """What messages call it."""
        return str(self.place) if isinstance(self.place, Path) else self.place.url

    def resolve(self, *, branch: str, version: str) -> str:
        """Give the commit that a tag or a branch names now; of neither, the one that HEAD names.

        Raises:
            OperationError: there is no such tag or branch, or the repository cannot be reached.
        """
        if is_commit(version):
            return version
        if version:
            refs = self._refs(f"{_TAGS}{version}", f"{_TAGS}{version}^{{}}")
            found = refs.get(f"{_TAGS}{version}^{{}}") or refs.get(f"{_TAGS}{version}")
            what = f"no tag {version}"
        else:
            name = f"{_HEADS}{branch}" if branch else "HEAD"
            found, what = self._refs(name).get(name), f"no branch {branch}" if branch else "nothing"
        if found is None:
            hint = "version: a tag, or the whole id of a commit; branch: a branch"
            raise OperationError(f"there is {what} in {self.url}", suggestion=hint)
        return found

    def tags(self) -> Mapping[str, str]:
        """Give the commits of all tags, by tag."""
        refs = self._refs(f"{_TAGS}*")
        names = (name for name in refs if not name.endswith("^{}"))
        return {name.removeprefix(_TAGS): refs.get(f"{name}^{{}}", refs[name]) for name in names}

    def tree(self, commit: str, path: str) -> Tree:
        """Give the files of a commit, or of the folder ``path`` in it.

        Raises:
            OperationError: it is not there any more, or holds what has no place in a template (links, submodules).
        """
        with self._open(len(commit)) as workshop:
            try:
                workshop.fetch([commit])
            except OperationError as error:
                message = f"the template's commit {commit[:10]} cannot be fetched from {self.url}"
                hint = "has the repository been moved or its history rewritten? `version` or `branch` names another"
                raise OperationError(message, detail=error.diagnostic.detail, suggestion=hint) from error
            return _files(Git(self.context, workshop.path), workshop.path, f"{commit}:{path}", self.url)

    def _refs(self, *patterns: str) -> dict[str, str]:
        with self._open(40) as workshop:
            listed = workshop.remote_refs(patterns)
        if listed.returncode != 0:
            raise _unreachable(self.url, listed)
        lines = (line.partition("\t") for line in listed.stdout.splitlines() if not line.startswith("ref:"))
        return {name: commit for commit, _, name in lines}

    @contextmanager
    def _open(self, digits: int) -> Iterator[Workshop]:
        if isinstance(self.place, Path):
            with own_folder() as folder:
                yield Workshop(self.context, str(self.place), folder, digits=digits, reads=True)
        else:
            with fetching(self.context, self.place, digits=digits, reads=True) as workshop:
                yield workshop


def _unreachable(url: str, listed: CompletedCommand) -> OperationError:
    said = listed.stderr.strip()[-2000:]
    words = said.casefold()
    hint = "is the url right, and may the token or key read it?"
    if "301" in words or "302" in words or "redirect" in words:
        hint = "it is somewhere else now: write the new url"
    elif "certificate" in words or "ssl" in words:
        hint = "nobody vouches for its certificate: caFile names an authority of your own"
    return OperationError(f"the template's repository {url} cannot be read", detail=said, suggestion=hint)


def _files(git: Git, folder: Path, tree: str, url: str) -> Tree:
    """Read files by way of an archive that git writes, so that all of an archive's rules hold for them too."""
    listed = git.read("ls-tree", "-r", "-l", "-z", "--full-tree", tree, check=False)
    if listed.returncode != 0:
        path = tree.partition(":")[2]
        raise OperationError(f"there is no folder {path!r} in the template {url}")
    _check_listing(listed.stdout, url)
    attributes = folder / "info" / "attributes"
    attributes.parent.mkdir(exist_ok=True)
    attributes.write_text(_ATTRIBUTES, encoding="ascii")
    packed = folder / "packed.tar"
    git.read("archive", "--format=tar", f"--output={packed}", tree)
    if packed.stat().st_size > 2 * MAX_ARCHIVE:
        raise _too_much(url)
    return read_archive(packed.read_bytes(), url, whole=True)


def _check_listing(listed: str, url: str) -> None:
    size = count = 0
    for line in filter(None, listed.split("\0")):
        facts, _, path = line.partition("\t")
        mode, _, _, length = facts.split()
        if mode in {"120000", "160000"}:
            what = "a link" if mode == "120000" else "a submodule"
            raise OperationError(f"{url}: {path[:200]!r} is {what}, which a template cannot have")
        size, count = size + int(length), count + 1
    if size > MAX_TREE or count > MAX_FILES:
        raise _too_much(url)


def _too_much(url: str) -> OperationError:
    return OperationError(f"{url} holds more than {MAX_FILES} files or {MAX_TREE} bytes")


def remote_of(repo: RepoInfo, context: Context, *, url: str = "") -> Remote:
    """Say how the repository of a template is reached.

    Args:
        url: where it is, if it is known better than from the options.
    """
    url = url or _clone_url(repo)
    return Remote(
        url,
        login=_login(repo, context),
        ssh_key=repo.ssh_private_key,
        known_hosts=context.folder / repo.known_hosts if repo.known_hosts else None,
        ca_file=context.folder / repo.ca_file if repo.ca_file else None,
        allow_http=repo.allow_http,
    )


def _clone_url(repo: RepoInfo) -> str:
    if not repo.url:
        service = repo.base_url.rstrip("/") or _SERVICES.get(repo.scm_type, "")
        return f"{service}/{repo.namespace}/{repo.short_name}.git"
    parsed = parse_repo_url(repo.url)
    if parsed.scheme == "ssh":
        return repo.url
    # GitLab sends a URL without .git on to one with it, and no redirect is followed.
    ending = ".git" if repo.scm_type in _SERVICES or repo.url.rstrip("/").endswith(".git") else ""
    return f"{parsed.scheme}://{parsed.address}/{'/'.join(parsed.path)}{ending}"


def _login(repo: RepoInfo, context: Context) -> Login | None:
    if repo.token is None:
        return None
    if not repo.user and repo.scm_type in _SERVICES:
        from devstream_plugin_scm.remote import open_remote

        hosting = open_remote(cast("TargetRepo", repo), context).hosting
        if hosting is not None:
            return hosting.login()
    return repo.plain_login()


def newest_version(version: str, tags: Mapping[str, str]) -> str:
    """Give the highest release among tags, where ``version`` is a release too; else ``version`` itself.

    >>> newest_version("v1.2.0", {"v1.10.0": "", "v1.9.9": "", "v2.0.0-rc1": "", "latest": ""})
    'v1.10.0'
    """
    current = _numbers(version)
    if current is None:
        return version
    releases = {numbers: tag for tag in tags if (numbers := _numbers(tag)) is not None}
    highest = max(releases, default=current)
    return releases[highest] if highest > current else version


def _numbers(version: str) -> tuple[int, ...] | None:
    found = _VERSION.fullmatch(version)
    return tuple(int(part or 0) for part in found.groups()) if found else None
