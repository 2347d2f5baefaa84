"""The template of a pipeline, by `configLocation`, fixed to what it was when it was last written.

What is on this machine (shipped with this package, a file or a folder) is followed; what is elsewhere stays as it is
until the options ask for another version.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from devstream.api import OperationError
from devstream_plugin_scm.archives import is_archive
from devstream_plugin_scm.downloads import Download, download, plain_url
from devstream_plugin_scm.forge import File
from devstream_plugin_scm.pinning import Pin, Templates
from devstream_plugin_scm.repo_url import is_schemeless, kind_of_host, without_login
from devstream_plugin_scm.sources import MAX_FILE, check_path, digest_of, read_location, unknown_builtin
from devstream_plugin_scm.template_cache import TemplateCache, cache_folder
from devstream_plugin_scm.template_repo import TemplateRepo

if TYPE_CHECKING:
    from collections.abc import Mapping

    from devstream.api import Context
    from devstream_plugin_scm.sources import Tree

__all__ = ["PIPELINES", "PipelineTemplate", "PipelineTemplates", "check_location"]

PIPELINES = "pipelines"
"""The folder of this package that ``builtin:`` names are looked up in."""
_GIT = re.compile(
    r"(?:git::)?(?P<url>(?:https?://|ssh://|file://)?[^?#]+?)(?://(?P<path>[^?#]*))?"
    r"(?:\?(?:ref=(?P<ref>[^?#&]+)|branch=(?P<branch>[^?#&]+)))?"
)
_REMOTE = ("http://", "https://", "ssh://", "file://", "git::", "git@")


class PipelineTemplate(NamedTuple):
    """The files of a template, and what is recorded of it."""

    tree: Tree
    pin: Mapping[str, Any]


class _Remote(NamedTuple):
    """A template that is elsewhere: a repository or an archive, and one file of it (empty for all)."""

    source: TemplateRepo
    file: str


def check_location(location: str, shipped: str = PIPELINES) -> None:
    """Check what can be checked of a location without looking.

    Args:
        shipped: the folder that ``builtin:`` names are looked up in; absolute for another package's.

    Raises:
        ValueError: there is no such built-in pipeline, or it is no URL of a template.
    """
    wrong = unknown_builtin(location, shipped)
    if wrong:
        raise ValueError(wrong)
    if not _is_elsewhere(location):
        return
    if not _is_plain_file(location):
        _remote(location)
    elif location != without_login(location):
        message = "a URL must not hold a user or a token: give a git repository, a folder or an archive"
        raise ValueError(message)


class PipelineTemplates:
    """Gives the template of one pipeline.

    Args:
        location: as written in options; `check_location` has seen it.
        recorded: the recorded properties.
        defaults: what a shipped template is used with, which is a part of what it is.
        shipped: the folder that ``builtin:`` names are looked up in; absolute for another package's.
    """

    def __init__(
        self,
        location: str,
        context: Context,
        recorded: Mapping[str, Any],
        defaults: str = "",
        shipped: str = PIPELINES,
    ) -> None:
        self._location = location
        self._context = context
        self._defaults = defaults
        self._shipped = shipped
        self._known = Pin.recorded(recorded)

    def look(self) -> Mapping[str, Any]:
        """Say what a plan compares: what is there now of what is followed, else what is recorded.

        A template that has gone is no drift: it is missed when it is needed.
        """
        try:
            if not _is_elsewhere(self._location):
                return self._local().pin
            if not _is_plain_file(self._location):
                source = _remote(self._location).source
                return Templates(source, self._context, self._known).look()._asdict()
        except OperationError as error:
            self._context.log.info(f"the template was not looked at: {error}")
        return self._known._asdict() if self._known else {}

    def get(self) -> PipelineTemplate:
        """Give the template: as it is recorded, where that is what the options ask for.

        Raises:
            OperationError: it is not there, or not what it was.
        """
        if not _is_elsewhere(self._location):
            return self._local()
        if _is_plain_file(self._location):
            return self._downloaded()
        remote = _remote(self._location)
        tree, pin = Templates(remote.source, self._context, self._known).get()
        if remote.file:
            tree = {path: file for path, file in tree.items() if path == remote.file}
        return PipelineTemplate(tree, pin._asdict())

    def latest(self) -> dict[str, Any]:
        """Compare the pin with what the source has now: ``pinned``, ``latest`` and ``behind``.

        Raises:
            OperationError: the source cannot be asked.
        """
        if _is_elsewhere(self._location) and not _is_plain_file(self._location):
            return Templates(_remote(self._location).source, self._context, self._known).latest()
        if _is_elsewhere(self._location):
            url = self._location.partition("#sha256=")[0]
            now = Pin(url, "", None, digest_of(_fetched(self._context, url, "")))
        else:
            now = Pin(**self._local().pin)
        pinned = self._known.digest if self._known else None
        return {"url": now.url, "pinned": pinned, "latest": now.digest, "behind": now.digest != pinned}

    def _local(self) -> PipelineTemplate:
        tree = read_location(self._location, folder=self._context.folder, shipped=self._shipped)
        digest = digest_of({**tree, "\0defaults": File(self._defaults.encode())})
        return PipelineTemplate(tree, Pin(self._location, "", None, digest)._asdict())

    def _downloaded(self) -> PipelineTemplate:
        """Fetch a single file, once: what was fetched before is kept on this machine."""
        url, _, asked = self._location.partition("#sha256=")
        known = self._known
        pinned = known.digest if known and known.url == url and known.asked == asked else None
        kept = TemplateCache(cache_folder(), self._context.log)
        tree = kept.tree(pinned) if pinned else None
        if tree is None:
            tree = _fetched(self._context, url, asked)
            if pinned not in {None, digest_of(tree)}:
                message = f"{plain_url(url)} has changed since it was last written"
                hint = f"look at it, then take it: {url}#sha256={_sha256(tree)}"
                raise OperationError(message, suggestion=hint)
            kept.keep(tree)
        return PipelineTemplate(tree, Pin(url, asked, None, digest_of(tree))._asdict())


def _fetched(context: Context, url: str, asked: str) -> Tree:
    data, _ = download(context, Download(url, limit=MAX_FILE))
    tree: Tree = {check_path(plain_url(url).rpartition("/")[2]): File(data)}
    if asked and asked != _sha256(tree):
        message = f"{plain_url(url)} has the digest sha256:{_sha256(tree)}"
        raise OperationError(message, suggestion="check where it comes from before you write another sha256")
    return tree


def _sha256(tree: Tree) -> str:
    (file,) = tree.values()
    return hashlib.sha256(file.content).hexdigest()


def _is_elsewhere(location: str) -> bool:
    if location.startswith(_REMOTE):
        return True
    place = location.partition("?")[0].partition("//")[0]
    hosted = is_schemeless(location) and kind_of_host(location.partition("/")[0]) != ""
    return hosted or place.endswith(".git") or is_archive(place)


def _is_plain_file(location: str) -> bool:
    """Tell a URL of one file from that of a repository or an archive."""
    path = location.partition("?")[0].partition("#")[0]
    name = path.rpartition("/")[2]
    one = name.endswith((".yml", ".yaml", ".tpl")) or name == "Jenkinsfile"
    return location.startswith(("http://", "https://")) and one and "//" not in path.partition("://")[2]


def _remote(location: str) -> _Remote:
    found = _GIT.fullmatch(location)
    if found is None:
        message = f'"{location}" is no place of a template: URL//PATH?ref=VERSION'
        raise ValueError(message)
    path = (found["path"] or "").strip("/")
    folder, _, name = path.rpartition("/")
    one = "." in name or name == "Jenkinsfile"
    source = TemplateRepo(
        url=found["url"],
        version=found["ref"] or "",
        branch=found["branch"] or "",
        path=folder if one else path,
    )
    return _Remote(source, name if one else "")
