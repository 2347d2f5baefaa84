"""The CI that runs inside a repository's ``post-receive`` hook: no server, no account, no network.

``python -I -m devstream_plugin_scm.local_ci COMMAND``:

* ``receive`` (the hook): tests each branch that was pushed; the updates come on standard input.
* ``run REPOSITORY COMMIT BRANCH``: tests one commit.
* ``status REPOSITORY...``: prints the result of each default branch; exit status 1 unless all passed.

A commit says in ``.devstream/ci.yaml`` what to run (``commands``, ``timeout`` in seconds). The commit is checked
out into a fresh folder; its log and result stay in the repository, in ``devstream-ci/``. Nothing of DevStream
is imported, so that a push does not wait for it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from devstream_plugin_scm.ci_pipeline import CI_FILE, PipelineError, parse_pipeline, read_pipeline
from devstream_plugin_scm.ci_results import (
    FAILED,
    NOT_RUN,
    PASSED,
    RUNNING,
    Result,
    lock_path,
    prune,
    record,
    result_of,
    result_path,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import FrameType

__all__ = ["Stopped", "main", "receive", "run_commit", "status"]

MAX_LOG = 32 * 1024 * 1024
TAIL_LINES = 20
GRACE = 5.0
"""Seconds between asking a command to end and making it."""

_HEADS = "refs/heads/"
_WORK_PREFIX = "devstream-ci-"


class Stopped(BaseException):
    """A signal asks to stop; not an Exception, so that nothing takes it for a failed test."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; give the exit status."""
    match sys.argv[1:] if arguments is None else arguments:
        case ["receive"]:
            return receive(Path.cwd(), sys.stdin)
        case ["run", repository, commit, branch]:
            return 0 if run_commit(Path(repository).resolve(), commit, branch).result == PASSED else 1
        case ["status", *repositories] if repositories:
            return status([Path(repository).resolve() for repository in repositories])
        case _:
            sys.stderr.write(
                "usage: local_ci receive | run REPOSITORY COMMIT BRANCH | status REPOSITORY...\n"
            )
            return 3


def receive(repository: Path, updates: Iterable[str]) -> int:
    """Test what was pushed: branches, not tags, and not what was removed."""
    pushed: dict[str, str] = {}
    for update in updates:
        _, new, ref = update.split()
        if ref.startswith(_HEADS) and new.strip("0"):
            pushed.setdefault(new, ref.removeprefix(_HEADS))
    results = [run_commit(repository, commit, branch) for commit, branch in pushed.items()]
    return 0 if all(result.result != FAILED for result in results) else 1


def status(repositories: list[Path]) -> int:
    """Print a line for each repository; 1 unless all are green."""
    green = True
    for repository in repositories:
        branch = _default_branch(repository)
        head = _git(repository, "rev-parse", "--quiet", "--verify", f"{_HEADS}{branch}").stdout.strip()
        result = result_of(repository, head) if head else Result("-", branch, NOT_RUN)
        green = green and result.result == PASSED
        log = f"  log: {result.log}" if result.log and result.result != PASSED else ""
        name = repository.name.removesuffix(".git")
        _say(f"{name}  {branch} {result.commit[:10]}  CI {result.result}{log}")
    return 0 if green else 1


def _default_branch(repository: Path) -> str:
    try:
        head = (repository / "HEAD").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(no repository)"
    return head.strip().removeprefix(f"ref: {_HEADS}")


def run_commit(repository: Path, commit: str, branch: str) -> Result:
    """Test a commit and record what came of it; prints the verdict last. One at a time in each repository."""
    with _signals_stop(), _only_one(repository) as lock:
        log = result_path(repository, commit).with_suffix(".log")
        running = Result(commit, branch, RUNNING, log=str(log))
        record(repository, running)
        started = time.monotonic()
        try:
            reason = _test(repository, commit, branch, log, lock)
        except Stopped:
            result_path(repository, commit).unlink(missing_ok=True)
            raise
        seconds = round(time.monotonic() - started, 1)
        result = running._replace(result=FAILED if reason else PASSED, reason=reason, seconds=seconds)
        record(repository, result)
        prune(repository)
    _tell(repository, result)
    return result


def _test(repository: Path, commit: str, branch: str, log: Path, lock: Path) -> str:
    """Check out and run the commands; give the reason of a failure, empty for success."""
    with log.open("wb") as stream, _work_folder(lock) as work:
        try:
            _check_out(repository, commit, work)
            pipeline = parse_pipeline(read_pipeline(work / CI_FILE))
        except PipelineError as error:
            stream.write(f"{error}\n".encode())
            return str(error)
        deadline = time.monotonic() + pipeline.timeout
        environment = _environment(commit, branch)
        for command in pipeline.commands:
            _say(f"CI: {command}")
            stream.write(f"$ {command}\n".encode())
            stream.flush()
            reason = _run(command, work, environment, stream.fileno(), deadline)
            if reason:
                return f"{reason}: {command}"
    return ""


def _run(command: str, work: Path, environment: dict[str, str], output: int, deadline: float) -> str:
    """Run one command in a session of its own, which is ended whole; give the reason of a failure."""
    process = subprocess.Popen(  # noqa: S603 - the pipeline's own commands, which a shell is to read
        ["/bin/sh", "-c", command],
        cwd=work,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    try:
        reason = _wait(process, output, deadline)
    finally:
        _end_session(process)
    return reason


def _wait(process: subprocess.Popen[bytes], output: int, deadline: float) -> str:
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            return "the time limit has passed"
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(timeout=min(left, 0.1))
            return f"exit status {code}" if code else ""
        if os.fstat(output).st_size > MAX_LOG:
            return f"more than {MAX_LOG} bytes of output"


def _end_session(process: subprocess.Popen[bytes]) -> None:
    """End what a command has left running: politely where it has not ended itself, then for good."""
    with suppress(ProcessLookupError, PermissionError):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=GRACE)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _check_out(repository: Path, commit: str, work: Path) -> None:
    """Clone without copying objects, and without running anybody's hooks."""
    clone = ("clone", "--quiet", "--shared", "--no-checkout", "--template=", "--", str(repository), str(work))
    checkout = ("-C", str(work), "checkout", "--quiet", "--detach", commit)
    for arguments in (clone, checkout):
        done = _git(None, *arguments)
        if done.returncode:
            message = f"{commit} cannot be checked out: {done.stderr.strip()[-500:]}"
            raise PipelineError(message)


def _git(repository: Path | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git with nothing of the pusher's or anybody's configuration."""
    place = [f"--git-dir={repository}"] if repository else []
    fixed = ["-c", "core.hooksPath=/dev/null", "-c", "gc.auto=0", "-c", "maintenance.auto=false"]
    environment = {
        **_basic_environment(),
        "GIT_ALLOW_PROTOCOL": "file",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
    }
    return subprocess.run(  # noqa: S603 - a fixed command
        ["git", *place, *fixed, *arguments],  # noqa: S607 - git of the PATH, as everywhere
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _basic_environment() -> dict[str, str]:
    """Give the little of the environment that does not depend on who pushes; this Python is the last resort."""
    kept = {name: os.environ[name] for name in ("HOME", "USER", "LOGNAME", "TMPDIR") if name in os.environ}
    path = os.environ.get("PATH", os.defpath)
    return {**kept, "LANG": "C.UTF-8", "PATH": f"{path}{os.pathsep}{Path(sys.executable).parent}"}


def _environment(commit: str, branch: str) -> dict[str, str]:
    return {
        **_basic_environment(),
        "CI": "true",
        "DEVSTREAM_CI_COMMIT": commit,
        "DEVSTREAM_CI_BRANCH": branch,
    }


@contextmanager
def _only_one(repository: Path) -> Iterator[Path]:
    """Hold the repository's lock; gives the file, which names the checkout of whoever holds it."""
    path = lock_path(repository)
    path.parent.mkdir(exist_ok=True)
    with path.open("a+b") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say("CI: waiting for the run before this one")
            fcntl.flock(lock, fcntl.LOCK_EX)
        _remove_left_over(path)
        yield path


@contextmanager
def _work_folder(lock: Path) -> Iterator[Path]:
    """Make a fresh folder outside the repository, so that no test finds a project above it."""
    work = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX))
    try:
        lock.write_text(str(work), encoding="utf-8")
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _remove_left_over(lock: Path) -> None:
    """Remove the checkout of a run that was killed; the lock is ours, so nobody uses it."""
    work = Path(lock.read_text(encoding="utf-8", errors="replace"))
    if work.name.startswith(_WORK_PREFIX) and work.is_absolute():
        shutil.rmtree(work, ignore_errors=True)


@contextmanager
def _signals_stop() -> Iterator[None]:
    """Turn the signals that end a push into an exception, so that commands are ended too."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signature of signal
        raise Stopped

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, stop) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _tell(repository: Path, result: Result) -> None:
    """Print the verdict: the end of the log where it is red, then one line, then where the log is."""
    what = f"{repository.name.removesuffix('.git')} {result.branch} {result.commit[:10]}"
    if result.result == PASSED:
        return _say(f"CI passed: {what} in {result.seconds} s")
    log = Path(result.log)
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-TAIL_LINES:]:
        _say(f"  {line}")
    _say(f"CI FAILED: {what}: {result.reason}")
    return _say(f"log: {log}")


def _say(line: str) -> None:
    """Print a line without control characters; that nobody listens any more is no failure of the tests."""
    plain = "".join(character if character.isprintable() or character == "\t" else "?" for character in line)
    with suppress(OSError):
        sys.stdout.write(f"{plain}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except Stopped:
        raise SystemExit(130) from None
