"""`Jobs`: a job and its folders in Jenkins, and whose they are."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from devstream.api import OperationError
from devstream_plugin_jenkins.client import JenkinsError
from devstream_plugin_jenkins.job_config import (
    KINDS_OF_JOB,
    by_known_names,
    folder_config,
    job_config,
    overlay,
    without,
)
from devstream_plugin_jenkins.xml_text import parse, write
from devstream_plugin_scm.forge import Mark
from devstream_plugin_scm.hosting import MARK_WORDS, description_of

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET
    from collections.abc import Iterable

    from devstream.api import Context, ToolState
    from devstream_plugin_jenkins.client import JenkinsClient
    from devstream_plugin_jenkins.job_config import JobPlan

__all__ = ["Jobs", "FoundJob"]

_MARK = re.compile(rf"{MARK_WORDS}(\S+) \(([^()\s]*)\)")


class FoundJob(NamedTuple):
    """A job as it is in Jenkins.

    Attributes:
        mark: whose the description says it is; None where it says nothing.
    """

    path: str
    config: ET.Element
    mark: Mark | None

    @property
    def kind(self) -> str:
        """`multibranch`, `pipeline`, or the name of another kind's root element."""
        return next((kind for kind, tag in KINDS_OF_JOB.items() if tag == self.config.tag), self.config.tag)

    @property
    def description(self) -> str:
        """What people read."""
        return self.config.findtext("description") or ""


class Jobs:
    """The job of one tool instance.

    Args:
        recorded: what was recorded of it; None where nothing was.
    """

    def __init__(self, client: JenkinsClient, context: Context, recorded: ToolState | None) -> None:
        self._client = client
        self._context = context
        self._recorded = recorded
        self._id = recorded.properties.get("id") if recorded else None
        self._adopted = bool(recorded and recorded.adopted)

    def find(self, path: str) -> FoundJob | None:
        """Look a job up; None where there is none."""
        document = self._client.config(path)
        if document is None:
            return None
        config = by_known_names(parse(document, what=f"the configuration of {path}"))
        return FoundJob(path, config, _mark_in(config.findtext("description") or ""))

    def owned_id(self, found: FoundJob) -> str | None:
        """Give the id that we marked a job with; None where the mark is not ours."""
        return found.mark.id if found.mark and self._is_our_mark(found.mark) else None

    def _is_our_mark(self, mark: Mark) -> bool:
        """Compare with what is recorded, as an address may change (``state mv``)."""
        return mark.id == self._id if self._id else mark.address == str(self._context.address)

    def check_ours(self, found: FoundJob, *, leaving: bool = False) -> None:
        """Refuse to touch what is somebody else's.

        Args:
            leaving: it is to be removed: a description that says nothing is not enough.

        Raises:
            OperationError: it is not ours.
        """
        if self._adopted or (found.mark and self._is_our_mark(found.mark)):
            return
        page = self._client.page(found.path)
        if self._recorded is None:
            message = f"{page} exists already and is not ours"
            raise OperationError(message, suggestion="`adopt: true` takes it over")
        if found.mark is not None or leaving:
            message = f"{page} is not the job that {self._context.address} made; it is left as it is"
            raise OperationError(message, suggestion="move it away, then run again")

    def put(self, found: FoundJob | None, path: str, plan: JobPlan, left: Iterable[str]) -> None:
        """Make the job, or lay what is ours over what it is.

        Args:
            left: paths of values that we wrote before and do not want any more.
        """
        if found is None:
            self._create(path, job_config(plan._replace(description=self._description(""))))
            return
        if found.kind != plan.kind:
            message = f"{self._client.page(path)} is a {found.kind}, and cannot become a {plan.kind} job"
            raise OperationError(
                message, suggestion=f"make it anew: `devstream run --replace {self._context.address}`"
            )
        config = parse(write(found.config), what=path)
        without(config, left)
        overlay(config, job_config(plan._replace(description=self._description(found.description))))
        self._client.configure(path, write(config))

    def _create(self, path: str, config: ET.Element) -> None:
        try:
            self._client.create(path, write(config))
        except JenkinsError as error:
            made = self.find(path) if error.status in {0, 400} or error.status >= 500 else None
            if made is None or self.owned_id(made) is None:
                raise

    def _description(self, about: str) -> str:
        """Keep what people wrote; one that we made has our mark."""
        mark = _mark_in(about)
        if self._adopted or (mark and self._is_our_mark(mark)):
            return about
        return description_of(Mark(self._id or self._context.op_id, str(self._context.address)), about)

    # ---- folders

    def ensure_folders(self, path: str) -> None:
        """Make the folders that a job is in, where they are missing; they are marked as ours."""
        for folder in _folders(path):
            if self._client.config(folder) is None:
                mark = Mark(self._context.op_id, str(self._context.address))
                document = write(folder_config(description_of(mark)))
                try:
                    self._client.create(folder, document)
                except JenkinsError:  # somebody else was faster, or the answer was lost
                    if self._client.config(folder) is None:
                        raise

    def leave_folders(self, path: str, *, is_empty: bool) -> None:
        """Remove folders that were made for jobs, ours or another tool's, from the inside, as far as they are empty.

        Jenkins knows no "only if it is empty". Whoever makes a job in a folder that goes at this very moment finds out:
        the job is looked for again at the end (`Work.bring_in_line`).

        Args:
            is_empty: nothing is in the innermost one's store of credentials.
        """
        for number, folder in enumerate(reversed(_folders(path))):
            found = self.find(folder)
            if found is None:
                continue
            if found.mark is None or self._client.children(folder) or (number == 0 and not is_empty):
                return
            self._client.delete(folder)


def _folders(path: str) -> list[str]:
    """Name the folders that a path goes through, the outermost first.

    >>> _folders("a/b/job")
    ['a', 'a/b']
    """
    steps = path.split("/")[:-1]
    return ["/".join(steps[: number + 1]) for number in range(len(steps))]


def _mark_in(description: str) -> Mark | None:
    found = _MARK.search(description)
    return Mark(found[2], found[1]) if found else None
