"""Commands outlive a run that is killed: the next run waits for them, and there is one of everything."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from devstream.state import children
from devstream.testing.project import Project, block

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WORK = "echo $$ >> pids; echo here > started; read _ < go; echo thing >> made"
CREATE = {
    "plain": WORK,
    "grandchild": f"sh -c '{WORK}' & wait",
    "in a session of its own": f"setsid sh -c '{WORK}' & wait",
    "an orphan already": f"( setsid sh -c '{WORK}' & ) ; read _ < never",
}
READ = ["sh", "-c", "test -f made || exit 3; echo '{}'"]


@pytest.fixture
def killed(request: pytest.FixtureRequest, project: Project) -> Iterator[Project]:
    """A run that was killed while the command of a create was at work."""
    create = ["sh", "-c", CREATE[request.param]]
    project.tools(block("command.a", {"create": create, "read": READ, "update": ["true"]}))
    for name in ("started", "go", "never"):
        os.mkfifo(project.folder / name)
    started = os.open(project.folder / "started", os.O_RDWR)
    run = subprocess.Popen(
        [sys.executable, "-m", "devstream", "run", "--yes"],
        cwd=project.folder,
        env=project.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    ended = os.pidfd_open(run.pid)
    ready, _, _ = select.select([started, ended], [], [], 60)
    assert started in ready, run.communicate()[1]
    os.close(ended)
    os.close(started)
    run.kill()
    run.communicate()
    if "never" in create[-1]:
        (project.folder / "never").write_text("enough\n")
    yield project
    for pid in (project.folder / "pids").read_text().split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


def made(project: Project) -> list[str]:
    return (project.folder / "made").read_text().splitlines()


@pytest.mark.parametrize("killed", CREATE, indirect=True)
def test_the_next_run_waits_for_them(killed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = threading.Event()
    really_wait = children.wait_for_children

    def wait(*arguments: Any, timeout: float) -> str | None:
        waiting.set()
        return really_wait(*arguments, timeout=timeout)

    monkeypatch.setattr(children, "wait_for_children", wait)
    results: list[Mapping[str, str]] = []
    run = threading.Thread(target=lambda: results.append(killed.run().assert_success().outcomes), daemon=True)
    run.start()
    assert waiting.wait(20)
    assert not (killed.folder / "made").exists()
    (killed.folder / "go").write_text("now\n")
    run.join(30)
    assert made(killed) == ["thing"]
    assert killed.recorded() == ["command.a"]


@pytest.mark.parametrize("killed", ["grandchild"], indirect=True)
def test_after_a_while_it_names_them_and_leaves_them_alone(
    killed: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_wait = children.wait_for_children
    monkeypatch.setattr(children, "wait_for_children", lambda *given, **_: really_wait(*given, timeout=0.0))
    ran = killed.run()
    assert ran.outcomes == {"command.a": "error failed"}
    assert "in progress, by pid" in ran.problem("command.a").summary
    assert len(killed.state().open_operations) == 1
    monkeypatch.undo()
    (killed.folder / "go").write_text("now\n")
    killed.run().assert_success()
    assert made(killed) == ["thing"]
