"""A state that several machines share: who holds it, what others are told, and what becomes of one who loses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from devstream.engine import workshop
from devstream.model.plan import Action
from devstream.state import clock, journal
from devstream.testing.mishaps import break_lease
from devstream.testing.project import Project, block
from devstream.testing.shared_folder import SharedFolderBackend
from devstream.testing.world_server import RemoteThing, WorldServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from devstream.model.plan import Plan
    from devstream.testing.project import RunResult


@pytest.fixture(autouse=True)
def _rescue_files_go_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They go into the current folder, where a state is not a file of this machine."""
    monkeypatch.chdir(tmp_path)


PLUGINS = "from devstream.testing.shared_folder import devstream_register_backends\n"
SLOW = {
    "create": ["sh", "-c", "echo begun > begun; read line < go; echo made > made"],
    "read": ["sh", "-c", "test -f made || exit 3; echo '{}'"],
    "update": ["true"],
}


def config(folder: Path, *tools: dict[str, Any], machine: str = "") -> str:
    options = {"folder": str(folder / "state"), **({"machine": machine} if machine else {})}
    return json.dumps({"config": {"state": {"backend": "shared-folder", "options": options}}, "tools": tools})


def prepare(bench: Any, machine: str = "") -> None:
    bench.write(PLUGINS, "devstream_plugins.py")
    bench.write(
        config(
            bench.folder,
            block("command.slow", SLOW),
            block("noop.a", after=["command.slow"]),
            machine=machine,
        )
    )
    for name in ("begun", "go"):
        os.mkfifo(bench.folder / name)


class Running:
    """A run that is in the middle of its work."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.process = subprocess.Popen(
            [sys.executable, "-m", "devstream", "run", "-y"],
            cwd=bench.folder,
            env=bench.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert (bench.folder / "begun").read_text() == "begun\n"

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    def go_on(self) -> None:
        """Let its command come to its end."""
        (self.bench.folder / "go").write_text("on\n")

    def end(self) -> tuple[int, str]:
        """Let the process go on where it is stopped, and wait for it; give its exit code and what it said."""
        self.process.send_signal(signal.SIGCONT)
        out, err = self.process.communicate(timeout=60)
        assert "Traceback" not in err
        return self.process.returncode, out + err


@pytest.fixture
def running(bench: Any) -> Iterator[Running]:
    prepare(bench)
    made = Running(bench)
    yield made
    made.process.kill()
    made.process.communicate()


def flat(text: str) -> str:
    return " ".join(text.split())


def test_a_second_run_names_who_holds_the_lease(running: Running) -> None:
    bench = running.bench
    second = bench("run", "-y", "--lock-timeout", "0")
    assert (second.code, second.out) == (5, "")
    assert f"pid {running.pid}, `devstream run -y`" in flat(second.err)
    running.go_on()
    code, said = running.end()
    assert (code, "2 succeeded" in said) == (0, True)
    assert bench("run", "-y", "--lock-timeout", "0").code == 0
    assert "there is nothing to unlock" in bench("state", "unlock").out


def test_a_plan_meanwhile_says_so_and_writes_nothing(running: Running) -> None:
    bench = running.bench
    before = sorted((bench.folder / "state").iterdir())
    planned = bench("plan")
    assert planned.code == 4
    assert "an operation (create) is in progress, by" in flat(planned.out)
    assert f"pid {running.pid}" in flat(planned.out)
    assert bench("show", "state").code == 0
    assert sorted((bench.folder / "state").iterdir()) == before


def test_unlock_takes_nothing_from_a_process_that_runs(running: Running) -> None:
    bench = running.bench
    refused = bench("state", "unlock", "-y")
    assert (refused.code, refused.out) == (5, "")
    assert f"kill {running.pid}" in refused.err
    assert "--force" in refused.err
    shown = bench("state", "unlock", "--dry-run")
    assert "its process is running" in flat(shown.out)
    assert bench("state", "unlock", "--force").code == 8, "there is nobody to ask"
    running.go_on()
    assert running.end()[0] == 0


def test_unlock_by_force_is_recorded_and_the_other_run_ends_in_a_conflict(running: Running) -> None:
    bench = running.bench
    assert bench("state", "unlock", "--force", "-y").code == 0
    assert "state unlock --force" in bench("state", "history").out
    running.go_on()
    code, said = running.end()
    assert code == 6
    assert "somebody else has changed the state" in flat(said)
    assert list(bench.folder.glob("*.rescue-*"))


def test_a_killed_run_is_taken_over_at_once(running: Running) -> None:
    bench = running.bench
    running.process.kill()
    running.process.wait()
    assert "its process has ended" in flat(bench("state", "unlock", "--dry-run").out)
    running.go_on()
    following = bench("run", "-y", "--lock-timeout", "0")
    assert following.code == 0, following
    assert (bench.folder / "made").read_text() == "made\n"
    assert bench("plan", "--detailed-exitcode").code == 0


def test_a_stopped_run_holds_it_until_it_is_unlocked_and_then_keeps_what_it_did(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "CHILDREN_TIMEOUT", 0.0)
    bench = running.bench
    running.stop()
    held = bench("run", "-y", "--lock-timeout", "0")
    assert held.code == 5
    assert f"kill -CONT {running.pid}" in flat(held.err)
    assert "devstream state unlock" in flat(held.err)
    unlocked = bench("state", "unlock", "-y")
    assert unlocked.code == 0
    assert "its process is stopped" in flat(unlocked.out)
    beside = bench("run", "-y")
    assert beside.code == 4
    assert f"is in progress, by pid {running.pid}" in flat(beside.out), "it holds the lock of its operation"
    running.go_on()
    code, said = running.end()
    assert code == 6
    (rescue,) = bench.folder.glob("*.rescue-*")
    assert f"devstream state push --rescue {rescue}" in flat(said).replace("- ", "-")
    pushed = bench("state", "push", "--rescue", str(rescue), "-y")
    assert pushed.code == 0
    assert bench("run", "-y").code == 0
    assert bench("plan", "--detailed-exitcode").code == 0
    assert (bench.folder / "made").read_text() == "made\n"


def test_a_run_on_another_machine_is_waited_for(bench: Any, tmp_path: Path) -> None:
    prepare(bench, machine="box-1")
    running = Running(bench)
    try:
        bench.write(
            config(bench.folder, block("command.slow", SLOW), block("noop.a", after=["command.slow"]))
        )
        refused = bench("run", "-y", "--lock-timeout", "0")
        assert refused.code == 5
        assert "@box-1" in refused.err
        assert "70s without a sign of life" in flat(refused.err)
        assert "is in progress, by" in flat(bench("plan").out)
        assert "make sure that it is dead" in flat(bench("state", "unlock", "--dry-run").out)
        running.process.kill()
        assert bench("run", "-y", "--lock-timeout", "0").code == 5, "nobody here can know that it is dead"
        running.go_on()
        assert bench("state", "unlock", "-y").code == 0
        assert bench("run", "-y").code == 0
        assert bench("plan", "--detailed-exitcode").code == 0
    finally:
        running.process.kill()
        running.process.communicate()


# -- a process that was stopped right before a side effect, and wakes up later


class Sleeper:
    """A project whose run sleeps in the middle of a create, and another run that takes over meanwhile."""

    def __init__(self, root: Path, server: WorldServer) -> None:
        self.things = RemoteThing()
        self.first = self._project(root, self.things)
        server.connect(self.first.folder)
        self.second = self._project(root, RemoteThing())
        self.world = server.world(str(self.first.folder.relative_to(root)))
        self.backend = SharedFolderBackend(self.first.folder / "state")
        self._inside, self._wake = threading.Event(), threading.Event()
        self._results: list[RunResult] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _project(self, root: Path, things: RemoteThing) -> Project:
        folder = root / "project"
        project = Project(folder, {"PATH": os.environ["PATH"], "HOME": str(root)})
        folder.mkdir(exist_ok=True)
        project.write("devstream_plugins.py", PLUGINS)
        project.config(config(folder, block("thing.a", {"value": 1})))
        project.use(things)
        return project

    def _run(self) -> None:
        self._results.append(self.first.run())

    def fall_asleep(self) -> None:
        """Run, and sleep after all checks, right before the request."""

        def sleep(*_: object) -> None:
            self._inside.set()
            assert self._wake.wait(60)

        self.things.before["create"] = sleep
        self._thread.start()
        assert self._inside.wait(30)
        lease = self.backend.read_head()
        assert lease is not None
        break_lease(self.backend, json.loads(lease.data)["lease"]["run_id"])

    def wake_up(self) -> RunResult:
        """Let it go on, and wait for its end."""
        self._wake.set()
        self._thread.join(60)
        return self._results[0]


@pytest.fixture
def sleeping(tmp_path: Path) -> Iterator[Callable[[bool], Sleeper]]:
    servers: list[WorldServer] = []

    def make(tokens: bool) -> Sleeper:
        server = WorldServer(tmp_path, tokens=tokens)
        servers.append(server.__enter__())
        sleeper = Sleeper(tmp_path, server)
        sleeper.fall_asleep()
        return sleeper

    yield make
    for server in servers:
        server.__exit__(None, None, None)


@pytest.mark.parametrize(("tokens", "things"), [(True, 1), (False, 2)], ids=["tokens", "no tokens"])
def test_a_create_that_wakes_up_after_a_takeover(
    sleeping: Callable[[bool], Sleeper], *, tokens: bool, things: int
) -> None:
    """With client tokens there is one thing; without them no protocol can help, and this is what is told of it."""
    sleeper = sleeping(tokens)
    sleeper.second.run().assert_success()
    woken = sleeper.wake_up()
    assert woken.error is not None
    assert woken.error.exit_code == 6
    assert len(sleeper.world.names()) == things
    assert sleeper.second.recorded() == ["thing.a"]
    assert not sleeper.second.state().open_operations


def test_what_appears_after_it_was_found_missing_is_not_made_twice(
    sleeping: Callable[[bool], Sleeper],
) -> None:
    """Nobody knows that the first run is dead: so the second looks once more, right before it makes the thing."""
    sleeper = sleeping(False)
    seen: list[tuple[Action, ...]] = []

    def approve(plan: Plan) -> bool:
        seen.append(tuple(change.action for change in plan.changes))
        sleeper.wake_up()
        return True

    ran = sleeper.second.run(approve)
    assert seen == [(Action.CREATE,)]
    assert "run again" in ran.problem("thing.a").suggestion
    assert sleeper.second.run().assert_success().outcomes == {"thing.a": "update succeeded"}
    assert sleeper.world.names() == ["thing.a"]
    sleeper.second.plan().assert_nothing_to_do()


def test_what_was_not_started_when_the_lease_was_lost_is_not_started(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("devstream_plugins.py", PLUGINS)
    project.config(config(project.folder, *(block(f"thing.t{number}") for number in range(6))))
    things = RemoteThing()
    with WorldServer(project.folder.parent) as server:
        server.connect(project.folder)
        project.use(things)

        def lose(*_: object) -> None:
            head = project.session().backend.read_head()
            assert head is not None
            break_lease(project.session().backend, json.loads(head.data)["lease"]["run_id"])
            later = clock.boottime() + 100.0
            monkeypatch.setattr(journal, "boottime", lambda: later)

        things.after["create"] = lose
        lost = project.run(parallelism=1)
        assert lost.error is not None
        assert (lost.error.exit_code, "push --rescue" in str(lost.error)) == (6, True)
        assert len(server.world("project").names()) == 1
        monkeypatch.undo()
        things.after.clear()
        project.run().assert_success()
        assert len(server.world("project").names()) == 6
        project.plan().assert_nothing_to_do()
