"""Who we are, as a lease names its holder."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from devstream.model.state import LeaseHolder
from devstream.state.clock import utc_now

__all__ = ["Condition", "Machine", "condition_of", "this_machine", "this_process"]

_START_TIME = 19
"""Where the start time stands in /proc/PID/stat, counted from after the command's closing parenthesis."""

_STOPPED = ("T", "t")
_ENDED = ("Z", "X", "x")
"""States of a process in /proc/PID/stat; one that has ended stays until its parent asks for its exit status."""


class Machine(NamedTuple):
    """Where a process number means something: a host since it was started last, and a namespace of processes.

    What the system does not tell (a boot id outside Linux, for one) is empty: it then counts as another machine.
    """

    host: str
    boot_id: str
    pid_namespace: str


def this_machine() -> Machine:
    """Say where this process runs."""
    boot_id = _read("/proc/sys/kernel/random/boot_id")
    return Machine(os.uname().nodename, boot_id, _link("/proc/self/ns/pid"))


def this_process(run_id: str, command: str) -> LeaseHolder:
    """Describe this process as the holder of a lease."""
    here = this_machine()
    return LeaseHolder(
        run_id=run_id,
        who=f"{_user()}@{here.host}",
        since=utc_now(),
        host=here.host,
        boot_id=here.boot_id,
        pid_namespace=here.pid_namespace,
        pid=os.getpid(),
        pid_start=_start_of("self"),
        command=command,
    )


class Condition(StrEnum):
    """What a lease's holder is doing, as far as it can be seen from here."""

    RUNNING = "running"
    STOPPED = "stopped"
    GONE = "gone"
    ELSEWHERE = "elsewhere"


def condition_of(holder: LeaseHolder) -> Condition:
    """Look at the process that holds a lease."""
    here = this_machine()
    if not here.boot_id or (holder.boot_id, holder.pid_namespace) != (here.boot_id, here.pid_namespace):
        return Condition.ELSEWHERE
    fields = _read(f"/proc/{holder.pid}/stat").rpartition(")")[2].split()
    if not fields:  # it has ended, or belongs to somebody whose processes we may not see
        return Condition.RUNNING if _exists(holder.pid) else Condition.GONE
    if fields[0] in _ENDED or _start_in(fields) != holder.pid_start:
        return Condition.GONE
    return Condition.STOPPED if fields[0] in _STOPPED else Condition.RUNNING


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (OverflowError, OSError) as error:
        return not isinstance(error, ProcessLookupError)
    return True


def _user() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # a container that runs under a number without a name
        return str(os.geteuid())


def _read(path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _start_of(pid: str) -> int:
    return _start_in(_read(f"/proc/{pid}/stat").rpartition(")")[2].split())


def _start_in(fields: list[str]) -> int:
    """Give a process's start time in clock ticks since boot; 0 where it is not known."""
    return int(fields[_START_TIME]) if len(fields) > _START_TIME else 0
