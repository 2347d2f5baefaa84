"""What a command costs, and two commands measured in turns."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

__all__ = ["BenchmarkError", "Command", "Cost", "Metric", "alternate", "environment", "measure"]

_LAUNCHER = Path(__file__).with_name("launch.py")
_NOT_PASSED_ON = (
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "COVERAGE_PROCESS_START",
    "DEVSTREAM_",
    "TF_",
)


_FEW = 3
"""The most pairs of a slow row: what comes in only once is small there, beside what is measured."""


class BenchmarkError(Exception):
    """A program that was to be measured did not do what it should."""


class Metric(StrEnum):
    """What is compared."""

    WALL = "wall"
    CPU = "cpu"
    PEAK = "peak"


class Cost(NamedTuple):
    """What one process cost: seconds, seconds of CPU, and MiB of memory at its peak."""

    wall: float
    cpu: float
    peak: float

    def of(self, metric: Metric) -> float:
        """Give one of the three."""
        return {Metric.WALL: self.wall, Metric.CPU: self.cpu, Metric.PEAK: self.peak}[metric]


@dataclass(frozen=True)
class Command:
    """A command that can be run again and again.

    Attributes:
        argv: what to run; the first word is a path.
        folder: where.
        leftovers: patterns of what is removed from ``folder`` before each run.
        expect: text that the output must hold, the proof that the job was done.
        limit: seconds after which it is killed.
    """

    argv: tuple[str, ...]
    folder: Path
    leftovers: tuple[str, ...] = ()
    expect: str = ""
    limit: int = 900


def environment(work: Path) -> dict[str, str]:
    """Give the environment of what is measured: this one's, without what would change how programs run."""
    empty = work / "empty"
    empty.touch()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    return {**kept, "TF_CLI_CONFIG_FILE": str(empty), "CHECKPOINT_DISABLE": "1", "NO_COLOR": "1"}


def measure(command: Command, environ: dict[str, str]) -> Cost:
    """Run a command once, from the state its folder should be in.

    Raises:
        BenchmarkError: it failed, or its output does not hold what it should.
    """
    _clear(command)
    output = command.folder / ".output"
    order = {
        "argv": command.argv,
        "folder": str(command.folder),
        "environ": environ,
        "output": str(output),
        "limit": command.limit,
    }
    os.sync()  # nobody pays for what the one before has left to be written
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(_LAUNCHER)],
        input=json.dumps(order),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    cost = json.loads(done.stdout)
    said = output.read_text(encoding="utf-8", errors="replace")
    if cost.pop("exit_code") != 0 or command.expect not in said:
        message = f"{' '.join(command.argv)}, in {command.folder}:\n{said[-2000:]}"
        raise BenchmarkError(message)
    return Cost(**cost)


def _clear(command: Command) -> None:
    for path in [path for pattern in command.leftovers for path in command.folder.glob(pattern)]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def alternate(
    ours: Command, theirs: Command | None, *, pairs: int, environ: dict[str, str]
) -> list[tuple[Cost, Cost | None]]:
    """Measure two commands in turns, A B B A, so that both see the same weather.

    Each runs once before, unmeasured, but for rows so slow that they have few pairs.
    """
    for command in (ours, theirs):
        if command and pairs > _FEW:
            measure(command, environ)
    found: list[tuple[Cost, Cost | None]] = []
    for number in range(pairs):
        if theirs and number % 2:
            other = measure(theirs, environ)
            found.append((measure(ours, environ), other))
        else:
            found.append((measure(ours, environ), measure(theirs, environ) if theirs else None))
    return found
