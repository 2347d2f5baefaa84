from __future__ import annotations

import os
import select
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from devstream.engine import process as process_module
from devstream.engine.children import Children
from devstream.engine.process import Command, base_environment, run_command
from devstream.engine.workers import Cancellation
from devstream.errors import OperationCancelled, OperationError

if TYPE_CHECKING:
    from pathlib import Path


def python(code: str, tmp_path: Path, **fields: object) -> Command:
    env = {"PATH": os.environ["PATH"]}
    return Command([sys.executable, "-c", code], env, tmp_path, **fields)  # type: ignore[arg-type]  # a test's shorthand


def run(command: Command, cancellation: Cancellation | None = None) -> tuple[int, str, str]:
    done = run_command(command, cancellation or Cancellation(), Children())
    return done.returncode, done.stdout, done.stderr


def test_input_output_log_and_exit_status(tmp_path: Path) -> None:
    lines: list[str] = []
    code = "import sys; print(sys.stdin.read().upper()); print('one\\ntwo', file=sys.stderr); sys.exit(7)"
    status, out, err = run(python(code, tmp_path, input="hello", on_line=lines.append))
    assert (status, out, err, lines) == (7, "HELLO\n", "one\ntwo", ["one", "two"])


def test_a_megabyte_both_ways_does_not_block(tmp_path: Path) -> None:
    text = "x" * 1_000_000
    code = "import sys; d = sys.stdin.read(); sys.stderr.write(d); sys.stdout.write(d)"
    status, out, _ = run(python(code, tmp_path, input=text))
    assert (status, len(out)) == (0, 1_000_000)


def test_it_sees_only_the_environment_it_is_given(tmp_path: Path) -> None:
    _, out, _ = run(
        python("import os; print(sorted(k for k in os.environ if not k.startswith('LC_')))", tmp_path)
    )
    assert out.strip() == "['PATH']"
    assert base_environment({"PATH": "p", "TOKEN": "t", "LANG": "C"}) == {"PATH": "p", "LANG": "C"}


def test_only_the_last_lines_of_the_log_are_kept(tmp_path: Path) -> None:
    _, _, err = run(python("import sys\nfor i in range(100): print(i, file=sys.stderr)", tmp_path))
    assert err.splitlines() == [str(number) for number in range(80, 100)]


def test_too_much_output_is_an_error_and_ends_the_command(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match="more than 1,000 bytes"):
        run(python("while True: print('x' * 1000)", tmp_path, stdout_limit=1000))


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["no-such-command-anywhere"], "command not found: no-such-command-anywhere"),
        (["/etc/passwd"], "cannot run /etc/passwd: Permission denied"),
        (["a\0b"], "cannot run"),
    ],
)
def test_what_cannot_be_started_says_why(argv: list[str], message: str, tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=message):
        run(Command(argv, dict(os.environ), tmp_path))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"folder not found: .*/nowhere"):
        run(Command(["true"], dict(os.environ), tmp_path / "nowhere"))


def test_a_time_limit_ends_it(tmp_path: Path) -> None:
    with pytest.raises(OperationError, match=r"took longer than 0\.05 s"):
        run(python("import time; time.sleep(60)", tmp_path, timeout=0.05))


def test_cancelling_ends_the_command_and_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    os.mkfifo(pid_file)
    code = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"open({str(pid_file)!r}, 'w').write(str(child.pid)); child.wait()"
    )
    cancellation = Cancellation()
    grandchild: list[int] = []

    def stop_once_it_runs() -> None:
        grandchild.append(os.pidfd_open(int(pid_file.read_text())))
        cancellation.cancel("enough")

    threading.Thread(target=stop_once_it_runs).start()
    with pytest.raises(OperationCancelled, match="enough"):
        run(python(code, tmp_path), cancellation)
    ended, _, _ = select.select(grandchild, [], [], 10)
    assert ended == grandchild
    os.close(grandchild[0])


def test_a_command_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_module, "TERM_GRACE", 0.1)
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    with pytest.raises(OperationError, match="took longer"):
        run(python(code, tmp_path, timeout=0.5))


def test_a_daemon_that_keeps_the_pipe_does_not_hold_up_the_command(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(5)'], start_new_session=True)\n"
        "print('done')"
    )
    status, out, _ = run(python(code, tmp_path, timeout=30))
    assert (status, out) == (0, "done\n")


def test_descriptors_are_inherited(tmp_path: Path) -> None:
    read, write = os.pipe()
    run(python(f"import os; os.write({write}, b'seen')", tmp_path, pass_fds=(write,)))
    assert os.read(read, 10) == b"seen"
    os.close(read)
    os.close(write)
