"""The program as people start it: real processes, pipes, signals and a terminal."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

TOOLS = """\
tools:
  - name: noop
    instanceID: a
    options:
      input: {x: 1}
  - name: file
    instanceID: b
    options:
      path: b.txt
      content: text
"""

SLOW = """\
tools:
  - name: command
    instanceID: slow
    options:
      create: [sleep, "60"]
"""


def start(folder: Path, *argv: str, **rest: object) -> subprocess.Popen[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    process: subprocess.Popen[str] = subprocess.Popen(
        [sys.executable, "-m", "devstream", *argv],
        cwd=folder,
        env=environ,
        text=True,
        **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.DEVNULL, **rest},  # type: ignore[call-overload]
    )
    return process


def run(folder: Path, *argv: str) -> tuple[int, str, str]:
    process = start(folder, *argv)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def project(folder: Path, text: str = TOOLS) -> Path:
    (folder / "devstream.yaml").write_text(text)
    return folder


def test_version_is_answered_before_anything_is_imported(tmp_path: Path) -> None:
    probe = "import sys; sys.argv[1:] = ['--version']; from devstream.__main__ import main; main(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.startswith("devstream 0.")
    assert "click" not in done.stdout
    assert run(tmp_path, "--version") == (0, done.stdout.splitlines()[0] + "\n", "")
    assert run(tmp_path, "-v", "--version")[1] == done.stdout.splitlines()[0] + "\n"


FORBIDDEN = [
    "rich",
    "tabulate",
    "jinja2",
    "importlib.metadata",
    "asyncio",
    "logging",
    "httpx",
    "tempfile",
    "shutil",
    "json",
]


def test_a_plan_to_a_pipe_imports_nothing_heavy(tmp_path: Path) -> None:
    project(tmp_path)
    probe = (
        "import sys; sys.argv[1:] = ['plan']; from devstream.cli.main import run_this_process; code = run_this_process(); "
        f"print([name for name in {FORBIDDEN} if name in sys.modules], code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_whole_life(tmp_path: Path) -> None:
    project(tmp_path)
    assert run(tmp_path, "run")[0] == 8
    code, out, err = run(tmp_path, "run", "-y")
    assert (code, (tmp_path / "b.txt").read_text()) == (0, "text")
    assert "2 succeeded" in out
    assert "Traceback" not in err
    assert run(tmp_path, "run", "-y")[1].startswith("No changes: 2 tools")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    tools = "".join(f"  - {{name: noop, instanceID: t{n}, options: {{input: {n}}}}}\n" for n in range(2000))
    project(tmp_path, f"tools:\n{tools}")
    process = start(tmp_path, "plan")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(60) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.parametrize("argv", [["plan"], ["--help"], ["version"]])
def test_closed_standard_output(tmp_path: Path, argv: list[str]) -> None:
    project(tmp_path)
    command = f'exec "{sys.executable}" -m devstream {" ".join(argv)} >&-'
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_in_order(tmp_path: Path, number: signal.Signals, code: int) -> None:
    project(tmp_path, SLOW)
    process = start(tmp_path, "run", "-y", "-v")
    assert process.stderr is not None
    for line in process.stderr:
        if "command.slow: creating" in line:
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in err
    assert "Stopped in" in out


class OnTerminal:
    """The program on a terminal of its own."""

    def __init__(self, folder: Path, *argv: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = start(folder, *argv, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        self.text = ""

    def wait_for(self, text: str, seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.text:
            ready = select.select([self._ours], [], [], max(deadline - time.monotonic(), 0))[0]
            assert ready, f"{text!r} did not come; there is: {self.text}"
            try:
                self.text += os.read(self._ours, 65536).decode(errors="replace")
            except OSError:  # the other end is closed
                assert text in self.text, self.text
                return

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def end(self) -> int:
        code = self.process.wait(60)
        os.close(self._ours)
        return code


def test_on_a_terminal_it_asks_and_shows_what_runs(tmp_path: Path) -> None:
    project(tmp_path, TOOLS.replace("input: {x: 1}", "input: {x: 1}\n      delay: 1.5"))
    terminal = OnTerminal(tmp_path, "run")
    terminal.wait_for("Go on? [y/N] ")
    terminal.type("y\n")
    terminal.wait_for("noop.a: creating 0.")
    terminal.wait_for("noop.a: created in 1.5s")
    terminal.wait_for("Try next:")
    assert terminal.end() == 0
    assert "\x1b[32m" in terminal.text


def test_ctrl_c_at_the_prompt(tmp_path: Path) -> None:
    project(tmp_path)
    terminal = OnTerminal(tmp_path, "run")
    terminal.wait_for("Go on? [y/N] ")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("interrupted")
    assert terminal.end() == 130
    assert not (tmp_path / "b.txt").exists()
    assert "Traceback" not in terminal.text
    assert run(tmp_path, "run", "-y")[0] == 0  # the lease was given back
