"""Results of `local_ci`, kept in the repository per commit. Used in a git hook, so nothing of DevStream here."""

from __future__ import annotations

import fcntl
import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "FAILED",
    "NOT_RUN",
    "PASSED",
    "RESULTS",
    "RUNNING",
    "Result",
    "lock_path",
    "prune",
    "record",
    "result_of",
    "result_path",
]

RESULTS = "devstream-ci"
PASSED = "passed"
FAILED = "failed"
NOT_RUN = "not run"
RUNNING = "running"
KEPT_RESULTS = 100


class Result(NamedTuple):
    """What came of testing a commit.

    Attributes:
        result: ``passed``, ``failed``, ``running`` or ``not run``.
        reason: why it failed, in words.
        seconds: how long it took.
        log: path of the log.
    """

    commit: str
    branch: str
    result: str
    reason: str = ""
    seconds: float = 0.0
    log: str = ""


def result_of(repository: Path, commit: str) -> Result:
    """Give the recorded result of a commit; a run that was killed is none."""
    nothing = Result(commit, "", NOT_RUN)
    try:
        result = Result(**json.loads(result_path(repository, commit).read_text(encoding="utf-8")))
        return nothing if result.result == RUNNING and not _is_running(repository) else result
    except (OSError, ValueError, TypeError):
        return nothing


def _is_running(repository: Path) -> bool:
    """Tell whether somebody holds the repository's lock."""
    with lock_path(repository).open("rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def result_path(repository: Path, commit: str) -> Path:
    """Name the file that holds a commit's result; its log is beside it, ending in ``.log``."""
    return repository / RESULTS / f"{commit}.json"


def lock_path(repository: Path) -> Path:
    """Name the file that whoever tests a commit of this repository holds locked."""
    return repository / RESULTS / "lock"


def record(repository: Path, result: Result) -> None:
    """Write a result, whole or not at all."""
    path = result_path(repository, result.commit)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(result._asdict(), indent=1), encoding="utf-8")
    new.replace(path)


def prune(repository: Path) -> None:
    """Keep the newest results and their logs."""
    results = sorted(
        (repository / RESULTS).glob("*.json"), key=lambda path: path.stat().st_mtime, reverse=True
    )
    for path in results[KEPT_RESULTS:]:
        path.with_suffix(".log").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
