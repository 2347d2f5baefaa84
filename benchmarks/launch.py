"""Start one program, wait for it, and say what it cost; reads and writes JSON.

This is a process of its own, because a child's peak memory counts from the memory of whoever started it: here
that is a few MiB, and not those of the program that generated the configurations.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any

__all__ = ["launch"]

_UNITS = 1 if sys.platform == "darwin" else 1024
"""How many bytes a unit of ``ru_maxrss`` is."""


def launch(order: dict[str, Any]) -> dict[str, float]:
    """Run ``argv`` in ``folder``, both of its streams in the file ``output``; killed after ``limit`` seconds."""
    os.chdir(order["folder"])
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    start = time.perf_counter()
    child = os.posix_spawn(
        order["argv"][0],
        order["argv"],
        order["environ"],
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_DUP2, output, 2),
        ],
    )
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(order["limit"])
    _, status, usage = os.wait4(child, 0)
    return {
        "wall": time.perf_counter() - start,
        "cpu": usage.ru_utime + usage.ru_stime,
        "peak": usage.ru_maxrss * _UNITS / 2**20,
        "exit_code": os.waitstatus_to_exitcode(status),
    }


if __name__ == "__main__":
    json.dump(launch(json.load(sys.stdin)), sys.stdout)
