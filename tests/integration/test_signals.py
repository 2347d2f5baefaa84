"""Ctrl-C, SIGTERM and the end of a terminal, on real processes; fifos say when something has got where."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from devstream.testing.project import Project, block

if TYPE_CHECKING:
    from collections.abc import Iterator

PLUGINS = """
from pathlib import Path
from time import sleep

from devstream.api import OperationCancelled, ResourceStatus, hookimpl, tool


def arrive(context, place):
    with open(context.folder / "arrived", "w") as fifo:
        fifo.write(place)


class Base:
    def path(self, tool, context):
        return context.folder / f"made-{tool.instance_id}"

    @hookimpl
    def read(self, tool, context):
        return ResourceStatus() if self.path(tool, context).exists() else None

    @hookimpl
    def delete(self, tool, context):
        self.path(tool, context).unlink(missing_ok=True)


@tool("polite")
class Polite(Base):
    @hookimpl
    def create(self, tool, context):
        arrive(context, "create")
        while not context.cancelled:
            sleep(0.01)
        raise OperationCancelled("gave up")


@tool("finisher")
class Finisher(Base):
    @hookimpl
    def create(self, tool, context):
        arrive(context, "create")
        while not context.cancelled:
            sleep(0.01)
        self.path(tool, context).touch()
        return ResourceStatus()


@tool("stubborn")
class Stubborn(Base):
    @hookimpl
    def create(self, tool, context):
        self.path(tool, context).touch()
        arrive(context, "create")
        while True:
            sleep(60)


@tool("caller")
class Caller(Base):
    @hookimpl
    def create(self, tool, context):
        script = 'echo $$ > pid; echo create > arrived; exec sleep 60'
        context.run(["sh", "-c", script])


@tool("looker")
class Looker(Base):
    @hookimpl
    def create(self, tool, context):
        ...

    @hookimpl
    def read(self, tool, context):
        context.run(["sh", "-c", 'echo $$ > pid; echo read > arrived; exec sleep 60'], reads=True)
"""


class Running:
    """``devstream run`` in a process of its own."""

    def __init__(self, project: Project) -> None:
        self._arrived = os.open(project.folder / "arrived", os.O_RDWR)  # so that no writer waits for us
        self.process = subprocess.Popen(
            [sys.executable, "-m", "devstream", "run", "--yes"],
            cwd=project.folder,
            env=project.environ,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.said = ""

    def wait_until_inside(self) -> str:
        """Wait until a hook says that it is at work."""
        ended = os.pidfd_open(self.process.pid)
        ready, _, _ = select.select([self._arrived, ended], [], [], 60)
        os.close(ended)
        assert self._arrived in ready, self.process.communicate()[1]
        return os.read(self._arrived, 100).decode().strip()

    def wait_until_it_says(self, words: str) -> None:
        assert self.process.stderr is not None
        while words not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line

    def close(self) -> None:
        os.close(self._arrived)
        self.process.kill()
        self.process.communicate()

    def end(self, *signals: signal.Signals) -> int:
        for number in signals:
            self.process.send_signal(number)
        self.said += self.process.communicate(timeout=30)[1]
        assert "Traceback" not in self.said
        return self.process.returncode


@pytest.fixture
def start(project: Project) -> Iterator[type[Running]]:
    started: list[Running] = []

    class Started(Running):
        def __init__(self, project: Project) -> None:
            super().__init__(project)
            started.append(self)

    project.write("devstream_plugins.py", PLUGINS)
    os.mkfifo(project.folder / "arrived")
    yield Started
    for running in started:
        running.close()


def is_free(project: Project) -> bool:
    """Tell whether the lease can be had."""
    lease = project.session()._manager.acquire(
        project.session()._holder, timeout=0, notice=lambda _: pytest.fail("somebody holds it")
    )
    lease.close()
    return True


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 130)]
)
def test_once_ends_in_order(
    project: Project, start: type[Running], number: signal.Signals, status: int
) -> None:
    project.tools(block("polite.a"), block("noop.after", after=["polite.a"]))
    running = start(project)
    assert running.wait_until_inside() == "create"
    assert running.end(number) == status
    assert "stopping" in running.said
    state = project.state()
    assert not state.open_operations
    assert not state.tools
    assert state.lease is None
    assert is_free(project)


def test_what_still_succeeds_is_recorded(project: Project, start: type[Running]) -> None:
    project.tools(block("finisher.a"), block("noop.after", after=["finisher.a"]))
    running = start(project)
    running.wait_until_inside()
    assert running.end(signal.SIGINT) == 130
    assert project.recorded() == ["finisher.a"]
    project.run().assert_success()
    project.plan().assert_nothing_to_do()


def test_twice_ends_at_once_and_the_next_run_settles(project: Project, start: type[Running]) -> None:
    project.tools(block("stubborn.a"))
    running = start(project)
    running.wait_until_inside()
    running.process.send_signal(signal.SIGINT)
    running.wait_until_it_says("stopping")
    assert running.end(signal.SIGINT) == 130
    assert [str(address) for address in project.state().open_operations] == ["stubborn.a"]
    assert is_free(project)
    project.tools()
    assert project.run().assert_success().outcomes == {"stubborn.a": "delete succeeded"}
    assert not (project.folder / "made-a").exists()


def child_of(project: Project) -> int:
    return os.pidfd_open(int((project.folder / "pid").read_text()))


def has_ended(pidfd: int) -> bool:
    ended, _, _ = select.select([pidfd], [], [], 15)
    os.close(pidfd)
    return bool(ended)


def test_commands_are_ended_with_it(project: Project, start: type[Running]) -> None:
    project.tools(block("caller.a"))
    running = start(project)
    running.wait_until_inside()
    child = child_of(project)
    assert running.end(signal.SIGINT) == 130
    assert has_ended(child)
    assert not project.state().open_operations


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_while_planning(project: Project, start: type[Running], number: signal.Signals, status: int) -> None:
    project.tools(block("looker.a"))
    running = start(project)
    assert running.wait_until_inside() == "read"
    child = child_of(project)
    assert running.end(number) == status
    assert has_ended(child)
    assert is_free(project)
    assert not Path(project.folder / "made-a").exists()
