"""What one job keeps, and two would take from each other: the Jenkinsfile, and the job itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from devstream_plugin_jenkins.options import script_name
from devstream_plugin_scm.ci_claims import pipeline_claims, pipeline_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from devstream.api import Address

__all__ = ["job_claims"]


def job_claims(address: Address, app: str | None, options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Say what a job keeps, by its options as they are written, as far as that can be told."""
    pipeline = options.get("pipeline") or {}
    written = pipeline.get("name") if isinstance(pipeline, dict) else None
    name = pipeline_name(address, app, written if isinstance(written, str) else "")
    for what, keeper in pipeline_claims("jenkins", address, app, options):
        yield f"{script_name(name)}{what.removeprefix(script_name(''))}", keeper
    jenkins = options.get("jenkins")
    url = jenkins.get("url") if isinstance(jenkins, dict) else None
    job = options.get("jobName") or _job_of(options.get("scm"), name)
    if isinstance(url, str) and isinstance(job, str) and job:
        yield f"the job {job} of {url.rstrip('/')}", str(address)


def _job_of(repo: object, name: str) -> str:
    short = repo.get("name") if isinstance(repo, dict) else None
    return f"{short}-{name}" if isinstance(short, str) and name else short if isinstance(short, str) else ""
