"""`Following`: what changes in a template gets into a repository that people work on, in one commit."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from devstream_plugin_scm.forge import Delivery, proposal_branch
from devstream_plugin_scm.template_repo import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from devstream.api import Context
    from devstream_plugin_scm.forge import Changes, Files, Forge, Repository
    from devstream_plugin_scm.merging import Merged
    from devstream_plugin_scm.sources import Tree
    from devstream_plugin_scm.template_repo import TemplateRepo

__all__ = ["Blobs", "Following"]

Blobs = dict[str, str | None]
"""Files that the template changed and that stay as people changed them: git's id of what they hold, None for gone."""
_SHOW = "git fetch origin refs/devstream/rendered && git diff FETCH_HEAD~1 FETCH_HEAD -- "


class Following:
    """Renderings of one template on their way into one branch.

    Args:
        source: says how changes are delivered.
    """

    def __init__(self, forge: Forge, branch: str, source: TemplateRepo, context: Context) -> None:
        self._forge = forge
        self._branch = branch
        self._source = source
        self._context = context

    def begin(self, location: str, rendered: Tree) -> None:
        """Push the one commit that a new repository begins with; a second call finds nothing to do."""
        message = f"Begin from {self._source.title}"
        self._forge.publish(
            location, self._branch, message, lambda head, _: {} if head else rendered, rendered=rendered
        )

    def go_on(self, found: Repository, rendered: Tree) -> Blobs:
        """Merge what changed in the template into what people have done; give what was left to them."""
        from devstream_plugin_scm.merging import Merged, merge, merge_with_git

        texts = merge_with_git(self._context)
        merged = Merged({})

        def decide(head: Files, base: Files | None) -> Changes:
            nonlocal merged
            merged = merge(base, head, rendered, texts)
            return merged.changes

        wants_request = self._source.policy is Policy.PULL_REQUEST
        commit = self._forge.publish(
            found.location,
            self._branch,
            f"Follow the template {self._source.title}",
            decide,
            rendered=rendered,
            delivery=Delivery.PULL_REQUEST if wants_request else Delivery.PUSH,
            proposal=proposal_branch(self._context.address),
            explain=lambda: _explained(merged),
        )
        self._say(merged, commit, found.location)
        return self._blobs(self._forge.describe(found.location), merged.left)

    def still_open(self, found: Repository, known: object) -> Blobs:
        """Give those of the recorded conflicts (``known``) whose files nobody has touched since."""
        if not isinstance(known, dict):
            return {}
        now = self._blobs(found, known)
        return {path: blob for path, blob in now.items() if blob == known[path]}

    def waits(self, found: Repository) -> str:
        """Say where people find what is proposed and not merged: a URL, or the branch; empty for nothing."""
        branch = proposal_branch(self._context.address)
        if branch not in found.proposed:
            return ""
        asked = self._forge.hosting.proposal(found.location, branch) if self._forge.hosting else None
        return asked.url if asked else branch

    def _blobs(self, found: Repository | None, paths: Iterable[str]) -> Blobs:
        names = tuple(paths)
        head = found.branches.get(self._branch) if found else None
        if found is None or head is None or not names:
            return {}
        listed = self._forge.listing(found.location, head, names)
        return {path: listed[path].blob if path in listed else None for path in names}

    def _say(self, merged: Merged, commit: str | None, location: str) -> None:
        log = self._context.log
        if commit:
            log.info(f"committed the template's changes to {location}: {commit[:10]}")
        if merged.mixed:
            log.info(f"merged with what people changed: {', '.join(merged.mixed)}")
        if merged.left:
            log.warning(f"left as people changed them: {', '.join(merged.left)}")
            log.info(f"what the template changed in them: {_SHOW}{shlex.join(merged.left)}")


def _explained(merged: Merged) -> str:
    """Say in a commit and its pull request what people have to look at."""
    parts = []
    if merged.mixed:
        parts.append(
            f"Both the template and people changed these files; both are in:\n\n{_listed(merged.mixed)}"
        )
    if merged.left:
        parts.append(
            "The template changed these files too, in the same places as people did. They are left as people have "
            f"them:\n\n{_listed(merged.left)}\n\nTo see what the template changed in them:\n\n"
            f"    {_SHOW}{shlex.join(merged.left)}"
        )
    return "\n\n".join(parts)


def _listed(paths: Iterable[str]) -> str:
    return "\n".join(f"- `{path}`" for path in paths)
