"""Templates and their pins: what an app is made from stays the same until its options ask for another.

A pin names a commit (of an archive: its digest) and the digest of the files. It is recorded with the app. What is on
this machine, a folder or what this package ships, has no other version than the one that is there, and is followed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.api import OperationError
from devstream_plugin_scm.archives import MAX_ARCHIVE, read_archive
from devstream_plugin_scm.downloads import download, plain_url
from devstream_plugin_scm.git_sources import GitSource, is_commit, newest_version, remote_of
from devstream_plugin_scm.sources import digest_of, read_location
from devstream_plugin_scm.template_cache import TemplateCache, cache_folder
from devstream_plugin_scm.template_repo import TEMPLATES, Place, Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Context
    from devstream_plugin_scm.sources import Tree
    from devstream_plugin_scm.template_repo import TemplateRepo

__all__ = ["Pin", "Template", "Templates"]


class Pin(NamedTuple):
    """What a template is fixed to.

    Attributes:
        asked: what the options asked for when it was fixed (`TemplateRepo.asked`).
        version: the commit, or the digest of the archive; None for what has no versions.
        digest: of the files; None where they are not known.
    """

    url: str
    asked: str
    version: str | None = None
    digest: str | None = None

    @staticmethod
    def recorded(properties: Mapping[str, Any]) -> Pin | None:
        """Read a pin from recorded properties; None where there is none."""
        found = properties.get("template")
        if not isinstance(found, dict) or not isinstance(found.get("url"), str):
            return None
        texts = {name: found.get(name) for name in ("asked", "version", "digest")}
        version, digest = texts["version"], texts["digest"]
        return Pin(
            found["url"],
            str(texts["asked"] or ""),
            version if isinstance(version, str) else None,
            digest if isinstance(digest, str) else None,
        )


class Template(NamedTuple):
    """The files of a template, and what they are fixed to."""

    tree: Tree
    pin: Pin


class Templates:
    """Gives the template that a tool's options name.

    Args:
        known: the pin that is recorded.
    """

    def __init__(self, source: TemplateRepo, context: Context, known: Pin | None) -> None:
        self._source = source
        self._context = context
        self._cache = TemplateCache(cache_folder(), context.log)
        self._wanted = Pin(source.title, source.asked)
        self.known = known

    @property
    def is_trusted(self) -> bool:
        """True for a template that this package ships."""
        return self._source.place is Place.BUILTIN

    @property
    def is_current(self) -> bool:
        """True where the recorded pin is what the options ask for."""
        return (
            self.known is not None and self.known.version is not None and self.known[:2] == self._wanted[:2]
        )

    # ---- looking

    def look(self) -> Pin:
        """Say what a plan compares: what is recorded, or what is there now if that is followed.

        A template that has gone, or cannot be asked, is no drift: it is missed when it is needed.
        """
        fallback = self.known or self._wanted
        if self._source.policy is Policy.NONE and self.known:
            return self.known
        try:
            if not self._source.place.is_pinned:
                return self._wanted._replace(digest=digest_of(self._local()))
            if self.is_current and self._source.follow:
                version = self._resolved()
                return fallback if version == fallback.version else self._wanted._replace(version=version)
        except OperationError as error:
            self._context.log.info(f"the template was not looked at: {error}")
        return fallback

    def latest(self) -> dict[str, Any]:
        """Compare the pin with what the source has now: ``pinned``, ``latest`` and ``behind``.

        Raises:
            OperationError: the source cannot be asked.
        """
        pinned = self.known or self._wanted
        if self._source.place in {Place.GIT, Place.GIT_FOLDER}:
            now, latest = self._latest_commit()
            behind = now != pinned.version
            return {"url": pinned.url, "pinned": pinned.version, "latest": latest, "behind": behind}
        if self._source.place is Place.DOWNLOAD:
            now = download(self._context, self._source.download(self._context))[1]
            return {
                "url": pinned.url,
                "pinned": pinned.version,
                "latest": now,
                "behind": now != pinned.version,
            }
        now = digest_of(self._local())
        return {"url": pinned.url, "pinned": pinned.digest, "latest": now, "behind": now != pinned.digest}

    def _latest_commit(self) -> tuple[str, str]:
        """Give the commit that there is now, and what to write to get it."""
        source, git = self._source, self._git()
        if source.version and not is_commit(source.version):
            tags = git.tags()
            newest = newest_version(source.version, tags)
            if newest in tags:
                return tags[newest], newest if newest != source.version else tags[newest]
        commit = git.resolve(branch=source.branch, version="")
        return commit, commit

    # ---- getting

    def get(self) -> Template:
        """Give the template: at its pin where that is what the options ask for, else at what they name now.

        Raises:
            OperationError: it is not there, not what it was, or not fit to be a template.
        """
        place = self._source.place
        if place is Place.DOWNLOAD:
            return self._downloaded()
        if place.is_pinned:
            return self._checked_out()
        tree = self._local()
        return Template(tree, self._wanted._replace(digest=digest_of(tree)))

    def _local(self) -> Tree:
        source = self._source
        if source.place is Place.BUILTIN:
            return self._below(read_location(source.url, folder=self._context.folder, shipped=TEMPLATES))
        if source.place is Place.FOLDER:
            path = source.folder(self._context)
            return self._below(read_location(str(path), folder=path.parent, shipped=TEMPLATES))
        path = source.folder(self._context)
        try:
            with path.open("rb") as stream:
                data = stream.read(MAX_ARCHIVE + 1)
        except OSError as error:
            raise OperationError(f"{path} cannot be read: {error.strerror}") from error
        self._check_sha256(data)
        return self._below(read_archive(data, str(path)))

    def _check_sha256(self, data: bytes) -> None:
        import hashlib

        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        if len(data) > MAX_ARCHIVE or self._source.sha256 not in {"", digest}:
            said = (
                f"has the digest {digest}"
                if len(data) <= MAX_ARCHIVE
                else f"has more than {MAX_ARCHIVE} bytes"
            )
            message = f"{self._source.title} {said}"
            raise OperationError(
                message, suggestion="check where it comes from before you write another sha256"
            )

    def _below(self, tree: Tree) -> Tree:
        """Give the part of a tree that the template is in."""
        path = self._source.path
        if not path:
            return tree
        found = {name[len(path) + 1 :]: file for name, file in tree.items() if name.startswith(f"{path}/")}
        if not found:
            raise OperationError(f"there is no folder {path!r} in the template {self._source.title}")
        return found

    def _downloaded(self) -> Template:
        source = self._source
        version = self.known.version if self.is_current and self.known else source.sha256 or None
        kept = self._kept(version)
        if kept is not None:
            return kept
        data, digest = download(self._context, source.download(self._context))
        if version not in {None, digest}:
            message = f"{plain_url(source.url)} has changed: it was {version}, and is {digest} now"
            raise OperationError(message, suggestion=f"look at it, then take it: sha256: {digest[7:]}")
        return self._keep(self._below(read_archive(data, plain_url(source.url))), digest)

    def _checked_out(self) -> Template:
        source, version = self._source, None
        if self.is_current and self.known:
            version = self.known.version if not source.follow else self._followed()
        version = version or self._resolved()
        kept = self._kept(version)
        if kept is not None:
            return kept
        try:
            tree = self._git().tree(version, source.path)
        except OperationError:
            moved = self._moved()
            if moved is None:
                raise
            tree = moved.tree(version, source.path)
        if not tree:
            raise OperationError(f"the template {source.title} has no files at {version[:10]}")
        return self._keep(tree, version)

    def _followed(self) -> str | None:
        """Give the commit to follow; the pinned one where nobody can be asked."""
        try:
            return self._resolved()
        except OperationError as error:
            self._context.log.warning(f"the template stays as it was: {error}")
            return self.known.version if self.known else None

    def _kept(self, version: str | None) -> Template | None:
        """Look among the templates that were fetched before; nobody has to be asked then."""
        if version is None:
            return None
        current = self.is_current and self.known is not None and self.known.version == version
        digest = self.known.digest if current and self.known else self._cache.find(*self._origin(version))
        tree = self._cache.tree(digest) if digest else None
        return None if tree is None else Template(tree, self._wanted._replace(version=version, digest=digest))

    def _keep(self, tree: Tree, version: str) -> Template:
        """Keep what was fetched; hold it to the pin."""
        digest = digest_of(tree)
        pin = self.known
        if self.is_current and pin and pin.version == version and pin.digest not in {None, digest}:
            message = (
                f"{self._source.title} at {version[:17]} is not what it was: {digest} instead of {pin.digest}"
            )
            raise OperationError(message, suggestion="somebody may have tampered with it")
        self._cache.keep(tree)
        self._cache.remember(digest, *self._origin(version))
        return Template(tree, self._wanted._replace(version=version, digest=digest))

    def _origin(self, version: str) -> tuple[str, str]:
        return version, self._source.path

    # ---- git

    def _git(self) -> GitSource:
        if self._source.place is Place.GIT_FOLDER:
            return GitSource(self._context, self._source.folder(self._context))
        return GitSource(self._context, remote_of(self._source, self._context))

    def _resolved(self) -> str:
        source = self._source
        try:
            return self._git().resolve(branch=source.branch, version=source.version)
        except OperationError:
            moved = self._moved()
            if moved is None:
                raise
            return moved.resolve(branch=source.branch, version=source.version)

    def _moved(self) -> GitSource | None:
        """Ask the service where a repository is that is not where it was; None where it does not know another place."""
        from typing import cast

        from devstream_plugin_scm.remote import git_url, open_remote

        source = self._source
        if source.place is not Place.GIT or source.scm_type == "git":
            return None
        try:
            forge = open_remote(cast("Any", source), self._context)
            hosted = forge.hosting.find(forge.locate(source)) if forge.hosting else None
        except OperationError:
            return None
        here = remote_of(source, self._context)
        if hosted is None or hosted.clone_url == here.url:
            return None
        self._context.log.warning(f"the template {source.title} is at {hosted.web_url} now: write that url")
        return GitSource(self._context, remote_of(source, self._context, url=git_url(hosted, source)))
