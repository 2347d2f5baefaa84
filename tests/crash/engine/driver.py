"""One run in a process of its own, which dies at a numbered point: ``driver.py FOLDER POINT [MUTANT]``.

POINT is a number (0: none), or a point's name. The exit status is 0 where the run came to its end; then the last
line of standard output is the number of points it passed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstream.builtin.local import LocalBackend
from devstream.engine.session import Invocation, Session
from devstream.model.redact import Redactor
from devstream.testing.crash import CrashingBackend, CrashingFiles, CrashingHooks, CrashPoints
from devstream.testing.world import Thing

if TYPE_CHECKING:
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


def do_not_wait_for_begins() -> None:
    """A mutant: operations start before their begin is durable."""
    from devstream.state.session import StateWriter

    original = StateWriter.begin

    def begin(self: StateWriter, record: Any, done: Any) -> None:
        done(None)
        original(self, record, lambda _: None)

    StateWriter.begin = begin  # type: ignore[method-assign]


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
    session = Session(
        Invocation("devstream run", folder, environ, parallelism=PARALLELISM),
        emit=lambda _: None,
        redactor=Redactor(),
        wrap_backend=lambda backend: CrashingBackend(LocalBackend(Path(backend.location), files), points),
    )
    session.plugins.add(Thing(), CrashingHooks(points))
    session.run(lambda _: True)
    print(points.passed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
