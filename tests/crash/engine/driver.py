"""One run in a process of its own, which dies at a numbered point: ``driver.py FOLDER POINT [MUTANT]``.

POINT is a number (0: none), or a point's name. The exit status is 0 where the run came to its end; then the last
line of standard output is the number of points it passed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstream.api import ResourceStatus, hookimpl, tool
from devstream.builtin.local import LocalBackend
from devstream.engine.session import Invocation, Session
from devstream.model.redact import Redactor
from devstream.testing.crash import CrashingBackend, CrashingFiles, CrashingHooks, CrashPoints
from devstream.testing.world import Thing, Things
from devstream.testing.world_server import RemoteThing

if TYPE_CHECKING:
    from collections.abc import Callable

    from devstream.api import Context, Tool
    from devstream.state.backend import StateBackend
    from devstream.state.session import StateWriter

PARALLELISM = 3


class InPlace(CrashingFiles):
    """A mutant: writes the state file where it lies, without a rename."""

    def rename(self, source: Path, target: Path) -> None:
        data = source.read_bytes()
        with target.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            self._point("half written")
            file.write(data[len(data) // 2 :])
        source.unlink()


@tool("halves")
class InTwoHalves(Things):
    """A thing that is made first and filled then, as a repository is made and then pushed to."""

    def __init__(self, point: Callable[[str], None] = lambda _: None) -> None:
        super().__init__()
        self._point = point

    @hookimpl
    def create(self, tool: Tool, context: Context) -> ResourceStatus:
        value = tool.options.value
        identity = self.world(context).put({"name": str(tool.address), "value": None, "fixed": None})
        self._point(f"half of {tool.address}")
        self.world(context).change(identity, value=value)
        return ResourceStatus(properties={"value": value, "fixed": None}, outputs={"id": identity})


def do_not_wait_for_begins() -> None:
    """A mutant: operations start before their begin is durable, which it is together with their end."""
    from devstream.state.session import StateWriter

    really_begin, really_record = StateWriter.begin, StateWriter.record
    late: dict[str, Any] = {}

    def begin(self: StateWriter, record: Any, done: Any) -> None:
        late[record.op_id] = record
        done(None)

    def record(self: StateWriter, *records: Any, done: Any = None) -> None:
        for item in records:
            if getattr(item, "op_id", "") in late:
                really_begin(self, late.pop(item.op_id), lambda _: None)
        really_record(self, *records, done=done)

    StateWriter.begin = begin  # type: ignore[method-assign]
    StateWriter.record = record  # type: ignore[method-assign]


def write_no_begins() -> None:
    """A mutant: nothing is announced."""
    from devstream.state.session import StateWriter

    def begin(self: StateWriter, record: Any, done: Any) -> None:
        done(None)

    StateWriter.begin = begin  # type: ignore[method-assign]


MUTANTS = {"no-wait": do_not_wait_for_begins, "no-begin": write_no_begins}


def main(folder: Path, point: str, mutant: str = "") -> None:
    points = CrashPoints(int(point)) if point.isdigit() else CrashPoints(name=point)
    files = InPlace(points) if mutant == "in-place" else CrashingFiles(points)
    if mutant in MUTANTS:
        MUTANTS[mutant]()
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder.parent / "home")}

    def wrap(backend: StateBackend) -> CrashingBackend:
        is_local = isinstance(backend, LocalBackend)
        return CrashingBackend(LocalBackend(Path(backend.location), files) if is_local else backend, points)

    session = Session(
        Invocation("devstream run", folder, environ, parallelism=PARALLELISM),
        emit=lambda _: None,
        redactor=Redactor(),
        wrap_backend=wrap,
    )
    thing = RemoteThing() if (folder / "world.url").exists() else Thing()
    session.plugins.add(thing, InTwoHalves(points), CrashingHooks(points))
    session.run(lambda _: True)
    print(points.passed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
