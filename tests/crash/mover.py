"""Rotates the key of a state, or moves the state, and dies by kill -9 at a numbered point. Started by its sweep.

Reads a JSON order a line, forks, and answers with a JSON line once the child has ended.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from devstream.builtin.local import LocalBackend
from devstream.state.holder import this_process
from devstream.state.manager import StateManager
from devstream.state.moving import Move, Stage
from devstream.state.rotating import rotating
from devstream.state.sealed_backend import SealedBackend, sealed
from devstream.testing.crash import CrashingBackend, CrashPoints
from devstream.testing.keys import keyring

__all__: list[str] = []

HOLDER = this_process("mover", "devstream state x")


def client(path: str, names: list[str], points: CrashPoints) -> SealedBackend:
    return sealed(CrashingBackend(LocalBackend(Path(path)), points), keyring(*names))


def edit(backend: SealedBackend, propose: Any, approve: Any) -> None:
    StateManager(backend).edit(propose, HOLDER, timeout=5, notice=lambda _: None, approve=approve)


def rotate(order: dict[str, Any], points: CrashPoints) -> None:
    edit(client(order["path"], order["keys"], points), rotating, lambda _: None)


def move(order: dict[str, Any], points: CrashPoints) -> None:
    source = client(order["path"], order["keys"], points)
    moving = Move(source, client(order["target"], order["keys"], points), HOLDER, lambda: "now")
    stage = moving.stage()
    if stage is Stage.READY:
        edit(source, moving.propose, moving.copy)
    if stage is not Stage.DONE:
        moving.finish()


def obey(order: dict[str, Any], answers: int) -> None:
    points = CrashPoints(order["kill_at"])
    {"rotate": rotate, "move": move}[order["what"]](order, points)
    os.write(answers, json.dumps({"passed": points.passed}).encode())


def main() -> None:
    for line in sys.stdin:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                obey(json.loads(line), writer)
                status = 0
            finally:
                os._exit(status)
        os.close(writer)
        answer = os.read(reader, 4096)
        os.close(reader)
        _, code = os.waitpid(pid, 0)
        print(json.dumps({"code": code, **json.loads(answer or b"{}")}), flush=True)


if __name__ == "__main__":
    main()
