"""Carries out edits of a local state in children of its own, and kills them, kill -9, at a numbered point."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from devstream.builtin.local import LocalBackend
from devstream.state.dtm import importing
from devstream.state.editing import on_state
from devstream.state.edits import rename
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.orphans import clearing
from devstream.state.salvage import restore
from devstream.testing.crash import CrashingFiles, CrashPoints

if TYPE_CHECKING:
    from devstream.state.editing import Propose

EDITS: dict[str, Propose] = {
    "mv": on_state(lambda state: rename(state, "noop.a", "noop.z")),
    "restore": restore(3),
    "import": importing(lambda *_: False, "2026-01-01T00:00:00Z"),
    "gc": clearing,
}


def edit(order: dict[str, Any]) -> None:
    files = CrashingFiles(CrashPoints(order["at"]))
    manager = StateManager(LocalBackend(Path(order["folder"]) / "devstream.state", files))
    manager.edit(
        EDITS[order["edit"]],
        this_process("edit", "tests"),
        timeout=5,
        notice=lambda _: None,
        approve=lambda _: None,
    )


def child(order: dict[str, Any], answer: int) -> None:
    error = ""
    try:
        edit(order)
    except BaseException as problem:  # noqa: BLE001 - told to the test, which judges
        error = repr(problem)
    os.write(answer, json.dumps({"error": error}).encode())
    os._exit(0)


def main() -> None:
    for line in sys.stdin:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            child(json.loads(line), writing)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            text = pipe.read()
        os.waitpid(pid, 0)
        print(text or json.dumps({"killed": True}), flush=True)


if __name__ == "__main__":
    main()
