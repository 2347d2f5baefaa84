"""Runs a small engine over the state layer and kills it, kill -9, at a numbered point. Started by the sweep.

Reads a JSON order a line, forks, and answers with a JSON line once the child has ended. The engine makes, changes
and removes files in a folder that stands for the world; the world gives every new thing an id of its own, so that
making it twice is seen. No fsync is done: what a killed process wrote stays (a power cut is another matter).
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstream.builtin.local import Files, LocalBackend
from devstream.model.address import Address
from devstream.model.plan import Action, Outcome
from devstream.model.state import Begin, End, RunRecord, ToolState
from devstream.record import replace
from devstream.state.holder import this_process
from devstream.state.manager import StateManager

if TYPE_CHECKING:
    from devstream.state.session import StateWriter

__all__ = ["address"]


def address(name: str) -> Address:
    return Address("thing", name)


class Points:
    """Counts the points that are passed, over all threads, and kills this process at one of them."""

    def __init__(self, kill_at: int) -> None:
        self.passed = 0
        self._kill_at = kill_at
        self._lock = threading.Lock()

    def tick(self) -> None:
        with self._lock:
            self.passed += 1
            if self.passed == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


class KillingFiles(Files):
    """The file system, with a point before each call."""

    def __init__(self, points: Points) -> None:
        self._points = points

    def open(self, path: Path, flags: int) -> int:
        self._points.tick()
        return super().open(path, flags)

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        self._points.tick()
        half = super().write(descriptor, data[: len(data) // 2])
        self._points.tick()
        return half + super().write(descriptor, data[len(data) // 2 :])

    def fsync(self, descriptor: int) -> None:
        self._points.tick()

    def rename(self, source: Path, target: Path) -> None:
        self._points.tick()
        super().rename(source, target)
        self._points.tick()

    def fsync_folder(self, path: Path) -> None:
        self._points.tick()

    def unlink(self, path: Path) -> None:
        self._points.tick()
        super().unlink(path)

    def make_folder(self, path: Path) -> None:
        self._points.tick()
        super().make_folder(path)


class InPlace(LocalBackend):
    """A broken backend: it writes over the file instead of putting a new one in its place."""

    def _replace(self, path: Path, data: bytes) -> None:
        descriptor = self._files.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._files.write(descriptor, data)
        os.close(descriptor)


class World:
    """A folder of things, each an empty file ``NAME--ID--GENERATION``, so that every change is one step."""

    def __init__(self, folder: Path, points: Points) -> None:
        self._folder = folder
        self._points = points

    def find(self, name: str) -> str | None:
        path = self._path(name)
        return path.name.split("--")[1] if path else None

    def _path(self, name: str) -> Path | None:
        return next(self._folder.glob(f"{name}--*"), None)

    def act(self, action: Action, name: str, generation: int) -> str | None:
        self._points.tick()
        path = None if action is Action.CREATE else self._path(name)
        ident: str | None = path.name.split("--")[1] if path else os.urandom(4).hex()
        if action is Action.DELETE:
            ident = None
            if path:
                path.unlink()
        elif path:
            path.rename(path.with_name(f"{name}--{ident}--{generation}"))
        else:
            (self._folder / f"{name}--{ident}--{generation}").touch(exist_ok=False)
        self._points.tick()
        return ident


class Engine:
    """Settles, plans, begins all, acts once a begin is durable, records; all at once, like a run does."""

    def __init__(self, writer: StateWriter, world: World, mutant: str) -> None:
        self._writer = writer
        self._world = world
        self._mutant = mutant
        self._durable: queue.SimpleQueue[Begin] = queue.SimpleQueue()

    def run(self, wanted: dict[str, int]) -> None:
        self._settle()
        begins = self._plan(wanted)
        for begin in begins:
            if self._mutant == "does not wait":
                self._writer.begin(begin, lambda _: None)
                self._act(begin)
            else:
                self._writer.begin(begin, lambda error, begin=begin: self._started(begin, error))  # type: ignore[misc]
        for _ in begins if self._mutant != "does not wait" else ():
            self._act(self._durable.get())

    def _started(self, begin: Begin, error: Exception | None) -> None:
        if error is None:
            self._durable.put(begin)

    def _act(self, begin: Begin) -> None:
        generation = begin.tool.options["generation"]
        ident = self._world.act(begin.action, begin.address.instance_id, generation)
        entry = None if ident is None else replace(begin.tool, properties={"id": ident})
        self._writer.record(End(begin.op_id, Outcome.SUCCEEDED, entry))

    def _settle(self) -> None:
        state = self._writer.state
        for where, operation in state.open_operations.items():
            begin, recorded = operation.begin, state.tools.get(where)
            found = None if self._mutant == "does not look" else self._world.find(where.instance_id)
            entry = None
            if found is not None:
                entry = replace(recorded or begin.tool, properties={"id": found}, tainted=True)
            self._writer.record(End(begin.op_id, Outcome.UNKNOWN, entry))
        self._writer.flush()

    def _plan(self, wanted: dict[str, int]) -> list[Begin]:
        tools = {where.instance_id: tool for where, tool in self._writer.state.tools.items()}
        begins = []
        for name in sorted({*wanted, *tools}):
            tool, generation = tools.get(name), wanted.get(name)
            if generation is None:
                begins.append(self._begin(Action.DELETE, name, 0))
            elif tool is None:
                begins.append(self._begin(Action.CREATE, name, generation))
            elif tool.tainted or tool.options["generation"] != generation:
                begins.append(self._begin(Action.UPDATE, name, generation))
        return begins

    @staticmethod
    def _begin(action: Action, name: str, generation: int) -> Begin:
        tool = ToolState(address(name), {"generation": generation, "padding": "x" * 3000})
        return Begin(os.urandom(4).hex(), 1, tool.address, action, tool, "run", "host", "boot")


def work(order: dict[str, Any], points: Points) -> None:
    folder = Path(order["folder"])
    files = KillingFiles(points)
    kind = InPlace if order["mutant"] == "writes in place" else LocalBackend
    backend = kind(folder / "devstream.state", files)
    holder = this_process(os.urandom(4).hex(), "sweep")
    with StateManager(backend).acquire(holder, timeout=5, notice=lambda _: None) as writer:
        Engine(writer, World(folder / "world", points), order["mutant"]).run(order["wanted"])
        writer.close(RunRecord(holder.run_id, "sweep", "then", "now"))


def child(order: dict[str, Any], answer: int) -> None:
    points = Points(order["kill_at"])
    error = ""
    try:
        work(order, points)
    except BaseException as problem:  # noqa: BLE001 - told to the test, which judges
        error = repr(problem)
    os.write(answer, json.dumps({"points": points.passed, "error": error}).encode())
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            child(order, writing)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        os.waitpid(pid, 0)
        print(text or json.dumps({"killed": True}), flush=True)


if __name__ == "__main__":
    main()
