"""`local-ci` with real repositories and real pushes: what the person who pushes sees, and what is kept."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devstream.api import OperationError
from devstream_plugin_scm import ci_results, local_ci
from devstream_plugin_scm.ci_pipeline import CI_FILE, PipelineError, parse_pipeline
from devstream_plugin_scm.ci_results import RESULTS, result_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Workplace


def log_of(place: Workplace, commit: str = "") -> str:
    """Give the log of a commit, by default of the branch's head."""
    head = commit or place.git("--git-dir", str(place.repository()), "rev-parse", "main").stdout.strip()
    return (place.repository() / RESULTS / f"{head}.log").read_text()


# the first run


def test_the_push_of_the_pipeline_file_is_the_first_run(place: Workplace) -> None:
    place.scaffold()
    ci = place.local_ci("python3 -m unittest discover", timeout=99)
    status = ci.create()
    assert place.log()[0] == f"Write {CI_FILE} (local-ci.hello)"
    assert place.show(CI_FILE).splitlines()[1:] == [
        "commands:",
        '  - "python3 -m unittest discover"',
        "timeout: 99",
    ]
    assert status.info["ci"]["result"] == "passed"
    assert "Ran 3 tests" in Path(status.info["ci"]["log"]).read_text()
    assert status.properties["hook"] == "installed"
    assert status.properties["hooksPath"] == "hooks"
    assert place.status("hello").returncode == 0


def test_where_nothing_had_to_be_committed_it_runs_once(place: Workplace) -> None:
    place.scaffold()
    ci = place.local_ci("echo ran >> $HOME/runs")
    os.environ["HOME"], before = str(place.home), os.environ["HOME"]
    try:
        ci.create()
        shutil.rmtree(place.repository() / RESULTS)
        assert ci.there().info["ci"]["result"] == "not run"
        for _ in range(2):
            ci.update()
    finally:
        os.environ["HOME"] = before
    assert (place.home / "runs").read_text() == "ran\n" * 2
    assert len(place.log()) == 2


def test_commands_default_to_those_of_the_language(place: Workplace) -> None:
    place.scaffold()
    ci = place.bench(
        "local-ci",
        scm={"scmType": "local", "name": "hello"},
        pipeline={"language": {"name": "Python", "framework": "http"}},
    )
    assert ci.create().info["ci"]["result"] == "passed"
    assert "$ python3 -m unittest discover" in log_of(place)


def test_a_red_first_run_is_told_and_fails_nothing(place: Workplace) -> None:
    place.scaffold()
    ci = place.local_ci("echo before", "exit 7", "echo never")
    status = ci.create()
    assert status.info["ci"]["result"] == "failed"
    warning = next(message for level, message in ci.said if level == "warning")
    assert warning.startswith("CI failed: repos/hello.git")
    assert "never" not in log_of(place)
    shown = place.status("hello")
    assert shown.returncode == 1
    assert "CI failed  log: " in shown.stdout


def test_without_a_repository_or_a_branch_it_says_what_is_missing(place: Workplace) -> None:
    ci = place.local_ci("true")
    assert ci.read() is None
    with pytest.raises(OperationError, match=r"there is no repository repos/hello\.git"):
        ci.create()
    place.git("init", "--bare", "--quiet", str(place.repository()))
    with pytest.raises(OperationError, match="there is no branch main in"):
        ci.create()


# pushes


def test_breaking_a_test_shows_on_the_terminal_of_who_pushes(place: Workplace) -> None:
    place.scaffold()
    ci = place.local_ci("python3 -m unittest discover")
    ci.create()
    clone = place.clone()
    service = (clone / "service.py").read_text().replace('"status": "ok"', '"status": "broken"')
    pushed = place.push(clone, {"service.py": service})
    lines = [line.rstrip() for line in pushed.stderr.splitlines() if line.startswith("remote: ")]
    assert lines[-2].startswith("remote: CI FAILED: hello main ")
    assert "exit status 1: python3 -m unittest discover" in lines[-2]
    log = Path(lines[-1].removeprefix("remote: log: "))
    assert "FAILED (failures=1)" in log.read_text()
    assert ci.drift() == {}
    assert ci.there().info["ci"]["result"] == "failed"
    pushed = place.push(clone, {"service.py": service.replace("broken", "ok")})
    assert "remote: CI passed: hello main " in pushed.stderr
    assert ci.there().info["ci"]["result"] == "passed"


def test_a_hooks_path_of_the_person_does_not_switch_it_off(
    place: Workplace, as_someone: Callable[[str], None]
) -> None:
    (place.home / "my-hooks").mkdir()
    as_someone(
        f"[core]\n\thooksPath = {place.home}/my-hooks\n[init]\n\tdefaultBranch = other\n[gc]\n\tauto = 1\n"
    )
    place.scaffold()
    ci = place.local_ci("true")
    ci.create()
    assert "CI passed" in place.push(place.clone(), {"a": "b"}).stderr
    place.git("--git-dir", str(place.repository()), "config", "--unset", "core.hooksPath")
    assert "CI passed" not in place.push(place.clone(), {"a": "c"}).stderr
    assert ci.drift() == {"hooksPath": ("hooks", None)}
    ci.update()
    assert "CI passed" in place.push(place.clone(), {"a": "d"}).stderr


def test_git_in_a_test_is_not_led_astray(place: Workplace) -> None:
    """GIT_DIR and its kin are set in hooks; a test that uses git must not see them."""
    place.scaffold()
    inside = 'test "$(git rev-parse --show-toplevel)" = "$(pwd -P)"'
    place.local_ci(inside, "env | grep ^GIT_ && exit 1 || true", "git init -q x && git -C x status").create()
    os.environ["GIT_DIR"] = "/nowhere"
    try:
        assert place.status("hello").returncode == 0
    finally:
        del os.environ["GIT_DIR"]
    pushed = place.push(place.clone(), {"a": "b"})
    assert "CI passed" in pushed.stderr, pushed.stderr


def test_tests_see_little_of_the_environment(place: Workplace) -> None:
    place.scaffold()
    os.environ["A_TOKEN_OF_MINE"] = "s3cr3t"
    try:
        place.local_ci("env", 'test -z "$A_TOKEN_OF_MINE"', "read line && exit 1 || true").create()
    finally:
        del os.environ["A_TOKEN_OF_MINE"]
    names = {line.partition("=")[0] for line in log_of(place).splitlines() if "=" in line}
    given = {
        "CI",
        "DEVSTREAM_CI_BRANCH",
        "DEVSTREAM_CI_COMMIT",
        "HOME",
        "LANG",
        "LOGNAME",
        "PATH",
        "TMPDIR",
        "USER",
    }
    assert names <= given | {"PWD", "OLDPWD", "SHLVL", "_"}


def test_only_branches_that_got_commits_are_tested(place: Workplace) -> None:
    place.scaffold()
    place.local_ci("true").create()
    clone = place.clone()
    place.git("tag", "-a", "v1", "-m", "v1", cwd=clone)
    assert "CI" not in place.git("push", "origin", "v1", cwd=clone).stderr
    pushed = place.push(clone, {"a": "1"}, "HEAD:one", "HEAD:two", "HEAD:main").stderr
    assert pushed.count("CI passed") == 1, "one commit is tested once"
    assert "CI" not in place.git("push", "origin", "--delete", "one", "two", cwd=clone).stderr


def test_a_commit_without_a_pipeline_is_red_and_says_so(place: Workplace) -> None:
    place.scaffold()
    ci = place.local_ci("true")
    ci.create()
    clone = place.clone()
    (clone / CI_FILE).unlink()
    assert "CI FAILED: hello main" in (stderr := place.push(clone).stderr)
    assert f"there is no {CI_FILE} in this commit" in stderr
    assert ci.drift() == {"files": ({CI_FILE: ci.recorded.properties["files"][CI_FILE]}, {CI_FILE: None})}  # type: ignore[union-attr]
    ci.update()
    assert ci.there().info["ci"]["result"] == "passed"


def test_a_link_for_a_pipeline_is_not_followed(place: Workplace) -> None:
    place.scaffold()
    place.local_ci("true").create()
    clone = place.clone()
    (clone / CI_FILE).unlink()
    (clone / CI_FILE).symlink_to("/etc/passwd")
    assert f"there is no {CI_FILE} in this commit" in place.push(clone).stderr


def test_nothing_in_a_log_reaches_the_terminal_as_a_command(place: Workplace) -> None:
    place.scaffold()
    place.local_ci("true").create()
    files = {CI_FILE: "commands: [\"printf '\\\\033]0;owned\\\\007\\\\r\\\\351'; false\"]"}
    stderr = place.push(place.clone(), files).stderr
    assert "?]0;owned" in stderr
    assert "\x1b]" not in stderr


def test_pushes_at_once_wait_for_each_other(place: Workplace) -> None:
    """Each run writes when it begins and ends: with a lock they never interleave."""
    place.scaffold()
    trace = place.home / "trace"
    place.local_ci(f"echo begin >> {trace}; sleep 0.1; echo end >> {trace}").create()
    clones = [place.clone() for _ in range(4)]
    pushes = [
        threading.Thread(target=place.push, args=(clone, {"a": str(number)}, f"HEAD:branch-{number}"))
        for number, clone in enumerate(clones)
    ]
    for push in pushes:
        push.start()
    for push in pushes:
        push.join()
    assert trace.read_text().split() == ["begin", "end"] * 5


# limits


def test_the_time_limit_ends_everything_the_command_started(place: Workplace) -> None:
    place.scaffold()
    pids = place.home / "pids"
    child = f"sh -c 'trap \"\" TERM; echo $$ >> {pids}; sleep 60'"
    started = time.monotonic()
    status = place.local_ci(f"{child} & {child} & wait", timeout=1).create()
    assert time.monotonic() - started < 20
    assert status.info["ci"]["result"] == "failed"
    result = result_of(place.repository(), status.info["ci"]["commit"])
    assert result.reason.startswith("the time limit has passed: ")
    assert len(pids.read_text().split()) == 2
    for pid in pids.read_text().split():
        assert not is_alive(int(pid))


def is_alive(pid: int) -> bool:
    """Tell whether a process still runs after the moment that the kernel takes to end one."""
    try:
        ends = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        return not select.select([ends], [], [], 10)[0]
    finally:
        os.close(ends)


def test_what_a_command_leaves_running_is_ended(place: Workplace) -> None:
    place.scaffold()
    pid = place.home / "pid"
    status = place.local_ci(f"sleep 60 & echo $! > {pid}").create()
    assert status.info["ci"]["result"] == "passed"
    assert not is_alive(int(pid.read_text()))


def test_a_log_without_end_is_ended(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.scaffold()
    place.local_ci("true").create()
    clone = place.clone()
    place.git("--git-dir", str(place.repository()), "config", "--unset", "core.hooksPath")
    (place.repository() / "hooks/post-receive").unlink()
    place.push(clone, {CI_FILE: "commands: ['yes']\n"})
    head = place.git("rev-parse", "HEAD", cwd=clone).stdout.strip()
    monkeypatch.setattr(local_ci, "MAX_LOG", 100_000)
    assert "more than 100000 bytes of output" in local_ci.run_commit(place.repository(), head, "main").reason


def test_a_stopped_run_ends_its_commands_and_counts_as_not_run(place: Workplace) -> None:
    place.scaffold()
    fifo = place.home / "fifo"
    os.mkfifo(fifo)
    place.local_ci("true").create()
    clone = place.clone()
    (place.repository() / "hooks/post-receive").unlink()
    place.push(clone, {CI_FILE: f"commands: ['echo $$ > {fifo}; sleep 60']\n"})
    head = place.git("rev-parse", "HEAD", cwd=clone).stdout.strip()
    command = [
        sys.executable,
        "-I",
        "-m",
        "devstream_plugin_scm.local_ci",
        "run",
        str(place.repository()),
        head,
        "main",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
        command_ends = os.pidfd_open(int(fifo.read_text()))
        assert result_of(place.repository(), head).result == "running"
        run.send_signal(signal.SIGTERM)
        assert run.wait() == 130
    assert select.select([command_ends], [], [], 30)[0], "the command lives on"
    os.close(command_ends)
    assert result_of(place.repository(), head).result == "not run"


def test_a_killed_run_counts_as_not_run_and_its_checkout_is_removed(place: Workplace) -> None:
    place.scaffold()
    fifo = place.home / "fifo"
    os.mkfifo(fifo)
    ci = place.local_ci("true")
    ci.create()
    clone = place.clone()
    (place.repository() / "hooks/post-receive").unlink()
    place.push(clone, {CI_FILE: f"commands: ['pwd > {fifo}; sleep 2']\n"})
    head = place.git("rev-parse", "HEAD", cwd=clone).stdout.strip()
    command = [
        sys.executable,
        "-I",
        "-m",
        "devstream_plugin_scm.local_ci",
        "run",
        str(place.repository()),
        head,
        "main",
    ]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
        work = Path(fifo.read_text().strip())
        run.kill()
    assert work.is_dir()
    assert result_of(place.repository(), head).result == "not run"
    assert place.status("hello").returncode == 1
    ci.update()
    assert not work.exists()
    assert place.status("hello").returncode == 0


def test_old_results_are_removed(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    place.scaffold()
    status = place.local_ci("true").create()
    monkeypatch.setattr(ci_results, "KEPT_RESULTS", 2)
    head = status.info["ci"]["commit"]
    for number in range(4):
        (place.repository() / RESULTS / f"{number}.json").write_text("{}")
    local_ci.run_commit(place.repository(), head, "main")
    kept = {path.name for path in (place.repository() / RESULTS).glob("*.json")}
    assert len(kept) == 2
    assert f"{head}.json" in kept


# the pipeline file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has other keys"),
        ("[]", "has other keys"),
        ("commands: [a]\nimage: x", "has other keys"),
        ("commands: [", "is not YAML"),
        ("commands: !!python/object:os.system [a]", "is not YAML"),
        ("[" * 10_000, "is not YAML"),
        ("commands: []", "a list of 1 to 100 commands"),
        ("commands: make", "a list of 1 to 100 commands"),
        ("commands: [make, [a]]", "each command is a text"),
        ("commands: [1]", "each command is a text"),
        ("commands: ['  ']", "each command is a text"),
        ('commands: ["a\\0b"]', "each command is a text"),
        ("commands: [a]\ntimeout: 0", "timeout is a number of seconds"),
        ("commands: [a]\ntimeout: true", "timeout is a number of seconds"),
        ("commands: [a]\ntimeout: 1h", "timeout is a number of seconds"),
        ("commands: [a]\ntimeout: .nan", "timeout is a number of seconds"),
        ("commands: [a]\ntimeout: 86401", "timeout is a number of seconds"),
    ],
)
def test_pipelines_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(PipelineError, match=message):
        parse_pipeline(text)


@pytest.mark.parametrize(
    "command", ["echo 'a' \"b\"", "a: b # c", "- x", "ü\u2028\t\\n", "[[ -f x ]]", "@x", "a\nb"]
)
def test_a_command_arrives_as_it_is_written(place: Workplace, command: str) -> None:
    ci = place.local_ci(command)
    text = ci.tool().options.pipeline.text()
    assert parse_pipeline(text).commands == (command,)
    assert parse_pipeline(text).timeout == 60


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ({}, "commands are missing .only go, java, nodejs, python have some by default"),
        ({"language": {"name": "cobol"}}, "commands are missing"),
        ({"commands": ["a"], "timeout": 0}, "timeout is a number of seconds"),
    ],
)
def test_options_that_are_refused(place: Workplace, pipeline: dict[str, object], message: str) -> None:
    ci = place.bench("local-ci", scm={"scmType": "local", "name": "hello"}, pipeline=pipeline)
    with pytest.raises(ValueError, match=message):
        ci.tool()


# the hook


def test_a_hook_removed_or_edited_by_hand_is_drift_and_put_back(place: Workplace) -> None:
    place.scaffold()
    ci = place.local_ci("true")
    ci.create()
    hook = place.repository() / "hooks/post-receive"
    text = hook.read_text()
    edits: dict[str, Callable[[], object]] = {
        "missing": hook.unlink,
        "changed": lambda: hook.write_text(text.replace("exec", "# exec")),
        "its python is gone": lambda: hook.write_text(text.replace(sys.executable, "/nowhere/python")),
    }
    for state, edit in edits.items():
        edit()
        assert ci.drift() == {"hook": ("installed", state)}
        ci.update()
        assert hook.read_text() == text
    hook.chmod(0o644)
    assert ci.drift() == {"hook": ("installed", "changed")}
    ci.update()
    assert hook.stat().st_mode & 0o111 == 0o111
    assert place.log()[0] == f"Write {CI_FILE} (local-ci.hello)", "no commit was needed"


def test_the_hook_is_as_small_as_promised(place: Workplace) -> None:
    place.scaffold()
    place.local_ci("true").create()
    lines = (place.repository() / "hooks/post-receive").read_text().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert lines[2:] == [
        "unset $(git rev-parse --local-env-vars)",
        f"exec {sys.executable} -I -m devstream_plugin_scm.local_ci receive",
    ]


def test_a_hook_of_somebody_else_is_left_alone(place: Workplace) -> None:
    place.scaffold()
    hook = place.repository() / "hooks/post-receive"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\necho mine\n")
    ci = place.local_ci("true")
    with pytest.raises(OperationError, match=r"hooks/post-receive is not ours \(move it away"):
        ci.create()
    ci.recorded = ci.taint(ci.there())
    ci.delete()
    assert hook.read_text() == "#!/bin/sh\necho mine\n"


def test_removing_takes_hook_file_and_results_and_is_fine_twice(place: Workplace) -> None:
    place.scaffold()
    ci = place.local_ci("true")
    ci.create()
    recorded = ci.recorded
    ci.delete()
    assert ci.read() is None
    assert CI_FILE not in place.files()
    assert place.log()[0] == f"Remove {CI_FILE} (local-ci.hello)"
    assert not (place.repository() / RESULTS).exists()
    assert "CI" not in place.push(place.clone(), {"a": "b"}).stderr
    ci.recorded = recorded
    ci.delete()
    shutil.rmtree(place.repository())
    ci.recorded = recorded
    ci.delete()


@pytest.mark.parametrize("moment", ["die_before", pytest.param("die_after", marks=pytest.mark.slow)])
def test_killed_anywhere_the_next_run_finishes(place: Workplace, moment: str) -> None:
    place.scaffold()
    shutil.copytree(place.repository(), place.home / "before")
    ci = place.local_ci("true")
    number = 1
    while ci.dies(ci.create, **{moment: number}):
        ci.recorded = None
        status = ci.apply()
        assert status.info["ci"]["result"] == "passed"
        assert status.properties["hook"] == "installed"
        shutil.rmtree(place.repository())
        shutil.copytree(place.home / "before", place.repository())
        number += 1
    assert number > 8


# the command


def test_it_starts_without_devstream() -> None:
    code = "import sys, devstream_plugin_scm.local_ci; print(*(m for m in sys.modules if m.startswith('devstream')))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    package = "devstream_plugin_scm"
    assert set(done.stdout.split()) == {
        package,
        *(f"{package}.{name}" for name in ("ci_pipeline", "ci_results", "local_ci")),
    }


def test_status_of_what_is_no_repository_is_red(place: Workplace) -> None:
    place.scaffold()
    shown = place.status("nowhere", "hello")
    assert shown.returncode == 1
    assert shown.stdout.splitlines()[0] == "nowhere  (no repository) -  CI not run"
    assert shown.stderr == ""


def test_a_damaged_result_is_none(place: Workplace) -> None:
    place.scaffold()
    status = place.local_ci("true").create()
    head = status.info["ci"]["commit"]
    for text in ("", "[]", json.dumps({"commit": head})):
        (place.repository() / RESULTS / f"{head}.json").write_text(text)
        assert result_of(place.repository(), head).result == "not run"


def test_its_usage_is_shown() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-m", "devstream_plugin_scm.local_ci", "frobnicate"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert done.stderr.startswith("usage: ")
